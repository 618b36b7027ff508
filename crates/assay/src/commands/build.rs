//! `assay build`

use std::path::{Path, PathBuf};

use attest::predicate::sbom::Sbom;
use attest::{Attestation, Claim};
use build::compare;
use build::normalise;
use model::recipe::{Artifact, ArtifactKind, Recipe, Stage, StageInput, StageOutput};
use model::run::{Denied, Rebuilt, Record};
use model::source::Source;
use sandbox::plan::Level;
use serde_json::{Value, json};
use wire::digest::Digest;

use crate::building::{self, Subject};
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::keys::KeyName;
use crate::layout;
use crate::normalising;
use crate::project::Project;
use crate::rehash::{Rehashed, rehash};
use crate::report::Report;
use crate::reuse;
use crate::runbook::durable;
use crate::session::Session;
use crate::verdicts;

/// Build in the sandbox from the lock, and state what was built, from what, and how
///
/// No network, one fixed path, constructed variables, fixed times: two builds of one lock give the same bytes. Every process
/// and every file it opened is recorded. Recipe and run are signed by the signer process and logged. With nothing changed
/// since the last build, that build is the answer.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Build again although nothing changed, compare with the former build, and state `rebuilt`, equal or not
    #[arg(long)]
    again: bool,
    /// Of how many former builds that would be the answer one is built again, compared, and stated as by --again
    ///
    /// 1: each; 0: none. By default what `[build] recheck` says: 20. Exit 1 when an output differs: that build is not used any more.
    #[arg(long, value_name = "N")]
    recheck: Option<u32>,
    /// The weakest isolation that will do: full, no-proc (the machine's /proc is seen), or trace-only (no namespaces)
    ///
    /// Where the machine does not allow it, nothing is built: exit 2, with what refused it and what would help.
    #[arg(long, value_name = "LEVEL", value_parser = level, default_value = "trace-only")]
    level: Level,
    /// Before anything is mounted, read and hash again all that assay.lock pins
    ///
    /// Trees in the store are sealed, and otherwise not walked again. Exit 1 with the file when one has other bytes.
    #[arg(long)]
    paranoid: bool,
    /// Also write the artifacts, images as OCI layouts, and all that verifies them with stock tools, into this directory
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Args {
    fn asked(&self, project: &Project) -> Asked {
        let recheck = self.recheck.unwrap_or(project.spec.build.recheck);
        Asked { again: self.again, minimum: self.level, recheck }
    }
}

/// How much of a former build will do.
#[derive(Clone, Copy)]
struct Asked {
    /// Whether it is built again in any case.
    again: bool,
    /// The weakest isolation.
    minimum: Level,
    /// Of how many former builds one is built again; 0: none.
    recheck: u32,
}

fn level(text: &str) -> std::result::Result<Level, String> {
    let known = Level::ALL.into_iter().find(|level| level.name() == text);
    known.ok_or_else(|| format!("the levels are {}", Level::ALL.map(Level::name).join(", ")))
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let project = Project::load(context)?;
    let mut session = Session::open(context)?;
    let rehashed = match args.paranoid {
        true => project.lock().and_then(|lock| rehash(context, session.inputs(), &lock)).map(Some),
        false => Ok(None),
    };
    let outcome = rehashed.and_then(|rehashed| {
        let mut built = build_at(&mut session, &project, args.asked(&project))?;
        built.rehashed = rehashed;
        if let Some(directory) = &args.output {
            write_out(&session, &built.recipe.outputs, directory)?;
        }
        Ok(built)
    });
    session.close()?;
    Ok(outcome?.report())
}

/// Writes each artifact, beside it its bundles as `NAME.sigstore.jsonl`, and for all of them `trusted_root.json` and the
/// public keys of the accepted identities as `IDENTITY.pub.pem`.
fn write_out(session: &Session<'_>, outputs: &[Artifact], directory: &Path) -> Result<()> {
    layout::write_artifacts(&session.inputs().blobs, outputs, directory)?;
    let write = |name: String, bytes: &[u8]| {
        let path = directory.join(name);
        durable(&path, bytes).context("output", format!("writing `{}`", path.display()))
    };
    for output in outputs {
        let mut lines = Vec::new();
        for bundle in session.about_bundles(&[output.digest])? {
            lines.extend(bundle.to_json());
            lines.push(b'\n');
        }
        write(format!("{}.sigstore.jsonl", output.name), &lines)?;
    }
    write("trusted_root.json".to_owned(), sign::trust::to_trusted_root_json(session.trust()).as_bytes())?;
    for identity in &session.trust().identities {
        write(format!("{}.pub.pem", identity.name), identity.key.to_pem().as_bytes())?;
    }
    Ok(())
}

