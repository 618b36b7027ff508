use super::*;
use crate::testing::Directory;

fn spec(lock_files: &str) -> Spec {
    let text = crate::spec::tests::GREETER.replacen("[base]\n", &format!("[base]\n{lock_files}"), 1);
    Spec::parse("assay.toml", text.as_bytes()).expect("it is good")
}

#[test]
fn a_cargo_project_needs_its_lock_file_and_others_name_theirs() {
    let directory = Directory::new("project-files");
    let files = |lock_files: &str| project_files(directory.path(), &spec(lock_files));
    assert_eq!(files("").expect("nothing is named"), []);
    directory.write("Cargo.toml", "");
    let error = files("").expect_err("there is none").to_string();
    assert_eq!(error, "`Cargo.lock` is missing; run `cargo generate-lockfile`");
    directory.write("Cargo.lock", "version = 4\n");
    directory.write("tools/Cargo.lock", "version = 4\n");
    assert_eq!(files("").expect("it is there")[0].path, "Cargo.lock");
    assert_eq!(files("lock-files = []\n").expect("none is wanted"), []);
    let both = files("lock-files = [\"Cargo.lock\", \"tools/Cargo.lock\"]\n").expect("both are there");
    assert_eq!(both.iter().map(ProjectFile::directory).collect::<Vec<_>>(), ["", "tools"]);
    let error = files("lock-files = [\"web/Cargo.lock\"]\n").expect_err("it is not there").to_string();
    assert_eq!(error, "`web/Cargo.lock` is missing; run `cargo generate-lockfile`");
}

#[test]
fn each_lock_file_that_is_missing_is_named_with_the_command_that_writes_it() {
    let directory = Directory::new("project-files-missing");
    // A yarn.lock that is not there could be of any yarn.
    for format in FORMATS.iter().filter(|format| format.kind != LockFileKind::YarnBerry) {
        let named = format!("lock-files = [\"a/{}\"]\n", format.file);
        let error = project_files(directory.path(), &spec(&named)).expect_err(format.name).to_string();
        assert_eq!(error, format!("`a/{}` is missing; run `{}`", format.file, format.mend));
    }
}

#[test]
fn every_format_is_found_by_its_usual_name() {
    for format in &FORMATS {
        let berry = format.kind == LockFileKind::YarnBerry;
        let bytes: &[u8] = if berry { b"__metadata:\n" } else { b"" };
        assert_eq!(LockFileKind::of_file(&format!("a/{}", format.file), bytes), Some(format.kind));
        assert_eq!(format.kind.name(), format.name);
        assert!(Ecosystem::ALL.contains(&format.ecosystem));
    }
    assert_eq!(LockFileKind::of_path("a/Cargo.toml"), None);
}

#[test]
fn places_and_keys_differ() {
    let places: BTreeSet<&str> = Ecosystem::ALL.into_iter().map(Ecosystem::directory).collect();
    let keys: BTreeSet<&str> = Ecosystem::ALL.into_iter().map(Ecosystem::tree_key).collect();
    assert_eq!((places.len(), keys.len()), (Ecosystem::ALL.len(), Ecosystem::ALL.len()));
    assert!(["base", "source", "rust", "node", "fetched", "artifacts"].iter().all(|key| !keys.contains(key)));
}
