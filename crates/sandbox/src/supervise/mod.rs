//! The supervisor: a process of its own, single-threaded, that opens the sandbox, traces the steps, and copies out what they made.
//!
//! It reads one request from its standard input (a socket): the length (4 bytes, little-endian) and JSON. Then it writes events in
//! frames, and waits for the caller's byte after each step. Its standard output and error are the steps'. If the caller dies,
//! SIGTERM comes from the kernel; if the supervisor dies, the kernel kills every tracee and init.

mod address;
mod birth;
mod calls;
mod clock;
mod collect;
mod cpu;
mod fence;
mod filter;
mod fixed;
mod inside;
mod layout;
mod level;
mod listing;
mod place;
mod random;
mod record;
mod scripts;
mod sink;
mod spent;
mod step;
mod stops;
mod substitute;
mod times;
mod told;
mod tracer;
mod transfer;
mod translate;
mod vdso;
mod world;

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::collect::Place;
use self::level::{Closed, Session, open, refuse};
use self::sink::Sink;
use self::tracer::Tracer;
use crate::error::Failure;
use crate::event::{Event, TRACE_FORMAT, TRACE_VERSION};
use crate::outcome::{Exit, Limit, Refusal};
use crate::plan::{Host, Level, Limits, Mount, PLAN_VERSION, Plan};
use crate::probe::Probe;
use crate::sys;
use crate::sys::trace;
use crate::tier::Tier;

pub(crate) use self::level::remove_tree;
pub(crate) use self::sink::{FRAME_BYTES_MAX, GO_ON};
pub(crate) use self::tracer::TOO_MUCH_OUTPUT;

/// Whether a step of tier T1 is told the same at this path of `/proc` on every machine.
pub(crate) fn is_fixed(plan: &Plan, path: &str) -> bool {
    fixed::file(plan, path).is_some()
}

/// The largest plan that is read: files given as text, and mounts by the thousand, stay far below.
pub(crate) const REQUEST_BYTES_MAX: u32 = 256 << 20;
/// Less free space than this in a writable mount, after a step failed, is called full.
const SPACE_BYTES_MIN: u64 = 64 << 10;

/// What a caller wants.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The caller's process: its end ends everything.
    pub(crate) caller: i32,
    pub(crate) work: Work,
}

/// The two kinds of request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Work {
    Run { plan: Box<Plan>, host: Box<Host> },
    Probe { scratch: PathBuf },
}

/// Serves one request of a caller, then ends the process. The program's `main` calls it first of all when its first argument
/// is [`crate::SUPERVISE`], before it starts any thread.
pub fn supervise() -> ! {
    sys::exit(match serve() {
        Ok(()) => 0,
        Err(_) => 2,
    })
}

