//! What a statement claims, as the chain's own nouns.
//!
//! [`Claim::parse`] says nothing of whether the claim is true or who made it: that is what [`crate::open()`] is for.

use model::deployment::{Deployment, Observation};
use model::recipe::Recipe;
use model::run::Rebuilt;
use model::test::TestRun;
use model::verdict::Verdict;
use wire::in_toto::Statement;

use crate::predicate::grant::Grant;
use crate::predicate::policy::PolicyText;
use crate::predicate::publication::Publication;
use crate::predicate::reference::Reference;
use crate::predicate::revocation::Revocation;
use crate::predicate::run::Run;
use crate::predicate::sbom::Sbom;
use crate::predicate::tag::Tag;
use crate::predicate::{self, Predicate, VERSION};

/// A typed predicate.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// What a build is.
    Recipe(Recipe),
    /// One run of a build.
    Run(Box<Run>),
    /// Several runs compared.
    Rebuilt(Rebuilt),
    /// Outcome of tests.
    Test(TestRun),
    /// A digest that somebody vouches for.
    Reference(Reference),
    /// Outcome of a policy.
    Verdict(Box<Verdict>),
    /// Something brought live.
    Deployment(Deployment),
    /// What was seen to run.
    Observation(Observation),
    /// A manifest accepted by a registry.
    Publication(Publication),
    /// A tag that was made, moved or deleted.
    Tag(Tag),
    /// Access granted or revoked.
    Grant(Grant),
    /// A policy's text.
    Policy(PolicyText),
    /// No further certificates for somebody.
    Revocation(Revocation),
    /// What a build read of what was pinned.
    Sbom(Box<Sbom>),
    /// A statement that assay neither writes nor judges.
    Other,
}

/// Why a statement of one of our types claims nothing that can be understood.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another version than this program reads.
    #[error("{what} statement has version {found}; this assay reads version {VERSION}")]
    Version {
        /// Short name of the predicate.
        what: &'static str,
        /// The version found.
        found: u64,
    },
    /// A field that is missing or of the wrong type.
    #[error("{what} statement, field `{field}`")]
    Field {
        /// Short name of the predicate.
        what: &'static str,
        /// Path of the field, or of what it is missing from; `.` is the whole predicate.
        field: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A field whose value has no meaning here.
    #[error("{what} statement, field `{field}`: `{found}` is not {allowed}")]
    Value {
        /// Short name of the predicate.
        what: &'static str,
        /// Path of the field.
        field: &'static str,
        /// The start of what was found.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A list or a text beyond [`predicate::LIST_MAX`] or [`predicate::TEXT_MAX`].
    #[error("{what} statement, field `{field}`: {size} is more than the limit of {max}")]
    Limit {
        /// Short name of the predicate.
        what: &'static str,
        /// Path of the field.
        field: String,
        /// Entries or bytes found.
        size: usize,
        /// [`predicate::LIST_MAX`] or [`predicate::TEXT_MAX`].
        max: usize,
    },
    /// Subject and predicate name different digests.
    #[error("{what} statement: its subjects are not the digests that its predicate names")]
    Subjects {
        /// Short name of the predicate.
        what: &'static str,
    },
}

impl ClaimError {
    /// Makes a [`ClaimError::Value`].
    pub(crate) fn value(predicate: Predicate, field: &'static str, found: &str, allowed: &'static str) -> ClaimError {
        ClaimError::Value { what: predicate.name(), field, found: found.chars().take(80).collect(), allowed }
    }
}

impl Claim {
    /// Reads what a statement claims; [`Claim::Other`] for types that are not ours, an error for ours when malformed.
    pub fn parse(statement: &Statement) -> Result<Claim, ClaimError> {
        Ok(match Predicate::of(statement) {
            None => Claim::Other,
            Some(Predicate::Recipe) => Claim::Recipe(predicate::recipe::parse(statement)?),
            Some(Predicate::Run) => Claim::Run(Box::new(predicate::run::parse(statement)?)),
            Some(Predicate::Rebuilt) => Claim::Rebuilt(predicate::rebuilt::parse(statement)?),
            Some(Predicate::Test) => Claim::Test(predicate::test::parse(statement)?),
            Some(Predicate::Reference) => Claim::Reference(predicate::reference::parse(statement)?),
            Some(Predicate::Verdict) => Claim::Verdict(Box::new(predicate::verdict::parse(statement)?)),
            Some(Predicate::Deployment) => Claim::Deployment(predicate::deployment::parse(statement)?),
            Some(Predicate::Observation) => Claim::Observation(predicate::observation::parse(statement)?),
            Some(Predicate::Publication) => Claim::Publication(predicate::publication::parse(statement)?),
            Some(Predicate::Tag) => Claim::Tag(predicate::tag::parse(statement)?),
            Some(Predicate::Grant) => Claim::Grant(predicate::grant::parse(statement)?),
            Some(Predicate::Sbom) => Claim::Sbom(Box::new(predicate::sbom::parse(statement)?)),
            Some(Predicate::Policy) => Claim::Policy(predicate::policy::parse(statement)?),
            Some(Predicate::Revocation) => Claim::Revocation(predicate::revocation::parse(statement)?),
        })
    }

    /// Returns which row of the table it is; `None` for [`Claim::Other`].
    pub fn predicate(&self) -> Option<Predicate> {
        Some(match self {
            Claim::Recipe(_) => Predicate::Recipe,
            Claim::Run(_) => Predicate::Run,
            Claim::Rebuilt(_) => Predicate::Rebuilt,
            Claim::Test(_) => Predicate::Test,
            Claim::Reference(_) => Predicate::Reference,
            Claim::Verdict(_) => Predicate::Verdict,
            Claim::Deployment(_) => Predicate::Deployment,
            Claim::Observation(_) => Predicate::Observation,
            Claim::Publication(_) => Predicate::Publication,
            Claim::Tag(_) => Predicate::Tag,
            Claim::Grant(_) => Predicate::Grant,
            Claim::Policy(_) => Predicate::Policy,
            Claim::Revocation(_) => Predicate::Revocation,
            Claim::Sbom(_) => Predicate::Sbom,
            Claim::Other => return None,
        })
    }
}
