//! Speed of the log and of verification, each beside its limit; `benches/run append` and `benches/run verify` call it.
//!
//! ```text
//! bench_log append DIR BATCH STATEMENTS RUNS    durable appends, beside the same envelopes written to one file and synced
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
use std::time::Instant;

use attest::predicate::publication::Publication;
use serde_json::{Value, json};
use sign::trust::{Identity, LogIdentity, Role, Trust};
use sign::{LogKey, SigningKey};
use store::home::{Held, Home, Options};
use store::log::NewLog;
use tlog::index::IndexKey;
use tokio::runtime::Runtime;
use wire::digest::Digest;
use wire::dsse::{Envelope, IN_TOTO, pae};
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
        ["open", directory, statements, runs] => open(Path::new(directory), statements.parse()?, runs.parse()?),
        ["verify", directory, count, runs] => verify(Path::new(directory), count.parse()?, runs.parse()?),
        _ => {
            Err("usage: bench_log append DIR BATCH STATEMENTS RUNS | open DIR STATEMENTS RUNS | verify DIR COUNT RUNS"
                .into())
        }
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
