//! One small service carried through the chain: fixed values, for the samples of `docs/formats/` and for tests.
//!
//! Everything is derived from fixed texts, so the statements made of them are the same bytes for ever.

mod scene;

use std::collections::BTreeMap;

use model::deployment::{Deployment, Observation, RunbookStep};
use model::recipe::{Artifact, ArtifactKind, Input, InputKind, Recipe, RecipeStep, Settings};
use model::run::{Attempt, Clock, Completeness, Component, Drawn, Machine, Rebuilt, Record, Used, Verdicts};
use model::source::{Revision, Source};
use model::test::TestRun;
use model::verdict::{BuildLevel, Fresh, Outcome, PolicyName, RuleResult, Subject, Verdict};
use wire::digest::Digest;
use wire::in_toto::Statement;
use wire::timestamp::Timestamp;

use crate::predicate::Predicate;
use crate::predicate::grant::{Action, Grant};
use crate::predicate::policy::PolicyText;
use crate::predicate::publication::Publication;
use crate::predicate::reference::Reference;
use crate::predicate::revocation::Revocation;
use crate::predicate::tag::{Change, Tag};

pub use scene::Scene;

/// The commit that the sample is built from.
pub const COMMIT: &str = "4c1f0a9be2d7738c5d1e0b6f9a3c2d4e5f607182";

/// The repository that it stands in.
pub const REPOSITORY: &str = "https://git.example.org/greeter";

/// A digest that stands for the bytes of something.
pub fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// The sample's clock: so many seconds after its build began.
pub fn time(seconds: i64) -> Timestamp {
    Timestamp::from_unix_s(1_795_376_460).expect("in range").plus_s(seconds)
}

/// Where the source came from: a clean work tree at [`COMMIT`] on `main`.
pub fn source() -> Source {
    Source {
        tree: digest("source tree"),
        revision: Some(Revision {
            commit: COMMIT.to_owned(),
            commit_time_unix_s: 1_795_370_000,
            author: "Ada <ada@example.org>".to_owned(),
            committer: "Ada <ada@example.org>".to_owned(),
            summary: "Greet by name".to_owned(),
            branch: Some("main".to_owned()),
            repository: REPOSITORY.to_owned(),
            dirty: Vec::new(),
            origin: "local-git".to_owned(),
        }),
    }
}

/// A recipe of two outputs: a program and an image of it.
pub fn recipe() -> Recipe {
    let input = |kind, name: &str, version: &str, purl: &str| Input {
        kind,
        name: name.to_owned(),
        version: version.to_owned(),
        digest: digest(purl),
        purl: purl.to_owned(),
    };
    Recipe {
        project: "greeter".to_owned(),
        source: source().tree,
        commit: Some(COMMIT.to_owned()),
        spec: digest("assay.toml"),
        lock: digest("assay.lock"),
        plan: digest("plan"),
        stages: Vec::new(),
        steps: vec![RecipeStep {
            name: "compile".to_owned(),
            argv: ["cargo", "build", "--release", "--frozen"].map(str::to_owned).to_vec(),
            cwd: "/build".to_owned(),
            variables: BTreeMap::from([("CARGO_TERM_COLOR".to_owned(), "never".to_owned())]),
        }],
        inputs: vec![
            input(InputKind::Package, "libc6-dev", "2.41-12", "pkg:deb/debian/libc6-dev@2.41-12?arch=amd64"),
            input(InputKind::Base, "base", "", "pkg:generic/base"),
            input(InputKind::Toolchain, "rust", "1.94.0", "pkg:generic/rust@1.94.0"),
            input(InputKind::Dependency, "serde", "1.0.229", "pkg:cargo/serde@1.0.229"),
        ],
        normalise: Vec::new(),
        settings: Settings { tier: "T0".to_owned(), cpus: 2, epoch_unix_s: 1_795_370_000, output_format: 1 },
        outputs: vec![
            Artifact {
                name: "greeter".to_owned(),
                path: "target/release/greeter".to_owned(),
                kind: ArtifactKind::File,
                digest: digest("greeter"),
                size: 2_411_008,
            },
            Artifact {
                name: "greeter-image".to_owned(),
                path: "greeter-image".to_owned(),
                kind: ArtifactKind::Image { config: digest("image config"), diff_ids: vec![digest("image layer")] },
                digest: digest("image manifest"),
                size: 527,
            },
        ],
    }
}

