//! From what a run left to the record of a build: what it read that nothing pins, and whether the evidence is complete.
//!
//! [`watch::Watch`] judges the events of a run as they come, in bounded memory; [`record`] puts its findings together.
//!
//! Completeness is computed from what the build could reach, and a trace without loss; the list of undeclared files
//! comes from the trace and attributes, it proves nothing by itself. At level `trace-only` nothing kept the build from
//! reading the whole machine, so the evidence is never complete there.

pub mod inventory;

pub mod watch;

mod pseudo;

mod reach;

pub mod withhold;

use std::collections::BTreeMap;
use std::path::PathBuf;

use model::recipe::{self, Artifact, ArtifactKind, Input, InputKind, Recipe, RecipeStep};
use model::run::{Clock, Completeness, Machine, Record};
use model::source::Source;
use model::tree::Tree;
use sandbox::outcome::{Collected, CollectedKind, Summary};
use sandbox::plan::Level;
use sandbox::tier::Tier;
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use crate::lock::{Lock, Toolchain};
use crate::plan::{Planned, WORKSPACE};
use crate::spec::Spec;

use watch::{LISTED_MAX, Seen};

/// Why no record can be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RecordError {
    /// The steps left no such file.
    #[error("the steps left no file `{path}`, which is artifact `{name}`")]
    Absent {
        /// Artifact name.
        name: String,
        /// Its path.
        path: String,
    },
    /// Not a regular file.
    #[error("artifact `{name}` (`{path}`) is a {kind}, not a file")]
    NotAFile {
        /// Artifact name.
        name: String,
        /// Its path.
        path: String,
        /// What it is.
        kind: &'static str,
    },
}

/// What a build was made from.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// The specification.
    pub spec: &'a Spec,
    /// The lock.
    pub lock: &'a Lock,
    /// The source.
    pub source: &'a Source,
    /// The plan that ran.
    pub planned: &'a Planned,
    /// What the base holds.
    pub base: &'a Tree,
    /// Where the plan's trees lay on this machine.
    pub sources: &'a BTreeMap<String, PathBuf>,
}

/// Who ran it, when and where.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// Unique name of the run: 32 hexadecimal digits.
    pub id: String,
    /// Builder's clock at the start.
    pub started: Timestamp,
    /// Builder's clock at the end.
    pub finished: Timestamp,
    /// Who asked for it.
    pub invoker: String,
    /// Machine facts.
    pub machine: Machine,
    /// Blob that holds the whole trace.
    pub trace: Digest,
    /// Blob that holds the output of the steps.
    pub log: Digest,
}

/// Makes the record of a build of what was seen of it. `images` are outputs that were packed from its files.
pub fn record(
    made: &Made<'_>,
    outcome: &Summary,
    seen: Seen,
    images: Vec<Artifact>,
    circumstances: &Circumstances,
) -> Result<Record, RecordError> {
    let mut outputs = files(made.spec, &outcome.collected)?;
    outputs.extend(images);
    let mut verdicts = seen.verdicts;
    verdicts.clock = outcome.steps.iter().map(clock).collect();
    Ok(Record {
        recipe: recipe(made, outputs),
        source: made.source.clone(),
        id: circumstances.id.clone(),
        started: circumstances.started,
        finished: circumstances.finished,
        duration_ms: outcome.duration_us / 1000,
        invoker: circumstances.invoker.clone(),
        machine: circumstances.machine.clone(),
        level: outcome.level.name().to_owned(),
        completeness: completeness(outcome, seen.undeclared.len(), seen.way_out.as_deref()),
        undeclared: seen.undeclared,
        denied: seen.denied,
        verdicts,
        components: seen.components,
        processes: outcome.processes,
        trace: circumstances.trace,
        log: circumstances.log,
        stages: Vec::new(),
    })
}

/// The file artifacts, in the order of the specification.
fn files(spec: &Spec, collected: &[Collected]) -> Result<Vec<Artifact>, RecordError> {
    let artifact = |artifact: &crate::spec::Artifact| {
        let (name, path) = (artifact.name.clone(), artifact.path.clone());
        let inside = format!("{WORKSPACE}/{path}");
        match collected.iter().find(|collected| collected.path == inside).map(|collected| &collected.kind) {
            Some(CollectedKind::File { digest, size, .. }) => {
                Ok(Artifact { name, path, kind: ArtifactKind::File, digest: *digest, size: *size })
            }
            Some(CollectedKind::Link { .. }) => Err(RecordError::NotAFile { name, path, kind: "symbolic link" }),
            Some(CollectedKind::Directory) => Err(RecordError::NotAFile { name, path, kind: "directory" }),
            Some(CollectedKind::Removed) | None => Err(RecordError::Absent { name, path }),
        }
    };
    spec.artifacts.iter().map(artifact).collect()
}

