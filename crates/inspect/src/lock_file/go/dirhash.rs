//! Go's `h1:`, a digest of a module's files that does not depend on how they are packed.
//!
//! Specification: golang.org/x/mod, `sumdb/dirhash`, `Hash1`
//! <https://pkg.go.dev/golang.org/x/mod@v0.28.0/sumdb/dirhash#Hash1>.

use wire::digest::Digest;

/// Why there is no hash.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DirHashError {
    /// Go refuses such names, as two lists of files could then read the same.
    #[error("file name `{0}` holds a line feed")]
    LineFeed(String),
    /// Go would hash the last of them for each.
    #[error("file `{0}` stands twice in the archive")]
    Twice(String),
    /// The list is made of SHA-256.
    #[error("the digest of `{0}` is no SHA-256")]
    Algorithm(String),
}

/// Returns the hash over names and SHA-256 digests of files, in any order.
///
/// For a module's zip the names are those in the zip, which begin with `PATH@VERSION/`; directories are no files.
pub fn hash1(files: &mut [(String, Digest)]) -> Result<Digest, DirHashError> {
    files.sort_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
    let mut list = String::new();
    for (index, (name, digest)) in files.iter().enumerate() {
        if name.contains('\n') {
            return Err(DirHashError::LineFeed(name.replace('\n', "\\n")));
        }
        if index > 0 && files[index - 1].0 == *name {
            return Err(DirHashError::Twice(name.clone()));
        }
        if !matches!(digest, Digest::Sha256(_)) {
            return Err(DirHashError::Algorithm(name.clone()));
        }
        list.push_str(&format!("{}  {name}\n", digest.hex()));
    }
    Ok(Digest::of(list.as_bytes()))
}

/// Returns the hash that `go.sum` has for a `go.mod` alone.
pub fn hash_go_mod(bytes: &[u8]) -> Digest {
    Digest::of(format!("{}  go.mod\n", Digest::of(bytes).hex()).as_bytes())
}
