//! The file system inside, computed: what directory, link, file or mount stands at each place. Listing host directories is passed in.
//!
//! A bound directory is read-only, so nothing can be placed in it afterwards; where a plan wants that, the directory is *opened up*: made
//! anew on the root's tmpfs, with each of its entries bound for itself. A base with its own `/etc` and a plan with `/etc/passwd` meet so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::plan::{Mount, Plan};

#[cfg(test)]
mod tests;

/// Each bind costs three system calls and kernel memory; opening up `/usr/bin` stays below.
const BINDS_MAX: usize = 8192;

/// What stands at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// A directory; with a tmpfs of its own it is writable.
    Directory { tmpfs: Option<Tmpfs>, children: BTreeMap<String, Node> },
    /// A host directory or file, bound read-only.
    Bind { source: PathBuf, is_directory: bool },
    /// A device of the host.
    Device(PathBuf),
    /// A symbolic link.
    Link(String),
    /// A file.
    File { content: String, executable: bool },
    /// Where `/proc` goes.
    Proc,
}

/// A writable tmpfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tmpfs {
    pub(super) size_bytes: u64,
    /// Mode 1777, as `/tmp` has it, instead of 0755.
    pub(super) is_shared: bool,
}

/// What a host directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Directory,
    File,
    Link(String),
    Other,
}

/// Lists a host directory: names with what they are. A path that is a file gives `None`.
pub(super) type List<'a> = dyn Fn(&Path) -> std::io::Result<Option<Vec<(String, Entry)>>> + 'a;

/// Why a plan's mounts do not fit together.
#[derive(Debug, thiserror::Error)]
pub(super) enum LayoutError {
    #[error("`{target}` lies below `{through}`, which is no directory")]
    NotADirectory { target: String, through: String },
    #[error("more than {BINDS_MAX} binds")]
    TooMany,
    #[error("cannot list `{}`: {source}", .path.display())]
    List { path: PathBuf, source: std::io::Error },
}

impl Node {
    pub(super) fn directory() -> Self {
        Self::Directory { tmpfs: None, children: BTreeMap::new() }
    }
}

/// Computes the file system of a plan.
pub(super) fn layout(
    plan: &Plan,
    sources: &BTreeMap<String, PathBuf>,
    system: Vec<(String, Node)>,
    list: &List<'_>,
) -> Result<Node, LayoutError> {
    let mut root = Node::directory();
    for mount in plan.mounts.iter().filter(|mount| mount.target() == "/") {
        match mount {
            Mount::Tree { source, .. } => root = open_up(&source_path(sources, source), list)?,
            // What is in it comes once it is the root.
            Mount::Root { size_bytes, .. } => root = writable(*size_bytes, false),
            _ => {}
        }
    }
    for (target, node) in system {
        insert(&mut root, &target, node, list)?;
    }
    for mount in plan.mounts.iter().filter(|mount| mount.target() != "/") {
        insert(&mut root, mount.target(), node(mount, sources, list)?, list)?;
    }
    for path in plan.steps.iter().map(|step| &step.cwd) {
        ensure_directory(&mut root, path);
    }
    if count_binds(&root) > BINDS_MAX {
        return Err(LayoutError::TooMany);
    }
    Ok(root)
}

fn source_path(sources: &BTreeMap<String, PathBuf>, source: &str) -> PathBuf {
    sources.get(source).cloned().unwrap_or_default()
}

fn node(mount: &Mount, sources: &BTreeMap<String, PathBuf>, list: &List<'_>) -> Result<Node, LayoutError> {
    Ok(match mount {
        Mount::Tree { source, .. } => {
            let source = source_path(sources, source);
            let listed = list(&source).map_err(|error| LayoutError::List { path: source.clone(), source: error })?;
            Node::Bind { source, is_directory: listed.is_some() }
        }
        Mount::File { content, executable, .. } => Node::File { content: content.clone(), executable: *executable },
        Mount::Link { to, .. } => Node::Link(to.clone()),
        Mount::Root { size_bytes, .. } | Mount::Copy { size_bytes, .. } => writable(*size_bytes, false),
        Mount::Scratch { size_bytes, .. } => writable(*size_bytes, true),
    })
}

