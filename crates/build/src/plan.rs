//! From specification, lock and source to a plan for the sandbox, each step at its tier.
//!
//! ```text
//! /                 base (read-only)            /build         source, writable, every time = SOURCE_DATE_EPOCH
//! /toolchain/rust   toolchain (read-only)       /home/builder  empty, writable
//! /fetched          files of `[[fetch]]`        /tmp           empty, writable
//! ```
//!
//! and the trees of dependencies, each where its [`Ecosystem`] says, with the variables and files that it adds.
//!
//! A plan is a pure function of what it is made from: no path, user, time or setting of a machine enters, so that its
//! digest is the same everywhere. The trees are named in it by key; [`Planned::digest`] covers their digests too.

use std::collections::BTreeMap;
use std::path::PathBuf;

use model::recipe::{Normalise, Settings};
use model::source::Source;
use sandbox::plan::{Collect, Limits, Mount, PLAN_VERSION, Plan, Step};
use sandbox::script::Scripts;
use sandbox::tier::{Randomness, Tier};
use serde::Serialize;
use wire::digest::Digest;

use crate::ecosystem::{Contribution, Ecosystem, recorded};
use crate::inputs::{Inputs, InputsError};
use crate::lock::{FETCHED_KEY, Lock};
use crate::normalise::NORMALISE_FORMAT;
use crate::spec::{Artifact, FETCHED, Spec, Test};

/// The project's directory inside.
pub const WORKSPACE: &str = "/build";

/// Where a toolchain's tree is inside: its name follows.
pub(crate) const TOOLCHAINS: &str = "/toolchain";

/// The builder's home inside.
pub(crate) const HOME: &str = "/home/builder";

/// Where a test finds the artifacts that it evaluates; also the value of `ASSAY_ARTIFACTS`.
pub const ARTIFACTS: &str = "/artifacts";

/// Where the certificate of who answers lies while a command is recorded, and what the plan calls that tree.
const RECORDING: &str = "/recording";
const RECORDING_TREE: &str = "recording";

/// The earliest time of a source: 1980-01-01, below which zip archives cannot go.
pub const EPOCH_MIN_UNIX_S: i64 = 315_532_800;

/// Space for the source and what is built beside it. It counts as memory only as far as it is used.
pub(crate) const WORKSPACE_BYTES: u64 = 16 << 30;

/// Space for temporary files, and for the builder's home.
const SCRATCH_BYTES: u64 = 4 << 30;

/// A plan, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What the sandbox runs.
    pub plan: Plan,
    /// Digest of each tree that the plan names.
    pub trees: BTreeMap<String, Digest>,
    /// What of a tree the plan means, for those of which it doesn't mean the whole: a path in it.
    pub within: BTreeMap<String, String>,
    /// What is put into its normal form after the steps.
    pub normalise: Vec<Normalise>,
    /// Settings that can change the bytes of the output.
    pub settings: Settings,
}

/// Plans a build.
pub fn build(spec: &Spec, lock: &Lock, source: &Source) -> Planned {
    let mut planned = frame(lock, source);
    planned.settings.tier = tiers(spec);
    let base = variables(lock, &planned.settings);
    let step = |step: &crate::spec::Step| {
        let tier = step.tier.unwrap_or(spec.build.tier);
        Step {
            name: step.name.clone(),
            argv: step.run.clone(),
            cwd: inside(&step.cwd),
            variables: merged(&base, [&tier.variables(), &spec.build.variables, &step.variables]),
            tier,
            randomness: step.randomness,
            scripts: step.scripts.unwrap_or(spec.build.scripts),
        }
    };
    planned.plan.steps = spec.steps.iter().map(step).collect();
    planned.plan.collect = spec.artifacts.iter().map(collect).collect();
    planned.normalise = spec.normalise.iter().map(normalise).collect();
    spec.limits.apply(&mut planned.plan);
    planned
}

/// Plans one repetition of a test. `artifacts` is a tree with a file for each artifact that is evaluated, by name.
pub fn test(spec: &Spec, lock: &Lock, source: &Source, test: &Test, artifacts: Option<&Digest>) -> Planned {
    let mut planned = frame(lock, source);
    let mut base = variables(lock, &planned.settings);
    if let Some(artifacts) = artifacts {
        planned.plan.mounts.push(tree(ARTIFACTS, "artifacts"));
        planned.trees.insert("artifacts".to_owned(), *artifacts);
        base.insert("ASSAY_ARTIFACTS".to_owned(), ARTIFACTS.to_owned());
    }
    // Services under test listen on the loopback interface of their own network namespace.
    planned.plan.loopback = true;
    // They wait, and measure: the clock stays real, and so does randomness.
    let tier = spec.build.tier.min(Tier::T1);
    planned.settings.tier = tier.name().to_owned();
    planned.plan.steps = vec![Step {
        name: test.name.clone(),
        argv: test.run.clone(),
        cwd: inside(&test.cwd),
        variables: merged(&base, [&tier.variables(), &spec.build.variables, &test.variables]),
        tier,
        randomness: Randomness::Real,
        scripts: spec.build.scripts,
    }];
    spec.limits.apply(&mut planned.plan);
    planned
}