/// A build that is stated and logged.
pub(crate) struct Built {
    /// The recipe.
    pub(crate) recipe: Recipe,
    /// Digest of the recipe statement's payload.
    pub(crate) recipe_payload: Digest,
    /// Digest of the run statement's payload.
    pub(crate) run_payload: Digest,
    run: Value,
    cached: bool,
    /// What `--paranoid` read again.
    rehashed: Option<Rehashed>,
    /// The comparison, after `--again` or when a former build was drawn.
    pub(crate) rebuilt: Option<(Rebuilt, Digest)>,
    /// Stages that left something else in the comparison, although they saw the same.
    differing: Vec<String>,
    /// The statement because of which a former build was not used.
    distrusted: Option<Digest>,
}

/// Builds a project at the strongest level that the machine allows, or finds the former build when nothing changed.
pub(crate) fn build(session: &mut Session<'_>, project: &Project, again: bool) -> Result<Built> {
    build_at(session, project, Asked { again, minimum: Level::TraceOnly, recheck: 0 })
}

/// As [`build`], but at no level below the least that is asked: neither a new build nor a former one.
fn build_at(session: &mut Session<'_>, project: &Project, asked: Asked) -> Result<Built> {
    let lock = project.lock()?;
    session.context().progress.doing("reading the source");
    let source = project.source(&session.context().home, session.inputs())?;
    let subject = Subject { project, lock: &lock, source: &source };
    let plan = building::whole(&subject);
    let minimum = asked.minimum;
    let Some(former) = former(session, &subject, &plan, minimum)? else {
        let first = state(session, &subject, minimum)?;
        return if asked.again { rebuild(session, &subject, first, minimum) } else { Ok(first) };
    };
    if asked.again {
        return rebuild(session, &subject, former, minimum);
    }
    if let Some(comparison) = reuse::distrusted(session, &former.recipe)? {
        let built = state(session, &subject, minimum)?;
        return Ok(Built { distrusted: Some(comparison), ..built });
    }
    match reuse::is_drawn(asked.recheck)? {
        true => rebuild(session, &subject, former, minimum),
        false => Ok(former),
    }
}

/// The build of this very source and lock, which must exist.
pub(crate) fn existing(session: &Session<'_>, project: &Project) -> Result<Built> {
    let lock = project.lock()?;
    let source = source(session, project)?;
    let subject = Subject { project, lock: &lock, source: &source };
    let plan = building::whole(&subject);
    former(session, &subject, &plan, Level::TraceOnly)?
        .ok_or_else(|| Failure::no("not-built", "this source was not built yet with this lock").hint("assay build"))
}

/// The newest build of the same source, lock and plan, at `minimum` or above, whose artifacts are all still here.
fn former(session: &Session<'_>, subject: &Subject<'_>, plan: &Digest, minimum: Level) -> Result<Option<Built>> {
    for recipe in session.recipes_of(&subject.source.tree)? {
        let Claim::Recipe(claim) = recipe.claim() else { continue };
        if claim.plan != *plan || claim.lock != subject.lock.digest() || claim.spec != subject.project.spec.digest {
            continue;
        }
        if !recipe.authorised() || !layout::held(&session.inputs().blobs, &claim.outputs)? {
            continue;
        }
        let payload = *recipe.statement().payload();
        let commit = subject.source.revision.as_ref().map(|revision| revision.commit.as_str());
        let run = session
            .runs_of(&payload)?
            .into_iter()
            .find(|run| run.authorised() && is_of_commit(run, commit) && holds(run, minimum));
        if let Some(run) = run {
            let run_payload = *run.statement().payload();
            let recipe = claim.clone();
            let mut of_run = of_run(&run);
            of_run["sbom"] =
                verdicts::sbom_of(session, &recipe.outputs, &run_payload)?.as_ref().map(verdicts::counted).into();
            return Ok(Some(Built {
                recipe,
                recipe_payload: payload,
                run_payload,
                run: of_run,
                cached: true,
                rehashed: None,
                rebuilt: None,
                differing: Vec::new(),
                distrusted: None,
            }));
        }
    }
    Ok(None)
}

/// A build of the same files at another commit is another build: its provenance says so.
fn is_of_commit(run: &Attestation, commit: Option<&str>) -> bool {
    match run.claim() {
        Claim::Run(run) => run.source.revision.as_ref().map(|revision| revision.commit.as_str()) == commit,
        _ => false,
    }
}

fn holds(run: &Attestation, minimum: Level) -> bool {
    let Claim::Run(run) = run.claim() else { return false };
    level(&run.level).is_ok_and(|level| level.holds(minimum))
}

