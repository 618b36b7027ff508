use wire::digest::Digest;

use super::*;

fn question(method: Method, url: &str, accept: &str) -> Question {
    let mut headers = hyper::HeaderMap::new();
    headers.insert(hyper::header::ACCEPT, accept.parse().expect("a header"));
    Question { method, url: url.to_owned(), headers }
}

#[test]
fn only_what_was_recorded_is_answered() {
    let digest = Digest::of(b"one");
    let one = Answer { url: "https://a.example/x".to_owned(), status: 200, digest: Some(digest), ..Answer::default() };
    let html = Answer { accept: Some("text/html".to_owned()), digest: Some(Digest::of(b"two")), ..one.clone() };
    let alone = Answer { url: "https://a.example/y".to_owned(), ..html.clone() };
    let answers = [one, html, alone].map(|answer| ((answer.url.clone(), answer.accept.clone()), answer));
    let tree = std::env::temp_dir().join(format!("assay-replayer-{}", std::process::id()));
    std::fs::create_dir_all(tree.join(BODIES)).expect("a directory");
    for body in ["one", "two"] {
        let path = tree.join(BODIES).join(Digest::of(body.as_bytes()).hex());
        std::fs::write(path, body).expect("a file");
    }
    let replayer = Replayer { tree: tree.clone(), answers: BTreeMap::from(answers) };
    let body = |url: &str, accept: &str| {
        let reply = replayer.reply(&question(Method::GET, url, accept));
        (reply.status, String::from_utf8(reply.body).expect("text"))
    };
    assert_eq!(body("https://a.example/x", "*/*"), (200, "one".to_owned()));
    assert_eq!(body("https://a.example/x", "text/html"), (200, "two".to_owned()));
    assert_eq!(body("https://a.example/x", "image/png").0, 504, "two answers are known, and neither is for that");
    assert_eq!(body("https://a.example/y", "image/png"), (200, "two".to_owned()), "one answer is known");
    assert_eq!(body("https://a.example/z", "*/*").0, 504);
    assert_eq!(replayer.reply(&question(Method::POST, "https://a.example/x", "*/*")).status, 405);
    std::fs::remove_dir_all(tree).expect("it is removed");
}
