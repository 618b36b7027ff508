//! Bringing a release live: the runbook's built-in steps, those that a project declares, and the health check.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use build::spec::{Environment, EnvironmentKind, Health};
use tokio::runtime::Handle;
use wire::digest::Digest;

use crate::error::{Context, Failure, Result};
use crate::fetch;
use crate::port::{self, Listener, Local};
use crate::release;
use crate::runbook::Step;
use crate::service::{self, ServicePlan};

/// How long a service may take to become healthy.
const HEALTH_WAIT: Duration = Duration::from_secs(30);
/// How much of a failed command's output is shown.
const OUTPUT_MAX: usize = 2000;

/// What is brought live, and where.
pub(crate) struct Target<'a> {
    /// Environment name.
    pub(crate) environment: &'a str,
    /// Its declaration.
    pub(crate) declared: &'a Environment,
    /// `deployments/ENV/SERVICE`.
    pub(crate) directory: PathBuf,
    /// Artifact name, which is the program's name in the release.
    pub(crate) name: &'a str,
    /// Artifact digest.
    pub(crate) digest: Digest,
    /// Whether a service gets a network of its own, with loopback alone.
    pub(crate) own_network: bool,
}

/// Opens the artifact's bytes; called by the `unpack` step.
pub(crate) type Open<'a> = dyn Fn() -> Result<Box<dyn Read + Send>> + 'a;

/// The runbook of a target, in order: `unpack`, declared steps, `switch`, then `restart` and `health`, or `check`.
pub(crate) fn runbook<'a>(target: &'a Target<'a>, open: &'a Open<'a>, runtime: &'a Handle) -> Vec<Step<'a>> {
    let mut steps = vec![Step::new("unpack", move || {
        let release = release::unpack(&target.directory, target.name, &target.digest, &mut open()?)?;
        Ok(release.display().to_string())
    })];
    for declared in &target.declared.runbook {
        steps.push(Step::new(&declared.name, move || command(target, &declared.run)));
    }
    steps.push(Step::new("switch", move || {
        free(target)?;
        release::switch(&target.directory, target.name, &target.digest)?;
        Ok(format!("current → versions/{}", target.digest.short()))
    }));
    match &target.declared.kind {
        EnvironmentKind::Service { run, health, variables, stop } => {
            steps.push(Step::new("restart", move || restart(target, run, variables, stop)).always());
            steps.push(Step::new("health", move || healthy(target, health, runtime)));
        }
        EnvironmentKind::Release { check } => {
            steps.push(Step::new("check", move || command(target, check)));
        }
    }
    steps
}

/// Refuses where another program listens on the port of a service: its health would be the other's.
fn free(target: &Target<'_>) -> Result<()> {
    let EnvironmentKind::Service { health, .. } = &target.declared.kind else { return Ok(()) };
    match foreign(&target.directory, health, target.own_network)? {
        Some((port, listener)) => {
            Err(Failure::no("port", format!("port {port} is in use by {}, so nothing was switched", listener.text()))
                .hint("stop what listens there, or let `health` be a command if it stands in front of the service"))
        }
        None => Ok(()),
    }
}

/// Who listens where the health of a service is asked, if it is not the service; with the port.
pub(crate) fn foreign(directory: &Path, health: &Health, own_network: bool) -> Result<Option<(u16, Listener)>> {
    let Health::Url(url) = health else { return Ok(None) };
    let Some(local) = Local::of(url) else { return Ok(None) };
    let ours = service::processes(directory)?;
    let seen_by = match ours.first() {
        Some(process) if own_network => process.pid.to_string(),
        None if own_network => return Ok(None), // its network is not made yet, or gone with it
        _ => "self".to_owned(),
    };
    let listeners = port::listeners(&local, &seen_by)?;
    let is_ours = |listener: &Listener| listener.processes.iter().any(|process| ours.contains(process));
    if listeners.iter().any(is_ours) {
        return Ok(None);
    }
    Ok(listeners.into_iter().next().map(|listener| (local.port, listener)))
}

/// Restarts what runs in a service's directory with the target's release; nothing for a release directory.
pub(crate) fn restart_if_service(target: &Target<'_>) -> Result<()> {
    match &target.declared.kind {
        EnvironmentKind::Service { run, variables, stop, .. } => restart(target, run, variables, stop).map(drop),
        EnvironmentKind::Release { .. } => Ok(()),
    }
}

fn restart(target: &Target<'_>, run: &[String], variables: &BTreeMap<String, String>, stop: &str) -> Result<String> {
    let mut argv = run.to_vec();
    let Some(program) = argv.first_mut() else {
        return Err(Failure::new(
            "service-run",
            format!("environment `{}` declares no program to run", target.environment),
        ));
    };
    *program = program_path(target, program)?.to_string_lossy().into_owned();
    let plan = ServicePlan {
        directory: target.directory.clone(),
        release: release::version(&target.directory, &target.digest),
        argv,
        variables: environment(target, variables),
        stop: stop.to_owned(),
        own_network: target.own_network,
    };
    let state = service::start(&plan)?;
    let pid = state.service.map_or(0, |service| service.pid);
    Ok(format!("pid {pid}, kept by pid {}", state.supervisor.pid))
}

