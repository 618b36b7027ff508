//! What one attempt did: its own word, and what the evidence tells of its step.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use sandbox::event::Event;
use sandbox::outcome::{AccessKind, Outcome, Stream};
use sandbox::plan::{Level, Mount, Step};
use sandbox::trace::live::Live;

use super::attempts::{Attempt, all};
use crate::harness::{Bench, base, step, tools};

/// What became of an attempt.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) said: String,
    pub(super) denied: Vec<String>,
    pub(super) network: Vec<String>,
    pub(super) programs: Vec<String>,
    pub(super) survivors: u64,
    pub(super) lost: u64,
    accesses: Vec<(AccessKind, String, u64)>,
}

impl Seen {
    pub(super) fn count(&self, kind: AccessKind, path: &str) -> u64 {
        self.accesses.iter().filter(|(one, at, _)| *one == kind && at == path).map(|(_, _, count)| count).sum()
    }

    pub(super) fn touched(&self, kind: AccessKind, path: &str) -> bool {
        self.count(kind, path) > 0
    }
}

/// Services and processes outside, which no attempt may reach.
struct Outside {
    victim: Child,
    listener: TcpListener,
    name: String,
    key: i32,
    _held: (UnixListener, UnixListener, File),
}

impl Outside {
    fn get() -> &'static Self {
        static OUTSIDE: OnceLock<Outside> = OnceLock::new();
        OUTSIDE.get_or_init(Self::new)
    }

    fn new() -> Self {
        let place = tools();
        // It ends when its input does: with this process.
        let victim =
            Command::new("cat").env("TOKEN", "outside").stdin(Stdio::piped()).spawn().expect("a process outside");
        let name = format!("escape-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).expect("a name");
        let in_tree = UnixListener::bind(place.join("service")).expect("a socket in a pinned tree");
        let fifo = place.join("pipe");
        assert!(Command::new("mkfifo").arg(&fifo).status().is_ok_and(|status| status.success()));
        let reader =
            File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&fifo).expect("a reader of the pipe");
        for name in ["service", "pipe"] {
            fs::set_permissions(place.join(name), fs::Permissions::from_mode(0o777)).expect("open to all");
        }
        fs::write(base().join("secret"), "secret\n").expect("a file outside");
        let key = 0x0a55_0000 | (std::process::id() as i32 & 0xffff);
        let listener = UnixListener::bind_addr(&abstract_name).expect("an abstract socket");
        Self {
            victim,
            listener: TcpListener::bind("127.0.0.1:0").expect("a port"),
            name,
            key,
            _held: (listener, in_tree, reader),
        }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().expect("an address").port()
    }

    fn variables(&self) -> BTreeMap<String, String> {
        BTreeMap::from(
            [
                ("BUILD", "/build".to_owned()),
                ("HOME", "/home".to_owned()),
                ("TOOLS", "/tools".to_owned()),
                ("VICTIM", self.victim.id().to_string()),
                ("PORT", self.port().to_string()),
                ("ABSTRACT", self.name.clone()),
                ("SECRET", base().join("secret").display().to_string()),
                ("KEY", self.key.to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        )
    }
}

/// A segment of shared memory outside, for as long as this lives.
struct Segment(i32);

impl Segment {
    fn new(key: i32) -> Self {
        // SAFETY: plain numbers.
        let id = unsafe { libc::shmget(key, 4096, libc::IPC_CREAT | 0o666) };
        assert!(id >= 0, "a segment outside: {}", std::io::Error::last_os_error());
        Self(id)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: plain numbers, and no structure.
        unsafe { libc::shmctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

/// Runs every attempt that shares a sandbox, at one level.
pub(super) fn look(level: Level) -> Vec<(&'static str, Seen)> {
    let attempts: Vec<Attempt> = all().into_iter().filter(|attempt| !attempt.is_alone).collect();
    let steps = attempts.iter().map(as_step).collect();
    let (outcome, said, root) = run(&format!("escape-{level}"), level, steps);
    assert_eq!((outcome.lost, &outcome.losses[..]), (0, &[][..]), "lost events");
    assert_eq!(outcome.steps.len(), attempts.len(), "a step ended the run: {:?}", outcome.steps.last());
    let seen = (0..attempts.len()).map(|step| seen(&outcome, step, &said[step], &root));
    attempts.iter().map(|attempt| attempt.name).zip(seen).collect()
}

/// Runs one attempt in a sandbox of its own.
pub(super) fn look_alone(attempt: &Attempt, level: Level) -> Seen {
    let (outcome, said, root) = run(&format!("escape-{level}-{}", attempt.name), level, vec![as_step(attempt)]);
    seen(&outcome, 0, &said[0], &root)
}

fn as_step(attempt: &Attempt) -> Step {
    let program = if attempt.is_static { "/tools/escape-static" } else { "/tools/escape" };
    let mut argv = vec![program.to_owned()];
    argv.extend(attempt.argv.iter().cloned());
    let mut step = step(attempt.name, &[program]);
    step.argv = argv;
    step.variables.extend(Outside::get().variables());
    step
}

/// Returns the outcome, what each step said, and what stands for `/` in paths.
fn run(name: &str, level: Level, steps: Vec<Step>) -> (Outcome, Vec<String>, String) {
    let _segment = Segment::new(Outside::get().key);
    let mut bench = Bench::new(name, "");
    (bench.host.minimum, bench.host.ceiling) = (level, level);
    let mut said = vec![String::new(); steps.len()];
    bench.plan.steps = steps;
    bench.plan.limits.wall_ms = 120_000;
    // The variables name places of the host, which lie below `/tmp`.
    bench.plan.mounts.retain(|mount| mount.target() != "/tmp");
    bench.plan.mounts.push(Mount::Scratch { target: "/big".to_owned(), size_bytes: 1 << 20 });
    let mut events = Vec::new();
    let mut on_event = |event: &mut Event, _: &Live| events.push(event.clone());
    let outcome = sandbox::run(&bench.plan, &bench.host, &mut on_event, &mut |piece| {
        if piece.stream == Stream::Stdout {
            said[piece.step].push_str(&String::from_utf8_lossy(piece.bytes));
        }
    });
    let outcome = outcome.and_then(|_| Outcome::of(events, &bench.plan));
    let outcome = outcome.unwrap_or_else(|error| panic!("{error} (hint: {:?})", error.hint()));
    assert_eq!(outcome.level, level);
    let root = if level == Level::TraceOnly { bench.host.scratch.display().to_string() } else { String::new() };
    (outcome, said, root)
}

fn seen(outcome: &Outcome, step: usize, said: &str, root: &str) -> Seen {
    let of_step = |process: usize| outcome.processes[process].step == step;
    let clean = |path: &str| plain(path, root);
    let accesses = outcome.accesses.iter().chain(&outcome.missing).filter(|access| of_step(access.process));
    let denied = outcome.denied.iter().filter(|one| of_step(one.process)).map(|one| clean(&one.what));
    let network = outcome.network.iter().filter(|one| of_step(one.process));
    let programs = outcome.processes.iter().filter(|one| one.step == step && one.executed);
    Seen {
        said: said.trim_end().to_owned(),
        denied: denied.collect(),
        network: network.map(|one| clean(&format!("{} {}", one.call, one.address))).collect(),
        programs: programs.map(|one| clean(&one.exe)).collect(),
        survivors: outcome.steps.get(step).map_or(0, |step| step.survivors),
        lost: outcome.lost,
        accesses: accesses.map(|one| (one.kind, clean(outcome.path(one)), one.count)).collect(),
    }
}

/// A path as the plan names it, at whatever level.
fn plain(path: &str, root: &str) -> String {
    let tools = tools().display().to_string();
    let base = base().display().to_string();
    let victim = format!("/proc/{}/", Outside::get().victim.id());
    let port = format!("127.0.0.1:{}", Outside::get().port());
    let path = path.replace(&port, "127.0.0.1:PORT");
    let path =
        path.replace(&tools, "/tools").replace(&victim, "/proc/VICTIM/").replace(&format!("{base}/secret"), "SECRET");
    if root.is_empty() { path } else { path.replace(root, "") }
}
