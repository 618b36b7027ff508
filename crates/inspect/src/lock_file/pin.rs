//! Where a package's bytes come from, and what pins them.

use std::fmt;

use wire::digest::Digest;

/// Where a package's bytes come from.
///
/// Only what is fetched as a file can have a digest of that file, only git has a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A registry of the ecosystem.
    Registry {
        /// As the file spells it (`registry+https://github.com/rust-lang/crates.io-index`); `None` if the file does
        /// not say which, so that it is the one that the package manager is configured for.
        registry: Option<String>,
        /// The files that the registry has for it. Only descriptions: the package itself is not needed.
        artifacts: Vec<Artifact>,
    },
    /// A commit of a git repository.
    Git {
        /// The repository's URL, without reference and commit.
        url: String,
        /// What the manifest asked for; the commit is what it came to.
        reference: GitReference,
        /// The commit.
        commit: Commit,
        /// The directory of the package inside the repository, if it is not the top.
        subdirectory: Option<String>,
    },
    /// A file at a URL that is no registry's.
    Url(Artifact),
    /// A file or directory named by path, relative to the lock file: part of the source tree.
    Path(String),
    /// A member of the project, by its directory; the project itself is `""`.
    Workspace(String),
    /// Inside the file of the package at this position of the list.
    Bundled(usize),
}

impl Origin {
    /// Whether the bytes must be fetched: they are neither part of the source tree nor of another package.
    pub fn is_fetched(&self) -> bool {
        matches!(self, Origin::Registry { .. } | Origin::Git { .. } | Origin::Url(_))
    }

    /// Whether the lock file settles which bytes these are.
    pub fn is_pinned(&self) -> bool {
        match self {
            Origin::Registry { artifacts, .. } => !artifacts.is_empty() && artifacts.iter().all(Artifact::is_pinned),
            Origin::Url(artifact) => artifact.is_pinned(),
            Origin::Git { .. } | Origin::Path(_) | Origin::Workspace(_) | Origin::Bundled(_) => true,
        }
    }

    /// Returns the files that may be fetched for it; git has none.
    pub fn artifacts(&self) -> &[Artifact] {
        match self {
            Origin::Registry { artifacts, .. } => artifacts,
            Origin::Url(artifact) => std::slice::from_ref(artifact),
            Origin::Git { .. } | Origin::Path(_) | Origin::Workspace(_) | Origin::Bundled(_) => &[],
        }
    }

    /// Returns every SHA-256 and SHA-512 that the file gives for bytes to fetch.
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.artifacts().iter().flat_map(|artifact| &artifact.pins).filter_map(|pin| match pin {
            Pin::Bytes(digest) => Some(digest),
            Pin::GoTree(_) | Pin::GoMod(_) | Pin::YarnZip { .. } => None,
        })
    }
}

/// One file that a package can be fetched as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Artifact {
    /// What it is for.
    pub role: Role,
    /// Its name, where the file has it: `click-8.1.7-py3-none-any.whl`.
    pub file: Option<String>,
    /// Its address, where the file has it; never with a password.
    pub url: Option<String>,
    /// Its size in bytes, where the file has it.
    pub size: Option<u64>,
    /// What its bytes must fulfil, all of it. Empty: nothing pins them, and a finding says so.
    pub pins: Vec<Pin>,
}

impl Artifact {
    /// Returns a file of which only its digest is known.
    pub fn of(digest: Digest) -> Artifact {
        Artifact { pins: vec![Pin::Bytes(digest)], ..Artifact::default() }
    }

    /// Whether its bytes can be told from all others.
    pub fn is_pinned(&self) -> bool {
        self.pins.iter().any(Pin::settles)
    }
}

/// What an artifact is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// The package, in one of its forms (a wheel for one machine, a source archive): any one of these will do. Only
    /// Gradle's modules may need several at once.
    #[default]
    Package,
    /// A description that the package manager reads besides, and must have: `go.mod`, a POM, a Gradle module file.
    Description,
}

/// What bytes must fulfil.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Their digest.
    Bytes(Digest),
    /// Go's `h1:` of a module: SHA-256 over the list of its files' digests, so that it outlives a new packing.
    GoTree(Digest),
    /// Go's `h1:` of a `go.mod`, as if that were the module's only file.
    GoMod(Digest),
    /// SHA-512 of the zip that yarn 2 or newer makes of what it fetched. It holds for yarn's own cache only: yarn's
    /// version and compression level change it, and no registry has a file with it.
    YarnZip {
        /// Yarn's generation and compression level, `10c0`; before yarn 4 it may be absent.
        cache_key: Option<String>,
        /// The zip's digest.
        digest: Digest,
    },
}

impl Pin {
    /// Whether a fetched file can be checked against it without the package manager.
    pub fn settles(&self) -> bool {
        !matches!(self, Pin::YarnZip { .. })
    }
}

/// A git commit: 40 or 64 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Commit(String);

impl Commit {
    /// Reads a commit; `None` if the text is an abbreviation, a branch or a tag.
    pub fn parse(text: &str) -> Option<Commit> {
        let hexadecimal = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (hexadecimal && matches!(text.len(), 40 | 64)).then(|| Commit(text.to_owned()))
    }

    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a manifest asks of a git repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GitReference {
    /// The default branch, or nothing that the lock file repeats.
    #[default]
    Default,
    /// `branch = "…"`
    Branch(String),
    /// `tag = "…"`
    Tag(String),
    /// `rev = "…"`, or any reference of which the file does not say what it is.
    Rev(String),
}
