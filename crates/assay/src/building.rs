//! One build: plan, sandbox, artifacts into the store, record. Shared by `build`, the pipeline test and `quickstart`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use build::ecosystem::recorded;
use build::image::{self, Binary};
use build::inputs::InputsError;
use build::lock::Lock;
use build::pin;
use build::plan::{self, Planned};
use build::record::inventory::Inventory;
use build::record::watch::{Seen, Watch};
use build::record::{self, Circumstances, Made};
use build::spec::{Image as ImageSpec, Libraries, Spec, Stage};
use build::stage::{self, Part, StageError, Whole};
use inspect::elf::Linkage;
use model::recipe::{Artifact, ArtifactKind};
use model::run::Record;
use model::source::Source;
use model::tree::Tree;
use sandbox::error::SandboxError;
use sandbox::event::Event;
use sandbox::outcome::{Collected, CollectedKind, Limit, Summary};
use sandbox::plan::{Host, Level, Plan};
use sandbox::trace::live::Live;
use wire::digest::Digest;

use crate::commands::lock::with_world;
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::inputs::StoreInputs;
use crate::keys;
use crate::limit;
use crate::machine;
use crate::missing;
use crate::normalising::{self, Normalised};
use crate::project::Project;
use crate::proxy::replayer::Replayer;
use crate::proxy::{self, Answers};
use crate::runs::Run;

/// The largest artifact, trace or log that is kept.
const KEPT_MAX: u64 = 16 << 30;
/// How much of a failed step's output is shown.
const TAIL_MAX: usize = 4000;

/// What is built: project, lock and source, read once.
pub(crate) struct Subject<'a> {
    /// The project.
    pub(crate) project: &'a Project,
    /// Its lock.
    pub(crate) lock: &'a Lock,
    /// Its source.
    pub(crate) source: &'a Source,
}

/// A directory under `runs/` that is removed when this value is dropped.
pub(crate) struct RunDirectory {
    run: Run,
}

impl RunDirectory {
    /// Makes a directory for one run.
    pub(crate) fn new(context: &Context) -> Result<RunDirectory> {
        let run = Run::new(&context.home.runs())?;
        fs::create_dir(run.path().join("collect")).context("run", format!("making `{}`", run.path().display()))?;
        Ok(RunDirectory { run })
    }

    /// The run's name.
    pub(crate) fn id(&self) -> &str {
        self.run.name()
    }

    /// Where collected files lie.
    pub(crate) fn collected(&self) -> PathBuf {
        self.file("collect")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.run.path().join(name)
    }
}

/// A plan that was run.
pub(crate) struct Ran {
    /// What happened.
    pub(crate) outcome: Summary,
    /// Its directory, with what was collected.
    pub(crate) directory: RunDirectory,
    /// Blob of the trace.
    pub(crate) trace: Digest,
    /// Blob of the log.
    pub(crate) log: Digest,
}

/// How a run is told: events before they are written, so that secrets are withheld, and the output of steps.
pub(crate) struct Told<'a> {
    /// Each event.
    pub(crate) on_event: &'a mut dyn FnMut(&mut Event, &Live),
    /// Each piece of output.
    pub(crate) on_output: &'a mut dyn FnMut(sandbox::outcome::Output<'_>),
}

/// Runs a plan in the sandbox at the strongest level that the machine allows, but none below `minimum`; keeps trace and log as
/// blobs. Where a record is among its sources, its steps are answered from that.
pub(crate) fn run_plan(
    context: &Context,
    inputs: &StoreInputs,
    plan: &Plan,
    sources: &BTreeMap<String, PathBuf>,
    minimum: Level,
    told: Told<'_>,
) -> Result<Ran> {
    match sources.get(recorded::TREE) {
        Some(tree) => {
            let replayer = Replayer::new(tree)?;
            run_answered(context, inputs, (plan, sources), minimum, &replayer, told)
        }
        None => run_with(context, inputs, (plan, sources), minimum, None, told),
    }
}

