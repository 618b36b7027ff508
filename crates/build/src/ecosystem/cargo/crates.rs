//! Crates into the store: each `.crate` file by its checksum, from Cargo's own cache or from the registry.
//!
//! Formats: registry index configuration <https://doc.rust-lang.org/cargo/reference/registry-index.html>; source
//! replacement <https://doc.rust-lang.org/cargo/reference/source-replacement.html>.
//!
//! An interrupted fetch resumes by itself: a crate that is held is never asked for again. Registries with a git index
//! are not read, nor registries that want a token.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wire::digest::Digest;

use super::lock_file::{Origin, Package};
use crate::ecosystem::download::{Counts, in_parallel};
use crate::inputs::{Fetch, FetchError, Inputs, InputsError};

/// How large a `.crate` file may be: crates.io allows 10 MiB, exceptions have up to 100.
const CRATE_SIZE_MAX: u64 = 256 * 1024 * 1024;

/// How large a registry's `config.json` may be.
const CONFIG_SIZE_MAX: u64 = 64 * 1024;

/// Where crates.io serves crates from, as its index says in `config.json`.
const CRATES_IO_DOWNLOAD: &str = "https://static.crates.io/crates/{crate}/{crate}-{version}.crate";

/// Why crates could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CratesError {
    /// The registry's bytes are not what the lock file says.
    #[error("crate `{name} {version}` has SHA-256 {found}, but Cargo.lock says {expected}")]
    Checksum {
        /// Crate name.
        name: String,
        /// Version.
        version: String,
        /// Checksum of the lock file.
        expected: String,
        /// Checksum of the bytes that came.
        found: String,
    },
    /// The registry did not give the crate.
    #[error("fetching crate `{name} {version}`")]
    Fetch {
        /// Crate name.
        name: String,
        /// Version.
        version: String,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// A registry whose protocol is not spoken.
    #[error("crate `{name}` comes from `{registry}`, whose index is a git repository or lies on disk")]
    Registry {
        /// Crate name.
        name: String,
        /// The registry.
        registry: String,
    },
    /// A registry's `config.json` could not be had.
    #[error("reading the configuration of registry `{registry}`")]
    Index {
        /// The registry.
        registry: String,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// A registry's `config.json` that makes no sense.
    #[error("the configuration of registry `{registry}` has no `dl` that is an http URL")]
    IndexConfig {
        /// The registry.
        registry: String,
    },
    /// Cargo's configuration could not be read.
    #[error("reading `{}`", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Cargo's configuration is malformed.
    #[error("parsing `{}`", path.display())]
    ConfigSyntax {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The store failed.
    #[error("keeping crate `{name} {version}`")]
    Inputs {
        /// Crate name.
        name: String,
        /// Version.
        version: String,
        /// Why.
        #[source]
        source: InputsError,
    },
}

/// Cargo's `config.toml`, as far as it says where crates come from.
#[derive(Debug, Default, Deserialize)]
pub struct CargoConfig {
    #[serde(default)]
    source: BTreeMap<String, ConfiguredSource>,
    #[serde(default)]
    registries: BTreeMap<String, ConfiguredRegistry>,
}

#[derive(Debug, Default, Deserialize)]
struct ConfiguredSource {
    #[serde(rename = "replace-with")]
    replace_with: Option<String>,
    registry: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ConfiguredRegistry {
    index: Option<String>,
}

impl CargoConfig {
    /// Reads `config.toml` (or `config`) of Cargo's home; none there is an empty configuration.
    pub fn read(cargo_home: Option<&Path>) -> Result<CargoConfig, CratesError> {
        let Some(home) = cargo_home else { return Ok(CargoConfig::default()) };
        for name in ["config.toml", "config"] {
            let path = home.join(name);
            match fs::read_to_string(&path) {
                Ok(text) => {
                    return toml::from_str(&text)
                        .map_err(|source| CratesError::ConfigSyntax { path, source: Box::new(source) });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(CratesError::Config { path, source }),
            }
        }
        Ok(CargoConfig::default())
    }

    /// Returns the index that replaces the one a package names, or that one itself.
    fn index_of(&self, origin: &Origin) -> String {
        let Origin::Registry { source, .. } = origin else { return String::new() };
        let mut index = source.clone();
        let start = self.source.iter().find(|(name, known)| {
            (name.as_str() == "crates-io" && origin.is_crates_io())
                || known.registry.as_deref().is_some_and(|r| same_index(r, source))
        });
        let mut next = start.and_then(|(_, known)| known.replace_with.clone());
        // A chain of replacements cannot be longer than the table, unless it is a circle.
        for _ in 0..=self.source.len() {
            let Some(name) = next.take() else { break };
            if let Some(known) = self.source.get(&name) {
                index = known.registry.clone().unwrap_or_else(|| name.clone());
                next = known.replace_with.clone();
            } else if let Some(known) = self.registries.get(&name) {
                index = known.index.clone().unwrap_or_else(|| name.clone());
            }
        }
        index
    }
}

fn same_index(a: &str, b: &str) -> bool {
    let plain = |index: &str| index.trim_start_matches("registry+").trim_end_matches('/').to_owned();
    plain(a) == plain(b)
}

/// Brings every registry package into the store. `progress` is told of each crate that was not held.
pub fn bring(
    packages: &[Package],
    cargo_home: Option<&Path>,
    inputs: &dyn Inputs,
    fetch: &dyn Fetch,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Counts, CratesError> {
    let mut outcome = Counts::default();
    let mut wanted = Vec::new();
    for package in packages {
        let Origin::Registry { checksum, .. } = &package.origin else { continue };
        let held = inputs.has(checksum).map_err(|source| inputs_error(package, source))?;
        match held {
            true => outcome.held += 1,
            false => wanted.push((package, checksum)),
        }
    }
    let cached = cached_crates(cargo_home);
    let mut missing = Vec::new();
    for (package, checksum) in wanted {
        match take_cached(&cached, package, checksum, inputs)? {
            true => outcome.cached += 1,
            false => missing.push((package, checksum)),
        }
    }
    if missing.is_empty() {
        return Ok(outcome);
    }
    let config = CargoConfig::read(cargo_home)?;
    let templates = templates(&missing, &config, fetch)?;
    fetch_all(&missing, &config, &templates, inputs, fetch, progress)?;
    outcome.fetched = missing.len();
    Ok(outcome)
}

/// Crates that Cargo has downloaded, by file name; unreadable directories count as empty.
fn cached_crates(cargo_home: Option<&Path>) -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let Some(home) = cargo_home else { return found };
    let Ok(registries) = fs::read_dir(home.join("registry/cache")) else { return found };
    for registry in registries.flatten() {
        let Ok(crates) = fs::read_dir(registry.path()) else { continue };
        for file in crates.flatten() {
            found.entry(file.file_name().to_string_lossy().into_owned()).or_default().push(file.path());
        }
    }
    found
}

/// Takes the crate from Cargo's cache if bytes with its checksum lie there; other bytes are passed over.
fn take_cached(
    cached: &BTreeMap<String, Vec<PathBuf>>,
    package: &Package,
    checksum: &Digest,
    inputs: &dyn Inputs,
) -> Result<bool, CratesError> {
    let name = format!("{}-{}.crate", package.name, package.version);
    for path in cached.get(&name).into_iter().flatten() {
        let Ok(mut file) = fs::File::open(path) else { continue };
        match inputs.put(&mut file, Some(checksum)) {
            Ok(_) => return Ok(true),
            Err(InputsError::Differs { .. }) => {}
            Err(source) => return Err(inputs_error(package, source)),
        }
    }
    Ok(false)
}

/// Asks each registry once for its download template.
fn templates(
    missing: &[(&Package, &Digest)],
    config: &CargoConfig,
    fetch: &dyn Fetch,
) -> Result<BTreeMap<String, String>, CratesError> {
    let mut templates = BTreeMap::new();
    for (package, _) in missing {
        let index = config.index_of(&package.origin);
        if templates.contains_key(&index) {
            continue;
        }
        let template = match index.strip_prefix("sparse+") {
            Some("https://index.crates.io/") => CRATES_IO_DOWNLOAD.to_owned(),
            Some(url) => registry_template(url, fetch)?,
            None if package.origin.is_crates_io() && is_crates_io_index(&index) => CRATES_IO_DOWNLOAD.to_owned(),
            None => return Err(CratesError::Registry { name: package.name.clone(), registry: index }),
        };
        templates.insert(index, template);
    }
    Ok(templates)
}

fn is_crates_io_index(index: &str) -> bool {
    same_index(index, "https://github.com/rust-lang/crates.io-index")
}

fn registry_template(url: &str, fetch: &dyn Fetch) -> Result<String, CratesError> {
    #[derive(Deserialize)]
    struct Config {
        dl: String,
    }
    let registry = || url.to_owned();
    let address = format!("{}/config.json", url.trim_end_matches('/'));
    let bytes =
        fetch.fetch(&address, CONFIG_SIZE_MAX).map_err(|source| CratesError::Index { registry: registry(), source })?;
    let config: Config =
        serde_json::from_slice(&bytes).map_err(|_| CratesError::IndexConfig { registry: registry() })?;
    if !config.dl.starts_with("https://") && !config.dl.starts_with("http://") {
        return Err(CratesError::IndexConfig { registry: registry() });
    }
    Ok(config.dl)
}

/// Fills a registry's download template, as the index specification has it.
fn download_url(template: &str, package: &Package, checksum: &Digest) -> String {
    const MARKERS: [&str; 5] = ["{crate}", "{version}", "{prefix}", "{lowerprefix}", "{sha256-checksum}"];
    if !MARKERS.iter().any(|marker| template.contains(marker)) {
        return format!("{}/{}/{}/download", template.trim_end_matches('/'), package.name, package.version);
    }
    template
        .replace("{crate}", &package.name)
        .replace("{version}", &package.version)
        .replace("{prefix}", &prefix(&package.name))
        .replace("{lowerprefix}", &prefix(&package.name.to_lowercase()))
        .replace("{sha256-checksum}", &checksum.hex())
}

fn prefix(name: &str) -> String {
    match name.len() {
        1 | 2 => name.len().to_string(),
        3 => format!("3/{}", &name[..1]),
        _ => format!("{}/{}", &name[..2], &name[2..4]),
    }
}

/// Fetches from several threads; the first error ends all, and what came by then is kept.
fn fetch_all(
    missing: &[(&Package, &Digest)],
    config: &CargoConfig,
    templates: &BTreeMap<String, String>,
    inputs: &dyn Inputs,
    fetch: &dyn Fetch,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), CratesError> {
    in_parallel(missing, &|(package, checksum)| {
        let template = &templates[&config.index_of(&package.origin)];
        let url = download_url(template, package, checksum);
        fetch_one(&url, package, checksum, inputs, fetch)?;
        progress(&format!("fetched {} {}", package.name, package.version));
        Ok(())
    })
}

fn fetch_one(
    url: &str,
    package: &Package,
    checksum: &Digest,
    inputs: &dyn Inputs,
    fetch: &dyn Fetch,
) -> Result<(), CratesError> {
    let (name, version) = (package.name.clone(), package.version.clone());
    let bytes = match fetch.fetch(url, CRATE_SIZE_MAX) {
        Ok(bytes) => bytes,
        Err(source) => return Err(CratesError::Fetch { name, version, source }),
    };
    let found = Digest::of(&bytes);
    if found != *checksum {
        return Err(CratesError::Checksum { name, version, expected: checksum.hex(), found: found.hex() });
    }
    inputs.put(&mut bytes.as_slice(), Some(checksum)).map_err(|source| inputs_error(package, source))?;
    Ok(())
}

fn inputs_error(package: &Package, source: InputsError) -> CratesError {
    CratesError::Inputs { name: package.name.clone(), version: package.version.clone(), source }
}

#[cfg(test)]
mod tests;
