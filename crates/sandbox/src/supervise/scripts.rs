//! Gives shells marked copies of their scripts, and notes the marks that they pass ([`crate::script`]).
//!
//! A script that is a file is replaced as `/dev/urandom` is ([`super::substitute`]), at the open that a shell's arguments, or a mark before
//! `.`, announce. The argument of `-c` is replaced between `execve` and the first instruction: the new text lies below the old stack, and
//! `argv` points to it; `/proc/PID/cmdline` shows the old text still.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use libc::pid_t;

use super::record::{Program, text};
use super::stops::{Pending, skip};
use super::substitute::{provide, replace};
use super::tracer::{Tracer, resume};
use crate::event::Event;
use crate::machine::{stack_pointer, with_stack_pointer};
use crate::script::{
    Copy, PREFIX, SCRIPT_BYTES_MAX, SEPARATOR, ScriptEvent, Scripts, Shell, Start, Untraced, Wanted, encode, start,
};
use crate::sys::{process as sys, trace};

/// Marks that one run notes.
const MARKS_MAX: usize = 1_000_000;
/// Bytes of values that one run notes.
const VALUE_BYTES_MAX: usize = 16 << 20;
/// Bytes of one value that are kept.
const ONE_VALUE_BYTES_MAX: usize = 1024;
/// Scripts that were not traced, told one by one.
const UNTRACED_MAX: usize = 10_000;
/// Bytes of scripts that are remembered, so that one that runs often is read once.
const REMEMBERED_BYTES_MAX: usize = 64 << 20;
/// Marks of one process that wait to be told.
const WAITING_MAX: usize = 4096;
/// Nothing of this length is put on a stack: the kernel has 128 KiB ready below it.
const ARGUMENT_BYTES_MAX: usize = 64 << 10;
/// Arguments, variables and auxiliary vector of a program, as pointers; more is left alone.
const STACK_BYTES_MAX: usize = 48 << 10;

/// A script as it was found.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Source {
    path: String,
    text: Vec<u8>,
    wanted: Wanted,
}

/// A script that was marked.
struct Known {
    copy: Rc<Copy>,
    path: String,
    shell: Shell,
    /// Its number in the trace.
    id: Option<usize>,
    /// Numbers of its places in the trace.
    places: Vec<Option<usize>>,
}

/// A shell that runs.
#[derive(Clone)]
struct Running {
    shell: Shell,
    prints: bool,
    /// The path of its script, until it opens it.
    expected: Option<Vec<u8>>,
    /// Whether the next file that it opens is a script, too.
    sources: bool,
    /// Scripts that it was given.
    scripts: Vec<usize>,
    ran: Vec<usize>,
    values: Vec<(usize, Vec<String>)>,
}

/// The scripts of one run.
#[derive(Default)]
pub(super) struct Tracing {
    known: Vec<Known>,
    remembered: HashMap<Source, Result<Option<usize>, Untraced>>,
    remembered_bytes: usize,
    running: HashMap<pid_t, Running>,
    places: usize,
    told: usize,
    marks: usize,
    value_bytes: usize,
    untraced: usize,
    is_cut: bool,
}

impl Tracing {
    /// A process was forked: a copy of a shell goes on in the same scripts.
    pub(super) fn fork(&mut self, child: pid_t, parent: Option<pid_t>) {
        if let Some(running) = parent.and_then(|parent| self.running.get(&parent)) {
            let copy = Running { ran: Vec::new(), values: Vec::new(), expected: None, ..running.clone() };
            self.running.insert(child, copy);
        }
    }

