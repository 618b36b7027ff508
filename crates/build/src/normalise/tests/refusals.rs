//! What is refused, each with what and where.

use std::io::{Cursor, Write};

use expect_test::expect;
use flate2::{Compression, GzBuilder};
use tar::EntryType;

use super::super::{Kind, Limits, NormaliseError, Settings, check as check_only};
use super::golden::SAMPLES;
use super::made::{Chance, Shape, TarMember, ZipMember, ar, field, tar, zip};
use super::{EPOCH, recompressing, run_with, settings, shown};

const SIGNED_JAR: &[u8] = include_bytes!("../samples/a/signed.jar");
const UNSIGNED_RPM: &[u8] = include_bytes!("../samples/a/unsigned.rpm");

fn refused(bytes: &[u8], kind: Kind) -> String {
    match run_with(bytes, kind, &recompressing()) {
        Ok((_, report)) => panic!("taken as {kind:?}: {}", shown(&report)),
        Err(error) => error.to_string(),
    }
}

fn sample(name: &str) -> &'static [u8] {
    SAMPLES.into_iter().find(|sample| sample.0 == name).expect("it is recorded").3[0]
}

/// The refusals of several archives, a line each.
fn lines(archives: &[(&str, Kind, Vec<u8>)]) -> String {
    archives.iter().map(|(name, kind, bytes)| format!("{name}: {}\n", refused(bytes, *kind))).collect()
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(content).expect("to memory");
    encoder.finish().expect("to memory")
}

fn zip_member(name: &str) -> ZipMember {
    ZipMember { name: name.to_owned(), content: b"text".to_vec(), ..ZipMember::default() }
}

#[test]
fn what_is_signed_is_refused_rather_than_broken() {
    let mut deb = sample("gzip.deb").to_vec();
    deb.extend_from_slice(&ar(&[("_gpgorigin", b"signature!")], 1, 0)[8..]);
    let mut rpm = UNSIGNED_RPM.to_vec();
    rpm[96 + 16..96 + 20].copy_from_slice(&268_u32.to_be_bytes());
    let file = |path: &str| TarMember {
        path: path.to_owned(),
        kind: EntryType::Regular,
        mode: 0o644,
        link: None,
        content: b"text".to_vec(),
    };
    let apk = tar(&[file(".SIGN.RSA.builder.rsa.pub")], Shape::Ustar, Chance { mtime: 1, uid: 0, name: "" });
    let (mut android, directory) = (zip(b"", &[], b""), b"APK Sig Block 42");
    android.splice(0..0, directory.iter().copied());
    let start = android.len() - 6;
    android[start..start + 4].copy_from_slice(&16_u32.to_le_bytes());
    let mut picture = sample("pixel.png").to_vec();
    let end = picture.len() - 12;
    let mut crc = flate2::Crc::new();
    crc.update(b"dSIG");
    picture.splice(end..end, [&[0, 0, 0, 0][..], b"dSIG", &crc.sum().to_be_bytes()].concat());
    expect![[r#"
        jar: `META-INF/K.SF` signs the archive, and the signature would not hold any more: normalise before signing
        jar as zip: `META-INF/K.SF` signs the archive, and the signature would not hold any more: normalise before signing
        deb: `_gpgorigin` signs the archive, and the signature would not hold any more: normalise before signing
        rpm: `the package's RSA signature` signs the archive, and the signature would not hold any more: normalise before signing
        rpm without signature: byte 0: the digests of an RPM package cover every time and name in it: have rpmbuild write them normal, with `%use_source_date_epoch_as_buildtime 1`, `%clamp_mtime_to_source_date_epoch 1` and `%_buildhost`
        alpine package: `.SIGN.RSA.builder.rsa.pub` signs the archive, and the signature would not hold any more: normalise before signing
        alpine package, compressed: `.SIGN.RSA.builder.rsa.pub` signs the archive, and the signature would not hold any more: normalise before signing
        android package: `APK Signing Block` signs the archive, and the signature would not hold any more: normalise before signing
        nuget package: `.signature.p7s` signs the archive, and the signature would not hold any more: normalise before signing
        document: `_xmlsignatures/sig1.xml` signs the archive, and the signature would not hold any more: normalise before signing
        picture: `chunk dSIG` signs the archive, and the signature would not hold any more: normalise before signing
    "#]].assert_eq(&lines(&[
        ("jar", Kind::Jar, SIGNED_JAR.to_vec()),
        ("jar as zip", Kind::Zip, SIGNED_JAR.to_vec()),
        ("deb", Kind::Deb, deb),
        ("rpm", Kind::Rpm, rpm),
        ("rpm without signature", Kind::Rpm, UNSIGNED_RPM.to_vec()),
        ("alpine package", Kind::Tar, apk.clone()),
        ("alpine package, compressed", Kind::Gzip, gzipped(&apk)),
        ("android package", Kind::Zip, android),
        ("nuget package", Kind::Zip, zip(b"", &[zip_member("a"), zip_member(".signature.p7s")], b"")),
        ("document", Kind::Zip, zip(b"", &[zip_member("_xmlsignatures/sig1.xml")], b"")),
        ("picture", Kind::Png, picture),
    ]));
}

