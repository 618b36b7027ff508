use sign::SigningKey;
use wire::base64;
use wire::rekor::{Der, Verifier};

use super::*;
use crate::entry;
use crate::testlog::envelope;

fn verifier(key: &sign::PublicKey) -> Verifier {
    Verifier {
        key_details: key.key_details().to_owned(),
        public_key: Some(Der { raw_bytes: key.spki_der().to_vec() }),
        x509_certificate: None,
    }
}

fn hashed(key: &SigningKey, message: &[u8]) -> Request {
    Request::HashedRekord002 {
        digest: Digest::of(message).bytes().to_vec(),
        signature: Signature002 { content: key.sign(message), verifier: verifier(key.public()) },
        algorithm: None,
    }
}

#[test]
fn a_digest_is_logged_as_our_own_blobs_are() {
    let key = SigningKey::generate().expect("a key");
    let request = hashed(&key, b"artifact");
    let Request::HashedRekord002 { signature, .. } = request.clone() else { panic!("hashedrekord") };
    let proposal = Proposal::check(request).expect("signed");
    let ours = entry::blob(&Digest::of(b"artifact"), &signature.content, key.public()).expect("small");
    assert_eq!(*proposal.leaf(), ours);
    assert_eq!((proposal.kind().kind.as_str(), proposal.kind().version.as_str()), ("hashedrekord", "0.0.2"));
    assert_eq!(*proposal.signer(), key.public().id());
    let name = Digest::of(b"artifact").to_string();
    assert!(matches!(proposal.content(), Content::Digest(found) if *found == name));
    let body = Body::parse(proposal.leaf().bytes()).expect("canonical");
    assert_eq!(of_digest(&body), Some((name, key.public().id())));
}

#[test]
fn an_envelope_is_logged_in_the_form_that_was_asked_for() {
    let (key, other) = (SigningKey::generate().expect("a key"), SigningKey::generate().expect("a key"));
    let envelope = envelope(&key);
    let verifiers = vec![verifier(other.public()), verifier(key.public())];
    let second = Proposal::check(Request::Dsse002 { envelope: envelope.clone(), verifiers }).expect("signed by one");
    let body = Body::parse(second.leaf().bytes()).expect("canonical");
    assert_eq!(entry::check_envelope(&body, &envelope).expect("its entry"), *key.public());
    assert_eq!(second.kind().version, "0.0.2");
    let pem = |key: &SigningKey| key.public().to_pem().into_bytes();
    let request = Request::Dsse001 { envelope: envelope.clone(), verifiers: vec![pem(&other), pem(&key)] };
    let first = Proposal::check(request).expect("signed by one");
    assert_eq!(*first.leaf(), entry::attestation(&envelope, key.public()).expect("small"));
    for proposal in [&first, &second] {
        let Content::Envelope { envelope: found, statement: Some(statement) } = proposal.content() else {
            panic!("a statement")
        };
        assert_eq!((&**found, statement.subject.len()), (&envelope, 1));
        assert_eq!(*proposal.signer(), key.public().id());
    }
}

