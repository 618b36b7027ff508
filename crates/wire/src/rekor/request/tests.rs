use super::*;
use crate::mutation::Mutator;

const HASHED: &str = r#"{"hashedRekordRequestV002":{"digest":"n4bQ","signature":{"content":"MEUC","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","x509Certificate":{"rawBytes":"MIIC"}}}}}"#;
const DSSE: &str = r#"{"dsseRequestV002":{"envelope":{"payload":"eyJf","payloadType":"text/plain","signatures":[{"sig":"MEUC","keyid":""}]},"verifiers":[{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"MFkw"}}]}}"#;
const PROPOSED: &str = r#"{"apiVersion":"0.0.1","kind":"dsse","spec":{"proposedContent":{"envelope":"{\"payload\":\"eyJf\",\"payloadType\":\"text/plain\",\"signatures\":[{\"sig\":\"MEUC\"}]}","verifiers":["LS0t"]}}}"#;
const ENTRY: &str = r#"{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"n4bQ"},"signature":{"content":"MEUC","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"MFkw"}}}}}}"#;

fn parse(text: &str) -> Request {
    Request::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

#[test]
fn every_form_is_read() {
    let Request::HashedRekord002 { digest, signature, algorithm: None } = parse(HASHED) else { panic!("hashedrekord") };
    assert_eq!((digest.len(), signature.content.len()), (3, 3));
    assert_eq!(signature.verifier.x509_certificate.expect("a certificate").raw_bytes, [0x30, 0x82, 0x02]);
    let Request::Dsse002 { envelope, verifiers } = parse(DSSE) else { panic!("dsse 0.0.2") };
    assert_eq!((envelope.payload.as_slice(), verifiers.len()), (b"{\"_".as_slice(), 1));
    let Request::Dsse001 { envelope: proposed, verifiers } = parse(PROPOSED) else { panic!("dsse 0.0.1") };
    assert_eq!((proposed, verifiers), (envelope, vec![b"---".to_vec()]));
    let Request::HashedRekord002 { algorithm, .. } = parse(ENTRY) else { panic!("an entry") };
    assert_eq!(algorithm.as_deref(), Some("SHA2_256"));
}

/// Protocol buffers' JSON has several spellings of one message.
#[test]
fn spellings_of_one_request() {
    let number = HASHED.replace("\"PKIX_ECDSA_P256_SHA_256\"", "5");
    let snake = HASHED
        .replace("hashedRekordRequestV002", "hashed_rekord_request_v002")
        .replace("keyDetails", "key_details")
        .replace("x509Certificate", "x509_certificate")
        .replace("rawBytes", "raw_bytes");
    let url_safe = HASHED.replace("n4bQ", "n4bQ_w").replace("MEUC", "-EUC");
    let standard = HASHED.replace("n4bQ", "n4bQ/w==").replace("MEUC", "+EUC");
    assert_eq!(parse(&number), parse(HASHED));
    assert_eq!(parse(&snake), parse(HASHED));
    assert_eq!(parse(&url_safe), parse(&standard));
    let null = HASHED.replacen('{', "{\"dsseRequestV002\":null,", 1);
    assert_eq!(parse(&null), parse(HASHED));
}

#[test]
fn what_is_no_request_is_refused_with_its_reason() {
    let twice = format!("{{{},{}}}", &HASHED[1..HASHED.len() - 1], &DSSE[1..DSSE.len() - 1]);
    let two = DSSE.replace("[{\"sig\":\"MEUC\",\"keyid\":\"\"}]", "[{\"sig\":\"MEUC\"},{\"sig\":\"MEUD\"}]");
    let verifier = r#"{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"MFkw"}}"#;
    let many = DSSE.replace(verifier, &[verifier; VERIFIERS_MAX + 1].join(","));
    let canonical_dsse = r#"{"apiVersion":"0.0.2","kind":"dsse","spec":{"dsseV002":{}}}"#;
    let canonical_dsse001 = r#"{"apiVersion":"0.0.1","kind":"dsse","spec":{"payloadHash":{}}}"#;
    for (text, expected) in [
        ("{}", "expected exactly one of"),
        (&twice, "expected exactly one of"),
        ("[]", "not a request"),
        (&HASHED.replace("\"digest\"", "\"hash\""), "unknown field `hash`"),
        (&HASHED.replace("\"n4bQ\"", "\"\""), "`digest` is missing"),
        (&HASHED.replace("\"n4bQ\"", "\"n4b!\""), "Invalid symbol"),
        (&HASHED.replace("\"MEUC\"", "\"\""), "`signature.content` is missing"),
        (
            &HASHED.replace(",\"x509Certificate\":{\"rawBytes\":\"MIIC\"}", ""),
            "`publicKey` or `x509Certificate` is missing",
        ),
        (&HASHED.replace("\"MIIC\"", "\"\""), "`rawBytes` is missing"),
        (&HASHED.replace("\"keyDetails\":\"PKIX_ECDSA_P256_SHA_256\",", ""), "`keyDetails` is missing"),
        (&HASHED.replace("\"PKIX_ECDSA_P256_SHA_256\"", "99"), "unknown `keyDetails` 99"),
        (&two, "an envelope with 2 signatures"),
        (&DSSE.replace(verifier, ""), "`verifiers` is missing"),
        (&many, "17 verifiers are more than the limit of 16"),
        (canonical_dsse, "dsse 0.0.2 cannot be logged from the entry alone"),
        (canonical_dsse001, "dsse 0.0.1 cannot be logged from the entry alone"),
        (&PROPOSED.replace("eyJf", "ey!f"), "reading the proposed envelope"),
        (&ENTRY.replace("0.0.2", "0.0.1"), "hashedrekord 0.0.1 cannot be logged"),
    ] {
        let error = Request::parse(text.as_bytes()).expect_err(text);
        let mut said = error.to_string();
        if let Some(cause) = std::error::Error::source(&error) {
            said.push_str(&format!(": {cause}"));
        }
        assert!(said.contains(expected), "{text}: {said}");
    }
    let large = Request::parse(&vec![b' '; SIZE_MAX + 1]).expect_err("too large");
    assert!(matches!(large, RequestError::Size(_)));
}

#[test]
fn damage_is_no_panic() {
    for text in [HASHED, DSSE, PROPOSED, ENTRY] {
        Mutator::new(11).each(4000, text.as_bytes(), |bytes| drop(Request::parse(bytes)));
    }
}
