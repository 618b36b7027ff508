//! Package managers: which of their commands install what without an exact version.

use super::shell::Command;
use crate::dockerfile::{Problem, shorten};

/// Whether a program runs what comes in.
pub(super) fn is_shell(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or_default();
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    matches!(plain, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "python" | "perl" | "ruby" | "node" | "php")
}

/// Whether a program compares a file with what it must be.
pub(super) fn checks_digests(name: &str) -> bool {
    matches!(
        name,
        "sha256sum" | "sha384sum" | "sha512sum" | "shasum" | "gpg" | "gpgv" | "cosign" | "minisign" | "slsa-verifier"
    )
}

/// Returns what a command leaves open.
pub(super) fn problem(command: &Command) -> Option<Problem> {
    let arguments: Vec<&str> = command.arguments().iter().map(String::as_str).collect();
    let name = command.name();
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    match (plain, &arguments[..]) {
        ("apt-get" | "apt" | "aptitude", _) => apt(&arguments),
        ("apk", _) => apk(&arguments),
        ("dnf" | "yum" | "microdnf" | "tdnf" | "zypper", _) => rpm(&arguments),
        ("pip" | "pipx", _) => pip(&arguments),
        ("python", ["-m", "pip", rest @ ..]) | ("uv", ["pip", rest @ ..]) => pip(rest),
        ("npm", _) => npm(&arguments),
        ("pnpm", _) => pnpm(&arguments),
        ("yarn" | "yarnpkg", _) => yarn(&arguments),
        ("gem", _) => gem(&arguments),
        ("cargo", _) => cargo(&arguments),
        ("go", _) => go(&arguments),
        _ => None,
    }
}

/// Words that are no options; `with_value` are options whose value is a word of its own.
pub(super) fn operands<'a>(arguments: &[&'a str], with_value: &[&str]) -> Vec<&'a str> {
    let mut out = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.strip_prefix('-') {
            Some(_) if with_value.contains(word) => drop(words.next()),
            Some(_) => {}
            // Redirections are words here.
            None if word.starts_with(['>', '<']) || word.starts_with("2>") || word.starts_with("&>") => {
                if word.ends_with(['>', '<']) {
                    words.next();
                }
            }
            None => out.push(*word),
        }
    }
    out
}

fn packages(manager: &'static str, names: &[&str], is_pinned: impl Fn(&str) -> bool) -> Option<Problem> {
    let open: Vec<String> = names.iter().filter(|name| !is_pinned(name)).map(|name| shorten(name)).collect();
    (!open.is_empty()).then_some(Problem::Packages { manager, packages: open })
}

/// A file of the build, not a name in a registry.
fn is_path(word: &str) -> bool {
    word == "." || word.starts_with("./") || word.starts_with('/') || word.starts_with("../")
}

fn apt(arguments: &[&str]) -> Option<Problem> {
    let words = operands(arguments, &["-o", "-t", "-c", "--option", "--target-release", "--config-file"]);
    match words.split_first()? {
        (&"install" | &"reinstall" | &"build-dep", names) => {
            packages("apt-get", names, |name| name.contains('=') || is_path(name))
        }
        (&"upgrade" | &"dist-upgrade" | &"full-upgrade" | &"safe-upgrade", _) => {
            Some(Problem::Upgrade { manager: "apt-get" })
        }
        _ => None,
    }
}

fn apk(arguments: &[&str]) -> Option<Problem> {
    let with_value = ["-t", "--virtual", "-X", "--repository", "-p", "--root", "--keys-dir", "--repositories-file"];
    let words = operands(arguments, &with_value);
    match words.split_first()? {
        // `~=` takes any revision of a version.
        (&"add", names) => packages("apk", names, |name| {
            name.split_once('=').is_some_and(|(before, _)| !before.ends_with(['~', '<', '>'])) || is_path(name)
        }),
        (&"upgrade", _) => Some(Problem::Upgrade { manager: "apk" }),
        _ => None,
    }
}

fn rpm(arguments: &[&str]) -> Option<Problem> {
    let words = operands(arguments, &["-c", "--config", "--releasever", "--enablerepo", "--disablerepo", "--setopt"]);
    match words.split_first()? {
        // A version follows a hyphen: `curl-7.76.1-29.el9`.
        (&"install" | &"in" | &"reinstall", names) => packages("dnf", names, |name| {
            let digit = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
            name.match_indices('-').any(|(at, _)| digit(&name[at + 1..])) || is_path(name)
        }),
        (&"update" | &"upgrade" | &"up" | &"distro-sync", _) => Some(Problem::Upgrade { manager: "dnf" }),
        _ => None,
    }
}

