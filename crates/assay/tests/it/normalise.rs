//! `assay normalise`: replaced whole or not at all, and what its exit codes mean.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::place::{Place, git};

const EPOCH: &str = "--epoch=1700000000";

/// Copies recorded archives of build `a` or `b` into a directory.
fn samples(to: &Path, build: &str, names: &[&str]) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/src/normalise/samples").join(build);
    let to = to.join(build);
    fs::create_dir_all(&to).expect("it is writable");
    for name in names {
        fs::write(to.join(name), fs::read(from.join(name)).expect("it is recorded")).expect("it is writable");
    }
    to
}

/// Every file of a directory with its bytes.
fn all(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).expect("readable").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> =
        entries.map(|path| (path.display().to_string(), fs::read(&path).expect("a file"))).collect();
    files.sort();
    files
}

#[test]
fn a_check_changes_nothing_and_normalising_ends_differences() {
    let place = Place::new("normalise");
    let names = ["a.jar", "info.zip", "lib.a", "pkg-1.0-py3-none-any.whl", "text.gz"];
    let [a, b] = ["a", "b"].map(|build| samples(&place.work(), build, &names));
    let before = all(&a);
    let arguments = |more: &[&'static str]| [&["normalise"][..], &names, &[EPOCH], more].concat();

    let told = place.json(&a, 1, &arguments(&["--check"]));
    assert_eq!(told["result"], "would-change", "{told}");
    assert_eq!(all(&a), before);

    fs::set_permissions(a.join("a.jar"), fs::Permissions::from_mode(0o640)).expect("it is ours");
    let root = rustix::process::geteuid().is_root();
    if root {
        std::os::unix::fs::chown(a.join("a.jar"), Some(65_534), Some(65_534)).expect("root may");
    }
    let done = place.json(&a, 0, &arguments(&[]));
    assert_eq!((&done["result"], &done["normaliseFormat"]), (&Value::from("normalised"), &Value::from(1)));
    assert_eq!(done["files"], told["files"], "the check told what would be done");
    let wheel = &done["files"][3];
    assert_eq!((wheel["kind"].as_str(), wheel["fields"]["time"].as_u64()), (Some("wheel"), Some(4)), "{wheel}");
    assert_eq!(
        (&wheel["listed"][0]["path"], &wheel["listed"][0]["field"]),
        (&"pkg/__init__.py".into(), &"time".into())
    );
    assert_eq!(done["files"][1]["listed"][0]["field"], "order", "{done}");
    assert_eq!(fs::metadata(a.join("a.jar")).expect("there").permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::metadata(a.join("a.jar")).expect("there").uid() == 65_534, root, "the file stays whose it was");
    assert_eq!(all(&a).len(), names.len(), "nothing lies beside");

    let text = place.assay(&b, &arguments(&[])).exits(0).stdout;
    assert!(text.contains("a.jar: jar: ") && text.contains("→ 2023-11-14 22:13:20"), "{text}");
    for name in names {
        let [one, two] = [&a, &b].map(|build| fs::read(build.join(name)).expect("there"));
        assert!(one == two, "{name}");
    }
    assert_eq!(place.json(&a, 0, &arguments(&["--check"]))["result"], "normal");
    let text = place.assay(&a, &arguments(&["--check"])).exits(0).stdout;
    assert!(text.contains("text.gz: gzip: nothing to change"), "{text}");
}

#[test]
fn one_refusal_leaves_every_file_as_it_was() {
    let place = Place::new("refused");
    let names = ["a.jar", "signed.jar", "unsigned.rpm", "packed.tar.gz"];
    let a = samples(&place.work(), "a", &names);
    fs::write(a.join("notes.txt"), "text").expect("it is writable");
    fs::write(a.join("cut.zip"), b"PK\x03\x04").expect("it is writable");
    let before = all(&a);
    for (file, code, hint) in [
        ("signed.jar", "normalise-signed", None),
        ("unsigned.rpm", "normalise-refused", None),
        ("cut.zip", "normalise-refused", None),
        ("packed.tar.gz", "normalise-recompress", Some("--recompress")),
        ("notes.txt", "normalise-unknown", Some("--kind")),
        ("absent.zip", "normalise", None),
        (".", "normalise", None),
    ] {
        let error = &place.json(&a, 2, &["normalise", "a.jar", file, EPOCH])["error"];
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(file)), "{error}");
        assert_eq!(
            error["hint"].as_str().is_some_and(|text| hint.is_some_and(|hint| text.contains(hint))),
            hint.is_some()
        );
        assert_eq!(all(&a), before, "after {file}");
    }
    place.assay(&a, &["normalise", "a.jar"]).exits(2); // no epoch
    place.assay(&a, &["normalise", "a.jar", EPOCH, "--kind=squashfs"]).exits(2);
    place.json(&a, 2, &["normalise", "a.jar", EPOCH, "--kind=tar"]);
    assert_eq!(all(&a), before);

    let told = place.json(&a, 1, &["normalise", "packed.tar.gz", EPOCH, "--check"]);
    assert!(told["files"][0]["notes"].to_string().contains("compressed anew"), "{told}");
    place.json(&a, 0, &["normalise", "packed.tar.gz", EPOCH, "--recompress"]);
    assert_eq!(place.json(&a, 0, &["normalise", "packed.tar.gz", EPOCH, "--check"])["result"], "normal");
}

