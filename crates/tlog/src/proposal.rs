//! Proposals: what somebody wants to have logged, once its signature was checked.
//!
//! Specification: Rekor v2 <https://github.com/sigstore/rekor-tiles/tree/v2.0.0>, whose server checks the signature by the
//! key or certificate that the request brings, and makes the entry. Nobody is trusted here: the entry says that this key
//! made this signature, and no more. Which certificates and keys count is decided by who verifies a bundle.
//!
//! Keys are of the kinds that Rekor v2 takes: ECDSA P-256, P-384, P-521, RSA PKCS #1 v1.5. Ed25519 signs the message itself,
//! so it is taken for an envelope, whose payload is there, and not for a digest.

use sign::certificate::{Certificate, CertificateError, SubjectKey};
use sign::{KeyError, SignatureError};
use wire::digest::Digest;
use wire::dsse::{self, Envelope};
use wire::in_toto::Statement;
use wire::pem;
use wire::rekor::request::Request;
use wire::rekor::{self, Body, Dsse001, Dsse002, HashedRekord002, NamedHash, Signature001, Signature002};
use wire::sigstore_bundle::{HashOutput, KindVersion};

use crate::append::{Leaf, LeafError};

/// An entry whose signature was made by the key that it names. Only [`Proposal::check`] makes one.
#[derive(Clone, Debug)]
pub struct Proposal {
    leaf: Leaf,
    kind: KindVersion,
    content: Content,
    signer: Digest,
    certificate: Option<Certificate>,
}

/// What was signed, as far as it is known.
#[derive(Clone, Debug)]
pub enum Content {
    /// An envelope, and the statement in it if it holds one.
    Envelope {
        /// The envelope.
        envelope: Box<Envelope>,
        /// Parsed after the signature was checked.
        statement: Option<Box<Statement>>,
    },
    /// Something of which only the digest came: `sha256:9f86…`.
    Digest(String),
}

