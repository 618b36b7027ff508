//! Sigstore entries: made for what we log, and compared with what a bundle carries.
//!
//! Specification: the entry kinds of [`wire::rekor`]. An attestation is logged as `dsse` 0.0.1 and a blob's signature as
//! `hashedrekord` 0.0.2, because those are what released verifiers take. Read are besides them `dsse` 0.0.2, and
//! `hashedrekord` 0.0.2 over the digest of an envelope's pre-authentication encoding.
//!
//! An entry names hashes, signatures and keys only: no payload ever stands in the log.

use sign::{KeyError, PublicKey};
use wire::digest::Digest;
use wire::dsse::{self, Envelope};
use wire::rekor::{Body, BodyError, Der, Dsse001, HashedRekord002, NamedHash, Signature001, Signature002, Verifier};
use wire::sigstore_bundle::HashOutput;

use crate::append::{Leaf, LeafError};

/// Why an entry does not belong to what it is shown for.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// It is no entry.
    #[error("reading a log entry")]
    Body(#[from] BodyError),
    /// A hash in the entry is another than that of what was signed.
    #[error("the log entry's {field} is not that of the content")]
    Hash {
        /// `payloadHash`, `envelopeHash`, `data`
        field: &'static str,
    },
    /// Not exactly one signature.
    #[error("the log entry has {0} signatures instead of one")]
    Count(usize),
    /// The entry's signature is not the content's.
    #[error("the log entry has another signature than the content")]
    Signature,
    /// The entry's key cannot be read; certificates are not supported.
    #[error("reading the log entry's verifier")]
    Key(#[from] KeyError),
    /// The entry has a certificate or nothing for a key.
    #[error("the log entry's verifier is not a public key")]
    Verifier,
    /// The entry's algorithm is not its key's.
    #[error("the log entry states algorithm `{stated}` for a key of `{key}`")]
    Algorithm {
        /// What it says.
        stated: String,
        /// What the key is.
        key: &'static str,
    },
    /// The entry's key did not make the signature.
    #[error("the signature was not made by the key in the log entry")]
    Signer,
    /// A kind of entry that such content does not have.
    #[error("such content is not logged as `{0}`")]
    Kind(String),
}

/// Returns the entry of an attestation that `key` signed.
pub fn attestation(envelope: &Envelope, key: &PublicKey) -> Result<Leaf, LeafError> {
    let body = Body::Dsse001(Dsse001 {
        envelope_hash: NamedHash::of(&Digest::of(&envelope.to_json())),
        payload_hash: NamedHash::of(&Digest::of(&envelope.payload)),
        signatures: vec![Signature001 {
            signature: envelope.signature.sig.clone(),
            verifier: key.to_pem().into_bytes(),
        }],
    });
    Leaf::new(body.to_json())
}

/// Returns the entry of a signature that `key` made over a blob of that digest.
pub fn blob(digest: &Digest, signature: &[u8], key: &PublicKey) -> Result<Leaf, LeafError> {
    let body = Body::HashedRekord002(HashedRekord002 {
        data: HashOutput::of(digest),
        signature: Signature002 {
            content: signature.to_vec(),
            verifier: Verifier {
                key_details: key.key_details().to_owned(),
                public_key: Some(Der { raw_bytes: key.spki_der().to_vec() }),
                x509_certificate: None,
            },
        },
    });
    Leaf::new(body.to_json())
}

/// Checks that `body` is the entry of this envelope, field by field, and returns the key that it names, which made the
/// signature.
pub fn check_envelope(body: &Body, envelope: &Envelope) -> Result<PublicKey, EntryError> {
    let pae = dsse::pae(&envelope.payload_type, &envelope.payload);
    let key = match body {
        Body::Dsse001(spec) => {
            check("envelopeHash", spec.envelope_hash == NamedHash::of(&Digest::of(&envelope.to_json())))?;
            check("payloadHash", spec.payload_hash == NamedHash::of(&Digest::of(&envelope.payload)))?;
            let [signature] = &spec.signatures[..] else { return Err(EntryError::Count(spec.signatures.len())) };
            check_signature(&signature.signature, &envelope.signature.sig)?;
            let pem = std::str::from_utf8(&signature.verifier).map_err(|_| EntryError::Verifier)?;
            PublicKey::from_pem(pem)?
        }
        Body::Dsse002(spec) => {
            check("payloadHash", spec.payload_hash == HashOutput::of(&Digest::of(&envelope.payload)))?;
            let [signature] = &spec.signatures[..] else { return Err(EntryError::Count(spec.signatures.len())) };
            check_signature(&signature.content, &envelope.signature.sig)?;
            verifier_key(&signature.verifier)?
        }
        Body::HashedRekord002(spec) => {
            check("data", spec.data == HashOutput::of(&Digest::of(&pae)))?;
            check_signature(&spec.signature.content, &envelope.signature.sig)?;
            verifier_key(&spec.signature.verifier)?
        }
        Body::HashedRekord001(_) | Body::InToto002(_) => return Err(EntryError::Kind(body.kind_version().kind)),
    };
    key.verify(&pae, &envelope.signature.sig).map_err(|_| EntryError::Signer)?;
    Ok(key)
}

/// Checks that `body` is the entry of this signature over a blob of that digest, and returns the key that it names.
/// Whether that key made the signature is left to who holds the blob.
pub fn check_blob(body: &Body, digest: &Digest, signature: &[u8]) -> Result<PublicKey, EntryError> {
    let Body::HashedRekord002(spec) = body else {
        return Err(EntryError::Kind(body.kind_version().kind));
    };
    check("data", spec.data == HashOutput::of(digest))?;
    check_signature(&spec.signature.content, signature)?;
    verifier_key(&spec.signature.verifier)
}

fn check(field: &'static str, equal: bool) -> Result<(), EntryError> {
    if equal { Ok(()) } else { Err(EntryError::Hash { field }) }
}

fn check_signature(logged: &[u8], signed: &[u8]) -> Result<(), EntryError> {
    if logged == signed { Ok(()) } else { Err(EntryError::Signature) }
}

fn verifier_key(verifier: &Verifier) -> Result<PublicKey, EntryError> {
    let (Some(der), None) = (&verifier.public_key, &verifier.x509_certificate) else {
        return Err(EntryError::Verifier);
    };
    let key = PublicKey::from_spki_der(&der.raw_bytes)?;
    if verifier.key_details != key.key_details() {
        let stated = verifier.key_details.chars().take(60).collect();
        return Err(EntryError::Algorithm { stated, key: key.key_details() });
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
