//! `assay env freeze`

use std::collections::BTreeMap;
use std::path::Path;

use build::base::debs;
use build::base::freeze::{Change, Image, Named};
use build::dpkg::Database;
use build::spec::{self, NamedPackage};
use serde_json::json;
use wire::digest::Digest;
use wire::oci_distribution::{Location, Tag};

use crate::commands::lock::with_world;
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::project;
use crate::remote::images::Registries;
use crate::report::Report;
use crate::runbook::durable;
use crate::session::Session;

/// Turn what `[base]` of assay.toml says loosely into exact pins
///
/// An image gets the digest that its tag leads to now; a package the version that is installed here. Only those strings of
/// the file change: comments and layout stay. A version that is named already and is not the one installed is an error
/// that names both; with --refresh it becomes the installed one, and an image's digest the one of its tag now.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Change nothing; answer no (exit 1) if the file would change
    #[arg(long)]
    check: bool,
    /// Pin anew what is pinned already
    #[arg(long)]
    refresh: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let directory = context.project()?;
    let path = directory.join(spec::FILE);
    let bytes = project::optional(&path)?
        .ok_or_else(|| Failure::new("no-spec", format!("`{}` does not exist", path.display())).hint("assay init"))?;
    let named = Named::parse(spec::FILE, &bytes).map_err(|problem| Failure::problems("spec", &[problem]))?;
    let mut changes = packages(args, context, &named)?;
    changes.extend(image(args, context, &directory, &named)?);
    let text = named.apply(&changes);
    if !changes.is_empty() && !args.check {
        durable(&path, text.as_bytes()).context("freeze", format!("writing `{}`", path.display()))?;
    }
    let json = json!({
        "changed": !changes.is_empty(),
        "changes": changes.iter().map(|change| json!({"from": change.from, "to": change.to})).collect::<Vec<_>>(),
    });
    let lines: Vec<String> = changes.iter().map(|change| format!("{} → {}", change.from, change.to)).collect();
    let text = match (changes.is_empty(), args.check) {
        (true, _) => "assay.toml names exact versions already".to_owned(),
        (false, true) => format!("assay.toml would change:\n{}", lines.join("\n")),
        (false, false) => format!("{}\nassay.toml written; now `assay lock`", lines.join("\n")),
    };
    Ok(Report::of(changes.is_empty() || !args.check, json, text))
}

/// Every package with the version that is installed, or that apt would fetch.
fn packages(args: &Args, context: &Context, named: &Named) -> Result<Vec<Change>> {
    if named.packages.is_empty() {
        return Ok(Vec::new());
    }
    let known = match named.from_archive {
        true => fetched(args, context, named)?,
        false => installed(named)?,
    };
    let (mut changes, mut missing, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for place in &named.packages {
        let package = &place.value;
        let Some(found) = known.get(&package.name) else {
            missing.push(package.name.clone());
            continue;
        };
        match &package.version {
            Some(version) if version != found && !args.refresh => {
                others.push(format!("{} {version} ≠ {found}", package.name));
            }
            _ => changes.extend(place.becomes(package.to_string(), format!("{}={found}", package.name))),
        }
    }
    if !missing.is_empty() {
        return Err(Failure::no("not-installed", format!("not installed on this machine: {}", missing.join(", ")))
            .hint(format!("apt-get install {}", missing.join(" "))));
    }
    if !others.is_empty() {
        let message = format!("this machine differs from assay.toml: {}", others.join(", "));
        return Err(Failure::no("differs", message).hint("install those versions, or assay env freeze --refresh"));
    }
    Ok(changes)
}

fn installed(named: &Named) -> Result<BTreeMap<String, String>> {
    let database = Database::read(Path::new("/")).context("freeze", "reading the package database")?;
    let packages = named.packages.iter().filter_map(|place| database.package(&place.value.name));
    Ok(packages.map(|package| (package.name.clone(), package.version.clone())).collect())
}

/// What apt would fetch: with the versions that are named, if it has them.
fn fetched(args: &Args, context: &Context, named: &Named) -> Result<BTreeMap<String, String>> {
    let pinned: Vec<NamedPackage> = named.packages.iter().map(|place| place.value.clone()).collect();
    let loose: Vec<NamedPackage> =
        pinned.iter().map(|package| NamedPackage { version: None, ..package.clone() }).collect();
    let session = Session::open(context)?;
    let listed = with_world(context, session.inputs(), |world| {
        let found = match args.refresh {
            true => debs::resolve(world.host, &loose),
            false => debs::resolve(world.host, &pinned).or_else(|_| debs::resolve(world.host, &loose)),
        };
        found.context("freeze", "asking apt for the packages")
    });
    session.close()?;
    Ok(listed?.into_iter().map(|package| (package.name, package.version)).collect())
}

/// The image with the digest that its tag leads to now.
fn image(args: &Args, context: &Context, directory: &Path, named: &Named) -> Result<Option<Change>> {
    let Some(place) = &named.image else { return Ok(None) };
    let (from, to) = match &place.value {
        Image::Pinned(reference) => {
            let text = reference.to_string();
            let location = text.parse::<Location>().ok().filter(|location| location.tag.is_some() && args.refresh);
            let Some(location) = location else { return Ok(None) };
            let loose = Location { digest: None, ..location };
            let digest = tagged(context, &loose)?;
            (text, format!("{loose}@{digest}"))
        }
        Image::Tag(location) => (location.to_string(), format!("{location}@{}", tagged(context, location)?)),
        Image::Layout(layout) => {
            let digest = crate::resolve::layout_digest(&directory.join(layout))?;
            (format!("oci:{layout}"), format!("oci:{layout}@{digest}"))
        }
    };
    Ok(place.becomes(from, to))
}

/// Asks the registry what a tag leads to; `latest` if there is none.
fn tagged(context: &Context, location: &Location) -> Result<Digest> {
    let latest = || "latest".parse::<Tag>().context("freeze", "naming the tag");
    let tag = location.tag.clone().map_or_else(latest, Ok)?;
    let host = location.host.as_deref().unwrap_or_default();
    let session = Session::open(context)?;
    let found = Registries::new(context, &session.inputs().blobs).digest(host, &location.name, &tag);
    session.close()?;
    found?.ok_or_else(|| Failure::no("not-found", format!("{host} has no `{}` `{}`", location.name, tag.as_str())))
}
