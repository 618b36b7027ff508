use super::*;

#[test]
fn a_document_is_read_as_it_was_written() {
    let text = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:5e1f0c7a-9b2d-4e6f-8091-a2b3c4d5e6f7","version":1,"metadata":{"timestamp":"2026-11-22T19:41:08Z","lifecycles":[{"phase":"build"}],"tools":{"components":[{"type":"application","name":"assay","version":"0.1.0"}]}},"components":[{"type":"library","bom-ref":"pkg:npm/%40babel/core@7.0.0","group":"@babel","name":"core","version":"7.0.0","scope":"excluded","hashes":[{"alg":"SHA-256","content":"aa"}],"purl":"pkg:npm/%40babel/core@7.0.0","properties":[{"name":"assay:used","value":"never"}]}],"compositions":[{"aggregate":"complete","assemblies":["x"]}]}"#;
    let bom: Bom = serde_json::from_str(text).expect("a document");
    assert_eq!(bom.components[0].scope, Some(Scope::Excluded));
    assert_eq!(serde_json::to_string(&bom).expect("JSON"), text);
}

/// What other producers write: no components, a list of tools, fields that are not known here.
#[test]
fn documents_of_others_are_read() {
    for text in [
        r#"{"bomFormat":"CycloneDX","specVersion":"1.4"}"#,
        r#"{"bomFormat":"CycloneDX","specVersion":"1.4","metadata":{"tools":[{"vendor":"anchore","name":"syft"}]}}"#,
        r#"{"bomFormat":"CycloneDX","specVersion":"1.5","metadata":{"lifecycles":[{"name":"own"}]},"dependencies":[],"components":[{"type":"file","name":"x","licenses":[]}]}"#,
    ] {
        let bom: Bom = serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(bom.version, 1);
    }
    for bad in [r#"{}"#, r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"x"}]}"#] {
        assert!(serde_json::from_str::<Bom>(bad).is_err(), "{bad}");
    }
}

#[test]
fn hashes_have_the_names_of_the_specification() {
    let hash = Hash::of(&Digest::of(b"")).expect("it has a name");
    assert_eq!(hash.alg, "SHA-256");
    assert!(hash.content.starts_with("e3b0c442"));
}
