//! A whole root file system as an image: the tree of a base in one layer, a function of the tree alone.
//!
//! Its time is that of every tree, not the commit's, so that the layer is the same whatever is built upon it.

use std::collections::BTreeMap;
use std::path::Path;

use model::tree::{self, Tree};
use wire::timestamp::Timestamp;

use super::{Bytes, Content, Entry, Image, ImageError, Layer, Spec, layer, layout};
use crate::plan::EPOCH_MIN_UNIX_S;

/// Directories in which anybody may write, where the tree has them; an image without `/tmp` gets one.
const SHARED: [&str; 2] = ["tmp", "var/tmp"];

/// Packs a tree, whose files lie below `directory`.
pub fn root_layer(tree: &Tree, directory: &Path) -> Result<Layer, ImageError> {
    let mut entries: Vec<Entry> = tree.entries().map(|(path, entry)| of_tree(path, entry, directory)).collect();
    if tree.entry(SHARED[0]).is_none() {
        entries.push(Entry { path: SHARED[0].to_owned(), content: Content::Directory { shared: true } });
    }
    layer::pack(&entries, &|_| false, epoch()?)
}

fn of_tree(path: &str, entry: &tree::Entry, directory: &Path) -> Entry {
    let content = match entry {
        tree::Entry::File { executable, .. } => {
            Content::File { bytes: Bytes::File(directory.join(path)), executable: *executable }
        }
        tree::Entry::Link { target } => Content::Link { target: target.clone() },
        tree::Entry::Directory => Content::Directory { shared: SHARED.contains(&path) },
    };
    Entry { path: path.to_owned(), content }
}

/// Makes the image of a root file system. It starts nothing by itself.
pub fn root(layer: Layer, architecture: &str, variables: BTreeMap<String, String>) -> Result<Image, ImageError> {
    let spec = Spec {
        epoch_unix_s: EPOCH_MIN_UNIX_S,
        architecture: architecture.to_owned(),
        entrypoint: Vec::new(),
        arguments: Vec::new(),
        user: String::new(),
        ports: Vec::new(),
        variables,
        labels: BTreeMap::new(),
        entries: Vec::new(),
        base: None,
    };
    let layers = vec![layer];
    Ok(layout::image(layout::config(&spec, epoch()?, &layers), layers))
}

fn epoch() -> Result<Timestamp, ImageError> {
    Timestamp::from_unix_s(EPOCH_MIN_UNIX_S).ok_or(ImageError::Epoch(EPOCH_MIN_UNIX_S))
}
