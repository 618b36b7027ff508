//! Answers from a tree of recorded answers, and from nothing else.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use build::ecosystem::recorded::{BODIES, FILE};
use hyper::Method;
use inspect::lock_file::record::{self, Answer};

use super::{Answers, Question, Reply, accepted};
use crate::error::{Context as _, Result};

/// The answers of a tree.
pub(crate) struct Replayer {
    tree: PathBuf,
    answers: BTreeMap<(String, Option<String>), Answer>,
}

impl Replayer {
    /// Reads the record of a tree in the store.
    pub(crate) fn new(tree: &Path) -> Result<Replayer> {
        let path = tree.join(FILE);
        let bytes = std::fs::read(&path).context("store", format!("reading `{}`", path.display()))?;
        let record = record::record(FILE, &bytes).context("store", format!("reading `{}`", path.display()))?;
        let answers = record.answers.into_iter().map(|answer| ((answer.url.clone(), answer.accept.clone()), answer));
        Ok(Replayer { tree: tree.to_owned(), answers: answers.collect() })
    }

    fn reply(&self, question: &Question) -> Reply {
        let url = &question.url;
        if ![Method::GET, Method::HEAD].contains(&question.method) {
            return Reply::refusal(405, "a step has no network, and only GET and HEAD were recorded");
        }
        let exact = self.answers.get(&(url.clone(), accepted(&question.headers)));
        // A client of another version may say another list of what it takes: where only one answer is known, it is that.
        let any = || {
            let mut of_url = self.answers.range((url.clone(), None)..).take_while(|((held, _), _)| held == url);
            let first = of_url.next()?.1;
            of_url.all(|(_, other)| other.digest == first.digest && other.status == first.status).then_some(first)
        };
        let Some(answer) = exact.or_else(any) else {
            return Reply::refusal(504, &format!("a step has no network, and no answer of {url} was recorded"));
        };
        let body = match &answer.digest {
            Some(digest) => match std::fs::read(self.tree.join(BODIES).join(digest.hex())) {
                Ok(body) => body,
                Err(error) => {
                    return Reply::refusal(502, &format!("the recorded answer of {url} cannot be read: {error}"));
                }
            },
            None => Vec::new(),
        };
        Reply {
            status: answer.status,
            location: answer.location.clone(),
            media_type: answer.media_type.clone(),
            encoding: answer.encoding.clone(),
            body,
        }
    }
}

impl Answers for Replayer {
    fn answer<'a>(&'a self, question: Question) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        Box::pin(std::future::ready(self.reply(&question)))
    }
}

#[cfg(test)]
mod tests;
