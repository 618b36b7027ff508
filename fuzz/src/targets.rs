//! Every parser of bytes that come from outside, as a table: name, seeds, and what is run on any bytes.
//!
//! A target must return, whatever it is given, within seconds and without much memory. Where a law is known it is asserted:
//! what was parsed and printed parses again to the same, and what has one spelling prints as it was read.
//!
//! The workspace's tests include this file too (`crates/assay/tests/it/fuzz.rs`), so it does not rot between campaigns.

use std::fmt::{Debug, Display};
use std::io::Read;
use std::str::FromStr;

use attest::predicate::{Predicate, TABLE};
use attest::sample::{self, Scene};
use wire::digest::Digest;

#[path = "issuing.rs"]
mod issuing;
#[path = "lock_files.rs"]
mod lock_files;

/// A parser to fuzz.
pub(crate) struct Target {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// Good inputs to begin with.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// Parses, and asserts what must hold.
    pub(crate) run: fn(&[u8]),
}

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    Target { name: "envelope", seeds: envelopes, run: envelope },
    Target { name: "statement", seeds: statements, run: statement },
    Target { name: "bundle", seeds: bundles, run: bundle },
    Target { name: "trusted-root", seeds: trusted_roots, run: trusted_root },
    Target { name: "trust", seeds: trusts, run: trust },
    Target { name: "certificate", seeds: certificates, run: certificate },
    Target { name: "stamp", seeds: stamps, run: stamp },
    Target { name: "token", seeds: issuing::tokens, run: issuing::token },
    Target { name: "key-set", seeds: issuing::key_sets, run: issuing::key_set },
    Target { name: "certificate-request", seeds: issuing::requests, run: issuing::request },
    Target { name: "signing-request", seeds: issuing::signing_requests, run: issuing::signing_request },
    Target { name: "timestamp-request", seeds: issuing::queries, run: issuing::query },
    Target { name: "rekor-entry", seeds: log_entries, run: rekor_entry },
    Target { name: "rekor-request", seeds: rekor_requests, run: rekor_request },
    Target { name: "index-entry", seeds: index_entries, run: index_entry },
    Target { name: "note", seeds: notes, run: note },
    Target { name: "entry-bundle", seeds: entry_bundles, run: entry_bundle },
    Target { name: "staging", seeds: stagings, run: staging },
    Target { name: "proof", seeds: proofs, run: proof },
    Target { name: "json", seeds: statements, run: json },
    Target { name: "purl", seeds: purls, run: purl },
    Target { name: "digest", seeds: digests, run: digest },
    Target { name: "pem", seeds: pems, run: pem },
    Target { name: "oci-manifest", seeds: oci_documents, run: oci_manifest },
    Target { name: "oci-layer", seeds: oci_layers, run: oci_layer },
    Target { name: "oci-header", seeds: oci_headers, run: oci_header },
    Target { name: "tree-manifest", seeds: tree_manifests, run: tree_manifest },
    Target { name: "archive", seeds: archives, run: archive },
    Target { name: "elf", seeds: elves, run: elf },
    Target { name: "cargo-lock", seeds: lock_files::cargo_seeds, run: lock_files::cargo },
    Target { name: "npm-lock", seeds: lock_files::npm_seeds, run: lock_files::npm },
    Target { name: "pnpm-lock", seeds: lock_files::pnpm_seeds, run: lock_files::pnpm },
    Target { name: "yarn-lock", seeds: lock_files::yarn_seeds, run: lock_files::yarn },
    Target { name: "record", seeds: lock_files::record_seeds, run: lock_files::record },
    Target { name: "requirements", seeds: lock_files::requirements_seeds, run: lock_files::requirements },
    Target { name: "python-lock", seeds: lock_files::python_seeds, run: lock_files::python },
    Target { name: "go-lock", seeds: lock_files::go_seeds, run: lock_files::go },
    Target { name: "java-lock", seeds: lock_files::java_seeds, run: lock_files::java },
    Target { name: "dockerfile", seeds: lock_files::dockerfile_seeds, run: lock_files::dockerfile },
    Target { name: "root-layers", seeds: root_layers, run: root },
    Target { name: "deb", seeds: debs, run: deb },
    Target { name: "compressed", seeds: compressed_streams, run: compressed },
    Target { name: "assay-toml", seeds: specs, run: spec },
    Target { name: "assay-lock", seeds: locks, run: lock },
    Target { name: "policy", seeds: policies, run: policy },
    Target { name: "dpkg", seeds: dpkg_databases, run: dpkg },
    Target { name: "test-report", seeds: test_reports, run: test_report },
    Target { name: "trace", seeds: traces, run: trace },
    Target { name: "provenance", seeds: lock_files::provenance_seeds, run: lock_files::provenance },
    Target { name: "trace-file", seeds: trace_files, run: trace_file },
    Target { name: "trace-records", seeds: trace_records, run: trace_records_law },
];

