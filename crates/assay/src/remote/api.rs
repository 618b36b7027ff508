//! API version 1 of `assay serve`: what a command asks the process that holds log and ledger.
//!
//! Each answer is a JSON object with `"version":1`; an error is `{"version":1,"error":{code,message,where,hint}}` and
//! becomes a [`Failure`] with the same words. Bundles are handed on unverified: `session` opens them.

mod read;
mod tokens;

pub(crate) use tokens::Granted;

use model::lineage::{Direction, Edge, Node, NodeId};
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
use super::dated::Dated;
use super::http::{Answer, Call, Http, Trouble};
use super::oci;
use crate::error::{Context as _, Failure, Result};
use crate::session::Artifact;

/// The largest answer that is read: a walk over 100 000 nodes, or a page of large bundles.
const ANSWER_MAX: usize = 192 << 20;
/// The largest answer of which only the error is wanted.
const ERROR_MAX: usize = 64 << 10;
/// Rows of one question, as many as a session asks a ledger of its own for; also the most that the server gives at once.
const ROWS_MAX: usize = 1000;
/// Pages of one question: large statements make short pages.
const PAGES_MAX: usize = 1000;
/// [`ROWS_MAX`], as it stands in a query.
const PAGE: &str = "1000";
/// Payloads that one request may name; the server takes no more.
const PAYLOADS_A_REQUEST: usize = 64;
/// Nodes whose edges one request may ask for; the server takes no more.
const NODES_A_REQUEST: usize = 64;
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
    pub(crate) fn append(&self, envelopes: &[Envelope]) -> Result<()> {
        self.post("envelopes", envelopes.iter().map(Envelope::to_json).collect(), &[]).map(drop)
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

    /// All statements about a digest, oldest first.
    pub(crate) fn about(&self, digest: &Digest) -> Result<Vec<Dated>> {
        let digest = digest.to_string();
        self.statements(&[("digest", digest.as_str())], "after")
    }

    /// The statements with some payloads, in the order asked for.
    pub(crate) fn by_payloads(&self, payloads: &[Digest]) -> Result<Vec<Dated>> {
        let mut statements = Vec::new();
        for payloads in payloads.chunks(PAYLOADS_A_REQUEST) {
            let texts: Vec<String> = payloads.iter().map(Digest::to_string).collect();
            let query: Vec<(&str, &str)> = texts.iter().map(|text| ("payload", text.as_str())).collect();
            let mut found = self.statements(&query, "after")?;
            let place = |dated: &Dated| {
                let payload = read::statement(&dated.bundle).map(|(_, payload)| payload);
                payloads.iter().position(|wanted| payload == Some(*wanted))
            };
            found.retain(|dated| place(dated).is_some()); // a server may answer with what nobody asked for
            found.sort_by_key(place); // stable: several signers of one payload stay in the log's order
            statements.extend(found);
        }
        Ok(statements)
    }

    /// All statements of a predicate type, newest first.
    pub(crate) fn by_predicate(&self, uri: &str) -> Result<Vec<Dated>> {
        self.statements(&[("predicate", uri), ("bundles", "true")], "before")
    }

    fn statements(&self, query: &[(&str, &str)], turn: &str) -> Result<Vec<Dated>> {
        let mut statements = Vec::new();
        for page in self.pages("/api/v1/statements", query, turn)? {
            statements.extend(self.rows(&page, "statements", Dated::read)?);
        }
        statements.truncate(ROWS_MAX);
        Ok(statements)
    }

    /// The edges at some nodes: those from them (back), or to them (forward).
    pub(crate) fn edges(&self, nodes: &[NodeId], direction: Direction) -> Result<Vec<Edge>> {
        let mut edges = Vec::new();
        for nodes in nodes.chunks(NODES_A_REQUEST) {
            let mut query = vec![("direction", word(direction))];
            query.extend(nodes.iter().map(|id| ("node", id.as_str())));
            let mut next: Option<String> = None;
            for _ in 0..PAGES_MAX {
                let mut query = query.clone();
                query.push(("n", PAGE));
                query.extend(next.as_deref().map(|next| ("after", next)));
                let page = self.ask("/api/v1/edges", &query)?;
                edges.extend(self.rows(&page, "edges", read::edge)?);
                next = page["next"].as_str().map(str::to_owned);
                if next.is_none() {
                    break;
                }
            }
            if next.is_some() {
                return Err(self.endless("/api/v1/edges"));
            }
        }
        edges.sort_unstable();
        Ok(edges)
    }

    /// The walk from a node: nodes nearest first, edges, and whether it stopped at a limit.
    pub(crate) fn walk(&self, start: &NodeId, direction: Direction) -> Result<(Vec<Node>, Vec<Edge>, bool)> {
        let query = [("direction", word(direction)), ("start", start.as_str())];
        let answer = self.ask("/api/v1/lineage", &query)?;
        let nodes = self.rows(&answer, "nodes", read::node)?;
        let edges = self.rows(&answer, "edges", read::edge)?;
        Ok((nodes, edges, answer["truncated"].as_bool().unwrap_or(true)))
    }

    /// A node of the chain.
    pub(crate) fn node(&self, id: &NodeId) -> Result<Option<Node>> {
        let answer = self.ask("/api/v1/nodes", &[("id", id.as_str())])?;
        Ok(self.rows(&answer, "nodes", read::node)?.into_iter().find(|node| node.id == *id))
    }

    /// Log entries about a digest that came without what was signed. Their fields are shown as they came.
    pub(crate) fn entries_without_payload(&self, digest: &Digest) -> Result<Vec<Value>> {
        let answer = self.ask("/api/v1/statements", &[("digest", &digest.to_string()), ("n", PAGE)])?;
        // A server of an earlier program has no such field, and no such entries.
        Ok(answer.get("without_payload").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Nodes whose name or label begins with a text.
    pub(crate) fn search(&self, text: &str) -> Result<Vec<Node>> {
        let answer = self.ask("/api/v1/nodes", &[("q", text), ("n", PAGE)])?;
        self.rows(&answer, "nodes", read::node)
    }

    /// What the ledger knows of an artifact. Its configuration is left open: it would widen what counts as evidence
    /// by the server's word alone; the recipe that is named says it under a signature.
    pub(crate) fn artifact(&self, digest: &Digest) -> Result<Option<Artifact>> {
        let Some(answer) = self.find(&format!("/api/v1/artifacts/{digest}"), &[])? else { return Ok(None) };
        let artifact = self.of_row(&answer["artifact"])?;
        match artifact.digest == *digest {
            true => Ok(Some(artifact)),
            false => Err(self.malformed("digest")),
        }
    }

    /// The newest artifacts of a name, newest first, as [`Api::artifact`] has them.
    pub(crate) fn artifacts_named(&self, name: &str, count: usize) -> Result<Vec<Artifact>> {
        let answer = self.ask("/api/v1/artifacts", &[("name", name), ("n", &count.min(ROWS_MAX).to_string())])?;
        self.list(&answer, "artifacts")?.iter().map(|row| self.of_row(row)).collect()
    }

    fn of_row(&self, row: &Value) -> Result<Artifact> {
        Ok(Artifact {
            digest: self.digest(row, "digest")?,
            name: self.text(row, "name")?,
            config: None,
            recipe: self.digest(row, "recipe")?,
        })
    }

    /// Payload of the newest deployment of a service that went live.
    pub(crate) fn newest_live(&self, environment: &str, service: &str) -> Result<Option<Digest>> {
        let shown = self.service(environment, service, "1")?;
        match shown.filter(|shown| shown["live"].is_object()) {
            Some(shown) => self.digest(&shown["live"], "statement").map(Some),
            None => Ok(None),
        }
    }

    /// Payloads of a service's deployments, newest first, failed ones too.
    pub(crate) fn deployments(&self, environment: &str, service: &str) -> Result<Vec<Digest>> {
        let Some(shown) = self.service(environment, service, PAGE)? else { return Ok(Vec::new()) };
        self.list(&shown, "history")?.iter().map(|row| self.digest(row, "statement")).collect()
    }

    fn service(&self, environment: &str, service: &str, count: &str) -> Result<Option<Value>> {
        let path = format!("/api/v1/environments/{}", read::path_part(environment));
        let Some(answer) = self.find(&path, &[("service", service), ("n", count)])? else { return Ok(None) };
        Ok(self.list(&answer, "services")?.iter().find(|shown| shown["service"] == service).cloned())
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
        match self.find(&format!("/api/v1/policies/{}", read::path_part(name)), &[])? {
            Some(answer) => self.digest(&answer["policy"], "digest").map(Some),
            None => Ok(None),
        }
    }

    // Asking.

    /// The pages of a list, up to [`ROWS_MAX`] rows; `turn` is the query's word for where the next one begins.
    fn pages(&self, path: &str, query: &[(&str, &str)], turn: &str) -> Result<Vec<Value>> {
        let mut pages = Vec::new();
        let mut rows = 0;
        let mut next: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query = query.to_vec();
            query.push(("n", PAGE));
            query.extend(next.as_deref().map(|next| (turn, next)));
            let Some(page) = self.find(path, &query)? else { return Ok(pages) };
            rows += self.list(&page, "statements")?.len();
            next = page["next"].as_u64().map(|next| next.to_string());
            pages.push(page);
            if next.is_none() || rows >= ROWS_MAX {
                return Ok(pages);
            }
        }
        Err(self.endless(path))
    }

    fn endless(&self, path: &str) -> Failure {
        Failure::new("server-answer", format!("{} has no end of pages of `{path}`", self.address()))
            .hint("use the server's version of assay")
    }

    fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        self.object(&self.known(&Call::new(Method::GET, self.url(path, query)?), ANSWER_MAX)?)
    }

    /// The answer; `None` when there is no such thing.
    fn find(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<Value>> {
        self.present(&self.send(&Call::new(Method::GET, self.url(path, query)?), ANSWER_MAX)?)
    }

    fn present(&self, answer: &Answer) -> Result<Option<Value>> {
        match answer.status {
            StatusCode::NOT_FOUND if read::is_not_found(answer) => Ok(None),
            status if status.is_success() => self.object(answer).map(Some),
            _ => Err(read::failure(self.address(), answer)),
        }
    }

    /// The bytes at a path of the server, of at most `size_max`.
    pub(crate) fn bytes(&self, path: &str, size_max: usize) -> Result<Vec<u8>> {
        Ok(self.known(&Call::new(Method::GET, self.url(path, &[])?), size_max)?.body)
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

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Back => "back",
        Direction::Forward => "forward",
    }
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
