use super::*;
use crate::mutation::Mutator;

#[test]
fn text_and_back_for_every_length() {
    for size in 1..200 {
        let der: Vec<u8> = (0..size).map(|byte| byte as u8).collect();
        let text = encode(PUBLIC_KEY, &der);
        assert_eq!(decode(PUBLIC_KEY, &text), Ok(der), "{text}");
        assert_eq!(encode(PUBLIC_KEY, &decode(PUBLIC_KEY, &text).expect("decodes")), text);
    }
}

#[test]
fn carriage_returns_are_read() {
    let text = encode(PUBLIC_KEY, b"key").replace('\n', "\r\n");
    assert_eq!(decode(PUBLIC_KEY, &text), Ok(b"key".to_vec()));
}

#[test]
fn other_forms_are_refused() {
    let good = encode(PUBLIC_KEY, &[7; 100]);
    let cases = [
        String::new(),
        "x".repeat(SIZE_MAX + 1),
        encode(PUBLIC_KEY, b""),
        encode(PRIVATE_KEY, b"key"),
        format!("junk\n{good}"),
        format!("{good}junk"),
        good.replace("\n-----END", "\n\n-----END"),
        good.replace("BwcH", "Bw H"),
        good.trim_end().trim_end_matches('-').to_owned(),
    ];
    for text in cases {
        assert!(decode(PUBLIC_KEY, &text).is_err(), "{text}");
    }
}

#[test]
fn mutated_text_never_panics() {
    Mutator::new(1).each(5_000, encode(PUBLIC_KEY, &[7; 91]).as_bytes(), |bytes| {
        drop(decode(PUBLIC_KEY, &String::from_utf8_lossy(bytes)));
    });
}
