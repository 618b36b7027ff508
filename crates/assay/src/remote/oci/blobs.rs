//! Blobs to and from a registry: streamed, hashed on the way, resumed where a connection broke.

use std::path::Path;

use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use store::blobs::{BlobError, BlobWriter, Blobs, algorithm};
use wire::digest::Digest;
use wire::oci_distribution::Name;
use wire::oci_distribution::header::ContentRange;
use wire::oci_image::Descriptor;

use super::{Attempt, Client, Scope, reading, writing};
use crate::error::{Context as _, Failure, Result};
use crate::remote::http::{Answer, Call, Slice, Trouble};
use crate::remote::retry::{Ended, TRIES, pause};

/// Larger blobs go in pieces, so that a broken connection costs one piece.
const CHUNK: u64 = 64 << 20;
/// The largest piece that a registry may ask for.
const CHUNK_MAX: u64 = 1 << 30;
/// How often one blob's transfer may break; each break has made some way.
const BREAKS_MAX: u32 = 50;

const CHUNK_MIN: &str = "oci-chunk-min-length";
const OCTETS: &str = "application/octet-stream";

/// How a blob came to be in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It was there.
    Had,
    /// The registry took it from another of its repositories.
    Mounted,
    /// It was sent.
    Sent,
}

/// An upload that has begun.
struct Upload {
    location: Url,
    received: u64,
}

impl Client {
    /// Makes a blob of the store a blob of a repository; tried first as a mount `from` another repository.
    pub(crate) fn push_blob(&self, name: &Name, blob: &Descriptor, path: &Path, from: Option<&Name>) -> Result<Pushed> {
        self.run(self.push(name, blob, path, from))
    }

    /// Fetches a blob into the store, unless it is there. Returns whether it was fetched.
    pub(crate) fn pull_blob(&self, name: &Name, blob: &Descriptor, blobs: &Blobs) -> Result<bool> {
        let here = blobs.size(&blob.digest).context("store", format!("looking for {}", blob.digest))?;
        if here == Some(blob.size) {
            return Ok(false);
        }
        self.run(self.download(name, blob, blobs)).map(|()| true)
    }

    async fn download(&self, name: &Name, blob: &Descriptor, blobs: &Blobs) -> Attempt<()> {
        let doing = || format!("fetching blob {} of `{name}`", blob.digest);
        let call = Call::new(Method::GET, self.url(&format!("/v2/{name}/blobs/{}", blob.digest))?);
        let mut writer = blobs.writer(algorithm(&blob.digest), blob.size).context("store", doing())?;
        let mut idle = 0;
        for _ in 0..BREAKS_MAX {
            let from = writer.size();
            let call = match from {
                0 => call.clone(),
                from => call.clone().header(RANGE, format!("bytes={from}-")),
            };
            let outcome = match self.open(&reading(name), &call).await {
                Ok(response) => self.take(&doing, response, &mut writer).await,
                Err(trouble) => Err(trouble),
            };
            let broken = match outcome {
                Ok(()) if writer.size() >= blob.size => break,
                Ok(()) => None,
                Err(Trouble::Connection(error)) => Some(Trouble::Connection(error)),
                Err(trouble) => return Err(trouble),
            };
            idle = if writer.size() > from { 1 } else { idle + 1 };
            match (pause(Ended::Broken, idle), broken) {
                (Some(pause), _) => tokio::time::sleep(pause).await,
                (None, Some(trouble)) => return Err(trouble),
                (None, None) => break, // the registry has no more than that: the digest will tell
            }
        }
        writer.finish(Some(&blob.digest)).map(drop).map_err(|error| damaged(&doing(), error).into())
    }

