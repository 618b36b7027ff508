//! Whose certificates the log says were revoked.

use std::sync::Arc;

use attest::{Claim, predicate};
use sign::trust::{Revocation, Trust};
use store::ledger::Page;

use super::{Chain, ROWS_MAX, Session, received};
use crate::error::{Failure, Result};

impl Session<'_> {
    /// The trust root with what logged statements have revoked. Asked for where somebody with a certificate has signed.
    pub(super) fn trust_with_revocations(&self) -> Result<Arc<Trust>> {
        let stored = match &self.chain {
            Chain::Local(home) => {
                let page = Page::first(ROWS_MAX);
                let rows = self.ask(home.ledger().newest_statements(Some(predicate::REVOCATION), &page))?;
                self.bundles(home, &rows)?
            }
            Chain::Remote(api) => received(api.by_predicate(predicate::REVOCATION)?, &self.trust)?,
        };
        if stored.len() >= ROWS_MAX {
            // Those that were not read would be passed over.
            return Err(Failure::new("revocations", format!("more than {ROWS_MAX} certificates were revoked")));
        }
        let mut trust = (*self.trust).clone();
        for one in &stored {
            let Ok(attestation) = attest::open(&one.bundle, &self.trust, one.at) else { continue };
            if let (Claim::Revocation(claim), true) = (attestation.claim(), attestation.authorised()) {
                let (issuer, subject, at) = (claim.issuer.clone(), claim.subject.clone(), claim.at);
                trust.revocations.push(Revocation { issuer, subject, at });
            }
        }
        Ok(Arc::new(trust))
    }
}
