//! What the lock files of npm, pnpm and yarn have in common: names, addresses of registries, git and paths.

use std::collections::BTreeMap;

use wire::purl::Purl;

use super::finding::{PackageProblem, Position, Problem, Refusal, shorten};
use super::pin::{Artifact, Commit, GitReference, Origin};
use super::reading::{Digests, Reading, is_name, is_version, leads_out, purl_of};
use super::{Locked, Scope};

/// What the members of a workspace ask for: by directory (`.` is the root), the range of each name.
pub type Asked = BTreeMap<String, BTreeMap<String, String>>;

/// The public registry, and yarn's name for it.
const PUBLIC: [&str; 2] = ["https://registry.npmjs.org", "https://registry.yarnpkg.com"];

/// Whether a text is `name` or `@scope/name`.
pub(super) fn is_package_name(name: &str) -> bool {
    let bare = match name.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').map_or("", |(scope, bare)| if scope.is_empty() { "" } else { bare }),
        None => name,
    };
    is_name(name) && !bare.is_empty() && !bare.contains('/') && !bare.starts_with('@')
}

/// Returns the package URL; a scope is its namespace.
pub(super) fn purl(name: &str, version: &str, origin: &Origin) -> Purl {
    let name = name.to_lowercase();
    let mut purl = match name.split_once('/') {
        Some((scope, bare)) => Purl::new("npm", bare, version).in_namespace(scope),
        None => Purl::new("npm", &name, version),
    };
    purl.version = purl.version.filter(|version| !version.is_empty());
    match origin {
        Origin::Registry { registry: Some(registry), .. } if PUBLIC.contains(&registry.as_str()) => purl,
        origin => purl_of(purl, origin),
    }
}

/// Where a package stands in its lock file, for messages.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) at: Position,
    pub(super) name: &'a str,
}

impl Subject<'_> {
    pub(super) fn refuse(&self, problem: PackageProblem) -> Refusal {
        Refusal::package(self.at, self.name, problem)
    }
}

/// Returns a package without dependencies; its name is checked, and its version here.
pub(super) fn locked(subject: Subject<'_>, version: &str, origin: Origin) -> Result<Locked, Refusal> {
    let lacks = version.is_empty() && matches!(origin, Origin::Registry { .. });
    if lacks || !(version.is_empty() || is_version(version)) {
        return Err(subject.refuse(PackageProblem::Version(shorten(version))));
    }
    Ok(Locked {
        name: subject.name.to_owned(),
        version: version.to_owned(),
        purl: purl(subject.name, version, &origin),
        origin,
        dependencies: Vec::new(),
        scope: Scope::default(),
        installed: None,
        line: subject.at.line,
    })
}

/// Reads where a package is from: the address as `resolved` has it, if any, and the digests of its file.
///
/// Without an address it is the configured registry's. A path in the project needs no digest, git has a commit.
pub(super) fn origin(
    reading: &mut Reading<'_>,
    subject: Subject<'_>,
    resolved: Option<&str>,
    digests: Digests,
) -> Result<Origin, Refusal> {
    let Subject { at, name } = subject;
    let Some(resolved) = resolved else {
        let pins = reading.pins(at, name, digests);
        return Ok(Origin::Registry { registry: None, artifacts: vec![Artifact { pins, ..Artifact::default() }] });
    };
    if let Some(path) = ["file:", "link:", "portal:"].iter().find_map(|scheme| resolved.strip_prefix(scheme)) {
        // Some spell it as an address: `file:///srv/x` is absolute, so it must stay so.
        let path = path.strip_prefix("//").unwrap_or(path);
        return Ok(Origin::Path(reading.path(at, name, path)?));
    }
    if let Some(address) = git_address(resolved) {
        return git(reading, subject, &address);
    }
    if !resolved.starts_with("http://") && !resolved.starts_with("https://") {
        let expected = "an `http(s)`, `git` or `file` address";
        return Err(subject.refuse(PackageProblem::Origin { found: shorten(resolved), expected }));
    }
    let url = reading.address(at, name, resolved)?;
    if let (Some((repository, commit)), Some(_)) = (github_archive(&url), digests.problem()) {
        return git_at(reading, subject, repository, commit, None);
    }
    let pins = reading.pins(at, name, digests);
    Ok(match url.split_once("/-/").and_then(|(before, _)| registry_of(before, name)) {
        Some(registry) => {
            let registry = Some(registry.to_owned());
            Origin::Registry { registry, artifacts: vec![Artifact { url: Some(url), pins, ..Artifact::default() }] }
        }
        None => Origin::Url(Artifact { url: Some(url), pins, ..Artifact::default() }),
    })
}