fn pip(arguments: &[&str]) -> Option<Problem> {
    let with_value = ["-r", "--requirement", "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f"];
    let more =
        ["--find-links", "-t", "--target", "--prefix", "--root", "--trusted-host", "--python", "-e", "--editable"];
    let words = operands(arguments, &[&with_value[..], &more[..]].concat());
    let (verb, names) = words.split_first()?;
    if *verb != "install" || arguments.contains(&"--require-hashes") {
        return None;
    }
    let reads_file = |word: &&str| word.starts_with("-r") || word.starts_with("--requirement");
    let pinned = |name: &str| name.contains("==") && !name.contains('*') || is_path(name) || name.ends_with(".whl");
    packages("pip", names, pinned).or_else(|| {
        let unlocked = Problem::Unlocked {
            command: "pip install -r",
            instead: "pip install --require-hashes -r requirements.txt",
        };
        arguments.iter().any(reads_file).then_some(unlocked)
    })
}

/// `name@1.2.3` or `@scope/name@1.2.3`, and not `name@1` or `name@latest`.
fn is_exact(name: &str) -> bool {
    let version = name.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| &name[at + 1..]);
    let version = version.unwrap_or_default();
    let version = version.strip_prefix('v').unwrap_or(version);
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    numbers.split('.').count() == 3 && numbers.split('.').all(|part| part.parse::<u64>().is_ok())
}

fn npm(arguments: &[&str]) -> Option<Problem> {
    let words = operands(arguments, &["--prefix", "--registry", "--cache", "-w", "--workspace"]);
    match words.split_first()? {
        (&"install" | &"i" | &"add" | &"in", []) => {
            Some(Problem::Unlocked { command: "npm install", instead: "npm ci" })
        }
        (&"install" | &"i" | &"add" | &"in", names) => packages("npm", names, |name| is_exact(name) || is_path(name)),
        (&"update" | &"up" | &"upgrade", _) => Some(Problem::Upgrade { manager: "npm" }),
        _ => None,
    }
}

fn pnpm(arguments: &[&str]) -> Option<Problem> {
    let words = operands(arguments, &["-C", "--dir", "--filter", "-F"]);
    match words.split_first()? {
        (&"install" | &"i", []) if !arguments.contains(&"--frozen-lockfile") => {
            Some(Problem::Unlocked { command: "pnpm install", instead: "pnpm install --frozen-lockfile" })
        }
        (&"add", names) => packages("pnpm", names, |name| is_exact(name) || is_path(name)),
        (&"update" | &"up" | &"upgrade", _) => Some(Problem::Upgrade { manager: "pnpm" }),
        _ => None,
    }
}

fn yarn(arguments: &[&str]) -> Option<Problem> {
    let words = operands(arguments, &["--cwd", "--registry", "--modules-folder"]);
    let holds = ["--frozen-lockfile", "--immutable"].iter().any(|option| arguments.contains(option));
    match &words[..] {
        [] | ["install"] if !holds && !arguments.contains(&"--version") => Some(Problem::Unlocked {
            command: "yarn install",
            instead: "yarn install --immutable` or `--frozen-lockfile",
        }),
        ["add", names @ ..] | ["global", "add", names @ ..] => {
            packages("yarn", names, |name| is_exact(name) || is_path(name))
        }
        ["upgrade" | "up", ..] => Some(Problem::Upgrade { manager: "yarn" }),
        _ => None,
    }
}

fn gem(arguments: &[&str]) -> Option<Problem> {
    let words = operands(arguments, &["-v", "--version", "-i", "--install-dir", "-n", "--bindir", "-s", "--source"]);
    let has_version = arguments.iter().any(|word| *word == "-v" || word.starts_with("--version"));
    match words.split_first()? {
        (&"install" | &"i", names) => packages("gem", names, |name| has_version || name.contains(':') || is_path(name)),
        (&"update", _) => Some(Problem::Upgrade { manager: "gem" }),
        _ => None,
    }
}

fn cargo(arguments: &[&str]) -> Option<Problem> {
    let with_value =
        ["--version", "--vers", "--path", "--git", "--rev", "--tag", "--branch", "--root", "--features", "-F"];
    let words = operands(arguments, &[&with_value[..], &["--target", "--profile", "-j", "--bin"]].concat());
    let has = |options: &[&str]| arguments.iter().any(|word| options.iter().any(|option| word.starts_with(option)));
    let (_, names) = words.split_first().filter(|(verb, _)| **verb == "install")?;
    if has(&["--path"]) || (has(&["--git"]) && has(&["--rev"])) {
        return unlocked_cargo(arguments);
    }
    packages("cargo", names, |name| is_exact(name) || has(&["--version", "--vers"]))
        .or_else(|| unlocked_cargo(arguments))
}

fn unlocked_cargo(arguments: &[&str]) -> Option<Problem> {
    let unlocked = Problem::Unlocked { command: "cargo install", instead: "cargo install --locked" };
    (!arguments.contains(&"--locked")).then_some(unlocked)
}

fn go(arguments: &[&str]) -> Option<Problem> {
    let words = operands(arguments, &["-C", "-ldflags", "-tags", "-gcflags", "-mod"]);
    match words.split_first()? {
        // Without a version it is a package of the module itself, which `go.sum` pins.
        (&"install" | &"get" | &"run", names) => {
            packages("go", names, |name| is_path(name) || !name.contains('@') || is_exact(name))
        }
        _ => None,
    }
}
