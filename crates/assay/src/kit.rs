//! The offline kit: one file with an artifact, its statements, and whom their signers trusted. `docs/formats/kit.md`.
//!
//! A tar archive of plain files. The first is the index; it fixes every other byte of the archive, so that a reader needs no
//! tar library and nothing in the file is unchecked:
//!
//! ```text
//! index.json               {"members":[{"digest":"sha256:…","path":"…","size":812345},…],"subject":"sha256:…","version":1}
//! blobs/sha256-HEX         the artifact's file; or manifest, configuration and layers
//! statements/sha256-HEX.sigstore.json
//! trust.json               of the home that exported it
//! trusted_root.json        the same for stock clients
//! ```

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use wire::digest::{Algorithm, Digest, Hasher};
use wire::jcs;

/// Version of the index.
const VERSION: u32 = 1;
/// Path of the index.
const INDEX: &str = "index.json";
/// Path of the trust of the home that exported it.
pub(crate) const TRUST: &str = "trust.json";
/// Path of the trusted root for stock clients.
pub(crate) const TRUSTED_ROOT: &str = "trusted_root.json";
/// The largest index.
const INDEX_SIZE_MAX: u64 = 4 << 20;
/// The most members.
const MEMBERS_MAX: usize = 10_000;
/// The largest kit, all members together.
const SIZE_MAX: u64 = 64 << 30;
/// The largest member of a ustar archive.
const MEMBER_SIZE_MAX: u64 = (1 << 33) - 1;
/// The most bytes that are held in memory, all small members together.
const HELD_MAX: u64 = 256 << 20;
/// The largest member that is held in memory: a bundle, a manifest, a trust file.
const SMALL_MAX: u64 = 24 << 20;
const BLOCK: usize = 512;

/// What a kit holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Index {
    version: u32,
    /// Digest of the file, or of the image's manifest.
    pub(crate) subject: Digest,
    /// Every other file of the archive, in its order: by path.
    pub(crate) members: Vec<Member>,
}

/// A file of a kit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    pub(crate) path: String,
    pub(crate) digest: Digest,
    /// Bytes.
    pub(crate) size: u64,
}

/// What is wrong with a kit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KitError {
    /// It could not be read or written.
    #[error("`{0}`")]
    Io(String, #[source] io::Error),
    /// The index is none.
    #[error("`index.json` is no index of a kit: {0}")]
    Index(String),
    /// A member is not what the index says.
    #[error("`{0}` was changed: {1}")]
    Changed(String, &'static str),
    /// Larger than a kit may be.
    #[error("`{0}` passes the limit of {1}")]
    Limit(String, u64),
}

/// A kit whose every byte is what its index says.
#[derive(Debug)]
pub(crate) struct Kit {
    pub(crate) index: Index,
    small: BTreeMap<String, Vec<u8>>,
}

impl Member {
    /// A blob of the artifact.
    pub(crate) fn blob(digest: Digest, size: u64) -> Member {
        Member { path: blob_path(&digest), digest, size }
    }

    /// A statement's bundle.
    pub(crate) fn statement(bundle: &[u8]) -> Member {
        let digest = Digest::of(bundle);
        Member { path: statement_path(&digest), digest, size: bundle.len() as u64 }
    }

    /// A file with a fixed name.
    pub(crate) fn file(path: &str, bytes: &[u8]) -> Member {
        Member { path: path.to_owned(), digest: Digest::of(bytes), size: bytes.len() as u64 }
    }

    /// Whether it has the one path that its digest allows: no path leads anywhere.
    fn is_in_place(&self) -> bool {
        let of_digest = self.path == blob_path(&self.digest) || self.path == statement_path(&self.digest);
        self.digest.algorithm() == "sha256" && (of_digest || self.path == TRUST || self.path == TRUSTED_ROOT)
    }
}

/// Where a blob lies.
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}-{}", digest.algorithm(), digest.hex())
}

fn statement_path(digest: &Digest) -> String {
    format!("statements/{}-{}.sigstore.json", digest.algorithm(), digest.hex())
}