const ORIGIN: &str = "example.org/log";

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn lines(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// What prints one way parses to the same, and prints so again.
fn stable<T: Display + FromStr + PartialEq + Debug>(value: &T) {
    let printed = value.to_string();
    let again = T::from_str(&printed).unwrap_or_else(|_| panic!("`{printed}` is printed and not read"));
    assert_eq!(again, *value);
    assert_eq!(again.to_string(), printed);
}

fn scene() -> Scene {
    Scene::new(ORIGIN).expect("keys can be made")
}

fn envelopes() -> Vec<Vec<u8>> {
    let scene = scene();
    let all = TABLE.iter().map(|row| scene.sign("builder-full", &sample::statement(row.predicate)).to_json());
    all.collect()
}

fn envelope(bytes: &[u8]) {
    if let Ok(envelope) = wire::dsse::Envelope::parse(bytes) {
        let printed = envelope.to_json();
        let again = wire::dsse::Envelope::parse(&printed).expect("what is printed is read");
        assert_eq!(again, envelope);
        assert_eq!(again.to_json(), printed);
    }
}

fn statements() -> Vec<Vec<u8>> {
    TABLE.iter().map(|row| sample::statement(row.predicate).to_json()).collect()
}

/// The statement, what it claims, and the facts that a ledger takes from it.
fn statement(bytes: &[u8]) {
    let Ok(statement) = wire::in_toto::Statement::parse(bytes) else { return };
    let printed = statement.to_json();
    let again = wire::in_toto::Statement::parse(&printed).expect("what is printed is read");
    assert_eq!(again.to_json(), printed);
    let _digests: Vec<Digest> = statement.digests().collect();
    if let Ok(claim) = attest::Claim::parse(&statement) {
        let same = attest::Claim::parse(&again).expect("the same statement");
        assert_eq!(format!("{same:?}"), format!("{claim:?}"));
    }
}

fn bundles() -> Vec<Vec<u8>> {
    let mut scene = scene();
    let run = scene.bundle("builder-full", &sample::statement(Predicate::Run));
    let test = scene.bundle("tester", &sample::statement(Predicate::Test));
    vec![run.to_json(), test.to_json()]
}

fn bundle(bytes: &[u8]) {
    let Ok(bundle) = wire::sigstore_bundle::Bundle::parse(bytes) else { return };
    let printed = bundle.to_json();
    assert_eq!(wire::sigstore_bundle::Bundle::parse(&printed).expect("what is printed is read"), bundle);
    let refused = attest::open(&bundle, &sign::trust::Trust::default(), sample::time(0));
    assert!(refused.is_err(), "nobody is trusted, so nothing verifies");
}

fn trusted_roots() -> Vec<Vec<u8>> {
    vec![sign::trust::to_trusted_root_json(scene().trust()).into_bytes()]
}

fn trusted_root(bytes: &[u8]) {
    if let Ok(root) = wire::trusted_root::TrustedRoot::parse(bytes) {
        let printed = root.to_json();
        assert_eq!(wire::trusted_root::TrustedRoot::parse(&printed).expect("what is printed is read"), root);
    }
}

fn trusts() -> Vec<Vec<u8>> {
    vec![scene().trust().to_json().into_bytes()]
}

fn trust(bytes: &[u8]) {
    if let Some(Ok(trust)) = text(bytes).map(sign::trust::Trust::parse) {
        let printed = trust.to_json();
        let again = sign::trust::Trust::parse(&printed).expect("what is printed is read");
        assert_eq!(again.to_json(), printed);
    }
}

/// A bundle with a certificate and a time-stamp, and the root that it verifies against, both made by others.
const KEYLESS: &[u8] = include_bytes!("../../tests/foreign/sigstore/cosign-v3-blob.sigstore.json");
const PUBLIC_ROOT: &[u8] = include_bytes!("../../tests/foreign/sigstore/public.trusted_root.json");

fn keyless() -> wire::sigstore_bundle::Bundle {
    wire::sigstore_bundle::Bundle::parse(KEYLESS).expect("a bundle")
}

fn certificates() -> Vec<Vec<u8>> {
    match keyless().verification_material.signer {
        wire::sigstore_bundle::Signer::Certificate(der) => vec![der],
        wire::sigstore_bundle::Signer::PublicKey { .. } => Vec::new(),
    }
}

fn certificate(bytes: &[u8]) {
    if let Ok(certificate) = sign::certificate::Certificate::from_der(bytes) {
        assert_eq!(certificate.der(), bytes);
        drop(certificate.subject());
    }
}

fn stamps() -> Vec<Vec<u8>> {
    keyless().verification_material.timestamps.into_iter().map(|stamp| stamp.signed_timestamp).collect()
}

/// A changed response proves no time: what verifies is the seed, byte by byte.
fn stamp(bytes: &[u8]) {
    let wire::sigstore_bundle::Content::Message(message) = keyless().content else { return };
    let root = wire::trusted_root::TrustedRoot::parse(PUBLIC_ROOT).expect("a root");
    let authorities = sign::authority::Authorities::of(&root).expect("authorities");
    if sign::stamp::verify(bytes, &message.signature, &authorities.times).is_ok() {
        assert!(stamps().iter().any(|seed| seed == bytes), "a changed time-stamp verifies");
    }
}

fn log_entries() -> Vec<Vec<u8>> {
    let mut scene = scene();
    let envelope = scene.sign("tester", &sample::statement(Predicate::Test));
    let key = sign::SigningKey::generate().expect("a key can be made");
    let blob = tlog::entry::blob(&Digest::of(b"blob"), &key.sign(b"blob"), key.public()).expect("it is small");
    vec![scene.log("tester", &envelope).body, blob.bytes().to_vec()]
}

fn rekor_entry(bytes: &[u8]) {
    if let Ok(body) = wire::rekor::Body::parse(bytes) {
        assert_eq!(body.to_json(), bytes, "an entry has one spelling");
        let _kind = body.kind_version();
    }
}

/// A request for a digest and one for an envelope, signed.
fn rekor_requests() -> Vec<Vec<u8>> {
    let key = sign::SigningKey::generate().expect("a key can be made");
    let base64 = wire::base64::encode;
    let verifier = serde_json::json!({
        "keyDetails": key.public().key_details(), "publicKey": {"rawBytes": base64(key.public().spki_der())},
    });
    let signature = serde_json::json!({"content": base64(&key.sign(b"artifact")), "verifier": verifier});
    let digest = base64(Digest::of(b"artifact").bytes());
    let envelope = sign::seal("text/plain", b"text", &key);
    let requests = [
        serde_json::json!({"hashedRekordRequestV002": {"digest": digest, "signature": signature}}),
        serde_json::json!({"dsseRequestV002": {"envelope": envelope, "verifiers": [verifier]}}),
    ];
    requests.iter().map(|request| request.to_string().into_bytes()).collect()
}

/// Whatever is logged is an entry that is read again, and no index entry.
fn rekor_request(bytes: &[u8]) {
    let Ok(request) = wire::rekor::request::Request::parse(bytes) else { return };
    if let Ok(proposal) = tlog::proposal::Proposal::check(request) {
        let leaf = proposal.leaf().bytes();
        let body = wire::rekor::Body::parse(leaf).expect("an entry");
        assert_eq!(body.kind_version(), *proposal.kind());
        assert!(!tlog::index::IndexEntry::is_one(leaf));
    }
}

fn index_entries() -> Vec<Vec<u8>> {
    let key = tlog::index::IndexKey::from_hex(&"0b".repeat(32)).expect("a key");
    let subjects = [Digest::of(b"one"), Digest::of(b"two")];
    let indexed = tlog::index::Indexed {
        entry: 6,
        envelope: Digest::of(b"envelope"),
        predicate: "https://slsa.dev/provenance/v1",
        signer: &Digest::of(b"key"),
        subjects: &subjects,
        time: sample::time(0),
    };
    let entries = tlog::index::IndexEntry::of(&key, &indexed);
    entries.iter().map(|entry| entry.to_leaf().bytes().to_vec()).collect()
}

fn index_entry(bytes: &[u8]) {
    if let Ok(entry) = tlog::index::IndexEntry::parse(bytes) {
        assert_eq!(entry.to_leaf().bytes(), bytes, "an entry has one spelling");
        assert!(tlog::index::IndexEntry::is_one(bytes) && wire::rekor::Body::parse(bytes).is_err());
    }
}

/// Two steps of a log.
fn steps() -> Vec<tlog::Step> {
    let key = sign::LogKey::generate().expect("a key can be made");
    let leaf = |byte: u8| tlog::Leaf::new(vec![byte; 40]).expect("it is small");
    let first = tlog::step(&tlog::Head::empty(ORIGIN), &[leaf(1), leaf(2), leaf(3)], &key);
    let second = tlog::step(&first.head, &[leaf(4)], &key);
    vec![first, second]
}

fn notes() -> Vec<Vec<u8>> {
    steps().into_iter().map(|step| step.checkpoint.into_bytes()).collect()
}

fn note(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(note) = wire::note::Note::parse(text) {
        assert_eq!(wire::note::Note::parse(&note.to_string()).expect("what is printed is read"), note);
        if let Ok(checkpoint) = tlog::checkpoint::Checkpoint::parse(&note.body) {
            let _size = checkpoint.size;
        }
    }
    if let Ok(key) = text.parse::<sign::note::NoteKey>() {
        assert_eq!(key.to_string(), text, "a key has one spelling");
    }
    assert!(sign::note::verify(text, &[]).is_err(), "no key is known, so nothing verifies");
}

/// A bundle of entries and a tile of hashes: their names, then their bytes.
fn entry_bundles() -> Vec<Vec<u8>> {
    let named = |(path, bytes): (String, Vec<u8>)| [path.into_bytes(), b"\n".to_vec(), bytes].concat();
    steps().into_iter().flat_map(|step| step.publish).map(named).collect()
}

fn entry_bundle(bytes: &[u8]) {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let Some(Ok(path)) = text(&bytes[..end]).map(str::parse::<tlog::tile::TilePath>) else { return };
    assert_eq!(path.to_string().as_bytes(), &bytes[..end], "a path has one spelling");
    let content = &bytes[end + 1..];
    if path.level().is_some() {
        let hashes = tlog::tile::parse_hashes(content, path.width());
        assert!(hashes.is_none_or(|hashes| hashes.concat() == content));
    } else if let Ok(entries) = tlog::tile::parse_bundle(content, path.width()) {
        assert_eq!(entries.len(), usize::from(path.width()));
    }
}

fn stagings() -> Vec<Vec<u8>> {
    steps().into_iter().flat_map(|step| step.stage).map(|(_, bytes)| bytes).collect()
}

fn staging(bytes: &[u8]) {
    if let Ok(files) = tlog::staging::parse(bytes) {
        let encoded = tlog::staging::encode(&files);
        assert_eq!(tlog::staging::parse(&encoded).expect("what is written is read"), files);
    }
}

/// Index, size and an older size, eight bytes each, then hashes.
fn proofs() -> Vec<Vec<u8>> {
    let numbers = |numbers: [u64; 3]| numbers.map(u64::to_be_bytes).concat();
    vec![[numbers([1, 4, 3]), vec![7; 96]].concat(), [numbers([300, 302, 256]), vec![7; 320]].concat()]
}

fn proof(bytes: &[u8]) {
    let (numbers, hashes) = bytes.split_at(bytes.len().min(24));
    let Ok(numbers) = <[u8; 24]>::try_from(numbers) else { return };
    let number = |at: usize| u64::from_be_bytes(numbers[at..at + 8].try_into().expect("eight bytes"));
    let (index, size, old) = (number(0), number(8), number(16));
    let hashes: Vec<tlog::merkle::Hash> = hashes.as_chunks::<32>().0.iter().take(200).copied().collect();
    let (leaf, root) = ([1; 32], [2; 32]);
    assert!(tlog::merkle::verify_inclusion(index, size, &leaf, &hashes, &root).is_err());
    if let Ok(root) = tlog::merkle::inclusion_root(index, size, &leaf, &hashes) {
        assert!(index < size && tlog::merkle::verify_inclusion(index, size, &leaf, &hashes, &root).is_ok());
    }
    let consistent = tlog::merkle::verify_consistency(old, size, &leaf, &root, &hashes);
    assert!(consistent.is_err(), "nobody finds a preimage");
}

/// Canonicalisation: once is enough, and the order of keys does not count.
fn json(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let canonical = wire::jcs::to_vec(&value);
    let again: serde_json::Value = serde_json::from_slice(&canonical).expect("canonical JSON is JSON");
    assert_eq!(wire::jcs::to_vec(&again), canonical);
    if let Some(text) = text(bytes) {
        let _array = wire::jcs::parse_array(text);
    }
}

fn purls() -> Vec<Vec<u8>> {
    lines(&[
        "pkg:deb/debian/libc6-dev@2.41-12?arch=amd64",
        "pkg:cargo/serde@1.0.229",
        "pkg:cargo/x@0.1.0?vcs_url=file%3A%2F%2F%2Fa%20b%40c",
        "pkg:generic/a%2Fb@%C3%BC#sub/path",
    ])
}

fn purl(bytes: &[u8]) {
    if let Some(Ok(purl)) = text(bytes).map(str::parse::<wire::purl::Purl>) {
        stable(&purl);
    }
}

fn digests() -> Vec<Vec<u8>> {
    let digest = Digest::of(b"x").to_string();
    lines(&[&digest, "2026-11-22T19:41:00Z", "localhost:5000/team/greeter:v1", &format!("r.example/a@{digest}"), "v1"])
}

/// The short texts: digests, times, names, tags, references.
fn digest(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text, "a digest has one spelling");
    }
    if let Ok(time) = text.parse::<wire::timestamp::Timestamp>() {
        stable(&time);
        let (_later, _earlier) = (time.plus_s(i64::MAX), time.plus_s(i64::MIN));
    }
    let _name = text.parse::<wire::oci_distribution::Name>().map(|name| assert_eq!(name.as_str(), text));
    let _tag = text.parse::<wire::oci_distribution::Tag>().map(|tag| assert_eq!(tag.as_str(), text));
    let _reference = text.parse::<wire::oci_distribution::Reference>();
    let _location = text.parse::<wire::oci_distribution::Location>().map(|location| location.reference());
}

