//! Reads the path below `/v2/`: repository names hold slashes, so the end of the path decides what it is.

/// What a path below `/v2/` names. Parts are as they stood; the registry checks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// `/v2/` itself: does this server speak the protocol, and who am I?
    Base,
    /// `<name>/blobs/<digest>`
    Blob { name: &'a str, digest: &'a str },
    /// `<name>/blobs/uploads/`
    Uploads { name: &'a str },
    /// `<name>/blobs/uploads/<id>`
    Upload { name: &'a str, id: &'a str },
    /// `<name>/manifests/<tag or digest>`
    Manifest { name: &'a str, reference: &'a str },
    /// `<name>/tags/list`
    Tags { name: &'a str },
    /// `<name>/referrers/<digest>`
    Referrers { name: &'a str, digest: &'a str },
}

/// Parses what follows `/v2/`; `None` for no path of the protocol.
pub(crate) fn parse(path: &str) -> Option<Target<'_>> {
    if path.is_empty() {
        return Some(Target::Base);
    }
    let target =
        if let Some(name) = path.strip_suffix("/blobs/uploads/").or_else(|| path.strip_suffix("/blobs/uploads")) {
            Target::Uploads { name }
        } else if let Some(name) = path.strip_suffix("/tags/list") {
            Target::Tags { name }
        } else {
            let (rest, last) = path.rsplit_once('/')?;
            // The longest ending first: `a/blobs/uploads/x` is an upload of `a`, not a blob of `a/blobs`.
            if let Some(name) = rest.strip_suffix("/blobs/uploads") {
                Target::Upload { name, id: last }
            } else if let Some(name) = rest.strip_suffix("/blobs") {
                Target::Blob { name, digest: last }
            } else if let Some(name) = rest.strip_suffix("/manifests") {
                Target::Manifest { name, reference: last }
            } else if let Some(name) = rest.strip_suffix("/referrers") {
                Target::Referrers { name, digest: last }
            } else {
                return None;
            }
        };
    match target.name() {
        Some("") => None,
        _ => Some(target),
    }
}

impl<'a> Target<'a> {
    /// Returns the repository's name.
    pub(crate) fn name(&self) -> Option<&'a str> {
        match *self {
            Target::Base => None,
            Target::Blob { name, .. }
            | Target::Uploads { name }
            | Target::Upload { name, .. }
            | Target::Manifest { name, .. }
            | Target::Tags { name }
            | Target::Referrers { name, .. } => Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_path_decides() {
        let check = |path, expected| assert_eq!(parse(path), expected, "{path}");
        check("", Some(Target::Base));
        check("a/b/blobs/sha256:0", Some(Target::Blob { name: "a/b", digest: "sha256:0" }));
        check("a/blobs/uploads/", Some(Target::Uploads { name: "a" }));
        check("a/blobs/uploads", Some(Target::Uploads { name: "a" }));
        check("a/blobs/uploads/0f", Some(Target::Upload { name: "a", id: "0f" }));
        check("a/manifests/latest", Some(Target::Manifest { name: "a", reference: "latest" }));
        check("a/tags/list", Some(Target::Tags { name: "a" }));
        check("tags/list/tags/list", Some(Target::Tags { name: "tags/list" }));
        check("blobs/blobs/sha256:0", Some(Target::Blob { name: "blobs", digest: "sha256:0" }));
        check("a/referrers/sha256:0", Some(Target::Referrers { name: "a", digest: "sha256:0" }));
        for path in ["a", "/blobs/x", "blobs/x", "/tags/list", "tags/list", "a/b", "_catalog", "a/blobs/uploads/x/y"] {
            assert_eq!(parse(path), None, "{path}");
        }
    }
}
