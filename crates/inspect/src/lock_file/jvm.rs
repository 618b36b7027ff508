//! What Gradle's and Maven's lock files have in common: coordinates.

use wire::purl::Purl;

use super::finding::{PackageProblem, Position, Problem, Refusal, shorten};
use super::pin::Origin;
use super::reading::{Reading, is_name, is_version, purl_of};
use super::{Locked, Scope};

/// Group, artifact and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Coordinates<'a> {
    pub(super) group: &'a str,
    pub(super) artifact: &'a str,
    pub(super) version: &'a str,
}

impl<'a> Coordinates<'a> {
    /// Checks that each can be part of a path: `GROUP/AS/PATH/ARTIFACT/VERSION/ARTIFACT-VERSION.jar`.
    pub(super) fn checked(
        at: Position,
        group: &'a str,
        artifact: &'a str,
        version: &'a str,
    ) -> Result<Coordinates<'a>, Refusal> {
        let plain = |text: &str| {
            let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
            is_name(text) && text.bytes().all(good) && !text.contains("..")
        };
        let coordinates = Coordinates { group, artifact, version };
        if !plain(group) || !plain(artifact) {
            return Err(Refusal::package(at, &coordinates.name(), PackageProblem::Name));
        }
        if !is_version(version) {
            return Err(Refusal::package(at, &coordinates.name(), PackageProblem::Version(shorten(version))));
        }
        Ok(coordinates)
    }

    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.group, self.artifact)
    }

    /// Returns the package; a snapshot is reported, as a repository replaces its files.
    pub(super) fn locked(&self, reading: &mut Reading<'_>, at: Position, origin: Origin) -> Locked {
        if self.version.ends_with("-SNAPSHOT") {
            reading.found(at, &self.name(), Problem::Snapshot { version: shorten(self.version) });
        }
        let purl = Purl::new("maven", self.artifact, self.version).in_namespace(self.group);
        Locked {
            name: self.name(),
            version: self.version.to_owned(),
            purl: purl_of(purl, &origin),
            origin,
            dependencies: Vec::new(),
            scope: Scope::default(),
            installed: None,
            line: at.line,
        }
    }
}
