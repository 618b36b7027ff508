use std::fs;
use std::io::{Cursor, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use inspect::archive::Kind;
use inspect::elf::Linkage;
use model::tree::{self, Tree};

use super::*;
use crate::source::scratch::Scratch;

/// 2026-11-22T19:41:00Z
const EPOCH: i64 = 1_795_376_460;

fn file(path: &str, bytes: &[u8]) -> Entry {
    Entry { path: path.to_owned(), content: Content::File { bytes: Bytes::Here(bytes.to_vec()), executable: false } }
}

fn link(path: &str, target: &str) -> Entry {
    Entry { path: path.to_owned(), content: Content::Link { target: target.to_owned() } }
}

/// Text that compresses as programs do, long enough to show a change of the compressor.
fn words(size: usize) -> Vec<u8> {
    let (mut state, mut out) = (42_u64, Vec::new());
    while out.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend(format!("{:x} ", state % 5000).bytes());
    }
    out.truncate(size);
    out
}

/// The image of the golden test: a bit of everything that a header can hold.
fn sample() -> Spec {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(99));
    let longer = format!("{}/{}", "e".repeat(120), "é".repeat(60));
    Spec {
        epoch_unix_s: EPOCH,
        architecture: "amd64".to_owned(),
        entrypoint: vec!["/usr/bin/greeter".to_owned()],
        arguments: vec!["--listen".to_owned(), "0.0.0.0:8080".to_owned()],
        user: SERVICE_USER.to_owned(),
        ports: vec![8080],
        variables: BTreeMap::from([("GREETER_LANGUAGE".to_owned(), "de".to_owned())]),
        labels: BTreeMap::from([("org.opencontainers.image.title".to_owned(), "greeter".to_owned())]),
        base: None,
        entries: vec![
            Entry {
                path: "usr/bin/greeter".to_owned(),
                content: Content::File { bytes: Bytes::Here(b"#!/bin/sh\necho hello\n".to_vec()), executable: true },
            },
            file("etc/passwd", b"root:x:0:0:root:/root:/sbin/nologin\n"),
            file("empty", b""),
            file("words", &words(200_000)),
            file("block", &[b'x'; 512]),
            file(&long, b"ustar prefix"),
            file(&longer, b"pax path"),
            link("lib", "usr/lib"),
            link("far", &"t/".repeat(80)),
            Entry { path: "tmp".to_owned(), content: Content::Directory { shared: true } },
            Entry { path: "usr/lib".to_owned(), content: Content::Directory { shared: false } },
        ],
    }
}

/// Reads an image back with the reader that shares no code with the writer.
fn read_back(image: &Image) -> inspect::image::Image {
    let files: BTreeMap<_, _> = image.files.iter().cloned().collect();
    let mut open = |path: &str| -> io::Result<Box<dyn Read>> {
        Ok(Box::new(Cursor::new(files.get(path).cloned().ok_or(io::ErrorKind::NotFound)?)))
    };
    inspect::image::read(&mut open, Some(&image.manifest)).expect("an image that its own digests describe")
}

/// These digests are output format 1. They never change: a change of them is a change of the format, which gets a new
/// number beside this one.
#[test]
fn output_format_1_is_what_it_always_was() {
    let image = assemble(&sample()).expect("a sound specification");
    assert_eq!(OUTPUT_FORMAT, 1);
    let digests = [image.diff_ids[0], image.config, image.layers[0], image.manifest].map(|one| one.to_string());
    assert_eq!(
        digests,
        [
            "sha256:0f049148d37ceb2e7525784e678eb8a90891f74c23f6ff2d2a4e21d23240fc1f",
            "sha256:e3f630b457b7ec8c7d90ad594278f568b267832c59a6f79f5c3c68f3d575162e",
            "sha256:9999de6f7ae5c6a381b3afd0a0983b4fcd7f13fb08e645324383b77f7b81da8f",
            "sha256:bd75da6521cb71273d596c3577091c0bedc09359e1b99a7c2b3ff629f297f453",
        ]
    );
}

