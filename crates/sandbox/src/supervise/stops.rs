//! What happens at the two stops of a watched call: before it runs, and after it.

use libc::pid_t;

use super::address::{ADDRESS_MAX, Internet, internet, unix_path};
use super::calls::{Address, Flags, Place, Rule, Then, describe, family};
use super::times::Wake;
use super::tracer::{Tracer, resume};
use super::{cpu, place};
use crate::outcome::{AccessKind, Limit};
use crate::sys::trace::{self, Stop};

/// The kernel's own results that mean "interrupted, will be called again".
const RESTARTS: std::ops::RangeInclusive<i64> = -516..=-512;
/// Messages of one `sendmmsg` that are looked at; one more is counted as a loss.
const MESSAGES_MAX: u64 = 64;

/// A call between its two stops.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    rule: Rule,
    arguments: [u64; 6],
    /// Paths as the program gave them; `None` if they could not be read.
    paths: [Option<Vec<u8>>; 2],
    flags: i32,
    addresses: Vec<Internet>,
    /// What a sleep does to the clock.
    wake: Option<Wake>,
}

impl Pending {
    fn new(rule: Rule, arguments: [u64; 6]) -> Self {
        Self { rule, arguments, paths: [None, None], flags: 0, addresses: Vec::new(), wake: None }
    }

    pub(super) fn sleeping(rule: Rule, arguments: [u64; 6], wake: Wake) -> Self {
        Self { wake: Some(wake), ..Self::new(rule, arguments) }
    }

    pub(super) fn arguments(&self) -> &[u64; 6] {
        &self.arguments
    }

    pub(super) fn number(&self) -> i64 {
        self.rule.number
    }

    pub(super) fn path(&self, which: usize) -> Option<&[u8]> {
        self.paths[which].as_deref()
    }

    /// Of an open: where its path stands in the program, how long it is, and the flags.
    pub(super) fn opened(&self) -> Option<(u64, usize, i32)> {
        let Then::Open { path, .. } = self.rule.then else { return None };
        Some((self.arguments[path], self.paths[0].as_ref()?.len(), self.flags))
    }

    /// Whether it was to change or open a file that its path names.
    fn has_path(&self) -> bool {
        match self.rule.then {
            Then::Open { .. } | Then::Change { .. } | Then::Move { .. } => true,
            Then::Touch(place) => self.arguments[place.1] != 0,
            _ => false,
        }
    }
}