#[test]
fn every_archive_cut_off_anywhere_is_refused() {
    for (name, kind, _, builds) in SAMPLES {
        let whole = builds[0];
        let text = matches!(kind, Kind::Po | Kind::Pyc); // nothing in them tells where they end
        let step = (whole.len() / 40).max(1);
        for length in (0..whole.len()).step_by(step).filter(|_| !text) {
            // A tar's padding may be cut down to its end mark; a page's body is not looked at.
            match run_with(&whole[..length], kind, &recompressing()) {
                Ok(_) if matches!(kind, Kind::Tar | Kind::Javadoc) => {
                    assert!(length > whole.len() / 8, "{name} of {length} bytes was taken");
                }
                Ok(_) if kind == Kind::Ar => {
                    // Between two members, a shorter library is a library.
                    assert!(length == 8 || length.is_multiple_of(2), "{name} of {length} bytes was taken");
                }
                Ok((_, report)) => panic!("{name} of {length} bytes was taken: {}", shown(&report)),
                Err(error) => assert!(error.to_string().contains("byte "), "{name} of {length} bytes: {error}"),
            }
        }
    }
}

#[test]
fn zips_that_can_be_read_in_two_ways_are_refused() {
    let plain = || vec![zip_member("a"), zip_member("b")];
    let edited = |from: &[u8], to: &[u8], nth: usize| {
        let mut bytes = zip(b"", &plain(), b"");
        let places: Vec<usize> = (0..bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
        bytes.splice(places[nth]..places[nth] + from.len(), to.iter().copied());
        bytes
    };
    let mut encrypted = zip(b"", &[zip_member("a")], b"");
    let central = encrypted.windows(4).position(|window| window == b"PK\x01\x02").expect("a directory");
    encrypted[6] |= 1;
    encrypted[central + 8] |= 1;
    let mut method = zip(b"", &[zip_member("a")], b"");
    method[8] = 12;
    method[central + 10] = 12;
    let mut front = zip(b"", &plain(), b"");
    front.splice(0..0, *b"junk");
    let mut described = zip_member("a");
    described.descriptor = 16;
    let mut descriptor = zip(b"", &[described], b"");
    descriptor[30 + 1 + 4 + 4] ^= 1;
    let aligned = ZipMember { local_extra: field(0xd935, &[4, 0]), ..zip_member("a") };
    let twice = ZipMember { local_extra: [field(1, b""), field(1, b"")].concat(), ..zip_member("a") };
    let torn = ZipMember { central_extra: vec![0, 0, 9], ..zip_member("a") };
    expect![[r#"
        a name twice: `a`, byte 35: the name stands twice
        two names: `a`, byte 0: the directory calls the member otherwise than its header
        two methods: `a`, byte 0: method or flags in the directory are not those of the member's header
        two checksums: `a`, byte 0: checksum or sizes in the directory are not those of the member's header
        another content: `b`, byte 35: the content does not have its checksum and size
        a hidden member: byte 168: the directory does not lie where the end says: bytes were put in front of or into the archive
        two ends: byte 164: two ends of a zip directory
        bytes in front: byte 168: the directory does not lie where the end says: bytes were put in front of or into the archive
        bytes behind: byte 190: no end of a zip directory: cut off, or bytes after the archive
        encrypted: `a`, byte 0: an encrypted or patched member: a password is checked against its time
        another method: `a`, byte 0: compression method 12: only stored and deflated members are read
        descriptor: `a`, byte 35: the descriptor contradicts the directory
        aligned: `a`, byte 0: the member is aligned (zipalign), and would not be any more: normalise before aligning
        extra twice: `a`, byte 0: the extra field 0x0001 stands twice
        extra torn: `a`, byte 35: malformed extra field
        empty: byte 0: no end of a zip directory: cut off, or bytes after the archive
    "#]].assert_eq(&lines(&[
        ("a name twice", Kind::Zip, zip(b"", &[zip_member("a"), zip_member("a")], b"")),
        ("two names", Kind::Zip, edited(b"a", b"c", 0)),
        ("two methods", Kind::Zip, edited(b"\x14\0\0\0\0\0", b"\x14\0\0\0\x08\0", 0)),
        ("two checksums", Kind::Zip, edited(b"\x04\0\0\0\x04\0\0\0", b"\x05\0\0\0\x04\0\0\0", 0)),
        ("another content", Kind::Zip, edited(b"text", b"test", 1)),
        ("a hidden member", Kind::Zip, edited(b"text", b"texttext", 0)),
        ("two ends", Kind::Zip, zip(b"", &plain(), &zip(b"", &[], b""))),
        ("bytes in front", Kind::Zip, front),
        ("bytes behind", Kind::Zip, [zip(b"", &plain(), b""), b"junk".to_vec()].concat()),
        ("encrypted", Kind::Zip, encrypted),
        ("another method", Kind::Zip, method),
        ("descriptor", Kind::Zip, descriptor),
        ("aligned", Kind::Zip, zip(b"", &[aligned], b"")),
        ("extra twice", Kind::Zip, zip(b"", &[twice], b"")),
        ("extra torn", Kind::Zip, zip(b"", &[torn], b"")),
        ("empty", Kind::Zip, Vec::new()),
    ]));
}

