//! Tar: times not later than the epoch, owner 0:0 without names, sorted where the order has no meaning.
//!
//! Formats: POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax Interchange Format"
//! <https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html>, and GNU tar's
//! <https://www.gnu.org/software/tar/manual/html_node/Standard.html>.
//!
//! Own code, since the `tar` crate gives a header's meaning and this must keep a header's bytes: two passes over the
//! archive, the first of which notes where each member lies, the second of which copies members and edits fields in
//! place. Memory grows with the number of members only, not with their sizes.

mod header;
mod order;
mod pax;

use std::io::{Read as _, SeekFrom, Write};

use header::{Block, Field};
use order::Member;

use super::{NormaliseError, Report, Settings, Source, copy};

const BLOCK: u64 = 512;

/// Archives are padded to this, as GNU tar and BSD tar do by default.
const RECORD: u64 = 20 * BLOCK;

/// The most zeros after the end mark: GNU tar pads to 1 MiB with the largest factor in use.
const PADDING_MAX: u64 = 1 << 20;

/// The largest pax header or long name.
const EXTENSION_MAX: u64 = 1 << 20;

/// Whether members may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Sorted by path, when nothing gives the order a meaning.
    Sorted,
    /// As written: the format that the tar is a part of gives it a meaning.
    Kept,
}

pub(super) fn normalise(
    input: &mut dyn Source,
    order: Order,
    settings: &Settings,
    out: &mut dyn Write,
    report: &mut Report,
) -> Result<(), NormaliseError> {
    let scanned = scan(input, settings, report)?;
    let mut members = scanned.members;
    if order == Order::Sorted {
        match order::sorted(&members) {
            Ok(sorted) if sorted.iter().enumerate().all(|(new, &old)| new == old) => {}
            Ok(sorted) => {
                report.change("", "order", "as written", "sorted by path, hard links last");
                let mut unsorted: Vec<Option<Member>> = members.into_iter().map(Some).collect();
                members = sorted.into_iter().filter_map(|old| unsorted[old].take()).collect();
            }
            Err(why) => report.note(format!("the order of the members is kept: {why}")),
        }
    }
    let mut written = 0;
    for member in &members {
        input.seek(SeekFrom::Start(member.start)).map_err(NormaliseError::Read)?;
        written += rewrite(input, member, settings, out, report)?;
    }
    let padding = (written + 2 * BLOCK).next_multiple_of(RECORD) - written;
    if padding != scanned.padding {
        report.change("", "padding", scanned.padding, padding);
    }
    out.write_all(&vec![0; padding as usize]).map_err(NormaliseError::Write)
}

/// Where everything lies.
struct Scanned {
    members: Vec<Member>,
    /// Zeros at the end, with the end mark.
    padding: u64,
}

/// The first pass: checks every header, and notes where each member with its extension headers begins and ends.
fn scan(input: &mut dyn Source, settings: &Settings, report: &mut Report) -> Result<Scanned, NormaliseError> {
    let mut members = Vec::new();
    let mut at = input.stream_position().map_err(NormaliseError::Read)?;
    let mut bytes_left = settings.limits.bytes_max;
    while let Some(unit) = unit(input, at)? {
        if members.len() == settings.limits.members_max {
            let max = settings.limits.members_max as u64;
            return Err(NormaliseError::Limit { at, path: unit.path(), what: "members", max });
        }
        let Some(left) = bytes_left.checked_sub(unit.size) else {
            let max = settings.limits.bytes_max;
            return Err(NormaliseError::Limit { at, path: unit.path(), what: "bytes", max });
        };
        bytes_left = left;
        let end = unit.data + unit.size.next_multiple_of(BLOCK);
        input.seek(SeekFrom::Start(end)).map_err(NormaliseError::Read)?;
        if unit.block.kind() == b'g' && says_nothing(&unit, report)? {
            at = end;
            continue; // gone before the order is looked at, which it would else hold in place
        }
        members.push(Member { start: at, end, kind: unit.block.kind(), path: unit.path, link: unit.link });
        at = end;
    }
    let padding = zeros(input, at)?;
    if members.first().is_some_and(|first| first.path.starts_with(b".SIGN.")) {
        return Err(NormaliseError::Signed { path: members[0].shown() });
    }
    Ok(Scanned { members, padding })
}

/// Whether nothing is left of a global header; then it is noted as gone.
fn says_nothing(unit: &Unit, report: &mut Report) -> Result<bool, NormaliseError> {
    let mut dropped = Report::empty(report.kind);
    for (block, content) in &unit.extensions {
        if !pax::Records::parse(content, unit.data, "")?.without_chance("", &mut dropped).is_empty() {
            return Ok(false);
        }
        dropped.change("", "pax header", block.name(), "");
    }
    report.merge(dropped);
    Ok(true)
}

/// Counts the zeros from the end mark on; anything else there would be content that others might see.
fn zeros(input: &mut dyn Source, at: u64) -> Result<u64, NormaliseError> {
    input.seek(SeekFrom::Start(at)).map_err(NormaliseError::Read)?;
    let mut padding = Vec::new();
    input.take(PADDING_MAX + 1).read_to_end(&mut padding).map_err(NormaliseError::Read)?;
    let fine = padding.len() as u64 <= PADDING_MAX && padding.iter().all(|&byte| byte == 0);
    if !fine {
        return Err(NormaliseError::damaged(at, "", "the archive goes on after its end mark"));
    }
    if (padding.len() as u64) < 2 * BLOCK {
        return Err(NormaliseError::damaged(at, "", "the archive has no whole end mark"));
    }
    Ok(padding.len() as u64)
}

