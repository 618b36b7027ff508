//! Blobs and trees by digest.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use model::tree::Tree;
use registry::access::Action;
use serde_json::json;
use store::blobs::{BlobError, algorithm};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use wire::digest::Digest;

use super::{Answer, Call, answer, parse_digest};
use crate::body;
use crate::error::Problem;
use crate::send::{self, Content};
use crate::state::{Server, blocking};

/// The largest blob that the API takes; images' layers go through the registry.
const BLOB_MAX: u64 = 8 << 30;

/// The largest tree manifest that is shown: two million entries of average length.
const TREE_MAX: u64 = 256 << 20;

/// Unit of reading and writing.
const BUFFER: usize = 256 << 10;

/// `GET|HEAD /api/v1/blobs/{digest}`
pub(crate) async fn get_blob(Path(digest): Path<String>, call: Call) -> Answer {
    let digest = parse_digest("digest", &digest)?;
    call.must_read(&digest).await?;
    let (path, size) = call.server.blob(&digest)?;
    let content = Content { path, size, digest, media_type: "application/octet-stream" };
    Ok(send::file(content, &call.parts.method, &call.parts.headers).await?)
}

/// `PUT /api/v1/blobs/{digest}`: the body becomes a blob if it has that digest.
pub(crate) async fn put_blob(Path(digest): Path<String>, call: Call) -> Answer {
    call.must(Action::Attest)?;
    let digest = parse_digest("digest", &digest)?;
    let size = receive(&call.server, digest, body::reader(call.take_body())).await?;
    let mut response = answer(json!({"digest": digest, "size": size}));
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Moves a body into the blob store: this task reads, another thread hashes and writes.
async fn receive(server: &Server, digest: Digest, mut body: registry::uploads::Body) -> Result<u64, Problem> {
    let mut writer = server.home.blobs().writer(algorithm(&digest), BLOB_MAX)?;
    let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(4);
    let writing = tokio::task::spawn_blocking(move || -> Result<u64, BlobError> {
        while let Some(bytes) = receiver.blocking_recv() {
            writer.write(&bytes)?;
        }
        Ok(writer.finish(Some(&digest))?.1)
    });
    let mut complete = true;
    loop {
        let mut bytes = Vec::with_capacity(BUFFER);
        match body.read_buf(&mut bytes).await {
            Ok(0) => break,
            // The writer hangs up only when it failed, which it says below.
            Ok(_) if sender.send(bytes).await.is_err() => break,
            Ok(_) => {}
            Err(_) => {
                complete = false;
                break;
            }
        }
    }
    drop(sender);
    let result = writing.await.map_err(|error| Problem::internal(&error))?;
    match result {
        Ok(size) => Ok(size),
        Err(_) if !complete => Err(Problem::invalid("the body ended early").at(digest.to_string())),
        Err(BlobError::Mismatch { found, .. }) => {
            Err(Problem::invalid(format!("the body has the digest {found}")).at(digest.to_string()))
        }
        Err(BlobError::TooLarge { size_max }) => Err(Problem::too_large(size_max)),
        Err(error) => Err(error.into()),
    }
}

/// `GET /api/v1/trees/{digest}`: the tree's manifest, `assay tree 1`.
pub(crate) async fn tree(Path(digest): Path<String>, call: Call) -> Answer {
    let digest = parse_digest("digest", &digest)?;
    call.must_read(&digest).await?;
    let (_, size) = call.server.blob(&digest)?;
    let no_tree = || Problem::not_found("that blob is no tree manifest").at(digest.to_string());
    if size > TREE_MAX {
        return Err(no_tree().into());
    }
    let blobs = call.server.home.blobs().clone();
    let manifest = blocking(move || blobs.read(&digest, TREE_MAX)).await?;
    Tree::parse(&manifest).map_err(|_| no_tree())?;
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::ETAG, &send::etag(&digest))];
    Ok((StatusCode::OK, headers, manifest).into_response())
}
