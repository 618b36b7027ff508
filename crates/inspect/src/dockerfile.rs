//! Dockerfiles: their instructions with lines, their stages, the images they take from elsewhere, and what they leave
//! open.
//!
//! Specification: "Dockerfile reference" <https://docs.docker.com/reference/dockerfile/>, and where that is silent
//! BuildKit's parser, `frontend/dockerfile/parser`
//! <https://github.com/moby/buildkit/tree/v0.25.1/frontend/dockerfile/parser>.
//!
//! ```text
//! # syntax=docker/dockerfile:1@sha256:b6afd42430b15f2d2a4c5a02b919e98a525b785b1aaff16747d2f623364e39b6
//! FROM debian:12.6-slim AS build
//! RUN apt-get update \
//!     && apt-get install -y gcc=4:12.2.0-3
//! COPY --from=build /app /app
//! ```
//!
//! Nothing is run and nothing is looked up. [`Dockerfile::images`] and the stages are exact, as far as the file alone
//! can tell. What is said of `RUN` is not: a shell command can hide anything, so a finding is something plainly written,
//! and no finding proves nothing.

mod commands;
mod image;
mod instruction;
mod lines;
mod stages;

use wire::digest::Digest;

pub use crate::lock_file::Position;
pub use image::{Image, Name};
pub use instruction::{Arguments, Flag, Heredoc, Instruction, Keyword};
pub use stages::{Base, Stage};

/// The largest Dockerfile; generated ones have some 100 kB.
pub const BYTES_MAX: usize = 1 << 20;

/// How many instructions a Dockerfile may have.
pub const INSTRUCTIONS_MAX: usize = 10_000;

/// A Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// The image that reads the file, if it asks for one: `# syntax=`.
    pub syntax: Option<Image>,
    /// The character that continues a line: `\`, or `` ` `` by `# escape=`.
    pub escape: char,
    /// The instructions in the file's order.
    pub instructions: Vec<Instruction>,
    /// The stages in the file's order; there is at least one.
    pub stages: Vec<Stage>,
    /// The images that come from elsewhere, each time that one is named: bases, `COPY --from`, mounts, `# syntax`.
    pub images: Vec<Image>,
    /// What it leaves open, in the file's order.
    pub findings: Vec<Finding>,
}

/// Something that a Dockerfile leaves open.
///
/// ```text
/// Dockerfile:3: `apt-get` installs `curl` in whatever version there is
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What it is.
    pub problem: Problem,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.problem)
    }
}

/// What a Dockerfile leaves open.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Problem {
    /// An image without a digest: its tag, or `latest` if it has none, can be moved.
    #[error("image `{image}` is named by a tag, which can be moved")]
    Tag {
        /// The image with its tag.
        image: String,
    },
    /// An image whose tag is `latest`, written or implied.
    #[error("image `{image}` is the latest there is")]
    Latest {
        /// The image as it stands.
        image: String,
    },
    /// An image whose name depends on a build argument that the file gives no value for.
    #[error("image `{image}` depends on a build argument")]
    Argument {
        /// The image as it stands.
        image: String,
    },
    /// A file that is fetched without a digest that it must have.
    #[error("`{url}` is fetched, and no digest says what it must be")]
    Download {
        /// The address, without a password.
        url: String,
    },
    /// A script that is run as it comes from the network.
    #[error("`{url}` is run as it comes from the network")]
    Piped {
        /// The address, without a password.
        url: String,
    },
    /// A clone of a git repository that no commit pins.
    #[error("`{url}` is cloned, and no commit says what it must be")]
    Clone {
        /// The address, without a password.
        url: String,
    },
    /// Packages without an exact version.
    #[error("`{manager}` installs {} in whatever version there is", list(.packages))]
    Packages {
        /// The package manager.
        manager: &'static str,
        /// The packages as they stand.
        packages: Vec<String>,
    },
    /// An upgrade of everything that is installed.
    #[error("`{manager}` brings everything to whatever version there is")]
    Upgrade {
        /// The package manager.
        manager: &'static str,
    },
    /// An installation that may go past the lock file, or without the hashes that it could check.
    #[error("`{command}` does not hold to the lock file")]
    Unlocked {
        /// The command as it should not stand.
        command: &'static str,
        /// The command that holds to it.
        instead: &'static str,
    },
}

