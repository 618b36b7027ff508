//! API version 1 of `assay serve`: what a command asks the process that holds log and ledger.
//!
//! Each answer is a JSON object with `"version":1`; an error is `{"version":1,"error":{code,message,where,hint}}` and
//! becomes a [`Failure`] with the same words. Bundles are handed on unverified: `session` opens them.

mod read;

use attest::Claim;
use attest::predicate;
use model::lineage::{Direction, Edge, Node, NodeId};
use model::recipe::Artifact as Output;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use tokio::runtime::Handle;
use wire::digest::Digest;
use wire::dsse::Envelope;
use wire::oci_distribution::{Name, Reference};
use wire::sigstore_bundle::Bundle;

use super::address::Address;
use super::auth::Login;
use super::http::{Answer, Call, Http, Trouble};
use super::oci;
use crate::error::{Context as _, Failure, Result};
use crate::session::Artifact;

/// The largest answer that is read: a walk over 100 000 nodes, or a page of large bundles.
const ANSWER_MAX: usize = 192 << 20;
/// The largest answer of which only the error is wanted.
const ERROR_MAX: usize = 64 << 10;
/// Rows asked for at once; the server gives at most 500, and of bundles at most 100.
const PAGE: &str = "500";
/// Pages of one question; 100 000 statements about one digest are no service's.
const PAGES_MAX: usize = 1000;
/// Statements in one request, by number and by size: the server takes 256 and 32 MiB.
const STATEMENTS_A_REQUEST: usize = 64;
const REQUEST_MAX: usize = 24 << 20;

/// A server that keeps log and ledger.
pub(crate) struct Api {
    http: Http,
    token: Option<String>,
    runtime: Handle,
}

/// Who a server is.
#[derive(Clone, Debug)]
pub(crate) struct Info {
    /// Origin of its log.
    pub(crate) origin: String,
    /// Key of its log, as a note verifier key.
    pub(crate) log_key: String,
}

impl Api {
    /// Prepares to ask a server; nothing is sent. A token goes by plain HTTP to this machine only.
    pub(crate) fn new(url: &str, token: Option<&str>, runtime: Handle) -> Result<Api> {
        Api::at(Address::of_url(url)?, token, runtime)
    }

