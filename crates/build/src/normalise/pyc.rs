//! Compiled Python: the time of the source in its header.
//!
//! Format: PEP 552 <https://peps.python.org/pep-0552/>, since Python 3.7: `magic flags mtime size`, or `magic flags hash`.
//!
//! ```text
//! a70d 0d0a  00000000  0c5f2567  2a000000   time and size of the source
//! a70d 0d0a  03000000  8f2c41d09be17a55     its hash, compared at each import
//! ```

use std::hash::Hasher;

use siphasher::sip::{SipHasher13, SipHasher24};

use super::{NormaliseError, Pyc, Report, Settings};

/// The first magic number of Python 3.7 whose header is that of PEP 552.
const PEP_552: u16 = 3392;

/// Python 2 counted from 20121 to 62211; Python 3 will not soon come near.
const PYTHON_2: u16 = 20_000;

/// The first magic number of Python 3.11, which hashes sources with SipHash-1-3 in place of 2-4.
const PYTHON_3_11: u16 = 3450;

const HASHED: u32 = 1;
const CHECKED: u32 = 2;

pub(super) fn normalise(bytes: &mut [u8], settings: &Settings, report: &mut Report) -> Result<(), NormaliseError> {
    if bytes.len() < 17 || bytes[2..4] != *b"\r\n" {
        return Err(NormaliseError::damaged(0, "", "no compiled Python begins like this"));
    }
    let number = |bytes: &[u8], at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let magic = u16::from_le_bytes([bytes[0], bytes[1]]);
    if !(PEP_552..PYTHON_2).contains(&magic) {
        let what = format!("magic number {magic} is of no Python since 3.7");
        return Err(NormaliseError::unsupported(0, "", what));
    }
    let (flags, mtime, size) = (number(bytes, 4), number(bytes, 8), number(bytes, 12));
    match flags {
        0 => {}
        HASHED => return Ok(()),
        flags if flags == HASHED | CHECKED => return Ok(()),
        _ => return Err(NormaliseError::damaged(4, "", format!("flags {flags:#x} are of no Python"))),
    }
    match &settings.pyc {
        Pyc::Clamp => {
            let clamped = mtime.min(settings.epoch_unix_s);
            if clamped != mtime {
                report.change("", "source mtime", mtime, clamped);
                bytes[8..12].copy_from_slice(&clamped.to_le_bytes());
            }
        }
        Pyc::Hash { checked, source } => {
            if source.len() as u32 != size {
                let what = format!("compiled from a source of {size} bytes, but the source given has {}", source.len());
                return Err(NormaliseError::damaged(12, "", what));
            }
            let hash = source_hash(magic, number(bytes, 0), source);
            let (name, flags) = if *checked { ("checked hash", HASHED | CHECKED) } else { ("unchecked hash", HASHED) };
            report.change("", "source mtime", mtime, format!("{name} {hash:016x}"));
            bytes[4..8].copy_from_slice(&flags.to_le_bytes());
            bytes[8..16].copy_from_slice(&hash.to_le_bytes());
        }
    }
    Ok(())
}

/// `importlib.util.source_hash`.
pub(super) fn source_hash(magic: u16, key: u32, source: &[u8]) -> u64 {
    if magic >= PYTHON_3_11 {
        let mut hasher = SipHasher13::new_with_keys(u64::from(key), 0);
        hasher.write(source);
        hasher.finish()
    } else {
        let mut hasher = SipHasher24::new_with_keys(u64::from(key), 0);
        hasher.write(source);
        hasher.finish()
    }
}
