//! Cargo's configuration for a build without a network: every source is replaced by one directory.
//!
//! Format: <https://doc.rust-lang.org/cargo/reference/source-replacement.html>.
//!
//! ```toml
//! [net]
//! offline = true
//!
//! [source.assay]
//! directory = "vendor"
//!
//! [source.crates-io]
//! replace-with = "assay"
//!
//! [source."git+https://git.example.org/inner?branch=main"]
//! git = "https://git.example.org/inner"
//! branch = "main"
//! replace-with = "assay"
//! ```

use std::collections::BTreeSet;

use super::lock_file::is_crates_io;
use crate::lock::basic_string;

/// Returns the text for sources as `Cargo.lock` spells them (without commits), in any order, and the directory that
/// replaces them; without one there is no source at all.
pub(crate) fn text<'a>(sources: impl Iterator<Item = &'a str>, directory: Option<&str>) -> String {
    let mut out = "[net]\noffline = true\n".to_owned();
    let Some(directory) = directory else { return out };
    out.push_str(&format!("\n[source.assay]\ndirectory = {}\n", basic_string(directory)));
    out.push_str("\n[source.crates-io]\nreplace-with = \"assay\"\n");
    let sources: BTreeSet<&str> = sources.filter(|source| !is_crates_io(source)).collect();
    for source in sources {
        let section = match source.strip_prefix("git+") {
            Some(url) => git(url),
            None => format!("registry = {}\n", basic_string(source.trim_start_matches("registry+"))),
        };
        out.push_str(&format!("\n[source.{}]\n{section}replace-with = \"assay\"\n", basic_string(source)));
    }
    out
}

/// `https://host/repo?branch=a%2Fb` → `git = "https://host/repo"`, `branch = "a/b"`
fn git(source: &str) -> String {
    let (url, query) = source.split_once('?').unwrap_or((source, ""));
    let mut section = format!("git = {}\n", basic_string(url));
    for pair in query.split('&') {
        if let Some((key @ ("branch" | "tag" | "rev"), value)) = pair.split_once('=') {
            section.push_str(&format!("{key} = {}\n", basic_string(&decoded(value))));
        }
    }
    section
}

/// Undoes percent-encoding; what is none stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let hex = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
