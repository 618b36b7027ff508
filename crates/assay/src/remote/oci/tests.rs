use reqwest::header::HeaderValue;

use super::*;

const MANIFEST: &str = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

fn answer(headers: &[(&'static str, &str)], body: &str) -> Answer {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header value")));
    Answer {
        status: StatusCode::OK,
        headers: headers.collect(),
        body: body.as_bytes().to_vec(),
        url: Url::parse("http://127.0.0.1:1/v2/a/manifests/b").expect("a URL"),
    }
}

fn check(
    reference: &Reference,
    headers: &[(&'static str, &str)],
    body: &str,
) -> std::result::Result<Digest, (&'static str, u8)> {
    let name = "a".parse().expect("a name");
    checked(&name, reference, answer(headers, body))
        .map(|manifest| manifest.digest)
        .map_err(|failure| (failure.code, failure.exit))
}

#[test]
fn manifests_are_what_was_asked_for() {
    let digest = Digest::of(MANIFEST.as_bytes());
    let typed = ("content-type", MEDIA_TYPE_MANIFEST);
    let tag = Reference::Tag("b".parse().expect("a tag"));
    let other = Digest::of(b"other").to_string();
    assert_eq!(check(&Reference::Digest(digest), &[typed], MANIFEST), Ok(digest));
    assert_eq!(check(&Reference::Digest(Digest::of(b"other")), &[typed], MANIFEST), Err(("digest-mismatch", 1)));
    assert_eq!(
        check(&Reference::Digest(digest), &[typed], &MANIFEST.replace(":2}", ":3}")),
        Err(("digest-mismatch", 1))
    );
    assert_eq!(check(&tag, &[typed], MANIFEST), Ok(digest));
    assert_eq!(check(&tag, &[typed, ("docker-content-digest", &digest.to_string())], MANIFEST), Ok(digest));
    assert_eq!(check(&tag, &[typed, ("docker-content-digest", &other)], MANIFEST), Err(("digest-mismatch", 1)));
    assert_eq!(check(&tag, &[("content-type", "application/json")], MANIFEST), Ok(digest));
    assert_eq!(
        check(&tag, &[("content-type", "application/vnd.oci.image.index.v1+json")], MANIFEST),
        Err(("manifest", 2))
    );
    assert_eq!(check(&tag, &[], "<html>"), Err(("manifest", 2)));
}

#[test]
fn scopes_name_what_is_done() {
    let name: Name = "team/greeter".parse().expect("a name");
    assert_eq!(reading(&name).to_string(), "repository:team/greeter:pull");
    assert_eq!(writing(&name).to_string(), "repository:team/greeter:pull,push");
}
