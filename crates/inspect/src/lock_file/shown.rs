//! Lock files as text, for tests: a line for each package and finding.

use super::{Condition, Edge, LockFile, Locked, Origin, Pin, Role};

pub(super) fn shown(lock: &LockFile) -> String {
    let mut lines: Vec<String> = Vec::new();
    for package in &lock.packages {
        lines.push(format!("{} {}", package.line, package.purl));
        lines.push(format!("    {}", origin(lock, &package.origin)));
        let needs: Vec<String> = package.dependencies.iter().map(|one| edge(lock, one)).collect();
        if !needs.is_empty() {
            lines.push(format!("    needs {}", needs.join(", ")));
        }
        lines.extend(scope(package));
    }
    for finding in &lock.findings {
        let open = if finding.problem.leaves_open() { "open" } else { "note" };
        lines.push(format!("{open} {finding}"));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn edge(lock: &LockFile, edge: &Edge) -> String {
    let only = match &edge.only {
        None => String::new(),
        Some(Condition::Extra(name)) => format!(" if extra {name}"),
        Some(Condition::Group(name)) => format!(" if group {name}"),
    };
    let marker = edge.marker.as_ref().map(|marker| format!(" if {marker}")).unwrap_or_default();
    format!("{}@{}{only}{marker}", lock.packages[edge.to].name, lock.packages[edge.to].version)
}

fn origin(lock: &LockFile, origin: &Origin) -> String {
    let artifacts: Vec<String> = origin
        .artifacts()
        .iter()
        .map(|one| {
            let pins: Vec<String> = one.pins.iter().map(pin).collect();
            let role = if one.role == Role::Description { "description " } else { "" };
            let size = one.size.map(|size| format!(" {size}")).unwrap_or_default();
            let name = one.url.as_deref().or(one.file.as_deref()).unwrap_or("-");
            format!("{role}{}{size} [{}]", name.rsplit('/').next().unwrap_or("-"), pins.join(" "))
        })
        .collect();
    let artifacts = artifacts.join(", ");
    match origin {
        Origin::Registry { registry, .. } => format!("registry {}: {artifacts}", registry.as_deref().unwrap_or("-")),
        Origin::Url(_) => format!("url {artifacts}"),
        Origin::Git { url, reference, commit, subdirectory } => {
            let below = subdirectory.as_ref().map(|path| format!(" below {path}")).unwrap_or_default();
            format!("git {url} {reference:?} {}{below}", &commit.as_str()[..7])
        }
        Origin::Path(path) => format!("path `{path}`"),
        Origin::Workspace(path) => format!("workspace `{path}`"),
        Origin::Bundled(position) => format!("inside {}", lock.packages[*position].name),
    }
}

fn pin(pin: &Pin) -> String {
    match pin {
        Pin::Bytes(digest) => format!("{}:{}", digest.algorithm(), &digest.hex()[..8]),
        Pin::GoTree(digest) => format!("tree:{}", &digest.hex()[..8]),
        Pin::GoMod(digest) => format!("mod:{}", &digest.hex()[..8]),
        Pin::YarnZip { cache_key, digest } => {
            format!("yarn {}:{}", cache_key.as_deref().unwrap_or("-"), &digest.hex()[..8])
        }
    }
}

fn scope(package: &Locked) -> Option<String> {
    let scope = &package.scope;
    let mut words = Vec::new();
    let list = |name: &str, list: &[String]| (!list.is_empty()).then(|| format!("{name} {}", list.join(" ")));
    words.extend((scope.need != super::Need::Always).then(|| format!("{:?}", scope.need)));
    words.extend(scope.peer.then(|| "peer".to_owned()));
    words.extend(list("groups", &scope.groups));
    words.extend(list("os", &scope.os));
    words.extend(list("cpu", &scope.cpu));
    words.extend(list("libc", &scope.libc));
    words.extend(scope.marker.as_ref().map(|marker| format!("marker {marker}")));
    words.extend(scope.language.as_ref().map(|language| format!("language {language}")));
    words.extend(package.installed.as_ref().map(|place| format!("at {place}")));
    (!words.is_empty()).then(|| format!("    {}", words.join("; ")))
}