/// Runs a plan whose steps are answered by `answers`.
pub(crate) fn run_answered(
    context: &Context,
    inputs: &StoreInputs,
    (plan, sources): (&Plan, &BTreeMap<String, PathBuf>),
    minimum: Level,
    answers: &dyn Answers,
    told: Told<'_>,
) -> Result<Ran> {
    // Below that there is no network of its own, so nothing could be answered.
    let minimum = if minimum == Level::TraceOnly { Level::NoProc } else { minimum };
    proxy::with_door(context.runtime.handle(), answers, |door| {
        run_with(context, inputs, (plan, sources), minimum, Some(door), told)
    })
}

fn run_with(
    context: &Context,
    inputs: &StoreInputs,
    (plan, sources): (&Plan, &BTreeMap<String, PathBuf>),
    minimum: Level,
    door: Option<PathBuf>,
    told: Told<'_>,
) -> Result<Ran> {
    let directory = RunDirectory::new(context)?;
    let host = Host {
        supervisor: crate::machine::this_program(),
        sources: sources.clone(),
        minimum,
        ceiling: Level::Full,
        trace: directory.file("trace"),
        log: directory.file("log"),
        collect: directory.collected(),
        scratch: directory.file("scratch"),
        path: path_of(sources),
        deny: vec![context.home.keys()],
        door,
    };
    let outcome = sandbox::run(plan, &host, told.on_event, told.on_output).map_err(|error| {
        let code = if matches!(error, SandboxError::Level { .. }) { "level" } else { "sandbox" };
        let failure = Failure::new(code, "running the plan in the sandbox").because(&error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    let trace = keep(inputs, &host.trace)?;
    let log = keep(inputs, &host.log)?;
    Ok(Ran { outcome, directory, trace, log })
}

/// Where programs are found without a mount view: the pinned toolchains in the store, then the system's directories.
fn path_of(sources: &BTreeMap<String, PathBuf>) -> String {
    let toolchains = sources
        .values()
        .map(|tree| tree.join("bin"))
        .filter(|bin| ["cargo", "node"].iter().any(|program| bin.join(program).is_file()));
    let mut path: Vec<String> = toolchains.map(|bin| bin.to_string_lossy().into_owned()).collect();
    path.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(str::to_owned));
    path.join(":")
}

fn keep(inputs: &StoreInputs, path: &Path) -> Result<Digest> {
    let doing = || format!("keeping `{}`", path.display());
    let mut file = fs::File::open(path).context("store", doing())?;
    inputs.blobs.put(&mut file, None, KEPT_MAX).map(|(digest, _)| digest).context("store", doing())
}

/// Finds the trees of a plan in the store; those that are gone are made again from this machine, if it has the same.
pub(crate) fn sources(
    context: &Context,
    inputs: &StoreInputs,
    subject: &Subject<'_>,
    planned: &Planned,
) -> Result<BTreeMap<String, PathBuf>> {
    match planned.sources(inputs) {
        Err(InputsError::Absent(_)) => {
            restore(context, inputs, subject)?;
            planned.sources(inputs).context("lock-inputs", "finding what assay.lock pins")
        }
        found => found.context("lock-inputs", "finding what assay.lock pins"),
    }
}

/// Brings back what the lock pins.
pub(crate) fn restore(context: &Context, inputs: &StoreInputs, subject: &Subject<'_>) -> Result<()> {
    with_world(context, inputs, |world| {
        let (directory, spec) = (&subject.project.directory, &subject.project.spec);
        let restored = match subject.project.dockerfile {
            Some(_) => pin::restore_images(directory, spec, subject.lock, world),
            None => pin::restore(directory, spec, subject.lock, world),
        };
        restored.context("lock-inputs", "bringing back what assay.lock pins")
    })
}

/// Builds once, stage by stage. An exit code of a step other than 0, a limit or a missing artifact is an honest no.
///
/// Beside the record comes what normalising did, for each artifact that the specification normalises.
pub(crate) fn build_once(
    context: &Context,
    inputs: &StoreInputs,
    subject: &Subject<'_>,
    minimum: Level,
) -> Result<(Record, Normalised)> {
    let spec = &subject.project.spec;
    if let Some(dockerfile) = &subject.project.dockerfile {
        return crate::dockerfile::build_once(context, inputs, subject, dockerfile, minimum);
    }
    let mut builder = Builder { context, inputs, subject, minimum, normalised: Vec::new() };
    if spec.stages.is_empty() {
        let planned = plan::build(spec, subject.lock, subject.source);
        let ran = builder.run(spec, subject.lock, &planned)?;
        let images = builder.images(&[(None, &ran)])?;
        let record = builder.record(&ran, spec, subject.lock, &planned, images)?;
        return Ok((record, builder.normalised));
    }
    let mut made = stage::Made::new();
    let mut finished: Vec<(&Stage, Finished)> = Vec::new();
    let (mut parts, mut stages) = (Vec::new(), Vec::new());
    for stage in &spec.stages {
        context.progress.doing(&format!("building stage `{}`", stage.name));
        let of_stage = |error: StageError| staged(&error);
        let planned = stage::plan(spec, subject.lock, subject.source, stage, &made).map_err(of_stage)?;
        let (own, lock) = (spec.of_stage(stage), subject.lock.of_stage(&stage.name));
        let ran = builder.run(&own, &lock, &planned)?;
        let record = builder.record(&ran, &own, &lock, &planned, Vec::new())?;
        let collected = ran.directory.collected();
        let outputs =
            stage::keep(spec, stage, &planned, &ran.outcome.collected, &collected, inputs).map_err(of_stage)?;
        stages.push(stage::stated(spec, stage, &made, outputs.clone()).map_err(of_stage)?);
        parts.push(Part { name: stage.name.clone(), plan: outputs.plan, record });
        made.insert(stage.name.clone(), outputs);
        finished.push((stage, ran));
    }
    let runs: Vec<_> = finished.iter().map(|(stage, ran)| (Some(*stage), ran)).collect();
    let images = builder.images(&runs)?;
    let whole = Whole { images, ..Whole::new(spec, subject.lock, subject.source, stages) };
    let record = stage::join(whole, parts).ok_or_else(|| Failure::new("build-failed", "no stage ran"))?;
    Ok((record, builder.normalised))
}

/// Returns the digest of all that decides what is built, before anything is.
pub(crate) fn whole(subject: &Subject<'_>) -> Digest {
    let (project, lock, source) = (subject.project, subject.lock, subject.source);
    match &project.dockerfile {
        Some(dockerfile) => dockerfile.plan(&project.spec, lock, source),
        None => stage::whole(&project.spec, lock, source),
    }
}

/// What a stage left is not what another takes: the build's failure, unless it is the store's.
fn staged(error: &StageError) -> Failure {
    match error {
        StageError::Absent { .. } => Failure::no("build-failed", "taking what a stage left").because(error),
        _ => Failure::new("stage", "handing over between stages").because(error),
    }
}

/// Runs plans for one build.
pub(crate) struct Builder<'a> {
    pub(crate) context: &'a Context,
    pub(crate) inputs: &'a StoreInputs,
    pub(crate) subject: &'a Subject<'a>,
    pub(crate) minimum: Level,
    pub(crate) normalised: Normalised,
}

/// A plan that was run without a failure; its files are kept.
pub(crate) struct Finished {
    pub(crate) outcome: Summary,
    seen: Seen,
    pub(crate) directory: RunDirectory,
    sources: BTreeMap<String, PathBuf>,
    base: Tree,
    base_root: PathBuf,
    base_variables: BTreeMap<String, String>,
    circumstances: Circumstances,
}

impl Builder<'_> {
    /// Runs a plan; `spec` and `lock` are what its stage sees of them.
    pub(crate) fn run(&mut self, spec: &Spec, lock: &Lock, planned: &Planned) -> Result<Finished> {
        let (context, inputs) = (self.context, self.inputs);
        let sources = sources(context, inputs, self.subject, planned)?;
        let base = inputs.trees.tree(&lock.base.tree).context("store", "reading the base's manifest")?;
        let made = Made { spec, lock, source: self.subject.source, planned, base: &base, sources: &sources };
        let inventory = self.inventory(spec, lock)?;
        let mut watch = Watch::new(&made, &inventory, machine::random()?);
        let started = machine::now()?;
        let mut narrate = |output: sandbox::outcome::Output<'_>| {
            if let Some(line) = last_line(output.bytes) {
                context.progress.step(line);
            }
        };
        let mut on_event = |event: &mut Event, live: &Live| watch.take(event, live);
        let told = Told { on_event: &mut on_event, on_output: &mut narrate };
        let mut ran = run_plan(context, inputs, &planned.plan, &sources, self.minimum, told)?;
        succeeded(inputs, &planned.plan, &ran, "build-failed")?;
        fenced(&ran.outcome)?;
        seen_whole(&ran.outcome)?;
        let seen = watch.finish();
        let collected = ran.directory.collected();
        self.normalised.extend(normalising::collected(planned, &collected, &mut ran.outcome.collected)?);
        for one in ran.outcome.collected.iter().filter(|one| is_artifact(spec, one)) {
            keep_artifact(inputs, &collected, one)?;
        }
        let circumstances = Circumstances {
            id: ran.directory.id().to_owned(),
            started,
            finished: machine::now()?,
            invoker: machine::invoker(),
            machine: machine::machine(&keys::secret(&context.home)?),
            trace: ran.trace,
            log: ran.log,
        };
        let base_root = inputs.trees.path(&lock.base.tree);
        let base_variables = lock.base.image_variables();
        Ok(Finished {
            outcome: ran.outcome,
            seen,
            directory: ran.directory,
            sources,
            base,
            base_root,
            base_variables,
            circumstances,
        })
    }

    /// What the lock of a stage pins, by the paths where its run finds it.
    fn inventory(&self, spec: &Spec, lock: &Lock) -> Result<Inventory> {
        let files = build::ecosystem::project_files(&self.subject.project.directory, spec)
            .context("lock", "reading the project's lock files")?;
        Inventory::new(lock, &files, &self.subject.source.tree, self.inputs)
            .context("store", "reading what assay.lock pins")
    }

    pub(crate) fn record(
        &self,
        ran: &Finished,
        spec: &Spec,
        lock: &Lock,
        planned: &Planned,
        images: Vec<Artifact>,
    ) -> Result<Record> {
        let source = self.subject.source;
        let made = Made { spec, lock, source, planned, base: &ran.base, sources: &ran.sources };
        record::record(&made, &ran.outcome, ran.seen.clone(), images, &ran.circumstances)
            .map_err(|error| Failure::no("build-failed", "recording the build").because(&error))
    }

    /// Packs the declared image from what the stages left.
    fn images(&self, runs: &[(Option<&Stage>, &Finished)]) -> Result<Vec<Artifact>> {
        let spec = &self.subject.project.spec;
        let Some(image) = &spec.image else { return Ok(Vec::new()) };
        let of_stage = |name: Option<&String>| runs.iter().find(|(stage, _)| stage.map(|stage| &stage.name) == name);
        let mut binaries = Vec::new();
        let mut last = runs.last().map(|(_, ran)| *ran);
        for artifact in spec.artifacts.iter().filter(|artifact| image.artifacts.contains(&artifact.name)) {
            let Some((_, ran)) = of_stage(artifact.stage.as_ref()) else { continue };
            let workspace = ran.directory.collected().join(plan::WORKSPACE.trim_start_matches('/'));
            binaries.push(Binary { path: artifact.name.clone(), host: workspace.join(&artifact.path) });
            last = Some(ran);
        }
        let Some(last) = last else { return Ok(Vec::new()) };
        let epoch_unix_s = plan::epoch_unix_s(self.subject.source);
        Ok(vec![pack(self.inputs, image, epoch_unix_s, &binaries, last)?])
    }
}

