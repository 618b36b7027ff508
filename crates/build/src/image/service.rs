//! What the image of a service holds: its binaries, the libraries that they need, and the least that a process expects.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use inspect::elf::{self, Linkage};
use model::tree::{self, Tree};
use wire::digest::Digest;

use super::{Bytes, Content, Entry, ImageError};
use crate::base::image::architecture;

/// The user that a service runs as unless its specification names another: nobody's number on any system.
pub const SERVICE_USER: &str = "65532:65532";

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\nservice:x:65532:65532:service:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nservice:x:65532:\n";

/// A binary that the image shall hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Path in the image: `usr/bin/greeter`.
    pub path: String,
    /// Where its bytes are.
    pub host: PathBuf,
}

/// The contents of a service's image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Files, links and directories.
    pub entries: Vec<Entry>,
    /// The architecture of all its binaries, as images name it.
    pub architecture: String,
    /// Whether any binary needs libraries.
    pub linkage: Linkage,
    /// What `LD_LIBRARY_PATH` must say, if a library lies where the loader does not look by itself: an image has no
    /// cache of `ldconfig`.
    pub library_path: Option<String>,
}

/// Gathers the contents of a service's image. Libraries come from the base: `tree` says what it holds and `root` is where
/// it lies; each file's bytes are checked against the tree.
pub fn service_entries(binaries: &[Binary], tree: &Tree, root: &Path) -> Result<Service, ImageError> {
    let mut paths = BTreeSet::new();
    let mut machines = BTreeSet::new();
    let mut configured: Vec<String> = Vec::new();
    let mut linkage = Linkage::Static;
    let mut entries = essentials();
    for binary in binaries {
        let bytes = read(&binary.host)?;
        let installed = format!("/{}", binary.path);
        let closure = elf::closure(&installed, &bytes, tree, &mut |path| fs::read(root.join(path)))
            .map_err(|cause| ImageError::Libraries { binary: binary.path.clone(), cause })?;
        machines.insert(closure.machine.oci_name().ok_or(ImageError::Machine(closure.machine.to_string()))?);
        if closure.linkage == Linkage::Dynamic {
            linkage = Linkage::Dynamic;
        }
        paths.extend(closure.paths);
        configured.extend(closure.configured);
        let content = Content::File { bytes: Bytes::Here(bytes), executable: true };
        entries.push(Entry { path: binary.path.clone(), content });
    }
    configured.sort();
    configured.dedup();
    for path in paths {
        entries.push(from_base(&path, tree, root)?);
    }
    let mut machines = machines.into_iter();
    match (machines.next(), machines.next()) {
        (Some(one), None) => Ok(Service {
            entries,
            architecture: one.to_owned(),
            linkage,
            library_path: (!configured.is_empty()).then(|| configured.join(":")),
        }),
        (Some(one), Some(other)) => Err(ImageError::Machine(format!("{one} and {other}"))),
        (None, _) => Err(ImageError::NoEntrypoint),
    }
}

/// The contents of an image upon a whole base: the binaries, which may be scripts, and nothing beside them.
pub fn upon_base(binaries: &[Binary]) -> Result<Service, ImageError> {
    let entry = |binary: &Binary| {
        let content = Content::File { bytes: Bytes::Here(read(&binary.host)?), executable: true };
        Ok(Entry { path: binary.path.clone(), content })
    };
    Ok(Service {
        entries: binaries.iter().map(entry).collect::<Result<_, ImageError>>()?,
        architecture: architecture().to_owned(),
        linkage: Linkage::Dynamic,
        library_path: None,
    })
}

/// Users, groups and a directory for temporary files.
fn essentials() -> Vec<Entry> {
    let file = |text: &str| Content::File { bytes: Bytes::Here(text.as_bytes().to_vec()), executable: false };
    vec![
        Entry { path: "etc/passwd".to_owned(), content: file(PASSWD) },
        Entry { path: "etc/group".to_owned(), content: file(GROUP) },
        Entry { path: "tmp".to_owned(), content: Content::Directory { shared: true } },
    ]
}

fn from_base(path: &str, tree: &Tree, root: &Path) -> Result<Entry, ImageError> {
    let content = match tree.entry(path) {
        Some(tree::Entry::Link { target }) => Content::Link { target: target.clone() },
        Some(tree::Entry::File { digest, executable, .. }) => {
            let host = root.join(path);
            let bytes = read(&host)?;
            if Digest::of(&bytes) != *digest {
                return Err(ImageError::Changed(host));
            }
            Content::File { bytes: Bytes::Here(bytes), executable: *executable }
        }
        Some(tree::Entry::Directory) => Content::Directory { shared: false },
        None => unreachable!("the closure names only paths of the tree"),
    };
    Ok(Entry { path: path.to_owned(), content })
}

fn read(host: &Path) -> Result<Vec<u8>, ImageError> {
    fs::read(host).map_err(|cause| ImageError::Read { path: host.to_owned(), cause })
}