fn pems() -> Vec<Vec<u8>> {
    let key = sign::SigningKey::generate().expect("a key can be made");
    let log = sign::LogKey::generate().expect("a key can be made");
    lines(&[&key.public().to_pem(), &key.to_pkcs8_pem(), &log.to_pem(), &log.public().to_pem(), "YWJj", "YQ=="])
}

/// PEM, base64 and the keys in them.
fn pem(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(decoded) = wire::base64::decode(text) {
        assert_eq!(wire::base64::encode(&decoded), text, "base64 has one spelling");
    }
    if let Ok(der) = wire::pem::decode(wire::pem::PUBLIC_KEY, text) {
        let again = wire::pem::encode(wire::pem::PUBLIC_KEY, &der);
        assert_eq!(wire::pem::decode(wire::pem::PUBLIC_KEY, &again).expect("what is printed is read"), der);
    }
    if let Ok(key) = sign::PublicKey::from_pem(text) {
        assert_eq!(sign::PublicKey::from_pem(&key.to_pem()).expect("what is printed is read").id(), key.id());
    }
    let _private = (sign::SigningKey::from_pkcs8_pem(text).is_ok(), sign::LogKey::from_pem(text).is_ok());
    let _der = sign::PublicKey::from_spki_der(bytes).is_ok();
}