/// A tar of one file behind the given headers, each a type flag and a content.
fn headed(headers: &[(u8, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, content) in headers {
        let mut header = tar::Header::new_ustar();
        header.set_path("h").expect("it fits");
        header.set_entry_type(EntryType::new(*kind));
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).expect("to memory");
    }
    builder.into_inner().expect("to memory")
}

#[test]
fn tars_that_can_be_read_in_two_ways_are_refused() {
    let mut trailing = headed(&[(b'0', b"text")]);
    trailing.extend_from_slice(b"more");
    let mut prefixed = tar::Header::new_gnu();
    prefixed.set_path("h").expect("it fits");
    prefixed.set_size(0);
    prefixed.as_mut_bytes()[380..383].copy_from_slice(b"dir");
    prefixed.set_cksum();
    let prefixed = [prefixed.as_bytes().as_slice(), &[0; 1024]].concat();
    let unversioned = |kind: u8, prefix: &[u8]| {
        let mut bytes = headed(&[(kind, b"6 a=b\n"), (b'0', b"text")]);
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&bytes[..512]);
        header.as_mut_bytes()[263..265].copy_from_slice(b"0a");
        header.as_mut_bytes()[345..345 + prefix.len()].copy_from_slice(prefix);
        header.set_cksum();
        bytes[..512].copy_from_slice(header.as_bytes());
        bytes
    };
    let mut half_end = headed(&[(b'0', b"text")]);
    half_end.truncate(half_end.len() - 512);
    expect![[r#"
        two names: `h`, byte 0: a prefix in GNU's format, which has none: programs read two names in it
        extension or member: `h`, byte 0: an extension header in a format without any: programs read a member in it
        prefix or none: `h`, byte 0: a prefix in a format of an unknown version: programs read two names in it
        not a tar: byte 0: no header stands here: its checksum is wrong
        after the end: byte 1024: the archive goes on after its end mark
        half an end: byte 1024: the archive has no whole end mark
        two sizes: `h`, byte 1536: two sizes: 4 in its header and 2 in its pax header
        size in words: `h`, byte 1536: malformed size in a pax header
        a key twice: `h`, byte 1536: a pax header says `a` twice
        time in words: `h`, byte 0: malformed time in a pax header
        two pax headers: byte 2048: two extension headers of one kind stand before one member
        global path: byte 1024: a global header that names or sizes members
        header without member: byte 1024: the end mark stands after an extension header
        sparse: `h`, byte 1536: a sparse file, whose name in the header holds a process id: make the archive without `--sparse`
        old sparse: `h`, byte 512: a sparse file in GNU's old format: make the archive without `--sparse`
        volume: `h`, byte 512: a member of kind `V`, which no rule covers
        link with content: `h`, byte 512: a link, directory or device with content
    "#]].assert_eq(&lines(&[
        ("two names", Kind::Tar, prefixed),
        ("extension or member", Kind::Tar, unversioned(b'x', b"")),
        ("prefix or none", Kind::Tar, unversioned(b'0', b"dir")),
        ("not a tar", Kind::Tar, vec![1; 1024]),
        ("after the end", Kind::Tar, trailing),
        ("half an end", Kind::Tar, half_end),
        ("two sizes", Kind::Tar, headed(&[(b'x', b"9 size=2\n"), (b'0', b"text")])),
        ("size in words", Kind::Tar, headed(&[(b'x', b"11 size=-1\n"), (b'0', b"text")])),
        ("a key twice", Kind::Tar, headed(&[(b'x', b"6 a=b\n6 a=b\n"), (b'0', b"text")])),
        ("time in words", Kind::Tar, headed(&[(b'x', b"14 mtime=noon\n"), (b'0', b"text")])),
        ("two pax headers", Kind::Tar, headed(&[(b'x', b"6 a=b\n"), (b'x', b"6 a=b\n"), (b'0', b"text")])),
        ("global path", Kind::Tar, headed(&[(b'g', b"9 path=a\n"), (b'0', b"text")])),
        ("header without member", Kind::Tar, headed(&[(b'x', b"6 a=b\n")])),
        ("sparse", Kind::Tar, headed(&[(b'x', b"22 GNU.sparse.major=1\n"), (b'0', b"text")])),
        ("old sparse", Kind::Tar, headed(&[(b'S', b"text")])),
        ("volume", Kind::Tar, headed(&[(b'V', b"")])),
        ("link with content", Kind::Tar, headed(&[(b'2', b"text")])),
    ]));
}

