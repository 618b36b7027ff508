use reqwest::header::HeaderMap;
use serde_json::json;

use super::*;

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: HeaderMap::new(),
        body: body.as_bytes().to_vec(),
        url: Url::parse("http://127.0.0.1:1/api/v1/statements").expect("a URL"),
    }
}

#[test]
fn the_servers_words_become_a_failure() {
    let address = Address::of_url("http://127.0.0.1:1").expect("an address");
    let check = |status, body: &str, code, exit, text: &str| {
        let failure = read::failure(&address, &answer(status, body));
        assert_eq!((failure.code, failure.exit), (code, exit), "{body}");
        assert_eq!(failure.to_string(), text);
    };
    check(
        403,
        r#"{"version":1,"error":{"code":"denied","message":"token `ci` may not read","where":"","hint":"ask"}}"#,
        "denied",
        1,
        "error: http://127.0.0.1:1: token `ci` may not read\nhint: ask",
    );
    check(
        400,
        r#"{"version":1,"error":{"code":"digest-invalid","message":"no digest","where":"digest","hint":null}}"#,
        "digest-invalid",
        2,
        "error: http://127.0.0.1:1: no digest (`digest`)",
    );
    check(
        418,
        r#"{"version":1,"error":{"code":"teapot","message":"a\nb"}}"#,
        "server-refused",
        2,
        "error: http://127.0.0.1:1: a b [teapot]",
    );
    check(
        502,
        "<html>Bad\u{1b}[31m Gateway",
        "server-answer",
        2,
        "error: http://127.0.0.1:1 answered 502 Bad Gateway to `/api/v1/statements`: <html>Bad [31m Gateway\nhint: is that the address of `assay serve`?",
    );
}

#[test]
fn only_the_servers_own_404_means_nothing_there() {
    let check = |body, expected| assert_eq!(read::is_not_found(&answer(404, body)), expected, "{body}");
    check(r#"{"version":1,"error":{"code":"not-found","message":""}}"#, true);
    check(r#"{"version":1}"#, false);
    check("404 page not found", false);
    check("", false);
}

#[test]
fn nodes_and_edges_are_read() {
    let node =
        json!({"id": "git:abc", "kind": "commit", "digest": null, "label": "abc", "time": "2026-11-22T19:41:00Z"});
    let read_node = read::node(&node).expect("a node");
    assert_eq!((read_node.id.as_str(), read_node.kind.name(), read_node.label.as_str()), ("git:abc", "commit", "abc"));
    assert_eq!(read_node.time.map(|time| time.to_string()).as_deref(), Some("2026-11-22T19:41:00Z"));
    for (field, value) in
        [("id", json!(7)), ("kind", json!("nothing")), ("label", Value::Null), ("time", json!("yesterday"))]
    {
        let mut broken = node.clone();
        broken[field] = value;
        assert_eq!(read::node(&broken), None, "{field}");
    }
    let edge = json!({"from": "a", "to": "b", "relation": "of"});
    assert!(read::edge(&edge).is_some());
    for field in ["from", "to", "relation"] {
        let mut broken = edge.clone();
        broken[field] = Value::Null;
        assert_eq!(read::edge(&broken), None, "{field}");
    }
}

#[test]
fn requests_are_divided() {
    let sizes = |documents: Vec<usize>| -> Vec<usize> {
        batches(documents.into_iter().map(|size| vec![0; size]).collect()).iter().map(Vec::len).collect()
    };
    assert_eq!(sizes(vec![]), Vec::<usize>::new());
    assert_eq!(sizes(vec![1; 64]), [64]);
    assert_eq!(sizes(vec![1; 65]), [64, 1]);
    assert_eq!(sizes(vec![REQUEST_MAX, 1, 1]), [1, 2]);
    assert_eq!(sizes(vec![REQUEST_MAX + 1, REQUEST_MAX + 1]), [1, 1]);
}

#[test]
fn a_token_is_not_sent_in_the_clear() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let refused =
        |url: &str, token: &str| Api::new(url, Some(token), runtime.handle().clone()).err().map(|failure| failure.code);
    assert_eq!(refused("http://10.0.0.1", "t"), Some("token-exposed"));
    assert_eq!(refused("https://a.example", ""), Some("token"));
    assert_eq!(refused("https://a.example", "a b"), Some("token"));
}

#[test]
fn path_parts_are_escaped() {
    assert_eq!(read::path_part("a b/../é"), "a%20b%2F..%2F%C3%A9");
}