impl Tracer<'_> {
    /// Before a call: look it up again, for a filter of the program's own may have stopped here, or lied about why.
    pub(super) fn call_begins(&mut self, pid: pid_t) {
        let Ok(Stop::Seccomp { number, arguments }) = trace::syscall_stop(pid) else { return resume(pid) };
        let rule = usize::try_from(number).ok().and_then(|number| self.rules.get(number).copied().flatten());
        let Some(rule) = rule.filter(|rule| rule.when.holds(&arguments)) else {
            return skip(pid, -i64::from(libc::ENOSYS));
        };
        match rule.then {
            Then::Deny => self.deny(pid, &rule, &arguments),
            Then::Absent => skip(pid, -i64::from(libc::ENOSYS)),
            Then::Affinity => self.tell_cpus(pid, &arguments),
            Then::HostName => self.tell_name(pid, &arguments),
            Then::Network(address) => self.begin_network(pid, rule, arguments, address),
            Then::Tell(told) => self.tell(pid, told, &arguments),
            Then::Draw => self.draw(pid),
            Then::Mark { path } => self.marked(pid, arguments[path]),
            Then::Sleep(sleep) => self.sleep_begins(pid, rule, arguments, sleep),
            Then::Look { .. } => self.pend(pid, Pending::new(rule, arguments)),
            Then::Keep(descriptor) => match self.outside(pid, Some(arguments[descriptor]), b"", true) {
                Some(path) => self.keep(pid, &rule, &path),
                None => resume(pid),
            },
            _ => self.begin_file(pid, rule, arguments),
        }
    }

    fn deny(&mut self, pid: pid_t, rule: &Rule, arguments: &[u64; 6]) {
        let process = self.process(pid);
        self.book.deny(process, describe(rule, arguments));
        let domain = arguments[0] as i32;
        if rule.number == libc::SYS_socket && matches!(domain, libc::AF_INET | libc::AF_INET6) {
            self.book.reach(process, rule.name, family(domain as u32), false, libc::EPERM);
        }
        self.watch_events();
        skip(pid, -i64::from(libc::EPERM));
    }

    fn tell_cpus(&mut self, pid: pid_t, arguments: &[u64; 6]) {
        let result = match cpu::affinity_mask(self.cpus, arguments[1]) {
            Ok(mask) => match trace::write_memory(pid, arguments[2], &mask) {
                Ok(()) => mask.len() as i64,
                Err(_) => -i64::from(libc::EFAULT),
            },
            Err(errno) => -i64::from(errno),
        };
        skip(pid, result);
    }

    fn tell_name(&mut self, pid: pid_t, arguments: &[u64; 6]) {
        let told = trace::write_memory(pid, arguments[0], &crate::sys::uname(&self.host_name));
        skip(pid, told.map_or(-i64::from(libc::EFAULT), |()| 0));
    }

    pub(super) fn process(&self, pid: pid_t) -> pid_t {
        self.tasks.get(&pid).map_or(pid, |task| task.process)
    }

    fn begin_file(&mut self, pid: pid_t, rule: Rule, arguments: [u64; 6]) {
        let read = |index: usize| trace::read_string(pid, arguments[index]).ok();
        let paths = match rule.then {
            Then::Open { path, .. } | Then::Execute { path, .. } => [read(path), None],
            Then::Change { place: (_, path), .. } => [read(path), None],
            Then::Move { from, to, .. } => [read(from.1), read(to.1)],
            Then::Touch((_, path)) if arguments[path] != 0 => [read(path), None],
            _ => [None, None],
        };
        let flags = match rule.then {
            Then::Open { flags, .. } => open_flags(pid, flags, &arguments),
            _ => 0,
        };
        if let Then::Change { place: (directory, path), kind: AccessKind::Attributes, follow } = rule.then {
            let directory = directory.map(|index| arguments[index]);
            let is_of_descriptor = arguments[path] == 0;
            let follow = follow || is_of_descriptor || !is_link_kept(&rule, &arguments);
            if let Some(path) = self.outside(pid, directory, paths[0].as_deref().unwrap_or_default(), follow) {
                return self.keep(pid, &rule, &path);
            }
            if is_of_descriptor {
                return resume(pid);
            }
        }
        self.pend(pid, Pending { paths, flags, ..Pending::new(rule, arguments) });
    }

    /// At `trace-only`: returns the path when it lies outside the scratch directory, or cannot be told.
    fn outside(&self, pid: pid_t, directory: Option<u64>, path: &[u8], follow: bool) -> Option<String> {
        let scratch = self.scratch.as_deref()?;
        let found = place::absolute(pid, directory, path).map(|path| place::resolved(&self.root, &path, follow));
        let found = found.unwrap_or_else(|_| "?".to_owned());
        (!crate::plan::is_within(&found, scratch)).then_some(found)
    }

    fn keep(&mut self, pid: pid_t, rule: &Rule, path: &str) {
        self.book.deny(self.process(pid), format!("{}({path})", rule.name));
        self.watch_events();
        skip(pid, -i64::from(libc::EPERM));
    }

    fn begin_network(&mut self, pid: pid_t, rule: Rule, arguments: [u64; 6], address: Address) {
        let found: Vec<Vec<u8>> = match address {
            Address::Arguments(pointer, length) => {
                read_address(pid, arguments[pointer], arguments[length]).into_iter().collect()
            }
            Address::Message(pointer) => read_message(pid, arguments[pointer]).into_iter().collect(),
            Address::Messages(pointer, count) => {
                if arguments[count] > MESSAGES_MAX {
                    self.book.lose(format!("addresses of {} messages", arguments[count]));
                }
                let first = arguments[pointer];
                let count = arguments[count].min(MESSAGES_MAX);
                (0..count).flat_map(|index| read_message(pid, first.wrapping_add(index * MESSAGE_BYTES))).collect()
            }
        };
        if let Some(path) =
            found.iter().filter_map(|bytes| unix_path(bytes)).find_map(|path| self.pinned_socket(pid, path))
        {
            self.book.deny(self.process(pid), format!("{}(unix:{path})", rule.name));
            self.watch_events();
            return skip(pid, -i64::from(libc::EPERM));
        }
        let addresses: Vec<Internet> = found.iter().filter_map(|bytes| internet(bytes)).collect();
        if addresses.is_empty() {
            return resume(pid);
        }
        self.pend(pid, Pending { addresses, ..Pending::new(rule, arguments) });
    }

    /// Returns where a socket lies that this path leads to, if that is among the inputs: then whoever listens is outside, for a read-only
    /// mount keeps nobody from connecting (`unix(7)` asks for permission to write the file alone).
    fn pinned_socket(&self, pid: pid_t, path: &[u8]) -> Option<String> {
        let path = place::absolute(pid, None, path).ok()?;
        let found = place::socket(&self.root, &path)?;
        self.world.plan.writable_above(&found).is_none().then_some(found)
    }

    pub(super) fn pend(&mut self, pid: pid_t, pending: Pending) {
        match self.tasks.get_mut(&pid) {
            Some(task) => {
                task.pending = Some(pending);
                trace::resume_to_exit(pid).ok();
            }
            None => {
                self.book.lose(format!("call {} of unknown process {pid}", pending.rule.name));
                resume(pid);
            }
        }
    }

    /// After a call: its result says what became of it.
    pub(super) fn call_ended(&mut self, pid: pid_t) {
        let pending = self.tasks.get_mut(&pid).and_then(|task| task.pending.take());
        let stop = trace::syscall_stop(pid);
        if let (Some(pending), Ok(Stop::Exit { result })) = (pending, stop) {
            if RESTARTS.contains(&result) {
                self.interrupted(pid, pending, result);
                return resume(pid);
            }
            match pending.rule.then {
                Then::Network(_) => self.reached(pid, &pending, result),
                Then::Sleep(_) => {
                    if let Some(wake) = &pending.wake {
                        self.woke(pid, wake, result);
                    }
                }
                Then::Look { .. } if result < 0 => {}
                Then::Look { buffer, extended } => self.looked(pid, pending.arguments[buffer], extended),
                _ if result < 0 => {
                    if !self.status_asked(pid, &pending) {
                        self.failed(pid, &pending, -result as i32);
                    }
                }
                _ => self.succeeded(pid, &pending, result),
            }
            self.watch_events();
        }
        resume(pid);
    }

    /// A signal came into a call: it will be made again, or, a sleep, gone on with.
    fn interrupted(&mut self, pid: pid_t, pending: Pending, result: i64) {
        let Some(wake) = pending.wake else { return };
        // Puts the program's own time back.
        self.woke(pid, &wake, result);
        if let (Wake::After(_), Some(task)) = (&wake, self.tasks.get_mut(&pid)) {
            task.interrupted = Some(wake);
        }
    }

    fn reached(&mut self, pid: pid_t, pending: &Pending, result: i64) {
        let process = self.process(pid);
        let errno = if result < 0 { -result as i32 } else { 0 };
        for one in &pending.addresses {
            self.book.reach(process, pending.rule.name, one.address.clone(), one.loopback, errno);
        }
    }

    fn succeeded(&mut self, pid: pid_t, pending: &Pending, result: i64) {
        if !self.paths_stand(pid, pending) {
            self.book.lose(format!("path of {} by process {pid}: it was changed under the call", pending.rule.name));
        }
        match pending.rule.then {
            Then::Open { directory, .. } => self.opened(pid, pending, directory, result),
            Then::Change { place, kind, follow } => self.changed(pid, pending, 0, place, kind, follow),
            Then::Touch(place) => self.touch_ended(pid, pending, place),
            Then::Move { from, from_kind, to, to_kind } => {
                self.changed(pid, pending, 0, from, from_kind, false);
                self.changed(pid, pending, 1, to, to_kind, false);
            }
            // The event of the new program told it already.
            _ => {}
        }
    }

    fn opened(&mut self, pid: pid_t, pending: &Pending, directory: Option<usize>, descriptor: i64) {
        let asked = pending.paths[0].as_deref().unwrap_or_default();
        self.opened_as_asked(pid, pending, directory, descriptor);
        let path = match place::descriptor(pid, descriptor, asked) {
            Ok(Some(path)) => path,
            Ok(None) => return,
            // Another thread closed it at once: what the program asked for is the best that is left.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) && pending.paths[0].is_some() => {
                match place::absolute(pid, directory.map(|index| pending.arguments[index]), asked) {
                    Ok(path) => place::resolved(&self.root, &path, true),
                    Err(_) => return self.lose(pid, pending),
                }
            }
            Err(_) => return self.lose(pid, pending),
        };
        let process = self.process(pid);
        let kinds = open_kinds(pending.flags);
        for &kind in kinds {
            self.book.access(process, path.clone(), kind, &mut |event| self.sink.emit(event));
        }
        if kinds.iter().any(|kind| kind.is_write()) {
            self.wrote(pid, descriptor);
        }
        if kinds.contains(&AccessKind::Read) && !self.script_opened(pid, pending, descriptor, &path) {
            self.opened_for_reading(pid, pending, descriptor, &path);
        }
    }

    /// Where another thread could put something else in the descriptor's place before it is looked at, the path that was asked
    /// for is told too, if it leads elsewhere: the evidence then holds more than happened, not less.
    fn opened_as_asked(&mut self, pid: pid_t, pending: &Pending, directory: Option<usize>, descriptor: i64) {
        let process = self.process(pid);
        let Some(asked) = pending.paths[0].as_deref().filter(|_| self.shared.contains(&process)) else { return };
        if pending.flags & libc::O_TMPFILE == libc::O_TMPFILE {
            return;
        }
        let Ok(path) = place::absolute(pid, directory.map(|index| pending.arguments[index]), asked) else { return };
        // These lead to what each process has open for itself.
        if path.starts_with("/proc") || path.starts_with("/dev") {
            return;
        }
        let path = place::resolved(&self.root, &path, true);
        if place::descriptor(pid, descriptor, asked).is_ok_and(|found| found.as_ref() != Some(&path)) {
            for &kind in open_kinds(pending.flags) {
                self.book.access(process, path.clone(), kind, &mut |event| self.sink.emit(event));
            }
        }
    }

    /// Whether the paths in the program's memory are what they were before the call; if not, the kernel may have read others.
    fn paths_stand(&self, pid: pid_t, pending: &Pending) -> bool {
        let places: [Option<usize>; 2] = match pending.rule.then {
            Then::Change { place, .. } | Then::Touch(place) => [Some(place.1), None],
            Then::Move { from, to, .. } => [Some(from.1), Some(to.1)],
            _ => return true,
        };
        let same = |(path, place): (&Option<Vec<u8>>, Option<usize>)| match (path, place) {
            (Some(path), Some(place)) => {
                trace::read_string(pid, pending.arguments[place]).is_ok_and(|now| now == *path)
            }
            _ => true,
        };
        pending.paths.iter().zip(places).all(same)
    }

    pub(super) fn changed(
        &mut self,
        pid: pid_t,
        pending: &Pending,
        which: usize,
        place: Place,
        kind: AccessKind,
        follow: bool,
    ) {
        let directory = place.0.map(|index| pending.arguments[index]);
        let path = pending.paths[which].as_deref().map(|path| place::absolute(pid, directory, path));
        let Some(Ok(path)) = path else { return self.lose(pid, pending) };
        let path = place::resolved(&self.root, &path, follow);
        let process = self.process(pid);
        if kind == AccessKind::Write {
            self.cut(&path);
        }
        self.book.access(process, path, kind, &mut |event| self.sink.emit(event));
    }

    /// Counts a loss, unless the process was killed in its stop: then it has seen nothing.
    pub(super) fn lose_unless_gone(&mut self, pid: pid_t, what: &str) {
        if trace::registers(pid).is_ok() {
            self.book.lose(format!("{what} for process {pid}"));
        }
    }

    fn lose(&mut self, pid: pid_t, pending: &Pending) {
        self.book.lose(format!("path of {} by process {pid}", pending.rule.name));
    }

    fn failed(&mut self, pid: pid_t, pending: &Pending, errno: i32) {
        let kind = match errno {
            // It is there already, or the path itself is no path: nothing was looked for in vain.
            libc::EEXIST | libc::EINTR | libc::EAGAIN | libc::EFAULT | libc::EINVAL | libc::ENOSYS => return,
            libc::ENOENT | libc::ENOTDIR => AccessKind::Missing,
            libc::EMFILE => {
                self.reach_limit(Limit::OpenFiles);
                AccessKind::Refused
            }
            _ => AccessKind::Refused,
        };
        let places: &[Option<usize>] = match pending.rule.then {
            Then::Open { directory, .. } | Then::Execute { directory, .. } => &[directory],
            Then::Change { place, .. } | Then::Touch(place) => &[place.0],
            Then::Move { from, to, .. } => &[from.0, to.0],
            _ => &[],
        };
        let process = self.process(pid);
        for (path, directory) in pending.paths.iter().zip(places) {
            let Some(path) = path else { continue };
            if let Ok(path) = place::absolute(pid, directory.map(|index| pending.arguments[index]), path) {
                let path = super::record::text(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
                self.book.access(process, path, kind, &mut |event| self.sink.emit(event));
            }
        }
    }

    /// A thread ended between the two stops: the call may have had its effect.
    pub(super) fn unfinished(&mut self, pid: pid_t, task: &super::tracer::Task) {
        let Some(pending) = &task.pending else { return };
        let is_file = pending.has_path();
        for one in &pending.addresses {
            self.book.reach(task.process, pending.rule.name, one.address.clone(), one.loopback, libc::EINTR);
        }
        for path in pending.paths.iter().flatten().filter(|_| is_file) {
            // Its working directory is gone with it; a relative path stays as it was given.
            let path = super::record::text(path);
            self.book.access(task.process, path, AccessKind::Unfinished, &mut |event| self.sink.emit(event));
        }
        if is_file && pending.paths[0].is_none() {
            self.lose(pid, pending);
        }
    }
}

