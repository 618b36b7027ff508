//! gzip: no time, no name, no system, as `gzip -n` leaves them; the compressed data as it is, unless asked.
//!
//! Format: RFC 1952 <https://www.rfc-editor.org/rfc/rfc1952>. All data is decompressed and its checksums are compared, since
//! nothing else tells where a member ends.

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::{Compression, Crc, Decompress, FlushDecompress, GzBuilder, Status};

use super::{DEFLATE, NormaliseError, Report, Settings, Source, expanded};

const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// The system that compressed: unknown.
const UNKNOWN: u8 = 255;

/// The longest name or comment.
const TEXT_MAX: u64 = 64 * 1024;

/// What was found while rewriting.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// How many gzip members stand one after the other.
    pub(super) members: u64,
    /// Whether any of them carries a comment or an extra field.
    pub(super) annotated: bool,
}

pub(super) fn normalise(
    input: &mut dyn Source,
    settings: &Settings,
    out: &mut dyn Write,
    report: &mut Report,
) -> Result<(), NormaliseError> {
    if !settings.recompress {
        let mut head = Head::default();
        rewrite(input, settings.limits.bytes_max, out, &mut head, report)?;
        return head.refuse_signed();
    }
    // Held in memory, since only the end tells whether the new bytes differ from the old.
    let max = settings.limits.memory_bytes_max;
    let (mut old, mut content) = (Vec::new(), Vec::new());
    let found = rewrite(input, max, &mut old, &mut content, report)?;
    Head(content[..content.len().min(Head::BYTES)].to_vec()).refuse_signed()?;
    let new = again(&content, &old, found, "gzip", report)?;
    out.write_all(&new).map_err(NormaliseError::Write)
}

/// The first bytes of what was compressed.
#[derive(Default)]
struct Head(Vec<u8>);

impl Head {
    const BYTES: usize = 100;

    /// A package of Alpine Linux is several gzip members, of which the first signs the bytes of the others.
    fn refuse_signed(&self) -> Result<(), NormaliseError> {
        if !self.0.starts_with(b".SIGN.") {
            return Ok(());
        }
        let name = self.0.split(|&byte| byte == 0).next().unwrap_or_default();
        Err(NormaliseError::Signed { path: String::from_utf8_lossy(name).into_owned() })
    }
}

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wanted = bytes.len().min(Head::BYTES - self.0.len());
        self.0.extend_from_slice(&bytes[..wanted]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compresses anew with the pinned encoder, after [`rewrite`] has given `old`.
pub(super) fn again(
    content: &[u8],
    old: &[u8],
    found: Found,
    path: &str,
    report: &mut Report,
) -> Result<Vec<u8>, NormaliseError> {
    if found.members != 1 || found.annotated {
        let what = "several gzip members, a comment or an extra field would be lost when compressed anew";
        return Err(NormaliseError::unsupported(0, path, what));
    }
    let mut encoder = GzBuilder::new().operating_system(UNKNOWN).write(Vec::new(), Compression::new(6));
    encoder.write_all(content).map_err(NormaliseError::Write)?;
    let new = encoder.finish().map_err(NormaliseError::Write)?;
    if new != old {
        report.change("", "compression", "as the build wrote it", DEFLATE);
    }
    Ok(new)
}

/// Writes the same members with plain headers to `out`, and what they hold to `content`.
pub(super) fn rewrite(
    input: &mut dyn Source,
    bytes_max: u64,
    out: &mut dyn Write,
    content: &mut dyn Write,
    report: &mut Report,
) -> Result<Found, NormaliseError> {
    let mut input = Position { inner: BufReader::with_capacity(64 * 1024, input), at: 0 };
    let mut found = Found::default();
    let mut unpacked = 0;
    loop {
        let annotated = header(&mut input, out, report)?;
        found.members += 1;
        found.annotated |= annotated;
        data(&mut input, &mut unpacked, bytes_max, out, content)?;
        if input.inner.fill_buf().map_err(NormaliseError::Read)?.is_empty() {
            return Ok(found);
        }
    }
}

/// A reader that knows where it is.
struct Position<'a> {
    inner: BufReader<&'a mut dyn Source>,
    at: u64,
}

impl Position<'_> {
    fn exact(&mut self, bytes: &mut [u8]) -> Result<(), NormaliseError> {
        let at = self.at;
        self.inner.read_exact(bytes).map_err(|error| NormaliseError::reading(error, at, ""))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Reads a text with its zero at the end.
    fn text(&mut self) -> Result<Vec<u8>, NormaliseError> {
        let mut text = Vec::new();
        let read = (&mut self.inner).take(TEXT_MAX).read_until(0, &mut text).map_err(NormaliseError::Read)?;
        if text.last() != Some(&0) {
            return Err(NormaliseError::damaged(self.at, "", "a name or comment has no end"));
        }
        self.at += read as u64;
        Ok(text)
    }
}

