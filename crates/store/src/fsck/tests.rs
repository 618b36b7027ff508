use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use attest::predicate::Predicate;

use super::*;
use crate::home::{Home, Options};
use crate::sample::{Sample, now};
use crate::trees::Source;

/// A small home that was closed: keys and trust beside a data directory with blobs, a tree and a log.
struct Closed {
    sample: Sample,
    target: Target,
}

impl Closed {
    async fn new() -> Closed {
        let sample = Sample::new("fsck");
        let root = sample.scratch.path().join("home");
        for (path, text) in [("keys/admin.pem", "a key\n"), ("VERSION", "assay home 1\n"), ("trust.json", "{}\n")] {
            fs::create_dir_all(durable::parent(&root.join(path))).expect("made");
            fs::write(root.join(path), text).expect("written");
        }
        let except = ["data", "runs", "deployments"].map(str::to_owned).to_vec();
        let covered = vec![Root { name: "home".to_owned(), path: root, except }];
        let options = Options { covered: covered.clone(), ..sample.options() };
        Home::create(&sample.data(), &options, sample.new_log()).await.expect("created");
        let home = Home::open(&sample.data(), &options).await.expect("opened");
        home.append(sample.life(), now()).await.expect("logged");
        // More than a tile, so that there are full ones and two levels.
        home.append((0..130).map(|n| sample.unique(n)).collect(), now()).await.expect("logged");
        home.blobs().put_bytes(b"an artifact").expect("stored");
        let bytes = |text: &str| Source::Bytes { bytes: text.as_bytes().to_vec(), executable: false };
        let tree = [("usr/bin/cc", bytes("cc")), ("usr/gcc", Source::Link { target: "bin/cc".to_owned() })];
        home.trees().import(tree.map(|(path, source)| (path.to_owned(), source)), None).expect("imported");
        fs::create_dir_all(home.uploads()).expect("made");
        fs::write(home.uploads().join("unfinished"), b"half").expect("written");
        let certificates = crate::certificates::tests::opened(&home);
        for number in 0..3 {
            crate::certificates::tests::append(&certificates, number).expect("logged");
        }
        home.close().await.expect("closed");
        let target = Target { covered, ..sample.fsck_target() };
        Closed { sample, target }
    }

    async fn findings(&self) -> BTreeMap<String, What> {
        let findings = fsck(&self.target).await.expect("looked");
        let root = self.sample.scratch.path().join("home");
        let name = |path: &Path| path.strip_prefix(&root).unwrap_or(path).display().to_string();
        findings.iter().map(|finding| (name(&finding.path), finding.what.clone())).collect()
    }

    /// Every file of the home by its path below it, but for links.
    fn files(&self) -> Vec<String> {
        let root = Root { name: String::new(), path: self.sample.scratch.path().join("home"), except: Vec::new() };
        let all = seal::walk(&root).expect("walked");
        all.into_iter().filter(|path| root.path.join(path).symlink_metadata().is_ok_and(|m| m.is_file())).collect()
    }

    /// Changes a file (or makes it) and expects just that file to be named; then puts everything back.
    async fn check(&self, path: &str, change: &dyn Fn(&Path), expected: &What) {
        let at = self.sample.scratch.path().join("home").join(path);
        let before = fs::read(&at).ok();
        let mode = fs::metadata(&at).map(|metadata| metadata.permissions());
        let set_mode = |mode: u32| drop(fs::set_permissions(&at, fs::Permissions::from_mode(mode)));
        let parent = durable::parent(&at).to_owned();
        let in_tree = path.starts_with("data/trees/sha256/");
        if in_tree {
            fs::set_permissions(&parent, fs::Permissions::from_mode(0o755)).expect("set");
        }
        set_mode(0o644);
        change(&at);
        if let Ok(mode) = &mode {
            drop(fs::set_permissions(&at, mode.clone()));
        }
        if in_tree {
            crate::trees::finish_directory(&parent).expect("put back");
        }
        assert_eq!(self.findings().await, BTreeMap::from([(path.to_owned(), expected.clone())]), "{path}");
        if in_tree {
            fs::set_permissions(&parent, fs::Permissions::from_mode(0o755)).expect("set");
        }
        drop(fs::remove_file(&at));
        if let (Some(before), Ok(mode)) = (before, mode) {
            fs::write(&at, before).expect("put back");
            if in_tree {
                crate::trees::finish_directory(&at).expect("put back");
            }
            fs::set_permissions(&at, mode).expect("put back");
        }
        if in_tree {
            crate::trees::finish_directory(&parent).expect("put back");
        }
    }
}

/// A byte flipped, a byte added, a file removed: each is a finding that names just that file. (M12: tampering.)
#[tokio::test]
async fn any_change_of_any_file_is_named() {
    let closed = Closed::new().await;
    assert_eq!(closed.findings().await, BTreeMap::new());
    let files = closed.files();
    assert!(files.len() > 40, "{files:?}");
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).expect("written");
    };
    let add = |path: &Path| {
        let mut bytes = fs::read(path).expect("read");
        bytes.push(b'\n');
        fs::write(path, bytes).expect("written");
    };
    let remove = |path: &Path| fs::remove_file(path).expect("removed");
    // Envelopes are alike: a few of many.
    let mut blobs = 0;
    for path in files {
        if path.starts_with("data/blobs/") {
            blobs += 1;
            if blobs % 20 != 0 {
                continue;
            }
        }
        let empty = fs::metadata(closed.sample.scratch.path().join("home").join(&path)).expect("there").len() == 0;
        if !empty {
            closed.check(&path, &flip, &What::Changed).await;
        }
        closed.check(&path, &add, &What::Changed).await;
        let missing = if path == "data/seal.json" { What::Unsealed } else { What::Missing };
        closed.check(&path, &remove, &missing).await;
    }
    assert_eq!(closed.findings().await, BTreeMap::new());
}

