//! Private keys in files: PKCS#8 PEM, in the clear or encrypted by a passphrase.
//!
//! The passphrase is the first line of the file that `ASSAY_KEY_PASSPHRASE_FILE` names, read by each process that needs a
//! key, and by none else: the variable, not the passphrase, is handed to the signer. Where it is set, new keys are encrypted.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use sign::SigningKey;
use sign::encrypted::{self, PASSPHRASE_MAX, Passphrase};
use zeroize::Zeroizing;

use super::write_private;
use crate::error::{Context, Failure, Result};

/// The variable that names the file with the passphrase.
pub(crate) const PASSPHRASE_FILE: &str = "ASSAY_KEY_PASSPHRASE_FILE";

/// Where the passphrase is, absolute; `None` when nobody said.
pub(crate) fn passphrase_file() -> Result<Option<PathBuf>> {
    match std::env::var_os(PASSPHRASE_FILE).filter(|value| !value.is_empty()) {
        Some(path) => std::path::absolute(path).context("passphrase", format!("finding `{PASSPHRASE_FILE}`")).map(Some),
        None => Ok(None),
    }
}

/// Reads the passphrase; `None` when nobody said where it is. From here on the process leaves no core dump.
pub(crate) fn passphrase() -> Result<Option<Passphrase>> {
    let Some(path) = passphrase_file()? else { return Ok(None) };
    let doing = || format!("reading the passphrase in `{}`", path.display());
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("passphrase", "forbidding core dumps")?;
    // One more than may be, and the end of the line; never moved, so that no copy stays behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(PASSPHRASE_MAX + 3));
    let file = fs::File::open(&path).context("passphrase", doing())?;
    file.take(PASSPHRASE_MAX as u64 + 3).read_to_end(&mut bytes).context("passphrase", doing())?;
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    Passphrase::new(bytes).context("passphrase", doing()).map(Some)
}

/// Reads a private key.
pub(crate) fn read(path: &Path) -> Result<SigningKey> {
    let text = text(path).context("key", format!("reading `{}`", path.display()))?;
    of_text(path, text)
}

/// Reads the text of a file, in memory that is wiped.
pub(crate) fn text(path: &Path) -> std::io::Result<Zeroizing<String>> {
    fs::read_to_string(path).map(Zeroizing::new)
}

/// Reads the private key that is a file's text.
pub(crate) fn of_text(path: &Path, text: Zeroizing<String>) -> Result<SigningKey> {
    let clear = if encrypted::is_encrypted(&text) { decrypted(path, &text)? } else { text };
    SigningKey::from_pkcs8_pem(&clear).context("key", format!("reading `{}`", path.display()))
}

/// Writes a new private key, encrypted where there is a passphrase.
pub(crate) fn write(path: &Path, key: &SigningKey) -> Result<()> {
    let clear = key.to_pkcs8_pem();
    match passphrase()? {
        Some(passphrase) => write_encrypted(path, &clear, &passphrase),
        None => write_private(path, clear.as_bytes()),
    }
}

/// Writes a private key's text encrypted, once it was seen to decrypt.
pub(crate) fn write_encrypted(path: &Path, clear: &str, passphrase: &Passphrase) -> Result<()> {
    let doing = || format!("encrypting `{}`", path.display());
    let text = encrypted::encrypt(clear, passphrase).context("key", doing())?;
    let again = encrypted::decrypt(&text, passphrase).context("key", doing())?;
    if *again != clear {
        return Err(Failure::new("key", format!("{}: it does not decrypt to what it was", doing())));
    }
    write_private(path, text.as_bytes())
}

/// Decrypts the text of an encrypted key.
pub(crate) fn decrypted(path: &Path, text: &str) -> Result<Zeroizing<String>> {
    let Some(passphrase) = passphrase()? else {
        let text =
            format!("`{}` is encrypted, and `{PASSPHRASE_FILE}` does not say where its passphrase is", path.display());
        return Err(Failure::new("passphrase", text).hint(format!("{PASSPHRASE_FILE}=FILE assay …")));
    };
    encrypted::decrypt(text, &passphrase)
        .context("passphrase", format!("decrypting `{}`", path.display()))
        .map_err(|failure| failure.hint(format!("look at what `{PASSPHRASE_FILE}` names")))
}
