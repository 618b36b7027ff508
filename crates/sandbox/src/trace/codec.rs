//! Events as bytes: the records of a trace of version 2, and what goes over the line from the supervisor to its caller.
//!
//! A record begins with a byte that tells its kind; numbers are LEB128 (7 bits a byte, the lowest first), those that follow from the
//! record before are differences in zigzag form. Texts are a length and UTF-8. What is rare is JSON, as `docs/formats/trace.md` shows it.
//!
//! ```text
//! 1ppccKKKK…   access: bits 0–3 kind · 4 a count follows · 5 a process follows · 6 not the next path: a difference follows
//! 01 len json   what is rare        02 Δid shared len rest  path, without what it shares with the one before
//! 03 …          program             04 …                    fork
//! 05 …          end                 06                      forget
//! ```
//!
//! Both sides keep the same small state (the last path, process, time and environment), so records are read in order, from the first.

use std::collections::BTreeMap;

use crate::event::Event;
use crate::outcome::{AccessKind, Exit};

/// The longest record: the kernel gives a program at most 6 MiB of arguments and variables, and a byte that is no text takes four here.
pub(crate) const RECORD_BYTES_MAX: usize = 25 << 20;

const JSON: u8 = 1;
const PATH: u8 = 2;
const PROGRAM: u8 = 3;
const FORK: u8 = 4;
const END: u8 = 5;
const FORGET: u8 = 6;
const ACCESS: u8 = 0x80;
const HAS_COUNT: u8 = 0x10;
const HAS_PROCESS: u8 = 0x20;
const HAS_PATH: u8 = 0x40;
/// Flags of a program.
const EXECUTED: u8 = 1;
const SAME_VARIABLES: u8 = 2;

/// The kinds of access, by their number in a record: only ever appended to.
const KINDS: [AccessKind; 12] = [
    AccessKind::Execute,
    AccessKind::Read,
    AccessKind::List,
    AccessKind::Write,
    AccessKind::Create,
    AccessKind::RenameFrom,
    AccessKind::RenameTo,
    AccessKind::Remove,
    AccessKind::Attributes,
    AccessKind::Unfinished,
    AccessKind::Missing,
    AccessKind::Refused,
];

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// They end within a record.
    #[error("a record is cut off")]
    Short,
    /// A record begins with a byte that begins none.
    #[error("byte {0:#04x} begins no record")]
    Kind(u8),
    /// A number has more than 64 bits.
    #[error("a number has more than 64 bits")]
    Number,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// JSON that is no event.
    #[error("the JSON of a record is no event")]
    Json,
}

/// What both sides remember between records.
#[derive(Clone, Debug, Default)]
struct Last {
    process: u64,
    /// Of an access.
    path: u64,
    /// The number that the next path is expected to get.
    next_path: u64,
    text: String,
    start_us: u64,
    variables: BTreeMap<String, String>,
}

/// Writes events as records.
#[derive(Debug, Default)]
pub struct Encoder {
    last: Last,
}

