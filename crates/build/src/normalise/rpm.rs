//! RPM packages are refused, each with its reason.
//!
//! Format: "RPM Package Format V4" <https://rpm.org/docs/latest/manual/format_v4.html>. Build time, build host and file times
//! stand in the header, and header and payload are covered by digests in the signature header (and the payload's digest in
//! the header itself), so that every edit means to make the package anew; a signed one could not be made at all. `rpmbuild`
//! writes all of them normal when it is told to.

use super::NormaliseError;

/// Signatures, by their tags in the signature header.
const SIGNATURES: [(u32, &str); 6] = [
    (267, "DSA signature"),
    (268, "RSA signature"),
    (278, "OpenPGP signature"),
    (1002, "PGP signature"),
    (1005, "GPG signature"),
    (274, "file signatures"),
];

const LEAD_BYTES: usize = 96;

/// How much of a package must be read to know it: the lead, and the entries of the signature header.
pub(super) const HEAD_BYTES: u64 = 96 + 16 + 16 * ENTRIES_MAX;

/// How many entries of a signature header are looked at; rpmbuild writes fewer than ten.
const ENTRIES_MAX: u64 = 4096;

/// Returns why a package is refused, from its first [`HEAD_BYTES`].
pub(super) fn refuse(bytes: &[u8]) -> NormaliseError {
    if !bytes.starts_with(&[0xed, 0xab, 0xee, 0xdb]) {
        return NormaliseError::damaged(0, "", "no RPM package begins like this");
    }
    let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes);
    let (Some(0x8ead_e801), Some(count)) = (word(LEAD_BYTES), word(LEAD_BYTES + 8)) else {
        return NormaliseError::damaged(LEAD_BYTES as u64, "", "no signature header stands here");
    };
    for index in 0..u64::from(count).min(ENTRIES_MAX) as usize {
        let Some(tag) = word(LEAD_BYTES + 16 + 16 * index) else {
            return NormaliseError::damaged(bytes.len() as u64, "", "the package is cut off in its signature header");
        };
        if let Some((_, name)) = SIGNATURES.iter().find(|(signature, _)| *signature == tag) {
            return NormaliseError::Signed { path: format!("the package's {name}") };
        }
    }
    let what = "the digests of an RPM package cover every time and name in it: have rpmbuild write them normal, with \
                `%use_source_date_epoch_as_buildtime 1`, `%clamp_mtime_to_source_date_epoch 1` and `%_buildhost`";
    NormaliseError::unsupported(0, "", what)
}