/// A complete run of [`recipe`] at level `full`.
pub fn record() -> Record {
    let text = |text: &str| text.to_owned();
    Record {
        recipe: recipe(),
        source: source(),
        id: text("5e1f0c7a9b2d4e6f8091a2b3c4d5e6f7"),
        started: time(0),
        finished: time(8),
        duration_ms: 8_125,
        invoker: text("ada@workbench"),
        machine: Machine {
            architecture: text("x86_64"),
            kernel: text("6.18.44"),
            cpu: text("Example CPU 3000"),
            machine: digest("machine").hex(),
        },
        level: text("full"),
        completeness: Completeness { complete: true, reasons: Vec::new(), lost: 0 },
        undeclared: Vec::new(),
        denied: Vec::new(),
        verdicts: verdicts(),
        components: components(),
        processes: 41,
        trace: digest("trace"),
        log: digest("log"),
        stages: Vec::new(),
    }
}

fn verdicts() -> Verdicts {
    let text = |text: &str| text.to_owned();
    let attempt =
        |what: &str, process, command: &str| Attempt { what: text(what), process, command: text(command), count: 1 };
    let drawn = |program: &str, source: &str, process, count| Drawn {
        program: text(program),
        source: text(source),
        seeded: false,
        process,
        count,
    };
    Verdicts {
        unread: vec![text("pkg:deb/debian/libc6-dev@2.41-12?arch=amd64")],
        dynamic: vec![attempt("looked for /etc/resolv.conf", 12, "git describe --always")],
        random: vec![
            drawn("/toolchain/rust/bin/cargo", "getrandom", 0, 3),
            drawn("/toolchain/rust/bin/rustc", "getrandom", 1, 38),
        ],
        clock: vec![Clock { step: text("compile"), tier: text("T0"), fixed: false }],
        clock_files: vec![attempt("read /etc/localtime", 12, "git describe --always")],
        outside: vec![attempt("write /build/Cargo.lock", 0, "cargo build --release")],
    }
}

/// What the lock of [`recipe`] pins: one package read, one not.
fn components() -> Vec<Component> {
    let used = |kind| match kind {
        InputKind::Package => Used::Never,
        InputKind::Base | InputKind::Toolchain | InputKind::Dependency => Used::Read,
    };
    let component = |input: Input| Component {
        kind: input.kind,
        name: input.name,
        version: input.version,
        purl: input.purl,
        digest: input.digest,
        is_file: input.kind == InputKind::Dependency,
        ecosystem: (input.kind == InputKind::Dependency).then(|| "cargo".to_owned()),
        used: used(input.kind),
    };
    recipe().inputs.into_iter().filter(|input| input.kind != InputKind::Base).map(component).collect()
}

/// Digest of the payload of [`recipe`]'s statement.
pub fn recipe_payload() -> Digest {
    Digest::of(&crate::recipe(&recipe()).to_json())
}

/// Digest of the payload of [`record`]'s statement.
pub fn run_payload() -> Digest {
    Digest::of(&crate::run(&record(), &recipe_payload()).to_json())
}

/// Two equal runs.
pub fn rebuilt() -> Rebuilt {
    let runs = vec![run_payload(), digest("second run")];
    Rebuilt { recipe: recipe_payload(), runs, equal: true, differences: Vec::new() }
}

/// Two cases that passed.
pub fn test() -> TestRun {
    TestRun {
        subjects: vec![("greeter".to_owned(), digest("greeter"))],
        suite: "unit".to_owned(),
        configuration: digest("plan"),
        passed: vec!["greets".to_owned(), "parses".to_owned()],
        failed: Vec::new(),
        unstable: Vec::new(),
        finished: time(20),
    }
}

/// A published checksum.
pub fn reference() -> Reference {
    Reference {
        artifact: "greeter".to_owned(),
        digest: digest("greeter"),
        commit: Some(COMMIT.to_owned()),
        origin: "https://example.org/greeter/SHA256SUMS".to_owned(),
        actor: "ada".to_owned(),
        at: time(30),
    }
}

/// The text of a policy.
pub fn policy() -> PolicyText {
    PolicyText {
        name: "production".to_owned(),
        source: "version = 1\nname = \"production\"\n\n[[rules]]\nrule = \"logged\"\n".to_owned(),
        actor: "ada".to_owned(),
        at: time(40),
    }
}

