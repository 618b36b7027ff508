//! Sessions with the certificate authority, the time-stamp authority and the log of certificates: tokens of an issuer of
//! ours, answers checked by the verifiers of others' certificates and stamps.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sign::authority::{Authority as Trusted, CertificateLog as TrustedLog, Window};
use sign::certificate::{Certificate, SubjectKey};
use sign::identity::{Allow, Issuer, Kind};
use sign::issuing::{Authority, Below, Serial, Title, root};
use sign::stamping::Stamper;
use sign::trust::Trust;
use sign::{LogKey, SigningKey};
use store::certificates::{CertificateLog, CertificateLogError};
use store::home::Home;
use store::log::NewLog;
use tlog::index::IndexKey;
use tlog::merkle;
use wire::digest::Digest;
use wire::jwt::JwkSet;
use wire::{base64, pem};

use super::bench::{Bench, Cast, now};
use super::client::Answer;
use crate::{IssuerKeys, PendingKeys, Settings, Sigstore};

const ISSUER: &str = "https://issuer.example.org";
const SIGNING_CERT: &str = "POST /api/v2/signingCert";

/// Keys and certificates of an instance, and the key of an issuer whose tokens it takes.
struct Instance {
    keys: [String; 3],
    chains: [Vec<Certificate>; 2],
    issuer: SigningKey,
    keys_asked: AtomicUsize,
    /// Sets of keys, the first first; `None` is an issuer that does not answer.
    sets: Mutex<Vec<Option<Arc<JwkSet>>>>,
}

fn new_key() -> SigningKey {
    SigningKey::generate().expect("a key")
}

impl Instance {
    fn new() -> Arc<Instance> {
        let title = |common_name, number| Title {
            organization: "example.org/log",
            common_name,
            valid_from: now().plus_s(-60),
            valid_until: now().plus_s(1_000_000),
            serial: Serial::new([number; 20]),
        };
        let chain = |below, own: &SigningKey| {
            let above = new_key();
            let anchor = root(&title("root", 1), &above, below).expect("a root");
            let above = Authority::new(above, vec![anchor.clone()]).expect("its key");
            vec![above.issue(&title("below", 2), own, below).expect("issued"), anchor]
        };
        let [ca, tsa, ct] = [new_key(), new_key(), new_key()];
        let chains = [chain(Below::Leaves, &ca), chain(Below::Times, &tsa)];
        let keys = [ca, tsa, ct].map(|key| key.to_pkcs8_pem().to_string());
        let issuer = new_key();
        let sets = Mutex::new(vec![Some(Arc::new(key_set(&issuer, "a")))]);
        Arc::new(Instance { keys, chains, issuer, keys_asked: AtomicUsize::new(0), sets })
    }

    fn key(&self, position: usize) -> SigningKey {
        SigningKey::from_pkcs8_pem(&self.keys[position]).expect("a key")
    }

    fn trust(&self, trust: &mut Trust) {
        let window = Window { start: now().plus_s(-60), end: None };
        let [code, times] = self.chains.each_ref().map(|chain| {
            let der: Vec<Vec<u8>> = chain.iter().map(|one| one.der().to_vec()).collect();
            Trusted::new("here", &der, window).expect("an authority")
        });
        trust.authorities.certificates.push(code);
        trust.authorities.times.push(times);
        let log = SubjectKey::from(self.key(2).public());
        trust.authorities.certificate_logs.push(TrustedLog::new("here", log, window));
    }

