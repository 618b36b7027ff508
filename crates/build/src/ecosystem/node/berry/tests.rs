use super::*;

#[test]
fn only_a_sha512_is_taken() {
    let value = wire::base64::encode(&[7; 64]);
    assert_eq!(sha512(&format!("sha1-AAAA sha512-{value}?x")), Some(Digest::Sha512([7; 64])));
    assert_eq!(sha512(&format!("sha256-{value}")), None);
    assert_eq!(sha512("sha512-AAAA"), None);
    assert_eq!(sha512("sha512-!"), None);
}

#[test]
fn yarn_asks_for_the_part_of_an_address_that_is_the_same_everywhere() {
    let entries = plugin(&BTreeMap::from([("ms/-/ms-2.1.3.tgz".to_owned(), "_cacache/x".to_owned())]));
    let list = entries.iter().find(|entry| entry.path == LIST).expect("the list");
    let TreeSource::Bytes { bytes, .. } = &list.source else { panic!("it has bytes") };
    assert_eq!(String::from_utf8_lossy(bytes), "{\"ms/-/ms-2.1.3.tgz\":\"_cacache/x\"}");
    assert!(entries.iter().any(|entry| entry.path == PLUGIN));
}
