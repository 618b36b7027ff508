//! Debian packages: an ar of `debian-binary`, `control.tar.*` and `data.tar.*`.
//!
//! Format: `deb(5)` <https://man7.org/linux/man-pages/man5/deb.5.html>. Times in the ar and in the tars are clamped, as
//! `dpkg-deb` itself does with `SOURCE_DATE_EPOCH`; the order in the tars stays, since dpkg unpacks links last for a reason.

use std::io::{Cursor, Read, Write};

use super::ar::{self, Field, Header};
use super::tar::{self, Order};
use super::{Kind, NormaliseError, Report, Settings, Source, compressed};

pub(super) fn normalise(
    input: &mut dyn Source,
    settings: &Settings,
    out: &mut dyn Write,
    report: &mut Report,
) -> Result<(), NormaliseError> {
    ar::begin(input)?;
    out.write_all(ar::MAGIC).map_err(NormaliseError::Write)?;
    let mut at = ar::MAGIC.len() as u64;
    let mut seen = Vec::new();
    while let Some(mut header) = Header::read(input, at)? {
        let name = header.name.trim_end_matches('/').to_owned();
        let content = content(input, &header, &name, settings)?;
        at += 60 + header.size;
        at += ar::pad(input, &mut std::io::sink(), header.size, at, &name)?;
        let content = member(&name, content, seen.len(), header.at, settings, report)?;
        let epoch = u64::from(settings.epoch_unix_s);
        header.set(Field::Time, |time| time.min(epoch), &name, report)?;
        header.set(Field::Owner, |_| 0, &name, report)?;
        header.set(Field::Group, |_| 0, &name, report)?;
        header.resize(content.len() as u64);
        let padding: &[u8] = if content.len().is_multiple_of(2) { b"" } else { b"\n" };
        for bytes in [header.bytes.as_slice(), &content, padding] {
            out.write_all(bytes).map_err(NormaliseError::Write)?;
        }
        seen.push(name);
    }
    let parts = |index: usize, prefix: &str| seen.get(index).is_some_and(|name| name.starts_with(prefix));
    if !parts(0, "debian-binary") || !parts(1, "control.tar") || !seen.iter().any(|name| name.starts_with("data.tar")) {
        let what = format!("a package holds `debian-binary`, `control.tar` and `data.tar`; this holds {seen:?}");
        return Err(NormaliseError::damaged(at, "", what));
    }
    Ok(())
}

fn content(
    input: &mut dyn Source,
    header: &Header,
    name: &str,
    settings: &Settings,
) -> Result<Vec<u8>, NormaliseError> {
    let max = settings.limits.memory_bytes_max;
    if header.size > max {
        let path = name.to_owned();
        return Err(NormaliseError::Limit { at: header.at, path, what: "bytes in memory", max });
    }
    let mut content = Vec::new();
    input.take(header.size).read_to_end(&mut content).map_err(NormaliseError::Read)?;
    if content.len() as u64 != header.size {
        return Err(NormaliseError::damaged(header.at, name, "the archive is cut off in this member"));
    }
    Ok(content)
}

/// Normalises what a member holds.
fn member(
    name: &str,
    content: Vec<u8>,
    index: usize,
    at: u64,
    settings: &Settings,
    report: &mut Report,
) -> Result<Vec<u8>, NormaliseError> {
    if name.starts_with("_gpg") {
        return Err(NormaliseError::Signed { path: name.to_owned() });
    }
    let compression = name.strip_prefix("control.tar").or_else(|| name.strip_prefix("data.tar"));
    let Some(compression) = compression else {
        // `deb(5)`: names that begin with `_` may be added, and are passed over.
        return match name {
            "debian-binary" if index == 0 && content.starts_with(b"2.") => Ok(content),
            _ if name.starts_with('_') => Ok(content),
            _ => Err(NormaliseError::damaged(at, name, "no member of a Debian package")),
        };
    };
    let mut inner = Report::empty(Kind::Tar);
    let mut new = Vec::new();
    let mut old = Cursor::new(content.as_slice());
    let done = match compression {
        "" => tar::normalise(&mut old, Order::Kept, settings, &mut new, &mut inner),
        ".gz" => compressed::tar_gz(&mut old, Order::Kept, settings, &mut new, &mut inner),
        ".xz" => compressed::tar_xz(&mut old, Order::Kept, settings, &mut new, &mut inner),
        _ => {
            let what = "this compression is not read: build with `dpkg-deb -Zxz` or `-Zgzip`";
            return Err(NormaliseError::unsupported(at, name, what));
        }
    };
    done.map_err(|error| match error {
        NormaliseError::Recompress { encoder, .. } => NormaliseError::Recompress { path: name.to_owned(), encoder },
        other => other.inside(name),
    })?;
    report.absorb(name, inner);
    Ok(new)
}
