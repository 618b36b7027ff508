use super::*;
use crate::testing::{Directory, DirectoryInputs, Network, crate_archive};

const URL: &str = "https://x.example/a.tar.gz?x=1";

fn fetch(bytes: &[u8], unpack: bool) -> Fetch {
    let path = "/fetched/a".to_owned();
    Fetch { url: URL.to_owned(), digest: Digest::of(bytes), path, executable: !unpack, unpack }
}

fn pinned(bytes: &[u8], unpack: bool) -> Result<(Pinned, Vec<String>), FetchedError> {
    let directory = Directory::new("fetched");
    let (inputs, host) = (DirectoryInputs::new(&directory), directory.host());
    let network = Network::default().with(URL, bytes);
    let world = World { inputs: &inputs, fetch: &network, host: &host, progress: &|_| {} };
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
    for bytes in [&b"PK\x03\x04 a zip"[..], b"\x1f\x8b damaged", b""] {
        let Err(error) = pinned(bytes, true) else { panic!("{bytes:?}") };
        assert!(error.to_string().starts_with(&format!("unpacking `{URL}`: only tar")), "{error}");
    }
}
