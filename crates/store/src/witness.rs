//! The directory of a witness: its keys, and the newest checkpoint that it cosigned of each log.
//!
//! ```text
//! DIR/VERSION              "assay witness 1\n"
//!     lock                 who has it open
//!     name                 "witness.example.org/w1\n"
//!     keys/ed25519.pem     PKCS #8, mode 0600; likewise keys/ml-dsa-44.pem
//!     seen/7d1f…           by SHA-256 of the origin: the cosigned checkpoint, a signed note
//!     evidence/9b0c…       by their own SHA-256: requests that prove that a log signed two histories
//!     tmp/                 unfinished files, removed at opening
//! ```
//!
//! What a log signed is compared with the record and becomes the record as one act, under one lock; it is durable before
//! the cosignature leaves. A record that this witness's keys did not sign is refused at opening: a witness that forgot
//! what it saw would cosign a second history. It cannot notice that its whole directory was set back; a witness whose
//! directory was lost or restored must be given a new key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sign::KeyError;
use sign::cosignature::{Algorithm, CosignatureError, Cosigned, CosignerKey, WitnessKey};
use sign::note::NoteKey;
use tlog::checkpoint::Checkpoint;
use tlog::witness::{self as step, Refusal, Seen};
use wire::digest::Digest;
use wire::note::{Note, Signature};
use wire::timestamp::Timestamp;
use wire::tlog_witness::AddCheckpoint;

use crate::durable::{self, Disk, Faults, FileError};
use crate::lock::{Lock, LockError};

/// First and only line of `VERSION`.
pub const VERSION: &str = "assay witness 1\n";

/// The largest of its files: a checkpoint with its signatures.
const SMALL_MAX: u64 = 128 << 10;

/// How many requests are kept as evidence, so that nobody fills the disk with them.
const EVIDENCE_MAX: usize = 1000;

/// The kinds of key, and their files.
const KEYS: [(Algorithm, &str); 2] = [(Algorithm::Ed25519, "ed25519.pem"), (Algorithm::MlDsa44, "ml-dsa-44.pem")];

/// An open witness. Any number of threads may use it; one checkpoint at a time is decided about.
pub struct Witness {
    path: PathBuf,
    disk: Disk,
    keys: Vec<WitnessKey>,
    name: String,
    /// By origin. Held while a checkpoint is compared and made durable.
    seen: Mutex<BTreeMap<String, Record>>,
    _lock: Lock,
}

/// What was cosigned last.
#[derive(Clone)]
struct Record {
    seen: Seen,
    note: String,
}

/// What a witness has seen of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLog {
    /// The log's name.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
}

