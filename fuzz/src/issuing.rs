//! What clients send to the certificate authority and the time-stamp authority.

use wire::jwt::{JwkSet, Token};

/// A token that an issuer's key has signed (RFC 7515, appendix A.3), and the key.
const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// A request without name and attributes, by OpenSSL.
const REQUEST: &str = include_str!("../../tests/foreign/certificates/request.pem");

pub(crate) fn tokens() -> Vec<Vec<u8>> {
    vec![TOKEN.as_bytes().to_vec()]
}

/// Nobody but the issuer makes a token that is his: each stops at the signature, or, the good one, at its claims.
pub(crate) fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(token) = Token::parse(text) else { return };
    let keys = JwkSet::parse(KEYS.as_bytes()).expect("a set");
    let now = wire::timestamp::Timestamp::from_unix_s(1_300_819_000).expect("in range");
    let expected = sign::jwt::Expected { issuer: "joe", audience: "sigstore", now };
    let error = sign::jwt::verify(&token, &keys, &expected).expect_err("it has no audience");
    if text != TOKEN {
        assert_ne!(error, sign::jwt::JwtError::Claim("aud"), "a changed token has a good signature");
    }
}

pub(crate) fn key_sets() -> Vec<Vec<u8>> {
    vec![KEYS.as_bytes().to_vec()]
}

/// No set of keys makes anything of a token but a refusal.
pub(crate) fn key_set(bytes: &[u8]) {
    let Ok(keys) = JwkSet::parse(bytes) else { return };
    let token = Token::parse(TOKEN).expect("a token");
    let now = wire::timestamp::Timestamp::from_unix_s(1_300_819_000).expect("in range");
    let expected = sign::jwt::Expected { issuer: "joe", audience: "sigstore", now };
    assert!(sign::jwt::verify(&token, &keys, &expected).is_err());
}

pub(crate) fn requests() -> Vec<Vec<u8>> {
    vec![REQUEST.as_bytes().to_vec()]
}

/// A key is certified for a request that it has signed: whatever verifies has the seed's key.
pub(crate) fn request(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = sign::request::from_csr(text) {
        let seed = sign::request::from_csr(REQUEST).expect("a request");
        assert_eq!(key.id(), seed.id(), "a changed request is signed by another key");
    }
}

pub(crate) fn signing_requests() -> Vec<Vec<u8>> {
    let both = r#"{"credentials":{"oidcIdentityToken":"x"},"publicKeyRequest":{"publicKey":{"algorithm":"ECDSA","content":"y"},"proofOfPossession":"eg=="},"certificateSigningRequest":"eg=="}"#;
    vec![both.as_bytes().to_vec()]
}

pub(crate) fn signing_request(bytes: &[u8]) {
    if let Ok(request) = wire::fulcio::SigningCertRequest::parse(bytes) {
        assert!(request.token().is_none_or(|token| !token.is_empty()));
        drop(request.certificate_signing_request.as_deref().map(wire::fulcio::decode_bytes));
    }
}

pub(crate) fn queries() -> Vec<Vec<u8>> {
    let head =
        [0x30, 0x39, 2, 1, 1, 0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    vec![[&head[..], &[7; 32], &[1, 1, 0xff]].concat()]
}

pub(crate) fn query(bytes: &[u8]) {
    if let Err(refusal) = sign::stamping::Request::from_der(bytes) {
        assert_eq!(refusal.to_response()[0], 0x30);
    }
}
