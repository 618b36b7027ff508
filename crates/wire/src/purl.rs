//! Package URLs: one name for a package of any ecosystem.
//!
//! Specification: ECMA-427, Package-URL <https://github.com/package-url/purl-spec/blob/v1.0.0/docs/standard/summary.md>.
//!
//! ```text
//! pkg:cargo/serde@1.0.229
//! pkg:deb/debian/gcc-12@12.2.0-14?arch=amd64&distro=debian-12
//! pkg:generic/greeter?vcs_url=git%2Bhttps://git.example.org/greeter#src
//! ```
//!
//! Written in canonical form. Of the rules of single types only those of the ecosystems that assay reads are applied:
//! case of `deb`, `github`, `bitbucket`, `golang`, `npm`, `oci`, `pypi`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The longest text that is read.
pub const SIZE_MAX: usize = 4096;

/// A package URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Purl {
    /// `cargo`
    pub kind: String,
    /// `debian`; parts divided by `/`.
    pub namespace: Option<String>,
    /// `serde`
    pub name: String,
    /// `1.0.229`
    pub version: Option<String>,
    /// `arch` → `amd64`
    pub qualifiers: BTreeMap<String, String>,
    /// A path inside the package.
    pub subpath: Option<String>,
}

/// Why a text is no package URL.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PurlError {
    /// More than [`SIZE_MAX`] bytes.
    #[error("package URL of {0} bytes is longer than the limit of {SIZE_MAX}")]
    Size(usize),
    /// Does not begin with `pkg:`.
    #[error("`{0}` is not a package URL: expected `pkg:TYPE/NAME@VERSION`")]
    Scheme(String),
    /// A part is missing or malformed.
    #[error("package URL `{text}` has a malformed {part}")]
    Part {
        /// Which part.
        part: &'static str,
        /// The text.
        text: String,
    },
}

impl Purl {
    /// Names a version of a package that has no namespace.
    pub fn new(kind: &str, name: &str, version: &str) -> Purl {
        Purl {
            kind: kind.to_owned(),
            namespace: None,
            name: name.to_owned(),
            version: Some(version.to_owned()),
            qualifiers: BTreeMap::new(),
            subpath: None,
        }
    }

    /// Returns the same package within a namespace.
    pub fn in_namespace(mut self, namespace: &str) -> Purl {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Returns the same package with one more qualifier.
    pub fn with(mut self, key: &str, value: &str) -> Purl {
        self.qualifiers.insert(key.to_owned(), value.to_owned());
        self
    }

    fn by_type(mut self) -> Purl {
        let lower = |text: &mut String| *text = text.to_lowercase();
        match self.kind.as_str() {
            "deb" | "github" | "bitbucket" | "golang" => {
                lower(&mut self.name);
                self.namespace.as_mut().map(lower).unwrap_or_default();
            }
            "npm" | "oci" => lower(&mut self.name),
            "pypi" => self.name = self.name.to_lowercase().replace('_', "-"),
            _ => {}
        }
        self
    }
}

impl FromStr for Purl {
    type Err = PurlError;

    fn from_str(text: &str) -> Result<Purl, PurlError> {
        if text.len() > SIZE_MAX {
            return Err(PurlError::Size(text.len()));
        }
        let malformed = |part| PurlError::Part { part, text: text.chars().take(200).collect() };
        let scheme = || PurlError::Scheme(text.chars().take(200).collect());
        let (rest, subpath) = split_right(text, '#');
        let (rest, qualifiers) = split_right(rest, '?');
        let rest = rest.split_once(':').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("pkg")).ok_or_else(scheme)?.1;
        let (kind, rest) = rest.trim_matches('/').split_once('/').ok_or_else(|| malformed("type"))?;
        let kind = kind.to_ascii_lowercase();
        if !is_type(&kind) {
            return Err(malformed("type"));
        }
        // An npm scope may stand unencoded: the `@` of `@babel/core` begins no version.
        let (path, version) = match rest.rsplit_once('@') {
            Some((path, version)) if !version.contains('/') => (path, Some(version)),
            _ => (rest, None),
        };
        let (namespace, name) = match path.trim_matches('/').rsplit_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, path.trim_matches('/')),
        };
        let namespace = namespace.map(|text| segments(text, &[]).ok_or_else(|| malformed("namespace"))).transpose()?;
        let subpath =
            subpath.map(|text| segments(text, &[".", ".."]).ok_or_else(|| malformed("subpath"))).transpose()?;
        let name = decode(name).filter(|name| !name.is_empty()).ok_or_else(|| malformed("name"))?;
        let version = version.map(|text| decode(text).ok_or_else(|| malformed("version"))).transpose()?;
        let purl = Purl {
            kind,
            namespace: namespace.filter(|text| !text.is_empty()),
            name,
            version: version.filter(|text| !text.is_empty()),
            qualifiers: parse_qualifiers(qualifiers.unwrap_or_default()).ok_or_else(|| malformed("qualifier"))?,
            subpath: subpath.filter(|text| !text.is_empty()),
        };
        let purl = purl.by_type();
        // Printing encodes what may stand plain in what is read: what is taken must be readable again.
        let printed = purl.to_string().len();
        if printed > SIZE_MAX { Err(PurlError::Size(printed)) } else { Ok(purl) }
    }
}

fn split_right(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.rsplit_once(mark) {
        Some((rest, part)) => (rest, Some(part)),
        None => (text, None),
    }
}

fn is_type(kind: &str) -> bool {
    kind.starts_with(|c: char| c.is_ascii_lowercase())
        && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
}

/// Decodes each part between slashes; empty parts and those in `dropped` go, and none may decode to have a slash.
fn segments(text: &str, dropped: &[&str]) -> Option<String> {
    let mut parts = Vec::new();
    for part in text.split('/').filter(|part| !part.is_empty()) {
        let part = decode(part)?;
        if part.contains('/') {
            return None;
        }
        if !dropped.contains(&part.as_str()) {
            parts.push(part);
        }
    }
    Some(parts.join("/"))
}

fn parse_qualifiers(text: &str) -> Option<BTreeMap<String, String>> {
    let mut qualifiers = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=')?;
        let key = key.to_ascii_lowercase();
        let value = decode(value)?;
        if !is_key(&key) {
            return None;
        }
        if !value.is_empty() && qualifiers.insert(key, value).is_some() {
            return None;
        }
    }
    Some(qualifiers)
}

fn is_key(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'))
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                (digit(bytes.next())? * 16 + digit(bytes.next())?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

/// Percent-encodes all but letters, digits, `.-_~`, colons and the bytes in `also`.
fn encode(text: &str, also: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) || also.contains(&byte) {
            write!(f, "{}", char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pkg:{}/", self.kind)?;
        if let Some(namespace) = &self.namespace {
            encode(namespace, b"/", f)?;
            f.write_str("/")?;
        }
        encode(&self.name, b"", f)?;
        if let Some(version) = &self.version {
            f.write_str("@")?;
            encode(version, b"", f)?;
        }
        for (index, (key, value)) in self.qualifiers.iter().enumerate() {
            f.write_str(if index == 0 { "?" } else { "&" })?;
            write!(f, "{key}=")?;
            encode(value, b"/", f)?;
        }
        if let Some(subpath) = &self.subpath {
            f.write_str("#")?;
            encode(subpath, b"/", f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