#[test]
fn the_gzip_header_holds_no_time_and_no_system() {
    let image = assemble(&sample()).expect("a sound specification");
    let (_, layer) = &image.files[1];
    assert_eq!(layer[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}

#[test]
fn order_of_entries_and_number_of_runs_do_not_matter() {
    let first = assemble(&sample()).expect("a sound specification");
    let mut turned = sample();
    turned.entries.reverse();
    assert_eq!(assemble(&turned).expect("a sound specification"), first);
    turned.epoch_unix_s += 1;
    assert_ne!(assemble(&turned).expect("a sound specification").manifest, first.manifest);
}

#[test]
fn holds_what_was_asked_for_and_nothing_else() {
    let image = read_back(&assemble(&sample()).expect("a sound specification"));
    let mut shown: Vec<String> = Vec::new();
    for member in &image.layers[0].members {
        assert_eq!((member.uid, member.gid, member.mtime_unix_s), (0, 0, EPOCH as u64), "{}", member.path);
        let kind = match &member.kind {
            Kind::File { size } => format!("file {size}"),
            Kind::Directory => "directory".to_owned(),
            Kind::Link { target } => format!("-> {} bytes", target.len()),
            Kind::HardLink { .. } | Kind::Special { .. } => "hard link or device".to_owned(),
        };
        shown.push(format!("{:o} {} {kind}", member.mode, member.path.chars().take(16).collect::<String>()));
    }
    assert_eq!(
        shown,
        [
            "644 block file 512",
            "755 dddddddddddddddd directory",
            "644 dddddddddddddddd file 12",
            "755 eeeeeeeeeeeeeeee directory",
            "644 eeeeeeeeeeeeeeee file 8",
            "644 empty file 0",
            "755 etc directory",
            "644 etc/passwd file 36",
            "777 far -> 160 bytes",
            "777 lib -> 7 bytes",
            "1777 tmp directory",
            "755 usr directory",
            "755 usr/bin directory",
            "755 usr/bin/greeter file 21",
            "755 usr/lib directory",
            "644 words file 200000",
        ]
    );
    let process = image.config.config.expect("it says how to run");
    assert_eq!(process.env, Some(vec!["GREETER_LANGUAGE=de".to_owned(), format!("PATH={PATH}")]));
    assert_eq!(image.config.created.as_deref(), Some("2026-11-22T19:41:00Z"));
    assert_eq!(image.config.history, []);
}

#[test]
fn stock_tools_read_it() {
    let scratch = Scratch::new();
    let image = assemble(&sample()).expect("a sound specification");
    write(&image, scratch.path()).expect("an empty directory");
    let listed = Command::new("tar")
        .arg("tzf")
        .arg(scratch.path().join("blobs/sha256").join(image.layers[0].hex()))
        .output()
        .expect("tar is installed");
    assert!(listed.status.success() && listed.stderr.is_empty(), "{}", String::from_utf8_lossy(&listed.stderr));
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), 16);

    let output = Command::new("skopeo")
        .args(["inspect", "--format", "{{.Digest}} {{.Architecture}} {{.Created}}"])
        .arg(format!("oci:{}", scratch.path().display()))
        .output()
        .expect("skopeo is installed");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        format!("{} amd64 2026-11-22 19:41:00 +0000 UTC", image.manifest),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let copy = scratch.path().join("copy");
    let copied = Command::new("skopeo")
        .args(["copy", "--insecure-policy", "--preserve-digests", "--quiet"])
        .arg(format!("oci:{}", scratch.path().display()))
        .arg(format!("dir:{}", copy.display()))
        .output()
        .expect("skopeo is installed");
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    assert_eq!(Digest::of(&fs::read(copy.join("manifest.json")).expect("a copied manifest")), image.manifest);
}

