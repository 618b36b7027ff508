//! Randomness with a known seed: a stream for each process, the same in every run, whatever runs beside it.
//!
//! A process's stream follows from what it is: the stream of the process that started it, its arguments, and how many with the same
//! arguments that one started before; a fork that runs no program, from its place among its parent's forks. So two compilers started
//! side by side draw different names for their temporary files, and each the same in the next run. Rejected: one stream for all (depends on
//! scheduling); the same stream for each process (parallel ones collide).
//! Blocks are SHA-256 of stream and number: nothing here is secret, so nothing faster is needed.

use std::collections::HashMap;

use libc::pid_t;
use wire::digest::Digest;

#[cfg(test)]
mod tests;

/// The seed of every first process. A change of it, or of how streams follow, changes bytes of outputs: it needs a new name.
const SEED: &[u8] = b"assay seeded randomness 1";
const BLOCK_BYTES: usize = 32;

/// Arguments with this in them are no part of what a process is: compilers make such names from the time and the process id.
const TEMPORARY: &str = "/tmp/";

type Stream = [u8; BLOCK_BYTES];

/// One process.
#[derive(Clone, Debug)]
struct Source {
    stream: Stream,
    /// The stream of who started it.
    parent: Stream,
    drawn: u64,
    forks: u64,
}

/// The streams of the processes that live.
#[derive(Debug, Default)]
pub(super) struct Streams {
    sources: HashMap<pid_t, Source>,
    /// How many programs with the same stream were begun.
    same: HashMap<Stream, u64>,
}

impl Streams {
    /// A process was forked.
    pub(super) fn fork(&mut self, child: pid_t, parent: Option<pid_t>) {
        let (parent, number) = match parent.and_then(|parent| self.sources.get_mut(&parent)) {
            Some(source) => {
                source.forks += 1;
                (source.stream, source.forks)
            }
            None => (derive(&[SEED]), 0),
        };
        let stream = derive(&[b"fork", &parent, &number.to_le_bytes()]);
        self.sources.insert(child, Source { stream, parent, drawn: 0, forks: 0 });
    }

    /// A process became a program.
    pub(super) fn execute(&mut self, process: pid_t, argv: &[String]) {
        let Some(source) = self.sources.get(&process) else { return };
        let mut parts: Vec<&[u8]> = vec![b"execute", &source.parent];
        parts.extend(argv.iter().filter(|argument| !argument.contains(TEMPORARY)).map(String::as_bytes));
        let kind = derive(&parts);
        let number = self.same.entry(kind).or_insert(0);
        *number += 1;
        let stream = derive(&[b"program", &kind, &number.to_le_bytes()]);
        let parent = source.parent;
        self.sources.insert(process, Source { stream, parent, drawn: 0, forks: 0 });
    }

    /// A process ended.
    pub(super) fn end(&mut self, process: pid_t) {
        self.sources.remove(&process);
    }

    /// Fills a buffer with what a process draws next; `None` if it is not known.
    pub(super) fn draw(&mut self, process: pid_t, buffer: &mut [u8]) -> Option<()> {
        let source = self.sources.get_mut(&process)?;
        for chunk in buffer.chunks_mut(BLOCK_BYTES) {
            let block = derive(&[&source.stream, &source.drawn.to_le_bytes()]);
            source.drawn += 1;
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Some(())
    }
}

/// SHA-256 of parts, each with its length before it.
fn derive(parts: &[&[u8]]) -> Stream {
    let mut message = Vec::with_capacity(128);
    for part in parts {
        message.extend((part.len() as u64).to_le_bytes());
        message.extend_from_slice(part);
    }
    let mut stream = [0; BLOCK_BYTES];
    stream.copy_from_slice(Digest::of(&message).bytes());
    stream
}

/// Returns the text of a random UUID (version 4) and a line's end, as `/proc/sys/kernel/random/uuid` has it.
pub(super) fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(37);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text + "\n"
}