impl Index {
    /// An index of members in any order.
    pub(crate) fn new(subject: Digest, mut members: Vec<Member>) -> Result<Index, KitError> {
        members.sort_by(|a, b| a.path.cmp(&b.path));
        let index = Index { version: VERSION, subject, members };
        index.check()?;
        Ok(index)
    }

    /// Reads an index, which has one form only.
    fn parse(json: &[u8]) -> Result<Index, KitError> {
        let index: Index = serde_json::from_slice(json).map_err(|error| KitError::Index(error.to_string()))?;
        if index.version != VERSION {
            return Err(KitError::Index(format!("its version is {}, this program reads {VERSION}", index.version)));
        }
        index.check()?;
        if jcs::to_vec(&index) != json {
            return Err(KitError::Index("it is not in canonical form".to_owned()));
        }
        Ok(index)
    }

    fn check(&self) -> Result<(), KitError> {
        if self.members.len() > MEMBERS_MAX {
            return Err(KitError::Limit("members".to_owned(), MEMBERS_MAX as u64));
        }
        let mut total = 0_u64;
        for member in &self.members {
            if !member.is_in_place() {
                return Err(KitError::Index(format!("`{}` is no path of a kit for {}", member.path, member.digest)));
            }
            total = total.saturating_add(member.size);
            if member.size > MEMBER_SIZE_MAX || total > SIZE_MAX {
                return Err(KitError::Limit(member.path.clone(), MEMBER_SIZE_MAX.min(SIZE_MAX)));
            }
        }
        if !self.members.is_sorted_by(|a, b| a.path < b.path) {
            return Err(KitError::Index("its members are not in order, or one is there twice".to_owned()));
        }
        let subject = blob_path(&self.subject);
        for needed in [subject.as_str(), TRUST, TRUSTED_ROOT] {
            if !self.members.iter().any(|member| member.path == needed) {
                return Err(KitError::Index(format!("it lacks `{needed}`")));
            }
        }
        Ok(())
    }
}

impl Kit {
    /// The bytes of a small member.
    pub(crate) fn read(&self, path: &str) -> Option<&[u8]> {
        self.small.get(path).map(Vec::as_slice)
    }

    /// The blobs that are there.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Member> {
        self.index.members.iter().filter(|member| member.path.starts_with("blobs/"))
    }

    /// The statements' bundles.
    pub(crate) fn bundles(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.small
            .iter()
            .filter(|(path, _)| path.starts_with("statements/"))
            .map(|(path, bytes)| (path.as_str(), &**bytes))
    }

    /// Reads a kit to its last byte. Blobs are digested as they pass; only what is small is held.
    pub(crate) fn parse(from: &mut dyn Read) -> Result<Kit, KitError> {
        let index = read_index(from)?;
        let mut small = BTreeMap::new();
        let mut held = 0;
        for member in &index.members {
            expect(from, &header(&member.path, member.size), &member.path, "its header is another")?;
            if let Some(bytes) = read_member(from, member)? {
                held += member.size;
                if held > HELD_MAX {
                    return Err(KitError::Limit("statements".to_owned(), HELD_MAX));
                }
                small.insert(member.path.clone(), bytes);
            }
        }
        expect(from, &[0; 2 * BLOCK], "the end", "it is not two empty blocks")?;
        let mut more = [0];
        match from.read(&mut more) {
            Ok(0) => Ok(Kit { index, small }),
            Ok(_) => Err(KitError::Changed("the end".to_owned(), "something follows it")),
            Err(error) => Err(KitError::Io("the end".to_owned(), error)),
        }
    }
}