/// The image that the build packs of one small file.
fn image() -> build::image::Image {
    let file = |path: &str, bytes: &[u8]| build::image::Entry {
        path: path.to_owned(),
        content: build::image::Content::File { bytes: build::image::Bytes::Here(bytes.to_vec()), executable: true },
    };
    build::image::assemble(&build::image::Spec {
        epoch_unix_s: 1_795_370_000,
        architecture: "amd64".to_owned(),
        entrypoint: vec!["/usr/bin/greeter".to_owned()],
        arguments: Vec::new(),
        user: "65532:65532".to_owned(),
        ports: vec![8080],
        variables: Default::default(),
        labels: Default::default(),
        entries: vec![file("usr/bin/greeter", b"hello"), file("etc/greeter.toml", b"")],
        base: None,
    })
    .expect("it is small")
}

/// A layer of a root file system: files, links and deletions.
fn root_layers() -> Vec<Vec<u8>> {
    let layer = |members: &[(&str, u8, &str)]| {
        let mut out = Vec::new();
        for (path, kind, target) in members {
            let mut block = [0_u8; 512];
            block[..path.len()].copy_from_slice(path.as_bytes());
            block[100..107].copy_from_slice(b"0000755");
            block[124..135].copy_from_slice(b"00000000000");
            block[156] = *kind;
            block[157..157 + target.len()].copy_from_slice(target.as_bytes());
            block[257..265].copy_from_slice(b"ustar\x0000");
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            out.extend(block);
        }
        out.resize(out.len() + 1024, 0);
        out
    };
    vec![
        layer(&[("usr/bin/", b'5', ""), ("bin", b'2', "usr/bin"), ("usr/bin/a", b'0', ""), ("b", b'1', "usr/bin/a")]),
        layer(&[("bin/.wh.a", b'0', ""), ("usr/.wh..wh..opq", b'0', ""), ("bin/c/d", b'0', ""), ("dev", b'3', "")]),
    ]
}

