//! A project's files as a command needs them: `assay.toml`, `assay.lock`, lock files and the source tree.

use std::fs;
use std::path::{Path, PathBuf};

use build::dockerfile::{IGNORE_FILE, Source as Dockerfile};
use build::ecosystem;
use build::inputs::{Inputs, TreeEntry, TreeSource};
use build::lock::Lock;
use build::source::{self, Kind};
use build::spec::{self, Environment, Spec};
use model::source::Source;

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::home::Home;

/// A project whose `assay.toml` was read without a problem.
pub(crate) struct Project {
    /// Its directory, absolute.
    pub(crate) directory: PathBuf,
    /// What `assay.toml` says.
    pub(crate) spec: Spec,
    /// The Dockerfile, if that says the build.
    pub(crate) dockerfile: Option<Dockerfile>,
}

impl Project {
    /// Reads `assay.toml` in the project's directory.
    pub(crate) fn load(context: &Context) -> Result<Project> {
        Project::load_from(context.project()?)
    }

    /// Reads `assay.toml` in a directory.
    pub(crate) fn load_from(directory: PathBuf) -> Result<Project> {
        let path = directory.join(spec::FILE);
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Failure::new("no-spec", format!("`{}` does not exist", path.display())).hint("assay init")
            }
            _ => Failure::new("spec", format!("reading `{}`", path.display())).because(&error),
        })?;
        let spec = Spec::parse(spec::FILE, &bytes).map_err(|problems| Failure::problems("spec", &problems))?;
        let dockerfile = spec.build.dockerfile.as_ref().map(|settings| dockerfile(&directory, settings)).transpose()?;
        Ok(Project { directory, spec, dockerfile })
    }

    /// Reads `assay.lock`, and refuses one that does not fit `assay.toml` and the lock files.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let lock = self.lock_as_it_is()?.ok_or_else(|| {
            Failure::new("no-lock", format!("`{}` has no assay.lock", self.directory.display())).hint("assay lock")
        })?;
        let files = ecosystem::project_files(&self.directory, &self.spec)
            .map_err(|error| Failure::new("lock-file", "reading the project's lock files").because(&error))?;
        let mut stale = lock.stale(&self.spec, &files);
        for stage in self.spec.stages.iter().filter(|stage| stage.base.is_some()) {
            let spec = self.spec.of_stage(stage);
            let files = ecosystem::project_files(&self.directory, &spec)
                .map_err(|error| Failure::new("lock-file", "reading a stage's lock files").because(&error))?;
            stale.extend(lock.of_stage(&stage.name).stale(&spec, &files));
        }
        stale.dedup();
        if let Some(dockerfile) = &self.dockerfile {
            let locked: Vec<&String> = lock.stages.iter().map(|stage| &stage.name).collect();
            if locked != dockerfile.images().iter().collect::<Vec<_>>() {
                let message = "assay.lock does not fit the project: the Dockerfile names other images";
                return Err(Failure::new("lock-stale", message).hint("assay lock"));
            }
        }
        match stale.split_first() {
            None => Ok(lock),
            Some((first, others)) => {
                let mut failure = Failure::new("lock-stale", format!("assay.lock does not fit the project: {first}"));
                failure.also = others.iter().map(ToString::to_string).collect();
                Err(failure.hint("assay lock"))
            }
        }
    }

    /// Reads `assay.lock` whether it fits or not; `None` when there is none.
    pub(crate) fn lock_as_it_is(&self) -> Result<Option<Lock>> {
        let path = self.directory.join(build::lock::FILE);
        let Some(bytes) = optional(&path)? else { return Ok(None) };
        Lock::parse(build::lock::FILE, &bytes).map(Some).map_err(|problem| Failure::problems("lock", &[problem]))
    }

    /// The environment of a name.
    pub(crate) fn environment(&self, name: &str) -> Result<&Environment> {
        let name = name.strip_prefix("env:").unwrap_or(name);
        self.spec.environments.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.spec.environments.keys().map(String::as_str).collect();
            Failure::new("no-environment", format!("assay.toml declares no environment `{name}`")).hint(
                if known.is_empty() {
                    format!("add `[environment.{name}]` to assay.toml")
                } else {
                    format!("declared are: {}", known.join(", "))
                },
            )
        })
    }

    /// Imports the source as a tree and says where it stands in version control.
    pub(crate) fn source(&self, home: &Home, inputs: &dyn Inputs) -> Result<Source> {
        let without = [home.root().to_path_buf()];
        let reading = || format!("reading the source in `{}`", self.directory.display());
        let revision = source::revision(&self.directory, &without).context("source", reading())?;
        let entries = source::snapshot(&self.directory, &without).context("source", reading())?;
        let entries = entries.into_iter().map(|entry| TreeEntry {
            path: entry.path,
            source: match entry.kind {
                Kind::File { executable } => TreeSource::File { path: entry.host, executable },
                Kind::Link { target } => TreeSource::Link(target),
            },
        });
        let tree = inputs.import(entries.collect()).context("source", reading())?;
        Ok(Source { tree: tree.digest(), revision })
    }
}

/// Reads the Dockerfile, and refuses what cannot be made again.
fn dockerfile(directory: &Path, settings: &spec::Dockerfile) -> Result<Dockerfile> {
    let path = directory.join(&settings.path);
    let bytes = optional(&path)?.ok_or_else(|| {
        Failure::new("dockerfile", format!("`{}` does not exist", path.display())).hint("say `dockerfile` of [build]")
    })?;
    // As Docker has it: one of the Dockerfile's own before that of the context.
    let own = optional(&directory.join(format!("{}{IGNORE_FILE}", settings.path)))?;
    let ignore = match own {
        Some(own) => own,
        None => optional(&directory.join(IGNORE_FILE))?.unwrap_or_default(),
    };
    Dockerfile::read(settings, &bytes, &ignore).map_err(|problems| Failure::problems("dockerfile", &problems))
}

/// Reads a file that may be absent.
pub(crate) fn optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("read", format!("reading `{}`", path.display())),
    }
}
