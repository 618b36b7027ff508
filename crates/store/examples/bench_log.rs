//! Speed of the log and of verification, each beside its limit; `benches/run append` and `benches/run verify` call it.
//!
//! ```text
//! bench_log append DIR BATCH STATEMENTS RUNS    durable appends, beside the same envelopes written to one file and synced
//! bench_log clients DIR CLIENTS ENTRIES RUNS    hashedrekord entries, each by one of so many clients who wait for the answer
//! bench_log paced DIR RATE ENTRIES RUNS          the same, one entry at a time at a steady rate, whatever the answers take
//! bench_log open DIR STATEMENTS RUNS            the comparison with the seal, beside opening and closing the directory
//! bench_log verify DIR COUNT RUNS               bundles opened, beside bare P-256 verifications of the same payload
//! ```
//!
//! DIR must not exist yet. Statements are made and signed before a clock starts. Ours and the limit take turns; each
//! pair is printed as one line of JSON, with wall and CPU seconds of this process.

#![forbid(unsafe_code)]
// This program's whole purpose is its output.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attest::predicate::publication::Publication;
use serde_json::{Value, json};
use sign::trust::{Identity, LogIdentity, Role, Trust};
use sign::{LogKey, SigningKey};
use store::home::{Held, Home, Options, Placed};
use store::log::NewLog;
use tlog::index::IndexKey;
use tlog::proposal::Proposal;
use tokio::runtime::Runtime;
use wire::digest::Digest;
use wire::dsse::{Envelope, IN_TOTO, pae};
use wire::rekor::request::Request;
use wire::sigstore_bundle::Bundle;
use wire::timestamp::Timestamp;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Ticks of `/proc/PID/stat`: fixed on every architecture that assay supports.
const TICKS_PER_S: f64 = 100.0;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["append", directory, batch, statements, runs] => {
            append(Path::new(directory), batch.parse()?, statements.parse()?, runs.parse()?)
        }
        ["clients", directory, clients, entries, runs] => {
            clients_race(Path::new(directory), clients.parse()?, entries.parse()?, runs.parse()?)
        }
        ["paced", directory, rate, entries, runs] => {
            paced(Path::new(directory), rate.parse()?, entries.parse()?, runs.parse()?)
        }
        ["open", directory, statements, runs] => open(Path::new(directory), statements.parse()?, runs.parse()?),
        ["verify", directory, count, runs] => verify(Path::new(directory), count.parse()?, runs.parse()?),
        _ => Err("usage: bench_log append DIR BATCH STATEMENTS RUNS | clients DIR CLIENTS ENTRIES RUNS | paced DIR \
                 RATE ENTRIES RUNS | open DIR \
                 STATEMENTS RUNS | verify DIR COUNT RUNS"
            .into()),
    }
}

/// A new data directory, whose statements one key signs.
struct Bench {
    runtime: Runtime,
    home: Home,
    options: Options,
    trust: Arc<Trust>,
    key: SigningKey,
    made: u64,
}

impl Bench {
    fn new(directory: &Path) -> Result<Bench> {
        if directory.exists() {
            return Err(format!("`{}` exists", directory.display()).into());
        }
        let (key, log_key) = (SigningKey::generate()?, LogKey::generate()?);
        let identity = Identity {
            name: "bench".to_owned(),
            key: key.public().clone(),
            roles: Role::ALL.iter().map(|(role, _)| *role).collect(),
            valid_from: now().plus_s(-1),
            valid_until: None,
            revoked_at: None,
        };
        let origin = "assay.local/bench".to_owned();
        let log = LogIdentity {
            origin: origin.clone(),
            key: log_key.public().clone(),
            valid_from: now().plus_s(-1),
            valid_until: None,
        };
        let trust = Arc::new(Trust { identities: vec![identity], logs: vec![log], ..Trust::default() });
        let heads = directory.join("heads");
        let options = Options { heads, trust: Arc::clone(&trust), covered: Vec::new(), faults: None };
        let index_key = IndexKey::from_hex(&Digest::of(b"bench").hex())?;
        let data = directory.join("data");
        let runtime = Runtime::new()?;
        let home = runtime.block_on(async {
            Home::create(&data, &options, NewLog { origin, key: log_key, index_key }).await?;
            Home::open(&data, &options).await
        })?;
        Ok(Bench { runtime, home, options, trust, key, made: 0 })
    }

    /// Signs statements that are like no other: publications of a manifest each.
    fn sign(&mut self, count: usize) -> Vec<Envelope> {
        (0..count).map(|_| self.sign_one()).collect()
    }

    /// A signature over a digest that is like no other, as a client of Rekor sends it.
    fn request(&mut self) -> Vec<u8> {
        self.made += 1;
        let (message, base64) = (self.made.to_be_bytes(), wire::base64::encode);
        let public = self.key.public();
        let verifier =
            json!({"keyDetails": public.key_details(), "publicKey": {"rawBytes": base64(public.spki_der())}});
        let signature = json!({"content": base64(&self.key.sign(&message)), "verifier": verifier});
        let digest = base64(Digest::of(&message).bytes());
        json!({"hashedRekordRequestV002": {"digest": digest, "signature": signature}}).to_string().into_bytes()
    }

