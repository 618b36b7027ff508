//! A root file system while it is made: what `COPY` adds, what a run changed, and what of it differs from a base.
//!
//! Nothing is written: a root is a list of entries, each with where its bytes lie. Paths lead through the links of the root, as they do
//! for a program inside; no link leads out of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use model::tree::{Entry, Tree, TreeError};
use sandbox::outcome::{Collected, CollectedKind};
use wire::digest::Digest;

use super::pattern::fits;
use super::{Copy, Giver};
use crate::image;
use crate::inputs::{TreeEntry, TreeSource};

/// How many links may be followed for one path, as Linux has it.
const HOPS_MAX: usize = 40;

/// What an archive that `ADD` would unpack begins with, and where.
const ARCHIVES: [(usize, &[u8]); 5] =
    [(0, b"\x1f\x8b"), (0, b"BZh"), (0, b"\xfd7zXZ\0"), (0, b"\x28\xb5\x2f\xfd"), (257, b"ustar")];

/// Directories that anybody may write in, as programs expect them.
const SHARED: [&str; 2] = ["tmp", "var/tmp"];

/// What the sandbox puts there itself.
const SYSTEM: [&str; 3] = ["dev/", "proc/", "sys/"];

/// A root file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Root {
    entries: BTreeMap<String, Node>,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    entry: Entry,
    /// For files.
    bytes: Option<image::Bytes>,
}

/// Why something cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Nothing fits.
    #[error("nothing fits `{0}`")]
    Nothing(String),
    /// Several things for one place.
    #[error("`{pattern}` fits several, and `{to}` is no directory: end it with `/`")]
    Several {
        /// What is copied.
        pattern: String,
        /// Where.
        to: String,
    },
    /// A path through something that is no directory.
    #[error("`/{0}` is no directory")]
    NotADirectory(String),
    /// A directory where a file is to go.
    #[error("`/{0}` is a directory, and a file cannot take its place")]
    Directory(String),
    /// A circle of links.
    #[error("`/{0}` leads through more than {HOPS_MAX} links")]
    Hops(String),
    /// `ADD` of an archive.
    #[error("`{0}` is an archive, which `ADD` would unpack: `COPY` it, and unpack it with `RUN`")]
    Archive(String),
    /// A path that no tree holds.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Bytes that could not be read.
    #[error("reading `{}`", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
}

impl Root {
    /// The root that a tree makes; `place` is where it lies.
    pub fn of_tree(tree: &Tree, place: &Path) -> Root {
        let node = |(path, entry): (&str, &Entry)| {
            let bytes = matches!(entry, Entry::File { .. }).then(|| image::Bytes::File(place.join(path)));
            (path.to_owned(), Node { entry: entry.clone(), bytes })
        };
        Root { entries: tree.entries().map(node).collect() }
    }

    /// Returns the tree that it is.
    pub fn tree(&self) -> Result<Tree, RootError> {
        let mut tree = Tree::default();
        for (path, node) in &self.entries {
            tree.insert(path, node.entry.clone())?;
        }
        Ok(tree)
    }

    /// Returns it for a run: without what the sandbox puts there itself.
    pub fn for_run(&self) -> Vec<TreeEntry> {
        let own = self.entries.iter().filter(|(path, _)| !SYSTEM.iter().any(|system| path.starts_with(system)));
        own.map(|(path, node)| TreeEntry { path: path.clone(), source: source(node) }).collect()
    }

    /// Returns all of it.
    pub fn entries(&self) -> Vec<TreeEntry> {
        self.entries.iter().map(|(path, node)| TreeEntry { path: path.clone(), source: source(node) }).collect()
    }

    /// Makes a directory, and those above it.
    pub fn directory(&mut self, path: &str) -> Result<(), RootError> {
        let path = self.resolve(path.trim_start_matches('/'), true)?;
        self.make_directory(&path)
    }

    /// Does what a `COPY` says. `giver` is what it takes from; `is_seen` leaves out what is ignored.
    pub fn copy(&mut self, copy: &Copy, giver: &Root, is_seen: &dyn Fn(&str) -> bool) -> Result<(), RootError> {
        if let Giver::Here(texts) = &copy.giver {
            return texts.iter().try_for_each(|(name, text)| self.put_here(copy, name, text));
        }
        for pattern in &copy.sources {
            let found = giver.find(pattern, is_seen)?;
            if found.is_empty() {
                return Err(RootError::Nothing(pattern.clone()));
            }
            if found.len() > 1 && !copy.into {
                return Err(RootError::Several { pattern: pattern.clone(), to: copy.to.clone() });
            }
            for path in found {
                self.copy_one(copy, giver, &path, is_seen)?;
            }
        }
        Ok(())
    }

