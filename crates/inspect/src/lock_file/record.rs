//! `assay.record`: what the network answered to a command that was recorded, version 1.
//!
//! Specification: `docs/formats/assay.record.md`.
//!
//! ```toml
//! version = 1
//! command = ["mvn", "-B", "package"]
//!
//! [[answer]]
//! url = "https://repo.maven.apache.org/maven2/junit/junit/4.13.2/junit-4.13.2.pom"
//! status = 200
//! digest = "sha256:569b6977ee4603c965c1c46c3058fa6e969291b0160eb6964dd092cd89eadd94"
//! size = 27102
//!
//! [[answer]]
//! url = "https://repo.maven.apache.org/maven2/junit/junit/4.13.2/junit-4.13.2.jar.asc"
//! status = 404
//! ```

use std::collections::BTreeSet;

use wire::digest::Digest;
use wire::purl::Purl;

use super::document::{Map, Node, text_of, toml};
use super::finding::{PackageProblem, Position, Reason, Refusal, shorten};
use super::pin::{Artifact, Origin, Pin};
use super::reading::{file_of, read, room};
use super::{Kind, LockFile, LockFileError, Locked, Scope};

/// The version that is written and read.
pub const VERSION: u32 = 1;

/// Answers to one command, by address and what was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The command that asked.
    pub command: Vec<String>,
    /// What was answered.
    pub answers: Vec<Answer>,
}

/// What was answered to one `GET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    /// The address, with its query.
    pub url: String,
    /// What the client said that it takes (`Accept`), where it was not anything.
    pub accept: Option<String>,
    /// The status.
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// `Content-Type`
    pub media_type: Option<String>,
    /// `Content-Encoding`
    pub encoding: Option<String>,
    /// SHA-256 of the body; `None` for one without a body.
    pub digest: Option<Digest>,
    /// Size of the body.
    pub size: u64,
    /// The line that it stands on, from 1; 0 for one that was not read from a file.
    pub line: usize,
}

/// Parses an `assay.record` as a lock file: each address with a body is a package.
pub fn parse(file: &str, bytes: &[u8]) -> Result<LockFile, LockFileError> {
    read(Kind::Record, file, bytes, |reading, text| {
        let mut seen = BTreeSet::new();
        for answer in record_of(text)?.answers {
            let Some(digest) = answer.digest.filter(|digest| seen.insert((answer.url.clone(), *digest))) else {
                continue;
            };
            let at = Position { line: answer.line, column: 1 };
            let name = file_of(&answer.url).map_or_else(|| "answer".to_owned(), |name| shorten(&name));
            let url = reading.address(at, &name, &answer.url)?;
            let artifact = Artifact { url: Some(url.clone()), pins: vec![Pin::Bytes(digest)], ..Artifact::default() };
            let package = Locked {
                purl: Purl::new("generic", &name, &digest.to_string()).with("download_url", &url),
                name,
                version: String::new(),
                origin: Origin::Url(artifact),
                dependencies: Vec::new(),
                scope: Scope::default(),
                installed: None,
                line: at.line,
            };
            reading.push(at, package)?;
        }
        Ok(Some(VERSION.to_string()))
    })
}

/// Reads an `assay.record` as it is; `file` is its name in messages.
pub fn record(file: &str, bytes: &[u8]) -> Result<Record, LockFileError> {
    text_of(bytes).and_then(record_of).map_err(|refusal: Refusal| refusal.in_file(file))
}

fn record_of(text: &str) -> Result<Record, Refusal> {
    let document = toml(text)?;
    let root = document.map("")?;
    let version = root.get("version").ok_or(Refusal::new(Position::START, Reason::Missing("version")))?;
    let format = version.scalar("version")?;
    if format != VERSION.to_string() {
        return Err(Refusal::new(version.at, Reason::Format { found: shorten(format), known: "1" }));
    }
    let command = root.texts("command")?;
    let mut answers = Vec::new();
    let mut keys = BTreeSet::new();
    for node in root.list("answer")? {
        room(answers.len(), node.at)?;
        let answer = answer(node)?;
        if !keys.insert((answer.url.clone(), answer.accept.clone())) {
            return Err(Refusal::package(node.at, &answer.url, PackageProblem::Twice));
        }
        answers.push(answer);
    }
    Ok(Record { command, answers })
}

fn answer(node: &Node) -> Result<Answer, Refusal> {
    let at = node.at;
    let map = node.map("answer")?;
    let url = map.required("url", at)?;
    let refuse = |problem| Refusal::package(at, url, problem);
    if !is_plain(url) || !(url.starts_with("https://") || url.starts_with("http://")) {
        return Err(refuse(PackageProblem::Origin { found: shorten(url), expected: "an http address" }));
    }
    let status = map.size("status")?.ok_or(Refusal::new(at, Reason::Missing("status")))?;
    let status = u16::try_from(status).ok().filter(|status| (200..500).contains(status));
    let status = status.ok_or_else(|| refuse(PackageProblem::Version("status".to_owned())))?;
    let digest = match map.text("digest")? {
        Some(text) => {
            let parsed = text.parse::<Digest>().ok().filter(|digest| matches!(digest, Digest::Sha256(_)));
            Some(parsed.ok_or_else(|| refuse(PackageProblem::Digest(shorten(text))))?)
        }
        None => None,
    };
    if status == 200 && digest.is_none() {
        return Err(Refusal::new(at, Reason::Missing("digest")));
    }
    Ok(Answer {
        url: url.to_owned(),
        accept: header(map, "accept", at)?,
        status,
        location: header(map, "location", at)?,
        media_type: header(map, "media-type", at)?,
        encoding: header(map, "encoding", at)?,
        digest,
        size: map.size("size")?.unwrap_or(0),
        line: at.line,
    })
}

/// Whether a text can stand in a line of HTTP.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 8192 && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

fn header(map: &Map, key: &'static str, at: Position) -> Result<Option<String>, Refusal> {
    match map.text(key)? {
        Some(text) if is_plain(text) => Ok(Some(text.to_owned())),
        Some(text) => Err(Refusal::new(at, Reason::Syntax(format!("`{key}` is no header: `{}`", shorten(text))))),
        None => Ok(None),
    }
}

impl Record {
    /// Returns the file's text, with the answers by address.
    pub fn to_text(&self) -> String {
        let words: Vec<String> = self.command.iter().map(|word| basic(word)).collect();
        let mut out = format!(
            "# Written by `assay lock --record -- COMMAND`; do not edit. What the network answered to this command.\n\
             version = {VERSION}\ncommand = [{}]\n",
            words.join(", ")
        );
        let mut answers: Vec<&Answer> = self.answers.iter().collect();
        answers.sort();
        for answer in answers {
            out.push_str(&format!("\n[[answer]]\nurl = {}\n", basic(&answer.url)));
            let mut optional = |key: &str, value: &Option<String>| {
                if let Some(value) = value {
                    out.push_str(&format!("{key} = {}\n", basic(value)));
                }
            };
            optional("accept", &answer.accept);
            optional("location", &answer.location);
            optional("media-type", &answer.media_type);
            optional("encoding", &answer.encoding);
            out.push_str(&format!("status = {}\n", answer.status));
            if let Some(digest) = &answer.digest {
                out.push_str(&format!("digest = \"{digest}\"\nsize = {}\n", answer.size));
            }
        }
        out
    }
}

/// A TOML text.
fn basic(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