/// Registries keep a package's files below `REGISTRY/NAME/-/`, the slash of a scope perhaps encoded.
fn registry_of<'a>(address: &'a str, name: &str) -> Option<&'a str> {
    let plain = address.strip_suffix(name).or_else(|| address.strip_suffix(name.replace('/', "%2f").as_str()));
    plain.and_then(|registry| registry.strip_suffix('/'))
}

/// Returns the address of a git repository with its fragment, if the text is one; the forges' short forms are written
/// out.
fn git_address(text: &str) -> Option<String> {
    for (short, host) in [("github:", "github.com"), ("gitlab:", "gitlab.com"), ("bitbucket:", "bitbucket.org")] {
        if let Some(path) = text.strip_prefix(short) {
            let (path, fragment) = path.split_once('#').unwrap_or((path, ""));
            return Some(format!("https://{host}/{}.git#{fragment}", path.trim_end_matches(".git")));
        }
    }
    if let Some((user, path)) = text.strip_prefix("git@").and_then(|rest| rest.split_once(':')) {
        return Some(format!("ssh://git@{user}/{path}"));
    }
    let before = text.split('#').next().unwrap_or_default();
    let plain = before.starts_with("git://") || before.starts_with("ssh://");
    let is_git = text.starts_with("git+") || plain || (before.contains("://") && before.ends_with(".git"));
    is_git.then(|| text.strip_prefix("git+").unwrap_or(text).to_owned())
}

/// Returns the address of a git repository as it is fetched: the short forms written out.
pub(super) fn git_url(text: &str) -> String {
    let address = git_address(text).unwrap_or_else(|| text.to_owned());
    address.trim_end_matches('#').to_owned()
}

/// Returns repository and commit of an archive that GitHub makes of a commit. Its bytes are not promised to stay, so
/// the commit is what pins it.
fn github_archive(url: &str) -> Option<(String, &str)> {
    let path = url.strip_prefix("https://codeload.github.com/")?;
    let (repository, commit) = path.split_once("/tar.gz/")?;
    Commit::parse(commit).map(|_| (format!("https://github.com/{repository}.git"), commit))
}

/// Reads `URL#COMMIT`, or yarn's `URL#commit=COMMIT&workspace=NAME`.
fn git(reading: &mut Reading<'_>, subject: Subject<'_>, address: &str) -> Result<Origin, Refusal> {
    let Subject { at, name } = subject;
    let (url, fragment) = address.split_once('#').unwrap_or((address, ""));
    let commit = fragment.split('&').find_map(|part| part.strip_prefix("commit=")).unwrap_or(fragment);
    let url = reading.address(at, name, url)?;
    git_at(reading, subject, url, commit, None)
}

/// Returns a git origin; without a commit that is an origin that nothing pins, and a finding.
pub(super) fn git_at(
    reading: &mut Reading<'_>,
    subject: Subject<'_>,
    url: String,
    commit: &str,
    subdirectory: Option<String>,
) -> Result<Origin, Refusal> {
    if subdirectory.as_deref().is_some_and(leads_out) {
        let expected = "a directory inside the repository";
        let found = shorten(subdirectory.as_deref().unwrap_or_default());
        return Err(subject.refuse(PackageProblem::Origin { found, expected }));
    }
    match Commit::parse(commit) {
        Some(commit) => Ok(Origin::Git { url, reference: GitReference::Default, commit, subdirectory }),
        None => {
            let reference = if commit.is_empty() { "HEAD".to_owned() } else { shorten(commit) };
            let problem = Problem::MutableGit { url: url.clone(), reference };
            reading.found(subject.at, subject.name, problem);
            Ok(Origin::Url(Artifact { url: Some(format!("git+{url}")), ..Artifact::default() }))
        }
    }
}
