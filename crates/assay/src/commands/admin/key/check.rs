//! `assay admin key check`: whether what the keys of `trust.json` have signed still verifies.

use std::collections::BTreeMap;

use attest::{OpenError, VerifyError};
use serde_json::{Value, json};
use sign::trust::{Trust, TrustError};
use store::ledger::{PAGE_MAX, Page, StatementRow};
use wire::digest::Digest;
use wire::sigstore_bundle::Bundle;
use wire::timestamp::Timestamp;

use crate::commands::admin::local;
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::report::Report;
use crate::session::{self, Session};

/// How many refused statements of a key are listed; the rest is counted.
const LISTED_MAX: usize = 100;

/// Verify every logged statement again: its signature, its key's window at the time when it was logged, and its proof
///
/// Exit 1 when the key of one is in trust.json and does not vouch for it, unless it was revoked before that.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {}

/// What became of one statement.
#[derive(Debug, PartialEq)]
pub(crate) enum Judged {
    /// It verifies; with the id of its key.
    Good(Digest),
    /// It was logged after its key was revoked.
    Revoked(Digest),
    /// Its key is known, and it does not verify.
    Refused(Option<Digest>, String),
    /// Nobody known has signed it.
    Unknown,
}

/// A trust root, and the same without revocations, and without windows: to tell why something is refused.
pub(crate) struct Judge {
    trust: Trust,
    unrevoked: Trust,
    unbounded: Trust,
}

impl Judge {
    pub(crate) fn new(trust: &Trust) -> Judge {
        let mut unrevoked = trust.clone();
        unrevoked.identities.iter_mut().for_each(|identity| identity.revoked_at = None);
        let mut unbounded = unrevoked.clone();
        for identity in &mut unbounded.identities {
            identity.valid_from = Timestamp::from_unix_s(0).unwrap_or(identity.valid_from);
            identity.valid_until = None;
        }
        Judge { trust: trust.clone(), unrevoked, unbounded }
    }

    /// Judges a bundle that was logged at that time.
    pub(crate) fn judge(&self, bundle: &Bundle, at: Timestamp) -> Judged {
        let key = |trust: &Trust| attest::open(bundle, trust, at).map(|attestation| *attestation.statement().key());
        let error = match key(&self.trust) {
            Ok(key) => return Judged::Good(key),
            Err(error) => error,
        };
        if let Ok(key) = key(&self.unrevoked) {
            return Judged::Revoked(key);
        }
        if let OpenError::Verify(VerifyError::Trust { source, .. }) = &error {
            let nobody = matches!(source, TrustError::UnknownKey { .. } | TrustError::Signature { .. });
            if nobody || matches!(source, TrustError::UnknownSubject { .. }) {
                return Judged::Unknown;
            }
        }
        let reason = Failure::new("bundle", "not accepted").because(&error).to_string();
        Judged::Refused(key(&self.unbounded).ok(), reason)
    }
}

/// Verifies one statement of each key by a trust root that is not in place yet. Returns how many keys had one.
pub(super) fn one_per_key(session: &Session<'_>, trust: &Trust) -> Result<u64> {
    let home = local(session, "checking keys")?;
    let judge = Judge::new(trust);
    let mut verified = 0;
    for identity in &trust.identities {
        let id = identity.key.id();
        let rows = session.context().runtime.block_on(home.ledger().statements_signed_by(&id, &Page::first(1)));
        let Some(row) = rows.context("ledger", "asking the ledger")?.into_iter().next() else { continue };
        match judge.judge(&bundle(session, home, &row)?, row.logged) {
            Judged::Good(key) | Judged::Revoked(key) if key == id => verified += 1,
            other => {
                let text =
                    format!("by the new trust.json statement {} of `{}` would not count", row.payload, identity.name);
                let failure = Failure::no("trust", text).hint("assay admin key check");
                return Err(Failure { causes: vec![format!("{other:?}")], ..failure });
            }
        }
    }
    Ok(verified)
}

