//! A tree of files, named by one digest.
//!
//! The digest covers path, type, executable bit, link target and content; never owner, time, other mode bits or where
//! the tree lay. Its manifest is text, version 1: a header, then one JSON array a line, sorted by path bytes:
//!
//! ```text
//! assay tree 1
//! ["d","usr"]
//! ["x","usr/cc","sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",4]
//! ["l","usr/gcc","cc"]
//! ["f","usr/readme","sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",0]
//! ```
//!
//! `f` is a file, `x` an executable file, `l` a symbolic link with its target, `d` a directory. The tree digest is the
//! SHA-256 of the manifest.

use std::collections::BTreeMap;

use wire::digest::Digest;

/// First line of a manifest.
const HEADER: &str = "assay tree 1\n";

/// How many entries a tree may have: a Debian base with toolchain has about 60,000.
pub const ENTRIES_MAX: usize = 2_000_000;

/// The longest path, as Linux has it (PATH_MAX).
pub const PATH_MAX: usize = 4096;

/// Files, links and directories by relative path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File {
        /// Digest of its bytes.
        digest: Digest,
        /// Size in bytes.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// Its target, as it stands in the link.
        target: String,
    },
    /// A directory.
    Directory,
}

/// Why a manifest or a path was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TreeError {
    /// A path that is absolute, empty, too long, or has `.`, `..`, an empty component or a NUL.
    #[error("`{0}` is no path inside a tree")]
    Path(String),
    /// The same path twice.
    #[error("path `{0}` stands twice in the tree")]
    Twice(String),
    /// A file or link where a path needs a directory.
    #[error("`{0}` lies below something that is no directory")]
    NotADirectory(String),
    /// More than [`ENTRIES_MAX`] entries.
    #[error("the tree has more than {ENTRIES_MAX} entries")]
    Entries,
    /// A manifest that does not parse, with its line.
    #[error("line {line} of the tree manifest is malformed")]
    Manifest {
        /// Line number, from 1.
        line: usize,
    },
}

impl Tree {
    /// Adds an entry, and the directories above it.
    pub fn insert(&mut self, path: &str, entry: Entry) -> Result<(), TreeError> {
        check_path(path)?;
        if self.entries.len() >= ENTRIES_MAX {
            return Err(TreeError::Entries);
        }
        for (at, _) in path.match_indices('/') {
            let above = &path[..at];
            match self.entries.get(above) {
                Some(Entry::Directory) => {}
                Some(_) => return Err(TreeError::NotADirectory(path.to_owned())),
                None => {
                    self.entries.insert(above.to_owned(), Entry::Directory);
                }
            }
        }
        match self.entries.get(path) {
            Some(Entry::Directory) if entry == Entry::Directory => Ok(()),
            Some(_) => Err(TreeError::Twice(path.to_owned())),
            None => {
                self.entries.insert(path.to_owned(), entry);
                Ok(())
            }
        }
    }

    /// Returns the entries, sorted by path bytes: a directory before what it holds.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Returns what stands at `path`.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the tree holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the manifest's bytes.
    pub fn manifest(&self) -> Vec<u8> {
        let mut out = HEADER.to_owned();
        for (path, entry) in &self.entries {
            let path = quote(path);
            let line = match entry {
                Entry::File { digest, size, executable } => {
                    format!("[\"{}\",{path},\"{digest}\",{size}]\n", if *executable { 'x' } else { 'f' })
                }
                Entry::Link { target } => format!("[\"l\",{path},{}]\n", quote(target)),
                Entry::Directory => format!("[\"d\",{path}]\n"),
            };
            out.push_str(&line);
        }
        out.into_bytes()
    }

    /// Returns the tree digest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest())
    }

    /// Parses a manifest; only the exact bytes that [`Tree::manifest`] writes are taken.
    pub fn parse(manifest: &[u8]) -> Result<Tree, TreeError> {
        let text = std::str::from_utf8(manifest).map_err(|_| TreeError::Manifest { line: 1 })?;
        let body = text.strip_prefix(HEADER).ok_or(TreeError::Manifest { line: 1 })?;
        let mut tree = Tree::default();
        for (index, line) in body.lines().enumerate() {
            let (path, entry) = parse_line(line).ok_or(TreeError::Manifest { line: index + 2 })?;
            tree.insert(&path, entry)?;
        }
        if tree.manifest() != manifest {
            return Err(TreeError::Manifest { line: 1 });
        }
        Ok(tree)
    }
}

fn check_path(path: &str) -> Result<(), TreeError> {
    let bad = path.len() > PATH_MAX
        || path.contains('\0')
        || path.split('/').any(|part| part.is_empty() || part == "." || part == "..");
    if bad { Err(TreeError::Path(path.chars().take(200).collect())) } else { Ok(()) }
}

/// A JSON string in the form RFC 8785 gives it.
fn quote(text: &str) -> String {
    let bytes = wire::jcs::to_vec(&text);
    String::from_utf8(bytes).expect("canonical JSON is UTF-8")
}

fn parse_line(line: &str) -> Option<(String, Entry)> {
    let fields = wire::jcs::parse_array(line)?;
    let text = |index: usize| fields.get(index).and_then(|field| field.as_str());
    let path = text(1)?.to_owned();
    let entry = match (text(0)?, fields.len()) {
        ("d", 2) => Entry::Directory,
        ("l", 3) => Entry::Link { target: text(2)?.to_owned() },
        (kind @ ("f" | "x"), 4) => {
            Entry::File { digest: text(2)?.parse().ok()?, size: fields[3].as_u64()?, executable: kind == "x" }
        }
        _ => return None,
    };
    Some((path, entry))
}

#[cfg(test)]
mod tests;
