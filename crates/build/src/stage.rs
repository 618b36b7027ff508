//! Stages: each is planned for itself, and sees of the others what it declares, by digest.
//!
//! ```text
//! compile ── target/release/greeter ── tree sha256:… ──┐
//!   plan sha256:…  (source, gcc)                       ├─ package
//! /in/greeter  ◄───────────────────────────────────────┘    plan sha256:…  (tar, /in/greeter by its tree)
//! ```
//!
//! What a stage leaves for others is kept as a tree that holds it under its last name. The taker's plan names that tree, so
//! its digest covers all that the taker can see, and nothing of how the giver came to it: [`StageMade`] is plan digest →
//! outputs, and as much as whoever keeps the outputs of plans needs to know.
//!
//! Before anything runs the trees are not known. The digest of the *whole* is of all plans with, in place of each tree, a
//! digest that follows from the giver's plan and the path.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use model::recipe::{Stage as RecipeStage, StageInput as RecipeInput, StageMade, StageOutput};
use model::run::{Attempt, Completeness, Component, Denied, Drawn, Record, StageRun, Undeclared, Used, Verdicts};
use model::source::Source;
use sandbox::outcome::{Collected, CollectedKind};
use sandbox::plan::{Collect, Level, Mount};
use serde::Serialize;
use wire::digest::Digest;

use crate::inputs::{Inputs, InputsError, TreeEntry, TreeSource};
use crate::lock::Lock;
use crate::plan::{self, Planned, WORKSPACE, WORKSPACE_BYTES};
use crate::record::watch::unread;
use crate::spec::{Spec, Stage};

#[cfg(test)]
mod tests;

/// Why a stage could not be planned, or what it left could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A stage is to be planned whose giver did not run.
    #[error("stage `{taker}` takes `{path}` of stage `{giver}`, which that did not leave")]
    NotMade {
        /// Who takes.
        taker: String,
        /// Who should have given.
        giver: String,
        /// What.
        path: String,
    },
    /// The steps left nothing at a path that another stage takes.
    #[error("stage `{stage}` left nothing at `{path}`, which another stage takes")]
    Absent {
        /// The stage.
        stage: String,
        /// The path.
        path: String,
    },
    /// The tree could not be kept.
    #[error("keeping what stage `{stage}` left at `{path}`")]
    Keep {
        /// The stage.
        stage: String,
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: InputsError,
    },
}

/// What stages that ran have left, by their names.
pub type Made = BTreeMap<String, StageMade>;

/// Plans a build before anything ran, and returns the digest of all of it; that of the one plan where there are no stages.
pub fn whole(spec: &Spec, lock: &Lock, source: &Source) -> Digest {
    if spec.stages.is_empty() {
        return plan::build(spec, lock, source).digest();
    }
    #[derive(Serialize)]
    struct One<'a> {
        stage: &'a str,
        plan: Digest,
    }
    let mut made = Made::new();
    let mut all = Vec::new();
    for stage in &spec.stages {
        let planned = plan(spec, lock, source, stage, &made).expect("stages stand below those that they take from");
        let digest = planned.digest();
        let foreseen = |path: String| StageOutput { tree: Digest::of(format!("{digest} {path}").as_bytes()), path };
        let outputs = taken(spec, &stage.name).into_iter().map(foreseen).collect();
        made.insert(stage.name.clone(), StageMade { plan: digest, outputs });
        all.push(One { stage: &stage.name, plan: digest });
    }
    Digest::of(&wire::jcs::to_vec(&all))
}

/// Plans one stage on what those above it have made.
pub fn plan(spec: &Spec, lock: &Lock, source: &Source, stage: &Stage, made: &Made) -> Result<Planned, StageError> {
    let own = lock.of_stage(&stage.name);
    let mut planned = plan::build(&spec.of_stage(stage), &own, source);
    enter(&mut planned, stage, made)?;
    let collected: Vec<String> = planned.plan.collect.iter().map(|collect| collect.path.clone()).collect();
    for path in taken(spec, &stage.name).iter().map(|path| plan::inside(path)) {
        if !collected.contains(&path) {
            planned.plan.collect.push(Collect { path, optional: false, after_failure: false });
        }
    }
    Ok(planned)
}

/// Makes a plan show what a stage sees: its inputs, and the source only if it says so.
pub fn enter(planned: &mut Planned, stage: &Stage, made: &Made) -> Result<(), StageError> {
    if !stage.source {
        planned.trees.remove("source");
        for mount in &mut planned.plan.mounts {
            if mount.target() == WORKSPACE {
                let size_bytes = match mount {
                    Mount::Copy { size_bytes, .. } => *size_bytes,
                    _ => WORKSPACE_BYTES,
                };
                *mount = Mount::Scratch { target: WORKSPACE.to_owned(), size_bytes };
            }
        }
    }
    for input in inputs(stage, made)? {
        planned.plan.mounts.push(plan::tree(&input.at, &input.at));
        planned.trees.insert(input.at.clone(), input.tree);
        planned.within.insert(input.at.clone(), last_name(&input.path).to_owned());
    }
    Ok(())
}