/// Whether a collected file is an artifact, and not only something for another stage.
fn is_artifact(spec: &Spec, collected: &Collected) -> bool {
    let workspace = format!("{}/", plan::WORKSPACE);
    let path = collected.path.strip_prefix(&workspace);
    spec.artifacts.iter().any(|artifact| path == Some(artifact.path.as_str()))
}

/// A trace with a hole in it says nothing about what went through the hole: nothing is signed for such a run.
fn seen_whole(outcome: &Summary) -> Result<()> {
    if outcome.lost == 0 {
        return Ok(());
    }
    let mut failure =
        Failure::new("trace-lost", format!("the tracer did not see all: {} events were lost", outcome.lost));
    failure.also = outcome.losses.clone();
    Err(failure
        .hint("run `assay build` once more: a process that was killed while it started another is the usual cause"))
}

/// Without namespaces, only Landlock keeps a step from the keys: without it nothing is signed as a build.
fn fenced(outcome: &Summary) -> Result<()> {
    if outcome.level != Level::TraceOnly || outcome.landlock.is_some() {
        return Ok(());
    }
    let mut failure = Failure::new(
        "unfenced",
        "this machine allows neither namespaces nor Landlock: the steps could have read the keys, so nothing is signed",
    );
    failure.also = outcome
        .refused
        .iter()
        .map(|refusal| format!("{}: {}: {}", refusal.level, refusal.what, refusal.reason))
        .collect();
    let hint = outcome.refused.iter().find_map(|refusal| refusal.hint.clone());
    Err(failure.hint(hint.unwrap_or_else(|| "build on a machine that allows user namespaces".to_owned())))
}

