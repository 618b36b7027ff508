//! Statements as a server gives them: each with the proof of when its log took it.
//!
//! ```json
//! {"bundle":{…},"logged_proof":{"index_entry":{…},"publication":{…},"manifest":"…"}}
//! ```
//!
//! The server's word for a time is worth nothing. What counts is the index entry beside the statement's own, under a
//! checkpoint of a trusted log; for a statement that was brought to that log, the index entry of the publication that
//! brought it, if it leads to this very bundle. `publication` and `manifest` are there in that case alone.

use attest::Claim;
use serde_json::Value;
use sign::trust::Trust;
use wire::digest::Digest;
use wire::dsse::Envelope;
use wire::sigstore_bundle::{Bundle, Content, TransparencyLogEntry};
use wire::timestamp::Timestamp;

use super::oci::digest_as;
use super::parcel;

/// A bundle, not verified, with what may prove when its signature existed.
#[derive(Clone, Debug)]
pub(crate) struct Dated {
    /// The bundle.
    pub(crate) bundle: Bundle,
    proof: Option<Proof>,
}

#[derive(Clone, Debug)]
struct Proof {
    index_entry: TransparencyLogEntry,
    brought: Option<Brought>,
}

/// How a statement of another log came into this one.
#[derive(Clone, Debug)]
struct Brought {
    publication: Envelope,
    manifest: Vec<u8>,
}

impl Dated {
    /// Reads a row of a server's list. A proof that cannot be read is none.
    pub(super) fn read(row: &Value) -> Option<Dated> {
        let bundle = Bundle::parse(row.get("bundle")?.to_string().as_bytes()).ok()?;
        Some(Dated { bundle, proof: Proof::read(&row["logged_proof"]) })
    }

    /// Returns when a trusted log took the statement, or the publication that brought it; `None` without a good proof.
    pub(crate) fn proven(&self, trust: &Trust) -> Option<Timestamp> {
        let Proof { index_entry, brought } = self.proof.as_ref()?;
        let taken = tlog::verify_index(index_entry, trust).ok()?;
        match brought {
            None => {
                let Content::Envelope(envelope) = &self.bundle.content else { return None };
                let [own] = self.bundle.verification_material.tlog_entries.as_slice() else { return None };
                let beside = own.log_id == index_entry.log_id && own.log_index == taken.entry;
                (beside && taken.envelope == Some(Digest::of(&envelope.to_json()))).then_some(taken.time)
            }
            Some(brought) => {
                let named = taken.envelope == Some(Digest::of(&brought.publication.to_json()));
                (named && brought.leads_to(&self.bundle, trust, taken.time)).then_some(taken.time)
            }
        }
    }
}

impl Proof {
    fn read(proof: &Value) -> Option<Proof> {
        let index_entry = serde_json::from_value(proof.get("index_entry")?.clone()).ok()?;
        let brought = match proof.get("publication") {
            None => None,
            Some(publication) => Some(Brought {
                publication: Envelope::parse(publication.to_string().as_bytes()).ok()?,
                manifest: proof["manifest"].as_str()?.as_bytes().to_vec(),
            }),
        };
        Some(Proof { index_entry, brought })
    }
}

impl Brought {
    /// Whether somebody who may publish has published the manifest of this bundle.
    fn leads_to(&self, bundle: &Bundle, trust: &Trust, at: Timestamp) -> bool {
        let Ok(publication) = attest::unlogged(&self.publication, trust, at) else { return false };
        let Claim::Publication(claim) = publication.claim() else { return false };
        let Ok(Some(manifest)) = parcel::as_manifest(&self.manifest) else { return false };
        let [layer] = manifest.layers.as_slice() else { return false };
        publication.authorised()
            && claim.manifest == digest_as(&claim.manifest, &self.manifest)
            && layer.digest == digest_as(&layer.digest, &bundle.to_json())
    }
}

#[cfg(test)]
mod tests;
