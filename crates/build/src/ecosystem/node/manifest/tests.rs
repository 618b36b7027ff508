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
