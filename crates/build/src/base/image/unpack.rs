//! From layers in the store to a tree: read in order, their files laid aside, and what is left of them imported.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use inspect::archive::ArchiveError;
use inspect::image::root::{self, Node, Place, Root};
use wire::digest::{Algorithm, Digest, Hasher};
use wire::oci_image::Descriptor;

use super::{BYTES_MAX, BaseImageError, LayerName};
use crate::inputs::{TreeEntry, TreeSource};
use crate::lock;
use crate::pin::World;

/// How much of a text file is read to look for a word in it.
const TEXT_MAX: u64 = 64 << 10;

/// Unpacks layers, whose uncompressed digests must be `diff_ids`, and imports their tree.
pub(super) fn unpack(
    layers: &[Descriptor],
    diff_ids: &[Digest],
    world: &World<'_>,
) -> Result<lock::Base, BaseImageError> {
    let mut aside = Aside::new(&world.host.scratch)?;
    let mut root = Root::default();
    for (index, (layer, diff_id)) in layers.iter().zip(diff_ids).enumerate() {
        let name = LayerName { number: index + 1, count: layers.len(), digest: layer.digest };
        (world.progress)(&format!("unpacking {name}"));
        let compression = inspect::image::compression(&layer.media_type).expect("the manifest was refused otherwise");
        let stored = BufReader::with_capacity(256 << 10, world.inputs.open(&layer.digest)?);
        let mut tar = Hashed { reader: compression.unpack(stored), hasher: hasher(diff_id) };
        let read = root::read(&mut tar, index, &mut |place, bytes| aside.keep(place, bytes));
        if let Some(failed) = aside.failed.take() {
            return Err(failed);
        }
        let refuse = |source| BaseImageError::Layer { layer: name.clone(), source };
        let changes = read.map_err(refuse)?;
        let found = tar.hasher.finish();
        if found != *diff_id {
            return Err(BaseImageError::DiffId { layer: name, expected: *diff_id, found });
        }
        root.apply(changes).map_err(refuse)?;
    }
    (world.progress)("importing the base");
    let tree = world.inputs.import(entries(&root, &aside))?.digest();
    Ok(lock::Base { distribution: distribution(&root, &aside), tree, image: None, packages: Vec::new() })
}

fn entries(root: &Root, aside: &Aside) -> Vec<TreeEntry> {
    let entry = |(path, node): (&str, &Node)| {
        let source = match node {
            Node::File { at, executable } => TreeSource::File { path: aside.path(*at), executable: *executable },
            Node::Link { target } => TreeSource::Link(target.clone()),
            Node::Directory => TreeSource::Directory,
        };
        TreeEntry { path: path.to_owned(), source }
    };
    root.entries().map(entry).collect()
}

fn distribution(root: &Root, aside: &Aside) -> String {
    let file = match root.follow("etc/os-release") {
        Some(Node::File { at, .. }) => File::open(aside.path(*at)).ok(),
        _ => None,
    };
    let mut text = Vec::new();
    let _unread = file.map(|file| file.take(TEXT_MAX).read_to_end(&mut text));
    crate::base::distribution(&String::from_utf8_lossy(&text))
}

/// Files that were unpacked, each in a file of its own: a later layer decides which of them are wanted.
struct Aside {
    directory: PathBuf,
    bytes_left: u64,
    failed: Option<BaseImageError>,
}

impl Aside {
    fn new(scratch: &Path) -> Result<Aside, BaseImageError> {
        let directory = scratch.join("image");
        let made = match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir_all(&directory),
        };
        made.map_err(|source| BaseImageError::Scratch { path: directory.clone(), source })?;
        Ok(Aside { directory, bytes_left: BYTES_MAX, failed: None })
    }

    fn path(&self, place: Place) -> PathBuf {
        self.directory.join(format!("{}-{}", place.layer, place.file))
    }

    /// Copies a file's bytes. What fails on our side is noted, and ends the reading of the archive.
    fn keep(&mut self, place: Place, bytes: &mut dyn Read) -> Result<(), ArchiveError> {
        let path = self.path(place);
        let mut buffer = [0; 32 << 10];
        let mut file = match File::create_new(&path) {
            Ok(file) => file,
            Err(source) => return Err(self.fail(BaseImageError::Scratch { path, source })),
        };
        loop {
            let read = match bytes.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ArchiveError::Read(error)),
            };
            let Some(left) = self.bytes_left.checked_sub(read as u64) else {
                return Err(self.fail(BaseImageError::Bytes));
            };
            self.bytes_left = left;
            if let Err(source) = file.write_all(&buffer[..read]) {
                return Err(self.fail(BaseImageError::Scratch { path, source }));
            }
        }
    }

    fn fail(&mut self, error: BaseImageError) -> ArchiveError {
        self.failed = Some(error);
        ArchiveError::Read(io::ErrorKind::Other.into())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // What can't be removed now goes with the run's directory.
        let _left = fs::remove_dir_all(&self.directory);
    }
}

fn hasher(like: &Digest) -> Hasher {
    Hasher::new(match like {
        Digest::Sha256(_) => Algorithm::Sha256,
        Digest::Sha512(_) => Algorithm::Sha512,
    })
}

/// Hashes what is read through it.
struct Hashed<'a> {
    reader: Box<dyn Read + 'a>,
    hasher: Hasher,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
