//! The signer: another process, which alone reads a private key.
//!
//! `assay __signer ROLE` reads payloads from a one-way pipe and answers with envelopes on another. It takes only
//! in-toto statements whose predicate the role may sign (`attest::predicate`), so that a process that was talked into
//! sending something else gets nothing signed. A frame is a length (u32, big endian) and that many bytes:
//!
//! ```text
//! to the signer:   [len]{"_type":"https://in-toto.io/Statement/v1",…}
//! from the signer: [len]{"payload":"…","payloadType":"application/vnd.in-toto+json","signatures":[…]}
//!             or:  [0][len]reason of a refusal
//! ```

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use attest::predicate::Predicate;
use sign::SigningKey;
use sign::trust::Role;
use wire::dsse::{self, Envelope};
use wire::in_toto::Statement;

use crate::commands::admin::{accept, key};
use crate::error::{Context, Failure, Result};
use crate::home::Home;
use crate::keys::{self, KeyName};

/// A running signer process for one key. It ends when this value is dropped, and with its parent.
pub(crate) struct Signer {
    process: Child,
    to: Option<ChildStdin>,
    from: ChildStdout,
}

impl Signer {
    /// Starts a signer for a key of the home.
    pub(crate) fn start(home: &Home, name: KeyName) -> Result<Signer> {
        let exe = crate::machine::this_program();
        let mut command = Command::new(exe);
        command
            .arg("__signer")
            .arg(name.file(&home.keys()))
            .arg(name.role().name())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(file) = keys::file::passphrase_file()? {
            command.env(keys::file::PASSPHRASE_FILE, file);
        }
        let mut process = command.spawn().context("signer", "starting the signer process")?;
        let to = process.stdin.take();
        let from = process.stdout.take().ok_or_else(|| Failure::new("signer", "the signer process has no output"))?;
        Ok(Signer { process, to, from })
    }

    /// Signs the canonical JSON of a statement.
    pub(crate) fn sign(&mut self, statement: &Statement) -> Result<Envelope> {
        let to = self.to.as_mut().ok_or_else(|| Failure::new("signer", "the signer process has no input"))?;
        write_frame(to, &statement.to_json()).context("signer", "sending a statement to the signer process")?;
        let answer = read_frame(&mut self.from).context("signer", "reading from the signer process")?;
        if answer.is_empty() {
            let reason = read_frame(&mut self.from).context("signer", "reading from the signer process")?;
            return Err(Failure::new("signer-refused", String::from_utf8_lossy(&reason).into_owned()));
        }
        Envelope::parse(&answer).context("signer", "reading the envelope from the signer process")
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        self.to = None; // its input ends, so it ends
        let _ended = self.process.wait();
    }
}

/// The signer process: `__signer KEYFILE ROLE`. Of the environment it has where the passphrase is, and nothing else.
pub(crate) fn main(arguments: &[String]) -> u8 {
    let [key_file, role] = arguments else { return 2 };
    let served = serve(Path::new(key_file), role, &mut io::stdin().lock(), &mut io::stdout().lock());
    if served.is_ok() { 0 } else { 2 }
}

fn serve(key_file: &Path, role: &str, from: &mut dyn Read, to: &mut dyn Write) -> io::Result<()> {
    let key = keys::file::read(key_file).map_err(|failure| failure.sentence());
    loop {
        let payload = match read_frame(from) {
            Ok(payload) => payload,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let answer = match &key {
            Ok(key) => seal(key, role, &payload),
            Err(reason) => Err(reason.clone()),
        };
        match answer {
            Ok(envelope) => write_frame(to, &envelope.to_json())?,
            Err(reason) => {
                write_frame(to, b"")?;
                write_frame(to, reason.as_bytes())?;
            }
        }
    }
}

fn seal(own: &SigningKey, role: &str, payload: &[u8]) -> std::result::Result<Envelope, String> {
    let statement =
        Statement::parse(payload).map_err(|error| format!("what should be signed is no statement: {error}"))?;
    let is_of_the_home = [accept::TYPE, key::TYPE].contains(&statement.predicate_type.as_str());
    let wanted = match is_of_the_home {
        true => Some(Role::Admin.name()),
        false => Predicate::of(&statement).map(|predicate| predicate.role().name()),
    };
    if wanted != Some(role) {
        return Err(format!("a key with role `{role}` does not sign `{}`", statement.predicate_type));
    }
    Ok(sign::seal(dsse::IN_TOTO, payload, own))
}

fn write_frame(to: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

fn read_frame(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > dsse::SIZE_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame larger than an envelope may be"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
