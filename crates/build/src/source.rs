//! What is built: the project's files, and what git says of them.
//!
//! The source of a build is what git tracks and what it does not ignore, as it lies in the work tree. Facts come from
//! the `git` command (2.30 or newer) with a pinned environment, for the repository may belong to somebody else: no
//! configuration of user or system, no hooks, no filters, no file system monitor, no prompt, no network. Whether a file
//! differs from the commit is found by hashing its bytes, not from git's index, which can be told to look away.
//!
//! Submodules and repositories inside the work tree are refused: their commits would stand nowhere.

mod git;

mod changes;

mod walk;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use model::source::Revision;

use git::Repository;

/// How many files a source may have; the Linux kernel has 90,000.
pub const FILES_MAX: usize = 1_000_000;

/// How many changed paths a revision lists.
pub const DIRTY_MAX: usize = 100;

/// A file or link of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path relative to the project's directory.
    pub path: String,
    /// Where its bytes are.
    pub host: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link, kept as one.
    Link {
        /// Its target as it stands.
        target: String,
    },
}

/// Why the source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file or directory could not be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The `git` command could not be started, though the project is in a git repository.
    #[error("starting `git`, which must be installed as `{}` is in a git repository", directory.display())]
    GitMissing {
        /// The project's directory.
        directory: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A git command failed.
    #[error("`git {command}` failed in `{}`: {message}", directory.display())]
    Git {
        /// Its arguments.
        command: String,
        /// The project's directory.
        directory: PathBuf,
        /// What it wrote to standard error, shortened.
        message: String,
    },
    /// A git command printed what we cannot read, or more than we take.
    #[error("`git {command}` printed what is not understood in `{}`", directory.display())]
    GitOutput {
        /// Its arguments.
        command: String,
        /// The project's directory.
        directory: PathBuf,
    },
    /// A path that is no UTF-8, or holds a line break or another control character.
    #[error("path {path:?} is not plain UTF-8 text: rename it")]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// A submodule, or a git repository inside the work tree.
    #[error(
        "`{path}` is a git repository of its own (a submodule or a clone), which a source cannot hold: \
             copy its files in, or have git ignore it"
    )]
    Nested {
        /// Its path relative to the project's directory.
        path: String,
    },
    /// A device file, socket or fifo.
    #[error("`{path}` is neither file nor link nor directory: remove it or have git ignore it")]
    Special {
        /// Its path relative to the project's directory.
        path: String,
    },
    /// More than [`FILES_MAX`] files.
    #[error("`{}` has more than {FILES_MAX} files", directory.display())]
    TooMany {
        /// The project's directory.
        directory: PathBuf,
    },
    /// No file at all.
    #[error("`{}` holds no files", directory.display())]
    Empty {
        /// The project's directory.
        directory: PathBuf,
    },
}

/// Returns what git says of `directory`; `None` outside a work tree, in one that has no commit yet, and where git
/// ignores the directory itself.
///
/// Changes below the paths of `without` (absolute) are not looked at: assay's own home may lie inside the project.
pub fn revision(directory: &Path, without: &[PathBuf]) -> Result<Option<Revision>, SourceError> {
    let Some(repository) = Repository::around(directory)? else { return Ok(None) };
    let Some(commit) = repository.commit()? else { return Ok(None) };
    let mut dirty = changes::changed(&repository)?;
    let outside = Outside::new(directory, without)?;
    dirty.retain(|path| !outside.holds(path));
    Ok(Some(Revision {
        commit_time_unix_s: commit.time_unix_s,
        author: commit.author,
        committer: commit.committer,
        summary: commit.summary,
        commit: commit.id,
        branch: repository.branch()?,
        repository: repository.url()?,
        dirty: dirty.into_iter().take(DIRTY_MAX).collect(),
        origin: "local-git".to_owned(),
    }))
}

/// Returns the relative paths of the source's files and links, sorted by bytes.
///
/// In a git work tree: what is tracked and still there, and what is neither tracked nor ignored. Elsewhere: everything
/// but version control's own directories (`.git`, `.hg`, `.svn`, `.jj`), `target` beside a `Cargo.toml` and
/// `node_modules` beside a `package.json`. Empty directories are no part of a source.
pub fn files(directory: &Path, without: &[PathBuf]) -> Result<Vec<String>, SourceError> {
    let mut paths = match Repository::around(directory)? {
        Some(repository) => repository.files()?,
        None => walk::files(directory)?,
    };
    let outside = Outside::new(directory, without)?;
    paths.retain(|path| !outside.holds(path));
    if paths.len() > FILES_MAX {
        return Err(SourceError::TooMany { directory: directory.to_owned() });
    }
    Ok(paths)
}

/// Returns the source's files and links with where they lie and what they are, sorted: ready to be imported as a tree.
pub fn snapshot(directory: &Path, without: &[PathBuf]) -> Result<Vec<Entry>, SourceError> {
    let mut entries = Vec::new();
    for path in files(directory, without)? {
        let host = directory.join(&path);
        let kind = kind(&path, &host)?;
        entries.push(Entry { path, host, kind });
    }
    if entries.is_empty() {
        return Err(SourceError::Empty { directory: directory.to_owned() });
    }
    Ok(entries)
}

/// Places inside the project that are no part of it, relative to its directory.
struct Outside(Vec<PathBuf>);

impl Outside {
    /// Links on the way are resolved, where the places exist.
    fn new(directory: &Path, without: &[PathBuf]) -> Result<Outside, SourceError> {
        let read = |cause| SourceError::Read { path: directory.to_owned(), cause };
        let directory = directory.canonicalize().map_err(read)?;
        let resolved = without.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone()));
        Ok(Outside(resolved.filter_map(|path| Some(path.strip_prefix(&directory).ok()?.to_owned())).collect()))
    }

    fn holds(&self, path: &str) -> bool {
        self.0.iter().any(|place| Path::new(path).starts_with(place))
    }
}

fn kind(path: &str, host: &Path) -> Result<Kind, SourceError> {
    let read = |cause| SourceError::Read { path: host.to_owned(), cause };
    let metadata = host.symlink_metadata().map_err(read)?;
    if metadata.is_file() {
        Ok(Kind::File { executable: metadata.permissions().mode() & 0o100 != 0 })
    } else if metadata.is_symlink() {
        let target = host.read_link().map_err(read)?;
        let target = target.into_os_string().into_string().map_err(|raw| SourceError::Path { path: raw.into() })?;
        Ok(Kind::Link { target })
    } else if metadata.is_dir() {
        Err(SourceError::Nested { path: path.to_owned() })
    } else {
        Err(SourceError::Special { path: path.to_owned() })
    }
}

/// Returns the path as text, if it is fit to stand in a manifest and in a line of git's input.
fn plain(path: &[u8]) -> Result<String, SourceError> {
    use std::os::unix::ffi::OsStrExt;
    let refuse = || SourceError::Path { path: std::ffi::OsStr::from_bytes(path).into() };
    let text = std::str::from_utf8(path).map_err(|_| refuse())?;
    if text.is_empty() || text.contains(char::is_control) { Err(refuse()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
pub(crate) mod scratch;

#[cfg(test)]
mod tests;
