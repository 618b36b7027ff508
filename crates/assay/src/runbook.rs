//! Carrying out a runbook: steps in order, each recorded before the next begins, resumable after any interruption.
//!
//! `journal.json`, version 1, in the service's directory, exists only while a deployment is unfinished:
//!
//! ```json
//! {"version":1,"action":"deploy","artifact":"sha256:…","name":"greeter","previous":null,"verdict":"sha256:…",
//!  "actor":"ada@host","started":"2026-11-22T19:41:00Z","steps":[{"name":"unpack","result":"done","detail":"…","finished":"…"}]}
//! ```
//!
//! A step must be safe to carry out twice: a crash between its effect and its record repeats it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use model::deployment::RunbookStep;
use serde::{Deserialize, Serialize};
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use crate::error::{Context, Failure, Result};

/// An unfinished deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Journal {
    version: u32,
    /// `deploy` or `rollback`.
    pub(crate) action: String,
    /// What is being brought live.
    pub(crate) artifact: Digest,
    /// Its name.
    pub(crate) name: String,
    /// What was live before.
    pub(crate) previous: Option<Digest>,
    /// The verdict statement that let it pass.
    pub(crate) verdict: Digest,
    /// Who asked for it.
    pub(crate) actor: String,
    /// When it began.
    pub(crate) started: Timestamp,
    steps: Vec<Done>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Done {
    name: String,
    result: String,
    detail: String,
    finished: Timestamp,
}

/// One step: its name and what it does. The text it returns is its detail.
pub(crate) struct Step<'a> {
    /// Name, unique within the runbook.
    pub(crate) name: String,
    /// Whether a resumed deployment does it again although it was done: what runs may have ended meanwhile.
    pub(crate) again: bool,
    /// The work.
    pub(crate) work: Box<dyn FnMut() -> Result<String> + 'a>,
}

impl<'a> Step<'a> {
    /// Makes a step.
    pub(crate) fn new(name: &str, work: impl FnMut() -> Result<String> + 'a) -> Step<'a> {
        Step { name: name.to_owned(), again: false, work: Box::new(work) }
    }

    /// Lets a resumed deployment do the step again.
    pub(crate) fn always(mut self) -> Step<'a> {
        self.again = true;
        self
    }
}

/// How carrying out ended.
pub(crate) enum Ended {
    /// Every step is done.
    Finished(Vec<RunbookStep>),
    /// A step failed: all steps so far, the failed one last, and its failure.
    Failed(Vec<RunbookStep>, Failure),
    /// It was stopped on purpose after the named step; the journal stays.
    Stopped,
}

impl Journal {
    /// Begins a journal.
    pub(crate) fn new(
        action: &str,
        (name, artifact): (&str, Digest),
        previous: Option<Digest>,
        verdict: Digest,
        actor: &str,
        started: Timestamp,
    ) -> Journal {
        Journal {
            version: 1,
            action: action.to_owned(),
            artifact,
            name: name.to_owned(),
            previous,
            verdict,
            actor: actor.to_owned(),
            started,
            steps: Vec::new(),
        }
    }

    /// Reads the journal of an unfinished deployment.
    pub(crate) fn read(directory: &Path) -> Result<Option<Journal>> {
        let path = file(directory);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("journal", format!("reading `{}`", path.display())),
        };
        let journal: Journal = serde_json::from_slice(&bytes)
            .context("journal", format!("reading `{}`", path.display()))
            .map_err(|failure| failure.hint(format!("remove `{}` and deploy again", path.display())))?;
        if journal.version != 1 {
            return Err(Failure::new(
                "journal",
                format!("`{}` has unknown version {}", path.display(), journal.version),
            ));
        }
        Ok(Some(journal))
    }

    /// Carries out the steps that are not done yet. `stop_after` names a step after which to stop, for rehearsals.
    pub(crate) fn carry_out(
        &mut self,
        directory: &Path,
        steps: &mut [Step<'_>],
        now: &dyn Fn() -> Timestamp,
        stop_after: Option<&str>,
    ) -> Result<Ended> {
        self.write(directory)?;
        let before = self.steps.len();
        for step in steps {
            let done = self.steps[..before].iter().any(|done| done.name == step.name && done.result == "done");
            if done && !step.again {
                continue;
            }
            let outcome = (step.work)();
            let (result, detail) = match &outcome {
                Ok(detail) => ("done", detail.clone()),
                Err(failure) => ("failed", failure.message.clone()),
            };
            self.steps.push(Done { name: step.name.clone(), result: result.to_owned(), detail, finished: now() });
            if let Err(failure) = outcome {
                return Ok(Ended::Failed(self.recorded(before), failure));
            }
            self.write(directory)?;
            if stop_after == Some(step.name.as_str()) {
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Finished(self.recorded(before)))
    }

    /// The steps that were done before the interruption.
    pub(crate) fn recorded_steps(&self) -> Vec<RunbookStep> {
        self.recorded(self.steps.len())
    }

    /// Ends the journal once the deployment statement is logged.
    pub(crate) fn remove(directory: &Path) -> Result<()> {
        let path = file(directory);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("journal", format!("removing `{}`", path.display()))
            }
            _ => Ok(()),
        }
    }

    fn recorded(&self, before: usize) -> Vec<RunbookStep> {
        let record = |(index, done): (usize, &Done)| RunbookStep {
            name: done.name.clone(),
            result: if index < before { "done before".to_owned() } else { done.result.clone() },
            detail: done.detail.clone(),
            finished: done.finished,
        };
        self.steps.iter().enumerate().map(record).collect()
    }

    fn write(&self, directory: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self).context("journal", "describing the deployment")?;
        durable(&file(directory), &json).context("journal", format!("writing `{}`", file(directory).display()))
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join("journal.json")
}

/// Replaces a small file so that a crash leaves the old one or the new one.
pub(crate) fn durable(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut new = fs::File::create(&temporary)?;
    new.write_all(bytes)?;
    new.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(directory) => fs::File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
