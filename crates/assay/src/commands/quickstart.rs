//! `assay quickstart`

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use build::check::{self, Files};
use model::recipe::ArtifactKind;
use model::verdict::Outcome;
use serde_json::{Value, json};

use crate::commands::{build as builds, env, init, lock, push, test};
use crate::context::Context;
use crate::copy::{self, Copy};
use crate::deploying::{self, Request};
use crate::error::{Failure, Result};
use crate::judge;
use crate::machine;
use crate::project::Project;
use crate::report::Report;
use crate::resolve::{Resolved, resolve};
use crate::runbook::durable;
use crate::service;
use crate::session::Session;
use crate::walk;
use model::lineage::{Direction, NodeId};

/// Take a service from commit to deployment, and say what each step did
///
/// Without PATH, the example service that is part of this program; with it, any Cargo project that has a Cargo.lock. Nothing is
/// written into PATH: everything happens in a copy under ASSAY_HOME. What was started is stopped at the end, and the home is
/// sealed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A Cargo project with a Cargo.lock
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Leave the deployed service running
    #[arg(long)]
    keep: bool,
}

/// The narration: each step with the digest that it produced.
struct Story<'a> {
    context: &'a Context,
    steps: Vec<Value>,
}

impl Story<'_> {
    fn tell(&mut self, step: &str, what: &str, digest: Option<String>) {
        let digest_text = digest.as_ref().map_or_else(String::new, |digest| format!(" {digest}"));
        self.context.progress.done(&format!("{:>2}. {step:8} {what}{digest_text}", self.steps.len() + 1));
        self.steps.push(json!({"step": step, "what": what, "digest": digest}));
    }
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<Report> {
    let copy = match &args.path {
        Some(path) => copied(path, context)?,
        None => copy::of_example(&context.home)?,
    };
    context.project_at(copy.directory.clone());
    let context = &*context;
    let mut story = Story { context, steps: Vec::new() };
    story.tell("copy", &copy.how, None);
    let mut session = Session::open(context)?;
    let outcome = chain(&mut session, &copy, &mut story);
    let service = outcome
        .as_ref()
        .ok()
        .map(|(project, _)| deploying::directory(&session, "production", &project.spec.project.name));
    let started = service.filter(|directory| directory.join("service.json").exists());
    if let (Some(directory), false) = (started, args.keep) {
        service::stop(&directory)?;
        story.tell("stop", "stopped the service (`--keep` leaves it running)", None);
    }
    session.close()?;
    let (_, passed) = outcome?;
    if passed {
        push::rehearse(context, &mut |what, digest| story.tell("registry", what, digest))?;
    }
    story.tell(
        "seal",
        &format!("sealed `{}`; `assay admin fsck` checks every file of it", context.home.root().display()),
        None,
    );
    let next = next(context, &copy.directory, passed);
    let result = if passed { "pass" } else { "fail" };
    let json = json!({"result": result, "project": copy.directory, "steps": story.steps, "next": next});
    Ok(Report::of(passed, json, format!("try:\n  {}", next.join("\n  "))))
}

/// A copy of a project. What no copy can mend is said of the project itself.
fn copied(path: &Path, context: &Context) -> Result<Copy> {
    if path.is_dir() && !path.join(build::spec::FILE).exists() {
        init::propose(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))?;
    }
    copy::of_project(&context.home, path)
}

