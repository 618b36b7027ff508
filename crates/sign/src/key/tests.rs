use wire::base64;
use wire::mutation::Mutator;

use super::*;
use crate::{LogKey, SigningKey};

/// RFC 8032 section 7.1, test 2.
const ED25519_PUBLIC: &str = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
const ED25519_SIGNATURE: &str =
    "kqAJqfDUyrhyDoILX2QlQKKye1QWUD+Ps3YiI+vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkWErsMAA==";

#[test]
fn ed25519_is_that_of_rfc_8032() {
    let key = PublicKey::from_ed25519_bytes(&base64::decode(ED25519_PUBLIC).expect("base64")).expect("key");
    let signature = base64::decode(ED25519_SIGNATURE).expect("base64");
    assert_eq!(key.verify(&[0x72], &signature), Ok(()));
    assert_eq!(key.verify(&[0x73], &signature), Err(SignatureError));
    assert_eq!(key.key_details(), "PKIX_ED25519");
}

#[test]
fn openssl_keys_and_signatures_are_read() {
    for (pem, signature, details) in [
        (P256_PEM, P256_SIGNATURE, "PKIX_ECDSA_P256_SHA_256"),
        (P384_PEM, P384_SIGNATURE, "PKIX_ECDSA_P384_SHA_384"),
        (ED25519_PEM, OPENSSL_ED25519_SIGNATURE, "PKIX_ED25519"),
    ] {
        let key = PublicKey::from_pem(pem).expect(details);
        assert_eq!(key.key_details(), details);
        assert_eq!(key.to_pem(), pem);
        assert_eq!(PublicKey::from_spki_der(key.spki_der()).expect("der"), key);
        let signature = base64::decode(signature).expect("base64");
        assert_eq!(key.verify(b"hello", &signature), Ok(()), "{details}");
        assert_eq!(key.verify(b"hallo", &signature), Err(SignatureError), "{details}");
        for at in 0..signature.len() {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            assert_eq!(key.verify(b"hello", &changed), Err(SignatureError), "{details} byte {at}");
        }
    }
}

#[test]
fn openssl_private_keys_are_read_and_written() {
    let key = SigningKey::from_pkcs8_pem(P256_PRIVATE).expect("key");
    assert_eq!(key.public().to_pem(), P256_PEM);
    assert_eq!(*key.to_pkcs8_pem(), P256_PRIVATE);
    let key = LogKey::from_pem(ED25519_PRIVATE).expect("key");
    assert_eq!(key.public().to_pem(), ED25519_PEM);
    assert_eq!(*key.to_pem(), ED25519_PRIVATE);
}

#[test]
fn new_keys_sign_and_come_back() {
    let key = SigningKey::generate().expect("key");
    let again = SigningKey::from_pkcs8_pem(&key.to_pkcs8_pem()).expect("key");
    assert_eq!(again.public(), key.public());
    assert_eq!(key.public().verify(b"hello", &again.sign(b"hello")), Ok(()));
    assert_ne!(SigningKey::generate().expect("key").public(), key.public());
    let log = LogKey::generate().expect("key");
    assert_eq!(LogKey::from_pem(&log.to_pem()).expect("key").public(), log.public());
}

#[test]
fn private_keys_print_as_their_ids() {
    let key = SigningKey::generate().expect("key");
    assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public().id()));
    let key = LogKey::generate().expect("key");
    assert_eq!(format!("{key:?}"), format!("LogKey({})", key.public().id()));
}

#[test]
fn other_keys_are_refused() {
    let good = PublicKey::from_pem(P256_PEM).expect("key");
    let der = good.spki_der();
    let mut off_curve = der.to_vec();
    off_curve[40] ^= 1;
    let compressed = [&der[..26], &[2], &der[27..59]].concat();
    for der in [&[][..], &der[1..], &der[..90], &[der, &[0]].concat(), &off_curve, &compressed] {
        assert!(matches!(PublicKey::from_spki_der(der), Err(KeyError::Unsupported)), "{der:?}");
    }
    assert!(matches!(PublicKey::from_pem(P256_PRIVATE), Err(KeyError::Pem(_))));
    assert!(matches!(SigningKey::from_pkcs8_pem(ED25519_PRIVATE), Err(KeyError::Private { .. })));
    assert!(matches!(LogKey::from_pem(P256_PRIVATE), Err(KeyError::Private { .. })));
    assert!(matches!(SigningKey::from_pkcs8_pem(P256_PEM), Err(KeyError::Pem(_))));
}