#[test]
fn other_damage_is_refused() {
    let pyc = sample("init.cpython-311.pyc");
    let magic = |magic: u16| [&magic.to_le_bytes(), &pyc[2..]].concat();
    let flags = |flags: u8| [&pyc[..4], &[flags], &pyc[5..]].concat();
    let gz = sample("text.gz");
    let mut flipped = gz.to_vec();
    let checksum = flipped.len() - 8;
    flipped[checksum] ^= 1;
    let mut zstd = ar(&[("debian-binary", b"2.0\n"), ("control.tar.zst", b"....")], 1, 0);
    let mo = sample("de.mo");
    expect![[r#"
        gzip checksum: byte 28: the content does not have its checksum and size
        after gzip: byte 36: neither a gzip member nor the end stands here
        no tar inside: byte 0: the archive is cut off here
        after xz: byte 0: the xz stream cannot be unpacked after 10240 bytes: invalid data after stream
        thin library: byte 0: a thin archive holds no members, only paths to them: make it without `T`
        library size: `a/`, byte 8: malformed size
        zstd in deb: `control.tar.zst`, byte 72: this compression is not read: build with `dpkg-deb -Zxz` or `-Zgzip`
        deb of what: `other`, byte 72: no member of a Debian package
        deb without data: byte 72: a package holds `debian-binary`, `control.tar` and `data.tar`; this holds ["debian-binary"]
        python 3.6: byte 0: magic number 3379 is of no Python since 3.7
        python 2.7: byte 0: magic number 62211 is of no Python since 3.7
        pyc flags: byte 4: flags 0x2 are of no Python
        no catalogue: byte 0: no `msgid` in it
        catalogue string: byte 4294967295: a string reaches beyond the end
        no javadoc: byte 0: javadoc did not generate this page
        page without head: byte 0: the page's head has no end
        after picture: byte 135: bytes after the end of the picture
        no rpm: byte 0: no RPM package begins like this
    "#]].assert_eq(&lines(&[
        ("gzip checksum", Kind::Gzip, flipped),
        ("after gzip", Kind::Gzip, [gz, b"junk and more"].concat()),
        ("no tar inside", Kind::TarGz, gz.to_vec()),
        ("after xz", Kind::TarXz, [sample("packed.tar.xz"), b"junk"].concat()),
        ("thin library", Kind::Ar, b"!<thin>\n".to_vec()),
        ("library size", Kind::Ar, String::from_utf8_lossy(&ar(&[("a/", b"")], 1, 0)).replace("0         `", "x         `").into_bytes()),
        ("zstd in deb", Kind::Deb, std::mem::take(&mut zstd)),
        ("deb of what", Kind::Deb, ar(&[("debian-binary", b"2.0\n"), ("other", b"")], 1, 0)),
        ("deb without data", Kind::Deb, ar(&[("debian-binary", b"2.0\n")], 1, 0)),
        ("python 3.6", Kind::Pyc, magic(3379)),
        ("python 2.7", Kind::Pyc, magic(62211)),
        ("pyc flags", Kind::Pyc, flags(2)),
        ("no catalogue", Kind::Po, b"text".to_vec()),
        ("catalogue string", Kind::Mo, [&mo[..32], &[0xff; 8], &mo[40..]].concat()),
        ("no javadoc", Kind::Javadoc, b"<html></head>".to_vec()),
        ("page without head", Kind::Javadoc, b"<!-- Generated by javadoc -->".to_vec()),
        ("after picture", Kind::Png, [sample("pixel.png"), b"junk"].concat()),
        ("no rpm", Kind::Rpm, b"text".to_vec()),
    ]));
}