fn chain(session: &mut Session<'_>, copy: &Copy, story: &mut Story<'_>) -> Result<(Project, bool)> {
    let project = described(session, copy, story)?;
    let built = builds::build(session, &project, false)?;
    let kind = if built.complete() { "hermetic build, complete," } else { "build, not complete," };
    story.tell("build", &format!("{kind} at level {}; run", built.level()), Some(built.run_payload.to_string()));
    for output in &built.recipe.outputs {
        story.tell("artifact", &output.name, Some(output.digest.to_string()));
    }
    let again = builds::build(session, &project, true)?;
    let (equal, statement) =
        again.rebuilt.as_ref().map_or((false, None), |(rebuilt, payload)| (rebuilt.equal, Some(payload.to_string())));
    let what = if equal { "built again, the same bytes; rebuilt" } else { "built again, OTHER bytes; rebuilt" };
    story.tell("again", what, statement);
    if project.spec.tests.is_empty() {
        story.tell("test", "the project declares no test", None);
    } else {
        for suite in test::test(session, &project, None)? {
            let word = if suite.run.passed() { "passed" } else { "FAILED" };
            let what = format!("`{}` {word} twice, {} cases;", suite.run.suite, suite.run.passed.len());
            story.tell("test", &what, Some(suite.payload.to_string()));
        }
    }
    let deployable = deployable(session, &project, &built)?;
    let evidence = judge::evidence(session, &deployable, None)?;
    let integrity = policy::integrity(&evidence, machine::now()?);
    story.tell(
        "verify",
        &format!("{} statements about {}: {}", evidence.attestations.len(), deployable.name, integrity.result.name()),
        None,
    );
    let passed = deploy(session, &project, &deployable, story)?;
    Ok((project, passed))
}

/// Init, check, lock, commit.
fn described(session: &mut Session<'_>, copy: &Copy, story: &mut Story<'_>) -> Result<Project> {
    let context = session.context();
    if !copy.directory.join(build::spec::FILE).exists() {
        let proposal = init::propose(&copy.directory)?;
        let mut files = init::files(&copy.directory, &proposal)?;
        on_free_port(&mut files, copy.is_example)?;
        init::write(&copy.directory, &files)?;
        let kind = if proposal.service {
            "a service"
        } else {
            "no service, so it is deployed as a release directory with a check"
        };
        story.tell("init", &format!("wrote assay.toml and a policy: {} is {kind}", proposal.project), None);
    }
    let findings = check::check(
        &Files::read(&copy.directory, &["Cargo.toml".to_owned()])
            .map_err(|error| Failure::new("check", "reading the project").because(&error))?,
    );
    if let Some(first) = findings.first() {
        return Err(Failure::problems("check", std::slice::from_ref(first)));
    }
    story.tell("check", "nothing in it that could not be reproduced", None);
    let project = Project::load_from(copy.directory.clone())?;
    let made = lock::make(context, session.inputs(), &project)?;
    let path = copy.directory.join(build::lock::FILE);
    durable(&path, made.lock.to_text().as_bytes())
        .map_err(|error| Failure::new("lock", "writing assay.lock").because(&error))?;
    story.tell(
        "lock",
        &format!(
            "pinned {} dependencies, {} packages, {} toolchain(s);",
            made.lock.dependencies.len(),
            made.lock.base.packages.len(),
            made.lock.toolchains.len()
        ),
        Some(made.lock.digest().to_string()),
    );
    copy::commit_all(&copy.directory, "assay: describe, pin and gate the build")?;
    let source = builds::source(session, &project)?;
    let commit = source.revision.as_ref().map_or("none", |revision| &revision.commit);
    story.tell("commit", &format!("source at git:{commit}, tree"), Some(source.tree.to_string()));
    Ok(project)
}

/// The example is told its port, a free one if the proposed one is taken; of another project nobody knows how.
fn on_free_port(files: &mut [(String, String)], is_example: bool) -> Result<()> {
    const PROPOSED: &str = "8080";
    if is_example {
        for (_, text) in files.iter_mut() {
            *text = text.replace("run = [\"greeter\"]", "run = [\"greeter\", \"--listen\", \"127.0.0.1:8080\"]");
        }
    }
    let proposed = files.iter().any(|(_, text)| text.contains("127.0.0.1:8080"));
    if !proposed || TcpListener::bind(("127.0.0.1", 8080)).is_ok() {
        return Ok(());
    }
    if !is_example {
        return Err(Failure::new("port", "port 8080, where the health of the service would be asked, is in use")
            .hint("stop what listens there, or write an assay.toml with another port into the project"));
    }
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let free = free.map_err(|error| Failure::new("port", "finding a free port").because(&error))?.port().to_string();
    for (_, text) in files {
        *text = text.replace(PROPOSED, &free);
    }
    Ok(())
}

