//! The `git` command, run so that nothing but the repository's own data decides what it says.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{SourceError, plain};

/// The most that one git command may print: listing a million files takes some 100 MB.
const OUTPUT_MAX: u64 = 256 << 20;

/// The longest summary that is kept of a commit message.
const SUMMARY_MAX: usize = 500;

/// Environment of every git command, on top of an empty one. Each line shuts out a source of other answers, of
/// programs that the repository could name, or of the network.
const ENVIRONMENT: [(&str, &str); 11] = [
    ("LC_ALL", "C"),
    ("HOME", "/nonexistent"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
];

/// Configuration that wins over the repository's own. `safe.directory`: root may build a user's tree.
const CONFIGURATION: [(&str, &str); 9] = [
    ("safe.directory", "*"),
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.quotePath", "false"),
    ("core.untrackedCache", "false"),
    ("core.excludesFile", "/dev/null"),
    ("core.attributesFile", "/dev/null"),
    ("core.pager", "cat"),
    ("submodule.recurse", "false"),
];

/// A git work tree, seen from a directory in it.
pub(super) struct Repository {
    directory: PathBuf,
}

/// What a commit object says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) time_unix_s: i64,
    pub(super) author: String,
    pub(super) committer: String,
    pub(super) summary: String,
}

/// A file as a tree object or the index names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tracked {
    pub(super) mode: String,
    pub(super) id: String,
    pub(super) path: String,
}

