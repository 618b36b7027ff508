//! Private keys that are encrypted at rest: OpenSSL opens them, nothing signs without the passphrase, and it is nowhere else.
//!
//! M6.3

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::place::{Place, Ran, ran};

const SECRET: &str = "correct horse battery staple";
const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn passphrase(place: &Place, name: &str, text: &str) -> PathBuf {
    let file = place.root().join(name);
    fs::write(&file, text).expect("written");
    file
}

/// Runs the program with a passphrase.
fn with(place: &Place, file: &Path, arguments: &[&str]) -> Ran {
    let mut command = place.program(&place.work());
    ran(command.env("ASSAY_KEY_PASSPHRASE_FILE", file).args(arguments).output().expect("the program runs"))
}

fn reference(name: &str) -> [&str; 6] {
    ["reference", "add", name, DIGEST, "--source", "https://example.org/a"]
}

/// The files below `keys/` that end in `.pem`, and whether each is encrypted.
fn pems(place: &Place) -> Vec<(PathBuf, bool)> {
    let entries =
        fs::read_dir(place.home().join("keys")).expect("readable").map(|entry| entry.expect("an entry").path());
    let pems = entries.filter(|path| path.extension().is_some_and(|extension| extension == "pem"));
    pems.map(|path| {
        let text = fs::read_to_string(&path).expect("text");
        (path, text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"))
    })
    .collect()
}

fn openssl(key: &Path, file: &Path) -> bool {
    let mut command = Command::new("openssl");
    command.args(["pkey", "-noout", "-check", "-in"]).arg(key).arg("-passin").arg(format!("file:{}", file.display()));
    command.output().expect("openssl runs").status.success()
}

/// Whether a file below a directory has the passphrase in it.
fn holds_secret(directory: &Path) -> bool {
    let found = Command::new("grep").args(["-r", "-l", "-a", SECRET]).arg(directory).output().expect("grep runs");
    !found.stdout.is_empty()
}

#[test]
fn encrypted_keys_sign_with_the_passphrase_and_not_without() {
    let place = Place::new("encrypted");
    let good = passphrase(&place, "good", &format!("{SECRET}\n"));
    let wrong = passphrase(&place, "wrong", "incorrect horse");
    place.assay(&place.work(), &reference("before")).exits(0);
    assert!(pems(&place).iter().all(|(_, encrypted)| !encrypted));

    let done = with(&place, &good, &["admin", "key", "encrypt", "--json"]).exits(0).json();
    assert_eq!(done["encrypted"].as_array().map(Vec::len), Some(pems(&place).len()), "{done}");
    for (key, encrypted) in pems(&place) {
        assert!(encrypted && openssl(&key, &good) && !openssl(&key, &wrong), "{}", key.display());
    }
    let again = with(&place, &good, &["admin", "key", "encrypt", "--json"]).exits(0).json();
    assert_eq!((again["encrypted"].as_array().map(Vec::len), &again["already"]), (Some(0), &Value::from(8)), "{again}");

    let signed = with(&place, &good, &reference("after")).exits(0);
    assert!(!signed.stdout.contains(SECRET) && !signed.stderr.contains(SECRET));
    let none = place.assay(&place.work(), &reference("none")).exits(2);
    assert!(
        none.stderr.contains("ASSAY_KEY_PASSPHRASE_FILE") && none.stderr.contains("is encrypted"),
        "{}",
        none.stderr
    );
    for arguments in [&reference("wrong")[..], &["admin", "key", "encrypt"], &["admin", "key", "decrypt"]] {
        let refused = with(&place, &wrong, arguments).exits(2);
        assert!(refused.stderr.contains("wrong passphrase"), "{arguments:?}: {}", refused.stderr);
        assert!(!refused.stderr.contains("incorrect horse"));
    }
    for bad in ["", "\n", "two\nlines\n", &"x".repeat(1025)] {
        let file = passphrase(&place, "bad", bad);
        let refused = with(&place, &file, &reference("bad")).exits(2);
        assert!(refused.stderr.contains("unusable passphrase"), "{bad:?}: {}", refused.stderr);
    }
    let missing = with(&place, &place.root().join("missing"), &reference("missing")).exits(2);
    assert!(missing.stderr.contains("reading the passphrase"), "{}", missing.stderr);

    // Reading needs no key; a successor is encrypted, too.
    place.assay(&place.work(), &["admin", "key", "check"]).exits(0);
    with(&place, &good, &["admin", "key", "rotate", "admin"]).exits(0);
    with(&place, &good, &reference("rotated")).exits(0);
    assert!(pems(&place).iter().all(|(_, encrypted)| *encrypted));
    assert!(!holds_secret(&place.home()));
    assert_eq!(place.json(&place.work(), 0, &["admin", "fsck"])["result"], "pass");

    with(&place, &good, &["admin", "key", "decrypt"]).exits(0);
    assert!(pems(&place).iter().all(|(_, encrypted)| !encrypted));
    place.assay(&place.work(), &reference("clear")).exits(0);
    assert_eq!(place.json(&place.work(), 0, &["admin", "fsck"])["result"], "pass");
}

/// A damaged key or a wrong passphrase among many: nothing is written.
#[test]
fn one_key_that_does_not_open_leaves_all_as_they_are() {
    let place = Place::new("encrypted-mixed");
    let (one, two) = (passphrase(&place, "one", SECRET), passphrase(&place, "two", "another one"));
    // A home that is made with a passphrase has no key in the clear, ever.
    with(&place, &one, &["admin", "status"]).exits(0);
    assert!(pems(&place).len() == 8 && pems(&place).iter().all(|(_, encrypted)| *encrypted));
    let tester = place.home().join("keys/tester.pem");
    let before =
        |place: &Place| pems(place).into_iter().map(|(path, _)| fs::read(path).expect("a key")).collect::<Vec<_>>();
    let kept = before(&place);
    with(&place, &two, &["admin", "key", "encrypt"]).exits(2);
    with(&place, &two, &["admin", "key", "decrypt"]).exits(2);
    place.assay(&place.work(), &["admin", "key", "encrypt"]).exits(2);
    assert_eq!(before(&place), kept);
    assert_eq!(place.json(&place.work(), 0, &["admin", "fsck"])["result"], "pass");

    // Killed half way: some are in the clear. The same command ends it.
    with(&place, &one, &["admin", "key", "decrypt"]).exits(0);
    let half = fs::read(&tester).expect("a key");
    with(&place, &one, &["admin", "key", "encrypt"]).exits(0);
    fs::write(&tester, half).expect("written");
    fs::remove_file(place.home().join("data/seal.json")).expect("a crash leaves no seal");
    let ended = with(&place, &one, &["admin", "key", "encrypt", "--json"]).exits(0).json();
    assert_eq!(ended["encrypted"].as_array().map(Vec::len), Some(1), "{ended}");
    assert!(pems(&place).iter().all(|(_, encrypted)| *encrypted));
}

/// The keys of the authorities, too; the server reads them when it starts, and says what is missing.
#[test]
fn a_server_starts_with_the_passphrase_alone() {
    let place = Place::new("encrypted-server");
    let good = passphrase(&place, "good", SECRET);
    let serve = |file: Option<&Path>| {
        let mut command = place.program(&place.work());
        command.args(["serve", "--quiet", "--listen", "127.0.0.1:0"]);
        if let Some(file) = file {
            command.env("ASSAY_KEY_PASSPHRASE_FILE", file);
        }
        command
    };
    for round in 0..2 {
        let mut child = serve(Some(&good)).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut ready).expect("a line");
        assert!(ready.contains("http://127.0.0.1:"), "round {round}: {ready}");
        with(&place, &good, &reference("through")).exits(0);
        let argv = fs::read(format!("/proc/{}/cmdline", child.id())).expect("its arguments");
        assert!(!String::from_utf8_lossy(&argv).contains(SECRET));
        let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
        assert!(told.success() && child.wait().expect("waited").success());
    }
    assert!(pems(&place).len() > 8 && pems(&place).iter().all(|(_, encrypted)| *encrypted), "{:?}", pems(&place));
    let refused = ran(serve(None).output().expect("the program runs")).exits(2);
    assert!(refused.stderr.contains("ASSAY_KEY_PASSPHRASE_FILE"), "{}", refused.stderr);
    assert!(!holds_secret(&place.home()));
    assert_eq!(place.json(&place.work(), 0, &["admin", "fsck"])["result"], "pass");
}
