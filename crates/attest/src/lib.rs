//! Statements: the chain's nouns made into signed claims, and signed claims made into facts that can be relied on.
//!
//! ```text
//! model value ──recipe, run, …──> Statement ──sign::seal──> Envelope ──tlog──> Receipt ──bundle──> Bundle
//! Bundle ──open──> Attestation { Verified<Statement>, Claim, Logged } ──facts──> lineage
//! ```
//!
//! Specification: in-toto Attestation Framework v1 <https://github.com/in-toto/attestation/tree/main/spec/v1>, SLSA 1.2
//! provenance and verification summary, Sigstore bundle v0.3; the predicates that are ours are described under
//! `docs/formats/`, each with a version.
//!
//! Deliberately absent: keys and signatures (`sign`), proofs (`tlog`), any judgement of what a statement says
//! (`policy`), and every way to make a [`Verified`] or an [`Attestation`] but [`verify`], [`open`] and [`unlogged`].

#![forbid(unsafe_code)]

pub mod predicate;

mod claim;

mod fact;

pub mod keyless;
mod open;

pub mod sample;

pub use claim::{Claim, ClaimError};
pub use fact::{RELATIONS, Relation, facts, relation};
pub use open::{Attestation, OpenError, Verified, VerifyError, bundle, open, unlogged, verify};
pub use predicate::deployment::statement as deployment;
pub use predicate::grant::statement as grant;
pub use predicate::observation::statement as observation;
pub use predicate::policy::statement as policy;
pub use predicate::publication::statement as publication;
pub use predicate::rebuilt::statement as rebuilt;
pub use predicate::recipe::statement as recipe;
pub use predicate::reference::statement as reference;
pub use predicate::revocation::statement as revocation;
pub use predicate::run::statement as run;
pub use predicate::sbom::statement as sbom;
pub use predicate::tag::statement as tag;
pub use predicate::test::statement as test;
pub use predicate::verdict::statement as verdict;

#[cfg(test)]
mod tests;