    /// Returns the marked copy of a script.
    fn copy(&mut self, source: Source) -> Result<Option<usize>, Untraced> {
        if let Some(known) = self.remembered.get(&source) {
            return known.clone();
        }
        self.remembered_bytes += source.text.len();
        if self.remembered_bytes > REMEMBERED_BYTES_MAX {
            return Err(Untraced("this run has too many scripts".to_owned()));
        }
        let result = Copy::new(&source.text, source.wanted).map(|copy| {
            copy.map(|copy| {
                let places = vec![None; copy.places.len()];
                let (path, shell) = (source.path.clone(), source.wanted.shell);
                self.known.push(Known { copy: Rc::new(copy), path, shell, id: None, places });
                self.known.len() - 1
            })
        });
        self.remembered.insert(source, result.clone());
        result
    }
}

impl Tracer<'_> {
    fn are_scripts_traced(&self) -> bool {
        self.world.knobs.scripts == Scripts::Traced
    }

    pub(super) fn begin_scripts(&mut self, step: usize) {
        self.sink.emit(&Event::Script(ScriptEvent::Step { step, scripts: self.world.knobs.scripts }));
    }

    /// Returns what a program runs, if it is a shell whose scripts are to be traced.
    pub(super) fn script_of(&self, program: &Program) -> Option<Start> {
        self.are_scripts_traced().then(|| start(&program.exe, &program.argv, &program.variables)).flatten()
    }

    /// A shell is about to run its first instruction.
    pub(super) fn begin_script(&mut self, pid: pid_t, start: Option<Start>) {
        let (shell, index, prints, is_argument) = match start {
            None => return,
            Some(Start::Untraced(reason)) => return self.tell_untraced(pid, "", reason),
            Some(Start::Argument { shell, index, prints }) => (shell, index, prints, true),
            Some(Start::File { shell, index, prints }) => (shell, index, prints, false),
        };
        let stack = Stack::read(pid).and_then(|stack| stack.argument(pid, index).map(|argument| (stack, argument)));
        let (stack, argument) = match stack {
            Ok(both) => both,
            Err(error) => return self.tell_untraced(pid, "", format!("its arguments cannot be read ({error})")),
        };
        let expected = (!is_argument).then(|| argument.clone());
        let (ran, values, scripts) = Default::default();
        let mut running = Running { shell, prints, expected, sources: false, scripts, ran, values };
        if is_argument {
            let wanted = Wanted { shell, is_argument, is_sourced: false, prints };
            let source = Source { path: "-c".to_owned(), text: argument, wanted };
            let placed = self.scripts.copy(source).and_then(|known| {
                let Some(known) = known else { return Ok(None) };
                let failed = |error: io::Error| Untraced(format!("its copy cannot be placed ({error})"));
                stack.put(pid, index, &self.scripts.known[known].copy.text).map_err(failed)?;
                Ok(Some(known))
            });
            match placed {
                Ok(known) => running.take(known, &self.scripts.known),
                Err(Untraced(reason)) => self.tell_untraced(pid, "-c", reason),
            }
        }
        self.scripts.running.insert(pid, running);
    }

    /// A shell opened a file: gives it the copy if it is a script; returns whether it did.
    pub(super) fn script_opened(&mut self, pid: pid_t, pending: &Pending, descriptor: i64, path: &str) -> bool {
        let process = self.process(pid);
        let Some(running) = self.scripts.running.get_mut(&process) else { return false };
        let is_sourced = std::mem::take(&mut running.sources);
        let is_first = running.expected.as_deref().is_some_and(|expected| Some(expected) == pending.path(0));
        if is_first {
            running.expected = None;
        } else if !is_sourced {
            return false;
        }
        let wanted = Wanted { shell: running.shell, is_argument: false, is_sourced: !is_first, prints: running.prints };
        let replaced = content(process, descriptor).and_then(|text| {
            let known = self.scripts.copy(Source { path: path.to_owned(), text, wanted })?;
            let Some(known) = known else { return Ok(None) };
            let copy = Rc::clone(&self.scripts.known[known].copy);
            let replaced = pending.opened_name().ok_or_else(|| io::Error::other("no name"));
            let replaced =
                replaced.and_then(|(name, flags)| replace(pid, process, descriptor, name, flags, &copy.text));
            replaced.map_err(|error| Untraced(format!("its copy cannot be placed ({error})")))?;
            Ok(Some(known))
        });
        match replaced {
            Ok(known) => {
                if let Some(running) = self.scripts.running.get_mut(&process) {
                    running.take(known, &self.scripts.known);
                }
                known.is_some()
            }
            Err(Untraced(reason)) => {
                self.tell_untraced(process, path, reason);
                false
            }
        }
    }

    /// Somebody asks whether a file may be written: notes it if it is a mark of a script that this process was given.
    pub(super) fn marked(&mut self, pid: pid_t, pointer: u64) {
        let process = self.process(pid);
        if !self.scripts.running.contains_key(&process) {
            return resume(pid);
        }
        let mut asked = vec![0; PREFIX.len()];
        if trace::read_memory(pid, pointer, &mut asked).is_err() || asked != PREFIX.as_bytes() {
            return resume(pid);
        }
        let question = long_string(pid, pointer);
        self.note(process, &question);
        // The kernel would say the same, unless somebody made such a file.
        skip(pid, -i64::from(libc::ENOENT));
    }

    /// A file could not be opened: a mark asks for a status to be put back, if it has the name for it.
    pub(super) fn status_asked(&mut self, pid: pid_t, pending: &Pending) -> bool {
        let process = self.process(pid);
        let Some(question) = pending.path(0).filter(|path| path.starts_with(PREFIX.as_bytes())) else { return false };
        let status = question.rsplit(|&byte| byte == b'/').next().and_then(|status| std::str::from_utf8(status).ok());
        let Some(status) = status.and_then(|status| status.parse::<u8>().ok()) else { return false };
        let question = question[..question.len() - status.to_string().len() - 1].to_vec();
        if !self.note(process, &question) {
            return false;
        }
        let provided = pending.opened_name().ok_or_else(|| io::Error::other("no name"));
        let content = format!("return {status}&&:\n");
        let provided = provided.and_then(|(name, flags)| provide(pid, process, name, flags, content.as_bytes()));
        if let Err(error) = provided {
            self.lose_unless_gone(pid, &format!("exit status of a script ({error})"));
        }
        true
    }

    /// Notes a mark; returns whether it is one.
    fn note(&mut self, process: pid_t, question: &[u8]) -> bool {
        let Some(running) = self.scripts.running.get_mut(&process) else { return false };
        running.sources = false;
        let mut parts = question[PREFIX.len()..].split(|&byte| byte == SEPARATOR);
        let name = std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
        let (key, number) = name.split_once('/').unwrap_or_default();
        let known = running.scripts.iter().rev().copied().find(|&one| self.scripts.known[one].copy.key == key);
        let number = number.parse::<usize>().ok();
        let Some((known, local)) = known.zip(number).filter(|&(one, at)| at < self.scripts.known[one].places.len())
        else {
            let reason = "it asked for a mark of a script that it was not given".to_owned();
            self.tell_untraced(process, "", reason);
            return false;
        };
        running.sources = self.scripts.known[known].copy.sources[local];
        let values: Vec<String> = parts.map(|value| text(&value[..value.len().min(ONE_VALUE_BYTES_MAX)])).collect();
        if self.is_full(process, &values) {
            return true;
        }
        let place = self.tell_place(known, local);
        let Some(running) = self.scripts.running.get_mut(&process) else { return true };
        if !values.is_empty() {
            running.values.push((running.ran.len(), values));
        }
        running.ran.push(place);
        if running.ran.len() >= WAITING_MAX {
            self.tell_ran(process);
        }
        true
    }

    /// Counts a mark; whether there is no room for it.
    fn is_full(&mut self, process: pid_t, values: &[String]) -> bool {
        let scripts = &mut self.scripts;
        scripts.marks += 1;
        scripts.value_bytes += values.iter().map(String::len).sum::<usize>();
        if scripts.marks <= MARKS_MAX && scripts.value_bytes <= VALUE_BYTES_MAX {
            return false;
        }
        if !std::mem::replace(&mut scripts.is_cut, true) {
            let at_us = self.now_us();
            if let Some(process) = self.book.id(process) {
                self.sink.emit(&Event::Script(ScriptEvent::Cut { process, at_us }));
            }
        }
        true
    }

    /// Returns the number of a place, which is told with its script the first time.
    fn tell_place(&mut self, known: usize, local: usize) -> usize {
        let Tracing { known: all, places, told, .. } = &mut self.scripts;
        let script = &mut all[known];
        if let Some(id) = script.places[local] {
            return id;
        }
        let number = *script.id.get_or_insert_with(|| {
            self.sink.emit(&Event::Script(ScriptEvent::Script {
                id: *told,
                path: script.path.clone(),
                digest: script.copy.digest.to_string(),
                shell: script.shell,
                partial: script.copy.is_partial,
            }));
            *told += 1;
            *told - 1
        });
        let id = *places;
        *places += 1;
        script.places[local] = Some(id);
        let place = script.copy.places[local].clone();
        self.sink.emit(&Event::Script(ScriptEvent::Place { id, script: number, local, place }));
        id
    }

    /// Tells what a process passed since it was last told.
    pub(super) fn tell_ran(&mut self, process: pid_t) {
        let until_us = self.now_us();
        let Some(running) = self.scripts.running.get_mut(&process).filter(|running| !running.ran.is_empty()) else {
            return;
        };
        let (ran, values) = (std::mem::take(&mut running.ran), std::mem::take(&mut running.values));
        if let Some(process) = self.book.id(process) {
            let ran = encode(&ran);
            self.sink.emit(&Event::Script(ScriptEvent::Ran { process, until_us, ran, values }));
        }
    }

    fn tell_untraced(&mut self, process: pid_t, path: &str, reason: String) {
        self.scripts.untraced += 1;
        let Some(id) = self.book.id(process) else { return };
        if self.scripts.untraced <= UNTRACED_MAX {
            let path = path.to_owned();
            self.sink.emit(&Event::Script(ScriptEvent::Untraced { process: id, path, reason }));
        } else if !std::mem::replace(&mut self.scripts.is_cut, true) {
            let at_us = self.now_us();
            self.sink.emit(&Event::Script(ScriptEvent::Cut { process: id, at_us }));
        }
    }

    /// A process ends, or becomes another program.
    pub(super) fn end_script(&mut self, process: pid_t) {
        self.tell_ran(process);
        let Some(running) = self.scripts.running.remove(&process) else { return };
        if let Some(expected) = running.expected {
            let reason = "it was not seen being opened".to_owned();
            self.tell_untraced(process, &text(&expected), reason);
        }
    }

    /// The sandbox goes away.
    pub(super) fn end_scripts(&mut self) {
        let mut left: Vec<pid_t> = self.scripts.running.keys().copied().collect();
        left.sort_unstable();
        left.into_iter().for_each(|process| self.end_script(process));
    }
}

