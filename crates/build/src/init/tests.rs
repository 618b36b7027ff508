use expect_test::expect;

use super::*;
use crate::spec::{EnvironmentKind, Spec};
use crate::testing::Directory;

const LOCK: &str = "version = 4\n";

fn project(name: &str, files: &[(&str, &str)]) -> Directory {
    let directory = Directory::new(name);
    for (path, content) in files {
        directory.write(path, content);
    }
    directory
}

/// Proposes, reads the proposal back, and checks it: what is proposed must be right.
fn proposed(directory: &Directory) -> (Proposal, Spec) {
    let proposal = propose(directory.path(), "ada").expect("it is a project");
    let spec = Spec::parse("assay.toml", proposal.text.as_bytes());
    let spec = spec.unwrap_or_else(|problems| panic!("{}\n{problems:#?}", proposal.text));
    directory.write("assay.toml", &proposal.text);
    let names = spec.base.lock_files.clone().unwrap_or_default();
    let files = crate::check::Files::read(directory.path(), &names).expect("all is readable");
    assert_eq!(crate::check::check(&files), [], "{}", proposal.text);
    (proposal, spec)
}

#[test]
fn a_service() {
    let main = "use axum::Router;\n#[tokio::main]\nasync fn main() {\n    let app = Router::new().route(\"/\", x).route(\"/health\", y);\n\
                    let l = TcpListener::bind(\"127.0.0.1:3000\");\n}\n#[test]\nfn works() {}\n";
    let directory = project(
        "init-service",
        &[
            (
                "Cargo.toml",
                "[package]\nname = \"greeter\"\nversion = \"0.1.0\"\nauthors = [\"Ada <ada@example.org>\"]\n[dependencies]\naxum = \"0.8\"\n",
            ),
            ("Cargo.lock", LOCK),
            ("src/main.rs", main),
        ],
    );
    let (proposal, _) = proposed(&directory);
    expect![[r##"
        # How this project is built, tested and deployed. `assay lock` pins everything that is named here.
        version = 1

        [project]
        name = "greeter"
        # Who answers for it.
        owners = ["Ada <ada@example.org>"]

        # The build sees these Debian packages (with what they depend on), the toolchain, and nothing else of
        # this machine. Versions are pinned by the lock.
        [base]
        packages = ["coreutils", "dash", "gcc", "libc6-dev"]
        toolchains = ["rust"]

        [build]
        # T0: one fixed path, constructed variables, fixed source times. T1 and T2 hide more of the machine.
        tier = "T0"
        # The number of CPUs can change a build's bytes, so it is part of the lock.
        cpus = 2

        # Steps run in order, in /build, without a network and without a shell. `--locked`: Cargo.lock decides.
        [[step]]
        name = "compile"
        run = ["cargo", "build", "--release", "--locked"]

        # What the steps leave: each is digested, signed for, and can be deployed.
        [[artifact]]
        name = "greeter"
        path = "target/release/greeter"

        # An OCI image of the artifacts, each at /NAME. "closure" packs the libraries that they need; "none" is for
        # static programs.
        [image]
        name = "greeter-image"
        artifacts = ["greeter"]
        entrypoint = ["/greeter"]
        libraries = "closure"
        ports = [3000]

        # Tests run in the same sandbox, as often as said; a case whose outcome differs counts as failed.
        [[test]]
        name = "unit"
        run = ["cargo", "test", "--release", "--locked"]
        repetitions = 2
        format = "cargo"

        # Where it is deployed, and the policy that must let it.
        [environment.production]
        policy = "policies/production.toml"
        # It depends on axum, so it is taken for a service. Check the port and the path of the health check.
        kind = "service"
        run = ["greeter"]
        health = "http://127.0.0.1:3000/health"
        stop = "SIGTERM"
    "##]]
    .assert_eq(&proposal.text);
    expect![[r#"
        builds greeter
        taken for a service, since it depends on axum: port 3000, health check /health"#]]
    .assert_eq(&proposal.notes.join("\n"));
}

#[test]
fn a_workspace_of_tools() {
    let directory = project(
        "init-workspace",
        &[
            ("Cargo.toml", "[workspace]\nmembers = [\"crates/*\", \"absent\"]\nexclude = [\"crates/old\"]\n"),
            ("Cargo.lock", LOCK),
            ("crates/core/Cargo.toml", "[package]\nname = \"core-of-it\"\nversion = \"0.1.0\"\n"),
            ("crates/core/src/lib.rs", ""),
            ("crates/old/Cargo.toml", "[package]\nname = \"old\"\nversion = \"0.1.0\"\n"),
            ("crates/old/src/main.rs", ""),
            (
                "crates/tool/Cargo.toml",
                "[package]\nname = \"Tool\"\nversion = \"0.1.0\"\n[[bin]]\nname = \"extra\"\npath = \"x.rs\"\nrequired-features = [\"y\"]\n",
            ),
            ("crates/tool/src/main.rs", ""),
            ("crates/tool/src/bin/one.rs", ""),
            ("crates/tool/src/bin/two/main.rs", ""),
        ],
    );
    let (proposal, spec) = proposed(&directory);
    assert_eq!(proposal.binaries, ["Tool", "one", "two"]);
    assert_eq!(spec.steps[0].run, ["cargo", "build", "--release", "--locked", "-p", "Tool"]);
    let artifacts: Vec<String> = spec.artifacts.iter().map(|a| format!("{} {}", a.name, a.path)).collect();
    assert_eq!(artifacts, ["one target/release/one", "tool target/release/Tool", "two target/release/two"]);
    assert!(matches!(spec.environments["production"].kind, EnvironmentKind::Release { .. }));
    assert!(spec.tests.is_empty() && proposal.text.contains("# [[test]]"));
    assert!(!proposal.service);
}

#[test]
fn system_libraries_follow_from_the_lock_file() {
    let package = |name: &str, dependencies: &[&str]| {
        let list: Vec<String> = dependencies.iter().map(|name| format!("\"{name}\"")).collect();
        format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\ndependencies = [{}]\n", list.join(", "))
    };
    let cases = [
        (vec![package("openssl-sys", &["cc"])], "coreutils dash gcc libc6-dev libssl-dev pkg-config"),
        (
            vec![package("openssl-sys", &["openssl-src"]), package("openssl-src", &["cc"])],
            "coreutils dash gcc libc6-dev make perl",
        ),
        (vec![package("libsqlite3-sys", &["cc 1.0.0", "pkg-config"])], "coreutils dash gcc libc6-dev"),
        (vec![package("libsqlite3-sys", &["pkg-config"])], "coreutils dash gcc libc6-dev libsqlite3-dev pkg-config"),
        (vec![package("aws-lc-sys", &["cmake"]), package("cmake", &["cc"])], "coreutils dash gcc libc6-dev"),
        (
            vec![package("libz-ng-sys", &["cmake"]), package("cmake", &["cc"])],
            "cmake coreutils dash g++ gcc libc6-dev make",
        ),
    ];
    for (packages, expected) in cases {
        let lock = format!("{LOCK}{}", packages.concat());
        assert_eq!(system::packages(&system::read(lock.as_bytes())).0.join(" "), expected);
    }
}

#[test]
fn a_configured_target_moves_the_output() {
    let directory = project(
        "init-target",
        &[
            (
                "Cargo.toml",
                "[package]\nname = \"x\"\nversion = \"0.1.0\"\nautobins = false\n[[bin]]\nname = \"y\"\npath = \"src/main.rs\"\n",
            ),
            ("Cargo.lock", LOCK),
            ("src/main.rs", ""),
            (".cargo/config.toml", "[build]\ntarget = \"x86_64-unknown-linux-musl\"\n"),
        ],
    );
    let (_, spec) = proposed(&directory);
    assert_eq!(spec.artifacts[0].path, "target/x86_64-unknown-linux-musl/release/y");
    assert_eq!(spec.base.targets, ["x86_64-unknown-linux-musl"]);
}

#[test]
fn names_become_ones_that_are_allowed() {
    for (name, expected) in [("Über Tool", "-ber-tool"), ("a/b", "a-b"), ("___", "project"), ("x", "x")] {
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\n");
        let directory = project("init-name", &[("Cargo.toml", &manifest), ("Cargo.lock", LOCK)]);
        let (root, members) = manifest::read_all(directory.path()).expect("it is a manifest");
        assert_eq!(project_name(directory.path(), &root, &members), expected.trim_start_matches('-'));
    }
}

#[test]
fn what_cannot_be_proposed_for_is_named() {
    let manifest = ("Cargo.toml", "[package]\nname = \"x\"\nversion = \"0.1.0\"\n");
    let lib = ("src/lib.rs", "");
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("README", "")], "holds no project that is known: looked for Cargo.toml"),
        (&[manifest, lib], "Cargo.lock` is missing; run `cargo generate-lockfile`"),
        (&[manifest, lib, ("Cargo.lock", LOCK)], "`x` is a library"),
        (&[("Cargo.toml", "[package\n"), ("Cargo.lock", LOCK)], "Cargo.toml:1:9: "),
    ];
    for (files, message) in cases {
        let directory = project("init-refused", files);
        let error = propose(directory.path(), "ada").expect_err(message).to_string();
        assert!(error.contains(message), "{error}");
    }
    let directory = project(
        "init-member",
        &[manifest, ("Cargo.lock", LOCK), ("crates/y/Cargo.toml", manifest.1), ("crates/y/src/main.rs", "")],
    );
    let error = propose(&directory.path().join("crates/y"), "ada").expect_err("a member").to_string();
    assert!(error.contains("is a member of the workspace in"), "{error}");
}

#[test]
fn ports_and_health_checks_are_guessed_from_texts() {
    assert_eq!(port("bind(\"0.0.0.0:8000\")"), Some(8000));
    assert_eq!(port("bind(\"127.0.0.1:0\") // \"127.0.0.1:99999\""), None);
    assert_eq!(health(r#".route("/status", a).route("/api/healthz", b)"#), Some("/api/healthz".to_owned()));
    assert_eq!(health(r#".route("/users", a) "health" "/a b/health""#), None);
}

#[test]
fn c_projects_are_known_by_their_build_files() {
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 9] = [
        (
            "lz4's Makefile, whose targets are no files",
            &[(
                "Makefile",
                "default: lib-release lz4\n.PHONY: all\nall: allmost examples\n.PHONY: allmost lib-release\n.PHONY: default\nlib-release:\n\tx\ninstall uninstall:\n",
            )],
            "make; sh -c make install DESTDIR=\"$PWD/installed\" && PACK | PROJECT.tar PROJECT.tar | -",
        ),
        (
            "Makefile",
            &[("Makefile", "CFLAGS = -O2\n\nall: tally\n\ntally: tally.c\n\tcc -o tally tally.c\ncheck: all\n")],
            "make | tally tally | make check",
        ),
        ("first target", &[("makefile", "X := 1\nfoo: foo.o\n")], "make | foo foo | -"),
        ("nothing known", &[("GNUmakefile", "include x.mk\n")], "make | PROJECT PROJECT | -"),
        (
            "CMake",
            &[("CMakeLists.txt", "project(x C)\nenable_testing()\nadd_executable(Tool main.c)\n"), ("Makefile", "")],
            "cmake -S . -B out -DCMAKE_BUILD_TYPE=Release; cmake --build out | tool out/Tool | sh -c cmake -S . -B out \
             -DCMAKE_BUILD_TYPE=Release && cmake --build out && ctest --test-dir out",
        ),
        (
            "CMake whose program has a variable as its name",
            &[("CMakeLists.txt", "project(x C)\nadd_executable(${NAME} main.c)\n")],
            "cmake -S . -B out -DCMAKE_BUILD_TYPE=Release; cmake --build out; sh -c cmake --install out --prefix \
             installed/usr && PACK | PROJECT.tar PROJECT.tar | -",
        ),
        (
            "configure that names no program",
            &[("configure", "")],
            "./configure; make; sh -c make install DESTDIR=\"$PWD/installed\" && PACK | PROJECT.tar PROJECT.tar | sh -c \
             ./configure && make check",
        ),
        (
            "configure",
            &[("configure", ""), ("configure.ac", ""), ("src/Makefile.am", "bin_PROGRAMS = hello\n")],
            "./configure; make | hello src/hello | sh -c ./configure && make check",
        ),
        (
            "autoconf",
            &[("configure.ac", ""), ("Makefile.am", "bin_PROGRAMS = hello\n")],
            "autoreconf --install; ./configure; make | hello hello | sh -c autoreconf --install && ./configure && make check",
        ),
    ];
    for (name, files, expected) in cases {
        let directory = project("init-native", files);
        let (proposal, spec) = proposed(&directory);
        let steps: Vec<String> = spec.steps.iter().map(|step| step.run.join(" ")).collect();
        let artifact = &spec.artifacts[0];
        let test = spec.tests.first().map_or("-".to_owned(), |test| test.run.join(" "));
        let found = format!("{} | {} {} | {test}", steps.join("; "), artifact.name, artifact.path);
        let pack = "tar --sort=name --mtime=@$SOURCE_DATE_EPOCH --owner=0 --group=0 --numeric-owner -cf PROJECT.tar -C \
                    installed .";
        let expected = expected.replace("PACK", pack).replace("PROJECT", &proposal.project);
        assert_eq!(found, expected, "{name}");
        assert!(!spec.base.root.packages().iter().any(|one| one.name == "g++") || name.starts_with("CMake"), "{name}");
        // What recipes call, bzip2's `cmp` among it, Debian takes for granted, and a base does not.
        for package in ["make", "diffutils", "grep", "sed"] {
            assert!(spec.base.root.packages().iter().any(|one| one.name == package), "{name}: {package}");
        }
    }
}

#[test]
fn sources_in_cxx_bring_their_compiler() {
    let files = [("Makefile", "sundial: src/a.cc\n"), ("src/a.cc", "")];
    let (_, spec) = proposed(&project("init-cxx", &files));
    assert!(spec.base.root.packages().iter().any(|one| one.name == "g++"));
}

#[test]
fn node_projects_are_packed_or_shipped_whole() {
    let lock = ("package-lock.json", "{\"lockfileVersion\": 3, \"packages\": {}}");
    let package = r#"{"name":"@Ada/pages","version":"1.2.0","scripts":{"build":"node b.js","test":"node --test"}}"#;
    let (_, spec) = proposed(&project("init-node", &[("package.json", package), lock]));
    let steps: Vec<String> = spec.steps.iter().map(|step| step.run.join(" ")).collect();
    assert_eq!(steps, ["npm ci", "npm run build", "npm pack --ignore-scripts"]);
    assert_eq!(spec.build.tier.name(), "T1", "node's questions about the machine have fixed answers");
    assert_eq!((spec.project.name.as_str(), spec.artifacts[0].path.as_str()), ("ada-pages", "Ada-pages-1.2.0.tgz"));
    assert_eq!(spec.tests[0].run, ["sh", "-c", "npm ci && npm test"]);
    let package = r#"{"scripts":{"start":"node .","test":"echo \"Error: no test specified\" && exit 1"}}"#;
    let (_, spec) = proposed(&project("init-node", &[("package.json", package), lock]));
    assert!(spec.steps[1].run[2].contains("tar --sort=name") && spec.tests.is_empty());
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[("package.json", package)], "package-lock.json` is missing; run `npm install --package-lock-only`"),
        (&[("package.json", package), ("bun.lock", "")], "is missing, and `bun.lock` is not read; run"),
        (
            &[("package.json", package), ("yarn.lock", "")],
            "does not say which package manager installs it; run `corepack use yarn@1`",
        ),
        (
            &[("package.json", package), ("pnpm-lock.yaml", "")],
            "run `corepack use pnpm@10`, which writes `packageManager`",
        ),
        (&[("package.json", "{\n]"), lock], "package.json:2:1: "),
    ];
    for (files, message) in cases {
        let error = propose(project("init-node", files).path(), "ada").expect_err(message).to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn node_projects_are_installed_by_the_manager_of_their_lock_file() {
    let berry = "__metadata:\n  version: 8\n";
    let path = "yarnPath: .yarn/releases/yarn-4.9.2.cjs\n";
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: [Case<'_>; 4] = [
        (
            "pnpm@9.15.9",
            &[("pnpm-lock.yaml", "lockfileVersion: '9.0'\n")],
            "pnpm install --frozen-lockfile",
            "pnpm test",
        ),
        (
            "yarn@1.22.22",
            &[("yarn.lock", "")],
            "yarn install --offline --frozen-lockfile --non-interactive",
            "yarn test",
        ),
        ("yarn@4.9.2", &[("yarn.lock", berry)], "yarn install --immutable", "yarn test"),
        (
            "",
            &[("yarn.lock", berry), (".yarnrc.yml", path)],
            "node .yarn/releases/yarn-4.9.2.cjs install --immutable",
            "node .yarn/releases/yarn-4.9.2.cjs test",
        ),
    ];
    for (manager, files, install, test) in cases {
        let package = format!(r#"{{"packageManager": "{manager}", "scripts": {{"test": "node --test"}}}}"#);
        let all = [files, &[("package.json", package.as_str())]].concat();
        let (_, spec) = proposed(&project("init-managers", &all));
        assert_eq!(spec.steps[0].run.join(" "), install);
        assert_eq!(spec.tests[0].run[2], format!("{install} && {test}"));
        assert_eq!(spec.base.lock_files, Some(vec![files[0].0.to_owned()]));
    }
}

#[test]
fn maven_projects_are_recorded() {
    let pom = "<project><artifactId>Sundial</artifactId><version>1.0</version><packaging>war</packaging></project>";
    let (proposal, spec) = proposed(&project("init-maven", &[("pom.xml", pom), ("settings.xml", "<settings/>")]));
    assert_eq!(spec.steps[0].run[..5], ["mvn", "-B", "-ntp", "-s", "settings.xml"]);
    assert!(spec.steps[0].run[5].starts_with("-Dproject.build.outputTimestamp="));
    assert_eq!(
        (spec.artifacts[0].path.as_str(), spec.tests[0].run.last()),
        ("target/Sundial-1.0.war", Some(&"test".to_owned()))
    );
    assert!(proposal.text.contains("# assay lock --record -- mvn -B -ntp -s settings.xml "), "{}", proposal.text);
    let error =
        propose(project("init-maven", &[("pom.xml", "<project/>")]).path(), "ada").expect_err("it names nothing");
    assert!(error.to_string().starts_with("pom.xml:1:1: `artifactId` is missing"), "{error}");
}

#[test]
fn python_projects_are_wheels_or_archives() {
    let pyproject = "[project]\nname = \"My.Tool\"\nversion = \"1.2\"\ndependencies = [\"click\"]\n[build-system]\n\
                     requires = [\"setuptools\"]\nbuild-backend = \"setuptools.build_meta\"\n";
    let requirements = format!("pytest==8.0.0 --hash=sha256:{}\n", "a".repeat(64));
    let files = [("pyproject.toml", pyproject), ("requirements.txt", requirements.as_str())];
    let (_, spec) = proposed(&project("init-python", &files));
    assert_eq!(spec.base.lock_files, Some(vec!["requirements.txt".to_owned()]));
    assert_eq!(spec.artifacts[0].path, "dist/my_tool-1.2-py3-none-any.whl");
    assert!(spec.steps[0].run.contains(&"--no-build-isolation".to_owned()));
    assert!(spec.tests[0].run[2].ends_with("-m pytest"), "{:?}", spec.tests[0].run);
    let uv = [("pyproject.toml", pyproject), ("uv.lock", "version = 1\n"), ("tests/test_a.py", "")];
    let (_, spec) = proposed(&project("init-python", &uv));
    assert!(spec.tests[0].run[2].contains("-r /dependencies/python/locked/uv.lock.txt"));
    let (_, spec) = proposed(&project("init-python", &files[1..]));
    assert_eq!(spec.steps.len(), 2);
    let alone = pyproject.replace("dependencies = [\"click\"]\n", "");
    let (_, spec) = proposed(&project("init-python", &[("pyproject.toml", &alone)]));
    assert_eq!(spec.base.lock_files, None);
    let error = propose(project("init-python", &files[..1]).path(), "ada").expect_err("no lock file").to_string();
    assert!(error.contains("uv pip compile --generate-hashes"), "{error}");
}

/// six names its version in `setup.py` alone, and simplejson's wheel has the tags of a machine: the path of the artifact
/// was a guess that no build met.
#[test]
fn wheels_whose_names_are_known_late_get_a_name() {
    let setup = ("setup.py", "from setuptools import setup\nsetup(name='six')\n");
    let compiled = ("setup.py", "setup(ext_modules=[Extension('a', ['a.c'])])\n");
    let pyproject = "[project]\nname = \"sundial\"\nversion = \"1.2\"\n";
    let cases: [(&[(&str, &str)], bool); 4] = [
        (&[setup], false),
        (&[compiled], true),
        (&[("pyproject.toml", pyproject), ("src/sundial/hour.pyx", "")], true),
        (&[("pyproject.toml", "[project]\nname = \"sundial\"\ndynamic = [\"version\"]\n")], false),
    ];
    for (files, is_compiled) in cases {
        let (proposal, spec) = proposed(&project("init-wheel", files));
        let name = format!("{}.whl", proposal.project);
        assert_eq!(spec.steps[1].run, ["sh", "-c", &format!("mv dist/*.whl dist/{name}")]);
        assert_eq!((&spec.artifacts[0].name, &spec.artifacts[0].path), (&name, &format!("dist/{name}")));
        assert_eq!(spec.base.root.packages().iter().any(|one| one.name == "python3-dev"), is_compiled, "{files:?}");
    }
    let (_, spec) = proposed(&project("init-wheel", &[("pyproject.toml", pyproject)]));
    assert_eq!((spec.steps.len(), spec.artifacts[0].path.as_str()), (1, "dist/sundial-1.2-py3-none-any.whl"));
}

#[test]
fn build_backends_come_from_a_lock_file_or_from_debian() {
    let locked = format!("flit-core==3.9.0 --hash=sha256:{}\n", "a".repeat(64));
    let none = String::new();
    let cases = [
        ("flit_core.buildapi", &locked, "", "comes from the lock file"),
        ("flit_core.buildapi", &none, "flit", "is Debian's flit-core"),
        ("hatchling.build", &locked, "python3-hatchling", "is Debian's hatchling"),
        ("poetry.core.masonry.api", &none, "python3-poetry-core", "is Debian's poetry-core"),
        ("mesonpy", &locked, "", "must be in a lock file"),
    ];
    for (backend, requirements, package, says) in cases {
        let pyproject =
            format!("[project]\nname = \"x\"\nversion = \"1\"\n[build-system]\nbuild-backend = \"{backend}\"\n");
        let files = [("pyproject.toml", pyproject.as_str()), ("requirements.txt", requirements)];
        let (proposal, spec) = proposed(&project("init-backend", &files[..1 + usize::from(!requirements.is_empty())]));
        let is_debian = !package.is_empty();
        assert!(proposal.text.contains(says), "{backend}: {}", proposal.text);
        assert_eq!(spec.steps[0].run.contains(&"--no-build-isolation".to_owned()), is_debian, "{backend}");
        assert!(!is_debian || spec.base.root.packages().iter().any(|one| one.name == package), "{backend}");
    }
}

#[test]
fn go_projects_are_their_programs() {
    let go_mod = ("go.mod", "module example.org/ferry/v2\n\ngo 1.19\n");
    let main = "// Command.\npackage main\n";
    let (_, spec) = proposed(&project(
        "init-go",
        &[go_mod, ("main.go", main), ("cmd/Dock/main.go", main), ("cmd/lib/a.go", "package lib\n")],
    ));
    let artifacts: Vec<&str> = spec.artifacts.iter().map(|artifact| artifact.path.as_str()).collect();
    assert_eq!((spec.project.name.as_str(), artifacts), ("ferry", vec!["out/ferry", "out/Dock"]));
    assert_eq!(spec.steps[1].run, ["go", "build", "-o", "out/Dock", "./cmd/Dock"]);
    assert_eq!((spec.build.variables["CGO_ENABLED"].as_str(), spec.base.lock_files), ("0", None));
    let requires = ("go.mod", "module x.example/a\n\ngo 1.19\n\nrequire x.example/b v1.0.0\n");
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[requires, ("main.go", main)], "go.sum` is missing; run `go mod tidy` and commit it"),
        (&[go_mod, ("a.go", "package a\n")], "`example.org/ferry/v2` is a library"),
        (&[("go.mod", "modul x\n")], "go.mod:1:1: "),
    ];
    for (files, message) in cases {
        let error = propose(project("init-go", files).path(), "ada").expect_err(message).to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_dockerfile_is_the_build_where_nothing_is_known_better() {
    let dockerfile = ("Dockerfile", "FROM debian:12\nRUN curl -O https://example.org/x\n");
    let (proposal, spec) = proposed(&project("init-dockerfile", &[dockerfile, ("run.sh", "")]));
    assert_eq!(spec.build.dockerfile.map(|found| found.path), Some("Dockerfile".to_owned()));
    assert_eq!(spec.image.map(|image| image.name), Some(proposal.project.clone()));
    let notes = proposal.notes.join("\n");
    assert!(notes.contains("Dockerfile:1: image `debian:12`") && notes.contains("Dockerfile:2: "), "{notes}");
    let go_mod = ("go.mod", "module example.org/ferry\n\ngo 1.19\n");
    let (_, spec) = proposed(&project("init-dockerfile", &[dockerfile, go_mod, ("main.go", "package main\n")]));
    assert_eq!(spec.build.dockerfile, None, "the project itself is better known");
}
