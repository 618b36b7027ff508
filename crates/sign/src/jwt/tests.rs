use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use der::asn1::Uint;
use der::{Decode as _, Reader as _};
use serde_json::json;
use wire::mutation::Mutator;

use super::*;

const ISSUER: &str = "https://issuer.example.org";

fn now() -> Timestamp {
    "2026-11-22T19:41:00Z".parse().expect("a time")
}

/// Claims that nobody signed, for tests of what they become.
pub(crate) fn claims_of(value: Value) -> Claims {
    let Value::Object(claims) = value else { panic!("an object: {value}") };
    Claims(claims)
}

fn expected() -> Expected<'static> {
    Expected { issuer: ISSUER, audience: "sigstore", now: now() }
}

fn claims() -> Value {
    let now = now().unix_s();
    json!({"iss": ISSUER, "aud": "sigstore", "sub": "repo:o/r", "iat": now, "nbf": now, "exp": now + 300,
        "run": 7, "is": true, "kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "builder"}}})
}

type Signs = dyn Fn(&[u8]) -> Vec<u8>;

/// An issuer's key for one algorithm.
struct Key {
    alg: &'static str,
    jwk: Value,
    sign: Box<Signs>,
}

fn ec(alg: &'static str, crv: &str, signing: &'static signature::EcdsaSigningAlgorithm) -> Key {
    let pair = EcdsaKeyPair::generate(signing).expect("a key");
    let point = pair.public_key().as_ref()[1..].to_vec();
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = json!({"kty": "EC", "crv": crv, "x": base64::encode_url(x), "y": base64::encode_url(y)});
    let sign = move |message: &[u8]| pair.sign(&SystemRandom::new(), message).expect("signed").as_ref().to_vec();
    Key { alg, jwk, sign: Box::new(sign) }
}

fn rsa(alg: &'static str, padding: &'static dyn signature::RsaEncoding) -> Key {
    let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).expect("a key");
    let mut public = der::SliceReader::new(pair.public_key().as_ref()).expect("bytes");
    let (n, e) = public.sequence(|parts| Ok((Uint::decode(parts)?, Uint::decode(parts)?))).expect("a PKCS #1 key");
    let (n, e) = (n.as_bytes(), e.as_bytes());
    let jwk = json!({"kty": "RSA", "n": base64::encode_url(n), "e": base64::encode_url(e)});
    let sign = move |message: &[u8]| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message, &mut signature).expect("signed");
        signature
    };
    Key { alg, jwk, sign: Box::new(sign) }
}

fn ed25519() -> Key {
    let pair = Ed25519KeyPair::generate().expect("a key");
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": base64::encode_url(pair.public_key().as_ref())});
    Key { alg: "EdDSA", jwk, sign: Box::new(move |message| pair.sign(message).as_ref().to_vec()) }
}

