//! `vendor/modules.txt`: which modules lie in `vendor`, and which of their packages.

use super::Input;
use super::go_mod::{Replacement, replace};
use crate::lock_file::PACKAGES_MAX;
use crate::lock_file::document::text_of;
use crate::lock_file::finding::{LockFileError, Position, Reason, Refusal, shorten};

/// A module in `vendor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vendored {
    /// The module, by the name that it is imported under.
    pub path: String,
    /// The version that is required of it.
    pub version: String,
    /// What stands in for it.
    pub replacement: Option<Replacement>,
    /// Whether `go.mod` requires it by name.
    pub explicit: bool,
    /// Its packages, which are directories below `vendor`.
    pub packages: Vec<String>,
    /// Where it stands.
    pub at: Position,
}

pub(super) fn parse(input: Input<'_>) -> Result<Vec<Vendored>, LockFileError> {
    read(input.bytes).map_err(|refusal| refusal.in_file(input.file))
}

fn read(bytes: &[u8]) -> Result<Vec<Vendored>, Refusal> {
    let text = text_of(bytes)?;
    let mut modules: Vec<Vendored> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let at = Position { line: index + 1, column: 1 };
        let refuse = || Refusal::new(at, Reason::Syntax(format!("`{}` is no line of a modules.txt", shorten(line))));
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [] => {}
            ["##", ..] => {
                // At the top it may say `## workspace`.
                let notes = line.trim_start_matches('#').split(';').map(str::trim);
                if let (true, Some(module)) = (open, modules.last_mut()) {
                    module.explicit |= notes.into_iter().any(|note| note == "explicit");
                }
            }
            ["#", path, version] if version != "=>" => {
                modules.push(module(at, path, version, None)?);
                open = true;
            }
            ["#", _, "=>", ..] => {
                // A replacement for each version: it stands once more with the version if the module is used.
                replace(at, &words[1..]).ok_or_else(refuse)?;
                open = false;
            }
            ["#", path, version, "=>", ..] => {
                let replaced = replace(at, &words[1..]).ok_or_else(refuse)?;
                modules.push(module(at, path, version, Some(replaced.with))?);
                open = true;
            }
            [package] if open && !package.starts_with('#') => {
                let module = modules.last_mut().ok_or_else(refuse)?;
                let below = package
                    .strip_prefix(module.path.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                if !below || !super::is_name(package) {
                    return Err(refuse());
                }
                module.packages.push(package.to_owned());
            }
            _ => return Err(refuse()),
        }
        if modules.len() > PACKAGES_MAX {
            return Err(Refusal::new(at, Reason::TooMany { what: "modules", max: PACKAGES_MAX }));
        }
    }
    Ok(modules)
}

fn module(at: Position, path: &str, version: &str, replacement: Option<Replacement>) -> Result<Vendored, Refusal> {
    super::check(at, path, version)?;
    let (path, version) = (path.to_owned(), version.to_owned());
    Ok(Vendored { path, version, replacement, explicit: false, packages: Vec::new(), at })
}
