//! Repositories: what is in them, who of their names points where, and what a push changes.

use std::collections::hash_map::DefaultHasher;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use attest::predicate::publication::Publication;
use attest::predicate::tag::{Change, Tag as TagStep};
use store::blobs::{BlobError, Blobs};
use store::durable::Disk;
use store::ledger::{Ledger, LedgerError, ManifestRow, Page, StatementRow};
use wire::digest::{Digest, DigestError};
use wire::in_toto::Statement;
use wire::oci_distribution::{Name, Reference, ReferenceError, Tag};
use wire::oci_image::{self, Descriptor, Document, ImageError, MANIFEST_SIZE_MAX};
use wire::timestamp::Timestamp;

use crate::members::Members;
use crate::pattern::Pattern;
use crate::upload::{ChunkHead, UploadId};
use crate::uploads::{Body, UploadError, Uploads};

/// Locks over repositories: two pushes to one repository take turns where they decide about a tag; others rarely meet.
const SHARDS: usize = 64;

/// As many tags one push may set.
pub const TAGS_A_PUSH_MAX: usize = 16;

/// As many missing references are named in an error.
const MISSING_NAMED_MAX: usize = 10;

/// The result of work that a [`Recorder`] does.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, RecordError>> + Send + 'a>>;

/// Why a statement was not recorded; the recorder's own error.
pub type RecordError = Box<dyn std::error::Error + Send + Sync>;

/// Signs and logs what the registry states. The registry holds no key and knows no log.
pub trait Recorder: Send + Sync {
    /// Signs statements and logs them in one commit. When it is done they are durable and the ledger has them.
    fn record(&self, statements: Vec<Statement>) -> Pending<'_, ()>;

    /// Returns the bundle of a statement of this log: its envelope and the proof that the log has it.
    fn bundle<'a>(&'a self, statement: &'a StatementRow) -> Pending<'a, Vec<u8>>;
}

/// What a registry is made of.
pub struct Parts {
    /// Where blobs lie.
    pub blobs: Blobs,
    /// Writes beside the blobs.
    pub disk: Disk,
    /// What the log says.
    pub ledger: Ledger,
    /// Directory of unfinished uploads, on the blobs' file system.
    pub uploads: PathBuf,
    /// Signs and logs.
    pub recorder: Arc<dyn Recorder>,
    /// Tags that can't be moved or deleted.
    pub release_tags: Vec<Pattern>,
}

/// An OCI registry over one data directory. Clones share it.
#[derive(Clone)]
pub struct Registry {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) blobs: Blobs,
    pub(crate) ledger: Ledger,
    pub(crate) recorder: Arc<dyn Recorder>,
    uploads: Uploads,
    members: Members,
    release_tags: Vec<Pattern>,
    locks: Vec<tokio::sync::Mutex<()>>,
}

/// Who pushes, and when.
#[derive(Clone, Debug)]
pub struct Push<'a> {
    /// Name of the token.
    pub actor: &'a str,
    /// Log in which the artifact's own statements stand, if the client says so.
    pub from: Option<&'a str>,
    /// The server's clock.
    pub now: Timestamp,
}

/// A manifest on its way in.
#[derive(Clone, Copy, Debug)]
pub struct NewManifest<'a> {
    /// The tag or digest that it is pushed as.
    pub reference: &'a Reference,
    /// More tags that it should get.
    pub tags: &'a [Tag],
    /// The content type it came with.
    pub media_type: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// A manifest that was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its digest.
    pub digest: Digest,
    /// The manifest that it is about.
    pub subject: Option<Digest>,
}

