//! Files that become durable together, so that many cost as few syncs as one.
//!
//! ```text
//! write, write, …   into the scratch directory; nothing is durable, nothing has its name
//! sync_written      all bytes durable                                     1 sync
//! place             names given; then the directories that hold them      1 sync for each, or one for all
//! ```
//!
//! Up to [`AT_ONCE_MAX`] files or directories are synced at the same time, so that they share a commit of the file system's
//! journal; for more, `syncfs` makes the whole file system durable in one call. That also waits for what other processes have
//! written there, and is the better bargain for many: each `fsync` of a new file is a commit of the file system's journal of its own, and
//! waits for what others have put into that journal, too. `syncfs` reports lost writes since Linux 5.8.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Disk, FileError, Operation, Writer, act, parent};

/// How many files or directories are synced each by itself, all at the same time. Measured on ext4 beside other builds, median
/// (90th percentile) in ms: 7 files one after another 0.9 (15), at the same time 0.5 (0.7), by `syncfs` 0.3 (3.8); 3
/// directories 0.3 to 19 (0.3 to 32), 0.2 (2.4) and 0.2 to 2.9 (6 to 15).
pub const AT_ONCE_MAX: usize = 8;

/// Files on their way together. Dropped before they are placed, they leave nothing.
pub struct Batch {
    disk: Disk,
    files: Vec<(Writer, PathBuf)>,
    names: Names,
}

/// Directories whose names have changed.
#[derive(Default)]
pub(super) struct Names {
    changed: BTreeSet<PathBuf>,
    /// What is known to be there once `changed` is durable.
    made: BTreeSet<PathBuf>,
}

impl Batch {
    /// An empty one.
    pub fn new(disk: &Disk) -> Batch {
        Batch { disk: disk.clone(), files: Vec::new(), names: Names::default() }
    }

    /// Writes a file that is to be at `path`, and makes the directory. Of two files for one path the later one stays.
    pub fn write(&mut self, path: PathBuf, bytes: &[u8], mode: u32) -> Result<(), FileError> {
        self.disk.make_directories_into(parent(&path), &mut self.names)?;
        let mut writer = self.disk.writer(mode)?;
        writer.write(bytes)?;
        writer.set_mode()?;
        self.files.push((writer, path));
        Ok(())
    }

    /// Takes along a file that is at `path` already, but whose name may not be durable yet.
    pub fn take_along(&mut self, path: &Path) {
        self.names.changed.insert(parent(path).to_owned());
    }

    /// Makes all of it durable under its names.
    pub fn commit(self) -> Result<(), FileError> {
        sync_written(&[&self])?;
        self.place()
    }

    /// Gives the files their names, durably. Their bytes must be durable: see [`sync_written`].
    pub fn place(self) -> Result<(), FileError> {
        place_all([self])
    }

    /// Gives the files their names, which become durable with the next sync of their directories, at the latest by
    /// [`Disk::settle`]: for what is written again after a crash that loses it.
    pub fn place_loosely(self) -> Result<(), FileError> {
        let disk = self.disk.clone();
        let names = self.rename()?;
        disk.loosen(names.changed);
        Ok(())
    }

    fn rename(mut self) -> Result<Names, FileError> {
        for (writer, path) in self.files {
            writer.rename(&path)?;
            self.names.changed.insert(parent(&path).to_owned());
        }
        Ok(self.names)
    }
}

/// Makes the bytes of all files durable; none has its name yet.
pub fn sync_written(batches: &[&Batch]) -> Result<(), FileError> {
    let Some(disk) = batches.first().map(|batch| &batch.disk) else { return Ok(()) };
    let files = batches.iter().flat_map(|batch| &batch.files);
    disk.sync_many(Operation::SyncFile, &files.map(|(writer, _)| (writer.path(), writer.file())).collect::<Vec<_>>())
}

