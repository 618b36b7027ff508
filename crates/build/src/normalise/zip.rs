//! Zip, jar and wheel: one time for every member, no second times and owners in extra fields, members sorted.
//!
//! Format: PKWARE's APPNOTE 6.3.10 <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, and Info-ZIP's
//! extra fields <https://libzip.org/specifications/extrafld.txt>.
//!
//! Own code: the libraries that write zip choose flags, versions, descriptors and extra fields themselves, and this must
//! keep them. What is edited are the directory and the headers; compressed data is copied byte for byte, after it was
//! unpacked once to compare its checksum.
//!
//! A zip's time has no time zone, so that no comparison with the epoch would hold: it is always set, to the epoch in UTC.

mod directory;
mod extra;
mod local;

use std::collections::BTreeSet;
use std::io::{SeekFrom, Write};

use directory::{Directory, Entry};

use super::{Kind, NormaliseError, Report, Settings, Source, copy, date};

/// Beyond this, offsets need fields that are perhaps not there: the order is kept, so that no offset grows.
const MOVABLE_BYTES_MAX: u64 = u32::MAX as u64;

pub(super) fn normalise(
    input: &mut dyn Source,
    kind: Kind,
    settings: &Settings,
    out: &mut dyn Write,
    report: &mut Report,
) -> Result<(), NormaliseError> {
    let mut directory = Directory::read(input, settings)?;
    refuse(&directory)?;
    arrange(&mut directory, kind, report)?;
    input.rewind().map_err(NormaliseError::Read)?;
    copy(input, out, directory.prefix_bytes, 0, "")?;
    let mut at = directory.prefix_bytes;
    let mut unpacked = 0;
    for entry in &mut directory.entries {
        let dos = date::dos(settings.epoch_unix_s);
        input.seek(SeekFrom::Start(entry.offset)).map_err(NormaliseError::Read)?;
        let written = local::rewrite(input, entry, dos, settings.limits.bytes_max - unpacked, out, report)?;
        unpacked += entry.size;
        entry.moved(at);
        at += written;
    }
    directory.write(at, out)
}

/// Refuses signed archives, names that stand twice, and what cannot be edited without breaking it.
fn refuse(directory: &Directory) -> Result<(), NormaliseError> {
    let mut names = BTreeSet::new();
    for entry in &directory.entries {
        let path = entry.path();
        if signs(&path) {
            return Err(NormaliseError::Signed { path });
        }
        if !names.insert(&entry.name) {
            return Err(NormaliseError::damaged(entry.offset, &path, "the name stands twice"));
        }
        if entry.flags() & (1 | 1 << 5 | 1 << 6 | 1 << 13) != 0 {
            let what = "an encrypted or patched member: a password is checked against its time";
            return Err(NormaliseError::unsupported(entry.offset, &path, what));
        }
    }
    Ok(())
}

/// Whether a member is a signature: of a jar, as the JAR specification names them; of a NuGet package, over the whole file;
/// of an Office document.
fn signs(path: &str) -> bool {
    if path == ".signature.p7s" || path.starts_with("_xmlsignatures/") {
        return true;
    }
    let path = path.to_ascii_uppercase();
    let Some(name) = path.strip_prefix("META-INF/").filter(|name| !name.contains('/')) else { return false };
    [".SF", ".RSA", ".DSA", ".EC"].iter().any(|ending| name.ends_with(ending)) || name.starts_with("SIG-")
}

/// Sorts the members, in the file and in its directory alike.
fn arrange(directory: &mut Directory, kind: Kind, report: &mut Report) -> Result<(), NormaliseError> {
    let before: Vec<u64> = directory.entries.iter().map(|entry| entry.offset).collect();
    let in_place = before.is_sorted();
    if directory.bytes > MOVABLE_BYTES_MAX {
        report.note("the order of the members is kept: the archive is larger than 4 GiB".to_owned());
        let what = "an archive of more than 4 GiB whose directory has another order than its members";
        return if in_place { Ok(()) } else { Err(NormaliseError::unsupported(0, "", what)) };
    }
    if let Some(nested) = directory.entries.iter().find(|entry| on_class_path(&entry.name)) {
        report.note(format!(
            "the order of the members is kept: that of `{}` and others is the class path",
            nested.path()
        ));
        if !in_place {
            report.change("", "order", "another in the directory than in the file", "that of the directory");
        }
        return Ok(());
    }
    let first = directory.entries.iter().min_by_key(|entry| entry.offset).map(|entry| entry.name.clone());
    directory.entries.sort_by_cached_key(|entry| (rank(&entry.name, kind, first.as_deref()), entry.name.clone()));
    let moved = directory.entries.iter().map(|entry| entry.offset).ne(before);
    if moved || !in_place {
        let to = match kind {
            Kind::Jar => "sorted by name, manifest first",
            Kind::Wheel => "sorted by name, dist-info and RECORD last",
            _ => "sorted by name",
        };
        report.change("", "order", "as written", to);
    }
    Ok(())
}

/// Whether Spring Boot's launcher puts a member on the class path, in the order of the archive.
fn on_class_path(name: &[u8]) -> bool {
    name.starts_with(b"BOOT-INF/lib/") && name.ends_with(b".jar")
}

/// What a format wants first or last.
fn rank(name: &[u8], kind: Kind, first: Option<&[u8]>) -> u8 {
    let directory = |ending: &[u8]| {
        let mut parts = name.splitn(2, |&byte| byte == b'/');
        parts.next().is_some_and(|top| top.ends_with(b".dist-info")).then(|| parts.next().unwrap_or_default() == ending)
    };
    match kind {
        Kind::Jar => match name {
            b"META-INF/" => 0,
            b"META-INF/MANIFEST.MF" => 1,
            _ => 2,
        },
        Kind::Wheel => match directory(b"RECORD") {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        },
        // EPUB, OpenDocument and Office Open XML name the format in their first member.
        _ if first == Some(name) && [b"mimetype".as_slice(), b"[Content_Types].xml"].contains(&name) => 0,
        _ => 1,
    }
}

impl Entry {
    /// Its name for people.
    fn path(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}
