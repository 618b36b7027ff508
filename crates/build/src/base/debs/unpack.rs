//! From packages in the store to a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use inspect::archive::{ArchiveError, Kind};
use inspect::deb::{Deb, DebError};
use model::tree::{Entry, Tree};
use wire::digest::{Algorithm, Digest, Hasher};

use super::alternatives::{self, Alternative};
use super::{DebsError, Listed, Pinned, SIZE_MAX};
use crate::base::{MERGED, WRITTEN, is_left_out, purl_of};
use crate::inputs::{InputsError, TreeEntry, TreeSource};
use crate::lock;
use crate::pin::World;

/// What a package brings to a path.
#[derive(Clone, Debug)]
struct Brought {
    package: String,
    source: TreeSource,
    /// Digest of a file's bytes.
    digest: Option<Digest>,
}

/// A base on its way.
#[derive(Default)]
struct Gathered {
    brought: BTreeMap<String, Brought>,
    alternatives: Vec<Alternative>,
    notes: Vec<String>,
    /// Paths of each package, in its order.
    owned: Vec<BTreeSet<String>>,
}

/// Unpacks packages, in their order, and imports their tree.
pub(super) fn unpack(listed: &[Listed], distribution: &str, world: &World<'_>) -> Result<Pinned, DebsError> {
    let aside = Aside::new(&world.host.scratch)?;
    let mut gathered = Gathered::default();
    for package in listed {
        (world.progress)(&format!("unpacking {}", package.name));
        let mut bytes = Vec::new();
        let mut stored = world.inputs.open(&package.digest)?.take(SIZE_MAX);
        stored.read_to_end(&mut bytes).map_err(InputsError::Io)?;
        let found = Digest::of(&bytes);
        if found != package.digest {
            return Err(InputsError::Differs { expected: package.digest, found }.into());
        }
        gathered.add(package, &bytes, &aside)?;
    }
    gathered.link_alternatives();
    let Gathered { brought, notes, owned, .. } = gathered;
    (world.progress)("importing the base");
    let tree = world.inputs.import(entries(brought))?;
    let package = |(package, paths): (&Listed, BTreeSet<String>)| {
        let mut own = Tree::default();
        for path in &paths {
            if let Some(entry) = tree.entry(path).filter(|entry| **entry != Entry::Directory) {
                own.insert(path, entry.clone())?;
            }
        }
        Ok::<_, DebsError>(lock::BasePackage {
            name: package.name.clone(),
            version: package.version.clone(),
            architecture: package.architecture.clone(),
            digest: own.digest(),
            deb: Some(package.digest),
            url: Some(package.url.clone()),
            purl: purl_of(&package.name, &package.version, &package.architecture, distribution),
        })
    };
    let packages = listed.iter().zip(owned).map(package).collect::<Result<_, _>>()?;
    let base = lock::Base { distribution: distribution.to_owned(), tree: tree.digest(), image: None, packages };
    Ok(Pinned { base, notes })
}

/// All entries, with the links of a merged `/usr` and the files that no package owns.
fn entries(brought: BTreeMap<String, Brought>) -> Vec<TreeEntry> {
    let mut sources: BTreeMap<String, TreeSource> =
        brought.into_iter().map(|(path, brought)| (path, brought.source)).collect();
    for name in MERGED {
        let behind = format!("usr/{name}/");
        if sources.range(behind.clone()..).next().is_some_and(|(path, _)| path.starts_with(&behind)) {
            sources.insert(name.to_owned(), TreeSource::Link(format!("usr/{name}")));
        }
    }
    for (path, text) in WRITTEN {
        let source = TreeSource::Bytes { bytes: text.as_bytes().to_vec(), executable: false };
        sources.insert(path.to_owned(), source);
    }
    sources.into_iter().map(|(path, source)| TreeEntry { path, source }).collect()
}

impl Gathered {
    fn add(&mut self, package: &Listed, bytes: &[u8], aside: &Aside) -> Result<(), DebsError> {
        let refuse = |source| DebsError::Deb { name: package.name.clone(), source };
        let deb = Deb::parse(bytes).map_err(refuse)?;
        let mut own: BTreeMap<String, Brought> = BTreeMap::new();
        let mut failed = None;
        let walked = deb.files(&mut |member, content| {
            let path = merged(&member.path);
            let brought = |source, digest| Brought { package: package.name.clone(), source, digest };
            match &member.kind {
                Kind::Directory | Kind::Special { .. } => {}
                _ if is_left_out(&path) => {}
                Kind::Link { target } => {
                    own.insert(path, brought(TreeSource::Link(target.clone()), None));
                }
                Kind::HardLink { target } => match own.get(&merged(target)).cloned() {
                    Some(shared) => drop(own.insert(path, shared)),
                    None => {
                        let (name, target) = (package.name.clone(), target.clone());
                        failed = failed.take().or(Some(DebsError::HardLink { name, path, target }));
                    }
                },
                Kind::File { .. } => match aside.keep(content)? {
                    Ok((file, digest)) => {
                        let source = TreeSource::File { path: file, executable: member.mode & 0o100 != 0 };
                        own.insert(path, brought(source, Some(digest)));
                    }
                    Err(error) => failed = failed.take().or(Some(error)),
                },
            }
            Ok(())
        });
        if let Some(failed) = failed {
            return Err(failed);
        }
        walked.map_err(refuse)?;
        self.take_scripts(package, &deb).map_err(refuse)?;
        self.owned.push(own.keys().cloned().collect());
        own.into_iter().try_for_each(|(path, brought)| self.place(path, brought))
    }