fn recipe(made: &Made<'_>, outputs: Vec<Artifact>) -> Recipe {
    let step = |step: &sandbox::plan::Step| RecipeStep {
        name: step.name.clone(),
        argv: step.argv.clone(),
        cwd: step.cwd.clone(),
        variables: step.variables.clone(),
    };
    let revision = made.source.revision.as_ref().filter(|revision| revision.dirty.is_empty());
    Recipe {
        project: made.spec.project.name.clone(),
        source: made.source.tree,
        commit: revision.map(|revision| revision.commit.clone()),
        spec: made.spec.digest,
        lock: made.lock.digest(),
        plan: made.planned.digest(),
        stages: Vec::new(),
        steps: made.planned.plan.steps.iter().map(step).collect(),
        inputs: inputs(made.lock),
        normalise: made.planned.normalise.clone(),
        settings: recipe::Settings { ..made.planned.settings.clone() },
        outputs,
    }
}

/// Returns everything that a lock pins, as inputs of a recipe; sorted.
pub fn inputs(lock: &Lock) -> Vec<Input> {
    let base = Input {
        kind: InputKind::Base,
        name: "base".to_owned(),
        version: lock.base.distribution.clone(),
        digest: lock.base.tree,
        purl: String::new(),
    };
    let packages = lock.base.packages.iter().map(|package| Input {
        kind: InputKind::Package,
        name: package.name.clone(),
        version: package.version.clone(),
        digest: package.digest,
        purl: package.purl.clone(),
    });
    let toolchain = |toolchain: &Toolchain| Input {
        kind: InputKind::Toolchain,
        name: toolchain.name.clone(),
        version: toolchain.version.clone(),
        digest: toolchain.tree,
        purl: String::new(),
    };
    let dependencies = lock.dependencies.iter().map(|dependency| Input {
        kind: InputKind::Dependency,
        name: dependency.name.clone(),
        version: dependency.commit.clone().unwrap_or_else(|| dependency.version.clone()),
        digest: dependency.digest,
        purl: dependency.purl.clone(),
    });
    let toolchains = lock.toolchains.iter().map(toolchain);
    let mut inputs: Vec<Input> = packages.chain([base]).chain(toolchains).chain(dependencies).collect();
    inputs.sort();
    inputs
}

/// Reading the clock takes no system call, so it is not seen; where the clock is fixed, it does not matter.
fn clock(step: &sandbox::outcome::StepOutcome) -> Clock {
    Clock { step: step.name.clone(), tier: step.tier.name().to_owned(), fixed: step.tier >= Tier::T2 }
}

fn completeness(outcome: &Summary, undeclared: usize, way_out: Option<&str>) -> Completeness {
    let mut reasons = Vec::new();
    if outcome.level == Level::TraceOnly {
        reasons.push(trace_only_reason(outcome));
        reasons.push("at level trace-only nothing limits the space that steps take (`disk-mib`, `tmp-mib`)".to_owned());
    }
    if outcome.lost > 0 {
        let first = outcome.losses.first().map_or(String::new(), |loss| format!(": {loss}"));
        reasons.push(format!("the trace lost {} events{first}", outcome.lost));
    }
    if let Some(limit) = &outcome.limit {
        reasons.push(format!("the run was ended by its limit of {limit}"));
    }
    if let Some(way_out) = way_out {
        reasons.push(format!("a process reached the network: {way_out}"));
    }
    match undeclared {
        0 => {}
        1 => reasons.push("1 file was read that nothing pins".to_owned()),
        LISTED_MAX => reasons.push(format!("at least {LISTED_MAX} files were read that nothing pins")),
        more => reasons.push(format!("{more} files were read that nothing pins")),
    }
    Completeness { complete: reasons.is_empty(), reasons, lost: outcome.lost }
}

/// Names the level, what this machine refused, and what would help.
fn trace_only_reason(outcome: &Summary) -> String {
    let mut reason = "at level trace-only the build could read the whole machine".to_owned();
    if let Some(refusal) = outcome.refused.last() {
        reason.push_str(&format!(": {} failed ({})", refusal.what, refusal.reason));
        if let Some(hint) = &refusal.hint {
            reason.push_str(&format!("; {hint}"));
        }
    }
    reason
}

#[cfg(test)]
pub(crate) mod tests;
