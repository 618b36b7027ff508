use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::*;

/// A layout in memory, whose documents can be changed before their digests are taken, or after.
struct Layout {
    files: BTreeMap<String, Vec<u8>>,
}

fn tar() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(2);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    builder.append_data(&mut header, "usr/bin/app", b"hi".as_slice()).expect("a vector takes every byte");
    builder.into_inner().expect("a vector takes every byte")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).expect("a vector takes every byte");
    gzip.finish().expect("a vector takes every byte")
}

fn put(files: &mut BTreeMap<String, Vec<u8>>, media_type: &str, bytes: Vec<u8>) -> Value {
    let digest = Digest::of(&bytes);
    let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
    files.insert(format!("blobs/sha256/{}", digest.hex()), bytes);
    descriptor
}

/// Makes a layout; the closure may change config, manifest and index (by name) before they are hashed.
fn layout(change: impl Fn(&str, &mut Value)) -> Layout {
    let mut files = BTreeMap::new();
    let layer = put(&mut files, MEDIA_TYPE_LAYER_GZIP, gzip(&tar()));
    let document = |name: &str, mut value: Value| {
        change(name, &mut value);
        serde_json::to_vec(&value).expect("JSON")
    };
    let config = document(
        "config",
        json!({"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": {"Entrypoint": ["/usr/bin/app"], "Cmd": null, "User": "1:1", "Env": ["A=b"], "ExposedPorts": {"80/tcp": {}}},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&tar())]}}),
    );
    let config = put(&mut files, MEDIA_TYPE_CONFIG, config);
    let manifest = document(
        "manifest",
        json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST, "config": config, "layers": [layer]}),
    );
    let manifest = put(&mut files, MEDIA_TYPE_MANIFEST, manifest);
    let index = document("index", json!({"schemaVersion": 2, "manifests": [manifest]}));
    files.insert("index.json".to_owned(), index);
    files.insert("oci-layout".to_owned(), document("marker", json!({"imageLayoutVersion": "1.0.0"})));
    Layout { files }
}

impl Layout {
    fn change(&mut self, path: &str, change: impl FnOnce(&[u8]) -> Vec<u8>) {
        let changed = change(&self.files[path]);
        self.files.insert(path.to_owned(), changed);
    }

    fn read(&self, wanted: Option<&Digest>) -> Result<Image, ImageError> {
        let opened = RefCell::new(0);
        let mut open = |path: &str| -> io::Result<Box<dyn Read>> {
            *opened.borrow_mut() += 1;
            let bytes = self.files.get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
            Ok(Box::new(io::Cursor::new(bytes)))
        };
        let result = read(&mut open, wanted);
        assert!(*opened.borrow() <= 6);
        result
    }
}

#[test]
fn reads_a_layout() {
    let layout = layout(|_, _| {});
    let image = layout.read(None).expect("a sound layout");
    assert_eq!(image.manifest, Digest::of(&image.manifest_bytes));
    let process = image.config.config.expect("it has one");
    assert_eq!(process.entrypoint, Some(vec!["/usr/bin/app".to_owned()]));
    assert_eq!(process.env, Some(vec!["A=b".to_owned()]));
    assert_eq!(image.layers[0].members[0].path, "usr/bin/app");
    assert_eq!(image.layers[0].diff_id, Digest::of(&tar()));
    assert!(layout.read(Some(&image.manifest)).is_ok());
    assert!(matches!(layout.read(Some(&Digest::of(b""))), Err(ImageError::Choice(0))));
}

