//! What can be wrong with a lock file: malformed ([`LockFileError`]), or well-formed and not pinning ([`Finding`]).

use std::fmt;

use super::Kind;

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The first character.
    pub const START: Position = Position { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Something that a lock file leaves open, or pins badly.
///
/// ```text
/// requirements.txt:3:1: `flask`: `flask>=2` names no single version
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind of lock file that it is about.
    pub kind: Kind,
    /// The file, as the caller named it.
    pub file: String,
    /// Where it stands.
    pub at: Position,
    /// The package, if it is about one.
    pub package: Option<String>,
    /// What it is.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.at)?;
        if let Some(package) = &self.package {
            write!(f, "`{package}`: ")?;
        }
        write!(f, "{}", self.problem)
    }
}

impl Finding {
    /// Returns what mends it.
    pub fn hint(&self) -> String {
        match &self.problem {
            Problem::Unpinned { .. }
            | Problem::NoDigest
            | Problem::WeakDigest { .. }
            | Problem::UnknownDigest { .. }
            | Problem::OnlySigned => self.kind.write_anew().to_owned(),
            Problem::MutableGit { .. } => "name the full commit instead of a branch or tag".to_owned(),
            Problem::Snapshot { .. } => "depend on a release".to_owned(),
            Problem::Exempt { .. } => "take the rule out, and let Gradle write the checksums".to_owned(),
            Problem::Repacked => {
                "pin the registry's own digests (`dist.integrity`) when the packages are fetched".to_owned()
            }
            Problem::PlainHttp { .. } => "use the address with `https://`".to_owned(),
            Problem::Password { .. } => {
                "revoke it, and give the password to the fetch as a secret, not in the lock file".to_owned()
            }
            Problem::Includes { .. } => "read that file as well, or put all packages into one".to_owned(),
            Problem::Constrains { .. } | Problem::Index { .. } => {
                "take the line out, and configure the fetch instead".to_owned()
            }
            Problem::Editable { .. } => "name the directory without `-e`, or publish the package".to_owned(),
            Problem::Unnamed { .. } => "write `NAME @ ADDRESS`, with a hash".to_owned(),
            Problem::Outside { .. } => "move it into the project, or publish it to a registry".to_owned(),
        }
    }
}

/// What a lock file leaves open, or pins badly.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Problem {
    /// A package without one exact version.
    #[error("`{wanted}` names no single version")]
    Unpinned {
        /// As it stands.
        wanted: String,
    },
    /// A file to fetch, and no digest of it.
    #[error("no digest pins what is fetched")]
    NoDigest,
    /// A file to fetch whose only digests can be forged.
    #[error("only a digest by {algorithm} stands for what is fetched, and those can be forged")]
    WeakDigest {
        /// The best of them.
        algorithm: WeakAlgorithm,
    },
    /// A file to fetch whose only digests are by algorithms that are not computed here.
    #[error("only a digest by `{algorithm}` stands for what is fetched: expected sha256 or sha512")]
    UnknownDigest {
        /// As it stands.
        algorithm: String,
    },
    /// Yarn 2 and newer keep digests of the zips that they make, not of what is fetched.
    #[error("the checksums are those of yarn's own zips, so none stands for what is fetched")]
    Repacked,
    /// A key that signed the file, and no digest: the key's holder can sign other bytes.
    #[error("only a key stands for what is fetched, so its holder can change it")]
    OnlySigned,
    /// A version whose files a repository replaces; the digests still decide.
    #[error("`{version}` is a snapshot, so what was locked may be gone")]
    Snapshot {
        /// The version.
        version: String,
    },
    /// A rule of the file that takes packages out of verification.
    #[error("the file exempts {what} from verification")]
    Exempt {
        /// What it says.
        what: String,
    },
    /// A git repository, and no commit.
    #[error("`{reference}` of `{url}` is no commit, so it can move")]
    MutableGit {
        /// The repository.
        url: String,
        /// The branch, tag or abbreviation; `HEAD` if none is named.
        reference: String,
    },
    /// An address that anybody on the way can answer for; the digest still decides.
    #[error("`{url}` is fetched without TLS")]
    PlainHttp {
        /// The address.
        url: String,
    },
    /// A password or token in an address. It is left out of everything that is made from the lock file.
    #[error("the address at `{host}` holds a password")]
    Password {
        /// Whose it is.
        host: String,
    },
    /// A path that leads out of the project: its bytes are not in the source tree.
    #[error("`{path}` lies outside of the project, so the source tree does not hold it")]
    Outside {
        /// As it stands.
        path: String,
    },
    /// Another file that belongs to this one: `-r`. It is not read here.
    #[error("the packages of `{path}` belong to it as well")]
    Includes {
        /// As it stands, relative to this file.
        path: String,
    },
    /// Another file that limits versions: `-c`. With every version named, it has nothing to say.
    #[error("the file `{path}` limits what may be taken")]
    Constrains {
        /// As it stands, relative to this file.
        path: String,
    },
    /// An option that changes where packages are looked for; the digests still decide.
    #[error("option `{option}` with `{value}` changes where packages are looked for")]
    Index {
        /// `--extra-index-url`
        option: &'static str,
        /// Its value.
        value: String,
    },
    /// An installation that is a reference to a directory or clone, which can change afterwards.
    #[error("`{wanted}` is installed as editable")]
    Editable {
        /// As it stands.
        wanted: String,
    },
    /// An address or a path alone, so that no version and perhaps no digest is known.
    #[error("`{wanted}` names no package")]
    Unnamed {
        /// As it stands.
        wanted: String,
    },
}