    fn open(self: &Arc<Instance>, home: &Home) -> Sigstore {
        let issuer = |url: &str, pseudonymous| Issuer {
            url: url.to_owned(),
            audience: "sigstore".to_owned(),
            kind: Kind::Email,
            allow: Allow::Rules(vec![[("email".to_owned(), "*@example.org".to_owned())].into()]),
            keys: None,
            pseudonymous,
        };
        let new = || {
            Ok::<_, CertificateLogError>(NewLog {
                origin: "example.org/ct".to_owned(),
                key: LogKey::generate().expect("a key"),
                index_key: IndexKey::from_hex(&Digest::of(b"index key").hex()).expect("a key"),
            })
        };
        Sigstore {
            authority: Authority::new(self.key(0), self.chains[0].clone()).expect("its key"),
            stamper: Stamper::new(self.key(1), self.chains[1].clone()).expect("its key"),
            log_key: self.key(2),
            certificates: CertificateLog::open(home, new).expect("opened"),
            issuers: vec![issuer(ISSUER, false), issuer("https://hidden.example.org", true)],
            keys: Arc::clone(self) as Arc<dyn IssuerKeys>,
            pseudonyms: [7; 32],
        }
    }

    async fn bench(self: &Arc<Instance>) -> Bench {
        let cast = Cast::trusting(|trust| self.trust(trust));
        let instance = Arc::clone(self);
        let settings = Settings { anonymous_read: true, ..Settings::default() };
        Bench::issuing(Arc::new(cast), settings, Arc::new(move |home: &Home| instance.open(home))).await
    }

    fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let now = now().unix_s();
        let mut claims = json!({"iss": ISSUER, "aud": "sigstore", "sub": "7", "email": "jane@example.org",
            "email_verified": true, "iat": now, "exp": now + 300});
        change(&mut claims);
        token(&self.issuer, "a", &claims)
    }
}

impl IssuerKeys for Instance {
    fn keys<'a>(&'a self, _issuer: &'a Issuer, without: Option<&'a Arc<JwkSet>>) -> PendingKeys<'a> {
        self.keys_asked.fetch_add(1, Ordering::Relaxed);
        let sets = self.sets.lock().expect("not poisoned");
        let next = sets.get(usize::from(without.is_some())).or(sets.last()).cloned().flatten();
        Box::pin(async move { next.ok_or_else(|| "it does not answer".into()) })
    }
}

fn key_set(key: &SigningKey, kid: &str) -> JwkSet {
    let point = &key.public().spki_der()[27..];
    let (x, y) = (base64::encode_url(&point[..32]), base64::encode_url(&point[32..]));
    let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y}]});
    JwkSet::parse(set.to_string().as_bytes()).expect("a set")
}

fn token(key: &SigningKey, kid: &str, claims: &Value) -> String {
    let part = |value: &Value| base64::encode_url(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(&json!({"alg": "ES256", "kid": kid})), part(claims));
    format!("{signed}.{}", base64::encode_url(&fixed(&key.sign(signed.as_bytes()))))
}

/// An ECDSA signature as JWT has it: both numbers in 32 bytes each.
fn fixed(der: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let bytes: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        [vec![0; 32 - bytes.len()], bytes].concat()
    };
    let r = usize::from(der[3]);
    [number(&der[4..4 + r]), number(&der[6 + r..])].concat()
}

fn request(token: &str, key: &SigningKey, challenge: &str) -> Value {
    json!({"credentials": {"oidcIdentityToken": token}, "publicKeyRequest": {
        "publicKey": {"algorithm": "ECDSA", "content": key.public().to_pem()},
        "proofOfPossession": base64::encode(&key.sign(challenge.as_bytes()))}})
}

async fn ask(bench: &Bench, body: &Value) -> Answer {
    bench.send("", SIGNING_CERT, &[], Some(body.to_string().as_bytes())).await
}

fn certificate(answer: &Answer) -> Certificate {
    let json = answer.json();
    let chain = json["signedCertificateEmbeddedSct"]["chain"]["certificates"].as_array().expect("a chain").clone();
    assert_eq!(chain.len(), 3);
    let der = pem::decode(pem::CERTIFICATE, chain[0].as_str().expect("PEM")).expect("PEM");
    Certificate::from_der(&der).expect("a certificate")
}

