//! Keys for which a certificate is asked, with the proof that who asks has the private half.
//!
//! Specifications: PKCS #10 <https://www.rfc-editor.org/rfc/rfc2986>, and Fulcio's proof of possession
//! <https://github.com/sigstore/fulcio/blob/v1.7.1/docs/how-certificate-issuing-works.md>: a signature over the token's
//! subject. Of a request of the first kind the key alone counts: names and extensions that it asks for are passed over,
//! since the token says who asks.

use der::{Decode as _, Encode as _};
use wire::pem;
use x509_cert::request::CertReq;

use crate::certificate::{Hash, Scheme, SubjectKey};
use crate::key::KeyError;

/// The largest request or key that is read.
pub const SIZE_MAX: usize = 16 << 10;

/// Why a key is not certified.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Over the limit.
    #[error("the key or request of {0} bytes is larger than the limit of {SIZE_MAX}")]
    Size(usize),
    /// No PEM.
    #[error("reading the key or request")]
    Pem(#[from] pem::PemError),
    /// No DER of the form.
    #[error("the certificate signing request is malformed")]
    Form,
    /// A key of another kind.
    #[error("reading the key of the request")]
    Key(#[from] KeyError),
    /// A weak key.
    #[error("the key is too weak, or of an unusual size: expected P-256, P-384, Ed25519, or RSA of 2048 to 4096 bits")]
    Weak,
    /// A signature algorithm that is not supported.
    #[error("the request is signed with the unsupported algorithm {0}")]
    Algorithm(String),
    /// The proof fails.
    #[error("the proof of possession is not the key's signature: {0}")]
    Proof(&'static str),
}

/// Reads a PKCS #10 request in PEM, and returns the key that has signed it.
pub fn from_csr(pem: &str) -> Result<SubjectKey, RequestError> {
    if pem.len() > SIZE_MAX {
        return Err(RequestError::Size(pem.len()));
    }
    let der = pem::decode(pem::CERTIFICATE_REQUEST, pem)?;
    let request = CertReq::from_der(&der).map_err(|_| RequestError::Form)?;
    // What is written again must be what was signed.
    if request.to_der().ok().as_deref() != Some(&der[..]) {
        return Err(RequestError::Form);
    }
    let spki = request.info.public_key.to_der().map_err(|_| RequestError::Form)?;
    let key = strong(SubjectKey::from_spki_der(&spki)?)?;
    let scheme =
        Scheme::of(&request.algorithm).ok_or_else(|| RequestError::Algorithm(request.algorithm.oid.to_string()))?;
    let message = request.info.to_der().map_err(|_| RequestError::Form)?;
    let signature = request.signature.as_bytes().ok_or(RequestError::Form)?;
    let signed = key.verify_as(scheme, &message, signature);
    signed.map_err(|_| RequestError::Proof("it must be over the request itself"))?;
    Ok(key)
}

/// Reads a key in PEM, and returns it if the proof is its signature over `challenge`.
pub fn from_proof(pem: &str, proof: &[u8], challenge: &str) -> Result<SubjectKey, RequestError> {
    if pem.len() > SIZE_MAX {
        return Err(RequestError::Size(pem.len()));
    }
    let key = strong(SubjectKey::from_spki_der(&pem::decode(pem::PUBLIC_KEY, pem)?)?)?;
    let schemes =
        [Scheme::Ecdsa(Hash::Sha256), Scheme::Ecdsa(Hash::Sha384), Scheme::Rsa(Hash::Sha256), Scheme::Ed25519];
    // An empty challenge would be the same for everybody.
    let signed = !challenge.is_empty()
        && schemes.into_iter().any(|scheme| key.verify_as(scheme, challenge.as_bytes(), proof).is_ok());
    match signed {
        true => Ok(key),
        false => Err(RequestError::Proof("it must be over the token's subject (or e-mail address)")),
    }
}

fn strong(key: SubjectKey) -> Result<SubjectKey, RequestError> {
    match key.rsa_bits() {
        Some(bits) if !(2048..=4096).contains(&bits) => Err(RequestError::Weak),
        _ => Ok(key),
    }
}

#[cfg(test)]
mod tests;