    fn put_here(&mut self, copy: &Copy, name: &str, text: &str) -> Result<(), RootError> {
        let bytes = text.as_bytes().to_vec();
        let executable = copy.executable.unwrap_or(false);
        let entry = Entry::File { digest: Digest::of(&bytes), size: bytes.len() as u64, executable };
        let to = self.destination(copy, name)?;
        self.put(&to, Node { entry, bytes: Some(image::Bytes::Here(bytes)) })
    }

    /// Where something of that name goes.
    fn destination(&self, copy: &Copy, name: &str) -> Result<String, RootError> {
        let to = self.resolve(copy.to.trim_start_matches('/'), true)?;
        let is_directory = to.is_empty() || matches!(self.entries.get(&to), Some(Node { entry: Entry::Directory, .. }));
        Ok(if copy.into || is_directory { joined(&to, name) } else { to })
    }

    fn copy_one(
        &mut self,
        copy: &Copy,
        giver: &Root,
        named: &str,
        is_seen: &dyn Fn(&str) -> bool,
    ) -> Result<(), RootError> {
        let path = giver.resolve(named, true)?;
        match giver.entries.get(&path) {
            Some(node) if node.entry != Entry::Directory => {
                if copy.is_add {
                    refuse_archive(named, node)?;
                }
                let name = named.rsplit('/').next().unwrap_or(named);
                let to = self.destination(copy, name)?;
                self.put(&to, with_mode(node, copy.executable))
            }
            // The root itself, or a directory: what is in it is copied.
            _ => {
                self.directory(&copy.to)?;
                let to = self.resolve(copy.to.trim_start_matches('/'), true)?;
                let inside = if path.is_empty() { String::new() } else { format!("{path}/") };
                for (below, node) in giver.entries.range(inside.clone()..).take_while(|(at, _)| at.starts_with(&inside))
                {
                    if !is_seen(below) {
                        continue;
                    }
                    let at = self.resolve(&joined(&to, &below[inside.len()..]), node.entry == Entry::Directory)?;
                    match node.entry {
                        Entry::Directory => self.make_directory(&at)?,
                        _ => self.put(&at, with_mode(node, copy.executable))?,
                    }
                }
                Ok(())
            }
        }
    }

    /// Returns the paths that fit a pattern, sorted.
    fn find(&self, pattern: &str, is_seen: &dyn Fn(&str) -> bool) -> Result<Vec<String>, RootError> {
        let parts: Vec<&str> = pattern.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let mut found = vec![String::new()];
        for part in parts {
            let mut next = Vec::new();
            for above in &found {
                if !part.contains(['*', '?', '[', '\\']) {
                    next.push(joined(above, part));
                    continue;
                }
                let directory = self.resolve(above, true)?;
                let inside = if directory.is_empty() { String::new() } else { format!("{directory}/") };
                let below = self.entries.range(inside.clone()..).take_while(|(at, _)| at.starts_with(&inside));
                let names = below.map(|(at, _)| &at[inside.len()..]).filter(|name| !name.contains('/'));
                next.extend(names.filter(|name| fits(part, name)).map(|name| joined(above, name)));
            }
            found = next;
        }
        let mut there = Vec::new();
        for path in found {
            let resolved = self.resolve(&path, true)?;
            let is_there = resolved.is_empty() || self.entries.contains_key(&resolved);
            // A directory that is ignored may hold what is not.
            let inside = format!("{path}/");
            let shows = || self.entries.keys().any(|at| at.starts_with(&inside) && is_seen(at));
            if is_there && (path.is_empty() || is_seen(&path) || shows()) {
                there.push(path);
            }
        }
        Ok(there)
    }