    fn sign_one(&mut self) -> Envelope {
        self.made += 1;
        let publication = Publication {
            repository: "bench/service".to_owned(),
            manifest: Digest::of(&self.made.to_be_bytes()),
            from: None,
            actor: "bench".to_owned(),
            at: now(),
        };
        sign::seal(IN_TOTO, &attest::publication(&publication).to_json(), &self.key)
    }
}

fn append(directory: &Path, batch: usize, statements: usize, runs: usize) -> Result<()> {
    let mut bench = Bench::new(directory)?;
    let mut file = File::create(directory.join("limit"))?;
    for _ in 0..runs {
        let envelopes = bench.sign(statements);
        let bytes: Vec<Vec<u8>> = envelopes.iter().map(Envelope::to_json).collect();
        let batches: Vec<Vec<Envelope>> = envelopes.chunks(batch.max(1)).map(<[_]>::to_vec).collect();
        let ours = timed(|| {
            for batch in batches {
                black_box(bench.runtime.block_on(bench.home.append(batch, now()))?);
            }
            Ok(())
        })?;
        let limit = timed(|| {
            for batch in bytes.chunks(batch.max(1)) {
                file.write_all(&batch.concat())?;
                file.sync_all()?;
            }
            Ok(())
        })?;
        let size: usize = bytes.iter().map(Vec::len).sum();
        let written =
            json!({"statements": statements, "batch": batch, "bytes": size, "log_size": bench.home.log().size()});
        print_pair(ours, limit, written);
    }
    bench.runtime.block_on(bench.home.close())?;
    Ok(fs::remove_dir_all(directory)?)
}

/// Each client sends a request as it comes from the network, and the next when he has his answer: parsing, the check of
/// the signature, group commit, proof. The limit is what a commit cannot do without: one write and one sync for as many
/// entries as there are clients.
fn clients_race(directory: &Path, clients: usize, entries: usize, runs: usize) -> Result<()> {
    let mut bench = Bench::new(directory)?;
    let mut file = File::create(directory.join("limit"))?;
    for _ in 0..runs {
        let requests: Vec<Vec<u8>> = (0..entries).map(|_| bench.request()).collect();
        let bytes: usize = requests.iter().map(Vec::len).sum();
        let shares: Vec<Vec<Vec<u8>>> = requests.chunks(entries.div_ceil(clients)).map(<[_]>::to_vec).collect();
        let mut waits = Vec::new();
        let ours = timed(|| {
            let tasks: Vec<_> =
                shares.into_iter().map(|share| bench.runtime.spawn(client(bench.home.clone(), share))).collect();
            for task in tasks {
                waits.extend(bench.runtime.block_on(task)?.map_err(|error| error.to_string())?);
            }
            Ok(())
        })?;
        let limit = timed(|| {
            for _ in 0..entries.div_ceil(clients) {
                file.write_all(&vec![b'x'; clients * 1024])?;
                file.sync_data()?;
            }
            Ok(())
        })?;
        let wait_ms = |share| wait_ms(&mut waits.clone(), share);
        let about = json!({
            "entries": entries, "clients": clients, "bytes": bytes, "log_size": bench.home.log().size(),
            "p50_ms": wait_ms(0.5), "p99_ms": wait_ms(0.99), "anonymous_kib": anonymous_kib()?,
        });
        print_pair(ours, limit, about);
    }
    bench.runtime.block_on(bench.home.close())?;
    Ok(fs::remove_dir_all(directory)?)
}

/// What somebody waits who logs one entry now and then: the answer has its index and a proof under a checkpoint. The limit
/// is one write and one sync.
fn paced(directory: &Path, rate: u64, entries: usize, runs: usize) -> Result<()> {
    let mut bench = Bench::new(directory)?;
    let mut file = File::create(directory.join("limit"))?;
    for _ in 0..runs {
        let requests: Vec<Vec<u8>> = (0..entries).map(|_| bench.request()).collect();
        let home = bench.home.clone();
        let mut waits = bench.runtime.block_on(async {
            let mut tick = tokio::time::interval(Duration::from_nanos(1_000_000_000 / rate.max(1)));
            let mut tasks = Vec::new();
            for request in requests {
                tick.tick().await;
                tasks.push(tokio::spawn(client(home.clone(), vec![request])));
            }
            let mut waits = Vec::new();
            for task in tasks {
                waits.extend(task.await.map_err(|error| error.to_string())??);
            }
            Ok::<_, String>(waits)
        })?;
        let mut syncs = Vec::new();
        for _ in 0..entries {
            let begun = Instant::now();
            file.write_all(&[b'x'; 1024])?;
            file.sync_data()?;
            syncs.push(u64::try_from(begun.elapsed().as_micros())?);
        }
        let about = json!({"entries": entries, "rate": rate, "p50_ms": wait_ms(&mut waits, 0.5)});
        let p99 = |waits: &mut [u64]| json!({"p99_ms": wait_ms(waits, 0.99)});
        print_pair(p99(&mut waits), p99(&mut syncs), about);
    }
    bench.runtime.block_on(bench.home.close())?;
    Ok(fs::remove_dir_all(directory)?)
}

