//! Sorting members where that means nothing: no path twice, nothing below a link, hard links after what they name.

use std::collections::BTreeMap;

/// Where a member lies, and what it is.
pub(super) struct Member {
    /// Where its first extension header begins, and where its padded content ends.
    pub(super) start: u64,
    pub(super) end: u64,
    /// The type flag.
    pub(super) kind: u8,
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
}

impl Member {
    /// Its path for people.
    pub(super) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// Hard links to hard links to …: deeper chains are no archive of a packer.
const CHAIN_MAX: usize = 64;

/// Returns the members' positions in their normal order: global headers, then by path, hard links last; or why there is
/// none.
pub(super) fn sorted(members: &[Member]) -> Result<Vec<usize>, String> {
    let leading = members.iter().take_while(|member| member.kind == b'g').count();
    if members[leading..].iter().any(|member| member.kind == b'g') {
        return Err("a global header in the middle counts for what follows it".to_owned());
    }
    if members.get(leading).is_some_and(|first| first.path.ends_with(b".ovf")) {
        return Err(format!("`{}` must stand first in a virtual appliance", members[leading].shown()));
    }
    let mut places = BTreeMap::new();
    for (position, member) in members.iter().enumerate().skip(leading) {
        if whiteout(&member.path) {
            return Err(format!("`{}` removes what was there before it", member.shown()));
        }
        if places.insert(plain(&member.path), position).is_some() {
            return Err(format!("`{}` stands twice, and the later one counts", member.shown()));
        }
    }
    let mut keys = Vec::with_capacity(members.len());
    for (position, member) in members.iter().enumerate().skip(leading) {
        if let Some(above) = below_no_directory(&plain(&member.path), &places, members) {
            return Err(format!("`{}` lies below `{}`, which is no directory", member.shown(), above.shown()));
        }
        keys.push((depth(position, &places, members)?, trimmed(&member.path), position));
    }
    keys.sort();
    Ok((0..leading).chain(keys.into_iter().map(|(_, _, position)| position)).collect())
}

/// How many hard links lead from a member to a file.
fn depth(position: usize, places: &BTreeMap<Vec<u8>, usize>, members: &[Member]) -> Result<usize, String> {
    let mut at = position;
    for depth in 0..CHAIN_MAX {
        if members[at].kind != b'1' {
            return Ok(depth);
        }
        match places.get(&plain(&members[at].link)) {
            Some(&target) if target < at => at = target,
            _ => return Err(format!("`{}` is a hard link to nothing before it", members[at].shown())),
        }
    }
    Err(format!("`{}` is a hard link over {CHAIN_MAX} others", members[position].shown()))
}

fn below_no_directory<'a>(path: &[u8], places: &BTreeMap<Vec<u8>, usize>, members: &'a [Member]) -> Option<&'a Member> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let mut above = slashes.filter_map(|(at, _)| places.get(&path[..at]).map(|&position| &members[position]));
    above.find(|member| member.kind != b'5')
}

/// Container layers delete with entries of such names, and readers differ in what that does to entries beside them.
fn whiteout(path: &[u8]) -> bool {
    trimmed(path).rsplit(|&byte| byte == b'/').next().is_some_and(|name| name.starts_with(b".wh."))
}

fn trimmed(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    &path[..end]
}

/// The path without `.` and empty components, by which two spellings of one path are known.
fn plain(path: &[u8]) -> Vec<u8> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.collect::<Vec<_>>().join(&b'/')
}
