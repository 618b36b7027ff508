//! Connections: accepting, limits, and an orderly end.
//!
//! hyper's HTTP/1 connection is driven here and not through `axum::serve`, because that offers no time limit for
//! the head of a request: one slow client for each permitted connection would be enough to shut all others out.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections open at one time; more wait in the kernel's queue. Each costs two buffers and a task.
const CONNECTIONS_MAX: usize = 1024;

/// A request's head must be there within this time, also the next one on an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// As many headers a request may have; clients of registries send about ten.
const HEADERS_MAX: usize = 64;

/// The largest head of a request, and the unit in which bodies are read.
const BUFFER_MAX: usize = 256 << 10;

/// After the call to shut down, requests under way have this long to end.
const DRAIN: Duration = Duration::from_secs(20);

/// Accepting failed for good or for now (no descriptors left): wait this long before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves connections until `shutdown` is done and those under way have ended.
pub(crate) async fn run(listener: TcpListener, app: Router, shutdown: impl Future<Output = ()>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (close, closing) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let permit = tokio::select! {
            () = &mut shutdown => break,
            permit = Arc::clone(&permits).acquire_owned() => permit.expect("the semaphore is never closed"),
        };
        let stream = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let (app, closing) = (app.clone(), closing.clone());
        connections.spawn(async move {
            connection(stream, app, closing).await;
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    drop(close);
    let drained = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!(connections = connections.len(), "connections were cut off at shutdown");
    }
}

async fn connection(stream: TcpStream, app: Router, mut closing: watch::Receiver<()>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "setting TCP_NODELAY");
    }
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut serving = pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        // An error here is the sender's end: nothing is ever sent.
        _ = closing.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
