//! The log's write API, for stock Sigstore clients.
//!
//! Specification: Rekor v2 <https://github.com/sigstore/rekor-tiles/blob/v2.0.0/CLIENTS.md> and its
//! `rekor_service.proto`. A request is answered when the entry is durable and under a published checkpoint, with the proof
//! that it is. The same entry again is 409 with its position in `x-log-index`, for ever. Errors have the form that Rekor's
//! gateway gives them.
//!
//! Anybody's signature can be logged; what of it counts is for verifiers to say. Who may write is a setting
//! ([`LogWrites`]). An envelope that a trusted key has signed becomes a statement of this server as any other, so that takes
//! whom it takes at `/api/v1/statements`; and the server's own kinds are taken from nobody.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use registry::access::Action;
use sign::certificate::Certificate;
use store::home::Placed;
use tlog::proposal::{Content, Proposal};
use wire::rekor::request::{self, Request, RequestError};
use wire::sigstore_bundle::TransparencyLogEntry;

use crate::api::statements;
use crate::auth::Caller;
use crate::body;
use crate::error::{Problem, chain};
use crate::state::Server;

/// Who may add log entries by Rekor's API. Stock clients send no token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogWrites {
    /// Nobody.
    Off,
    /// Whoever may add statements.
    Token,
    /// These, and without a token whoever has a certificate of one of the trust root's authorities, valid now.
    #[default]
    Certified,
    /// Everybody.
    Anyone,
}

/// The header that names the position of an entry that is there already.
const LOG_INDEX: HeaderName = HeaderName::from_static("x-log-index");

impl LogWrites {
    /// All choices with their names.
    pub const ALL: [(LogWrites, &'static str); 4] = [
        (LogWrites::Off, "off"),
        (LogWrites::Token, "token"),
        (LogWrites::Certified, "certified"),
        (LogWrites::Anyone, "anyone"),
    ];
}

/// `POST /api/v2/log/entries`
pub(crate) async fn create(State(server): State<Arc<Server>>, request: HttpRequest) -> Response {
    match add(&server, request).await {
        Ok(Ok(entry)) => {
            server.metrics.stated(1);
            let json = serde_json::to_vec(&entry).expect("a log entry is representable in JSON");
            (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], json).into_response()
        }
        Ok(Err(index)) => {
            let mut response = Problem::known_entry(index).into_rekor();
            response.headers_mut().insert(LOG_INDEX, HeaderValue::from(index));
            response
        }
        Err(problem) => problem.into_rekor(),
    }
}

/// Logs what a request brings; returns the position of an entry that is there already.
async fn add(server: &Server, request: HttpRequest) -> Result<Result<TransparencyLogEntry, u64>, Problem> {
    let (parts, body) = request.into_parts();
    let caller = server.caller(&parts.method, &parts.headers, None).await?;
    may_ask(server.settings.log_writes, &caller)?;
    let proposal = read(body).await?;
    may_log(server, &caller, &proposal)?;
    let placed = server.home.log_proposals(std::slice::from_ref(&proposal), server.now()).await?;
    Ok(match placed.into_iter().next().expect("one entry has one place") {
        Placed::New(receipt) => Ok(receipt.to_log_entry_of(&proposal)),
        Placed::Known(index) => Err(index),
    })
}

/// Reads a request and checks its signature.
async fn read(body: Body) -> Result<Proposal, Problem> {
    let json = body::whole(body, request::SIZE_MAX).await?;
    let request = Request::parse(&json).map_err(|error| match error {
        RequestError::Size(_) => Problem::too_large(request::SIZE_MAX as u64),
        error => Problem::invalid(format!("invalid request: {}", chain(&error))),
    })?;
    let invalid = match &request {
        Request::HashedRekord002 { .. } => "invalid hashedrekord request",
        Request::Dsse001 { .. } | Request::Dsse002 { .. } => "invalid dsse request",
    };
    Proposal::check(request).map_err(|error| Problem::invalid(format!("{invalid}: {}", chain(&error))))
}

/// Refuses, before its body is read, a request that cannot be taken whatever is in it.
fn may_ask(writes: LogWrites, caller: &Caller) -> Result<(), Problem> {
    match writes {
        LogWrites::Off => Err(Problem::denied("this server takes no log entries of Rekor clients")
            .hint("its operator can change that: `assay serve --log-writes certified`, `token` or `anyone`")),
        LogWrites::Token => must_attest(caller),
        LogWrites::Certified | LogWrites::Anyone => Ok(()),
    }
}

fn may_log(server: &Server, caller: &Caller, proposal: &Proposal) -> Result<(), Problem> {
    if let Content::Envelope { statement: Some(statement), .. } = proposal.content()
        && server.trust().identity(proposal.signer()).is_some()
    {
        if statements::OWN.contains(&statement.predicate_type.as_str()) {
            return Err(Problem::denied("a server makes its own publications, tags and grants"));
        }
        return must_attest(caller);
    }
    let certified =
        |certificate: &Certificate| server.trust().authorities().certify(certificate.clone(), server.now()).map(drop);
    match (server.settings.log_writes, proposal.certificate()) {
        (LogWrites::Anyone, _) => Ok(()),
        (LogWrites::Certified, Some(certificate)) if !caller.may(Action::Attest, None) => certified(certificate)
            .map_err(|error| {
                let message = "the entry's certificate is of no authority of this server's trust root, valid now";
                Problem::denied(format!("{message}: {}", chain(&error))).hint(
                    "get a certificate of this server's authority, or send a token that may add statements, or have \
                     the server's operator start it with `--log-writes anyone`",
                )
            }),
        _ => must_attest(caller),
    }
}

fn must_attest(caller: &Caller) -> Result<(), Problem> {
    caller.must(Action::Attest, None).map_err(|problem| match problem.status {
        StatusCode::UNAUTHORIZED => problem.hint(
            "send a token that may add statements; clients without tokens can log with a certificate of the server's \
             authority, or where its operator starts it with `--log-writes anyone`",
        ),
        _ => problem,
    })
}
