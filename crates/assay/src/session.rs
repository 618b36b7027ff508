//! What a command does with log and ledger, wherever they are: in the home, or behind the server that holds it.
//!
//! Blobs and trees are content-addressed files of the home in both cases. Statements are signed here, by the signer
//! process; who has the log's lock appends them.

use std::collections::BTreeSet;
use std::sync::Arc;

use attest::Attestation;
use attest::predicate::{self, Predicate};
use model::lineage::{Direction, Edge, Node, NodeId};
use model::recipe::ArtifactKind;
use policy::Refused;
use sign::trust::Trust;
use store::blobs::Blobs;
use store::durable::Disk;
use store::home::{self, HomeError};
use store::ledger::{ArtifactRow, LedgerError, Page, StatementRow};
use store::lock::{Holder, LockError};
use store::seal::Change;
use store::trees::Trees;
use wire::digest::Digest;
use wire::dsse::Envelope;
use wire::in_toto::Statement;
use wire::sigstore_bundle::{self, Bundle};
use wire::timestamp::Timestamp;

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::inputs::StoreInputs;
use crate::keys::{self, KeyName};
use crate::machine;
use crate::remote::api::Api;
use crate::remote::dated::Dated;
use crate::runs::Run;
use crate::signer::Signer;

mod opening;
mod revoked;

pub(crate) use opening::{amend, of_home, options, prepare};

use opening::{Pass, has_own_data, hold, is_complete, make, open_held};

/// How many rows one question may bring: more statements about one digest than a service gets in years.
const ROWS_MAX: usize = 1000;

/// An open home, for one command.
pub(crate) struct Session<'c> {
    context: &'c Context,
    trust: Arc<Trust>,
    inputs: StoreInputs,
    chain: Chain,
    /// Where files lie on their way into the store, when a server has the data directory's own place for that.
    _scratch: Option<Run>,
}

enum Chain {
    Local(store::home::Home),
    Remote(Api),
}

/// What the ledger knows of an output of a build.
#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    /// Digest of the file, or of the image's manifest.
    pub(crate) digest: Digest,
    /// Its name.
    pub(crate) name: String,
    /// For an image, digest of its configuration.
    pub(crate) config: Option<Digest>,
    /// Digest of the recipe statement's payload.
    pub(crate) recipe: Digest,
}

/// Attestations found, and what was found and could not be opened.
#[derive(Default)]
pub(crate) struct Found {
    /// Verified.
    pub(crate) attestations: Vec<Attestation>,
    /// Refused.
    pub(crate) refused: Vec<Refused>,
}

impl Extend<Found> for Found {
    fn extend<I: IntoIterator<Item = Found>>(&mut self, more: I) {
        for found in more {
            self.attestations.extend(found.attestations);
            self.refused.extend(found.refused);
        }
    }
}

/// A bundle, and when its signature is known to have existed: when it was logged as far as that is proven, or now.
struct Stored {
    bundle: Bundle,
    at: Timestamp,
}

fn received(statements: Vec<Dated>, trust: &Trust) -> Result<Vec<Stored>> {
    let now = machine::now()?;
    let stored = |dated: Dated| Stored { at: dated.proven(trust).unwrap_or(now), bundle: dated.bundle };
    Ok(statements.into_iter().map(stored).collect())
}

/// A walk with the labels of its nodes.
pub(crate) struct Walked {
    /// Nodes, nearest first.
    pub(crate) nodes: Vec<Node>,
    /// Edges between them.
    pub(crate) edges: Vec<Edge>,
    /// Whether it stopped at a limit.
    pub(crate) truncated: bool,
}

