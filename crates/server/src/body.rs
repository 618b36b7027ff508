//! Request bodies: as a stream for blobs, whole and limited for everything else. A client that stops sending is cut off.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use tokio_util::io::StreamReader;

use crate::error::Problem;

/// A body that brings nothing for this long is at its end.
const IDLE: Duration = Duration::from_secs(60);

/// Returns a body as a reader; each piece must come within [`IDLE`].
pub(crate) fn reader(body: Body) -> registry::uploads::Body {
    let pieces = futures_util::stream::unfold(Some(body.into_data_stream()), |stream| async {
        let mut stream = stream?;
        match tokio::time::timeout(IDLE, stream.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(bytes))) => Some((Ok::<Bytes, io::Error>(bytes), Some(stream))),
            Ok(Some(Err(error))) => Some((Err(io::Error::other(error)), None)),
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    });
    Box::new(StreamReader::new(Box::pin(pieces)))
}

/// Reads a body of at most `most` bytes.
pub(crate) async fn whole(body: Body, most: usize) -> Result<Vec<u8>, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    loop {
        match tokio::time::timeout(IDLE, stream.next()).await {
            Ok(None) => return Ok(bytes),
            Ok(Some(Ok(piece))) if bytes.len() + piece.len() <= most => bytes.extend_from_slice(&piece),
            Ok(Some(Ok(_))) => return Err(Problem::too_large(most as u64)),
            Ok(Some(Err(_))) => return Err(Problem::invalid("the body ended early")),
            Err(_) => return Err(Problem::invalid("the body stopped coming")),
        }
    }
}
