use super::header::{ByteRange, Challenge, ContentRange, Scope, link_next, parse_link_next};
use super::*;
use crate::mutation::Mutator;

#[test]
fn names_follow_the_grammar() {
    for text in ["a", "greeter", "team/greeter", "a.b", "a_b", "a__b", "a-b", "a---b", "0/1/2", &"a".repeat(NAME_MAX)] {
        assert_eq!(text.parse::<Name>().expect(text).as_str(), text);
    }
    for text in [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "A",
        "a..b",
        "a___b",
        "a._b",
        "a-_b",
        "-a",
        "a-",
        ".a",
        "a.",
        "_a",
        "a b",
        "é",
        "a/../b",
        "..",
        &"a".repeat(NAME_MAX + 1),
    ] {
        assert!(text.parse::<Name>().is_err(), "{text}");
    }
}

#[test]
fn tags_follow_the_grammar() {
    for text in ["v1.2", "latest", "_x", "A-b.c_d", &"a".repeat(TAG_MAX)] {
        assert_eq!(text.parse::<Tag>().expect(text).as_str(), text);
    }
    for text in ["", ".a", "-a", "a/b", "a:b", "a+b", "é", &"a".repeat(TAG_MAX + 1)] {
        assert!(text.parse::<Tag>().is_err(), "{text}");
    }
}

#[test]
fn locations_and_back() {
    let digest = Digest::of(b"{}");
    for (text, host, name, tag, pinned) in [
        ("greeter", None, "greeter", None, false),
        ("greeter:v1", None, "greeter", Some("v1"), false),
        ("team/greeter:v1", None, "team/greeter", Some("v1"), false),
        ("localhost/greeter", Some("localhost"), "greeter", None, false),
        ("localhost:5000/greeter:v1", Some("localhost:5000"), "greeter", Some("v1"), false),
        ("[::1]:5000/greeter", Some("[::1]:5000"), "greeter", None, false),
        ("[::1]/greeter", Some("[::1]"), "greeter", None, false),
        ("Registry.example.org/a/b", Some("Registry.example.org"), "a/b", None, false),
        ("greeter@DIGEST", None, "greeter", None, true),
        ("example.org/greeter:v1@DIGEST", Some("example.org"), "greeter", Some("v1"), true),
    ] {
        let text = text.replace("DIGEST", &digest.to_string());
        let location: Location = text.parse().expect(&text);
        assert_eq!(location.host.as_deref(), host, "{text}");
        assert_eq!(location.name.as_str(), name, "{text}");
        assert_eq!(location.tag.as_ref().map(Tag::as_str), tag, "{text}");
        assert_eq!(location.digest.is_some(), pinned, "{text}");
        assert_eq!(location.to_string(), text);
        let expected = if pinned { Some(digest.to_string()) } else { tag.map(str::to_owned) };
        assert_eq!(location.reference().map(|reference| reference.to_string()), expected, "{text}");
    }
    for text in
        ["", "a:", "a@", "a@sha256:00", "a:b:c", "Greeter", "host:port/a", "example.org/", "a@b@c", "[x]/a", "/a"]
    {
        assert!(text.parse::<Location>().is_err(), "{text}");
    }
    let text = format!("registry.example.org:5000/team/greeter:v1.2@{digest}");
    Mutator::new(36).each(20_000, text.as_bytes(), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(location) = text.parse::<Location>() {
            assert_eq!(location.to_string(), text);
        }
    });
}

#[test]
fn references_are_tags_or_digests() {
    assert!(matches!("v1".parse(), Ok(Reference::Tag(_))));
    assert!(matches!(Digest::of(b"").to_string().parse(), Ok(Reference::Digest(_))));
    assert!(matches!("sha256:00".parse::<Reference>(), Err(ReferenceError::Digest(_))));
    assert!(matches!("-".parse::<Reference>(), Err(ReferenceError::Tag(_))));
}

