//! A tar that is compressed whole: what it holds changes, so it must be compressed anew, which is done only when asked.
//!
//! When asked, it is always compressed anew, also where the tar did not change: else two builds, of which one happened to
//! write a normal tar, would differ in their compression.

use std::io::{self, Cursor, Read, Write};

use lzma_rust2::{CheckType, XzOptions, XzReader, XzWriter};

use super::tar::{self, Order};
use super::{DEFLATE, Kind, NormaliseError, Report, Settings, Source, XZ, expanded, gzip, whole};

/// The memory that an xz stream may ask for to be read: preset 9 asks for 65 MiB.
const XZ_MEMORY_KIB: u32 = 128 * 1024;

/// Recompressing a changed tar.gz.
pub(super) fn tar_gz(
    input: &mut dyn Source,
    order: Order,
    settings: &Settings,
    out: &mut dyn Write,
    report: &mut Report,
) -> Result<(), NormaliseError> {
    let (mut old, mut content) = (Vec::new(), Vec::new());
    let found = gzip::rewrite(input, settings.limits.memory_bytes_max, &mut old, &mut content, report)?;
    let tar = inner(&content, order, settings, report, DEFLATE)?;
    let new = if settings.recompress { gzip::again(&tar, &old, found, "tar.gz", report)? } else { old };
    out.write_all(&new).map_err(NormaliseError::Write)
}

/// Recompressing a changed tar.xz.
pub(super) fn tar_xz(
    input: &mut dyn Source,
    order: Order,
    settings: &Settings,
    out: &mut dyn Write,
    report: &mut Report,
) -> Result<(), NormaliseError> {
    let old = whole(input, settings)?;
    let content = unpack_xz(&old, settings)?;
    let tar = inner(&content, order, settings, report, XZ)?;
    if !settings.recompress {
        return out.write_all(&old).map_err(NormaliseError::Write);
    }
    let mut options = XzOptions::with_preset(6);
    options.set_check_sum_type(CheckType::Crc64);
    let mut writer = XzWriter::new(Vec::new(), options).map_err(NormaliseError::Write)?;
    writer.write_all(&tar).map_err(NormaliseError::Write)?;
    let new = writer.finish().map_err(NormaliseError::Write)?;
    if new != old {
        report.change("", "compression", "as the build wrote it", XZ);
    }
    out.write_all(&new).map_err(NormaliseError::Write)
}

/// Normalises the tar inside.
fn inner(
    content: &[u8],
    order: Order,
    settings: &Settings,
    report: &mut Report,
    encoder: &'static str,
) -> Result<Vec<u8>, NormaliseError> {
    let mut tar = Vec::with_capacity(content.len());
    let mut changed = Report::empty(Kind::Tar);
    tar::normalise(&mut Cursor::new(content), order, settings, &mut tar, &mut changed)?;
    if !changed.changes.is_empty() && !settings.recompress {
        return Err(NormaliseError::Recompress { path: report.kind.name().to_owned(), encoder });
    }
    report.merge(changed);
    Ok(tar)
}

fn unpack_xz(packed: &[u8], settings: &Settings) -> Result<Vec<u8>, NormaliseError> {
    let max = settings.limits.memory_bytes_max;
    let mut reader = XzReader::new_mem_limit(Cursor::new(packed), true, XZ_MEMORY_KIB);
    let mut content = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = reader.read(&mut buffer).map_err(|error| unpacking(&error, content.len()))?;
        if read == 0 {
            break;
        }
        content.extend_from_slice(&buffer[..read]);
        let (at, path) = (reader.inner().position(), String::new());
        if content.len() as u64 > max {
            return Err(NormaliseError::Limit { at, path, what: "bytes unpacked in memory", max });
        }
        if expanded(at, content.len() as u64) {
            return Err(NormaliseError::Limit { at, path, what: "times its packed size", max: super::EXPANSION_MAX });
        }
    }
    let at = reader.inner().position();
    if at != packed.len() as u64 {
        return Err(NormaliseError::damaged(at, "", "bytes after the end of the xz stream"));
    }
    Ok(content)
}

fn unpacking(error: &io::Error, unpacked: usize) -> NormaliseError {
    NormaliseError::damaged(0, "", format!("the xz stream cannot be unpacked after {unpacked} bytes: {error}"))
}
