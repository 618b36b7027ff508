//! The referrers list: manifests that were pushed with a subject, and the statements about it.
//!
//! Specification: OCI Distribution 1.1, "Listing Referrers"
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>.
//!
//! A statement becomes a referrer when the list is first asked for after it was logged: its bundle is frozen as a blob,
//! a manifest is made for it, and the publication is logged like any other, so that the ledger has the row and an
//! index finds it from then on. Which statements are published already stands in the manifests' annotations.

use std::collections::{BTreeMap, BTreeSet};

use attest::{Attestation, predicate};
use model::lineage::NodeId;
use store::ledger::{ManifestRow, PAGE_MAX, Page, StatementRow};
use wire::digest::Digest;
use wire::in_toto::Statement;
use wire::oci_distribution::Name;
use wire::oci_image::{Annotations, Descriptor, Document, Index, MANIFEST_SIZE_MAX};
use wire::sigstore_bundle;
use wire::timestamp::Timestamp;

use crate::referrer::{ANNOTATION_ENVELOPE, BundleReferrer, manifest};
use crate::registry::{Push, Registry, RegistryError, blocking, publication};

/// What the registry says of itself where a statement names who acted.
const ACTOR: &str = "registry";

/// Referrers in one page: about 100 KiB of JSON, well below the 4 MiB that clients must take.
pub const REFERRERS_A_PAGE: usize = 200;

/// As many subjects of a statement are looked for among the manifests of a repository.
const SUBJECTS_LOOKED_AT: usize = 256;

/// Statements that follow from the registry's own work; as referrers they would breed more of them.
const NOT_REFERRERS: [&str; 2] = [predicate::PUBLICATION, predicate::TAG];

impl Registry {
    /// Returns a page of what refers to `subject`, and the digest to go on after when there is more.
    pub async fn referrers(
        &self,
        name: &Name,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<Digest>,
        now: Timestamp,
    ) -> Result<(Index, Option<Digest>), RegistryError> {
        if after.is_none() {
            self.publish_statements(name, subject, now).await?;
        }
        let page = Page { after, limit: REFERRERS_A_PAGE + 1 };
        let mut rows = self.inner.ledger.referrers(name.as_str(), subject, artifact_type, &page).await?;
        let more = rows.len() > REFERRERS_A_PAGE;
        rows.truncate(REFERRERS_A_PAGE);
        let next = rows.last().filter(|_| more).map(|row| row.digest);
        Ok((Index::new(rows.into_iter().map(descriptor).collect()), next))
    }

    /// Publishes those statements about a manifest of this repository that are not referrers yet.
    async fn publish_statements(&self, name: &Name, subject: &Digest, now: Timestamp) -> Result<(), RegistryError> {
        let Some(row) = self.inner.ledger.manifest(name.as_str(), subject).await? else { return Ok(()) };
        if self.unpublished(name, subject).await?.is_empty() {
            return Ok(());
        }
        // Two requests at once would publish each statement twice: the second looks again.
        let _turn = self.lock(name).lock().await;
        let subject = Descriptor::new(&row.media_type, row.digest, row.size);
        let push = Push { actor: ACTOR, from: None, now };
        let mut publications = Vec::new();
        for row in self.unpublished(name, &row.digest).await? {
            let bundle = match &row.elsewhere {
                None => self.inner.recorder.bundle(&row).await.map_err(RegistryError::Record)?,
                Some(elsewhere) => {
                    let (blobs, bundle) = (self.inner.blobs.clone(), elsewhere.bundle);
                    blocking(move || blobs.read(&bundle, sigstore_bundle::SIZE_MAX as u64)).await?
                }
            };
            let stated = Stated { envelope: row.envelope, predicate_type: row.predicate, at: row.stated };
            let digest = self.store_referrer(Some(subject.clone()), stated, bundle).await?;
            publications.push(publication(name, digest, &push));
        }
        self.record(publications).await
    }

    /// Takes in a bundle of another log unchanged: beside each manifest of this repository that it is about, or by
    /// itself when it is about something else. The ledger learns its statement from the publication.
    pub async fn publish_bundle(
        &self,
        name: &Name,
        attestation: &Attestation,
        bundle: &[u8],
        push: &Push<'_>,
    ) -> Result<(), RegistryError> {
        let _turn = self.lock(name).lock().await;
        let statement = attestation.statement();
        let mut subjects = Vec::new();
        for digest in statement.value().digests().take(SUBJECTS_LOOKED_AT) {
            if let Some(row) = self.inner.ledger.manifest(name.as_str(), &digest).await? {
                subjects.push(Some(Descriptor::new(&row.media_type, row.digest, row.size)));
            }
        }
        if subjects.is_empty() {
            subjects.push(None);
        }
        let mut publications = Vec::new();
        for subject in subjects {
            let stated = Stated {
                envelope: *statement.envelope(),
                predicate_type: statement.value().predicate_type.clone(),
                at: own_time(attestation).unwrap_or(push.now).min(push.now),
            };
            let digest = self.store_referrer(subject, stated, bundle.to_vec()).await?;
            if self.inner.ledger.manifest(name.as_str(), &digest).await?.is_none() {
                publications.push(publication(name, digest, push));
            }
        }
        self.record(publications).await
    }

