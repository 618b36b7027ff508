use super::*;
use crate::testing::{Directory, DirectoryInputs, Network, crate_archive};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn package(name: &str, source: &str, bytes: &[u8]) -> Package {
    let checksum = Digest::of(bytes);
    Package {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        origin: Origin::Registry { source: source.to_owned(), checksum },
    }
}

fn archive(name: &str) -> Vec<u8> {
    crate_archive(&format!("{name}-1.0.0"), &[("Cargo.toml", "[package]\n"), ("src/lib.rs", name)])
}

fn url(name: &str) -> String {
    format!("https://static.crates.io/crates/{name}/{name}-1.0.0.crate")
}

fn names() -> Vec<String> {
    (0..20).map(|number| format!("crate-{number}")).collect()
}

#[test]
fn wrong_bytes_are_refused_and_not_kept() {
    let directory = Directory::new("checksum");
    let inputs = DirectoryInputs::new(&directory);
    let packages = [package("good", CRATES_IO, b"right")];
    let network = Network::default().with(&url("good"), "wrong");
    let error = bring(&packages, None, &inputs, &network, &|_| {}).expect_err("the bytes are wrong");
    let (right, wrong) = (Digest::of(b"right"), Digest::of(b"wrong"));
    let expected = format!("crate `good 1.0.0` has SHA-256 {}, but Cargo.lock says {}", wrong.hex(), right.hex());
    assert_eq!(error.to_string(), expected);
    for digest in [right, wrong] {
        assert!(!inputs.has(&digest).expect("it can be asked"));
    }
}

#[test]
fn an_interrupted_fetch_resumes() {
    let directory = Directory::new("resume");
    let inputs = DirectoryInputs::new(&directory);
    let packages: Vec<Package> = names().iter().map(|name| package(name, CRATES_IO, &archive(name))).collect();
    let mut network = Network::default();
    for name in names() {
        network = network.with(&url(&name), archive(&name));
    }
    network.away.insert(url("crate-7"));
    let error = bring(&packages, None, &inputs, &network, &|_| {}).expect_err("the network went away");
    assert_eq!(error.to_string(), "fetching crate `crate-7 1.0.0`");
    let first = network.asked();
    network.away.clear();
    let outcome = bring(&packages, None, &inputs, &network, &|_| {}).expect("the network is back");
    let second = network.asked();
    assert!(second.contains(&url("crate-7")), "{second:?}");
    assert!(first.iter().filter(|url| **url != self::url("crate-7")).all(|url| !second.contains(url)));
    assert_eq!((outcome.held, outcome.fetched), (20 - second.len(), second.len()));
    let outcome = bring(&packages, None, &inputs, &network, &|_| {}).expect("all is held");
    assert_eq!((outcome, network.asked()), (Counts { held: 20, cached: 0, fetched: 0 }, Vec::new()));
}

#[test]
fn cargos_cache_serves_if_its_bytes_are_right() {
    let directory = Directory::new("cached");
    let inputs = DirectoryInputs::new(&directory);
    directory.write("registry/cache/index-1/a-1.0.0.crate", "damaged");
    directory.write("registry/cache/index-2/a-1.0.0.crate", archive("a"));
    directory.write("registry/cache/index-1/b-1.0.0.crate", "damaged");
    let packages = [package("a", CRATES_IO, &archive("a")), package("b", CRATES_IO, &archive("b"))];
    let network = Network::default().with(&url("b"), archive("b"));
    let outcome = bring(&packages, Some(directory.path()), &inputs, &network, &|_| {}).expect("both are there");
    assert_eq!(outcome, Counts { held: 0, cached: 1, fetched: 1 });
    assert_eq!(network.asked(), [url("b")]);
}

#[test]
fn a_mirror_and_another_registry_are_asked_for_their_template() {
    let directory = Directory::new("mirror");
    let inputs = DirectoryInputs::new(&directory);
    directory.write(
        "config.toml",
        "[source.crates-io]\nreplace-with = \"mirror\"\n[source.mirror]\nregistry = \"sparse+https://mirror.example/index/\"\n",
    );
    let own = "sparse+https://crates.example/";
    let packages = [package("Ab", CRATES_IO, b"ab"), package("mine", own, b"mine")];
    let network = Network::default()
        .with(
            "https://mirror.example/index/config.json",
            r#"{"dl":"https://dl.example/{lowerprefix}/{crate}-{version}"}"#,
        )
        .with("https://dl.example/2/Ab-1.0.0", "ab")
        .with("https://crates.example/config.json", r#"{"dl":"https://crates.example/api/v1/crates"}"#)
        .with("https://crates.example/api/v1/crates/mine/1.0.0/download", "mine");
    let outcome = bring(&packages, Some(directory.path()), &inputs, &network, &|_| {}).expect("both answer");
    assert_eq!(outcome.fetched, 2);
}

#[test]
fn registries_that_are_not_spoken_to_are_named() {
    let directory = Directory::new("git-index");
    let inputs = DirectoryInputs::new(&directory);
    let packages = [package("mine", "registry+https://git.example/index", b"mine")];
    let error = bring(&packages, None, &inputs, &Network::default(), &|_| {}).expect_err("a git index");
    assert!(error.to_string().contains("`registry+https://git.example/index`"), "{error}");
    for config in ["no JSON", "{}", r#"{"dl":"file:///etc"}"#] {
        let packages = [package("mine", "sparse+https://x.example/", b"mine")];
        let network = Network::default().with("https://x.example/config.json", config);
        let error = bring(&packages, None, &inputs, &network, &|_| {}).expect_err(config);
        assert!(matches!(error, CratesError::IndexConfig { .. }), "{error}");
    }
}

#[test]
fn cargos_configuration_may_be_a_circle_or_malformed() {
    let directory = Directory::new("config");
    directory.write(
        "config.toml",
        "[source.crates-io]\nreplace-with = \"a\"\n[source.a]\nreplace-with = \"b\"\n[source.b]\nreplace-with = \"a\"\n",
    );
    let config = CargoConfig::read(Some(directory.path())).expect("it parses");
    let index = config.index_of(&package("x", CRATES_IO, b"").origin);
    assert!(["a", "b"].contains(&index.as_str()), "{index}");
    directory.write("config.toml", "[source\n");
    assert!(matches!(CargoConfig::read(Some(directory.path())), Err(CratesError::ConfigSyntax { .. })));
    assert!(CargoConfig::read(None).is_ok());
}