/// Builds, and states recipe and run.
fn state(session: &mut Session<'_>, subject: &Subject<'_>, minimum: Level) -> Result<Built> {
    session.context().progress.doing("building");
    let (record, normalised) = building::build_once(session.context(), session.inputs(), subject, minimum)?;
    let key = KeyName::builder(&record.level)
        .ok_or_else(|| Failure::new("level", format!("no builder's key is for level `{}`", record.level)))?;
    let recipe = attest::recipe(&record.recipe);
    let recipe_payload = Digest::of(&recipe.to_json());
    let run = attest::run(&record, &recipe_payload);
    // The recipe of a second build is the same statement; it is logged once.
    let known = session.by_payload(&recipe_payload)?.attestations;
    let known = known.iter().any(|attestation| attestation.statement().identity() == key.identity());
    let run_payload = Digest::of(&run.to_json());
    let sbom = attest::sbom(&record, &run_payload);
    let statements = if known { vec![run, sbom] } else { vec![recipe, run, sbom] };
    let payloads = session.record(key, &statements)?;
    if !payloads.contains(&run_payload) {
        return Err(Failure::new("log", "the log did not acknowledge the run"));
    }
    let mut run = of_record(&record);
    run["sbom"] = verdicts::counted(&Sbom::of(&record, &run_payload));
    let of_file = |(path, report): &(String, normalise::Report)| normalising::json_of(path, report);
    run["normalised"] = normalised.iter().map(of_file).collect();
    Ok(Built {
        recipe: record.recipe,
        recipe_payload,
        run_payload,
        run,
        cached: false,
        rehashed: None,
        rebuilt: None,
        differing: Vec::new(),
        distrusted: None,
    })
}

/// Builds a second time, compares, and states the outcome whatever it is.
fn rebuild(session: &mut Session<'_>, subject: &Subject<'_>, first: Built, minimum: Level) -> Result<Built> {
    let mut second = state(session, subject, minimum)?;
    let runs = [(first.run_payload, &first.recipe), (second.run_payload, &second.recipe)];
    let rebuilt = compare::compare(&first.recipe_payload, &runs).context("rebuilt", "comparing the two builds")?;
    let key = second.run["level"].as_str().and_then(KeyName::builder);
    let key = key.ok_or_else(|| Failure::new("level", "the second build has no level"))?;
    let payloads = session.record(key, &[attest::rebuilt(&rebuilt, &first.recipe.outputs)])?;
    let payload = *payloads.first().ok_or_else(|| Failure::new("log", "the log acknowledged no statement"))?;
    second.differing = reuse::differing(&first.recipe, &second.recipe);
    second.rebuilt = Some((rebuilt, payload));
    Ok(second)
}

fn of_record(record: &Record) -> Value {
    json!({
        "denied": denied(&record.denied),
        "verdicts": verdicts::json(&record.verdicts),
        "complete": record.completeness.complete,
        "reasons": record.completeness.reasons,
        "level": record.level,
        "undeclared": record.undeclared.iter().map(|u| json!({
            "path": u.path, "process": u.process, "argv0": u.argv0, "count": u.count,
        })).collect::<Vec<_>>(),
        "duration_ms": record.duration_ms,
        "processes": record.processes,
        "trace": record.trace,
        "log": record.log,
    })
}

fn of_run(run: &Attestation) -> Value {
    let Claim::Run(run) = run.claim() else { return json!({}) };
    json!({
        "denied": denied(&run.denied),
        "verdicts": run.verdicts.as_ref().map(verdicts::json),
        "complete": run.completeness.complete,
        "reasons": run.completeness.reasons,
        "level": run.level,
        "undeclared": run.undeclared.iter().map(|u| json!({
            "path": u.path, "process": u.process, "argv0": u.argv0, "count": u.count,
        })).collect::<Vec<_>>(),
        "duration_ms": run.duration_ms,
        "processes": run.processes,
        "trace": run.trace,
        "log": run.log,
        "normalised": Value::Null,
    })
}

fn denied(list: &[Denied]) -> Value {
    let one = |denied: &Denied| json!({ "what": denied.what, "process": denied.process, "argv": denied.command, "count": denied.count });
    list.iter().map(one).collect()
}

impl Built {
    /// The newest file artifact of a name, or the first.
    pub(crate) fn artifact(&self, name: Option<&str>) -> Option<&Artifact> {
        match name {
            Some(name) => self.recipe.outputs.iter().find(|output| output.name == name),
            None => self.recipe.outputs.iter().find(|output| output.kind == ArtifactKind::File),
        }
    }

    /// Whether the build is complete.
    pub(crate) fn complete(&self) -> bool {
        self.run["complete"] == json!(true)
    }

    /// The isolation that held.
    pub(crate) fn level(&self) -> &str {
        self.run["level"].as_str().unwrap_or("unknown")
    }