impl<'c> Session<'c> {
    /// Opens the home, made if need be; through the server that holds it, or that `--server` names. Where a file was
    /// changed since the home was closed, it is named and nothing else happens.
    pub(crate) fn open(context: &'c Context) -> Result<Session<'c>> {
        Ok(Session::open_passing(context, Pass::Nothing)?.0)
    }

    /// The same to make the derived tables again: a ledger that has changed is no obstacle.
    pub(crate) fn open_to_reindex(context: &'c Context) -> Result<Session<'c>> {
        Ok(Session::open_passing(context, Pass::Ledger)?.0)
    }

    /// The same whatever has changed; returns that, too. Closing seals only once `store::home::Home::accept` was called.
    pub(crate) fn open_to_accept(context: &'c Context) -> Result<(Session<'c>, Vec<Change>)> {
        Session::open_passing(context, Pass::Everything)
    }

    fn open_passing(context: &'c Context, pass: Pass) -> Result<(Session<'c>, Vec<Change>)> {
        let elsewhere = context.global.server.is_some() || !has_own_data(&context.home);
        let held = if elsewhere { None } else { hold(context)? };
        let changes = held.as_ref().map(|held| held.changes().to_vec()).unwrap_or_default();
        let trust = match &held {
            None => prepare(context)?,
            Some(held) => {
                let passes = pass == Pass::Everything || (pass == Pass::Ledger && held.only_ledger_changed());
                if !passes {
                    held.unchanged().map_err(|error| of_home("opening the data directory", error))?;
                }
                if changes.is_empty() && !is_complete(context) {
                    held.unseal().map_err(|error| of_home("opening the data directory", error))?;
                }
                make(context)?
            }
        };
        let trust = Arc::new(trust);
        if let Some(url) = &context.global.server {
            let session = Session::remote(context, trust, url, context.global.token.as_deref())?;
            return Ok((session, changes));
        }
        let options = options(&context.home, Arc::clone(&trust));
        let opened = context.runtime.block_on(open_held(held, &context.home.data(), &options, pass));
        let session = match opened {
            Ok(home) => {
                let inputs = StoreInputs { blobs: home.blobs().clone(), trees: home.trees().clone() };
                Session { context, trust, inputs, chain: Chain::Local(home), _scratch: None }
            }
            Err(HomeError::Lock(LockError::Held { holder: Holder { address: Some(url), .. }, .. })) => {
                let token = context.global.token.clone().or_else(|| keys::operator_token(&context.home));
                Session::remote(context, trust, &url, token.as_deref())?
            }
            Err(error @ HomeError::Ledger(_)) => {
                return Err(Failure { code: "ledger-damaged", ..of_home("opening the ledger", error) }
                    .hint("assay admin reindex"));
            }
            Err(error) => return Err(of_home("opening the data directory", error)),
        };
        Ok((session, changes))
    }

    fn remote(context: &'c Context, trust: Arc<Trust>, url: &str, token: Option<&str>) -> Result<Session<'c>> {
        let chain = Chain::Remote(Api::new(url, token, context.runtime.handle().clone())?);
        // A scratch directory of its own: the server empties the data directory's when it starts.
        let data = context.home.data();
        let scratch = Run::new(&context.home.runs())?;
        let disk = Disk::new(scratch.path().join("tmp"));
        let blobs = Blobs::new(data.join("blobs"), disk.clone());
        let trees = Trees::new(data.join("trees"), blobs.clone(), disk);
        Ok(Session { context, trust, inputs: StoreInputs { blobs, trees }, chain, _scratch: Some(scratch) })
    }

    /// Seals the home. A command that fails before it comes here seals it all the same, when the session is dropped.
    pub(crate) fn close(self) -> Result<()> {
        self.seal()
    }

    fn seal(&self) -> Result<()> {
        match &self.chain {
            Chain::Local(home) => self
                .context
                .runtime
                .block_on(home.close())
                .map_err(|error| of_home("sealing the data directory", error)),
            Chain::Remote(_) => Ok(()),
        }
    }

    /// The command's world.
    pub(crate) fn context(&self) -> &'c Context {
        self.context
    }

    /// Whose statements count.
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Blobs and trees.
    pub(crate) fn inputs(&self) -> &StoreInputs {
        &self.inputs
    }

    /// The open data directory, when this process holds it.
    pub(crate) fn local(&self) -> Option<&home::Home> {
        match &self.chain {
            Chain::Local(home) => Some(home),
            Chain::Remote(_) => None,
        }
    }

    /// The server, when another process holds the data directory.
    pub(crate) fn server(&self) -> Option<&Api> {
        match &self.chain {
            Chain::Local(_) => None,
            Chain::Remote(api) => Some(api),
        }
    }

    /// Signs statements with one key and logs them. Returns the digests of their payloads once they are durable.
    pub(crate) fn record(&mut self, key: KeyName, statements: &[Statement]) -> Result<Vec<Digest>> {
        let mut signer = Signer::start(&self.context.home, key)?;
        let envelopes = statements.iter().map(|statement| signer.sign(statement)).collect::<Result<Vec<_>>>()?;
        drop(signer);
        let payloads = envelopes.iter().map(|envelope| Digest::of(&envelope.payload)).collect();
        self.append(envelopes)?;
        Ok(payloads)
    }

    /// Logs envelopes that are signed.
    pub(crate) fn append(&self, envelopes: Vec<Envelope>) -> Result<()> {
        match &self.chain {
            Chain::Local(home) => {
                let now = machine::now()?;
                let receipts = self.context.runtime.block_on(home.append(envelopes, now));
                receipts.map(drop).map_err(|error| of_home("logging statements", error))
            }
            Chain::Remote(api) => api.append(&envelopes).map(drop),
        }
    }

    /// Bundles of all statements about some digests.
    pub(crate) fn about_bundles(&self, digests: &[Digest]) -> Result<Vec<Bundle>> {
        Ok(self.about_stored(digests)?.into_iter().map(|stored| stored.bundle).collect())
    }

    fn about_stored(&self, digests: &[Digest]) -> Result<Vec<Stored>> {
        let mut bundles = Vec::new();
        for digest in digests {
            match &self.chain {
                Chain::Local(home) => {
                    let rows = self.ask(home.ledger().statements_about(digest, None, &Page::first(ROWS_MAX)))?;
                    bundles.extend(self.bundles(home, &rows)?);
                }
                Chain::Remote(api) => bundles.extend(received(api.about(digest)?, &self.trust)?),
            }
        }
        Ok(bundles)
    }

    /// All statements about some digests.
    pub(crate) fn about(&self, digests: &[Digest]) -> Result<Found> {
        self.opened(&self.about_stored(digests)?)
    }

    /// The statements with a payload: several, when several signed it.
    pub(crate) fn by_payload(&self, payload: &Digest) -> Result<Found> {
        self.by_payloads(std::slice::from_ref(payload))
    }

    /// The statements with some payloads, in the order asked for, each payload once.
    fn by_payloads(&self, payloads: &[Digest]) -> Result<Found> {
        let mut seen = BTreeSet::new();
        let payloads: Vec<Digest> = payloads.iter().filter(|payload| seen.insert(**payload)).copied().collect();
        match &self.chain {
            Chain::Local(home) => {
                let mut found = Found::default();
                for payload in &payloads {
                    let rows = self.ask(home.ledger().statements_by_payload(payload))?;
                    found.extend([self.opened(&self.bundles(home, &rows)?)?]);
                }
                Ok(found)
            }
            Chain::Remote(api) => self.opened(&received(api.by_payloads(&payloads)?, &self.trust)?),
        }
    }

    /// Reference records for an artifact of a name.
    pub(crate) fn references(&self, name: &str) -> Result<Found> {
        let mut found = match &self.chain {
            Chain::Local(home) => {
                let page = Page::first(ROWS_MAX);
                let rows = self.ask(home.ledger().newest_statements(Some(predicate::REFERENCE), &page))?;
                self.opened(&self.bundles(home, &rows)?)?
            }
            Chain::Remote(api) => self.opened(&received(api.by_predicate(predicate::REFERENCE)?, &self.trust)?)?,
        };
        found.attestations.retain(|attestation| match attestation.claim() {
            attest::Claim::Reference(reference) => reference.artifact == name,
            _ => false,
        });
        found.refused.clear();
        Ok(found)
    }

    /// The recipes of a source tree, newest first.
    pub(crate) fn recipes_of(&self, source: &Digest) -> Result<Vec<Attestation>> {
        self.children(&NodeId::digest(source), Predicate::Recipe)
    }

    /// The runs of a recipe, newest first.
    pub(crate) fn runs_of(&self, recipe: &Digest) -> Result<Vec<Attestation>> {
        self.children(&NodeId::digest(recipe), Predicate::Run)
    }

    /// The comparisons whose first build is of a recipe, newest first.
    pub(crate) fn comparisons_of(&self, recipe: &Digest) -> Result<Vec<Attestation>> {
        self.children(&NodeId::digest(recipe), Predicate::Rebuilt)
    }

    /// Statements of one kind whose facts lead directly to a node, newest first.
    fn children(&self, node: &NodeId, wanted: Predicate) -> Result<Vec<Attestation>> {
        let edges = match &self.chain {
            Chain::Local(home) => self.ask(home.ledger().edges(std::slice::from_ref(node), Direction::Forward))?,
            Chain::Remote(api) => api.edges(std::slice::from_ref(node), Direction::Forward)?,
        };
        let mut payloads: Vec<Digest> = edges.iter().filter_map(|edge| edge.from.as_str().parse().ok()).collect();
        payloads.sort();
        payloads.dedup();
        let mut found = self.by_payloads(&payloads)?.attestations;
        found.retain(|attestation| attestation.claim().predicate() == Some(wanted));
        found.sort_by_key(|attestation| std::cmp::Reverse(attestation.logged().map(tlog::Logged::index)));
        Ok(found)
    }

    /// What the ledger knows of an artifact.
    pub(crate) fn artifact(&self, digest: &Digest) -> Result<Option<Artifact>> {
        match &self.chain {
            Chain::Local(home) => match self.ask(home.ledger().artifact(digest))? {
                Some(row) => self.with_config(of_row(row)).map(Some),
                None => Ok(None),
            },
            Chain::Remote(api) => match api.artifact(digest)? {
                Some(artifact) => self.with_config(artifact).map(Some),
                None => Ok(None),
            },
        }
    }

    /// The recipes of all artifacts of a name, newest first.
    pub(crate) fn recipes_named(&self, name: &str) -> Result<Found> {
        let recipes: Vec<Digest> = self.artifacts_named(name, ROWS_MAX)?.iter().map(|known| known.recipe).collect();
        self.by_payloads(&recipes)
    }

    /// The newest artifact of a name.
    pub(crate) fn newest_artifact(&self, name: &str) -> Result<Option<Artifact>> {
        let newest = self.artifacts_named(name, 1)?.into_iter().next();
        newest.map(|artifact| self.with_config(artifact)).transpose()
    }

    fn artifacts_named(&self, name: &str, count: usize) -> Result<Vec<Artifact>> {
        match &self.chain {
            Chain::Local(home) => {
                let rows = self.ask(home.ledger().artifacts_by_name(name, &Page::first(count)))?;
                Ok(rows.into_iter().map(of_row).collect())
            }
            Chain::Remote(api) => api.artifacts_named(name, count),
        }
    }

    /// Fills in an image's configuration digest, on the word of its verified recipe and of nobody else.
    fn with_config(&self, mut artifact: Artifact) -> Result<Artifact> {
        let recipes = self.by_payload(&artifact.recipe)?;
        let outputs = recipes.attestations.iter().filter_map(|attestation| match attestation.claim() {
            attest::Claim::Recipe(recipe) => Some(recipe.outputs.iter()),
            _ => None,
        });
        let own = outputs.flatten().find(|output| output.digest == artifact.digest);
        artifact.config = own.and_then(|output| match &output.kind {
            ArtifactKind::Image { config, .. } => Some(*config),
            ArtifactKind::File => None,
        });
        Ok(artifact)
    }

    /// What a tag points at.
    pub(crate) fn tag(&self, repository: &str, tag: &str) -> Result<Option<Digest>> {
        match &self.chain {
            Chain::Local(home) => Ok(self.ask(home.ledger().tag(repository, tag))?.map(|row| row.digest)),
            Chain::Remote(api) => api.tag(repository, tag),
        }
    }

    /// The newest deployment of a service that went live.
    pub(crate) fn newest_live(&self, environment: &str, service: &str) -> Result<Option<Attestation>> {
        let payload = match &self.chain {
            Chain::Local(home) => self.ask(home.ledger().newest_live(environment, service))?.map(|row| row.payload),
            Chain::Remote(api) => api.newest_live(environment, service)?,
        };
        match payload {
            Some(payload) => Ok(self.authorised(&[payload])?.into_iter().next()),
            None => Ok(None),
        }
    }

    /// Deployments of a service, newest first, failed ones too.
    pub(crate) fn deployments(&self, environment: &str, service: &str) -> Result<Vec<Attestation>> {
        let payloads: Vec<Digest> = match &self.chain {
            Chain::Local(home) => {
                let rows = self.ask(home.ledger().deployments(environment, service, &Page::first(ROWS_MAX)))?;
                rows.into_iter().map(|row| row.payload).collect()
            }
            Chain::Remote(api) => api.deployments(environment, service)?,
        };
        self.authorised(&payloads)
    }

    /// The statements that the ledger's derived rows rest on: they must verify again here, or it is an error.
    fn authorised(&self, payloads: &[Digest]) -> Result<Vec<Attestation>> {
        let found = self.by_payloads(payloads)?;
        if let Some(refused) = found.refused.first() {
            return Err(Failure::new(
                "statement-refused",
                format!("a statement that the ledger rests on, {}: {}", refused.what, refused.reason),
            )
            .hint("assay admin fsck"));
        }
        Ok(found.attestations.into_iter().filter(Attestation::authorised).collect())
    }

    /// Digest of the newest policy on record under a name.
    pub(crate) fn newest_policy(&self, name: &str) -> Result<Option<Digest>> {
        match &self.chain {
            Chain::Local(home) => Ok(self.ask(home.ledger().newest_policy(name))?.map(|row| row.digest)),
            Chain::Remote(api) => api.newest_policy(name),
        }
    }

    /// Whether the chain has a node.
    pub(crate) fn knows(&self, node: &NodeId) -> Result<bool> {
        match &self.chain {
            Chain::Local(home) => Ok(!self.ask(home.ledger().nodes(std::slice::from_ref(node)))?.is_empty()),
            Chain::Remote(api) => Ok(api.node(node)?.is_some()),
        }
    }

    /// Log entries about a digest that came without what was signed, the first of them: `index`, `key_id`, `kind`, `logged`.
    pub(crate) fn entries_without_payload(&self, digest: &Digest) -> Result<Vec<serde_json::Value>> {
        match &self.chain {
            Chain::Local(home) => {
                let rows = self.ask(home.ledger().bare_entries_about(digest, &Page::first(ROWS_MAX)))?;
                let row = |row: &store::ledger::BareEntryRow| serde_json::json!({"index": row.index, "key_id": row.key_id, "kind": row.kind, "logged": row.logged});
                Ok(rows.iter().map(row).collect())
            }
            Chain::Remote(api) => api.entries_without_payload(digest),
        }
    }

    /// Nodes whose name or label begins with a text.
    pub(crate) fn search(&self, text: &str) -> Result<Vec<Node>> {
        match &self.chain {
            Chain::Local(home) => self.ask(home.ledger().search(text, ROWS_MAX)),
            Chain::Remote(api) => api.search(text),
        }
    }

    /// Walks the chain from a node.
    pub(crate) fn walk(&self, start: NodeId, direction: Direction) -> Result<Walked> {
        match &self.chain {
            Chain::Local(home) => {
                let walk = self.ask(home.ledger().walk(vec![start], direction))?;
                let nodes = self.ask(home.ledger().nodes(walk.ids()))?;
                Ok(Walked { nodes, edges: walk.edges(), truncated: walk.truncated() })
            }
            Chain::Remote(api) => {
                let (nodes, edges, truncated) = api.walk(&start, direction)?;
                Ok(Walked { nodes, edges, truncated })
            }
        }
    }

    fn ask<T>(&self, question: impl Future<Output = std::result::Result<T, LedgerError>>) -> Result<T> {
        self.context
            .runtime
            .block_on(question)
            .map_err(|error| Failure::new("ledger", "asking the ledger").because(&error).hint("assay admin reindex"))
    }

    fn bundles(&self, home: &home::Home, rows: &[StatementRow]) -> Result<Vec<Stored>> {
        rows.iter()
            .map(|row| {
                let bundle = self.context.runtime.block_on(home.bundle(row));
                let bundle = bundle.map_err(|error| of_home(&format!("reading statement {}", row.payload), error))?;
                Ok(Stored { bundle, at: row.logged })
            })
            .collect()
    }

    /// Verifies bundles; what does not verify is kept with the reason.
    fn opened(&self, stored: &[Stored]) -> Result<Found> {
        let mut found = Found::default();
        let certified = stored.iter().any(|one| is_certified(&one.bundle));
        let trust = if certified { self.trust_with_revocations()? } else { Arc::clone(&self.trust) };
        for Stored { bundle, at } in stored {
            match attest::open(bundle, &trust, *at) {
                Ok(attestation) => found.attestations.push(attestation),
                Err(error) => {
                    let reason = Failure::new("bundle", "not accepted").because(&error).to_string();
                    found.refused.push(Refused { what: Digest::of(&bundle.to_json()).to_string(), reason });
                }
            }
        }
        Ok(found)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let _told = self.seal(); // closing twice does nothing, and a failure here was told by what failed before
    }
}

fn is_certified(bundle: &Bundle) -> bool {
    matches!(bundle.verification_material.signer, sigstore_bundle::Signer::Certificate(_))
}

fn of_row(row: ArtifactRow) -> Artifact {
    Artifact { digest: row.digest, name: row.name, config: None, recipe: row.recipe }
}
