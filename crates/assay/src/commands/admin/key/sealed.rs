//! `assay admin key encrypt`, `decrypt`: the private keys below `keys/`, file by file.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use sign::SigningKey;
use sign::encrypted;
use zeroize::Zeroizing;

use crate::commands::admin::local;
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::keys::{self, file};
use crate::report::Report;
use crate::session::Session;

/// Encrypt the private keys in keys/ by the passphrase in the file that ASSAY_KEY_PASSPHRASE_FILE names
///
/// PKCS#8 with PBES2, which `openssl pkey` opens. From then on every command that signs, and `assay serve` when it starts, needs
/// the variable; keys that are made while it is set are encrypted, too. The key of the log, data/log/key.pem, and that of the log of
/// certificates below data/ct are not encrypted. Killed in between, the same command ends it. Stop `assay serve` first.
///
/// Example: ASSAY_KEY_PASSPHRASE_FILE=/run/secrets/assay assay admin key encrypt
#[derive(Debug, clap::Args)]
pub(crate) struct EncryptArgs {}

/// Write the private keys in keys/ in the clear again, by the passphrase that they are encrypted with
#[derive(Debug, clap::Args)]
pub(crate) struct DecryptArgs {}

/// A private key's file.
struct KeyFile {
    path: PathBuf,
    encrypted: bool,
    clear: Zeroizing<String>,
}

pub(super) fn encrypt(context: &Context) -> Result<Report> {
    let Some(passphrase) = file::passphrase()? else {
        return Err(Failure::new("passphrase", format!("`{}` is not set", file::PASSPHRASE_FILE))
            .hint(format!("{}=FILE assay admin key encrypt", file::PASSPHRASE_FILE)));
    };
    rewrite(context, "encrypted", |key| match key.encrypted {
        true => Ok(false),
        false => file::write_encrypted(&key.path, &key.clear, &passphrase).map(|()| true),
    })
}

pub(super) fn decrypt(context: &Context) -> Result<Report> {
    rewrite(context, "decrypted", |key| match key.encrypted {
        true => keys::write_private(&key.path, key.clear.as_bytes()).map(|()| true),
        false => Ok(false),
    })
}

/// Reads every key, so that one which does not open ends the command before anything is written; then writes each.
fn rewrite(context: &Context, word: &str, write: impl Fn(&KeyFile) -> Result<bool>) -> Result<Report> {
    let session = Session::open(context)?;
    local(&session, "rewriting the keys")?;
    let mut written = Vec::new();
    let mut there = 0;
    for key in &read(&context.home.keys())? {
        match write(key)? {
            true => written.push(key.path.display().to_string()),
            false => there += 1,
        }
    }
    session.close()?;
    let mut text = format!("{word} {} keys", written.len());
    if there > 0 {
        text.push_str(&format!("; {there} were already"));
    }
    Ok(Report::yes(json!({word: written, "already": there}), text))
}

fn read(directory: &Path) -> Result<Vec<KeyFile>> {
    let doing = || format!("reading `{}`", directory.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).context("key", doing())? {
        let path = entry.context("key", doing())?.path();
        if path.extension().is_some_and(|extension| extension == "pem") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.into_iter().map(read_one).collect()
}

fn read_one(path: PathBuf) -> Result<KeyFile> {
    let text = file::text(&path).context("key", format!("reading `{}`", path.display()))?;
    let encrypted = encrypted::is_encrypted(&text);
    let clear = if encrypted { file::decrypted(&path, &text)? } else { text };
    SigningKey::from_pkcs8_pem(&clear).context("key", format!("reading `{}`", path.display()))?;
    Ok(KeyFile { path, encrypted, clear })
}