#[tokio::test]
async fn a_token_gets_a_certificate_that_is_in_the_log() {
    let instance = Instance::new();
    let bench = instance.bench().await;
    let key = new_key();
    let answer = ask(&bench, &request(&instance.token(|_| {}), &key, "jane@example.org")).await.is(200);
    assert!(answer.header("warning").is_some_and(|text| text.contains("for ever")));
    let issued = certificate(&answer);
    assert_eq!(issued.key().id(), key.public().id());
    let subject = issued.subject().expect("a subject");
    assert_eq!((subject.name.text(), subject.issuer.as_str()), ("jane@example.org", ISSUER));
    bench.home.trust().authorities().certify(issued.clone(), now()).expect("our own verifier takes it");

    // The log has it, and proves it.
    ask(&bench, &request(&instance.token(|_| {}), &key, "jane@example.org")).await.is(200);
    let head = bench.ask("", "GET /ct/v1/get-sth").await.is(200).json();
    assert_eq!(head["tree_size"], 2);
    let root: [u8; 32] = bytes(&head["sha256_root_hash"]).try_into().expect("32 bytes");
    let entries = bench.ask("", "GET /ct/v1/get-entries?start=0&end=100").await.is(200).json();
    let leaves: Vec<Vec<u8>> =
        entries["entries"].as_array().expect("entries").iter().map(|one| bytes(&one["leaf_input"])).collect();
    assert_eq!(leaves.len(), 2);
    let tbs = sign::sct::read_entry(&leaves[0]).expect("an entry").0.to_vec();
    let extra = bytes(&entries["entries"][0]["extra_data"]);
    let length = usize::from(u16::from_be_bytes([extra[1], extra[2]]));
    assert_eq!(sign::certificate::precertified(&extra[3..3 + length]), Some(tbs));
    let hash = merkle::leaf_hash(&leaves[0]);
    let encoded = base64::encode(&hash).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let ask_proof = format!("GET /ct/v1/get-proof-by-hash?hash={encoded}&tree_size=2");
    let proof = bench.ask("", &ask_proof).await.is(200).json();
    let path: Vec<[u8; 32]> = hashes(&proof["audit_path"]);
    merkle::verify_inclusion(proof["leaf_index"].as_u64().expect("a number"), 2, &hash, &path, &root).expect("proven");
    let path = bench.ask("", "GET /ct/v1/get-sth-consistency?first=1&second=2").await.is(200).json();
    merkle::verify_consistency(1, 2, &hash, &root, &hashes(&path["consistency"])).expect("proven");
    let roots = bench.ask("", "GET /ct/v1/get-roots").await.is(200).json();
    assert_eq!(bytes(&roots["certificates"][0]), instance.chains[0][1].der());
    bench.ask("", "GET /ct/checkpoint").await.is(200).says("example.org/ct\n2\n");
    bench.ask("", "GET /ct/tile/0/000.p/2").await.is(200);

    // What does not exist is said as such.
    for (line, status) in [
        ("GET /ct/v1/get-sth-consistency?first=2&second=1", 400),
        ("GET /ct/v1/get-sth-consistency?first=1&second=3", 400),
        ("GET /ct/v1/get-sth-consistency?first=1", 400),
        ("GET /ct/v1/get-proof-by-hash?hash=AA&tree_size=1", 400),
        ("GET /ct/v1/get-proof-by-hash?hash=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D&tree_size=2", 404),
        ("GET /ct/v1/get-entries?start=2&end=2", 400),
        ("GET /ct/v1/get-entries?start=1&end=0", 400),
        ("GET /ct/v1/get-entries?start=x&end=0", 400),
        ("GET /ct/tile/0/001", 404),
    ] {
        bench.ask("", line).await.is(status);
    }
    let later = format!("GET /ct/v1/get-proof-by-hash?hash={encoded}&tree_size=0");
    bench.ask("", &later).await.is(404);
}

fn bytes(value: &Value) -> Vec<u8> {
    base64::decode(value.as_str().expect("text")).expect("base64")
}

fn hashes(value: &Value) -> Vec<[u8; 32]> {
    value.as_array().expect("a list").iter().map(|hash| bytes(hash).try_into().expect("32 bytes")).collect()
}

