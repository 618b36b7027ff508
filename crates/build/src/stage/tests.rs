use model::run::Record;
use model::source::Source;
use sandbox::outcome::{Collected, CollectedKind};
use sandbox::plan::Mount;
use wire::digest::Digest;

use super::*;
use crate::lock::tests::sample;
use crate::spec::tests::GREETER;
use crate::spec::tests::stages::STAGED;
use crate::testing::{Directory, DirectoryInputs};

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn spec() -> Spec {
    Spec::parse("assay.toml", STAGED.as_bytes()).expect("it is good")
}

fn source() -> Source {
    Source { tree: digest("source"), revision: None }
}

/// A lock whose stage `package` has another base.
fn lock() -> Lock {
    let mut lock = sample();
    let mut own = sample();
    own.base.tree = digest("small base");
    own.toolchains.clear();
    own.lock_files.clear();
    own.dependencies.clear();
    lock.add_stage("package", own);
    lock
}

fn left(path: &str, tree: &str) -> StageMade {
    StageMade { plan: digest("plan"), outputs: vec![StageOutput { path: path.to_owned(), tree: digest(tree) }] }
}

fn targets(planned: &Planned) -> Vec<&str> {
    planned.plan.mounts.iter().map(Mount::target).collect()
}

#[test]
fn a_stage_sees_its_base_and_inputs_and_no_source() {
    let (spec, lock) = (spec(), lock());
    let compiled = StageMade {
        plan: digest("plan"),
        outputs: ["out", "out/greeter"].map(|path| StageOutput { path: path.to_owned(), tree: digest(path) }).to_vec(),
    };
    let made = Made::from([("compile".to_owned(), compiled), ("check".to_owned(), left("report.txt", "report"))]);
    let planned = plan(&spec, &lock, &source(), &spec.stages[2], &made).expect("all is there");
    assert_eq!(targets(&planned), ["/", "/tmp", "/home/builder", "/build", "/in/out", "/in/report.txt"]);
    assert!(matches!(&planned.plan.mounts[3], Mount::Scratch { target, .. } if target == "/build"));
    let trees = BTreeMap::from([
        ("base".to_owned(), digest("small base")),
        ("/in/out".to_owned(), digest("out")),
        ("/in/report.txt".to_owned(), digest("report")),
    ]);
    assert_eq!(planned.trees, trees, "neither source nor toolchain nor dependency");
    assert_eq!(planned.within["/in/out"], "out");
    let collected: Vec<&str> = planned.plan.collect.iter().map(|collect| collect.path.as_str()).collect();
    assert_eq!(collected, ["/build/greeter.tar"]);

    let first = plan(&spec, &lock, &source(), &spec.stages[0], &Made::new()).expect("it takes nothing");
    assert_eq!(first.trees["source"], source().tree);
    assert!(first.trees.contains_key("rust") && first.within.is_empty());
    let collected: Vec<&str> = first.plan.collect.iter().map(|collect| collect.path.as_str()).collect();
    assert_eq!(collected, ["/build/out/greeter", "/build/out"], "the artifact, and what others take");
}

#[test]
fn a_plan_names_what_it_is_given_and_not_how_it_came_to_be() {
    let (spec, lock) = (spec(), lock());
    let of = |made: &Made| plan(&spec, &lock, &source(), &spec.stages[1], made).expect("all is there").digest();
    let one = Made::from([("compile".to_owned(), left("out/greeter", "greeter"))]);
    let mut other = one.clone();
    other.get_mut("compile").expect("it is there").plan = digest("another plan");
    assert_eq!(of(&one), of(&other));
    assert_ne!(of(&one), of(&Made::from([("compile".to_owned(), left("out/greeter", "other"))])));
}

