//! The rules of the rooms (ARCHITECTURE.md), held mechanically.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Control flow longer than this is cut; tables and numbered protocols are named in [`LONG_FUNCTIONS`].
const FUNCTION_LINES_MAX: usize = 70;
/// Files longer than this are split; tables are named in [`LONG_FILES`].
const FILE_LINES_MAX: usize = 700;

/// Functions that are tables or numbered protocols, with their length; the number may only fall.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Files that may be longer, with their length; the number may only fall.
const LONG_FILES: &[(&str, usize)] = &[];

/// Licences that a dependency may have (any one of an `OR`).
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "MPL-2.0",
    "Unicode-3.0",
    "CC0-1.0",
    "Unlicense",
    "OpenSSL",
    "CDLA-Permissive-2.0",
    "BSL-1.0",
    "MIT-0",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace's directory")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// The workspace's crates and their normal dependencies.
fn dependencies(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let members: BTreeSet<&str> =
        metadata["workspace_members"].as_array().expect("members").iter().filter_map(Value::as_str).collect();
    let mut out = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        if !members.contains(package["id"].as_str().expect("id")) {
            continue;
        }
        let normal = package["dependencies"].as_array().expect("dependencies").iter();
        let names = normal.filter(|d| d["kind"].is_null()).map(|d| d["name"].as_str().expect("name").to_owned());
        out.insert(package["name"].as_str().expect("name").to_owned(), names.collect());
    }
    out
}

fn sources() -> Vec<PathBuf> {
    fn walk(directory: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("readable").map(|entry| entry.expect("entry").path()) {
            if entry.is_dir() {
                walk(&entry, out);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                out.push(entry);
            }
        }
    }
    let mut out = Vec::new();
    walk(&root().join("crates"), &mut out);
    out.sort();
    assert!(out.len() > 50, "found only {} source files", out.len());
    out
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the workspace").to_string_lossy().into_owned()
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/benches/")
}

/// The edges that ARCHITECTURE.md allows, read from its table.
fn allowed_edges() -> BTreeMap<String, BTreeSet<String>> {
    let text = read(&root().join("ARCHITECTURE.md"));
    let all: BTreeSet<String> = dependencies(&metadata()).into_keys().collect();
    let mut out = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].trim_matches('`').to_owned();
        if !all.contains(&name) {
            continue;
        }
        let may = cells[3];
        let edges = match may.strip_prefix("all but ") {
            Some(but) => {
                let but: BTreeSet<&str> = but.split(',').map(str::trim).collect();
                all.iter().filter(|c| !but.contains(c.as_str()) && **c != name).cloned().collect()
            }
            None if may == "all" => all.clone(),
            None => may.split(',').map(|edge| edge.trim().to_owned()).collect(),
        };
        out.insert(name, edges);
    }
    assert_eq!(out.keys().cloned().collect::<BTreeSet<_>>(), all, "ARCHITECTURE.md lists every room");
    out
}

#[test]
fn edges_are_those_of_the_table() {
    let metadata = metadata();
    let allowed = allowed_edges();
    let rooms: BTreeSet<&String> = allowed.keys().collect();
    for (name, edges) in dependencies(&metadata) {
        for edge in edges.iter().filter(|edge| rooms.contains(edge)) {
            assert!(allowed[&name].contains(edge), "`{name}` uses `{edge}`, which ARCHITECTURE.md does not allow");
        }
    }
}

#[test]
fn libraries_stay_in_their_rooms() {
    let only = [
        ("aws-lc-rs", &["sign"][..]),
        ("cms", &["sign"]),
        ("der", &["sign"]),
        ("x509-cert", &["sign"]),
        ("ring", &[]),
        ("p256", &[]),
        ("ed25519-dalek", &[]),
        ("openssl", &[]),
        ("axum", &["server"]),
        ("askama", &["server"]),
        ("sqlx", &["store"]),
        ("sha2", &["wire"]),
        ("tokio", &["store", "registry", "server", "assay"]),
        ("reqwest", &["assay"]),
        ("hyper", &["server", "assay"]),
        ("rcgen", &["assay"]),
        ("landlock", &["sandbox"]),
        ("libc", &["sandbox"]),
        ("object", &["inspect"]),
    ];
    for (name, edges) in dependencies(&metadata()) {
        for (library, rooms) in only {
            let used = edges.contains(library);
            assert!(!used || rooms.contains(&name.as_str()), "`{name}` may not use `{library}`");
        }
    }
}

