use std::io::Write;

use super::*;

const TEXT: &[u8] = b"one stream of several parts\n";

/// `printf 'one stream of several parts\n' | zstd -19 --no-check` (1.5.4)
const ZSTD: &[u8] = include_bytes!("tests/parts.zst");
/// `printf 'one stream of several parts\n' | xz -9` (5.4.1)
const XZ: &[u8] = include_bytes!("tests/parts.xz");

fn gzip() -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(TEXT).expect("a vector takes every byte");
    gzip.finish().expect("a vector takes every byte")
}

fn unpack(compression: Compression, packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    compression.unpack(packed).read_to_end(&mut out).map(|_| out).map_err(|error| error.to_string())
}

#[test]
fn each_form_gives_its_bytes_also_when_two_streams_follow_one_another() {
    let gzip = gzip();
    for (compression, packed) in
        [(Compression::Plain, TEXT), (Compression::Gzip, &gzip), (Compression::Xz, XZ), (Compression::Zstd, ZSTD)]
    {
        assert_eq!(unpack(compression, packed).as_deref(), Ok(TEXT), "{compression:?}");
        let twice = [packed, packed].concat();
        assert_eq!(unpack(compression, &twice), Ok([TEXT, TEXT].concat()), "{compression:?}");
    }
}

#[test]
fn zstandard_frames_that_hold_nothing_are_passed_over() {
    let skipped = [&0x184D_2A50_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"abc"].concat();
    assert_eq!(unpack(Compression::Zstd, &[&skipped, ZSTD, &skipped].concat()).as_deref(), Ok(TEXT));
    let error = unpack(Compression::Zstd, &skipped[..9]).expect_err("the frame is cut off");
    assert!(error.contains("end of file"), "{error}");
}

#[test]
fn streams_that_are_cut_off_or_go_on_are_refused() {
    let gzip = gzip();
    for (compression, packed) in [(Compression::Gzip, &gzip[..]), (Compression::Xz, XZ), (Compression::Zstd, ZSTD)] {
        for length in 1..packed.len() {
            let unpacked = unpack(compression, &packed[..length]);
            assert!(unpacked.is_err(), "{compression:?}: {length} of {} bytes", packed.len());
        }
        let more = [packed, b"and more, which is no stream"].concat();
        assert!(unpack(compression, &more).is_err(), "{compression:?}");
    }
}