impl Encoder {
    /// Appends the record of an event.
    pub fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Access { process, path, kind, count } => self.access((*process, *path), *kind, *count, out),
            Event::Path { id, path } => self.path(*id as u64, path, out),
            Event::Process { .. } => self.program(event, out),
            Event::Fork { id, pid, parent, step, start_us } => {
                out.push(FORK);
                number(*id as u64, out);
                number(u64::from(*pid), out);
                optional(*parent, out);
                number(*step as u64, out);
                difference(&mut self.last.start_us, *start_us, out);
            }
            Event::End { process, exit, duration_us, cpu_us, rss_max_kib } => {
                out.push(END);
                difference(&mut self.last.process, *process as u64, out);
                let (kind, value) = match *exit {
                    Exit::Code(code) => (0, zigzag(i64::from(code))),
                    Exit::Signal(signal) => (1, zigzag(i64::from(signal))),
                    Exit::Exec(next) => (2, next as u64),
                    Exit::Unknown => (3, 0),
                };
                out.push(kind);
                [value, *duration_us, *cpu_us, *rss_max_kib].into_iter().for_each(|value| number(value, out));
            }
            Event::Forget => out.push(FORGET),
            rare => {
                let json = serde_json::to_vec(rare).expect("events have string keys only");
                out.push(JSON);
                number(json.len() as u64, out);
                out.extend(json);
            }
        }
    }

    fn access(&mut self, (process, path): (usize, usize), kind: AccessKind, count: u64, out: &mut Vec<u8>) {
        let (process, path) = (process as u64, path as u64);
        let kind = KINDS.iter().position(|one| *one == kind).expect("every kind is in the table") as u8;
        let is_next = path == self.last.path.wrapping_add(1);
        let has_process = process != self.last.process;
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        out.push(
            ACCESS | kind | flag(count != 1, HAS_COUNT) | flag(has_process, HAS_PROCESS) | flag(!is_next, HAS_PATH),
        );
        if has_process {
            difference(&mut self.last.process, process, out);
        }
        if is_next {
            self.last.path = path;
        } else {
            difference(&mut self.last.path, path, out);
        }
        if count != 1 {
            number(count, out);
        }
    }

    fn path(&mut self, id: u64, path: &str, out: &mut Vec<u8>) {
        out.push(PATH);
        difference(&mut self.last.next_path, id, out);
        self.last.next_path = id.wrapping_add(1);
        let shared = shared(&self.last.text, path);
        number(shared as u64, out);
        text(&path[shared..], out);
        path.clone_into(&mut self.last.text);
    }

    fn program(&mut self, event: &Event, out: &mut Vec<u8>) {
        let Event::Process { id, pid, parent, replaces, step, executed, exe, argv, cwd, variables, start_us } = event
        else {
            return;
        };
        let same = *variables == self.last.variables;
        out.push(PROGRAM);
        out.push(if *executed { EXECUTED } else { 0 } | if same { SAME_VARIABLES } else { 0 });
        number(*id as u64, out);
        number(u64::from(*pid), out);
        optional(*parent, out);
        optional(*replaces, out);
        number(*step as u64, out);
        difference(&mut self.last.start_us, *start_us, out);
        text(exe, out);
        text(cwd, out);
        number(argv.len() as u64, out);
        argv.iter().for_each(|argument| text(argument, out));
        if !same {
            number(variables.len() as u64, out);
            variables.iter().for_each(|(name, value)| [name, value].into_iter().for_each(|one| text(one, out)));
            self.last.variables.clone_from(variables);
        }
    }
}

/// Reads records back.
#[derive(Debug, Default)]
pub struct Decoder {
    last: Last,
}

impl Decoder {
    /// Takes one event from the beginning of `bytes`, which must hold all of its record; `None` at their end.
    pub fn read(&mut self, bytes: &mut &[u8]) -> Result<Option<Event>, CodecError> {
        let Some((&kind, rest)) = bytes.split_first() else { return Ok(None) };
        *bytes = rest;
        let mut input = Input(bytes);
        Ok(Some(match kind {
            ACCESS.. => self.access(kind, &mut input)?,
            PATH => self.path(&mut input)?,
            PROGRAM => self.program(&mut input)?,
            FORK => Event::Fork {
                id: input.index()?,
                pid: input.pid()?,
                parent: input.optional()?,
                step: input.index()?,
                start_us: input.difference(&mut self.last.start_us)?,
            },
            END => self.end(&mut input)?,
            FORGET => Event::Forget,
            JSON => serde_json::from_slice(input.bytes()?).map_err(|_| CodecError::Json)?,
            other => return Err(CodecError::Kind(other)),
        }))
    }

    fn access(&mut self, head: u8, input: &mut Input<'_, '_>) -> Result<Event, CodecError> {
        let kind = *KINDS.get(usize::from(head & 0x0f)).ok_or(CodecError::Kind(head))?;
        let has = |bit: u8| head & bit != 0;
        if has(HAS_PROCESS) {
            input.difference(&mut self.last.process)?;
        }
        if has(HAS_PATH) {
            input.difference(&mut self.last.path)?;
        } else {
            self.last.path = self.last.path.wrapping_add(1);
        }
        let count = if has(HAS_COUNT) { input.number()? } else { 1 };
        Ok(Event::Access { process: index(self.last.process)?, path: index(self.last.path)?, kind, count })
    }

