//! Tests of the tree as a stream.

use super::*;

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sandbox-transfer-{name}-{}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        fs::create_dir_all(path.join("from/sub/empty")).expect("a tree");
        fs::create_dir_all(path.join("to")).expect("a place");
        fs::write(path.join("from/b"), "beta").expect("a file");
        fs::write(path.join("from/sub/a"), vec![7_u8; 200_000]).expect("a file");
        fs::set_permissions(path.join("from/b"), Permissions::from_mode(0o710)).expect("executable");
        std::os::unix::fs::symlink("../b", path.join("from/sub/link")).expect("a link");
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[test]
fn tree_arrives_in_canonical_form() {
    let place = Place::new("canonical");
    let mut stream = Vec::new();
    send(&place.0.join("from"), &mut stream).expect("sent");
    receive(&place.0.join("to"), 315_532_800, &mut stream.as_slice()).expect("received");
    let to = place.0.join("to");
    assert_eq!(fs::read(to.join("sub/a")).expect("a file"), vec![7_u8; 200_000]);
    assert_eq!(fs::read_link(to.join("sub/link")).expect("a link"), Path::new("../b"));
    for (name, mode) in [("b", 0o755), ("sub/a", 0o644), ("sub", 0o755), ("sub/empty", 0o755), ("sub/link", 0o777)] {
        let about = fs::symlink_metadata(to.join(name)).expect("there");
        assert_eq!((about.mode() & 0o777, about.mtime()), (mode, 315_532_800), "{name}");
    }
    let mut again = Vec::new();
    send(&place.0.join("from"), &mut again).expect("sent");
    assert_eq!(stream, again, "the same tree makes the same stream");
}

#[test]
fn special_files_are_refused() {
    let place = Place::new("special");
    let _socket = std::os::unix::net::UnixListener::bind(place.0.join("from/socket")).expect("a socket");
    let error = send(&place.0.join("from"), &mut Vec::new()).expect_err("refused");
    assert!(error.path.ends_with("socket") && error.error.to_string().contains("neither file"));
}

#[test]
fn cut_streams_are_errors() {
    let place = Place::new("cut");
    fs::write(place.0.join("from/sub/a"), "short").expect("a file");
    let mut stream = Vec::new();
    send(&place.0.join("from"), &mut stream).expect("sent");
    for length in 0..stream.len() {
        let to = place.0.join("to");
        fs::remove_dir_all(&to).expect("emptied");
        fs::create_dir(&to).expect("a place");
        assert!(receive(&to, 0, &mut &stream[..length]).is_err(), "cut at {length}");
    }
}
