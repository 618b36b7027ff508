//! The root file system that an image's layers make, put one upon another.
//!
//! Specification: OCI image 1.1, layer changesets
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md>.
//!
//! ```text
//! .wh.NAME in a layer          NAME of the layers below is gone
//! .wh..wh..opq in a directory  all that the layers below had in it is gone
//! ```
//!
//! Only names are handled here: a file is known by its layer and its place in it, and whoever reads the layers keeps the
//! bytes. A directory that is a link in the layers below is followed, inside the root, as containerd and Docker do. Owners,
//! times, attributes, and all mode bits but the executable one are passed over; device files and fifos are counted and
//! left out. Names that are no UTF-8 are refused by the archive's reader.

use std::collections::BTreeMap;
use std::io::Read;

use crate::archive::{self, ArchiveError, Kind, Limits, Member};

/// How many entries the root may have: as many as a tree.
pub const ENTRIES_MAX: usize = model::tree::ENTRIES_MAX;

/// How many links may be followed for one path, as Linux has it.
const HOPS_MAX: usize = 40;

/// What names of deletions begin with.
const WHITEOUT: &str = ".wh.";

/// The name that empties a directory.
const OPAQUE: &str = ".wh..wh..opq";

/// What a layer changes, in its own order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Directories whose former content goes.
    opaque: Vec<String>,
    /// Paths that go.
    gone: Vec<String>,
    /// Paths that come.
    come: Vec<(String, Change)>,
    /// Device files and fifos, which no tree holds.
    dropped: usize,
}

/// What comes to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Node(Node),
    HardLink(String),
}

/// A root file system, or what it is made of so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Root {
    entries: BTreeMap<String, Node>,
    dropped: usize,
}

/// What stands at a path of the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File {
        /// Where its bytes are.
        at: Place,
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

/// Where a file's bytes are: in which layer, and its how manyth file, both from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The layer.
    pub layer: usize,
    /// The file in it.
    pub file: usize,
}

/// Why a layer was refused; whoever reads it knows which one.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// It is no sound tar archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A name that begins with `.wh.` and deletes nothing that could be, or is no empty file.
    #[error("`{0}` is no deletion: those are empty files with a name behind `.wh.`")]
    Whiteout(String),
    /// A directory of a path is a file in the layers below.
    #[error("`{0}` lies below something that is no directory")]
    NotADirectory(String),
    /// More links than Linux follows.
    #[error("`{0}` leads through more than {HOPS_MAX} links")]
    Hops(String),
    /// A hard link to nothing, or to a directory.
    #[error("`{path}` is a hard link to `{target}`, which is no file")]
    HardLink {
        /// Its path.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// More than [`ENTRIES_MAX`] entries.
    #[error("the root would have more than {ENTRIES_MAX} entries")]
    Entries,
}

/// What is done with the bytes of a file.
pub type Keep<'a> = dyn FnMut(Place, &mut dyn Read) -> Result<(), ArchiveError> + 'a;

/// Reads a layer, an uncompressed tar, and gives the bytes of each of its files to `keep`.
pub fn read(tar: &mut dyn Read, layer: usize, keep: &mut Keep<'_>) -> Result<Changes, RootError> {
    let mut changes = Changes::default();
    let mut files = 0;
    let mut odd = None;
    archive::read(tar, &Limits::ROOT_LAYER, &mut |member, content| {
        let (directory, name) = member.path.rsplit_once('/').unwrap_or(("", &member.path));
        let below = |name: &str| if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
        match name.strip_prefix(WHITEOUT) {
            Some(_) if member.kind != (Kind::File { size: 0 }) => odd = odd.take().or(Some(member.path.clone())),
            Some(_) if name == OPAQUE => changes.opaque.push(directory.to_owned()),
            Some(gone) if matches!(gone, "" | "." | "..") || gone.starts_with(WHITEOUT) => {
                odd = odd.take().or(Some(member.path.clone()));
            }
            Some(gone) => changes.gone.push(below(gone)),
            None => {
                let at = Place { layer, file: files };
                files += usize::from(matches!(member.kind, Kind::File { .. }));
                changes.take(member, at);
                if matches!(member.kind, Kind::File { .. }) {
                    keep(at, content)?;
                }
            }
        }
        Ok(())
    })?;
    match odd {
        Some(path) => Err(RootError::Whiteout(path)),
        None => Ok(changes),
    }
}

impl Changes {
    fn take(&mut self, member: &Member, at: Place) {
        let change = match &member.kind {
            Kind::File { .. } => Change::Node(Node::File { at, executable: member.mode & 0o100 != 0 }),
            Kind::Directory if member.path.is_empty() => return,
            Kind::Directory => Change::Node(Node::Directory),
            Kind::Link { target } => Change::Node(Node::Link { target: target.clone() }),
            Kind::HardLink { target } => Change::HardLink(target.clone()),
            Kind::Special { .. } => {
                self.dropped += 1;
                return;
            }
        };
        self.come.push((member.path.clone(), change));
    }
}

