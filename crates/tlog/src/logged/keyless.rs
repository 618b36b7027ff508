//! A log entry of a keyless bundle: about this content and signer, and in a trusted log.
//!
//! Specifications: the entry kinds of [`wire::rekor`]; RFC 6962 for the proof; Rekor v1's and v2's checkpoints. A v1
//! checkpoint is signed in the name of the log's host, and its first line has a tree's number after that.

use sign::authority::{Authorities, SignatureLog, Window};
use sign::certificate::{Certificate, SubjectKey};
use wire::base64;
use wire::digest::Digest;
use wire::dsse::{self, Envelope};
use wire::note::{Note, NoteError};
use wire::pem::{self, PemError};
use wire::rekor::{self, Body, BodyError, NamedHash};
use wire::sigstore_bundle::{Content, HashOutput, TransparencyLogEntry};
use wire::timestamp::Timestamp;

use super::Logged;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::merkle::{self, Hash, ProofError};

/// Why an entry does not show that the content is logged.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// A log that is not trusted.
    #[error("the entry is in an unknown log")]
    UnknownLog,
    /// The log's key did not count when it was signed.
    #[error("log `{log}` is trusted from {window}, and the signature is of {at}")]
    NotValid {
        /// Which log.
        log: String,
        /// When it counts.
        window: Window,
        /// When the content was signed.
        at: Timestamp,
    },
    /// A time without a promise.
    #[error("the entry states `integratedTime`, which the log did not sign")]
    Unsigned,
    /// No entry.
    #[error("reading `canonicalizedBody`")]
    Body(#[from] BodyError),
    /// `kindVersion` is not the body's.
    #[error("the entry states another kind than its body's, {found}")]
    Kind {
        /// The body's.
        found: String,
    },
    /// Such content has no such entry.
    #[error("such content is not logged as {found}")]
    Content {
        /// The body's kind.
        found: String,
    },
    /// A hash is of something else.
    #[error("the entry's {0} is not that of the content")]
    Hash(&'static str),
    /// Not exactly one signature, or another one.
    #[error("the entry has another signature than the bundle")]
    Signature,
    /// Another certificate or key.
    #[error("the entry has another certificate or key than the bundle")]
    Verifier,
    /// The entry's PEM.
    #[error("reading the entry's certificate or key")]
    Pem(#[from] PemError),
    /// The position is not the proof's, and no promise names it.
    #[error("the entry states another `logIndex` than its proof, and the log did not sign it")]
    Index,
    /// The checkpoint's form.
    #[error("reading the log's checkpoint")]
    Note(#[from] NoteError),
    /// The checkpoint's lines.
    #[error("reading the log's checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// The log has not signed it.
    #[error("the checkpoint has no signature of log `{0}`")]
    NotSigned(String),
    /// The log's signature is wrong.
    #[error("the checkpoint's signature of log `{0}` does not match")]
    CheckpointSignature(String),
    /// Another log's checkpoint.
    #[error("the checkpoint is of `{0}`, not of the log that signed it")]
    Origin(String),
    /// Size or root are not the checkpoint's.
    #[error("the proof's `{0}` is not the checkpoint's")]
    Stated(&'static str),
    /// A hash that is not 32 bytes long.
    #[error("the proof has a hash that is not 32 bytes long")]
    HashSize,
    /// The hashes do not lead to the root.
    #[error("checking the inclusion proof")]
    Proof(#[from] ProofError),
}

/// Who signed, as an entry must have it.
pub enum Verifier<'a> {
    /// By certificate.
    Certificate(&'a Certificate),
    /// By key.
    Key(&'a SubjectKey),
}

/// Checks an entry; `at` is when the content was signed, and `digest` the SHA-256 of a blob. A promise, where there is
/// one, is left to who reads times of it: [`sign::promise::verify`] must have accepted it.
///
/// The index that is returned is the entry's; where a log has several trees it is not the position in the last one.
pub fn verify(
    entry: &TransparencyLogEntry,
    content: &Content,
    digest: Option<&Digest>,
    verifier: &Verifier<'_>,
    authorities: &Authorities,
    at: Timestamp,
) -> Result<Logged, EntryError> {
    // 1. A trusted log.
    let log = authorities.log(&entry.log_id.key_id).ok_or(EntryError::UnknownLog)?;
    if !log.window.contains(at) {
        return Err(EntryError::NotValid { log: log.base_url.clone(), window: log.window, at });
    }
    let promised = entry.inclusion_promise.is_some();
    if entry.integrated_time != 0 && !promised {
        return Err(EntryError::Unsigned);
    }
    if entry.log_index != entry.inclusion_proof.log_index && !promised {
        return Err(EntryError::Index);
    }

    // 2. The body is about this content and signer.
    let body = Body::parse(&entry.canonicalized_body)?;
    if entry.kind_version != body.kind_version() {
        return Err(EntryError::Kind { found: kind(&body) });
    }
    match content {
        Content::Envelope(envelope) => check_envelope(&body, envelope, verifier)?,
        Content::Message(message) => {
            let digest = digest.ok_or(EntryError::Hash("digest"))?;
            check_blob(&body, digest, &message.signature, verifier)?;
        }
    }

    // 3. The body leads to a root that the log signed.
    let proof = &entry.inclusion_proof;
    let checkpoint = open(&proof.checkpoint.envelope, log)?;
    if proof.tree_size != checkpoint.size {
        return Err(EntryError::Stated("treeSize"));
    }
    if to_hash(&proof.root_hash)? != checkpoint.root {
        return Err(EntryError::Stated("rootHash"));
    }
    let hashes = proof.hashes.iter().map(|bytes| to_hash(bytes)).collect::<Result<Vec<_>, _>>()?;
    let leaf = merkle::leaf_hash(&entry.canonicalized_body);
    merkle::verify_inclusion(proof.log_index, checkpoint.size, &leaf, &hashes, &checkpoint.root)?;
    let key_id = match verifier {
        Verifier::Certificate(certificate) => certificate.key().id(),
        Verifier::Key(key) => key.id(),
    };
    let log_id = Digest::Sha256(to_hash(&log.id)?);
    Ok(Logged {
        origin: log.base_url.clone(),
        log_id,
        index: entry.log_index,
        size: checkpoint.size,
        key_id,
        checkpoint: proof.checkpoint.envelope.clone(),
    })
}

fn check_envelope(body: &Body, envelope: &Envelope, verifier: &Verifier<'_>) -> Result<(), EntryError> {
    let payload = Digest::of(&envelope.payload);
    let signature = &envelope.signature.sig;
    match body {
        Body::Dsse001(spec) => {
            check_hash("payloadHash", spec.payload_hash == NamedHash::of(&payload))?;
            let [one] = &spec.signatures[..] else { return Err(EntryError::Signature) };
            check_signature(&one.signature, signature)?;
            check_pem(&one.verifier, verifier)
        }
        Body::Dsse002(spec) => {
            check_hash("payloadHash", spec.payload_hash == HashOutput::of(&payload))?;
            let [one] = &spec.signatures[..] else { return Err(EntryError::Signature) };
            check_signature(&one.content, signature)?;
            check_der(&one.verifier, verifier)
        }
        Body::HashedRekord002(spec) => {
            let pae = Digest::of(&dsse::pae(&envelope.payload_type, &envelope.payload));
            check_hash("data", spec.data == HashOutput::of(&pae))?;
            check_signature(&spec.signature.content, signature)?;
            check_der(&spec.signature.verifier, verifier)
        }
        Body::InToto002(spec) => {
            check_hash("payloadHash", spec.content.payload_hash == NamedHash::of(&payload))?;
            check_hash("payloadType", spec.content.envelope.payload_type == envelope.payload_type)?;
            let [one] = &spec.content.envelope.signatures[..] else { return Err(EntryError::Signature) };
            check_signature(&one.sig, base64::encode(signature).as_bytes())?;
            check_pem(&one.public_key, verifier)
        }
        Body::HashedRekord001(_) => Err(EntryError::Content { found: kind(body) }),
    }
}

fn check_blob(body: &Body, digest: &Digest, signature: &[u8], verifier: &Verifier<'_>) -> Result<(), EntryError> {
    match body {
        Body::HashedRekord001(spec) => {
            check_hash("data", spec.data.hash == NamedHash::of(digest))?;
            check_signature(&spec.signature.content, signature)?;
            check_pem(&spec.signature.public_key.content, verifier)
        }
        Body::HashedRekord002(spec) => {
            check_hash("data", spec.data == HashOutput::of(digest))?;
            check_signature(&spec.signature.content, signature)?;
            check_der(&spec.signature.verifier, verifier)
        }
        Body::Dsse001(_) | Body::Dsse002(_) | Body::InToto002(_) => Err(EntryError::Content { found: kind(body) }),
    }
}

fn check_hash(field: &'static str, equal: bool) -> Result<(), EntryError> {
    if equal { Ok(()) } else { Err(EntryError::Hash(field)) }
}

fn check_signature(logged: &[u8], signed: &[u8]) -> Result<(), EntryError> {
    if logged == signed { Ok(()) } else { Err(EntryError::Signature) }
}

fn check_pem(text: &[u8], verifier: &Verifier<'_>) -> Result<(), EntryError> {
    let text = std::str::from_utf8(text).map_err(|_| EntryError::Verifier)?;
    let equal = match verifier {
        Verifier::Certificate(certificate) => pem::decode(pem::CERTIFICATE, text)? == certificate.der(),
        Verifier::Key(key) => pem::decode(pem::PUBLIC_KEY, text)? == key.spki_der(),
    };
    if equal { Ok(()) } else { Err(EntryError::Verifier) }
}

fn check_der(stated: &rekor::Verifier, verifier: &Verifier<'_>) -> Result<(), EntryError> {
    let (equal, key) = match (verifier, &stated.x509_certificate, &stated.public_key) {
        (Verifier::Certificate(certificate), Some(der), None) => {
            (der.raw_bytes == certificate.der(), certificate.key())
        }
        (Verifier::Key(key), None, Some(der)) => (der.raw_bytes == key.spki_der(), *key),
        _ => return Err(EntryError::Verifier),
    };
    if equal && stated.key_details == key.key_details() { Ok(()) } else { Err(EntryError::Verifier) }
}

/// Opens a checkpoint that this log signed; other signatures are witnesses', and passed over.
///
/// The id of a v2 log holds the name it signs with. A v1 log's is of its key alone, and its name is what its operator
/// set: there the key decides.
fn open(text: &str, log: &SignatureLog) -> Result<Checkpoint, EntryError> {
    let note = Note::parse(text)?;
    let name = name_of(&log.base_url);
    let any_name = log.key.id().bytes() == log.id;
    let named = |signature: &&wire::note::Signature| {
        log.id.starts_with(&signature.key_id) && (any_name || signature.name == name)
    };
    let signature = note.signatures.iter().find(named).ok_or_else(|| EntryError::NotSigned(name.to_owned()))?;
    let good = log.key.verify(note.body.as_bytes(), &signature.bytes);
    good.map_err(|_| EntryError::CheckpointSignature(name.to_owned()))?;
    let checkpoint = Checkpoint::parse(&note.body)?;
    let of_tree = checkpoint.origin.strip_prefix(&signature.name).and_then(|rest| rest.strip_prefix(" - "));
    let is_tree = of_tree.is_some_and(|tree| !tree.is_empty() && tree.bytes().all(|byte| byte.is_ascii_digit()));
    let is_named = checkpoint.origin == signature.name;
    if is_named || is_tree { Ok(checkpoint) } else { Err(EntryError::Origin(checkpoint.origin)) }
}

/// The name that a log signs with: its address without the scheme.
fn name_of(base_url: &str) -> &str {
    let rest = base_url.strip_prefix("https://").or_else(|| base_url.strip_prefix("http://")).unwrap_or(base_url);
    rest.trim_end_matches('/')
}

fn to_hash(bytes: &[u8]) -> Result<Hash, EntryError> {
    Hash::try_from(bytes).map_err(|_| EntryError::HashSize)
}

fn kind(body: &Body) -> String {
    let kind = body.kind_version();
    format!("{} {}", kind.kind, kind.version)
}