fn serve() -> io::Result<()> {
    let mut socket = UnixStream::from(sys::duplicate(io::stdin().as_fd())?);
    sys::null_stdin()?;
    sys::catch_signals()?;
    let mut length = [0_u8; 4];
    socket.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > REQUEST_BYTES_MAX {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let mut request = vec![0_u8; length as usize];
    socket.read_exact(&mut request)?;
    let request: Request = serde_json::from_slice(&request)?;
    sys::die_with_parent(libc::SIGTERM, request.caller)?;
    let mut sink = Sink::new(socket);
    match request.work {
        Work::Run { plan, host } => {
            if let Err(failure) = run(&plan, &host, &mut sink) {
                sink.emit(&Event::Failed { failure });
            }
        }
        Work::Probe { scratch } => {
            sink.emit(&Event::Probed { probe: probe(&scratch) });
        }
    }
    sink.flush();
    Ok(())
}

fn run(plan: &Plan, host: &Host, sink: &mut Sink) -> Result<(), Failure> {
    let (level, refused, mut session) = open_any(plan, host)?;
    let landlock = sys::landlock_abi().filter(|_| level == Level::TraceOnly);
    let root = (level == Level::TraceOnly).then(|| host.scratch.to_string_lossy().into_owned());
    sink.emit(&Event::Start {
        format: TRACE_FORMAT.to_owned(),
        version: TRACE_VERSION,
        level,
        refused,
        landlock,
        root,
    });
    let mut tracer =
        trace_session(&mut session, plan, sink).map_err(|error| Failure::setup("preparing the trace", "", error))?;
    if level == Level::TraceOnly {
        // As for init: a step runs as the same user.
        sys::prctl(libc::PR_SET_DUMPABLE, 0).map_err(|error| Failure::setup("closing the supervisor", "", error))?;
    }
    let prefix = if level == Level::TraceOnly { host.scratch.to_string_lossy().into_owned() } else { String::new() };
    tracer.scratch = (level == Level::TraceOnly).then(|| resolved_scratch(&prefix));
    let has_failed = run_steps(plan, &prefix, &mut tracer)?;
    if tracer.limit.is_none() {
        let place = Place { root: tracer.root(), prefix: &prefix, to: &host.collect, sources: &host.sources };
        let collection = collect::collect(plan, &place, has_failed)?;
        if collection.too_much {
            tracer.limit = Some(Limit::Collect);
        }
        for collected in collection.collected {
            tracer.sink.emit(&Event::Collected(collected));
        }
        for path in collection.absent {
            tracer.sink.emit(&Event::Absent { path });
        }
    }
    if let Some(limit) = tracer.limit.clone() {
        tracer.sink.emit(&Event::Limit { limit });
    }
    let (lost, losses, duration_us) = tracer.close();
    drop(tracer);
    drop(session);
    sink.emit(&Event::Finished { lost, losses, duration_us });
    Ok(())
}

/// The kernel's own name of the scratch directory, which paths of tracees are compared with.
fn resolved_scratch(path: &str) -> String {
    std::fs::canonicalize(path).map_or_else(|_| path.to_owned(), |path| path.to_string_lossy().into_owned())
}

/// Runs the steps until one fails or a limit is reached; returns whether one failed.
fn run_steps(plan: &Plan, prefix: &str, tracer: &mut Tracer<'_>) -> Result<bool, Failure> {
    for step in 0..plan.steps.len() {
        let end = tracer.run_step(step)?;
        let (exit, duration_us) = (end.exit, end.duration.as_micros() as u64);
        let (tier, randomness) = (plan.steps[step].tier, plan.steps[step].randomness);
        tracer.sink.emit(&Event::Step { step, exit, duration_us, survivors: end.survivors, tier, randomness });
        // A step may write it all, and end, before anybody looks.
        if tracer.sink.wait()? {
            tracer.reach_limit(Limit::Output);
        }
        if exit != Exit::Code(0) || tracer.limit.is_some() {
            if tracer.limit.is_none() {
                tracer.limit = full_mount(plan, prefix, tracer).map(Limit::Space);
            }
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the writable mount that has no space left: the likely reason why a step failed.
fn full_mount(plan: &Plan, prefix: &str, tracer: &Tracer<'_>) -> Option<String> {
    if !prefix.is_empty() {
        return None;
    }
    let targets = plan.mounts.iter().filter(|one| one.is_writable());
    let is_full = |target: &&str| {
        let opened = sys::open_in_root(tracer.root(), Path::new(target), libc::O_PATH);
        opened.and_then(|fd| sys::free_bytes(fd.as_fd())).is_ok_and(|free| free < SPACE_BYTES_MIN)
    };
    targets.map(Mount::target).find(is_full).map(str::to_owned)
}

fn trace_session<'a>(session: &mut Session, plan: &'a Plan, sink: &'a mut Sink) -> io::Result<Tracer<'a>> {
    let root = session.root.take().ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
    let socket = session.socket.try_clone()?;
    Ok(Tracer::new(session.init, socket, root, session.settings, plan, sink))
}

/// Opens the strongest level from the ceiling down to the minimum.
fn open_any(plan: &Plan, host: &Host) -> Result<(Level, Vec<Refusal>, Session), Failure> {
    if let Some((what, reason)) = world::refusal(plan) {
        return Err(Failure::setup(&what, "", reason));
    }
    let mut refused = Vec::new();
    let wanted = |level: &Level| host.ceiling.holds(*level) && level.holds(host.minimum);
    for level in Level::ALL.into_iter().filter(wanted) {
        if let Some(refusal) = refuse_tier(level, plan.tier()).or_else(|| refuse_root(level, plan)) {
            refused.push(refusal);
            continue;
        }
        match open(level, plan, host).and_then(|session| attach(level, session)) {
            Ok(session) => return Ok((level, refused, session)),
            Err(Closed::Refused(refusal)) => refused.push(refusal),
            Err(Closed::Failed(failure)) => return Err(failure),
        }
    }
    Err(Failure::Level { minimum: host.minimum, refused })
}

/// Without namespaces the machine's own files and paths are in view, so only T0's promises, which name the level, can be kept.
fn refuse_tier(level: Level, tier: Tier) -> Option<Refusal> {
    (level == Level::TraceOnly && tier > Tier::T0).then(|| Refusal {
        level,
        what: format!("giving tier `{tier}`"),
        reason: "without namespaces the machine shows through".to_owned(),
        hint: Some("run where namespaces are allowed, or write `tier = \"T0\"`".to_owned()),
    })
}

/// Without namespaces the root that steps would write is the machine's.
fn refuse_root(level: Level, plan: &Plan) -> Option<Refusal> {
    (level == Level::TraceOnly && plan.root_source().is_some()).then(|| Refusal {
        level,
        what: "giving the steps a root that they may write".to_owned(),
        reason: "without namespaces it would be the machine's own".to_owned(),
        hint: Some("run where namespaces are allowed".to_owned()),
    })
}

/// Attaches to init, and so to all that it will start.
fn attach(level: Level, session: Session) -> Result<Session, Closed> {
    match trace::seize(session.init) {
        Ok(()) => Ok(session),
        Err(error) => Err(refuse(level, "attaching with ptrace", "", &error.to_string(), error.raw_os_error())),
    }
}

/// Opens each level with an empty plan.
fn probe(scratch: &Path) -> Probe {
    let plan = Plan {
        version: PLAN_VERSION,
        hostname: "probe".to_owned(),
        cpus: 1,
        loopback: false,
        epoch_unix_s: 0,
        mounts: Vec::new(),
        steps: Vec::new(),
        collect: Vec::new(),
        limits: Limits::default(),
    };
    let mut probe = Probe { works: Vec::new(), refused: Vec::new(), landlock: sys::landlock_abi() };
    for level in Level::ALL {
        let host = Host {
            supervisor: PathBuf::new(),
            sources: std::collections::BTreeMap::new(),
            minimum: level,
            ceiling: level,
            trace: PathBuf::new(),
            log: PathBuf::new(),
            collect: PathBuf::new(),
            scratch: scratch.to_owned(),
            path: String::new(),
            deny: Vec::new(),
            door: None,
        };
        match open(level, &plan, &host).and_then(|session| attach(level, session)) {
            Ok(_) => probe.works.push(level),
            Err(Closed::Refused(refusal)) => probe.refused.push(refusal),
            Err(Closed::Failed(failure)) => {
                let reason = crate::error::SandboxError::from(failure).to_string();
                probe.refused.push(Refusal { level, what: "opening".to_owned(), reason, hint: None });
            }
        }
    }
    probe
}
