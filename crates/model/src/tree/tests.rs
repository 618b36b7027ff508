use super::*;

fn sample() -> Tree {
    let mut tree = Tree::default();
    let file =
        |bytes: &[u8], executable| Entry::File { digest: Digest::of(bytes), size: bytes.len() as u64, executable };
    tree.insert("usr/cc", file(b"test", true)).expect("fits");
    tree.insert("usr/readme", file(b"", false)).expect("fits");
    tree.insert("usr/gcc", Entry::Link { target: "cc".into() }).expect("fits");
    tree.insert("a b\"\u{e9}\n", Entry::Directory).expect("fits");
    tree
}

#[test]
fn a_manifest_reads_back() {
    let tree = sample();
    assert_eq!(Tree::parse(&tree.manifest()), Ok(tree));
}

#[test]
fn bad_paths_are_refused() {
    for path in ["", "/a", "a/", "a//b", ".", "a/../b", "..", "a\0b", &"a/".repeat(3000)] {
        assert!(matches!(Tree::default().insert(path, Entry::Directory), Err(TreeError::Path(_))), "{path}");
    }
    let mut tree = sample();
    assert_eq!(tree.insert("usr/gcc/x", Entry::Directory), Err(TreeError::NotADirectory("usr/gcc/x".into())));
    assert_eq!(tree.insert("usr/gcc", Entry::Directory), Err(TreeError::Twice("usr/gcc".into())));
}

#[test]
fn any_other_bytes_are_refused() {
    let manifest = sample().manifest();
    for at in 0..manifest.len() {
        let mut other = manifest.clone();
        other[at] ^= 0x20;
        if let Ok(tree) = Tree::parse(&other) {
            assert_eq!(tree.manifest(), other, "byte {at}");
        }
        assert!(
            Tree::parse(&manifest[..at]).is_ok_and(|tree| tree.manifest() == manifest[..at])
                || Tree::parse(&manifest[..at]).is_err()
        );
    }
    assert!(Tree::parse(b"assay tree 2\n").is_err());
}
