//! Tests of the words for a refusal, and of how init's are received.

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
    check("mapping the builder's user", Some(libc::EPERM), Container::Podman, "`--cap-add SETFCAP`");
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

/// Init that fails while trees are still sent to it leaves them unread, and the kernel then resets the line after its words:
/// in a podman container no level was found, although a weaker one works.
#[test]
fn a_refusal_is_heard_over_a_reset_line() {
    let trouble = Trouble {
        machine: true,
        what: "mounting a fresh".to_owned(),
        place: "/proc".to_owned(),
        reason: "Operation not permitted".to_owned(),
        errno: Some(libc::EPERM),
    };
    let (ours, theirs) = UnixStream::pair().expect("a socket");
    (&ours).write_all(b"a tree that nobody reads").expect("sent");
    (&theirs).write_all(&serde_json::to_vec(&trouble).expect("text")).expect("sent");
    drop(theirs);
    match receive_root(Level::Full, &ours, Ok(())) {
        Err(Closed::Refused(refusal)) => assert_eq!(refusal.what, "mounting a fresh `/proc`"),
        Err(Closed::Failed(failure)) => panic!("{failure:?}"),
        Ok(_) => panic!("no root was sent"),
    }
}