/// Rewrites one header; whether it carries something that is kept beside the data.
fn header(input: &mut Position<'_>, out: &mut dyn Write, report: &mut Report) -> Result<bool, NormaliseError> {
    let at = input.at;
    let mut fixed = [0; 10];
    input.exact(&mut fixed)?;
    if fixed[..3] != [0x1f, 0x8b, 8] || fixed[3] & RESERVED != 0 {
        return Err(NormaliseError::damaged(at, "", "neither a gzip member nor the end stands here"));
    }
    let flags = fixed[3];
    let mut kept = Vec::new();
    if flags & EXTRA != 0 {
        let mut length = [0; 2];
        input.exact(&mut length)?;
        let mut extra = vec![0; usize::from(u16::from_le_bytes(length))];
        input.exact(&mut extra)?;
        kept.extend(length);
        kept.extend(extra);
        if flags & (NAME | HEADER_CRC) != 0 {
            let what = "an extra field, which may hold offsets, beside a name or a header checksum";
            return Err(NormaliseError::unsupported(at, "", what));
        }
    }
    if flags & NAME != 0 {
        let name = input.text()?;
        report.change("", "name", String::from_utf8_lossy(&name[..name.len() - 1]), "");
    }
    if flags & COMMENT != 0 {
        kept.extend(input.text()?);
    }
    if flags & HEADER_CRC != 0 {
        let mut crc = [0; 2];
        input.exact(&mut crc)?;
        report.change("", "header crc", format!("{:04x}", u16::from_le_bytes(crc)), "");
    }
    let mtime = u32::from_le_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    if mtime != 0 {
        report.change("", "mtime", mtime, 0);
    }
    if fixed[9] != UNKNOWN {
        report.change("", "system", fixed[9], UNKNOWN);
    }
    fixed[3] = flags & !(NAME | HEADER_CRC);
    fixed[4..8].fill(0);
    fixed[9] = UNKNOWN;
    out.write_all(&fixed).and_then(|()| out.write_all(&kept)).map_err(NormaliseError::Write)?;
    Ok(flags & (EXTRA | COMMENT) != 0)
}

/// Copies one member's compressed data and trailer, and checks both.
fn data(
    input: &mut Position<'_>,
    unpacked: &mut u64,
    bytes_max: u64,
    out: &mut dyn Write,
    content: &mut dyn Write,
) -> Result<(), NormaliseError> {
    let mut decompress = Decompress::new(false);
    let mut crc = Crc::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let packed = input.inner.fill_buf().map_err(NormaliseError::Read)?;
        let (read, written) = (decompress.total_in(), decompress.total_out());
        let ended = packed.is_empty();
        let status = decompress
            .decompress(packed, &mut buffer, FlushDecompress::None)
            .map_err(|_| NormaliseError::damaged(input.at, "", "malformed compressed data"))?;
        let read = (decompress.total_in() - read) as usize;
        let written = (decompress.total_out() - written) as usize;
        out.write_all(&packed[..read]).map_err(NormaliseError::Write)?;
        content.write_all(&buffer[..written]).map_err(NormaliseError::Write)?;
        crc.update(&buffer[..written]);
        input.inner.consume(read);
        input.at += read as u64;
        *unpacked += written as u64;
        if *unpacked > bytes_max {
            let path = String::new();
            return Err(NormaliseError::Limit { at: input.at, path, what: "bytes unpacked", max: bytes_max });
        }
        if expanded(input.at, *unpacked) {
            let (path, max) = (String::new(), super::EXPANSION_MAX);
            return Err(NormaliseError::Limit { at: input.at, path, what: "times its packed size", max });
        }
        match status {
            Status::StreamEnd => break,
            _ if ended && written == 0 => {
                return Err(NormaliseError::damaged(input.at, "", "the compressed data is cut off here"));
            }
            _ => {}
        }
    }
    let mut trailer = [0; 8];
    let at = input.at;
    input.exact(&mut trailer)?;
    let stated = u32::from_le_bytes([trailer[0], trailer[1], trailer[2], trailer[3]]);
    let size = u32::from_le_bytes([trailer[4], trailer[5], trailer[6], trailer[7]]);
    if stated != crc.sum() || size != crc.amount() {
        return Err(NormaliseError::damaged(at, "", "the content does not have its checksum and size"));
    }
    out.write_all(&trailer).map_err(NormaliseError::Write)
}
