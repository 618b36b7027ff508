use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::sync::Mutex;

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use wire::oci_image::{
    MEDIA_TYPE_DOCKER_LAYER, MEDIA_TYPE_DOCKER_LIST, MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_INDEX, MEDIA_TYPE_LAYER,
    MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_MANIFEST,
};

use super::*;
use crate::inputs::{Fetch, Inputs};
use crate::testing::{Directory, DirectoryInputs, Network, Registry};

/// A member of a layer: path, kind and content or target.
type Member<'a> = (&'a str, char, &'a str);

fn tar(members: &[Member<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, kind, text) in members {
        let mut header = tar::Header::new_ustar();
        header.set_mode(if *kind == 'x' { 0o755 } else { 0o644 });
        let (flag, content) = match kind {
            'd' => (tar::EntryType::Directory, ""),
            'l' => (tar::EntryType::Symlink, ""),
            'h' => (tar::EntryType::Link, ""),
            'c' => (tar::EntryType::Char, ""),
            _ => (tar::EntryType::Regular, *text),
        };
        header.set_entry_type(flag);
        if matches!(kind, 'l' | 'h') {
            header.set_link_name_literal(text).expect("it is short");
        }
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content.as_bytes()).expect("a vector takes every byte");
    }
    tar.into_inner().expect("a vector takes every byte")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("a vector takes every byte");
    gzip.finish().expect("a vector takes every byte")
}

