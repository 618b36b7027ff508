//! `assay admin revoke --key`.
//!
//! 1. Of a key that the home signs with, a successor is made: nothing has happened.
//! 2. `trust.json` is replaced: from here on the key does not count, and its successor does.
//! 3. The successor takes the place of `keys/NAME.pem` ([`keys::succeed`]).
//! 4. The ledger is made again by the new trust root, and the statement is logged, signed by the admin's key that counts now.
//!
//! A crash after 2 leaves a revocation that is not on record yet: the same command finds that, and does 4.

use std::collections::BTreeSet;

use model::lineage::{Direction, Kind, NodeId};
use serde_json::{Value, json};
use sign::trust::{Identity, Role};
use wire::digest::Digest;
use wire::in_toto::Statement;
use wire::sigstore_bundle::{Bundle, Content};
use wire::timestamp::Timestamp;

use crate::commands::admin::key::check::{Judge, Judged, each};
use crate::commands::admin::key::{Change, TYPE, install, take_successor};
use crate::commands::admin::local;
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::keys::{self, KeyName};
use crate::machine;
use crate::report::Report;
use crate::session::Session;

/// How many statements are listed; the rest is counted.
const LISTED_MAX: usize = 1000;

/// What a key has signed since it was not its owner's alone.
struct Signed {
    count: u64,
    statements: Vec<Value>,
    deployments: Vec<Value>,
}

pub(super) fn revoke(which: &str, from: Timestamp, reason: &str, context: &Context) -> Result<Report> {
    let session = Session::open(context)?;
    local(&session, "revoking a key")?;
    let now = machine::now()?;
    if from > now {
        let text = format!("`--from {from}` is in the future: it is {now}");
        return Err(Failure::new("usage", text).hint("a key that ends in the future: assay admin key rotate"));
    }
    let identity = find(&session, which, from)?.clone();
    let id = identity.key.id();
    if identity.revoked_at.is_some_and(|revoked| revoked < from) {
        let text = format!("the key {id} is revoked from an earlier time on, and a revocation is not taken back");
        return Err(Failure::new("usage", text).hint("assay admin key list"));
    }
    let (session, successor) = if identity.revoked_at == Some(from) {
        let successor = successor_of(&session, &identity, from)?;
        (session, successor) // all but the statement is done
    } else {
        let successor = carry_out(session, context, &identity, from, now)?;
        (Session::open(context)?, successor)
    };
    record(session, &identity, from, reason, successor)
}

/// Revokes the key in `trust.json`. Returns the id of its successor, if it is a key of the home.
fn carry_out(
    session: Session<'_>,
    context: &Context,
    identity: &Identity,
    from: Timestamp,
    now: Timestamp,
) -> Result<Option<Digest>> {
    let id = identity.key.id();
    let mut trust = session.trust().clone();
    for one in trust.identities.iter_mut().filter(|one| one.key.id() == id) {
        one.revoked_at = Some(from);
    }
    let own = match KeyName::of_identity(&identity.name) {
        Some(name) if keys::read_key(&context.home, name)?.public().id() == id => Some(name),
        _ => None,
    };
    let mut successor = None;
    if let Some(name) = own {
        let key = take_successor(&context.home, name, &trust)?;
        successor = Some(key.public().id());
        trust.identities.push(Identity {
            name: identity.name.clone(),
            key: key.public().clone(),
            roles: identity.roles.clone(),
            valid_from: now,
            valid_until: None,
            revoked_at: None,
        });
    }
    trust.keeps(session.trust(), now, Some(&id)).context("trust", "changing trust.json")?;
    install(session, context, own, &trust, now)?;
    Ok(successor)
}

