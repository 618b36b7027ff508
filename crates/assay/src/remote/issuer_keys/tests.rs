//! Issuers on this machine that answer as they should, or otherwise.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use sign::identity::{Allow, Kind};

use super::*;

/// What an issuer answers: `BASE` stands for its URL.
#[derive(Clone, Copy)]
struct Answers {
    discovery: &'static str,
    keys: &'static str,
}

const GOOD: Answers =
    Answers { discovery: r#"{"issuer":"BASE","jwks_uri":"BASE/keys"}"#, keys: r#"{"keys":[{"kty":"EC","kid":"1"}]}"# };

/// Serves answers until the test's process ends; returns the issuer's URL and how often it was asked.
fn serve(answers: Answers) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(AtomicUsize::new(0));
    let (url, count) = (base.clone(), Arc::clone(&asked));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            count.fetch_add(1, Ordering::SeqCst);
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let keys = head.starts_with(b"GET /keys ");
            let text = if keys { answers.keys } else { answers.discovery };
            // A client that has seen enough may be gone.
            let _sent = stream.write_all(answer(text, &base).as_bytes());
        }
    });
    (url, asked)
}

fn answer(text: &str, base: &str) -> String {
    match text {
        "404" => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        "redirect" => {
            format!("HTTP/1.1 302 Found\r\nLocation: {base}/keys\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        "large" => format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", " ".repeat(DOCUMENT_SIZE_MAX + 1)),
        text => {
            let body = text.replace("BASE", base);
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        }
    }
}

fn issuer(url: &str) -> Issuer {
    Issuer {
        url: url.to_owned(),
        audience: "sigstore".to_owned(),
        kind: Kind::Email,
        allow: Allow::Anyone,
        keys: None,
        pseudonymous: false,
    }
}

#[tokio::test]
async fn keys_are_asked_for_and_kept() {
    let (url, asked) = serve(GOOD);
    let fetched = Fetched::new().expect("a client");
    let issuer = issuer(&url);
    let keys = fetched.keys(&issuer, None).await.expect("keys");
    assert_eq!(keys.keys[0].kid.as_deref(), Some("1"));
    for _ in 0..3 {
        let again = fetched.keys(&issuer, None).await.expect("kept");
        assert!(Arc::ptr_eq(&keys, &again));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2, "discovery and keys, once");
    // A key that they lack is looked for, but not for every token: these were asked for a moment ago.
    let same = fetched.keys(&issuer, Some(&keys)).await.expect("kept");
    assert!(Arc::ptr_eq(&keys, &same));
    // Later it is, and of many at once only one asks.
    let known = Known { keys: Arc::clone(&keys), at: Instant::now().checked_sub(AGAIN).expect("the machine is up") };
    fetched.known.lock().expect("not poisoned").insert(url.clone(), known);
    let (one, other) = tokio::join!(fetched.keys(&issuer, Some(&keys)), fetched.keys(&issuer, Some(&keys)));
    let (one, other) = (one.expect("asked"), other.expect("asked"));
    assert!(Arc::ptr_eq(&one, &other) && !Arc::ptr_eq(&one, &keys));
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn what_is_wrong_with_an_issuer_is_named() {
    for (answers, expected) in [
        (Answers { discovery: "404", ..GOOD }, "answered 404"),
        (Answers { discovery: "redirect", ..GOOD }, "answered 302"),
        (Answers { discovery: "large", ..GOOD }, "more than 262144 bytes"),
        (Answers { discovery: "{}", ..GOOD }, "reading what"),
        (Answers { discovery: r#"{"issuer":"BASE/","jwks_uri":"BASE/keys"}"#, ..GOOD }, "says that its issuer is"),
        (Answers { discovery: r#"{"issuer":"BASE","jwks_uri":"http://example.org/keys"}"#, ..GOOD }, "neither https"),
        (Answers { discovery: r#"{"issuer":"BASE","jwks_uri":"file:///etc/passwd"}"#, ..GOOD }, "neither https"),
        (Answers { keys: "404", ..GOOD }, "answered 404"),
        (Answers { keys: "redirect", ..GOOD }, "answered 302"),
        (Answers { keys: "large", ..GOOD }, "more than 262144 bytes"),
        (Answers { keys: "[]", ..GOOD }, "reading what"),
    ] {
        let (url, _) = serve(answers);
        let error = Fetched::new().expect("a client").keys(&issuer(&url), None).await.expect_err(expected);
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    let nobody = Fetched::new().expect("a client").keys(&issuer("http://127.0.0.1:1"), None).await;
    assert!(nobody.expect_err("nobody answers").to_string().contains("asking"));
}

/// An issuer that is away for a while does no harm; for a day, not for ever.
#[tokio::test]
async fn old_keys_serve_while_an_issuer_is_away() {
    let fetched = Fetched::new().expect("a client");
    let issuer = issuer("http://127.0.0.1:1");
    let keys = Arc::new(JwkSet::parse(GOOD.keys.as_bytes()).expect("a set"));
    let known = Known { keys: Arc::clone(&keys), at: Instant::now().checked_sub(AGAIN).expect("the machine is up") };
    fetched.known.lock().expect("not poisoned").insert(issuer.url.clone(), known);
    // They lack a key, and nobody can say whether there are newer ones.
    assert!(Arc::ptr_eq(&fetched.keys(&issuer, Some(&keys)).await.expect("old"), &keys));
    let second = Duration::from_secs(1);
    for (age, lacking, young) in
        [(AGAIN - second, true, true), (AGAIN, true, false), (FRESH - second, false, true), (FRESH, false, false)]
    {
        assert_eq!(is_young(age, lacking), young, "{age:?}");
    }
    assert!(is_usable(STALE - second) && !is_usable(STALE));
}

#[tokio::test]
async fn keys_may_lie_in_a_file() {
    let path = std::env::temp_dir().join(format!("assay-issuer-keys-{}", std::process::id()));
    std::fs::write(&path, GOOD.keys).expect("written");
    let with =
        |path: &std::path::Path| Issuer { keys: Some(path.display().to_string()), ..issuer("https://i.example.org") };
    let keys = Fetched::new().expect("a client").keys(&with(&path), None).await.expect("keys");
    assert_eq!(keys.keys.len(), 1);
    std::fs::remove_file(&path).expect("removed");
    let gone = Fetched::new().expect("a client").keys(&with(&path), None).await.expect_err("gone");
    assert!(gone.to_string().contains("reading the keys in"), "{gone}");
}
