use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// A member as it shall stand in the archive, well-formed or not.
#[derive(Clone)]
struct Raw {
    path: &'static str,
    kind: u8,
    content: Vec<u8>,
    target: &'static str,
    size: Option<u64>,
    mode: u32,
}

fn raw(path: &'static str, kind: u8, content: &str) -> Raw {
    Raw { path, kind, content: content.into(), target: "", size: None, mode: 0o644 }
}

fn file(path: &'static str, content: &str) -> Raw {
    raw(path, b'0', content)
}

fn link(path: &'static str, kind: u8, target: &'static str) -> Raw {
    Raw { target, ..raw(path, kind, "") }
}

fn tar(members: &[Raw]) -> Vec<u8> {
    let mut out = Vec::new();
    for member in members {
        let mut header = tar::Header::new_ustar();
        let bytes = header.as_mut_bytes();
        bytes[..member.path.len()].copy_from_slice(member.path.as_bytes());
        bytes[157..157 + member.target.len()].copy_from_slice(member.target.as_bytes());
        bytes[156] = member.kind;
        header.set_mode(member.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_size(member.size.unwrap_or(member.content.len() as u64));
        header.set_cksum();
        out.extend(header.as_bytes());
        out.extend(&member.content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).expect("a vector takes every byte");
    gzip.finish().expect("a vector takes every byte")
}

fn pax(records: &[(&str, &str)]) -> String {
    let record = |(key, value): &(&str, &str)| {
        let rest = format!(" {key}={value}\n");
        let length = (1..).find(|length: &usize| length.to_string().len() + rest.len() == *length);
        format!("{}{rest}", length.expect("some length counts itself"))
    };
    records.iter().map(record).collect()
}

/// What a layer's reader makes of the members: a line for each, or the error.
fn listed(members: &[Raw]) -> String {
    let mut lines = Vec::new();
    let result = read(&mut tar(members).as_slice(), &Limits::LAYER, &mut |member, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(ArchiveError::Read)?;
        lines.push(format!("{} {:?} {:o}", member.path, member.kind, member.mode));
        Ok(())
    });
    match result {
        Ok(()) => lines.join("; "),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn unpacks_a_crate() {
    let members = [
        raw("a-1.0.0/", b'5', ""),
        file("a-1.0.0/src/lib.rs", "//! a"),
        Raw { mode: 0o755, ..file("a-1.0.0/configure", "#!/bin/sh") },
    ];
    let files = crate_files(&gzip(&tar(&members)), "a-1.0.0/").expect("a crate");
    let shown: Vec<_> = files.iter().map(|one| (one.path.as_str(), one.bytes.len(), one.executable)).collect();
    assert_eq!(shown, [("configure", 9, true), ("src/lib.rs", 5, false)]);
}

#[test]
fn takes_empty_owners_as_cargo_writes_them() {
    let mut bytes = tar(&[file("a-1.0.0/x", "")]);
    bytes[108..124].fill(0);
    let sum: u32 = bytes[..148].iter().chain(&bytes[156..512]).map(|&byte| u32::from(byte)).sum::<u32>() + 8 * 32;
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(crate_files(&gzip(&bytes), "a-1.0.0/").expect("a crate").len(), 1);
}

#[test]
fn refuses_crates_that_reach_out() {
    let cases = [
        (vec![file("b-1.0.0/x", "")], "`b-1.0.0/x` does not lie below `a-1.0.0/`"),
        (vec![file("a-1.0.0.evil/x", "")], "`a-1.0.0.evil/x` does not lie below `a-1.0.0/`"),
        (vec![file("a-1.0.0", "")], "`a-1.0.0` does not lie below `a-1.0.0/`"),
        (vec![file("/a-1.0.0/x", "")], "member 0: `/a-1.0.0/x` is no path inside the archive"),
        (vec![file("a-1.0.0/../x", "")], "member 0: `a-1.0.0/../x` is no path inside the archive"),
        (vec![link("a-1.0.0/x", b'2', "y")], "`a-1.0.0/x` links to `y`, which is not allowed"),
        (
            vec![file("a-1.0.0/y", ""), link("a-1.0.0/x", b'1', "a-1.0.0/y")],
            "`a-1.0.0/x` links to `a-1.0.0/y`, which is not allowed",
        ),
    ];
    for (members, expected) in cases {
        let error = crate_files(&gzip(&tar(&members)), "a-1.0.0/").expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn lists_what_a_layer_may_hold() {
    let members = [
        raw("./", b'5', ""),
        raw("./usr/", b'5', ""),
        raw("usr/", b'5', ""),
        file("usr/lib/libc.so.6", "elf"),
        link("lib", b'2', "usr/lib"),
        link("usr/cc", b'2', "/usr/lib/../gcc"),
        link("usr/again", b'1', "usr/lib/libc.so.6"),
    ];
    assert_eq!(
        listed(&members),
        " Directory 644; usr Directory 644; usr Directory 644; usr/lib/libc.so.6 File { size: 3 } 644; \
         lib Link { target: \"usr/lib\" } 644; usr/cc Link { target: \"/usr/lib/../gcc\" } 644; \
         usr/again HardLink { target: \"usr/lib/libc.so.6\" } 644"
    );
}

#[test]
fn takes_long_names_of_pax_and_gnu() {
    let long = "d/".repeat(60) + "file";
    let from_pax = [raw("pax", b'x', &pax(&[("path", &long), ("mtime", "1.5"), ("size", "2")])), file("short", "hi")];
    let from_gnu = [raw("././@LongLink", b'L', &format!("{long}\0")), file("short", "hi")];
    let link = [raw("././@LongLink", b'K', &format!("{long}\0")), link("l", b'2', "short")];
    assert_eq!(listed(&from_pax), format!("{long} File {{ size: 2 }} 644"));
    assert_eq!(listed(&from_gnu), format!("{long} File {{ size: 2 }} 644"));
    assert_eq!(listed(&link), format!("l Link {{ target: {long:?} }} 644"));
    let comment = [raw("pax", b'g', &pax(&[("comment", "0123")])), file("a", "")];
    assert_eq!(listed(&comment), "a File { size: 0 } 644");
}

#[test]
fn refuses_what_could_be_read_in_two_ways() {
    let cases: Vec<(Vec<Raw>, &str)> = vec![
        (
            vec![raw("pax", b'x', &pax(&[("size", "1024")])), file("a", "hi")],
            "`a` has two sizes: 2 in its header and 1024 in its pax header",
        ),
        (
            vec![raw("pax", b'x', &pax(&[("path", "../b")])), file("a", "")],
            "member 1: `../b` is no path inside the archive",
        ),
        (vec![raw("pax", b'g', &pax(&[("path", "b")])), file("a", "")], "member 0: malformed global pax header"),
        (vec![raw("pax", b'x', "9 path=b"), file("a", "")], "member 0: malformed pax header"),
        (
            vec![raw("pax", b'x', &pax(&[("path", "b"), ("path", "c")])), file("a", "")],
            "member 0: malformed extension: given twice",
        ),
        (vec![raw("pax", b'x', &pax(&[("GNU.sparse.major", "1")])), file("a", "")], "member 0: malformed sparse file"),
        (vec![raw("pax", b'x', &pax(&[("path", "b")]))], "the archive is cut off after 1 members"),
        (vec![file("a", ""), file("a", "")], "`a` stands twice in the archive"),
        (vec![file("a", ""), file("./a", "")], "`a` stands twice in the archive"),
        (vec![link("a", b'2', "b"), raw("a", b'5', "")], "`a` stands twice in the archive"),
        (vec![file("a/b", ""), link("a", b'2', "/etc")], "`a` stands twice in the archive"),
        (vec![link("a", b'2', "/etc"), file("a/passwd", "")], "`a/passwd` lies below something that is no directory"),
        (vec![link("a/b", b'2', "../../etc")], "`a/b` links to `../../etc`, which is not allowed"),
        (vec![link("b", b'1', "a")], "`b` links to `a`, which is not allowed"),
        (vec![link("b", b'1', "../a")], "`b` links to `../a`, which is not allowed"),
        (vec![raw("null", b'3', "")], "`null` is of kind `3`: only files, directories and links are read"),
        (vec![raw("pipe", b'6', "")], "`pipe` is of kind `6`: only files, directories and links are read"),
        (vec![raw("a", b'S', "")], "`a` is of kind `S`: only files, directories and links are read"),
        (vec![raw("d/", b'5', "content")], "member 0: malformed size"),
        (vec![file("a/", "")], "member 0: `a/` is no path inside the archive"),
        (vec![file("a//b", "")], "member 0: `a//b` is no path inside the archive"),
        (vec![file("", "")], "member 0: `` is no path inside the archive"),
    ];
    for (members, expected) in cases {
        assert_eq!(listed(&members), format!("error: {expected}"));
    }
}

#[test]
fn every_header_byte_is_under_the_checksum() {
    let sound = tar(&[file("a", "hi")]);
    for at in 0..512 {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x40;
        let result = read(&mut damaged.as_slice(), &Limits::LAYER, &mut |_, _| Ok(()));
        assert!(result.is_err(), "byte {at}");
    }
}

#[test]
fn refuses_cut_and_lengthened_archives() {
    let sound = tar(&[file("a", "hi")]);
    for length in 0..sound.len() {
        let result = read(&mut &sound[..length], &Limits::LAYER, &mut |_, _| Ok(()));
        assert!(matches!(result, Err(ArchiveError::Truncated(_))), "{length} bytes");
    }
    let mut longer = sound.clone();
    longer.resize(10240, 0);
    assert!(read(&mut longer.as_slice(), &Limits::LAYER, &mut |_, _| Ok(())).is_ok());
    longer.push(1);
    let result = read(&mut longer.as_slice(), &Limits::LAYER, &mut |_, _| Ok(()));
    assert!(matches!(result, Err(ArchiveError::Trailing)));
    let mut two = gzip(&sound);
    two.extend(gzip(&sound));
    assert!(matches!(crate_files(&two, "a"), Err(ArchiveError::Outside { .. } | ArchiveError::Trailing)));
}

#[test]
fn has_limits() {
    let limits = Limits { members_max: 2, bytes_max: 10, links: Links::Refused, specials: false };
    let result = |members: &[Raw]| read(&mut tar(members).as_slice(), &limits, &mut |_, _| Ok(()));
    let three = [file("a", ""), file("b", ""), file("c", "")];
    assert!(matches!(result(&three), Err(ArchiveError::Members(2))));
    assert!(matches!(result(&[file("a", "12345"), file("b", "123456")]), Err(ArchiveError::Bytes(10))));
    assert!(matches!(result(&[Raw { size: Some(11), ..file("a", "") }]), Err(ArchiveError::Bytes(10))));
    assert!(result(&[file("a", "12345"), file("b", "12345")]).is_ok());
    let bomb = gzip(&vec![0; 8 << 20]);
    assert!(matches!(crate_files(&bomb, "a"), Err(ArchiveError::Trailing)));
}

#[test]
fn survives_mutation() {
    let members = [
        raw("pax", b'x', &pax(&[("path", "a-1.0.0/long"), ("size", "2")])),
        file("a-1.0.0/short", "hi"),
        file("a-1.0.0/src/lib.rs", "//! a"),
    ];
    let sound = tar(&members);
    let packed = gzip(&sound);
    let mut random = wire::mutation::Mutator::new(3);
    for _ in 0..3000 {
        let mut seen = 0;
        // Damage inside a header is caught by its checksum, so repair that to reach what lies behind it.
        let mut mutated = random.damage(&sound);
        for block in mutated.chunks_exact_mut(512).take(4).step_by(2) {
            let sum: u32 =
                block.iter().enumerate().map(|(at, &b)| if (148..156).contains(&at) { 32 } else { b.into() }).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let _any = read(&mut mutated.as_slice(), &Limits::LAYER, &mut |member, content| {
            seen += io::copy(content, &mut io::sink()).map_err(ArchiveError::Read)?;
            assert!(!member.path.starts_with('/') && !member.path.split('/').any(|part| part == ".."));
            Ok(())
        });
        assert!(seen <= 1 << 20);
        let _any = crate_files(&random.damage(&packed), "a-1.0.0/");
    }
}
