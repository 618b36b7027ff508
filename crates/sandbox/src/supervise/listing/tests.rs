//! Tests of sorted directories, on directories of this process.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use super::*;

fn directory(name: &str, files: impl Iterator<Item = String>) -> PathBuf {
    let place = std::env::temp_dir().join(format!("sandbox-listing-{name}-{}", std::process::id()));
    fs::create_dir_all(&place).expect("a directory");
    files.for_each(|file| fs::write(place.join(file), "").expect("a file"));
    place
}

/// Reads to the end in pieces of `size`; returns the names in order, with the offset after each.
fn read(listings: &mut Listings, opened: &File, size: usize) -> Vec<(String, u64)> {
    let (process, number) = (std::process::id() as pid_t, i64::from(opened.as_raw_fd()));
    let mut names = Vec::new();
    loop {
        let answer = listings.read(process, number, size, Form::Wide).expect("entries");
        listings.advance(process, number, &answer, true).expect("moved on");
        if answer.bytes.is_empty() {
            return names;
        }
        let mut rest = &answer.bytes[..];
        while !rest.is_empty() {
            let (offset, length) =
                (rest[8..16].try_into().map(u64::from_ne_bytes), u16::from_ne_bytes([rest[16], rest[17]]));
            let mut entries = Vec::new();
            parse(&rest[..usize::from(length)], &mut entries);
            names.push((String::from_utf8_lossy(&entries[0].name).into_owned(), offset.expect("eight bytes")));
            rest = &rest[usize::from(length)..];
        }
    }
}

#[test]
fn any_size_of_buffer_gives_the_same_order() {
    let place = directory("order", (0..300).rev().map(|number| format!("{}{number}", "n".repeat(number % 40 + 1))));
    let mut listings = Listings::default();
    let mut all = Vec::new();
    for size in [280, 1000, 1 << 16] {
        let opened = File::open(&place).expect("a directory");
        let names = read(&mut listings, &opened, size);
        assert_eq!(names.len(), 302);
        assert_eq!((names[0].0.as_str(), names[1].0.as_str(), names[301].1), (".", "..", 302));
        assert!(names[2..].windows(2).all(|pair| pair[0].0 < pair[1].0));
        all.push(names);
        assert!(listings.copies.is_empty() && listings.bytes == 0, "dropped at the end");
    }
    assert!(all[0] == all[1] && all[1] == all[2]);
    fs::remove_dir_all(place).expect("removed");
}

#[test]
fn seeking_and_starting_over() {
    let place = directory("seek", (0..50).map(|number| format!("f{number:02}")));
    let mut listings = Listings::default();
    let opened = File::open(&place).expect("a directory");
    let all = read(&mut listings, &opened, 500);
    sys::set_position(opened.as_fd(), all[20].1).expect("sought");
    assert_eq!(read(&mut listings, &opened, 500), all[21..], "the copy is gone, the count holds");
    fs::write(place.join("f00a"), "").expect("a new file");
    sys::set_position(opened.as_fd(), 0).expect("rewound");
    assert_eq!(read(&mut listings, &opened, 500)[3].0, "f00a", "rewinding reads anew");
    fs::remove_dir_all(place).expect("removed");
}

#[test]
fn removing_while_reading_skips_nothing() {
    let place = directory("remove", (0..100).map(|number| format!("f{number:02}")));
    let mut listings = Listings::default();
    let opened = File::open(&place).expect("a directory");
    let (process, number) = (std::process::id() as pid_t, i64::from(opened.as_raw_fd()));
    let mut count = 0;
    loop {
        let answer = listings.read(process, number, 200, Form::Wide).expect("entries");
        listings.advance(process, number, &answer, true).expect("moved on");
        let mut entries = Vec::new();
        parse(&answer.bytes, &mut entries);
        if entries.is_empty() {
            break;
        }
        for entry in entries.iter().filter(|entry| entry.name.starts_with(b"f")) {
            fs::remove_file(place.join(String::from_utf8_lossy(&entry.name).as_ref())).expect("removed");
            count += 1;
        }
    }
    assert_eq!(count, 100);
    fs::remove_dir(place).expect("empty");
}

#[test]
fn narrow_form_and_small_buffers() {
    let entries = vec![Entry { inode: 5, kind: 8, name: b"abcdef"[..].into() }];
    assert_eq!(write(&entries, 0, 31, Form::Narrow), (Vec::new(), 0));
    let (bytes, count) = write(&entries, 7, 32, Form::Narrow);
    assert_eq!((count, bytes.len(), &bytes[18..25], bytes[31], bytes[8]), (1, 32, &b"abcdef\0"[..], 8, 8));
    let place = directory("small", ["long-name".to_owned()].into_iter());
    let opened = File::open(&place).expect("a directory");
    let number = i64::from(opened.as_raw_fd());
    let refused = Listings::default().read(std::process::id() as pid_t, number, 8, Form::Wide);
    assert_eq!(refused.err().and_then(|error| error.raw_os_error()), Some(libc::EINVAL));
    let none = Listings::default().read(std::process::id() as pid_t, 9999, 8, Form::Wide);
    assert_eq!(none.err().and_then(|error| error.raw_os_error()), Some(libc::EBADF));
    fs::remove_dir_all(place).expect("removed");
}

#[test]
fn an_answer_that_was_not_taken_comes_again() {
    let place = directory("again", ["a".to_owned()].into_iter());
    let mut listings = Listings::default();
    let opened = File::open(&place).expect("a directory");
    let (process, number) = (std::process::id() as pid_t, i64::from(opened.as_raw_fd()));
    let first = listings.read(process, number, 48, Form::Wide).expect("entries");
    listings.advance(process, number, &first, false).expect("moved back");
    assert_eq!(sys::position(opened.as_fd()).expect("a position"), 0);
    assert_eq!(read(&mut listings, &opened, 48).len(), 3);
    fs::remove_dir_all(place).expect("removed");
}

#[test]
fn copies_are_bounded() {
    let place = directory("many", (0..3).map(|number| number.to_string()));
    let mut listings = Listings::default();
    let opened: Vec<File> = (0..COPIES_MAX + 10).map(|_| File::open(&place).expect("a directory")).collect();
    for file in &opened {
        listings.read(std::process::id() as pid_t, i64::from(file.as_raw_fd()), 64, Form::Wide).expect("entries");
    }
    assert_eq!(listings.copies.len(), COPIES_MAX);
    listings.end(std::process::id() as pid_t);
    assert!(listings.copies.is_empty() && listings.bytes == 0);
    fs::remove_dir_all(place).expect("removed");
}
