//! What a build asks of the world: bytes and trees by digest, a URL's bytes, and the parts of images.
//!
//! The traits are what this crate calls and no more; whoever runs a build implements them over a store and an HTTP
//! client. [`Host`] names the places of the machine that a lock is made on, so that nothing here reads a variable.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use model::tree::{Tree, TreeError};
use wire::digest::Digest;
use wire::oci_image::Descriptor;

use crate::base::reference::Repository;

/// Pinned bytes and trees, by digest.
///
/// Contract: what a method acknowledged is durable and kept (under a retention hold) until it is released elsewhere;
/// a reader never sees half-written bytes; storing what is held already changes nothing and succeeds; all methods may
/// be called from several threads at once.
pub trait Inputs: Sync {
    /// Whether the blob is held.
    fn has(&self, digest: &Digest) -> Result<bool, InputsError>;

    /// Opens a held blob.
    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send>, InputsError>;

    /// Stores all that `bytes` yields. With `expected`, other bytes are refused ([`InputsError::Differs`]) and
    /// nothing is kept.
    fn put(&self, bytes: &mut dyn Read, expected: Option<&Digest>) -> Result<Digest, InputsError>;

    /// Imports a tree: materialises it read-only, with every file's time fixed, and stores its manifest as a blob.
    /// Entries come in any order, no path twice; directories above an entry are implied.
    fn import(&self, entries: Vec<TreeEntry>) -> Result<Tree, InputsError>;

    /// Returns the directory of a materialised tree; `None` if it is not held.
    fn tree(&self, digest: &Digest) -> Result<Option<PathBuf>, InputsError>;
}

/// One entry of a tree to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Relative path in the tree.
    pub path: String,
    /// What stands there.
    pub source: TreeSource,
}

/// Where an entry's content comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeSource {
    /// A regular file of this machine.
    File {
        /// Where it lies.
        path: PathBuf,
        /// Whether it may be executed.
        executable: bool,
    },
    /// These bytes.
    Bytes {
        /// Content.
        bytes: Vec<u8>,
        /// Whether it may be executed.
        executable: bool,
    },
    /// A blob that the store holds.
    Held {
        /// Its digest.
        digest: Digest,
        /// Whether it may be executed.
        executable: bool,
    },
    /// A symbolic link with this target.
    Link(String),
    /// A directory, for one that would stay empty.
    Directory,
}

impl TreeSource {
    /// Returns what stands at a path of this machine, links not followed; `None` for what a tree cannot hold.
    pub(crate) fn of_path(path: &Path) -> io::Result<Option<TreeSource>> {
        let metadata = fs::symlink_metadata(path)?;
        if metadata.is_symlink() {
            let target = fs::read_link(path)?;
            let target = target.to_str().ok_or_else(|| io::Error::other("the link's target is not UTF-8"))?;
            return Ok(Some(TreeSource::Link(target.to_owned())));
        }
        let executable = metadata.permissions().mode() & 0o100 != 0;
        Ok(metadata.is_file().then(|| TreeSource::File { path: path.to_owned(), executable }))
    }
}