impl Running {
    fn take(&mut self, script: Option<usize>, known: &[Known]) {
        let Some(script) = script else { return };
        self.prints |= known[script].copy.prints;
        if !self.scripts.contains(&script) {
            self.scripts.push(script);
        }
    }
}

/// Reads a file that a process opened, without moving in it.
fn content(process: pid_t, descriptor: i64) -> Result<Vec<u8>, Untraced> {
    let failed = |error: io::Error| Untraced(format!("it cannot be read ({error})"));
    let file = std::fs::File::from(sys::descriptor_of(process, descriptor).map_err(failed)?);
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(Untraced("it is no regular file".to_owned()));
    }
    if about.len() > SCRIPT_BYTES_MAX as u64 {
        return Err(Untraced(format!("it is larger than {SCRIPT_BYTES_MAX} bytes")));
    }
    let mut text = vec![0; about.len() as usize];
    file.read_exact_at(&mut text, 0).map_err(failed)?;
    Ok(text)
}

/// Reads a string of any length, as far as a mark may have values.
fn long_string(pid: pid_t, pointer: u64) -> Vec<u8> {
    bytes_until_zero(pid, pointer, 64 << 10).unwrap_or_else(|partial| partial)
}

/// Reads up to a zero byte; what was read so far if none comes in time.
fn bytes_until_zero(pid: pid_t, pointer: u64, bytes_max: usize) -> Result<Vec<u8>, Vec<u8>> {
    const PAGE: u64 = 4096;
    let mut text = Vec::new();
    while text.len() < bytes_max {
        let at = pointer.wrapping_add(text.len() as u64);
        let mut piece = vec![0; (PAGE - at % PAGE) as usize];
        let Ok(count) = trace::read_memory(pid, at, &mut piece) else { return Err(text) };
        piece.truncate(count);
        if let Some(end) = piece.iter().position(|&byte| byte == 0) {
            text.extend_from_slice(&piece[..end]);
            return Ok(text);
        }
        if count == 0 {
            return Err(text);
        }
        text.extend_from_slice(&piece);
    }
    Err(text)
}

