use super::*;
use crate::ecosystem::LockFileKind;
use crate::testing::Directory;

const LOCK: &str = r#"{"lockfileVersion": 3, "packages": {
"": {"name": "app", "dependencies": {"a": "^1"}, "devDependencies": {"b": "2"}, "workspaces": ["web"]},
"web": {"name": "web", "dependencies": {"c": "3"}},
"node_modules/a": {"version": "1.0.0", "dependencies": {"d": "4"}}}}"#;

fn checked(root: &str, web: &str) -> Result<(), String> {
    let directory = Directory::new("node-manifest");
    directory.write("package.json", root);
    directory.write("web/package.json", web);
    let kind = LockFileKind::Npm;
    let file = ProjectFile { path: "package-lock.json".to_owned(), kind, bytes: LOCK.into(), beside: Vec::new() };
    check(directory.path(), &file).map_err(|error| error.to_string())
}

#[test]
fn every_manifest_must_ask_for_what_the_lock_file_says() {
    let root = r#"{"dependencies": {"a": "^1"}, "devDependencies": {"b": "2"}}"#;
    let web = r#"{"dependencies": {"c": "3"}}"#;
    assert_eq!(checked(root, web), Ok(()));
    let error = checked(&root.replace("^1", "^2"), web).expect_err("another version");
    assert!(
        error.starts_with("package-lock.json:2:1: `package.json` and the lock file do not agree on `a`"),
        "{error}"
    );
    assert!(error.ends_with("run `npm install --package-lock-only`"), "{error}");
    let error = checked(root, "{}").expect_err("it asks for nothing");
    assert!(error.starts_with("package-lock.json:3:1: `web` and the lock file do not agree on `c`"), "{error}");
    let error = checked(&root.replace("devDependencies", "dependenciez"), web).expect_err("one is gone");
    assert!(error.contains("do not agree on `b`"), "{error}");
    assert!(checked("{", web).expect_err("malformed").contains("reading `"));
}

const PNPM: &str = "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a: {specifier: ^1, version: 1.0.0}\n  web:\n    \
                    devDependencies:\n      b: {specifier: workspace:*, version: link:../b}\npackages: {}\n";
const BERRY: &str = "__metadata:\n  version: 8\n\n\"app@workspace:.\":\n  resolution: \"app@workspace:.\"\n  dependencies:\n    a: \"npm:^1\"\n\n\
                     \"web@workspace:web\":\n  resolution: \"web@workspace:web\"\n  dependencies:\n    b: \"workspace:^\"\n";
const YARN: &str =
    "# yarn lockfile v1\n\n\n\"a@1 || 2\", a@^1:\n  version \"1.0.0\"\n\n\"b@2\":\n  version \"2.0.0\"\n";

fn checked_as(kind: LockFileKind, lock: &str, root: &str, web: &str) -> Result<(), String> {
    let directory = Directory::new("node-manifest");
    directory.write("package.json", root);
    directory.write("web/package.json", web);
    let file = ProjectFile { path: "lock".to_owned(), kind, bytes: lock.into(), beside: Vec::new() };
    check(directory.path(), &file).map_err(|error| error.to_string())
}

#[test]
fn the_lock_files_of_pnpm_and_yarn_are_held_against_their_manifests() {
    let (root, web) = (r#"{"dependencies": {"a": "^1"}}"#, r#"{"devDependencies": {"b": "workspace:*"}}"#);
    for (kind, lock) in [(LockFileKind::Pnpm, PNPM), (LockFileKind::YarnBerry, BERRY)] {
        assert_eq!(checked_as(kind, lock, root, web), Ok(()));
        let error = checked_as(kind, lock, &root.replace("^1", "^2"), web).expect_err("another range");
        assert!(error.contains("`package.json` and the lock file do not agree on `a`"), "{error}");
        assert!(error.ends_with(&format!("run `{}`", kind.mend())), "{error}");
        let error = checked_as(kind, lock, root, "{}").expect_err("it asks for nothing");
        assert!(error.contains("`web` and the lock file do not agree on `b`"), "{error}");
    }
    let overridden = PNPM.replace("importers:", "overrides: {a: ^1}\nimporters:");
    assert_eq!(checked_as(LockFileKind::Pnpm, &overridden, "{}", "{}"), Ok(()), "pnpm itself finds it out");
    let root = r#"{"dependencies": {"a": "1 || 2"}, "devDependencies": {"b": "2", "c": "file:c"}}"#;
    assert_eq!(checked_as(LockFileKind::Yarn, YARN, root, "{}"), Ok(()));
    let error =
        checked_as(LockFileKind::Yarn, YARN, &root.replace("\"2\"", "\"3\""), "{}").expect_err("it is not locked");
    assert!(error.ends_with("run `yarn install`"), "{error}");
}
