//! One run of a build: SLSA Provenance v1 with a build type of ours, and what that has no field for under `assay`.
//!
//! Specification: <https://slsa.dev/spec/v1.2/build-provenance>. Format of the parameters and of the extension:
//! `docs/formats/run.md`, version 1. Nothing here claims a SLSA level: `builder.id` names the isolation that held, and
//! a machine of a developer's own is level 1 at most whatever it is.

mod verdicts;

use std::collections::BTreeMap;

use model::recipe::{Input, InputKind, Settings};
use model::run::{Completeness, Denied, Machine, Record, StageRun, Undeclared, Verdicts};
use model::source::{Revision, Source};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement, digest_set};
use wire::slsa_provenance::{BuildDefinition, Builder, Metadata, Provenance, RunDetails};
use wire::timestamp::Timestamp;

use self::verdicts::VerdictsBody;
use crate::claim::ClaimError;
use crate::predicate::{
    BUILD_TYPE, EXTENSION, Predicate, VERSION, output_subjects, read_extension, read_foreign, write,
};

/// `builder.id` is this and the level that held, so that each level is a builder of its own.
pub const BUILDER: &str = "https://assay.dev/builder/local/";

/// The levels of isolation that a run can have had.
pub const LEVELS: [&str; 3] = ["full", "no-proc", "trace-only"];

/// What a run statement says; the trace blob holds the rest of a [`Record`].
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Project name from `assay.toml`.
    pub project: String,
    /// Digest of the bytes of `assay.toml`.
    pub spec: Digest,
    /// Digest of the bytes of `assay.lock`.
    pub lock: Digest,
    /// What was built, and where it came from.
    pub source: Source,
    /// Determinism settings.
    pub settings: Settings,
    /// Pinned inputs.
    pub inputs: Vec<Input>,
    /// Digest of the recipe statement's payload.
    pub recipe: Digest,
    /// Unique name of the run.
    pub id: String,
    /// Builder's clock at the start.
    pub started: Timestamp,
    /// Builder's clock at the end.
    pub finished: Timestamp,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// Who asked for it.
    pub invoker: String,
    /// Machine facts.
    pub machine: Machine,
    /// Isolation that held, one of [`LEVELS`].
    pub level: String,
    /// Whether the evidence is complete, and if not why.
    pub completeness: Completeness,
    /// Opened, though nothing pins it.
    pub undeclared: Vec<Undeclared>,
    /// Refused attempts.
    pub denied: Vec<Denied>,
    /// What else follows from the trace; `None` in statements from before there was more.
    pub verdicts: Option<Verdicts>,
    /// How many processes ran.
    pub processes: usize,
    /// Blob that holds the whole trace.
    pub trace: Digest,
    /// Blob that holds the output of the steps.
    pub log: Digest,
    /// Runs of the stages; then `trace` and `log` are those of the last.
    pub stages: Vec<StageRun>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct External {
    project: String,
    spec: Digest,
    lock: Digest,
    #[serde(default)]
    source: Option<ExternalSource>,
}

#[derive(Deserialize)]
struct ExternalSource {
    repository: Said,
    commit: Said,
    #[serde(default)]
    branch: Option<Said>,
}

