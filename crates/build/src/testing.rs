//! Doubles for this crate's tests: a store in a directory, a network in memory, a directory that removes itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::tree::{Entry, Tree};
use wire::digest::Digest;
use wire::oci_image::Descriptor;

use crate::base::reference::Repository;
use crate::inputs::{Fetch, FetchError, Host, Images, ImagesError, Inputs, InputsError, TreeEntry, TreeSource};

/// A directory of its own for one test.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Directory {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("assay-build-{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary directory is writable");
        Directory(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, and the directories above it.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("it lies below the directory")).expect("it is writable");
        fs::write(path, content).expect("it is writable");
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("it lies below the directory")).expect("it is writable");
        std::os::unix::fs::symlink(target, path).expect("it is writable");
    }

    /// A host whose places all lie here; its tools see the caller's own variables.
    pub(crate) fn host(&self) -> Host {
        let variables = crate::inputs::HOST_VARIABLES.iter();
        Host {
            root: self.0.join("root"),
            cargo_home: None,
            cache: self.0.join("cache"),
            scratch: self.0.join("scratch"),
            variables: variables.filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect(),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ignored = fs::remove_dir_all(&self.0);
    }
}

/// A store in a directory that keeps to the contract of [`Inputs`]: what is held is never written again.
pub(crate) struct DirectoryInputs {
    root: PathBuf,
    lock: Mutex<()>,
}

impl DirectoryInputs {
    pub(crate) fn new(directory: &Directory) -> DirectoryInputs {
        let root = directory.path().join("store");
        fs::create_dir_all(root.join("blobs")).expect("it is writable");
        fs::create_dir_all(root.join("trees")).expect("it is writable");
        DirectoryInputs { root, lock: Mutex::new(()) }
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.hex())
    }

    fn entry(&self, place: &Path, source: &TreeSource) -> Result<Entry, InputsError> {
        let (digest, executable) = match source {
            TreeSource::Link(target) => {
                std::os::unix::fs::symlink(target, place)?;
                return Ok(Entry::Link { target: target.clone() });
            }
            TreeSource::Directory => {
                fs::create_dir_all(place)?;
                return Ok(Entry::Directory);
            }
            TreeSource::File { path, executable } => (self.put(&mut fs::File::open(path)?, None)?, *executable),
            TreeSource::Held { digest, executable } => (*digest, *executable),
            TreeSource::Bytes { bytes, executable } => (self.put(&mut bytes.as_slice(), None)?, *executable),
        };
        let size = fs::copy(self.blob(&digest), place)?;
        let mode = if executable { 0o555 } else { 0o444 };
        fs::set_permissions(place, fs::Permissions::from_mode(mode))?;
        Ok(Entry::File { digest, size, executable })
    }
}

impl Inputs for DirectoryInputs {
    fn has(&self, digest: &Digest) -> Result<bool, InputsError> {
        Ok(self.blob(digest).exists())
    }

    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send>, InputsError> {
        match fs::File::open(self.blob(digest)) {
            Ok(file) => Ok(Box::new(file)),
            Err(_) => Err(InputsError::Absent(*digest)),
        }
    }

    fn put(&self, bytes: &mut dyn Read, expected: Option<&Digest>) -> Result<Digest, InputsError> {
        let mut content = Vec::new();
        bytes.read_to_end(&mut content)?;
        let found = Digest::of(&content);
        if let Some(expected) = expected.filter(|expected| **expected != found) {
            return Err(InputsError::Differs { expected: *expected, found });
        }
        let _held = self.lock.lock().expect("no test panics while it writes");
        if !self.blob(&found).exists() {
            let aside = self.root.join(format!("{}.tmp", found.hex()));
            fs::write(&aside, content)?;
            fs::rename(aside, self.blob(&found))?;
        }
        Ok(found)
    }

    fn import(&self, entries: Vec<TreeEntry>) -> Result<Tree, InputsError> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let staging = self.root.join(format!("staging-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let mut tree = Tree::default();
        for entry in entries {
            let place = staging.join(&entry.path);
            fs::create_dir_all(place.parent().expect("it lies below the staging directory"))?;
            let held = self.entry(&place, &entry.source)?;
            tree.insert(&entry.path, held)?;
        }
        fs::create_dir_all(&staging)?;
        let digest = self.put(&mut tree.manifest().as_slice(), None)?;
        let place = self.root.join("trees").join(digest.hex());
        match place.exists() {
            true => fs::remove_dir_all(staging)?,
            false => fs::rename(staging, place)?,
        }
        Ok(tree)
    }

    fn tree(&self, digest: &Digest) -> Result<Option<PathBuf>, InputsError> {
        let place = self.root.join("trees").join(digest.hex());
        Ok(place.is_dir().then_some(place))
    }
}

/// A network that answers from memory and remembers what it was asked.
#[derive(Default)]
pub(crate) struct Network {
    answers: BTreeMap<String, Vec<u8>>,
    /// URLs that fail as if the network were away.
    pub(crate) away: BTreeSet<String>,
    asked: Mutex<Vec<String>>,
}

impl Network {
    pub(crate) fn with(mut self, url: &str, bytes: impl AsRef<[u8]>) -> Network {
        self.answers.insert(url.to_owned(), bytes.as_ref().to_vec());
        self
    }

