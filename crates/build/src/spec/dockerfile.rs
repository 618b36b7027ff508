//! `[build] dockerfile`, and what an `assay.toml` with one may and may not say.

use std::collections::BTreeMap;

use crate::base::reference::ImageReference;
use crate::document::{Reader, Table};
use crate::spec::read::{checked_name, plain_variables_of, relative, shown};
use crate::spec::{Base, Dockerfile, Image, Libraries, Root};

/// Sections that say in another way what a Dockerfile says.
const OTHERS: [&str; 6] = ["base", "stage", "step", "artifact", "normalise", "test"];

/// How many names of images may be pinned.
const IMAGES_MAX: usize = 1_000;

/// Whether the build is that of a Dockerfile.
pub(super) fn is_named(top: &Table<'_, '_>) -> bool {
    let build = top.table.get("build").and_then(|build| build.get_ref().as_table());
    build.is_some_and(|build| build.contains_key("dockerfile"))
}

/// Reads the keys of `[build]` that are about it.
pub(super) fn read(reader: &mut Reader<'_>, build: &Table<'_, '_>) -> Option<Option<Dockerfile>> {
    let Some(path) = reader.string(build, "dockerfile") else {
        for key in ["target", "args", "images"] {
            if let Some(value) = build.table.get(key) {
                let allowed = "write dockerfile = \"Dockerfile\", or leave it out".to_owned();
                reader.problem(value.span().start, format!("`{key}` is for a build with a Dockerfile"), allowed);
            }
        }
        return Some(None);
    };
    let path = relative(reader, path);
    let target = reader.string(build, "target").map(|target| target.value);
    let arguments = plain_variables_of(reader, build, "args");
    let mut images = BTreeMap::new();
    for (name, pinned) in reader.map(build, "images").into_iter().take(IMAGES_MAX) {
        match ImageReference::parse(&pinned.value) {
            Ok(reference) => drop(images.insert(name, reference)),
            Err(error) => {
                let allowed = "as \"HOST/NAME[:TAG]@sha256:…\", or \"oci:DIR[@sha256:…]\" for a layout".to_owned();
                reader.problem(pinned.offset, format!("image `{}`: {error}", shown(&name)), allowed);
            }
        }
    }
    Some(Some(Dockerfile { path: path?, target, arguments, images }))
}

/// Notes sections that cannot stand beside a Dockerfile.
pub(super) fn check_others(reader: &mut Reader<'_>, top: &Table<'_, '_>) {
    for key in OTHERS {
        if let Some(value) = top.table.get(key) {
            let allowed = "the Dockerfile says the build: leave one of the two out".to_owned();
            reader.problem(value.span().start, format!("`{key}` and a Dockerfile"), allowed);
        }
    }
}

/// Reads `[image]`: the Dockerfile says all of it but the name.
pub(super) fn image(reader: &mut Reader<'_>, top: &Table<'_, '_>) -> Option<Option<Image>> {
    reader.required(top, "image");
    let table = reader.table(top, "image")?;
    reader.keys(&table, &["name"]);
    let name = reader.required_string(&table, "name").and_then(|name| checked_name(reader, name))?;
    Some(Some(Image {
        name,
        artifacts: Vec::new(),
        entrypoint: Vec::new(),
        libraries: Libraries::None,
        user: String::new(),
        ports: Vec::new(),
        variables: BTreeMap::new(),
    }))
}

/// What is seen of this machine: nothing.
pub(super) fn base() -> Base {
    Base { root: Root::Packages(Vec::new()), toolchains: Vec::new(), targets: Vec::new(), lock_files: Some(Vec::new()) }
}
