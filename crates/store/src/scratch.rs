//! Directories for tests, removed when dropped.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory of its own.
pub(crate) struct Scratch {
    path: PathBuf,
    owned: bool,
}

impl Scratch {
    /// Makes an empty directory whose name begins with `name`.
    pub(crate) fn new(name: &str) -> Scratch {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = base().join(format!("assay-store-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a scratch directory");
        Scratch { path, owned: true }
    }

    /// A directory inside of this one.
    pub(crate) fn below(&self, name: &str) -> Scratch {
        Scratch::of(&self.path.join(name))
    }

    /// A directory that somebody else removes.
    pub(crate) fn of(path: &Path) -> Scratch {
        std::fs::create_dir_all(path).expect("a scratch directory");
        Scratch { path: path.to_owned(), owned: false }
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Memory, where there is some for files: thousands of syncs to a disk would take minutes and show nothing more, for a
/// test can't cut the power.
fn base() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.owned {
            drop(crate::durable::remove_tree(&self.path));
        }
    }
}
