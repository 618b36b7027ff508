//! From what a run left to the record of a build: what it read that nothing pins, and whether the evidence is complete.
//!
//! Completeness is computed from what the build could reach, and a trace without loss; the list of undeclared files
//! comes from the trace and attributes, it proves nothing by itself. At level `trace-only` nothing kept the build from
//! reading the whole machine, so the evidence is never complete there.

mod pseudo;

mod withhold;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use model::recipe::{self, Artifact, ArtifactKind, Input, InputKind, Recipe, RecipeStep};
use model::run::{Completeness, Denied, Machine, Process, Record, Undeclared};
use model::source::Source;
use model::tree::Tree;
use sandbox::outcome::{AccessKind, Collected, CollectedKind, Outcome};
use sandbox::plan::{Level, Mount, Plan, is_within};
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use crate::lock::{Lock, Toolchain};
use crate::plan::{Planned, WORKSPACE};
use crate::spec::Spec;

use withhold::Withhold;

/// How many undeclared files a record lists.
const UNDECLARED_MAX: usize = 1000;

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
    /// Key of this run under which secret-looking values are withheld; never published.
    pub withhold_key: [u8; 32],
}

/// Makes the record of a build. `images` are outputs that were packed from its files.
pub fn record(
    made: &Made<'_>,
    outcome: &Outcome,
    images: Vec<Artifact>,
    circumstances: &Circumstances,
) -> Result<Record, RecordError> {
    let mut outputs = files(made.spec, &outcome.collected)?;
    outputs.extend(images);
    let reach = Reach::new(made, outcome);
    let undeclared = undeclared(&reach, outcome);
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
        completeness: completeness(outcome, undeclared.len()),
        undeclared,
        denied: denied(outcome),
        processes: processes(&reach, outcome, &Withhold::new(circumstances.withhold_key)),
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

/// What the build could reach, to judge a path by.
struct Reach<'a> {
    plan: &'a Plan,
    /// First components of the base's paths: what is mounted of it at `/`.
    top: BTreeSet<&'a str>,
    /// At `trace-only`: the directory that stood for `/`, and the pinned trees' own places.
    root: Option<&'a str>,
    places: Vec<&'a Path>,
    level: Level,
}

impl<'a> Reach<'a> {
    fn new(made: &Made<'a>, outcome: &'a Outcome) -> Reach<'a> {
        Reach {
            plan: &made.planned.plan,
            top: made.base.entries().map(|(path, _)| path).filter(|path| !path.contains('/')).collect(),
            root: outcome.root.as_deref(),
            places: made.sources.values().map(PathBuf::as_path).collect(),
            level: outcome.level,
        }
    }

    /// The path as the plan has it: below the directory that stood for `/`, if there was one.
    fn plan_path<'p>(&self, path: &'p str) -> &'p str {
        let Some(root) = self.root else { return path };
        match path.strip_prefix(root) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        }
    }

    /// Whether something pins what is read at `path`, or the build itself made it.
    fn is_declared(&self, path: &str) -> bool {
        if pseudo::is_pseudo(path, self.level) || self.plan.fixes(path) {
            return true;
        }
        if self.level == Level::TraceOnly {
            let inside = self.plan_path(path);
            let in_tree = self.places.iter().any(|place| Path::new(path).starts_with(place));
            return in_tree || (inside.len() != path.len() && self.is_mounted(inside, false));
        }
        self.is_mounted(path, true)
    }

    /// Whether `path` lies in a mount of the plan, or is a directory that only leads to one. The kernel's own file
    /// systems lie in none.
    fn is_mounted(&self, path: &str, base_is_mounted: bool) -> bool {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or("");
        if ["proc", "sys", "dev"].contains(&first) {
            return false;
        }
        self.plan.mounts.iter().any(|mount| match mount {
            Mount::Tree { target, .. } if target == "/" => base_is_mounted && self.top.contains(first),
            other => is_within(path, other.target()) || is_within(other.target(), path),
        })
    }
}

/// Successful accesses to content that nothing pins, by path, with the first process and the count over all.
fn undeclared(reach: &Reach<'_>, outcome: &Outcome) -> Vec<Undeclared> {
    let reads = |kind| matches!(kind, AccessKind::Read | AccessKind::Execute | AccessKind::List);
    let mut found: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for access in outcome.accesses.iter().filter(|access| reads(access.kind)) {
        let path = outcome.path(access);
        if !reach.is_declared(path) {
            let (process, count) = found.entry(path).or_insert((access.process, 0));
            *process = access.process.min(*process);
            *count += access.count;
        }
    }
    let argv0 = |process: usize| outcome.processes.get(process).and_then(|p| p.argv.first()).cloned();
    let undeclared = found.into_iter().take(UNDECLARED_MAX).map(|(path, (process, count))| Undeclared {
        path: path.to_owned(),
        process,
        argv0: argv0(process).unwrap_or_default(),
        count,
    });
    undeclared.collect()
}

