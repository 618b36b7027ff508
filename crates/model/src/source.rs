//! What is built: a tree of files, and where it stands in version control.

use wire::digest::Digest;

/// The source of a build. Its identity is [`Source::tree`]; the rest says where that tree came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Digest of the [`crate::tree::Tree`] of tracked files and of untracked ones that git does not ignore.
    pub tree: Digest,
    /// What version control says of it; `None` outside a git work tree.
    pub revision: Option<Revision>,
}

/// A git revision, and how the work tree differs from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.
    pub commit: String,
    /// Seconds since the epoch: the committer's time, which becomes `SOURCE_DATE_EPOCH`.
    pub commit_time_unix_s: i64,
    /// `Ada <ada@example.org>`
    pub author: String,
    /// `Ada <ada@example.org>`
    pub committer: String,
    /// First line of the commit message.
    pub summary: String,
    /// The branch's short name; `None` on a detached head.
    pub branch: Option<String>,
    /// The URL of remote `origin`, credentials removed, or `file://` and the path when there is no remote.
    pub repository: String,
    /// Paths (at most 100, sorted) whose bytes differ from the commit; empty means clean.
    pub dirty: Vec<String>,
    /// Who says so: `local-git`, `ci-token` or `forge`.
    pub origin: String,
}
