//! Tools that nobody here wrote: they verify what assay made, with no network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::place::{Place, Ran, ran};

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
