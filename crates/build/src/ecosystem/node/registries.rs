//! Which registry a package comes from, where its lock file does not say: `.npmrc` for pnpm, `.yarnrc.yml` for yarn 2 and newer.
//!
//! ```text
//! registry=https://registry.example.org/
//! @company:registry=https://npm.example.org/
//! ```
//!
//! Reference: <https://docs.npmjs.com/cli/v10/configuring-npm/npmrc>. A value with a variable in it (`${NAME}`) is refused: what a
//! lock pins must not depend on who makes it. Tokens are not read.

use std::collections::BTreeMap;

use inspect::lock_file::yarn;

use crate::ecosystem::{LockFileKind, ProjectFile};
use crate::pin::PinError;
use crate::problem::Problem;

/// The public registry. yarn's own name for it leads to the same machine.
pub(super) const PUBLIC: &str = "https://registry.npmjs.org";

/// Registries by scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registries {
    default: String,
    /// Without the scope's `@`.
    scopes: BTreeMap<String, String>,
}

impl Registries {
    /// Reads them beside a lock file; without a configuration it is the public one.
    pub(super) fn of(file: &ProjectFile) -> Result<Registries, PinError> {
        let beside = |name: &str| file.beside.iter().find(|(path, _)| path.rsplit('/').next() == Some(name));
        let (source, (default, scopes)) = match file.kind {
            LockFileKind::Pnpm => match beside(".npmrc") {
                Some(source) => (source, npmrc(&source.1)),
                None => return Ok(Registries::public()),
            },
            LockFileKind::YarnBerry => match beside(".yarnrc.yml") {
                Some(source) => {
                    let read = yarn::configuration(&source.0, &source.1);
                    let read =
                        read.map_err(|error| PinError::LockFile(Box::new(Problem::of_lock_file(&source.1, &error))))?;
                    (source, (read.registry, read.scopes))
                }
                None => return Ok(Registries::public()),
            },
            _ => return Ok(Registries::public()),
        };
        for address in default.iter().chain(scopes.values()) {
            let good = address.starts_with("https://") || address.starts_with("http://");
            if !good || address.contains(|c: char| c == '$' || c.is_whitespace() || c.is_control()) {
                let message = format!("`{}` is no plain address of a registry", address.escape_debug());
                let line = 1 + source.1.split(|byte| *byte == b'\n').position(|line| has(line, address)).unwrap_or(0);
                let mend = Some("write it out, as `https://registry.example.org`".to_owned());
                return Err(PinError::LockFile(Box::new(Problem::at_line(&source.0, &source.1, line, message, mend))));
            }
        }
        let plain = |address: String| address.trim_end_matches('/').to_owned();
        Ok(Registries {
            default: plain(default.unwrap_or_else(|| PUBLIC.to_owned())),
            scopes: scopes.into_iter().map(|(scope, address)| (scope, plain(address))).collect(),
        })
    }

    /// The public registry for everything.
    pub(super) fn public() -> Registries {
        Registries { default: PUBLIC.to_owned(), scopes: BTreeMap::new() }
    }

    fn of_package(&self, name: &str) -> &str {
        let scope = name.strip_prefix('@').and_then(|name| name.split_once('/')).map(|(scope, _)| scope);
        scope.and_then(|scope| self.scopes.get(scope)).unwrap_or(&self.default)
    }

    /// Where the registry has the tarball of a version.
    pub(super) fn tarball(&self, name: &str, version: &str) -> String {
        format!("{}/{}", self.of_package(name), tarball_path(name, version))
    }

    /// Where the registry has the manifest of a version.
    pub(super) fn manifest(&self, name: &str, version: &str) -> String {
        format!("{}/{}/{version}", self.of_package(name), name.replace('/', "%2f"))
    }
}

/// `@types/estree/-/estree-1.0.5.tgz`
pub(super) fn tarball_path(name: &str, version: &str) -> String {
    let bare = name.rsplit('/').next().unwrap_or(name);
    // Build metadata is no part of a version's address.
    let version = version.split('+').next().unwrap_or(version);
    format!("{name}/-/{bare}-{version}.tgz")
}

fn has(line: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(line).contains(text)
}

/// Reads `registry` and `@SCOPE:registry` of an `.npmrc`.
fn npmrc(bytes: &[u8]) -> (Option<String>, BTreeMap<String, String>) {
    let (mut default, mut scopes) = (None, BTreeMap::new());
    for line in String::from_utf8_lossy(bytes).lines() {
        let line = line.trim();
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with(['#', ';'])) else { continue };
        let (key, value) = (key.trim(), value.trim().trim_matches(['"', '\'']).to_owned());
        match key.strip_prefix('@').and_then(|key| key.strip_suffix(":registry")) {
            Some(scope) => drop(scopes.insert(scope.to_owned(), value)),
            None if key == "registry" => default = Some(value),
            None => {}
        }
    }
    (default, scopes)
}

#[cfg(test)]
mod tests;