#[test]
fn refuses_what_cannot_stand_in_an_image() {
    let cases: Vec<(Vec<Entry>, &str)> = vec![
        (vec![file("/etc/x", b"")], "it is no relative path without `.` and `..`"),
        (vec![file("etc/../x", b"")], "it is no relative path without `.` and `..`"),
        (vec![file("", b"")], "it is no relative path without `.` and `..`"),
        (vec![file("a\nb", b"")], "it is too long or holds control characters"),
        (vec![file(&"a/".repeat(3000), b"")], "it is too long or holds control characters"),
        (vec![file("etc/.wh.passwd", b"")], "names that begin with `.wh.` mean deletion in a layer"),
        (vec![file("a", b"1"), file("a", b"2")], "it stands there twice"),
        (vec![file("a", b""), file("a/b", b"")], "it lies below something that is no directory"),
        (vec![link("lib", "usr/lib"), file("lib/x", b"")], "it lies below something that is no directory"),
        (vec![link("a", "")], "the link's target is empty or too long"),
    ];
    for (entries, expected) in cases {
        let error = assemble(&Spec { entries, ..sample() }).expect_err(expected).to_string();
        assert!(error.ends_with(expected), "expected `{expected}`, found `{error}`");
    }
    assert!(matches!(assemble(&Spec { entrypoint: vec![], ..sample() }), Err(ImageError::NoEntrypoint)));
    for epoch_unix_s in [-1, 9_000_000_000, i64::MAX] {
        assert!(matches!(assemble(&Spec { epoch_unix_s, ..sample() }), Err(ImageError::Epoch(_))), "{epoch_unix_s}");
    }
    let twice = vec![file("a", b"1"), file("a", b"1")];
    assert!(assemble(&Spec { entries: twice, ..sample() }).is_ok(), "the same bytes from two sides are fine");
    let gone = Content::File { bytes: Bytes::File("/nonexistent/file".into()), executable: false };
    let entries = vec![Entry { path: "a".to_owned(), content: gone }];
    assert!(matches!(assemble(&Spec { entries, ..sample() }), Err(ImageError::Read { .. })));
}

#[test]
fn bytes_from_a_file_are_the_same_bytes() {
    let scratch = Scratch::new();
    let host = scratch.path().join("greeter");
    fs::write(&host, [7; 300_000]).expect("a writable directory");
    let with = |bytes| {
        let content = Content::File { bytes, executable: true };
        Spec { entries: vec![Entry { path: "usr/bin/greeter".to_owned(), content }], ..sample() }
    };
    let from_file = assemble(&with(Bytes::File(host))).expect("a sound specification");
    assert_eq!(assemble(&with(Bytes::Here(vec![7; 300_000]))).expect("a sound specification"), from_file);
    // Files of /proc say that they are empty, and yield bytes.
    assert!(matches!(assemble(&with(Bytes::File("/proc/self/status".into()))), Err(ImageError::Changed(_))));
}

#[test]
fn writing_replaces_an_image_and_cleans_up() {
    let scratch = Scratch::new();
    let first = assemble(&sample()).expect("a sound specification");
    let second = assemble(&Spec { epoch_unix_s: EPOCH + 1, ..sample() }).expect("a sound specification");
    write(&first, scratch.path()).expect("an empty directory");
    fs::write(scratch.path().join("blobs/sha256/.partial-1-x"), b"half").expect("a writable directory");
    for image in [&second, &second, &first] {
        write(image, scratch.path()).expect("a layout of ours");
        let mut open =
            |path: &str| -> io::Result<Box<dyn Read>> { Ok(Box::new(fs::File::open(scratch.path().join(path))?)) };
        let read = inspect::image::read(&mut open, None).expect("a sound layout");
        assert_eq!(read.manifest, image.manifest);
        let blobs = fs::read_dir(scratch.path().join("blobs/sha256")).expect("a directory").count();
        assert_eq!(blobs, 3);
    }
    fs::write(scratch.path().join("file"), b"").expect("a writable directory");
    assert!(matches!(write(&first, &scratch.path().join("file")), Err(ImageError::Write { .. })));
}

/// Makes a base from this machine's own loader and libraries, as the test binary needs them.
fn base_of_this_machine(root: &Path) -> Tree {
    let mut tree = Tree::default();
    let listed = Command::new("ldd").arg(std::env::current_exe().expect("a running test")).output().expect("ldd");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for path in listed.split_whitespace().filter(|word| word.starts_with('/')) {
        let relative = path.trim_start_matches('/');
        let bytes = fs::read(path).expect("a library of this machine");
        let host = root.join(relative);
        fs::create_dir_all(host.parent().expect("it has one")).expect("a writable directory");
        fs::write(&host, &bytes).expect("a writable directory");
        let entry = tree::Entry::File { digest: Digest::of(&bytes), size: bytes.len() as u64, executable: true };
        tree.insert(relative, entry).expect("a path");
    }
    tree
}

