//! The path from a certificate to an authority, at one time.
//!
//! Specification: RFC 5280 §6.1, for the paths that Sigstore has: every certificate above the first stands in the
//! trusted root, the last of them is the anchor. Stricter than the RFC: the anchor must be valid at the time, too; an
//! authority must state its key usage; name constraints are refused, since nobody here understands them. No revocation:
//! Fulcio's certificates live for minutes, and a verifier without a network has no list.

use der::asn1::ObjectIdentifier;
use wire::timestamp::Timestamp;
use x509_cert::ext::pkix::KeyUsages;

use super::{Certificate, Scheme};

pub(crate) const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
pub(crate) const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
const ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// What a certificate is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Signing artifacts.
    CodeSigning,
    /// Signing times: RFC 3161 §2.3 wants the usage critical, and alone.
    TimeStamping,
}

/// Why a certificate does not lead to an authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nobody in the chain has the issuer's name.
    #[error("no certificate of the authority issued it")]
    Issuer,
    /// The issuer's name fits, its key does not.
    #[error("its signature is not the issuer's")]
    Signature,
    /// A signature algorithm that is not supported.
    #[error("it is signed with the unsupported algorithm {0}")]
    Algorithm(String),
    /// Outside the validity of a certificate of the path.
    #[error("{what} is valid from {valid_from} to {valid_until}, and it was used at {at}")]
    Validity {
        /// `the certificate`, `a certificate of the authority`
        what: &'static str,
        /// Its first second.
        valid_from: Timestamp,
        /// Its last second.
        valid_until: Timestamp,
        /// When it was used.
        at: Timestamp,
    },
    /// An issuer that is no authority.
    #[error("its issuer is no certificate authority (basic constraints)")]
    NotAuthority,
    /// A leaf that is an authority.
    #[error("it is a certificate authority's, and signed as if it were not")]
    Authority,
    /// More authorities below than allowed.
    #[error("an authority allows {allowed} others below it, and has {found}")]
    PathLength {
        /// The limit.
        allowed: u8,
        /// What there is.
        found: usize,
    },
    /// The key may not be used so.
    #[error("its key usage does not allow {0}")]
    KeyUsage(&'static str),
    /// The extended key usage does not allow it.
    #[error("its extended key usage does not allow {0}")]
    Purpose(&'static str),
    /// Name constraints.
    #[error("an authority constrains names, which this verifier does not understand")]
    NameConstraints,
    /// A critical extension that nobody here knows.
    #[error("it has the unknown critical extension {0}")]
    UnknownCritical(String),
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Purpose::CodeSigning => "code signing",
            Purpose::TimeStamping => "time-stamping",
        }
    }

    fn oid(self) -> ObjectIdentifier {
        match self {
            Purpose::CodeSigning => CODE_SIGNING,
            Purpose::TimeStamping => TIME_STAMPING,
        }
    }
}

/// Checks the path from `leaf` to the last certificate of `chain` at that time, and returns who issued `leaf`.
///
/// A leaf that is itself the first of the chain (time-stamp authorities list theirs) is its own start.
pub(crate) fn issuer_of<'a>(
    leaf: &Certificate,
    chain: &'a [Certificate],
    purpose: Purpose,
    at: Timestamp,
) -> Result<&'a Certificate, PathError> {
    check_leaf(leaf, purpose, at)?;
    let anchor = chain.last().ok_or(PathError::Issuer)?;
    let first = step(leaf, chain)?;
    let mut current = first;
    let mut below = 0;
    loop {
        check_authority(current, purpose, below, at)?;
        if current == anchor {
            return Ok(first);
        }
        // A name over itself does not count (RFC 5280 §4.2.1.9).
        let part = &current.x509().tbs_certificate;
        below += usize::from(part.subject != part.issuer);
        if below > chain.len() {
            return Err(PathError::Issuer);
        }
        let next = step(current, chain)?;
        if next == current {
            return Err(PathError::Issuer);
        }
        current = next;
    }
}

/// Returns the certificate of the chain that issued this one.
fn step<'a>(certificate: &Certificate, chain: &'a [Certificate]) -> Result<&'a Certificate, PathError> {
    let x509 = certificate.x509();
    let algorithm = &x509.signature_algorithm;
    let scheme = Scheme::of(algorithm).ok_or_else(|| PathError::Algorithm(algorithm.oid.to_string()))?;
    let signature = x509.signature.as_bytes().ok_or(PathError::Signature)?;
    let named = |issuer: &&Certificate| {
        issuer.x509().tbs_certificate.subject == x509.tbs_certificate.issuer && *issuer != certificate
    };
    let mut named = chain.iter().filter(named).peekable();
    if named.peek().is_none() {
        return Err(PathError::Issuer);
    }
    named.find(|issuer| issuer.key().verify_as(scheme, &certificate.tbs, signature).is_ok()).ok_or(PathError::Signature)
}

fn check_leaf(leaf: &Certificate, purpose: Purpose, at: Timestamp) -> Result<(), PathError> {
    check_common(leaf, "the certificate", at)?;
    if leaf.is_authority() {
        return Err(PathError::Authority);
    }
    if !leaf.has_usage(KeyUsages::DigitalSignature) {
        return Err(PathError::KeyUsage("digital signatures"));
    }
    let usage = leaf.extensions.extended_key_usage.as_ref();
    let allowed = usage.is_some_and(|(critical, usage)| match purpose {
        Purpose::CodeSigning => usage.0.contains(&CODE_SIGNING),
        Purpose::TimeStamping => *critical && usage.0 == [TIME_STAMPING],
    });
    if allowed { Ok(()) } else { Err(PathError::Purpose(purpose.name())) }
}

fn check_authority(authority: &Certificate, purpose: Purpose, below: usize, at: Timestamp) -> Result<(), PathError> {
    check_common(authority, "a certificate of the authority", at)?;
    let basic = authority.extensions.basic_constraints.as_ref();
    let (_, basic) = basic.filter(|(critical, basic)| *critical && basic.ca).ok_or(PathError::NotAuthority)?;
    if let Some(allowed) = basic.path_len_constraint.filter(|allowed| below > usize::from(*allowed)) {
        return Err(PathError::PathLength { allowed, found: below });
    }
    if !authority.has_usage(KeyUsages::KeyCertSign) {
        return Err(PathError::KeyUsage("certificates"));
    }
    match &authority.extensions.extended_key_usage {
        Some((_, usage)) if !usage.0.contains(&purpose.oid()) && !usage.0.contains(&ANY) => {
            Err(PathError::Purpose(purpose.name()))
        }
        _ => Ok(()),
    }
}

fn check_common(certificate: &Certificate, what: &'static str, at: Timestamp) -> Result<(), PathError> {
    let Certificate { valid_from, valid_until, extensions, .. } = certificate;
    if at < *valid_from || at > *valid_until {
        return Err(PathError::Validity { what, valid_from: *valid_from, valid_until: *valid_until, at });
    }
    if let Some(oid) = extensions.unknown_critical {
        return Err(PathError::UnknownCritical(oid.to_string()));
    }
    if extensions.constrains_names {
        return Err(PathError::NameConstraints);
    }
    Ok(())
}
