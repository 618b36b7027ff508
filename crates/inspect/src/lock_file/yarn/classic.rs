//! The format of yarn 1: blocks of a head with descriptors, and members by indentation.

use std::collections::BTreeMap;

use super::split_name;
use crate::lock_file::Edge;
use crate::lock_file::finding::{PackageProblem, Position, Reason, Refusal, shorten};
use crate::lock_file::javascript::{Subject, is_package_name, locked, origin};
use crate::lock_file::reading::{Digests, Reading, room};

/// One block as it stands.
#[derive(Default)]
struct Block {
    line: usize,
    descriptors: Vec<String>,
    members: BTreeMap<String, String>,
    /// Name and range of each dependency.
    wants: Vec<(String, String)>,
}

pub(super) fn parse(reading: &mut Reading<'_>, text: &str) -> Result<Option<String>, Refusal> {
    let blocks = blocks(text)?;
    let mut positions: BTreeMap<&str, usize> = BTreeMap::new();
    for block in &blocks {
        let at = Position { line: block.line, column: 1 };
        let package = package(reading, at, block)?;
        let position = reading.push(at, package)?;
        for descriptor in &block.descriptors {
            if positions.insert(descriptor, position).is_some() {
                return Err(Refusal::package(at, descriptor, PackageProblem::Twice));
            }
        }
    }
    for (position, block) in blocks.iter().enumerate() {
        // What `resolutions` of a manifest put aside stands nowhere in the file.
        let find = |(name, range): &(String, String)| positions.get(format!("{name}@{range}").as_str()).copied();
        reading.packages[position].dependencies = block.wants.iter().filter_map(find).map(Edge::to).collect();
    }
    Ok(Some("1".to_owned()))
}

fn package(reading: &mut Reading<'_>, at: Position, block: &Block) -> Result<crate::lock_file::Locked, Refusal> {
    let descriptor = block.descriptors.first().map(String::as_str).unwrap_or_default();
    let malformed = || Refusal::package(at, descriptor, PackageProblem::Name);
    let (name, range) = split_name(descriptor).ok_or_else(malformed)?;
    // An alias: `new@npm:old@^1.0.0` is the package `old`.
    let alias = range.strip_prefix("npm:").map(|alias| split_name(alias).map_or(alias, |(name, _)| name));
    let name = alias.filter(|alias| is_package_name(alias)).unwrap_or(name);
    if !is_package_name(name) {
        return Err(malformed());
    }
    let subject = Subject { at, name };
    let member = |key: &str| block.members.get(key).map(String::as_str);
    let version = member("version").ok_or(Refusal::new(at, Reason::Missing("version")))?;
    let mut digests = member("integrity")
        .map(Digests::of_sri)
        .transpose()
        .map_err(|problem| subject.refuse(problem))?
        .unwrap_or_default();
    let path = ["file:", "link:"].iter().any(|scheme| range.starts_with(scheme)).then_some(range);
    let resolved = match member("resolved").or(path) {
        // The fragment is a SHA-1 of the file, or in git's case the commit.
        Some(url) if !url.starts_with("git") && !url.contains(".git#") => {
            let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
            if !fragment.is_empty() {
                digests.add("sha1", fragment).map_err(|problem| subject.refuse(problem))?;
            }
            Some(url)
        }
        resolved => resolved,
    };
    let origin = origin(reading, subject, resolved, digests)?;
    locked(subject, version, origin)
}

/// Reads lines by their indentation: heads at 0, members at 2, members of `dependencies` at 4.
fn blocks(text: &str) -> Result<Vec<Block>, Refusal> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut group: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        let at = Position { line: index + 1, column: indent + 1 };
        let refuse = || Refusal::new(at, Reason::Syntax(format!("`{}` is no line of a yarn.lock", shorten(line))));
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let words = words(content).ok_or_else(refuse)?;
        match (indent, &words[..], blocks.last_mut()) {
            (0, [descriptors @ .., end], _) if end == ":" && !descriptors.is_empty() => {
                room(blocks.len(), at)?;
                let descriptors = descriptors.iter().filter(|word| *word != ",").cloned().collect();
                blocks.push(Block { line: index + 1, descriptors, ..Block::default() });
                group = None;
            }
            (2, [name, end], Some(_)) if end == ":" => group = Some(name.clone()),
            (2, [name, value], Some(block)) => {
                group = None;
                if block.members.insert(name.clone(), value.clone()).is_some() {
                    return Err(Refusal::new(at, Reason::Syntax(format!("key `{}` stands twice", shorten(name)))));
                }
            }
            (4, [name, value], Some(block)) => match group.as_deref() {
                Some("dependencies" | "optionalDependencies") => block.wants.push((name.clone(), value.clone())),
                Some(_) => {}
                None => return Err(refuse()),
            },
            _ => return Err(refuse()),
        }
    }
    Ok(blocks)
}

/// Splits a line into words, quoted or not, and the marks `,` and `:`; `None` if a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let first = match rest.chars().next() {
            None => return Some(words),
            Some(first) => first,
        };
        if first == '"' {
            // A quoted word is a JSON string.
            let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            words.push(stream.next()?.ok()?);
            rest = &rest[stream.byte_offset()..];
        } else if first == ',' || (first == ':' && rest.len() == 1) {
            words.push(first.to_string());
            rest = &rest[1..];
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || c == ',' || c == '"').unwrap_or(rest.len());
            let word = &rest[..end];
            // A colon at the end of the line closes a head; others belong to the word.
            let word = if end == rest.len() {
                word.strip_suffix(':').filter(|word| !word.is_empty()).unwrap_or(word)
            } else {
                word
            };
            words.push(word.to_owned());
            rest = &rest[word.len()..];
        }
    }
}
