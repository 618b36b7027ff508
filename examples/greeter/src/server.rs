//! Sockets and threads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tiny_http::{Header, Method, Response, Server};

use crate::api::Service;
use crate::config::Config;

/// A service that listens; dropping it does not stop it, [`Running::stop`] does.
pub struct Running {
    server: Arc<Server>,
    workers: Vec<JoinHandle<()>>,
    address: SocketAddr,
}

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("listening on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Listens and answers on threads of its own.
pub fn start(config: &Config) -> Result<Running, ServerError> {
    let server = Server::http(config.listen).map_err(|cause| ServerError::Listen { address: config.listen, cause })?;
    let address = server.server_addr().to_ip().unwrap_or(config.listen);
    let server = Arc::new(server);
    let service = Service { default_language: config.language };
    let workers = (0..config.workers)
        .map(|_| {
            let (server, service) = (Arc::clone(&server), service.clone());
            thread::spawn(move || work(&server, &service))
        })
        .collect();
    Ok(Running { server, workers, address })
}

impl Running {
    /// Where it listens; the real port if port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, ends the answers under way, returns.
    pub fn stop(self) {
        for _ in &self.workers {
            self.server.unblock();
        }
        for worker in self.workers {
            // A worker that panicked has already said so on standard error.
            drop(worker.join());
        }
    }
}

/// Answers requests until the server is unblocked.
fn work(server: &Server, service: &Service) {
    while let Ok(request) = server.recv() {
        let method = match request.method() {
            Method::NonStandard(_) => "other".to_owned(),
            known => known.to_string(),
        };
        let answer = service.answer(&method, request.url());
        let json = Header::from_bytes("Content-Type", "application/json").expect("a valid header");
        let response = Response::from_string(answer.body).with_status_code(answer.status).with_header(json);
        // Whoever asked may have gone; nobody else needs to know.
        drop(request.respond(response));
    }
}