/// Why something is not logged.
#[derive(Debug, thiserror::Error)]
pub enum ProposalError {
    /// The key of the request.
    #[error("reading the key")]
    Key(#[from] KeyError),
    /// The certificate of the request.
    #[error("reading the certificate")]
    Certificate(#[from] CertificateError),
    /// A PEM text that holds neither a key nor a certificate.
    #[error("a verifier is neither a public key nor a certificate in PEM")]
    Pem,
    /// The stated algorithm is not the key's.
    #[error("`keyDetails` is `{stated}`, and the key is of `{key}`")]
    Algorithm {
        /// What the request says.
        stated: String,
        /// What the key is.
        key: &'static str,
    },
    /// A key that signs no digest.
    #[error("a key of `{0}` signs the message itself, and only its digest came")]
    NoPrehash(&'static str),
    /// The digest is not of the key's hash.
    #[error("the digest has {found} bytes; signatures of `{key}` are made over {expected} bytes of {hash}")]
    DigestSize {
        /// What came.
        found: usize,
        /// What the key takes.
        expected: usize,
        /// Name of the hash.
        hash: &'static str,
        /// Name of the algorithm.
        key: &'static str,
    },
    /// An entry that names another hash.
    #[error("the digest is said to be `{stated}`; signatures of this key are made over `{expected}`")]
    Hash {
        /// What it says.
        stated: String,
        /// What the key takes.
        expected: &'static str,
    },
    /// No key or certificate of the request made the signature.
    #[error("the signature was made by no key of the request")]
    Signature,
    /// The envelope is too large.
    #[error("reading the envelope")]
    Envelope(#[from] dsse::EnvelopeError),
    /// A signature or certificate so large that the entry does not fit the log.
    #[error("making the log entry")]
    Leaf(#[from] LeafError),
}

impl From<SignatureError> for ProposalError {
    fn from(_: SignatureError) -> ProposalError {
        ProposalError::Signature
    }
}

/// A key with the certificate that it came in.
struct Signer {
    key: SubjectKey,
    certificate: Option<Certificate>,
}

impl Proposal {
    /// Checks the signature of a request and makes the entry.
    pub fn check(request: Request) -> Result<Proposal, ProposalError> {
        match request {
            Request::HashedRekord002 { digest, signature, algorithm } => hashed_rekord(digest, signature, algorithm),
            Request::Dsse002 { envelope, verifiers } => dsse002(envelope, &verifiers),
            Request::Dsse001 { envelope, verifiers } => dsse001(envelope, &verifiers),
        }
    }

    /// Returns the entry.
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// Returns the entry's kind and version.
    pub fn kind(&self) -> &KindVersion {
        &self.kind
    }

    /// Returns what was signed.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Returns the id of the key that signed.
    pub fn signer(&self) -> &Digest {
        &self.signer
    }

    /// Returns the certificate that names the key, if one came. Who issued it has been checked by nobody.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }
}

/// Returns what an entry that came without its content says of it: the name of the digest, and the id of the key.
/// `None` for an entry of another kind.
pub fn of_digest(body: &Body) -> Option<(String, Digest)> {
    let Body::HashedRekord002(spec) = body else { return None };
    let verifier = &spec.signature.verifier;
    let key_id = match &verifier.public_key {
        // Its SubjectPublicKeyInfo is what the id is of; that it is one was checked when the entry was made.
        Some(key) => Digest::of(&key.raw_bytes),
        None => signer(verifier).ok()?.key.id(),
    };
    Some((digest_name(&spec.data), key_id))
}

fn hashed_rekord(digest: Vec<u8>, signature: Signature002, stated: Option<String>) -> Result<Proposal, ProposalError> {
    let Signer { key, certificate } = signer(&signature.verifier)?;
    let hash = key.prehash().ok_or(ProposalError::NoPrehash(key.key_details()))?;
    if let Some(stated) = stated.filter(|stated| stated != hash.name) {
        return Err(ProposalError::Hash { stated: clip(&stated), expected: hash.name });
    }
    if digest.len() != hash.size() {
        let (found, expected, hash) = (digest.len(), hash.size(), hash.name);
        return Err(ProposalError::DigestSize { found, expected, hash, key: key.key_details() });
    }
    key.verify_digest(&digest, &signature.content)?;
    let data = HashOutput { algorithm: hash.name.to_owned(), digest };
    let content = Content::Digest(digest_name(&data));
    let body = Body::HashedRekord002(HashedRekord002 { data, signature });
    proposal(&body, content, &key, certificate)
}

fn dsse002(envelope: Envelope, verifiers: &[rekor::Verifier]) -> Result<Proposal, ProposalError> {
    let signers = verifiers.iter().map(signer).collect::<Result<Vec<_>, _>>()?;
    let (at, Signer { key, certificate }) = who_signed(&envelope, signers)?;
    let body = Body::Dsse002(Dsse002 {
        payload_hash: HashOutput::of(&Digest::of(&envelope.payload)),
        signatures: vec![Signature002 { content: envelope.signature.sig.clone(), verifier: verifiers[at].clone() }],
    });
    proposal(&body, enveloped(envelope)?, &key, certificate)
}

fn dsse001(envelope: Envelope, verifiers: &[Vec<u8>]) -> Result<Proposal, ProposalError> {
    let signers = verifiers.iter().map(|pem| signer_of_pem(pem)).collect::<Result<Vec<_>, _>>()?;
    let (_, Signer { key, certificate }) = who_signed(&envelope, signers)?;
    let verifier = match &certificate {
        Some(certificate) => pem::encode(pem::CERTIFICATE, certificate.der()),
        None => pem::encode(pem::PUBLIC_KEY, key.spki_der()),
    };
    let body = Body::Dsse001(Dsse001 {
        envelope_hash: NamedHash::of(&Digest::of(&envelope.to_json())),
        payload_hash: NamedHash::of(&Digest::of(&envelope.payload)),
        signatures: vec![Signature001 { signature: envelope.signature.sig.clone(), verifier: verifier.into_bytes() }],
    });
    proposal(&body, enveloped(envelope)?, &key, certificate)
}

fn proposal(
    body: &Body,
    content: Content,
    key: &SubjectKey,
    certificate: Option<Certificate>,
) -> Result<Proposal, ProposalError> {
    Ok(Proposal { leaf: Leaf::new(body.to_json())?, kind: body.kind_version(), content, signer: key.id(), certificate })
}

/// Returns the first of some signers who made an envelope's signature, and which it is.
fn who_signed(envelope: &Envelope, signers: Vec<Signer>) -> Result<(usize, Signer), ProposalError> {
    let pae = dsse::pae(&envelope.payload_type, &envelope.payload);
    let mut signers = signers.into_iter().enumerate();
    let signed = |(_, signer): &(usize, Signer)| signer.key.verify(&pae, &envelope.signature.sig).is_ok();
    signers.find(signed).ok_or(ProposalError::Signature)
}

/// Takes an envelope whose signature was checked, and reads the statement in it.
fn enveloped(envelope: Envelope) -> Result<Content, ProposalError> {
    // As it will be stored and read again: its canonical form has the limit, too.
    Envelope::parse(&envelope.to_json())?;
    let statement = match envelope.payload_type == dsse::IN_TOTO {
        true => Statement::parse(&envelope.payload).ok().map(Box::new),
        false => None,
    };
    Ok(Content::Envelope { envelope: Box::new(envelope), statement })
}

fn signer(verifier: &rekor::Verifier) -> Result<Signer, ProposalError> {
    let signer = match (&verifier.public_key, &verifier.x509_certificate) {
        (Some(key), None) => Signer { key: SubjectKey::from_spki_der(&key.raw_bytes)?, certificate: None },
        (None, Some(der)) => of_certificate(&der.raw_bytes)?,
        _ => return Err(ProposalError::Pem),
    };
    let key = signer.key.key_details();
    match verifier.key_details == key {
        true => Ok(signer),
        false => Err(ProposalError::Algorithm { stated: clip(&verifier.key_details), key }),
    }
}

fn signer_of_pem(text: &[u8]) -> Result<Signer, ProposalError> {
    let text = std::str::from_utf8(text).map_err(|_| ProposalError::Pem)?;
    if let Ok(der) = pem::decode(pem::CERTIFICATE, text) {
        return of_certificate(&der);
    }
    let der = pem::decode(pem::PUBLIC_KEY, text).map_err(|_| ProposalError::Pem)?;
    Ok(Signer { key: SubjectKey::from_spki_der(&der)?, certificate: None })
}

fn of_certificate(der: &[u8]) -> Result<Signer, ProposalError> {
    let certificate = Certificate::from_der(der)?;
    Ok(Signer { key: certificate.key().clone(), certificate: Some(certificate) })
}

/// `sha256:9f86…`, as subjects of statements are named.
fn digest_name(data: &HashOutput) -> String {
    let algorithm = data.algorithm.strip_prefix("SHA2_").unwrap_or(&data.algorithm);
    let mut name = format!("sha{algorithm}:");
    for byte in &data.digest {
        name.push_str(&format!("{byte:02x}"));
    }
    name
}

fn clip(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests;
