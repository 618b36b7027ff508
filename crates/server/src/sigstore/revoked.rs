//! Whose certificates were revoked: what logged statements of an admin say, up to the newest one.
//!
//! What was read once is kept; each question reads what the ledger has got since then. So a revocation counts for the next
//! request after it was logged, and one that cannot be read issues nothing.

use std::sync::{Mutex, PoisonError};

use attest::{Claim, predicate};
use sign::certificate::Subject;
use sign::identity::Identity;
use sign::trust::{Revocation, Trust};
use store::ledger::{PAGE_MAX, Page, StatementRow};

use crate::error::Problem;
use crate::state::Server;

/// What was read so far.
#[derive(Default)]
pub(crate) struct Revoked(Mutex<Known>);

#[derive(Clone, Default)]
struct Known {
    /// Log entries before this one were read.
    read_to: u64,
    revocations: Vec<Revocation>,
}

impl Server {
    /// Returns all revocations in the log.
    pub(crate) async fn revocations(&self) -> Result<Vec<Revocation>, Problem> {
        let mut known = self.revoked.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut page = Page::first(PAGE_MAX);
        let mut read_to = known.read_to;
        loop {
            let rows = self.ledger().newest_statements(Some(predicate::REVOCATION), &page).await?;
            let mut fresh = rows.iter().take_while(|row| row.index >= known.read_to);
            for row in fresh.by_ref() {
                read_to = read_to.max(row.index + 1);
                known.revocations.extend(self.revocation(row).await?);
            }
            match rows.last().filter(|last| rows.len() == PAGE_MAX && last.index >= known.read_to) {
                Some(last) => page.after = Some(last.index),
                None => break,
            }
        }
        known.read_to = read_to;
        let mut kept = self.revoked.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.read_to < known.read_to {
            *kept = known.clone();
        }
        Ok(known.revocations)
    }

    /// Returns the trust root with what was revoked since it was read.
    pub(crate) async fn trust_with_revocations(&self) -> Result<Trust, Problem> {
        Ok(Trust { revocations: self.revocations().await?, ..self.trust().clone() })
    }

    /// Reads one; `None` if nobody who may has signed it.
    async fn revocation(&self, row: &StatementRow) -> Result<Option<Revocation>, Problem> {
        let envelope = self.envelope(row).await?;
        let Ok(attestation) = attest::unlogged(&envelope, self.trust(), row.logged) else { return Ok(None) };
        match attestation.claim() {
            Claim::Revocation(claim) if attestation.authorised() => {
                Ok(Some(Revocation { issuer: claim.issuer.clone(), subject: claim.subject.clone(), at: claim.at }))
            }
            _ => Ok(None),
        }
    }

    /// Ends the request if somebody's certificates were revoked, by his name or by the one in his certificates.
    pub(crate) async fn must_not_be_revoked(&self, identity: &Identity) -> Result<(), Problem> {
        let now = self.now();
        let names = [&identity.own_name, &identity.name];
        let subjects = names.map(|name| Subject { name: name.clone(), issuer: identity.issuer.clone() });
        let revocations = self.revocations().await?;
        let revoked = revocations.iter().find(|one| one.at <= now && subjects.iter().any(|subject| one.is_of(subject)));
        match revoked {
            Some(one) => {
                let name = identity.own_name.text();
                Err(Problem::denied(format!("certificates of `{name}` were revoked at {}", one.at)).no_hint())
            }
            None => Ok(()),
        }
    }
}
