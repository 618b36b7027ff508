//! `assay quickstart PATH` with the projects that people have.
//!
//! All lie below this repository's own workspace, as a project may lie below somebody's, and none says `[workspace]` to be
//! told apart from it. Each is compared before and after: nothing is written into it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::place::{Place, git};

const MAIN: &str = "fn main() {\n    println!(\"hello\");\n}\n";

/// A package's manifest.
fn manifest(name: &str, more: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{more}")
}

/// A lock file of packages: name, further lines.
fn cargo_lock(packages: &[(&str, &str)]) -> String {
    let mut text = "version = 4\n".to_owned();
    for (name, more) in packages {
        text.push_str(&format!("\n[[package]]\nname = \"{name}\"\nversion = \"0.1.0\"\n{more}"));
    }
    text
}

/// Makes a project of files.
fn project(place: &Place, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let directory = place.work().join(name);
    for (path, text) in files {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    directory
}

/// A project of one package without dependencies.
fn single(place: &Place, name: &str, more: &str, main: &str) -> PathBuf {
    let files = [
        ("Cargo.toml", manifest("hello", more)),
        ("Cargo.lock", cargo_lock(&[("hello", "")])),
        ("src/main.rs", main.to_owned()),
    ];
    project(place, name, &files.each_ref().map(|(path, text)| (*path, text.as_str())))
}

fn commit(directory: &Path) {
    git(directory, &["init", "--quiet"]);
    git(directory, &["add", "--all"]);
    git(directory, &["commit", "--quiet", "-m", "as it is"]);
}

fn copied(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(status.expect("cp runs").success(), "copying {}", from.display());
}

/// Every path below a directory with its kind, mode, time of change and content.
fn everything(directory: &Path, found: &mut BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)>) {
    for entry in fs::read_dir(directory).expect("readable").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        let metadata = fs::symlink_metadata(&path).expect("metadata");
        let content = match (metadata.is_dir(), metadata.is_symlink()) {
            (true, _) => Vec::new(),
            (_, true) => fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes(),
            _ => fs::read(&path).expect("readable"),
        };
        if metadata.is_dir() {
            everything(&path, found);
        }
        found.insert(path, (metadata.mode(), metadata.ctime(), metadata.ctime_nsec(), content));
    }
}

/// Runs it and returns what it answered, having compared the project before and after.
#[track_caller]
fn quickstart(place: &Place, project: &Path, exit: i32) -> Value {
    let list = |found: &mut BTreeMap<_, _>| everything(project, found);
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    list(&mut before);
    let answer = place.json(&place.work(), exit, &["quickstart", project.to_str().expect("UTF-8")]);
    list(&mut after);
    assert!(before == after, "something was written into {}", project.display());
    answer
}

/// The `what` of all steps of one name.
fn told<'a>(story: &'a Value, step: &str) -> Vec<&'a str> {
    let steps = story["steps"].as_array().expect("steps").iter();
    steps.filter(|told| told["step"] == step).filter_map(|told| told["what"].as_str()).collect()
}

#[track_caller]
fn passes(place: &Place, project: &Path) -> Value {
    let story = quickstart(place, project, 0);
    assert_eq!(story["result"], "pass", "{story}");
    assert_eq!(told(&story, "again"), ["built again, the same bytes; rebuilt"], "{story}");
    story
}

#[track_caller]
fn message(answer: &Value) -> &str {
    answer["error"]["message"].as_str().expect("a message")
}

#[test]
fn a_workspace_of_two_binaries_and_a_path_dependency() {
    let place = Place::new("quick-workspace");
    let dependent = "[dependencies]\nshared = { path = \"../shared\" }\n";
    let project = project(
        &place,
        "pair",
        &[
            ("Cargo.toml", "[workspace]\nresolver = \"2\"\nmembers = [\"one\", \"two\", \"shared\"]\n"),
            ("Cargo.lock", &cargo_lock(&[("one", "dependencies = [\n \"shared\",\n]\n"), ("shared", ""), ("two", "")])),
            ("one/Cargo.toml", &manifest("one", dependent)),
            ("one/src/main.rs", "fn main() {\n    println!(\"{}\", shared::ONE);\n}\n"),
            ("two/Cargo.toml", &manifest("two", "")),
            ("two/src/main.rs", MAIN),
            ("shared/Cargo.toml", &manifest("shared", "")),
            ("shared/src/lib.rs", "pub const ONE: u8 = 1;\n"),
        ],
    );
    commit(&project);
    // The workspace has no package of its own, so its name is that of its directory, not that of the copy's.
    assert_eq!(told(&passes(&place, &project), "artifact"), ["one", "two", "pair"]);
}

#[test]
fn git_dependencies_by_commit_and_by_branch() {
    let place = Place::new("quick-git");
    let mut commits = Vec::new();
    for name in ["first", "second"] {
        let files =
            [("Cargo.toml", &*manifest(name, "")), ("src/lib.rs", "pub fn word() -> &'static str { \"hello\" }\n")];
        let dependency = project(&place, name, &files);
        commit(&dependency);
        commits.push(git(&dependency, &["rev-parse", "HEAD"]));
    }
    let url = |name: &str| format!("file://{}", place.work().join(name).display());
    let needs = format!(
        "[dependencies]\nfirst = {{ git = \"{}\", rev = \"{}\" }}\nsecond = {{ git = \"{}\", branch = \"main\" }}\n",
        url("first"),
        commits[0],
        url("second")
    );
    let project =
        single(&place, "needs-git", &needs, "fn main() {\n    println!(\"{}{}\", first::word(), second::word());\n}\n");
    let source = |name: &str, what: String, commit: &str| format!("source = \"git+{}?{what}#{commit}\"\n", url(name));
    let lock = cargo_lock(&[
        ("first", &source("first", format!("rev={}", commits[0]), &commits[0])),
        ("hello", "dependencies = [\n \"first\",\n \"second\",\n]\n"),
        ("second", &source("second", "branch=main".to_owned(), &commits[1])),
    ]);
    fs::write(project.join("Cargo.lock"), lock).expect("a file");
    commit(&project);
    let story = passes(&place, &project);
    assert!(told(&story, "lock")[0].starts_with("pinned 2 dependencies"), "{story}");
}

