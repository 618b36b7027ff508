use super::*;
use crate::dsse::Signature;
use crate::mutation::Mutator;

const SAMPLE: &str = r#"{"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"k","sig":"MEUC"}]},"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"k"},"timestampVerificationData":{"rfc3161Timestamps":[]},"tlogEntries":[{"canonicalizedBody":"e30=","inclusionProof":{"checkpoint":{"envelope":"o\n1\nAAAA\n\n— o AAAA\n"},"hashes":[],"logIndex":"0","rootHash":"AAAA","treeSize":"1"},"integratedTime":"0","kindVersion":{"kind":"dsse","version":"0.0.1"},"logId":{"keyId":"AAAA"},"logIndex":"0"}]}}"#;

fn sample() -> Bundle {
    Bundle::parse(SAMPLE.as_bytes()).expect("sample")
}

#[test]
fn zero_values_and_empty_lists_are_written_out() {
    assert_eq!(String::from_utf8(sample().to_json()).expect("text"), SAMPLE);
}

#[test]
fn what_protobuf_leaves_out_is_read_as_zero() {
    let short = SAMPLE
        .replace(r#""hashes":[],"logIndex":"0","#, "")
        .replace(r#","logIndex":"0""#, "")
        .replace(r#""integratedTime":"0","#, "")
        .replace(r#""timestampVerificationData":{"rfc3161Timestamps":[]},"#, "");
    assert_eq!(Bundle::parse(short.as_bytes()).expect("short"), sample());
    let null = SAMPLE.replace(r#"{"rfc3161Timestamps":[]}"#, "null");
    assert_eq!(Bundle::parse(null.as_bytes()).expect("null"), sample());
    let bare = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{}},"messageSignature":{"signature":"MEUC"}}"#;
    let bare = Bundle::parse(bare.as_bytes()).expect("bare").verification_material;
    assert_eq!(bare.signer, Signer::PublicKey { hint: String::new() });
    assert!(bare.tlog_entries.is_empty() && bare.timestamps.is_empty());
    let number = SAMPLE.replace(r#""treeSize":"1""#, r#""treeSize":1"#);
    assert_eq!(Bundle::parse(number.as_bytes()).expect("number"), sample());
}

#[test]
fn certificates_stamps_and_message_signatures_have_their_place() {
    let bundle = Bundle {
        verification_material: VerificationMaterial {
            signer: Signer::Certificate(vec![0x30]),
            tlog_entries: Vec::new(),
            timestamps: vec![Rfc3161Timestamp { signed_timestamp: vec![0x30] }],
        },
        content: Content::Message(MessageSignature {
            message_digest: Some(HashOutput { algorithm: "SHA2_256".to_owned(), digest: vec![1] }),
            signature: vec![2],
        }),
    };
    let text = String::from_utf8(bundle.to_json()).expect("text");
    assert_eq!(
        text,
        r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"AQ=="},"signature":"Ag=="},"verificationMaterial":{"certificate":{"rawBytes":"MA=="},"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"MA=="}]},"tlogEntries":[]}}"#
    );
    assert_eq!(Bundle::parse(text.as_bytes()).expect("text"), bundle);
}

#[test]
fn other_forms_are_refused() {
    let entry = &SAMPLE[SAMPLE.find("[{\"canonicalizedBody").expect("entry") + 1..SAMPLE.len() - 3];
    for (text, expected) in [
        ("{}".to_owned(), "not a Sigstore bundle v0.3"),
        (SAMPLE.replace("v0.3+json", "v0.2+json"), "not a Sigstore bundle v0.3"),
        (SAMPLE.replace("dsseEnvelope", "nothing"), "not a Sigstore bundle v0.3"),
        (SAMPLE.replacen('{', r#"{"messageSignature":{"signature":""},"#, 1), "not a Sigstore bundle v0.3"),
        (SAMPLE.replace(r#""publicKey":{"hint":"k"},"#, ""), "not a Sigstore bundle v0.3"),
        (
            SAMPLE.replace(r#""publicKey":{"#, r#""certificate":{"rawBytes":""},"publicKey":{"#),
            "not a Sigstore bundle v0.3",
        ),
        (
            SAMPLE.replace(r#""publicKey":{"#, r#""x509CertificateChain":{"certificates":[]},"publicKey":{"#),
            "not a Sigstore bundle v0.3",
        ),
        (SAMPLE.replace(r#""treeSize":"1""#, r#""treeSize":"-1""#), "not a Sigstore bundle v0.3"),
        (SAMPLE.replace(r#""treeSize":"1""#, r#""treeSize":"+1""#), "not a Sigstore bundle v0.3"),
        (SAMPLE.replace(r#""treeSize":"1""#, r#""treeSize":"""#), "not a Sigstore bundle v0.3"),
        (SAMPLE.replace(r#""treeSize":"1""#, r#""treeSize":"9223372036854775808""#), "not a Sigstore bundle v0.3"),
        (SAMPLE.replace(r#""treeSize":"1""#, r#""treeSize":1.5"#), "not a Sigstore bundle v0.3"),
        (
            SAMPLE.replace(r#""hashes":[]"#, &format!(r#""hashes":[{}""]"#, r#""","#.repeat(63))),
            "bundle has 64 hashes in an inclusion proof, more than the limit of 63",
        ),
        (SAMPLE.replace(entry, &vec![entry; 33].join(",")), "bundle has 33 log entries, more than the limit of 32"),
        (
            SAMPLE.replace(
                r#""rfc3161Timestamps":[]"#,
                &format!(r#""rfc3161Timestamps":[{}]"#, vec![r#"{"signedTimestamp":""}"#; 33].join(",")),
            ),
            "bundle has 33 time-stamps, more than the limit of 32",
        ),
    ] {
        assert_ne!(text, SAMPLE, "{expected}");
        assert_eq!(Bundle::parse(text.as_bytes()).expect_err(&text).to_string(), expected, "{text:.2000}");
    }
    let large = vec![b' '; SIZE_MAX + 1];
    assert!(matches!(Bundle::parse(&large), Err(BundleError::Size { .. })));
}

#[test]
fn an_envelope_has_one_signature() {
    let Content::Envelope(envelope) = sample().content else { panic!("an envelope") };
    assert_eq!(envelope.signature, Signature { keyid: "k".to_owned(), sig: b"\x30\x45\x02".to_vec() });
    let two = SAMPLE.replace(r#"{"keyid":"k","sig":"MEUC"}"#, r#"{"sig":"MEUC"},{"sig":"MEUC"}"#);
    assert!(Bundle::parse(two.as_bytes()).is_err());
}

#[test]
fn what_parses_prints_stably() {
    Mutator::new(34).each(10_000, SAMPLE.as_bytes(), |bytes| {
        if let Ok(bundle) = Bundle::parse(bytes) {
            assert_eq!(Bundle::parse(&bundle.to_json()).expect("its own print"), bundle);
        }
    });
}
