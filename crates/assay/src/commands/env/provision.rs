//! `assay env provision`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use build::base::image::architecture;
use build::base::reference::{ImageReference, Repository};
use build::image;
use build::inputs::{Fetch, FetchError, Images, ImagesError, Inputs};
use build::lock::{DependencyKind, Lock};
use build::pin::{self, World};
use build::spec::Root;
use model::tree::{Entry, Tree};
use serde_json::json;
use store::blobs::Blobs;
use store::durable::Disk;
use store::trees::{Trees, TreesError};
use wire::digest::Digest;
use wire::oci_image::Descriptor;

use crate::commands::lock::with_world;
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::inputs::StoreInputs;
use crate::project::Project;
use crate::report::Report;
use crate::session::Session;

/// Make the root file system that assay.lock pins, byte for byte, from the store alone
///
/// Nothing is asked of a network, nor of this machine's packages. DIR is new or empty; it appears whole or not at all. Every
/// byte is hashed as it is read, and all of DIR once more as it lies there. With --oci it becomes an image: one layer, and
/// the same bytes every time, for podman, skopeo, or `[image] libraries = "base"`. What another machine has pinned comes
/// with --from: its home, or a copy of that home's data directory.
///
/// Example: assay env provision /srv/base --from /media/usb/assay
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to make it
    #[arg(value_name = "DIR", required_unless_present = "oci")]
    directory: Option<PathBuf>,
    /// Write it as an OCI image layout into this directory
    #[arg(long, value_name = "DIR")]
    oci: Option<PathBuf>,
    /// First take over what assay.lock pins from another home
    #[arg(long, value_name = "HOME")]
    from: Option<PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let project = Project::load(context)?;
    let lock = project.lock()?;
    let session = Session::open(context)?;
    let outcome = provision(args, context, session.inputs(), &project, &lock);
    session.close()?;
    outcome
}

fn provision(args: &Args, context: &Context, inputs: &StoreInputs, project: &Project, lock: &Lock) -> Result<Report> {
    let taken = match &args.from {
        Some(from) => Some(take(context, inputs, lock, from)?),
        None => None,
    };
    let digest = lock.base.tree;
    if !inputs.trees.has(&digest) {
        bring_back(context, inputs, project, lock)?;
    }
    let tree = inputs.trees.tree(&digest).map_err(|error| of_trees("reading the base's manifest", error))?;
    let mut text = vec![format!("{digest}")];
    if let Some(directory) = &args.directory {
        let to = absolute(directory)?;
        context.progress.doing("writing the base");
        let written = inputs.trees.provision(&digest, &to);
        written.map_err(|error| of_trees(&format!("making `{}`", directory.display()), error))?;
        text.push(format!("the base is in `{}`: {}", directory.display(), counted(&tree)));
    }
    let mut manifest = None;
    if let Some(directory) = &args.oci {
        context.progress.doing("packing the base");
        let image = packed(inputs, lock, &tree, directory)?;
        text.push(format!("{} in `{}`", image.manifest, directory.display()));
        manifest = Some(image);
    }
    if let Some(taken) = &taken {
        text.push(format!("taken over: {} trees, {} blobs", taken.trees, taken.blobs));
    }
    let json = json!({
        "tree": digest,
        "entries": tree.entries().count(),
        "directory": args.directory,
        "oci": args.oci,
        "image": manifest.as_ref().map(|image| image.manifest),
        "diff_ids": manifest.as_ref().map(|image| &image.diff_ids),
        "taken": taken.map(|taken| json!({"trees": taken.trees, "blobs": taken.blobs})),
    });
    Ok(Report::yes(json, text.join("\n")))
}

fn absolute(directory: &Path) -> Result<PathBuf> {
    std::path::absolute(directory).context("provision", format!("finding `{}`", directory.display()))
}

fn counted(tree: &Tree) -> String {
    let sizes = tree.entries().filter_map(|(_, entry)| match entry {
        Entry::File { size, .. } => Some(*size),
        _ => None,
    });
    let sizes: Vec<u64> = sizes.collect();
    format!("{} files, {} bytes", sizes.len(), sizes.iter().sum::<u64>())
}

/// Packs the base as an image, after every byte of its tree was compared with the manifest.
fn packed(inputs: &StoreInputs, lock: &Lock, tree: &Tree, directory: &Path) -> Result<image::Image> {
    let doing = || format!("writing the image to `{}`", directory.display());
    let is_layout = directory.join("oci-layout").is_file();
    let is_used = directory.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if is_used && !is_layout {
        return Err(Failure::new("occupied", format!("`{}` holds something that is no image", directory.display())));
    }
    let damaged = inputs.trees.verify(&lock.base.tree).map_err(|error| of_trees(&doing(), error))?;
    if let Some(first) = damaged.into_iter().next() {
        return Err(of_trees(&doing(), TreesError::Damaged { tree: lock.base.tree, path: first.path }));
    }
    let layer = image::root_layer(tree, &inputs.trees.path(&lock.base.tree)).context("image", doing())?;
    let image = image::root(layer, architecture(), lock.base.image_variables()).context("image", doing())?;
    image::write(&image, directory).context("image", doing())?;
    Ok(image)
}