/// Returns what a stage takes, by digest.
pub fn inputs(stage: &Stage, made: &Made) -> Result<Vec<RecipeInput>, StageError> {
    let input = |input: &crate::spec::StageInput| {
        let outputs = made.get(&input.stage).map(|made| made.outputs.as_slice()).unwrap_or_default();
        let found = outputs.iter().find(|output| output.path == input.path);
        let found = found.ok_or_else(|| StageError::NotMade {
            taker: stage.name.clone(),
            giver: input.stage.clone(),
            path: input.path.clone(),
        })?;
        let (stage, path, at) = (input.stage.clone(), input.path.clone(), input.at.clone());
        Ok(RecipeInput { stage, path, at, tree: found.tree })
    };
    stage.inputs.iter().map(input).collect()
}

/// Keeps what a stage left for others. `directory` is where its plan's files were collected.
pub fn keep(
    spec: &Spec,
    stage: &Stage,
    planned: &Planned,
    collected: &[Collected],
    directory: &std::path::Path,
    inputs: &dyn Inputs,
) -> Result<StageMade, StageError> {
    let mut outputs = Vec::new();
    for path in taken(spec, &stage.name) {
        let entries = entries(&path, collected, directory);
        if entries.is_empty() {
            return Err(StageError::Absent { stage: stage.name.clone(), path });
        }
        let tree = inputs.import(entries);
        let refuse = |source| StageError::Keep { stage: stage.name.clone(), path: path.clone(), source };
        let tree = tree.map_err(refuse)?.digest();
        outputs.push(StageOutput { path, tree });
    }
    Ok(StageMade { plan: planned.digest(), outputs })
}

/// Returns what was collected at a path, as a tree that holds it under its last name.
fn entries(path: &str, collected: &[Collected], directory: &std::path::Path) -> Vec<TreeEntry> {
    let inside = plan::inside(path);
    let above = inside.len() - last_name(path).len();
    let own = collected.iter().filter(|one| sandbox::plan::is_within(&one.path, &inside));
    own.filter_map(|one| {
        let source = match &one.kind {
            CollectedKind::File { executable, .. } => {
                TreeSource::File { path: directory.join(&one.path[1..]), executable: *executable }
            }
            CollectedKind::Link { to } => TreeSource::Link(to.clone()),
            CollectedKind::Directory => TreeSource::Directory,
            CollectedKind::Removed => return None,
        };
        Some(TreeEntry { path: one.path[above..].to_owned(), source })
    })
    .collect()
}

