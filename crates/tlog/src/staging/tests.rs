use wire::mutation::Mutator;

use super::*;

fn sample() -> Vec<(String, Vec<u8>)> {
    let file = |path: &str, bytes: &[u8]| (path.to_owned(), bytes.to_vec());
    vec![file("tile/entries/000.p/1", b"\0\x01x"), file("tile/0/000.p/1", &[7; 32]), file("checkpoint", b"text\n")]
}

#[test]
fn bytes_and_back() {
    let bytes = encode(&sample());
    assert!(bytes.starts_with(b"assay staging 1\n3 tile/entries/000.p/1\n\0\x01x32 tile/0/000.p/1\n"));
    assert_eq!(parse(&bytes), Ok(sample()));
}

#[test]
fn an_incomplete_file_is_refused() {
    let bytes = encode(&sample());
    for len in 0..bytes.len() {
        assert!(parse(&bytes[..len]).is_err(), "the first {len} bytes");
    }
    assert_eq!(parse(&[&bytes[..], b"x"].concat()), Err(StagingError { at: bytes.len() }));
    assert!(parse(&[&bytes[..], b"0 tile/0/000\n"].concat()).is_err());
}

#[test]
fn only_paths_of_the_log_are_taken() {
    for path in ["../key.pem", "/etc/passwd", "key.pem", "tile/0/../../x", ""] {
        let mut files = sample();
        files[0].0 = path.to_owned();
        assert_eq!(parse(&encode(&files)), Err(StagingError { at: HEADER.len() }), "{path}");
    }
}

#[test]
fn damage_never_panics() {
    Mutator::new(23).each(10_000, &encode(&sample()), |bytes| {
        drop(parse(bytes));
    });
}
