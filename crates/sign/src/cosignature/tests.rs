use super::*;

/// The checkpoint of the specification's example, and its witness line.
const BODY: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

fn cosigned<'a>(body: &'a str, root: &'a [u8; 32]) -> Cosigned<'a> {
    Cosigned { body, origin: "example.com/behind-the-sofa", size: 20_852_163, root }
}

fn root() -> [u8; 32] {
    let line = BODY.lines().nth(2).expect("a root");
    wire::base64::decode(line).expect("base64").try_into().expect("32 bytes")
}

fn now() -> Timestamp {
    "2026-11-22T19:41:00Z".parse().expect("a time")
}

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Ed25519, Algorithm::MlDsa44];

fn keys() -> [WitnessKey; 2] {
    ALGORITHMS.map(|algorithm| WitnessKey::generate("w1.example.org", algorithm).expect("a key"))
}

#[test]
fn what_a_witness_signs_its_public_key_verifies() {
    let root = root();
    for key in keys() {
        let line = key.cosign(&cosigned(BODY, &root), now()).expect("signed");
        assert!(key.public().names(&line));
        assert_eq!(key.public().verify(&line, &cosigned(BODY, &root)), Ok(now()));
        let read = CosignerKey::parse(&key.public().to_string()).expect("its own text");
        assert_eq!(read.verify(&line, &cosigned(BODY, &root)), Ok(now()));
    }
}

#[test]
fn a_key_comes_back_from_its_pem() {
    for (key, algorithm) in keys().iter().zip(ALGORITHMS) {
        let again = WitnessKey::from_pem("w1.example.org", algorithm, &key.to_pem()).expect("its own text");
        assert_eq!(again.public().to_string(), key.public().to_string());
        let other = if algorithm == Algorithm::Ed25519 { Algorithm::MlDsa44 } else { Algorithm::Ed25519 };
        assert!(matches!(WitnessKey::from_pem("w", other, &key.to_pem()), Err(KeyError::Private { .. })));
    }
}

/// One change for each thing that a cosignature commits to.
#[test]
fn a_change_of_any_part_is_refused() {
    let root = root();
    let bad_root = [7; 32];
    let text = BODY.replace("20852163", "20852164");
    for (key, algorithm) in keys().iter().zip(ALGORITHMS) {
        let good = key.cosign(&cosigned(BODY, &root), now()).expect("signed");
        let wrong = CosignatureError::Signature("w1.example.org".to_owned());
        for at in 0..TIME_LEN + 3 {
            let mut line = good.clone();
            line.bytes[at] ^= 1;
            assert_eq!(key.public().verify(&line, &cosigned(BODY, &root)), Err(wrong.clone()), "byte {at}");
        }
        let changed: Vec<Cosigned<'_>> = match algorithm {
            Algorithm::Ed25519 => vec![cosigned(&text, &root)],
            Algorithm::MlDsa44 => vec![
                Cosigned { origin: "example.com/behind-the-door", ..cosigned(BODY, &root) },
                Cosigned { size: 20_852_164, ..cosigned(BODY, &root) },
                Cosigned { root: &bad_root, ..cosigned(BODY, &root) },
            ],
        };
        for cosigned in changed {
            assert_eq!(key.public().verify(&good, &cosigned), Err(wrong.clone()), "{cosigned:?}");
        }
        let mut short = good.clone();
        short.bytes.pop();
        let form = CosignatureError::Form("w1.example.org".to_owned());
        assert_eq!(key.public().verify(&short, &cosigned(BODY, &root)), Err(form.clone()));
        short.bytes.truncate(5);
        assert_eq!(key.public().verify(&short, &cosigned(BODY, &root)), Err(form));
    }
}

/// ML-DSA-44 cosignatures commit to the witness's name; Ed25519 ones do not, and the specification says so.
#[test]
fn a_name_is_part_of_the_message_of_ml_dsa_only() {
    let root = root();
    for (key, algorithm) in keys().iter().zip(ALGORITHMS) {
        let line = key.cosign(&cosigned(BODY, &root), now()).expect("signed");
        let vkey = Vkey { name: "other.example".to_owned(), ..key.public().vkey().clone() };
        let other = CosignerKey::of(vkey).expect("a key");
        assert!(!other.names(&line), "another name is another key");
        assert_eq!(other.verify(&line, &cosigned(BODY, &root)).is_ok(), algorithm == Algorithm::Ed25519);
    }
}

#[test]
fn names_and_origins_have_limits() {
    let root = root();
    let long = "a".repeat(NAME_MAX + 1);
    let key = WitnessKey::generate(&long[1..], Algorithm::MlDsa44).expect("255 bytes fit");
    assert_eq!(key.cosign(&Cosigned { origin: &long, ..cosigned(BODY, &root) }, now()), Err(CosignatureError::Origin));
    for name in [long.as_str(), "", "a b", "a+b"] {
        assert!(matches!(WitnessKey::generate(name, Algorithm::Ed25519), Err(KeyError::Name(_))), "{name}");
    }
    let vkey = key.public().vkey();
    for kind in [1, 2, 5, 7] {
        assert!(CosignerKey::of(Vkey { kind, ..vkey.clone() }).is_err(), "type {kind} is no cosigner's");
    }
    assert!(CosignerKey::of(Vkey { kind: TYPE_ED25519, ..vkey.clone() }).is_err(), "1312 bytes are no Ed25519 key");
    assert!(CosignerKey::of(Vkey { key: vkey.key[1..].to_vec(), ..vkey.clone() }).is_err());
}

/// The id and the message of the specification's example: `witness.example.com/w1` made its line at 1679315147.
#[test]
fn the_examples_line_has_the_stated_time() {
    const LINE: &str =
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==";
    let blob = wire::base64::decode(LINE).expect("base64");
    assert_eq!(blob.len(), 4 + TIME_LEN + Algorithm::Ed25519.signature_len());
    let time = u64::from_be_bytes(blob[4..12].try_into().expect("8 bytes"));
    let root = root();
    let message = Algorithm::Ed25519.message("witness.example.com/w1", time, &cosigned(BODY, &root)).expect("made");
    let expected = format!("cosignature/v1\ntime 1679315147\n{BODY}");
    assert_eq!(String::from_utf8(message).expect("text"), expected);
}

/// The parts of `subtree/v1`, written out by hand.
#[test]
fn the_ml_dsa_message_has_the_stated_form() {
    let root = [0xab; 32];
    let cosigned = Cosigned { body: "", origin: "log", size: 0x0102, root: &root };
    let message = Algorithm::MlDsa44.message("w", 0x0304, &cosigned).expect("made");
    let expected =
        [&b"subtree/v1\n\x00\x01w"[..], b"\0\0\0\0\0\0\x03\x04\x03log", b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x02", &root];
    assert_eq!(message, expected.concat());
}