/// The paths that other stages take of a stage, sorted.
fn taken(spec: &Spec, name: &str) -> Vec<String> {
    let inputs = spec.stages.iter().flat_map(|stage| &stage.inputs);
    let mut paths: Vec<String> = inputs.filter(|input| input.stage == name).map(|input| input.path.clone()).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// One run of a stage: its record, made as if it were all of the build.
#[derive(Clone, Debug)]
pub struct Part {
    /// The stage; a stage that runs several times is told apart by a number.
    pub name: String,
    /// Its plan.
    pub plan: Digest,
    /// Its record.
    pub record: Record,
}

/// What is said of a build of stages as a whole.
#[derive(Clone, Debug)]
pub struct Whole {
    /// Digest of all that decides what is built.
    pub plan: Digest,
    /// Digest of the whole lock.
    pub lock: Digest,
    /// Tiers of all steps.
    pub tier: String,
    /// Its stages, as they stand in the recipe.
    pub stages: Vec<RecipeStage>,
    /// Names of the artifacts, in the order that they shall have.
    pub artifacts: Vec<String>,
    /// What was packed afterwards.
    pub images: Vec<model::recipe::Artifact>,
}

impl Whole {
    /// A build of the stages of a specification.
    pub fn new(spec: &Spec, lock: &Lock, source: &Source, stages: Vec<RecipeStage>) -> Whole {
        Whole {
            plan: whole(spec, lock, source),
            lock: lock.digest(),
            tier: plan::tiers(spec),
            stages,
            artifacts: spec.artifacts.iter().map(|artifact| artifact.name.clone()).collect(),
            images: Vec::new(),
        }
    }
}

/// Returns what stands of a stage in a recipe.
pub fn stated(spec: &Spec, stage: &Stage, above: &Made, made: StageMade) -> Result<RecipeStage, StageError> {
    let steps = spec.steps.iter().filter(|step| step.stage.as_ref() == Some(&stage.name));
    Ok(RecipeStage {
        name: stage.name.clone(),
        inputs: inputs(stage, above)?,
        made,
        steps: steps.map(|step| step.name.clone()).collect(),
    })
}

/// Puts the records of the runs, in their order, together to that of the build; `None` where nothing ran.
pub fn join(whole: Whole, parts: Vec<Part>) -> Option<Record> {
    let mut all = parts.last()?.record.clone();
    all.recipe.plan = whole.plan;
    all.recipe.lock = whole.lock;
    all.recipe.settings.tier = whole.tier;
    all.recipe.stages = whole.stages;
    all.started = parts.first()?.record.started;
    all.duration_ms = parts.iter().map(|part| part.record.duration_ms).sum();
    all.level = weakest(&parts);
    all.completeness = completeness(&parts);
    all.recipe.inputs = parts.iter().flat_map(|part| part.record.recipe.inputs.clone()).collect();
    all.recipe.inputs.sort();
    all.recipe.inputs.dedup();
    all.recipe.steps = parts.iter().flat_map(|part| part.record.recipe.steps.clone()).collect();
    all.recipe.normalise = parts.iter().flat_map(|part| part.record.recipe.normalise.clone()).collect();
    let place = |name: &str| whole.artifacts.iter().position(|artifact| artifact == name);
    all.recipe.outputs = parts.iter().flat_map(|part| part.record.recipe.outputs.clone()).collect();
    all.recipe.outputs.sort_by_key(|output| place(&output.name));
    all.recipe.outputs.extend(whole.images);
    all.stages = parts.iter().map(stage_run).collect();
    (all.undeclared, all.denied, all.processes) = (Vec::new(), Vec::new(), 0);
    (all.verdicts, all.components) = (Verdicts::default(), components(&parts));
    for part in parts {
        append(&mut all, part.record);
    }
    all.verdicts.unread = unread(&all.components);
    Some(all)
}

fn stage_run(part: &Part) -> StageRun {
    StageRun {
        name: part.name.clone(),
        plan: part.plan,
        level: part.record.level.clone(),
        duration_ms: part.record.duration_ms,
        processes: part.record.processes,
        trace: part.record.trace,
        log: part.record.log,
    }
}

/// Appends what was seen of a stage; its processes are numbered behind those of the stages before.
fn append(all: &mut Record, own: Record) {
    let before = all.processes;
    let moved = |mut one: Attempt| {
        one.process += before;
        one
    };
    all.undeclared.extend(own.undeclared.into_iter().map(|one| Undeclared { process: one.process + before, ..one }));
    all.denied.extend(own.denied.into_iter().map(|one| Denied { process: one.process + before, ..one }));
    let verdicts = own.verdicts;
    all.verdicts.dynamic.extend(verdicts.dynamic.into_iter().map(moved));
    all.verdicts.clock_files.extend(verdicts.clock_files.into_iter().map(moved));
    all.verdicts.outside.extend(verdicts.outside.into_iter().map(moved));
    let drawn = verdicts.random.into_iter().map(|one| Drawn { process: one.process + before, ..one });
    all.verdicts.random.extend(drawn);
    all.verdicts.clock.extend(verdicts.clock);
    all.processes += own.processes;
}

/// Everything pinned for any of the stages, once, in the order of the first that could use it.
fn components(parts: &[Part]) -> Vec<Component> {
    let mut places = BTreeMap::new();
    let mut all: Vec<Component> = Vec::new();
    for component in parts.iter().flat_map(|part| &part.record.components) {
        let key = (component.kind, &component.name, &component.version, component.digest);
        match places.entry(key) {
            Entry::Occupied(place) => {
                let known: &mut Component = &mut all[*place.get()];
                known.used = either(known.used, component.used);
            }
            Entry::Vacant(place) => {
                place.insert(all.len());
                all.push(component.clone());
            }
        }
    }
    all
}

/// What is known of something that two stages could use: that one of them read it, or that nothing can be said.
fn either(a: Used, b: Used) -> Used {
    let order = [Used::Read, Used::Perhaps, Used::Unknown, Used::Described, Used::Never];
    order.into_iter().find(|used| [a, b].contains(used)).unwrap_or(Used::Unknown)
}

fn weakest(parts: &[Part]) -> String {
    let held = |level: &&Level| parts.iter().any(|part| part.record.level == level.name());
    Level::ALL.iter().rev().find(held).unwrap_or(&Level::TraceOnly).name().to_owned()
}

fn completeness(parts: &[Part]) -> Completeness {
    let of_part = |part: &Part| {
        let reasons = part.record.completeness.reasons.clone();
        reasons.into_iter().map(|reason| format!("stage `{}`: {reason}", part.name)).collect::<Vec<_>>()
    };
    Completeness {
        complete: parts.iter().all(|part| part.record.completeness.complete),
        reasons: parts.iter().flat_map(of_part).collect(),
        lost: parts.iter().map(|part| part.record.completeness.lost).sum(),
    }
}