/// The layer upon nothing, upon itself, and upon another; every root is a tree.
fn root(bytes: &[u8]) {
    use inspect::image::root::{Node, Root, read};
    let mut root = Root::default();
    for (index, layer) in [root_layers()[0].as_slice(), bytes, bytes].into_iter().enumerate() {
        let Ok(changes) = read(&mut &*layer, index, &mut |_, _| Ok(())) else { return };
        if root.apply(changes).is_err() {
            return;
        }
    }
    let mut tree = model::tree::Tree::default();
    for (path, node) in root.entries() {
        let entry = match node {
            Node::Directory => model::tree::Entry::Directory,
            Node::Link { target } => model::tree::Entry::Link { target: target.clone() },
            Node::File { executable, .. } => {
                model::tree::Entry::File { digest: Digest::of(b""), size: 0, executable: *executable }
            }
        };
        tree.insert(path, entry).expect("a root is a tree");
        let _found = root.follow(path);
    }
}

/// A Debian package of one file, its parts plain archives.
fn debs() -> Vec<Vec<u8>> {
    let mut out = b"!<arch>\n".to_vec();
    let tar = archives().remove(0);
    for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), ("control.tar", &tar), ("data.tar", &tar)] {
        out.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, bytes.len()).as_bytes());
        out.extend(bytes);
    }
    vec![out]
}

fn deb(bytes: &[u8]) {
    let Ok(deb) = inspect::deb::Deb::parse(bytes) else { return };
    let _scripts = deb.scripts();
    let _read = deb.files(&mut |member, _| {
        assert!(!member.path.starts_with('/'), "`{}` leaves the package", member.path);
        Ok(())
    });
}

fn compressed_streams() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../crates/inspect/src/compressed/tests/parts.zst").to_vec(),
        include_bytes!("../../crates/inspect/src/compressed/tests/parts.xz").to_vec(),
    ]
}

/// Each decoder gives bytes or an error, and ends.
fn compressed(bytes: &[u8]) {
    use inspect::compressed::Compression;
    for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
        let _read = std::io::copy(&mut compression.unpack(bytes).take(1 << 20), &mut std::io::sink());
    }
}

fn oci_documents() -> Vec<Vec<u8>> {
    let image = image();
    let documents = image.files.iter().filter(|(_, bytes)| bytes.starts_with(b"{"));
    documents.map(|(_, bytes)| bytes.clone()).collect()
}

