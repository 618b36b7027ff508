use super::*;
use crate::SigningKey;

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.as_bytes().to_vec())).expect("a passphrase")
}

/// `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes-256-cbc -pass pass:secret` (OpenSSL 3.0.19).
const OF_OPENSSL: &str = include_str!("openssl.pem");

#[test]
fn what_openssl_encrypted_opens() {
    assert!(is_encrypted(OF_OPENSSL));
    let text = decrypt(OF_OPENSSL, &passphrase("secret")).expect("opens");
    SigningKey::from_pkcs8_pem(&text).expect("a key");
    assert!(matches!(decrypt(OF_OPENSSL, &passphrase("other")), Err(KeyError::Passphrase)));
}

#[test]
fn a_key_comes_back_by_its_passphrase_alone() {
    let plain = SigningKey::generate().expect("key").to_pkcs8_pem();
    let sealed = encrypt(&plain, &passphrase("correct horse")).expect("sealed");
    assert!(is_encrypted(&sealed) && !is_encrypted(&plain));
    assert_eq!(*decrypt(&sealed, &passphrase("correct horse")).expect("opens"), *plain);
    assert!(matches!(decrypt(&sealed, &passphrase("correct horsf")), Err(KeyError::Passphrase)));
    assert_ne!(encrypt(&plain, &passphrase("correct horse")).expect("sealed"), sealed, "salt and IV are new");
    assert!(matches!(decrypt(&plain, &passphrase("x")), Err(KeyError::Pem(_))));
    assert!(matches!(encrypt(&sealed, &passphrase("x")), Err(KeyError::Pem(_))));
}

#[test]
fn no_wrong_passphrase_opens_by_chance() {
    for number in 0..1000 {
        let opened = decrypt(OF_OPENSSL, &passphrase(&format!("guess {number}")));
        assert!(matches!(opened, Err(KeyError::Passphrase)), "{number}");
    }
}

#[test]
fn each_field_that_is_another_is_refused() {
    let read =
        || EncryptedKey::from_der(&pem::decode(pem::ENCRYPTED_PRIVATE_KEY, OF_OPENSSL).expect("PEM")).expect("DER");
    let other = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
    let octets = |length: usize| OctetString::new(vec![7; length]).expect("octets");
    type Change<'a> = Box<dyn Fn(&mut EncryptedKey) + 'a>;
    let changes: Vec<(&str, Change<'_>)> = vec![
        ("scheme", Box::new(|key| key.algorithm.algorithm = other)),
        ("derivation", Box::new(|key| key.algorithm.parameters.derivation.algorithm = other)),
        ("function", Box::new(|key| key.algorithm.parameters.derivation.parameters.function.algorithm = other)),
        ("cipher", Box::new(|key| key.algorithm.parameters.cipher.algorithm = other)),
        ("iv", Box::new(|key| key.algorithm.parameters.cipher.iv = octets(15))),
        ("salt", Box::new(|key| key.algorithm.parameters.derivation.parameters.salt = octets(SALT_MAX + 1))),
        ("length", Box::new(|key| key.algorithm.parameters.derivation.parameters.key_length = Some(16))),
        ("none", Box::new(|key| key.algorithm.parameters.derivation.parameters.iterations = 0)),
        ("many", Box::new(|key| key.algorithm.parameters.derivation.parameters.iterations = ITERATIONS_MAX + 1)),
    ];
    for (field, change) in changes {
        let mut key = read();
        change(&mut key);
        let text = pem::encode(pem::ENCRYPTED_PRIVATE_KEY, &key.to_der().expect("DER"));
        assert!(matches!(decrypt(&text, &passphrase("secret")), Err(KeyError::Encrypted)), "{field}");
    }
    let mut key = read();
    key.algorithm.parameters.derivation.parameters.key_length = Some(32);
    let text = pem::encode(pem::ENCRYPTED_PRIVATE_KEY, &key.to_der().expect("DER"));
    decrypt(&text, &passphrase("secret")).expect("the length that it has may be told");
}

#[test]
fn a_passphrase_is_one_line() {
    for bad in [&b""[..], b"a\nb", b"a\r", b"a\0", &[b'x'; PASSPHRASE_MAX + 1]] {
        assert!(matches!(Passphrase::new(Zeroizing::new(bad.to_vec())), Err(KeyError::PassphraseForm)));
    }
    assert_eq!(format!("{:?}", passphrase("secret")), "Passphrase(…)");
}
