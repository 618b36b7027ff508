use super::*;
use crate::lock_file::Problem;

fn sample() -> Record {
    let body = Answer {
        url: "https://a.example/x.tgz?v=1".to_owned(),
        status: 200,
        media_type: Some("application/gzip".to_owned()),
        digest: Some(Digest::of(b"x")),
        size: 1,
        ..Answer::default()
    };
    let redirect = Answer {
        url: "http://a.example/y".to_owned(),
        status: 302,
        location: Some("https://a.example/x.tgz?v=1".to_owned()),
        ..Answer::default()
    };
    let accepted = Answer { accept: Some("text/html".to_owned()), ..body.clone() };
    Record {
        command: vec!["sh".to_owned(), "-c".to_owned(), "a \"b\"\n".to_owned()],
        answers: vec![redirect, body, accepted],
    }
}

#[test]
fn it_reads_back_what_it_wrote() {
    let text = sample().to_text();
    let mut read = record("assay.record", text.as_bytes()).expect("it is good");
    read.answers.iter_mut().for_each(|answer| answer.line = 0);
    assert_eq!(read, sample());
    assert_eq!(read.to_text(), text);
    let lock = parse("assay.record", text.as_bytes()).expect("it is good");
    assert_eq!(lock.packages.len(), 1, "the same bytes at the same address are fetched once");
    assert_eq!(lock.findings, [], "a redirect has no body to substitute");
}

#[test]
fn an_address_without_tls_is_reported() {
    let text = sample().to_text().replace("https://a.example/x", "http://a.example/x");
    let lock = parse("assay.record", text.as_bytes()).expect("it is good");
    assert!(lock.findings.iter().all(|finding| matches!(finding.problem, Problem::PlainHttp { .. })));
    assert_eq!(lock.findings.len(), 1);
}

#[test]
fn what_could_not_be_answered_again_is_refused() {
    let text = sample().to_text();
    let cases = [
        ("version = 1", "version = 2", "format version `2` is not read"),
        ("status = 200", "status = 206000", "`status` is no version"),
        ("status = 200", "status = 500", "`status` is no version"),
        ("digest = \"sha256:", "digest = \"sha512:", "is no digest"),
        ("digest = ", "digist = ", "`digest` is missing"),
        ("url = \"http://", "url = \"file://", "an http address"),
        ("accept = \"text/html\"", "", "it stands twice"),
        ("media-type = \"app", "media-type = \"\\r\\n", "`media-type` is no header"),
    ];
    for (from, to, expected) in cases {
        let error = record("assay.record", text.replacen(from, to, 1).as_bytes()).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}
