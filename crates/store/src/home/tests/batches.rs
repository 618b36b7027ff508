//! Calls that share one commit: each of its steps fails, its process is killed, and a second writer is at it.

use std::collections::BTreeSet;

use super::*;
use crate::sample::sigstore_leaves;

/// What one caller asks for.
#[derive(Clone)]
enum Asked {
    Statements(Vec<Envelope>),
    Entries(Vec<Proposal>),
}

/// Position and hash of each entry that was acknowledged, or the first error.
type Told = std::result::Result<Vec<(u64, tlog::merkle::Hash)>, HomeError>;

async fn ask(home: Home, asked: Asked) -> Told {
    match asked {
        Asked::Statements(envelopes) => {
            Ok(home.append(envelopes, now()).await?.iter().map(acknowledged).collect::<Vec<_>>())
        }
        Asked::Entries(proposals) => {
            let placed = home.log_proposals(&proposals, now()).await?;
            let told = placed.iter().zip(&proposals).map(|(placed, proposal)| match placed {
                Placed::New(receipt) => acknowledged(receipt),
                Placed::Known(index) => (*index, proposal.leaf().hash()),
            });
            Ok(told.collect())
        }
    }
}

/// Has all calls wait for one commit, then lets it go.
async fn together(home: &Home, calls: &[Asked]) -> Vec<Told> {
    let held = home.inner.committing.lock().await;
    let tasks: Vec<_> = calls.iter().map(|asked| tokio::spawn(ask(home.clone(), asked.clone()))).collect();
    while home.waiting().len() < calls.len() {
        tokio::task::yield_now().await;
    }
    drop(held);
    let mut told = Vec::new();
    for task in tasks {
        told.push(task.await.expect("no panic"));
    }
    told
}

/// The crash table of a commit that four callers share, over the border of a tile: each step fails in turn, with and without
/// its effect; then the same is asked again, or something else, or the directory is opened anew. Nothing that anybody was
/// told is missing, nothing stands twice, and the log verifies from its first entry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_of_a_shared_commit_may_fail() {
    let template = Sample::new("shared");
    let home = template.home().await;
    let before: Vec<Envelope> = (0..126).map(|n| template.unique(n)).collect();
    let before = home.append(before, now()).await.expect("logged");
    home.close().await.expect("closed");
    let before: Vec<_> = before.iter().map(acknowledged).collect();
    let template = Arc::new(template);
    let mut columns = Vec::new();
    for fault in [Fault::Fails, Fault::FailsButPersists] {
        for retry in [Retry::Same, Retry::Other, Retry::Reload] {
            let (template, before) = (Arc::clone(&template), before.clone());
            columns.push(tokio::spawn(async move {
                let mut step = 0;
                while row(&template, &before, fault, retry, step).await {
                    step += 1;
                }
                step
            }));
        }
    }
    for column in columns {
        let steps = column.await.expect("no row failed");
        assert!(steps > 40, "a commit has {steps} steps");
    }
}

/// Returns whether the step exists.
async fn row(template: &Sample, before: &[(u64, tlog::merkle::Hash)], fault: Fault, retry: Retry, step: usize) -> bool {
    let row = format!("{fault:?} at step {step}, then {retry:?}");
    let copy = format!("shared {fault:?} {retry:?}");
    drop(std::fs::remove_dir_all(template.scratch.path().join(&copy)));
    let sample = template.copied(&copy);
    let injector = Injector::new(fault);
    let options = Options { faults: Some(injector.faults()), ..sample.options() };
    let mut home = Home::open(&sample.data(), &options).await.expect("opened");
    let twice = sample.proposal(b"asked for by two");
    let calls = [
        Asked::Statements(vec![sample.unique(1000)]),
        Asked::Entries(vec![twice.clone()]),
        Asked::Entries(vec![sample.proposal(b"one"), twice]),
        Asked::Statements(vec![sample.unique(1001)]),
    ];
    injector.arm(step);
    let first = together(&home, &calls).await;
    let exists = injector.seen.load(Ordering::SeqCst) > step;
    injector.arm(NEVER);
    let mut known = before.to_vec();
    for told in &first {
        match told {
            Ok(entries) => known.extend(entries),
            Err(error) => assert!(exists, "{row}: no step failed but {error:?}"),
        }
    }
    let mut witness = Witness::default();
    witness.check(&sample, &known);
    match retry {
        Retry::Same => {}
        Retry::Other => {
            let other = ask(home.clone(), Asked::Entries(vec![sample.proposal(b"other")])).await;
            known.extend(other.unwrap_or_else(|error| panic!("{row}: {error:?}")));
            witness.check(&sample, &known);
        }
        Retry::Reload => {
            drop(home);
            home = Home::open(&sample.data(), &options).await.unwrap_or_else(|error| panic!("{row}: {error:?}"));
        }
    }
    for told in together(&home, &calls).await {
        known.extend(told.unwrap_or_else(|error| panic!("{row}: {error:?}")));
    }
    witness.check(&sample, &known);
    let leaves = sigstore_leaves(&sample);
    assert_eq!(leaves.iter().collect::<BTreeSet<_>>().len(), leaves.len(), "{row}: an entry stands twice");
    assert_eq!(leaves.len(), before.len() + 4 + usize::from(retry == Retry::Other), "{row}");
    exists
}