impl Root {
    /// Puts a layer upon those before it. Its deletions come first, wherever they stand in it.
    pub fn apply(&mut self, changes: Changes) -> Result<(), RootError> {
        for directory in &changes.opaque {
            if let Some(directory) = self.find(directory)? {
                self.empty(&directory);
            }
        }
        for path in &changes.gone {
            if let Some(path) = self.place(path)? {
                self.remove(&path);
            }
        }
        for (path, change) in changes.come {
            let place = self.make_place(&path)?;
            let node = match change {
                Change::Node(node) => node,
                Change::HardLink(target) => self.linked(&path, &target)?,
            };
            if node == Node::Directory && self.entries.get(&place) == Some(&Node::Directory) {
                continue;
            }
            self.remove(&place);
            self.insert(place, node)?;
        }
        self.dropped += changes.dropped;
        Ok(())
    }

    /// Returns all entries, by path. Every directory above an entry is among them.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.entries.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// Returns what stands at a path, no link followed.
    pub fn entry(&self, path: &str) -> Option<&Node> {
        self.entries.get(path)
    }

    /// Returns what stands at a path, links followed inside the root as one would who has it for `/`.
    pub fn follow(&self, path: &str) -> Option<&Node> {
        let mut path = path.to_owned();
        for _ in 0..HOPS_MAX {
            let place = self.place(&path).ok()??;
            match self.entries.get(&place)? {
                Node::Link { target } if target.starts_with('/') => path = target.clone(),
                Node::Link { target } => path = joined(place.rsplit_once('/').map_or("", |(above, _)| above), target),
                node => return Some(node),
            }
        }
        None
    }

    /// Returns how many device files and fifos the layers have, which are left out.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// The file that a hard link shares.
    fn linked(&self, path: &str, target: &str) -> Result<Node, RootError> {
        let found = self.place(target)?.and_then(|place| self.entries.get(&place));
        match found {
            Some(node @ (Node::File { .. } | Node::Link { .. })) => Ok(node.clone()),
            _ => Err(RootError::HardLink { path: path.to_owned(), target: target.to_owned() }),
        }
    }

    fn insert(&mut self, place: String, node: Node) -> Result<(), RootError> {
        if self.entries.len() >= ENTRIES_MAX {
            return Err(RootError::Entries);
        }
        self.entries.insert(place, node);
        Ok(())
    }

    /// Removes what stands at a path, with all below.
    fn remove(&mut self, path: &str) {
        if self.entries.remove(path) == Some(Node::Directory) {
            self.empty(path);
        }
    }

    /// Removes all below a directory; the empty path is the root.
    fn empty(&mut self, directory: &str) {
        if directory.is_empty() {
            return self.entries.clear();
        }
        let below: Vec<String> = {
            // `0` is the character behind `/`.
            let range = self.entries.range(format!("{directory}/")..format!("{directory}0"));
            range.map(|(path, _)| path.clone()).collect()
        };
        for path in below {
            self.entries.remove(&path);
        }
    }

    /// Resolves the directory of a path; `None` if it is not there.
    fn place(&self, path: &str) -> Result<Option<String>, RootError> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok(self.find(directory)?.map(|directory| joined(&directory, name)))
    }

    /// Resolves a directory, following links inside the root; `None` if it is not there.
    fn find(&self, directory: &str) -> Result<Option<String>, RootError> {
        match self.walk(directory)? {
            (found, missing) if missing.is_empty() => Ok(Some(found)),
            _ => Ok(None),
        }
    }

    /// Resolves the directory of a path, and makes what is missing of it.
    fn make_place(&mut self, path: &str) -> Result<String, RootError> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let (mut place, missing) = self.walk(directory)?;
        for part in missing {
            place = joined(&place, &part);
            self.insert(place.clone(), Node::Directory)?;
        }
        Ok(joined(&place, name))
    }

    /// Follows a directory's path as far as it is there; returns that, and the parts that are missing.
    fn walk(&self, directory: &str) -> Result<(String, Vec<String>), RootError> {
        let mut place = String::new();
        let mut hops = 0;
        let mut left: Vec<&str> = parts(directory);
        while let Some(part) = left.pop() {
            if part == ".." {
                place.truncate(place.rfind('/').unwrap_or(0));
                continue;
            }
            let next = joined(&place, part);
            match self.entries.get(&next) {
                Some(Node::Directory) => place = next,
                Some(Node::File { .. }) => return Err(RootError::NotADirectory(directory.to_owned())),
                Some(Node::Link { target }) => {
                    hops += 1;
                    if hops > HOPS_MAX {
                        return Err(RootError::Hops(directory.to_owned()));
                    }
                    if target.starts_with('/') {
                        place.clear();
                    }
                    left.extend(parts(target));
                }
                None => {
                    left.push(part);
                    let missing = normal(left.into_iter().rev());
                    let missing = missing.ok_or_else(|| RootError::NotADirectory(directory.to_owned()))?;
                    return Ok((place, missing));
                }
            }
        }
        Ok((place, Vec::new()))
    }
}

/// The parts of a path, last first, without those that lead nowhere.
fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).rev().collect()
}

/// Names below a place that is not there: `..` among them leads out of what does not exist, which no kernel follows.
fn normal<'a>(parts: impl Iterator<Item = &'a str>) -> Option<Vec<String>> {
    parts.map(|part| (part != "..").then(|| part.to_owned())).collect()
}

fn joined(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

#[cfg(test)]
mod tests;