/// A manifest that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why the registry refused.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No repository name.
    #[error(transparent)]
    Name(ReferenceError),
    /// No tag or digest.
    #[error(transparent)]
    Reference(ReferenceError),
    /// No digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// Nothing was ever published in this repository.
    #[error("repository `{name}` is not known here")]
    NameUnknown {
        /// The repository.
        name: String,
    },
    /// No such blob in this repository.
    #[error("repository `{name}` has no blob {digest}")]
    BlobUnknown {
        /// The repository.
        name: String,
        /// The blob.
        digest: Digest,
    },
    /// No such manifest in this repository.
    #[error("repository `{name}` has no manifest `{reference}`")]
    ManifestUnknown {
        /// The repository.
        name: String,
        /// The tag or digest.
        reference: String,
    },
    /// No upload has such a name.
    #[error("`{id}` is no upload")]
    UploadUnknown {
        /// What was asked for.
        id: String,
    },
    /// Beyond [`MANIFEST_SIZE_MAX`].
    #[error("the manifest is larger than the limit of {MANIFEST_SIZE_MAX} bytes")]
    ManifestTooLarge,
    /// Not a manifest.
    #[error("the manifest is not accepted")]
    Manifest(#[source] ImageError),
    /// Pushed under another digest than it has.
    #[error("the manifest's digest is {found}, not {expected}")]
    ManifestDigest {
        /// What it was pushed as.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// It refers to what this repository does not have.
    #[error("the manifest refers to what repository `{name}` does not have: {}", list(missing))]
    ReferenceMissing {
        /// The repository.
        name: String,
        /// Digests, the first few.
        missing: Vec<Digest>,
    },
    /// It says another size than a blob has.
    #[error("the manifest says that {digest} has {stated} bytes, but it has {found}")]
    ReferenceSize {
        /// The blob.
        digest: Digest,
        /// What the manifest says.
        stated: u64,
        /// What it has.
        found: u64,
    },
    /// A tag that is a release.
    #[error(
        "tag `{tag}` of `{name}` is a release (pattern `{pattern}`) and stays at {digest}: it can't be moved or deleted; push under another tag"
    )]
    ReleaseTag {
        /// The repository.
        name: String,
        /// The tag.
        tag: String,
        /// Where it points.
        digest: Digest,
        /// The pattern that makes it a release.
        pattern: String,
    },
    /// Blobs and manifests are evidence.
    #[error("blobs and manifests are not deleted: logged statements are about them; a tag can be deleted by its name")]
    Delete,
    /// An upload.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// Signing or logging failed.
    #[error("recording what was pushed")]
    Record(#[source] RecordError),
    /// Blobs or ledger failed.
    #[error(transparent)]
    Store(StoreError),
}

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Blobs.
    #[error("reading or writing blobs")]
    Blob(#[from] BlobError),
    /// Ledger.
    #[error("asking the ledger")]
    Ledger(#[from] LedgerError),
    /// A worker thread died.
    #[error("waiting for a worker thread")]
    Thread(#[from] tokio::task::JoinError),
}

impl<E: Into<StoreError>> From<E> for RegistryError {
    fn from(error: E) -> RegistryError {
        RegistryError::Store(error.into())
    }
}

impl Registry {
    /// Opens the registry; unfinished uploads of an earlier process go on.
    pub fn open(parts: Parts, now: SystemTime) -> Result<Registry, RegistryError> {
        let uploads = Uploads::open(parts.uploads.clone(), parts.disk, parts.blobs.clone(), now)?;
        // Every client refers to the empty object, and not every client pushes it.
        parts.blobs.put_bytes(oci_image::EMPTY)?;
        let inner = Inner {
            blobs: parts.blobs,
            ledger: parts.ledger,
            recorder: parts.recorder,
            uploads,
            members: Members::new(parts.uploads),
            release_tags: parts.release_tags,
            locks: (0..SHARDS).map(|_| tokio::sync::Mutex::new(())).collect(),
        };
        Ok(Registry { inner: Arc::new(inner) })
    }

    /// Begins an upload with 16 random bytes for its name.
    pub async fn start_upload(&self, name: &Name, random: [u8; 16]) -> Result<UploadId, RegistryError> {
        let id = UploadId::from_random(random);
        self.inner.uploads.start(name.as_str(), &id).await?;
        Ok(id)
    }

    /// Appends a chunk to an upload, and returns how many bytes are there.
    pub async fn append(&self, name: &Name, id: &UploadId, head: ChunkHead, body: Body) -> Result<u64, RegistryError> {
        Ok(self.inner.uploads.append(name.as_str(), id, head, body).await?)
    }

    /// Returns how many bytes of an upload are there.
    pub async fn upload_progress(&self, name: &Name, id: &UploadId) -> Result<u64, RegistryError> {
        Ok(self.inner.uploads.progress(name.as_str(), id).await?)
    }

    /// Makes an upload a blob of the repository, durably.
    pub async fn finish_upload(&self, name: &Name, id: &UploadId, digest: &Digest) -> Result<u64, RegistryError> {
        let size = self.inner.uploads.finish(name.as_str(), id, digest).await?;
        self.inner.members.add(name, digest).map_err(UploadError::File)?;
        Ok(size)
    }

    /// Ends an upload without a blob.
    pub async fn cancel_upload(&self, name: &Name, id: &UploadId) -> Result<(), RegistryError> {
        Ok(self.inner.uploads.cancel(name.as_str(), id).await?)
    }

    /// Makes a blob of one repository a blob of another; `false` if it is not there. The caller has checked that who
    /// asks may read the other one.
    pub async fn mount(&self, name: &Name, digest: &Digest, from: &Name) -> Result<bool, RegistryError> {
        let there = self.has_blob(from, digest).await? && self.inner.blobs.has(digest)?;
        if there {
            self.inner.members.add(name, digest).map_err(UploadError::File)?;
        }
        Ok(there)
    }

    /// Returns the path and size of a blob that belongs to the repository.
    pub async fn blob(&self, name: &Name, digest: &Digest) -> Result<(PathBuf, u64), RegistryError> {
        let unknown = || RegistryError::BlobUnknown { name: name.to_string(), digest: *digest };
        if !self.has_blob(name, digest).await? {
            return Err(unknown());
        }
        let size = self.inner.blobs.size(digest)?.ok_or_else(unknown)?;
        Ok((self.inner.blobs.path(digest), size))
    }

    /// Whether a blob was pushed or mounted here and not yet referred to, or is referred to by a manifest here.
    async fn has_blob(&self, name: &Name, digest: &Digest) -> Result<bool, RegistryError> {
        let shared = *digest == Digest::of(oci_image::EMPTY);
        Ok(shared
            || self.inner.members.has(name, digest)
            || self.inner.ledger.repository_has(name.as_str(), digest).await?)
    }

    /// Returns the row of a manifest: its digest, type and size, without its bytes.
    pub async fn manifest_row(&self, name: &Name, reference: &Reference) -> Result<ManifestRow, RegistryError> {
        let ledger = &self.inner.ledger;
        let digest = match reference {
            Reference::Digest(digest) => Some(*digest),
            Reference::Tag(tag) => ledger.tag(name.as_str(), tag.as_str()).await?.map(|row| row.digest),
        };
        let row = match digest {
            Some(digest) => ledger.manifest(name.as_str(), &digest).await?,
            None => None,
        };
        row.ok_or_else(|| RegistryError::ManifestUnknown { name: name.to_string(), reference: reference.to_string() })
    }

    /// Reads a manifest; its bytes are checked against its digest.
    pub async fn manifest(&self, name: &Name, reference: &Reference) -> Result<StoredManifest, RegistryError> {
        let row = self.manifest_row(name, reference).await?;
        let (blobs, digest) = (self.inner.blobs.clone(), row.digest);
        let bytes = blocking(move || blobs.read(&digest, MANIFEST_SIZE_MAX as u64)).await?;
        Ok(StoredManifest { digest: row.digest, media_type: row.media_type, bytes })
    }

    /// Takes a manifest in: everything that it refers to must be there, only its subject need not.
    ///
    /// The publication and the moves of tags are logged in one commit before this returns.
    pub async fn put_manifest(
        &self,
        name: &Name,
        manifest: NewManifest<'_>,
        push: &Push<'_>,
    ) -> Result<Accepted, RegistryError> {
        if manifest.bytes.len() > MANIFEST_SIZE_MAX {
            return Err(RegistryError::ManifestTooLarge);
        }
        let document = Document::parse(manifest.media_type, manifest.bytes).map_err(RegistryError::Manifest)?;
        let digest = own_digest(&manifest)?;
        self.check_references(name, &document).await?;

        let tags: Vec<&Tag> = match manifest.reference {
            Reference::Tag(tag) => std::iter::once(tag).chain(manifest.tags).collect(),
            Reference::Digest(_) => manifest.tags.iter().collect(),
        };
        // Only a tag is decided about; pushes by digest wait for nobody and share a commit of the log.
        let _turn = match tags.is_empty() {
            true => None,
            false => Some(self.lock(name).lock().await),
        };
        let mut statements = Vec::new();
        if self.inner.ledger.manifest(name.as_str(), &digest).await?.is_none() {
            let (blobs, bytes) = (self.inner.blobs.clone(), manifest.bytes.to_vec());
            blocking(move || blobs.put(&mut bytes.as_slice(), Some(&digest), MANIFEST_SIZE_MAX as u64)).await?;
            statements.push(publication(name, digest, push));
        }
        for tag in tags {
            statements.extend(self.tag_step(name, tag, Some(digest), push).await?);
        }
        if !statements.is_empty() {
            self.inner.recorder.record(statements).await.map_err(RegistryError::Record)?;
        }
        Ok(Accepted { digest, subject: document.subject().map(|subject| subject.digest) })
    }

    /// Deletes a tag by a logged step; a manifest by its digest is never deleted.
    pub async fn delete(&self, name: &Name, reference: &Reference, push: &Push<'_>) -> Result<(), RegistryError> {
        let Reference::Tag(tag) = reference else { return Err(RegistryError::Delete) };
        let _turn = self.lock(name).lock().await;
        let step = self.tag_step(name, tag, None, push).await?;
        let step =
            step.ok_or_else(|| RegistryError::ManifestUnknown { name: name.to_string(), reference: tag.to_string() })?;
        self.inner.recorder.record(vec![step]).await.map_err(RegistryError::Record)
    }

    /// Returns the statement that a tag's step needs, `None` if it is there already. The repository's lock is held.
    async fn tag_step(
        &self,
        name: &Name,
        tag: &Tag,
        to: Option<Digest>,
        push: &Push<'_>,
    ) -> Result<Option<Statement>, RegistryError> {
        let from = self.inner.ledger.tag(name.as_str(), tag.as_str()).await?.map(|row| row.digest);
        if from == to {
            return Ok(None);
        }
        let release = self.inner.release_tags.iter().find(|pattern| pattern.covers(tag.as_str()));
        if let (Some(digest), Some(pattern)) = (from, release) {
            let pattern = pattern.as_str().to_owned();
            return Err(RegistryError::ReleaseTag { name: name.to_string(), tag: tag.to_string(), digest, pattern });
        }
        Ok(Change::new(from, to).map(|change| {
            attest::tag(&TagStep {
                repository: name.to_string(),
                tag: tag.to_string(),
                change,
                actor: push.actor.to_owned(),
                at: push.now,
            })
        }))
    }

    /// Checks that all references of a manifest are in the repository, with the sizes that it says.
    async fn check_references(&self, name: &Name, document: &Document) -> Result<(), RegistryError> {
        let nested = matches!(document, Document::Index(_));
        let mut missing = Vec::new();
        for descriptor in document.references().into_iter().filter(|descriptor| !is_foreign(descriptor)) {
            let here = match nested {
                true => self.inner.ledger.manifest(name.as_str(), &descriptor.digest).await?.is_some(),
                false => self.has_blob(name, &descriptor.digest).await?,
            };
            match self.inner.blobs.size(&descriptor.digest)?.filter(|_| here) {
                None => missing.push(descriptor.digest),
                Some(found) if found != descriptor.size => {
                    return Err(RegistryError::ReferenceSize {
                        digest: descriptor.digest,
                        stated: descriptor.size,
                        found,
                    });
                }
                Some(_) => {}
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        missing.truncate(MISSING_NAMED_MAX);
        Err(RegistryError::ReferenceMissing { name: name.to_string(), missing })
    }

    /// Returns the tags of a repository after `last`, at most `limit`, and whether there are more.
    pub async fn tags(
        &self,
        name: &Name,
        last: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<String>, bool), RegistryError> {
        let page = Page { after: last.map(str::to_owned), limit: limit.saturating_add(1) };
        let mut tags: Vec<String> =
            self.inner.ledger.tags(name.as_str(), &page).await?.into_iter().map(|row| row.tag).collect();
        if tags.is_empty() && last.is_none() && !self.is_known(name).await? {
            return Err(RegistryError::NameUnknown { name: name.to_string() });
        }
        let more = tags.len() > limit;
        tags.truncate(limit);
        Ok((tags, more))
    }

    /// Whether anything was published in the repository.
    async fn is_known(&self, name: &Name) -> Result<bool, RegistryError> {
        // The first name after all that are less: names end in a letter or a digit, so the byte before is a character.
        let (head, last) = name.as_str().split_at(name.as_str().len() - 1);
        let less = format!("{head}{}\u{10ffff}", char::from(last.as_bytes()[0] - 1));
        let first = self.inner.ledger.repositories(&Page { after: Some(less), limit: 1 }).await?;
        Ok(first.first().is_some_and(|known| known == name.as_str()))
    }

    pub(crate) fn lock(&self, name: &Name) -> &tokio::sync::Mutex<()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        &self.inner.locks[(hasher.finish() % SHARDS as u64) as usize]
    }
}

/// Returns the statement that a manifest was taken in.
pub(crate) fn publication(name: &Name, manifest: Digest, push: &Push<'_>) -> Statement {
    attest::publication(&Publication {
        repository: name.to_string(),
        manifest,
        from: push.from.map(str::to_owned),
        actor: push.actor.to_owned(),
        at: push.now,
    })
}

/// The digest that names the bytes: of the algorithm that it was pushed under, else SHA-256.
fn own_digest(manifest: &NewManifest<'_>) -> Result<Digest, RegistryError> {
    let Reference::Digest(expected) = manifest.reference else { return Ok(Digest::of(manifest.bytes)) };
    let mut hasher = wire::digest::Hasher::new(store::blobs::algorithm(expected));
    hasher.update(manifest.bytes);
    let found = hasher.finish();
    if found == *expected { Ok(found) } else { Err(RegistryError::ManifestDigest { expected: *expected, found }) }
}

/// A layer that may not be distributed lies elsewhere by its licence.
fn is_foreign(descriptor: &Descriptor) -> bool {
    let kind = &descriptor.media_type;
    !descriptor.urls.is_empty() && (kind.contains("nondistributable") || kind.contains(".foreign."))
}

fn list(digests: &[Digest]) -> String {
    digests.iter().map(Digest::to_string).collect::<Vec<_>>().join(", ")
}

/// Runs work that waits for the disk on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, RegistryError> {
    Ok(tokio::task::spawn_blocking(work).await?.map_err(StoreError::from)?)
}
