//! Which rules an archive falls under.

use super::javadoc;

/// The kinds of archives and files that have rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A tar, uncompressed.
    Tar,
    /// Something compressed with gzip; what it holds is not looked at.
    Gzip,
    /// A tar compressed with gzip.
    TarGz,
    /// A tar compressed with xz.
    TarXz,
    /// A zip without an order of its own.
    Zip,
    /// A zip whose manifest stands first.
    Jar,
    /// A zip whose `RECORD` stands last.
    Wheel,
    /// A static library.
    Ar,
    /// A Debian package.
    Deb,
    /// An RPM package; always refused, with the reason.
    Rpm,
    /// Compiled Python.
    Pyc,
    /// A compiled gettext catalogue.
    Mo,
    /// A gettext catalogue or template.
    Po,
    /// A page that javadoc generated.
    Javadoc,
    /// A PNG picture.
    Png,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 15] = [
        Kind::Tar,
        Kind::Gzip,
        Kind::TarGz,
        Kind::TarXz,
        Kind::Zip,
        Kind::Jar,
        Kind::Wheel,
        Kind::Ar,
        Kind::Deb,
        Kind::Rpm,
        Kind::Pyc,
        Kind::Mo,
        Kind::Po,
        Kind::Javadoc,
        Kind::Png,
    ];

    /// Returns its name in `assay.toml` and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Tar => "tar",
            Kind::Gzip => "gzip",
            Kind::TarGz => "tar.gz",
            Kind::TarXz => "tar.xz",
            Kind::Zip => "zip",
            Kind::Jar => "jar",
            Kind::Wheel => "wheel",
            Kind::Ar => "ar",
            Kind::Deb => "deb",
            Kind::Rpm => "rpm",
            Kind::Pyc => "pyc",
            Kind::Mo => "mo",
            Kind::Po => "po",
            Kind::Javadoc => "javadoc",
            Kind::Png => "png",
        }
    }

    /// Returns the kind of a name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How much of a file's beginning [`detect`] looks at.
pub const HEAD_BYTES: usize = 8 * 1024;

/// Tells the kind of a file from its name and the first [`HEAD_BYTES`] of its bytes. The bytes decide; the name tells
/// apart what has the same bytes (a jar and a wheel are both zip), and both must agree where only the name is special.
pub fn detect(name: &str, head: &[u8]) -> Option<Kind> {
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    // A start script may stand in front of a zip: then only the name says that one follows.
    let script = head.starts_with(b"#!") && ends(&[".zip", ".pyz", ".whl", ".jar", ".war", ".ear"]);
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") || script {
        return Some(match () {
            () if ends(&[".whl"]) => Kind::Wheel,
            () if ends(&[".jar", ".war", ".ear"]) => Kind::Jar,
            () => Kind::Zip,
        });
    }
    if head.starts_with(b"!<arch>\n") {
        return Some(if head[8..].starts_with(b"debian-binary") { Kind::Deb } else { Kind::Ar });
    }
    match () {
        () if head.starts_with(&[0x1f, 0x8b]) => {
            Some(if ends(&[".tar.gz", ".tgz", ".crate"]) { Kind::TarGz } else { Kind::Gzip })
        }
        () if head.starts_with(b"\xfd7zXZ\0") => ends(&[".tar.xz", ".txz"]).then_some(Kind::TarXz),
        () if head.starts_with(&[0xed, 0xab, 0xee, 0xdb]) => Some(Kind::Rpm),
        () if head.starts_with(b"\x89PNG\r\n\x1a\n") => Some(Kind::Png),
        () if head.starts_with(&[0xde, 0x12, 0x04, 0x95]) || head.starts_with(&[0x95, 0x04, 0x12, 0xde]) => {
            Some(Kind::Mo)
        }
        () if head.get(257..262) == Some(b"ustar") => Some(Kind::Tar),
        () if ends(&[".tar"]) && head.len() >= 512 => Some(Kind::Tar),
        () if ends(&[".pyc"]) && head.get(2..4) == Some(b"\r\n") => Some(Kind::Pyc),
        () if ends(&[".po", ".pot"]) => Some(Kind::Po),
        () if ends(&[".html", ".htm"]) && javadoc::is_generated(head) => Some(Kind::Javadoc),
        () => None,
    }
}
