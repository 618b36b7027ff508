//! What all requests share.

use std::path::PathBuf;
use std::sync::Arc;

use registry::access::Action;
use registry::pattern::Pattern;
use registry::{Registry, RegistryError};
use sign::trust::Trust;
use store::blobs::BlobError;
use store::home::{Home, HomeError};
use store::ledger::{Ledger, LedgerError, StatementRow};
use store::log::Reader;
use wire::digest::Digest;
use wire::dsse::Envelope;
use wire::in_toto::Statement;
use wire::oci_distribution::Name;
use wire::sigstore_bundle::Content;
use wire::timestamp::Timestamp;

use crate::auth::Caller;
use crate::auth::bearer::BearerKey;
use crate::error::Problem;
use crate::metrics::Metrics;
use crate::record::{HomeRecorder, ServerKeys};
use crate::rekor::LogWrites;
use crate::sigstore::{Revoked, Sigstore};

/// As many subjects of a statement are asked for the repositories that they belong to.
const SUBJECTS_LOOKED_AT: usize = 64;

/// Returns the time; the binary gives the real one.
pub type Clock = fn() -> Timestamp;

/// Fills a buffer with random bytes of the operating system.
pub type Random = fn(&mut [u8]);

/// What a server needs.
pub struct Config {
    /// The open data directory. Who gave it closes it, after [`crate::serve`] has returned.
    pub home: Home,
    /// Keys of the server's own statements.
    pub keys: ServerKeys,
    /// Choices of whoever runs the server.
    pub settings: Settings,
    /// Certificates and times, if it issues such.
    pub sigstore: Option<Sigstore>,
    /// The clock.
    pub clock: Clock,
    /// The source of tokens, upload names and the key of bearers.
    pub random: Random,
}

/// Choices of whoever runs a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether everything can be read without a token.
    pub anonymous_read: bool,
    /// The URL by which clients reach the server, if a proxy stands before it: `https://registry.example.org`.
    pub public_url: Option<String>,
    /// Tags that can't be moved or deleted.
    pub release_tags: Vec<Pattern>,
    /// Who may add log entries by Rekor's API.
    pub log_writes: LogWrites,
}

impl Default for Settings {
    /// Reading takes a token; tags that look like a version are releases.
    fn default() -> Settings {
        let release_tags = Pattern::parse("v#*").into_iter().collect();
        Settings { anonymous_read: false, public_url: None, release_tags, log_writes: LogWrites::default() }
    }
}

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The registry's part of the data directory.
    #[error("opening the registry")]
    Registry(#[source] Box<RegistryError>),
}

/// Everything that a request can reach.
pub(crate) struct Server {
    pub(crate) home: Home,
    pub(crate) settings: Settings,
    pub(crate) registry: Registry,
    pub(crate) recorder: Arc<HomeRecorder>,
    pub(crate) bearer_key: BearerKey,
    pub(crate) metrics: Metrics,
    pub(crate) sigstore: Option<Sigstore>,
    pub(crate) revoked: Revoked,
    clock: Clock,
    random: Random,
}

