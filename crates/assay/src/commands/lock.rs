//! `assay lock`

use build::inputs::Host;
use build::pin::{self, World};
use serde_json::json;

use crate::context::Context;
use crate::error::{Context as _, Result};
use crate::fetch::Https;
use crate::inputs::StoreInputs;
use crate::project::Project;
use crate::recording;
use crate::remote::images::Registries;
use crate::report::Report;
use crate::runbook::durable;
use crate::runs::Run;
use crate::session::Session;

/// Pin every input of the build in assay.lock, and keep its bytes
///
/// The only command that uses a network: each package of a lock file by its digest, git dependencies by their commit, each
/// file of `[[fetch]]`, toolchains and the system packages of `[base]` with their files. Lock files are read, never resolved.
/// Interrupted, it goes on where it was. The file holds no host path and no time: made twice, it has the same bytes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Change nothing; answer no (exit 1) if the lock would change
    #[arg(long)]
    check: bool,
    /// Run a command in the sandbox, keep what the network answers to it, and write assay.record
    ///
    /// For what has no lock file. The command is the project's own and runs with the build's base, but with a way out: GET and
    /// HEAD over http and https. What could not be answered again (a POST, a part of a file, a secret in a request) is an error.
    /// In a build, the same questions are answered from the record alone.
    #[arg(long, requires = "command", conflicts_with = "check")]
    record: bool,
    /// The command that `--record` runs
    #[arg(last = true, requires = "record", value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let project = Project::load(context)?;
    let session = Session::open(context)?;
    let recorded = match args.record {
        true => Some(recording::record(context, session.inputs(), &project, &args.command)?),
        false => None,
    };
    let made = make(context, session.inputs(), &project);
    session.close()?;
    let made = made?;
    let path = project.directory.join(build::lock::FILE);
    let before = crate::project::optional(&path)?;
    let text = made.lock.to_text();
    let changed = before.as_deref() != Some(text.as_bytes());
    if changed && !args.check {
        durable(&path, text.as_bytes()).context("lock", format!("writing `{}`", path.display()))?;
    }
    let json = json!({
        "lock": made.lock.digest(),
        "changed": changed,
        "base": made.lock.base.tree,
        "packages": made.lock.base.packages.len(),
        "toolchains": made.lock.toolchains.iter().map(|t| json!({"name": t.name, "version": t.version, "tree": t.tree})).collect::<Vec<_>>(),
        "lock_files": made.lock.lock_files.iter().map(|file| json!({"path": file.path, "kind": file.kind.name()})).collect::<Vec<_>>(),
        "dependencies": made.lock.dependencies.len(),
        "fetched": made.counts.fetched,
        "imported": made.imported,
        "notes": made.notes,
        "recorded": recorded,
    });
    let did = match (changed, args.check) {
        (true, true) => "would change",
        (true, false) => "written",
        (false, _) => "unchanged",
    };
    let mut text = format!(
        "assay.lock {did}: {} dependencies, {} packages, {} toolchain(s); {}",
        made.lock.dependencies.len(),
        made.lock.base.packages.len(),
        made.lock.toolchains.len(),
        made.lock.digest()
    );
    for note in &made.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    Ok(Report::of(!(changed && args.check), json, text))
}

/// Makes the lock of a project; writes nothing into the project.
pub(crate) fn make(context: &Context, inputs: &StoreInputs, project: &Project) -> Result<pin::Made> {
    with_world(context, inputs, |world| {
        let made = match &project.dockerfile {
            Some(dockerfile) => pin::make_of_images(&project.directory, &project.spec, &dockerfile.images(), world),
            None => pin::make(&project.directory, &project.spec, world),
        };
        made.context("lock", "making assay.lock")
    })
}

/// Gives `work` the store, the network and this machine.
pub(crate) fn with_world<T>(
    context: &Context,
    inputs: &StoreInputs,
    work: impl FnOnce(&World<'_>) -> Result<T>,
) -> Result<T> {
    let fetch = Https::new(context.runtime.handle().clone())?;
    let images = Registries::new(context, &inputs.blobs);
    let scratch = Run::new(&context.home.runs())?;
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(Into::into)
        .or_else(|| std::env::var_os("HOME").map(|home| std::path::Path::new(&home).join(".cargo")));
    let host = Host {
        root: "/".into(),
        cargo_home,
        cache: context.home.cache().to_path_buf(),
        variables: build::inputs::HOST_VARIABLES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect(),
        scratch: scratch.path().to_path_buf(),
    };
    let progress = |what: &str| context.progress.doing(what);
    work(&World { inputs, fetch: &fetch, images: &images, host: &host, progress: &progress })
}