    fn take_scripts(&mut self, package: &Listed, deb: &Deb<'_>) -> Result<(), DebError> {
        let mut not_done = BTreeSet::new();
        for script in deb.scripts()?.values() {
            let found = alternatives::read(script);
            self.alternatives.extend(found.links);
            not_done.extend(found.not_done);
        }
        if !not_done.is_empty() {
            let told: Vec<&str> = not_done.into_iter().collect();
            self.notes.push(format!("`{}`: a script, which is not run, {}", package.name, told.join(", ")));
        }
        Ok(())
    }

    /// Takes a path, which no other package may bring otherwise.
    fn place(&mut self, path: String, brought: Brought) -> Result<(), DebsError> {
        let Some(first) = self.brought.get(&path) else {
            self.brought.insert(path, brought);
            return Ok(());
        };
        let same = match (&first.source, &brought.source) {
            (TreeSource::Link(one), TreeSource::Link(other)) => one == other,
            (TreeSource::File { executable: one, .. }, TreeSource::File { executable: other, .. }) => {
                one == other && first.digest == brought.digest
            }
            _ => false,
        };
        match same {
            true => Ok(()),
            false => Err(DebsError::Conflict { path, first: first.package.clone(), second: brought.package }),
        }
    }

    /// Makes both links of every alternative whose program is in, of the highest priority; of equal ones, the first.
    fn link_alternatives(&mut self) {
        let mut best: BTreeMap<String, Alternative> = BTreeMap::new();
        for alternative in std::mem::take(&mut self.alternatives) {
            let held = self.brought.contains_key(&merged(alternative.target.trim_start_matches('/')));
            let known = best.get(&alternative.name).map_or(i64::MIN, |known| known.priority);
            if held && alternative.priority > known {
                best.insert(alternative.name.clone(), alternative);
            }
        }
        for (name, alternative) in best {
            let link = merged(alternative.link.trim_start_matches('/'));
            if is_left_out(&link) || self.brought.contains_key(&link) {
                continue;
            }
            let middle = format!("etc/alternatives/{name}");
            let brought = |target: String| Brought {
                package: "alternatives".to_owned(),
                source: TreeSource::Link(target),
                digest: None,
            };
            self.brought.insert(link, brought(format!("/{middle}")));
            self.brought.insert(middle, brought(alternative.target));
        }
    }
}

/// Where a path lies in a merged `/usr`.
fn merged(path: &str) -> String {
    let first = path.split('/').next().unwrap_or_default();
    if MERGED.contains(&first) && path != first { format!("usr/{path}") } else { path.to_owned() }
}

/// Files that were unpacked, to be imported.
struct Aside {
    directory: PathBuf,
    next: std::cell::Cell<usize>,
}

impl Aside {
    fn new(scratch: &Path) -> Result<Aside, DebsError> {
        let directory = scratch.join("debs");
        let made = match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir_all(&directory),
        };
        made.map_err(|source| DebsError::Io { path: directory.clone(), source })?;
        Ok(Aside { directory, next: std::cell::Cell::new(0) })
    }

    /// Copies a file's bytes: where they are now, and their digest. The outer error is the archive's.
    fn keep(&self, bytes: &mut dyn Read) -> Result<Result<(PathBuf, Digest), DebsError>, ArchiveError> {
        let path = self.directory.join(self.next.get().to_string());
        self.next.set(self.next.get() + 1);
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut buffer = [0; 32 << 10];
        let failed = |source| DebsError::Io { path: path.clone(), source };
        let mut file = match File::create_new(&path) {
            Ok(file) => file,
            Err(source) => return Ok(Err(failed(source))),
        };
        loop {
            let read = bytes.read(&mut buffer).map_err(ArchiveError::Read)?;
            if read == 0 {
                return Ok(Ok((path, hasher.finish())));
            }
            hasher.update(&buffer[..read]);
            if let Err(source) = io::Write::write_all(&mut file, &buffer[..read]) {
                return Ok(Err(failed(source)));
            }
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // What can't be removed now goes with the run's directory.
        let _left = fs::remove_dir_all(&self.directory);
    }
}
