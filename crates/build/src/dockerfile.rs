//! Dockerfiles: a parsed file becomes stages of actions, each of which is either done on a tree or run in the sandbox.
//!
//! Specification: "Dockerfile reference" <https://docs.docker.com/reference/dockerfile/>.
//!
//! ```text
//! FROM debian@sha256:… AS builder     root: the tree of that image
//! WORKDIR /src                        a directory is added
//! COPY app.c .                        entries of the source tree are added
//! RUN gcc -static -o /app app.c       root → sandbox → root: what differs is its layer
//! FROM scratch                        root: nothing
//! COPY --from=builder /app /app       entries of a stage's root are added
//! ENTRYPOINT ["/app"]                 configuration of the image
//! ```
//!
//! What cannot be made again from what is pinned is refused with its place, and never done in another way: an image without a
//! digest, a fetch in `RUN`, a secret, a user that the sandbox cannot be. The page `docs/dockerfiles.md` has the whole list.

mod expand;

pub mod layers;

mod pattern;

mod place;

pub mod root;

mod run;

mod translate;

use std::collections::BTreeMap;

use inspect::dockerfile::{BYTES_MAX, DockerfileError};
use serde::Serialize;
use wire::digest::Digest;
use wire::oci_image::Execution;

use crate::lock::Lock;
use crate::problem::Problem;
use crate::spec::Spec;

#[cfg(test)]
mod tests;

/// The version of how a Dockerfile becomes an image; another one may give other bytes.
const TRANSLATION: u32 = 1;

/// The name of a file that says what of the source `COPY` does not see.
pub const IGNORE_FILE: &str = ".dockerignore";

/// What a Dockerfile says, as far as the wanted stage needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Stages in order; the last one is the image.
    pub stages: Vec<Stage>,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// Its name, or `stage-N` counted from 0.
    pub name: String,
    /// What it begins from.
    pub from: From,
    /// What is done, in order.
    pub actions: Vec<Action>,
    /// How to run it as an image.
    pub execution: Execution,
}

/// What a stage begins from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    /// Nothing.
    Scratch,
    /// The root of an earlier stage.
    Stage(String),
    /// An image, by its reference.
    Image(String),
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Makes a directory and those above it, where there is none.
    Directory {
        /// Absolute.
        path: String,
    },
    /// Adds files.
    Copy(Copy),
    /// Runs a command.
    Run(Run),
}

/// `COPY`, or an `ADD` that does no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copy {
    /// The line of the instruction.
    pub line: usize,
    /// Where it takes from.
    pub giver: Giver,
    /// What it takes: relative paths, with patterns.
    pub sources: Vec<String>,
    /// Where it goes: absolute.
    pub to: String,
    /// Whether that is a directory, whatever stands there.
    pub into: bool,
    /// Whether files become executable; as they were where nothing is said.
    pub executable: Option<bool>,
    /// Whether archives would have been unpacked: they are refused.
    pub is_add: bool,
}

/// Where a `COPY` takes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Giver {
    /// The source of the project.
    Context,
    /// The root of an earlier stage.
    Stage(String),
    /// An image, by its reference.
    Image(String),
    /// The instruction itself: here-documents by name.
    Here(BTreeMap<String, String>),
}

/// `RUN`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// `builder:12`: stage and line.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// All variables but those that the sandbox constructs.
    pub variables: BTreeMap<String, String>,
    /// Directories that are empty for this command and leave nothing: caches.
    pub scratch: Vec<String>,
}

/// The machine's architecture, as images name it.
pub fn architecture() -> &'static str {
    run::architecture()
}

/// A Dockerfile of a project, with its text for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    settings: crate::spec::Dockerfile,
    text: String,
    ignore: String,
    parsed: inspect::dockerfile::Dockerfile,
}

impl Source {
    /// Reads a Dockerfile; `ignore` is the text of the `.dockerignore`. All that can be refused without its images is refused now.
    pub fn read(settings: &crate::spec::Dockerfile, bytes: &[u8], ignore: &[u8]) -> Result<Source, Vec<Problem>> {
        let file = settings.path.as_str();
        let whole = |line, message: String| vec![Problem::at_line(file, bytes, line, message, None)];
        let parsed = inspect::dockerfile::parse(file, bytes)
            .map_err(|DockerfileError { line, reason, .. }| whole(line, reason.to_string()))?;
        let text = std::str::from_utf8(bytes).map_err(|_| whole(1, "the file is not UTF-8 text".to_owned()))?;
        if ignore.len() > BYTES_MAX {
            return Err(whole(1, format!("`{IGNORE_FILE}` has more than {BYTES_MAX} bytes")));
        }
        let ignore = String::from_utf8_lossy(ignore).into_owned();
        let source = Source { settings: settings.clone(), text: text.to_owned(), ignore, parsed };
        source.program(&BTreeMap::new())?;
        Ok(source)
    }

    /// Translates the file. `images` says how each image is run, by its reference: of one that is missing nothing is known.
    pub fn program(&self, images: &BTreeMap<String, Execution>) -> Result<Program, Vec<Problem>> {
        translate::program(self, images)
    }

    /// Returns the references of the images that the wanted stage needs, each once, in order.
    pub fn images(&self) -> Vec<String> {
        let program = self.program(&BTreeMap::new()).unwrap_or(Program { stages: Vec::new() });
        let mut images: Vec<String> = Vec::new();
        for stage in &program.stages {
            let from = match &stage.from {
                From::Image(image) => Some(image),
                _ => None,
            };
            let copied = stage.actions.iter().filter_map(|action| match action {
                Action::Copy(Copy { giver: Giver::Image(image), .. }) => Some(image),
                _ => None,
            });
            images.extend(from.into_iter().chain(copied).cloned());
        }
        images.sort();
        images.dedup();
        images
    }

    /// Returns what of the source `COPY` sees.
    pub fn is_in_context(&self, path: &str) -> bool {
        !pattern::Ignore::parse(&self.ignore).leaves_out(path)
    }

    /// Returns the place of a line, for a failure that it is the cause of.
    pub fn problem(&self, line: usize, message: String, allowed: Option<String>) -> Problem {
        Problem::at_line(&self.settings.path, self.text.as_bytes(), line, message, allowed)
    }

    /// Returns the digest of all that decides what is built, before anything is.
    pub fn plan(&self, spec: &Spec, lock: &Lock, source: &model::source::Source) -> Digest {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Canonical<'a> {
            translation: u32,
            dockerfile: Digest,
            ignore: Digest,
            target: Option<&'a str>,
            arguments: &'a BTreeMap<String, String>,
            images: BTreeMap<&'a str, Digest>,
            fetched: Option<Digest>,
            source: Digest,
            epoch: i64,
            tier: &'a str,
            cpus: u32,
            output_format: u32,
        }
        let images = lock.stages.iter().map(|stage| (stage.name.as_str(), stage.base.tree)).collect();
        Digest::of(&wire::jcs::to_vec(&Canonical {
            translation: TRANSLATION,
            dockerfile: Digest::of(self.text.as_bytes()),
            ignore: Digest::of(self.ignore.as_bytes()),
            target: self.settings.target.as_deref(),
            arguments: &self.settings.arguments,
            images,
            fetched: lock.fetched,
            source: source.tree,
            epoch: crate::plan::epoch_unix_s(source),
            tier: spec.build.tier.name(),
            cpus: spec.build.cpus,
            output_format: lock.output_format,
        }))
    }
}
