use std::io::{Read, Write};
use std::net::TcpListener;

use attest::predicate::Predicate;
use attest::predicate::publication::Publication;
use attest::sample;
use serde_json::json;
use sign::trust::{Identity, LogIdentity, Role};
use sign::{LogKey, SigningKey};
use tlog::Head;
use tlog::index::{IndexEntry, IndexKey, Indexed};
use wire::dsse::IN_TOTO;
use wire::in_toto::Statement;
use wire::oci_image::Descriptor;

use super::*;
use crate::remote::api::Api;

const ORIGIN: &str = "example.org/log";

/// A log with statements in it, and who is trusted.
struct World {
    key: SigningKey,
    log_key: LogKey,
    trust: Trust,
}

impl World {
    fn new() -> World {
        let (key, log_key) = (SigningKey::generate().expect("a key"), LogKey::generate().expect("a key"));
        let identity = Identity {
            name: "all".to_owned(),
            key: key.public().clone(),
            roles: Role::ALL.iter().map(|(role, _)| *role).collect(),
            valid_from: sample::time(0),
            valid_until: Some(sample::time(100)),
            revoked_at: None,
        };
        let log = LogIdentity {
            origin: ORIGIN.to_owned(),
            key: log_key.public().clone(),
            valid_from: sample::time(0),
            valid_until: None,
        };
        World { key, log_key, trust: Trust { identities: vec![identity], logs: vec![log], ..Trust::default() } }
    }

    /// Logs a statement at second 50, and returns its envelope, its bundle and the entry of the index.
    fn log(&self, statement: &Statement) -> (Envelope, Bundle, Value) {
        let envelope = sign::seal(IN_TOTO, &statement.to_json(), &self.key);
        let subjects: Vec<Digest> = statement.digests().collect();
        let indexed = Indexed {
            entry: 0,
            envelope: Digest::of(&envelope.to_json()),
            time: sample::time(50),
            subjects: &subjects,
            predicate: &statement.predicate_type,
            signer: &self.key.public().id(),
        };
        let index_key = IndexKey::from_hex(&Digest::of(b"index key").hex()).expect("a key");
        let own = tlog::entry::attestation(&envelope, self.key.public()).expect("small");
        let beside = IndexEntry::of(&index_key, &indexed).remove(0).to_leaf();
        let step = tlog::step(&Head::empty(ORIGIN), &[own.clone(), beside.clone()], &self.log_key);
        let bundle = attest::bundle(&envelope, &step.receipt(0, own.bytes()), "").expect("a bundle");
        let entry = step.receipt(1, beside.bytes()).to_index_entry().expect("an index entry");
        (envelope, bundle, serde_json::to_value(&entry).expect("JSON"))
    }
}

fn row(bundle: &Bundle, proof: &Value) -> Dated {
    let bundle: Value = serde_json::from_slice(&bundle.to_json()).expect("JSON");
    Dated::read(&json!({ "bundle": bundle, "logged_proof": proof })).expect("a row")
}

#[test]
fn a_statement_counts_from_when_its_log_took_it() {
    let world = World::new();
    let (_, bundle, entry) = world.log(&sample::statement(Predicate::Recipe));
    let dated = row(&bundle, &json!({ "index_entry": entry }));
    assert_eq!(dated.proven(&world.trust), Some(sample::time(50)));
    // The key has expired since; at its own time the statement is good.
    assert!(attest::open(&dated.bundle, &world.trust, sample::time(101)).is_err());
    assert!(attest::open(&dated.bundle, &world.trust, sample::time(50)).is_ok());
}

#[test]
fn what_is_not_proven_has_no_time() {
    let world = World::new();
    let (_, bundle, entry) = world.log(&sample::statement(Predicate::Recipe));
    let (_, _, of_another) = world.log(&sample::statement(Predicate::Run));
    let stranger = World::new();
    let mut earlier = entry.clone();
    let leaf = earlier["canonicalizedBody"].as_str().expect("base64").to_owned();
    earlier["canonicalizedBody"] = json!(format!("AAAA{}", &leaf[4..]));
    for (name, proof, trust) in [
        ("none", json!(null), &world.trust),
        ("empty", json!({}), &world.trust),
        ("no entry", json!({ "index_entry": {"a": 1} }), &world.trust),
        ("changed", json!({ "index_entry": earlier }), &world.trust),
        ("of another statement", json!({ "index_entry": of_another }), &world.trust),
        ("of an unknown log", json!({ "index_entry": entry }), &stranger.trust),
        ("publication unreadable", json!({ "index_entry": entry, "publication": 7, "manifest": "" }), &world.trust),
    ] {
        assert_eq!(row(&bundle, &proof).proven(trust), None, "{name}");
    }
    assert!(Dated::read(&json!({ "logged_proof": { "index_entry": entry } })).is_none(), "no bundle, no statement");
}

