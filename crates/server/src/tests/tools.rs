//! The tools that people push and pull with. Each test passes over a tool that is not installed.

use std::path::Path;

use tokio::process::Command;
use wire::digest::Digest;
use wire::oci_image::{Config, Descriptor, LAYOUT, MEDIA_TYPE_CONFIG, MEDIA_TYPE_LAYER, Manifest, RootFs};

use super::bench::{Bench, Scratch, installed};

/// Writes an OCI layout with one image of one small layer, and returns the manifest's digest.
fn layout(directory: &Path) -> Digest {
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        let path = directory.join("blobs/sha256").join(digest.hex());
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, bytes).expect("written");
        (digest, bytes.len() as u64)
    };
    let (layer, layer_size) = put(&tar_of("hello", b"hello world\n"));
    let config = Config {
        created: None,
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        config: None,
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![layer] },
        history: Vec::new(),
    };
    let (config, config_size) = put(&config.to_json());
    let manifest = Manifest::new(
        Descriptor::new(MEDIA_TYPE_CONFIG, config, config_size),
        vec![Descriptor::new(MEDIA_TYPE_LAYER, layer, layer_size)],
    );
    let (digest, size) = put(&manifest.to_json());
    let mut descriptor = Descriptor::new(wire::oci_image::MEDIA_TYPE_MANIFEST, digest, size);
    descriptor.annotations = Some([(wire::oci_image::ANNOTATION_REF_NAME.to_owned(), "x".to_owned())].into());
    std::fs::write(directory.join("index.json"), wire::oci_image::Index::new(vec![descriptor]).to_json())
        .expect("written");
    std::fs::write(directory.join("oci-layout"), LAYOUT).expect("written");
    digest
}

/// A ustar archive of one file.
fn tar_of(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    let mut field = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    field(100, "0000644\0");
    field(108, "0000000\0");
    field(116, "0000000\0");
    field(124, &format!("{:011o}\0", content.len()));
    field(136, "00000000000\0");
    field(148, "        ");
    field(156, "0");
    field(257, "ustar\0");
    field(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend_from_slice(content);
    header.resize(512 + content.len().next_multiple_of(512) + 1024, 0);
    header
}

async fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(arguments).output().await.expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn done(result: (bool, String)) {
    assert!(result.0, "{}", result.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skopeo_copies_in_and_out() {
    assert!(installed("skopeo"), "skopeo is needed: apt-get install skopeo");
    let bench = Bench::new().await;
    let scratch = Scratch::new();
    let (source, target) = (scratch.0.join("source"), scratch.0.join("target"));
    std::fs::create_dir_all(&source).expect("made");
    let digest = layout(&source);
    let oci = |path: &Path| format!("oci:{}:x", path.display());
    let place = format!("docker://{}/team/hello:v1.0.0", bench.address);
    let copy = ["copy", "--insecure-policy", "--preserve-digests", "--dest-tls-verify=false"];
    let push =
        async |creds: &str| run("skopeo", &[&copy[..], &["--dest-creds", creds, &oci(&source), &place]].concat()).await;

    let (pushed, text) = push("x:reader").await;
    assert!(!pushed && text.contains("denied"), "{text}");
    let (pushed, text) = push("x:wrong").await;
    assert!(!pushed && text.contains("unauthorized"), "{text}");
    done(push("x:team").await);
    done(push("x:team").await);
    bench
        .ask("reader", "HEAD /v2/team/hello/manifests/v1.0.0")
        .await
        .is(200)
        .has("docker-content-digest", &digest.to_string());

    let pull = [
        "copy",
        "--insecure-policy",
        "--preserve-digests",
        "--src-tls-verify=false",
        "--src-creds",
        "x:reader",
        &place,
    ];
    done(run("skopeo", &[&pull[..], &[&oci(&target)]].concat()).await);
    let index = std::fs::read(target.join("index.json")).expect("pulled");
    assert!(String::from_utf8_lossy(&index).contains(&digest.to_string()));
    let list = ["list-tags", "--tls-verify=false", "--creds", "x:reader", &place[..place.len() - ":v1.0.0".len()]];
    let (listed, text) = run("skopeo", &list).await;
    assert!(listed && text.contains("v1.0.0"), "{text}");
}

/// Who has no login reads what is public, by a bearer for nobody, and pushes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skopeo_reads_in_public_without_a_login() {
    assert!(installed("skopeo"), "skopeo is needed: apt-get install skopeo");
    let settings = crate::Settings { anonymous_read: true, ..crate::Settings::default() };
    let bench = Bench::with(std::sync::Arc::new(super::bench::Cast::new()), "example.org/log", settings).await;
    let scratch = Scratch::new();
    let (source, target) = (scratch.0.join("source"), scratch.0.join("target"));
    std::fs::create_dir_all(&source).expect("made");
    layout(&source);
    let oci = |path: &Path| format!("oci:{}:x", path.display());
    let place = format!("docker://{}/hello:x", bench.address);
    let copy = ["copy", "--insecure-policy", "--preserve-digests"];
    let to = ["--dest-tls-verify=false", "--dest-creds", "x:publisher", &oci(&source), &place];
    done(run("skopeo", &[&copy[..], &to].concat()).await);
    let from = ["--src-tls-verify=false", "--src-no-creds", &place, &oci(&target)];
    done(run("skopeo", &[&copy[..], &from].concat()).await);
    let nobody = ["--dest-tls-verify=false", "--dest-no-creds", &oci(&source), &place];
    let (pushed, text) = run("skopeo", &[&copy[..], &nobody].concat()).await;
    assert!(!pushed && text.contains("unauthorized"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn podman_pulls_and_pushes() {
    assert!(installed("podman") && installed("skopeo"), "both are needed: apt-get install podman skopeo");
    let bench = Bench::new().await;
    let scratch = Scratch::new();
    let source = scratch.0.join("source");
    std::fs::create_dir_all(&source).expect("made");
    layout(&source);
    let (root, runroot) = (scratch.0.join("root"), scratch.0.join("run"));
    let (root, runroot) = (root.display().to_string(), runroot.display().to_string());
    let podman = ["--storage-driver", "vfs", "--root", &root, "--runroot", &runroot];
    let (works, text) = run("podman", &[&podman[..], &["info"]].concat()).await;
    if !works {
        // Podman needs more of a machine than a registry does: without it there is nothing to see here.
        assert!(!text.is_empty());
        return;
    }
    let from = format!("docker://{}/hello:x", bench.address);
    let oci = format!("oci:{}:x", source.display());
    let copy = ["copy", "--insecure-policy", "--dest-tls-verify=false", "--dest-creds", "x:publisher", &oci, &from];
    done(run("skopeo", &copy).await);
    let place = format!("{}/hello:x", bench.address);
    let moved = format!("{}/moved:x", bench.address);
    let with =
        |arguments: &[&str]| -> Vec<String> { podman.iter().chain(arguments).map(|text| (*text).to_owned()).collect() };
    for arguments in [
        with(&["pull", "--tls-verify=false", "--creds", "x:reader", &place]),
        with(&["push", "--tls-verify=false", "--creds", "x:publisher", &place, &moved]),
        with(&["rmi", &place]),
        with(&["pull", "--tls-verify=false", "--creds", "x:reader", &moved]),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        done(run("podman", &arguments).await);
    }
    bench.ask("reader", "HEAD /v2/moved/manifests/x").await.is(200);
}
