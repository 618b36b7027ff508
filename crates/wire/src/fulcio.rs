//! What a certificate authority of Sigstore is asked and answers.
//!
//! Specification: Fulcio's API v2 <https://github.com/sigstore/fulcio/blob/v1.7.1/fulcio.proto>, in protobuf's JSON form.
//!
//! ```json
//! {"credentials":{"oidcIdentityToken":"eyJ…"},
//!  "publicKeyRequest":{"publicKey":{"algorithm":"ECDSA","content":"-----BEGIN PUBLIC KEY-----\n…"},"proofOfPossession":"MEUC…"}}
//! {"certificateSigningRequest":"LS0tLS1CRUdJTi…"}
//! {"signedCertificateEmbeddedSct":{"chain":{"certificates":["-----BEGIN CERTIFICATE-----\n…"]}}}
//! ```
//!
//! The token stands in the request, or in the header `Authorization: Bearer …`.

use serde::{Deserialize, Serialize};

use crate::base64;

/// The largest request: a token and a key of a few KiB each.
pub const REQUEST_SIZE_MAX: usize = 64 << 10;

/// A request for a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningCertRequest {
    /// Who asks.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// A key with a proof, …
    #[serde(default)]
    pub public_key_request: Option<PublicKeyRequest>,
    /// … or a PKCS #10 request, PEM in base64.
    #[serde(default)]
    pub certificate_signing_request: Option<String>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// An identity token.
    #[serde(default)]
    pub oidc_identity_token: Option<String>,
}

/// A key, and the proof that who asks has its private half.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicKeyRequest {
    /// The key.
    pub public_key: PublicKey,
    /// A signature over the token's subject, in base64.
    pub proof_of_possession: String,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PublicKey {
    /// PEM; the algorithm beside it is a hint that nothing rests on.
    pub content: String,
}

/// Certificates in PEM, the leaf first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateChain {
    /// The certificates.
    pub certificates: Vec<String>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningCertificate {
    /// A certificate with the promise of a certificate transparency log in it.
    pub signed_certificate_embedded_sct: EmbeddedSct,
}

/// A certificate and those above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddedSct {
    /// The certificates.
    pub chain: CertificateChain,
}

/// Whom verifiers have to trust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustBundle {
    /// Chains without leaves, the anchor last.
    pub chains: Vec<CertificateChain>,
}

/// Whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The issuers.
    pub issuers: Vec<Issuer>,
}

/// An issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// Its URL.
    pub issuer_url: String,
    /// For whom tokens must be.
    pub audience: String,
    /// The claim that a proof of possession is over.
    pub challenge_claim: String,
    /// Trust domain of SPIFFE; empty for others.
    pub spiffe_trust_domain: String,
    /// `email`, `uri`, `ci-provider`
    pub issuer_type: String,
    /// Where subjects must be from; empty for others than `uri`.
    pub subject_domain: String,
}

/// The request is none.
#[derive(Debug, thiserror::Error)]
#[error("the request is no JSON of the expected form")]
pub struct RequestError(#[from] serde_json::Error);

impl SigningCertRequest {
    /// Reads a request.
    pub fn parse(json: &[u8]) -> Result<SigningCertRequest, RequestError> {
        Ok(serde_json::from_slice(json)?)
    }

    /// Returns the token of the request; empty is absent, as protobuf has it.
    pub fn token(&self) -> Option<&str> {
        let token = self.credentials.as_ref()?.oidc_identity_token.as_deref()?;
        Some(token).filter(|token| !token.is_empty())
    }
}

/// Reads base64 as protobuf's JSON allows it: either alphabet, with padding or without.
pub fn decode_bytes(text: &str) -> Option<Vec<u8>> {
    let standard: String = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    base64::decode_url(&standard).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_stand_elsewhere() {
        let parse = |text: &str| SigningCertRequest::parse(text.as_bytes()).expect(text);
        assert_eq!(parse("{}").token(), None);
        assert_eq!(parse(r#"{"credentials":{}}"#).token(), None);
        assert_eq!(parse(r#"{"credentials":{"oidcIdentityToken":""}}"#).token(), None);
        assert_eq!(parse(r#"{"credentials":{"oidcIdentityToken":"x"},"unknown":1}"#).token(), Some("x"));
        assert!(SigningCertRequest::parse(b"[").is_err());
        assert!(SigningCertRequest::parse(br#"{"publicKeyRequest":{}}"#).is_err());
    }

    #[test]
    fn bytes_have_several_spellings() {
        for text in ["+/8=", "-_8=", "-_8", "+/8"] {
            assert_eq!(decode_bytes(text), Some(vec![0xfb, 0xff]), "{text}");
        }
        assert_eq!(decode_bytes("é"), None);
    }
}