    /// Follows the links on the way, and at the end too if `last` says so.
    fn resolve(&self, path: &str, last: bool) -> Result<String, RootError> {
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut done: Vec<String> = Vec::new();
        let mut hops = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                _ => done.push(part),
            }
            let here = done.join("/");
            let Some(Node { entry: Entry::Link { target }, .. }) = self.entries.get(&here) else { continue };
            if todo.is_empty() && !last {
                continue;
            }
            hops += 1;
            if hops > HOPS_MAX {
                return Err(RootError::Hops(path.to_owned()));
            }
            done.pop();
            if target.starts_with('/') {
                done.clear();
            }
            todo.extend(target.split('/').rev().map(str::to_owned));
        }
        Ok(done.join("/"))
    }

    fn make_directory(&mut self, path: &str) -> Result<(), RootError> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends.filter(|end| *end > 0) {
            let directory = Node { entry: Entry::Directory, bytes: None };
            if self.entries.entry(path[..end].to_owned()).or_insert(directory).entry != Entry::Directory {
                return Err(RootError::NotADirectory(path[..end].to_owned()));
            }
        }
        Ok(())
    }

    /// Puts a file or link to a path whose links were followed.
    fn put(&mut self, path: &str, node: Node) -> Result<(), RootError> {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.make_directory(above)?;
        }
        if path.is_empty() || matches!(self.entries.get(path), Some(Node { entry: Entry::Directory, .. })) {
            return Err(RootError::Directory(path.to_owned()));
        }
        self.entries.insert(path.to_owned(), node);
        Ok(())
    }

    fn remove(&mut self, path: &str) {
        let inside = format!("{path}/");
        self.entries.retain(|at, _| at != path && !at.starts_with(&inside));
    }

    /// Takes what a run changed; `place` is where its files were collected.
    pub fn apply(&mut self, collected: &[Collected], place: &Path) -> Result<(), RootError> {
        for one in collected {
            let path = one.path.trim_start_matches('/');
            let (entry, bytes) = match &one.kind {
                CollectedKind::Removed => {
                    self.remove(path);
                    continue;
                }
                CollectedKind::Directory => {
                    if !matches!(self.entries.get(path), Some(Node { entry: Entry::Directory, .. })) {
                        self.remove(path);
                    }
                    self.make_directory(path)?;
                    continue;
                }
                CollectedKind::Link { to } => (Entry::Link { target: to.clone() }, None),
                CollectedKind::File { digest, size, executable } => {
                    let entry = Entry::File { digest: *digest, size: *size, executable: *executable };
                    (entry, Some(image::Bytes::File(place.join(path))))
                }
            };
            self.remove(path);
            self.put(path, Node { entry, bytes })?;
        }
        Ok(())
    }

    /// Returns what a layer must say so that a base becomes this root, in the order of the paths.
    pub fn changes(&self, base: &Root) -> Vec<image::Entry> {
        let differs =
            |path: &&String| base.entries.get(*path).map(|node| &node.entry) != Some(&self.entries[*path].entry);
        let come = self.entries.keys().filter(differs).map(|path| {
            let node = &self.entries[path];
            let content = match (&node.entry, &node.bytes) {
                (Entry::File { executable, .. }, Some(bytes)) => {
                    image::Content::File { bytes: bytes.clone(), executable: *executable }
                }
                (Entry::Link { target }, _) => image::Content::Link { target: target.clone() },
                _ => image::Content::Directory { shared: SHARED.contains(&path.as_str()) },
            };
            image::Entry { path: path.clone(), content }
        });
        let is_directory = |path: &str| matches!(self.entries.get(path), Some(Node { entry: Entry::Directory, .. }));
        let gone = base.entries.keys().filter(|path| !self.entries.contains_key(*path)).filter(|path| {
            // What lies in something that is gone goes with it.
            path.rsplit_once('/').is_none_or(|(above, _)| is_directory(above))
        });
        let gone = gone.map(|path| image::Entry { path: path.clone(), content: image::Content::Gone });
        let mut changes: Vec<image::Entry> = come.chain(gone).collect();
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        changes
    }

    /// Whether a directory stands there.
    pub fn has_directory(&self, path: &str) -> bool {
        matches!(self.entries.get(path), Some(Node { entry: Entry::Directory, .. }))
    }
}

fn joined(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}

fn with_mode(node: &Node, wanted: Option<bool>) -> Node {
    let mut node = node.clone();
    if let (Entry::File { executable, .. }, Some(wanted)) = (&mut node.entry, wanted) {
        *executable = wanted;
    }
    node
}

fn source(node: &Node) -> TreeSource {
    match (&node.entry, &node.bytes) {
        (Entry::File { executable, .. }, Some(image::Bytes::File(path))) => {
            TreeSource::File { path: path.clone(), executable: *executable }
        }
        (Entry::File { executable, .. }, Some(image::Bytes::Here(bytes))) => {
            TreeSource::Bytes { bytes: bytes.clone(), executable: *executable }
        }
        (Entry::Link { target }, _) => TreeSource::Link(target.clone()),
        _ => TreeSource::Directory,
    }
}

fn refuse_archive(name: &str, node: &Node) -> Result<(), RootError> {
    let Some(image::Bytes::File(path)) = &node.bytes else { return Ok(()) };
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(512).read_to_end(&mut head));
    read.map_err(|error| RootError::Read(path.clone(), error))?;
    let begins = |(at, magic): &(usize, &[u8])| head.get(*at..).is_some_and(|rest| rest.starts_with(magic));
    if ARCHIVES.iter().any(begins) { Err(RootError::Archive(name.to_owned())) } else { Ok(()) }
}