#[test]
fn a_statement_that_was_brought_counts_from_its_publication() {
    let world = World::new();
    let (_, bundle, own) = world.log(&sample::statement(Predicate::Recipe));
    let subject = Descriptor::new("x/y", Digest::of(b"image"), 5);
    let referrer = parcel::referrer(&subject, &bundle, sample::time(1)).expect("a referrer");
    let publish = |manifest: &[u8]| {
        world.log(&attest::publication(&Publication {
            repository: "a".to_owned(),
            manifest: Digest::of(manifest),
            from: None,
            actor: "ada".to_owned(),
            at: sample::time(50),
        }))
    };
    let (publication, _, entry) = publish(&referrer.manifest);
    let proof = |publication: &Envelope, manifest: &[u8], entry: &Value| json!({"index_entry": entry, "publication": publication, "manifest": String::from_utf8_lossy(manifest)});
    let good = proof(&publication, &referrer.manifest, &entry);
    assert_eq!(row(&bundle, &good).proven(&world.trust), Some(sample::time(50)));

    let (_, another, _) = world.log(&sample::statement(Predicate::Run));
    assert_eq!(row(&another, &good).proven(&world.trust), None, "the manifest holds another bundle");
    let changed = proof(&publication, b"{}", &entry);
    assert_eq!(row(&bundle, &changed).proven(&world.trust), None, "another manifest was published");
    let beside = proof(&publication, &referrer.manifest, &own);
    assert_eq!(row(&bundle, &beside).proven(&world.trust), None, "the index entry is another statement's");
    let (recipe, _, of_recipe) = world.log(&sample::statement(Predicate::Recipe));
    let no_publication = proof(&recipe, &referrer.manifest, &of_recipe);
    assert_eq!(row(&bundle, &no_publication).proven(&world.trust), None, "a recipe publishes nothing");
    let mut powerless = world.trust.clone();
    powerless.identities[0].roles.retain(|role| *role != Role::Publisher);
    assert_eq!(row(&bundle, &good).proven(&powerless), None, "the signer may not publish");
}

/// A server that gives the same answer to every request.
fn always(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, body) = (stream.expect("a connection"), body.clone());
            std::thread::spawn(move || {
                let mut buffer = [0; 8192];
                while let Ok(1..) = stream.read(&mut buffer) {
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    // The client may be gone.
                    let _said = stream.write_all(answer.as_bytes());
                }
            });
        }
    });
    address
}

#[test]
fn what_a_server_answers_unasked_is_left_out() {
    let world = World::new();
    let (recipe, run) = (sample::statement(Predicate::Recipe), sample::statement(Predicate::Run));
    let shown = |statement: &Statement| -> Value {
        let (_, bundle, entry) = world.log(statement);
        let bundle: Value = serde_json::from_slice(&bundle.to_json()).expect("JSON");
        json!({"bundle": bundle, "logged_proof": {"index_entry": entry}})
    };
    let rows = [shown(&run), shown(&recipe)];
    let address = always(json!({"version": 1, "statements": rows, "next": null}).to_string());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let api = Api::new(&address, Some("t"), runtime.handle().clone()).expect("prepared");
    let payload = |statement: &Statement| Digest::of(&statement.to_json());
    let found = |payloads: &[Digest]| -> Vec<Bundle> {
        api.by_payloads(payloads).expect("answered").into_iter().map(|dated| dated.bundle).collect()
    };
    assert_eq!(found(&[payload(&recipe)]).len(), 1);
    let both = found(&[payload(&recipe), payload(&run)]);
    assert_eq!(both[0], found(&[payload(&recipe)])[0], "in the order asked for");
    assert_eq!(found(&[Digest::of(b"nothing")]), Vec::<Bundle>::new());
}

/// Pages that never end are an error, and not a command that never ends.
#[test]
fn endless_pages_have_an_end() {
    let address = always(json!({"version": 1, "statements": [], "next": 7}).to_string());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let api = Api::new(&address, Some("t"), runtime.handle().clone()).expect("prepared");
    let failure = api.about(&Digest::of(b"x")).expect_err("no end");
    assert_eq!((failure.code, failure.exit), ("server-answer", 2), "{failure}");
}