const CHILD: &str = "ASSAY_STORE_TEST_KILLED_BATCHES";

/// The process that [`a_writer_killed_under_many_clients_loses_nothing`] kills; does nothing when it is not asked to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_batches_child() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let sample = Arc::new(Sample::load(Path::new(&directory)));
    let home = sample.open().await;
    let begun = home.log().size();
    let client = |client: u64| {
        let (sample, home) = (Arc::clone(&sample), home.clone());
        async move {
            for number in 0.. {
                let message = format!("{begun} {client} {number}");
                let told = ask(home.clone(), Asked::Entries(vec![sample.proposal(message.as_bytes())])).await;
                for (index, leaf) in told.expect("logged") {
                    // In one write, or lines of two clients could mix.
                    let line = format!("ack {index} {}\n", Digest::Sha256(leaf).hex());
                    std::io::stdout().lock().write_all(line.as_bytes()).expect("the parent listens");
                }
            }
        }
    };
    let clients: Vec<_> = (0..16).map(|number| tokio::spawn(client(number))).collect();
    for client in clients {
        client.await.expect("no panic");
    }
}

/// kill -9 at any moment under 16 clients, whose commits the ledger follows behind: what was acknowledged is there, the
/// ledger is brought up, and no entry stands twice.
#[test]
fn a_writer_killed_under_many_clients_loses_nothing() {
    let sample = Sample::new("killed");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async { sample.home().await.close().await.expect("closed") });
    sample.save();
    let seed = 0x0bad_cafe_u64;
    let mut random = Random(seed);
    let mut witness = Witness::default();
    let mut known = Vec::new();
    for round in 0..kill_rounds() {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "home::tests::batches::killed_batches_child", "--nocapture"])
            .env(CHILD, sample.scratch.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let enough = known.len() + 1 + random.below(60) as usize;
        while known.len() < enough {
            let line = lines.next().unwrap_or_else(|| panic!("round {round} of seed {seed:#x}: the child ended"));
            known.extend(ack(&line.expect("text")));
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        known.extend(lines.map_while(Result::ok).filter_map(|line| ack(&line)));
        witness.check(&sample, &known);
    }
    let leaves = sigstore_leaves(&sample);
    assert_eq!(leaves.iter().collect::<BTreeSet<_>>().len(), leaves.len(), "an entry stands twice");
    let findings = runtime.block_on(async {
        sample.open().await.close().await.expect("closed");
        crate::fsck::fsck(&sample.fsck_target()).await.expect("looked")
    });
    assert_eq!(findings, []);
}

/// Two copies of one log, written to at the same time, share the head outside: one goes on, the other never signs again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_one_goes_on() {
    let sample = Sample::new("two");
    let home = sample.home().await;
    home.append(vec![sample.unique(1)], now()).await.expect("logged");
    home.close().await.expect("closed");
    let copy = sample.scratch.path().join("copy");
    copy_tree(&sample.data(), &copy);
    assert!(matches!(
        (sample.open().await, Home::open(&sample.data(), &sample.options()).await),
        (_, Err(HomeError::Lock(_)))
    ));
    let homes = [sample.open().await, Home::open(&copy, &sample.options()).await.expect("opened")];
    let writer = |home: Home, first: u64| {
        let proposals: Vec<_> = (0..20).map(|n| sample.proposal(&(first + n).to_be_bytes())).collect();
        tokio::spawn(async move {
            let mut logged = 0;
            for proposal in proposals {
                match home.log_proposals(&[proposal], now()).await {
                    Ok(_) => logged += 1,
                    Err(HomeError::Log(LogError::Refused(_))) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            logged
        })
    };
    let [one, other] = [writer(homes[0].clone(), 0), writer(homes[1].clone(), 1000)];
    let mut logged = [one.await.expect("no panic"), other.await.expect("no panic")];
    logged.sort_unstable();
    assert_eq!(logged, [0, 20], "one of them logs all, the other nothing");
}