/// What the environment runs: the artifact named like the project, or the first file.
fn deployable(session: &Session<'_>, project: &Project, built: &builds::Built) -> Result<Resolved> {
    let files = || built.recipe.outputs.iter().filter(|output| output.kind == ArtifactKind::File);
    let own = files().find(|output| output.name == project.spec.project.name);
    let chosen = own.or_else(|| files().next()).ok_or_else(|| Failure::new("no-artifact", "the build made no file"))?;
    resolve(session, &chosen.digest.to_string())
}

fn deploy(session: &mut Session<'_>, project: &Project, deployable: &Resolved, story: &mut Story<'_>) -> Result<bool> {
    let environment = project.spec.environments.keys().next().cloned().ok_or_else(|| {
        Failure::new("no-environment", "assay.toml declares no environment").hint("add `[environment.production]`")
    })?;
    let request =
        Request { project, environment: &environment, action: "deploy", stop_after: None, own_network: false };
    let deployed = deploying::deploy(session, &request, deployable)?;
    for rule in &deployed.verdict.rules {
        if rule.result != Outcome::Pass {
            story.tell(
                "gate",
                &format!(
                    "{} {}: {}; fix: {}",
                    rule.result.name(),
                    rule.name,
                    rule.found,
                    rule.fix.as_deref().unwrap_or("none known")
                ),
                None,
            );
        }
    }
    if deployed.verdict.result != Outcome::Pass {
        story.tell("gate", &format!("{} may not go to {environment}", deployable.name), None);
        return Ok(false);
    }
    story.tell("gate", &format!("{} rules pass for {environment}", deployed.verdict.rules.len()), None);
    if let Some(failure) = deployed.failure {
        return Err(failure);
    }
    let Some((deployment, payload)) = deployed.deployment else { return Ok(false) };
    let steps: Vec<&str> = deployment.steps.iter().map(|step| step.name.as_str()).collect();
    story.tell("deploy", &format!("live in {environment} ({});", steps.join(", ")), Some(payload.to_string()));
    let observed = env::observe(session, project, &environment)?;
    story.tell("observe", &observed.text, observed.json["observation"].as_str().map(str::to_owned));
    let walked = session.walk(NodeId::environment(&environment), Direction::Back)?;
    story.tell(
        "why",
        &format!(
            "{} steps lead from env:{environment} back to the commit, its people, inputs and rules",
            walked.nodes.len()
        ),
        None,
    );
    drop(walk::report(session, NodeId::environment(&environment), Direction::Back, false)?);
    Ok(observed.yes)
}

/// Commands to try next; the second serves the dashboard.
fn next(context: &Context, directory: &Path, passed: bool) -> Vec<String> {
    let home = match std::env::var_os("ASSAY_HOME") {
        Some(_) => format!("ASSAY_HOME={} ", word(context.home.root())),
        None => String::new(),
    };
    let first = if passed { "why env:production" } else { "gate NAME --env production" };
    let first = format!("{first} --project {}", word(directory));
    let serve = "serve --anonymous-read      # then open http://127.0.0.1:8470/";
    [&first, serve, "admin fsck"].map(|command| format!("{home}{} {command}", program())).to_vec()
}

/// How this program is typed: by its bare name where a shell would find this very file, else by its path.
fn program() -> String {
    let Ok(current) = std::env::current_exe() else { return "assay".to_owned() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join("assay")).find(|file| file.is_file());
    let same = |found: PathBuf| found.canonicalize().is_ok_and(|found| found == current);
    if found.is_some_and(same) { "assay".to_owned() } else { word(&current) }
}

/// A path as one word of a shell.
fn word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