impl Server {
    pub(crate) fn open(config: Config) -> Result<Server, ServeError> {
        let Config { home, keys, settings, sigstore, clock, random } = config;
        let recorder = Arc::new(HomeRecorder { home: home.clone(), keys, clock });
        let parts = registry::Parts {
            blobs: home.blobs().clone(),
            disk: home.disk().clone(),
            ledger: home.ledger().clone(),
            uploads: home.uploads(),
            recorder: Arc::clone(&recorder) as Arc<dyn registry::Recorder>,
            release_tags: settings.release_tags.clone(),
        };
        // Compared with the times of files, which are the operating system's too, whatever clock statements go by.
        let registry = Registry::open(parts, std::time::SystemTime::now())
            .map_err(|error| ServeError::Registry(Box::new(error)))?;
        let mut key = [0; 32];
        random(&mut key);
        let bearer_key = BearerKey::new(key);
        let metrics = Metrics::default();
        Ok(Server {
            home,
            settings,
            registry,
            recorder,
            bearer_key,
            metrics,
            sigstore,
            revoked: Revoked::default(),
            clock,
            random,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        self.home.ledger()
    }

    pub(crate) fn trust(&self) -> &Trust {
        self.home.trust()
    }

    pub(crate) fn log(&self) -> &Reader {
        self.home.log()
    }

    /// The log's name, which is the server's.
    pub(crate) fn origin(&self) -> &str {
        self.home.log().origin()
    }

    /// Where a blob lies and how large it is.
    pub(crate) fn blob(&self, digest: &Digest) -> Result<(PathBuf, u64), Problem> {
        let size = self.home.blobs().size(digest)?;
        let size = size.ok_or_else(|| Problem::not_found("no such blob is stored here").at(digest.to_string()))?;
        Ok((self.home.blobs().path(digest), size))
    }
}

impl Server {
    /// Reads the statement of a row, as it was signed.
    pub(crate) async fn statement(&self, row: &StatementRow) -> Result<Statement, Problem> {
        let envelope = self.envelope(row).await?;
        Statement::parse(&envelope.payload).map_err(|error| Problem::internal(&error))
    }

    /// Reads the envelope of a row, from its blob or from the bundle that brought it.
    pub(crate) async fn envelope(&self, row: &StatementRow) -> Result<Envelope, Problem> {
        if row.elsewhere.is_none() {
            let (home, row) = (self.home.clone(), row.clone());
            return blocking(move || home.envelope(&row)).await;
        }
        match self.home.bundle(row).await?.content {
            Content::Envelope(envelope) => Ok(envelope),
            Content::Message(_) => Err(Problem::not_found("the bundle holds no statement")),
        }
    }

    /// Ends the request unless the caller may read one of the repositories that a blob belongs to; what belongs to none
    /// may be read by every reader.
    pub(crate) async fn must_read_digest(&self, caller: &Caller, digest: &Digest) -> Result<(), Problem> {
        caller.must(Action::Read, None)?;
        let repositories = self.ledger().repositories_with(digest).await?;
        match readable(caller, &repositories) {
            true => Ok(()),
            // Not "denied": that would say that it is there.
            false => Err(Problem::not_found("no such thing is stored here").at(digest.to_string())),
        }
    }

    /// Ends the request unless the caller may read a statement.
    pub(crate) async fn must_read_statement(&self, caller: &Caller, row: &StatementRow) -> Result<(), Problem> {
        caller.must(Action::Read, None)?;
        match self.may_read_statement(caller, row).await? {
            true => Ok(()),
            false => Err(Problem::not_found("no such statement").at(row.payload.to_string())),
        }
    }

    /// Whether the caller may read one of the repositories that a statement's subjects belong to; a statement about
    /// what belongs to none may be read by every reader.
    pub(crate) async fn may_read_statement(&self, caller: &Caller, row: &StatementRow) -> Result<bool, Problem> {
        if !caller.may(Action::Read, None) {
            return Ok(false);
        }
        if caller.reads_everything() {
            return Ok(true);
        }
        let statement = self.statement(row).await?;
        let mut repositories = Vec::new();
        for digest in statement.digests().take(SUBJECTS_LOOKED_AT) {
            repositories.extend(self.ledger().repositories_with(&digest).await?);
        }
        Ok(readable(caller, &repositories))
    }

    /// Logs envelopes whose signatures were checked, durably; the ledger has them then.
    pub(crate) async fn append(&self, envelopes: Vec<Envelope>) -> Result<(), Problem> {
        self.home.append(envelopes, self.now()).await?;
        Ok(())
    }
}

impl From<HomeError> for Problem {
    fn from(error: HomeError) -> Problem {
        Problem::internal(&error)
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Problem {
        Problem::internal(&error)
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Problem {
        Problem::internal(&error)
    }
}

/// Whether a caller may read one of some repositories, or there is none.
fn readable(caller: &Caller, repositories: &[String]) -> bool {
    let may = |name: &String| name.parse::<Name>().is_ok_and(|name| caller.may(Action::Read, Some(&name)));
    repositories.is_empty() || repositories.iter().any(may)
}

/// Runs work that waits for the disk on a thread that may; its errors are the server's.
pub(crate) async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, Problem>
where
    T: Send + 'static,
    E: std::error::Error + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Problem::internal(&error)),
        Err(error) => Err(Problem::internal(&error)),
    }
}
