use super::*;

/// Three stages: what is compiled with a compiler is packed by one that has neither it nor the source.
pub(crate) const STAGED: &str = r#"version = 1

[project]
name = "greeter"
owners = ["ada@example.org"]

[base]
packages = ["gcc", "libc6-dev", "make"]

[[stage]]
name = "compile"

[[stage]]
name = "check"
inputs = [{ stage = "compile", path = "out/greeter", at = "/in/greeter" }]

[[stage]]
name = "package"
base = { packages = ["coreutils", "tar"] }
inputs = [
    { stage = "compile", path = "out", at = "/in/out" },
    { stage = "check", path = "report.txt", at = "/in/report.txt" },
]

[[step]]
name = "make"
stage = "compile"
run = ["make"]

[[step]]
name = "try"
stage = "check"
run = ["/in/greeter"]

[[step]]
name = "pack"
stage = "package"
run = ["tar", "cf", "greeter.tar", "/in/out"]

[[artifact]]
name = "greeter"
stage = "compile"
path = "out/greeter"

[[artifact]]
name = "archive"
path = "greeter.tar"

[[test]]
name = "unit"
run = ["make", "check"]
"#;

fn staged(line: &str, by: &str, expected: Expect) {
    assert!(STAGED.contains(line), "{line}");
    check(&STAGED.replacen(line, by, 1), expected);
}

#[test]
fn the_first_stage_sees_the_source_and_the_last_leaves_the_artifacts() {
    let spec = Spec::parse(FILE, STAGED.as_bytes()).expect("it is good");
    let seen: Vec<_> = spec.stages.iter().map(|stage| (stage.name.as_str(), stage.source)).collect();
    assert_eq!(seen, [("compile", true), ("check", false), ("package", false)]);
    let stage = |name: &str| Some(name.to_owned());
    assert_eq!((&spec.artifacts[0].stage, &spec.artifacts[1].stage), (&stage("compile"), &stage("package")));
    assert_eq!(spec.tests[0].stage, stage("compile"));
    let own = spec.of_stage(&spec.stages[2]);
    let packages: Vec<&str> = own.base.root.packages().iter().map(|package| package.name.as_str()).collect();
    assert_eq!(packages, ["coreutils", "tar"]);
    assert_eq!(own.base.lock_files, Some(Vec::new()), "no dependencies that it does not declare");
    assert_eq!((own.steps.len(), own.steps[0].name.as_str()), (1, "pack"));
    assert_eq!((own.artifacts.len(), own.artifacts[0].name.as_str(), own.tests.len()), (1, "archive", 0));
    assert_eq!(spec.of_stage(&spec.stages[1]).base, spec.base);
}

