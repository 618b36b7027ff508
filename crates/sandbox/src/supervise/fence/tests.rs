//! Tests of the grants beside denied directories.

use super::*;

fn tree(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let names: &[&str] = match path.to_str().expect("text") {
        "/" => &["/etc", "/home", "/usr"],
        "/home" => &["/home/other", "/home/user"],
        "/home/user" => &["/home/user/keys", "/home/user/work"],
        _ => return Err(std::io::Error::from_raw_os_error(libc::ENOENT)),
    };
    Ok(names.iter().map(PathBuf::from).collect())
}

fn check(denied: &[&str], expected: &[&str]) {
    let denied: Vec<PathBuf> = denied.iter().map(PathBuf::from).collect();
    let open = openings(&denied, &tree).expect("grants");
    assert_eq!(open.into_iter().collect::<Vec<_>>(), expected.iter().map(PathBuf::from).collect::<Vec<_>>());
}

#[test]
fn everything_else_is_granted() {
    check(&[], &["/"]);
    check(&["/home/user/keys"], &["/etc", "/home/other", "/home/user/work", "/usr"]);
    check(&["/home/user/keys", "/usr"], &["/etc", "/home/other", "/home/user/work"]);
    check(&["/home", "/home/user/keys"], &["/etc", "/usr"]);
    check(&["/"], &[]);
    let beside = ["/etc", "/home/other", "/home/user/keys", "/home/user/work", "/usr"];
    check(&["/home/user/none"], &beside);
}

#[test]
fn an_unlisted_way_is_an_error() {
    let denied = [PathBuf::from("/etc/secret/deep")];
    assert!(matches!(openings(&denied, &tree), Err(FenceError::List { .. })));
}
