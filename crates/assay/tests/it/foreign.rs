//! Tools that nobody here wrote: they verify what assay made, with no network, and log to it what they made.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::place::{Place, Ran, ran};
use crate::serving::{Server, fetch};

fn verifier() -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/foreign/sigstore-js");
    assert!(directory.join("node_modules").is_dir(), "`scripts/test` installs sigstore-js first");
    directory.join("verify.mjs")
}

/// sigstore-js as released, in a network namespace without any interface.
fn sigstore_js(root: &Path, key: &Path, bundle: &Path) -> Ran {
    let output = Command::new("unshare").args(["-rn", "node"]).arg(verifier()).args([root, key, bundle]).output();
    ran(output.expect("unshare runs"))
}

/// M3.2: what a home states is verified by a stock client; what was tampered with is refused.
pub(crate) fn stock_verifier_accepts(place: &Place, project: &Path) {
    let out = place.work().join("out");
    place.json(project, 0, &["build", "--output", out.to_str().expect("UTF-8")]);
    let root = out.join("trusted_root.json");
    let key = out.join("builder-full.pub.pem");
    let lines = fs::read_to_string(out.join("greeter.sigstore.jsonl")).expect("bundles");
    let bundles: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("a bundle")).collect();
    let ours: Vec<&Value> = bundles.iter().filter(|bundle| is_signed_by(bundle, &key)).collect();
    assert!(ours.len() >= 3, "recipe, runs and rebuilt are signed by the builder");
    for (index, bundle) in ours.iter().enumerate() {
        let file = out.join(format!("bundle-{index}.json"));
        fs::write(&file, bundle.to_string()).expect("a file");
        sigstore_js(&root, &key, &file).exits(0);
        for pointer in [
            "/dsseEnvelope/payload",
            "/dsseEnvelope/signatures/0/sig",
            "/verificationMaterial/tlogEntries/0/canonicalizedBody",
        ] {
            let mut tampered = (*bundle).clone();
            let field = tampered.pointer_mut(pointer).expect(pointer);
            let text = field.as_str().expect("base64").to_owned();
            let middle = text.len() / 2;
            let other = if text.as_bytes()[middle] == b'A' { "B" } else { "A" };
            *field = Value::from(format!("{}{other}{}", &text[..middle], &text[middle + 1..]));
            fs::write(&file, tampered.to_string()).expect("a file");
            sigstore_js(&root, &key, &file).exits(1);
        }
    }
}

fn is_signed_by(bundle: &Value, key: &Path) -> bool {
    let pem = fs::read_to_string(key).expect("a key");
    let body = bundle["verificationMaterial"]["tlogEntries"][0]["canonicalizedBody"].as_str().expect("a body");
    let script = format!("printf %s '{body}' | base64 -d");
    let body = Command::new("sh").args(["-c", &script]).output().expect("sh runs").stdout;
    let body: Value = serde_json::from_slice(&body).expect("an entry");
    let verifier = body["spec"]["signatures"][0]["verifier"].as_str().expect("a verifier");
    let script = format!("printf %s '{verifier}' | base64 -d");
    Command::new("sh").args(["-c", &script]).output().expect("sh runs").stdout == pem.as_bytes()
}

/// Authorities of another program, and where they give time-stamps; ended when dropped.
struct Authorities {
    child: Child,
    address: String,
}

impl Authorities {
    fn start(clients: &Path, directory: &Path) -> Authorities {
        let mut command = Command::new("node");
        let mut child = command
            .arg(clients.join("authorities.mjs"))
            .arg(directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut ready).expect("a line");
        let address = ready.trim().strip_prefix("ready ").expect("an address").to_owned();
        Authorities { child, address }
    }
}

impl Drop for Authorities {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// M3.3: sigstore-js and sigstore-python as released sign, log here by Rekor v2's API and verify their own bundles and
/// each other's, by a trusted root that has our log.
#[test]
fn stock_clients_log_here() {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/foreign/sigstore-clients");
    assert!(clients.join("node_modules").is_dir(), "`scripts/test` installs sigstore-js first");
    let python = clients.join("venv/bin/python");
    assert!(python.exists(), "`scripts/test` installs sigstore-python first");
    let place = Place::new("clients");
    let server = Server::start_with(&place, &["--anonymous-read", "--log-writes", "anyone"]);
    let directory = place.work();
    let authorities = Authorities::start(&clients, &directory);
    let (status, root) = fetch(&server, "/api/v1/trusted_root.json", None);
    assert_eq!(status, "200");
    let mut root: Value = serde_json::from_slice(&root).expect("a trusted root");
    let others = fs::read(directory.join("authorities.json")).expect("authorities");
    let others: Value = serde_json::from_slice(&others).expect("authorities");
    for (name, value) in others.as_object().expect("an object") {
        root[name] = value.clone();
    }
    fs::write(directory.join("trusted_root.json"), root.to_string()).expect("written");
    let client = |program: &Path, script: &str, bundles: &[&str]| {
        let mut command = Command::new(program);
        command.arg(clients.join(script)).args([&server.address, &authorities.address]).arg(&directory).args(bundles);
        let ran = ran(command.output().expect("it runs"));
        assert_eq!(ran.exit, 0, "{script}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    };
    let js = client(Path::new("node"), "log.mjs", &[]);
    assert_eq!(js, "verified js-blob.json hashedrekord 0.0.2\nverified js-dsse.json dsse 0.0.2\nagain 409\n");
    let python = client(&python, "log.py", &["js-blob.json"]);
    let lines: Vec<&str> = python.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "verified py-blob.json hashedrekord 0.0.2",
            "verified py-dsse.json hashedrekord 0.0.2",
            "verified js-blob.json hashedrekord 0.0.2",
        ]
    );
    assert!(lines[3].starts_with("again 6: an equivalent entry already exists"), "{python}");
}
