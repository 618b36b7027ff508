//! `assay test`

use build::plan::{self, Planned};
use build::record::withhold::Withhold;
use build::spec::Test;
use build::stage;
use build::test_report::{self, Output, Report as Cases};
use model::recipe::{Artifact, ArtifactKind};
use model::test::TestRun;
use sandbox::event::Event;
use sandbox::outcome::{Exit, Stream};
use sandbox::plan::Level;
use sandbox::trace::live::Live;
use serde_json::{Value, json};
use store::trees::Source as TreeSource;
use wire::digest::Digest;

use crate::building::{self, Subject};
use crate::commands::build::{self as builds, Built};
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::keys::KeyName;
use crate::limit;
use crate::machine;
use crate::pipeline;
use crate::project::Project;
use crate::rehash::rehash;
use crate::report::Report;
use crate::session::Session;

/// The most that is kept of a test's output.
const OUTPUT_MAX: usize = 64 << 20;

/// Run the declared tests in the sandbox, twice, and attest the outcome for the artifact
///
/// A case whose outcome differs between the repetitions is a failure, and is named. With --pipeline, the pipeline itself is
/// tested in a scratch environment: lock, build, runbook, gate and rollback do what they should, and refuse what they must.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Test the build and deployment steps themselves, in a scratch environment
    #[arg(long)]
    pipeline: bool,
    /// Before anything is mounted, read and hash again all that assay.lock pins
    #[arg(long)]
    paranoid: bool,
    /// Run only this test of assay.toml
    #[arg(value_name = "NAME", conflicts_with = "pipeline")]
    name: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let project = Project::load(context)?;
    let mut session = Session::open(context)?;
    let rehashed = match args.paranoid {
        true => project.lock().and_then(|lock| rehash(context, session.inputs(), &lock)).map(drop),
        false => Ok(()),
    };
    let outcome = rehashed.and_then(|()| match args.pipeline {
        true => pipeline::test(&mut session, &project),
        false => test(&mut session, &project, args.name.as_deref()).map(|suites| report(&suites)),
    });
    session.close()?;
    outcome
}

/// A suite that was run and attested.
pub(crate) struct Suite {
    /// Its outcome.
    pub(crate) run: TestRun,
    /// Digest of the statement's payload.
    pub(crate) payload: Digest,
}

/// Runs the declared tests against the newest build of this source.
pub(crate) fn test(session: &mut Session<'_>, project: &Project, only: Option<&str>) -> Result<Vec<Suite>> {
    let tests: Vec<&Test> =
        project.spec.tests.iter().filter(|test| only.is_none_or(|name| test.name == name)).collect();
    if tests.is_empty() {
        let failure = Failure::new(
            "no-tests",
            match only {
                Some(name) => format!("assay.toml declares no test `{name}`"),
                None => "assay.toml declares no test".to_owned(),
            },
        );
        return Err(failure.hint("add a `[[test]]` with `name` and `run`"));
    }
    let built = builds::existing(session, project)?;
    let artifacts = artifacts_tree(session, &built)?;
    let mut suites = Vec::new();
    for test in tests {
        let run = repeat(session, project, test, &built, artifacts.as_ref())?;
        let payloads = session.record(KeyName::Tester, &[attest::test(&run)])?;
        let payload = *payloads.first().ok_or_else(|| Failure::new("log", "the log acknowledged no statement"))?;
        suites.push(Suite { run, payload });
    }
    Ok(suites)
}

/// The report of several suites.
pub(crate) fn report(suites: &[Suite]) -> Report {
    let passed = suites.iter().all(|suite| suite.run.passed());
    let json = json!({
        "result": if passed { "pass" } else { "fail" },
        "suites": suites.iter().map(suite_json).collect::<Vec<_>>(),
    });
    let mut text = Vec::new();
    for Suite { run, payload } in suites {
        let word = if run.passed() { "passed" } else { "FAILED" };
        text.push(format!(
            "{} {word}: {} passed, {} failed, {} unstable; {payload}",
            run.suite,
            run.passed.len(),
            run.failed.len(),
            run.unstable.len()
        ));
        text.extend(run.failed.iter().map(|case| format!("  failed   {case}")));
        text.extend(
            run.unstable.iter().map(|case| format!("  unstable {case}: its outcome differed between repetitions")),
        );
    }
    Report::of(passed, json, text.join("\n"))
}