#[tokio::test]
async fn a_file_that_does_not_belong_is_named() {
    let closed = Closed::new().await;
    let home = closed.sample.scratch.path().join("home");
    let tree = durable::list(&home.join("data/trees/sha256")).expect("listed")[0].clone();
    let blob = Digest::of(b"nobody put me here");
    let blob = format!("data/blobs/{}", blobs::relative_path(&blob).display());
    let directories = [
        "",
        "keys",
        "data",
        "data/log",
        "data/log/tile",
        "data/log/tile/0",
        "data/log/tile/entries",
        "data/log/staging",
        "data/ct",
        "data/ct/tile",
        "data/ct/entries",
        "data/blobs",
        "data/blobs/sha256",
        "data/trees",
        "data/trees/sha256",
        "data/uploads",
    ];
    let mut strays: Vec<String> = directories.iter().map(|directory| format!("{directory}/stray")).collect();
    strays.push(format!("data/trees/sha256/{tree}/usr/stray"));
    strays.push("data/ledger.sqlite-wal".to_owned());
    strays.push("data/log/tile/0/001.p/3".to_owned());
    for stray in strays {
        let write = |path: &Path| fs::write(path, b"nobody put me here").expect("written");
        closed.check(stray.trim_start_matches('/'), &write, &What::Unlisted).await;
    }
    let write = |path: &Path| {
        fs::create_dir_all(durable::parent(path)).expect("made");
        fs::write(path, b"nobody put me here").expect("written");
    };
    closed.check(&blob, &write, &What::Unlisted).await;
}

#[tokio::test]
async fn rows_are_compared_where_no_seal_helps() {
    let closed = Closed::new().await;
    let path = closed.sample.data().join("ledger.sqlite");
    fs::remove_file(closed.sample.data().join("seal.json")).expect("removed");
    let unsealed = ("data/seal.json".to_owned(), What::Unsealed);
    assert_eq!(closed.findings().await, BTreeMap::from([unsealed.clone()]));
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect_with(options).await.expect("opened");
    sqlx::query("UPDATE verdicts SET result = 'pass'").execute(&pool).await.expect("changed");
    sqlx::query("UPDATE tags SET digest = manifest FROM repository_blobs").execute(&pool).await.expect("changed");
    sqlx::query("DELETE FROM grants").execute(&pool).await.expect("changed");
    pool.close().await;
    let findings = closed.findings().await;
    assert!(matches!(findings["data/ledger.sqlite"], What::Rows(_)), "{findings:?}");
    assert_eq!(findings.len(), 2, "{findings:?}");
}

#[tokio::test]
async fn an_envelope_that_is_gone_is_named_without_a_seal() {
    let sample = Sample::new("fsck");
    let home = sample.home().await;
    let envelope = sample.sample(Predicate::Recipe);
    home.append(vec![envelope.clone(), sample.unique(1)], now()).await.expect("logged");
    let path = home.blobs().path(&Digest::of(&envelope.to_json()));
    drop(home);
    fs::remove_file(&path).expect("removed");
    let findings = fsck(&sample.fsck_target()).await.expect("looked");
    let unsealed = Finding { path: sample.data().join("seal.json"), what: What::Unsealed };
    assert_eq!(findings, [Finding { path, what: What::Missing }, unsealed]);
}

#[tokio::test]
async fn a_directory_in_use_is_looked_at_too() {
    let sample = Sample::new("fsck");
    let home = sample.home().await;
    home.append(sample.life(), now()).await.expect("logged");
    home.append(vec![sample.unique(1)], now()).await.expect("logged");
    let seal = sample.data().join("seal.json");
    let findings = fsck(&sample.fsck_target()).await.expect("looked");
    assert_eq!(findings, [Finding { path: seal.clone(), what: What::Unsealed }]);
    // Killed: what is left has no seal, and is right.
    drop(home);
    let findings = fsck(&sample.fsck_target()).await.expect("looked");
    assert_eq!(findings, [Finding { path: seal, what: What::Unsealed }]);
    sample.open().await.close().await.expect("closed");
    assert_eq!(fsck(&sample.fsck_target()).await.expect("looked"), []);
}

#[tokio::test]
async fn an_old_copy_is_named() {
    let sample = Sample::new("fsck");
    let home = sample.home().await;
    home.append(vec![sample.sample(Predicate::Recipe)], now()).await.expect("logged");
    home.close().await.expect("closed");
    let old = sample.scratch.path().join("old");
    crate::sample::copy_tree(&sample.data(), &old);
    let home = sample.open().await;
    home.append(vec![sample.unique(1)], now()).await.expect("logged");
    home.close().await.expect("closed");
    let target = Target { data: old.clone(), ..sample.fsck_target() };
    let findings = fsck(&target).await.expect("looked");
    assert_eq!(findings, [Finding { path: old.join("log/head"), what: What::NotTheNewest }]);
}