/// Writes a kit. `open` gives the bytes of a member.
pub(crate) fn write(
    index: &Index,
    to: &mut dyn Write,
    open: &mut dyn FnMut(&Member) -> io::Result<Box<dyn Read>>,
) -> Result<(), KitError> {
    let json = jcs::to_vec(index);
    if json.len() as u64 > INDEX_SIZE_MAX {
        return Err(KitError::Limit(INDEX.to_owned(), INDEX_SIZE_MAX));
    }
    let failed = |path: &str| {
        let path = path.to_owned();
        move |error| KitError::Io(path, error)
    };
    to.write_all(&header(INDEX, json.len() as u64)).map_err(failed(INDEX))?;
    to.write_all(&json).map_err(failed(INDEX))?;
    to.write_all(padding(json.len() as u64)).map_err(failed(INDEX))?;
    for member in &index.members {
        let mut bytes = open(member).map_err(failed(&member.path))?.take(member.size + 1);
        to.write_all(&header(&member.path, member.size)).map_err(failed(&member.path))?;
        if io::copy(&mut bytes, to).map_err(failed(&member.path))? != member.size {
            return Err(KitError::Changed(member.path.clone(), "it has another size"));
        }
        to.write_all(padding(member.size)).map_err(failed(&member.path))?;
    }
    to.write_all(&[0; 2 * BLOCK]).map_err(failed("the end"))
}

fn read_index(from: &mut dyn Read) -> Result<Index, KitError> {
    let mut block = [0; BLOCK];
    from.read_exact(&mut block).map_err(|error| KitError::Io(INDEX.to_owned(), error))?;
    let size = block.get(124..135).and_then(|octal| std::str::from_utf8(octal).ok());
    let size = size.and_then(|octal| u64::from_str_radix(octal, 8).ok()).filter(|size| *size <= INDEX_SIZE_MAX);
    let size = size.ok_or_else(|| KitError::Index("the file does not begin with one".to_owned()))?;
    if block != header(INDEX, size) {
        return Err(KitError::Changed(INDEX.to_owned(), "its header is another"));
    }
    let mut json = Vec::new();
    from.take(size).read_to_end(&mut json).map_err(|error| KitError::Io(INDEX.to_owned(), error))?;
    let index = Index::parse(&json)?;
    expect(from, padding(size), INDEX, "what fills its last block is not empty")?;
    Ok(index)
}

/// Reads a member and what fills its last block; returns its bytes if it is small.
fn read_member(from: &mut dyn Read, member: &Member) -> Result<Option<Vec<u8>>, KitError> {
    let failed = |error| KitError::Io(member.path.clone(), error);
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut bytes = Vec::new();
    let keep = member.size <= SMALL_MAX;
    let mut body = (&mut *from).take(member.size);
    let read = match keep {
        true => {
            let read = body.read_to_end(&mut bytes).map_err(failed)? as u64;
            hasher.update(&bytes);
            read
        }
        false => io::copy(&mut body, &mut hasher).map_err(failed)?,
    };
    if read != member.size || hasher.finish() != member.digest {
        return Err(KitError::Changed(member.path.clone(), "its digest is not the index's"));
    }
    expect(from, padding(member.size), &member.path, "what fills its last block is not empty")?;
    Ok(keep.then_some(bytes))
}

fn expect(from: &mut dyn Read, wanted: &[u8], path: &str, what: &'static str) -> Result<(), KitError> {
    let mut found = vec![0; wanted.len()];
    from.read_exact(&mut found).map_err(|error| KitError::Io(path.to_owned(), error))?;
    if found == wanted { Ok(()) } else { Err(KitError::Changed(path.to_owned(), what)) }
}

fn padding(size: u64) -> &'static [u8] {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    let rest = (size % BLOCK as u64) as usize;
    if rest == 0 { &[] } else { &ZEROS[rest..] }
}

/// The ustar header of a plain file of nobody's, at 1970. Paths of a kit are shorter than 100 bytes.
fn header(path: &str, size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let size = format!("{size:011o}");
    let fields: [(usize, &[u8]); 8] = [
        (0, path.as_bytes()),
        (100, b"0000644"),
        (108, b"0000000"),
        (116, b"0000000"),
        (124, size.as_bytes()),
        (136, b"00000000000"),
        (148, b"        0"),
        (257, b"ustar\x0000"),
    ];
    for (at, bytes) in fields {
        block[at..at + bytes.len()].copy_from_slice(bytes);
    }
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
