//! `assay trace`

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use attest::Claim;
use sandbox::event::Event;
use sandbox::plan::is_within;
use sandbox::trace::{Reader, TraceError};
use serde::Serialize;
use serde_json::json;
use wire::digest::Digest;

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::report::Report;
use crate::resolve::resolve;
use crate::session::Session;

/// Print the trace of a build: every process and every file that it touched, one JSON object a line
///
/// Of the newest run of an artifact, or of a run, or a trace itself, by digest; or of a file. A trace without its end is printed as far
/// as it goes, and is an error. With --json, one object that says how much there is. docs/formats/trace.md explains the events.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The artifact, the digest of a run or of a trace, or the PATH of a trace
    #[arg(value_name = "REF|PATH")]
    what: String,
    /// Only who touched this path, or what lies below it: each access with its process and command
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let (name, file) = open(args, context)?;
    let mut out = Out::new(context.global.json);
    let counted = print(&mut Reader::new(file).map_err(|error| unreadable(&name, &error))?, args, &mut out);
    out.flush()?;
    let Counted { events, accesses, touched, lost } = counted.map_err(|error| match error {
        PrintError::Trace(error) => unreadable(&name, &error),
        PrintError::Failure(failure) => failure,
    })?;
    Ok(Report::yes(
        json!({ "trace": name, "events": events, "accesses": accesses, "touched": touched, "lost": lost }),
        String::new(),
    ))
}

fn unreadable(name: &str, error: &TraceError) -> Failure {
    Failure::new("trace", format!("reading the trace `{name}`")).because(error)
}

/// Opens what was named.
fn open(args: &Args, context: &Context) -> Result<(String, Box<dyn Read>)> {
    let path = Path::new(&args.what);
    if args.what.contains('/') && path.is_file() && is_trace(path) {
        let file = File::open(path).context("trace", format!("opening `{}`", args.what))?;
        return Ok((args.what.clone(), Box::new(file)));
    }
    let session = Session::open(context)?;
    let digest = trace_of(&session, &args.what)?;
    let file = session.inputs().blobs.open(&digest).context("trace", format!("opening the trace `{digest}`"))?;
    session.close()?;
    Ok((digest.to_string(), Box::new(file)))
}

/// Whether a file begins as a trace; an artifact may be named by its path, too.
fn is_trace(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| Reader::new(file).is_ok())
}

fn trace_of(session: &Session<'_>, what: &str) -> Result<Digest> {
    if let Ok(digest) = what.parse::<Digest>() {
        let of_run = session.by_payload(&digest)?.attestations.into_iter().find_map(|one| match one.claim() {
            Claim::Run(run) => Some(run.trace),
            _ => None,
        });
        if let Some(trace) = of_run {
            return Ok(trace);
        }
        if session.inputs().blobs.open(&digest).is_ok_and(|file| Reader::new(file).is_ok()) {
            return Ok(digest);
        }
    }
    let resolved = resolve(session, what)?;
    let runs = session.about(&[resolved.digest])?.attestations;
    let newest = runs.iter().filter(|one| one.authorised()).filter_map(|one| match one.claim() {
        Claim::Run(run) => Some((run.finished, run.trace)),
        _ => None,
    });
    newest
        .max()
        .map(|(_, trace)| trace)
        .ok_or_else(|| Failure::no("no-trace", format!("no run of `{}` is known", resolved.name)).hint("assay build"))
}

#[derive(Default)]
struct Counted {
    events: u64,
    accesses: u64,
    /// Accesses of the path that was asked for.
    touched: u64,
    lost: u64,
}

enum PrintError {
    Trace(TraceError),
    Failure(Failure),
}

fn print<R: Read>(reader: &mut Reader<R>, args: &Args, out: &mut Out) -> std::result::Result<Counted, PrintError> {
    let mut counted = Counted::default();
    while let Some(event) = reader.read().map_err(PrintError::Trace)? {
        counted.events += 1;
        if let Event::Finished { lost, .. } = event {
            counted.lost = lost;
        }
        counted.accesses += u64::from(matches!(event, Event::Access { .. }));
        match &args.path {
            None => out.line(&event).map_err(PrintError::Failure)?,
            Some(wanted) => {
                let Some(line) = touched(&event, wanted, reader) else { continue };
                counted.touched += 1;
                out.line(&line).map_err(PrintError::Failure)?;
            }
        }
    }
    Ok(counted)
}

/// An access with what it names, if it is of the path that was asked for.
fn touched<R: Read>(event: &Event, wanted: &str, reader: &Reader<R>) -> Option<serde_json::Value> {
    let Event::Access { process, path, kind, count } = event else { return None };
    let path = reader.live().path(*path).filter(|path| is_within(path, wanted))?;
    let seen = reader.live().process(*process)?;
    Some(json!({
        "path": path, "kind": kind, "count": count, "process": process, "pid": seen.pid, "parent": seen.parent,
        "exe": seen.program.exe, "argv": seen.program.argv,
    }))
}

/// Standard output, written as the trace is read: none of it is held. A reader that went away is no error.
struct Out {
    stdout: BufWriter<io::Stdout>,
    silent: bool,
}

impl Out {
    fn new(silent: bool) -> Out {
        Out { stdout: BufWriter::with_capacity(1 << 16, io::stdout()), silent }
    }

    fn line(&mut self, value: &impl Serialize) -> Result<()> {
        if self.silent {
            return Ok(());
        }
        let text = serde_json::to_string(value).expect("events have string keys only");
        let written = writeln!(self.stdout, "{text}");
        self.heard(written)
    }

    fn flush(&mut self) -> Result<()> {
        let written = self.stdout.flush();
        self.heard(written)
    }

    fn heard(&mut self, written: io::Result<()>) -> Result<()> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.silent = true;
                Ok(())
            }
            other => other.context("output", "writing the trace"),
        }
    }
}