/// Signatures that `openssl` made over `artifact`, by each kind of key that Rekor v2 takes beside P-256.
const FOREIGN: [(&str, &str, &str, &str); 3] = [
    (
        "PKIX_ECDSA_P384_SHA_384",
        "XLqhqva21DO4BpR7OKloj4kRgQIzflkP2ujdZlhPysf3Jl0Ct+DNG67jPAFxEFZJ",
        "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEnZxLprRSrEaxRbzBRbTUeRaAXXFXEkUuYGxIlhsHv3SoT/ckUh8Gd67RByLAQCjb5vQDemh5He5JLVm0m4Sn9qXrOG76nl1EH1SIpD8HSJcbd3Z+Ehm8X6dk71TiAJE2",
        "MGQCMClWh268rch7bqIXdmdxAS+Vjo620Sk4nyKHAofPCscBT0UzgTM+fZ5QFy2Au2EQWgIwbqRg83B1dg6xMIxaicwiOGJqkyvkjerk5XBCiotgfkL0ILmIaCCLu3CnSCG5L9t9",
    ),
    (
        "PKIX_ECDSA_P521_SHA_512",
        "FGl0QHAcOIX3yNX6pZ8za0ccqGMyA07/DT/dwC3JsYuDVuhA21SCPI/S8svQkGlpzxMs+Lucc9x2m0/9gXvSPQ==",
        "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQA+QpJ4AQUFQwnvQjkM513v8pLBrwfYeiAJzDOIDVZXn5h9MOWfx+oYelEaqvHWIA5WbkN14b/nkXP0o+F5SR2TgoBFXsc4GXtkQ4uoRQwzFwoi1urKLCig3CvOOMCuaAqxvNffdzD1aRqaO3B0x8L5EYGfBc+GvNBbAjBgSb4UV1wHrE=",
        "MIGIAkIB611hAoMS+fiFOrK0vTfIbcdiKVyf9iHj1GpCgQKT2dHGYYEjThUi6UvYbm0zQbJ0S5gIvK/qiZYlVKlix0TEw1ICQgCMJDpf+BGEGmwdSvQbw7Hkn6AK6fvIpnErt7/LgJv1RdKu7ErsBeEDNOE83Ct61kW1zMtq8TBt/0Tz7rNYFQMcmg==",
    ),
    (
        "PKIX_RSA_PKCS1V15_2048_SHA256",
        "x8XB1wxd7EQWq2FYr9CyI+9Awpsdwfl+2UKLlNTK2xw=",
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApf9lKra9fxk34ggGjNfRdbmJZARvhiiqU05bK4o3fqR8foVhetAQHTT6IgfaiNO1r2oArgh6MqR4yCjfJrRRoLyvH2eolfJF6QgCqv2L5CtG1vcbmM2+Ly0Uk9xUQsIdkDe2bMSMDnTW12RLlYat3wE86fqF64z2UHJdkk/SE455dNPGE8xWcVj3OVKr85CTVBLKyzBpE19x/ssYvLPEpWUVMZDdQ1hALcgecRZHtqEwrz2YNlZs6qq6TTq+SdO2a/ihznRE8yXrwCYuI2qDS6aN6F7jvfdZfTpPQSfM6rP9++DVAH2dCixG6bAxNiaLYbfgj8qay55G0lBEaCKi8QIDAQAB",
        "obMmhe4TfqgsxiF+1QjLtUGyaYVtlaEZl9huIGjAyCXjWqqZYZO2fHt6pXSTCOol8dRxaNtdTbt7RmdogJB2YGKpFKGKKTFJPLPCiu1tZY1h8pzt2p8UxrA9XvIKVVtUCV6Otk4CHSTMSGB/t/dOwPobCfVi4upjUhqB7O3MJZJ+9ikJxNgQfHxXBqXFFWWZ8wir8cYy7BPl83RD7izV6NftTkMy4mK9TWCA4zhI7PK5guv+knEDAm7J/yAkwJEpS8uDKe4w25fgBWlqs3Ayja6rxsh/MAjbd+KBp1hrdnLRfRfAjEuc25hfw3MmAK+t5oq6OJ4U4U3G7YGvw2zPWw==",
    ),
];

const ED25519: (&str, &str) = (
    "MCowBQYDK2VwAyEAs41yzHG5SK3IgLPxvQensKv46aOs5CMH4ls5rHvRXKY=",
    "npadW9ZjbZx9q28xUCdheBXb3AbDVcHpwU4C3QlIaDPKxf+zuPZKR61THlMW2ZXOFmGw/sLTvplB9Rx3+E56AA==",
);

fn foreign((details, digest, key, signature): (&str, &str, &str, &str)) -> Request {
    let bytes = |text| base64::decode(text).expect("base64");
    let public_key = Some(Der { raw_bytes: bytes(key) });
    let verifier = Verifier { key_details: details.to_owned(), public_key, x509_certificate: None };
    let signature = Signature002 { content: bytes(signature), verifier };
    Request::HashedRekord002 { digest: bytes(digest), signature, algorithm: None }
}

#[test]
fn other_keys_sign_their_own_digests() {
    let mut names = Vec::new();
    for sample in FOREIGN {
        let proposal = Proposal::check(foreign(sample)).unwrap_or_else(|error| panic!("{}: {error}", sample.0));
        let Content::Digest(name) = proposal.content() else { panic!("a digest") };
        names.push(name.split(':').next().expect("an algorithm").to_owned());
        let mut other = foreign(sample);
        if let Request::HashedRekord002 { digest, .. } = &mut other {
            digest[3] ^= 1;
        }
        assert!(matches!(Proposal::check(other), Err(ProposalError::Signature)), "{}", sample.0);
    }
    assert_eq!(names, ["sha384", "sha512", "sha256"]);
}