/// Plans a command that is recorded: the same place as a build's with a way out, and the certificate of who answers there in the tree
/// `authority`. Clock and randomness are real, as servers' certificates and names want them.
pub fn record(spec: &Spec, lock: &Lock, source: &Source, authority: &Digest, command: &[String]) -> Planned {
    let mut planned = frame(lock, source);
    planned.plan.loopback = true;
    let contribution = recorded::contribution(lock, RECORDING);
    planned.plan.mounts.push(tree(RECORDING, RECORDING_TREE));
    planned.plan.mounts.extend(contribution.mounts);
    planned.trees.insert(RECORDING_TREE.to_owned(), *authority);
    let mut base = variables(lock, &planned.settings);
    online(&mut base);
    planned.plan.steps = vec![Step {
        name: "record".to_owned(),
        argv: command.to_vec(),
        cwd: inside(""),
        variables: merged(&base, [&Tier::T0.variables(), &contribution.variables, &spec.build.variables]),
        tier: Tier::T0,
        randomness: Randomness::Real,
        scripts: Scripts::Untraced,
    }];
    spec.limits.apply(&mut planned.plan);
    planned
}

impl Planned {
    /// Returns the digest of the canonical plan: of what runs, on which trees, with which settings.
    pub fn digest(&self) -> Digest {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Canonical<'a> {
            plan: &'a Plan,
            trees: &'a BTreeMap<String, Digest>,
            // Absent without any, as below.
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            within: &'a BTreeMap<String, String>,
            tier: &'a str,
            output_format: u32,
            // Absent without any, so that plans of former versions keep their digests.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            normalise: Vec<File<'a>>,
        }
        #[derive(Serialize)]
        struct File<'a> {
            path: &'a str,
            kind: Option<&'a str>,
            check: bool,
            recompress: bool,
            format: u32,
        }
        let canonical = Canonical {
            plan: &self.plan,
            trees: &self.trees,
            within: &self.within,
            tier: &self.settings.tier,
            output_format: self.settings.output_format,
            normalise: self
                .normalise
                .iter()
                .map(|file| File {
                    path: &file.path,
                    kind: file.kind.as_deref(),
                    check: file.check,
                    recompress: file.recompress,
                    format: file.format,
                })
                .collect(),
        };
        Digest::of(&wire::jcs::to_vec(&canonical))
    }

    /// Returns where the trees lie on this machine, for [`sandbox::plan::Host::sources`].
    pub fn sources(&self, inputs: &dyn Inputs) -> Result<BTreeMap<String, PathBuf>, InputsError> {
        let place = |(key, digest): (&String, &Digest)| {
            let root = inputs.tree(digest)?.ok_or(InputsError::Absent(*digest))?;
            let path = self.within.get(key).map_or(root.clone(), |within| root.join(within));
            Ok((key.clone(), path))
        };
        self.trees.iter().map(place).collect()
    }
}

/// Everything but the steps.
fn frame(lock: &Lock, source: &Source) -> Planned {
    let settings = settings(lock, source);
    let mut trees = lock.trees();
    trees.insert("source".to_owned(), source.tree);
    let mut mounts = vec![tree("/", "base")];
    for toolchain in &lock.toolchains {
        mounts.push(tree(&format!("{TOOLCHAINS}/{}", toolchain.name), &toolchain.name));
    }
    if lock.fetched.is_some() {
        mounts.push(tree(FETCHED, FETCHED_KEY));
    }
    let contributions = contributions(lock, &settings);
    mounts.extend(contributions.iter().flat_map(|contribution| contribution.mounts.clone()));
    mounts.push(Mount::Scratch { target: "/tmp".to_owned(), size_bytes: SCRATCH_BYTES });
    mounts.push(Mount::Scratch { target: HOME.to_owned(), size_bytes: SCRATCH_BYTES });
    mounts.extend(contributions.into_iter().flat_map(|contribution| contribution.home));
    mounts.push(Mount::Copy {
        target: WORKSPACE.to_owned(),
        source: "source".to_owned(),
        mtime_unix_s: settings.epoch_unix_s,
        size_bytes: WORKSPACE_BYTES,
    });
    let plan = Plan {
        version: PLAN_VERSION,
        hostname: "build".to_owned(),
        cpus: lock.cpus,
        // What was recorded is answered there.
        loopback: lock.has(Ecosystem::Recorded),
        epoch_unix_s: settings.epoch_unix_s,
        mounts,
        steps: Vec::new(),
        collect: Vec::new(),
        limits: Limits::default(),
    };
    Planned { plan, trees, within: BTreeMap::new(), normalise: Vec::new(), settings }
}

