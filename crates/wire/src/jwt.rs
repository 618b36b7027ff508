//! Identity tokens and the keys that sign them, as they are sent.
//!
//! Specifications: JWT <https://www.rfc-editor.org/rfc/rfc7519> as compact JWS <https://www.rfc-editor.org/rfc/rfc7515>,
//! key sets <https://www.rfc-editor.org/rfc/rfc7517>, and the issuer's document of OpenID Connect Discovery 1.0
//! <https://openid.net/specs/openid-connect-discovery-1_0.html>.
//!
//! ```text
//! eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJodHRwczovL2kuZXhhbXBsZS5vcmciLCJzdWIiOiJhIn0.MEUC…
//! {"keys":[{"kty":"EC","crv":"P-256","kid":"1","use":"sig","x":"f83O…","y":"x_FE…"}]}
//! {"issuer":"https://i.example.org","jwks_uri":"https://i.example.org/keys"}
//! ```
//!
//! Nothing here says that a token is good: its signature is checked elsewhere. Headers that would name a key (`jwk`, `jku`,
//! `x5u`, `x5c`) are not even read.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::base64;

/// The largest token that is read; those of CI systems have 1 to 4 KiB.
pub const TOKEN_SIZE_MAX: usize = 16 << 10;

/// The largest key set or discovery document that is read.
pub const DOCUMENT_SIZE_MAX: usize = 256 << 10;

/// How many keys a set may have; issuers have 2 to 8.
pub const KEYS_MAX: usize = 100;

/// A token in its parts; nothing is verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What says how it is signed.
    pub header: Header,
    /// What it says.
    pub claims: Map<String, Value>,
    /// The bytes that are signed.
    pub signed: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

/// The head of a token.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Header {
    /// `ES256`
    pub alg: String,
    /// Name of the key.
    #[serde(default)]
    pub kid: Option<String>,
    /// `JWT`
    #[serde(default)]
    pub typ: Option<String>,
    /// Extensions that must be understood.
    #[serde(default)]
    pub crit: Option<Value>,
}

/// A public key of a set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Jwk {
    /// `RSA`, `EC`, `OKP`
    pub kty: String,
    /// Its name.
    #[serde(default)]
    pub kid: Option<String>,
    /// `sig`
    #[serde(default, rename = "use")]
    pub usage: Option<String>,
    /// `["verify"]`
    #[serde(default)]
    pub key_ops: Option<Vec<String>>,
    /// The one algorithm that it is for.
    #[serde(default)]
    pub alg: Option<String>,
    /// Curve.
    #[serde(default)]
    pub crv: Option<String>,
    /// Coordinate.
    #[serde(default)]
    pub x: Option<String>,
    /// Coordinate.
    #[serde(default)]
    pub y: Option<String>,
    /// Modulus.
    #[serde(default)]
    pub n: Option<String>,
    /// Exponent.
    #[serde(default)]
    pub e: Option<String>,
    /// A private part: whoever publishes it has lost the key.
    #[serde(default)]
    pub d: Option<String>,
}

/// A set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwkSet {
    /// The keys; elements of an unknown shape are left out, as RFC 7517 §5 wants it.
    pub keys: Vec<Jwk>,
}

/// What an issuer says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Discovery {
    /// Its URL.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
}

/// Why bytes are no token, key set or discovery document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFormError {
    /// Over the limit.
    #[error("{what} of {size} bytes is larger than the limit of {limit}")]
    Size {
        /// What it should be.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Malformed.
    #[error("malformed {0}")]
    Form(&'static str),
}

impl Token {
    /// Reads a token's parts.
    pub fn parse(text: &str) -> Result<Token, TokenFormError> {
        if text.len() > TOKEN_SIZE_MAX {
            return Err(TokenFormError::Size { what: "identity token", size: text.len(), limit: TOKEN_SIZE_MAX });
        }
        let form = TokenFormError::Form("identity token: expected three parts in base64url with dots between");
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else { return Err(form) };
        let decode = |part| base64::decode_url(part).map_err(|_| form.clone());
        let header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenFormError::Form("head of the token"))?;
        let claims =
            serde_json::from_slice(&decode(claims)?).map_err(|_| TokenFormError::Form("claims of the token"))?;
        let signed = text.as_bytes()[..text.len() - signature.len() - 1].to_vec();
        Ok(Token { header, claims, signed, signature: decode(signature)? })
    }

    /// Returns who says that he issued it.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }
}

impl JwkSet {
    /// Reads a set.
    pub fn parse(json: &[u8]) -> Result<JwkSet, TokenFormError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = read(json, "key set")?;
        if document.keys.len() > KEYS_MAX {
            return Err(TokenFormError::Size { what: "key set", size: document.keys.len(), limit: KEYS_MAX });
        }
        Ok(JwkSet { keys: document.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect() })
    }
}

impl Discovery {
    /// Reads the document.
    pub fn parse(json: &[u8]) -> Result<Discovery, TokenFormError> {
        read(json, "discovery document")
    }
}

fn read<T: serde::de::DeserializeOwned>(json: &[u8], what: &'static str) -> Result<T, TokenFormError> {
    if json.len() > DOCUMENT_SIZE_MAX {
        return Err(TokenFormError::Size { what, size: json.len(), limit: DOCUMENT_SIZE_MAX });
    }
    serde_json::from_slice(json).map_err(|_| TokenFormError::Form(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_three_parts() {
        let token = Token::parse("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.AAA").expect("a token");
        assert_eq!((token.header.alg.as_str(), token.issuer()), ("ES256", Some("x")));
        assert_eq!(token.signed, b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0");
        assert_eq!(token.signature, [0, 0]);
        for text in [
            "",
            "..",
            "a.b",
            "e30.e30.AAA",
            "eyJhbGciOiJFUzI1NiJ9.W10.AAA",
            "eyJhbGciOiJFUzI1NiJ9.e30.AAA.A",
            "eyJhbGciOiJFUzI1NiJ9.e30.AAA=",
            " eyJhbGciOiJFUzI1NiJ9.e30.AAA",
        ] {
            assert!(Token::parse(text).is_err(), "{text}");
        }
        let long = format!("eyJhbGciOiJFUzI1NiJ9.{}.AAA", "e".repeat(TOKEN_SIZE_MAX));
        assert!(matches!(Token::parse(&long), Err(TokenFormError::Size { .. })));
    }

    #[test]
    fn what_is_no_key_is_left_out_of_a_set() {
        let set = JwkSet::parse(br#"{"keys":[{"kty":"EC","crv":"P-256"},{"kid":"no type"},7,{"kty":"oct","k":"AA"}]}"#);
        assert_eq!(set.expect("a set").keys.len(), 2);
        assert!(JwkSet::parse(b"{}").is_err());
        let many = format!("{{\"keys\":[{}0]}}", "0,".repeat(KEYS_MAX));
        assert!(JwkSet::parse(many.as_bytes()).is_err());
        assert!(JwkSet::parse(&vec![b' '; DOCUMENT_SIZE_MAX + 1]).is_err());
    }
}
