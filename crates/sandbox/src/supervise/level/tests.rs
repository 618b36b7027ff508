//! Tests of the words for a refusal.

use super::*;

#[test]
fn hints_name_what_helps() {
    let check = |what, errno, container, words: &str| {
        let hint = hint(Level::Full, what, errno, container).unwrap_or_default();
        assert!(hint.contains(words), "{what} {container:?}: {hint}");
    };
    check("mounting a fresh", Some(libc::EPERM), Container::Podman, "`--security-opt unmask=ALL`");
    check("mounting a fresh", Some(libc::EPERM), Container::Docker, "systempaths=unconfined");
    check("making namespaces", Some(libc::ENOSPC), Container::None, "user.max_user_namespaces");
    check("making namespaces", Some(libc::EPERM), Container::Docker, "seccomp=unconfined");
    check("making namespaces", Some(libc::EPERM), Container::None, "sysctl kernel.");
    check("attaching with ptrace", Some(libc::EPERM), Container::Podman, "SYS_PTRACE");
    assert_eq!(hint(Level::TraceOnly, "confining a process", None, Container::Docker), None);
}

#[test]
fn locked_directories_are_removed() {
    use std::os::unix::fs::PermissionsExt;
    let place = std::env::temp_dir().join(format!("sandbox-locked-{}", std::process::id()));
    fs::create_dir_all(place.join("a/b")).expect("a tree");
    fs::write(place.join("a/b/file"), "x").expect("a file");
    for name in ["a/b", "a"] {
        fs::set_permissions(place.join(name), fs::Permissions::from_mode(0o000)).expect("locked");
    }
    remove_tree(&place).expect("removed");
    assert!(!place.exists());
}
