//! A small home for tests: keys for every role, a log, statements about one service.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use attest::predicate::Predicate;
use sign::trust::{Identity, LogIdentity, Role, Trust};
use sign::{LogKey, SigningKey};
use tlog::checkpoint::Checkpoint;
use tlog::index::{IndexEntry, IndexKey};
use tlog::merkle::{self, Hash};
use tlog::proposal::Proposal;
use tlog::tile::{TilePath, WIDTH, parse_bundle};
use wire::digest::Digest;
use wire::dsse::{Envelope, IN_TOTO};
use wire::in_toto::{ResourceDescriptor, Statement};
use wire::rekor::request::Request;
use wire::rekor::{Der, Signature002, Verifier};
use wire::timestamp::Timestamp;

use crate::blobs::Blobs;
use crate::durable::Disk;
use crate::fsck::Target;
use crate::home::{Home, Options};
use crate::log::{NewLog, Reader};
use crate::scratch::Scratch;

/// A moment after everything in [`attest::sample`].
pub(crate) fn now() -> Timestamp {
    attest::sample::time(100_000)
}

/// Keys, trust, and where everything lies.
pub(crate) struct Sample {
    pub(crate) scratch: Scratch,
    pub(crate) keys: BTreeMap<&'static str, SigningKey>,
    pub(crate) origin: String,
    log_key: String,
    pub(crate) trust: Arc<Trust>,
}

impl Sample {
    /// Makes keys and a trust root, but no directory yet.
    pub(crate) fn new(name: &str) -> Sample {
        let scratch = Scratch::new(name);
        let mut keys = BTreeMap::new();
        let mut identities = Vec::new();
        for (role, name) in Role::ALL {
            let key = SigningKey::generate().expect("generated");
            identities.push(Identity {
                name: name.to_owned(),
                key: key.public().clone(),
                roles: vec![role],
                valid_from: attest::sample::time(-1),
                valid_until: None,
                revoked_at: None,
            });
            keys.insert(name, key);
        }
        let log_key = LogKey::generate().expect("generated");
        let origin = format!("example.org/{name}");
        let logs = vec![LogIdentity {
            origin: origin.clone(),
            key: log_key.public().clone(),
            valid_from: attest::sample::time(-1),
            valid_until: None,
        }];
        let trust = Arc::new(Trust { identities, logs, ..Trust::default() });
        Sample { scratch, keys, origin, log_key: log_key.to_pem().to_string(), trust }
    }

    /// The same, trusting whom another home trusts, too.
    pub(crate) fn with_trust(name: &str, other: &Trust) -> Sample {
        let mut sample = Sample::new(name);
        let mut trust = (*sample.trust).clone();
        trust.identities.extend(other.identities.iter().cloned());
        trust.logs.extend(other.logs.iter().cloned());
        sample.trust = Arc::new(trust);
        sample
    }

    /// Another home with the same keys, whose directory is a copy of this one's.
    pub(crate) fn copied(&self, name: &str) -> Sample {
        let scratch = self.scratch.below(name);
        copy_tree(&self.data(), &scratch.path().join("home/data"));
        copy_tree(&self.heads(), &scratch.path().join("heads"));
        let keys = self.keys.iter().map(|(name, key)| (*name, copy_key(key))).collect();
        let (origin, log_key, trust) = (self.origin.clone(), self.log_key.clone(), Arc::clone(&self.trust));
        Sample { scratch, keys, origin, log_key, trust }
    }

    /// Writes down what another process needs to be a user of this home.
    pub(crate) fn save(&self) {
        for (name, key) in &self.keys {
            fs::write(self.scratch.path().join(format!("{name}.pem")), key.to_pkcs8_pem().as_bytes()).expect("written");
        }
        fs::write(self.scratch.path().join("trust.json"), self.trust.to_json()).expect("written");
    }

    /// Reads what [`Sample::save`] wrote.
    pub(crate) fn load(directory: &Path) -> Sample {
        let read = |name: &str| fs::read_to_string(directory.join(name)).expect("saved");
        let trust = Arc::new(Trust::parse(&read("trust.json")).expect("saved"));
        let keys = Role::ALL
            .iter()
            .map(|(_, name)| (*name, SigningKey::from_pkcs8_pem(&read(&format!("{name}.pem"))).expect("saved")));
        let (keys, origin) = (keys.collect(), trust.logs[0].origin.clone());
        Sample { scratch: Scratch::of(directory), keys, origin, log_key: String::new(), trust }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.scratch.path().join("home/data")
    }

    pub(crate) fn heads(&self) -> PathBuf {
        self.scratch.path().join("heads")
    }

    pub(crate) fn fsck_target(&self) -> Target {
        Target {
            data: self.data(),
            covered: Vec::new(),
            heads: Some(self.heads()),
            trust: Some(Arc::clone(&self.trust)),
            scratch: self.scratch.path().join("fsck"),
        }
    }

    pub(crate) fn options(&self) -> Options {
        Options { heads: self.heads(), trust: Arc::clone(&self.trust), covered: Vec::new(), faults: None }
    }

    pub(crate) fn new_log(&self) -> NewLog {
        NewLog {
            origin: self.origin.clone(),
            key: LogKey::from_pem(&self.log_key).expect("a key"),
            index_key: IndexKey::from_hex(&Digest::of(b"index key").hex()).expect("a key"),
        }
    }

    /// Makes the data directory and opens it.
    pub(crate) async fn home(&self) -> Home {
        Home::create(&self.data(), &self.options(), self.new_log()).await.expect("created");
        self.open().await
    }