/// Turns a failed step or a limit into a failure that shows the end of the log; a library of the system that is missing, into
/// one that names it and leaves the question open.
pub(crate) fn succeeded(inputs: &StoreInputs, plan: &Plan, ran: &Ran, code: &'static str) -> Result<()> {
    if ran.outcome.passed() {
        return Ok(());
    }
    if let Some(limit) = &ran.outcome.limit {
        let step = ran.outcome.steps.last().map_or("the run".to_owned(), |step| format!("step `{}`", step.name));
        let subject = if *limit == Limit::Collect { "what the steps left".to_owned() } else { step };
        let mut failure = limit::failure(inputs, plan, ran, limit, (code, &subject))?;
        failure.message = format!("{}\n{}", failure.message, tail(inputs, &ran.log, TAIL_MAX)?);
        return Err(failure);
    }
    let whole = format!("the whole log is blob {}", ran.log);
    if let Some(library) = missing::library(&tail(inputs, &ran.log, missing::SEARCHED_MAX)?) {
        let message = format!("the build needs `{library}`, which the packages of `[base]` do not hold; {whole}");
        return Err(Failure::new("missing-library", message)
            .hint("install the package that holds it, and add it to `packages` of `[base]` in assay.toml (`assay init` writes one)"));
    }
    let tail = tail(inputs, &ran.log, TAIL_MAX)?;
    let what = match ran.outcome.steps.last() {
        Some(step) if step.exit == sandbox::outcome::Exit::Code(0) => {
            let workspace = format!("{}/", plan::WORKSPACE);
            let absent: Vec<String> =
                ran.outcome.absent.iter().map(|path| format!("`{}`", path.replacen(&workspace, "", 1))).collect();
            format!("all steps ended with exit code 0, but left nothing at {}", absent.join(", "))
        }
        Some(step) => format!("step `{}` ended with {}", step.name, exit_text(step.exit)),
        None => "no step ran".to_owned(),
    };
    let mut failure = Failure::no(code, format!("{what}\n{tail}"));
    let trace = inputs.blobs.open(&ran.trace).context("store", "reading the trace")?;
    let attempts = build::attempts::of(trace, &ran.outcome.steps).context("trace", "reading the trace")?;
    failure.also = attempts.iter().map(ToString::to_string).collect();
    Err(failure.hint(whole))
}