#[test]
fn a_service_brings_its_libraries() {
    let scratch = Scratch::new();
    let root = scratch.path().join("base");
    let tree = base_of_this_machine(&root);
    let host = std::env::current_exe().expect("a running test");
    let binaries = [Binary { path: "usr/bin/service".to_owned(), host }];
    let service = service_entries(&binaries, &tree, &root).expect("a base that holds its libraries");
    assert_eq!(service.linkage, Linkage::Dynamic);
    let names: Vec<&str> = service.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert!(names.iter().any(|path| path.ends_with("/libc.so.6")), "{names:?}");
    assert!(names.contains(&"etc/passwd") && names.contains(&"tmp"), "{names:?}");
    assert!(service.library_path.is_none());

    // It starts in there, with nothing else, if this test may change its root directory.
    let layout = scratch.path().join("root");
    for entry in &service.entries {
        let path = layout.join(&entry.path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a writable directory");
        if let Content::File { bytes: Bytes::Here(bytes), executable } = &entry.content {
            fs::write(&path, bytes).expect("a writable directory");
            let mode = if *executable { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our own file");
        }
    }
    let run = Command::new("chroot").arg(&layout).args(["/usr/bin/service", "--list", "nothing"]).output();
    if let Ok(run) = run
        && !String::from_utf8_lossy(&run.stderr).starts_with("chroot:")
    {
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }

    let library = names.iter().find(|path| path.ends_with("/libc.so.6")).expect("it was there");
    fs::write(root.join(library), b"\x7fELF changed").expect("our own file");
    assert!(service_entries(&binaries, &tree, &root).is_err(), "a base that does not agree with its tree");
    let missing = service_entries(&binaries, &Tree::default(), &root).expect_err("an empty base");
    assert!(matches!(missing, ImageError::Libraries { .. }));
    assert!(matches!(service_entries(&[], &tree, &root), Err(ImageError::NoEntrypoint)));
}

/// A tree in a directory, as the store has it.
fn stored(name: &str, files: &[(&str, &str)]) -> (crate::testing::Directory, model::tree::Tree) {
    let directory = crate::testing::Directory::new(name);
    let mut tree = model::tree::Tree::default();
    for (path, text) in files {
        directory.write(path, text);
        let (digest, size) = (Digest::of(text.as_bytes()), text.len() as u64);
        let entry = model::tree::Entry::File { digest, size, executable: path.starts_with("bin/") };
        tree.insert(path, entry).expect("it is good");
    }
    tree.insert("var/tmp", model::tree::Entry::Directory).expect("it is good");
    (directory, tree)
}

#[test]
fn a_root_is_one_layer_that_its_tree_alone_decides() {
    let (directory, tree) = stored("root", &[("bin/sh", "shell"), ("etc/motd", "hello")]);
    let layer = root_layer(&tree, directory.path()).expect("packed");
    let image = root(layer.clone(), "amd64", BTreeMap::new()).expect("made");
    assert_eq!(image.diff_ids, [layer.diff_id]);
    let members = read_back(&image).layers.remove(0).members;
    let shown: Vec<String> = members.iter().map(|member| format!("{:o} {}", member.mode, member.path)).collect();
    assert_eq!(shown, ["755 bin", "755 bin/sh", "755 etc", "644 etc/motd", "1777 tmp", "755 var", "1777 var/tmp"]);
    let (elsewhere, same) = stored("root-again", &[("etc/motd", "hello"), ("bin/sh", "shell")]);
    assert_eq!(root_layer(&same, elsewhere.path()).expect("packed"), layer);
    expect_test::expect!["sha256:48226dccf23c5720dbfaec5e127536c52b7dc8a1f61e688f4dfa68b523a4fc76"]
        .assert_eq(&image.manifest.to_string());
}

#[test]
fn an_image_upon_a_base_has_two_layers() {
    let (directory, tree) = stored("upon", &[("bin/sh", "shell")]);
    let layer = root_layer(&tree, directory.path()).expect("packed");
    let image = assemble(&Spec { base: Some(layer.clone()), ..sample() }).expect("a sound specification");
    let alone = assemble(&sample()).expect("a sound specification");
    assert_eq!(image.diff_ids, [layer.diff_id, alone.diff_ids[0]]);
    assert_eq!(image.layers[1], alone.layers[0], "the upper layer is the same with and without a base");
    let read = read_back(&image);
    assert_eq!(read.layers[0].members[1].path, "bin/sh");
    assert_eq!(read.config.rootfs.diff_ids, image.diff_ids);
}