impl Problem {
    /// Whether it leaves open which bytes are meant: a build that goes on is not pinned.
    pub fn leaves_open(&self) -> bool {
        match self {
            Problem::Unpinned { .. }
            | Problem::NoDigest
            | Problem::WeakDigest { .. }
            | Problem::UnknownDigest { .. }
            | Problem::MutableGit { .. }
            | Problem::Repacked
            | Problem::OnlySigned
            | Problem::Outside { .. }
            | Problem::Includes { .. }
            | Problem::Unnamed { .. } => true,
            Problem::PlainHttp { .. }
            | Problem::Password { .. }
            | Problem::Constrains { .. }
            | Problem::Index { .. }
            | Problem::Editable { .. }
            | Problem::Snapshot { .. }
            | Problem::Exempt { .. } => false,
        }
    }
}

/// Digest algorithms that do not count as pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WeakAlgorithm {
    /// `md5`
    Md5,
    /// `sha1`
    Sha1,
}

impl fmt::Display for WeakAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WeakAlgorithm::Md5 => "MD5",
            WeakAlgorithm::Sha1 => "SHA-1",
        })
    }
}

/// Why a lock file was refused.
///
/// ```text
/// Cargo.lock:13:1: package `../itoa`: the name is no package name
/// ```
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{file}:{at}: {reason}")]
pub struct LockFileError {
    /// The file, as the caller named it.
    pub file: String,
    /// Where it stands; the start of the file if it is about the file as a whole.
    pub at: Position,
    /// Why.
    pub reason: Reason,
}

/// Why a lock file was refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Reason {
    /// More than [`super::LOCK_BYTES_MAX`] bytes.
    #[error("the file has {size} bytes, more than the {} allowed", super::LOCK_BYTES_MAX)]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// More than [`super::PACKAGES_MAX`] packages, or a document larger than so many could need.
    #[error("the file has more {what} than the {max} allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        max: usize,
    },
    /// No UTF-8.
    #[error("the file is not UTF-8 text")]
    Encoding,
    /// No TOML, JSON, YAML or XML, or a line that the format does not have.
    #[error("{0}")]
    Syntax(String),
    /// A format version that is not read here, or a file of another kind.
    #[error("format version `{found}` is not read: expected {known}")]
    Format {
        /// As it stands.
        found: String,
        /// Which are read.
        known: &'static str,
    },
    /// A key that must be there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A value of another type than its key has.
    #[error("`{key}` is {found}: expected {expected}")]
    Type {
        /// The key.
        key: String,
        /// What stands there: `a number`.
        found: &'static str,
        /// What should: `a text`.
        expected: &'static str,
    },
    /// A package that cannot be used, and why.
    #[error("package `{name}`: {problem}")]
    Package {
        /// Its name as it stands.
        name: String,
        /// What is wrong with it.
        problem: PackageProblem,
    },
}

/// What is wrong with a package.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PackageProblem {
    /// Empty, too long, or characters that no package name has.
    #[error("the name is no package name")]
    Name,
    /// Empty, too long, or characters that no version has.
    #[error("`{0}` is no version")]
    Version(String),
    /// An origin of a kind that is not known here, or malformed.
    #[error("`{found}` says no origin: expected {expected}")]
    Origin {
        /// As it stands.
        found: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// A digest of the wrong length or alphabet, or where none can be.
    #[error("`{0}` is no digest of a package's file")]
    Digest(String),
    /// The same package twice.
    #[error("it stands twice in the lock file")]
    Twice,
    /// A dependency that names no package of the file, or several.
    #[error("dependency `{0}` names no single package of the lock file")]
    Dependency(String),
}

/// What a parser says before the file's name is added.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) at: Position,
    pub(super) reason: Reason,
}

impl Refusal {
    pub(super) fn new(at: Position, reason: Reason) -> Refusal {
        Refusal { at, reason }
    }

    pub(super) fn package(at: Position, name: &str, problem: PackageProblem) -> Refusal {
        Refusal { at, reason: Reason::Package { name: shorten(name), problem } }
    }

    pub(super) fn in_file(self, file: &str) -> LockFileError {
        LockFileError { file: file.to_owned(), at: self.at, reason: self.reason }
    }
}

/// Cuts text from outside to what a message can show, and takes users and passwords out of the addresses in it.
pub(super) fn shorten(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://").filter(|_| out.len() < SHOWN_MAX) {
        let authority = at + "://".len();
        let end = rest[authority..].find(['/', '?', '#', ' ', '"', '\'']).map_or(rest.len(), |end| authority + end);
        let host = rest[authority..end].rfind('@').map_or(authority, |before| authority + before + 1);
        out.push_str(&rest[..authority]);
        out.push_str(&rest[host..end]);
        rest = &rest[end..];
    }
    out.push_str(rest);
    out.chars().take(SHOWN_MAX).collect()
}

/// How much of a text from outside stands in a message, in characters.
const SHOWN_MAX: usize = 200;
