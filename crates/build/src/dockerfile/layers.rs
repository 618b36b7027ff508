//! Plans of a Dockerfile's runs, and the image that its stages make.

use std::collections::BTreeMap;

use sandbox::plan::{Collect, Limits, Mount, PLAN_VERSION, Plan, Step};
use sandbox::tier::Randomness;
use serde_json::Value;
use wire::digest::Digest;
use wire::oci_image::{Config, Execution, Manifest};

use super::{Action, Run};
use crate::lock::{FETCHED_KEY, Lock};
use crate::plan::{Planned, epoch_unix_s, settings, tree};
use crate::spec::{FETCHED, Spec};

/// What a plan calls the root that it runs on.
const ROOT_KEY: &str = "root";

/// Space for a root with all that is written on it. It counts as memory only as far as it is used.
const ROOT_BYTES: u64 = 16 << 30;

/// Space for a directory that a command has to itself.
const SCRATCH_BYTES: u64 = 4 << 30;

/// Actions that are done together: none of them runs anything, or all run on one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// What is added.
    Added(Vec<&'a Action>),
    /// What is run.
    Ran(Vec<&'a Run>),
}

/// Puts together what can be done together. A command with a directory of its own runs alone.
pub fn parts(actions: &[Action]) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for action in actions {
        match (action, parts.last_mut()) {
            (Action::Run(run), Some(Part::Ran(runs)))
                if run.scratch.is_empty() && runs.iter().all(|run| run.scratch.is_empty()) =>
            {
                runs.push(run);
            }
            (Action::Run(run), _) => parts.push(Part::Ran(vec![run])),
            (added, Some(Part::Added(all))) => all.push(added),
            (added, _) => parts.push(Part::Added(vec![added])),
        }
    }
    parts
}

/// Plans runs on a root; what differs afterwards is collected.
pub fn plan(spec: &Spec, lock: &Lock, source: &model::source::Source, root: Digest, runs: &[&Run]) -> Planned {
    let epoch_unix_s = epoch_unix_s(source);
    let mut mounts =
        vec![Mount::Root { source: ROOT_KEY.to_owned(), mtime_unix_s: epoch_unix_s, size_bytes: ROOT_BYTES }];
    let mut trees = BTreeMap::from([(ROOT_KEY.to_owned(), root)]);
    if let Some(fetched) = lock.fetched {
        mounts.push(tree(FETCHED, FETCHED_KEY));
        trees.insert(FETCHED_KEY.to_owned(), fetched);
    }
    let scratch = runs.iter().flat_map(|run| &run.scratch);
    mounts.extend(scratch.map(|target| Mount::Scratch { target: target.clone(), size_bytes: SCRATCH_BYTES }));
    let tier = spec.build.tier;
    let step = |run: &&Run| {
        let mut variables = tier.variables();
        variables.insert("SOURCE_DATE_EPOCH".to_owned(), epoch_unix_s.to_string());
        variables.extend(run.variables.clone());
        Step {
            name: run.name.clone(),
            argv: run.argv.clone(),
            cwd: run.cwd.clone(),
            variables,
            tier,
            randomness: Randomness::Real,
            scripts: spec.build.scripts,
        }
    };
    let mut plan = Plan {
        version: PLAN_VERSION,
        hostname: "build".to_owned(),
        cpus: lock.cpus,
        loopback: false,
        epoch_unix_s,
        mounts,
        steps: runs.iter().map(step).collect(),
        collect: vec![Collect { path: "/".to_owned(), optional: true, after_failure: false }],
        limits: Limits::default(),
    };
    spec.limits.apply(&mut plan);
    Planned { plan, trees, within: BTreeMap::new(), normalise: Vec::new(), settings: settings(lock, source) }
}

/// An image to build on: its manifest's layers, and how it is run.
#[derive(Clone, Debug)]
pub struct BaseImage {
    /// The manifest, whose layers stay as they are.
    pub manifest: Manifest,
    /// The configuration.
    pub config: Config,
}

/// Why an image cannot be built on.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BaseImageError {
    /// It would do something that the file does not say.
    #[error("the image `{reference}` says `ONBUILD {instruction}`, which this build does not")]
    OnBuild {
        /// The image.
        reference: String,
        /// The first of its instructions.
        instruction: String,
    },
    /// A manifest or configuration that is none.
    #[error("the {what} of the image `{reference}` cannot be read: {reason}")]
    Document {
        /// The image.
        reference: String,
        /// `manifest`
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// Layers and their digests do not go together.
    #[error("the image `{0}` names another number of layers in its configuration than in its manifest")]
    Layers(String),
}

impl BaseImage {
    /// Reads manifest and configuration as the lock pins them.
    pub fn parse(reference: &str, manifest: &[u8], config: &[u8]) -> Result<BaseImage, BaseImageError> {
        let refuse = |what, error: serde_json::Error| BaseImageError::Document {
            reference: reference.to_owned(),
            what,
            reason: error.to_string(),
        };
        let manifest: Manifest = serde_json::from_slice(manifest).map_err(|error| refuse("manifest", error))?;
        let whole: Value = serde_json::from_slice(config).map_err(|error| refuse("config", error))?;
        if let Some(first) = whole["config"]["OnBuild"].as_array().and_then(|all| all.first()) {
            let instruction = first.as_str().unwrap_or("…").chars().take(200).collect();
            return Err(BaseImageError::OnBuild { reference: reference.to_owned(), instruction });
        }
        let config: Config = serde_json::from_value(whole).map_err(|error| refuse("config", error))?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(BaseImageError::Layers(reference.to_owned()));
        }
        Ok(BaseImage { manifest, config })
    }

    /// Returns how it is run.
    pub fn execution(&self) -> Execution {
        self.config.config.clone().unwrap_or_default()
    }
}