fn writable(size_bytes: u64, is_shared: bool) -> Node {
    Node::Directory { tmpfs: Some(Tmpfs { size_bytes, is_shared }), children: BTreeMap::new() }
}

/// The devices, `/proc`, and the CPUs as programs see them.
pub(super) fn system_nodes(cpus: u32, cpuinfo: &str) -> Vec<(String, Node)> {
    let mut nodes = vec![("/proc".to_owned(), Node::Proc)];
    for name in ["null", "zero", "full", "random", "urandom"] {
        nodes.push((format!("/dev/{name}"), Node::Device(Path::new("/dev").join(name))));
    }
    for (name, to) in [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        nodes.push((format!("/dev/{name}"), Node::Link(to.to_owned())));
    }
    /// For semaphores and shared memory of tests; a build that needs more says so with a mount of its own.
    const SHARED_MEMORY_BYTES: u64 = 64 << 20;
    nodes.push(("/dev/shm".to_owned(), writable(SHARED_MEMORY_BYTES, true)));
    let range = if cpus == 1 { "0\n".to_owned() } else { format!("0-{}\n", cpus - 1) };
    for name in ["online", "possible", "present"] {
        let file = Node::File { content: range.clone(), executable: false };
        nodes.push((format!("/sys/devices/system/cpu/{name}"), file));
    }
    for cpu in 0..cpus {
        nodes.push((format!("/sys/devices/system/cpu/cpu{cpu}"), Node::directory()));
    }
    nodes.push((CPUINFO.to_owned(), Node::File { content: cpuinfo.to_owned(), executable: false }));
    nodes
}

/// Where the file lies that is bound over `/proc/cpuinfo`.
pub(super) const CPUINFO: &str = "/sys/devices/system/cpu/cpuinfo";

fn insert(root: &mut Node, target: &str, node: Node, list: &List<'_>) -> Result<(), LayoutError> {
    let refuse = |through: &str| LayoutError::NotADirectory { target: target.to_owned(), through: through.to_owned() };
    let names: Vec<&str> = target[1..].split('/').collect();
    let Some((last, above)) = names.split_last() else { return Err(refuse("/")) };
    let mut place = root;
    let mut walked = String::new();
    for name in above {
        place = open_place(place, list)?
            .ok_or_else(|| refuse(&walked))?
            .entry((*name).to_owned())
            .or_insert_with(Node::directory);
        walked.push('/');
        walked.push_str(name);
    }
    let children = open_place(place, list)?.ok_or_else(|| refuse(&walked))?;
    children.insert((*last).to_owned(), node);
    Ok(())
}

/// Returns the children of a place, opening up a bound directory; `None` if it is none.
fn open_place<'a>(place: &'a mut Node, list: &List<'_>) -> Result<Option<&'a mut BTreeMap<String, Node>>, LayoutError> {
    if let Node::Bind { source, is_directory: true } = place {
        *place = open_up(&source.clone(), list)?;
    }
    Ok(match place {
        Node::Directory { children, .. } => Some(children),
        _ => None,
    })
}

fn open_up(source: &Path, list: &List<'_>) -> Result<Node, LayoutError> {
    let listed = list(source).map_err(|error| LayoutError::List { path: source.to_owned(), source: error })?;
    let mut children = BTreeMap::new();
    for (name, entry) in listed.unwrap_or_default() {
        let source = source.join(&name);
        let node = match entry {
            Entry::Directory => Node::Bind { source, is_directory: true },
            Entry::File => Node::Bind { source, is_directory: false },
            Entry::Link(to) => Node::Link(to),
            Entry::Other => continue,
        };
        children.insert(name, node);
    }
    Ok(Node::Directory { tmpfs: None, children })
}

/// Makes a step's working directory where nothing else says what stands there.
fn ensure_directory(root: &mut Node, path: &str) {
    let mut place = root;
    for name in path[1..].split('/').filter(|name| !name.is_empty()) {
        let Node::Directory { children, .. } = place else { return };
        place = children.entry(name.to_owned()).or_insert_with(Node::directory);
    }
}

fn count_binds(node: &Node) -> usize {
    match node {
        Node::Directory { children, .. } => children.values().map(count_binds).sum(),
        Node::Bind { .. } | Node::Device(_) => 1,
        _ => 0,
    }
}