/// Returns the time that a share of some waits stay below.
fn wait_ms(waits_us: &mut [u64], share: f64) -> f64 {
    waits_us.sort_unstable();
    waits_us[((waits_us.len() - 1) as f64 * share) as usize] as f64 / 1000.0
}

/// Returns how many microseconds each answer took.
async fn client(home: Home, share: Vec<Vec<u8>>) -> std::result::Result<Vec<u64>, String> {
    let mut waits = Vec::new();
    for request in share {
        let begun = Instant::now();
        let proposal = Request::parse(&request).map_err(|error| error.to_string())?;
        let proposal = Proposal::check(proposal).map_err(|error| error.to_string())?;
        let placed =
            home.log_proposals(std::slice::from_ref(&proposal), now()).await.map_err(|error| error.to_string())?;
        let [Placed::New(receipt)] = &placed[..] else { return Err("an entry was there already".to_owned()) };
        black_box(receipt.to_log_entry_of(&proposal));
        waits.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(waits)
}

/// Memory of this process that no file stands behind.
fn anonymous_kib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("no `RssAnon`")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn open(directory: &Path, statements: usize, runs: usize) -> Result<()> {
    let mut bench = Bench::new(directory)?;
    let envelopes = bench.sign(statements);
    for batch in envelopes.chunks(1024) {
        bench.runtime.block_on(bench.home.append(batch.to_vec(), now()))?;
    }
    bench.runtime.block_on(bench.home.close())?;
    let data = directory.join("data");
    let size = fs::metadata(data.join("ledger.sqlite"))?.len();
    for _ in 0..runs {
        let compared = timed(|| {
            let held = bench.runtime.block_on(Held::take(&data, &bench.options.covered))?;
            Ok(held.unchanged()?)
        })?;
        let whole = timed(|| {
            bench.home = bench.runtime.block_on(Home::open(&data, &bench.options))?;
            Ok(bench.runtime.block_on(bench.home.close())?)
        })?;
        print_pair(compared, whole, json!({"statements": statements, "ledger_bytes": size}));
    }
    Ok(fs::remove_dir_all(directory)?)
}

fn verify(directory: &Path, count: usize, runs: usize) -> Result<()> {
    let mut bench = Bench::new(directory)?;
    // Other entries before and after, so that the inclusion proof has some hashes.
    let mut envelopes = bench.sign(1024);
    let receipts = bench.runtime.block_on(bench.home.append(envelopes.clone(), now()))?;
    let receipt = &receipts[512];
    let envelope = envelopes.swap_remove(512);
    let bundle = attest::bundle(&envelope, receipt, &bench.key.public().id().to_string())?;
    let json = bundle.to_json();
    let message = pae(&envelope.payload_type, &envelope.payload);
    let signature = &envelope.signature.sig;
    for _ in 0..runs {
        let ours = timed(|| {
            for _ in 0..count {
                black_box(attest::open(black_box(&bundle), &bench.trust, now())?);
            }
            Ok(())
        })?;
        let limit = timed(|| {
            for _ in 0..count {
                bench.key.public().verify(black_box(&message), black_box(signature))?;
            }
            Ok(())
        })?;
        let parsed = timed(|| {
            for _ in 0..count {
                black_box(Bundle::parse(black_box(&json))?);
            }
            Ok(())
        })?;
        print_pair(ours, limit, json!({"count": count, "parse": parsed, "bundle_bytes": json.len()}));
    }
    bench.runtime.block_on(bench.home.close())?;
    Ok(fs::remove_dir_all(directory)?)
}

fn print_pair(ours: Value, limit: Value, about: Value) {
    println!("{}", json!({"ours": ours, "limit": limit, "about": about}));
}

/// Runs, and returns wall and CPU seconds.
fn timed(run: impl FnOnce() -> Result<()>) -> Result<Value> {
    let (cpu, start) = (cpu_s()?, Instant::now());
    run()?;
    Ok(json!({"wall_s": start.elapsed().as_secs_f64(), "cpu_s": cpu_s()? - cpu}))
}

/// User and system seconds of this process and all its threads.
fn cpu_s() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').ok_or("`/proc/self/stat` has another form")?.1;
    let ticks: Vec<&str> = after_name.split_whitespace().skip(11).take(2).collect();
    Ok(ticks.iter().map(|ticks| ticks.parse::<f64>()).sum::<std::result::Result<f64, _>>()? / TICKS_PER_S)
}

/// Fixed, so that the clock is no part of what is measured.
fn now() -> Timestamp {
    attest::sample::time(100_000)
}
