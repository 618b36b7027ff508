//! Identity tokens: who signed them, for whom, and when they count.
//!
//! Specifications: JWT <https://www.rfc-editor.org/rfc/rfc7519> and the rules of RFC 8725 for it; algorithms of RFC 7518
//! and RFC 8037. The algorithm is the key's, not the token's: a key of a kind verifies signatures of that kind alone, so that
//! neither `none` nor a public key taken for a shared secret gets anywhere. Shared secrets are not supported at all.

use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde_json::{Map, Value};
use wire::base64;
use wire::jwt::{Jwk, JwkSet, Token, TokenFormError};
use wire::timestamp::Timestamp;

/// How far the issuer's clock may be from ours.
pub const SKEW_MAX_S: i64 = 60;

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who must have issued it, letter by letter.
    pub issuer: &'a str,
    /// For whom it must be.
    pub audience: &'a str,
    /// The time.
    pub now: Timestamp,
}

/// What a token says whose signature, issuer, audience and times were found good. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(Map<String, Value>);

/// Why a token proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Malformed.
    #[error(transparent)]
    Form(#[from] TokenFormError),
    /// An algorithm that is not supported.
    #[error("tokens with the algorithm `{0}` are not taken: expected RS, PS, ES with 256 to 512 bits, or EdDSA")]
    Algorithm(String),
    /// Something in the head that would have to be understood.
    #[error("the token's head has `{0}`, which is not understood")]
    Header(&'static str),
    /// No key of that name and kind.
    #[error("the issuer has no key `{kid}` for the algorithm `{alg}`")]
    UnknownKey {
        /// Its name; empty if the token names none.
        kid: String,
        /// What the token says.
        alg: String,
    },
    /// Several keys of that name and kind.
    #[error("the issuer has several keys `{0}` that fit: which one is meant is not said")]
    Ambiguous(String),
    /// The signature is wrong.
    #[error("the token's signature is not its issuer's")]
    Signature,
    /// A claim that must be there.
    #[error("the token's claim `{0}` is absent or malformed")]
    Claim(&'static str),
    /// Another issuer.
    #[error("the token is by `{found}`, not by `{expected}`")]
    Issuer {
        /// Who says he issued it.
        found: String,
        /// Who should have.
        expected: String,
    },
    /// For somebody else.
    #[error("the token is not for the audience `{0}`")]
    Audience(String),
    /// It is over.
    #[error("the token expired at {0}")]
    Expired(Timestamp),
    /// It has not begun.
    #[error("the token counts from {0} on, which is later than now")]
    NotYet(Timestamp),
}

/// An algorithm, with the kind of key that it takes.
#[derive(Clone, Copy)]
enum Algorithm {
    Rsa(&'static signature::RsaParameters),
    Curve { name: &'static str, coordinate: usize, verification: &'static dyn VerificationAlgorithm },
    Ed25519,
}

impl Algorithm {
    fn of(name: &str) -> Option<Algorithm> {
        Some(match name {
            "RS256" => Algorithm::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            "RS384" => Algorithm::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            "RS512" => Algorithm::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            "PS256" => Algorithm::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            "PS384" => Algorithm::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            "PS512" => Algorithm::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            "ES256" => {
                Algorithm::Curve { name: "P-256", coordinate: 32, verification: &signature::ECDSA_P256_SHA256_FIXED }
            }
            "ES384" => {
                Algorithm::Curve { name: "P-384", coordinate: 48, verification: &signature::ECDSA_P384_SHA384_FIXED }
            }
            "EdDSA" | "Ed25519" => Algorithm::Ed25519,
            _ => return None,
        })
    }

    /// Whether a key may verify it: its kind, its use, and the algorithm that it names itself.
    fn fits(self, key: &Jwk, alg: &str) -> bool {
        let kind = match self {
            Algorithm::Rsa(_) => key.kty == "RSA",
            Algorithm::Curve { name, .. } => key.kty == "EC" && key.crv.as_deref() == Some(name),
            Algorithm::Ed25519 => key.kty == "OKP" && key.crv.as_deref() == Some("Ed25519"),
        };
        let usage = key.usage.as_deref().is_none_or(|usage| usage == "sig");
        let verifies = key.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        // Whoever publishes a private part has lost the key.
        kind && usage && verifies && key.d.is_none() && key.alg.as_deref().is_none_or(|known| known == alg)
    }

    fn verify(self, key: &Jwk, message: &[u8], signature: &[u8]) -> Option<()> {
        let part = |part: &Option<String>| base64::decode_url(part.as_deref()?).ok();
        match self {
            Algorithm::Rsa(parameters) => {
                let components = RsaPublicKeyComponents { n: part(&key.n)?, e: part(&key.e)? };
                components.verify(parameters, message, signature).ok()
            }
            Algorithm::Curve { coordinate, verification, .. } => {
                let (x, y) = (part(&key.x)?, part(&key.y)?);
                if x.len() != coordinate || y.len() != coordinate {
                    return None;
                }
                let point = [&[4][..], &x, &y].concat();
                UnparsedPublicKey::new(verification, point).verify(message, signature).ok()
            }
            Algorithm::Ed25519 => {
                UnparsedPublicKey::new(&signature::ED25519, part(&key.x)?).verify(message, signature).ok()
            }
        }
    }
}

impl Claims {
    /// Returns a claim as text: a string, or a number or truth value as JSON writes it. A name with `/` leads into objects:
    /// `kubernetes.io/namespace`.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = self.0.get(name).or_else(|| {
            let (outer, inner) = name.split_once('/')?;
            inner.split('/').try_fold(self.0.get(outer)?, |value, part| value.get(part))
        })?;
        match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => None,
        }
    }

    /// Returns who issued it.
    pub fn issuer(&self) -> &str {
        self.0.get("iss").and_then(Value::as_str).expect("the issuer was compared")
    }
}

