//! Commands of steps and tests that fetch, install, or let versions float.

use crate::ecosystem::Ecosystem;

/// Programs whose purpose is to fetch or install, whatever their arguments.
const FETCHERS: [&str; 19] = [
    "add-apt-repository",
    "aria2c",
    "brew",
    "buildah",
    "curl",
    "docker",
    "ftp",
    "nix",
    "nix-shell",
    "npx",
    "pipx",
    "podman",
    "rsync",
    "rustup",
    "scp",
    "sftp",
    "skopeo",
    "ssh",
    "wget",
];

/// Programs, and the first argument that makes them fetch or install.
const FETCHING: [(&str, &[&str]); 17] = [
    ("apk", &["add", "update", "upgrade"]),
    ("apt", &["install", "update", "upgrade"]),
    ("apt-get", &["install", "update", "upgrade", "build-dep", "source"]),
    ("bun", &["add", "install", "update"]),
    ("cargo", &["add", "binstall", "fetch", "generate-lockfile", "install", "publish", "search", "update"]),
    ("composer", &["install", "require", "update"]),
    ("dnf", &["install", "update", "upgrade"]),
    ("gem", &["install", "update"]),
    ("git", &["clone", "fetch", "ls-remote", "pull", "submodule"]),
    ("go", &["get", "install", "mod"]),
    ("npm", &["add", "exec", "i", "install", "update"]),
    ("pacman", &["-S", "-Sy", "-Syu"]),
    ("pip", &["download", "install"]),
    ("pnpm", &["add", "i", "install", "update"]),
    ("uv", &["add", "pip", "sync"]),
    ("yarn", &["add", "install", "upgrade"]),
    ("yum", &["install", "update", "upgrade"]),
];

/// Cargo's commands that read `Cargo.lock`, and may write it without `--locked`.
const CARGO_BUILDS: [&str; 11] =
    ["b", "bench", "build", "check", "clippy", "doc", "nextest", "run", "rustc", "t", "test"];

/// Words before which a command may stand.
const WRAPPERS: [&str; 7] = ["env", "exec", "nice", "nohup", "sudo", "time", "xargs"];

/// Shells whose `-c` argument is read as a script.
const SHELLS: [&str; 5] = ["ash", "bash", "dash", "sh", "zsh"];

/// Something found in a command.
pub(super) struct Finding {
    pub(super) offset: usize,
    pub(super) message: String,
    pub(super) allowed: &'static str,
}

/// Looks at an argument vector; each word comes with its place in the file.
pub(super) fn check(words: &[(&str, usize)], locked: &[Ecosystem]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let program = words.first().map_or("", |(program, _)| base_name(program));
    let script = words.iter().position(|(word, _)| word.starts_with('-') && word.ends_with('c'));
    if let Some((script, offset)) = script.filter(|_| SHELLS.contains(&program)).and_then(|at| words.get(at + 1)) {
        for simple in simple_commands(script) {
            let words: Vec<(&str, usize)> = simple.into_iter().map(|word| (word, *offset)).collect();
            check_simple(&words, locked, &mut findings);
        }
    } else {
        check_simple(words, locked, &mut findings);
    }
    findings.dedup_by(|a, b| a.offset == b.offset && a.message == b.message);
    findings
}

/// What a command without a shell would fetch or install.
pub(super) fn fetches(words: &[&str]) -> Option<String> {
    let words: Vec<(&str, usize)> = words.iter().map(|word| (*word, 0)).collect();
    let mut findings = Vec::new();
    check_simple(&words, &Ecosystem::ALL, &mut findings);
    findings.into_iter().map(|finding| finding.message).find(|message| !message.contains("--locked"))
}

/// The commands of a script, cut at separators. Quotes are not understood, so a word may be cut that is not one; at
/// worst a finding is missed or one is made that the author can avoid by moving the script into a file.
fn simple_commands(script: &str) -> Vec<Vec<&str>> {
    script
        .split(['\n', ';', '|', '&', '(', ')', '`', '{', '}'])
        .map(|command| command.split_whitespace().map(|word| word.trim_matches(['"', '\'', '$'])).collect())
        .filter(|command: &Vec<&str>| !command.is_empty())
        .collect()
}

