//! Where state lies: `ASSAY_HOME`, its parts, and what is kept outside it.

use std::env;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Context, Failure, Result};

/// First line of the home's `VERSION`.
const VERSION: &str = "assay home 1\n";

/// The paths of one home.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    root: PathBuf,
    data: Option<PathBuf>,
    state: PathBuf,
    cache: PathBuf,
}

impl Home {
    /// Finds the home from `ASSAY_HOME`, `XDG_*` and `HOME`.
    ///
    /// When `ASSAY_HOME` is set, it moves all state: the external head lies in `$ASSAY_HOME.heads` beside it.
    pub(crate) fn from_environment() -> Result<Home> {
        let base = |variable: &str, below: &str| -> Result<PathBuf> {
            match env::var_os(variable).filter(|value| !value.is_empty()) {
                Some(value) => Ok(PathBuf::from(value)),
                None => match env::var_os("HOME").filter(|value| !value.is_empty()) {
                    Some(home) => Ok(Path::new(&home).join(below)),
                    None => Err(Failure::new("no-home", "neither `ASSAY_HOME` nor `HOME` is set")
                        .hint("ASSAY_HOME=/path/to/a/directory assay …")),
                },
            }
        };
        let cache = base("XDG_CACHE_HOME", ".cache").map(|path| path.join("assay"));
        match env::var_os("ASSAY_HOME").filter(|value| !value.is_empty()) {
            Some(root) => {
                let root = std::path::absolute(&root).context("home", "finding `ASSAY_HOME`")?;
                let mut state = root.clone().into_os_string();
                state.push(".heads");
                let cache = cache.unwrap_or_else(|_| env::temp_dir().join("assay-cache"));
                Ok(Home { root, data: None, state: state.into(), cache })
            }
            None => Ok(Home {
                root: base("XDG_DATA_HOME", ".local/share")?.join("assay"),
                data: None,
                state: base("XDG_STATE_HOME", ".local/state")?.join("assay/heads"),
                cache: cache?,
            }),
        }
    }

    /// The home's directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What a server serves.
    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| self.root.join("data"))
    }

    /// Takes another data directory, with the keys and the trust of this home.
    pub(crate) fn data_at(&mut self, data: &Path) -> Result<()> {
        self.data = Some(std::path::absolute(data).context("home", "finding the data directory")?);
        Ok(())
    }

    /// The same home with the data directory below its root.
    pub(crate) fn with_own_data(self) -> Home {
        Home { data: None, ..self }
    }

    /// Private keys.
    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The accepted identities.
    pub(crate) fn trust(&self) -> PathBuf {
        self.root.join("trust.json")
    }

    /// Scratch of running builds.
    pub(crate) fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// Work copies made by `assay quickstart`.
    pub(crate) fn projects(&self) -> PathBuf {
        self.root.join("projects")
    }

    /// Runtime directories of deployed services.
    pub(crate) fn deployments(&self) -> PathBuf {
        self.root.join("deployments")
    }

    /// Newest checkpoints, kept outside the home.
    pub(crate) fn heads(&self) -> &Path {
        &self.state
    }

    /// What may be deleted at any time.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Makes the home if it is not there, and refuses one of another version.
    pub(crate) fn create(&self) -> Result<()> {
        let version = self.root.join("VERSION");
        match fs::read_to_string(&version) {
            Ok(text) if text == VERSION => {}
            Ok(text) => {
                return Err(Failure::new(
                    "home-version",
                    format!("`{}` says `{}`, this program knows `{}`", version.display(), text.trim(), VERSION.trim()),
                )
                .hint("use the version of assay that wrote it, or another ASSAY_HOME"));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                private_directory(&self.root)?;
                fs::write(&version, VERSION).context("home", format!("writing `{}`", version.display()))?;
            }
            Err(error) => return Err(error).context("home", format!("reading `{}`", version.display())),
        }
        for directory in [self.keys(), self.runs()] {
            private_directory(&directory)?;
        }
        Ok(())
    }
}

/// Makes a directory that only its owner may enter.
pub(crate) fn private_directory(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
        .context("home", format!("making `{}`", path.display()))
}
