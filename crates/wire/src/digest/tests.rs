use super::*;

#[test]
fn empty_object_has_the_digest_the_oci_specification_states() {
    // image-spec manifest.md, "Guidance for an Empty Descriptor"
    let digest = Digest::of(b"{}");
    assert_eq!(digest.to_string(), "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    assert_eq!(digest.to_string().parse(), Ok(digest));
}

#[test]
fn malformed_digests_are_refused() {
    for text in [
        "",
        "sha256",
        "sha256:",
        "md5:00",
        "sha256:00",
        "SHA256:00",
        &format!("sha256:{}", "A".repeat(64)),
        &format!("sha256:{}", "g".repeat(64)),
        &format!("sha256:{}", "0".repeat(66)),
    ] {
        assert!(text.parse::<Digest>().is_err(), "{text}");
    }
}

#[test]
fn hmac_matches_rfc_4231() {
    // RFC 4231 test cases 2 and 6
    assert_eq!(
        hex::encode(hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    assert_eq!(
        hex::encode(hmac_sha256(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    );
}