    fn report(&self) -> Report {
        let mut json = self.run.clone();
        json["artifacts"] = self.recipe.outputs.iter().map(artifact_json).collect();
        json["stages"] = self.recipe.stages.iter().map(stage_json).collect();
        json["recipe"] = json!(self.recipe_payload);
        json["run"] = json!(self.run_payload);
        json["cached"] = json!(self.cached);
        if let Some(comparison) = self.distrusted {
            json["distrusted"] = json!(comparison);
        }
        if let Some(rehashed) = self.rehashed {
            json["rehashed"] = rehashed.json();
        }
        let equal = self.rebuilt.as_ref().is_none_or(|(rebuilt, _)| rebuilt.equal);
        if let Some((rebuilt, payload)) = &self.rebuilt {
            json["rebuilt"] = json!({
                "equal": rebuilt.equal,
                "times": rebuilt.runs.len(),
                "statement": payload,
                "stages": self.differing,
                "differences": rebuilt.differences.iter().map(|(name, digests)| json!({"name": name, "digests": digests})).collect::<Vec<_>>(),
            });
        }
        Report::of(equal, json, self.text())
    }

    fn text(&self) -> String {
        let mut out = Vec::new();
        for output in &self.recipe.outputs {
            out.push(format!("{} {}", output.name, output.digest));
        }
        for stage in &self.recipe.stages {
            out.push(format!("stage {}: plan {}", stage.name, stage.made.plan));
            let taken =
                |input: &StageInput| format!("  {} is {} of {} {}", input.at, input.path, input.stage, input.tree);
            out.extend(stage.inputs.iter().map(taken));
        }
        let how = if self.cached { "nothing changed since this build" } else { "built" };
        let complete = if self.complete() { "complete" } else { "not complete" };
        out.push(format!(
            "{how}: level {}, {complete}, {} ms, {} processes, {} undeclared",
            self.level(),
            self.run["duration_ms"],
            self.run["processes"],
            self.run["undeclared"].as_array().map_or(0, Vec::len),
        ));
        for reason in self.run["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            out.push(format!("  {reason}"));
        }
        for denied in self.run["denied"].as_array().into_iter().flatten() {
            let (what, argv) = (denied["what"].as_str().unwrap_or(""), denied["argv"].as_str().unwrap_or(""));
            out.push(format!("  refused to `{}`: {what}", argv.chars().take(200).collect::<String>()));
        }
        out.extend(verdicts::counted_text(&self.run["sbom"]));
        out.extend(verdicts::text(&self.run["verdicts"]));
        for file in self.run["normalised"].as_array().into_iter().flatten() {
            out.push(format!("normalised {}", normalising::summary_of(file)));
        }
        if let Some(comparison) = self.distrusted {
            out.push(format!("a former build was not used, as builds of it differ: {comparison}"));
        }
        out.extend(self.rehashed.map(Rehashed::text));
        out.push(format!("recipe {}\nrun    {}", self.recipe_payload, self.run_payload));
        if let Some((rebuilt, payload)) = &self.rebuilt {
            out.push(match rebuilt.equal {
                true => format!("rebuilt {} times, equal: {payload}", rebuilt.runs.len()),
                false => format!("rebuilt {} times, NOT equal: {payload}", rebuilt.runs.len()),
            });
            for (name, digests) in &rebuilt.differences {
                let digests: Vec<String> = digests.iter().map(Digest::to_string).collect();
                out.push(format!("  {name}: {}", digests.join(" ≠ ")));
            }
            let stage = |name: &String| format!("  stage {name} left something else although it saw the same");
            out.extend(self.differing.iter().map(stage));
        }
        out.join("\n")
    }
}

fn artifact_json(artifact: &Artifact) -> Value {
    let kind = match &artifact.kind {
        ArtifactKind::File => "file",
        ArtifactKind::Image { .. } => "image",
    };
    json!({"name": artifact.name, "path": artifact.path, "digest": artifact.digest, "kind": kind, "size": artifact.size})
}

fn stage_json(stage: &Stage) -> Value {
    let input =
        |input: &StageInput| json!({"stage": input.stage, "path": input.path, "at": input.at, "tree": input.tree});
    let output = |output: &StageOutput| json!({"path": output.path, "tree": output.tree});
    json!({
        "name": stage.name,
        "plan": stage.made.plan,
        "steps": stage.steps,
        "inputs": stage.inputs.iter().map(input).collect::<Vec<_>>(),
        "outputs": stage.made.outputs.iter().map(output).collect::<Vec<_>>(),
    })
}

/// The source of a project at this moment, for commands that only need its identity.
pub(crate) fn source(session: &Session<'_>, project: &Project) -> Result<Source> {
    project.source(&session.context().home, session.inputs())
}