#[test]
fn limits_hold() {
    let limited = |name: &str, limits: Limits| {
        let (_, kind, _, builds) = SAMPLES.into_iter().find(|sample| sample.0 == name).expect("it is recorded");
        let error = run_with(builds[0], kind, &Settings { limits, ..recompressing() }).expect_err("a limit");
        assert!(matches!(error, NormaliseError::Limit { .. }), "{error}");
        format!("{name}: {error}\n")
    };
    let few = Limits { members_max: 1, ..Limits::default() };
    let small = Limits { bytes_max: 30, ..Limits::default() };
    let memory = Limits { memory_bytes_max: 32, ..Limits::default() };
    let mut text = String::new();
    for name in ["gnu.tar", "a.jar", "lib.a"] {
        text += &limited(name, few.clone());
    }
    for name in ["gnu.tar", "a.jar", "text.gz"] {
        text += &limited(name, small.clone());
    }
    for name in ["packed.tar.gz", "packed.tar.xz", "gzip.deb", "pixel.png", "de.mo", "a.jar"] {
        text += &limited(name, memory.clone());
    }
    expect![[r#"
        gnu.tar: `sub/link`, byte 512: more than 1 members
        a.jar: byte 297: more than 1 members
        lib.a: `//`, byte 88: more than 1 members
        gnu.tar: byte 30: more than 30 bytes
        a.jar: byte 30: more than 30 bytes
        text.gz: byte 30: more than 30 bytes
        packed.tar.gz: byte 293: more than 32 bytes unpacked
        packed.tar.xz: byte 32: more than 32 bytes in memory
        gzip.deb: `control.tar.gz`, byte 72: more than 32 bytes in memory
        pixel.png: byte 32: more than 32 bytes in memory
        de.mo: byte 32: more than 32 bytes in memory
        a.jar: byte 297: more than 32 bytes of directory
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_bomb_is_refused_by_its_ratio() {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    for _ in 0..260 {
        encoder.write_all(&vec![0; 1 << 20]).expect("to memory");
    }
    let bomb = encoder.finish().expect("to memory");
    let error = refused(&bomb, Kind::Gzip);
    assert!(error.contains("more than 200 times its packed size"), "{error}");
}

#[test]
fn compressed_content_changes_only_when_asked() {
    for name in ["packed.tar.gz", "packed.tar.xz", "gzip.deb", "xz.deb"] {
        let (_, kind, _, builds) = SAMPLES.into_iter().find(|sample| sample.0 == name).expect("it is recorded");
        let error = run_with(builds[0], kind, &settings()).expect_err("it was not asked");
        assert!(matches!(error, NormaliseError::Recompress { .. }), "{error}");
        let report = check_only(&mut Cursor::new(builds[0]), kind, &settings()).expect("it is told");
        assert!(report.changes.by_field.contains_key("mtime"), "{name}: {}", shown(&report));
        assert!(report.notes.iter().any(|note| note.contains("compressed anew")), "{name}: {:?}", report.notes);
        let (normal, _) = run_with(builds[0], kind, &recompressing()).expect("asked");
        // What is normal needs no permission.
        assert!(run_with(&normal, kind, &Settings::at(EPOCH)).expect("normal").0 == normal, "{name}");
    }
}
