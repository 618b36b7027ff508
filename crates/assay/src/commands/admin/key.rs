//! `assay admin key`: the windows of the home's keys, and the change from one key to the next.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sign::SigningKey;
use sign::trust::{Identity, Trust};
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement};
use wire::timestamp::Timestamp;

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::home::Home;
use crate::keys::{self, KeyName};
use crate::machine;
use crate::report::Report;
use crate::session;

pub(super) mod check;
mod rotate;
mod sealed;

pub(super) use rotate::install;

/// The predicate type of a change of keys; see `docs/formats/trust.md`.
pub(crate) const TYPE: &str = "https://assay.dev/trust/v1";

/// List, rotate, check and encrypt the keys that sign statements
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(ListArgs),
    Rotate(rotate::RotateArgs),
    Check(check::CheckArgs),
    Encrypt(sealed::EncryptArgs),
    Decrypt(sealed::DecryptArgs),
}

/// List every key that trust.json has, with its window, and where its private half lies
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {}

pub(super) fn run(command: &Command, context: &Context) -> Result<Report> {
    match command {
        Command::List(_) => list(context),
        Command::Rotate(args) => rotate::run(args, context),
        Command::Check(_) => check::run(context),
        Command::Encrypt(_) => sealed::encrypt(context),
        Command::Decrypt(_) => sealed::decrypt(context),
    }
}

/// A change of keys, as it goes on record.
pub(super) struct Change<'a> {
    /// `rotated`, `revoked`.
    pub(super) change: &'static str,
    /// The identity's name.
    pub(super) name: &'a str,
    /// Id of the key that was.
    pub(super) key: Digest,
    /// Id of the key that comes.
    pub(super) successor: Option<Digest>,
    /// `rotated`: the first second of the successor. `revoked`: from here on the key does not count.
    pub(super) from: Timestamp,
    /// The last second in which the key counts.
    pub(super) until: Option<Timestamp>,
    /// Why, for people.
    pub(super) reason: Option<&'a str>,
}

impl Change<'_> {
    /// The statement about both keys.
    pub(super) fn statement(&self) -> Result<Statement> {
        let mut subjects = vec![ResourceDescriptor::named("key", &self.key)];
        subjects.extend(self.successor.map(|successor| ResourceDescriptor::named("successor", &successor)));
        let predicate = json!({
            "version": 1, "change": self.change, "name": self.name, "key": self.key, "successor": self.successor,
            "from": self.from, "until": self.until, "reason": self.reason, "actor": machine::invoker(),
            "at": machine::now()?,
        });
        Ok(Statement::new(subjects, TYPE, predicate))
    }
}

/// Finds one of the home's own keys by its name.
pub(super) fn named(name: &str) -> Result<KeyName> {
    KeyName::of_identity(name).ok_or_else(|| {
        let known: Vec<&str> = KeyName::ALL.iter().map(|known| known.identity()).collect();
        Failure::new("usage", format!("the home has no key `{name}`: it has {}", known.join(", ")))
            .hint("assay admin key list")
    })
}

/// The identity of a key; without one nothing that it signs counts.
pub(super) fn identity_of<'t>(trust: &'t Trust, name: KeyName, key: &Digest) -> Result<&'t Identity> {
    trust.identity(key).filter(|identity| identity.name == name.identity()).ok_or_else(|| {
        Failure::new("key", format!("trust.json has no identity `{}` with the key {key}", name.identity()))
            .hint("restore trust.json from a back-up")
    })
}

/// Takes the successor that a killed command has made, or makes one, durably: nothing is signed with it yet. One that is
/// accepted already is another rotation's, and gives way.
pub(super) fn take_successor(home: &Home, name: KeyName, trust: &Trust) -> Result<SigningKey> {
    match keys::successor(home, name)? {
        Some(waiting) if trust.identity(&waiting.public().id()).is_none() => return Ok(waiting),
        _ => {}
    }
    let key = SigningKey::generate().context("key", "making a signing key")?;
    keys::file::write(&name.next_file(&home.keys()), &key)?;
    Ok(key)
}

fn list(context: &Context) -> Result<Report> {
    let trust = session::prepare(context)?;
    let now = machine::now()?;
    let files = files(&context.home)?;
    let mut text = String::new();
    let mut rows = Vec::new();
    for identity in &trust.identities {
        let id = identity.key.id();
        let file = files.get(&id);
        let state = state(identity, file.map(|(_, waits)| *waits), now);
        let roles: Vec<&str> = identity.roles.iter().map(|role| role.name()).collect();
        let end = |time: Option<Timestamp>| time.map_or("-".to_owned(), |time| time.to_string());
        text.push_str(&format!(
            "{:20} {:9} {state:9} {id} {} from {} until {} {}\n",
            identity.name,
            roles.join(","),
            identity.key.key_details(),
            identity.valid_from,
            end(identity.valid_until.into_iter().chain(identity.revoked_at).min()),
            file.map_or("", |(file, _)| file),
        ));
        rows.push(row(identity, &roles, state, file.map(|(file, _)| file.as_str())));
    }
    Ok(Report::yes(json!({"keys": rows}), text.trim_end()))
}

fn row(identity: &Identity, roles: &[&str], state: &str, file: Option<&str>) -> Value {
    json!({
        "name": identity.name, "roles": roles, "keyId": identity.key.id(), "algorithm": identity.key.key_details(),
        "validFrom": identity.valid_from, "validUntil": identity.valid_until, "revokedAt": identity.revoked_at,
        "state": state, "file": file,
    })
}

/// The files of the home's keys by the keys' ids, and whether each waits to take another's place.
fn files(home: &Home) -> Result<BTreeMap<Digest, (String, bool)>> {
    let mut files = BTreeMap::new();
    for name in KeyName::ALL {
        let file = |path: std::path::PathBuf| path.display().to_string();
        let key = keys::read_key(home, name)?;
        files.insert(key.public().id(), (file(name.file(&home.keys())), false));
        if let Some(next) = keys::successor(home, name)? {
            files.insert(next.public().id(), (file(name.next_file(&home.keys())), true));
        }
    }
    Ok(files)
}

/// `signs`: what the home signs with; `waits`: its successor; `accepted`: counts, and its private half is not here;
/// `ended`, `revoked`: what it signed before still counts.
fn state(identity: &Identity, file: Option<bool>, now: Timestamp) -> &'static str {
    if identity.revoked_at.is_some_and(|at| at <= now) {
        return "revoked";
    }
    if identity.valid_until.is_some_and(|until| until < now) {
        return "ended";
    }
    match file {
        Some(false) => "signs",
        Some(true) => "waits",
        None => "accepted",
    }
}