/// Why the inputs could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum InputsError {
    /// Not held.
    #[error("`{0}` is not in the store")]
    Absent(Digest),
    /// Bytes that are not what was expected.
    #[error("the bytes are `{found}`, expected `{expected}`")]
    Differs {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// A tree that cannot be.
    #[error("importing a tree")]
    Tree(#[from] TreeError),
    /// Reading or writing failed.
    #[error("reading or writing the store")]
    Io(#[from] io::Error),
    /// The store itself failed, in its own words.
    #[error("the store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Reads the manifest of a held tree.
pub fn manifest(inputs: &dyn Inputs, digest: &Digest) -> Result<Tree, InputsError> {
    let mut bytes = Vec::new();
    inputs.open(digest)?.take(MANIFEST_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MANIFEST_MAX {
        return Err(InputsError::Io(io::Error::other("the tree's manifest is too large")));
    }
    let found = Digest::of(&bytes);
    if found != *digest {
        return Err(InputsError::Differs { expected: *digest, found });
    }
    Ok(Tree::parse(&bytes)?)
}

/// How large a tree's manifest may be: 2,000,000 entries of 512 bytes.
const MANIFEST_MAX: u64 = 1 << 30;

/// Reads images out of registries.
///
/// Contract: answers challenges with the user's own login, if there is one; tries again what may pass. What comes has the
/// digest that was asked for, or is an error; may be called from several threads at once.
pub trait Images: Sync {
    /// Returns the bytes of a manifest or index, of at most [`MANIFEST_SIZE_MAX`](wire::oci_image::MANIFEST_SIZE_MAX).
    fn manifest(&self, repository: &Repository, digest: &Digest) -> Result<Vec<u8>, ImagesError>;

    /// Brings a blob into the store that is asked through [`Inputs`].
    fn blob(&self, repository: &Repository, blob: &Descriptor) -> Result<(), ImagesError>;
}

/// Why a registry gave no image, in the client's words.
#[derive(Debug, thiserror::Error)]
#[error("reading `{repository}` from its registry")]
pub struct ImagesError {
    /// What was asked.
    pub repository: Repository,
    /// Why it did not come.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Fetches a URL's bytes; with [`Images`] the only network of this crate.
///
/// Contract: follows redirects within `https`; tries again, with delays, what may pass (a timeout, a reset, 429, 5xx);
/// refuses a body of more than `size_max` bytes before holding it; may be called from several threads at once. The
/// bytes are not trusted: the caller compares their digest.
pub trait Fetch: Sync {
    /// Returns the body that `url` answers with status 200.
    fn fetch(&self, url: &str, size_max: u64) -> Result<Vec<u8>, FetchError>;
}

/// Why a URL gave no bytes.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer at all: no network, no such host, a broken connection.
    #[error("`{url}` cannot be reached")]
    Unreachable {
        /// The URL.
        url: String,
        /// What the client said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer other than 200.
    #[error("`{url}` answered with status {status}")]
    Status {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// More bytes than allowed.
    #[error("`{url}` answered with more than {size_max} bytes")]
    TooLarge {
        /// The URL.
        url: String,
        /// The limit.
        size_max: u64,
    },
}

/// The places of the machine that a lock is made on.
#[derive(Clone, Debug)]
pub struct Host {
    /// Root of the file system whose packages are imported: `/`.
    pub root: PathBuf,
    /// Cargo's home (`~/.cargo`), whose configuration and downloaded crates are used.
    pub cargo_home: Option<PathBuf>,
    /// Where fingerprints are kept between runs; safe to delete.
    pub cache: PathBuf,
    /// Where crates are unpacked on the way into the store; emptied afterwards.
    pub scratch: PathBuf,
    /// Variables for the tools that are run (`rustc`, `cargo`, `git`, `node`, `apt-get`) and for where to fetch from: those of [`HOST_VARIABLES`] that are set.
    pub variables: BTreeMap<String, String>,
}

/// What the tools that a lock runs may see of the caller's variables: where toolchains lie, and how the network and
/// private repositories are reached.
pub const HOST_VARIABLES: [&str; 14] = [
    "PATH",
    "HOME",
    "APT_CONFIG",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "https_proxy",
    "GOPROXY",
];

impl Host {
    /// Returns a command with nothing but [`Host::variables`] and what pins its behaviour.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.variables).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        // A missing toolchain is an error to report, never a download.
        command.env("RUSTUP_AUTO_INSTALL", "0");
        command.stdin(Stdio::null());
        command
    }

    /// Returns `cargo SUBCOMMAND` for a project, with `cargo_home`, a new directory, as Cargo's home.
    ///
    /// Cargo takes a project for a member of a workspace in any directory above it, but does not look across its own home.
    /// So the project is named by a link in that home: it is read as in the sandbox, where nothing lies above it, also if
    /// the copy that `quickstart` makes lies in a directory of somebody's workspace.
    pub(crate) fn cargo(&self, subcommand: &str, project: &Path, cargo_home: &Path) -> io::Result<Command> {
        let link = cargo_home.join("project");
        symlink(project, &link)?;
        let mut command = self.command("cargo");
        command.current_dir(project).arg(subcommand).arg("--manifest-path").arg(link.join("Cargo.toml"));
        command.env("CARGO_HOME", cargo_home).env("CARGO_TERM_COLOR", "never");
        Ok(command)
    }
}

/// Makes a new, empty directory below [`Host::scratch`] and removes it when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(host: &Host, name: &str) -> io::Result<Scratch> {
        let path = host.scratch.join(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed when the same name is made again.
        let _ignored = fs::remove_dir_all(&self.0);
    }
}
