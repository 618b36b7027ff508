//! pip's requirements files, as far as they pin: `name==version --hash=sha256:…`.
//!
//! Specification: pip 25, "Requirements File Format"
//! <https://pip.pypa.io/en/stable/reference/requirements-file-format/>, and "Secure installs"
//! <https://pip.pypa.io/en/stable/topics/secure-installs/>.
//!
//! ```text
//! --index-url https://pypi.org/simple
//! colorama==0.4.6 ; sys_platform == "win32" \
//!     --hash=sha256:08695f5cb7ed6e0531a20572697297273c47b8cae5a63ffc6d6ed5c201be6e44 \
//!     --hash=sha256:4f1d9991f5acc0ca119f9d443620b77f9d6b33703e51011c16baf57afb285fc6
//! ```
//!
//! Each hash is that of another file of the same version (a wheel, a source archive): any one will do, as for pip. What
//! pip would look up elsewhere is reported: other files, indexes, variables of the environment, ranges. Lines are
//! joined and cut as pip does it; what pip takes for the end of a line and editors don't show is refused.

mod lines;

use std::collections::BTreeSet;

use super::finding::{PackageProblem, Position, Problem, Reason, Refusal, shorten};
use super::pin::{Artifact, GitReference, Origin};
use super::python::{Git, alternatives, is_project_name, locked, normalized, version_of_file};
use super::reading::{Reading, file_of, read};
use super::{Kind, LockFile, LockFileError, Locked};
use lines::Token;

/// Parses a requirements file; `file` is its name in messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<LockFile, LockFileError> {
    read(Kind::Requirements, file, bytes, |reading, text| {
        let mut seen = BTreeSet::new();
        lines::each(text, |line| {
            let tokens = line.tokens();
            let Some(first) = tokens.first().copied() else { return Ok(()) };
            if first.text.starts_with('-') {
                return option(reading, &tokens);
            }
            let Some(package) = requirement(reading, first.at, &tokens)? else { return Ok(()) };
            if !seen.insert((normalized(&package.name), package.version.clone(), package.scope.marker.clone())) {
                return Err(Refusal::package(first.at, &package.name, PackageProblem::Twice));
            }
            reading.push(first.at, package).map(|_| ())
        })?;
        Ok(None)
    })
}

/// Options with a value, by both their names.
const WITH_VALUE: &[(&str, &str)] = &[
    ("-r", "--requirement"),
    ("-c", "--constraint"),
    ("-e", "--editable"),
    ("-i", "--index-url"),
    ("", "--pypi-url"),
    ("", "--extra-index-url"),
    ("-f", "--find-links"),
    ("", "--trusted-host"),
    ("", "--no-binary"),
    ("", "--only-binary"),
    ("", "--use-feature"),
    ("-C", "--config-settings"),
];

/// Options that stand alone and leave the pins as they are.
const ALONE: &[&str] =
    &["--no-index", "--pre", "--prefer-binary", "--require-hashes", "--no-build-isolation", "--use-pep517"];

fn option(reading: &mut Reading<'_>, tokens: &[Token<'_>]) -> Result<(), Refusal> {
    let first = tokens[0];
    if ALONE.contains(&first.text) {
        return Ok(());
    }
    let refuse = || Refusal::new(first.at, Reason::Syntax(format!("option `{}` is not known", shorten(first.text))));
    let (name, value) =
        WITH_VALUE.iter().find_map(|&(short, long)| Some((long, value(tokens, short, long)?))).ok_or_else(refuse)?;
    let mut report = |problem| reading.found(first.at, "", problem);
    match name {
        "--requirement" => report(Problem::Includes { path: shorten(value) }),
        "--constraint" => report(Problem::Constrains { path: shorten(value) }),
        "--editable" => editable(reading, first.at, value)?,
        "--index-url" | "--pypi-url" | "--extra-index-url" | "--find-links" => {
            let shown = match value.contains("://") {
                true => reading.address(first.at, "", value)?,
                false => shorten(value),
            };
            reading.found(first.at, "", Problem::Index { option: name, value: shown });
        }
        "--trusted-host" => report(Problem::Index { option: name, value: shorten(value) }),
        _ => {}
    }
    Ok(())
}