/// Returns the time of all sources, and of all that is made from them: the commit's.
pub fn epoch_unix_s(source: &Source) -> i64 {
    let commit_time = source.revision.as_ref().map_or(0, |revision| revision.commit_time_unix_s);
    commit_time.max(EPOCH_MIN_UNIX_S)
}

/// Returns the settings that a lock and a source lead to.
pub(crate) fn settings(lock: &Lock, source: &Source) -> Settings {
    Settings {
        tier: lock.tier.clone(),
        cpus: lock.cpus,
        epoch_unix_s: epoch_unix_s(source),
        output_format: lock.output_format,
    }
}

/// Returns what stands in statements: `T1`, and behind it each step that differs, as `T1 pack=T2 keys=T1+seeded`.
pub(crate) fn tiers(spec: &Spec) -> String {
    let of_step = |step: &crate::spec::Step| {
        let tier = step.tier.unwrap_or(spec.build.tier);
        let seeded = if step.randomness == Randomness::Seeded { "+seeded" } else { "" };
        let differs = tier != spec.build.tier || !seeded.is_empty();
        differs.then(|| format!(" {}={tier}{seeded}", step.name))
    };
    let rest: String = spec.steps.iter().filter_map(of_step).collect();
    format!("{}{rest}", spec.build.tier)
}

pub(crate) fn tree(target: &str, source: &str) -> Mount {
    Mount::Tree { target: target.to_owned(), source: source.to_owned() }
}

pub(crate) fn inside(relative: &str) -> String {
    if relative.is_empty() { WORKSPACE.to_owned() } else { format!("{WORKSPACE}/{relative}") }
}

fn collect(artifact: &Artifact) -> Collect {
    Collect { path: inside(&artifact.path), optional: false, after_failure: false }
}

fn normalise(file: &crate::spec::Normalise) -> Normalise {
    Normalise {
        path: file.path.clone(),
        kind: file.kind.map(|kind| kind.name().to_owned()),
        check: file.check,
        recompress: file.recompress,
        format: NORMALISE_FORMAT,
    }
}

/// The variables of every step; nothing of the machine is in them.
fn variables(lock: &Lock, settings: &Settings) -> BTreeMap<String, String> {
    let toolchains = lock.toolchains.iter().map(|toolchain| format!("{TOOLCHAINS}/{}/bin", toolchain.name));
    let contributions = contributions(lock, settings);
    let own = contributions.iter().flat_map(|contribution| contribution.path.clone());
    let path: Vec<String> = own.chain(toolchains).chain(lock.base.search_path()).collect();
    let variables = BTreeMap::from([
        ("HOME", HOME.to_owned()),
        ("LC_ALL", "C.UTF-8".to_owned()),
        ("PATH", path.join(":")),
        ("SOURCE_DATE_EPOCH", settings.epoch_unix_s.to_string()),
        ("TMPDIR", "/tmp".to_owned()),
        ("TZ", "UTC".to_owned()),
        ("USER", "builder".to_owned()),
    ]);
    let constructed = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
    let mut variables = lock.base.image_variables();
    variables.extend(constructed);
    variables.extend(contributions.into_iter().flat_map(|contribution| contribution.variables));
    variables
}

/// What the ecosystems of the lock add, in their order.
fn contributions(lock: &Lock, settings: &Settings) -> Vec<Contribution> {
    let used = Ecosystem::ALL.into_iter().filter(|ecosystem| ecosystem.is_used(lock));
    used.map(|ecosystem| {
        let mut contribution = ecosystem.contribute(lock, settings);
        if lock.has(Ecosystem::Recorded) && !lock.has(ecosystem) {
            online(&mut contribution.variables);
        }
        contribution
    })
    .collect()
}

/// Takes out what keeps tools from asking: a recorded command asks, and is answered from its record.
fn online(variables: &mut BTreeMap<String, String>) {
    const OFFLINE: [&str; 5] = ["CARGO_NET_OFFLINE", "GOPROXY", "PIP_FIND_LINKS", "PIP_NO_INDEX", "npm_config_offline"];
    variables.retain(|name, _| !OFFLINE.contains(&name.as_str()));
}

/// Later tables win. The specification was refused if it set a constructed variable.
fn merged(base: &BTreeMap<String, String>, over: [&BTreeMap<String, String>; 3]) -> BTreeMap<String, String> {
    let mut variables = base.clone();
    over.into_iter().for_each(|table| variables.extend(table.clone()));
    variables
}

#[cfg(test)]
mod tests;
