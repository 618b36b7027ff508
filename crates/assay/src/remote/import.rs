//! Statements that were pulled, brought into the log and ledger that this session speaks to.
//!
//! A bundle of another log is kept as it is: a referrer's manifest names it, and a publication of that manifest is
//! logged. From the publication the ledger learns the statement, as it does when a registry takes one in.

use std::collections::BTreeSet;

use attest::Attestation;
use attest::predicate::publication::Publication;
use attest::predicate::{PUBLICATION, TAG};
use tlog::Logged;
use wire::digest::Digest;
use wire::in_toto::Statement;
use wire::oci_distribution::Name;
use wire::sigstore_bundle::Bundle;

use super::parcel::{self, Parcel};
use crate::error::{Context as _, Failure, Result};
use crate::keys::KeyName;
use crate::machine;
use crate::session::Session;

/// Publications in one commit of the log.
const COMMIT_MAX: usize = 256;

/// A bundle whose signer and log are trusted here.
pub(crate) struct Trusted<'a> {
    /// The bundle.
    pub(crate) bundle: &'a Bundle,
    /// What it states.
    pub(crate) attestation: &'a Attestation,
}

/// Brings statements about a parcel into the ledger, under a repository of the same name. Returns how many are new.
///
/// Publications and tags of another registry stay what they are there; they are not repeated here.
pub(crate) fn import(
    session: &mut Session<'_>,
    repository: &Name,
    parcel: &Parcel,
    trusted: &[Trusted<'_>],
) -> Result<usize> {
    let foreign = |kind: &str| kind == PUBLICATION || kind == TAG;
    let known = known(session, parcel)?;
    let new: Vec<&Trusted<'_>> = trusted
        .iter()
        .filter(|one| !known.contains(one.attestation.statement().envelope()))
        .filter(|one| one.attestation.authorised() && one.attestation.logged().is_some())
        .filter(|one| !foreign(&one.attestation.statement().value().predicate_type))
        .collect();
    match session.server() {
        _ if new.is_empty() => Ok(0),
        Some(server) => {
            let bundles: Vec<Bundle> = new.iter().map(|one| one.bundle.clone()).collect();
            let skipped = server.publish(repository, &bundles)?;
            Ok(bundles.len() - skipped.len())
        }
        None => publish(session, repository, parcel, &new).map(|()| new.len()),
    }
}

fn publish(session: &mut Session<'_>, repository: &Name, parcel: &Parcel, new: &[&Trusted<'_>]) -> Result<()> {
    let now = machine::now()?;
    let actor = machine::invoker();
    let publication = |manifest: Digest, from: Option<&Logged>| -> Statement {
        attest::publication(&Publication {
            repository: repository.to_string(),
            manifest,
            from: from.map(|logged| logged.origin().to_owned()),
            actor: actor.clone(),
            at: now,
        })
    };
    let mut statements = Vec::new();
    let origin = new.first().and_then(|one| one.attestation.logged());
    if !is_published(session, repository, &parcel.descriptor.digest)? {
        statements.push(publication(parcel.descriptor.digest, origin));
    }
    for one in new {
        let stated = parcel::own_time(one.attestation).unwrap_or(now).min(now);
        let referrer = parcel::referrer(&parcel.descriptor, one.bundle, stated)
            .ok_or_else(|| Failure::new("bundle", "a bundle without an envelope was taken for a statement"))?;
        let blobs = &session.inputs().blobs;
        let doing = || format!("keeping the statement {}", one.attestation.statement().payload());
        blobs.put_bytes(&referrer.bundle).context("store", doing())?;
        blobs.put_bytes(&referrer.manifest).context("store", doing())?;
        statements.push(publication(referrer.descriptor.digest, one.attestation.logged()));
    }
    for commit in statements.chunks(COMMIT_MAX) {
        session.record(KeyName::Publisher, commit)?;
    }
    Ok(())
}

/// Envelopes about the parcel that the ledger has.
fn known(session: &Session<'_>, parcel: &Parcel) -> Result<BTreeSet<Digest>> {
    let bundles = session.about_bundles(&parcel.subjects())?;
    Ok(bundles.iter().filter_map(parcel::label).map(|label| label.envelope).collect())
}

fn is_published(session: &Session<'_>, repository: &Name, manifest: &Digest) -> Result<bool> {
    let Some(home) = session.local() else { return Ok(true) };
    let row = session.context().runtime.block_on(home.ledger().manifest(repository.as_str(), manifest));
    Ok(row.context("ledger", format!("looking for {manifest} in `{repository}`"))?.is_some())
}