/// Gives the files of several batches their names, in order, and makes all names durable together.
pub fn place_all(batches: impl IntoIterator<Item = Batch>) -> Result<(), FileError> {
    let mut placed = Vec::new();
    for batch in batches {
        placed.push((batch.disk.clone(), batch.rename()?));
    }
    let Some((disk, _)) = placed.first() else { return Ok(()) };
    disk.sync_directories(placed.iter().flat_map(|(_, names)| &names.changed))?;
    for (disk, names) in placed {
        disk.remember(names.made);
    }
    Ok(())
}

impl Disk {
    /// Makes a directory and those above it that are missing; they are durable once `names` are.
    fn make_directories_into(&self, path: &Path, names: &mut Names) -> Result<(), FileError> {
        if names.made.contains(path) || self.knows(path) {
            return Ok(());
        }
        let mut missing: Vec<&Path> = path.ancestors().take_while(|above| !above.is_dir()).collect();
        // What is there may have been made by a process that died before it was durable.
        missing.extend(path.is_dir().then_some(path));
        for directory in missing.into_iter().rev().filter(|directory| !directory.as_os_str().is_empty()) {
            self.make_directory(directory)?;
            names.changed.insert(parent(directory).to_owned());
        }
        names.made.insert(path.to_owned());
        Ok(())
    }

    /// Makes the names in some directories durable.
    pub(super) fn sync_directories<'a>(&self, paths: impl Iterator<Item = &'a PathBuf>) -> Result<(), FileError> {
        let mut directories = Vec::new();
        for path in paths {
            let opened = File::open(path).map_err(|error| FileError::new(Operation::SyncDirectory, path, error))?;
            directories.push((path.as_path(), opened));
        }
        let directories: Vec<_> = directories.iter().map(|(path, file)| (*path, file)).collect();
        self.sync_many(Operation::SyncDirectory, &directories)
    }

    fn sync_many(&self, operation: Operation, files: &[(&Path, &File)]) -> Result<(), FileError> {
        let mut devices: BTreeMap<u64, Vec<(&Path, &File)>> = BTreeMap::new();
        for (path, file) in files {
            let metadata = file.metadata().map_err(|error| FileError::new(operation, path, error))?;
            devices.entry(metadata.dev()).or_default().push((path, file));
        }
        for files in devices.values() {
            if files.len() > AT_ONCE_MAX {
                let (path, file) = files[0];
                self.step(Operation::SyncFileSystem, path, || Ok(rustix::fs::syncfs(file)?))?;
                continue;
            }
            self.sync_at_once(operation, files)?;
        }
        Ok(())
    }

    /// Syncs each of a few files by a thread of its own; the first error in their order.
    fn sync_at_once(&self, operation: Operation, files: &[(&Path, &File)]) -> Result<(), FileError> {
        if let [(path, file)] = files {
            return self.step(operation, path, || file.sync_all());
        }
        // Whether a step fails is asked in order, so that a test meets the same one each time.
        let faults: Vec<_> = files.iter().map(|(path, _)| self.fault(operation, path)).collect();
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let sync = |(file, fault)| scope.spawn(move || act(fault, || File::sync_all(file)));
            let threads: Vec<_> = files.iter().map(|(_, file)| *file).zip(faults).map(sync).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let failed = files.iter().zip(outcomes).find_map(|((path, _), outcome)| Some((path, outcome.err()?)));
        failed.map_or(Ok(()), |(path, source)| Err(FileError::new(operation, path, source)))
    }

    /// Removes a file; one that is not there is as good as removed. After a crash it may be back: for what does no
    /// harm then and is removed again. [`Disk::settle`] makes it durable.
    pub fn remove_loosely(&self, path: &Path) -> Result<(), FileError> {
        self.remove_file(path)?;
        self.loosen([parent(path).to_owned()]);
        Ok(())
    }

    /// Makes durable what was placed or removed loosely.
    pub fn settle(&self) -> Result<(), FileError> {
        let loose = self.loose();
        // Who was removed meanwhile holds nothing.
        let there: Vec<PathBuf> = loose.into_iter().filter(|path| fs::symlink_metadata(path).is_ok()).collect();
        let settled = self.sync_directories(there.iter());
        if settled.is_err() {
            self.loosen(there);
        }
        settled
    }
}
