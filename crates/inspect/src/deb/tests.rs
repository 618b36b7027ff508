use super::*;

/// An archive of `ar` with these members.
fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for (name, bytes) in members {
        out.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, bytes.len()).as_bytes());
        out.extend(*bytes);
        out.resize(out.len().next_multiple_of(2), b'\n');
    }
    out
}

fn tar(members: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in members {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o755);
        header.set_size(text.len() as u64);
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        tar.append(&header, text.as_bytes()).expect("a vector takes every byte");
    }
    tar.into_inner().expect("a vector takes every byte")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, bytes).expect("a vector takes every byte");
    gzip.finish().expect("a vector takes every byte")
}

fn paths(deb: &Deb<'_>) -> Vec<String> {
    let mut paths = Vec::new();
    let walked = deb.files(&mut |member, _| {
        paths.push(member.path.clone());
        Ok(())
    });
    walked.expect("it is sound");
    paths
}

#[test]
fn files_and_scripts_are_found() {
    let control = gzip(&tar(&[("./control", "Package: x\n"), ("./postinst", "#!/bin/sh\n"), ("./prerm", "no")]));
    let data = tar(&[("./usr/bin/x", "x"), ("./etc/x", "odd")]);
    let bytes = ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &control), ("data.tar", &data)]);
    let deb = Deb::parse(&bytes).expect("it is sound");
    assert_eq!(paths(&deb), ["usr/bin/x", "etc/x"]);
    let scripts = deb.scripts().expect("it is sound");
    assert_eq!(scripts.into_iter().collect::<Vec<_>>(), [("postinst".to_owned(), "#!/bin/sh\n".to_owned())]);
}

#[test]
fn what_is_no_package_is_refused() {
    let (control, data) = (tar(&[("./control", "")]), tar(&[("./x", "")]));
    let good: [(&str, &[u8]); 3] = [("debian-binary", b"2.0\n"), ("control.tar", &control), ("data.tar", &data)];
    let with = |index: usize, name: &'static str, bytes: &'static [u8]| {
        let mut members = good;
        members[index].0 = name;
        if !bytes.is_empty() {
            members[index].1 = bytes;
        }
        ar(&members)
    };
    let mut bad_header = ar(&good);
    bad_header[8 + 58] = b'x';
    let mut bad_size = ar(&good);
    bad_size[8 + 48] = b'-';
    let trailing = [&ar(&good)[..], b"more"].concat();
    for (bytes, expected) in [
        (b"PK".to_vec(), "does not begin as an archive"),
        (with(0, "debian", b""), "no `debian-binary` of version 2"),
        (with(0, "debian-binary", b"3.0\n"), "no `debian-binary` of version 2"),
        (with(1, "data.tar", b""), "do not follow one another"),
        (with(2, "data.tar.lzma", b""), "compressed in a way that is not read"),
        (bad_header, "header is malformed"),
        (bad_size, "header is malformed"),
        (trailing, "something follows"),
        (ar(&good[..2]), "cut off"),
    ] {
        let error = Deb::parse(&bytes).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let whole = ar(&good);
    for length in 0..whole.len() {
        assert!(Deb::parse(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
    }
}

#[test]
fn a_part_that_is_no_archive_is_named() {
    let members: [(&str, &[u8]); 3] = [("debian-binary", b"2.0\n"), ("control.tar.xz", b"no"), ("data.tar.zst", b"no")];
    let bytes = ar(&members);
    let deb = Deb::parse(&bytes).expect("its frame is sound");
    let data = deb.files(&mut |_, _| Ok(())).expect_err("it is no stream");
    assert_eq!(data.to_string(), "reading `data.tar` of the package");
    assert_eq!(deb.scripts().expect_err("it is no stream").to_string(), "reading `control.tar` of the package");
}
