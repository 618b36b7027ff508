//! Node.js projects: what `package.json` says of name, version and scripts.

use std::collections::BTreeMap;
use std::path::Path;

use inspect::lock_file::yarn;
use serde::Deserialize;

use super::draft::{Draft, Step, texts};
use super::{InitError, directory_name, name_of, read_text};
use crate::problem::Problem;

/// What npm, its scripts and Node itself call; Debian takes most of these for granted.
const PACKAGES: [&str; 8] = ["coreutils", "dash", "grep", "gzip", "libc6", "libstdc++6", "sed", "tar"];

/// Lock files that are not read.
const OTHERS: [&str; 2] = ["bun.lock", "npm-shrinkwrap.json"];

/// Who installs a project's dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Manager {
    Npm,
    Pnpm,
    Yarn,
    /// yarn 2 or newer; the path is that of a yarn that the project keeps itself.
    Berry(Option<String>),
}

impl Manager {
    /// Returns the one whose lock file is there; `None` if there is none.
    fn of(directory: &Path) -> Result<Option<Manager>, InitError> {
        let has = |name: &str| directory.join(name).is_file();
        if has("package-lock.json") {
            return Ok(Some(Manager::Npm));
        }
        if has("pnpm-lock.yaml") {
            return Ok(Some(Manager::Pnpm));
        }
        if !has("yarn.lock") {
            return Ok(None);
        }
        if !yarn::is_berry(read_text(directory, "yarn.lock")?.as_bytes()) {
            return Ok(Some(Manager::Yarn));
        }
        if !has(".yarnrc.yml") {
            return Ok(Some(Manager::Berry(None)));
        }
        let text = read_text(directory, ".yarnrc.yml")?;
        let read = yarn::configuration(".yarnrc.yml", text.as_bytes());
        let read =
            read.map_err(|error| InitError::Manifest(Box::new(Problem::of_lock_file(text.as_bytes(), &error))))?;
        Ok(Some(Manager::Berry(read.yarn_path)))
    }

    fn lock_file(&self) -> &'static str {
        match self {
            Manager::Npm => "package-lock.json",
            Manager::Pnpm => "pnpm-lock.yaml",
            Manager::Yarn | Manager::Berry(_) => "yarn.lock",
        }
    }

    /// The words that call it.
    fn command(&self) -> Vec<&str> {
        match self {
            Manager::Npm => vec!["npm"],
            Manager::Pnpm => vec!["pnpm"],
            Manager::Berry(Some(path)) => vec!["node", path],
            Manager::Yarn | Manager::Berry(None) => vec!["yarn"],
        }
    }

    fn called(&self, arguments: &[&'static str]) -> Vec<String> {
        texts(&[self.command(), arguments.to_vec()].concat())
    }

    /// The words that install what the lock file says, and nothing else.
    fn install(&self) -> Vec<String> {
        self.called(match self {
            Manager::Npm => &["ci"],
            Manager::Pnpm => &["install", "--frozen-lockfile"],
            Manager::Yarn => &["install", "--offline", "--frozen-lockfile", "--non-interactive"],
            Manager::Berry(_) => &["install", "--immutable"],
        })
    }

    /// What leaves the dependencies of development out of `node_modules`; `None` where that takes a plugin.
    fn prune(&self) -> Option<&'static str> {
        match self {
            Manager::Npm => Some("npm prune --omit=dev"),
            Manager::Pnpm => Some("pnpm prune --prod --ignore-scripts"),
            Manager::Yarn => {
                Some("yarn install --production --offline --frozen-lockfile --ignore-scripts --non-interactive")
            }
            Manager::Berry(_) => None,
        }
    }

    /// What it leaves that holds times, and no program reads.
    fn leftovers(&self) -> &'static str {
        match self {
            Manager::Npm => "",
            Manager::Pnpm => {
                " --exclude=./node_modules/.modules.yaml --exclude=./node_modules/.pnpm-workspace-state.json \
                 --exclude=./node_modules/.pnpm-workspace-state-v1.json"
            }
            Manager::Yarn => " --exclude=./node_modules/.yarn-integrity",
            Manager::Berry(_) => " --exclude=./.yarn/install-state.gz",
        }
    }

    /// Refuses a project that does not say which pnpm or yarn installs it.
    fn check(&self, directory: &Path, package: &Package) -> Result<(), InitError> {
        let (name, latest) = match self {
            Manager::Npm | Manager::Berry(Some(_)) => return Ok(()),
            Manager::Pnpm => ("pnpm", "10"),
            Manager::Yarn => ("yarn", "1"),
            Manager::Berry(None) => ("yarn", "4"),
        };
        let named = package.package_manager.as_deref().unwrap_or("");
        match named.strip_prefix(name).is_some_and(|rest| rest.starts_with('@')) {
            true => Ok(()),
            false => Err(InitError::NoPackageManager {
                path: directory.join("package.json"),
                mend: format!("corepack use {name}@{latest}"),
            }),
        }
    }
}