/// Logs the revocation, if it is not on record, and says what it is about.
fn record(
    mut session: Session<'_>,
    identity: &Identity,
    from: Timestamp,
    reason: &str,
    successor: Option<Digest>,
) -> Result<Report> {
    let id = identity.key.id();
    let signed = signed_since(&session, &id, from)?;
    let known = on_record(&session, &id, from)?;
    let statement = match known {
        Some(payload) => Some(payload),
        None => {
            let name = identity.name.as_str();
            let change =
                Change { change: "revoked", name, key: id, successor, from, until: None, reason: Some(reason) };
            session.record(KeyName::Admin, &[change.statement()?])?.into_iter().next()
        }
    };
    session.close()?;
    let mut text = format!("the key {id} of `{}` is revoked from {from} on\n", identity.name);
    if let Some(successor) = successor {
        text.push_str(&format!("`{}` signs with {successor} from now on\n", identity.name));
    }
    text.push_str(&format!("{} statements that it signed since do not count\n", signed.count));
    for one in &signed.statements {
        text.push_str(&format!(
            "  {} {} {}\n",
            field(one, "logged"),
            field(one, "statement"),
            field(one, "predicateType")
        ));
    }
    for one in &signed.deployments {
        text.push_str(&format!("deployed: {} {}\n", field(one, "label"), field(one, "id")));
    }
    let json = json!({"name": identity.name, "key": id, "from": from, "successor": successor, "statement": statement,
        "count": signed.count, "statements": signed.statements, "deployments": signed.deployments});
    Ok(Report::yes(json, text.trim_end()))
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The key of that id, or the one that counted under a name at that time: not its successor, when the command comes again.
fn find<'s>(session: &'s Session<'_>, which: &str, from: Timestamp) -> Result<&'s Identity> {
    let trust = session.trust();
    if let Ok(id) = which.parse::<Digest>() {
        return trust.identity(&id).ok_or_else(|| {
            Failure::new("unknown", format!("trust.json has no key {id}")).hint("assay admin key list")
        });
    }
    let counted = |one: &&Identity| one.valid_from <= from && one.valid_until.is_none_or(|until| from <= until);
    let named: Vec<&Identity> = trust.identities.iter().filter(|one| one.name == which).filter(counted).collect();
    if let Some(begun) = named.iter().find(|one| one.revoked_at == Some(from)) {
        return Ok(begun);
    }
    match named[..] {
        [one] => Ok(one),
        [] => {
            let shown: String = which.chars().take(100).collect();
            let text = format!("no key of trust.json counted as `{shown}` at {from}");
            Err(Failure::new("unknown", text).hint("assay admin key list, and give --key KEYID"))
        }
        _ => {
            let ids: Vec<String> = named.iter().map(|one| one.key.id().to_string()).collect();
            let text = format!("`{which}` had several keys at {from}: {}", ids.join(", "));
            Err(Failure::new("usage", text).hint("give --key KEYID"))
        }
    }
}

/// The key that took a revoked one's place, when an earlier run has put it there.
fn successor_of(session: &Session<'_>, identity: &Identity, from: Timestamp) -> Result<Option<Digest>> {
    let Some(name) = KeyName::of_identity(&identity.name) else { return Ok(None) };
    let signs = keys::read_key(&session.context().home, name)?.public().id();
    let later = session.trust().identity(&signs).is_some_and(|one| one.valid_from >= from);
    Ok((signs != identity.key.id() && later).then_some(signs))
}

/// The statement of this revocation, if an admin's key that counts has made it.
fn on_record(session: &Session<'_>, id: &Digest, from: Timestamp) -> Result<Option<Digest>> {
    let found = session.about(&[*id])?;
    let of_it = found.attestations.iter().find(|one| {
        let statement = one.statement().value();
        let predicate = &statement.predicate;
        let same =
            predicate["change"] == "revoked" && predicate["key"] == json!(id) && predicate["from"] == json!(from);
        statement.predicate_type == TYPE && same && one.statement().roles().contains(&Role::Admin)
    });
    Ok(of_it.map(|one| *one.statement().payload()))
}

/// Finds what a key has signed, by the log's order and times: what was logged at `from` and later.
fn signed_since(session: &Session<'_>, id: &Digest, from: Timestamp) -> Result<Signed> {
    let judge = Judge::new(session.trust());
    let mut signed = Signed { count: 0, statements: Vec::new(), deployments: Vec::new() };
    let mut subjects = BTreeSet::new();
    each(session, |row, bundle| {
        if row.logged < from {
            return; // a clock may have been set back: the log's order is not that of its times
        }
        if !matches!(judge.judge(bundle, row.logged), Judged::Good(key) | Judged::Revoked(key) | Judged::Refused(Some(key), _) if key == *id)
        {
            return;
        }
        signed.count += 1;
        subjects.extend(subjects_of(bundle));
        if signed.statements.len() < LISTED_MAX {
            signed.statements.push(json!({"statement": row.payload, "logged": row.logged,
                "predicateType": row.predicate, "subject": row.subject}));
        }
    })?;
    signed.deployments = deployments(session, &subjects)?;
    Ok(signed)
}

fn subjects_of(bundle: &Bundle) -> Vec<Digest> {
    let Content::Envelope(envelope) = &bundle.content else { return Vec::new() };
    let statement = Statement::parse(&envelope.payload).ok();
    statement.iter().flat_map(Statement::digests).collect()
}

/// Deployments that the chain leads to from some artifacts.
fn deployments(session: &Session<'_>, subjects: &BTreeSet<Digest>) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for subject in subjects {
        for node in session.walk(NodeId::digest(subject), Direction::Forward)?.nodes {
            if node.kind == Kind::Deployment && seen.insert(node.id.clone()) {
                found.push(json!({"id": node.id.as_str(), "label": node.label, "time": node.time}));
            }
        }
    }
    Ok(found)
}
