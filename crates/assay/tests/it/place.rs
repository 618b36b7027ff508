//! A place of its own for a test: an empty directory, a home in it, and the shipped binary run with a constructed environment.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A directory that is removed at the end, with `home` (ASSAY_HOME) and `work` in it.
pub(crate) struct Place {
    root: PathBuf,
}

/// What one command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.stdout.trim())
            .unwrap_or_else(|error| panic!("{error}: stdout is no JSON object:\n{}\n{}", self.stdout, self.stderr))
    }

    /// Asserts the exit code, showing everything if it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Ran {
        assert_eq!(self.exit, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl Place {
    pub(crate) fn new(name: &str) -> Place {
        let unique = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique);
        fs::create_dir_all(root.join("work")).expect("the test's directory can be made");
        Place { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// The token of the home's own operator; a server makes it.
    pub(crate) fn operator(&self) -> String {
        let token = fs::read_to_string(self.home().join("keys/operator.token")).expect("the operator's token");
        token.trim().to_owned()
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Copies a directory of the repository into `work`.
    pub(crate) fn copy(&self, from: &str) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(from);
        let to = self.work().join(Path::new(from).file_name().expect("a name"));
        let copied = Command::new("cp").arg("-r").arg(&source).arg(&to).status().expect("cp runs");
        assert!(copied.success(), "copying {}", source.display());
        let _absent = fs::remove_dir_all(to.join("target"));
        to
    }

    /// The program, with this place's home and nothing of the caller's environment but what reaches tools.
    pub(crate) fn program(&self, directory: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
        command.current_dir(directory).env_clear().stdin(Stdio::null());
        for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("ASSAY_HOME", self.home()).env("XDG_CACHE_HOME", cache());
        command
    }

    /// Runs the program in a directory.
    pub(crate) fn assay(&self, directory: &Path, arguments: &[&str]) -> Ran {
        ran(self.program(directory).args(arguments).output().expect("the program runs"))
    }

    /// Runs it with `--json`, asserts the exit code, and returns the object.
    #[track_caller]
    pub(crate) fn json(&self, directory: &Path, exit: i32, arguments: &[&str]) -> Value {
        let ran = self.assay(directory, &[arguments, &["--json"]].concat()).exits(exit);
        let json = ran.json();
        assert_eq!(json["version"], 1, "{json}");
        json
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::env::var_os("ASSAY_TEST_KEEP").is_some() {
            return;
        }
        let _writable = Command::new("chmod").args(["-R", "u+w"]).arg(&self.root).status();
        let _removed = fs::remove_dir_all(&self.root);
    }
}

/// A port for a service that is started later: free now, given to no other test of this process, and below those that the
/// kernel gives out by itself, so that no server or connection of another test takes it meanwhile.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 15_000;
    static NEXT_PORT: AtomicU32 = AtomicU32::new(0);
    // Runs of the tests at the same time begin at different places.
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let step = start.wrapping_add(NEXT_PORT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + (step % u32::from(COUNT)) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {FIRST} on is free");
}

/// Caches are shared by all tests, as they are by all homes of a user.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

pub(crate) fn ran(output: Output) -> Ran {
    Ran {
        exit: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs git in a directory as a fixed author.
#[track_caller]
pub(crate) fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_DATE", "2026-11-01T12:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-11-01T12:00:00Z")
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
