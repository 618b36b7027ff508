//! C2SP tlog-witness over HTTP: every status of `add-checkpoint`.

use sign::LogKey;
use sign::note::NoteKey;
use store::witness::Witness;
use tlog::checkpoint::Checkpoint;
use tlog::merkle;
use tokio::net::TcpListener;
use wire::digest::Digest;
use wire::note::Note;
use wire::tlog_witness::{AddCheckpoint, REQUEST_MAX, parse_cosignatures};

use super::bench::Scratch;
use super::client::{Answer, send};
use crate::{WitnessConfig, serve_witness};

const ORIGIN: &str = "example.org/log";

struct Scene {
    address: String,
    log: LogKey,
    scratch: Scratch,
}

impl Scene {
    async fn new() -> Scene {
        let scratch = Scratch::new();
        let directory = scratch.0.join("witness");
        Witness::create(&directory, "w1.example.org").expect("made");
        let witness = Witness::open(&directory, None).expect("opened");
        let log = LogKey::generate().expect("a key");
        let logs = vec![NoteKey::new(ORIGIN, log.public()).expect("a name")];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let clock = || attest::sample::time(0);
        tokio::spawn(serve_witness(listener, WitnessConfig { witness, logs, clock }, std::future::pending()));
        Scene { address, log, scratch }
    }

    /// The request of a log of `size` leaves that starts from `old`; each `history` has other leaves.
    fn request(&self, old: u64, size: u64, history: &str) -> AddCheckpoint {
        let leaves: Vec<_> = (0..size).map(|n| merkle::leaf_hash(format!("{history} {n}").as_bytes())).collect();
        let mut nodes = |level: u32, index: u64| {
            let first = (index << level) as usize;
            Ok::<_, std::convert::Infallible>(merkle::root(&leaves[first..first + (1 << level)]))
        };
        let Ok(proof) = merkle::consistency_proof(old.min(size), size, &mut nodes);
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root: merkle::root(&leaves) };
        AddCheckpoint { old, proof, checkpoint: checkpoint.sign(&self.log) }
    }

    async fn ask(&self, request: &AddCheckpoint) -> Answer {
        self.post(request.to_string().as_bytes()).await
    }

    async fn post(&self, body: &[u8]) -> Answer {
        send(&self.address, "POST /add-checkpoint", &[], Some(body)).await
    }

    async fn get(&self, path: &str) -> Answer {
        send(&self.address, &format!("GET {path}"), &[], None).await
    }
}

#[tokio::test]
async fn a_log_is_cosigned_and_each_refusal_has_its_status() {
    let scene = Scene::new().await;
    let answer = scene.ask(&scene.request(0, 4, "leaf")).await.is(200);
    let lines = parse_cosignatures(&answer.text()).expect("signature lines alone");
    assert!(lines.len() == 2 && lines.iter().all(|line| line.name == "w1.example.org"), "{}", answer.text());

    // 409: what the log believes is not what is on record; the size is the whole body.
    let stale = scene.ask(&scene.request(0, 6, "leaf")).await.is(409).has("content-type", "text/x.tlog.size");
    assert_eq!(stale.text(), "4\n");
    scene.ask(&scene.request(4, 6, "leaf")).await.is(200);
    // The same again is cosigned again, with the time of now.
    scene.ask(&scene.request(6, 6, "leaf")).await.is(200);

    // 422: another history, of more entries and of as many.
    scene.ask(&scene.request(6, 9, "other")).await.is(422).says("does not continue");
    scene.ask(&AddCheckpoint { proof: Vec::new(), ..scene.request(6, 6, "other") }).await.is(422);
    let evidence = std::fs::read_dir(scene.scratch.0.join("witness/evidence")).expect("kept").count();
    assert_eq!(evidence, 2);

    // 400: a smaller checkpoint than the old size; no request; no UTF-8.
    scene.ask(&scene.request(7, 6, "leaf")).await.is(400);
    scene.post(b"").await.is(400);
    scene.post(b"old 6\nnonsense\n").await.is(400).says("line 2");
    scene.post(b"old 6\n\n\xff\n").await.is(400);

    // 403: nobody trusted has signed; 404: no such log; 413: too large.
    let good = scene.request(6, 7, "leaf");
    let stranger = LogKey::generate().expect("a key");
    let body = Note::parse(&good.checkpoint).expect("a note").body;
    let signed = sign::note::sign(&stranger, ORIGIN, &body);
    scene.ask(&AddCheckpoint { checkpoint: signed, ..good.clone() }).await.is(403);
    let renamed = sign::note::sign(&stranger, "example.org/other", &body.replace(ORIGIN, "example.org/other"));
    scene.ask(&AddCheckpoint { checkpoint: renamed, ..good.clone() }).await.is(404).says("example.org/other");
    scene.post(&vec![b'a'; REQUEST_MAX + 1]).await.is(413);

    // None of it moved the record.
    scene.ask(&good).await.is(200);
    send(&scene.address, "GET /add-checkpoint", &[], None).await.is(405);
}

#[tokio::test]
async fn what_was_cosigned_can_be_read_by_monitors() {
    let scene = Scene::new().await;
    let path = format!("/{}/checkpoint", Digest::of(ORIGIN.as_bytes()).hex());
    scene.get(&path).await.is(404);
    let request = scene.request(0, 5, "leaf");
    scene.ask(&request).await.is(200);
    let note = scene.get(&path).await.is(200).has("cache-control", "no-cache").text();
    assert!(note.starts_with(&request.checkpoint), "the log's own note, with the witness's lines under it: {note}");
    assert_eq!(Note::parse(&note).expect("a note").signatures.len(), 3);
    scene.get("/").await.is(200).says("witness w1.example.org").says("example.org/log+").says("5 entries");
    scene.get("/nowhere").await.is(404);
}
