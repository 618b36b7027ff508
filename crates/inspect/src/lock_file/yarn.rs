//! yarn's `yarn.lock`: the format of yarn 1, and that of yarn 2 and newer ("berry"), told apart by their heads.
//!
//! Specifications: yarn 1, `src/lockfile/parse.js` <https://github.com/yarnpkg/yarn/blob/v1.22.22/src/lockfile/parse.js>;
//! berry, `packages/yarnpkg-core/sources/Project.ts`
//! <https://github.com/yarnpkg/berry/blob/@yarnpkg/cli/4.10.3/packages/yarnpkg-core/sources/Project.ts>.
//!
//! ```text
//! # yarn lockfile v1
//!
//! debug@4.3.4, debug@^4.0.0:
//!   version "4.3.4"
//!   resolved "https://registry.yarnpkg.com/debug/-/debug-4.3.4.tgz#1319f6579357f2338d3337d2cdd4914bb5dcc865"
//!   integrity sha512-PRWFHuSU3eDtQJPvnNY7Jcket1j0t5OuOsFzPPzsekD52Zl8qUfFIPEiswXqIvHWGVHOgX+7G/vCNNhehwxfkQ==
//! ```
//!
//! ```yaml
//! __metadata:
//!   version: 8
//!   cacheKey: 10c0
//!
//! "debug@npm:4.3.4, debug@npm:^4.0.0":
//!   version: 4.3.4
//!   resolution: "debug@npm:4.3.4"
//!   checksum: 10c0/cedbec45298dd5c501d01b92b119cd3faebe5438c3917ff11ae1bff86a6c722930ac9c8659792824013168ba6db7c4668225d845c633fbdafbbf902a6389f736
//! ```
//!
//! **What berry's checksum proves.** It is the SHA-512 of the zip that yarn itself makes of what it fetched. So a yarn of
//! the same generation and compression level notices when the files of a package differ from those that were
//! locked; and nothing else does: no registry has a file with that digest, what is fetched (a `.tgz`) cannot be checked
//! against it before it was unpacked and packed anew by yarn, and `.yarnrc.yml` can switch the check off
//! (`checksumBehavior`). It is kept as [`Pin::YarnZip`], does not count as pinned, and is reported once for the file. What
//! stands in for a pin is the `dist.integrity` of the registry, pinned by the caller when it fetches.

mod berry;
mod classic;
mod configuration;

use super::finding::Refusal;
use super::javascript::Asked;
use super::pin::Pin;
use super::reading::read;
use super::{Kind, LockFile, LockFileError};

pub use configuration::{Configuration, configuration};

/// Parses a `yarn.lock`; `file` is its name in messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<LockFile, LockFileError> {
    read(Kind::Yarn, file, bytes, |reading, text| match is_berry(bytes) {
        true => berry::parse(reading, text),
        false => classic::parse(reading, text),
    })
}

/// Whether a `yarn.lock` is of yarn 2 or newer: it has this key after its comments, as yarn 1 finds out by.
pub fn is_berry(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"__metadata:"))
}

/// Returns what the members of the workspace ask for, as a `yarn.lock` of yarn 2 or newer repeats it, without the protocol `npm:`.
pub fn asked(file: &str, bytes: &[u8]) -> Result<Asked, LockFileError> {
    let text = super::document::text_of(bytes);
    text.and_then(berry::asked).map_err(|refusal: Refusal| refusal.in_file(file))
}

/// Splits `NAME@RANGE`; the first letter may be the `@` of a scope.
pub(super) fn split_name(descriptor: &str) -> Option<(&str, &str)> {
    let at = descriptor.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| at)?;
    Some((&descriptor[..at], &descriptor[at + 1..]))
}

#[cfg(test)]
mod tests;