impl Problem {
    /// Returns what mends it.
    pub fn hint(&self) -> String {
        match self {
            Problem::Tag { .. } | Problem::Latest { .. } => "add the digest: `NAME:TAG@sha256:…`".to_owned(),
            Problem::Argument { .. } => "give the `ARG` a default with a digest".to_owned(),
            Problem::Download { .. } => {
                "use `ADD --checksum=sha256:… URL PATH`, or check the file with `sha256sum --check`".to_owned()
            }
            Problem::Piped { .. } => "fetch the script to a file, check its digest, and run it then".to_owned(),
            Problem::Clone { .. } => "check the full commit out, or use `ADD URL#COMMIT PATH`".to_owned(),
            Problem::Packages { .. } => "name the exact version of each package".to_owned(),
            Problem::Upgrade { .. } => "take a newer base image by its digest instead".to_owned(),
            Problem::Unlocked { instead, .. } => format!("use `{instead}`"),
        }
    }
}

fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(10).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// Why a Dockerfile was refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{file}:{line}: {reason}")]
pub struct DockerfileError {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// Why.
    pub reason: Reason,
}

/// Why a Dockerfile was refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Reason {
    /// More than [`BYTES_MAX`] bytes.
    #[error("the file has {0} bytes, more than the {BYTES_MAX} allowed")]
    TooLarge(usize),
    /// More than [`INSTRUCTIONS_MAX`] instructions.
    #[error("the file has more instructions than the {INSTRUCTIONS_MAX} allowed")]
    TooMany,
    /// No UTF-8.
    #[error("the file is not UTF-8 text")]
    Encoding,
    /// A parser directive twice, or with a value that it cannot have.
    #[error("`{0}` is no parser directive that can stand here")]
    Directive(String),
    /// A word that is no instruction.
    #[error("`{0}` is no instruction")]
    Keyword(String),
    /// An instruction without what it needs, or with what it cannot have.
    #[error("`{keyword}` cannot have `{found}`: expected {expected}")]
    Arguments {
        /// The instruction.
        keyword: &'static str,
        /// What stands there.
        found: String,
        /// What should.
        expected: &'static str,
    },
    /// A here-document without its last line.
    #[error("the here-document `{0}` has no end")]
    Heredoc(String),
    /// A here-document whose name is no plain word.
    #[error("`{0}` begins a here-document whose name is no plain word")]
    HeredocName(String),
    /// No `FROM`, or something else before the first.
    #[error("a stage begins with `FROM`, and only `ARG` may stand before the first")]
    Stage,
    /// A name of two stages.
    #[error("stage `{0}` stands twice")]
    Twice(String),
}

/// Parses a Dockerfile; `file` is its name in messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Dockerfile, DockerfileError> {
    read(bytes, file).map_err(|(line, reason)| DockerfileError { file: file.to_owned(), line, reason })
}

/// A line and why it was refused, before the file's name is added.
type Refusal = (usize, Reason);

fn read(bytes: &[u8], file: &str) -> Result<Dockerfile, Refusal> {
    if bytes.len() > BYTES_MAX {
        return Err((1, Reason::TooLarge(bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|&&b| b == b'\n').count() + 1;
        (line, Reason::Encoding)
    })?;
    let source = lines::read(text.strip_prefix('\u{feff}').unwrap_or(text))?;
    let instructions = source.lines.iter().map(instruction::of).collect::<Result<Vec<_>, _>>()?;
    let mut images = Vec::new();
    let syntax = source.syntax.map(|(line, text)| Image { line, name: Name::parse(&text) });
    images.extend(syntax.clone());
    let stages = stages::of(&instructions, &mut images)?;
    let mut findings: Vec<(usize, Problem)> =
        images.iter().filter_map(|image| Some((image.line, image.name.problem()?))).collect();
    for instruction in &instructions {
        commands::findings(instruction, source.escape, &mut findings);
    }
    findings.sort_by_key(|(line, _)| *line);
    let findings =
        findings.into_iter().map(|(line, problem)| Finding { file: file.to_owned(), line, problem }).collect();
    Ok(Dockerfile { syntax, escape: source.escape, instructions, stages, images, findings })
}

impl Dockerfile {
    /// Returns the digests of all images, if each has one.
    pub fn pinned(&self) -> Option<Vec<Digest>> {
        self.images.iter().map(|image| image.name.digest()).collect()
    }
}

/// Cuts text from outside to what a message can show.
fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests;
