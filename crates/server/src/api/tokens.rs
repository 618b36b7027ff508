//! Tokens: given and revoked by logged statements; only their SHA-256 is ever stored.

use attest::predicate::grant::{Action as GrantAction, Grant};
use axum::extract::Path;
use axum::http::{StatusCode, header};
use registry::Recorder;
use registry::access::Action;
use registry::token;
use serde::Deserialize;
use serde_json::{Value, json};
use store::ledger::GrantRow;
use wire::digest::Digest;

use super::{Answer, Call, answer};
use crate::body;
use crate::error::Problem;

/// A request is a few names.
const REQUEST_MAX: usize = 64 << 10;

/// `{"name":"ci","role":"publisher","repositories":["team/*"]}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    name: String,
    role: String,
    repositories: Vec<String>,
}

/// `GET /api/v1/tokens`
pub(crate) async fn list(call: Call) -> Answer {
    call.must(Action::Administer)?;
    let rows = call.server.ledger().grants(None).await?;
    Ok(answer(json!({"tokens": rows.iter().map(shown).collect::<Vec<_>>()})))
}

/// `POST /api/v1/tokens`: makes a token and shows it this once.
pub(crate) async fn create(call: Call) -> Answer {
    call.must(Action::Administer)?;
    let request = body::whole(call.take_body(), REQUEST_MAX).await?;
    let new: NewToken = serde_json::from_slice(&request).map_err(|error| Problem::invalid(error.to_string()))?;
    let new = token::NewToken::new(&new.name, &new.role, &new.repositories)
        .map_err(|error| Problem::invalid(error.to_string()).at(error.field()))?;
    let token = token::text(call.server.random());
    let digest = Digest::of(token.as_bytes());
    let row = GrantRow {
        token: digest,
        role: new.role.name().to_owned(),
        name: new.name,
        repositories: new.repositories.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        index: 0,
        granted: call.server.now(),
    };
    record(&call, vec![grant(&call, &row, GrantAction::Grant)]).await?;
    let mut response = answer(json!({
        "token": token, "digest": digest, "name": row.name, "role": row.role, "repositories": row.repositories,
    }));
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}

/// `DELETE /api/v1/tokens/{token}`: takes all roles of a token, or of all tokens of a name, in one commit of the log.
pub(crate) async fn revoke(Path(token): Path<String>, call: Call) -> Answer {
    call.must(Action::Administer)?;
    // A name that is a digest is given to no token.
    let rows = match token.parse::<Digest>() {
        Ok(digest) => call.server.ledger().grants_of(&digest).await?,
        Err(_) => call.server.ledger().grants(Some(&token)).await?,
    };
    if rows.is_empty() {
        return Err(Problem::not_found("no token has that digest or name").at(token).into());
    }
    record(&call, rows.iter().map(|row| grant(&call, row, GrantAction::Revoke)).collect()).await?;
    Ok(answer(json!({"revoked": rows.iter().map(shown).collect::<Vec<_>>()})))
}

async fn record(call: &Call, grants: Vec<Grant>) -> Result<(), Problem> {
    if !call.server.recorder.can_grant() {
        return Err(Problem::denied("this server holds no key of an admin, so it can't give or revoke tokens"));
    }
    let statements = grants.iter().map(attest::grant).collect();
    call.server.recorder.record(statements).await.map_err(|error| Problem::internal(error.as_ref()))
}

fn grant(call: &Call, row: &GrantRow, action: GrantAction) -> Grant {
    Grant {
        token: row.token,
        name: row.name.clone(),
        role: row.role.clone(),
        repositories: row.repositories.clone(),
        action,
        actor: call.caller.name.clone(),
        at: call.server.now(),
    }
}

fn shown(row: &GrantRow) -> Value {
    json!({
        "digest": row.token, "name": row.name, "role": row.role, "repositories": row.repositories,
        "granted": row.granted,
    })
}
