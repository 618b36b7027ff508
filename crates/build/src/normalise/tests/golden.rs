//! Digests that no later version of format 1 may change, of normal forms of recorded archives. Where two builds are
//! recorded, both have the same.

use wire::digest::Digest;

use super::super::{HEAD_BYTES, Kind, NORMALISE_FORMAT, detect};
use super::{recompressing, run_with};

macro_rules! samples {
    ($(($name:literal, $kind:expr, $digest:literal, [$($build:literal),+])),+ $(,)?) => {
        [$(($name, $kind, $digest, &[$(include_bytes!(concat!("../samples/", $build, "/", $name)) as &[u8]),+] as &[&[u8]])),+]
    };
}

type Sample = (&'static str, Kind, &'static str, &'static [&'static [u8]]);

/// Name, kind, digest of the normal form, the builds.
pub(super) const SAMPLES: [Sample; 17] = samples![
    ("A.html", Kind::Javadoc, "a434baba334ab4dc3a6418464a687331f26551ec37145fbd0046a40a7c84c758", ["a", "b"]),
    ("a.jar", Kind::Jar, "18ed6eec2e340f841d27958a9e11d997e9995d49ce22512f2e326879ecb6fe6f", ["a", "b"]),
    ("de.mo", Kind::Mo, "1c944e81fafddc55f5ce27ed7bbeb6ffb5501e77f26ea0bb99ba754687086b7c", ["a", "b"]),
    ("gnu.tar", Kind::Tar, "ea811f01d647d6490c3474c5fbe4a9aa94634337beb15d013822ba05676d4e5e", ["a"]),
    ("gzip.deb", Kind::Deb, "2a872be41457ccd5bea79d4834658142cb454c5f8019d4b029867a7bbc832d8a", ["a", "b"]),
    ("hello.pot", Kind::Po, "e4f68867a41c0748e7dbea8dafda33663dcf427e8b85feb43615e16ff7075794", ["a", "b"]),
    ("info.zip", Kind::Zip, "6546f25154c1c8ecfd870bcf2efa5a619764f8a68c4119cba20b4dab276caf96", ["a", "b"]),
    ("init.cpython-311.pyc", Kind::Pyc, "7cd2abbefe6d8fc049c9ef8d6252139a0e5fde37bf6c8615a425eaa15cfa7838", ["a", "b"]),
    ("lib.a", Kind::Ar, "ca68120a20407d999559617fac7456a1b8467bd8c00595f17eb908f097399cc0", ["a", "b"]),
    ("packed.tar.gz", Kind::TarGz, "9550d57257f118aea0ef37a534c98a2d53b6d91b3ced4c1a1cfe14a0f561b750", ["a", "b"]),
    ("packed.tar.xz", Kind::TarXz, "9117d18454ca51cf4f78416dbcc332f8f18cb3ebd422f68a97621146f70092dd", ["a", "b"]),
    ("pixel.png", Kind::Png, "c12fd0943a1c1b7793e7fa59605e6b3a9fbfcaa84eeeee0bb589492576f70597", ["a", "b"]),
    (
        "pkg-1.0-py3-none-any.whl",
        Kind::Wheel,
        "deef4860fb827ab6fb499e78301072909db49fe4314f3728e799baad7aba95c7",
        ["a", "b"]
    ),
    ("posix.tar", Kind::Tar, "6817bffb63d914d3bd54a0bcd306fb63d81a36a4663ba213d099d3986d7edc84", ["a"]),
    ("text.gz", Kind::Gzip, "8039e9d19d840419f704904ed4cc8b9ec67176a04422ff217d3481e273cecc9d", ["a", "b"]),
    ("ustar.tar", Kind::Tar, "6817bffb63d914d3bd54a0bcd306fb63d81a36a4663ba213d099d3986d7edc84", ["a"]),
    ("xz.deb", Kind::Deb, "feca812ee97621418392a7a76f099e5170be4c4df7bfe6cc908ea19d186ca006", ["a", "b"]),
];

#[test]
fn normal_forms_are_those_of_format_1() {
    assert_eq!(NORMALISE_FORMAT, 1, "another format keeps these digests, and adds its own");
    let mut differs = String::new();
    for (name, kind, digest, builds) in SAMPLES {
        for build in builds {
            assert_eq!(detect(name, &build[..build.len().min(HEAD_BYTES)]), Some(kind), "{name}");
            let (normal, report) = run_with(build, kind, &recompressing()).expect(name);
            assert!(!report.changes.is_empty(), "{name}: the samples are badly packed");
            let found = Digest::of(&normal).hex();
            if found != digest {
                differs.push_str(&format!("{name}: {found}\n"));
            }
        }
    }
    assert!(differs.is_empty(), "{differs}");
}
