//! `assay admin key rotate`.
//!
//! 1. The successor is made as `keys/NAME.next.pem`: nothing has happened.
//! 2. The statement is logged, signed by the admin's key as it is now: still nothing has happened, and who comes again logs
//!    another with the times that then come true.
//! 3. `trust.json` is replaced: both windows stand in it. From here on the rotation is done.
//! 4. `keys/NAME.next.pem` takes the place of `keys/NAME.pem`, once its window has begun. Whoever opens the home does that
//!    ([`keys::succeed`]), so that a crash between 3 and 4 leaves nothing to do but what is done anyway.
//!
//! The old private key is gone then; its window stays in `trust.json` for ever.

use serde_json::json;
use sign::trust::{Identity, Trust};
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use super::{Change, check, identity_of, named, take_successor};
use crate::commands::admin::local;
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::keys::{self, KeyName};
use crate::machine;
use crate::report::Report;
use crate::session::Session;

/// The longest overlap, and the farthest beginning: ten years.
const FAR_S: i64 = 10 * 365 * 86_400;

/// Shorter than this, and what was signed a moment ago would not count: the statement of the rotation itself among it.
const OVERLAP_MIN_S: i64 = 60;

/// Make a new key in place of one, and let both count for a while
///
/// The old key's window ends after the overlap and stays in trust.json for ever, so that what it signed goes on counting.
/// Before the new trust.json takes the old one's place, each window is compared and one statement per key is verified by it;
/// `assay admin key check` verifies all others. With --at the new key is accepted from that time on and signs from then on:
/// give its identity from trust.json to everybody who trusts this home before. Killed at any step, the same command ends it.
/// Stop `assay serve` first.
///
/// Example: assay admin key rotate builder-full --overlap 30d
#[derive(Debug, clap::Args)]
pub(crate) struct RotateArgs {
    /// Whose key: builder-full, builder-no-proc, builder-trace-only, tester, publisher, verifier, deployer or admin
    #[arg(value_name = "NAME")]
    name: String,
    /// How long both keys count: a number with s, m, h or d; at least a minute
    #[arg(long, value_name = "DURATION", default_value = "7d")]
    overlap: String,
    /// When the new key begins: 2026-11-22T19:41:00Z; now, if it is not given
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

/// What a rotation leads to.
struct Plan {
    trust: Trust,
    from: Timestamp,
    until: Timestamp,
}

pub(super) fn run(args: &RotateArgs, context: &Context) -> Result<Report> {
    let name = named(&args.name)?;
    let overlap_s = overlap_s(&args.overlap)?;
    // Opening the home ends a rotation that got as far as trust.json.
    let begun = keys::successor(&context.home, name)?.map(|key| key.public().id());
    let mut session = Session::open(context)?;
    local(&session, "a rotation")?;
    let now = machine::now()?;
    let active = keys::read_key(&context.home, name)?.public().id();
    if begun == Some(active) {
        session.close()?;
        let text = format!("`{}` signs with {active} now: the rotation that was begun is done", args.name);
        return Ok(Report::yes(json!({"name": args.name, "successor": active, "ended": true}), text));
    }
    if let Some(waits) = begun.and_then(|id| session.trust().identity(&id)).filter(|one| one.revoked_at.is_none()) {
        let text = format!("a successor of `{}` is accepted already, from {} on", args.name, waits.valid_from);
        return Err(Failure::new("rotation-waits", text).hint("assay admin key list"));
    }
    let from = beginning(args.at, now)?;
    let successor = take_successor(&context.home, name, session.trust())?;
    let plan = plan(session.trust(), name, &active, &successor, from, from.plus_s(overlap_s))?;
    plan.trust.keeps(session.trust(), now, None).context("trust", "changing trust.json")?;
    let verified = check::one_per_key(&session, &plan.trust)?;
    let id = successor.public().id();
    let change = Change {
        change: "rotated",
        name: name.identity(),
        key: active,
        successor: Some(id),
        from: plan.from,
        until: Some(plan.until),
        reason: None,
    };
    let statement = session.record(KeyName::Admin, &[change.statement()?])?.first().map(ToString::to_string);
    install(session, context, Some(name), &plan.trust, now)?;
    let text = format!(
        "`{}` has the key {id} from {} on; {active} counts until {}\none statement of each key that has signed ({verified}) verifies as before; all others: assay admin key check\nwhoever else trusts this home needs its new trust.json before {}",
        args.name, plan.from, plan.until, plan.until
    );
    let json = json!({"name": args.name, "key": active, "successor": id, "from": plan.from, "until": plan.until,
        "verified": verified, "statement": statement, "ended": plan.from <= now});
    Ok(Report::yes(json, text))
}

/// Puts the new trust root and the key in their places, under the lock that the session has, and makes the ledger again.
pub(in crate::commands::admin) fn install(
    session: Session<'_>,
    context: &Context,
    name: Option<KeyName>,
    trust: &Trust,
    now: Timestamp,
) -> Result<()> {
    keys::write_trust(&context.home.trust(), trust)?;
    if let Some(name) = name {
        keys::succeed(&context.home, name, trust, now)?;
    }
    session.close()?;
    Session::open(context)?.close()
}

fn plan(
    old: &Trust,
    name: KeyName,
    active: &Digest,
    successor: &sign::SigningKey,
    from: Timestamp,
    until: Timestamp,
) -> Result<Plan> {
    let roles = identity_of(old, name, active)?.roles.clone();
    let mut trust = old.clone();
    let mut end = until;
    for identity in trust.identities.iter_mut().filter(|identity| identity.key.id() == *active) {
        end = identity.valid_until.unwrap_or(until);
        identity.valid_until = Some(end);
    }
    if end < from {
        let text = format!("the key of `{}` counts until {end}, and its successor from {from} only", name.identity());
        return Err(Failure::new("usage", text).hint("choose an earlier --at, or none"));
    }
    trust.identities.push(Identity {
        name: name.identity().to_owned(),
        key: successor.public().clone(),
        roles,
        valid_from: from,
        valid_until: None,
        revoked_at: None,
    });
    Ok(Plan { trust, from, until: end })
}

fn beginning(at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp> {
    match at {
        None => Ok(now),
        Some(at) if at >= now && at <= now.plus_s(FAR_S) => Ok(at),
        Some(at) => {
            let text = format!("`--at {at}` is past, or more than ten years ahead: it is {now}");
            Err(Failure::new("usage", text).hint("leave --at out to begin now"))
        }
    }
}

/// Reads a duration: `30d`.
fn overlap_s(text: &str) -> Result<i64> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let found = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let digits = found.filter(|(digits, _)| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = digits.and_then(|(digits, unit)| digits.parse::<i64>().ok()?.checked_mul(*unit));
    seconds.filter(|seconds| (OVERLAP_MIN_S..=FAR_S).contains(seconds)).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        Failure::new("usage", format!("`--overlap {shown}` is not a duration from 1m to 3650d"))
            .hint("--overlap 30d; to have a key count no longer at once: assay admin revoke --key")
    })
}

#[cfg(test)]
mod tests;