fn program_path(target: &Target<'_>, program: &str) -> Result<PathBuf> {
    let release = release::version(&target.directory, &target.digest);
    let found = [release.join(program), release.join("bin").join(program)].into_iter().find(|path| path.is_file());
    found.ok_or_else(|| {
        Failure::no("service-run", format!("the release of `{}` holds no program `{program}`", target.name))
            .hint(format!("in assay.toml, let `[environment.{}]` run `bin/{}`", target.environment, target.name))
    })
}

fn environment(target: &Target<'_>, declared: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let release = release::version(&target.directory, &target.digest);
    let mut variables = BTreeMap::from([
        ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("LC_ALL".to_owned(), "C.UTF-8".to_owned()),
        ("ASSAY_ENVIRONMENT".to_owned(), target.environment.to_owned()),
        ("ASSAY_RELEASE".to_owned(), release.to_string_lossy().into_owned()),
        ("ASSAY_ARTIFACT".to_owned(), target.digest.to_string()),
    ]);
    variables.extend(declared.iter().map(|(name, value)| (name.clone(), value.clone())));
    variables
}

/// Runs a declared command in the release directory; exit code 0 is good.
fn command(target: &Target<'_>, argv: &[String]) -> Result<String> {
    run(target, argv, None)
}

/// Runs a declared command, in the network of process `inside` if there is one.
fn run(target: &Target<'_>, argv: &[String], inside: Option<u32>) -> Result<String> {
    let release = release::version(&target.directory, &target.digest);
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Failure::new("runbook", "a declared step has no program"));
    };
    let program = program_path(target, program).unwrap_or_else(|_| PathBuf::from(program));
    let mut command = match inside {
        Some(pid) => service::inside::command(pid),
        None => Command::new(&program),
    };
    if inside.is_some() {
        command.arg(&program);
    }
    let output = command
        .args(arguments)
        .current_dir(&release)
        .env_clear()
        .envs(environment(target, &BTreeMap::new()))
        .stdin(Stdio::null())
        .output()
        .context("runbook", format!("running `{}`", argv.join(" ")))?;
    if output.status.success() {
        return Ok(format!("`{}`: exit 0", argv.join(" ")));
    }
    let text = [output.stdout, output.stderr].concat();
    let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(OUTPUT_MAX)..]).trim().to_owned();
    Err(Failure::no("runbook-step", format!("`{}` ended with {}: {tail}", argv.join(" "), output.status)))
}

fn healthy(target: &Target<'_>, health: &Health, runtime: &Handle) -> Result<String> {
    let deadline = Instant::now() + HEALTH_WAIT;
    loop {
        let inside = still_up(&target.directory)?.filter(|_| target.own_network);
        let answer = match (health, inside) {
            (Health::Url(url), Some(pid)) => service::inside::ask(pid, url),
            (Health::Url(url), None) => ask(url, runtime),
            (Health::Command(argv), inside) => run(target, argv, inside),
        };
        match answer.and_then(|detail| its_own(target, health, detail)) {
            Ok(detail) => return Ok(detail),
            Err(failure) if Instant::now() > deadline => return Err(failure),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// An answer counts only if the service gave it: another program may have taken the port since it was free.
fn its_own(target: &Target<'_>, health: &Health, detail: String) -> Result<String> {
    match foreign(&target.directory, health, target.own_network)? {
        Some((port, listener)) => {
            Err(Failure::no("port", format!("port {port} is answered by {}, not by the service", listener.text())))
        }
        None => Ok(detail),
    }
}

/// Returns the supervisor, in whose network the service is.
fn still_up(directory: &Path) -> Result<Option<u32>> {
    match service::state(directory)? {
        Some(state) if state.state == "gave-up" || !state.supervisor.alive() => {
            Err(Failure::no("service-down", "the service ended before it was healthy")
                .hint(format!("read `{}`", directory.join("service.log").display())))
        }
        state => Ok(state.map(|state| state.supervisor.pid)),
    }
}

fn ask(url: &str, runtime: &Handle) -> Result<String> {
    runtime.block_on(answer(url))
}

/// Asks a URL; an answer of 200 to 299 is good.
pub(crate) async fn answer(url: &str) -> Result<String> {
    let request = fetch::client()?.get(url).timeout(Duration::from_secs(5));
    let answer = request.send().await.context("health", format!("asking `{url}`"))?;
    if answer.status().is_success() {
        return Ok(format!("`{url}` answered {}", answer.status().as_u16()));
    }
    Err(Failure::no("health", format!("`{url}` answered {}", answer.status().as_u16())))
}