/// What `npm init` writes where there is no test.
const NO_TEST: &str = "no test specified";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    package_manager: Option<String>,
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    scripts: BTreeMap<String, serde_json::Value>,
}

/// `None` if the directory holds no `package.json`.
pub(super) fn look(directory: &Path) -> Result<Option<Draft>, InitError> {
    if !directory.join("package.json").is_file() {
        return Ok(None);
    }
    let text = read_text(directory, "package.json")?;
    let package: Package = serde_json::from_str(&text).map_err(|error| {
        let start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let message = error.to_string();
        InitError::Manifest(Box::new(Problem::at("package.json", &text, start, message, None)))
    })?;
    let Some(manager) = Manager::of(directory)? else {
        let other = OTHERS.iter().find(|name| directory.join(name).is_file());
        return Err(InitError::NoLockFile {
            path: directory.join("package-lock.json"),
            mend: "npm install --package-lock-only",
            instead_of: other.map(|name| (*name).to_owned()),
        });
    };
    manager.check(directory, &package)?;
    Ok(Some(draft(directory, &package, &manager)))
}

fn draft(directory: &Path, package: &Package, manager: &Manager) -> Draft {
    let has = |script: &str| package.scripts.contains_key(script);
    let name = package.name.clone().unwrap_or_else(|| directory_name(directory));
    let bare = name.trim_start_matches('@').replace('/', "-");
    let project = name_of(&bare);
    let about = format!(
        "From the tarballs that {} names, kept by `assay lock`. Install scripts run here, in the sandbox.",
        manager.lock_file()
    );
    let mut steps = vec![Step { about: vec![about], name: "install".to_owned(), run: manager.install() }];
    if has("build") {
        steps.push(Step { about: Vec::new(), name: "compile".to_owned(), run: manager.called(&["run", "build"]) });
    }
    let artifact = match has("start") {
        true => {
            let file = format!("{project}.tar");
            let prune = manager.prune().map_or(String::new(), |prune| format!("{prune} && "));
            let script = format!(
                "{prune}tar --sort=name --mtime=@$SOURCE_DATE_EPOCH --owner=0 --group=0 \
                 --numeric-owner --exclude=./{file} --exclude=./.git{} -cf {file} .",
                manager.leftovers()
            );
            let about = "A program that is started: all of it, with its modules, in sorted order and with fixed times.";
            steps.push(Step::new("pack", &["sh", "-c", &script], &[about]));
            file
        }
        false => {
            let version = package.version.as_deref().unwrap_or("0.0.0");
            steps.push(Step::new(
                "pack",
                &["npm", "pack", "--ignore-scripts"],
                &["A package: what would be published."],
            ));
            format!("{bare}-{version}.tgz")
        }
    };
    let test = package.scripts.get("test").and_then(|script| script.as_str());
    let is_test = test.is_some_and(|script| !script.contains(NO_TEST));
    Draft {
        about_base: texts(&["For addons that are compiled (node-gyp) add: g++, make, python3."]),
        packages: texts(&PACKAGES),
        toolchains: texts(&["node"]),
        about_toolchains: texts(&[
            "The `node` and npm of this machine's search path. With Debian's own, leave this out and add `nodejs` and",
            "`npm` to the packages.",
        ]),
        lock_files: texts(&[manager.lock_file()]),
        tier: Some((
            "T1".to_owned(),
            "Node asks for the machine's memory and CPUs when it starts; from T1 on it is told the same everywhere."
                .to_owned(),
        )),
        steps,
        artifacts: vec![(name_of(&artifact), artifact.clone())],
        test: is_test.then(|| {
            let script = format!("{} && {}", manager.install().join(" "), manager.called(&["test"]).join(" "));
            texts(&["sh", "-c", &script])
        }),
        check: texts(&["/bin/true"]),
        about_check: texts(&["Replace this check by one that shows that the release works."]),
        notes: vec![format!("builds {artifact}")],
        project,
        ..Draft::default()
    }
}
