//! An image on top of another: the layers below stay as they are, byte for byte.

use wire::digest::Digest;
use wire::oci_image::{
    Config, Descriptor, Execution, MEDIA_TYPE_CONFIG, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_MANIFEST, Manifest, RootFs,
};
use wire::timestamp::Timestamp;

use super::{Entry, Image, ImageError, layer};

/// What Docker gives a process whose image sets no `PATH`.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an image is made of.
pub struct Stack<'a> {
    /// Creation time and the time of every member of its own layers.
    pub epoch_unix_s: i64,
    /// `amd64`
    pub architecture: String,
    /// How it is run.
    pub execution: Execution,
    /// The image below, if there is one: its layers and the digests of their uncompressed bytes.
    pub below: Option<(&'a [Descriptor], &'a [Digest])>,
    /// Its own layers, lowest first.
    pub layers: Vec<Changes<'a>>,
}

/// One layer.
pub struct Changes<'a> {
    /// What comes and goes.
    pub entries: Vec<Entry>,
    /// Whether the layers below have a directory at a path.
    pub is_there: &'a dyn Fn(&str) -> bool,
}

/// Makes the image. A layer that changes nothing is left out.
pub fn stack(stack: &Stack<'_>) -> Result<Image, ImageError> {
    let created = Timestamp::from_unix_s(stack.epoch_unix_s).ok_or(ImageError::Epoch(stack.epoch_unix_s))?;
    let (descriptors, ids) = stack.below.unwrap_or_default();
    let (mut descriptors, mut diff_ids) = (descriptors.to_vec(), ids.to_vec());
    let blob = |digest: &Digest| format!("blobs/{}/{}", digest.algorithm(), digest.hex());
    let mut files = Vec::new();
    for changes in stack.layers.iter().filter(|changes| !changes.entries.is_empty()) {
        let packed = layer::pack(&changes.entries, changes.is_there, created)?;
        let descriptor = describe(MEDIA_TYPE_LAYER_GZIP, &packed.gzip);
        files.push((blob(&descriptor.digest), packed.gzip));
        descriptors.push(descriptor);
        diff_ids.push(packed.diff_id);
    }
    let mut execution = stack.execution.clone();
    let env = execution.env.get_or_insert_default();
    if !env.iter().any(|line| line.starts_with("PATH=")) {
        env.insert(0, PATH.to_owned());
    }
    let config = Config {
        created: Some(created.to_string()),
        architecture: stack.architecture.clone(),
        os: "linux".to_owned(),
        config: Some(execution),
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids: diff_ids.clone() },
        history: Vec::new(),
    };
    let config = config.to_json();
    let config_descriptor = describe(MEDIA_TYPE_CONFIG, &config);
    let config_digest = config_descriptor.digest;
    files.push((blob(&config_digest), config));
    let layers = descriptors.iter().map(|layer| layer.digest).collect();
    let manifest = Manifest::new(config_descriptor, descriptors).to_json();
    let described = describe(MEDIA_TYPE_MANIFEST, &manifest);
    files.push((blob(&described.digest), manifest));
    let (manifest, manifest_size) = (described.digest, described.size);
    Ok(Image { manifest, manifest_size, config: config_digest, diff_ids, layers, files })
}

fn describe(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type, Digest::of(bytes), bytes.len() as u64)
}