    /// Appends what an answer brings beyond what is there.
    async fn take(&self, doing: &impl Fn() -> String, mut response: Response, writer: &mut BlobWriter) -> Attempt<()> {
        let mut known = match response.status() {
            StatusCode::OK => writer.size(),
            StatusCode::PARTIAL_CONTENT if range_start(response.headers()) == Some(writer.size()) => 0,
            StatusCode::RANGE_NOT_SATISFIABLE => return Ok(()),
            _ => {
                let answer = self.http.whole(response, super::ANSWER_MAX).await?;
                return Err(self.refused(&doing(), &answer).into());
            }
        };
        while let Some(piece) = response.chunk().await.map_err(Trouble::Connection)? {
            let skipped = known.min(piece.len() as u64);
            known -= skipped;
            writer.write(&piece[skipped as usize..]).map_err(|error| damaged(&doing(), error))?;
        }
        Ok(())
    }

    async fn has(&self, name: &Name, digest: &Digest) -> Attempt<bool> {
        let call = Call::new(Method::HEAD, self.url(&format!("/v2/{name}/blobs/{digest}"))?);
        let answer = self.exchange(&reading(name), &call).await?;
        match answer.status {
            StatusCode::OK => Ok(true),
            // Who may push and not read learns nothing here, and pushes.
            StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(false),
            _ => Err(self.refused(&format!("looking for blob {digest} in `{name}`"), &answer).into()),
        }
    }