/// Returns the value of an option: `-rFILE`, `-r FILE`, `--requirement=FILE` or `--requirement FILE`.
fn value<'a>(tokens: &[Token<'a>], short: &str, long: &str) -> Option<&'a str> {
    let first = tokens[0].text;
    if first == long || first == short {
        return tokens.get(1).map(|token| token.text);
    }
    let joined = first.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
    let glued = || first.strip_prefix(short).filter(|_| !short.is_empty() && !first.starts_with("--"));
    joined.or_else(glued)
}

/// An editable installation is no package of its own: it is a directory of the project, or a clone that can change.
fn editable(reading: &mut Reading<'_>, at: Position, value: &str) -> Result<(), Refusal> {
    if let Some((url, name)) = value.strip_prefix("git+").and_then(|url| url.split_once("#egg=")) {
        let name = name.split(['&', '[']).next().unwrap_or_default();
        let origin = git(reading, at, name, url)?;
        reading.push(at, locked(at, name, "", origin)?)?;
    } else {
        reading.path(at, "", value.split('[').next().unwrap_or_default())?;
    }
    reading.found(at, "", Problem::Editable { wanted: shorten(value) });
    Ok(())
}

/// Reads `name[extras]==version ; marker --hash=…`, or `name @ URL`; `None` if it is reported and no package.
fn requirement(reading: &mut Reading<'_>, at: Position, tokens: &[Token<'_>]) -> Result<Option<Locked>, Refusal> {
    let end = tokens.iter().position(|token| token.text.starts_with('-')).unwrap_or(tokens.len());
    let words: Vec<&str> = tokens[..end].iter().map(|token| token.text).collect();
    let spelled = words.join(" ");
    let hashes = hashes(&tokens[end..])?;
    if spelled.contains("${") {
        reading.found(at, "", Problem::Unpinned { wanted: shorten(&spelled) });
        return Ok(None);
    }
    let (name, rest) = name(&spelled);
    let direct = rest.strip_prefix('@').map(str::trim_start);
    let follows = rest.is_empty() || rest.starts_with(['@', ';', '=', '<', '>', '!', '~', '(']);
    if !is_project_name(name) || !follows {
        return unnamed(reading, at, &spelled);
    }
    // The marker of an address must be set off by a space: a semicolon may stand in it.
    let mark = if direct.is_some() { " ;" } else { ";" };
    let body = direct.unwrap_or(rest);
    let (body, marker) = body.split_once(mark).map_or((body, None), |(body, marker)| (body, Some(marker.trim())));
    let mut package = match direct {
        Some(_) => address(reading, at, name, body.trim(), &hashes)?,
        None => match version(body) {
            Some(version) => {
                let artifacts = alternatives(reading, at, name, hashes.iter().copied())?;
                locked(at, name, version, Origin::Registry { registry: None, artifacts })?
            }
            None => {
                reading.found(at, name, Problem::Unpinned { wanted: shorten(&spelled) });
                return Ok(None);
            }
        },
    };
    package.scope.marker = marker.filter(|marker| !marker.is_empty()).map(str::to_owned);
    Ok(Some(package))
}

fn hashes<'a>(options: &[Token<'a>]) -> Result<Vec<&'a str>, Refusal> {
    let mut hashes = Vec::new();
    let mut options = options.iter();
    while let Some(token) = options.next() {
        let joined = token.text.strip_prefix("--hash=");
        let value = match (joined, token.text) {
            (Some(value), _) => value,
            (None, "--hash") => options.next().map(|token| token.text).unwrap_or_default(),
            (None, text) if text.starts_with("--config-setting") || text.starts_with("--global-option") => continue,
            (None, text) if !text.starts_with('-') => continue,
            (None, text) => {
                let reason = Reason::Syntax(format!("option `{}` is not known", shorten(text)));
                return Err(Refusal::new(token.at, reason));
            }
        };
        if !value.contains(':') {
            return Err(Refusal::new(token.at, Reason::Syntax(format!("`{}` is no hash", shorten(value)))));
        }
        hashes.push(value);
    }
    Ok(hashes)
}

