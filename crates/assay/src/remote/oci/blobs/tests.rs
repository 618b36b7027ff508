use reqwest::header::HeaderValue;

use super::*;

fn headers(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
    headers
}

#[test]
fn a_registry_says_how_far_an_upload_has_come() {
    let check = |value: &str, expected| assert_eq!(received(&headers("range", value)), expected, "{value}");
    check("0-1023", Some(1024));
    check("bytes=0-1023", Some(1024));
    check("0-0", Some(0));
    check("", None);
    check("x-y", None);
    check("9-0", None);
    check("0-99999999999999999999", None);
    assert_eq!(received(&HeaderMap::new()), None);
}

#[test]
fn a_part_says_where_it_begins() {
    let check = |value: &str, expected| assert_eq!(range_start(&headers("content-range", value)), expected, "{value}");
    check("bytes 100-199/200", Some(100));
    check("bytes 0-0/1", Some(0));
    check("bytes 100-199/*", Some(100));
    check("bytes */200", None);
    check("100-199/200", None);
    check("bytes 199-100/200", None);
    check("", None);
}

#[test]
fn pieces_have_bounds() {
    let check = |value: &str, expected| assert_eq!(chunk_size(&headers(CHUNK_MIN, value)), expected, "{value}");
    check("1", CHUNK);
    check("104857600", 104_857_600);
    check("99999999999", CHUNK_MAX);
    check("x", CHUNK);
    assert_eq!(chunk_size(&HeaderMap::new()), CHUNK);
}

#[test]
fn other_bytes_are_an_honest_no() {
    let (expected, found) = (Digest::of(b"a"), Digest::of(b"b"));
    let check = |error, exit| assert_eq!(damaged("fetching", error).exit, exit);
    check(BlobError::Mismatch { expected, found, size: 1 }, 1);
    check(BlobError::TooLarge { size_max: 1 }, 1);
    check(BlobError::Missing(expected), 2);
}
