use super::*;
use crate::mutation::Mutator;

// Made by hand after the schemas; the first has the form of an entry of the public Rekor.
const SAMPLES: [(&str, &str, &str); 4] = [
    (
        "dsse",
        "0.0.1",
        r#"{"apiVersion":"0.0.1","kind":"dsse","spec":{"envelopeHash":{"algorithm":"sha256","value":"5f0c"},"payloadHash":{"algorithm":"sha256","value":"9f86"},"signatures":[{"signature":"MEUCIQ==","verifier":"LS0tLS1CRUdJTg=="}]}}"#,
    ),
    (
        "dsse",
        "0.0.2",
        r#"{"apiVersion":"0.0.2","kind":"dsse","spec":{"dsseV002":{"payloadHash":{"algorithm":"SHA2_256","digest":"n4bQ"},"signatures":[{"content":"MEUCIQ==","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","x509Certificate":{"rawBytes":"MFkw"}}}]}}}"#,
    ),
    (
        "hashedrekord",
        "0.0.2",
        r#"{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"n4bQ"},"signature":{"content":"MEUCIQ==","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"MFkw"}}}}}}"#,
    ),
    (
        "hashedrekord",
        "0.0.2",
        r#"{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"n4bQ"},"signature":{"content":"MEUCIQ==","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","x509Certificate":{"rawBytes":"MFkw"}}}}}}"#,
    ),
];

#[test]
fn text_and_back() {
    for (kind, version, text) in SAMPLES {
        let body = Body::parse(text.as_bytes()).expect(text);
        assert_eq!(String::from_utf8(body.to_json()).expect("text"), text);
        assert_eq!(body.kind_version(), KindVersion { kind: kind.to_owned(), version: version.to_owned() });
    }
}

#[test]
fn other_spellings_and_kinds_are_refused() {
    let [(_, _, dsse), _, (_, _, hashed), _] = SAMPLES;
    for (text, expected) in [
        (dsse.replace("\"kind\"", " \"kind\""), "log entry is not canonical JSON"),
        (dsse.replace("sha256", "sh\\u0061256"), "log entry is not canonical JSON"),
        (dsse.replace("MEUCIQ==", "MEUCIQ"), "not a log entry"),
        (dsse.replace("\"spec\":{", "\"spec\":{\"aa\":1,"), "not a log entry"),
        (dsse.replace("\"kind\"", "\"aa\":1,\"kind\""), "not a log entry"),
        (dsse.replace("0.0.1", "0.0.9"), "unknown kind of log entry `dsse` 0.0.9"),
        (hashed.replace("0.0.2", "0.0.3"), "unknown kind of log entry `hashedrekord` 0.0.3"),
        (dsse.replace("0.0.1", "0.0.2"), "not a log entry"),
        (hashed.replace("hashedRekordV002", "dsseV002"), "not a log entry"),
        (String::new(), "not a log entry"),
        (" ".repeat(SIZE_MAX + 1), "log entry of 65536 bytes is larger than the limit of 65535"),
    ] {
        assert_eq!(Body::parse(text.as_bytes()).expect_err(&text).to_string(), expected, "{text:.200}");
    }
}

#[test]
fn hashes_have_both_spellings() {
    let digest = Digest::of(b"");
    assert_eq!(NamedHash::of(&digest).algorithm, "sha256");
    assert_eq!(NamedHash::of(&digest).value, digest.hex());
    assert_eq!(HashOutput::of(&digest).algorithm, "SHA2_256");
    assert_eq!(HashOutput::of(&Digest::Sha512([0; 64])).algorithm, "SHA2_512");
}

#[test]
fn what_parses_prints_the_same() {
    for (seed, (_, _, text)) in SAMPLES.iter().enumerate() {
        Mutator::new(30 + seed as u64).each(5_000, text.as_bytes(), |bytes| {
            if let Ok(body) = Body::parse(bytes) {
                assert_eq!(body.to_json(), bytes);
            }
        });
    }
}

/// The kinds of Rekor v1, as a public log has them.
#[test]
fn bodies_of_foreign_logs_are_read() {
    let files: [(&[u8], &str); 2] = [
        (include_bytes!("../../../../tests/foreign/sigstore/cosign-v3-blob.sigstore.json"), "hashedrekord 0.0.1"),
        (include_bytes!("../../../../tests/foreign/sigstore/version-0.1.sigstore.json"), "intoto 0.0.2"),
    ];
    for (bundle, kind) in files {
        let bundle: Value = serde_json::from_slice(bundle).expect(kind);
        let body = bundle["verificationMaterial"]["tlogEntries"][0]["canonicalizedBody"].as_str().expect(kind);
        let leaf = base64::decode(body).expect(kind);
        let parsed = Body::parse(&leaf).expect(kind);
        assert_eq!(parsed.to_json(), leaf);
        let KindVersion { kind: found, version } = parsed.kind_version();
        assert_eq!(format!("{found} {version}"), kind);
        let text = String::from_utf8(leaf).expect("JSON");
        let unknown = text.replacen(r#""spec":{"#, r#""spec":{"a":1,"#, 1);
        assert!(matches!(Body::parse(unknown.as_bytes()), Err(BodyError::Form(_))));
    }
}
