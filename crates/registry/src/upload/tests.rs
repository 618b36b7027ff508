use super::*;

fn head(range: Option<(u64, u64)>, length: Option<u64>) -> ChunkHead {
    ChunkHead { range: range.map(|(first, last)| ContentRange { first, last }), length }
}

#[test]
fn a_chunk_continues_where_the_last_one_ended() {
    let check = |received, range, length, expected| assert_eq!(accept(received, head(range, length), 100), expected);
    check(0, None, None, Ok(Expected { exact: None, most: 100 }));
    check(10, None, Some(5), Ok(Expected { exact: Some(5), most: 90 }));
    check(10, Some((10, 14)), Some(5), Ok(Expected { exact: Some(5), most: 90 }));
    check(10, Some((10, 14)), None, Ok(Expected { exact: Some(5), most: 90 }));
    check(10, Some((0, 4)), Some(5), Err(ChunkError::OutOfOrder { start: 0, received: 10 }));
    check(10, Some((11, 14)), Some(4), Err(ChunkError::OutOfOrder { start: 11, received: 10 }));
    check(10, Some((10, 14)), Some(4), Err(ChunkError::Length { range: 5, length: 4 }));
    check(10, Some((10, 100)), None, Err(ChunkError::TooLarge { most: 100 }));
    check(100, None, Some(1), Err(ChunkError::TooLarge { most: 100 }));
    check(200, None, Some(0), Ok(Expected { exact: Some(0), most: 0 }));
}

#[test]
fn ids_are_safe_file_names() {
    let id = UploadId::from_random([0xab; 16]);
    assert_eq!(UploadId::parse(id.as_str()), Some(id));
    for text in ["", "../../../../../../../../../../etc", &"A".repeat(32), &"0".repeat(31), &"0".repeat(33)] {
        assert_eq!(UploadId::parse(text), None, "{text}");
    }
}

#[test]
fn progress_names_the_last_byte() {
    assert_eq!((progress(0), progress(1), progress(1024)), ("0-0".into(), "0-0".into(), "0-1023".into()));
}