fn es256() -> Key {
    ec("ES256", "P-256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING)
}

impl Key {
    fn token(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| base64::encode_url(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        format!("{signed}.{}", base64::encode_url(&(self.sign)(signed.as_bytes())))
    }

    fn set(&self, more: Value) -> JwkSet {
        let mut jwk = self.jwk.clone();
        for (name, value) in more.as_object().expect("an object") {
            jwk[name] = value.clone();
        }
        JwkSet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).expect("a set")
    }
}

fn check(token: &str, keys: &JwkSet) -> Result<Claims, JwtError> {
    verify(&Token::parse(token)?, keys, &expected())
}

#[test]
fn each_algorithm_is_verified_by_its_own_kind_of_key() {
    let keys = [
        es256(),
        ec("ES384", "P-384", &signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        rsa("RS256", &signature::RSA_PKCS1_SHA256),
        rsa("RS384", &signature::RSA_PKCS1_SHA384),
        rsa("RS512", &signature::RSA_PKCS1_SHA512),
        rsa("PS256", &signature::RSA_PSS_SHA256),
        rsa("PS384", &signature::RSA_PSS_SHA384),
        rsa("PS512", &signature::RSA_PSS_SHA512),
        ed25519(),
    ];
    for key in &keys {
        let token = key.token(&json!({"alg": key.alg, "typ": "JWT"}), &claims());
        let claims = check(&token, &key.set(json!({}))).expect(key.alg);
        assert_eq!(claims.issuer(), ISSUER);
        assert_eq!(claims.text("run").as_deref(), Some("7"));
        assert_eq!(claims.text("is").as_deref(), Some("true"));
        assert_eq!(claims.text("kubernetes.io/serviceaccount/name").as_deref(), Some("builder"));
        assert_eq!(claims.text("kubernetes.io"), None);
        // The same signature under another algorithm's name, and under every other key.
        for other in &keys {
            if other.alg != key.alg {
                let renamed = key.token(&json!({"alg": other.alg}), &self::claims());
                check(&renamed, &key.set(json!({}))).expect_err(other.alg);
                check(&token, &other.set(json!({}))).expect_err(other.alg);
            }
        }
    }
}

/// RFC 8725 §2.1: what has no signature, or takes a public key for a secret, is no token.
#[test]
fn weak_algorithms_are_refused() {
    let key = es256();
    for alg in ["none", "None", "HS256", "HS384", "HS512", "ES256K", "RSA1_5", "es256", ""] {
        let token = key.token(&json!({"alg": alg}), &claims());
        assert!(matches!(check(&token, &key.set(json!({}))), Err(JwtError::Algorithm(_))), "{alg}");
    }
    let unsigned = key.token(&json!({"alg": "ES256"}), &claims());
    let unsigned = unsigned[..=unsigned.rfind('.').expect("a dot")].to_owned();
    assert_eq!(check(&unsigned, &key.set(json!({}))), Err(JwtError::Signature));
    // A key in the token's own head is not looked at.
    let mine = es256();
    let token = mine.token(&json!({"alg": "ES256", "jwk": mine.jwk, "jku": "https://evil.example.org"}), &claims());
    assert_eq!(check(&token, &key.set(json!({}))), Err(JwtError::Signature));
}

#[test]
fn the_key_is_the_one_that_is_meant() {
    let key = es256();
    let named = |kid: Value| key.token(&json!({"alg": "ES256", "kid": kid}), &claims());
    let unknown = |result| matches!(result, Err(JwtError::UnknownKey { .. }));
    check(&named(json!("a")), &key.set(json!({"kid": "a"}))).expect("its name");
    assert!(unknown(check(&named(json!("a")), &key.set(json!({"kid": "b"})))));
    assert!(unknown(check(&named(json!("a")), &key.set(json!({})))));
    check(&named(Value::Null), &key.set(json!({"kid": "b"}))).expect("the only one");
    for (more, why) in [
        (json!({"use": "enc"}), "for encryption"),
        (json!({"alg": "ES384"}), "for another algorithm"),
        (json!({"key_ops": ["sign"]}), "not for verifying"),
        (json!({"d": "AA"}), "its private part is public"),
        (json!({"crv": "P-384"}), "on another curve"),
        (json!({"kty": "RSA"}), "of another kind"),
        (json!({"kty": "oct", "k": "AA"}), "a secret"),
    ] {
        assert!(unknown(check(&named(Value::Null), &key.set(more))), "{why}");
    }
    for (more, why) in [
        (json!({"x": key.jwk["y"]}), "not on the curve"),
        (json!({"x": "AA"}), "too short"),
        (json!({"y": null}), "absent"),
        (json!({"x": "++++"}), "no base64url"),
    ] {
        assert_eq!(check(&named(Value::Null), &key.set(more)), Err(JwtError::Signature), "{why}");
    }
    let two = json!({"keys": [key.jwk, es256().jwk]}).to_string();
    let two = JwkSet::parse(two.as_bytes()).expect("a set");
    assert!(matches!(check(&named(Value::Null), &two), Err(JwtError::Ambiguous(_))));
    for (name, header) in
        [("crit", json!({"alg": "ES256", "crit": ["exp"]})), ("typ", json!({"alg": "ES256", "typ": "at+jwt"}))]
    {
        assert_eq!(check(&key.token(&header, &claims()), &key.set(json!({}))), Err(JwtError::Header(name)));
    }
}

#[test]
fn each_claim_counts() {
    let key = es256();
    let set = key.set(json!({}));
    let at = |seconds: i64| json!(now().unix_s() + seconds);
    let check = |name: &str, value: Value| {
        let mut claims = claims();
        match value.is_null() {
            true => drop(claims.as_object_mut().expect("an object").remove(name)),
            false => claims[name] = value,
        }
        check(&key.token(&json!({"alg": "ES256"}), &claims), &set).map(drop)
    };
    for (name, good) in [
        ("aud", json!(["other", "sigstore"])),
        ("exp", at(-59)),
        ("exp", json!(now().unix_s() as f64 + 0.5)),
        ("nbf", Value::Null),
        ("nbf", at(60)),
        ("iat", at(60)),
    ] {
        assert_eq!(check(name, good.clone()), Ok(()), "{name} {good}");
    }
    for (name, bad) in [
        ("iss", Value::Null),
        ("iss", json!("https://issuer.example.org/")),
        ("iss", json!("HTTPS://issuer.example.org")),
        ("iss", json!([ISSUER])),
        ("aud", Value::Null),
        ("aud", json!("sigstore2")),
        ("aud", json!([])),
        ("aud", json!({"sigstore": 1})),
        ("exp", Value::Null),
        ("exp", at(-60)),
        ("exp", json!("2026")),
        ("exp", json!(1e300)),
        ("iat", Value::Null),
        ("iat", at(61)),
        ("iat", json!(-1)),
        ("nbf", at(61)),
        ("nbf", json!(true)),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("sub", json!(7)),
    ] {
        check(name, bad.clone()).expect_err(&format!("{name} {bad}"));
    }
}

#[test]
fn each_letter_of_a_token_counts() {
    let key = es256();
    let set = key.set(json!({"kid": "a"}));
    let good = key.token(&json!({"alg": "ES256", "kid": "a"}), &claims());
    check(&good, &set).expect("good");
    Mutator::new(23).each(4_000, good.as_bytes(), |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        if text != good {
            check(text, &set).expect_err("changed");
        }
    });
}