/// Makes the base's tree again from blobs of the store: an image has its layers there, packages their files.
fn bring_back(context: &Context, inputs: &StoreInputs, project: &Project, lock: &Lock) -> Result<()> {
    let hint = "`assay lock` on a machine with a network, or --from the home of one that has it";
    if let Root::Packages(_) = project.spec.base.root {
        let message = format!("the store does not hold the base, tree {}", lock.base.tree);
        return Err(Failure::no("not-held", message).hint(hint));
    }
    with_world(context, inputs, |world| {
        let offline = World { images: &Offline, fetch: &Offline, ..*world };
        pin::restore_base(&project.directory, &project.spec, &lock.base, &offline)
            .context("not-held", "making the base")
    })
    .and_then(|differences| match differences.is_empty() {
        true => Ok(()),
        false => Err(Failure::no("not-held", differences.join(", "))),
    })
    .map_err(|failure| Failure { exit: 1, ..failure.hint(hint) })
}

/// What came from another home.
struct Taken {
    trees: usize,
    blobs: usize,
}

/// Takes over all trees and blobs that a lock pins, each compared with its digest.
fn take(context: &Context, inputs: &StoreInputs, lock: &Lock, from: &Path) -> Result<Taken> {
    let data = if from.join("data").is_dir() { from.join("data") } else { from.to_owned() };
    if !data.join("blobs").is_dir() {
        let message = format!("`{}` is no home of assay, nor the data directory of one", from.display());
        return Err(Failure::new("no-home", message));
    }
    // Nothing is ever written there.
    let disk = Disk::new(PathBuf::new());
    let blobs = Blobs::new(data.join("blobs"), disk.clone());
    let trees = Trees::new(data.join("trees"), blobs.clone(), disk);
    let mut taken = Taken { trees: 0, blobs: 0 };
    for (name, digest) in lock.trees() {
        if !inputs.trees.has(&digest) && (trees.has(&digest) || name != "base" || !lock.base.is_of_blobs()) {
            context.progress.doing(&format!("taking over `{name}`"));
            let took = inputs.trees.take_from(&trees, &digest);
            took.map_err(|error| of_trees(&format!("taking over `{name}` from `{}`", from.display()), error))?;
            taken.trees += 1;
        }
    }
    for (digest, what) in pinned_blobs(lock) {
        let doing = || format!("taking over {what} {digest} from `{}`", from.display());
        if inputs.has(&digest).context("store", doing())? {
            continue;
        }
        let mut file = blobs.open(&digest).map_err(|error| Failure::no("not-held", doing()).because(&error))?;
        let put = inputs.put(&mut file, Some(&digest));
        put.map_err(|error| Failure::no("damaged", doing()).because(&error))?;
        taken.blobs += 1;
    }
    Ok(taken)
}

/// The blobs that a lock names, and what they are; git dependencies are trees of the ecosystem's own.
pub(crate) fn pinned_blobs(lock: &Lock) -> BTreeMap<Digest, String> {
    let mut blobs = BTreeMap::new();
    if let Some(image) = &lock.base.image {
        let top = ImageReference::parse(&image.reference).ok().and_then(|reference| reference.digest());
        blobs.extend(top.map(|digest| (digest, "the image's index".to_owned())));
        blobs.insert(image.digest, "the image's manifest".to_owned());
        blobs.insert(image.config, "the image's config".to_owned());
        blobs.extend(image.layers.iter().map(|layer| (*layer, "the image's layer".to_owned())));
    }
    let debs = lock.base.packages.iter().filter_map(|package| Some((package.deb?, format!("`{}`", package.name))));
    blobs.extend(debs);
    let kept = lock.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Git);
    blobs.extend(kept.map(|dependency| (dependency.digest, format!("`{} {}`", dependency.name, dependency.version))));
    blobs
}

fn of_trees(doing: &str, error: TreesError) -> Failure {
    let (code, exit) = match &error {
        TreesError::Missing(_) => ("not-held", 1),
        TreesError::Damaged { .. } | TreesError::Manifest(_) | TreesError::Mismatch { .. } => ("damaged", 1),
        TreesError::Occupied(_) => ("occupied", 2),
        _ => ("store", 2),
    };
    let failure = Failure { exit, ..Failure::new(code, doing).because(&error) };
    match code {
        "damaged" => failure.hint("`assay admin fsck` names all that is damaged"),
        "not-held" => failure.hint("assay lock, or --from the home of a machine that has it"),
        _ => failure,
    }
}

/// No registry is asked.
struct Offline;

impl Offline {
    fn refuse<T>(repository: &Repository, digest: &Digest) -> std::result::Result<T, ImagesError> {
        let source = format!("`{digest}` is not in the store, and no registry is asked here").into();
        Err(ImagesError { repository: repository.clone(), source })
    }
}

impl Fetch for Offline {
    fn fetch(&self, url: &str, _: u64) -> std::result::Result<Vec<u8>, FetchError> {
        let source = "it is not in the store, and no network is asked here".into();
        Err(FetchError::Unreachable { url: url.to_owned(), source })
    }
}

impl Images for Offline {
    fn manifest(&self, repository: &Repository, digest: &Digest) -> std::result::Result<Vec<u8>, ImagesError> {
        Offline::refuse(repository, digest)
    }

    fn blob(&self, repository: &Repository, blob: &Descriptor) -> std::result::Result<(), ImagesError> {
        Offline::refuse(repository, &blob.digest)
    }
}