pub(super) fn skip(pid: pid_t, result: i64) {
    match trace::skip(pid, result) {
        Ok(()) => resume(pid),
        // A refused call must not run: if it cannot be skipped, its process ends (it may be gone already).
        Err(_) => {
            crate::sys::kill(pid, libc::SIGKILL).ok();
        }
    }
}

fn open_flags(pid: pid_t, flags: Flags, arguments: &[u64; 6]) -> i32 {
    match flags {
        Flags::Argument(index) => arguments[index] as i32,
        Flags::Fixed(flags) => flags,
        Flags::How(index) => {
            let mut word = [0_u8; 8];
            // Unreadable flags make the call fail; reading is the safe guess until then.
            let read = trace::read_memory(pid, arguments[index], &mut word);
            read.map_or(0, |_| u64::from_ne_bytes(word) as i32)
        }
    }
}

/// Whether a change of attributes is one of a link itself.
fn is_link_kept(rule: &Rule, arguments: &[u64; 6]) -> bool {
    let flags = match rule.number {
        libc::SYS_lchown | libc::SYS_lsetxattr | libc::SYS_lremovexattr => return true,
        libc::SYS_fchownat => arguments[4],
        libc::SYS_utimensat => arguments[3],
        libc::SYS_futimesat => return false,
        // fchmodat2 and those of attributes by directory.
        _ => arguments[if rule.name == "fchmodat2" { 3 } else { 2 }],
    };
    flags & libc::AT_SYMLINK_NOFOLLOW as u64 != 0
}

