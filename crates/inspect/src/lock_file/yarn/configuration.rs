//! What a `.yarnrc.yml` says of registries and of yarn itself; the file is read, its plugins are not run.
//!
//! Reference: <https://yarnpkg.com/configuration/yarnrc>.
//!
//! ```yaml
//! npmRegistryServer: "https://registry.example.org"
//! npmScopes:
//!   company:
//!     npmRegistryServer: "https://npm.example.org"
//! yarnPath: .yarn/releases/yarn-4.9.2.cjs
//! ```

use std::collections::BTreeMap;

use crate::lock_file::LockFileError;
use crate::lock_file::document::{text_of, yaml};
use crate::lock_file::finding::Refusal;

/// What is taken of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// `npmRegistryServer`
    pub registry: Option<String>,
    /// The registry of each scope, without its `@`.
    pub scopes: BTreeMap<String, String>,
    /// The yarn that the project keeps itself.
    pub yarn_path: Option<String>,
}

/// Reads a `.yarnrc.yml`; `file` is its name in messages.
pub fn configuration(file: &str, bytes: &[u8]) -> Result<Configuration, LockFileError> {
    let read = || {
        let text = text_of(bytes)?;
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Configuration::default());
        }
        let document = yaml(text)?;
        let root = document.map("")?;
        let mut scopes = BTreeMap::new();
        for (scope, node) in root.members("npmScopes")? {
            if let Some(registry) = node.map(scope)?.text("npmRegistryServer")? {
                scopes.insert(scope.to_owned(), registry.to_owned());
            }
        }
        Ok(Configuration {
            registry: root.text("npmRegistryServer")?.map(str::to_owned),
            scopes,
            yarn_path: root.text("yarnPath")?.map(str::to_owned),
        })
    };
    read().map_err(|refusal: Refusal| refusal.in_file(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_and_the_own_yarn_are_read() {
        let text = "# ours\nnodeLinker: node-modules\nnpmRegistryServer: \"https://a.example\"\nnpmScopes:\n  company:\n    \
                    npmRegistryServer: https://b.example\nyarnPath: .yarn/releases/yarn-4.9.2.cjs\n";
        let read = configuration(".yarnrc.yml", text.as_bytes()).expect("it is good");
        assert_eq!(read.registry.as_deref(), Some("https://a.example"));
        assert_eq!(read.scopes, BTreeMap::from([("company".to_owned(), "https://b.example".to_owned())]));
        assert_eq!(read.yarn_path.as_deref(), Some(".yarn/releases/yarn-4.9.2.cjs"));
        assert_eq!(configuration(".yarnrc.yml", b"# nothing\n").expect("it is good"), Configuration::default());
        let error = configuration(".yarnrc.yml", b"npmScopes: [a]\n").expect_err("it is a list");
        assert_eq!(error.to_string(), ".yarnrc.yml:1:1: `npmScopes` is a list: expected a table");
    }
}