#[test]
fn a_project_under_no_version_control_and_one_with_changes() {
    let place = Place::new("quick-plain");
    let project = single(&place, "plain", "", MAIN);
    let story = passes(&place, &project);
    assert!(told(&story, "copy")[0].contains("no clean git work tree"), "{story}");
    commit(&project);
    fs::write(project.join("src/main.rs"), MAIN.replace("hello", "changed")).expect("a file");
    fs::write(project.join("untracked"), "new").expect("a file");
    let changed = passes(&place, &project);
    assert!(told(&changed, "copy")[0].contains("no clean git work tree"), "{changed}");
    let artifact = |story: &Value| {
        let steps = story["steps"].as_array().expect("steps").clone();
        steps.into_iter().find(|step| step["step"] == "artifact").expect("an artifact")["digest"].clone()
    };
    assert_ne!(artifact(&story), artifact(&changed), "it is the changed file that is built");
}

/// Blanks, quotes and letters of other scripts in every name, a link, and a build script that generates code.
#[test]
fn a_build_script_and_names_that_are_not_plain() {
    let place = Place::new("quick-naïve päth");
    let script = "fn main() {\n    let to = std::env::var_os(\"OUT_DIR\").expect(\"cargo sets it\");\n    \
                  let text = std::fs::read_to_string(\"some data/größe 大.txt\").expect(\"it is there\");\n    \
                  std::fs::write(std::path::Path::new(&to).join(\"made.rs\"), format!(\"const SIZE: u32 = {text};\")).expect(\"written\");\n}\n";
    let main = "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\nfn main() {\n    println!(\"{SIZE}\");\n}\n";
    let project = single(&place, "it's a dîrectory 項目", "build = \"build.rs\"\n", main);
    fs::write(project.join("build.rs"), script).expect("a file");
    fs::create_dir(project.join("some data")).expect("a directory");
    fs::write(project.join("some data/größe 大.txt"), "7").expect("a file");
    symlink("some data/größe 大.txt", project.join("ein Verweis")).expect("a link");
    commit(&project);
    passes(&place, &project);
    // What is proposed to be typed can be typed.
    let said = place.assay(&place.work(), &["quickstart", project.to_str().expect("UTF-8")]).exits(0).stdout;
    let command = said.lines().find(|line| line.contains("assay why")).expect("a command to try").trim();
    let program = place.program(&place.work());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("assay() {{ {} \"$@\"; }}; {command}", env!("CARGO_BIN_EXE_assay"))]);
    shell.current_dir(place.work()).env_clear();
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    crate::place::ran(shell.output().expect("sh runs")).exits(0);
}

#[test]
fn a_library_of_the_system_that_is_missing_is_named() {
    let place = Place::new("quick-library");
    let main = "extern \"C\" {\n    fn nope();\n}\nfn main() {\n    unsafe { nope() }\n}\n";
    let project = single(&place, "links", "build = \"build.rs\"\n", main);
    let script = "fn main() {\n    println!(\"cargo:rustc-link-lib=doesnotexist\");\n}\n";
    fs::write(project.join("build.rs"), script).expect("a file");
    let answer = quickstart(&place, &project, 2);
    assert_eq!(answer["error"]["code"], "missing-library", "{answer}");
    assert!(message(&answer).contains("`doesnotexist`"), "{answer}");
    assert!(answer["error"]["hint"].as_str().expect("a hint").contains("`[base]`"), "{answer}");
}

/// What is wrong is said of the project, whose path the user knows, not of the copy.
#[test]
fn what_cannot_be_taken_is_said_of_the_project_itself() {
    let place = Place::new("quick-refused");
    let library = single(&place, "library", "", MAIN);
    fs::rename(library.join("src/main.rs"), library.join("src/lib.rs")).expect("renamed");
    let answer = quickstart(&place, &library, 2);
    assert!(message(&answer).contains("`hello` is a library"), "{answer}");

    let lockless = single(&place, "lockless", "", MAIN);
    fs::remove_file(lockless.join("Cargo.lock")).expect("removed");
    let answer = quickstart(&place, &lockless, 2);
    assert!(message(&answer).contains("is a member of the workspace"), "there is a lock file above: {answer}");
    // Elsewhere there is no lock file above.
    let elsewhere = std::env::temp_dir().join(format!("assay-lockless-{}", std::process::id()));
    copied(&lockless, &elsewhere);
    let answer = quickstart(&place, &elsewhere, 2);
    let wanted = format!("`{}` is missing; run `cargo generate-lockfile`", elsewhere.join("Cargo.lock").display());
    assert!(message(&answer).contains(&wanted), "{answer}");
    fs::remove_dir_all(&elsewhere).expect("removed");

    let empty = place.work().join("empty");
    fs::create_dir(&empty).expect("a directory");
    let answer = quickstart(&place, &empty, 2);
    assert!(message(&answer).contains(empty.to_str().expect("UTF-8")), "{answer}");
    let answer = place.json(&place.work(), 2, &["quickstart", "nowhere"]);
    assert!(message(&answer).contains("nowhere"), "{answer}");
}
