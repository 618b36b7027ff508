//! What every command is given: the options, the home, the runtime, progress.

use std::path::PathBuf;

use tokio::runtime::Runtime;

use crate::cli::Global;
use crate::error::{Context as _, Result};
use crate::home::Home;
use crate::report::Progress;

/// The world of one command.
pub(crate) struct Context {
    /// Options of every command.
    pub(crate) global: Global,
    /// Where state lies.
    pub(crate) home: Home,
    /// Runs what is asynchronous.
    pub(crate) runtime: Runtime,
    /// Says what is being done.
    pub(crate) progress: Progress,
}

impl Context {
    /// Prepares the world of a command.
    pub(crate) fn new(global: Global) -> Result<Context> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("runtime", "starting the asynchronous runtime")?;
        let progress = Progress::new(global.quiet || global.json);
        Ok(Context { home: Home::from_environment()?, runtime, progress, global })
    }

    /// The project's directory, absolute.
    pub(crate) fn project(&self) -> Result<PathBuf> {
        self.global
            .project
            .canonicalize()
            .context("project", format!("finding the project `{}`", self.global.project.display()))
            .map_err(|failure| failure.hint("assay --project DIR …"))
    }

    /// The same world with another project.
    pub(crate) fn project_at(&mut self, directory: PathBuf) {
        self.global.project = directory;
    }
}
