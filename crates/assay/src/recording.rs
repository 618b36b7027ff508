//! `assay lock --record`: a command runs with a way out, and what it was answered becomes `assay.record`.
//!
//! **What is trusted.** "No code of a project runs while fetching" does not hold here: the command is the project's, or at least
//! chosen by it. It runs in the sandbox of a build, with the source and without keys, home or variables of the machine; what it
//! sends is `GET` and `HEAD` only, without credentials. It could still tell a server what is in the source, in an address: so
//! record what you would run anyway, and look at the addresses of the record before it is committed.

use build::ecosystem::recorded;
use build::inputs::Inputs as _;
use build::plan;
use build::record::withhold::Withhold;
use build::spec::Spec;
use inspect::lock_file::record::{Answer, Record};
use sandbox::event::Event;
use sandbox::plan::Level;
use sandbox::trace::live::Live;

use crate::building::{self, Subject, Told};
use crate::commands::lock::make;
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::fetch::client_without_redirects;
use crate::inputs::StoreInputs;
use crate::machine;
use crate::project::Project;
use crate::proxy::recorder::Recorder;
use crate::runbook::durable;

/// Runs the command, writes the record into the project, and returns how many answers it holds.
pub(crate) fn record(context: &Context, inputs: &StoreInputs, project: &Project, command: &[String]) -> Result<usize> {
    let named = project.spec.base.lock_files.iter().flatten();
    let Some(path) = named.clone().find(|path| path.rsplit('/').next() == Some(recorded::FILE)) else {
        let message =
            format!("`lock-files` of assay.toml names no `{}`, so no build would be answered from it", recorded::FILE);
        return Err(
            Failure::new("record", message).hint(format!("add `lock-files = [\"{}\"]` to `[base]`", recorded::FILE))
        );
    };
    // The rest is locked as always; the former record is nothing that the command may see.
    let rest: Vec<String> = named.filter(|other| *other != path).cloned().collect();
    let mut spec: Spec = project.spec.clone();
    spec.base.lock_files = Some(rest);
    let before = Project { directory: project.directory.clone(), spec, dockerfile: None };
    let lock = make(context, inputs, &before)?.lock;
    let source = before.source(&context.home, inputs)?;
    let subject = Subject { project: &before, lock: &lock, source: &source };
    let authority = inputs.import(recorded::authority()).context("record", "importing the recording's certificate")?;
    let planned = plan::record(&before.spec, &lock, &source, &authority.digest(), command);
    let sources = building::sources(context, inputs, &subject, &planned)?;
    let recorder = Recorder::new(client_without_redirects()?, inputs);
    let mut narrate = |output: sandbox::outcome::Output<'_>| {
        if let Some(line) = building::last_line(output.bytes) {
            context.progress.step(line);
        }
    };
    let mut withhold = Withhold::new(machine::random()?);
    let mut on_event = |event: &mut Event, _: &Live| withhold.event(event);
    let told = Told { on_event: &mut on_event, on_output: &mut narrate };
    let ran = building::run_answered(context, inputs, (&planned.plan, &sources), Level::NoProc, &recorder, told)?;
    let answers = recorder.finish().map_err(|refused| refused_answers(&refused))?;
    building::succeeded(inputs, &planned.plan, &ran, "record-failed")?;
    let count = answers.len();
    write(project, path, command, answers)?;
    Ok(count)
}

fn refused_answers(refused: &[String]) -> Failure {
    let (first, others) = refused.split_first().map_or(("", refused), |(first, others)| (first.as_str(), others));
    let mut failure = Failure::new("record", format!("this cannot be answered again: {first}"));
    failure.also = others.to_vec();
    failure.hint("let the command ask for whole files only, or take what it needs from a lock file or `[[fetch]]`")
}

fn write(project: &Project, path: &str, command: &[String], answers: Vec<Answer>) -> Result<()> {
    let record = Record { command: command.to_vec(), answers };
    let path = project.directory.join(path);
    durable(&path, record.to_text().as_bytes()).context("record", format!("writing `{}`", path.display()))
}