fn exit_text(exit: sandbox::outcome::Exit) -> String {
    match exit {
        sandbox::outcome::Exit::Code(code) => format!("exit code {code}"),
        sandbox::outcome::Exit::Signal(signal) => format!("signal {signal}"),
        sandbox::outcome::Exit::Exec(_) | sandbox::outcome::Exit::Unknown => "an unknown exit".to_owned(),
    }
}

fn tail(inputs: &StoreInputs, log: &Digest, size_max: usize) -> Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = inputs.blobs.open(log).context("store", "reading the log")?;
    let size = file.metadata().context("store", "reading the log")?.len();
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(size.saturating_sub(size_max as u64)))
        .and_then(|_| file.take(size_max as u64).read_to_end(&mut bytes))
        .context("store", "reading the log")?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// The last line of a piece of output, for a display.
pub(crate) fn last_line(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.trim_end().rsplit(['\n', '\r']).map(str::trim).find(|line| !line.is_empty())
}

fn keep_artifact(inputs: &StoreInputs, collect: &Path, collected: &Collected) -> Result<()> {
    let CollectedKind::File { digest, .. } = &collected.kind else { return Ok(()) };
    let path = collect.join(collected.path.trim_start_matches('/'));
    let doing = || format!("keeping the artifact `{}`", collected.path);
    let mut file = fs::File::open(&path).context("store", doing())?;
    inputs.blobs.put(&mut file, Some(digest), KEPT_MAX).map(drop).context("store", doing())
}