fn check_simple(words: &[(&str, usize)], locked: &[Ecosystem], findings: &mut Vec<Finding>) {
    let words = without_wrappers(words);
    let Some((program, offset)) = words.first() else { return };
    let program = base_name(program);
    let arguments: Vec<&str> = words[1..].iter().map(|(word, _)| *word).collect();
    let verb = arguments.iter().find(|word| !word.starts_with(['-', '+'])).copied().unwrap_or("");
    let mut note = |message: String, allowed| findings.push(Finding { offset: *offset, message, allowed });
    if FETCHERS.contains(&program) {
        note(format!("`{program}` needs a network, and a step has none"), FETCHED_BY_LOCK);
    } else if let Some(installs) = installs(program, &arguments, verb) {
        if let Installs::Locked(ecosystem) = installs
            && !locked.contains(&ecosystem)
        {
            let name = ecosystem.name();
            note(format!("`{program} {verb}` finds no packages: no lock file of {name} is named"), NAME_LOCK_FILE);
        }
    } else if let Some(what) = fetching(program, &arguments, verb) {
        note(format!("`{what}` fetches or installs what nothing pins"), FETCHED_BY_LOCK);
    } else if program == "cargo" && CARGO_BUILDS.contains(&verb) && !is_locked(&arguments) {
        note(format!("`cargo {verb}` without `--locked` may change Cargo.lock"), "add \"--locked\"");
    }
    for (word, offset) in &words[1..] {
        if word.ends_with(":latest") || word.ends_with("@latest") {
            let message = format!("`{}` names whatever is newest", super::shown(word));
            findings.push(Finding { offset: *offset, message, allowed: "name a version, and let a lock file pin it" });
        }
    }
}

const FETCHED_BY_LOCK: &str = "name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them";

const NAME_LOCK_FILE: &str = "name it under `[base]`, as `lock-files = [\"…\"]`: `assay lock` fetches what it names";

/// What a command that chooses no version itself installs.
enum Installs {
    /// What a lock file of the ecosystem names.
    Locked(Ecosystem),
    /// The project alone.
    Own,
}

/// `None` for a command that resolves versions itself, and for one that installs nothing.
fn installs(program: &str, arguments: &[&str], verb: &str) -> Option<Installs> {
    let has = |option: &str| arguments.contains(&option);
    let is_yarn = ["yarn", "yarn.js", "yarnpkg"].contains(&program) && ["", "install"].contains(&verb);
    let by_lock_file = match program {
        "npm" => ["ci", "clean-install"].contains(&verb),
        "pnpm" => ["i", "install"].contains(&verb) && has("--frozen-lockfile"),
        // yarn 2 and newer, then yarn 1.
        _ => is_yarn && (has("--immutable") || (has("--offline") && has("--frozen-lockfile"))),
    };
    if by_lock_file {
        return Some(Installs::Locked(Ecosystem::Node));
    }
    let own = match arguments.iter().position(|word| *word == "pip").filter(|_| program.contains("python")) {
        Some(at) => &arguments[at + 1..],
        None if program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') == "pip" => arguments,
        None => return None,
    };
    let (verb, rest) = own.split_first()?;
    let installs = ["install", "wheel", "download"].contains(verb);
    let kind = if rest.contains(&"--no-deps") { Installs::Own } else { Installs::Locked(Ecosystem::Python) };
    (installs && names_files_only(rest)).then_some(kind)
}

/// Whether pip is given requirements files, directories and files, and no bare name whose version it would choose.
fn names_files_only(arguments: &[&str]) -> bool {
    const WITH_VALUE: [&str; 12] = [
        "-C",
        "-c",
        "-d",
        "-f",
        "-r",
        "-t",
        "-w",
        "--constraint",
        "--requirement",
        "--root",
        "--target",
        "--wheel-dir",
    ];
    let mut named = false;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(word) {
            named |= ["-r", "--requirement"].contains(word);
            words.next();
        } else if let Some(option) = word.strip_prefix('-') {
            named |= option.starts_with('r') || option.starts_with("-requirement=");
        } else if word.starts_with(['.', '/']) || word.contains("==") || word.ends_with(".whl") {
            named = true;
        } else {
            return false;
        }
    }
    named
}

/// The program and the verb that makes it fetch; options before that (`apt-get -y install`) are passed over.
fn fetching(program: &str, arguments: &[&str], verb: &str) -> Option<String> {
    // `python3 -m pip install`
    if program.starts_with("python") && arguments.windows(2).any(|pair| pair == ["-m", "pip"]) {
        let verb = arguments.iter().find(|word| ["install", "download"].contains(*word))?;
        return Some(format!("{program} -m pip {verb}"));
    }
    let name = if program == "pip3" { "pip" } else { program };
    let verbs = FETCHING.iter().find(|(known, _)| *known == name)?.1;
    let verb = if program == "pacman" { arguments.first().copied()? } else { verb };
    verbs.contains(&verb).then(|| format!("{program} {verb}"))
}

fn is_locked(arguments: &[&str]) -> bool {
    let own = arguments.split(|word| *word == "--").next().unwrap_or_default();
    own.iter().any(|word| ["--locked", "--frozen"].contains(word))
}

/// Passes over `env A=1`, `sudo` and the like.
fn without_wrappers<'a, 'w>(mut words: &'a [(&'w str, usize)]) -> &'a [(&'w str, usize)] {
    while let [(word, _), rest @ ..] = words {
        let is_assignment = word
            .split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        if rest.is_empty() || !(WRAPPERS.contains(&base_name(word)) || is_assignment) {
            break;
        }
        words = rest;
    }
    words
}

fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}