/// A verdict that lets the program pass.
pub fn verdict() -> Verdict {
    Verdict {
        result: Outcome::Pass,
        rules: vec![RuleResult {
            name: "logged".to_owned(),
            result: Outcome::Pass,
            found: "both statements stand in log example.org/log, at 0 and 2".to_owned(),
            evidence: {
                let mut evidence = vec![recipe_payload(), run_payload()];
                evidence.sort();
                evidence
            },
            fix: None,
            fresh: Fresh::Timeless,
        }],
        policy: PolicyName { name: policy().name.clone(), digest: policy().digest() },
        subject: Subject { name: "greeter".to_owned(), digests: vec![digest("greeter")] },
        environment: Some("production".to_owned()),
        level: BuildLevel::One,
        at: time(50),
    }
}

/// A deployment that went well.
pub fn deployment() -> Deployment {
    let step = |name: &str, detail: &str, seconds| RunbookStep {
        name: name.to_owned(),
        result: "done".to_owned(),
        detail: detail.to_owned(),
        finished: time(seconds),
    };
    Deployment {
        environment: "production".to_owned(),
        service: "greeter".to_owned(),
        artifact: ("greeter".to_owned(), digest("greeter")),
        previous: Some(digest("previous greeter")),
        verdict: Digest::of(&crate::verdict(&verdict()).to_json()),
        action: "deploy".to_owned(),
        steps: vec![step("unpack", "1 file", 61), step("restart", "pid 4711", 62), step("health", "200 OK", 63)],
        live: true,
        actor: "ada@workbench".to_owned(),
        started: time(60),
        finished: time(63),
    }
}

/// What runs is what was deployed.
pub fn observation() -> Observation {
    Observation {
        environment: "production".to_owned(),
        service: "greeter".to_owned(),
        expected: digest("greeter"),
        observed: Some(digest("greeter")),
        process: Some((4711, "/srv/greeter/versions/1/greeter".to_owned())),
        at: time(90),
    }
}

/// The image was pushed.
pub fn publication() -> Publication {
    Publication {
        repository: "greeter".to_owned(),
        manifest: digest("image manifest"),
        from: Some("example.org/log".to_owned()),
        actor: "ada".to_owned(),
        at: time(45),
    }
}

/// A tag was moved.
pub fn tag() -> Tag {
    Tag {
        repository: "greeter".to_owned(),
        tag: "main".to_owned(),
        change: Change::Moved { from: digest("previous image manifest"), to: digest("image manifest") },
        actor: "ada".to_owned(),
        at: time(46),
    }
}

/// A token may publish.
pub fn grant() -> Grant {
    Grant {
        token: digest("token"),
        name: "ci".to_owned(),
        role: "publisher".to_owned(),
        repositories: vec!["greeter".to_owned(), "team/*".to_owned()],
        action: Action::Grant,
        actor: "admin".to_owned(),
        at: time(5),
    }
}

/// Somebody has left.
pub fn revocation() -> Revocation {
    Revocation {
        issuer: "https://accounts.example.org".to_owned(),
        subject: Some("jane@example.org".to_owned()),
        at: time(50),
        reason: "left".to_owned(),
        actor: "admin".to_owned(),
    }
}

/// The sample's statement of each kind.
pub fn statement(predicate: Predicate) -> Statement {
    match predicate {
        Predicate::Recipe => crate::recipe(&recipe()),
        Predicate::Run => crate::run(&record(), &recipe_payload()),
        Predicate::Rebuilt => crate::rebuilt(&rebuilt(), &recipe().outputs),
        Predicate::Test => crate::test(&test()),
        Predicate::Reference => crate::reference(&reference()),
        Predicate::Verdict => crate::verdict(&verdict()),
        Predicate::Deployment => crate::deployment(&deployment()),
        Predicate::Observation => crate::observation(&observation()),
        Predicate::Publication => crate::publication(&publication()),
        Predicate::Tag => crate::tag(&tag()),
        Predicate::Grant => crate::grant(&grant()),
        Predicate::Policy => crate::policy(&policy()),
        Predicate::Revocation => crate::revocation(&revocation()),
        Predicate::Sbom => crate::sbom(&record(), &run_payload()),
    }
}
