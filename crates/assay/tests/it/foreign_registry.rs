//! Pushing to and pulling from a registry of another maker: Debian's `docker-registry`, on a free port of this machine.
//!
//! It knows OCI 1.0 only, so statements travel by the tag that stands for a list of referrers.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::place::{Place, free_port};

const REGISTRY: &str = "/usr/bin/docker-registry";

/// A running registry; it is killed when this value is dropped.
pub(crate) struct Registry {
    child: Child,
    storage: PathBuf,
    pub(crate) host: String,
}

impl Registry {
    pub(crate) fn start(place: &Place) -> Registry {
        assert!(Path::new(REGISTRY).exists(), "`{REGISTRY}` is needed: apt-get install docker-registry");
        let storage = place.root().join("registry");
        let host = format!("127.0.0.1:{}", free_port());
        let config = place.root().join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{host}\"}}\n",
            storage.display()
        );
        fs::write(&config, text).expect("written");
        let child = Command::new(REGISTRY)
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the registry starts");
        let registry = Registry { child, storage, host };
        registry.wait();
        registry
    }

    /// Returns when the registry answers.
    fn wait(&self) {
        for _ in 0..10_000 {
            let answered = TcpStream::connect(&self.host).and_then(|mut stream| {
                stream.write_all(b"GET /v2/ HTTP/1.0\r\n\r\n")?;
                stream.read_exact(&mut [0; 8])
            });
            if answered.is_ok() {
                return;
            }
            thread::yield_now();
        }
        panic!("the registry does not answer on {}", self.host);
    }

    /// Where it keeps a blob.
    fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.storage.join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Writes a small image as an OCI layout, and returns the digests of its manifest and its layer.
fn image(directory: &Path) -> (String, String) {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("made");
    let put = |bytes: &[u8]| -> (String, usize) {
        let digest = wire::digest::Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).expect("written");
        (digest.to_string(), bytes.len())
    };
    let text = |value: Value| value.to_string().into_bytes();
    let (layer, layer_size) = put(&vec![0; 10_240]); // an empty archive
    let (config, config_size) = put(&text(json!({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer]},
    })));
    let (manifest, size) = put(&text(json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": config_size},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": layer_size}],
    })));
    fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
    let index = json!({"schemaVersion": 2, "manifests": [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": manifest, "size": size},
    ]});
    fs::write(directory.join("index.json"), index.to_string()).expect("written");
    (manifest, layer)
}

#[test]
fn an_image_and_its_statements_go_there_and_back() {
    let (here, there) = (Place::new("push-here"), Place::new("push-there"));
    let registry = Registry::start(&here);
    let work = here.work();
    let (manifest, layer) = image(&work.join("img"));
    here.json(&work, 0, &["reference", "add", "greeter", &manifest, "--source", "https://example.org/greeter"]);
    let target = format!("{}/team/greeter:v1", registry.host);

    let pushed = here.json(&work, 0, &["push", "oci:img", &target]);
    assert_eq!((&pushed["manifest"], &pushed["tag"]), (&json!(manifest), &json!("v1")));
    assert_eq!(pushed["statements"].as_array().map(Vec::len), Some(1), "{pushed}");
    assert_eq!(pushed["blobs_sent"], 4, "configuration, layer, empty object, bundle: {pushed}");
    let again = here.json(&work, 0, &["push", "oci:img", &target]);
    assert_eq!(again["blobs_sent"], 0, "{again}");

    let pulled = there.json(&there.work(), 0, &["pull", &target, "-o", "out"]);
    assert_eq!(pulled["manifest"], json!(manifest));
    assert_eq!(pulled["statements"], json!([]), "another home trusts nobody of the first");
    assert_eq!(pulled["not_trusted"].as_array().map(Vec::len), Some(1), "{pulled}");
    let out = there.work().join("out");
    let hex = layer.trim_start_matches("sha256:");
    let fetched = fs::read(out.join("greeter.oci/blobs/sha256").join(hex)).expect("the layer is there");
    assert_eq!(fetched, fs::read(work.join("img/blobs/sha256").join(hex)).expect("the layer was there"));
    let bundles = fs::read_to_string(out.join("greeter.sigstore.jsonl")).expect("the bundles are there");
    assert_eq!(bundles.lines().count(), 1);

    // In the home that made them, the same statements are trusted.
    let own = here.json(&work, 0, &["pull", &target, "-o", "out"]);
    assert_eq!(own["statements"][0]["signer"], "admin", "{own}");
    assert_eq!(fs::read_to_string(work.join("out/greeter.sigstore.jsonl")).expect("there"), bundles);
}

#[test]
fn a_file_goes_there_and_back() {
    let (here, there) = (Place::new("push-file"), Place::new("pull-file"));
    let registry = Registry::start(&here);
    fs::write(here.work().join("tool"), "a program\n").expect("written");
    let target = format!("{}/tool", registry.host);
    let pushed = here.json(&here.work(), 0, &["push", "./tool", &target]);
    assert_eq!(pushed["tag"], "latest");
    let pulled = there.json(&there.work(), 0, &["pull", &target, "-o", "out"]);
    assert_eq!((&pulled["kind"], &pulled["manifest"]), (&json!("file"), &pushed["manifest"]));
    assert_eq!(fs::read_to_string(there.work().join("out/tool")).expect("there"), "a program\n");
    let absent = there.assay(&there.work(), &["pull", &format!("{target}:v9")]).exits(1);
    assert!(absent.stderr.contains("it has the tags latest"), "{}", absent.stderr);
}

#[test]
fn other_bytes_than_the_manifest_names_are_refused() {
    let (here, there) = (Place::new("push-damaged"), Place::new("pull-damaged"));
    let registry = Registry::start(&here);
    let (_, layer) = image(&here.work().join("img"));
    let target = format!("{}/greeter:v1", registry.host);
    here.json(&here.work(), 0, &["push", "oci:img", &target]);
    let path = registry.blob(&layer);
    let mut bytes = fs::read(&path).expect("the registry has the layer");
    bytes[100] ^= 1;
    fs::write(&path, bytes).expect("written");

    let refused = there.json(&there.work(), 1, &["pull", &target, "-o", "out"]);
    assert_eq!(refused["error"]["code"], "digest-mismatch", "{refused}");
    assert!(refused["error"]["message"].as_str().expect("text").contains(&layer), "{refused}");
    assert!(!there.work().join("out").exists(), "nothing is left half-written");
}

#[test]
fn a_registry_that_is_away_is_could_not_tell() {
    let place = Place::new("push-away");
    fs::write(place.work().join("tool"), "a program\n").expect("written");
    let free = format!("127.0.0.1:{}", free_port());
    let away = place.json(&place.work(), 2, &["push", "./tool", &format!("{free}/tool")]);
    assert_eq!(away["error"]["code"], "unreachable", "{away}");
    assert!(away["error"]["hint"].is_string(), "{away}");
}
