//! The home's signing keys, a file for each use, and `trust.json`, which says what each may sign.
//!
//! A key is a P-256 private key in PKCS#8 PEM, mode 0600, encrypted if its owner wants that, made on first use. The builder has one key for each level of
//! isolation, so that who can sign for a weak run cannot sign for a complete one.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sign::SigningKey;
use sign::trust::{Identity, Role, Trust};
use wire::timestamp::Timestamp;

use crate::error::{Context, Failure, Result};
use crate::home::Home;
use crate::machine;
use crate::runbook::durable;

pub(crate) mod file;

/// The uses of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyName {
    BuilderFull,
    BuilderNoProc,
    BuilderTraceOnly,
    Tester,
    Publisher,
    Verifier,
    Deployer,
    Admin,
}

impl KeyName {
    /// All of them.
    pub(crate) const ALL: [KeyName; 8] = [
        KeyName::BuilderFull,
        KeyName::BuilderNoProc,
        KeyName::BuilderTraceOnly,
        KeyName::Tester,
        KeyName::Publisher,
        KeyName::Verifier,
        KeyName::Deployer,
        KeyName::Admin,
    ];

    /// The builder's key for a level of isolation.
    pub(crate) fn builder(level: &str) -> Option<KeyName> {
        match level {
            "full" => Some(KeyName::BuilderFull),
            "no-proc" => Some(KeyName::BuilderNoProc),
            "trace-only" => Some(KeyName::BuilderTraceOnly),
            _ => None,
        }
    }

    /// The identity's name in `trust.json` and policies.
    pub(crate) fn identity(self) -> &'static str {
        match self {
            KeyName::BuilderFull => "builder-full",
            KeyName::BuilderNoProc => "builder-no-proc",
            KeyName::BuilderTraceOnly => "builder-trace-only",
            KeyName::Tester => "tester",
            KeyName::Publisher => "publisher",
            KeyName::Verifier => "verifier",
            KeyName::Deployer => "deployer",
            KeyName::Admin => "admin",
        }
    }

    /// What the key may sign.
    pub(crate) fn role(self) -> Role {
        match self {
            KeyName::BuilderFull | KeyName::BuilderNoProc | KeyName::BuilderTraceOnly => Role::Builder,
            KeyName::Tester => Role::Tester,
            KeyName::Publisher => Role::Publisher,
            KeyName::Verifier => Role::Verifier,
            KeyName::Deployer => Role::Deployer,
            KeyName::Admin => Role::Admin,
        }
    }

    /// The use of that name.
    pub(crate) fn of_identity(name: &str) -> Option<KeyName> {
        KeyName::ALL.into_iter().find(|known| known.identity() == name)
    }

    /// Where the key lies.
    pub(crate) fn file(self, keys: &Path) -> PathBuf {
        keys.join(format!("{}.pem", self.identity()))
    }

    /// Where its successor lies until it takes its place.
    pub(crate) fn next_file(self, keys: &Path) -> PathBuf {
        keys.join(format!("{}.next.pem", self.identity()))
    }
}

/// Makes the keys that are missing, and returns the trust root, adding this home's identities when it is new. Successors
/// whose time has come take their place.
pub(crate) fn ensure(home: &Home, now: Timestamp) -> Result<Trust> {
    let mut trust = read_trust(&home.trust())?;
    let mut changed = trust.is_none();
    let trust_now = trust.get_or_insert_with(Trust::default);
    for name in KeyName::ALL {
        let path = name.file(&home.keys());
        succeed(home, name, trust_now, now)?;
        if path.exists() {
            continue;
        }
        if trust_now.identities.iter().any(|identity| identity.name == name.identity()) {
            return Err(Failure::new(
                "key-missing",
                format!("`{}` is missing, but `{}` accepts its identity", path.display(), home.trust().display()),
            )
            .hint("restore the key from a back-up, or remove the identity from trust.json to have a new key made"));
        }
        let key = SigningKey::generate().context("key", "making a signing key")?;
        file::write(&path, &key)?;
        trust_now.identities.push(Identity {
            name: name.identity().to_owned(),
            key: key.public().clone(),
            roles: vec![name.role()],
            valid_from: now,
            valid_until: None,
            revoked_at: None,
        });
        changed = true;
    }
    if changed {
        write_trust(&home.trust(), trust_now)?;
    }
    Ok(trust.unwrap_or_default())
}

