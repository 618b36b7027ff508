//! What Python's lock files have in common: names, versions in file names, git, digests.

use wire::purl::Purl;

use super::finding::{PackageProblem, Position, Problem, Refusal, shorten};
use super::pin::{Artifact, Commit, GitReference, Origin};
use super::reading::{Digests, Reading, is_version, leads_out, purl_of};
use super::{Locked, Scope};

/// The public index, with and without what tools add to it.
const PUBLIC: [&str; 3] = ["https://pypi.org/simple", "https://pypi.org/simple/", "https://pypi.org"];

/// Whether a text is a project's name: PEP 508 <https://peps.python.org/pep-0508/#names>.
pub(super) fn is_project_name(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.len() <= super::NAME_MAX
        && edge(name.chars().next())
        && edge(name.chars().last())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Returns the one spelling of a name: PEP 503 <https://peps.python.org/pep-0503/#normalized-names>.
pub fn normalized(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '.' | '_' | '-' if out.ends_with('-') => {}
            '.' | '_' | '-' => out.push('-'),
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

/// Returns a package that is found at one place; its name and version are checked.
pub(super) fn locked(at: Position, name: &str, version: &str, origin: Origin) -> Result<Locked, Refusal> {
    if !is_project_name(name) {
        return Err(Refusal::package(at, name, PackageProblem::Name));
    }
    let may_lack = !matches!(origin, Origin::Registry { .. });
    if !(is_version(version) || version.is_empty() && may_lack) {
        return Err(Refusal::package(at, name, PackageProblem::Version(shorten(version))));
    }
    let mut purl = Purl::new("pypi", &normalized(name), version);
    purl.version = purl.version.filter(|version| !version.is_empty());
    let purl = match &origin {
        Origin::Registry { registry: Some(registry), .. } if PUBLIC.contains(&registry.as_str()) => purl,
        origin => purl_of(purl, origin),
    };
    Ok(Locked {
        name: name.to_owned(),
        version: version.to_owned(),
        purl,
        origin,
        dependencies: Vec::new(),
        scope: Scope::default(),
        installed: None,
        line: at.line,
    })
}

/// Keeps of a package's alternative files those that are pinned; reports it if there is none.
///
/// A file whose only digest is weak or unknown is left out as long as another has a good one: any one will do.
pub(super) fn pinned(
    reading: &mut Reading<'_>,
    at: Position,
    name: &str,
    files: Vec<(Artifact, Digests)>,
) -> Vec<Artifact> {
    let mut problem = None;
    let mut artifacts = Vec::with_capacity(files.len());
    for (artifact, digests) in files {
        match digests.problem() {
            Some(why) => problem = Some((why, artifact)),
            None => artifacts.push(Artifact { pins: reading.pins(at, name, digests), ..artifact }),
        }
    }
    if artifacts.is_empty() {
        let (problem, artifact) = problem.unwrap_or((Problem::NoDigest, Artifact::default()));
        reading.found(at, name, problem);
        artifacts.push(artifact);
    }
    artifacts
}

/// Returns the version in the name of a wheel or source archive, if it is one of that package's.
pub(super) fn version_of_file(file: &str, name: &str) -> Option<String> {
    let stem = [".tar.gz", ".zip", ".tar.bz2", ".tar.xz"].iter().find_map(|end| file.strip_suffix(end));
    let version = match file.strip_suffix(".whl") {
        Some(wheel) => {
            let (held, rest) = wheel.split_once('-')?;
            let version = rest.split('-').next()?;
            (normalized(held) == normalized(name)).then_some(version)
        }
        None => {
            let (held, version) = stem?.rsplit_once('-')?;
            (normalized(held) == normalized(name)).then_some(version)
        }
    }?;
    is_version(version).then(|| version.to_owned())
}

/// A git repository as a Python tool names it.
pub(super) struct Git<'a> {
    pub(super) url: &'a str,
    pub(super) commit: Option<&'a str>,
    pub(super) reference: GitReference,
    pub(super) subdirectory: Option<&'a str>,
}

impl Git<'_> {
    /// Returns the origin; without a commit that is an origin that nothing pins, and a finding.
    pub(super) fn origin(self, reading: &mut Reading<'_>, at: Position, name: &str) -> Result<Origin, Refusal> {
        let subdirectory = self.subdirectory.filter(|path| !path.is_empty()).map(str::to_owned);
        if let Some(path) = subdirectory.as_deref().filter(|path| leads_out(path)) {
            let expected = "a directory inside the repository";
            return Err(Refusal::package(at, name, PackageProblem::Origin { found: shorten(path), expected }));
        }
        let url = reading.address(at, name, self.url.strip_prefix("git+").unwrap_or(self.url))?;
        match self.commit.and_then(Commit::parse) {
            Some(commit) => Ok(Origin::Git { url, reference: self.reference, commit, subdirectory }),
            None => {
                let asked = match &self.reference {
                    GitReference::Branch(name) | GitReference::Tag(name) | GitReference::Rev(name) => {
                        Some(name.as_str())
                    }
                    GitReference::Default => None,
                };
                let reference = self.commit.filter(|text| !text.is_empty()).or(asked).unwrap_or("HEAD");
                reading.found(at, name, Problem::MutableGit { url: url.clone(), reference: shorten(reference) });
                Ok(Origin::Url(Artifact { url: Some(format!("git+{url}")), ..Artifact::default() }))
            }
        }
    }
}

/// Reads digests of several alternative files, `sha256:HEX` each, of which no name is known.
pub(super) fn alternatives<'a>(
    reading: &mut Reading<'_>,
    at: Position,
    name: &str,
    hashes: impl Iterator<Item = &'a str>,
) -> Result<Vec<Artifact>, Refusal> {
    let mut files = Vec::new();
    for hash in hashes {
        let digests = Digests::of_hex(hash).map_err(|problem| Refusal::package(at, name, problem))?;
        files.push((Artifact::default(), digests));
    }
    Ok(pinned(reading, at, name, files))
}
