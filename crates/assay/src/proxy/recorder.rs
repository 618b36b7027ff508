//! Answers from the network, each kept in the store; what could not be answered again is noted, with its address.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use build::inputs::Inputs;
use hyper::Method;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap, USER_AGENT};
use inspect::lock_file::record::Answer;
use reqwest::{Client, Response};
use wire::digest::Digest;

use super::{Answers, Question, Reply, accepted};

/// The largest body that is kept; it passes through memory.
const BODY_MAX: u64 = 1 << 30;

/// How many answers one command may get.
const ANSWERS_MAX: usize = 50_000;

/// How many refusals are told.
const REFUSALS_MAX: usize = 100;

/// Statuses that mean the same when they are told again.
fn is_kept(status: u16) -> bool {
    matches!(status, 200 | 301 | 302 | 303 | 307 | 308)
        || ((400..500).contains(&status) && ![408, 425, 429].contains(&status))
}

/// The network, and what it answered.
pub(crate) struct Recorder<'a> {
    client: Client,
    inputs: &'a dyn Inputs,
    answers: Mutex<BTreeMap<(String, Option<String>), Answer>>,
    refused: Mutex<Vec<String>>,
}

impl<'a> Recorder<'a> {
    /// Asks with `client`, which follows no redirect by itself.
    pub(crate) fn new(client: Client, inputs: &'a dyn Inputs) -> Recorder<'a> {
        Recorder { client, inputs, answers: Mutex::default(), refused: Mutex::default() }
    }

    /// Returns what was answered, or why not all of it can be answered again, a line for each.
    pub(crate) fn finish(self) -> Result<Vec<Answer>, Vec<String>> {
        let refused = self.refused.into_inner().unwrap_or_else(PoisonError::into_inner);
        match refused.is_empty() {
            true => Ok(self.answers.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()),
            false => Err(refused),
        }
    }

    fn refuse(&self, question: &Question, status: u16, reason: &str) -> Reply {
        let (method, url) = (&question.method, &question.url);
        let line = format!("{method} {url}, asked by {}: {reason}", client_of(&question.headers));
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < REFUSALS_MAX && !refused.contains(&line) {
            refused.push(line.clone());
        }
        Reply::refusal(status, &line)
    }

    async fn ask(&self, question: &Question) -> Reply {
        if ![Method::GET, Method::HEAD].contains(&question.method) {
            return self.refuse(
                question,
                405,
                "what is sent to a server cannot be answered again: only GET and HEAD can",
            );
        }
        if question.headers.contains_key(AUTHORIZATION) || question.headers.contains_key(COOKIE) {
            return self.refuse(question, 403, "it carries a secret, and what is recorded must be had without one");
        }
        let mut request = self.client.get(&question.url);
        if let Some(accept) = accepted(&question.headers) {
            request = request.header("accept", accept);
        }
        match request.send().await {
            Ok(response) => self.keep(question, response).await,
            // Tools try several addresses: one that is not there is no fault of the record.
            Err(error) => Reply::refusal(502, &format!("{} cannot be reached: {error}", question.url)),
        }
    }

    async fn keep(&self, question: &Question, response: Response) -> Reply {
        let status = response.status().as_u16();
        if !is_kept(status) {
            let reason = match status {
                206 => "the server answered with a part of the file (206)".to_owned(),
                status => format!("the server answered with status {status}, which may be another the next time"),
            };
            return self.refuse(question, 502, &reason);
        }
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (location, media_type, encoding) = (header("location"), header("content-type"), header("content-encoding"));
        // Of a redirect or an error, the words do not count; with them, most servers' answers would differ each time.
        let (body, digest) = match status {
            200 => match self.body(response).await {
                Ok((body, digest)) => (body, Some(digest)),
                Err(reason) => return self.refuse(question, 502, &reason),
            },
            _ => (Vec::new(), None),
        };
        let answer = Answer {
            url: question.url.clone(),
            accept: accepted(&question.headers),
            status,
            location: location.clone(),
            media_type: media_type.clone().filter(|_| status == 200),
            encoding: encoding.clone(),
            digest,
            size: body.len() as u64,
            line: 0,
        };
        if let Some(reason) = self.note(answer) {
            return self.refuse(question, 502, &reason);
        }
        Reply { status, location, media_type, encoding, body }
    }

    /// Reads the whole body and keeps it; the error says why not.
    async fn body(&self, mut response: Response) -> Result<(Vec<u8>, Digest), String> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if (body.len() + chunk.len()) as u64 <= BODY_MAX => body.extend_from_slice(&chunk),
                Ok(Some(_)) => return Err(format!("it has more than {BODY_MAX} bytes")),
                Ok(None) => break,
                Err(error) => return Err(format!("its body was cut off ({error})")),
            }
        }
        let kept = self.inputs.put(&mut body.as_slice(), None);
        kept.map(|digest| (body, digest)).map_err(|error| format!("it could not be kept ({error})"))
    }

    /// Notes an answer; returns why it cannot be.
    fn note(&self, answer: Answer) -> Option<String> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (answer.url.clone(), answer.accept.clone());
        match answers.get(&key) {
            Some(held) if held.digest != answer.digest || held.status != answer.status => {
                let text = |answer: &Answer| match &answer.digest {
                    Some(digest) => digest.to_string(),
                    None => format!("status {}", answer.status),
                };
                Some(format!("it was answered twice, and not the same: {}, then {}", text(held), text(&answer)))
            }
            Some(_) => None,
            None if answers.len() >= ANSWERS_MAX => Some(format!("more than {ANSWERS_MAX} answers")),
            None => {
                answers.insert(key, answer);
                None
            }
        }
    }
}

/// How a client calls itself.
fn client_of(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).filter(|agent| !agent.is_empty());
    agent.map_or_else(|| "a client that gives no name".to_owned(), |agent| format!("`{}`", agent.escape_debug()))
}

impl Answers for Recorder<'_> {
    fn answer<'a>(&'a self, question: Question) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        Box::pin(async move { self.ask(&question).await })
    }
}

#[cfg(test)]
mod tests;
