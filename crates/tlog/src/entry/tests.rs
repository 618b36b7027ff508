use sign::SigningKey;
use wire::rekor::Dsse002;

use super::*;
use crate::testlog::envelope;

fn verifier(key: &PublicKey) -> Verifier {
    Verifier {
        key_details: key.key_details().to_owned(),
        public_key: Some(Der { raw_bytes: key.spki_der().to_vec() }),
        x509_certificate: None,
    }
}

/// Every kind of entry that an envelope may have.
fn bodies(envelope: &Envelope, key: &PublicKey) -> Vec<Body> {
    let signature = Signature002 { content: envelope.signature.sig.clone(), verifier: verifier(key) };
    let pae = dsse::pae(&envelope.payload_type, &envelope.payload);
    vec![
        Body::parse(attestation(envelope, key).expect("small").bytes()).expect("ours"),
        Body::Dsse002(Dsse002 {
            payload_hash: HashOutput::of(&Digest::of(&envelope.payload)),
            signatures: vec![signature.clone()],
        }),
        Body::HashedRekord002(HashedRekord002 { data: HashOutput::of(&Digest::of(&pae)), signature }),
    ]
}

#[test]
fn every_kind_of_entry_is_taken_for_its_own_envelope_only() {
    let (key, other_key) = (SigningKey::generate().expect("key"), SigningKey::generate().expect("key"));
    let ours = envelope(&key);
    for body in bodies(&ours, key.public()) {
        assert_eq!(check_envelope(&body, &ours).expect("its own"), *key.public());
        let changes: [fn(&mut Envelope); 3] = [
            |envelope| envelope.payload.push(b' '),
            |envelope| envelope.payload_type.push('x'),
            |envelope| envelope.signature.sig[20] ^= 1,
        ];
        for change in changes {
            let mut other = ours.clone();
            change(&mut other);
            assert!(check_envelope(&body, &other).is_err(), "{body:?}");
        }
        // Another signature by the same key over the same payload is another envelope.
        assert!(check_envelope(&body, &envelope(&key)).is_err());
    }
    for body in bodies(&ours, other_key.public()) {
        assert!(matches!(check_envelope(&body, &ours), Err(EntryError::Signer)), "{body:?}");
    }
}

#[test]
fn an_unauthenticated_hint_is_part_of_the_envelope_that_dsse_001_names() {
    let key = SigningKey::generate().expect("key");
    let ours = envelope(&key);
    let body = &bodies(&ours, key.public())[0];
    let mut other = ours.clone();
    other.signature.keyid.clear();
    assert!(matches!(check_envelope(body, &other), Err(EntryError::Hash { field: "envelopeHash" })));
}

#[test]
fn a_verifier_must_be_one_key_of_its_algorithm() {
    let key = SigningKey::generate().expect("key");
    let ours = envelope(&key);
    let check = |change: &dyn Fn(&mut Verifier)| {
        let mut verifier = verifier(key.public());
        change(&mut verifier);
        let mut body = bodies(&ours, key.public()).remove(2);
        let Body::HashedRekord002(spec) = &mut body else { panic!("the third kind") };
        spec.signature.verifier = verifier;
        check_envelope(&body, &ours).expect_err("refused")
    };
    assert!(matches!(check(&|verifier| verifier.public_key = None), EntryError::Verifier));
    let certificate = Some(Der { raw_bytes: vec![1] });
    assert!(matches!(check(&|verifier| verifier.x509_certificate = certificate.clone()), EntryError::Verifier));
    assert!(matches!(check(&|verifier| verifier.public_key = certificate.clone()), EntryError::Key(_)));
    let error = check(&|verifier| verifier.key_details = "PKIX_ED25519".to_owned());
    assert!(matches!(error, EntryError::Algorithm { .. }));
}

#[test]
fn signatures_are_counted() {
    let key = SigningKey::generate().expect("key");
    let ours = envelope(&key);
    let mut body = bodies(&ours, key.public()).remove(0);
    let Body::Dsse001(spec) = &mut body else { panic!("the first kind") };
    spec.signatures.push(spec.signatures[0].clone());
    assert!(matches!(check_envelope(&body, &ours), Err(EntryError::Count(2))));
}

#[test]
fn a_blob_has_an_entry_of_its_own() {
    let key = SigningKey::generate().expect("key");
    let (digest, signature) = (Digest::of(b"blob"), key.sign(b"blob"));
    let body = Body::parse(blob(&digest, &signature, key.public()).expect("small").bytes()).expect("ours");
    assert_eq!(check_blob(&body, &digest, &signature).expect("its own"), *key.public());
    assert!(matches!(check_blob(&body, &Digest::of(b"x"), &signature), Err(EntryError::Hash { field: "data" })));
    assert!(matches!(check_blob(&body, &digest, b"x"), Err(EntryError::Signature)));
    let ours = envelope(&key);
    let body = &bodies(&ours, key.public())[0];
    assert!(matches!(check_blob(body, &digest, &signature), Err(EntryError::Kind(_))));
}