/// A value, and who says so: `local-git`, `ci-token` or `forge`.
#[derive(Serialize, Deserialize)]
struct Said {
    value: String,
    origin: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Internal {
    settings: crate::predicate::recipe::SettingsBody,
    level: String,
    kernel: String,
    machine: MachineBody,
}

#[derive(Deserialize)]
struct MachineBody {
    architecture: String,
    cpu: String,
    id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    version: u32,
    recipe: Digest,
    tree: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<RevisionBody>,
    invoker: String,
    duration_ms: u64,
    processes: usize,
    completeness: CompletenessBody,
    undeclared: Vec<UndeclaredBody>,
    denied: Vec<DeniedBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verdicts: Option<VerdictsBody>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stages: Vec<StageRunBody>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StageRunBody {
    name: String,
    plan: Digest,
    level: String,
    duration_ms: u64,
    processes: usize,
    trace: Digest,
    log: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RevisionBody {
    commit_time: i64,
    author: String,
    committer: String,
    summary: String,
    dirty: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct CompletenessBody {
    complete: bool,
    reasons: Vec<String>,
    lost: u64,
}

#[derive(Serialize, Deserialize)]
struct UndeclaredBody {
    path: String,
    process: usize,
    argv0: String,
    count: u64,
}

#[derive(Serialize, Deserialize)]
struct DeniedBody {
    what: String,
    process: usize,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    command: String,
    count: u64,
}

/// Returns the statement of a run; `recipe` is the digest of its recipe statement's payload.
pub fn statement(record: &Record, recipe: &Digest) -> Statement {
    let run = Run::of(record, recipe);
    let mut statement = write(Predicate::Run, output_subjects(&record.recipe.outputs), &run.provenance());
    if let Value::Object(predicate) = &mut statement.predicate {
        let extension = serde_json::to_value(run.extension()).expect("our predicates have string keys only");
        predicate.insert(EXTENSION.to_owned(), extension);
    }
    statement
}

/// Reads a run back.
pub(crate) fn parse(statement: &Statement) -> Result<Run, ClaimError> {
    let extension: Extension = read_extension(Predicate::Run, &statement.predicate)?;
    let provenance: Provenance = read_foreign(Predicate::Run, &statement.predicate)?;
    let definition = provenance.build_definition;
    let external: External = parameters("buildDefinition.externalParameters", definition.external_parameters)?;
    let internal: Internal = parameters("buildDefinition.internalParameters", definition.internal_parameters)?;
    if !LEVELS.contains(&internal.level.as_str()) {
        let allowed = "`full`, `no-proc` or `trace-only`";
        return Err(value("buildDefinition.internalParameters.level", &internal.level, allowed));
    }
    let builder = provenance.run_details.builder.id;
    if builder.strip_prefix(BUILDER) != Some(internal.level.as_str()) {
        return Err(value("runDetails.builder.id", &builder, "the builder of the level that the run names"));
    }
    let metadata = provenance.run_details.metadata.unwrap_or_default();
    let source = source(extension.tree, external.source, extension.revision)?;
    let missing = |field| move || value(field, "nothing", "enough");
    Ok(Run {
        project: external.project,
        spec: external.spec,
        lock: external.lock,
        inputs: inputs(&definition.resolved_dependencies, &source_descriptor(&source))?,
        source,
        settings: internal.settings.value(),
        recipe: extension.recipe,
        id: metadata.invocation_id.ok_or_else(missing("runDetails.metadata.invocationId"))?,
        started: metadata.started_on.ok_or_else(missing("runDetails.metadata.startedOn"))?,
        finished: metadata.finished_on.ok_or_else(missing("runDetails.metadata.finishedOn"))?,
        duration_ms: extension.duration_ms,
        invoker: extension.invoker,
        machine: Machine {
            architecture: internal.machine.architecture,
            kernel: internal.kernel,
            cpu: internal.machine.cpu,
            machine: internal.machine.id,
        },
        level: internal.level,
        completeness: extension.completeness.value()?,
        undeclared: extension.undeclared.into_iter().map(UndeclaredBody::value).collect(),
        denied: extension.denied.into_iter().map(DeniedBody::value).collect(),
        verdicts: extension.verdicts.map(VerdictsBody::value),
        processes: extension.processes,
        trace: byproduct(&provenance.run_details.byproducts, "trace")?,
        log: byproduct(&provenance.run_details.byproducts, "log")?,
        stages: extension.stages.into_iter().map(StageRunBody::value).collect::<Result<_, _>>()?,
    })
}

impl Run {
    /// Takes out of a record what a run statement says; `recipe` is the digest of the recipe statement's payload.
    pub fn of(record: &Record, recipe: &Digest) -> Run {
        let mut inputs = record.recipe.inputs.clone();
        inputs.sort();
        Run {
            project: record.recipe.project.clone(),
            spec: record.recipe.spec,
            lock: record.recipe.lock,
            source: record.source.clone(),
            settings: record.recipe.settings.clone(),
            inputs,
            recipe: *recipe,
            id: record.id.clone(),
            started: record.started,
            finished: record.finished,
            duration_ms: record.duration_ms,
            invoker: record.invoker.clone(),
            machine: record.machine.clone(),
            level: record.level.clone(),
            completeness: record.completeness.clone(),
            undeclared: record.undeclared.clone(),
            denied: record.denied.clone(),
            verdicts: Some(record.verdicts.clone()),
            processes: record.processes,
            trace: record.trace,
            log: record.log,
            stages: record.stages.clone(),
        }
    }

    fn provenance(&self) -> Provenance {
        let byproduct = |name: &str, media_type: &str, digest: &Digest| ResourceDescriptor {
            media_type: Some(media_type.to_owned()),
            ..ResourceDescriptor::named(name, digest)
        };
        let of_run = |trace: &Digest, log: &Digest, behind: &str| {
            let trace = byproduct(&format!("trace{behind}"), "application/vnd.assay.trace.v2", trace);
            [trace, byproduct(&format!("log{behind}"), "text/plain", log)]
        };
        let mut byproducts = Vec::from(of_run(&self.trace, &self.log, ""));
        for stage in &self.stages {
            byproducts.extend(of_run(&stage.trace, &stage.log, &format!(" of {}", stage.name)));
        }
        let mut dependencies = vec![source_descriptor(&self.source)];
        dependencies.extend(self.inputs.iter().map(input_descriptor));
        Provenance {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE.to_owned(),
                external_parameters: self.external_parameters(),
                internal_parameters: self.internal_parameters(),
                resolved_dependencies: dependencies,
            },
            run_details: RunDetails {
                builder: Builder {
                    id: format!("{BUILDER}{}", self.level),
                    builder_dependencies: Vec::new(),
                    version: BTreeMap::from([("assay".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
                },
                metadata: Some(Metadata {
                    invocation_id: Some(self.id.clone()),
                    started_on: Some(self.started),
                    finished_on: Some(self.finished),
                }),
                byproducts,
            },
        }
    }

    fn external_parameters(&self) -> Map<String, Value> {
        let mut parameters = object(json!({ "project": self.project, "spec": self.spec, "lock": self.lock }));
        if let Some(revision) = &self.source.revision {
            let said = |value: &str| json!(Said { value: value.to_owned(), origin: revision.origin.clone() });
            let mut source =
                object(json!({ "repository": said(&revision.repository), "commit": said(&revision.commit) }));
            if let Some(branch) = &revision.branch {
                source.insert("branch".to_owned(), said(branch));
            }
            parameters.insert("source".to_owned(), Value::Object(source));
        }
        parameters
    }

    fn internal_parameters(&self) -> Map<String, Value> {
        object(json!({
            "settings": crate::predicate::recipe::SettingsBody::of(&self.settings),
            "level": self.level,
            "kernel": self.machine.kernel,
            "machine": {
                "architecture": self.machine.architecture,
                "cpu": self.machine.cpu,
                "id": self.machine.machine,
            },
        }))
    }

    fn extension(&self) -> Extension {
        Extension {
            version: VERSION,
            recipe: self.recipe,
            tree: self.source.tree,
            revision: self.source.revision.as_ref().map(RevisionBody::of),
            invoker: self.invoker.clone(),
            duration_ms: self.duration_ms,
            processes: self.processes,
            completeness: CompletenessBody::of(&self.completeness),
            undeclared: self.undeclared.iter().map(UndeclaredBody::of).collect(),
            denied: self.denied.iter().map(DeniedBody::of).collect(),
            verdicts: self.verdicts.as_ref().map(VerdictsBody::of),
            stages: self.stages.iter().map(StageRunBody::of).collect(),
        }
    }
}

fn value(field: &'static str, found: &str, allowed: &'static str) -> ClaimError {
    ClaimError::value(Predicate::Run, field, found, allowed)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn parameters<T: serde::de::DeserializeOwned>(field: &str, map: Map<String, Value>) -> Result<T, ClaimError> {
    read_foreign(Predicate::Run, &Value::Object(map)).map_err(|error| match error {
        ClaimError::Field { what, field: name, source } => {
            ClaimError::Field { what, field: format!("{field}.{name}"), source }
        }
        other => other,
    })
}

fn source(
    tree: Digest,
    external: Option<ExternalSource>,
    revision: Option<RevisionBody>,
) -> Result<Source, ClaimError> {
    let revision = match (external, revision) {
        (None, None) => None,
        (Some(external), Some(body)) => Some(Revision {
            commit: external.commit.value,
            commit_time_unix_s: body.commit_time,
            author: body.author,
            committer: body.committer,
            summary: body.summary,
            branch: external.branch.map(|branch| branch.value),
            repository: external.repository.value,
            dirty: body.dirty,
            origin: external.repository.origin,
        }),
        (Some(_), None) => return Err(value("assay.revision", "nothing", "what `source` needs beside it")),
        (None, Some(_)) => {
            return Err(value("buildDefinition.externalParameters.source", "nothing", "what `assay.revision` needs"));
        }
    };
    Ok(Source { tree, revision })
}

fn byproduct(byproducts: &[ResourceDescriptor], name: &str) -> Result<Digest, ClaimError> {
    byproducts
        .iter()
        .filter(|byproduct| byproduct.name.as_deref() == Some(name))
        .find_map(|byproduct| byproduct.digests().next())
        .ok_or_else(|| value("runDetails.byproducts", "this list", "complete: `trace` and `log` are needed, by digest"))
}

/// The source as a dependency. The tree digest always names it; the commit only when the work tree was clean, for a dirty
/// tree is not what the commit names.
fn source_descriptor(source: &Source) -> ResourceDescriptor {
    let mut descriptor = ResourceDescriptor::named("source", &source.tree);
    if let Some(revision) = &source.revision {
        let branch = revision.branch.as_ref().map(|branch| format!("@refs/heads/{branch}")).unwrap_or_default();
        descriptor.uri = Some(format!("git+{}{branch}", revision.repository));
        if revision.dirty.is_empty() {
            descriptor.digest.insert("gitCommit".to_owned(), revision.commit.clone());
        }
    }
    descriptor
}

/// The kinds of inputs, as `annotations.kind` names them.
const KINDS: [(InputKind, &str); 4] = [
    (InputKind::Package, "package"),
    (InputKind::Base, "base"),
    (InputKind::Toolchain, "toolchain"),
    (InputKind::Dependency, "dependency"),
];

fn input_descriptor(input: &Input) -> ResourceDescriptor {
    let kind = KINDS.iter().find(|(kind, _)| *kind == input.kind).expect("every kind is in the table").1;
    ResourceDescriptor {
        name: Some(input.name.clone()),
        uri: Some(input.purl.clone()),
        digest: digest_set(&input.digest),
        annotations: BTreeMap::from([("kind".to_owned(), json!(kind)), ("version".to_owned(), json!(input.version))]),
        ..ResourceDescriptor::default()
    }
}

/// Reads the inputs; before them stands the source, which is what the other fields say.
fn inputs(dependencies: &[ResourceDescriptor], source: &ResourceDescriptor) -> Result<Vec<Input>, ClaimError> {
    const FIELD: &str = "buildDefinition.resolvedDependencies";
    let Some((_, inputs)) = dependencies.split_first().filter(|(first, _)| *first == source) else {
        return Err(value(FIELD, "this list", "one that begins with the source as the other fields have it"));
    };
    inputs.iter().map(input).collect::<Option<Vec<Input>>>().ok_or_else(|| {
        let allowed = "complete: each input needs name, uri, digest, and its kind and version as annotations";
        value(FIELD, "this list", allowed)
    })
}

fn input(dependency: &ResourceDescriptor) -> Option<Input> {
    let annotation = |name: &str| dependency.annotations.get(name).and_then(Value::as_str);
    let kind = annotation("kind")?;
    Some(Input {
        kind: KINDS.iter().find(|(_, name)| *name == kind)?.0,
        name: dependency.name.clone()?,
        version: annotation("version")?.to_owned(),
        digest: dependency.digests().next()?,
        purl: dependency.uri.clone()?,
    })
}

impl StageRunBody {
    fn of(stage: &StageRun) -> StageRunBody {
        StageRunBody {
            name: stage.name.clone(),
            plan: stage.plan,
            level: stage.level.clone(),
            duration_ms: stage.duration_ms,
            processes: stage.processes,
            trace: stage.trace,
            log: stage.log,
        }
    }

    fn value(self) -> Result<StageRun, ClaimError> {
        let StageRunBody { name, plan, level, duration_ms, processes, trace, log } = self;
        if !LEVELS.contains(&level.as_str()) {
            return Err(value("assay.stages.level", &level, "`full`, `no-proc` or `trace-only`"));
        }
        Ok(StageRun { name, plan, level, duration_ms, processes, trace, log })
    }
}

impl RevisionBody {
    fn of(revision: &Revision) -> RevisionBody {
        RevisionBody {
            commit_time: revision.commit_time_unix_s,
            author: revision.author.clone(),
            committer: revision.committer.clone(),
            summary: revision.summary.clone(),
            dirty: revision.dirty.clone(),
        }
    }
}

impl CompletenessBody {
    fn of(completeness: &Completeness) -> CompletenessBody {
        CompletenessBody {
            complete: completeness.complete,
            reasons: completeness.reasons.clone(),
            lost: completeness.lost,
        }
    }

    fn value(self) -> Result<Completeness, ClaimError> {
        if self.complete && (self.lost > 0 || !self.reasons.is_empty()) {
            return Err(value("assay.completeness.complete", "true", "`false`, as there are reasons or lost events"));
        }
        Ok(Completeness { complete: self.complete, reasons: self.reasons, lost: self.lost })
    }
}

impl UndeclaredBody {
    fn of(undeclared: &Undeclared) -> UndeclaredBody {
        UndeclaredBody {
            path: undeclared.path.clone(),
            process: undeclared.process,
            argv0: undeclared.argv0.clone(),
            count: undeclared.count,
        }
    }

    fn value(self) -> Undeclared {
        Undeclared { path: self.path, process: self.process, argv0: self.argv0, count: self.count }
    }
}

impl DeniedBody {
    fn of(denied: &Denied) -> DeniedBody {
        DeniedBody {
            what: denied.what.clone(),
            process: denied.process,
            command: denied.command.clone(),
            count: denied.count,
        }
    }

    fn value(self) -> Denied {
        Denied { what: self.what, process: self.process, command: self.command, count: self.count }
    }
}
