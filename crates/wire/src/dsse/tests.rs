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

#[test]
fn large_and_damaged_envelopes_are_refused() {
    let large = vec![b' '; SIZE_MAX + 1];
    assert!(matches!(Envelope::parse(&large), Err(EnvelopeError::Size { .. })));
    let sample =
        br#"{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"k","sig":"MEUC"}]}"#;
    assert_eq!(Envelope::parse(sample).expect("sample").to_json(), sample);
    crate::mutation::Mutator::new(39).each(10_000, sample, |bytes| {
        if let Ok(envelope) = Envelope::parse(bytes) {
            assert_eq!(Envelope::parse(&envelope.to_json()).expect("its own print"), envelope);
        }
    });
}