#[test]
fn ed25519_signs_envelopes_and_no_digests() {
    let (key, signature) = ED25519;
    let digest = FOREIGN[2].1;
    let error = Proposal::check(foreign(("PKIX_ED25519", digest, key, signature))).expect_err("no digest");
    assert_eq!(error.to_string(), "a key of `PKIX_ED25519` signs the message itself, and only its digest came");
    let bytes = |text| base64::decode(text).expect("base64");
    let signature = dsse::Signature { keyid: String::new(), sig: bytes(signature) };
    let envelope = Envelope { payload: b"artifact".to_vec(), payload_type: "text/plain".to_owned(), signature };
    let public_key = Some(Der { raw_bytes: bytes(key) });
    let verifier = Verifier { key_details: "PKIX_ED25519".to_owned(), public_key, x509_certificate: None };
    let proposal = Proposal::check(Request::Dsse002 { envelope, verifiers: vec![verifier] }).expect("signed");
    assert!(matches!(proposal.content(), Content::Envelope { statement: None, .. }), "text is no statement");
}

/// One change for each field of a request.
#[test]
fn nothing_unsigned_is_logged() {
    let (key, other) = (SigningKey::generate().expect("a key"), SigningKey::generate().expect("a key"));
    type Change = fn(&mut Vec<u8>, &mut Signature002, &mut Option<String>);
    let changes: [(&str, Change); 8] = [
        ("the signature was made by no key", |digest, _, _| digest[0] ^= 1),
        ("the signature was made by no key", |_, signature, _| signature.content[20] ^= 1),
        ("the digest has 31 bytes", |digest, _, _| digest.truncate(31)),
        ("the digest has 64 bytes", |digest, _, _| digest.resize(64, 0)),
        ("`keyDetails` is `PKIX_ED25519`", |_, signature, _| {
            signature.verifier.key_details = "PKIX_ED25519".to_owned()
        }),
        ("the digest is said to be `SHA2_512`", |_, _, algorithm| *algorithm = Some("SHA2_512".to_owned())),
        ("reading the key", |_, signature, _| {
            signature.verifier.public_key = Some(Der { raw_bytes: b"no key".to_vec() });
        }),
        ("reading the certificate", |_, signature, _| {
            signature.verifier.x509_certificate = signature.verifier.public_key.take();
        }),
    ];
    for (expected, change) in changes {
        let Request::HashedRekord002 { mut digest, mut signature, mut algorithm } = hashed(&key, b"artifact") else {
            panic!("hashedrekord")
        };
        change(&mut digest, &mut signature, &mut algorithm);
        let error = Proposal::check(Request::HashedRekord002 { digest, signature, algorithm }).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}, not {expected}");
    }
    let envelope = envelope(&key);
    for change in [
        (|envelope: &mut Envelope| envelope.payload.push(b' ')) as fn(&mut Envelope),
        |envelope| envelope.payload_type.push('x'),
        |envelope| envelope.signature.sig[20] ^= 1,
    ] {
        let mut changed = envelope.clone();
        change(&mut changed);
        let verifiers = vec![verifier(key.public())];
        let error = Proposal::check(Request::Dsse002 { envelope: changed, verifiers }).expect_err("unsigned");
        assert!(matches!(error, ProposalError::Signature), "{error}");
    }
    let verifiers = vec![other.public().to_pem().into_bytes()];
    let error = Proposal::check(Request::Dsse001 { envelope: envelope.clone(), verifiers }).expect_err("another key");
    assert!(matches!(error, ProposalError::Signature), "{error}");
    let error = Proposal::check(Request::Dsse001 { envelope, verifiers: vec![b"none".to_vec()] }).expect_err("no PEM");
    assert!(matches!(error, ProposalError::Pem), "{error}");
}

#[test]
fn an_entry_that_does_not_fit_a_leaf_is_refused() {
    let key = SigningKey::generate().expect("a key");
    let Request::HashedRekord002 { digest, mut signature, algorithm } = hashed(&key, b"artifact") else {
        panic!("hashedrekord")
    };
    signature.content.extend([0; 60_000]);
    let error = Proposal::check(Request::HashedRekord002 { digest, signature, algorithm }).expect_err("too large");
    assert!(matches!(error, ProposalError::Signature), "a signature has one form: {error}");
    let payload = vec![b'x'; 200_000];
    let envelope = sign::seal("text/plain", &payload, &key);
    let verifiers = vec![verifier(key.public())];
    let proposal = Proposal::check(Request::Dsse002 { envelope, verifiers }).expect("payloads stay out of leaves");
    assert!(proposal.leaf().bytes().len() < 1000);
}
