//! What every parser here keeps while it reads: findings, names that are safe in a path, addresses, digests.

use std::collections::BTreeMap;

use wire::digest::Digest;
use wire::purl::Purl;

use super::finding::{Finding, PackageProblem, Position, Problem, Reason, Refusal, WeakAlgorithm, shorten};
use super::pin::{Artifact, Origin, Pin};
use super::{Kind, LockFile, LockFileError, Locked, NAME_MAX, PACKAGES_MAX, VERSION_MAX};

/// The longest address.
const URL_MAX: usize = 4096;

/// How many findings a lock file may have: two for each package.
const FINDINGS_MAX: usize = 2 * PACKAGES_MAX;

/// One lock file while it is read.
pub(super) struct Reading<'a> {
    kind: Kind,
    file: &'a str,
    pub(super) packages: Vec<Locked>,
    findings: Vec<Finding>,
}

/// Reads `bytes` with `read`, which returns the format's version, and adds the file's name to what goes wrong.
pub(super) fn read<'a>(
    kind: Kind,
    file: &'a str,
    bytes: &'a [u8],
    read: impl FnOnce(&mut Reading<'a>, &'a str) -> Result<Option<String>, Refusal>,
) -> Result<LockFile, LockFileError> {
    let mut reading = Reading::new(kind, file);
    let format = super::document::text_of(bytes)
        .and_then(|text| read(&mut reading, text))
        .map_err(|refusal| refusal.in_file(file))?;
    reading.finish(format)
}