    fn path(&mut self, input: &mut Input<'_, '_>) -> Result<Event, CodecError> {
        let id = input.difference(&mut self.last.next_path)?;
        self.last.next_path = id.wrapping_add(1);
        let shared = input.index()?;
        let rest = input.text()?;
        let mut path = self.last.text.get(..shared).ok_or(CodecError::Text)?.to_owned();
        path.push_str(&rest);
        self.last.text.clone_from(&path);
        Ok(Event::Path { id: index(id)?, path })
    }

    fn program(&mut self, input: &mut Input<'_, '_>) -> Result<Event, CodecError> {
        let flags = input.byte()?;
        let (id, pid, parent, replaces) = (input.index()?, input.pid()?, input.optional()?, input.optional()?);
        let (step, start_us) = (input.index()?, input.difference(&mut self.last.start_us)?);
        let (exe, cwd) = (input.text()?, input.text()?);
        let argv = (0..input.count()?).map(|_| input.text()).collect::<Result<_, _>>()?;
        if flags & SAME_VARIABLES == 0 {
            self.last.variables =
                (0..input.count()?).map(|_| Ok((input.text()?, input.text()?))).collect::<Result<_, CodecError>>()?;
        }
        let (executed, variables) = (flags & EXECUTED != 0, self.last.variables.clone());
        Ok(Event::Process { id, pid, parent, replaces, step, executed, exe, argv, cwd, variables, start_us })
    }

    fn end(&mut self, input: &mut Input<'_, '_>) -> Result<Event, CodecError> {
        let process = index(input.difference(&mut self.last.process)?)?;
        let (kind, value) = (input.byte()?, input.number()?);
        let code = |value| i32::try_from(unzigzag(value)).map_err(|_| CodecError::Number);
        let exit = match kind {
            0 => Exit::Code(code(value)?),
            1 => Exit::Signal(code(value)?),
            2 => Exit::Exec(index(value)?),
            3 => Exit::Unknown,
            other => return Err(CodecError::Kind(other)),
        };
        let (duration_us, cpu_us, rss_max_kib) = (input.number()?, input.number()?, input.number()?);
        Ok(Event::End { process, exit, duration_us, cpu_us, rss_max_kib })
    }
}

/// What is left to read. No allocation is larger than what is there.
struct Input<'i, 'b>(&'i mut &'b [u8]);

impl<'b> Input<'_, 'b> {
    fn byte(&mut self) -> Result<u8, CodecError> {
        let (&byte, rest) = self.0.split_first().ok_or(CodecError::Short)?;
        *self.0 = rest;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, CodecError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(CodecError::Number);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Number)
    }

    fn index(&mut self) -> Result<usize, CodecError> {
        index(self.number()?)
    }

    /// A number of things, each of which takes a byte at least.
    fn count(&mut self) -> Result<usize, CodecError> {
        let count = self.index()?;
        if count > self.0.len() { Err(CodecError::Short) } else { Ok(count) }
    }

    fn pid(&mut self) -> Result<u32, CodecError> {
        u32::try_from(self.number()?).map_err(|_| CodecError::Number)
    }

    fn optional(&mut self) -> Result<Option<usize>, CodecError> {
        Ok(self.index()?.checked_sub(1))
    }

    fn difference(&mut self, last: &mut u64) -> Result<u64, CodecError> {
        *last = last.wrapping_add(unzigzag(self.number()?) as u64);
        Ok(*last)
    }

    fn bytes(&mut self) -> Result<&'b [u8], CodecError> {
        let length = self.index()?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(CodecError::Short)?;
        *self.0 = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String, CodecError> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| CodecError::Text)
    }
}

fn index(value: u64) -> Result<usize, CodecError> {
    usize::try_from(value).map_err(|_| CodecError::Number)
}

fn number(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn difference(last: &mut u64, value: u64, out: &mut Vec<u8>) {
    number(zigzag(value.wrapping_sub(*last) as i64), out);
    *last = value;
}

fn optional(value: Option<usize>, out: &mut Vec<u8>) {
    number(value.map_or(0, |value| value as u64 + 1), out);
}

fn text(text: &str, out: &mut Vec<u8>) {
    number(text.len() as u64, out);
    out.extend(text.as_bytes());
}

/// How many bytes two texts share at their beginning, whole characters only.
fn shared(last: &str, text: &str) -> usize {
    let mut count = last.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
    while !text.is_char_boundary(count) {
        count -= 1;
    }
    count
}