/// What an open with these flags does to the file.
fn open_kinds(flags: i32) -> &'static [AccessKind] {
    use AccessKind::{Create, List, Read, Write};
    let has = |bits: i32| flags & bits == bits;
    if has(libc::O_PATH) {
        return &[];
    }
    if has(libc::O_TMPFILE) || has(libc::O_CREAT | libc::O_EXCL) {
        return &[Create];
    }
    if has(libc::O_DIRECTORY) {
        return &[List];
    }
    match flags & libc::O_ACCMODE {
        libc::O_RDONLY if has(libc::O_TRUNC) => &[Write],
        libc::O_RDONLY => &[Read],
        libc::O_RDWR if !has(libc::O_TRUNC) => &[Read, Write],
        _ => &[Write],
    }
}

/// Size of `struct mmsghdr`.
const MESSAGE_BYTES: u64 = 64;

fn read_message(pid: pid_t, header: u64) -> Option<Vec<u8>> {
    // A `struct msghdr` begins with the address's pointer (8 bytes) and length (4 bytes).
    let mut start = [0_u8; 16];
    if trace::read_memory(pid, header, &mut start).ok() != Some(start.len()) {
        return None;
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = start;
    let pointer = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
    read_address(pid, pointer, u64::from(u32::from_ne_bytes([i, j, k, l])))
}

fn read_address(pid: pid_t, pointer: u64, length: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0_u8; length.min(ADDRESS_MAX as u64) as usize];
    if pointer == 0 || bytes.is_empty() {
        return None;
    }
    let count = trace::read_memory(pid, pointer, &mut bytes).ok()?;
    bytes.truncate(count);
    Some(bytes)
}