/// Why a witness does not answer with a cosignature.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The request is refused, for a reason that the log should hear.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no witness.
    #[error("`{}` is no directory of a witness: it has no file `VERSION`", .0.display())]
    NotAWitness(PathBuf),
    /// There is one already.
    #[error("`{}` is the directory of a witness already", .0.display())]
    Exists(PathBuf),
    /// Something else is there.
    #[error("`{}` is not empty: choose an empty directory", .0.display())]
    Occupied(PathBuf),
    /// Made by a later program, or damaged.
    #[error("`{}` is damaged, or of another version: expected {expected}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// A key that cannot be made or read.
    #[error("reading or making the witness's key")]
    Key(#[from] KeyError),
    /// The checkpoint cannot be cosigned.
    #[error("cosigning")]
    Cosign(#[from] CosignatureError),
    /// Another process has it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Witness {
    /// Makes the directory of a witness, with new keys of both kinds. After a crash the same call can be made again: it
    /// is a witness only once `VERSION` is there.
    pub fn create(path: &Path, name: &str) -> Result<(), WitnessError> {
        let disk = Disk::new(path.join("tmp"));
        disk.make_directories(path)?;
        if path.join("VERSION").exists() {
            return Err(WitnessError::Exists(path.to_owned()));
        }
        let ours = ["lock", "name", "keys", "seen", "tmp"];
        if durable::list(path)?.iter().any(|name| !ours.contains(&name.as_str())) {
            return Err(WitnessError::Occupied(path.to_owned()));
        }
        let mut lock = Lock::take(&path.join("lock"))?;
        disk.make_directories(&path.join("keys"))?;
        disk.make_directories(&path.join("seen"))?;
        for (algorithm, file) in KEYS {
            let key = WitnessKey::generate(name, algorithm)?;
            disk.replace(&path.join("keys").join(file), key.to_pem().as_bytes(), 0o600)?;
        }
        disk.replace(&path.join("name"), format!("{name}\n").as_bytes(), 0o644)?;
        disk.replace(&path.join("VERSION"), VERSION.as_bytes(), 0o644)?;
        Ok(lock.clear()?)
    }

    /// Opens the directory of a witness. `faults` make steps fail, for tests.
    pub fn open(path: &Path, faults: Option<std::sync::Arc<Faults>>) -> Result<Witness, WitnessError> {
        let version = path.join("VERSION");
        match durable::read_optional(&version, SMALL_MAX)? {
            None => return Err(WitnessError::NotAWitness(path.to_owned())),
            Some(found) if found == VERSION.as_bytes() => {}
            Some(_) => return Err(WitnessError::Damaged { path: version, expected: "`assay witness 1`" }),
        }
        let lock = Lock::take(&path.join("lock"))?;
        let scratch = path.join("tmp");
        let disk = match faults {
            Some(faults) => Disk::with_faults(scratch, faults),
            None => Disk::new(scratch),
        };
        disk.clear_scratch()?;
        let name = text(&path.join("name"), "a name in one line")?;
        let name = name.trim_end_matches('\n').to_owned();
        let mut keys = Vec::new();
        for (algorithm, file) in KEYS {
            let pem = text(&path.join("keys").join(file), "a key in PEM")?;
            keys.push(WitnessKey::from_pem(&name, algorithm, &pem)?);
        }
        let seen = Mutex::new(records(&path.join("seen"), &keys)?);
        Ok(Witness { path: path.to_owned(), disk, keys, name, seen, _lock: lock })
    }

    /// Returns the witness's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its public keys.
    pub fn keys(&self) -> impl Iterator<Item = &CosignerKey> {
        self.keys.iter().map(WitnessKey::public)
    }

    /// Returns what it has seen, by origin.
    pub fn seen(&self) -> Vec<SeenLog> {
        let logs = self.records();
        logs.iter().map(|(origin, record)| SeenLog { origin: origin.clone(), size: record.seen.size }).collect()
    }

    /// Returns the newest cosigned checkpoint of the log whose origin has this SHA-256 (lower-case hexadecimal).
    pub fn checkpoint(&self, origin_sha256: &str) -> Option<String> {
        let records = self.records();
        let found = records.iter().find(|(origin, _)| Digest::of(origin.as_bytes()).hex() == origin_sha256);
        found.map(|(_, record)| record.note.clone())
    }

    /// Decides about a request to cosign a checkpoint, as C2SP tlog-witness has it, and returns the signature lines once
    /// the checkpoint is on record. `logs` are the keys of the logs that this witness follows.
    ///
    /// After an error of the file system the checkpoint may be on record all the same; the log then hears of it by
    /// [`Refusal::Seen`] at its next try.
    pub fn add_checkpoint(
        &self,
        request: &str,
        logs: &[NoteKey],
        now: Timestamp,
    ) -> Result<Vec<Signature>, WitnessError> {
        let parsed = AddCheckpoint::parse(request).map_err(Refusal::from)?;
        let origin = step::origin(&parsed)?;
        let mut records = self.records();
        let seen = records.get(&origin).map_or_else(Seen::nothing, |record| record.seen);
        let accepted = match step::check(&parsed, logs, &seen) {
            Ok(accepted) => accepted,
            Err(refusal) => {
                drop(records);
                if refusal.is_evidence() {
                    self.keep(request)?;
                }
                return Err(refusal.into());
            }
        };
        let lines = self.keys.iter().map(|key| accepted.cosign(key, now)).collect::<Result<Vec<_>, _>>()?;
        let mut note = Note::parse(accepted.signed()).expect("it was parsed when it was accepted");
        // Cosignatures that came with it are others', and checked by nobody.
        note.signatures.retain(|line| logs.iter().any(|log| log.key_id() == line.key_id && log.name() == line.name));
        note.signatures.extend(lines.iter().cloned());
        let record = Record { seen: accepted.seen(), note: note.to_string() };
        let path = self.path.join("seen").join(Digest::of(origin.as_bytes()).hex());
        if let Err(error) = self.disk.replace(&path, record.note.as_bytes(), 0o644) {
            // It may be there or not: what is on disk is what counts.
            self.reload(&mut records, &origin, &path);
            return Err(error.into());
        }
        records.insert(origin, record);
        Ok(lines)
    }

    fn reload(&self, records: &mut BTreeMap<String, Record>, origin: &str, path: &Path) {
        if let Ok((found, record)) = read_record(path, &self.keys)
            && found == origin
        {
            records.insert(found, record);
        }
    }

    fn keep(&self, request: &str) -> Result<(), FileError> {
        let directory = self.path.join("evidence");
        self.disk.make_directories(&directory)?;
        if durable::list(&directory)?.len() >= EVIDENCE_MAX {
            return Ok(());
        }
        let name = Digest::of(request.as_bytes()).hex();
        self.disk.replace(&directory.join(name), request.as_bytes(), 0o644)
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<String, Record>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const RECORD: &str = "a checkpoint that this witness has cosigned";

fn records(directory: &Path, keys: &[WitnessKey]) -> Result<BTreeMap<String, Record>, WitnessError> {
    if !directory.is_dir() {
        return Err(WitnessError::Damaged { path: directory.to_owned(), expected: "what the witness has seen" });
    }
    let mut records = BTreeMap::new();
    for name in durable::list(directory)? {
        let path = directory.join(&name);
        let (origin, record) = read_record(&path, keys)?;
        if Digest::of(origin.as_bytes()).hex() != name {
            return Err(WitnessError::Damaged { path, expected: RECORD });
        }
        records.insert(origin, record);
    }
    Ok(records)
}

fn read_record(path: &Path, keys: &[WitnessKey]) -> Result<(String, Record), WitnessError> {
    let damaged = || WitnessError::Damaged { path: path.to_owned(), expected: RECORD };
    let text = text(path, RECORD)?;
    let note = Note::parse(&text).map_err(|_| damaged())?;
    let Checkpoint { origin, size, root } = Checkpoint::parse(&note.body).map_err(|_| damaged())?;
    let cosigned = Cosigned { body: &note.body, origin: &origin, size, root: &root };
    let ours = |key: &WitnessKey| {
        let line = note.signatures.iter().find(|line| key.public().names(line));
        line.is_some_and(|line| key.public().verify(line, &cosigned).is_ok())
    };
    if !keys.iter().all(ours) {
        return Err(damaged());
    }
    Ok((origin, Record { seen: Seen { size, root }, note: text }))
}

fn text(path: &Path, expected: &'static str) -> Result<String, WitnessError> {
    let damaged = || WitnessError::Damaged { path: path.to_owned(), expected };
    let bytes = durable::read_optional(path, SMALL_MAX)?.ok_or_else(damaged)?;
    String::from_utf8(bytes).map_err(|_| damaged())
}

#[cfg(test)]
mod tests;