/// Walks through all statements, newest first.
pub(crate) fn each(session: &Session<'_>, mut seen: impl FnMut(&StatementRow, &Bundle)) -> Result<()> {
    let home = local(session, "reading all statements")?;
    let mut page = Page::first(PAGE_MAX);
    loop {
        let rows = session.context().runtime.block_on(home.ledger().newest_statements(None, &page));
        let rows = rows.context("ledger", "asking the ledger")?;
        let indexes: Vec<u64> = rows.iter().map(|row| row.index).collect();
        let (count, next) = whole(&indexes, PAGE_MAX);
        for row in &rows[..count] {
            seen(row, &bundle(session, home, row)?);
        }
        match next {
            Some(after) => page.after = Some(after),
            None => return Ok(()),
        }
    }
}

/// How many rows of a page are complete, and after which index the next begins. A publication and the statement that it
/// brings have one index: where a full page ends between them, both are left for the next.
fn whole(indexes: &[u64], page: usize) -> (usize, Option<u64>) {
    match indexes.last() {
        Some(last) if indexes.len() >= page => {
            let count = indexes.iter().take_while(|index| *index != last).count();
            if count == 0 { (indexes.len(), Some(*last)) } else { (count, Some(last + 1)) }
        }
        _ => (indexes.len(), None),
    }
}

fn bundle(session: &Session<'_>, home: &store::home::Home, row: &StatementRow) -> Result<Bundle> {
    let bundle = session.context().runtime.block_on(home.bundle(row));
    bundle.map_err(|error| session::of_home(&format!("reading statement {}", row.payload), error))
}

/// Counts of one key.
#[derive(Default)]
struct Counts {
    good: u64,
    revoked: u64,
    refused: u64,
    listed: Vec<Value>,
}

pub(super) fn run(context: &Context) -> Result<Report> {
    let session = Session::open(context)?;
    let judge = Judge::new(session.trust());
    let mut keys: BTreeMap<Option<Digest>, Counts> = BTreeMap::new();
    let mut unknown = 0_u64;
    each(&session, |row, bundle| match judge.judge(bundle, row.logged) {
        Judged::Good(key) => keys.entry(Some(key)).or_default().good += 1,
        Judged::Revoked(key) => keys.entry(Some(key)).or_default().revoked += 1,
        Judged::Unknown => unknown += 1,
        Judged::Refused(key, reason) => {
            let counts = keys.entry(key).or_default();
            counts.refused += 1;
            if counts.listed.len() < LISTED_MAX {
                counts.listed.push(json!({"statement": row.payload, "logged": row.logged, "reason": reason}));
            }
        }
    })?;
    let report = told(session.trust(), &keys, unknown);
    session.close()?;
    Ok(report)
}

fn told(trust: &Trust, keys: &BTreeMap<Option<Digest>, Counts>, unknown: u64) -> Report {
    let (mut rows, mut text) = (Vec::new(), String::new());
    for (key, counts) in keys {
        let name = key.as_ref().and_then(|key| trust.identity(key)).map(|identity| identity.name.as_str());
        let shown = name.unwrap_or(if key.is_some() { "by certificate" } else { "nobody told" });
        let id = key.map_or_else(String::new, |key| key.to_string());
        text.push_str(&format!("{shown:20} {id}: {} verify", counts.good));
        if counts.revoked > 0 {
            text.push_str(&format!(", {} came after the key's revocation", counts.revoked));
        }
        text.push('\n');
        for one in &counts.listed {
            text.push_str(&format!("  refused: {} {}\n", one["statement"], one["reason"]));
        }
        rows.push(json!({"name": name, "keyId": key, "verified": counts.good, "revoked": counts.revoked,
            "refused": counts.refused, "listed": counts.listed}));
    }
    let refused: u64 = keys.values().map(|counts| counts.refused).sum();
    text.push_str(&format!("{refused} refused; {unknown} of nobody whom trust.json has"));
    let result = if refused == 0 { "pass" } else { "fail" };
    Report::of(refused == 0, json!({"result": result, "keys": rows, "unknown": unknown}), text)
}

#[cfg(test)]
mod tests {
    use super::whole;

    /// A page that ended between two statements of one index passed over the second.
    #[test]
    fn statements_of_one_index_come_in_one_page() {
        assert_eq!(whole(&[], 3), (0, None));
        assert_eq!(whole(&[9, 7], 3), (2, None));
        assert_eq!(whole(&[9, 8, 7], 3), (2, Some(8)));
        assert_eq!(whole(&[9, 7, 7], 3), (1, Some(8)));
        assert_eq!(whole(&[7, 7, 7], 3), (3, Some(7)));
    }
}
