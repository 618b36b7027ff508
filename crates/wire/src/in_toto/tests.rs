use super::*;
use crate::mutation::Mutator;

const SAMPLE: &str = r#"{"_type":"https://in-toto.io/Statement/v1","predicate":{},"predicateType":"https://slsa.dev/provenance/v1","subject":[{"digest":{"gitCommit":"00","sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"name":"greeter"}]}"#;

#[test]
fn text_and_back() {
    let statement = Statement::parse(SAMPLE.as_bytes()).expect("sample");
    assert_eq!(String::from_utf8(statement.to_json()).expect("text"), SAMPLE);
    assert_eq!(statement.digests().collect::<Vec<_>>(), [Digest::of(b"{}")]);
}

#[test]
fn other_statements_are_refused() {
    let many = format!(r#""subject":[{}"#, r#"{"digest":{"a":"b"}},"#.repeat(SUBJECTS_MAX));
    for (text, expected) in [
        (SAMPLE.replace("Statement/v1", "Statement/v0.1"), "unsupported statement type"),
        (SAMPLE.replace(r#""digest":{"#, r#""other":{"#), "subject 0 has none"),
        (SAMPLE.replace(r#""subject":["#, &many), "a statement needs 1 to 10000 subjects"),
        (format!("{}]}}", &SAMPLE[..SAMPLE.find('[').expect("list") + 1]), "a statement needs 1 to 10000 subjects"),
        (SAMPLE.replace("predicateType", "type"), "not an in-toto statement"),
    ] {
        let error = Statement::parse(text.as_bytes()).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn damaged_statements_never_panic() {
    Mutator::new(40).each(10_000, SAMPLE.as_bytes(), |bytes| drop(Statement::parse(bytes)));
}