#[test]
fn what_was_not_made_is_not_given() {
    let (spec, lock) = (spec(), lock());
    for made in [Made::new(), Made::from([("compile".to_owned(), left("out/other", "x"))])] {
        let error = plan(&spec, &lock, &source(), &spec.stages[1], &made).expect_err("it is not there");
        let said = "stage `check` takes `out/greeter` of stage `compile`, which that did not leave";
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn the_whole_is_known_before_anything_runs() {
    let (spec, lock) = (spec(), lock());
    let whole_of = |spec: &Spec, lock: &Lock| whole(spec, lock, &source());
    let first = whole_of(&spec, &lock);
    assert_eq!(first, whole_of(&spec, &lock));
    let mut digests = vec![first];
    for (line, by) in [
        ("run = [\"make\"]", "run = [\"make\", \"all\"]"),
        ("run = [\"/in/greeter\"]", "run = [\"/in/greeter\", \"now\"]"),
        ("at = \"/in/out\"", "at = \"/in/other\""),
        ("name = \"check\"\n", "name = \"check\"\nsource = true\n"),
    ] {
        let text = STAGED.replacen(line, by, 1);
        digests.push(whole_of(&Spec::parse("assay.toml", text.as_bytes()).expect(by), &lock));
    }
    let mut other = lock.clone();
    other.stages[0].base.tree = digest("another base");
    digests.push(whole_of(&spec, &other));
    digests.push(whole(&spec, &lock, &Source { tree: digest("another source"), revision: None }));
    let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
    assert_eq!(distinct.len(), digests.len());

    let single = Spec::parse("assay.toml", GREETER.as_bytes()).expect("it is good");
    let planned = plan::build(&single, &sample(), &source());
    assert_eq!(whole(&single, &sample(), &source()), planned.digest(), "without stages as it ever was");
}

#[test]
fn what_a_stage_leaves_is_a_tree_that_holds_it_under_its_last_name() {
    let place = Directory::new("stage-keep");
    place.write("build/out/greeter", "program");
    place.write("build/out/lib/notes", "text");
    let one = |path: &str, kind| Collected { path: path.to_owned(), kind };
    let file =
        |text: &str, executable| CollectedKind::File { digest: digest(text), size: text.len() as u64, executable };
    let collected = [
        one("/build/out", CollectedKind::Directory),
        one("/build/out/empty", CollectedKind::Directory),
        one("/build/out/greeter", file("program", true)),
        one("/build/out/lib", CollectedKind::Directory),
        one("/build/out/lib/notes", file("text", false)),
        one("/build/out/link", CollectedKind::Link { to: "greeter".to_owned() }),
        one("/build/outer", file("other", false)),
    ];
    let (spec, inputs) = (spec(), DirectoryInputs::new(&place));
    let planned = plan(&spec, &lock(), &source(), &spec.stages[0], &Made::new()).expect("it takes nothing");
    let made = keep(&spec, &spec.stages[0], &planned, &collected, place.path(), &inputs).expect("all is there");
    assert_eq!(made.plan, planned.digest());
    let paths: Vec<&str> = made.outputs.iter().map(|output| output.path.as_str()).collect();
    assert_eq!(paths, ["out", "out/greeter"]);
    let listed = |tree: &Digest| {
        let tree = crate::inputs::manifest(&inputs, tree).expect("it is kept");
        tree.entries().map(|(path, _)| path.to_owned()).collect::<Vec<_>>()
    };
    let all = ["out", "out/empty", "out/greeter", "out/lib", "out/lib/notes", "out/link"];
    assert_eq!(listed(&made.outputs[0].tree), all);
    assert_eq!(listed(&made.outputs[1].tree), ["greeter"]);

    let error = keep(&spec, &spec.stages[1], &planned, &collected, place.path(), &inputs).expect_err("no report");
    assert_eq!(error.to_string(), "stage `check` left nothing at `report.txt`, which another stage takes");
}

#[test]
fn records_of_stages_make_one_of_the_build() {
    let (spec, lock) = (spec(), lock());
    let part = |name: &str, level: &str, reasons: &[&str]| {
        let mut record: Record = crate::record::tests::sample();
        record.level = level.to_owned();
        record.completeness.complete = reasons.is_empty();
        record.completeness.reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
        let artifact =
            |name: &str| model::recipe::Artifact { name: name.to_owned(), ..record.recipe.outputs[0].clone() };
        record.recipe.outputs = match name {
            "package" => vec![artifact("archive")],
            "compile" => vec![artifact("greeter")],
            _ => Vec::new(),
        };
        record.log = digest(name);
        Part { name: name.to_owned(), plan: digest(name), record }
    };
    let parts = vec![
        part("compile", "full", &[]),
        part("check", "no-proc", &["1 file was read"]),
        part("package", "full", &[]),
    ];
    let own = parts[0].record.clone();
    let all = join(Whole::new(&spec, &lock, &source(), Vec::new()), parts).expect("there are some");
    assert_eq!(all.level, "no-proc", "the weakest");
    assert_eq!(all.completeness.reasons, ["stage `check`: 1 file was read"]);
    assert!(!all.completeness.complete);
    assert_eq!(all.processes, 3 * own.processes);
    assert_eq!(all.duration_ms, 3 * own.duration_ms);
    let names: Vec<&str> = all.recipe.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["greeter", "archive"], "in the order of the specification");
    assert_eq!((all.recipe.plan, all.recipe.lock), (whole(&spec, &lock, &source()), lock.digest()));
    let logs: Vec<_> = all.stages.iter().map(|stage| stage.log).collect();
    assert_eq!(logs, ["compile", "check", "package"].map(digest));
    assert_eq!(join(Whole::new(&spec, &lock, &source(), Vec::new()), Vec::new()), None);
}

/// What one stage never opened and another read is read; where a stage can't tell, nobody can.
#[test]
fn components_of_stages_are_told_once() {
    let (spec, lock) = (spec(), lock());
    let mut own: Record = crate::record::tests::sample();
    let component = own.components.first().expect("something is pinned").clone();
    let rows = [
        ([Used::Never, Used::Read, Used::Unknown], Used::Read),
        ([Used::Never, Used::Described, Used::Never], Used::Described),
        ([Used::Described, Used::Unknown, Used::Never], Used::Unknown),
        ([Used::Never, Used::Never, Used::Never], Used::Never),
    ];
    for (used, expected) in rows {
        let parts = used.map(|used| {
            own.components = vec![Component { used, ..component.clone() }];
            own.verdicts.dynamic =
                vec![Attempt { what: "read /etc/hosts".to_owned(), process: 0, command: String::new(), count: 1 }];
            Part { name: "compile".to_owned(), plan: digest("compile"), record: own.clone() }
        });
        let all = join(Whole::new(&spec, &lock, &source(), Vec::new()), parts.to_vec()).expect("there are some");
        assert_eq!(all.components.iter().map(|component| component.used).collect::<Vec<_>>(), [expected]);
        assert_eq!(all.verdicts.unread.is_empty(), !matches!(expected, Used::Never | Used::Described));
        let processes: Vec<usize> = all.verdicts.dynamic.iter().map(|attempt| attempt.process).collect();
        assert_eq!(processes, [0, own.processes, 2 * own.processes], "numbered behind those of the stages before");
    }
}
