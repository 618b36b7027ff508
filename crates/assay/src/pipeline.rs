//! `assay test --pipeline`: the steps of building and deploying are tested themselves, in a scratch environment.
//!
//! The scratch environment is named `pipeline`, is declared like the project's first one, and is stopped and removed at the end. Its
//! service has a network of its own, so that it may listen where the live one does; where none can be made, on a free port. What
//! happens in it is stated and logged like anything else.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;

use build::check;
use build::spec::{self, Environment, EnvironmentKind, Health, Spec};
use model::recipe::Artifact;
use model::test::TestRun;
use model::verdict::Outcome;
use wire::digest::Digest;

use crate::commands::build as builds;
use crate::commands::test::{Suite, report, subjects};
use crate::commands::{env, lock, rollback};
use crate::deploying::{self, Request};
use crate::error::{Context as _, Failure, Result};
use crate::judge;
use crate::keys::KeyName;
use crate::machine;
use crate::project::Project;
use crate::release;
use crate::report::Report;
use crate::resolve::{Resolved, resolve};
use crate::service::{self, inside};
use crate::session::Session;

/// Name of the scratch environment.
const SCRATCH: &str = "pipeline";

/// The project as it is deployed to the scratch environment.
struct Scratch {
    project: Project,
    own_network: bool,
}

/// One case: its name, and what it does. An error says why it failed.
type Case<'a> = (&'static str, Box<dyn FnMut(&mut Session<'_>) -> Result<()> + 'a>);

/// Tests the pipeline of a project, and attests the outcome.
pub(crate) fn test(session: &mut Session<'_>, project: &Project) -> Result<Report> {
    let built = builds::build(session, project, false)?;
    let deployable = deployable(project, &built)?;
    let scratch = scratch(project)?;
    let directory = deploying::directory(session, SCRATCH, &project.spec.project.name);
    discard(&directory)?; // a former test that was killed leaves its service and its journal
    let mut run = TestRun {
        subjects: subjects(&built.recipe.outputs),
        suite: SCRATCH.to_owned(),
        configuration: project.lock()?.digest(),
        passed: Vec::new(),
        failed: Vec::new(),
        unstable: Vec::new(),
        finished: machine::now()?,
    };
    let mut cases = cases(project, &scratch, &deployable);
    let mut reasons = Vec::new();
    for (name, case) in &mut cases {
        session.context().progress.doing(&format!("pipeline: {name}"));
        match case(session) {
            Ok(()) => run.passed.push((*name).to_owned()),
            Err(failure) => {
                run.failed.push((*name).to_owned());
                reasons.push(format!("{name}: {failure}"));
            }
        }
    }
    drop(cases);
    discard(&directory)?;
    run.finished = machine::now()?;
    run.passed.sort();
    run.failed.sort();
    let payloads = session.record(KeyName::Tester, &[attest::test(&run)])?;
    let payload = *payloads.first().ok_or_else(|| Failure::new("log", "the log acknowledged no statement"))?;
    let mut report = report(&[Suite { run, payload }]);
    for reason in &reasons {
        report.text.push_str(&format!("\n{reason}"));
    }
    report.json["reasons"] = serde_json::json!(reasons);
    report.json["network"] = serde_json::json!(if scratch.own_network { "own" } else { "shared" });
    if !scratch.own_network && is_service(&scratch.project) {
        report
            .text
            .push_str("\nthe scratch service shared the machine's network, on a free port: none could be made for it");
    }
    Ok(report)
}

fn discard(directory: &Path) -> Result<()> {
    service::stop(directory)?;
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("pipeline", format!("removing `{}`", directory.display()))
        }
        _ => Ok(()),
    }
}

fn cases<'a>(project: &'a Project, scratch: &'a Scratch, artifact: &'a Artifact) -> Vec<Case<'a>> {
    vec![
        ("the lock made again is equal", Box::new(move |session| lock_again(session, project))),
        ("an unpinned input is refused", Box::new(move |_| unpinned(project))),
        ("the build repeats", Box::new(move |session| build_repeats(session, project))),
        ("an interrupted runbook is resumed", Box::new(move |session| interrupted(session, scratch, artifact))),
        ("the gate denies an unsigned copy", Box::new(move |session| unsigned_copy(session, scratch, artifact))),
        ("rollback restores the former digest", Box::new(move |session| rolled_back(session, scratch, artifact))),
    ]
}

fn deployable(project: &Project, built: &builds::Built) -> Result<Artifact> {
    let name = project.spec.artifacts.first().map(|artifact| artifact.name.as_str());
    built
        .artifact(name)
        .cloned()
        .ok_or_else(|| Failure::new("no-artifact", "the build made no file that could be deployed"))
}