    /// The same, for an address.
    pub(crate) fn at(address: Address, token: Option<&str>, runtime: Handle) -> Result<Api> {
        if token.is_some() && address.is_exposed() {
            return Err(Failure::new(
                "token-exposed",
                format!("the token would go to {address} where others can read it"),
            )
            .hint("use https://, or a tunnel to 127.0.0.1"));
        }
        if token.is_some_and(|token| token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Failure::new("token", "the access token is empty or has characters that no token has")
                .hint("ASSAY_TOKEN=… or `--token …`, as `assay admin token create NAME --role ROLE` printed it"));
        }
        Ok(Api { http: Http::new(address)?, token: token.map(str::to_owned), runtime })
    }

    /// The server's address.
    pub(crate) fn address(&self) -> &Address {
        self.http.address()
    }

    /// Our login at the server's registry.
    pub(crate) fn login(&self) -> Option<Login> {
        self.token.as_deref().map(Login::of_token)
    }

    /// The token that the server gets.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Whether a server of ours answers there, whatever it lets us do.
    pub(crate) fn is_ours(&self) -> Result<bool> {
        let answer = self.send(&Call::new(Method::GET, self.url("/api/v1/server", &[])?), ERROR_MAX)?;
        Ok(serde_json::from_slice(&answer.body).is_ok_and(|body: Value| {
            body["version"] == 1 && (body["origin"].is_string() || body["error"]["code"].is_string())
        }))
    }

    /// Who the server is.
    pub(crate) fn info(&self) -> Result<Info> {
        let server = self.ask("/api/v1/server", &[])?;
        Ok(Info { origin: self.text(&server, "origin")?, log_key: self.text(&server, "log_key")? })
    }

    /// Logs envelopes. When it is done, they are durable and in the ledger.
    pub(crate) fn append(&self, envelopes: &[Envelope]) -> Result<Vec<Bundle>> {
        let envelopes = envelopes.iter().map(Envelope::to_json).collect();
        let answers = self.post("envelopes", envelopes, &[])?;
        let mut bundles = Vec::new();
        for answer in &answers {
            bundles.extend(self.bundles(answer)?);
        }
        Ok(bundles)
    }

    /// Publishes bundles of another log in a repository, unchanged. Returns the digests of envelopes that the server
    /// does not take: those which only itself may state.
    pub(crate) fn publish(&self, repository: &Name, bundles: &[Bundle]) -> Result<Vec<Digest>> {
        let bundles = bundles.iter().map(Bundle::to_json).collect();
        let answers = self.post("bundles", bundles, &[("repository", repository.as_str())])?;
        let skipped = answers.iter().flat_map(|answer| answer["skipped"].as_array().into_iter().flatten());
        skipped.map(|skipped| self.digest(skipped, "envelope")).collect()
    }

    fn post(&self, kind: &str, documents: Vec<Vec<u8>>, query: &[(&str, &str)]) -> Result<Vec<Value>> {
        let mut answers = Vec::new();
        for batch in batches(documents) {
            let documents: Vec<&str> = batch.iter().filter_map(|json| std::str::from_utf8(json).ok()).collect();
            let body = format!("{{\"{kind}\":[{}]}}", documents.join(",")).into_bytes();
            let call = Call::new(Method::POST, self.url("/api/v1/statements", query)?);
            let call = call.header(CONTENT_TYPE, "application/json").bytes(body);
            let answer = self.known(&call, ANSWER_MAX)?;
            answers.push(self.object(&answer)?);
        }
        Ok(answers)
    }

    /// Bundles of all statements about a digest, oldest first.
    pub(crate) fn about(&self, digest: &Digest) -> Result<Vec<Bundle>> {
        self.about_by(digest, None)
    }

    fn about_by(&self, digest: &Digest, kind: Option<&str>) -> Result<Vec<Bundle>> {
        let digest = digest.to_string();
        let mut query = vec![("digest", digest.as_str())];
        query.extend(kind.map(|kind| ("predicate", kind)));
        let mut bundles = Vec::new();
        for page in self.pages("/api/v1/statements", &query, "after")? {
            bundles.extend(self.bundles(&page)?);
        }
        Ok(bundles)
    }

    /// Bundles of the statements with a payload.
    pub(crate) fn by_payload(&self, payload: &Digest) -> Result<Vec<Bundle>> {
        match self.find(&format!("/api/v1/statements/{payload}"), &[])? {
            Some(answer) => self.bundles(&answer),
            None => Ok(Vec::new()),
        }
    }

    /// Bundles of all statements of a predicate type, newest first.
    pub(crate) fn by_predicate(&self, uri: &str) -> Result<Vec<Bundle>> {
        let mut bundles = Vec::new();
        for page in self.pages("/api/v1/statements", &[("predicate", uri)], "before")? {
            for row in self.list(&page, "statements")? {
                // The list names them only; by its envelope each is one statement.
                bundles.extend(self.by_payload(&self.digest(row, "envelope")?)?);
            }
        }
        Ok(bundles)
    }

    /// The edges at some nodes: those from them (back), or to them (forward).
    pub(crate) fn edges(&self, nodes: &[NodeId], direction: Direction) -> Result<Vec<Edge>> {
        let (_, mut edges, truncated) = self.lineage(nodes, direction)?;
        if truncated {
            return Err(Failure::new(
                "too-many",
                "the walk over the chain stopped at its limit before all edges were found",
            ));
        }
        edges.retain(|edge| match direction {
            Direction::Back => nodes.contains(&edge.from),
            Direction::Forward => nodes.contains(&edge.to),
        });
        Ok(edges)
    }

    /// The walk from a node: nodes nearest first, edges, and whether it stopped at a limit.
    pub(crate) fn walk(&self, start: &NodeId, direction: Direction) -> Result<(Vec<Node>, Vec<Edge>, bool)> {
        self.lineage(std::slice::from_ref(start), direction)
    }

    fn lineage(&self, start: &[NodeId], direction: Direction) -> Result<(Vec<Node>, Vec<Edge>, bool)> {
        let direction = match direction {
            Direction::Back => "back",
            Direction::Forward => "forward",
        };
        let mut query = vec![("direction", direction)];
        query.extend(start.iter().map(|id| ("start", id.as_str())));
        let answer = self.ask("/api/v1/lineage", &query)?;
        let nodes = self.rows(&answer, "nodes", read::node)?;
        let edges = self.rows(&answer, "edges", read::edge)?;
        Ok((nodes, edges, answer["truncated"].as_bool().unwrap_or(true)))
    }

    /// A node of the chain.
    pub(crate) fn node(&self, id: &NodeId) -> Result<Option<Node>> {
        // A name that others begin with comes first among them: the list is sorted by name.
        Ok(self.search(id.as_str())?.into_iter().find(|node| node.id == *id))
    }

    /// Nodes whose name or label begins with a text.
    pub(crate) fn search(&self, text: &str) -> Result<Vec<Node>> {
        let answer = self.ask("/api/v1/nodes", &[("q", text), ("n", PAGE)])?;
        self.rows(&answer, "nodes", read::node)
    }

    /// What the ledger knows of an artifact. Its configuration is left open: it would widen what counts as evidence
    /// by the server's word alone; the recipe that is named says it under a signature.
    pub(crate) fn artifact(&self, digest: &Digest) -> Result<Option<Artifact>> {
        let recipes = self.about_by(digest, Some(predicate::RECIPE))?;
        Ok(recipes.iter().rev().find_map(|bundle| {
            let (statement, recipe) = read::statement(bundle)?;
            let Ok(Claim::Recipe(claim)) = Claim::parse(&statement) else { return None };
            let output = claim.outputs.into_iter().find(|output: &Output| output.digest == *digest)?;
            Some(Artifact { digest: *digest, name: output.name, config: None, recipe })
        }))
    }

    /// Artifacts of a name, newest first, as [`Api::artifact`] has them.
    pub(crate) fn artifacts_named(&self, name: &str) -> Result<Vec<Artifact>> {
        let mut artifacts = Vec::new();
        for page in self.pages("/api/v1/artifacts", &[("name", name)], "before")? {
            for row in self.list(&page, "artifacts")? {
                artifacts.push(Artifact {
                    digest: self.digest(row, "digest")?,
                    name: self.text(row, "name")?,
                    config: None,
                    recipe: self.digest(row, "recipe")?,
                });
            }
        }
        Ok(artifacts)
    }

    /// Payload of the newest deployment of a service that went live.
    pub(crate) fn newest_live(&self, environment: &str, service: &str) -> Result<Option<Digest>> {
        let Some(answer) = self.find(&environment_path(environment), &[("n", "1")])? else { return Ok(None) };
        for shown in self.list(&answer, "services")? {
            if shown["service"] == service && shown["live"].is_object() {
                return self.digest(&shown["live"], "statement").map(Some);
            }
        }
        Ok(None)
    }

    /// Payloads of a service's deployments, newest first, failed ones too.
    pub(crate) fn deployments(&self, environment: &str, service: &str) -> Result<Vec<Digest>> {
        let mut payloads = Vec::new();
        let mut before: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("n", PAGE)];
            query.extend(before.as_deref().map(|before| ("before", before)));
            let Some(answer) = self.find(&environment_path(environment), &query)? else { break };
            let services = self.list(&answer, "services")?;
            let history = services.iter().find(|shown| shown["service"] == service).map(|shown| &shown["history"]);
            let rows = history.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for row in rows {
                payloads.push(self.digest(row, "statement")?);
            }
            let next = rows.last().filter(|_| rows.len().to_string() == PAGE).and_then(|row| row["index"].as_u64());
            before = next.map(|index| index.to_string());
            if before.is_none() {
                break;
            }
        }
        Ok(payloads)
    }

    /// What a tag points at.
    pub(crate) fn tag(&self, repository: &str, tag: &str) -> Result<Option<Digest>> {
        // What cannot be a repository or a tag is none.
        let (Ok(name), Ok(tag)) = (repository.parse::<Name>(), tag.parse()) else { return Ok(None) };
        let client = oci::Client::new(self.address().clone(), self.login(), self.runtime.clone())?;
        client.head(&name, &Reference::Tag(tag))
    }

    /// Digest of the newest policy on record under a name.
    pub(crate) fn newest_policy(&self, name: &str) -> Result<Option<Digest>> {
        for page in self.pages("/api/v1/statements", &[("predicate", predicate::POLICY)], "before")? {
            for row in self.list(&page, "statements")? {
                if row["subject"] != name {
                    continue;
                }
                let bundles = self.by_payload(&self.digest(row, "envelope")?)?;
                let claims = bundles.iter().filter_map(|bundle| Claim::parse(&read::statement(bundle)?.0).ok());
                for claim in claims {
                    if let Claim::Policy(policy) = claim {
                        return Ok(Some(policy.digest()));
                    }
                }
            }
        }
        Ok(None)
    }

    // Asking.

    /// All pages of a list; `turn` is the query's word for where the next one begins.
    fn pages(&self, path: &str, query: &[(&str, &str)], turn: &str) -> Result<Vec<Value>> {
        let mut pages = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query = query.to_vec();
            query.push(("n", PAGE));
            query.extend(next.as_deref().map(|next| (turn, next)));
            let Some(page) = self.find(path, &query)? else { return Ok(pages) };
            let following = page["next"].as_u64().map(|index| index.to_string());
            pages.push(page);
            if following.is_none() || following == next {
                return Ok(pages);
            }
            next = following;
        }
        Err(Failure::new("too-many", format!("{} has more than {PAGES_MAX} pages of `{path}`", self.address())))
    }

    fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        self.object(&self.known(&Call::new(Method::GET, self.url(path, query)?), ANSWER_MAX)?)
    }

    /// The answer; `None` when there is no such thing.
    fn find(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<Value>> {
        let answer = self.send(&Call::new(Method::GET, self.url(path, query)?), ANSWER_MAX)?;
        match answer.status {
            StatusCode::NOT_FOUND if read::is_not_found(&answer) => Ok(None),
            status if status.is_success() => self.object(&answer).map(Some),
            _ => Err(read::failure(self.address(), &answer)),
        }
    }

    /// An answer that is a success.
    fn known(&self, call: &Call, size_max: usize) -> Result<Answer> {
        let answer = self.send(call, size_max)?;
        if answer.status.is_success() { Ok(answer) } else { Err(read::failure(self.address(), &answer)) }
    }

    fn send(&self, call: &Call, size_max: usize) -> Result<Answer> {
        self.run(self.http.exchange(call, self.authorization().as_deref(), size_max))
    }

    fn run<T>(&self, work: impl Future<Output = std::result::Result<T, Trouble>>) -> Result<T> {
        self.runtime.block_on(work).map_err(|trouble| self.http.failure(trouble))
    }

    fn authorization(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("Bearer {token}"))
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url> {
        let mut url = self.address().at(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    // Reading.

    fn object(&self, answer: &Answer) -> Result<Value> {
        let doing = || format!("reading the answer of {} to `{}`", self.address(), answer.url.path());
        let value: Value = serde_json::from_slice(&answer.body).context("server-answer", doing())?;
        match value["version"].as_u64() {
            Some(1) => Ok(value),
            _ => Err(Failure::new("server-version", format!("{}: it is not of version 1", doing()))
                .hint("use the server's version of assay")),
        }
    }

    fn bundles(&self, answer: &Value) -> Result<Vec<Bundle>> {
        self.rows(answer, "statements", read::bundle)
    }

    fn rows<T>(&self, answer: &Value, list: &'static str, read: fn(&Value) -> Option<T>) -> Result<Vec<T>> {
        let malformed = || self.malformed(list);
        self.list(answer, list)?.iter().map(|row| read(row).ok_or_else(malformed)).collect()
    }

    fn list<'a>(&self, value: &'a Value, field: &'static str) -> Result<&'a [Value]> {
        value[field].as_array().map(Vec::as_slice).ok_or_else(|| self.malformed(field))
    }

    fn text(&self, value: &Value, field: &'static str) -> Result<String> {
        value[field].as_str().map(str::to_owned).ok_or_else(|| self.malformed(field))
    }

    fn digest(&self, value: &Value, field: &'static str) -> Result<Digest> {
        value[field].as_str().and_then(|text| text.parse().ok()).ok_or_else(|| self.malformed(field))
    }

    fn malformed(&self, field: &str) -> Failure {
        Failure::new("server-answer", format!("{} answered without a good `{field}`", self.address()))
            .hint("use the server's version of assay")
    }
}

fn environment_path(environment: &str) -> String {
    format!("/api/v1/environments/{}", read::path_part(environment))
}

/// Divides documents into requests.
fn batches(documents: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let mut batches: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut size = 0;
    for document in documents {
        let full = batches
            .last()
            .is_none_or(|batch| batch.len() == STATEMENTS_A_REQUEST || size + document.len() > REQUEST_MAX);
        if full {
            batches.push(Vec::new());
            size = 0;
        }
        size += document.len() + 1;
        if let Some(batch) = batches.last_mut() {
            batch.push(document);
        }
    }
    batches
}

#[cfg(test)]
mod tests;