#[test]
fn refuses_each_field_that_does_not_fit() {
    type Change = fn(&mut Value);
    let cases: Vec<(&str, Change, &str)> = vec![
        ("marker", |v| v["imageLayoutVersion"] = json!("2.0.0"), "image layout version is `2.0.0`: expected `1.0.0`"),
        (
            "index",
            |v| v["schemaVersion"] = json!(1),
            "index.json` of the image layout cannot be read: unsupported schema version 1",
        ),
        ("index", |v| v["manifests"] = json!([]), "exactly one manifest to read but 0"),
        (
            "index",
            |v| v["manifests"] = json!([v["manifests"][0], v["manifests"][0]]),
            "exactly one manifest to read but 2",
        ),
        (
            "index",
            |v| v["manifests"][0]["mediaType"] = json!("text/plain"),
            "media type of the manifest is `text/plain`",
        ),
        ("index", |v| v["manifests"][0]["size"] = json!(1), "is not what its descriptor says"),
        ("index", |v| v["manifests"][0]["digest"] = json!("sha256:../x"), "not an OCI index"),
        ("manifest", |v| v["schemaVersion"] = json!(1), "unsupported schema version 1"),
        ("manifest", |v| v["mediaType"] = json!("x"), "document says it is `x`"),
        ("manifest", |v| v["config"]["mediaType"] = json!("x"), "media type of the config is `x`"),
        ("manifest", |v| v["config"]["size"] = json!(1), "is not what its descriptor says"),
        ("manifest", |v| v["config"]["digest"] = json!(Digest::of(b"x")), "reading `blobs/sha256/"),
        ("manifest", |v| v["layers"] = json!([]), "the manifest has 0 layers and the config 1"),
        ("manifest", |v| v["layers"][0]["size"] = json!(1), "is not what its descriptor says"),
        ("manifest", |v| v["layers"][0]["size"] = json!(1u64 << 40), "is larger than"),
        (
            "manifest",
            |v| v["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+zstd"),
            "reading layer 0: reading the archive",
        ),
        (
            "manifest",
            |v| v["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.nondistributable.v1.tar"),
            "media type of a layer is `application/vnd.oci.image.layer.nondistributable.v1.tar`",
        ),
        (
            "manifest",
            |v| v["layers"][0]["mediaType"] = json!(MEDIA_TYPE_LAYER),
            "reading layer 0: the archive is cut off after 0 members",
        ),
        ("config", |v| v["rootfs"]["type"] = json!("x"), "kind of root file system is `x`"),
        ("config", |v| v["rootfs"]["diff_ids"] = json!([Digest::of(b"x")]), "layer 0 unpacks to sha256:"),
        ("config", |v| v["rootfs"]["diff_ids"] = json!([]), "the manifest has 1 layers and the config 0"),
        ("config", |v| v["os"] = json!(1), "not an OCI configuration"),
    ];
    for (document, change, expected) in cases {
        let made = layout(|name, value| {
            if name == document {
                change(value);
            }
        });
        let error = made.read(None).expect_err(expected);
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        let error = format!("{error}{cause}");
        assert!(error.contains(expected), "{document}: expected `{expected}`, found `{error}`");
    }
}

#[test]
fn refuses_any_changed_byte_of_a_blob() {
    let sound = layout(|_, _| {});
    for path in sound.files.keys().filter(|path| path.starts_with("blobs/")) {
        for at in 0..sound.files[path].len() {
            let mut damaged = Layout { files: sound.files.clone() };
            damaged.files.get_mut(path).expect("it is there")[at] ^= 1;
            assert!(matches!(damaged.read(None), Err(ImageError::Differs { .. })), "{path} byte {at}");
        }
        let mut longer = Layout { files: sound.files.clone() };
        longer.files.get_mut(path).expect("it is there").push(b' ');
        assert!(matches!(longer.read(None), Err(ImageError::Differs { .. })), "{path}");
    }
}

#[test]
fn has_limits() {
    let mut large = layout(|_, _| {});
    large.files.insert("index.json".to_owned(), vec![b' '; DOCUMENT_BYTES_MAX as usize + 1]);
    assert!(matches!(large.read(None), Err(ImageError::TooLarge { .. })));
}

#[test]
fn survives_mutation() {
    let sound = layout(|_, _| {});
    let manifest = sound.read(None).expect("a sound layout").manifest;
    let mut random = wire::mutation::Mutator::new(5);
    for round in 0..3000 {
        let mut damaged = Layout { files: sound.files.clone() };
        match round % 3 {
            0 => damaged.change("index.json", |bytes| random.damage(bytes)),
            1 => damaged.change("oci-layout", |bytes| random.damage(bytes)),
            // A manifest under its own new digest, so that the parser behind the check is reached.
            _ => {
                let path = format!("blobs/sha256/{}", manifest.hex());
                let mutated = random.damage(&damaged.files[&path]);
                let descriptor = put(&mut damaged.files, MEDIA_TYPE_MANIFEST, mutated);
                let index = json!({"schemaVersion": 2, "manifests": [descriptor]});
                damaged.files.insert("index.json".to_owned(), serde_json::to_vec(&index).expect("JSON"));
            }
        }
        if let Ok(image) = damaged.read(None) {
            assert_eq!(image.manifest, Digest::of(&image.manifest_bytes));
            assert_eq!(image.layers[0].diff_id, Digest::of(&tar()));
        }
    }
}

#[test]
fn lets_unknown_keys_pass() {
    let made = layout(|_, value| value["annotations"] = json!({"org.example": "x"}));
    assert!(made.read(None).is_ok());
}
