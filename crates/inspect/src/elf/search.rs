//! Paths inside a tree, as a kernel and a loader would walk them.

use std::collections::BTreeSet;

use model::tree::{Entry, Tree};

/// How many links one path may lead over, as Linux has it.
const LINKS_MAX: usize = 40;

/// How many configuration files may include each other.
const INCLUDES_MAX: usize = 100;

/// The largest configuration file of the loader: they hold a few lines.
const CONFIGURATION_MAX: u64 = 1 << 20;

/// What a path led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The path of the file itself.
    pub(super) file: String,
    /// Links on the way.
    pub(super) links: Vec<String>,
}

/// Follows `path` (absolute or relative to the root) to a file; `None` if it leads to none.
pub(super) fn follow(tree: &Tree, path: &str) -> Option<Found> {
    let mut todo: Vec<String> = components(path);
    let mut at: Vec<String> = Vec::new();
    let mut links = Vec::new();
    while let Some(part) = todo.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                at.pop();
                continue;
            }
            _ => at.push(part),
        }
        let here = at.join("/");
        match tree.entry(&here)? {
            Entry::Directory => {}
            Entry::File { .. } if todo.is_empty() => return Some(Found { file: here, links }),
            Entry::File { .. } => return None,
            Entry::Link { target } => {
                if links.len() >= LINKS_MAX {
                    return None;
                }
                links.push(here);
                at.pop();
                if target.starts_with('/') {
                    at.clear();
                }
                todo.extend(components(target));
            }
        }
    }
    None
}

/// The parts of a path, last first, so that the next one can be popped.
fn components(path: &str) -> Vec<String> {
    path.split('/').rev().map(str::to_owned).collect()
}

/// Returns the directories that `/etc/ld.so.conf` of the tree names, in order.
///
/// `read` yields a file's bytes; what cannot be read names nothing.
pub(super) fn configured(tree: &Tree, read: &mut dyn FnMut(&str) -> Option<Vec<u8>>) -> Vec<String> {
    let mut todo = vec!["etc/ld.so.conf".to_owned()];
    let mut seen = BTreeSet::new();
    let mut directories = Vec::new();
    while let Some(path) = todo.pop() {
        if seen.len() >= INCLUDES_MAX || !seen.insert(path.clone()) {
            continue;
        }
        let Some(found) = follow(tree, &path) else { continue };
        let small = matches!(tree.entry(&found.file), Some(Entry::File { size, .. }) if *size <= CONFIGURATION_MAX);
        let Some(bytes) = small.then(|| read(&found.file)).flatten() else { continue };
        let mut included = Vec::new();
        for line in String::from_utf8_lossy(&bytes).lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            match line.strip_prefix("include") {
                Some(pattern) if pattern.starts_with(char::is_whitespace) => {
                    included.extend(matching(tree, pattern.trim()));
                }
                _ if line.starts_with('/') => directories.push(line.trim_end_matches('/').to_owned()),
                _ => {}
            }
        }
        todo.extend(included.into_iter().rev());
    }
    directories
}

/// Returns the paths of the tree that fit a pattern with `*` in its last part, sorted.
fn matching(tree: &Tree, pattern: &str) -> Vec<String> {
    let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
    let (directory, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    let Some((before, after)) = name.split_once('*') else { return vec![pattern.to_owned()] };
    let fits = |path: &str| match path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/')) {
        Some(rest) => {
            rest.len() >= before.len() + after.len()
                && !rest.contains('/')
                && rest.starts_with(before)
                && rest.ends_with(after)
        }
        None => false,
    };
    tree.entries().map(|(path, _)| path).filter(|path| fits(path)).map(str::to_owned).collect()
}
