//! Config, manifest and image layout, and how they come to disk.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use wire::digest::Digest;
use wire::oci_image::{
    Config, Descriptor, Empty, Execution, Index, LAYOUT, MEDIA_TYPE_CONFIG, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_MANIFEST,
    Manifest, RootFs,
};
use wire::timestamp::Timestamp;

use super::layer::Layer;
use super::{Image, ImageError, PATH, Spec};

/// What every file has while it is being written; one that is left over belongs to a writer that was killed.
const PARTIAL: &str = ".partial-";

/// Returns the config's canonical bytes. What is empty is left out.
pub(super) fn config(spec: &Spec, created: Timestamp, layers: &[Layer]) -> Vec<u8> {
    let mut variables = spec.variables.clone();
    variables.entry("PATH".to_owned()).or_insert_with(|| PATH.to_owned());
    let ports: BTreeMap<String, Empty> = spec.ports.iter().map(|port| (format!("{port}/tcp"), Empty {})).collect();
    let config = Config {
        created: Some(created.to_string()),
        architecture: spec.architecture.clone(),
        os: "linux".to_owned(),
        config: Some(Execution {
            user: Some(spec.user.clone()).filter(|user| !user.is_empty()),
            exposed_ports: Some(ports).filter(|ports| !ports.is_empty()),
            env: Some(variables.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            entrypoint: Some(spec.entrypoint.clone()).filter(|entrypoint| !entrypoint.is_empty()),
            cmd: Some(spec.arguments.clone()).filter(|arguments| !arguments.is_empty()),
            volumes: None,
            working_dir: None,
            labels: Some(spec.labels.clone()).filter(|labels| !labels.is_empty()),
            stop_signal: None,
        }),
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids: layers.iter().map(|layer| layer.diff_id).collect() },
        history: Vec::new(),
    };
    config.to_json()
}

/// Puts config and layers together to a layout.
pub(super) fn image(config: Vec<u8>, layers: Vec<Layer>) -> Image {
    let config_descriptor = describe(MEDIA_TYPE_CONFIG, &config);
    let config_digest = config_descriptor.digest;
    let descriptors: Vec<Descriptor> =
        layers.iter().map(|layer| describe(MEDIA_TYPE_LAYER_GZIP, &layer.gzip)).collect();
    let digests: Vec<Digest> = descriptors.iter().map(|layer| layer.digest).collect();
    let manifest = Manifest::new(config_descriptor, descriptors).to_json();
    let manifest_descriptor = describe(MEDIA_TYPE_MANIFEST, &manifest);
    let manifest_digest = manifest_descriptor.digest;
    let index = Index::new(vec![manifest_descriptor]).to_json();
    let blob = |digest: &Digest| format!("blobs/{}/{}", digest.algorithm(), digest.hex());
    let diff_ids = layers.iter().map(|layer| layer.diff_id).collect();
    let manifest_size = manifest.len() as u64;
    let mut files = vec![("oci-layout".to_owned(), LAYOUT.as_bytes().to_vec())];
    files.extend(digests.iter().zip(layers).map(|(digest, layer)| (blob(digest), layer.gzip)));
    files.extend([
        (blob(&config_digest), config),
        (blob(&manifest_digest), manifest),
        ("index.json".to_owned(), index),
    ]);
    Image { manifest: manifest_digest, manifest_size, config: config_digest, diff_ids, layers: digests, files }
}

fn describe(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type, Digest::of(bytes), bytes.len() as u64)
}

/// Writes the image as a layout to `directory`.
///
/// Each file is written aside, made durable and renamed, `index.json` last: whoever reads the directory meanwhile, or
/// after a crash, sees the former image or this one. Blobs of the former image are removed at the end.
pub fn write(image: &Image, directory: &Path) -> Result<(), ImageError> {
    let blobs = directory.join("blobs/sha256");
    failed(&blobs, fs::create_dir_all(&blobs))?;
    for (path, bytes) in &image.files {
        put(&directory.join(path), bytes)?;
    }
    let ours: Vec<_> = image.files.iter().map(|(path, _)| directory.join(path)).collect();
    for folder in [blobs.as_path(), directory] {
        for entry in failed(folder, folder.read_dir())? {
            let path = failed(folder, entry)?.path();
            let left_over = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL));
            if left_over || (folder == blobs && !ours.contains(&path)) {
                failed(&path, fs::remove_file(&path))?;
            }
        }
    }
    Ok(())
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        unreachable!("every file of a layout lies in its directory");
    };
    let partial = parent.join(format!("{PARTIAL}{}-{}", std::process::id(), name.to_string_lossy()));
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    failed(&partial, written)?;
    failed(path, fs::rename(&partial, path))?;
    failed(parent, File::open(parent).and_then(|folder| folder.sync_all()))
}

fn failed<T>(path: &Path, result: io::Result<T>) -> Result<T, ImageError> {
    result.map_err(|cause| ImageError::Write { path: path.to_owned(), cause })
}
