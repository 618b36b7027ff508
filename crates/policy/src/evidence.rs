//! What is known of an artifact, and which of it counts.

use std::collections::{BTreeMap, BTreeSet};

use attest::predicate::run::Run;
use attest::predicate::{self, Predicate};
use attest::{Attestation, Claim};
use model::verdict::Subject;
use wire::digest::Digest;
use wire::timestamp::Timestamp;

/// All that a gate looks at. Nothing unverified fits in here but [`Refused`], which only ever speaks against.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// What is judged.
    pub subject: Subject,
    /// Every attestation found: those about the subject's digests, and the recipe and reference statements that name
    /// its artifact. Others do no harm; the rules pick out what is about the subject.
    pub attestations: Vec<Attestation>,
    /// What is live where the subject is to go; `None` when nothing has been live there yet.
    pub live: Option<Live>,
    /// What was found and could not be opened. [`crate::integrity`] reports it; a gate passes over it, so that nobody
    /// can block an artifact by attaching rubbish.
    pub refused: Vec<Refused>,
}

/// The newest live deployment.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its statement.
    pub deployment: Attestation,
    /// Test statements about what it deployed.
    pub tests: Vec<Attestation>,
}

/// A stored statement that did not verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Digest or place of the stored bytes.
    pub what: String,
    /// Why it was refused.
    pub reason: String,
}

/// Evidence prepared for the rules: what counts, and in which order.
pub(crate) struct Case<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) live: Option<&'a Live>,
    pub(crate) now: Timestamp,
    /// By signers with the role for it, each payload and log once, oldest first; unlogged ones last.
    accepted: Vec<&'a Attestation>,
    /// Signed well, by somebody who may not say that.
    ignored: Vec<&'a Attestation>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(evidence: &'a Evidence, now: Timestamp) -> Case<'a> {
        let (accepted, ignored) =
            evidence.attestations.iter().partition::<Vec<_>, _>(|attestation| attestation.authorised());
        Case {
            subject: &evidence.subject,
            live: evidence.live.as_ref(),
            now,
            accepted: ordered(accepted),
            ignored: ordered(ignored),
        }
    }

    /// Returns all that was found, whether it counts or not.
    pub(crate) fn found(&self) -> Vec<&'a Attestation> {
        ordered(self.accepted.iter().chain(&self.ignored).copied().collect())
    }

    /// Returns all that a rule may have used: what is accepted, and what is about what is live.
    pub(crate) fn everything(&self) -> Vec<&'a Attestation> {
        let live = self.live.into_iter().flat_map(|live| live.tests.iter().chain([&live.deployment]));
        let live = live.filter(|attestation| attestation.authorised());
        ordered(self.accepted.iter().copied().chain(live).collect())
    }

    /// Returns the accepted statements of a kind, about whatever it be.
    pub(crate) fn all(&self, predicate: Predicate) -> Vec<&'a Attestation> {
        let wanted = |attestation: &&&Attestation| attestation.claim().predicate() == Some(predicate);
        self.accepted.iter().filter(wanted).copied().collect()
    }

    /// Returns the accepted statements of a kind about the subject.
    pub(crate) fn about(&self, predicate: Predicate) -> Vec<&'a Attestation> {
        self.all(predicate).into_iter().filter(|attestation| self.is_about(attestation)).collect()
    }

    /// Returns the run that counts: the newest. Several only when their order is not known.
    pub(crate) fn runs(&self) -> Vec<(&'a Attestation, &'a Run)> {
        let typed = |attestation: &'a Attestation| match attestation.claim() {
            Claim::Run(run) => Some((attestation, run.as_ref())),
            _ => None,
        };
        newest(self.about(Predicate::Run), |_| ()).into_iter().filter_map(typed).collect()
    }

    /// Returns a sentence's part about statements of a kind that were found and do not count, if there are any.
    pub(crate) fn passed_over(&self, predicate: Predicate) -> String {
        let signers: Vec<&str> = self
            .ignored
            .iter()
            .filter(|attestation| attestation.claim().predicate() == Some(predicate) && self.is_about(attestation))
            .map(|attestation| attestation.statement().identity())
            .collect();
        if signers.is_empty() {
            return String::new();
        }
        let role = predicate.role().name();
        format!(
            " ({} signed by {} does not count: role `{role}` is needed)",
            predicate.name(),
            crate::rules::quoted(signers, "and")
        )
    }

    fn is_about(&self, attestation: &Attestation) -> bool {
        predicate::is_about(attestation.statement().value(), &self.subject.digests)
    }
}

/// Returns where an attestation was logged, as something to sort by; `None` for one that no log holds.
fn place(attestation: &Attestation) -> Option<(&str, u64)> {
    attestation.logged().map(|logged| (logged.origin(), logged.index()))
}

/// Sorts by log and index, unlogged ones last by payload, and drops repetitions: also an unlogged copy of what the same
/// signer has in a log, which says nothing more.
fn ordered(mut attestations: Vec<&Attestation>) -> Vec<&Attestation> {
    let said = |attestation: &Attestation| (*attestation.statement().payload(), *attestation.statement().key());
    let key = |attestation: &Attestation| {
        let place = place(attestation).map(|(origin, index)| (origin.to_owned(), index));
        (place.is_none(), place, said(attestation))
    };
    attestations.sort_by_cached_key(|attestation| key(attestation));
    attestations.dedup_by_key(|attestation| key(attestation));
    let mut logged = BTreeSet::new();
    attestations.retain(|attestation| match attestation.logged() {
        Some(_) => {
            logged.insert(said(attestation));
            true
        }
        None => !logged.contains(&said(attestation)),
    });
    attestations
}

/// Returns of each group and log the statement with the greatest index, and every statement that no log holds.
pub(crate) fn newest<K: Ord>(attestations: Vec<&Attestation>, group: impl Fn(&Attestation) -> K) -> Vec<&Attestation> {
    let mut logged: BTreeMap<(K, String), &Attestation> = BTreeMap::new();
    let mut others = Vec::new();
    for attestation in attestations {
        match place(attestation) {
            None => others.push(attestation),
            Some((origin, index)) => {
                let slot = logged.entry((group(attestation), origin.to_owned())).or_insert(attestation);
                if place(slot).is_some_and(|(_, known)| known < index) {
                    *slot = attestation;
                }
            }
        }
    }
    ordered(logged.into_values().chain(others).collect())
}

/// Returns who signed, for [`newest`] of each signer.
pub(crate) fn signer(attestation: &Attestation) -> Digest {
    *attestation.statement().key()
}
