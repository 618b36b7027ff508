//! What a REF means: `NAME[:TAG][@sha256:…]`, `sha256:…`, `oci:DIR`, or a PATH (which contains `/`).

use std::path::Path;

use model::verdict::Subject;
use wire::digest::Digest;

use crate::error::{Context as _, Failure, Result};
use crate::release::digest_of;
use crate::session::{Artifact, Session};

/// An artifact that a REF names.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// Its name; for a digest that nothing is known of, the digest's first digits.
    pub(crate) name: String,
    /// Digest of the file, or of the image's manifest.
    pub(crate) digest: Digest,
    /// What the ledger knows of it.
    pub(crate) artifact: Option<Artifact>,
}

impl Resolved {
    /// The subject that a policy judges: for an image also its configuration.
    pub(crate) fn subject(&self) -> Subject {
        let mut digests = vec![self.digest];
        digests.extend(self.artifact.as_ref().and_then(|artifact| artifact.config));
        Subject { name: self.name.clone(), digests }
    }
}

/// Finds what a REF names. Nothing is guessed: a name that is unknown is an error.
pub(crate) fn resolve(session: &Session<'_>, text: &str) -> Result<Resolved> {
    if let Some(directory) = text.strip_prefix("oci:") {
        return of_digest(session, layout_digest(Path::new(directory))?);
    }
    if let Ok(digest) = text.parse::<Digest>() {
        return of_digest(session, digest);
    }
    if text.contains('/') && !text.contains('@') {
        let path = Path::new(text);
        if path.is_file() {
            return of_digest(session, digest_of(path)?);
        }
    }
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => {
            let digest: Digest = digest.parse().context("ref", format!("reading `{text}`"))?;
            (name, Some(digest))
        }
        None => (text, None),
    };
    match (digest, name.rsplit_once(':')) {
        (Some(digest), _) => of_digest(session, digest),
        (None, Some((repository, tag))) => match session.tag(repository, tag)? {
            Some(digest) => of_digest(session, digest),
            None => Err(unknown(text).hint(format!("assay push … or `assay why {repository}`"))),
        },
        (None, None) => {
            match session.newest_artifact(name)? {
                Some(artifact) => {
                    Ok(Resolved { name: artifact.name.clone(), digest: artifact.digest, artifact: Some(artifact) })
                }
                None => Err(unknown(text)
                    .hint("assay build makes artifacts; a file is named by a path with `/`, as `./greeter`")),
            }
        }
    }
}

fn of_digest(session: &Session<'_>, digest: Digest) -> Result<Resolved> {
    let artifact = session.artifact(&digest)?;
    let name = artifact.as_ref().map_or_else(|| digest.short(), |artifact| artifact.name.clone());
    Ok(Resolved { name, digest, artifact })
}

fn unknown(text: &str) -> Failure {
    Failure::new("ref-unknown", format!("`{text}` names no artifact that this ledger knows, and no file"))
}

/// Digest of the one manifest of an OCI image layout.
pub(crate) fn layout_digest(directory: &Path) -> Result<Digest> {
    let path = directory.join("index.json");
    let bytes = std::fs::read(&path).context("oci-layout", format!("reading `{}`", path.display()))?;
    let index: serde_json::Value =
        serde_json::from_slice(&bytes).context("oci-layout", format!("reading `{}`", path.display()))?;
    let manifests = index["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [only] = manifests else {
        return Err(Failure::new(
            "oci-layout",
            format!("`{}` lists {} manifests, expected one", path.display(), manifests.len()),
        ));
    };
    only["digest"]
        .as_str()
        .and_then(|digest| digest.parse().ok())
        .ok_or_else(|| Failure::new("oci-layout", format!("`{}` has a manifest without a digest", path.display())))
}