    async fn record(&self, statements: Vec<Statement>) -> Result<(), RegistryError> {
        match statements.is_empty() {
            true => Ok(()),
            false => self.inner.recorder.record(statements).await.map_err(RegistryError::Record),
        }
    }

    async fn unpublished(&self, name: &Name, subject: &Digest) -> Result<Vec<StatementRow>, RegistryError> {
        let mut statements: BTreeMap<Digest, StatementRow> = BTreeMap::new();
        let mut page = Page { after: None, limit: PAGE_MAX };
        loop {
            let rows = self.inner.ledger.statements_about(subject, None, &page).await?;
            page.after = rows.last().map(|row| row.index);
            let last = rows.len() < PAGE_MAX;
            let wanted = |row: &StatementRow| row.signer.is_some() && !NOT_REFERRERS.contains(&row.predicate.as_str());
            statements.extend(rows.into_iter().filter(wanted).map(|row| (row.envelope, row)));
            if last {
                break;
            }
        }
        if statements.is_empty() {
            return Ok(Vec::new());
        }
        let published = self.published(name, subject).await?;
        let is_published = |row: &StatementRow| {
            let brought = row.elsewhere.as_ref().map(|elsewhere| elsewhere.bundle);
            published.contains(&row.envelope) || brought.is_some_and(|bundle| published.contains(&bundle))
        };
        let mut left: Vec<StatementRow> = statements.into_values().filter(|row| !is_published(row)).collect();
        left.sort_by_key(|row| row.index);
        Ok(left)
    }

    /// Returns what refers to `subject` already: envelopes, and the bundles of manifests that do not name an envelope
    /// because another client made them.
    async fn published(&self, name: &Name, subject: &Digest) -> Result<BTreeSet<Digest>, RegistryError> {
        let mut published = BTreeSet::new();
        let mut page = Page { after: None, limit: PAGE_MAX };
        loop {
            let kind = Some(sigstore_bundle::MEDIA_TYPE);
            let rows = self.inner.ledger.referrers(name.as_str(), subject, kind, &page).await?;
            page.after = rows.last().map(|row| row.digest);
            let last = rows.len() < PAGE_MAX;
            for row in rows {
                let envelope = annotations(&row).and_then(|notes| notes.get(ANNOTATION_ENVELOPE)?.parse().ok());
                match envelope {
                    Some(envelope) => published.extend(Some::<Digest>(envelope)),
                    None => published.extend(self.layers(row).await?),
                }
            }
            if last {
                return Ok(published);
            }
        }
    }

    /// Returns the digests that a manifest refers to.
    async fn layers(&self, row: ManifestRow) -> Result<Vec<Digest>, RegistryError> {
        let blobs = self.inner.blobs.clone();
        let (digest, media_type) = (row.digest, row.media_type);
        let bytes = blocking(move || blobs.read(&digest, MANIFEST_SIZE_MAX as u64)).await?;
        let document = Document::parse(&media_type, &bytes).map_err(RegistryError::Manifest)?;
        Ok(document.references().iter().map(|descriptor| descriptor.digest).collect())
    }

    /// Stores bundle and manifest of one statement.
    async fn store_referrer(
        &self,
        subject: Option<Descriptor>,
        stated: Stated,
        bundle: Vec<u8>,
    ) -> Result<Digest, RegistryError> {
        let blobs = self.inner.blobs.clone();
        blocking(move || {
            let manifest = manifest(&BundleReferrer {
                subject: subject.as_ref(),
                bundle: &blobs.put_bytes(&bundle)?,
                bundle_size: bundle.len() as u64,
                envelope: &stated.envelope,
                predicate_type: &stated.predicate_type,
                created: stated.at,
            });
            blobs.put_bytes(&manifest.to_json())
        })
        .await
    }
}

/// What a referrer's manifest tells of a statement.
struct Stated {
    envelope: Digest,
    predicate_type: String,
    at: Timestamp,
}

/// The time that a statement gives itself.
fn own_time(attestation: &Attestation) -> Option<Timestamp> {
    let id = NodeId::digest(attestation.statement().payload());
    attest::facts(attestation).nodes.into_iter().find(|node| node.id == id)?.time
}

/// What a list shows of a referrer: its type and its annotations too.
fn descriptor(row: ManifestRow) -> Descriptor {
    let annotations = annotations(&row);
    let mut descriptor = Descriptor::new(&row.media_type, row.digest, row.size);
    descriptor.artifact_type = row.artifact_type;
    descriptor.annotations = annotations;
    descriptor
}

fn annotations(row: &ManifestRow) -> Option<Annotations> {
    serde_json::from_str(row.annotations.as_deref()?).ok()
}
