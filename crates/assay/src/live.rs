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
        release::switch(&target.directory, &target.digest)?;
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
    let release = release::version(&target.directory, &target.digest);
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Failure::new("runbook", "a declared step has no program"));
    };
    let program = program_path(target, program).unwrap_or_else(|_| PathBuf::from(program));
    let output = Command::new(&program)
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
        still_up(&target.directory)?;
        let answer = match health {
            Health::Url(url) => ask(url, runtime),
            Health::Command(argv) => command(target, argv),
        };
        match answer {
            Ok(detail) => return Ok(detail),
            Err(failure) if Instant::now() > deadline => return Err(failure),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn still_up(directory: &Path) -> Result<()> {
    match service::state(directory)? {
        Some(state) if state.state == "gave-up" || !state.supervisor.alive() => {
            Err(Failure::no("service-down", "the service ended before it was healthy")
                .hint(format!("read `{}`", directory.join("service.log").display())))
        }
        _ => Ok(()),
    }
}

fn ask(url: &str, runtime: &Handle) -> Result<String> {
    let client = fetch::client()?;
    let request = client.get(url).timeout(Duration::from_secs(5));
    let answer = runtime.block_on(async { request.send().await }).context("health", format!("asking `{url}`"))?;
    if answer.status().is_success() {
        return Ok(format!("`{url}` answered {}", answer.status().as_u16()));
    }
    Err(Failure::no("health", format!("`{url}` answered {}", answer.status().as_u16())))
}
