//! What each rule changes, as people read it.

use std::io::Write;

use expect_test::{Expect, expect};
use flate2::{Compression, GzBuilder};
use tar::EntryType;

use super::super::pyc::source_hash;
use super::super::{Kind, Pyc, Settings, detect};
use super::made::{Chance, Shape, TarMember, ZipMember, field, zip};
use super::{recompressing, run, run_with, settings, shown};

fn check(bytes: &[u8], kind: Kind, expected: &Expect) -> Vec<u8> {
    let (normal, report) = run(bytes, kind);
    expected.assert_eq(&shown(&report));
    normal
}

fn file(path: &str) -> TarMember {
    let content = path.as_bytes().to_vec();
    TarMember { path: path.to_owned(), kind: EntryType::Regular, mode: 0o644, link: None, content }
}

fn hard_link(path: &str, to: &str) -> TarMember {
    TarMember { kind: EntryType::Link, link: Some(to.to_owned()), content: Vec::new(), ..file(path) }
}

const LATER: Chance = Chance { mtime: 1_800_000_000, uid: 1000, name: "alice" };

#[test]
fn tar() {
    let members = [file("b"), hard_link("a", "b")];
    check(
        &made(&members, Shape::Gnu),
        Kind::Tar,
        &expect![[r#"
            b mtime: 1800000000 → 1700000000
            b uid: 1000 → 0
            b gid: 1000 → 0
            b uname: alice → gone
            b gname: alice → gone
            a mtime: 1800000000 → 1700000000
            a uid: 1000 → 0
            a gid: 1000 → 0
            a uname: alice → gone
            a gname: alice → gone
            padding: 1024 → 8704
        "#]],
    );
    check(
        &made(&[file("b")], Shape::Pax),
        Kind::Tar,
        &expect![[r#"
        b pax mtime: 1800000000.000001000 → gone
        b pax ctime: 1.5 → gone
        b pax header name:  → ././@PaxHeader
        b mtime: 1800000000 → 1700000000
        b uid: 1000 → 0
        b gid: 1000 → 0
        b uname: alice → gone
        b gname: alice → gone
        padding: 1024 → 8192
    "#]],
    );
}

fn made(members: &[TarMember], shape: Shape) -> Vec<u8> {
    tar_of(members, shape, LATER)
}

fn tar_of(members: &[TarMember], shape: Shape, chance: Chance) -> Vec<u8> {
    super::made::tar(members, shape, chance)
}

#[test]
fn earlier_times_stay() {
    let earlier = Chance { mtime: 1_600_000_000, uid: 0, name: "" };
    let bytes = tar_of(&[file("a"), file("b")], Shape::Ustar, earlier);
    let (_, report) = run(&bytes, Kind::Tar);
    expect![[r#"
        padding: 1024 → 8192
    "#]]
    .assert_eq(&shown(&report));
}

/// One file whose time and owner stand in GNU's binary form, as what fits into no octal digits does.
#[test]
fn times_and_owners_in_binary() {
    let with = |mtime: i64, uid: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_path("a").expect("it fits");
        header.set_mode(0o644);
        header.set_size(0);
        let bytes = header.as_mut_bytes();
        bytes[108..116].copy_from_slice(&(uid | 1 << 63).to_be_bytes());
        bytes[136..140].fill(if mtime < 0 { 0xff } else { 0 });
        bytes[136] |= 0x80;
        bytes[140..148].copy_from_slice(&mtime.to_be_bytes());
        header.set_cksum();
        [header.as_bytes().as_slice(), &[0; 10_240 - 512]].concat()
    };
    check(
        &with(100_000_000_000, 3_000_000),
        Kind::Tar,
        &expect![[r#"
        a mtime: 100000000000 → 1700000000
        a uid: 3000000 → 0
    "#]],
    );
    check(
        &with(-1, 0),
        Kind::Tar,
        &expect![[r#"
            a mtime: before 1970 → 0
        "#]],
    );
    check(&with(5, 0), Kind::Tar, &expect![[""]]);
}

#[test]
fn libraries_of_bsd_and_gnu_with_long_names() {
    let bsd = [("__.SYMDEF", b"table!".as_slice()), ("#1/20", b"a_long_name_of_bsd.ocode")];
    let gnu = [("/SYM64/", b"table!".as_slice()), ("//", b"a_long_name_of_gnu.o/\n"), ("/0", b"code")];
    check(
        &super::made::ar(&bsd, 5, 1000),
        Kind::Ar,
        &expect![[r#"
        __.SYMDEF mtime: 5 → 0
        __.SYMDEF uid: 1000 → 0
        __.SYMDEF gid: 1000 → 0
        a_long_name_of_bsd.o mtime: 5 → 0
        a_long_name_of_bsd.o uid: 1000 → 0
        a_long_name_of_bsd.o gid: 1000 → 0
    "#]],
    );
    check(
        &super::made::ar(&gnu, 5, 0),
        Kind::Ar,
        &expect![[r#"
        /SYM64 mtime: 5 → 0
        // mtime: 5 → 0
        a_long_name_of_gnu.o mtime: 5 → 0
    "#]],
    );
}

#[test]
fn an_order_with_a_meaning_stays() {
    let twice = tar_of(&[file("b"), file("a"), file("b")], Shape::Ustar, LATER);
    let whiteout = tar_of(&[file("z"), file(".wh.a")], Shape::Ustar, LATER);
    let mut link = file("z");
    (link.kind, link.link, link.content) = (EntryType::Symlink, Some("y".to_owned()), Vec::new());
    let below = tar_of(&[link, file("z/a"), file("b")], Shape::Ustar, LATER);
    let dangling = tar_of(&[hard_link("z", "b"), file("b")], Shape::Ustar, LATER);
    let appliance = tar_of(&[file("z.ovf"), file("a")], Shape::Ustar, LATER);
    let notes: Vec<String> =
        [twice, whiteout, below, dangling, appliance].iter().flat_map(|bytes| run(bytes, Kind::Tar).1.notes).collect();
    expect![[r#"
        the order of the members is kept: `b` stands twice, and the later one counts
        the order of the members is kept: `.wh.a` removes what was there before it
        the order of the members is kept: `z/a` lies below `z`, which is no directory
        the order of the members is kept: `z` is a hard link to nothing before it
        the order of the members is kept: `z.ovf` must stand first in a virtual appliance
    "#]]
    .assert_eq(&(notes.join("\n") + "\n"));
}

/// It held the order in place the first time, and was gone the second time.
#[test]
fn an_empty_global_header_is_gone_before_the_order_is_looked_at() {
    let mut global = tar::Header::new_ustar();
    global.set_entry_type(EntryType::XGlobalHeader);
    global.set_size(11);
    global.set_cksum();
    let global = [global.as_bytes().as_slice(), b"11 mtime=5\n", &[0; 501]].concat();
    let mut bytes = tar_of(&[file("z"), file("a")], Shape::Ustar, LATER);
    bytes.splice(1024..1024, global);
    let (normal, report) = run(&bytes, Kind::Tar);
    assert!(normal.starts_with(b"a\0"), "{}", shown(&report));
    assert_eq!((report.changes.by_field["pax header"], report.notes.len()), (1, 0), "{}", shown(&report));
}

#[test]
fn a_tar_of_a_debian_package_keeps_its_order() {
    let packed = |members: &[TarMember]| {
        let tar = tar_of(members, Shape::Gnu, LATER);
        super::made::ar(&[("debian-binary", b"2.0\n"), ("control.tar", &tar), ("data.tar", &tar)], 1_800_000_000, 1000)
    };
    let (one, two) = (packed(&[file("b"), file("a")]), packed(&[file("a"), file("b")]));
    assert_ne!(run(&one, Kind::Deb).0, run(&two, Kind::Deb).0);
    let (_, report) = run(&one, Kind::Deb);
    assert_eq!(report.changes.by_field.get("order"), None);
    assert!(report.changes.listed.iter().any(|change| change.path == "control.tar/a"), "{}", shown(&report));
}

#[test]
fn gzip() {
    let builder = GzBuilder::new().mtime(5).filename("build-7.txt").comment("kept").operating_system(3);
    let mut encoder = builder.write(Vec::new(), Compression::best());
    encoder.write_all(b"text").expect("to memory");
    let one = encoder.finish().expect("to memory");
    let two = [one.as_slice(), &one].concat();
    check(
        &two,
        Kind::Gzip,
        &expect![[r#"
        name: build-7.txt → gone
        mtime: 5 → 0
        system: 3 → 255
        name: build-7.txt → gone
        mtime: 5 → 0
        system: 3 → 255
    "#]],
    );
    let error = run_with(&two, Kind::Gzip, &recompressing()).expect_err("its members would be one");
    expect!["`gzip`, byte 0: several gzip members, a comment or an extra field would be lost when compressed anew"]
        .assert_eq(&error.to_string());
}

#[test]
fn zip_keeps_what_a_format_wants_first() {
    let member = |name: &str| ZipMember { name: name.to_owned(), ..ZipMember::default() };
    let book = zip(b"", &[member("mimetype"), member("META-INF/container.xml"), member("a")], b"");
    let normal = run(&book, Kind::Zip).0;
    assert_eq!(super::made::zip_members(&normal).1, ["mimetype", "META-INF/container.xml", "a"]);
}

#[test]
fn a_class_path_keeps_its_order() {
    let member = |name: &str| ZipMember { name: name.to_owned(), ..ZipMember::default() };
    let names = ["META-INF/", "BOOT-INF/lib/z.jar", "BOOT-INF/lib/a.jar"];
    let (normal, report) = run(&zip(b"", &names.map(member), b""), Kind::Jar);
    assert_eq!(super::made::zip_members(&normal).1, names);
    assert_eq!(report.changes.by_field.keys().copied().collect::<Vec<_>>(), ["time"]);
    assert!(report.notes[0].contains("class path"), "{:?}", report.notes);
}

#[test]
fn zip_before_1980_is_1980() {
    let member = ZipMember { name: "a".to_owned(), dos: (1, 0x21), ..ZipMember::default() };
    let (_, report) = run_with(&zip(b"", &[member], b""), Kind::Zip, &Settings::at(0)).expect("well-formed");
    expect![[r#"
        a time: 1980-01-01 00:00:02 → 1980-01-01 00:00:00
    "#]]
    .assert_eq(&shown(&report));
}

#[test]
fn zip_extra_fields() {
    let times = field(0x5455, &[1, 0, 0, 0x4a, 0x6b]);
    let owner = field(0x7875, &[1, 4, 0xe8, 3, 0, 0, 4, 0xe8, 3, 0, 0]);
    let extra = [times, owner, field(0xcafe, b"")].concat();
    let member =
        ZipMember { name: "a".to_owned(), local_extra: extra.clone(), central_extra: extra, ..ZipMember::default() };
    check(
        &zip(b"", &[member], b""),
        Kind::Jar,
        &expect![[r#"
        a time: 1980-00-00 00:00:00 → 2023-11-14 22:13:20
        a extra 0x5455: mtime 1800011776 → gone
        a extra 0x7875: 0104e803000004e8030000 → gone
    "#]],
    );
}

const PYC: &[u8] = include_bytes!("../samples/a/init.cpython-311.pyc");

#[test]
fn compiled_python_is_clamped_or_hashed() {
    check(
        PYC,
        Kind::Pyc,
        &expect![[r#"
        source mtime: 1772600767 → 1700000000
    "#]],
    );
    for checked in [true, false] {
        let pyc = Pyc::Hash { checked, source: b"print(1)\n".to_vec() };
        let (normal, report) = run_with(PYC, Kind::Pyc, &Settings { pyc, ..settings() }).expect("well-formed");
        assert_eq!(normal[4..8], [if checked { 3 } else { 1 }, 0, 0, 0]);
        assert_eq!(normal[16..], PYC[16..], "the code stays");
        assert_eq!(report.changes.total(), 1);
    }
    let pyc = Pyc::Hash { checked: true, source: b"print(12)\n".to_vec() };
    let error = run_with(PYC, Kind::Pyc, &Settings { pyc, ..settings() }).expect_err("another source");
    expect!["byte 12: compiled from a source of 9 bytes, but the source given has 10"].assert_eq(&error.to_string());
}

/// What `importlib.util.source_hash(b"print(1)\n")` says in CPython 3.7.16, 3.8.18, 3.10.13, 3.11.7, 3.12.1, 3.13.0.
#[test]
fn sources_are_hashed_as_python_does() {
    let said = [
        (3394, "6d8a2a3c3b0a84c0"),
        (3413, "9bf71decb71ddb20"),
        (3439, "28765e52ed782214"),
        (3495, "da812d7f407a3059"),
        (3531, "bf71f361a5f8cd69"),
        (3571, "5a90791f83be4635"),
    ];
    for (magic, hash) in said {
        let key = u32::from(magic) | 0x0a0d_0000;
        let found: String =
            source_hash(magic, key, b"print(1)\n").to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, hash, "magic number {magic}");
    }
}

#[test]
fn catalogues() {
    check(
        include_bytes!("../samples/a/de.mo"),
        Kind::Mo,
        &expect![[r#"
        PO-Revision-Date: 2026-03-04 19:06+1400 → 2023-11-14 22:13+0000
    "#]],
    );
    check(
        include_bytes!("../samples/a/hello.pot"),
        Kind::Po,
        &expect![[r#"
        POT-Creation-Date: 2026-11-25 22:14+1400 → 2023-11-14 22:13+0000
    "#]],
    );
    let kept = b"msgid \"\"\nmsgstr \"\"\n\"POT-Creation-Date: today\\n\"\n\nmsgid \"POT-Creation-Date: 2026-11-25 08:56+0100\\n\"\nmsgstr \"\"\n\"POT-Creation-Date: 2026-11-25 08:56+0100\\n\"\n";
    check(
        kept,
        Kind::Po,
        &expect![[r#"
        note: `POT-Creation-Date: today` is kept: it is no date as gettext writes it
    "#]],
    );
}

#[test]
fn pages_and_pictures() {
    check(
        include_bytes!("../samples/a/A.html"),
        Kind::Javadoc,
        &expect![[r#"
        generated on: Wed Nov 25 22:14:47 LINT 2026 → gone
        date: 2026-11-25 → 2023-11-14
    "#]],
    );
    check(
        include_bytes!("../samples/a/pixel.png"),
        Kind::Png,
        &expect![[r#"
        tIME time: 2026-03-04T05:06:07 → 2023-11-14T22:13:20
        tEXt date:create: 2026-03-04T05:06:07+00:00 → 2023-11-14T22:13:20+00:00
    "#]],
    );
}

#[test]
fn kinds_are_told_from_bytes_and_name() {
    let cases: [(&str, &[u8], Option<Kind>); 11] = [
        ("dist/a.whl", b"PK\x03\x04", Some(Kind::Wheel)),
        ("A.WAR", b"PK\x05\x06", Some(Kind::Jar)),
        ("a.docx", b"PK\x03\x04", Some(Kind::Zip)),
        ("a.whl", b"no zip", None),
        ("service.jar", b"#!/bin/sh\n", Some(Kind::Jar)),
        ("service.sh", b"#!/bin/sh\n", None),
        ("a.txt.gz", &[0x1f, 0x8b, 8], Some(Kind::Gzip)),
        ("a.crate", &[0x1f, 0x8b, 8], Some(Kind::TarGz)),
        ("a.xz", b"\xfd7zXZ\0", None),
        ("page.html", b"<html><!-- Generated by hand -->", None),
        ("a", b"", None),
    ];
    for (name, head, kind) in cases {
        assert_eq!(detect(name, head), kind, "{name}");
    }
    for kind in Kind::ALL {
        assert_eq!(Kind::named(kind.name()), Some(kind));
    }
}