#[test]
fn unsafe_code_is_in_the_sandbox_only() {
    for (name, _) in dependencies(&metadata()) {
        let directory = root().join("crates").join(&name).join("src");
        let main = if name == "assay" { "main.rs" } else { "lib.rs" };
        let forbids = read(&directory.join(main)).contains("#![forbid(unsafe_code)]");
        assert_eq!(
            forbids,
            name != "sandbox",
            "`{name}` must say `#![forbid(unsafe_code)]`, and `sandbox` alone must not"
        );
    }
}

#[test]
fn each_wire_module_links_its_specification() {
    for path in sources() {
        let name = relative(&path);
        let module = name.strip_prefix("crates/wire/src/");
        if module.is_none_or(|module| module == "lib.rs") || is_test(&name) {
            continue;
        }
        let text = read(&path);
        let header = text.lines().take_while(|line| line.starts_with("//!")).collect::<String>();
        assert!(header.contains("https://"), "{name}: the header links no specification");
    }
}

#[test]
fn nothing_is_left_out_or_left_undone() {
    let it = root().join("crates/assay/tests/it");
    let main = read(&it.join("main.rs"));
    for entry in fs::read_dir(&it).expect("readable") {
        let name = entry.expect("entry").file_name().to_string_lossy().into_owned();
        let module = name.trim_end_matches(".rs");
        assert!(module == "main" || main.contains(&format!("mod {module};")), "tests/it/{name} is not run");
    }
    let words = [
        ["#[ig", "nore"].concat(),
        ["#[should_", "panic"].concat(),
        ["to", "do!("].concat(),
        ["unimple", "mented!("].concat(),
    ];
    for path in sources() {
        let text = read(&path);
        for word in &words {
            assert!(!text.contains(word.as_str()), "{}: `{word}`", relative(&path));
        }
    }
}

/// Length of each function: from a line that holds `fn name` to the closing brace at its indentation.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let starts = [
            "fn ",
            "pub fn ",
            "pub(crate) fn ",
            "pub(super) fn ",
            "async fn ",
            "pub async fn ",
            "pub(crate) async fn ",
            "unsafe fn ",
        ];
        if !starts.iter().any(|start| trimmed.starts_with(start)) {
            continue;
        }
        let opens = lines[start..].iter().find(|line| line.trim_end().ends_with(['{', ';', '}']));
        if opens.is_none_or(|line| !line.trim_end().ends_with('{')) {
            continue; // a declaration without a body, or a body on one line
        }
        let indent = " ".repeat(line.len() - trimmed.len());
        let Some(length) = lines[start..].iter().position(|end| **end == format!("{indent}}}")) else { continue };
        let name = trimmed.split("fn ").nth(1).and_then(|rest| rest.split(['(', '<']).next()).unwrap_or_default();
        out.push((name.to_owned(), length + 1));
    }
    out
}

#[test]
fn functions_and_files_stay_short() {
    let mut too_long = Vec::new();
    for path in sources() {
        let name = relative(&path);
        if is_test(&name) {
            continue;
        }
        let text = read(&path);
        let file_max = LONG_FILES.iter().find(|(file, _)| *file == name).map_or(FILE_LINES_MAX, |(_, max)| *max);
        let count = text.lines().count();
        if count > file_max {
            too_long.push(format!("{name}: {count} lines (may have {file_max})"));
        }
        for (function, length) in functions(&text) {
            let listed = LONG_FUNCTIONS.iter().find(|(file, known, _)| *file == name && *known == function);
            let max = listed.map_or(FUNCTION_LINES_MAX, |(_, _, max)| *max);
            if length > max {
                too_long.push(format!("{name}: `{function}` has {length} lines (may have {max})"));
            }
        }
    }
    assert!(too_long.is_empty(), "too long:\n{}", too_long.join("\n"));
}

#[test]
fn licences_are_permissive() {
    let metadata = metadata();
    for package in metadata["packages"].as_array().expect("packages") {
        let licence = package["license"].as_str().unwrap_or("none stated");
        let fits = |part: &str| part.split(" AND ").all(|one| LICENCES.contains(&one.trim().trim_matches(['(', ')'])));
        let good = licence.replace('/', " OR ").split(" OR ").any(fits)
            || licence.split(" AND ").all(|part| part.trim().trim_matches(['(', ')']).split(" OR ").any(fits));
        assert!(good, "{}: licence `{licence}`", package["name"]);
    }
}

#[test]
fn one_signature_library_is_compiled() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(tree.lines().any(|line| line.starts_with("aws-lc-rs ")), "aws-lc-rs is in the tree");
    for other in ["ring ", "openssl-sys ", "rsa "] {
        assert!(!tree.lines().any(|line| line.starts_with(other)), "`{other}` is in the tree");
    }
}
