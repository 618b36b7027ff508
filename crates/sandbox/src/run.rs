//! The caller's side of a run: starts the supervisor, takes events and output, writes trace and log.
//!
//! One thread, one `poll`; nothing is kept in memory but the summary: events are packed onto disk as they come. Return means that nothing inside lives any more: both output pipes
//! have ended, and every process of the sandbox holds them.

use std::fs::{self, File};
use std::io::{self, BufWriter, PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::SandboxError;
use crate::event::{Event, Fold};
use crate::outcome::{Output, Stream, Summary};
use crate::plan::{Host, Plan};
use crate::probe::Probe;
use crate::supervise::{FRAME_BYTES_MAX, GO_ON, REQUEST_BYTES_MAX, Request, TOO_MUCH_OUTPUT, Work, remove_tree};
use crate::trace::Writer;
use crate::trace::codec::Decoder;
use crate::trace::live::Live;
use crate::{SUPERVISE, sys};

/// What stands before a frame.
const LENGTH_BYTES: usize = size_of::<u32>();
/// Beyond the plan's wall time: for preparing and copying out. A supervisor that is later hangs, or was stopped by a step.
const OVERTIME: Duration = Duration::from_secs(900);
/// How long the kernel may take to end what a dead supervisor left.
const GRACE_MS: i32 = 10_000;

/// Runs a plan and returns what it did.
///
/// Blocks until everything inside has ended. `on_event` sees each event before it is written, with what lived before it, and
/// may withhold what it tells (the arguments and variables of a program); `on_output` sees the steps' output as it comes. A step that fails is no error: see
/// [`Summary::passed`]. After an error, which a full disk is too, neither trace nor log nor scratch directory remains.
pub fn run(
    plan: &Plan,
    host: &Host,
    on_event: &mut dyn FnMut(&mut Event, &Live),
    on_output: &mut dyn FnMut(Output<'_>),
) -> Result<Summary, SandboxError> {
    plan.validate(host)?;
    let trace = create(&host.trace)?;
    let log = create(&host.log).inspect_err(|_| remove(&host.trace))?;
    let result = run_logged(plan, host, (trace, log), on_event, on_output);
    if result.is_err() {
        remove(&host.trace);
        remove(&host.log);
    }
    result
}

fn create(path: &Path) -> Result<BufWriter<File>, SandboxError> {
    let file = File::options().write(true).create_new(true).open(path);
    let failed = |source| SandboxError::Io { what: "creating", path: path.to_owned(), source };
    file.map(|file| BufWriter::with_capacity(1 << 16, file)).map_err(failed)
}

fn remove(path: &Path) {
    // The error that led here is the one to tell.
    fs::remove_file(path).ok();
}

fn run_logged(
    plan: &Plan,
    host: &Host,
    (trace, log): (BufWriter<File>, BufWriter<File>),
    on_event: &mut dyn FnMut(&mut Event, &Live),
    on_output: &mut dyn FnMut(Output<'_>),
) -> Result<Summary, SandboxError> {
    let writing = |path: &Path| {
        let path = path.to_owned();
        move |source| SandboxError::Io { what: "writing", path, source }
    };
    let trace = Writer::new(trace).map_err(writing(&host.trace))?;
    let work = Work::Run { plan: Box::new(plan.clone()), host: Box::new(host.clone()) };
    let supervisor = Supervisor::start(&host.supervisor, work)?;
    let (fold, decoder) = (Fold::default(), Decoder::default());
    let mut listener =
        Listener { plan, host, supervisor, fold, decoder, trace, log, on_event, output_bytes: 0, step: 0 };
    let result = listener.listen(on_output);
    let how = listener.supervisor.finish(result.is_err());
    if result.is_err() || !listener.fold.is_finished() {
        // It may have been killed before it could remove this.
        remove_tree(&host.scratch).ok();
        return Err(result.err().unwrap_or(SandboxError::Died { how }));
    }
    listener.log.flush().map_err(writing(&host.log))?;
    let Listener { fold, trace, .. } = listener;
    trace.finish().map_err(writing(&host.trace))?;
    fold.summary()
}

/// Asks a supervisor what this machine allows.
pub(crate) fn probe(program: &Path) -> Result<Probe, SandboxError> {
    let scratch = std::env::temp_dir().join(format!("sandbox-probe-{}", std::process::id()));
    let mut supervisor = Supervisor::start(program, Work::Probe { scratch: scratch.clone() })?;
    let mut answer = Vec::new();
    let read = (&supervisor.socket).take(FRAME_BYTES_MAX as u64).read_to_end(&mut answer);
    let how = supervisor.finish(read.is_err());
    remove_tree(&scratch).ok();
    let mut records = answer.get(LENGTH_BYTES..).unwrap_or_default();
    match Decoder::default().read(&mut records) {
        Ok(Some(Event::Probed { probe })) => Ok(probe),
        Ok(Some(Event::Failed { failure })) => Err(failure.into()),
        Ok(Some(_)) => Err(SandboxError::Protocol { what: "no answer to a probe".to_owned() }),
        Ok(None) | Err(_) => Err(SandboxError::Died { how }),
    }
}

/// A running supervisor and the three lines from it.
struct Supervisor {
    child: Child,
    socket: UnixStream,
    stdout: Option<PipeReader>,
    stderr: Option<PipeReader>,
}

impl Supervisor {
    fn start(program: &Path, work: Work) -> Result<Self, SandboxError> {
        let failed = |what| move |source| SandboxError::Io { what, path: program.to_owned(), source };
        let (socket, theirs) = UnixStream::pair().map_err(failed("making a socket for"))?;
        let (stdout, their_stdout) = io::pipe().map_err(failed("making a pipe for"))?;
        let (stderr, their_stderr) = io::pipe().map_err(failed("making a pipe for"))?;
        let child = Command::new(program)
            .arg(SUPERVISE)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(their_stdout)
            .stderr(their_stderr)
            .spawn()
            .map_err(failed("starting"))?;
        let supervisor = Self { child, socket, stdout: Some(stdout), stderr: Some(stderr) };
        let request = Request { caller: std::process::id() as i32, work };
        supervisor.send(&request).map_err(failed("sending the plan to"))?;
        Ok(supervisor)
    }

    fn send(&self, request: &Request) -> io::Result<()> {
        let bytes = serde_json::to_vec(request)?;
        let length = u32::try_from(bytes.len()).ok().filter(|&length| length <= REQUEST_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        (&self.socket).write_all(&length.to_le_bytes())?;
        (&self.socket).write_all(&bytes)
    }

    /// Waits for the end of the supervisor and of all that holds its output; returns how it ended.
    fn finish(&mut self, kill: bool) -> String {
        if kill {
            // It may have ended by itself.
            self.child.kill().ok();
        }
        let how = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        for pipe in [self.stdout.take(), self.stderr.take()].into_iter().flatten() {
            drain(pipe);
        }
        how
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Only after an error on the way; otherwise it has ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn drain(mut pipe: PipeReader) {
    let mut piece = [0_u8; 4096];
    while sys::poll_readable(&[Some(pipe.as_fd())], GRACE_MS).is_ok_and(|readable| readable[0]) {
        if !matches!(pipe.read(&mut piece), Ok(count) if count > 0) {
            return;
        }
    }
}

struct Listener<'a> {
    plan: &'a Plan,
    host: &'a Host,
    supervisor: Supervisor,
    fold: Fold,
    decoder: Decoder,
    trace: Writer<BufWriter<File>>,
    log: BufWriter<File>,
    on_event: &'a mut dyn FnMut(&mut Event, &Live),
    output_bytes: u64,
    step: usize,
}

impl Listener<'_> {
    /// Takes events and output until the events end.
    fn listen(&mut self, on_output: &mut dyn FnMut(Output<'_>)) -> Result<(), SandboxError> {
        let mut pending = Vec::new();
        let mut piece = vec![0_u8; 1 << 16];
        let end = Instant::now() + Duration::from_millis(self.plan.limits.wall_ms) + OVERTIME;
        loop {
            let left_ms = i32::try_from(end.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(i32::MAX);
            let Supervisor { socket, stdout, stderr, .. } = &self.supervisor;
            let lines = [Some(socket.as_fd()), stdout.as_ref().map(AsFd::as_fd), stderr.as_ref().map(AsFd::as_fd)];
            let readable = sys::poll_readable(&lines, left_ms).map_err(|source| self.io("waiting for", source))?;
            if left_ms == 0 {
                return Err(SandboxError::Died { how: "no answer; it was killed".to_owned() });
            }
            if readable[1] {
                self.take_output(Stream::Stdout, &mut piece, on_output)?;
            }
            if readable[2] {
                self.take_output(Stream::Stderr, &mut piece, on_output)?;
            }
            if !readable[0] {
                continue;
            }
            let count = match (&self.supervisor.socket).read(&mut piece) {
                // With unread words to it, a killed supervisor resets the line.
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                other => other.map_err(|source| self.io("listening to", source))?,
            };
            pending.extend_from_slice(&piece[..count]);
            self.take_frames(&mut pending, on_output)?;
        }
    }

    fn io(&self, what: &'static str, source: io::Error) -> SandboxError {
        SandboxError::Io { what, path: self.host.supervisor.clone(), source }
    }

    fn take_frames(
        &mut self,
        pending: &mut Vec<u8>,
        on_output: &mut dyn FnMut(Output<'_>),
    ) -> Result<(), SandboxError> {
        let mut taken = 0;
        while let Some((length, rest)) = pending[taken..].split_first_chunk::<LENGTH_BYTES>() {
            let length = u32::from_le_bytes(*length) as usize;
            if length > FRAME_BYTES_MAX {
                return Err(SandboxError::Protocol { what: format!("a frame of {length} bytes") });
            }
            let Some(mut records) = rest.get(..length) else { break };
            while let Some(event) =
                self.decoder.read(&mut records).map_err(|error| SandboxError::Protocol { what: error.to_string() })?
            {
                self.take_event(event, on_output)?;
            }
            taken += LENGTH_BYTES + length;
        }
        pending.drain(..taken);
        pending.shrink_to(1 << 17);
        Ok(())
    }

    fn take_event(&mut self, mut event: Event, on_output: &mut dyn FnMut(Output<'_>)) -> Result<(), SandboxError> {
        (self.on_event)(&mut event, self.fold.live());
        let written = self.trace.write(&event);
        written.map_err(|source| SandboxError::Io { what: "writing", path: self.host.trace.clone(), source })?;
        let is_step = matches!(event, Event::Step { .. });
        self.fold.add(&event, self.plan)?;
        if is_step {
            self.take_rest(on_output)?;
            self.step += 1;
            self.say(GO_ON)?;
        }
        Ok(())
    }

    /// Tells the supervisor something; that it is gone is noticed where its events end.
    fn say(&self, word: u8) -> Result<(), SandboxError> {
        match (&self.supervisor.socket).write_all(&[word]) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(self.io("speaking to", error)),
            _ => Ok(()),
        }
    }

    /// Takes what a step left in the pipes: all its processes have ended.
    fn take_rest(&mut self, on_output: &mut dyn FnMut(Output<'_>)) -> Result<(), SandboxError> {
        let mut piece = vec![0_u8; 1 << 16];
        for stream in [Stream::Stdout, Stream::Stderr] {
            loop {
                let pipe = match stream {
                    Stream::Stdout => &self.supervisor.stdout,
                    Stream::Stderr => &self.supervisor.stderr,
                };
                let Some(pipe) = pipe else { break };
                let readable = sys::poll_readable(&[Some(pipe.as_fd())], 0);
                if !readable.map_err(|source| self.io("waiting for", source))?[0] {
                    break;
                }
                self.take_output(stream, &mut piece, on_output)?;
            }
        }
        Ok(())
    }

    fn take_output(
        &mut self,
        stream: Stream,
        piece: &mut [u8],
        on_output: &mut dyn FnMut(Output<'_>),
    ) -> Result<(), SandboxError> {
        let line = match stream {
            Stream::Stdout => &mut self.supervisor.stdout,
            Stream::Stderr => &mut self.supervisor.stderr,
        };
        let Some(pipe) = line else { return Ok(()) };
        let count = match pipe.read(piece) {
            Ok(0) => {
                *line = None;
                return Ok(());
            }
            other => other.map_err(|source| self.io("reading the output of", source))?,
        };
        let before = self.output_bytes;
        self.output_bytes += count as u64;
        let limit = self.plan.limits.output_bytes;
        if self.output_bytes > limit && before <= limit {
            self.say(TOO_MUCH_OUTPUT)?;
        }
        let kept = &piece[..count.min(limit.saturating_sub(before) as usize)];
        let written = self.log.write_all(kept);
        written.map_err(|source| SandboxError::Io { what: "writing", path: self.host.log.clone(), source })?;
        if !kept.is_empty() {
            on_output(Output { step: self.step, stream, bytes: kept });
        }
        Ok(())
    }
}
