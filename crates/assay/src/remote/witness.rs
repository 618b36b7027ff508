//! The log's side of C2SP tlog-witness <https://c2sp.org/tlog-witness>: asking witnesses to cosign what is published.
//!
//! What a witness answers is checked with its key before it is kept. A witness that has seen more than there is here, or
//! another history, has caught an old copy or a fork: that is said loudly and never passed over.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode, Url};
use sign::cosignature::{Cosigned, CosignerKey};
use store::log::Reader;
use tlog::checkpoint::Checkpoint;
use tlog::quorum::Quorum;
use wire::note::{Note, Signature};
use wire::timestamp::Timestamp;
use wire::tlog_witness::{self, ADD_CHECKPOINT, ANSWER_MAX, AddCheckpoint, SIZE_TYPE};

use super::address::Address;
use super::http::{Answer, Call, Http, shown};
use crate::error::{Context as _, Failure, Result};

/// How often one witness is asked again from the size that it names.
const ROUNDS_MAX: usize = 4;

/// What came of asking one witness.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Its name in the policy.
    pub(crate) name: String,
    /// When it cosigned; or why it did not.
    pub(crate) outcome: Result<Timestamp>,
}

/// What came of asking all.
#[derive(Debug)]
pub(crate) struct Round {
    /// The checkpoint with the cosignatures that came.
    pub(crate) note: String,
    /// Its number of entries.
    pub(crate) size: u64,
    /// Each witness that has a URL.
    pub(crate) asked: Vec<Asked>,
}

/// Asks every witness of a policy that has a URL to cosign what a log has published.
pub(crate) async fn ask_all(quorum: &Quorum, log: &Reader) -> Result<Round> {
    let published = log.checkpoint();
    let mut note = Note::parse(&published).context("log", "reading the published checkpoint")?;
    let body = note.body.clone();
    let checkpoint = Checkpoint::parse(&body).context("log", "reading the published checkpoint")?;
    let mut asked = Vec::new();
    for witness in &quorum.policy().witnesses {
        let Some(url) = &witness.url else { continue };
        let key = CosignerKey::of(witness.key.clone()).context("witness", "reading a witness's key")?;
        let outcome = ask(url, &key, log, &Published { text: &published, body: &body, checkpoint: &checkpoint }).await;
        let outcome = outcome.map(|(line, at)| {
            note.signatures.push(line);
            at
        });
        asked.push(Asked { name: witness.name.clone(), outcome });
    }
    Ok(Round { note: note.to_string(), size: checkpoint.size, asked })
}

/// A published checkpoint in its three forms.
struct Published<'a> {
    text: &'a str,
    body: &'a str,
    checkpoint: &'a Checkpoint,
}

/// Asks one witness.
async fn ask(url: &str, key: &CosignerKey, log: &Reader, published: &Published<'_>) -> Result<(Signature, Timestamp)> {
    let (http, call) = way(url)?;
    let mut old = known(log, key)?;
    for _ in 0..ROUNDS_MAX {
        let request = log.extends(old, published.text).context("log", "proving that the log only grew")?;
        let Some(request) = request else { return Err(newer(key, old, published.checkpoint)) };
        let answer = post(&http, &call, &request).await?;
        match answer.status {
            StatusCode::OK => return cosignature(&answer, key, published),
            StatusCode::CONFLICT => {
                let stated =
                    answer.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == SIZE_TYPE.as_bytes());
                let seen = std::str::from_utf8(&answer.body).ok().and_then(tlog_witness::parse_size);
                old = seen.filter(|seen| stated && *seen != old).ok_or_else(|| unexpected(key, &answer))?;
            }
            StatusCode::UNPROCESSABLE_ENTITY => return Err(forked(key, &answer)),
            _ => return Err(unexpected(key, &answer)),
        }
    }
    Err(Failure::new("witness", format!("witness `{}` names another size at each request", key.name())))
}

/// The size that a witness cosigned last, as far as is known here.
fn known(log: &Reader, key: &CosignerKey) -> Result<u64> {
    let Some((text, checkpoint)) = log.cosigned().context("log", "reading the cosigned checkpoint")? else {
        return Ok(0);
    };
    let note = Note::parse(&text).context("log", "reading the cosigned checkpoint")?;
    Ok(if note.signatures.iter().any(|line| key.names(line)) { checkpoint.size } else { 0 })
}

/// The way to a witness, and the URL of its call: its submission prefix may have a path.
fn way(prefix: &str) -> Result<(Http, Url)> {
    let doing = || format!("reading the witness's address `{prefix}`");
    let call = Url::parse(&format!("{}{ADD_CHECKPOINT}", prefix.trim_end_matches('/'))).context("witness", doing())?;
    Ok((Http::new(Address::of_url(&call.origin().ascii_serialization())?)?, call))
}

async fn post(http: &Http, url: &Url, request: &AddCheckpoint) -> Result<Answer> {
    let call = Call::new(Method::POST, url.clone()).bytes(request.to_string().into_bytes());
    http.exchange(&call, None, ANSWER_MAX).await.map_err(|trouble| http.failure(trouble))
}

fn cosignature(answer: &Answer, key: &CosignerKey, published: &Published<'_>) -> Result<(Signature, Timestamp)> {
    let lines = std::str::from_utf8(&answer.body).ok().and_then(tlog_witness::parse_cosignatures);
    let line = lines.unwrap_or_default().into_iter().find(|line| key.names(line));
    let line = line.ok_or_else(|| unexpected(key, answer))?;
    let Checkpoint { origin, size, root } = published.checkpoint;
    let at = key
        .verify(&line, &Cosigned { body: published.body, origin, size: *size, root })
        .context("witness", format!("checking what witness `{}` answered", key.name()))?;
    Ok((line, at))
}

fn newer(key: &CosignerKey, seen: u64, checkpoint: &Checkpoint) -> Failure {
    let message = format!(
        "witness `{}` has cosigned {seen} entries of `{}`, and here are only {}: this is an old copy of the log",
        key.name(),
        checkpoint.origin,
        checkpoint.size
    );
    Failure::no("old-copy", message).hint("docs/runbooks/restored-backup.md")
}

fn forked(key: &CosignerKey, answer: &Answer) -> Failure {
    let message = format!(
        "witness `{}` has cosigned another history of this log: it was rewritten, or two copies were added to ({})",
        key.name(),
        shown(&answer.body)
    );
    Failure::no("forked", message).hint("docs/runbooks/restored-backup.md")
}

fn unexpected(key: &CosignerKey, answer: &Answer) -> Failure {
    let message = format!("witness `{}` answered {}: {}", key.name(), answer.status.as_u16(), shown(&answer.body));
    let hint = match answer.status {
        StatusCode::NOT_FOUND => "the witness does not follow this log: give its operator what `assay log key` prints",
        StatusCode::FORBIDDEN => {
            "the witness knows another key of this log: give its operator what `assay log key` prints"
        }
        _ => "ask the witness's operator",
    };
    Failure::new("witness", message).hint(hint)
}
