use super::*;

#[test]
fn pae_matches_the_protocol_text() {
    // DSSE protocol.md, "Test Vectors"
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

#[test]
fn two_signatures_or_none_are_refused() {
    let one = r#"{"sig":"AA=="}"#;
    for list in ["", &format!("{one},{one}")] {
        let json = format!(r#"{{"payload":"","payloadType":"t","signatures":[{list}]}}"#);
        assert!(Envelope::parse(json.as_bytes()).is_err(), "{json}");
    }
    let json = format!(r#"{{"payload":"","payloadType":"t","signatures":[{one}]}}"#);
    assert_eq!(Envelope::parse(json.as_bytes()).expect("one").signature.sig, [0]);
}

#[test]
fn base64_of_either_alphabet_is_read() {
    for text in ["-_8=", "-_8", "+/8=", "+/8"] {
        assert_eq!(bytes::decode(text).expect(text), [0xfb, 0xff], "{text}");
    }
}
