//! Tests of paths.

use super::*;

#[test]
fn paths_are_tidied_by_text() {
    for (path, expected) in [("/a/./b//c", "/a/b/c"), ("/a/../../b", "/b"), ("/", "/"), ("/a/b/..", "/a"), ("/..", "/")]
    {
        assert_eq!(tidy(Path::new(path)), Path::new(expected));
    }
    assert_eq!(absolute(0, None, b"/x/../y").expect("absolute"), Path::new("/y"));
    let own = std::process::id() as pid_t;
    let here = std::env::current_dir().expect("a directory");
    assert_eq!(absolute(own, Some(libc::AT_FDCWD as u64), b"x").expect("relative"), here.join("x"));
}

#[test]
fn deleted_is_taken_off_unless_it_is_the_name() {
    assert_eq!(without_deleted(b"/a (deleted)", b"a"), b"/a");
    assert_eq!(without_deleted(b"/a (deleted)", b"a (deleted)"), b"/a (deleted)");
    assert_eq!(without_deleted(b"/a", b"a"), b"/a");
}

#[test]
fn arguments_may_be_empty_or_rewritten() {
    assert_eq!(strings(b"a\0\0b\0"), ["a", "", "b"]);
    assert_eq!(strings(b""), [""; 0]);
    assert_eq!(strings(b"renamed"), ["renamed"], "a program may overwrite its own arguments");
    assert_eq!(variable("A=b=c".to_owned()), ("A".to_owned(), "b=c".to_owned()));
    assert_eq!(variable("odd".to_owned()), ("odd".to_owned(), String::new()));
}