/// Each field of a request counts; what is refused is not logged.
#[tokio::test]
async fn a_request_that_proves_nothing_is_refused() {
    let instance = Instance::new();
    let bench = instance.bench().await;
    let key = new_key();
    let jane = "jane@example.org";
    let good = || request(&instance.token(|_| {}), &key, jane);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = good();
        change(&mut body);
        body
    };
    let claims = |change: &dyn Fn(&mut Value)| request(&instance.token(change), &key, jane);
    let csr = base64::encode(pem::encode(pem::CERTIFICATE_REQUEST, b"none").as_bytes());
    let other = new_key().public().to_pem();
    for (body, status, says) in [
        (json!({}), 400, "no identity token"),
        (json!(7), 400, "no JSON of the expected form"),
        (with(&|body| body["credentials"]["oidcIdentityToken"] = json!("x.y.z")), 400, "malformed"),
        (claims(&|claims| claims["iss"] = json!("https://other.example.org")), 400, "no issuer `https://other"),
        (claims(&|claims| claims["aud"] = json!("other")), 400, "not for the audience"),
        (claims(&|claims| claims["exp"] = json!(now().unix_s() - 100)), 400, "expired"),
        (claims(&|claims| claims["iat"] = json!(now().unix_s() + 100)), 400, "later than now"),
        (claims(&|claims| claims["email"] = json!("jane@example.net")), 403, "no rule of the issuer"),
        (claims(&|claims| claims["email_verified"] = json!(false)), 403, "not a verified e-mail address"),
        (request(&token(&new_key(), "a", &json!({"iss": ISSUER})), &key, jane), 400, "not its issuer's"),
        (request(&instance.token(|_| {}), &key, "john@example.org"), 400, "proof of possession"),
        (with(&|body| body["publicKeyRequest"]["publicKey"]["content"] = json!(other)), 400, "proof of possession"),
        (with(&|body| body["publicKeyRequest"]["publicKey"]["content"] = json!("no key")), 400, "reading the key"),
        (with(&|body| body["publicKeyRequest"]["proofOfPossession"] = json!("*")), 400, "not base64"),
        (with(&|body| body["publicKeyRequest"] = Value::Null), 400, "exactly one of"),
        (with(&|body| body["certificateSigningRequest"] = json!(csr)), 400, "exactly one of"),
        (
            with(&|body| {
                body["publicKeyRequest"] = Value::Null;
                body["certificateSigningRequest"] = json!(csr);
            }),
            400,
            "malformed",
        ),
    ] {
        let answer = ask(&bench, &body).await.is(status).says(says).json();
        assert_eq!(answer["details"], json!([]), "{says}");
        assert_eq!(answer["code"], if status == 403 { 7 } else { 3 }, "{says}");
    }
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(wire::fulcio::REQUEST_SIZE_MAX));
    bench.send("", SIGNING_CERT, &[], Some(large.as_bytes())).await.is(413);
    let head = bench.ask("", "GET /ct/v1/get-sth").await.is(200).json();
    assert_eq!(head["tree_size"], 0, "nothing was issued, nothing logged");
    // The token may stand in the head, as Python's client has it.
    let mut body = good();
    body["credentials"] = Value::Null;
    let bearer = format!("Bearer {}", instance.token(|_| {}));
    let head = [("Authorization", bearer.as_str())];
    bench.send("", SIGNING_CERT, &head, Some(body.to_string().as_bytes())).await.is(200);
}

#[tokio::test]
async fn new_keys_of_an_issuer_are_asked_for_once() {
    let instance = Instance::new();
    let bench = instance.bench().await;
    let (key, newer) = (new_key(), new_key());
    instance.sets.lock().expect("not poisoned").push(Some(Arc::new(key_set(&newer, "b"))));
    let now = now().unix_s();
    let claims = json!({"iss": ISSUER, "aud": "sigstore", "sub": "7", "email": "jane@example.org", "email_verified": true,
        "iat": now, "exp": now + 300});
    ask(&bench, &request(&token(&newer, "b", &claims), &key, "jane@example.org")).await.is(200);
    assert_eq!(instance.keys_asked.load(Ordering::Relaxed), 2);
    ask(&bench, &request(&token(&newer, "c", &claims), &key, "jane@example.org")).await.is(400).says("no key `c`");
    assert_eq!(instance.keys_asked.load(Ordering::Relaxed), 4);
    *instance.sets.lock().expect("not poisoned") = vec![None];
    let unavailable = ask(&bench, &request(&instance.token(|_| {}), &key, "jane@example.org")).await.is(503).json();
    assert_eq!(unavailable["code"], 14);
}