/// A member's header, and what its extension headers say of it.
struct Unit {
    block: Block,
    /// Extension headers before it, in order: the header block and its content without padding.
    extensions: Vec<(Block, Vec<u8>)>,
    path: Vec<u8>,
    link: Vec<u8>,
    /// Where the content begins, and how long it is.
    data: u64,
    size: u64,
}

impl Unit {
    fn path(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// Reads the headers of one member; `None` at the end mark.
fn unit(input: &mut dyn Source, start: u64) -> Result<Option<Unit>, NormaliseError> {
    let mut at = start;
    let mut extensions = Vec::new();
    loop {
        let mut bytes = [0; BLOCK as usize];
        input.read_exact(&mut bytes).map_err(|error| NormaliseError::reading(error, at, ""))?;
        if bytes.iter().all(|&byte| byte == 0) {
            return match extensions.is_empty() {
                true => Ok(None),
                false => Err(NormaliseError::damaged(at, "", "the end mark stands after an extension header")),
            };
        }
        let block = Block::parse(bytes, at)?;
        let size = block.number(Field::Size)?;
        at += BLOCK;
        if !matches!(block.kind(), b'x' | b'g' | b'L' | b'K') {
            return member(block, extensions, at, size).map(Some);
        }
        if size > EXTENSION_MAX {
            let (path, max) = (block.name(), EXTENSION_MAX);
            return Err(NormaliseError::Limit { at, path, what: "bytes in an extension header", max });
        }
        let mut content = vec![0; size.next_multiple_of(BLOCK) as usize];
        input.read_exact(&mut content).map_err(|error| NormaliseError::reading(error, at, &block.name()))?;
        content.truncate(size as usize);
        at += size.next_multiple_of(BLOCK);
        let global = block.kind() == b'g';
        if global && !extensions.is_empty() {
            return Err(NormaliseError::damaged(at, "", "a global header stands between a header and its member"));
        }
        if !global && extensions.iter().any(|(earlier, _): &(Block, _)| earlier.kind() == block.kind()) {
            return Err(NormaliseError::damaged(at, "", "two extension headers of one kind stand before one member"));
        }
        extensions.push((block.clone(), content));
        if global {
            // It stands alone, and counts for all that follow.
            pax::check_global(&extensions[0].1, at)?;
            return Ok(Some(Unit { block, extensions, path: Vec::new(), link: Vec::new(), data: at, size: 0 }));
        }
    }
}

/// Joins a member's header with what its extension headers say.
fn member(block: Block, extensions: Vec<(Block, Vec<u8>)>, data: u64, size: u64) -> Result<Unit, NormaliseError> {
    let mut unit = Unit { path: block.path(), link: block.link(), block, extensions, data, size };
    let text = |content: &[u8]| content.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
    for (extension, content) in &unit.extensions {
        match extension.kind() {
            b'L' => unit.path = text(content),
            b'K' => unit.link = text(content),
            _ => {
                let records = pax::Records::parse(content, data, &unit.block.name())?;
                if let Some(path) = records.value(b"path") {
                    unit.path = path.to_vec();
                }
                if let Some(link) = records.value(b"linkpath") {
                    unit.link = link.to_vec();
                }
                unit.size = records.size(unit.size, data, &unit.block.name())?;
            }
        }
    }
    let path = unit.path();
    match unit.block.kind() {
        b'0' | 0 | b'7' => {}
        b'1'..=b'6' if unit.size == 0 => {}
        b'1'..=b'6' => return Err(NormaliseError::damaged(data, &path, "a link, directory or device with content")),
        b'S' => {
            let what = "a sparse file in GNU's old format: make the archive without `--sparse`";
            return Err(NormaliseError::unsupported(data, &path, what));
        }
        kind => {
            let what = format!("a member of kind `{}`, which no rule covers", char::from(kind).escape_default());
            return Err(NormaliseError::unsupported(data, &path, what));
        }
    }
    if unit.path.is_empty() {
        return Err(NormaliseError::damaged(data, "", "a member without a name"));
    }
    Ok(unit)
}

/// The second pass: writes one member with its extension headers, and returns how many bytes.
fn rewrite(
    input: &mut dyn Source,
    member: &Member,
    settings: &Settings,
    out: &mut dyn Write,
    report: &mut Report,
) -> Result<u64, NormaliseError> {
    let unit = unit(input, member.start)?;
    let Some(mut unit) = unit.filter(|unit| unit.path == member.path) else {
        return Err(NormaliseError::damaged(member.start, &member.shown(), "the archive changed while it was read"));
    };
    let path = member.shown();
    let mut written = 0;
    let mut pax_time = None;
    let mut put = |bytes: &[u8]| {
        written += bytes.len() as u64;
        out.write_all(bytes).map_err(NormaliseError::Write)
    };
    for (mut block, mut content) in unit.extensions {
        let global = block.kind() == b'g';
        if matches!(block.kind(), b'x' | b'g') {
            let records = pax::Records::parse(&content, member.start, &path)?;
            let kept = records.without_chance(&path, report);
            pax_time = pax_time.or(records.time(member.start, &path)?);
            if kept.is_empty() {
                report.change(&path, "pax header", block.name(), "");
                continue;
            }
            content = kept;
        }
        block.normalise_extension(content.len() as u64, &path, report)?;
        put(block.bytes())?;
        content.resize(content.len().next_multiple_of(BLOCK as usize), 0);
        put(&content)?;
        if global {
            return Ok(written);
        }
    }
    unit.block.normalise(settings.epoch_unix_s, pax_time, &path, report)?;
    put(unit.block.bytes())?;
    let content = member.end - unit.data;
    copy(input, out, content, unit.data, &path)?;
    Ok(written + content)
}
