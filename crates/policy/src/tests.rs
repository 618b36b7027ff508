//! Rules judged over real attestations, policies read and refused, and the law of missing evidence.

mod law;
mod outcomes;
mod parsing;
mod rules;
mod verdicts;
mod witnessed;

use attest::Attestation;
use attest::sample::{self, Scene, time};
use model::run::Record;
use model::verdict::Subject;
use wire::digest::Digest;
use wire::in_toto::Statement;

use crate::evidence::{Evidence, Live};
use crate::policy::Policy;

/// A statement, who signs it, and whether it is logged.
#[derive(Clone)]
struct Said {
    signer: &'static str,
    statement: Statement,
    logged: bool,
}

fn said(signer: &'static str, statement: Statement) -> Said {
    Said { signer, statement, logged: true }
}

fn unlogged(signer: &'static str, statement: Statement) -> Said {
    Said { signer, statement, logged: false }
}

/// Signs and logs in this order.
fn open(scene: &mut Scene, said: &[Said]) -> Vec<Attestation> {
    let one = |said: &Said| match said.logged {
        true => scene.logged(said.signer, &said.statement),
        false => scene.unlogged(said.signer, &said.statement),
    };
    said.iter().map(one).collect::<Result<_, _>>().expect("the samples are well formed")
}

fn scene() -> Scene {
    Scene::new("example.org/log").expect("keys can be made")
}

fn greeter() -> Subject {
    Subject { name: "greeter".to_owned(), digests: vec![sample::digest("greeter")] }
}

fn evidence(said: &[Said]) -> Evidence {
    Evidence { subject: greeter(), attestations: open(&mut scene(), said), live: None, refused: Vec::new() }
}

fn live(scene: &mut Scene, said: &[Said]) -> Live {
    let mut all = open(scene, said);
    Live { deployment: all.remove(0), tests: all }
}

fn policy(rules: &str) -> Policy {
    let text = format!("version = 1\nname = \"test\"\n{rules}");
    Policy::parse("test.toml", &text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn payload(statement: &Statement) -> Digest {
    Digest::of(&statement.to_json())
}

/// The recipe's statement, and that of a run of it with one thing changed.
fn recipe() -> Statement {
    attest::recipe(&sample::recipe())
}

fn run(change: impl FnOnce(&mut Record)) -> Statement {
    let mut record = sample::record();
    change(&mut record);
    attest::run(&record, &payload(&attest::recipe(&record.recipe)))
}

/// A second run of the sample's recipe, a minute before it.
fn earlier_run() -> Statement {
    run(|record| {
        record.id = "0".repeat(32);
        record.started = time(-60);
        record.finished = time(-52);
    })
}

fn rebuilt(change: impl FnOnce(&mut model::run::Rebuilt)) -> Statement {
    let mut rebuilt = sample::rebuilt();
    change(&mut rebuilt);
    attest::rebuilt(&rebuilt, &sample::recipe().outputs)
}

fn test(change: impl FnOnce(&mut model::test::TestRun)) -> Statement {
    let mut test = sample::test();
    change(&mut test);
    attest::test(&test)
}

/// Recipe, an earlier run, the run, comparison, tests, reference: all as they should be.
fn good() -> Vec<Said> {
    vec![
        said("builder-full", recipe()),
        said("builder-full", earlier_run()),
        said("builder-full", run(|_| ())),
        said("builder-full", rebuilt(|_| ())),
        said("tester", test(|_| ())),
        said("admin", attest::reference(&sample::reference())),
    ]
}

/// Everything that a policy can ask for, in reach of [`good`].
const EVERY_RULE: &str = r#"
[[rules]]
rule = "signed-by"
identities = ["builder-*"]

[[rules]]
rule = "logged"

[[rules]]
rule = "complete-hermetic-build"

[[rules]]
rule = "source"
repository = "https://git.example.org/*"
branches = ["main", "release/*"]

[[rules]]
rule = "no-uncommitted-changes"

[[rules]]
rule = "rebuilt"
times = 2

[[rules]]
rule = "tests-passed"
suites = ["unit"]

[[rules]]
rule = "age"
max_days = 30

[[rules]]
rule = "reference-digest"
"#;
