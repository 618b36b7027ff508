//! The headers of the registry's protocol that have a grammar: pages, ranges, challenges and scopes.
//!
//! Specification: OCI distribution v1.1.1 <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>
//! ("Pushing a blob in chunks", "Listing Tags"), RFC 9110 section 14 <https://www.rfc-editor.org/rfc/rfc9110#section-14>.
//!
//! ```text
//! Link: </v2/greeter/tags/list?n=2&last=b>; rel="next"
//! Content-Range: 0-1023
//! Range: bytes=0-99
//! WWW-Authenticate: Bearer realm="https://registry.example.org/token",service="registry.example.org",scope="repository:greeter:pull"
//! ```

use std::fmt;

/// Returns the value of a `Link` header that leads to the next page.
pub fn link_next(target: &str) -> String {
    format!("<{target}>; rel=\"next\"")
}

/// Returns where the next page is, from the value of a `Link` header.
pub fn parse_link_next(value: &str) -> Option<&str> {
    value.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let next = |parameter: &str| matches!(parameter.trim(), "rel=\"next\"" | "rel=next");
        parameters.split(';').any(next).then_some(target)
    })
}

/// The first and last byte of a chunk, as `Content-Range` of an upload names them: `0-1023`, without `bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// Position of the first byte.
    pub first: u64,
    /// Position of the last byte; not before the first.
    pub last: u64,
}

impl ContentRange {
    /// Parses the header's value.
    pub fn parse(value: &str) -> Option<ContentRange> {
        let (first, last) = value.split_once('-')?;
        let range = ContentRange { first: number(first)?, last: number(last)? };
        (range.first <= range.last && range.last < u64::MAX).then_some(range)
    }

    /// Returns how many bytes the chunk has.
    pub fn size(self) -> u64 {
        self.last - self.first + 1
    }
}

/// What a `Range` header asks of a blob. Several ranges at once are not offered: such a header is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=FIRST-LAST`
    Between(u64, u64),
    /// `bytes=FIRST-`
    From(u64),
    /// `bytes=-COUNT`
    Last(u64),
}

impl ByteRange {
    /// Parses the header's value; `None` means that the header is to be passed over (RFC 9110 14.2).
    pub fn parse(value: &str) -> Option<ByteRange> {
        let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
        match (first, last) {
            ("", count) => Some(ByteRange::Last(number(count)?)),
            (first, "") => Some(ByteRange::From(number(first)?)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(ByteRange::Between(first, last))
            }
        }
    }

    /// Returns the first byte and the one after the last in a blob of `size` bytes; `None` means status 416.
    pub fn within(self, size: u64) -> Option<(u64, u64)> {
        let (start, end) = match self {
            ByteRange::Between(first, last) => (first, last.saturating_add(1).min(size)),
            ByteRange::From(first) => (first, size),
            ByteRange::Last(count) => (size.saturating_sub(count), size),
        };
        (start < end).then_some((start, end))
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// What a registry asks for with status 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Name and password with each request.
    Basic {
        /// What is protected.
        realm: String,
    },
    /// A token, to be had at the realm.
    Bearer {
        /// URL of the token service.
        realm: String,
        /// Name of the registry.
        service: Option<String>,
        /// What is asked for.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Parses the value of one `WWW-Authenticate` header with one challenge.
    pub fn parse(value: &str) -> Option<Challenge> {
        let (scheme, rest) = value.trim().split_once(' ')?;
        let (mut realm, mut service, mut scope) = (None, None, None);
        let mut rest = rest.trim();
        while !rest.is_empty() {
            let (name, tail) = rest.split_once('=')?;
            let (text, tail) = tail.strip_prefix('"')?.split_once('"')?;
            match name.trim().to_ascii_lowercase().as_str() {
                "realm" => realm = Some(text.to_owned()),
                "service" => service = Some(text.to_owned()),
                "scope" => scope = Some(text.to_owned()),
                _ => {}
            }
            rest = tail.trim_start().trim_start_matches(',').trim_start();
        }
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => Some(Challenge::Basic { realm: realm? }),
            "bearer" => Some(Challenge::Bearer { realm: realm?, service, scope }),
            _ => None,
        }
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Challenge::Basic { realm } => write!(f, "Basic realm=\"{realm}\""),
            Challenge::Bearer { realm, service, scope } => {
                write!(f, "Bearer realm=\"{realm}\"")?;
                for (name, value) in [("service", service), ("scope", scope)] {
                    if let Some(value) = value {
                        write!(f, ",{name}=\"{value}\"")?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// What a token is to allow: `repository:greeter:pull,push`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `repository`
    pub kind: String,
    /// `team/greeter`
    pub name: String,
    /// `pull`, `push`, `delete`, `*`
    pub actions: Vec<String>,
}

impl Scope {
    /// Parses one scope. The name may have colons (a host with a port).
    pub fn parse(text: &str) -> Option<Scope> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let actions = actions.split(',').filter(|action| !action.is_empty()).map(str::to_owned).collect();
        (!kind.is_empty() && !name.is_empty()).then(|| Scope { kind: kind.to_owned(), name: name.to_owned(), actions })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }
}
