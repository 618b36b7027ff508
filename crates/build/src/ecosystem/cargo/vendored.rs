//! Crates that lie in the project, as `cargo vendor` leaves them: Cargo's configuration replaces crates.io by a directory.
//!
//! Format: <https://doc.rust-lang.org/cargo/reference/source-replacement.html>.
//!
//! ```toml
//! [source.crates-io]
//! replace-with = "vendored-sources"
//!
//! [source.vendored-sources]
//! directory = "vendor"
//! ```

use std::path::{Component, Path};

/// Where Cargo looks for it, below the directory of the lock file; the first that is there counts.
pub(crate) const CONFIGS: [&str; 2] = [".cargo/config", ".cargo/config.toml"];

/// How often a source may be replaced by another.
const REPLACED_MAX: usize = 8;

/// Returns the directory that stands for crates.io, if it lies below the project. What cannot be read is left to Cargo.
pub(crate) fn directory(config: &[u8]) -> Option<String> {
    let table: toml::Table = toml::from_str(std::str::from_utf8(config).ok()?).ok()?;
    let sources = table.get("source")?.as_table()?;
    let mut name = "crates-io";
    for _ in 0..REPLACED_MAX {
        let source = sources.get(name)?.as_table()?;
        match source.get("replace-with") {
            Some(next) => name = next.as_str()?,
            None => {
                let directory = source.get("directory")?.as_str()?;
                let is_below = Path::new(directory).components().all(|part| matches!(part, Component::Normal(_)));
                return (is_below && !directory.is_empty()).then(|| directory.to_owned());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
