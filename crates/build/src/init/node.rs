//! Node.js projects: what `package.json` says of name, version and scripts.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::draft::{Draft, Step, texts};
use super::{InitError, directory_name, name_of, read_text};
use crate::problem::Problem;

/// What npm, its scripts and Node itself call; Debian takes most of these for granted.
const PACKAGES: [&str; 8] = ["coreutils", "dash", "grep", "gzip", "libc6", "libstdc++6", "sed", "tar"];

/// Lock files of other package managers, which are not read.
const OTHERS: [&str; 4] = ["bun.lock", "pnpm-lock.yaml", "yarn.lock", "npm-shrinkwrap.json"];

/// What `npm init` writes where there is no test.
const NO_TEST: &str = "no test specified";

#[derive(Default, Deserialize)]
struct Package {
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
    if !directory.join("package-lock.json").is_file() {
        let other = OTHERS.iter().find(|name| directory.join(name).is_file());
        return Err(InitError::NoLockFile {
            path: directory.join("package-lock.json"),
            mend: "npm install --package-lock-only",
            instead_of: other.map(|name| (*name).to_owned()),
        });
    }
    Ok(Some(draft(directory, &package)))
}

fn draft(directory: &Path, package: &Package) -> Draft {
    let has = |script: &str| package.scripts.contains_key(script);
    let name = package.name.clone().unwrap_or_else(|| directory_name(directory));
    let bare = name.trim_start_matches('@').replace('/', "-");
    let project = name_of(&bare);
    let mut steps = vec![Step::new(
        "install",
        &["npm", "ci"],
        &[
            "From the tarballs that package-lock.json names, kept by `assay lock`. Install scripts run here, in the sandbox.",
        ],
    )];
    if has("build") {
        steps.push(Step::new("compile", &["npm", "run", "build"], &[]));
    }
    let artifact = match has("start") {
        true => {
            let file = format!("{project}.tar");
            let script = format!(
                "npm prune --omit=dev && tar --sort=name --mtime=@$SOURCE_DATE_EPOCH --owner=0 --group=0 \
                 --numeric-owner --exclude=./{file} --exclude=./.git -cf {file} ."
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
        lock_files: texts(&["package-lock.json"]),
        tier: Some((
            "T1".to_owned(),
            "Node asks for the machine's memory and CPUs when it starts; from T1 on it is told the same everywhere."
                .to_owned(),
        )),
        steps,
        artifacts: vec![(name_of(&artifact), artifact.clone())],
        test: is_test.then(|| texts(&["sh", "-c", "npm ci && npm test"])),
        check: texts(&["/bin/true"]),
        about_check: texts(&["Replace this check by one that shows that the release works."]),
        notes: vec![format!("builds {artifact}")],
        project,
        ..Draft::default()
    }
}
