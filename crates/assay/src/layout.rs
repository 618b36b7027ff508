//! Artifacts out of the store: files as files, images as OCI image layouts.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use model::recipe::{Artifact, ArtifactKind};
use serde_json::{Value, json};
use store::blobs::Blobs;
use wire::digest::Digest;
use wire::jcs;

use crate::error::{Context as _, Failure, Result};

/// Manifests are small (OCI distribution says at least 4 MiB must be taken).
const MANIFEST_MAX: u64 = 4 << 20;

/// Whether every blob of these outputs is in the store, with the bytes that its digest names.
pub(crate) fn held(blobs: &Blobs, outputs: &[Artifact]) -> Result<bool> {
    for output in outputs {
        let mut digests = vec![output.digest];
        if matches!(output.kind, ArtifactKind::Image { .. }) && has(blobs, &output.digest)? {
            digests.extend(parts(blobs, &output.digest)?.1);
        }
        if !digests.iter().all(|digest| blobs.verify(digest).is_ok()) {
            return Ok(false); // absent or damaged: it is made again
        }
    }
    Ok(true)
}

fn has(blobs: &Blobs, digest: &Digest) -> Result<bool> {
    blobs.has(digest).context("store", format!("looking for {digest}"))
}

/// Reads a manifest, and lists the blobs that it names: configuration and layers.
pub(crate) fn parts(blobs: &Blobs, manifest: &Digest) -> Result<(Value, Vec<Digest>)> {
    let bytes = blobs.read(manifest, MANIFEST_MAX).context("store", format!("reading the manifest {manifest}"))?;
    let value: Value =
        serde_json::from_slice(&bytes).context("manifest", format!("reading the manifest {manifest}"))?;
    let descriptors = std::iter::once(&value["config"]).chain(value["layers"].as_array().into_iter().flatten());
    let digests = descriptors.map(|descriptor| descriptor["digest"].as_str().and_then(|digest| digest.parse().ok()));
    let digests: Option<Vec<Digest>> = digests.collect();
    let digests = digests
        .ok_or_else(|| Failure::new("manifest", format!("manifest {manifest} names a part without a digest")))?;
    Ok((value, digests))
}

/// Writes files as `DIR/NAME`, and images as OCI layouts `DIR/NAME.oci`.
pub(crate) fn write_artifacts(blobs: &Blobs, outputs: &[Artifact], directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).context("output", format!("making `{}`", directory.display()))?;
    for output in outputs {
        match output.kind {
            ArtifactKind::File => {
                let path = directory.join(&output.name);
                copy_blob(blobs, &output.digest, &path)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                    .context("output", format!("writing `{}`", path.display()))?;
            }
            ArtifactKind::Image { .. } => {
                write_layout(blobs, &output.digest, &directory.join(format!("{}.oci", output.name)))?;
            }
        }
    }
    Ok(())
}

/// Writes one image as an OCI image layout; `index.json` comes last, so that a half-written layout is none.
pub(crate) fn write_layout(blobs: &Blobs, manifest: &Digest, directory: &Path) -> Result<()> {
    let doing = || format!("writing the image layout `{}`", directory.display());
    let (value, mut digests) = parts(blobs, manifest)?;
    digests.push(*manifest);
    let folder = directory.join("blobs/sha256");
    fs::create_dir_all(&folder).context("output", doing())?;
    for digest in &digests {
        copy_blob(blobs, digest, &folder.join(digest.hex()))?;
    }
    let size = blobs.size(manifest).context("store", doing())?.unwrap_or_default();
    let media_type = value["mediaType"].as_str().unwrap_or("application/vnd.oci.image.manifest.v1+json");
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"mediaType": media_type, "digest": manifest, "size": size}],
    });
    fs::write(directory.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#).context("output", doing())?;
    crate::runbook::durable(&directory.join("index.json"), &jcs::to_vec(&index)).context("output", doing())
}

fn copy_blob(blobs: &Blobs, digest: &Digest, path: &Path) -> Result<()> {
    let doing = || format!("writing `{}`", path.display());
    let mut from = blobs.open(digest).context("store", doing())?;
    let temporary = path.with_extension("new");
    let _stale = fs::remove_file(&temporary);
    let mut to = fs::File::create(&temporary).context("output", doing())?;
    io::copy(&mut from, &mut to).context("output", doing())?;
    drop(to);
    fs::rename(&temporary, path).context("output", doing())
}