#[test]
fn errors_and_tag_lists_have_their_form() {
    let errors = Errors::one(ErrorCode::ManifestUnknown, "no such manifest", serde_json::json!({"reference": "v1"}));
    let text = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","detail":{"reference":"v1"},"message":"no such manifest"}]}"#;
    assert_eq!(String::from_utf8(crate::jcs::to_vec(&errors)).expect("text"), text);
    assert_eq!(serde_json::from_str::<Errors>(text).expect("errors"), errors);
    assert!(serde_json::from_str::<Errors>(r#"{"errors":[{"code":"X"}]}"#).is_ok());
    let list: TagList = serde_json::from_str(r#"{"name":"a","tags":null}"#).expect("list");
    assert!(list.tags.is_empty());
}

#[test]
fn pages_are_linked() {
    let link = link_next("/v2/greeter/tags/list?n=2&last=b");
    assert_eq!(link, r#"</v2/greeter/tags/list?n=2&last=b>; rel="next""#);
    assert_eq!(parse_link_next(&link), Some("/v2/greeter/tags/list?n=2&last=b"));
    assert_eq!(parse_link_next(r#"</a>; rel="prev", </b>; title="x"; rel=next"#), Some("/b"));
    for text in ["", "</a>", "</a>; rel=\"prev\"", "/a; rel=\"next\"", "<a"] {
        assert_eq!(parse_link_next(text), None, "{text}");
    }
}

#[test]
fn ranges_of_uploads() {
    let range = ContentRange::parse("0-1023").expect("range");
    assert_eq!((range.first, range.last, range.size()), (0, 1023, 1024));
    for text in [
        "",
        "-",
        "1",
        "1-",
        "-1",
        "2-1",
        "bytes 0-1/2",
        "+0-1",
        "0-1-2",
        "0-18446744073709551615",
        "0-99999999999999999999",
    ] {
        assert_eq!(ContentRange::parse(text), None, "{text}");
    }
}

#[test]
fn ranges_of_blobs() {
    for (text, within) in [
        ("bytes=0-9", Some((0, 10))),
        ("bytes=90-", Some((90, 100))),
        ("bytes=90-1000", Some((90, 100))),
        ("bytes=-10", Some((90, 100))),
        ("bytes=-1000", Some((0, 100))),
        ("bytes=99-99", Some((99, 100))),
        ("bytes=0-18446744073709551615", Some((0, 100))),
        ("bytes=100-", None),
        ("bytes=-0", None),
        ("bytes=100-200", None),
    ] {
        assert_eq!(ByteRange::parse(text).expect(text).within(100), within, "{text}");
    }
    for text in ["", "bytes=", "bytes=-", "bytes=5-1", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes=0 - 1"] {
        assert_eq!(ByteRange::parse(text), None, "{text}");
    }
    assert_eq!(ByteRange::parse("bytes=-5").expect("range").within(0), None);
}

#[test]
fn challenges_and_scopes() {
    let text = r#"Bearer realm="https://example.org/token",service="example.org",scope="repository:a:pull,push""#;
    let challenge = Challenge::parse(text).expect("challenge");
    assert_eq!(challenge.to_string(), text);
    let Challenge::Bearer { scope: Some(scope), .. } = challenge else { panic!("a bearer challenge") };
    let scope = Scope::parse(&scope).expect("scope");
    assert_eq!((scope.kind.as_str(), scope.name.as_str(), scope.actions.len()), ("repository", "a", 2));
    assert_eq!(scope.to_string(), "repository:a:pull,push");
    assert_eq!(Scope::parse("repository:host:5000/a:pull").map(|scope| scope.name).as_deref(), Some("host:5000/a"));

    let basic = Challenge::Basic { realm: "assay".to_owned() };
    assert_eq!(Challenge::parse(&basic.to_string()), Some(basic.clone()));
    assert_eq!(Challenge::parse(r#"basic Realm="assay", charset="UTF-8""#), Some(basic));
    for text in
        ["", "Bearer", "Bearer x", "Bearer realm=x", "Bearer realm=\"x", "Bearer service=\"x\"", "Digest realm=\"x\""]
    {
        assert_eq!(Challenge::parse(text), None, "{text}");
    }
    for text in ["", "a", "a:b", ":a:pull", "a::pull"] {
        assert_eq!(Scope::parse(text), None, "{text}");
    }
}

#[test]
fn damaged_headers_never_panic() {
    let mut mutator = Mutator::new(37);
    let sample = br#"Bearer realm="https://example.org/token",service="example.org",scope="repository:a:pull,push""#;
    mutator.each(5_000, sample, |bytes| drop(Challenge::parse(&String::from_utf8_lossy(bytes))));
    mutator.each(5_000, b"bytes=10-200", |bytes| {
        if let Some((start, end)) =
            ByteRange::parse(&String::from_utf8_lossy(bytes)).and_then(|range| range.within(100))
        {
            assert!(start < end && end <= 100);
        }
    });
    mutator.each(5_000, br#"</a>; rel="prev", </b>; rel="next""#, |bytes| {
        parse_link_next(&String::from_utf8_lossy(bytes));
    });
}