    /// What was asked since the last call, sorted.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.asked.lock().expect("no test panics while it asks"));
        asked.sort();
        asked
    }
}

impl Fetch for Network {
    fn fetch(&self, url: &str, size_max: u64) -> Result<Vec<u8>, FetchError> {
        self.asked.lock().expect("no test panics while it asks").push(url.to_owned());
        let url = url.to_owned();
        if self.away.contains(&url) {
            let source = std::io::Error::other("connection refused").into();
            return Err(FetchError::Unreachable { url, source });
        }
        match self.answers.get(&url) {
            Some(bytes) if bytes.len() as u64 > size_max => Err(FetchError::TooLarge { url, size_max }),
            Some(bytes) => Ok(bytes.clone()),
            None => Err(FetchError::Status { url, status: 404 }),
        }
    }
}

/// A `.crate` file with these files below `root/`.
pub(crate) fn crate_archive(root: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, format!("{root}/{path}"), content.as_bytes()).expect("it is in memory");
    }
    gzip(&archive.into_inner().expect("it is in memory"))
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("it is in memory");
    encoder.finish().expect("it is in memory")
}

/// Changes some bytes of `bytes`, the same for the same seed.
pub(crate) fn mutated(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let mut out = bytes.to_vec();
    for _ in 0..=next(4) {
        let at = next(out.len());
        match next(5) {
            0 => out.truncate(at),
            1 if !out.is_empty() => out[at] = next(256) as u8,
            2 if !out.is_empty() => drop(out.remove(at)),
            3 => {
                let end = (at + next(40)).min(out.len());
                let piece = out[at.min(end)..end].to_vec();
                out.splice(at..at, piece);
            }
            _ => out.insert(at, b"\"[]{}=.,\n\\#"[next(11)]),
        }
    }
    out
}

/// Calls `read` with two thousand mutations of `bytes`; it must return, whatever it says.
pub(crate) fn fuzz(bytes: &[u8], mut read: impl FnMut(&[u8])) {
    for seed in 0..2000 {
        read(&mutated(bytes, seed));
    }
}

/// No registry answers.
pub(crate) struct NoRegistry;

impl Images for NoRegistry {
    fn manifest(&self, repository: &Repository, _: &Digest) -> Result<Vec<u8>, ImagesError> {
        Err(away(repository))
    }

    fn blob(&self, repository: &Repository, _: &Descriptor) -> Result<(), ImagesError> {
        Err(away(repository))
    }
}

fn away(repository: &Repository) -> ImagesError {
    ImagesError { repository: repository.clone(), source: "the registry is away".into() }
}

/// A registry that has these manifests and blobs, and remembers what it was asked.
pub(crate) struct Registry<'a> {
    /// Where blobs are brought.
    pub(crate) inputs: &'a dyn Inputs,
    /// Bytes by the digest that they are asked by.
    pub(crate) blobs: BTreeMap<Digest, Vec<u8>>,
    /// What was asked, in order.
    pub(crate) asked: Mutex<Vec<Digest>>,
}

impl Registry<'_> {
    fn answer(&self, repository: &Repository, digest: &Digest) -> Result<&[u8], ImagesError> {
        self.asked.lock().expect("no test panics while it asks").push(*digest);
        self.blobs.get(digest).map(Vec::as_slice).ok_or_else(|| away(repository))
    }
}

impl Images for Registry<'_> {
    fn manifest(&self, repository: &Repository, digest: &Digest) -> Result<Vec<u8>, ImagesError> {
        self.answer(repository, digest).map(<[u8]>::to_vec)
    }

    fn blob(&self, repository: &Repository, blob: &Descriptor) -> Result<(), ImagesError> {
        let mut bytes = self.answer(repository, &blob.digest)?;
        let put = self.inputs.put(&mut bytes, Some(&blob.digest));
        put.map(drop).map_err(|error| ImagesError { repository: repository.clone(), source: Box::new(error) })
    }
}