#[test]
fn a_compiled_module_is_hashed_with_the_source_in_its_place() {
    let place = Place::new("pyc");
    let directory = place.work().join("__pycache__");
    fs::create_dir(&directory).expect("it is writable");
    let a = samples(&place.work(), "a", &["init.cpython-311.pyc"]);
    fs::rename(a.join("init.cpython-311.pyc"), directory.join("init.cpython-311.pyc")).expect("one disk");
    let file = "__pycache__/init.cpython-311.pyc";
    place.json(&place.work(), 2, &["normalise", file, EPOCH, "--pyc=checked"]);
    fs::write(place.work().join("init.py"), "print(1)\n").expect("it is writable");
    let done = place.json(&place.work(), 0, &["normalise", file, EPOCH, "--pyc=checked"]);
    assert!(done["files"][0]["listed"][0]["to"].as_str().is_some_and(|to| to.starts_with("checked hash ")), "{done}");
}

/// A project whose step packs the time into a tar, with `keys` for it.
fn project(place: &Place, keys: &str) -> PathBuf {
    let project = place.work().join("project");
    fs::create_dir_all(&project).expect("a directory");
    let spec = format!(
        r#"version = 1

[project]
name = "packed"
owners = ["ada@example.org"]

[base]
packages = ["dash", "tar"]

[build]
cpus = 1

[[step]]
name = "pack"
run = ["/bin/sh", "-c", "echo one > one; echo two > two; tar --format=posix -cf made-1.tar two one"]

[[artifact]]
name = "made"
path = "made-1.tar"
{keys}"#
    );
    fs::write(project.join("assay.toml"), spec).expect("assay.toml");
    project
}

#[test]
fn a_build_normalises_what_it_declares_and_then_repeats() {
    let place = Place::new("normalised-build");
    let project = self::project(&place, "");
    git(&project, &["init", "--quiet"]);
    git(&project, &["add", "--all"]);
    git(&project, &["commit", "--quiet", "-m", "packed"]);
    place.assay(&project, &["lock"]).exits(0);
    let built = place.json(&project, 1, &["build", "--again"]);
    assert_eq!((&built["rebuilt"]["equal"], &built["normalised"]), (&false.into(), &Value::Array(Vec::new())));

    self::project(&place, "\n[[normalise]]\npath = \"made-*.tar\"\n");
    place.assay(&project, &["lock"]).exits(0);
    let text = place.assay(&project, &["build", "--again"]).exits(0).stdout;
    assert!(text.contains("normalised made-1.tar: tar: ") && text.contains(", equal: "), "{text}");
    let cached = place.json(&project, 0, &["build", "--output", "out", "--recheck", "0"]);
    assert_eq!((&cached["cached"], &cached["normalised"]), (&true.into(), &Value::Null));
    let epoch = git(&project, &["log", "-1", "--format=%ct"]);
    let normal = place.json(&project, 0, &["normalise", "out/made", "--check", "--epoch", epoch.trim()]);
    assert_eq!(normal["result"], "normal", "the artifact that was kept is the normal one");

    self::project(&place, "\n[[normalise]]\npath = \"made-1.tar\"\ncheck = true\n");
    place.assay(&project, &["lock"]).exits(0);
    let error = &place.json(&project, 1, &["build"])["error"];
    assert_eq!(error["code"], "not-normal", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("one mtime: ")), "{error}");

    self::project(&place, "\n[[normalise]]\npath = \"made-1.tar\"\nkind = \"zip\"\n");
    place.assay(&project, &["lock"]).exits(0);
    assert_eq!(place.json(&project, 1, &["build"])["error"]["code"], "normalise-refused");
}
