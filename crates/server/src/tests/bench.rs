//! A server with a data directory, keys and tokens of its own, on a port of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use attest::predicate::Predicate;
use attest::predicate::grant::{Action, Grant};
use attest::sample;
use sign::authority::Authorities;
use sign::trust::{Identity, LogIdentity, Role, Trust};
use sign::{LogKey, SigningKey};
use store::home::{Home, Options};
use store::log::NewLog;
use tlog::index::IndexKey;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wire::digest::Digest;
use wire::dsse::{Envelope, IN_TOTO};
use wire::in_toto::Statement;
use wire::oci_image::{Descriptor, Manifest};
use wire::timestamp::Timestamp;

use super::client::{Answer, send};
use crate::{Clock, Config, ServerKeys, Settings, Sigstore, serve};

/// The tests' clock.
pub(super) fn now() -> Timestamp {
    sample::time(100_000)
}

/// Not random at all, but no two calls give the same.
fn numbered(bytes: &mut [u8]) {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let digest = Digest::of(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes.copy_from_slice(&digest.bytes()[..bytes.len()]);
}

/// A directory of its own for a test, removed at the end.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("assay-server-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a scratch directory");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Signers and a log; several benches with one cast trust each other.
pub(super) struct Cast {
    keys: BTreeMap<&'static str, String>,
    logs: BTreeMap<&'static str, String>,
    trust: Arc<Trust>,
}

impl Cast {
    pub(super) fn new() -> Cast {
        Cast::trusting(|_| {})
    }

    /// The same, trusting others beside themselves.
    pub(super) fn trusting(others: impl FnOnce(&mut Trust)) -> Cast {
        let (mut keys, mut logs) = (BTreeMap::new(), BTreeMap::new());
        let mut trust = Trust::default();
        for (role, name) in Role::ALL {
            let key = SigningKey::generate().expect("generated");
            trust.identities.push(Identity {
                name: name.to_owned(),
                key: key.public().clone(),
                roles: vec![role],
                valid_from: sample::time(-1),
                valid_until: None,
                revoked_at: None,
            });
            keys.insert(name, key.to_pkcs8_pem().to_string());
        }
        for origin in ["example.org/log", "example.org/other"] {
            let key = LogKey::generate().expect("generated");
            trust.logs.push(LogIdentity {
                origin: origin.to_owned(),
                key: key.public().clone(),
                valid_from: sample::time(-1),
                valid_until: None,
            });
            logs.insert(origin, key.to_pem().to_string());
        }
        others(&mut trust);
        Cast { keys, logs, trust: Arc::new(trust) }
    }

    /// The same, trusting some authorities, too.
    pub(super) fn with_authorities(self, authorities: Authorities) -> Cast {
        let trust = Arc::new(Trust { authorities, ..(*self.trust).clone() });
        Cast { trust, ..self }
    }

    pub(super) fn key(&self, role: &str) -> SigningKey {
        SigningKey::from_pkcs8_pem(&self.keys[role]).expect("a key")
    }

    pub(super) fn sign(&self, statement: &Statement, role: &str) -> Envelope {
        sign::seal(IN_TOTO, &statement.to_json(), &self.key(role))
    }

    /// The sample service's statement of a kind, signed by whom it takes.
    pub(super) fn sample(&self, predicate: Predicate) -> Envelope {
        self.sign(&sample::statement(predicate), predicate.role().name())
    }
}

/// Opens a Sigstore in a home.
pub(super) type Opener = Arc<dyn Fn(&Home) -> Sigstore + Send + Sync>;

/// A running server.
pub(super) struct Bench {
    pub(super) address: String,
    pub(super) cast: Arc<Cast>,
    pub(super) home: Home,
    pub(super) scratch: Scratch,
    options: Options,
    settings: Settings,
    clock: Clock,
    sigstore: Option<Opener>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

/// Tokens that every bench has; each is the name of its role over `*`, but `team` publishes to `team/*` only.
pub(super) const TOKENS: [(&str, &str, &str); 5] = [
    ("reader", "reader", "*"),
    ("publisher", "publisher", "*"),
    ("deployer", "deployer", "*"),
    ("admin", "admin", "*"),
    ("team", "publisher", "team/*"),
];

impl Bench {
    pub(super) async fn new() -> Bench {
        Bench::with(Arc::new(Cast::new()), "example.org/log", Settings::default()).await
    }

    pub(super) async fn with(cast: Arc<Cast>, origin: &'static str, settings: Settings) -> Bench {
        Bench::at(cast, origin, settings, now).await
    }

    /// The same with another clock, in front of which nobody's tokens were given later than [`now`].
    pub(super) async fn at(cast: Arc<Cast>, origin: &'static str, settings: Settings, clock: Clock) -> Bench {
        let mut bench = Bench::stopped(cast, origin, settings, clock).await;
        bench.give_tokens().await;
        bench.start().await;
        bench
    }

    /// The same with a Sigstore.
    pub(super) async fn issuing(cast: Arc<Cast>, settings: Settings, sigstore: Opener) -> Bench {
        let mut bench = Bench::stopped(cast, "example.org/log", settings, now).await;
        bench.sigstore = Some(sigstore);
        bench.give_tokens().await;
        bench.start().await;
        bench
    }

    async fn give_tokens(&self) {
        let grants = TOKENS.iter().map(|(token, role, pattern)| {
            let grant = Grant {
                token: Digest::of(token.as_bytes()),
                name: (*token).to_owned(),
                role: (*role).to_owned(),
                repositories: vec![(*pattern).to_owned()],
                action: Action::Grant,
                actor: "bench".to_owned(),
                at: now(),
            };
            self.cast.sign(&attest::grant(&grant), "admin")
        });
        self.home.append(grants.collect(), now()).await.expect("logged");
    }

    /// One whose log has no entries, and which knows no tokens.
    pub(super) async fn empty(settings: Settings) -> Bench {
        let mut bench = Bench::stopped(Arc::new(Cast::new()), "example.org/log", settings, now).await;
        bench.start().await;
        bench
    }

    async fn stopped(cast: Arc<Cast>, origin: &'static str, settings: Settings, clock: Clock) -> Bench {
        let scratch = Scratch::new();
        let options = Options {
            heads: scratch.0.join("heads"),
            trust: Arc::clone(&cast.trust),
            covered: Vec::new(),
            faults: None,
        };
        let new = NewLog {
            origin: origin.to_owned(),
            key: LogKey::from_pem(&cast.logs[origin]).expect("a key"),
            index_key: IndexKey::from_hex(&Digest::of(b"index key").hex()).expect("a key"),
        };
        Home::create(&scratch.0.join("data"), &options, new).await.expect("created");
        let home = Home::open(&scratch.0.join("data"), &options).await.expect("opened");
        let (address, sigstore) = (String::new(), None);
        Bench { address, cast, home, scratch, options, settings, clock, sigstore, stop: None, serving: None }
    }

    async fn start(&mut self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        self.address = listener.local_addr().expect("an address").to_string();
        let config = Config {
            home: self.home.clone(),
            keys: ServerKeys { publisher: self.cast.key("publisher"), admin: Some(self.cast.key("admin")) },
            settings: self.settings.clone(),
            clock: self.clock,
            sigstore: self.sigstore.as_ref().map(|open| open(&self.home)),
            random: numbered,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        self.stop = Some(stop);
        self.serving = Some(tokio::spawn(async move {
            // The sender's end is the same as a message.
            serve(listener, config, async { drop(stopped.await) }).await.expect("serves");
        }));
    }

    /// Stops the server in order, closes the directory, and starts again on the same data.
    pub(super) async fn restart(&mut self) {
        self.stop().await;
        self.home = Home::open(&self.scratch.0.join("data"), &self.options).await.expect("opened");
        self.start().await;
    }

    pub(super) async fn stop(&mut self) {
        drop(self.stop.take());
        self.serving.take().expect("it was serving").await.expect("no panic");
        self.home.close().await.expect("closed");
    }

    /// Sends a request with a token and no body.
    pub(super) async fn ask(&self, token: &str, line: &str) -> Answer {
        self.send(token, line, &[], None).await
    }

    pub(super) async fn send(&self, token: &str, line: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut all = headers.to_vec();
        if !token.is_empty() {
            all.push(("Authorization", &bearer));
        }
        let needs_length = body.is_none() && !line.starts_with("GET") && !line.starts_with("HEAD");
        send(&self.address, line, &all, if needs_length { Some(b"") } else { body }).await
    }

    /// Pushes a blob at once.
    pub(super) async fn push_blob(&self, name: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let line = format!("POST /v2/{name}/blobs/uploads/?digest={digest}");
        self.send("publisher", &line, &[], Some(bytes)).await.is(201).has("docker-content-digest", &digest.to_string());
        digest
    }

    /// Pushes a manifest with two blobs of its own, and returns it.
    pub(super) async fn push_image(&self, name: &str, reference: &str, content: &str) -> (Digest, Vec<u8>) {
        let manifest = self.image(name, content).await.to_json();
        let digest = Digest::of(&manifest);
        let reference = if reference.is_empty() { digest.to_string() } else { reference.to_owned() };
        let line = format!("PUT /v2/{name}/manifests/{reference}");
        self.send("publisher", &line, &[MANIFEST], Some(&manifest)).await.is(201);
        (digest, manifest)
    }

    /// Pushes the blobs of an image, and returns its manifest.
    pub(super) async fn image(&self, name: &str, content: &str) -> Manifest {
        let config = self.push_blob(name, format!("{{\"config\":\"{content}\"}}").as_bytes()).await;
        let layer = self.push_blob(name, content.as_bytes()).await;
        let config_size = content.len() as u64 + r#"{"config":""}"#.len() as u64;
        Manifest::new(
            Descriptor::new(wire::oci_image::MEDIA_TYPE_CONFIG, config, config_size),
            vec![Descriptor::new(wire::oci_image::MEDIA_TYPE_LAYER, layer, content.len() as u64)],
        )
    }
}

/// The header of a manifest.
pub(super) const MANIFEST: (&str, &str) = ("Content-Type", wire::oci_image::MEDIA_TYPE_MANIFEST);

/// Whether a program is installed.
pub(super) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory: PathBuf| Path::new(&directory).join(program).is_file())
}
