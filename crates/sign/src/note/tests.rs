use wire::mutation::Mutator;

use super::*;

/// The example of golang.org/x/mod/sumdb/note, after which the specification was written.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn peter() -> NoteKey {
    PETER.parse().expect("the example's key")
}

fn known(name: &str) -> (LogKey, NoteKey) {
    let key = LogKey::generate().expect("key");
    let note_key = NoteKey::new(name, key.public()).expect("name");
    (key, note_key)
}

/// Puts the signature lines of several notes over one body under one another.
fn joined(notes: &[String]) -> String {
    let (body, _) = notes[0].split_once("\n\n").expect("a note");
    let lines = notes.iter().map(|note| note.split_once("\n\n").expect("a note").1).collect::<String>();
    format!("{body}\n\n{lines}")
}

#[test]
fn the_specifications_example_verifies() {
    assert_eq!(peter().to_string(), PETER);
    let note = verify(NOTE, &[peter()]).expect("the example");
    assert_eq!(note.signers(), ["PeterNeumann"]);
    assert_eq!(format!("{}\n", note.body()), NOTE[..NOTE.find('—').expect("line")]);
}

#[test]
fn our_own_notes_verify() {
    let (key, note_key) = known("example.org/log");
    let text = sign(&key, "example.org/log", "hello\n");
    assert_eq!(verify(&text, std::slice::from_ref(&note_key)).expect("good").body(), "hello\n");
    assert_eq!(note_key.to_string().parse(), Ok(note_key));
}

#[test]
fn unknown_keys_are_passed_over() {
    let ((one, one_key), (two, two_key)) = (known("one"), known("two"));
    let text = joined(&[sign(&one, "one", "hello\n"), sign(&two, "two", "hello\n")]);
    assert_eq!(verify(&text, std::slice::from_ref(&one_key)).expect("good").signers(), ["one"]);
    assert_eq!(verify(&text, std::slice::from_ref(&two_key)).expect("good").signers(), ["two"]);
    assert_eq!(verify(&text, &[two_key.clone(), one_key]).expect("good").signers(), ["one", "two"]);
    // Same name, other key: not known.
    let namesake = known("one").1;
    assert_eq!(verify(&text, &[namesake, two_key]).expect("good").signers(), ["two"]);
}

#[test]
fn a_bad_signature_of_a_known_key_refuses_the_note() {
    let ((one, one_key), (two, two_key)) = (known("one"), known("two"));
    let text = joined(&[sign(&one, "one", "hello\n"), sign(&two, "two", "hallo\n")]);
    assert_eq!(verify(&text, std::slice::from_ref(&one_key)).expect("two is unknown").signers(), ["one"]);
    assert_eq!(verify(&text, &[one_key, two_key]), Err(NoteError::Signature("two".to_owned())));
}

#[test]
fn a_note_that_nobody_known_signed_is_refused() {
    let (one, _) = known("one");
    let text = sign(&one, "one", "hello\n");
    assert_eq!(verify(&text, &[known("two").1]), Err(NoteError::Unsigned(vec!["one".to_owned()])));
    assert_eq!(verify(&text, &[]), Err(NoteError::Unsigned(vec!["one".to_owned()])));
}

#[test]
fn sixteen_signatures_and_more_are_read() {
    let keys: Vec<_> =
        (0..40).map(|number| (format!("witness-{number}"), known(&format!("witness-{number}")))).collect();
    let notes: Vec<_> = keys.iter().map(|(name, (key, _))| sign(key, name, "hello\n")).collect();
    let known: Vec<_> = keys.iter().map(|(_, (_, key))| key.clone()).collect();
    assert_eq!(verify(&joined(&notes), &known).expect("good").signers().len(), 40);
    assert_eq!(verify(&joined(&notes), &known[39..]).expect("good").signers(), ["witness-39"]);
}

#[test]
fn any_change_is_refused() {
    for at in 0..NOTE.len() {
        for bit in [1, 32] {
            let mut bytes = NOTE.as_bytes().to_vec();
            bytes[at] ^= bit;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            assert!(verify(&text, &[peter()]).is_err(), "byte {at}: {text}");
        }
    }
    Mutator::new(51).each(5_000, NOTE.as_bytes(), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(note) = verify(&text, &[peter()]) {
            assert!(NOTE.starts_with(note.body()), "{text}");
        }
    });
}

#[test]
fn other_vkeys_are_refused() {
    for text in [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        &PETER.replace("c74f20a3", "c74f20a4"),
        &PETER.replace("c74f20a3", "C74F20A3"),
        &PETER.replace("PeterNeumann", "PeterNeuman"),
        &PETER.replace("PeterNeumann", "Peter Neumann"),
        &PETER.replace("ARpc", "Ahpc"),
        &PETER.replace("10TW", ""),
        &format!("{PETER}\n"),
    ] {
        assert!(text.parse::<NoteKey>().is_err(), "{text}");
    }
    Mutator::new(52).each(5_000, PETER.as_bytes(), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(key) = text.parse::<NoteKey>() {
            assert_eq!(key.to_string(), text);
        }
    });
    for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b"] {
        assert!(NoteKey::new(name, peter().key()).is_err(), "{name}");
    }
}

#[test]
fn ecdsa_keys_are_named_by_their_digest() {
    let key = crate::SigningKey::generate().expect("key");
    let note_key = NoteKey::new("rekor.example.org", key.public()).expect("name");
    assert_eq!(*note_key.log_id(), key.public().id());
    let bytes = key.sign(b"hello\n");
    let signature = Signature { name: "rekor.example.org".to_owned(), key_id: note_key.key_id(), bytes };
    let text = Note { body: "hello\n".to_owned(), signatures: vec![signature] }.to_string();
    assert_eq!(verify(&text, &[note_key]).expect("good").signers(), ["rekor.example.org"]);
}
