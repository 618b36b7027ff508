use wire::mutation::Mutator;
use x509_cert::request::CertReqInfo;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::*;
use crate::SigningKey;
use crate::issuing::algorithm;

/// A request as clients make it: no name, no attributes.
fn csr(key: &SigningKey, signer: &SigningKey) -> Vec<u8> {
    let info = CertReqInfo {
        version: x509_cert::request::Version::V1,
        subject: x509_cert::name::Name::default(),
        public_key: SubjectPublicKeyInfoOwned::from_der(key.public().spki_der()).expect("a key"),
        attributes: der::asn1::SetOfVec::new(),
    };
    let signature = signer.sign(&info.to_der().expect("DER"));
    let signature = der::asn1::BitString::from_bytes(&signature).expect("bits");
    CertReq { info, algorithm: algorithm(), signature }.to_der().expect("DER")
}

fn read(der: &[u8]) -> Result<SubjectKey, RequestError> {
    from_csr(&pem::encode(pem::CERTIFICATE_REQUEST, der))
}

#[test]
fn a_request_is_signed_by_its_key() {
    let (key, other) = (SigningKey::generate().expect("a key"), SigningKey::generate().expect("a key"));
    let good = csr(&key, &key);
    assert_eq!(read(&good).expect("its key").id(), key.public().id());
    assert!(matches!(read(&csr(&key, &other)), Err(RequestError::Proof(_))));
    assert!(matches!(from_csr("nothing"), Err(RequestError::Pem(_))));
    assert!(matches!(from_csr(&"x".repeat(SIZE_MAX + 1)), Err(RequestError::Size(_))));
    assert!(matches!(read(&good[1..]), Err(RequestError::Form)));
    assert!(matches!(read(&[&good[..], &[0]].concat()), Err(RequestError::Form)));
    Mutator::new(11).each(3_000, &good, |bytes| {
        if let (Ok(found), true) = (read(bytes), bytes != good) {
            panic!("a changed request is taken for one of {}", found.id());
        }
    });
}

#[test]
fn a_proof_is_over_the_subject() {
    let key = SigningKey::generate().expect("a key");
    let pem = key.public().to_pem();
    let proof = key.sign(b"jane@example.org");
    assert_eq!(from_proof(&pem, &proof, "jane@example.org").expect("proven").id(), key.public().id());
    let other = SigningKey::generate().expect("a key").public().to_pem();
    for (pem, proof, challenge) in [
        (&pem, &proof[..], "john@example.org"),
        (&pem, &proof[1..], "jane@example.org"),
        (&pem, &[], "jane@example.org"),
        (&other, &proof, "jane@example.org"),
        (&pem, &key.sign(b""), ""),
    ] {
        assert!(matches!(from_proof(pem, proof, challenge), Err(RequestError::Proof(_))), "{challenge}");
    }
    assert!(matches!(from_proof("", &proof, "x"), Err(RequestError::Pem(_))));
    assert!(matches!(from_proof(&"x".repeat(SIZE_MAX + 1), &proof, "x"), Err(RequestError::Size(_))));
}

/// Every kind of key that a certificate may have proves itself.
#[test]
fn each_kind_of_key_is_taken_and_weak_ones_are_not() {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
    let challenge = "repo:o/r:ref:refs/heads/main";
    let random = SystemRandom::new();
    let prove = |spki: &[u8], proof: &[u8]| from_proof(&pem::encode(pem::PUBLIC_KEY, spki), proof, challenge);

    let pair = EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_ASN1_SIGNING).expect("a key");
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("DER");
    prove(spki.as_ref(), pair.sign(&random, challenge.as_bytes()).expect("signed").as_ref()).expect("P-384");
    let pair = Ed25519KeyPair::generate().expect("a key");
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("DER");
    prove(spki.as_ref(), pair.sign(challenge.as_bytes()).as_ref()).expect("Ed25519");

    let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).expect("a key");
    let mut proof = vec![0; pair.public_modulus_len()];
    pair.sign(&signature::RSA_PKCS1_SHA256, &random, challenge.as_bytes(), &mut proof).expect("signed");
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("DER");
    prove(spki.as_ref(), &proof).expect("RSA");
    for (bytes, why) in [(1024, "8192 bits"), (128, "1024 bits"), (255, "2040 bits")] {
        let key = SubjectKey::from_pkcs1_der(&pkcs1(&vec![0xff; bytes])).expect(why);
        assert!(matches!(prove(key.spki_der(), &[0]), Err(RequestError::Weak)), "{why}");
    }
}

/// A PKCS #1 key of a modulus, with the usual exponent.
fn pkcs1(modulus: &[u8]) -> Vec<u8> {
    let modulus = der::asn1::Uint::new(modulus).expect("a number").to_der().expect("DER");
    let parts = [&modulus[..], &[2, 3, 1, 0, 1]].concat();
    der::Any::new(der::Tag::Sequence, parts).expect("a sequence").to_der().expect("DER")
}
