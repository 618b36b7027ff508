use super::*;
use crate::inputs::{Host, Inputs};
use crate::testing::{Directory, DirectoryInputs, Network, NoRegistry};

const URL: &str = "https://x.example/a.tgz";

fn sha512(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(bytes);
    hasher.finish()
}

fn wanted(integrity: Digest) -> Wanted {
    Wanted {
        what: "package `a 1.0.0`".to_owned(),
        url: URL.to_owned(),
        integrity: Integrity::Bytes(vec![integrity]),
        stated_by: "package-lock.json".to_owned(),
    }
}

fn world<'a>(inputs: &'a DirectoryInputs, network: &'a Network, host: &'a Host) -> World<'a> {
    World { inputs, fetch: network, images: &NoRegistry, host, progress: &|_| {} }
}

#[test]
fn what_is_held_is_not_asked_for_again_by_either_digest() {
    for integrity in [Digest::of(b"bytes"), sha512(b"bytes")] {
        let directory = Directory::new("download");
        let (inputs, host) = (DirectoryInputs::new(&directory), directory.host());
        let mut network = Network::default().with(URL, "bytes");
        let (digests, counts) = bring(&[wanted(integrity)], &world(&inputs, &network, &host)).expect("it answers");
        assert_eq!((digests, counts.fetched), (vec![Digest::of(b"bytes")], 1));
        network.asked();
        network.away.insert(URL.to_owned());
        let (digests, counts) = bring(&[wanted(integrity)], &world(&inputs, &network, &host)).expect("it is held");
        assert_eq!((digests, counts.held), (vec![Digest::of(b"bytes")], 1));
        assert_eq!(network.asked(), Vec::<String>::new());
    }
}

#[test]
fn other_bytes_are_refused_by_name_and_not_kept() {
    let directory = Directory::new("download-differs");
    let (inputs, host) = (DirectoryInputs::new(&directory), directory.host());
    let network = Network::default().with(URL, "other");
    for (expected, found) in [(Digest::of(b"bytes"), Digest::of(b"other")), (sha512(b"bytes"), sha512(b"other"))] {
        let error = bring(&[wanted(expected)], &world(&inputs, &network, &host)).expect_err("other bytes");
        let text = format!("package `a 1.0.0` at `{URL}` is {found}, but package-lock.json says {expected}");
        assert_eq!(error.to_string(), text);
        assert!(!inputs.has(&Digest::of(b"other")).expect("it can be asked"));
    }
}

#[test]
fn a_cache_that_lies_is_not_believed() {
    let directory = Directory::new("download-cache");
    let (inputs, host) = (DirectoryInputs::new(&directory), directory.host());
    let network = Network::default().with(URL, "bytes");
    let world = world(&inputs, &network, &host);
    let other = inputs.put(&mut &b"other"[..], None).expect("it is writable");
    known(&Integrity::Bytes(vec![sha512(b"bytes")]), &world).save(&other);
    let (digests, counts) = bring(&[wanted(sha512(b"bytes"))], &world).expect("it answers");
    assert_eq!((digests, counts.fetched), (vec![Digest::of(b"bytes")], 1));
}

#[test]
fn a_url_without_an_answer_is_named() {
    let directory = Directory::new("download-absent");
    let (inputs, host) = (DirectoryInputs::new(&directory), directory.host());
    let network = Network::default();
    let error = bring(&[wanted(Digest::of(b""))], &world(&inputs, &network, &host)).expect_err("there is nothing");
    assert_eq!(error.to_string(), "fetching package `a 1.0.0`");
    let cause = std::error::Error::source(&error).expect("it has one").to_string();
    assert_eq!(cause, format!("`{URL}` answered with status 404"));
}