impl<'a> Reading<'a> {
    pub(super) fn new(kind: Kind, file: &'a str) -> Reading<'a> {
        Reading { kind, file, packages: Vec::new(), findings: Vec::new() }
    }

    /// Goes on with another file that belongs to the same lock; findings are of it from here on.
    pub(super) fn turn_to(&mut self, file: &'a str) {
        self.file = file;
    }

    pub(super) fn finish(self, format: Option<String>) -> Result<LockFile, LockFileError> {
        if self.findings.len() > FINDINGS_MAX {
            // To leave some out could leave out those that count.
            let reason = Reason::TooMany { what: "findings", max: FINDINGS_MAX };
            return Err(Refusal::new(Position::START, reason).in_file(self.file));
        }
        Ok(LockFile { kind: self.kind, format, packages: self.packages, findings: self.findings })
    }

    /// Adds a package and returns its position.
    pub(super) fn push(&mut self, at: Position, package: Locked) -> Result<usize, Refusal> {
        room(self.packages.len(), at)?;
        self.packages.push(package);
        Ok(self.packages.len() - 1)
    }

    pub(super) fn found(&mut self, at: Position, package: &str, problem: Problem) {
        if self.findings.len() > FINDINGS_MAX {
            return;
        }
        let package = Some(package).filter(|name| !name.is_empty()).map(shorten);
        self.findings.push(Finding { kind: self.kind, file: self.file.to_owned(), at, package, problem });
    }

    /// Reads the address of a package: takes out a password, and reports that and the lack of TLS.
    pub(super) fn address(&mut self, at: Position, package: &str, text: &str) -> Result<String, Refusal> {
        let (address, password) = address(text).ok_or_else(|| {
            let expected = "an address `scheme://host/…`";
            Refusal::package(at, package, PackageProblem::Origin { found: shorten(text), expected })
        })?;
        if let Some(host) = password {
            self.found(at, package, Problem::Password { host });
        }
        let scheme = address.split_once("://").map_or("", |(scheme, _)| scheme);
        if matches!(scheme.rsplit('+').next(), Some("http" | "git")) {
            self.found(at, package, Problem::PlainHttp { url: address.clone() });
        }
        Ok(address)
    }

    /// Reports a path that leads out of the project, and returns it.
    pub(super) fn path(&mut self, at: Position, package: &str, text: &str) -> Result<String, Refusal> {
        if text.len() > URL_MAX || text.contains(char::is_control) {
            let expected = "a path";
            return Err(Refusal::package(at, package, PackageProblem::Origin { found: shorten(text), expected }));
        }
        if leads_out(text) {
            self.found(at, package, Problem::Outside { path: shorten(text) });
        }
        Ok(text.trim_start_matches("./").trim_end_matches('/').to_owned())
    }

    /// Reports what keeps a file from being pinned.
    pub(super) fn pins(&mut self, at: Position, package: &str, digests: Digests) -> Vec<Pin> {
        if let Some(problem) = digests.problem() {
            self.found(at, package, problem);
        }
        digests.pins.into_iter().map(Pin::Bytes).collect()
    }
}

/// Refuses a package more than a file may have.
pub(super) fn room(held: usize, at: Position) -> Result<(), Refusal> {
    if held < PACKAGES_MAX {
        return Ok(());
    }
    Err(Refusal::new(at, Reason::TooMany { what: "packages", max: PACKAGES_MAX }))
}

/// How many packages of a lock file may have one name: each is looked at for each dependency on it.
const SAME_NAME_MAX: usize = 1000;

/// Returns the positions of packages by name, to look dependencies up.
pub(super) fn by_name(
    packages: &[Locked],
    name: impl Fn(&Locked) -> String,
) -> Result<BTreeMap<String, Vec<usize>>, Refusal> {
    let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (position, package) in packages.iter().enumerate() {
        let held = by_name.entry(name(package)).or_default();
        held.push(position);
        if held.len() > SAME_NAME_MAX {
            let at = Position { line: package.line, column: 1 };
            let reason = Reason::TooMany { what: "packages of one name", max: SAME_NAME_MAX };
            return Err(Refusal::new(at, reason));
        }
    }
    Ok(by_name)
}

/// Whether a path, seen from the project, ends outside of it.
pub(super) fn leads_out(path: &str) -> bool {
    let windows = path.get(1..3).is_some_and(|rest| rest.starts_with(':')) || path.contains('\\');
    if path.starts_with(['/', '~']) || windows {
        return true;
    }
    let mut depth = 0_usize;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

/// Splits an address into itself without user and password, and the host if there was one.
///
/// The user of an SSH address is no secret (`ssh://git@github.com/…`); anything before a host of other schemes may be
/// a token, so it goes too.
pub(super) fn address(text: &str) -> Option<(String, Option<String>)> {
    if text.len() > URL_MAX || text.contains(|c: char| c.is_control() || c == ' ') {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(letters) {
        return None;
    }
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.is_empty() && !scheme.ends_with("file") {
        return None;
    }
    match authority.rsplit_once('@') {
        Some((user, host)) if !scheme.ends_with("ssh") || user.contains(':') => {
            let kept = match user.split_once(':') {
                Some((user, _)) if scheme.ends_with("ssh") => format!("{user}@{host}"),
                _ => host.to_owned(),
            };
            Some((format!("{scheme}://{kept}{}", &rest[authority.len()..]), Some(shorten(host))))
        }
        _ => Some((text.to_owned(), None)),
    }
}

/// Returns the last part of an address, without query and fragment.
pub(super) fn file_of(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().filter(|file| !file.is_empty()).map(|file| file.replace("%2B", "+").replace("%2b", "+"))
}

/// Whether a version can stand in a path and a URL: no slash, no space, no `..`.
pub(super) fn is_version(version: &str) -> bool {
    let extra = |c: char| matches!(c, '.' | '-' | '+' | '_' | '!' | '~');
    (1..=VERSION_MAX).contains(&version.len())
        && !version.contains("..")
        && version.starts_with(|c: char| c.is_ascii_alphanumeric())
        && version.chars().all(|c| c.is_ascii_alphanumeric() || extra(c))
}

/// Whether each part of a name between slashes can be the name of a directory.
pub(super) fn is_name(name: &str) -> bool {
    let good =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '@' | '+' | '!' | '*' | '\'' | '(' | ')');
    (1..=NAME_MAX).contains(&name.len())
        && name.split('/').all(|part| !matches!(part, "" | "." | "..") && part.chars().all(good))
}

/// The digests that a lock file gives for the bytes of one file.
#[derive(Default)]
pub(super) struct Digests {
    pins: Vec<Digest>,
    weak: Option<WeakAlgorithm>,
    unknown: Option<String>,
}

impl Digests {
    /// Reads `sha256:HEX` or `sha256=HEX`.
    pub(super) fn of_hex(text: &str) -> Result<Digests, PackageProblem> {
        let mut digests = Digests::default();
        let (algorithm, value) = text.split_once([':', '=']).ok_or_else(|| PackageProblem::Digest(shorten(text)))?;
        digests.add(algorithm, value)?;
        Ok(digests)
    }

    /// Adds a digest in hexadecimal.
    pub(super) fn add(&mut self, algorithm: &str, value: &str) -> Result<(), PackageProblem> {
        self.add_with(algorithm, value, || Digest::from_parts(algorithm, value).ok())
    }

    /// Reads Subresource Integrity <https://www.w3.org/TR/sri-2/>: `sha512-BASE64`, several of them divided by spaces.
    pub(super) fn of_sri(text: &str) -> Result<Digests, PackageProblem> {
        let mut digests = Digests::default();
        for one in text.split_ascii_whitespace() {
            let (algorithm, value) = one.split_once('-').ok_or_else(|| PackageProblem::Digest(shorten(one)))?;
            // Options follow a question mark.
            let value = value.split('?').next().unwrap_or_default();
            digests.add_with(algorithm, one, || {
                let bytes = wire::base64::decode(value).ok()?;
                match algorithm {
                    "sha256" => bytes.try_into().ok().map(Digest::Sha256),
                    _ => bytes.try_into().ok().map(Digest::Sha512),
                }
            })?;
        }
        Ok(digests)
    }

    fn add_with(
        &mut self,
        algorithm: &str,
        shown: &str,
        digest: impl FnOnce() -> Option<Digest>,
    ) -> Result<(), PackageProblem> {
        match algorithm {
            "sha256" | "sha512" => {
                let refuse = || PackageProblem::Digest(shorten(shown));
                let digest = digest().ok_or_else(refuse)?;
                // Two digests by one algorithm cannot both be those of one file.
                if self.pins.iter().any(|held| held.algorithm() == algorithm && *held != digest) {
                    return Err(refuse());
                }
                if !self.pins.contains(&digest) {
                    self.pins.push(digest);
                }
            }
            "sha1" => self.weak = Some(WeakAlgorithm::Sha1),
            "md5" => self.weak = self.weak.or(Some(WeakAlgorithm::Md5)),
            other => self.unknown = Some(shorten(other)),
        }
        Ok(())
    }

    /// Whether these are the given ones.
    pub(super) fn are(&self, held: &[Digest]) -> bool {
        self.pins == held
    }

    /// Returns why these pin nothing, if they don't.
    pub(super) fn problem(&self) -> Option<Problem> {
        match (self.pins.is_empty(), &self.unknown, self.weak) {
            (false, ..) => None,
            (true, Some(algorithm), _) => Some(Problem::UnknownDigest { algorithm: algorithm.clone() }),
            (true, None, Some(algorithm)) => Some(Problem::WeakDigest { algorithm }),
            (true, None, None) => Some(Problem::NoDigest),
        }
    }
}

/// Adds to a package URL what says where the bytes are from; `registry` only if it is not the public one.
pub(super) fn purl_of(purl: Purl, origin: &Origin) -> Purl {
    match origin {
        Origin::Registry { registry: Some(registry), .. } => purl.with("repository_url", registry),
        Origin::Registry { registry: None, .. } | Origin::Bundled(_) => purl,
        Origin::Git { url, commit, .. } => {
            let scheme = if url.starts_with("git+") { "" } else { "git+" };
            purl.with("vcs_url", &format!("{scheme}{url}@{commit}"))
        }
        Origin::Url(Artifact { url: Some(url), .. }) => purl.with("download_url", url),
        Origin::Url(Artifact { url: None, .. }) => purl,
        Origin::Path(path) | Origin::Workspace(path) if path.is_empty() => purl.with("download_url", "file://."),
        Origin::Path(path) | Origin::Workspace(path) => purl.with("download_url", &format!("file://./{path}")),
    }
}