fn suite_json(suite: &Suite) -> Value {
    json!({
        "name": suite.run.suite, "statement": suite.payload, "passed": suite.run.passed,
        "failed": suite.run.failed, "unstable": suite.run.unstable,
    })
}

fn repeat(
    session: &Session<'_>,
    project: &Project,
    test: &Test,
    built: &Built,
    artifacts: Option<&Digest>,
) -> Result<TestRun> {
    let context = session.context();
    let inputs = session.inputs();
    let lock = project.lock()?;
    let source = builds::source(session, project)?;
    let subject = Subject { project, lock: &lock, source: &source };
    let planned = plan_of(&subject, test, built, artifacts)?;
    let sources = building::sources(context, inputs, &subject, &planned)?;
    let mut repetitions: Vec<Cases> = Vec::new();
    for turn in 1..=test.repetitions {
        context.progress.doing(&format!("test `{}`, {turn} of {}", test.name, test.repetitions));
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut collect = |output: sandbox::outcome::Output<'_>| {
            let stream = match output.stream {
                Stream::Stdout => &mut stdout,
                Stream::Stderr => &mut stderr,
            };
            if stream.len() < OUTPUT_MAX {
                stream.extend_from_slice(output.bytes);
            }
        };
        let mut withhold = Withhold::new(machine::random()?);
        let mut on_event = |event: &mut Event, _: &Live| withhold.event(event);
        let level = Level::TraceOnly;
        let told = building::Told { on_event: &mut on_event, on_output: &mut collect };
        let ran = building::run_plan(context, inputs, &planned.plan, &sources, level, told)?;
        if let Some(limit) = &ran.outcome.limit {
            let subject = format!("test `{}`", test.name);
            return Err(limit::failure(inputs, &planned.plan, &ran, limit, ("test-limit", &subject))?);
        }
        let exit = ran.outcome.steps.last().and_then(|step| shell_code(step.exit));
        repetitions.push(test_report::read(test.format, &Output { stdout: &stdout, stderr: &stderr, exit }));
    }
    let subjects = subjects(&built.recipe.outputs);
    Ok(test_report::outcome(&test.name, subjects, planned.digest(), &repetitions, machine::now()?))
}

/// Plans a test: it sees what its stage saw.
fn plan_of(subject: &Subject<'_>, test: &Test, built: &Built, artifacts: Option<&Digest>) -> Result<Planned> {
    let spec = &subject.project.spec;
    let Some(stage) = test.stage.as_ref().and_then(|name| spec.stage(name)) else {
        return Ok(plan::test(spec, subject.lock, subject.source, test, artifacts));
    };
    let lock = subject.lock.of_stage(&stage.name);
    let mut planned = plan::test(&spec.of_stage(stage), &lock, subject.source, test, artifacts);
    let made = built.recipe.stages.iter().map(|stage| (stage.name.clone(), stage.made.clone())).collect();
    stage::enter(&mut planned, stage, &made).context("stage", format!("giving test `{}` its inputs", test.name))?;
    Ok(planned)
}

fn shell_code(exit: Exit) -> Option<i32> {
    exit.shell_code()
}

/// What a test statement is about: each file, and each image by its manifest.
pub(crate) fn subjects(outputs: &[Artifact]) -> Vec<(String, Digest)> {
    outputs.iter().map(|output| (output.name.clone(), output.digest)).collect()
}

/// A tree with each file artifact at its name, which tests find at `ASSAY_ARTIFACTS`.
fn artifacts_tree(session: &Session<'_>, built: &Built) -> Result<Option<Digest>> {
    let inputs = session.inputs();
    let files = built.recipe.outputs.iter().filter(|output| output.kind == ArtifactKind::File);
    let entries: Vec<(String, TreeSource)> = files
        .map(|output| {
            let path = inputs.blobs.path(&output.digest);
            (output.name.clone(), TreeSource::File { path, executable: true })
        })
        .collect();
    if entries.is_empty() {
        return Ok(None);
    }
    let (digest, _) = inputs.trees.import(entries, None).context("store", "preparing the artifacts for the tests")?;
    Ok(Some(digest))
}