fn completeness(outcome: &Outcome, undeclared: usize) -> Completeness {
    let mut reasons = Vec::new();
    if outcome.level == Level::TraceOnly {
        reasons.push(trace_only_reason(outcome));
    }
    if outcome.lost > 0 {
        let first = outcome.losses.first().map_or(String::new(), |loss| format!(": {loss}"));
        reasons.push(format!("the trace lost {} events{first}", outcome.lost));
    }
    if let Some(limit) = &outcome.limit {
        reasons.push(format!("the run was ended by its limit of {limit}"));
    }
    if let Some(way_out) = outcome.network.iter().find(|attempt| attempt.errno == 0 && !attempt.loopback) {
        reasons.push(format!("a process reached the network: {} {}", way_out.call, way_out.address));
    }
    match undeclared {
        0 => {}
        1 => reasons.push("1 file was read that nothing pins".to_owned()),
        UNDECLARED_MAX => reasons.push(format!("at least {UNDECLARED_MAX} files were read that nothing pins")),
        more => reasons.push(format!("{more} files were read that nothing pins")),
    }
    Completeness { complete: reasons.is_empty(), reasons, lost: outcome.lost }
}

/// Names the level, what this machine refused, and what would help.
fn trace_only_reason(outcome: &Outcome) -> String {
    let mut reason = "at level trace-only the build could read the whole machine".to_owned();
    if let Some(refusal) = outcome.refused.last() {
        reason.push_str(&format!(": {} failed ({})", refusal.what, refusal.reason));
        if let Some(hint) = &refusal.hint {
            reason.push_str(&format!("; {hint}"));
        }
    }
    reason
}

/// Refused calls and network attempts, by what was tried.
fn denied(outcome: &Outcome) -> Vec<Denied> {
    let calls = outcome.denied.iter().map(|denied| (denied.what.clone(), denied.process, denied.count));
    let network = outcome.network.iter().filter(|attempt| attempt.errno != 0 && !attempt.loopback);
    let network =
        network.map(|attempt| (format!("{} {}", attempt.call, attempt.address), attempt.process, attempt.count));
    let mut found: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for (what, process, count) in calls.chain(network) {
        let entry = found.entry(what).or_insert((process, 0));
        entry.0 = entry.0.min(process);
        entry.1 += count;
    }
    found.into_iter().map(|(what, (process, count))| Denied { what, process, count }).collect()
}

fn processes(reach: &Reach<'_>, outcome: &Outcome, withhold: &Withhold) -> Vec<Process> {
    let mut reads = vec![BTreeSet::new(); outcome.processes.len()];
    let mut writes = vec![BTreeSet::new(); outcome.processes.len()];
    for access in &outcome.accesses {
        let side = match access.kind {
            AccessKind::Execute | AccessKind::Read | AccessKind::List => &mut reads,
            AccessKind::Missing | AccessKind::Refused | AccessKind::Unfinished => continue,
            _ => &mut writes,
        };
        if let Some(paths) = side.get_mut(access.process) {
            paths.insert(reach.plan_path(outcome.path(access)).to_owned());
        }
    }
    let sets = reads.into_iter().zip(writes);
    let process = |(process, (reads, writes)): (&sandbox::outcome::Process, (BTreeSet<String>, BTreeSet<String>))| {
        let step = outcome.steps.get(process.step).map_or("", |step| step.name.as_str());
        Process {
            pid: process.pid,
            parent: process.parent.or(process.replaces),
            step: step.to_owned(),
            exe: reach.plan_path(&process.exe).to_owned(),
            argv: withhold.arguments(&process.argv),
            cwd: reach.plan_path(&process.cwd).to_owned(),
            variables: withhold.variables(&process.variables),
            exit: process.exit.shell_code(),
            duration_us: process.duration_us,
            reads: reads.into_iter().collect(),
            writes: writes.into_iter().collect(),
        }
    };
    outcome.processes.iter().zip(sets).map(process).collect()
}

#[cfg(test)]
pub(crate) mod tests;