/// Splits off the name and its extras, which need nothing more: what they bring stands in the file as well.
fn name(spelled: &str) -> (&str, &str) {
    let end = spelled.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')));
    let (name, rest) = spelled.split_at(end.unwrap_or(spelled.len()));
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(rest, |(_, rest)| rest.trim_start());
    (name, rest)
}

/// Returns the version if the specifier names exactly one: `==1.0`, `===1.0`, perhaps in parentheses.
fn version(specifier: &str) -> Option<&str> {
    let inner = specifier.trim();
    let inner = inner.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(inner);
    let version = inner.strip_prefix("===").or_else(|| inner.strip_prefix("=="))?.trim();
    (!version.contains([',', '*', ' ', ';'])).then_some(version)
}

/// Reads what is fetched from an address of its own.
fn address(reading: &mut Reading<'_>, at: Position, name: &str, url: &str, hashes: &[&str]) -> Result<Locked, Refusal> {
    if let Some(url) = url.strip_prefix("git+") {
        let origin = git(reading, at, name, url)?;
        return locked(at, name, "", origin);
    }
    let path = url.strip_prefix("file:").or((!url.contains("://")).then_some(url));
    if let Some(path) = path {
        let path = reading.path(at, name, path.strip_prefix("//").unwrap_or(path))?;
        let version = file_of(&path).and_then(|file| version_of_file(&file, name)).unwrap_or_default();
        return locked(at, name, &version, Origin::Path(path));
    }
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    let url = reading.address(at, name, url)?;
    // A digest may stand in the address: `#sha256=HEX`.
    let inside = fragment.split('&').filter(|part| part.starts_with("sha") || part.starts_with("md5"));
    let found: Vec<&str> = inside.chain(hashes.iter().copied()).collect();
    let mut artifacts = alternatives(reading, at, name, found.into_iter())?;
    if artifacts.windows(2).any(|pair| pair[0].pins != pair[1].pins) {
        let problem = PackageProblem::Digest("several digests for one address".to_owned());
        return Err(Refusal::package(at, name, problem));
    }
    let file = file_of(&url);
    let version = file.as_deref().and_then(|file| version_of_file(file, name)).unwrap_or_default();
    let artifact = artifacts.pop().map(|one| Artifact { url: Some(url), file, ..one }).unwrap_or_default();
    locked(at, name, &version, Origin::Url(artifact))
}

/// Reads `https://host/path@REFERENCE#egg=name&subdirectory=DIR`.
fn git(reading: &mut Reading<'_>, at: Position, name: &str, address: &str) -> Result<Origin, Refusal> {
    let (address, fragment) = address.split_once('#').unwrap_or((address, ""));
    let path = address.find("://").map_or(0, |at| at + 3);
    let path = path + address[path..].find('/').unwrap_or(0);
    let (url, reference) = match address[path..].rsplit_once('@') {
        Some((before, reference)) => (&address[..path + before.len()], Some(reference)),
        None => (address, None),
    };
    let subdirectory = fragment.split('&').find_map(|part| part.strip_prefix("subdirectory="));
    Git { url, commit: reference, reference: GitReference::Default, subdirectory }.origin(reading, at, name)
}

/// Reports what has no name: an address or path alone.
fn unnamed(reading: &mut Reading<'_>, at: Position, spelled: &str) -> Result<Option<Locked>, Refusal> {
    if spelled.contains("://") || spelled.starts_with('.') || spelled.contains('/') {
        let shown = super::reading::address(spelled).map_or_else(|| spelled.to_owned(), |(address, _)| address);
        reading.found(at, "", Problem::Unnamed { wanted: shorten(&shown) });
        return Ok(None);
    }
    Err(Refusal::package(at, spelled, PackageProblem::Name))
}

#[cfg(test)]
mod tests;