/// Checks a token: signature, issuer, audience, times.
pub fn verify(token: &Token, keys: &JwkSet, expected: &Expected<'_>) -> Result<Claims, JwtError> {
    let alg = &token.header.alg;
    let algorithm = Algorithm::of(alg).ok_or_else(|| JwtError::Algorithm(clip(alg)))?;
    if token.header.crit.is_some() {
        return Err(JwtError::Header("crit"));
    }
    // RFC 8725 §3.11: an access token or a logout token is no identity token.
    let kind = token.header.typ.as_deref();
    if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("JWT") && !kind.eq_ignore_ascii_case("JOSE")) {
        return Err(JwtError::Header("typ"));
    }
    let key = key(token, keys, algorithm)?;
    algorithm.verify(key, &token.signed, &token.signature).ok_or(JwtError::Signature)?;
    check_claims(&token.claims, expected)?;
    Ok(Claims(token.claims.clone()))
}

/// Finds the one key that is meant: by its name if the token has one, and by its kind.
fn key<'a>(token: &Token, keys: &'a JwkSet, algorithm: Algorithm) -> Result<&'a Jwk, JwtError> {
    let alg = &token.header.alg;
    let kid = token.header.kid.as_deref();
    let named = |key: &&Jwk| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid)) && algorithm.fits(key, alg);
    let mut fitting = keys.keys.iter().filter(named);
    let found = fitting.next();
    let kid = clip(kid.unwrap_or_default());
    match (found, fitting.next()) {
        (Some(key), None) => Ok(key),
        (Some(_), Some(_)) => Err(JwtError::Ambiguous(kid)),
        (None, _) => Err(JwtError::UnknownKey { kid, alg: clip(alg) }),
    }
}

fn check_claims(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), JwtError> {
    let issuer = claims.get("iss").and_then(Value::as_str).ok_or(JwtError::Claim("iss"))?;
    if issuer != expected.issuer {
        return Err(JwtError::Issuer { found: clip(issuer), expected: expected.issuer.to_owned() });
    }
    let is_audience = |value: &Value| value.as_str() == Some(expected.audience);
    let for_us = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_audience),
        Some(value @ Value::String(_)) => is_audience(value),
        _ => return Err(JwtError::Claim("aud")),
    };
    if !for_us {
        return Err(JwtError::Audience(expected.audience.to_owned()));
    }
    let expires = time(claims, "exp")?.ok_or(JwtError::Claim("exp"))?;
    let issued = time(claims, "iat")?.ok_or(JwtError::Claim("iat"))?;
    let begins = time(claims, "nbf")?.unwrap_or(issued).max(issued);
    if expected.now >= expires.plus_s(SKEW_MAX_S) {
        return Err(JwtError::Expired(expires));
    }
    if begins > expected.now.plus_s(SKEW_MAX_S) {
        return Err(JwtError::NotYet(begins));
    }
    match claims.get("sub").and_then(Value::as_str).is_some_and(|subject| !subject.is_empty()) {
        true => Ok(()),
        false => Err(JwtError::Claim("sub")),
    }
}

/// Reads a NumericDate: seconds, perhaps with a fraction, which is cut off.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, JwtError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let malformed = JwtError::Claim(name);
    let seconds = match (value.as_i64(), value.as_f64()) {
        (Some(seconds), _) => seconds,
        (None, Some(seconds)) if (0.0..1e12).contains(&seconds) => seconds as i64,
        _ => return Err(malformed),
    };
    Timestamp::from_unix_s(seconds).map(Some).ok_or(malformed)
}

fn clip(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
pub(crate) mod tests;
