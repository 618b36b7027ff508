use wire::mutation::Mutator;

use super::*;
use crate::testlog::time;

fn key() -> IndexKey {
    IndexKey::new(Zeroizing::new([7; 32]))
}

fn entries(subjects: &[Digest]) -> Vec<IndexEntry> {
    let signer = Digest::of(b"key");
    let indexed = Indexed {
        entry: 6,
        envelope: Digest::of(b"envelope"),
        time: time("2026-11-22T19:41:00Z"),
        subjects,
        predicate: "https://slsa.dev/provenance/v1",
        signer: &signer,
    };
    IndexEntry::of(&key(), &indexed)
}

#[test]
fn a_leaf_and_back() {
    let subjects = [Digest::of(b"b"), Digest::of(b"a"), Digest::of(b"b")];
    let [entry] = &entries(&subjects)[..] else { panic!("one entry") };
    let leaf = entry.to_leaf();
    assert!(IndexEntry::is_one(leaf.bytes()));
    assert_eq!(&IndexEntry::parse(leaf.bytes()).expect("leaf"), entry);
    assert_eq!(entry.subjects.len(), 2, "a subject stands once");
    assert!(entry.subjects.contains(&key().subject(&subjects[0])));
    assert_eq!(entry.predicate, Some(key().predicate("https://slsa.dev/provenance/v1")));
    assert_eq!(entry.signer, key().signer(&Digest::of(b"key")));
}

#[test]
fn hashes_are_keyed_and_their_domains_apart() {
    let digest = Digest::of(b"a");
    let other = IndexKey::new(Zeroizing::new([8; 32]));
    assert_ne!(key().subject(&digest), other.subject(&digest));
    assert_ne!(key().subject(&digest), key().signer(&digest));
    assert_ne!(key().predicate(&digest.to_string()), key().subject(&digest));
    // Computed with another implementation: hmac.new(b"\7" * 32, b"assay index 1 predicate\nx", sha256) of Python.
    assert_eq!(key().predicate("x").to_string(), PREDICATE_X);
}

const PREDICATE_X: &str = "4a593f094bf981911d4940197a2b1e5118c730943c4a620336e4125a47b92f46";

#[test]
fn many_subjects_take_several_leaves() {
    let subjects: Vec<Digest> = (0..2000u32).map(|number| Digest::of(&number.to_be_bytes())).collect();
    let entries = entries(&subjects);
    assert_eq!(entries.iter().map(|entry| entry.subjects.len()).collect::<Vec<_>>(), [900, 900, 200]);
    for entry in &entries {
        assert_eq!(&IndexEntry::parse(entry.to_leaf().bytes()).expect("leaf"), entry);
    }
}

#[test]
fn an_envelope_without_subjects_is_indexed_too() {
    assert_eq!(entries(&[]).len(), 1);
}

#[test]
fn other_leaves_are_refused() {
    let leaf = entries(&[Digest::of(b"a"), Digest::of(b"b")])[0].to_leaf();
    let text = std::str::from_utf8(leaf.bytes()).expect("text").to_owned();
    let (first, second) = (key().subject(&Digest::of(b"a")), key().subject(&Digest::of(b"b")));
    let pair = |first, second| format!("\"{first}\",\"{second}\"");
    let swapped =
        text.replace(&pair(first.min(second), first.max(second)), &pair(first.max(second), first.min(second)));
    assert_ne!(swapped, text);
    for (text, expected) in [
        (
            text.replace("\"assayIndex\":1", "\"assayIndex\":3"),
            "index entry has version 3; this assay reads versions 1 and 2",
        ),
        (text.replace("\"assayIndex\":1", "\"assayIndex\":2"), "index entry is not in canonical form"),
        (text.replace("\"entry\":6", "\"entry\":6,\"more\":1"), "not an index entry"),
        (text.replace("\"entry\":6", "\"entry\": 6"), "index entry is not in canonical form"),
        (text.replace("\"entry\":6", "\"entry\":-6"), "not an index entry"),
        (swapped, "index entry is not in canonical form"),
        ("leaf".to_owned(), "not an index entry"),
        ("x".repeat(LEAF_SIZE_MAX + 1), "index entry of 65536 bytes is larger than the limit of 65535"),
    ] {
        assert_eq!(IndexEntry::parse(text.as_bytes()).expect_err("refused").to_string(), expected);
    }
    Mutator::new(25).each(10_000, leaf.bytes(), |bytes| {
        if let Ok(entry) = IndexEntry::parse(bytes) {
            assert_eq!(entry.to_leaf().bytes(), bytes);
        }
    });
}

#[test]
fn an_entry_without_payload_names_its_digest_alone() {
    let at = time("2026-11-22T19:41:00Z");
    let signed = Digest::of(b"artifact");
    let entry = IndexEntry::without_payload(&key(), 8, &signed.to_string(), &Digest::of(b"key"), at);
    let leaf = entry.to_leaf();
    assert_eq!(IndexEntry::parse(leaf.bytes()).expect("leaf"), entry);
    assert_eq!(entry.subjects, [key().subject(&signed)], "found like a statement about the same digest");
    assert_eq!((entry.envelope, entry.predicate), (None, None));
    let text = std::str::from_utf8(leaf.bytes()).expect("text");
    assert!(text.starts_with("{\"assayIndex\":2,\"entry\":8,\"signer\":\""), "{text}");
    let first = text.replace("\"assayIndex\":2", "\"assayIndex\":1");
    let error = IndexEntry::parse(first.as_bytes()).expect_err("version 1 has an envelope");
    assert_eq!(error.to_string(), "index entry is not in canonical form");
}

#[test]
fn the_key_is_read_and_never_printed() {
    let text = key().to_hex();
    assert_eq!(IndexKey::from_hex(&format!("{}\n", *text)).expect("key").to_hex(), text);
    assert_eq!(format!("{:?}", key()), "IndexKey(…)");
    for text in ["", "07", &"g".repeat(64)] {
        assert_eq!(IndexKey::from_hex(text).expect_err("refused"), IndexKeyError);
    }
}