fn oci_manifest(bytes: &[u8]) {
    use wire::oci_image::{Config, Document, Index, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST};
    for media_type in [MEDIA_TYPE_MANIFEST, MEDIA_TYPE_INDEX] {
        if let Ok(document) = Document::parse(media_type, bytes) {
            let _parts = (document.subject(), document.annotations(), document.artifact_type(), document.references());
            let printed = match &document {
                Document::Manifest(manifest) => manifest.to_json(),
                Document::Index(index) => index.to_json(),
            };
            assert_eq!(Document::parse(media_type, &printed).expect("what is printed is read"), document);
        }
    }
    let _index = Index::parse(bytes);
    if let Ok(config) = Config::parse(bytes) {
        let _again = Config::parse(&config.to_json()).expect("what is printed is read");
    }
}

/// A layer, which the harness wraps into a layout whose digests fit.
fn oci_layers() -> Vec<Vec<u8>> {
    let image = image();
    image.files.into_iter().map(|(_, bytes)| bytes).filter(|bytes| !bytes.starts_with(b"{")).collect()
}

fn oci_layer(bytes: &[u8]) {
    use wire::oci_image::{Descriptor, Manifest};
    let layer = Descriptor::new(wire::oci_image::MEDIA_TYPE_LAYER_GZIP, Digest::of(bytes), bytes.len() as u64);
    let config = format!(
        "{{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"{}\"]}}}}",
        Digest::of(b"")
    );
    let described = |media_type: &str, bytes: &[u8]| Descriptor::new(media_type, Digest::of(bytes), bytes.len() as u64);
    let manifest = Manifest::new(described(wire::oci_image::MEDIA_TYPE_CONFIG, config.as_bytes()), vec![layer]);
    let manifest = manifest.to_json();
    let index = wire::oci_image::Index::new(vec![described(wire::oci_image::MEDIA_TYPE_MANIFEST, &manifest)]).to_json();
    let mut open = |path: &str| -> std::io::Result<Box<dyn Read>> {
        let digest = path.rsplit('/').next().unwrap_or_default();
        let files = [bytes, config.as_bytes(), manifest.as_slice()];
        let content = match path {
            "oci-layout" => b"{\"imageLayoutVersion\":\"1.0.0\"}".to_vec(),
            "index.json" => index.clone(),
            _ => files.into_iter().find(|file| Digest::of(file).hex() == digest).unwrap_or_default().to_vec(),
        };
        Ok(Box::new(std::io::Cursor::new(content)))
    };
    let _image = inspect::image::read(&mut open, None);
    let _crate = inspect::archive::crate_files(bytes, "greeter-1.0.0/");
}

fn oci_headers() -> Vec<Vec<u8>> {
    lines(&[
        "</v2/greeter/tags/list?n=2&last=b>; rel=\"next\"",
        "0-1023",
        "bytes=0-99",
        "bytes=-5",
        "Bearer realm=\"https://registry.example.org/token\",service=\"registry.example.org\",scope=\"repository:a:pull\"",
        "repository:host:5000/team/greeter:pull,push",
    ])
}

fn oci_header(bytes: &[u8]) {
    use wire::oci_distribution::header::{ByteRange, Challenge, ContentRange, Scope, parse_link_next};
    let Some(text) = text(bytes) else { return };
    let _next = parse_link_next(text);
    if let Some(range) = ContentRange::parse(text) {
        assert!(range.size() > 0);
    }
    if let Some(range) = ByteRange::parse(text) {
        for size in [0, 1, 100, u64::MAX] {
            assert!(range.within(size).is_none_or(|(start, end)| start < end && end <= size));
        }
    }
    if let Some(challenge) = Challenge::parse(text) {
        assert_eq!(Challenge::parse(&challenge.to_string()), Some(challenge));
    }
    if let Some(scope) = Scope::parse(text) {
        assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
    }
}

fn tree_manifests() -> Vec<Vec<u8>> {
    let mut tree = model::tree::Tree::default();
    let file = |executable| model::tree::Entry::File { digest: Digest::of(b"x"), size: 1, executable };
    tree.insert("bin/a b", file(true)).expect("a good path");
    tree.insert("größe\n.txt", file(false)).expect("a good path");
    tree.insert("link", model::tree::Entry::Link { target: "bin/a b".to_owned() }).expect("a good path");
    vec![tree.manifest()]
}

fn tree_manifest(bytes: &[u8]) {
    if let Ok(tree) = model::tree::Tree::parse(bytes) {
        assert_eq!(tree.manifest(), bytes, "a tree has one manifest");
    }
}