    pub(crate) async fn open(&self) -> Home {
        Home::open(&self.data(), &self.options()).await.expect("opened")
    }

    /// Signs a statement of the sample service by whom it takes.
    pub(crate) fn sample(&self, predicate: Predicate) -> Envelope {
        self.sign(&attest::sample::statement(predicate), predicate.role())
    }

    pub(crate) fn sign(&self, statement: &Statement, role: Role) -> Envelope {
        sign::seal(IN_TOTO, &statement.to_json(), &self.keys[role.name()])
    }

    /// Signs a statement that is like no other.
    pub(crate) fn unique(&self, number: u64) -> Envelope {
        let subject = ResourceDescriptor::named(&format!("thing-{number}"), &Digest::of(&number.to_be_bytes()));
        let statement = Statement::new(vec![subject], "https://example.org/unique", serde_json::json!({ "n": number }));
        self.sign(&statement, Role::Builder)
    }

    /// The builder's signature over the digest of a message.
    pub(crate) fn proposal(&self, message: &[u8]) -> Proposal {
        let key = &self.keys["builder"];
        let verifier = Verifier {
            key_details: key.public().key_details().to_owned(),
            public_key: Some(Der { raw_bytes: key.public().spki_der().to_vec() }),
            x509_certificate: None,
        };
        let digest = Digest::of(message).bytes().to_vec();
        let signature = Signature002 { content: key.sign(message), verifier };
        Proposal::check(Request::HashedRekord002 { digest, signature, algorithm: None }).expect("signed")
    }

    /// Every statement of the sample service, in the order of its life.
    pub(crate) fn life(&self) -> Vec<Envelope> {
        attest::predicate::TABLE.iter().map(|row| self.sample(row.predicate)).collect()
    }
}

/// What was ever seen of a log: one root for each size, for ever.
#[derive(Clone, Default)]
pub(crate) struct Witness {
    roots: BTreeMap<u64, Hash>,
    /// Index entries by their leaf's hash: what was parsed, and its blob verified, once.
    envelopes: BTreeMap<Hash, Option<Digest>>,
}

impl Witness {
    /// Verifies the whole log from outside: signatures, every entry, root, index entries, and that no two checkpoints
    /// of one size differ; returns the envelopes in it. `acknowledged` are positions and hashes of entries.
    pub(crate) fn check(&mut self, sample: &Sample, acknowledged: &[(u64, Hash)]) -> Vec<Digest> {
        let directory = sample.data().join("log");
        let key = sample.trust.logs[0].note_key();
        let head_outside = sample.heads().join(Digest::of(sample.origin.as_bytes()).hex());
        for path in [directory.join("head"), directory.join("checkpoint"), head_outside] {
            let text = fs::read_to_string(&path).expect("readable at any time");
            let checkpoint = Checkpoint::open(&text, &key).expect("signed by the log");
            let root = *self.roots.entry(checkpoint.size).or_insert(checkpoint.root);
            assert_eq!(root, checkpoint.root, "two roots of size {} in {}", checkpoint.size, path.display());
        }
        let reader = Reader::open(&directory).expect("readable at any time");
        let entries = entries(&reader);
        let leaves: Vec<Hash> = entries.iter().map(|entry| merkle::leaf_hash(entry)).collect();
        for (size, root) in &self.roots {
            if let Some(leaves) = leaves.get(..*size as usize) {
                assert_eq!(merkle::root(leaves), *root, "the log is not what it was at size {size}");
            }
        }
        assert!(self.roots.contains_key(&reader.size()));
        for (index, leaf) in acknowledged {
            assert_eq!(leaves.get(*index as usize), Some(leaf), "entry {index} was acknowledged");
        }
        let blobs = Blobs::new(sample.data().join("blobs"), Disk::new(PathBuf::new()));
        let indexed = entries.iter().zip(&leaves).filter(|(entry, _)| IndexEntry::is_one(entry));
        indexed
            .filter_map(|(entry, leaf)| *self.envelopes.entry(*leaf).or_insert_with(|| envelope(entry, &blobs)))
            .collect()
    }
}

fn envelope(entry: &[u8], blobs: &Blobs) -> Option<Digest> {
    let envelope = IndexEntry::parse(entry).expect("an index entry").envelope?;
    blobs.verify(&envelope).expect("what the log names is there");
    Some(envelope)
}

/// Hashes of all Sigstore entries of a log.
pub(crate) fn sigstore_leaves(sample: &Sample) -> Vec<Hash> {
    let reader = Reader::open(&sample.data().join("log")).expect("readable at any time");
    let entries = entries(&reader);
    entries.iter().filter(|entry| !IndexEntry::is_one(entry)).map(|entry| merkle::leaf_hash(entry)).collect()
}

fn entries(reader: &Reader) -> Vec<Vec<u8>> {
    let size = reader.size();
    let bundles = (0..size.div_ceil(WIDTH)).filter_map(|index| TilePath::entries(index, size));
    let entries = bundles.flat_map(|path| {
        let bytes = reader.tile(&path.to_string()).expect("readable").expect("published");
        parse_bundle(&bytes, path.width()).expect("whole")
    });
    entries.collect()
}

/// Copies a directory tree as it is.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("listed");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("known").is_dir() {
            true => copy_tree(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("copied")),
        }
    }
}

fn copy_key(key: &SigningKey) -> SigningKey {
    SigningKey::from_pkcs8_pem(&key.to_pkcs8_pem()).expect("a key")
}

/// A small generator of numbers that look random (xorshift64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