/// An image on its way to be served: documents as JSON, so that a test may spoil them.
struct Draft {
    layers: Vec<(&'static str, Vec<u8>)>,
    config: Value,
    manifest: Value,
    index: Option<Value>,
}

impl Draft {
    fn new(layers: &[&[Member<'_>]]) -> Draft {
        let tars: Vec<Vec<u8>> = layers.iter().map(|members| tar(members)).collect();
        let diff_ids: Vec<Digest> = tars.iter().map(|tar| Digest::of(tar)).collect();
        let stored = |(at, tar): (usize, &Vec<u8>)| match at % 2 {
            0 => (MEDIA_TYPE_LAYER_GZIP, gzip(tar)),
            _ => (MEDIA_TYPE_LAYER, tar.clone()),
        };
        let platform = platform();
        let (os, architecture) = platform.split_once('/').expect("it has two parts");
        let config = json!({
            "os": os, "architecture": architecture,
            "config": {"Env": ["PATH=/opt/bin:/usr/bin", "GPG_KEY=1", "HOME=/root", "LANG=C.UTF-8"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let layers: Vec<_> = tars.iter().enumerate().map(stored).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST});
        Draft { layers, config, manifest, index: None }
    }

    /// The digest to ask for, and all blobs.
    fn finish(&self) -> (Digest, BTreeMap<Digest, Vec<u8>>) {
        let mut blobs = BTreeMap::new();
        let mut keep = |media_type: &str, bytes: &[u8]| {
            blobs.insert(Digest::of(bytes), bytes.to_vec());
            json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
        };
        let mut manifest = self.manifest.clone();
        let layers: Vec<Value> = self.layers.iter().map(|(kind, bytes)| keep(kind, bytes)).collect();
        let config = keep(MEDIA_TYPE_CONFIG, &serde_json::to_vec(&self.config).expect("it is JSON"));
        for (key, value) in [("layers", json!(layers)), ("config", config)] {
            if manifest[key].is_null() {
                manifest[key] = value;
            }
        }
        let manifest = serde_json::to_vec(&manifest).expect("it is JSON");
        let mut descriptor = keep(MEDIA_TYPE_MANIFEST, &manifest);
        let Some(mut index) = self.index.clone() else { return (Digest::of(&manifest), blobs) };
        let entries = index["manifests"].as_array_mut().expect("an index has them");
        for entry in entries.iter_mut().filter(|entry| entry["digest"].is_null()) {
            descriptor["platform"] = entry["platform"].clone();
            *entry = descriptor.clone();
        }
        let index = serde_json::to_vec(&index).expect("it is JSON");
        keep(MEDIA_TYPE_INDEX, &index);
        (Digest::of(&index), blobs)
    }
}

/// A store that keeps its directory.
struct Scene {
    directory: Directory,
    inputs: DirectoryInputs,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let directory = Directory::new(name);
        for name in ["scratch", "project"] {
            fs::create_dir_all(directory.path().join(name)).expect("it is writable");
        }
        let inputs = DirectoryInputs::new(&directory);
        Scene { directory, inputs }
    }

    /// Pins; returns what the registry was asked, too.
    fn pin(
        &self,
        reference: &str,
        blobs: BTreeMap<Digest, Vec<u8>>,
    ) -> (Result<(lock::Base, bool), BaseImageError>, usize) {
        let registry = Registry { inputs: &self.inputs, blobs, asked: Mutex::default() };
        let (host, network) = (self.directory.host(), Network::default());
        let fetch: &dyn Fetch = &network;
        let world = World { inputs: &self.inputs, fetch, images: &registry, host: &host, progress: &|_| {} };
        let reference = ImageReference::parse(reference).expect("it is good");
        let pinned = pin(&reference, &self.directory.path().join("project"), &world);
        let asked = registry.asked.lock().expect("no test panics while it asks").len();
        (pinned, asked)
    }
}

fn named(digest: &Digest) -> String {
    format!("registry.example.org/base:1@{digest}")
}

const TWO: &[&[Member<'static>]] = &[
    &[
        ("etc/os-release", 'l', "../usr/lib/os-release"),
        ("usr/lib/os-release", 'f', "ID=debian\nVERSION_ID=\"12\"\n"),
        ("usr/bin/", 'd', ""),
        ("usr/bin/old", 'x', "old"),
        ("bin", 'l', "usr/bin"),
        ("var/empty/", 'd', ""),
    ],
    &[("usr/bin/.wh.old", 'f', ""), ("bin/new", 'x', "new"), ("usr/bin/same", 'h', "bin/new"), ("dev/null", 'c', "")],
];

#[test]
fn an_image_becomes_a_tree_and_its_parts_stay_blobs() {
    let scene = Scene::new("image");
    let (digest, blobs) = Draft::new(TWO).finish();
    let (pinned, asked) = scene.pin(&named(&digest), blobs.clone());
    let (base, is_new) = pinned.expect("it is good");
    assert_eq!((is_new, asked), (true, 4));
    for blob in blobs.keys() {
        assert!(scene.inputs.has(blob).expect("the store is there"), "{blob}");
    }
    let tree = crate::inputs::manifest(&scene.inputs, &base.tree).expect("it is held");
    let paths: Vec<&str> = tree.entries().map(|(path, _)| path).collect();
    expect![[r#"
        bin
        etc
        etc/os-release
        usr
        usr/bin
        usr/bin/new
        usr/bin/same
        usr/lib
        usr/lib/os-release
        var
        var/empty"#]]
    .assert_eq(&paths.join("\n"));
    assert_eq!(base.distribution, "debian 12");
    let image = base.image.clone().expect("it is an image");
    assert_eq!((image.digest, image.layers.len(), image.platform), (digest, 2, platform()));
    assert_eq!(image.variables, ["PATH=/opt/bin:/usr/bin", "LANG=C.UTF-8"]);

    let (again, asked) = scene.pin(&named(&digest), BTreeMap::new());
    assert_eq!((again.expect("the store has it"), asked), ((base.clone(), false), 0), "nothing is asked twice");
    fs::remove_dir_all(scene.directory.path().join("cache")).expect("it is there");
    let (afresh, asked) = scene.pin(&named(&digest), BTreeMap::new());
    assert_eq!((afresh.expect("the layers are held"), asked), ((base, true), 0), "the layers alone make the tree");
}

#[test]
fn an_index_gives_the_image_for_this_machine() {
    let (os, architecture) = ("linux", platform().replace("linux/", ""));
    let other = json!({"mediaType": MEDIA_TYPE_MANIFEST, "digest": Digest::of(b"other"), "size": 1,
        "platform": {"os": "linux", "architecture": "s390x"}});
    let attestation = json!({"mediaType": MEDIA_TYPE_MANIFEST, "digest": Digest::of(b"attestation"), "size": 1,
        "platform": {"os": "unknown", "architecture": "unknown"}});
    let own = json!({"platform": {"os": os, "architecture": architecture}});
    let mut draft = Draft::new(TWO);
    let index =
        |manifests: Value| Some(json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": manifests}));
    draft.index = index(json!([attestation, other, own]));
    let (digest, blobs) = draft.finish();
    let scene = Scene::new("index");
    let (base, _) = scene.pin(&named(&digest), blobs).0.expect("it is good");
    let image = base.image.expect("it is an image");
    assert_ne!(image.digest, digest);
    assert_eq!(image.reference, named(&digest), "the reference stays the index's");

    draft.index = index(json!([attestation, other]));
    let (digest, blobs) = draft.finish();
    let error = scene.pin(&named(&digest), blobs).0.expect_err("it is for another machine");
    assert_eq!(error.to_string(), format!("the image is not for {}, but for linux/s390x, unknown/unknown", platform()));
}

#[test]
fn docker_s_own_types_are_read() {
    let mut draft = Draft::new(TWO);
    draft.manifest["mediaType"] = json!(MEDIA_TYPE_DOCKER_MANIFEST);
    draft.layers[0].0 = MEDIA_TYPE_DOCKER_LAYER;
    let (digest, blobs) = draft.finish();
    let (base, _) = Scene::new("docker").pin(&named(&digest), blobs).0.expect("it is good");
    assert_eq!(base.distribution, "debian 12");
    assert_eq!(source::media_type(br#"{"mediaType":"x","manifests":[]}"#), MEDIA_TYPE_INDEX);
    let list = json!({"mediaType": MEDIA_TYPE_DOCKER_LIST}).to_string();
    assert_eq!(source::media_type(list.as_bytes()), MEDIA_TYPE_DOCKER_LIST);
}

#[test]
fn a_layout_in_a_directory_is_read_like_a_registry() {
    let scene = Scene::new("layout");
    let (digest, blobs) = Draft::new(TWO).finish();
    for (blob, bytes) in &blobs {
        scene.directory.write(&format!("images/base/blobs/sha256/{}", blob.hex()), bytes);
    }
    let descriptor = json!({"mediaType": MEDIA_TYPE_MANIFEST, "digest": digest, "size": blobs[&digest].len()});
    let index = |manifests: Value| json!({"schemaVersion": 2, "manifests": manifests}).to_string();
    scene.directory.write("images/base/index.json", index(json!([descriptor])));
    let pin = |reference: &str| scene.pin(reference, BTreeMap::new()).0;
    let (base, _) = pin("oci:../images/base").expect("it is good");
    let image = base.image.expect("it is an image");
    assert_eq!((image.digest, image.reference.as_str()), (digest, "oci:../images/base"));
    let (named, _) = pin(&format!("oci:../images/base@{digest}")).expect("it is good");
    assert_eq!(named.tree, base.tree);
    scene.directory.write("images/base/index.json", index(json!([descriptor, descriptor])));
    let error = pin("oci:../images/base").expect_err("it has two");
    assert!(error.to_string().contains("holds 2 images; name one by its digest"), "{error}");
    let error = pin(&format!("oci:../images/none@{}", Digest::of(b"none"))).expect_err("it is not there");
    assert!(error.to_string().starts_with("reading `"), "{error}");
}

/// Spoils an image and shows why it is refused.
fn refused(spoil: impl Fn(&mut Draft)) -> String {
    let mut draft = Draft::new(TWO);
    spoil(&mut draft);
    let (digest, blobs) = draft.finish();
    let scene = Scene::new("refused");
    let error = scene.pin(&named(&digest), blobs).0.expect_err("it is spoiled");
    let left = fs::read_dir(scene.directory.path().join("scratch")).expect("it is there").count();
    assert_eq!(left, 0, "nothing is left of {error}");
    let mut out = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        out.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    out.replace(&digest.to_string(), "DIGEST").replace(&platform(), "PLATFORM")
}

fn layer(members: &[Member<'_>]) -> impl Fn(&mut Draft) {
    let tar = tar(members);
    move |draft| {
        draft.config["rootfs"]["diff_ids"][1] = json!(Digest::of(&tar));
        draft.layers[1].1 = tar.clone();
    }
}

#[test]
fn a_spoiled_image_is_refused_with_its_layer_and_path() {
    let check = |found: String, expected: Expect| {
        let short = found.split(" (sha256:").enumerate().map(|(at, part)| match at {
            0 => part.to_owned(),
            _ => part.split_once(')').map_or(String::new(), |(_, rest)| rest.to_owned()),
        });
        expected.assert_eq(&short.collect::<String>());
    };
    check(
        refused(layer(&[("../x", 'f', "")])),
        expect!["reading layer 2 of 2: member 0: `../x` is no path inside the archive"],
    );
    check(
        refused(layer(&[("etc/.wh.", 'f', "")])),
        expect!["reading layer 2 of 2: `etc/.wh.` is no deletion: those are empty files with a name behind `.wh.`"],
    );
    check(
        refused(layer(&[("usr/bin/old/x", 'f', "")])),
        expect!["reading layer 2 of 2: `usr/bin/old` lies below something that is no directory"],
    );
    check(
        refused(layer(&[("a", 'h', "b")])),
        expect!["reading layer 2 of 2: `a` is a hard link to `b`, which is no file"],
    );
    check(
        refused(|draft| draft.layers[0].1 = b"no gzip".to_vec()),
        expect!["reading layer 1 of 2: the archive is cut off after 0 members"],
    );
    check(
        refused(|draft| {
            draft.layers[1].1.truncate(700);
        }),
        expect!["reading layer 2 of 2: the archive is cut off after 1 members"],
    );
    check(
        refused(|draft| draft.layers[1].1 = tar(&[("other", 'f', "")])),
        expect![
            "layer 2 of 2 unpacks to sha256:70ba5d2ae7921a92e286e2ce8f8240387d7ba727a6db3268096ff749e8712b66, but the config says sha256:c77b875b082150e0ba7047e70c69a7e03eb082a9701b73fc36a05173e0dadf51"
        ],
    );
    check(
        refused(|draft| draft.layers[0].0 = "application/vnd.in-toto+json"),
        expect!["layer 1 of 2 is of type `application/vnd.in-toto+json`, which is none of an image"],
    );
    check(
        refused(|draft| {
            draft.config["os"] = json!("windows");
            draft.config["architecture"] = json!("ARCHITECTURE");
        }),
        expect!["the image is not for PLATFORM, but for windows/ARCHITECTURE"],
    );
    check(
        refused(|draft| draft.config["rootfs"]["diff_ids"] = json!([])),
        expect!["the manifest has 2 layers and the config 0 (at most 500 are read)"],
    );
    check(
        refused(|draft| draft.config["config"]["Env"] = json!(["=x"])),
        expect!["the image sets 1 variables, or one that is malformed or too long"],
    );
    check(
        refused(|draft| draft.config = json!([])),
        expect![
            "reading the config `sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945` of the image: not an OCI configuration: invalid length 1, expected struct Config with 6 elements at line 1 column 2"
        ],
    );
    check(
        refused(|draft| draft.manifest["schemaVersion"] = json!(1)),
        expect!["reading the manifest `DIGEST` of the image: unsupported schema version 1: expected 2"],
    );
}

#[test]
fn bytes_other_than_those_that_were_asked_for_are_refused() {
    let (digest, mut blobs) = Draft::new(TWO).finish();
    blobs.insert(digest, b"{}".to_vec());
    let error = Scene::new("differs").pin(&named(&digest), blobs).0.expect_err("it is another");
    assert_eq!(error.to_string(), format!("the manifest `{digest}` of the image is {}", Digest::of(b"{}")));
    let (digest, mut blobs) = Draft::new(TWO).finish();
    let layer = *blobs.keys().find(|blob| **blob == Digest::of(&Draft::new(TWO).layers[1].1)).expect("it is there");
    blobs.insert(layer, b"other".to_vec());
    let error = Scene::new("differs").pin(&named(&digest), blobs).0.expect_err("it is another");
    assert!(matches!(error, BaseImageError::Images(_)), "{error}");
}