#[test]
fn damaged_keys_never_panic() {
    let mut mutator = Mutator::new(50);
    mutator.each(3_000, P256_PEM.as_bytes(), |bytes| drop(PublicKey::from_pem(&String::from_utf8_lossy(bytes))));
    let key = PublicKey::from_pem(P256_PEM).expect("key");
    mutator.each(3_000, key.spki_der(), |bytes| {
        if let Ok(key) = PublicKey::from_spki_der(bytes) {
            assert_eq!(key.spki_der(), bytes);
        }
    });
    let signature = base64::decode(P256_SIGNATURE).expect("base64");
    mutator.each(3_000, &signature, |bytes| {
        assert_eq!(key.verify(b"hello", bytes).is_ok(), bytes == signature);
    });
    mutator.each(1_000, P256_PRIVATE.as_bytes(), |bytes| {
        drop(SigningKey::from_pkcs8_pem(&String::from_utf8_lossy(bytes)));
    });
}

// Made with OpenSSL 3.0 (`openssl genpkey`, `openssl dgst -sign`) over `hello`; the private keys are used nowhere else.
const P256_PRIVATE: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgIeRhP+xbacXNbJCg\n\
uBBjei8R4Px9E0vSThBwO9iUm1qhRANCAAQe67qpFW8fvUJ1cQTV1sSWB4E4V9y9\n\
MT0uofAOHJhG42JocIb4FX1oCBFDW5XutPdEHhni3HkzpFl2dH9sJTYT\n\
-----END PRIVATE KEY-----\n\
";
const P256_PEM: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEHuu6qRVvH71CdXEE1dbElgeBOFfc\n\
vTE9LqHwDhyYRuNiaHCG+BV9aAgRQ1uV7rT3RB4Z4tx5M6RZdnR/bCU2Ew==\n\
-----END PUBLIC KEY-----\n\
";
const P256_SIGNATURE: &str =
    "MEUCIQDSTJcG5ICZEak6Vcx6i+6maJgIPUq9Ga7QzXqkJUM7sQIgQQnESmkIFk5Nwzv4TB15QOWSZtTIFC350Hvxxm4K8F0=";
const P384_PEM: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAExPPnJMFoM29DTyydDMGLxYStBDPx9sHp\n\
fGmQcMSld4MpfxXGpuextFic35DBIS8F7HKxn7FF9oFREeMon/fs5tUbbvNJpt7m\n\
rr5hGMn9f8h9OfJ78xV4Kg5UCAob5Jik\n\
-----END PUBLIC KEY-----\n\
";
const P384_SIGNATURE: &str = "MGQCMG+cSil2OxuJ9XQR5BQZOcFzVJgXSoj0tszQWj+V7y1KFR4XviD4gs3Cq3g/TrjjxwIwWB3Sbrq/irBh3WVkDYqVgIZwef74pV04NMIGqz+rTaZ5/jutmXZqmRvYcWIbTw3E";
const ED25519_PRIVATE: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MC4CAQAwBQYDK2VwBCIEIIakzHNp5I0Kltlz6aZflNe8Zmx4++vTijr8VOlONvF2\n\
-----END PRIVATE KEY-----\n\
";
const ED25519_PEM: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MCowBQYDK2VwAyEAjrQN1aTPrOUDgNHfHVA44TCIQdPjxrXPd2Dkoyghmq4=\n\
-----END PUBLIC KEY-----\n\
";
const OPENSSL_ED25519_SIGNATURE: &str =
    "3R8lr1CrKfVUVzJuyXbkStvU59lXPuO8/ICP7RQd3cNM5CcJjKaBU1qXIjG14tRb40ifa6sscK4nUWaqk6tpAA==";