#[test]
fn a_stage_takes_from_those_above_it() {
    staged(
        "{ stage = \"compile\", path = \"out/greeter\"",
        "{ stage = \"check\", path = \"out/greeter\"",
        expect![[r#"
        assay.toml:15:21: stage `check` takes from itself
          | inputs = [{ stage = "check", path = "out/greeter", at = "/in/greeter" }]
          |                     ^
          = a stage takes from those above it, so that there are no circles: put the giver first"#]],
    );
    staged(
        "{ stage = \"compile\", path = \"out/greeter\"",
        "{ stage = \"package\", path = \"x\"",
        expect![[r#"
        assay.toml:15:21: stage `package` does not stand above `check`
          | inputs = [{ stage = "package", path = "x", at = "/in/greeter" }]
          |                     ^
          = a stage takes from those above it, so that there are no circles: put the giver first"#]],
    );
    staged(
        "{ stage = \"compile\", path = \"out/greeter\"",
        "{ stage = \"complie\", path = \"x\"",
        expect![[r#"
        assay.toml:15:21: no stage is called `complie`
          | inputs = [{ stage = "complie", path = "x", at = "/in/greeter" }]
          |                     ^
          = did you mean `compile`? allowed: `compile`"#]],
    );
}

#[test]
fn an_input_has_a_place_of_its_own_below_in() {
    staged(
        "at = \"/in/greeter\"",
        "at = \"/usr/bin/greeter\"",
        expect![[r#"
        assay.toml:15:59: `/usr/bin/greeter` does not lie below `/in`
          | inputs = [{ stage = "compile", path = "out/greeter", at = "/usr/bin/greeter" }]
          |                                                           ^
          = as `/in/greeter`: steps find it there"#]],
    );
    staged(
        "at = \"/in/report.txt\"",
        "at = \"/in/out/report.txt\"",
        expect![[r#"
        assay.toml:22:50: `/in/out/report.txt` and `/in/out` overlap
          |     { stage = "check", path = "report.txt", at = "/in/out/report.txt" },
          |                                                  ^
          = each input has a place of its own"#]],
    );
    staged(
        "path = \"report.txt\"",
        "path = \"../report.txt\"",
        expect![[r#"
        assay.toml:22:31: `../report.txt` is no path below the project
          |     { stage = "check", path = "../report.txt", at = "/in/report.txt" },
          |                               ^
          = as `target/release/greeter`: no leading `/`, no `..`"#]],
    );
}

#[test]
fn steps_artifacts_and_tests_name_stages_that_are_there() {
    staged(
        "stage = \"package\"\nrun",
        "run",
        expect![[r#"
        assay.toml:35:1: [[step]] lacks the key `stage`
          | [[step]]
          | ^
          = write stage = "compile": the name of a `[[stage]]`"#]],
    );
    staged(
        "stage = \"compile\"\npath",
        "stage = \"comple\"\npath",
        expect![[r#"
        assay.toml:42:9: no stage is called `comple`
          | stage = "comple"
          |         ^
          = did you mean `compile`? allowed: `compile`, `check`, `package`"#]],
    );
    staged(
        "name = \"unit\"\n",
        "name = \"unit\"\nstage = \"units\"\n",
        expect![[r#"
        assay.toml:51:9: no stage is called `units`
          | stage = "units"
          |         ^
          = allowed: `compile`, `check`, `package`"#]],
    );
    check(
        &with("name = \"compile\"\n", "name = \"compile\"\nstage = \"one\"\n"),
        expect![[r#"
        assay.toml:18:9: no stage is called `one`
          | stage = "one"
          |         ^
          = write `[[stage]]` with name = "one""#]],
    );
}

#[test]
fn a_stage_has_steps_and_is_of_use() {
    staged(
        "    { stage = \"check\", path = \"report.txt\", at = \"/in/report.txt\" },\n",
        "",
        expect![[r#"
        assay.toml:14:8: nothing of stage `check` reaches an artifact
          | name = "check"
          |        ^
          = take something of it: inputs = [{ stage = "check", … }], or an `[[artifact]]`"#]],
    );
    staged(
        "stage = \"check\"\nrun",
        "stage = \"compile\"\nrun",
        expect![[r#"
        assay.toml:14:8: stage `check` has no step
          | name = "check"
          |        ^
          = write `[[step]]` with stage = "check""#]],
    );
    staged(
        "name = \"check\"\n",
        "name = \"compile\"\n",
        expect![[r#"
        assay.toml:14:8: another stage is called `compile`
          | name = "compile"
          |        ^
        assay.toml:22:15: no stage is called `check`
          |     { stage = "check", path = "report.txt", at = "/in/report.txt" },
          |               ^
          = allowed: `compile`, `compile`"#]],
    );
}

#[test]
fn an_image_takes_its_libraries_from_one_base() {
    let image =
        "[image]\nname = \"both\"\nartifacts = [\"greeter\", \"archive\"]\nentrypoint = [\"/greeter\"]\n\n[[test]]";
    staged(
        "[[test]]",
        image,
        expect![[r#"
        assay.toml:49:1: the libraries of this image would come from several bases
          | [image]
          | ^
          = take artifacts of one base, or say libraries = "none" and build them static"#]],
    );
    let text = STAGED.replacen("[[test]]", &image.replace("entrypoint", "libraries = \"none\"\nentrypoint"), 1);
    assert!(Spec::parse(FILE, text.as_bytes()).is_ok());
}
