use super::*;
use crate::testing::{Directory, DirectoryInputs, crate_archive, fuzz, gzip};

fn package(bytes: &[u8]) -> Package {
    let source = "registry+https://github.com/rust-lang/crates.io-index".to_owned();
    Package {
        name: "demo".to_owned(),
        version: "1.0.0".to_owned(),
        origin: Origin::Registry { source, checksum: Digest::of(bytes) },
    }
}

fn vendored(archive: &[u8]) -> Result<Vendored, VendorError> {
    let directory = Directory::new("vendor");
    let inputs = DirectoryInputs::new(&directory);
    inputs.put(&mut &archive[..], None).expect("it is writable");
    make(&[package(archive)], &[], &directory.host(), &inputs, &|_| {})
}

fn raw_archive(path: &str, kind: tar::EntryType) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().expect("it is one").name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_size(0);
    header.set_mode(0o644);
    header.set_entry_type(kind);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.resize(512 * 3, 0);
    gzip(&bytes)
}

#[test]
fn unpacks_a_crate_with_its_mark() {
    let large = "x".repeat(MEMORY_FILE_MAX as usize + 1);
    let files = [("Cargo.toml", "[package]\n"), ("src/lib.rs", ""), ("data.txt", large.as_str()), (".cargo-ok", "")];
    let archive = crate_archive("demo-1.0.0", &files);
    let directory = Directory::new("unpack");
    let inputs = DirectoryInputs::new(&directory);
    inputs.put(&mut archive.as_slice(), None).expect("it is writable");
    let host = directory.host();
    let vendored = make(&[package(&archive)], &[], &host, &inputs, &|_| {}).expect("it is good");
    let tree = crate::inputs::manifest(&inputs, &vendored.tree).expect("it is held");
    let paths: Vec<&str> = tree.entries().map(|(path, _)| path).collect();
    let expected = ["", "/.cargo-checksum.json", "/Cargo.toml", "/data.txt", "/src", "/src/lib.rs"]
        .map(|p| format!("demo-1.0.0{p}"));
    assert_eq!(paths, expected);
    let place = inputs.tree(&vendored.tree).expect("it can be asked").expect("it is held");
    let mark = fs::read_to_string(place.join("demo-1.0.0/.cargo-checksum.json")).expect("it is there");
    assert_eq!(mark, format!("{{\"files\":{{}},\"package\":\"{}\"}}", Digest::of(&archive).hex()));
    assert!(!host.scratch.join("crates").exists(), "the scratch directory is emptied");
}

#[test]
fn archives_that_reach_out_are_refused() {
    let good = [("Cargo.toml", "")];
    let cases = [
        (crate_archive("other-1.0.0", &good), "lies outside"),
        (crate_archive("demo-1.0.0", &[("src/lib.rs", "")]), "no Cargo.toml"),
        (crate_archive("demo-1.0.0", &[("Cargo.toml", ""), ("Cargo.toml", "")]), "a file twice"),
        (raw_archive("demo-1.0.0/../x", tar::EntryType::Regular), "lies outside"),
        (raw_archive("/etc/passwd", tar::EntryType::Regular), "lies outside"),
        (raw_archive("demo-1.0.0/x", tar::EntryType::Symlink), "neither a file"),
        (raw_archive("demo-1.0.0/x", tar::EntryType::Char), "neither a file"),
        (raw_archive("demo-1.0.0/x", tar::EntryType::Link), "neither a file"),
        (b"no gzip".to_vec(), "unpacking crate"),
    ];
    for (archive, message) in cases {
        let error = vendored(&archive).expect_err(message);
        assert!(error.to_string().contains(message), "{error} lacks {message}");
    }
}

#[test]
fn mutations_of_an_archive_never_panic() {
    let files = [("Cargo.toml", "[package]\n"), ("src/lib.rs", "fn main() {}")];
    let directory = Directory::new("vendor-fuzz");
    let unpacked = {
        let archive = crate_archive("demo-1.0.0", &files);
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(archive.as_slice()).read_to_end(&mut bytes).expect("it is good");
        bytes
    };
    fuzz(&unpacked, |bytes| {
        let archive = gzip(bytes);
        let checksum = Digest::of(&archive);
        let reader = Box::new(std::io::Cursor::new(archive.clone()));
        drop(unpack(&package(&archive), reader, &checksum, directory.path(), &mut Vec::new()));
    });
}