/// A certificate with a pseudonym says nothing of its owner, and is good all the same.
#[tokio::test]
async fn a_pseudonym_stands_in_the_log() {
    let instance = Instance::new();
    let bench = instance.bench().await;
    let token = instance.token(|claims| claims["iss"] = json!("https://hidden.example.org"));
    let answer = ask(&bench, &request(&token, &new_key(), "jane@example.org")).await.is(200);
    assert_eq!(answer.header("warning"), None);
    let issued = certificate(&answer);
    assert!(issued.subject().expect("a subject").name.text().starts_with("urn:assay:pseudonym:"));
    assert!(!issued.der().windows(4).any(|four| four == b"jane"));
    bench.home.trust().authorities().certify(issued, now()).expect("good");
}

/// After a logged revocation the next request is refused; before its time, and for others, nothing changes.
#[tokio::test]
async fn a_revocation_counts_at_once() {
    let instance = Instance::new();
    let bench = instance.bench().await;
    let key = new_key();
    let jane = || request(&instance.token(|_| {}), &key, "jane@example.org");
    let john = || {
        let token = instance.token(|claims| claims["email"] = json!("john@example.org"));
        request(&token, &key, "john@example.org")
    };
    let revoke = async |subject: Option<&str>, issuer: &str, at: i64, role: &str| {
        let revocation = attest::predicate::revocation::Revocation {
            issuer: issuer.to_owned(),
            subject: subject.map(str::to_owned),
            at: now().plus_s(at),
            reason: "left".to_owned(),
            actor: "ada".to_owned(),
        };
        let envelope = bench.cast.sign(&attest::revocation(&revocation), role);
        let body = serde_json::to_vec(&envelope).expect("JSON");
        bench.send("publisher", "POST /api/v1/statements", &[], Some(&body)).await
    };
    ask(&bench, &jane()).await.is(200);
    revoke(Some("jane@example.org"), ISSUER, 0, "builder").await.is(403);
    revoke(Some("jane@example.org"), "https://other.example.org", 0, "admin").await.is(201);
    revoke(Some("jane@example.org"), ISSUER, 100, "admin").await.is(201);
    ask(&bench, &jane()).await.is(200);
    revoke(Some("jane@example.org"), ISSUER, 0, "admin").await.is(201);
    let refused = ask(&bench, &jane()).await.is(403).says("were revoked at").json();
    assert_eq!(refused["code"], 7);
    ask(&bench, &john()).await.is(200);
    revoke(None, ISSUER, 0, "admin").await.is(201);
    ask(&bench, &john()).await.is(403);
}

