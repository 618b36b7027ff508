//! `[base]`: what the root file system of a build is made of.

use super::read::{is_name, is_package_name, relative, shown};
use super::{Base, NamedPackage, Root};
use crate::base::reference::{ImageReference, ImageReferenceError};
use crate::document::{At, Reader, Table};
use crate::ecosystem::{self, LockFileKind};
use crate::problem::suggestion;
use crate::toolchain;

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>, top: &Table<'_, '_>) -> Option<Base> {
    reader.required(top, "base");
    let table = reader.table(top, "base")?;
    of_table(reader, &table)
}

/// Reads `[base]`, or the base of a stage.
pub(super) fn of_table(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<Base> {
    reader.keys(table, &["packages", "from", "image", "toolchains", "targets", "lock-files"]);
    let root = root(reader, table);
    let toolchains = reader.strings(table, "toolchains").map_or(Vec::new(), |list| list.value);
    for toolchain in &toolchains {
        if !toolchain::NAMES.contains(&toolchain.value.as_str()) {
            let message = format!("unknown toolchain `{}`", shown(&toolchain.value));
            reader.problem(toolchain.offset, message, suggestion(&toolchain.value, &toolchain::NAMES));
        }
    }
    let targets = reader.strings(table, "targets").map_or(Vec::new(), |list| list.value);
    for target in &targets {
        if !is_name(&target.value) {
            let message = format!("`{}` is no name of a Rust target", shown(&target.value));
            reader.problem(target.offset, message, "as `x86_64-unknown-linux-musl`".to_owned());
        }
    }
    let plain = |list: Vec<At<String>>| list.into_iter().map(|item| item.value).collect();
    let lock_files = lock_files(reader, table)?;
    Some(Base { root: root?, toolchains: plain(toolchains), targets: plain(targets), lock_files })
}

/// Packages or an image: one root file system has one origin.
fn root(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<Root> {
    let Some(image) = reader.string(table, "image") else {
        if !table.table.contains_key("image") {
            reader.required(table, "packages");
        }
        let known = [("installed", false), ("archive", true)];
        let from_archive = reader.one_of(table, "from", &known).unwrap_or(false);
        return packages(reader, table).map(if from_archive { Root::Archive } else { Root::Packages });
    };
    if let Some(from) = table.table.get("from") {
        let allowed = "leave it out: it is for `packages`".to_owned();
        reader.problem(from.span().start, "`from` says nothing about an image", allowed);
        return None;
    }
    if let Some(packages) = table.table.get("packages") {
        let allowed = "take one of the two: an image is the whole root file system of a build".to_owned();
        reader.problem(packages.span().start, "`[base]` names both `image` and `packages`", allowed);
        return None;
    }
    match ImageReference::parse(&image.value) {
        Ok(reference) => Some(Root::Image(reference)),
        Err(error) => {
            let allowed = match error {
                ImageReferenceError::NoDigest => "run `assay env freeze`, which writes the digest behind it",
                ImageReferenceError::NoHost => "as \"docker.io/library/debian@sha256:…\", or \"oci:DIR\" for a layout",
                _ => "as \"HOST/NAME[:TAG]@sha256:…\", or \"oci:DIR[@sha256:…]\" for a layout",
            };
            reader.problem(image.offset, format!("`{}`: {error}", shown(&image.value)), allowed.to_owned());
            None
        }
    }
}

fn packages(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<Vec<NamedPackage>> {
    let packages = reader.strings(table, "packages")?;
    let mut named: Vec<NamedPackage> = Vec::new();
    for package in packages.value {
        let one = NamedPackage::parse(&package.value);
        let is_good = is_package_name(&one.name) && one.version.as_deref().is_none_or(is_version);
        if !is_good {
            let message = format!("`{}` is no name of a Debian package", shown(&package.value));
            let allowed =
                "lower-case letters, digits, `+`, `-` and `.`; with a version as \"gcc=4:12.2.0-3\"".to_owned();
            reader.problem(package.offset, message, allowed);
        } else if named.iter().any(|other| other.name == one.name && other.version != one.version) {
            reader.problem(package.offset, format!("`{}` is named with two versions", one.name), None);
        }
        named.push(one);
    }
    Some(named)
}

impl NamedPackage {
    /// Divides name and version; neither is checked.
    pub(crate) fn parse(text: &str) -> NamedPackage {
        match text.split_once('=') {
            Some((name, version)) => NamedPackage { name: name.to_owned(), version: Some(version.to_owned()) },
            None => NamedPackage { name: text.to_owned(), version: None },
        }
    }
}

/// Whether a text can be a version, as Debian Policy 5.6.12 has it.
fn is_version(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-' | b'~' | b':');
    !text.is_empty() && text.len() <= 256 && text.bytes().all(inner)
}

fn lock_files(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<Option<Vec<String>>> {
    let Some(list) = reader.strings(table, "lock-files") else { return Some(None) };
    let mut paths = Vec::new();
    for path in list.value {
        let offset = path.offset;
        let path = relative(reader, path)?;
        if LockFileKind::of_path(&path).is_none() {
            let message = format!("`{}` is no lock file that is read", shown(&path));
            reader.problem(offset, message, format!("read are: {}", ecosystem::lock_file_names().join(", ")));
        } else if paths.contains(&path) {
            reader.problem(offset, format!("`{}` is named twice", shown(&path)), None);
        } else {
            paths.push(path);
        }
    }
    Some(Some(paths))
}

#[cfg(test)]
mod tests;
