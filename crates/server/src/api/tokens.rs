//! Tokens: given and revoked by logged statements; only their SHA-256 is ever stored.

use attest::predicate::grant::{Action as GrantAction, Grant};
use axum::extract::Path;
use axum::http::{StatusCode, header};
use registry::Recorder;
use registry::access::{Action, Role};
use registry::pattern::Pattern;
use serde::Deserialize;
use serde_json::{Value, json};
use store::ledger::GrantRow;
use wire::digest::Digest;

use super::{Answer, Call, answer, parse_digest};
use crate::body;
use crate::error::Problem;

/// A request is a few names.
const REQUEST_MAX: usize = 64 << 10;

/// The longest name of a token.
const NAME_MAX: usize = 100;

/// Patterns that one token may have.
const PATTERNS_MAX: usize = 64;

/// What a token begins with, so that people and scanners know one when they see it.
const PREFIX: &str = "assay_";

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
    let role = Role::of_name(&new.role)
        .ok_or_else(|| Problem::invalid("a role is `reader`, `publisher`, `deployer` or `admin`").at("role"))?;
    let plain = |c: char| c.is_alphanumeric() || " ._-@+/".contains(c);
    if new.name.is_empty() || new.name.chars().count() > NAME_MAX || !new.name.chars().all(plain) {
        return Err(Problem::invalid(format!("a name has 1 to {NAME_MAX} letters, digits and ` ._-@+/`"))
            .at("name")
            .into());
    }
    if new.repositories.is_empty() || new.repositories.len() > PATTERNS_MAX {
        return Err(Problem::invalid(format!("a token covers 1 to {PATTERNS_MAX} patterns of repositories"))
            .at("repositories")
            .into());
    }
    for pattern in &new.repositories {
        Pattern::parse(pattern).map_err(|error| Problem::invalid(error.to_string()).at("repositories"))?;
    }
    let secret: [u8; 32] = call.server.random();
    let token = format!("{PREFIX}{}", Digest::Sha256(secret).hex());
    let digest = Digest::of(token.as_bytes());
    let row = GrantRow {
        token: digest,
        role: role.name().to_owned(),
        name: new.name,
        repositories: new.repositories,
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

/// `DELETE /api/v1/tokens/{digest}`: takes all roles of a token.
pub(crate) async fn revoke(Path(digest): Path<String>, call: Call) -> Answer {
    call.must(Action::Administer)?;
    let digest = parse_digest("digest", &digest)?;
    let rows = call.server.ledger().grants_of(&digest).await?;
    if rows.is_empty() {
        return Err(Problem::not_found("no token has that digest").at(digest.to_string()).into());
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