impl Repository {
    /// Finds the work tree around `directory`. No git command is run where no directory above has a `.git`.
    pub(super) fn around(directory: &Path) -> Result<Option<Repository>, SourceError> {
        let read = |cause| SourceError::Read { path: directory.to_owned(), cause };
        let directory = directory.canonicalize().map_err(read)?;
        if !directory.ancestors().any(|above| above.join(".git").symlink_metadata().is_ok()) {
            return Ok(None);
        }
        let repository = Repository { directory };
        if repository.run(&["rev-parse", "--is-inside-work-tree"])? != b"true\n" {
            return Ok(None);
        }
        let ignored = repository.ask(&["check-ignore", "--quiet", "."])?.is_some();
        Ok((!ignored).then_some(repository))
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the commit that is checked out; `None` before the first one.
    pub(super) fn commit(&self) -> Result<Option<Commit>, SourceError> {
        let Some(id) = self.ask(&["rev-parse", "--verify", "--quiet", "HEAD"])? else { return Ok(None) };
        let id = String::from_utf8_lossy(&id).trim().to_owned();
        let raw = self.run(&["cat-file", "commit", &id])?;
        parse_commit(&id, &raw).map(Some).ok_or_else(|| self.not_understood(&["cat-file", "commit"]))
    }

    /// Returns the branch's short name; `None` on a detached head.
    pub(super) fn branch(&self) -> Result<Option<String>, SourceError> {
        let Some(name) = self.ask(&["symbolic-ref", "--quiet", "HEAD"])? else { return Ok(None) };
        let name = String::from_utf8_lossy(&name).trim().to_owned();
        Ok(Some(name.strip_prefix("refs/heads/").unwrap_or(&name).to_owned()))
    }

    /// Returns where the repository comes from, without credentials.
    pub(super) fn url(&self) -> Result<String, SourceError> {
        let remote = self.ask(&["config", "--get", "remote.origin.url"])?;
        let remote = remote.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        if let Some(url) = remote.filter(|url| !url.is_empty()) {
            return Ok(without_credentials(&url));
        }
        let top = self.run(&["rev-parse", "--show-toplevel"])?;
        Ok(format!("file://{}", String::from_utf8_lossy(&top).trim_end_matches('\n')))
    }

    /// Returns what lies in the work tree below the directory, tracked or not, but for what is ignored.
    pub(super) fn files(&self) -> Result<Vec<String>, SourceError> {
        if let Some(submodule) = self.index()?.into_iter().find(|entry| entry.mode == "160000") {
            return Err(SourceError::Nested { path: submodule.path });
        }
        let listed = self.paths(&["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
        if let Some(clone) = listed.iter().find(|path| path.ends_with('/')) {
            return Err(SourceError::Nested { path: clone.trim_end_matches('/').to_owned() });
        }
        let there = |path: &String| self.directory.join(path).symlink_metadata().is_ok();
        Ok(listed.into_iter().filter(there).collect())
    }

    /// Returns what is neither tracked nor ignored, sorted.
    pub(super) fn untracked(&self) -> Result<BTreeSet<String>, SourceError> {
        self.paths(&["ls-files", "-z", "--others", "--exclude-standard"])
    }

    /// Returns what the index holds below the directory.
    pub(super) fn index(&self) -> Result<Vec<Tracked>, SourceError> {
        let command = ["ls-files", "-z", "--stage"];
        self.tracked(&command, |words| match words {
            [mode, id, stage] if *stage == "0" => Some((mode, id)),
            // A merge in progress: the path stands up to three times, and differs from any commit.
            [mode, _, _] => Some((mode, "unmerged")),
            _ => None,
        })
    }

    /// Returns what the commit holds below the directory.
    pub(super) fn head(&self) -> Result<Vec<Tracked>, SourceError> {
        self.tracked(&["ls-tree", "-r", "-z", "HEAD"], |words| match words {
            [mode, _, id] => Some((mode, id)),
            _ => None,
        })
    }

    /// Returns the object ids that git would give these files, their bytes as they are.
    pub(super) fn hash_files(&self, paths: &[&str]) -> Result<Vec<String>, SourceError> {
        let command = ["hash-object", "--no-filters", "--stdin-paths"];
        // Absolute, as git goes to the top of the work tree before it opens them.
        let directory = plain(self.directory.as_os_str().as_bytes())?;
        let input: String = paths.iter().map(|path| format!("{directory}/{path}\n")).collect();
        let output = self.run_with(&command, input.as_bytes())?;
        let ids: Vec<String> = String::from_utf8_lossy(&output).lines().map(str::to_owned).collect();
        if ids.len() == paths.len() { Ok(ids) } else { Err(self.not_understood(&command)) }
    }

    /// Returns the bytes of blobs, in the order asked for.
    pub(super) fn blobs(&self, ids: &[&str]) -> Result<Vec<Vec<u8>>, SourceError> {
        let command = ["cat-file", "--batch"];
        let input: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let output = self.run_with(&command, input.as_bytes())?;
        parse_batch(&output).filter(|blobs| blobs.len() == ids.len()).ok_or_else(|| self.not_understood(&command))
    }

    fn paths(&self, command: &[&str]) -> Result<BTreeSet<String>, SourceError> {
        self.run(command)?.split(|&byte| byte == 0).filter(|path| !path.is_empty()).map(plain).collect()
    }

    fn tracked(
        &self,
        command: &[&str],
        choose: impl for<'w> Fn(&[&'w str]) -> Option<(&'w str, &'w str)>,
    ) -> Result<Vec<Tracked>, SourceError> {
        let output = self.run(command)?;
        let mut all = Vec::new();
        for record in output.split(|&byte| byte == 0).filter(|record| !record.is_empty()) {
            let tab = record.iter().position(|&byte| byte == b'\t').ok_or_else(|| self.not_understood(command))?;
            let words = String::from_utf8_lossy(&record[..tab]).into_owned();
            let words: Vec<&str> = words.split(' ').collect();
            let (mode, id) = choose(&words).ok_or_else(|| self.not_understood(command))?;
            all.push(Tracked { mode: mode.to_owned(), id: id.to_owned(), path: plain(&record[tab + 1..])? });
        }
        Ok(all)
    }

    fn run(&self, command: &[&str]) -> Result<Vec<u8>, SourceError> {
        self.run_with(command, b"")
    }

    fn run_with(&self, command: &[&str], input: &[u8]) -> Result<Vec<u8>, SourceError> {
        let output = self.execute(command, input)?;
        if output.code == Some(0) { Ok(output.stdout) } else { Err(self.failure(command, &output)) }
    }

    /// Runs a command that says no by exit status 1: `None`. Any other failure is one.
    fn ask(&self, command: &[&str]) -> Result<Option<Vec<u8>>, SourceError> {
        let output = self.execute(command, b"")?;
        match output.code {
            Some(0) => Ok(Some(output.stdout)),
            Some(1) => Ok(None),
            _ => Err(self.failure(command, &output)),
        }
    }

    fn failure(&self, command: &[&str], output: &Output) -> SourceError {
        SourceError::Git {
            command: command.join(" "),
            directory: self.directory.clone(),
            message: String::from_utf8_lossy(&output.stderr).trim().chars().take(400).collect(),
        }
    }

    fn execute(&self, command: &[&str], input: &[u8]) -> Result<Output, SourceError> {
        let missing = |cause| SourceError::GitMissing { directory: self.directory.clone(), cause };
        let mut child = self
            .command(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(missing)?;
        let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = std::thread::scope(|scope| {
            scope.spawn(move || {
                // A git that stops reading has failed, and its exit status says so.
                if let Some(pipe) = &mut stdin {
                    let _refused = pipe.write_all(input);
                }
            });
            let stderr = scope.spawn(move || read_all(stderr));
            (read_all(stdout), stderr.join().expect("reading a pipe does not panic"))
        });
        let status = child.wait().map_err(missing)?;
        let (stdout, stderr) = (stdout.map_err(missing)?, stderr.map_err(missing)?);
        if stdout.len() as u64 > OUTPUT_MAX {
            return Err(self.not_understood(command));
        }
        Ok(Output { code: status.code(), stdout, stderr })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(ENVIRONMENT).current_dir(&self.directory).args(arguments);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin")));
        command.env("GIT_CONFIG_COUNT", CONFIGURATION.len().to_string());
        for (position, (key, value)) in CONFIGURATION.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{position}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{position}"), value);
        }
        command
    }

    fn not_understood(&self, command: &[&str]) -> SourceError {
        SourceError::GitOutput { command: command.join(" "), directory: self.directory.clone() }
    }
}

struct Output {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

fn read_all(pipe: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(OUTPUT_MAX + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Parses what `git cat-file --batch` prints: `ID blob SIZE`, a line break, the bytes, a line break; again and again.
pub(super) fn parse_batch(mut output: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut blobs = Vec::new();
    while !output.is_empty() {
        let line = output.iter().position(|&byte| byte == b'\n')?;
        let header = std::str::from_utf8(&output[..line]).ok()?;
        let size: usize = header.split_once(" blob ")?.1.parse().ok()?;
        let after = output.get(line + 1..)?;
        blobs.push(after.get(..size)?.to_vec());
        output = after.get(size..)?.strip_prefix(b"\n")?;
    }
    Some(blobs)
}

/// Parses a commit object: header lines, an empty line, the message.
pub(super) fn parse_commit(id: &str, raw: &[u8]) -> Option<Commit> {
    if !matches!(id.len(), 40 | 64) || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let text = String::from_utf8_lossy(raw);
    let (header, message) = text.split_once("\n\n").unwrap_or((text.trim_end_matches('\n'), ""));
    let field = |name: &str| header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let (author, _) = person(field("author")?)?;
    let (committer, time_unix_s) = person(field("committer")?)?;
    let summary = message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Some(Commit {
        id: id.to_owned(),
        time_unix_s,
        author,
        committer,
        summary: summary.trim().chars().take(SUMMARY_MAX).collect(),
    })
}

/// Parses `Ada <ada@example.org> 1795376460 +0100`.
fn person(text: &str) -> Option<(String, i64)> {
    let end = text.rfind('>')? + 1;
    let seconds = text[end..].split_whitespace().next()?.parse().ok()?;
    Some((text[..end].to_owned(), seconds))
}

/// Removes what may be a secret from a remote's URL: a user and password before `@`, but for the user of an `ssh://`
/// URL, and for http also everything from `?` or `#` on.
pub(super) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let rest = if web { rest.split(['?', '#']).next().unwrap_or_default() } else { rest };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = match authority.rsplit_once('@') {
        None => authority.to_owned(),
        Some((user, host)) if scheme.to_ascii_lowercase().contains("ssh") => {
            format!("{}@{host}", user.split(':').next().unwrap_or_default())
        }
        Some((_, host)) => host.to_owned(),
    };
    format!("{scheme}://{host}{path}")
}
