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
    patient_reader(body, IDLE)
}

fn patient_reader(body: Body, idle: Duration) -> registry::uploads::Body {
    let pieces = futures_util::stream::unfold(Some(body.into_data_stream()), move |stream| async move {
        let mut stream = stream?;
        match tokio::time::timeout(idle, stream.next()).await {
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
    patient_whole(body, most, IDLE).await
}

async fn patient_whole(body: Body, most: usize, idle: Duration) -> Result<Vec<u8>, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    loop {
        match tokio::time::timeout(idle, stream.next()).await {
            Ok(None) => return Ok(bytes),
            Ok(Some(Ok(piece))) if bytes.len() + piece.len() <= most => bytes.extend_from_slice(&piece),
            Ok(Some(Ok(_))) => return Err(Problem::too_large(most as u64)),
            Ok(Some(Err(_))) => return Err(Problem::invalid("the body ended early")),
            Err(_) => return Err(Problem::invalid("the body stopped coming")),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::io::AsyncReadExt;

    use super::*;

    /// A client that sends five bytes and then nothing more, without going away.
    fn silent() -> Body {
        let first = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"01234"))]);
        Body::from_stream(first.chain(stream::pending()))
    }

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_silent_client_is_cut_off() {
        let mut read = Vec::new();
        let ended = patient_reader(silent(), SHORT).read_to_end(&mut read).await;
        assert_eq!(ended.expect_err("cut off").kind(), io::ErrorKind::TimedOut);
        assert_eq!(read, b"01234", "what came is kept");
        let refused = patient_whole(silent(), 100, SHORT).await.expect_err("cut off");
        assert_eq!((refused.status.as_u16(), refused.message.as_str()), (400, "the body stopped coming"));
    }

    #[tokio::test]
    async fn a_body_has_its_limit() {
        assert_eq!(whole(Body::from("01234"), 5).await.expect("fits"), b"01234");
        assert_eq!(whole(Body::from("012345"), 5).await.expect_err("too large").status.as_u16(), 413);
    }
}