fn archives() -> Vec<Vec<u8>> {
    // A ustar header, its checksum, two bytes padded to a block, and two empty blocks.
    let mut header = [0u8; 512];
    for (at, field) in [
        (0, &b"usr/bin/app"[..]),
        (100, b"0000755\0"),
        (108, b"0000000\0"),
        (116, b"0000000\0"),
        (124, b"00000000002\0"),
        (136, b"00000000000\0"),
        (148, b"        "),
        (156, b"0"),
        (257, b"ustar\x0000"),
    ] {
        header[at..at + field.len()].copy_from_slice(field);
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = [header.as_slice(), b"hi"].concat();
    tar.resize(2048, 0);
    vec![tar]
}

fn archive(bytes: &[u8]) {
    for limits in [inspect::archive::Limits::CRATE, inspect::archive::Limits::LAYER] {
        let limits = inspect::archive::Limits { bytes_max: 1 << 20, ..limits };
        let mut total = 0;
        let mut tar = bytes;
        let _read = inspect::archive::read(&mut tar, &limits, &mut |member, content| {
            let up = member.path.split('/').any(|part| part == "..");
            assert!(!member.path.starts_with('/') && !up, "`{}` leaves the archive", member.path);
            let mut read = Vec::new();
            let _short = content.read_to_end(&mut read);
            total += read.len() as u64;
            Ok(())
        });
        assert!(total <= limits.bytes_max);
    }
}

fn elves() -> Vec<Vec<u8>> {
    // The loader is small and everywhere; without one, fuzzing begins at the magic number.
    let found = ["/usr/bin/true", "/usr/bin/false"].iter().filter_map(|path| std::fs::read(path).ok());
    let found: Vec<Vec<u8>> = found.filter(|bytes| bytes.len() < 1 << 20).collect();
    if found.is_empty() { vec![b"\x7fELF\x02\x01\x01\0".to_vec()] } else { found }
}

fn elf(bytes: &[u8]) {
    if let Ok(elf) = inspect::elf::parse("fuzzed", bytes) {
        assert!(inspect::elf::is_elf(bytes) && elf.needed.len() <= inspect::elf::LIBRARIES_MAX);
    }
}

/// The first block of TOML of a page of `docs/formats/`.
fn documented(page: &str) -> Vec<Vec<u8>> {
    let block = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    vec![block.expect("the page shows a file").as_bytes().to_vec()]
}

fn specs() -> Vec<Vec<u8>> {
    documented(include_str!("../../docs/formats/assay.toml.md"))
}

/// `assay.toml`, read and checked for what cannot be reproduced.
fn spec(bytes: &[u8]) {
    if let Err(problems) = build::spec::Spec::parse(build::spec::FILE, bytes) {
        assert!(!problems.is_empty(), "a refusal says why");
        assert!(problems.iter().all(|problem| problem.line > 0 && problem.column > 0));
    }
    let file = (build::spec::FILE.to_owned(), bytes.to_vec());
    let manifest = ("Cargo.toml".to_owned(), bytes.to_vec());
    let files = build::check::Files { spec: Some(file), manifests: vec![manifest], ..Default::default() };
    for finding in build::check::check(&files) {
        let _shown = (finding.one_line(), finding.to_string());
    }
}

fn locks() -> Vec<Vec<u8>> {
    documented(include_str!("../../docs/formats/assay.lock.md"))
}

fn lock(bytes: &[u8]) {
    if let Ok(lock) = build::lock::Lock::parse(build::lock::FILE, bytes) {
        let printed = lock.to_text();
        let again = build::lock::Lock::parse(build::lock::FILE, printed.as_bytes()).expect("what is printed is read");
        assert_eq!(again.to_text(), printed);
    }
}

fn policies() -> Vec<Vec<u8>> {
    let starter = policy::starter("production", sample::REPOSITORY, "main", &["unit".to_owned()]);
    vec![starter.into_bytes(), sample::policy().source.into_bytes()]
}

fn policy(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match policy::Policy::parse("production.toml", text) {
        Ok(policy) => assert_eq!(*policy.digest(), Digest::of(bytes)),
        Err(problems) => assert!(!problems.is_empty() && problems.iter().all(|problem| problem.line > 0)),
    }
}

/// The status file, a NUL, and the diversions.
fn dpkg_databases() -> Vec<Vec<u8>> {
    lines(&["Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.22\n\nPackage: gcc\n\
             Status: install ok installed\nArchitecture: amd64\nVersion: 4:14.2.0-1\nDepends: cpp (= 4:14.2.0-1), gcc-14 | c-compiler\n\
             Provides: c-compiler, gcc-x86-64-linux-gnu (= 4:14.2.0-1)\nDescription: a\n b\n .\n\0/bin/sh\n/bin/sh.distrib\ndash\n"])
}

fn dpkg(bytes: &[u8]) {
    let root = std::env::temp_dir().join(format!("assay-fuzz-dpkg-{}", std::process::id()));
    let directory = root.join("var/lib/dpkg");
    std::fs::create_dir_all(&directory).expect("a directory can be made");
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    std::fs::write(directory.join("status"), &bytes[..end]).expect("a file can be written");
    std::fs::write(directory.join("diversions"), bytes.get(end + 1..).unwrap_or_default())
        .expect("a file can be written");
    if let Ok(database) = build::dpkg::Database::read(&root) {
        for name in ["gcc", "c-compiler", "dpkg"] {
            if let Some(package) = database.package(name) {
                assert!(!package.version.is_empty());
            }
        }
    }
    std::fs::remove_dir_all(&root).expect("it can be removed");
}

fn test_reports() -> Vec<Vec<u8>> {
    lines(&["running 2 tests\ntest tests::greets ... ok\ntest tests::refuses ... FAILED\n\
         test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\0\
         \x20    Running unittests src/main.rs (target/release/deps/greeter-2a87b8a9a0f4f8d1)\n"])
}

/// Standard output, a NUL, standard error.
fn test_report(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (stdout, stderr) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    for exit in [Some(0), Some(101), None] {
        let output = build::test_report::Output { stdout, stderr, exit };
        let report = build::test_report::read(build::spec::TestFormat::Cargo, &output);
        let failed = report.cases.values().any(|passed| !passed);
        assert!(exit == Some(0) || failed, "a command that failed is not a suite that passed");
    }
}

fn traces() -> Vec<Vec<u8>> {
    lines(&[
        r#"{"event":"start","format":"assay-trace","version":1,"level":"full","refused":[],"landlock":null,"root":null}"#,
        r#"{"event":"process","id":0,"pid":2,"parent":null,"replaces":null,"step":0,"executed":true,"exe":"/usr/bin/dash","argv":["/bin/sh"],"cwd":"/build","variables":{"PATH":"/usr/bin"},"start_us":1842}"#,
        r#"{"event":"network","process":0,"call":"connect","address":"192.0.2.1:443","loopback":false,"errno":101,"count":1}"#,
        r#"{"event":"finished","lost":0,"losses":[],"duration_us":2404}"#,
    ])
}

fn trace(bytes: &[u8]) {
    if let Ok(event) = serde_json::from_slice::<sandbox::event::Event>(bytes) {
        let printed = serde_json::to_vec(&event).expect("an event is representable in JSON");
        assert_eq!(serde_json::from_slice::<sandbox::event::Event>(&printed).expect("what is printed is read"), event);
    }
}

fn trace_events() -> Vec<sandbox::event::Event> {
    let lines = r#"{"event":"start","format":"assay-trace","version":2,"level":"full","refused":[],"landlock":null,"root":null}
{"event":"fork","id":0,"pid":2,"parent":null,"step":0,"start_us":1}
{"event":"process","id":0,"pid":2,"parent":null,"replaces":null,"step":0,"executed":true,"exe":"/usr/bin/dash","argv":["sh"],"cwd":"/build","variables":{"A":"b"},"start_us":1}
{"event":"path","id":0,"path":"/usr/bin/dash"}
{"event":"path","id":1,"path":"/usr/lib/libc.so.6"}
{"event":"access","process":0,"path":0,"kind":"execute","count":1}
{"event":"access","process":0,"path":1,"kind":"read","count":9}
{"event":"forget"}
{"event":"random","process":0,"source":"getrandom","seeded":false,"count":1}
{"event":"end","process":0,"exit":{"code":0},"duration_us":22,"cpu_us":16,"rss_max_kib":18}
{"event":"finished","lost":0,"losses":[],"duration_us":24}"#;
    lines.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
}

fn written(events: &[sandbox::event::Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = sandbox::trace::Writer::new(&mut bytes).expect("memory takes all");
    events.iter().for_each(|event| writer.write(event).expect("memory takes all"));
    writer.finish().expect("memory takes all");
    bytes
}

fn trace_files() -> Vec<Vec<u8>> {
    let lines: Vec<Vec<u8>> = traces();
    vec![written(&trace_events()), [&lines[0][..], b"\n", &lines[3][..], b"\n"].concat()]
}

/// What is read of a file, as far as it goes; and whether it was whole.
fn read_trace(bytes: &[u8]) -> (Vec<sandbox::event::Event>, bool) {
    let mut events = Vec::new();
    let Ok(mut reader) = sandbox::trace::Reader::new(bytes) else { return (events, false) };
    loop {
        match reader.read() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, true),
            Err(_) => return (events, false),
        }
    }
}

/// A whole trace of this version, written again, reads as the same.
fn trace_file(bytes: &[u8]) {
    let (events, is_whole) = read_trace(bytes);
    if is_whole && !bytes.starts_with(b"{") {
        assert_eq!(read_trace(&written(&events)), (events, true));
    }
}

fn encoded(events: &[sandbox::event::Event]) -> Vec<u8> {
    let (mut encoder, mut bytes) = (sandbox::trace::codec::Encoder::default(), Vec::new());
    events.iter().for_each(|event| encoder.write(event, &mut bytes));
    bytes
}

fn decoded(mut bytes: &[u8]) -> Vec<sandbox::event::Event> {
    let (mut decoder, mut events) = (sandbox::trace::codec::Decoder::default(), Vec::new());
    while let Ok(Some(event)) = decoder.read(&mut bytes) {
        events.push(event);
    }
    events
}

fn trace_records() -> Vec<Vec<u8>> {
    vec![encoded(&trace_events())]
}

/// What was read of records, written again, reads as the same.
fn trace_records_law(bytes: &[u8]) {
    let events = decoded(bytes);
    assert_eq!(decoded(&encoded(&events)), events);
}