/// The project with the scratch environment, which is like its first one; but for the port, where it gets no network of its own.
fn scratch(project: &Project) -> Result<Scratch> {
    let first = project.spec.environments.values().next().ok_or_else(|| {
        Failure::new("no-environment", "assay.toml declares no environment to take as a model")
            .hint("add `[environment.production]` to assay.toml")
    })?;
    let own_network = inside::is_possible();
    let environment = if own_network { first.clone() } else { on_free_port(first)? };
    let mut spec = project.spec.clone();
    spec.environments = BTreeMap::from([(SCRATCH.to_owned(), environment)]);
    Ok(Scratch {
        project: Project { directory: project.directory.clone(), spec, dockerfile: project.dockerfile.clone() },
        own_network,
    })
}

fn is_service(project: &Project) -> bool {
    project.spec.environments.values().any(|one| matches!(one.kind, EnvironmentKind::Service { .. }))
}

fn on_free_port(model: &Environment) -> Result<Environment> {
    let mut environment = model.clone();
    let EnvironmentKind::Service { run, health, variables, .. } = &mut environment.kind else { return Ok(environment) };
    let Health::Url(url) = health else { return Ok(environment) };
    let Some(port) = port_of(url) else { return Ok(environment) };
    let free = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .context("pipeline", "finding a free port")?
        .port()
        .to_string();
    let names_port = |text: &&mut String| **text == port || text.ends_with(&format!(":{port}"));
    let mut named = 0;
    for text in run.iter_mut().chain(variables.values_mut()).filter(names_port) {
        let kept = text.len() - port.len();
        text.replace_range(kept.., &free);
        named += 1;
    }
    if named > 0 {
        *url = url.replacen(&format!(":{port}"), &format!(":{free}"), 1);
    } else if TcpListener::bind(format!("127.0.0.1:{port}")).is_err() {
        let message = format!(
            "port {port} is in use, and neither `run` nor `variables` of the environment names it, so the scratch \
             environment cannot be given another"
        );
        return Err(
            Failure::new("port", message).hint("name the port in `run` or `variables`, or stop what listens on it")
        );
    }
    Ok(environment)
}

fn port_of(url: &str) -> Option<String> {
    let authority = url.split("://").nth(1)?.split('/').next()?;
    let port = authority.rsplit_once(':')?.1;
    port.parse::<u16>().ok().map(|_| port.to_owned())
}

fn lock_again(session: &Session<'_>, project: &Project) -> Result<()> {
    let made = lock::make(session.context(), session.inputs(), project)?;
    let path = project.directory.join(build::lock::FILE);
    let written = fs::read(&path).context("lock", format!("reading `{}`", path.display()))?;
    if made.lock.to_text().as_bytes() == written {
        return Ok(());
    }
    Err(Failure::no("lock-differs", "assay.lock, made again, has other bytes").hint("assay lock"))
}

fn unpinned(project: &Project) -> Result<()> {
    let path = project.directory.join(spec::FILE);
    let mut text = fs::read_to_string(&path).context("spec", format!("reading `{}`", path.display()))?;
    text.push_str(
        "\n[[step]]\nname = \"unpinned-input\"\nrun = [\"curl\", \"-O\", \"https://example.org/latest.tar.gz\"]\n",
    );
    let files = check::Files { spec: Some((spec::FILE.to_owned(), text.into_bytes())), ..check::Files::default() };
    if check::check(&files)
        .iter()
        .any(|finding| finding.text.contains("unpinned-input") || finding.text.contains("curl"))
    {
        Ok(())
    } else {
        Err(Failure::no("not-refused", "`check` has nothing against a step that downloads"))
    }
}

fn build_repeats(session: &mut Session<'_>, project: &Project) -> Result<()> {
    let built = builds::build(session, project, true)?;
    match &built.rebuilt {
        Some((rebuilt, _)) if rebuilt.equal => Ok(()),
        Some((rebuilt, _)) => {
            let names: Vec<&str> = rebuilt.differences.iter().map(|(name, _)| name.as_str()).collect();
            Err(Failure::no("differs", format!("built again, these differ: {}", names.join(", "))))
        }
        None => Err(Failure::new("rebuilt", "nothing was compared")),
    }
}

fn request<'a>(scratch: &'a Scratch, stop_after: Option<&'a str>) -> Request<'a> {
    let Scratch { project, own_network } = scratch;
    Request { project, environment: SCRATCH, action: "deploy", stop_after, own_network: *own_network }
}

fn interrupted(session: &mut Session<'_>, scratch: &Scratch, artifact: &Artifact) -> Result<()> {
    let resolved = resolve(session, &artifact.digest.to_string())?;
    let stopped = deploying::deploy(session, &request(scratch, Some("unpack")), &resolved)?;
    passed(&stopped)?;
    if stopped.deployment.is_some() {
        return Err(Failure::no("not-interrupted", "the runbook went on after it was interrupted"));
    }
    let resumed = deploying::deploy(session, &request(scratch, None), &resolved)?;
    let (deployment, _) = live(resumed)?;
    match deployment.steps.first() {
        Some(step) if step.result == "done before" => Ok(()),
        _ => Err(Failure::no("not-resumed", "the runbook began again from its first step")),
    }
}