/// Packs the declared image, and keeps its blobs.
fn pack(
    inputs: &StoreInputs,
    spec: &ImageSpec,
    epoch_unix_s: i64,
    binaries: &[Binary],
    ran: &Finished,
) -> Result<Artifact> {
    let doing = || format!("packing the image `{}`", spec.name);
    let (base, root) = (&ran.base, ran.base_root.as_path());
    let whole = spec.libraries == Libraries::Base;
    let service = match whole {
        true => image::upon_base(binaries),
        false => image::service_entries(binaries, base, root),
    };
    let service = service.context("image", doing())?;
    let below = if whole { Some(image::root_layer(base, root).context("image", doing())?) } else { None };
    if spec.libraries == Libraries::None && service.linkage == Linkage::Dynamic {
        return Err(Failure::no(
            "image",
            format!("image `{}` says `libraries = \"none\"`, but a binary in it is dynamic", spec.name),
        )
        .hint("say `libraries = \"closure\"`, or build it static"));
    }
    let mut variables = if whole { ran.base_variables.clone() } else { BTreeMap::new() };
    variables.extend(spec.variables.clone());
    if let Some(path) = &service.library_path {
        variables.entry("LD_LIBRARY_PATH".to_owned()).or_insert_with(|| path.clone());
    }
    let ports = spec.ports.clone();
    let image = image::assemble(&image::Spec {
        epoch_unix_s,
        architecture: service.architecture,
        entrypoint: spec.entrypoint.clone(),
        arguments: Vec::new(),
        user: spec.user.clone(),
        ports,
        variables,
        labels: BTreeMap::new(),
        entries: service.entries,
        base: below,
    })
    .context("image", doing())?;
    for (path, bytes) in &image.files {
        if path.starts_with("blobs/") {
            inputs.blobs.put_bytes(bytes).context("store", doing())?;
        }
    }
    Ok(Artifact {
        name: spec.name.clone(),
        path: format!("oci:{}", spec.name),
        kind: ArtifactKind::Image { config: image.config, diff_ids: image.diff_ids },
        digest: image.manifest,
        size: image.manifest_size,
    })
}