/// The stack of a program that has not run yet: from the number of arguments to the end of the auxiliary vector.
struct Stack {
    registers: libc::user_regs_struct,
    words: Vec<u64>,
}

impl Stack {
    fn read(pid: pid_t) -> io::Result<Stack> {
        let registers = trace::registers(pid)?;
        let mut bytes = vec![0; STACK_BYTES_MAX];
        let from = stack_pointer(&registers);
        let mut count = 0;
        while count < bytes.len() {
            // The stack may end before this much: whole pages, as far as there are any.
            let wanted = (4096 - (from as usize + count) % 4096).min(bytes.len() - count);
            match trace::read_memory(pid, from + count as u64, &mut bytes[count..count + wanted]) {
                Ok(read) if read == wanted => count += read,
                _ => break,
            }
        }
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
        let words: Vec<u64> = bytes[..count].chunks_exact(8).map(word).collect();
        let end = end_of_vector(&words).ok_or_else(|| io::Error::other("too many arguments or variables"))?;
        Ok(Stack { registers, words: words[..end].to_vec() })
    }

    fn argument(&self, pid: pid_t, index: usize) -> io::Result<Vec<u8>> {
        let count = self.words.first().copied().unwrap_or(0);
        let pointer = self.words.get(index + 1).filter(|_| (index as u64) < count);
        let pointer = *pointer.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        let text = bytes_until_zero(pid, pointer, SCRIPT_BYTES_MAX);
        text.map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))
    }

    /// Puts another text in the place of an argument.
    fn put(&self, pid: pid_t, index: usize, argument: &[u8]) -> io::Result<()> {
        if argument.len() > ARGUMENT_BYTES_MAX {
            return Err(io::Error::from_raw_os_error(libc::E2BIG));
        }
        let shift = (argument.len() as u64 + 1).next_multiple_of(16);
        let from = stack_pointer(&self.registers) - shift;
        let mut words = self.words.clone();
        words[index + 1] = from + words.len() as u64 * 8;
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.extend_from_slice(argument);
        bytes.push(0);
        trace::write_memory(pid, from, &bytes)?;
        trace::set_registers(pid, &with_stack_pointer(&self.registers, from))
    }
}

/// Returns where the auxiliary vector ends, in words.
fn end_of_vector(words: &[u64]) -> Option<usize> {
    let arguments = usize::try_from(*words.first()?).ok()?;
    let variables = 1 + arguments.checked_add(1)?;
    let vector = variables + words.get(variables..)?.iter().position(|&word| word == 0)? + 1;
    let pairs = words.get(vector..)?.chunks_exact(2).position(|pair| pair[0] == 0)?;
    Some(vector + (pairs + 1) * 2)
}