fn unsigned_copy(session: &mut Session<'_>, scratch: &Scratch, artifact: &Artifact) -> Result<()> {
    let bytes = altered(session, artifact)?;
    let digest = session.inputs().blobs.put_bytes(&bytes).context("store", "keeping the altered copy")?;
    let resolved = Resolved { name: artifact.name.clone(), digest, artifact: None };
    let (verdict, _) = judge::gate(session, &scratch.project, &resolved, SCRATCH, machine::now()?, false)?;
    if verdict.result != Outcome::Pass {
        return Ok(());
    }
    Err(Failure::no("not-denied", format!("the gate passes {digest}, a copy with one more byte that nobody signed")))
}

/// Puts an altered copy live behind the gate's back, lets a deployment fail, and rolls back.
fn rolled_back(session: &mut Session<'_>, scratch: &Scratch, artifact: &Artifact) -> Result<()> {
    let resolved = resolve(session, &artifact.digest.to_string())?;
    live(deploying::deploy(session, &request(scratch, None), &resolved)?)?;
    let copy = intrude(session, scratch, artifact)?;
    if env::observe(session, &scratch.project, SCRATCH)?.yes {
        return Err(Failure::no("not-observed", format!("`env observe` does not see that {copy} took the place")));
    }
    let (directory, dockerfile) = (scratch.project.directory.clone(), scratch.project.dockerfile.clone());
    let project = Project { directory, spec: broken(&scratch.project.spec), dockerfile };
    let broken = Scratch { project, own_network: scratch.own_network };
    let failed = deploying::deploy(session, &request(&broken, None), &resolved)?;
    if failed.deployment.is_some_and(|(deployment, _)| deployment.live) {
        return Err(Failure::no("not-failed", "a runbook with a step that fails went live"));
    }
    let _again = intrude(session, scratch, artifact)?;
    let (deployment, _) = live(rollback::back(session, &scratch.project, SCRATCH, scratch.own_network)?)?;
    if deployment.artifact.1 != artifact.digest {
        return Err(Failure::no(
            "wrong-digest",
            format!("rollback brought {}, not {}", deployment.artifact.1, artifact.digest),
        ));
    }
    let observed = env::observe(session, &scratch.project, SCRATCH)?;
    if observed.yes { Ok(()) } else { Err(Failure::no("not-restored", observed.text)) }
}

/// Switches the scratch environment to an altered copy, as somebody with access to the machine would.
fn intrude(session: &Session<'_>, scratch: &Scratch, artifact: &Artifact) -> Result<Digest> {
    let bytes = altered(session, artifact)?;
    let digest = Digest::of(&bytes);
    let directory = deploying::directory(session, SCRATCH, &scratch.project.spec.project.name);
    let target = crate::live::Target {
        environment: SCRATCH,
        declared: scratch.project.environment(SCRATCH)?,
        directory: directory.clone(),
        name: &artifact.name,
        digest,
        own_network: scratch.own_network,
    };
    release::unpack(&directory, &artifact.name, &digest, &mut bytes.as_slice())?;
    release::switch(&directory, &artifact.name, &digest)?;
    crate::live::restart_if_service(&target)?;
    Ok(digest)
}

/// The artifact with one more byte, which changes its digest and, for a program, nothing that it does.
fn altered(session: &Session<'_>, artifact: &Artifact) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    session
        .inputs()
        .blobs
        .open(&artifact.digest)
        .context("store", format!("opening `{}`", artifact.name))?
        .read_to_end(&mut bytes)
        .context("store", format!("reading `{}`", artifact.name))?;
    bytes.push(0);
    Ok(bytes)
}

/// The scratch specification with a runbook step that always fails.
fn broken(spec: &Spec) -> Spec {
    let mut spec = spec.clone();
    for environment in spec.environments.values_mut() {
        environment.runbook.push(spec::RunbookStep { name: "fails".to_owned(), run: vec!["/bin/false".to_owned()] });
    }
    spec
}

fn passed(deployed: &deploying::Deployed) -> Result<()> {
    if deployed.verdict.result == Outcome::Pass {
        return Ok(());
    }
    Err(Failure::no("gate", format!("the gate refuses the build:\n{}", judge::text(&deployed.verdict))))
}

fn live(deployed: deploying::Deployed) -> Result<(model::deployment::Deployment, Digest)> {
    passed(&deployed)?;
    match (deployed.deployment, deployed.failure) {
        (Some(deployment), None) if deployment.0.live => Ok(deployment),
        (_, Some(failure)) => Err(failure),
        _ => Err(Failure::no("not-live", "the deployment did not go live")),
    }
}