/// A request of RFC 3161 over a SHA-256, asking for the certificate.
fn timestamp_query(message: &[u8]) -> Vec<u8> {
    let mut der =
        vec![0x30, 0x39, 2, 1, 1, 0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    der.extend(Digest::of(message).bytes());
    der.extend([1, 1, 0xff]);
    der
}

#[tokio::test]
async fn times_are_stamped() {
    const STAMP: &str = "POST /api/v1/timestamp";
    let instance = Instance::new();
    let bench = instance.bench().await;
    let query = ("Content-Type", "application/timestamp-query");
    let times = &bench.home.trust().authorities.times;
    let answer = bench.send("", STAMP, &[query], Some(&timestamp_query(b"signature"))).await.is(201);
    assert_eq!(answer.header("content-type"), Some("application/timestamp-reply"));
    assert_eq!(sign::stamp::verify(&answer.body, b"signature", times).expect("verifies").at(), now());
    let refused = bench.send("", STAMP, &[query], Some(b"no request")).await.is(200);
    assert_eq!(refused.body, sign::stamping::Refusal::Format.to_response());
    let large = vec![0; sign::stamping::REQUEST_SIZE_MAX + 1];
    bench.send("", STAMP, &[query], Some(&large)).await.is(413);

    let json_type = ("Content-Type", "application/json; charset=utf-8");
    let hash = base64::encode(Digest::of(b"signature").bytes());
    let body = json!({"artifactHash": hash, "hashAlgorithm": "sha256", "nonce": 7, "certificates": true}).to_string();
    let answer = bench.send("", STAMP, &[json_type], Some(body.as_bytes())).await.is(201);
    sign::stamp::verify(&answer.body, b"signature", times).expect("verifies");
    let md5 = body.replace("sha256", "md5");
    bench.send("", STAMP, &[json_type], Some(md5.as_bytes())).await.is(400).says("not supported");
    bench.send("", STAMP, &[json_type], Some(b"{}")).await.is(400);
    bench.send("", STAMP, &[("Content-Type", "text/plain")], Some(b"x")).await.is(415);

    let chain = bench.ask("", "GET /api/v1/timestamp/certchain").await.is(200);
    let expected: String = instance.chains[1].iter().map(|one| pem::encode(pem::CERTIFICATE, one.der())).collect();
    assert_eq!(chain.text(), expected);
}

#[tokio::test]
async fn clients_are_told_where_and_whom() {
    let instance = Instance::new();
    let bench = instance.bench().await;
    let config = bench.ask("", "GET /api/v1/trust_config.json").await.is(200).json();
    assert_eq!(config["mediaType"], wire::signing_config::TRUST_CONFIG_MEDIA_TYPE);
    let signing = &config["signingConfig"];
    assert_eq!(signing["caUrls"][0]["url"], format!("http://{}", bench.address));
    assert_eq!(signing["tsaUrls"][0]["url"], format!("http://{}/api/v1/timestamp", bench.address));
    assert_eq!(signing["rekorTlogUrls"][0]["majorApiVersion"], 2);
    assert_eq!(signing["oidcUrls"][0]["url"], ISSUER);
    assert_eq!(*signing, bench.ask("", "GET /api/v1/signing_config.json").await.is(200).json());
    let root = bench.ask("", "GET /api/v1/trusted_root.json").await.is(200).json();
    assert_eq!(root["ctlogs"].as_array().map(Vec::len), Some(1));
    let known = bench.ask("", "GET /api/v2/configuration").await.is(200).json();
    assert_eq!(known["issuers"][0]["challengeClaim"], "email");
    let chains = bench.ask("", "GET /api/v2/trustBundle").await.is(200).json();
    assert_eq!(chains["chains"][0]["certificates"].as_array().map(Vec::len), Some(2));
    // A server that is none says so.
    let none = Bench::new().await;
    for line in ["GET /api/v2/trustBundle", "GET /api/v2/configuration", "GET /api/v1/timestamp/certchain"] {
        none.ask("", line).await.is(404).says("issues no certificates");
    }
    none.ask("reader", "GET /ct/v1/get-sth").await.is(404);
    bench.ask("", "GET /ct/v1/get-sth").await.is(200);
    none.ask("", "GET /ct/v1/get-sth").await.is(401);
}

/// What somebody with a certificate of ours states goes the way of every statement: signed, stamped and logged here,
/// published elsewhere, found again after the ledger was made anew, and counted by a gate; not after a revocation.
#[tokio::test]
async fn a_certificates_statement_is_evidence() {
    use attest::predicate::Predicate;
    use model::verdict::{Outcome, Subject};
    use sign::trust::{CertifiedIdentity, Role, SubjectRule};
    use wire::dsse::{self, IN_TOTO};
    use wire::sigstore_bundle::Bundle;

    let instance = Instance::new();
    let cast = Arc::new(Cast::trusting(|trust| {
        instance.trust(trust);
        trust.certified.push(CertifiedIdentity {
            name: "jane".to_owned(),
            issuer: ISSUER.to_owned(),
            subject: SubjectRule::Exact("jane@example.org".to_owned()),
            roles: vec![Role::Tester],
            valid_from: now().plus_s(-60),
            valid_until: None,
            revoked_at: None,
        });
    }));
    let opener = Arc::clone(&instance);
    let here =
        Bench::issuing(Arc::clone(&cast), Settings::default(), Arc::new(move |home: &Home| opener.open(home))).await;
    let there = Bench::with(cast, "example.org/other", Settings::default()).await;

    let key = new_key();
    let issued = certificate(&ask(&here, &request(&instance.token(|_| {}), &key, "jane@example.org")).await.is(200));
    let payload = attest::sample::statement(Predicate::Test).to_json();
    let signature = key.sign(&dsse::pae(IN_TOTO, &payload));
    let query = ("Content-Type", "application/timestamp-query");
    let stamp =
        here.send("", "POST /api/v1/timestamp", &[query], Some(&timestamp_query(&signature))).await.is(201).body;
    let envelope = json!({"payload": base64::encode(&payload), "payloadType": IN_TOTO,
        "signatures": [{"sig": base64::encode(&signature)}]});
    let der = base64::encode(issued.der());
    let verifier = json!({"keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": {"rawBytes": der}});
    let entry = json!({"dsseRequestV002": {"envelope": envelope, "verifiers": [verifier]}}).to_string();
    let entry = here.send("", "POST /api/v2/log/entries", &[], Some(entry.as_bytes())).await.is(201).json();
    let bundle = json!({
        "mediaType": wire::sigstore_bundle::MEDIA_TYPE,
        "verificationMaterial": {
            "certificate": {"rawBytes": der},
            "tlogEntries": [entry],
            "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": base64::encode(&stamp)}]},
        },
        "dsseEnvelope": envelope,
    })
    .to_string();

    let post = "POST /api/v1/statements?repository=greeter";
    let added = there.send("publisher", post, &[], Some(bundle.as_bytes())).await.is(201).json();
    let stated = added["statements"][0].clone();
    assert_eq!((&stated["signer"], &stated["name"]), (&json!("jane"), &json!("test")));
    there.home.reindex().await.expect("made again");
    let greeter = attest::sample::digest("greeter");
    let about = there.ask("reader", &format!("GET /api/v1/statements?digest={greeter}")).await.is(200).json();
    let found = Bundle::parse(about["statements"][0]["bundle"].to_string().as_bytes()).expect("a bundle");

    let rules = "version = 1\nname = \"x\"\n[[rules]]\nrule = \"logged\"\n[[rules]]\nrule = \"tests-passed\"\nsuites = [\"unit\"]\n";
    let policy = policy::Policy::parse("x.toml", rules).expect("a policy");
    let judge = |attestations: Vec<attest::Attestation>| {
        let subject = Subject { name: "greeter".to_owned(), digests: vec![greeter] };
        let evidence = policy::Evidence { subject, attestations, live: None, refused: Vec::new() };
        policy::gate(&policy, &evidence, "production", now()).result
    };
    let opened = attest::open(&found, there.home.trust(), now()).expect("verifies");
    assert_eq!(judge(vec![opened]), Outcome::Pass);
    assert_eq!(judge(Vec::new()), Outcome::Unknown);

    // Revoked there, the same bundle is taken no more.
    let revocation = attest::predicate::revocation::Revocation {
        issuer: ISSUER.to_owned(),
        subject: None,
        at: now(),
        reason: "the issuer was broken into".to_owned(),
        actor: "ada".to_owned(),
    };
    let revocation = there.cast.sign(&attest::revocation(&revocation), "admin");
    let revocation = serde_json::to_vec(&revocation).expect("JSON");
    there.send("publisher", "POST /api/v1/statements", &[], Some(&revocation)).await.is(201);
    there.send("publisher", post, &[], Some(bundle.as_bytes())).await.is(422).says("were revoked at");
}