/// Puts a key's successor in its place if `trust.json` accepts it and its time has come: the last step of a rotation, which
/// whoever comes first after a crash does. From one moment to the next the home has the one key or the other.
pub(crate) fn succeed(home: &Home, name: KeyName, trust: &Trust, now: Timestamp) -> Result<()> {
    let Some(next) = successor(home, name)? else { return Ok(()) };
    let accepted = trust.identity(&next.public().id());
    let counts = accepted.filter(|identity| identity.name == name.identity() && identity.revoked_at.is_none());
    if counts.is_none_or(|identity| identity.valid_from > now) {
        return Ok(());
    }
    let (from, to) = (name.next_file(&home.keys()), name.file(&home.keys()));
    match fs::rename(&from, &to) {
        Ok(()) => sync_directory(&home.keys()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()), // another process did it
        Err(error) => Err(error).context("key", format!("moving `{}` to `{}`", from.display(), to.display())),
    }
}

/// Reads the key that is to take another's place; `None` if there is none.
pub(crate) fn successor(home: &Home, name: KeyName) -> Result<Option<SigningKey>> {
    let path = name.next_file(&home.keys());
    let text = match file::text(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context("key", format!("reading `{}`", path.display())),
    };
    file::of_text(&path, text).map(Some).map_err(|failure| match failure.code {
        "key" => failure.hint("if it was left half made, remove it: nothing was signed with it"),
        _ => failure,
    })
}

/// Whether no key is missing and none waits to take another's place, so that [`ensure`] and [`secret`] write nothing.
pub(crate) fn complete(home: &Home) -> bool {
    if KeyName::ALL.iter().any(|name| name.next_file(&home.keys()).exists()) {
        return false;
    }
    let keys = KeyName::ALL.iter().map(|name| name.file(&home.keys()));
    keys.chain([home.trust(), home.keys().join("home.secret")]).all(|path| path.exists())
}

/// The home's secret: 32 bytes that key the names of machines, made on first use and never published.
pub(crate) fn secret(home: &Home) -> Result<Vec<u8>> {
    let path = home.keys().join("home.secret");
    if !path.exists() {
        write_private(&path, &machine::random::<32>()?)?;
    }
    fs::read(&path).context("key", format!("reading `{}`", path.display()))
}

/// The token by which this home's own commands speak to its server; `None` before the first `assay serve`.
pub(crate) fn operator_token(home: &Home) -> Option<String> {
    fs::read_to_string(home.keys().join("operator.token")).ok().map(|token| token.trim().to_owned())
}

/// Keeps the operator's token.
pub(crate) fn write_operator_token(home: &Home, token: &str) -> Result<()> {
    write_private(&home.keys().join("operator.token"), format!("{token}\n").as_bytes())
}

/// Reads a signing key of the home, for the server, which signs in its own process.
pub(crate) fn read_key(home: &Home, name: KeyName) -> Result<SigningKey> {
    read_file(home, &format!("{}.pem", name.identity()))
}

/// Reads a key by the name of its file.
pub(crate) fn read_file(home: &Home, name: &str) -> Result<SigningKey> {
    file::read(&home.keys().join(name))
}

/// Reads `trust.json`; `None` when there is none.
pub(crate) fn read_trust(path: &Path) -> Result<Option<Trust>> {
    match fs::read_to_string(path) {
        Ok(text) => Trust::parse(&text).context("trust", format!("reading `{}`", path.display())).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("trust", format!("reading `{}`", path.display())),
    }
}

/// Replaces `trust.json` atomically.
pub(crate) fn write_trust(path: &Path, trust: &Trust) -> Result<()> {
    durable(path, trust.to_json().as_bytes()).context("trust", format!("writing `{}`", path.display()))
}

/// Writes a file that only its owner may read, durably.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let doing = || format!("writing `{}`", path.display());
    let temporary = path.with_extension("new");
    let _stale = fs::remove_file(&temporary);
    let mut file =
        fs::File::options().write(true).create_new(true).mode(0o600).open(&temporary).context("key", doing())?;
    file.write_all(bytes).and_then(|()| file.sync_all()).context("key", doing())?;
    fs::rename(&temporary, path).context("key", doing())?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Makes the names in a directory durable.
fn sync_directory(path: &Path) -> Result<()> {
    fs::File::open(path).and_then(|opened| opened.sync_all()).context("key", format!("syncing `{}`", path.display()))
}
