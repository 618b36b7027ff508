use super::*;
use crate::mutation::Mutator;

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn manifest() -> String {
    format!(
        r#"{{"annotations":{{"a":"b"}},"artifactType":"application/x","config":{{"digest":"{DIGEST}","mediaType":"application/vnd.oci.empty.v1+json","size":2}},"layers":[{{"annotations":{{}},"digest":"{DIGEST}","mediaType":"text/plain","size":2}}],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2,"subject":{{"digest":"{DIGEST}","mediaType":"application/vnd.oci.image.manifest.v1+json","size":2}}}}"#
    )
}

fn index() -> String {
    format!(
        r#"{{"manifests":[{{"digest":"{DIGEST}","mediaType":"application/vnd.oci.image.manifest.v1+json","platform":{{"architecture":"arm64","os":"linux","os.version":"1","variant":"v8"}},"size":7143}}],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}}"#
    )
}

const CONFIG: &str = r#"{"architecture":"amd64","config":{"Cmd":["--port","8080"],"Entrypoint":["/greeter"],"Env":["PATH=/bin"],"ExposedPorts":{"8080/tcp":{}},"Labels":{"a":"b"},"StopSignal":"SIGTERM","User":"65532:65532","WorkingDir":"/"},"created":"0001-01-01T00:00:00Z","history":[{"created_by":"assay"},{"empty_layer":true}],"os":"linux","rootfs":{"diff_ids":["sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"],"type":"layers"}}"#;

#[test]
fn documents_and_back() {
    let document = Document::parse(MEDIA_TYPE_MANIFEST, manifest().as_bytes()).expect("manifest");
    assert_eq!(document.artifact_type(), Some("application/x"));
    assert_eq!(document.references().len(), 2);
    assert_eq!(document.subject().map(|subject| subject.digest.to_string()).as_deref(), Some(DIGEST));
    assert_eq!(document.annotations().map(|notes| notes.len()), Some(1));
    let Document::Manifest(parsed) = document else { panic!("a manifest") };
    assert_eq!(String::from_utf8(parsed.to_json()).expect("text"), manifest());

    let parsed = Index::parse(index().as_bytes()).expect("index");
    assert_eq!(String::from_utf8(parsed.to_json()).expect("text"), index());
    assert_eq!(Document::Index(parsed).artifact_type(), None);

    let config = Config::parse(CONFIG.as_bytes()).expect("configuration");
    assert_eq!(String::from_utf8(config.to_json()).expect("text"), CONFIG);
}

#[test]
fn the_empty_descriptor_is_that_of_the_specification() {
    let json = String::from_utf8(crate::jcs::to_vec(&Descriptor::empty())).expect("text");
    assert_eq!(json, format!(r#"{{"digest":"{DIGEST}","mediaType":"application/vnd.oci.empty.v1+json","size":2}}"#));
}

#[test]
fn a_manifest_without_artifact_type_has_that_of_its_configuration() {
    for text in [manifest().replace(r#""artifactType":"application/x","#, ""), manifest().replace("application/x", "")]
    {
        let document = Document::parse(MEDIA_TYPE_MANIFEST, text.as_bytes()).expect("manifest");
        assert_eq!(document.artifact_type(), Some(MEDIA_TYPE_EMPTY));
    }
}

#[test]
fn dockers_types_and_parameters_are_read() {
    let text = manifest().replace(MEDIA_TYPE_MANIFEST, MEDIA_TYPE_DOCKER_MANIFEST);
    assert!(Document::parse(MEDIA_TYPE_DOCKER_MANIFEST, text.as_bytes()).is_ok());
    let typed = format!("{MEDIA_TYPE_MANIFEST}; charset=utf-8");
    assert!(Document::parse(&typed, manifest().as_bytes()).is_ok());
    let untyped = index().replace(r#""mediaType":"application/vnd.oci.image.index.v1+json","#, "");
    assert!(Document::parse(MEDIA_TYPE_INDEX, untyped.as_bytes()).is_ok());
}

#[test]
fn other_documents_are_refused() {
    let both = manifest().replacen('{', r#"{"manifests":[],"#, 1);
    let layer = format!(r#"{{"digest":"{DIGEST}","mediaType":"text/plain","size":2}},"#);
    let many = manifest().replace(r#""layers":["#, &format!(r#""layers":[{}"#, layer.repeat(DESCRIPTORS_MAX)));
    for (media_type, text, expected) in [
        ("text/plain", manifest(), "unsupported manifest type `text/plain`"),
        (MEDIA_TYPE_MANIFEST, "{}".to_owned(), "not an OCI manifest"),
        (MEDIA_TYPE_INDEX, "[]".to_owned(), "not an OCI manifest"),
        (
            MEDIA_TYPE_MANIFEST,
            manifest().replace(":2,\"subject", ":1,\"subject"),
            "unsupported schema version 1: expected 2",
        ),
        (MEDIA_TYPE_MANIFEST, manifest().replace("sha256:44", "sha256:4"), "not an OCI manifest"),
        (MEDIA_TYPE_MANIFEST, manifest().replace("\"size\":2", "\"size\":-2"), "not an OCI manifest"),
        (MEDIA_TYPE_MANIFEST, both, "document has fields of a manifest and of an index"),
        (MEDIA_TYPE_MANIFEST, many, "document has 10001 descriptors, more than the limit of 10000"),
        (
            MEDIA_TYPE_INDEX,
            manifest(),
            "document says it is `application/vnd.oci.image.manifest.v1+json` but was sent as `application/vnd.oci.image.index.v1+json`",
        ),
        (
            MEDIA_TYPE_MANIFEST,
            " ".repeat(MANIFEST_SIZE_MAX + 1),
            "document of 4194305 bytes is larger than the limit of 4194304",
        ),
    ] {
        assert_eq!(Document::parse(media_type, text.as_bytes()).expect_err(expected).to_string(), expected);
    }
    assert!(Config::parse(b"{}").is_err());
    assert!(Config::parse(&vec![b' '; CONFIG_SIZE_MAX + 1]).is_err());
}

#[test]
fn damaged_documents_never_panic() {
    let mut mutator = Mutator::new(35);
    mutator.each(5_000, manifest().as_bytes(), |bytes| drop(Document::parse(MEDIA_TYPE_MANIFEST, bytes)));
    mutator.each(5_000, index().as_bytes(), |bytes| drop(Document::parse(MEDIA_TYPE_INDEX, bytes)));
    mutator.each(5_000, CONFIG.as_bytes(), |bytes| drop(Config::parse(bytes)));
}
