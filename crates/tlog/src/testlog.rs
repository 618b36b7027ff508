//! A log in memory, for tests: it publishes steps as a store must, and checks that published files never change.

use std::collections::BTreeMap;
use std::io;

use sign::note::NoteKey;
use sign::trust::{LogIdentity, Trust};
use sign::{LogKey, SigningKey};
use wire::digest::Digest;
use wire::dsse::Envelope;
use wire::in_toto::{ResourceDescriptor, Statement};
use wire::timestamp::Timestamp;

use crate::append::{Head, Leaf, Step, step};
use crate::checkpoint::Checkpoint;
use crate::merkle::{self, Hash};
use crate::staging;

pub(crate) const ORIGIN: &str = "example.org/log";

pub(crate) struct TestLog {
    pub(crate) key: LogKey,
    pub(crate) head: Head,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) hashes: Vec<Hash>,
}

impl TestLog {
    pub(crate) fn new() -> TestLog {
        let key = LogKey::generate().expect("key");
        TestLog { key, head: Head::empty(ORIGIN), files: BTreeMap::new(), hashes: Vec::new() }
    }

    pub(crate) fn of_size(size: u64) -> TestLog {
        let mut log = TestLog::new();
        log.append(&leaves(0, size));
        log
    }

    pub(crate) fn append(&mut self, leaves: &[Leaf]) -> Step {
        let step = step(&self.head, leaves, &self.key);
        let [(staged, bytes)] = &step.stage[..] else { panic!("one file is staged") };
        assert!(staged.starts_with("staging/"));
        assert_eq!(staging::parse(bytes).as_ref(), Ok(&step.publish));
        for (path, bytes) in &step.publish {
            let before = self.files.insert(path.clone(), bytes.clone());
            assert!(path == "checkpoint" || before.is_none_or(|before| before == *bytes), "{path} has changed");
        }
        for directory in &step.retired {
            let count = self.files.len();
            self.files.retain(|path, _| path.strip_prefix(directory).is_none_or(|rest| !rest.starts_with('/')));
            assert!(self.files.len() < count, "{directory} was there");
        }
        self.hashes.extend(leaves.iter().map(Leaf::hash));
        self.head = step.head.clone();
        step
    }

    /// Reads everything from outside and compares it with what was appended.
    pub(crate) fn check(&self) {
        let checkpoint = self.checkpoint();
        assert_eq!(checkpoint.size, self.hashes.len() as u64);
        assert_eq!(checkpoint.root, merkle::root(&self.hashes), "root at size {}", checkpoint.size);
        let restored = Head::restore(&checkpoint, &mut self.fetch()).expect("the tiles are good");
        assert_eq!(restored, self.head);
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        let text = std::str::from_utf8(&self.files["checkpoint"]).expect("text");
        Checkpoint::open(text, &self.note_key()).expect("good")
    }

    pub(crate) fn fetch(&self) -> impl FnMut(&str) -> io::Result<Vec<u8>> {
        |path| self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(crate) fn note_key(&self) -> NoteKey {
        NoteKey::new(ORIGIN, self.key.public()).expect("a name")
    }

    pub(crate) fn trust(&self) -> Trust {
        let log = LogIdentity {
            origin: ORIGIN.to_owned(),
            key: self.key.public().clone(),
            valid_from: time("2026-01-01T00:00:00Z"),
            valid_until: Some(time("2027-01-01T00:00:00Z")),
        };
        Trust { logs: vec![log], ..Trust::default() }
    }
}

pub(crate) fn leaves(from: u64, count: u64) -> Vec<Leaf> {
    let leaf = |index: u64| Leaf::new(format!("leaf {index}").into_bytes()).expect("small");
    (from..from + count).map(leaf).collect()
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

pub(crate) fn envelope(key: &SigningKey) -> Envelope {
    let subject = ResourceDescriptor::named("greeter", &Digest::of(b"the binary"));
    let statement = Statement::new(vec![subject], "https://slsa.dev/provenance/v1", serde_json::json!({}));
    sign::seal(wire::dsse::IN_TOTO, &statement.to_json(), key)
}