    async fn push(&self, name: &Name, blob: &Descriptor, path: &Path, from: Option<&Name>) -> Attempt<Pushed> {
        let mut tried = 1;
        loop {
            if self.has(name, &blob.digest).await? {
                return Ok(if tried == 1 { Pushed::Had } else { Pushed::Sent });
            }
            let (wait, trouble) = match self.upload(name, blob, path, from).await {
                Ok(Some(pushed)) => return Ok(pushed),
                Ok(None) => (pause(Ended::Broken, tried), None),
                Err(Trouble::Connection(error)) => (pause(Ended::Broken, tried), Some(Trouble::Connection(error))),
                Err(trouble) => return Err(trouble),
            };
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(trouble.unwrap_or_else(|| self.given_up(name, blob).into())),
            }
            tried += 1;
        }
    }

    fn given_up(&self, name: &Name, blob: &Descriptor) -> Failure {
        let host = self.http.address().host();
        Failure::new("registry", format!("{host} failed {TRIES} times to take blob {} for `{name}`", blob.digest))
            .hint("type the same command again later: what arrived is not sent again")
    }

    /// One upload from the start; `None` when another may do better.
    async fn upload(
        &self,
        name: &Name,
        blob: &Descriptor,
        path: &Path,
        from: Option<&Name>,
    ) -> Attempt<Option<Pushed>> {
        let scope = writing(name);
        let mut url = self.url(&format!("/v2/{name}/blobs/uploads/"))?;
        if let Some(from) = from {
            url.query_pairs_mut().append_pair("mount", &blob.digest.to_string()).append_pair("from", from.as_str());
        }
        let begun = self.exchange(&scope, &Call::new(Method::POST, url)).await?;
        let upload = match begun.status {
            StatusCode::CREATED => return Ok(Some(Pushed::Mounted)),
            StatusCode::ACCEPTED => self.stands(&begun, 0)?,
            _ => return Err(self.refused(&format!("beginning an upload to `{name}`"), &begun).into()),
        };
        let chunk = chunk_size(&begun.headers);
        let (location, rest) = match blob.size <= chunk {
            true => (upload.location, Some(Slice { path: path.to_owned(), first: 0, length: blob.size })),
            false => (self.send_chunks(&scope, upload, blob, path, chunk).await?, None),
        };
        self.finish(&scope, location, blob, rest).await
    }

    async fn finish(
        &self,
        scope: &Scope,
        mut location: Url,
        blob: &Descriptor,
        rest: Option<Slice>,
    ) -> Attempt<Option<Pushed>> {
        location.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
        let call = Call::new(Method::PUT, location).header(CONTENT_TYPE, OCTETS).once();
        let call = match rest {
            Some(slice) => call.file(slice),
            None => call,
        };
        let answer = self.exchange(scope, &call).await?;
        match answer.status {
            status if status.is_success() => Ok(Some(Pushed::Sent)),
            status if may_pass(status) => Ok(None),
            _ => Err(self
                .refused(&format!("ending the upload of blob {} to `{}`", blob.digest, scope.name), &answer)
                .into()),
        }
    }

    /// Sends a blob in pieces. After a break the registry says how far it has come, and we go on from there.
    async fn send_chunks(
        &self,
        scope: &Scope,
        mut upload: Upload,
        blob: &Descriptor,
        path: &Path,
        chunk: u64,
    ) -> Attempt<Url> {
        let mut breaks = 0;
        while upload.received < blob.size {
            let (first, length) = (upload.received, chunk.min(blob.size - upload.received));
            let call = Call::new(Method::PATCH, upload.location.clone())
                .header(CONTENT_TYPE, OCTETS)
                .header(CONTENT_RANGE, format!("{first}-{}", first + length - 1))
                .file(Slice { path: path.to_owned(), first, length })
                .once();
            upload = match self.exchange(scope, &call).await {
                Ok(answer) if answer.status == StatusCode::ACCEPTED => self.stands(&answer, first + length)?,
                Ok(answer) if !may_pass(answer.status) && answer.status != StatusCode::RANGE_NOT_SATISFIABLE => {
                    return Err(self
                        .refused(&format!("sending blob {} to `{}`", blob.digest, scope.name), &answer)
                        .into());
                }
                Ok(_) | Err(Trouble::Connection(_)) => {
                    breaks += 1;
                    if breaks > BREAKS_MAX {
                        return Err(self.given_up(&scope.name, blob).into());
                    }
                    let asked = self.exchange(scope, &Call::new(Method::GET, upload.location)).await?;
                    match asked.status.is_success() {
                        true => self.stands(&asked, 0)?,
                        false => {
                            return Err(self
                                .refused(&format!("going on with an upload to `{}`", scope.name), &asked)
                                .into());
                        }
                    }
                }
                Err(trouble) => return Err(trouble),
            };
            if upload.received > blob.size {
                return Err(Failure::new(
                    "registry",
                    format!("{} says that it has more of {} than there is", self.http.address(), blob.digest),
                )
                .into());
            }
        }
        Ok(upload.location)
    }

    /// Where an upload goes on, and how much of it has come; `assumed` where the registry does not say.
    fn stands(&self, answer: &Answer, assumed: u64) -> Result<Upload> {
        let malformed = || {
            Failure::new("registry", format!("{} answered an upload without a good `Location`", self.http.address()))
        };
        let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok()).ok_or_else(malformed)?;
        let location =
            answer.url.join(location).ok().filter(|url| self.http.address().may_lead_to(url)).ok_or_else(malformed)?;
        Ok(Upload { location, received: received(&answer.headers).unwrap_or(assumed) })
    }
}

/// How much of an upload has come, from `Range: 0-1023`. `0-0` is what registries say of an upload without a byte.
fn received(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(RANGE)?.to_str().ok()?;
    let range = ContentRange::parse(value.trim_start_matches("bytes="))?;
    Some(if range.last == 0 { 0 } else { range.last + 1 })
}

/// Where a part of a blob begins, from `Content-Range: bytes 100-199/200`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, _) = value.strip_prefix("bytes ")?.split_once('/')?;
    Some(ContentRange::parse(range)?.first)
}

/// The size of pieces, which a registry may want larger.
fn chunk_size(headers: &HeaderMap) -> u64 {
    let wanted = headers.get(CHUNK_MIN).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    CHUNK.max(wanted.unwrap_or_default()).min(CHUNK_MAX)
}

fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

/// Other bytes than were announced are an honest no; a disk that fails is not.
fn damaged(doing: &str, error: BlobError) -> Failure {
    let failure = match &error {
        BlobError::Mismatch { .. } | BlobError::TooLarge { .. } => Failure::no("digest-mismatch", doing),
        _ => Failure::new("store", doing),
    };
    failure.because(&error)
}

#[cfg(test)]
mod tests;
