use super::*;
use crate::testing::{Directory, DirectoryInputs, Network, NoRegistry, crate_archive};

const URL: &str = "https://x.example/a.tar.gz?x=1";

fn fetch(bytes: &[u8], unpack: bool) -> Fetch {
    let path = "/fetched/a".to_owned();
    Fetch { url: URL.to_owned(), digest: Digest::of(bytes), path, executable: !unpack, unpack }
}

fn pinned(bytes: &[u8], unpack: bool) -> Result<(Pinned, Vec<String>), FetchedError> {
    let directory = Directory::new("fetched");
    let (inputs, host) = (DirectoryInputs::new(&directory), directory.host());
    let network = Network::default().with(URL, bytes);
    let world = World { inputs: &inputs, fetch: &network, images: &NoRegistry, host: &host, progress: &|_| {} };
    let pinned = pin(&[fetch(bytes, unpack)], &world)?;
    let tree = crate::inputs::manifest(&inputs, &pinned.tree.expect("there is a file"))?;
    let paths = tree.entries().map(|(path, entry)| format!("{path} {entry:?}").chars().take(60).collect());
    let paths = paths.collect();
    Ok((pinned, paths))
}

#[test]
fn a_file_stands_at_its_path_and_is_a_dependency() {
    let (pinned, paths) = pinned(b"#!/bin/sh\n", false).expect("it answers");
    assert!(paths.len() == 1 && paths[0].starts_with("a File {"), "{paths:?}");
    let dependency = &pinned.dependencies[0];
    assert_eq!((dependency.name.as_str(), dependency.digest), ("/fetched/a", Digest::of(b"#!/bin/sh\n")));
    assert!(dependency.purl.starts_with("pkg:generic/a.tar.gz@sha256:"), "{}", dependency.purl);
}

#[test]
fn an_archive_is_unpacked_below_its_path() {
    let archive = crate_archive("a-1.0", &[("configure", "x"), ("src/a.c", "y")]);
    let (_, paths) = pinned(&archive, true).expect("it answers");
    let paths: Vec<&str> = paths.iter().map(|path| path.split(' ').next().unwrap_or("")).collect();
    let files: Vec<&&str> = paths.iter().filter(|path| path.contains('.')).collect();
    assert!(
        files.iter().any(|path| **path == "a/a-1.0/configure") && files.iter().any(|path| **path == "a/a-1.0/src/a.c")
    );
}

#[test]
fn what_is_no_archive_is_refused_with_its_url() {
    for bytes in [&b"7z\xbc\xaf another archive"[..], b"\x1f\x8b damaged", b""] {
        let Err(error) = pinned(bytes, true) else { panic!("{bytes:?}") };
        assert!(error.to_string().starts_with(&format!("unpacking `{URL}`: only tar")), "{error}");
    }
}

/// A zip with these files.
fn zip_archive(files: &[(&str, &str)]) -> Vec<u8> {
    use std::io::Write;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        archive.start_file(*name, options).expect("it is in memory");
        archive.write_all(text.as_bytes()).expect("it is in memory");
    }
    archive.finish().expect("it is in memory").into_inner()
}

#[test]
fn a_zip_is_unpacked_and_one_that_leaves_its_place_is_not() {
    let (_, paths) = pinned(&zip_archive(&[("a/b.txt", "x"), ("c", "y")]), true).expect("it is good");
    let found: Vec<&str> = paths.iter().filter_map(|path| path.split(' ').next()).collect();
    assert!(found.contains(&"a/a/b.txt") && found.contains(&"a/c"), "{found:?}");
    assert!(paths.iter().any(|path| path.starts_with("a/c File")), "{paths:?}");
    for name in ["../x", "/etc/x", "a//b", "a\\b"] {
        let Err(error) = pinned(&zip_archive(&[(name, "x")]), true) else { panic!("{name}") };
        assert!(error.to_string().contains("is no plain file of the zip"), "{error}");
    }
    let mut damaged = zip_archive(&[("a", "x")]);
    damaged.truncate(20);
    let Err(error) = pinned(&damaged, true) else { panic!("it is damaged") };
    assert!(error.to_string().contains("the zip is damaged"), "{error}");
    crate::testing::fuzz(&zip_archive(&[("a/b", "some text"), ("c", "more")]), |bytes| drop(of_zip(bytes)));
}
