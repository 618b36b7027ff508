//! The line to the caller: events out, single bytes in.

use std::io::{self, BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use crate::error::Failure;
use crate::event::Event;
use crate::sys;

/// The caller's word to go on with the next step: all output of the last has been taken.
pub(crate) const GO_ON: u8 = b'g';

/// Sends events; a caller that is gone is noticed at the next tick.
pub(super) struct Sink {
    writer: BufWriter<UnixStream>,
    is_broken: bool,
}

impl Sink {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self { writer: BufWriter::with_capacity(1 << 16, socket), is_broken: false }
    }

    /// Writes one line; returns its length.
    pub(super) fn emit(&mut self, event: &Event) -> usize {
        let Ok(mut line) = serde_json::to_vec(event) else {
            self.is_broken = true;
            return 0;
        };
        line.push(b'\n');
        self.is_broken |= self.writer.write_all(&line).is_err();
        line.len()
    }

    pub(super) fn flush(&mut self) {
        self.is_broken |= self.writer.flush().is_err();
    }

    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Returns a byte that the caller sent meanwhile.
    pub(super) fn word(&mut self) -> Result<Option<u8>, Failure> {
        let failed = |error: io::Error| Failure::setup("listening to the caller", "", error);
        let readable = sys::poll_readable(&[Some(self.writer.get_ref().as_fd())], 0).map_err(failed)?;
        if !readable.contains(&true) {
            return Ok(None);
        }
        let mut byte = [0_u8];
        self.writer.get_mut().read_exact(&mut byte).map_err(failed)?;
        Ok(Some(byte[0]))
    }

    /// Waits until the caller says to go on.
    pub(super) fn wait(&mut self) -> Result<(), Failure> {
        self.flush();
        let failed = |error: io::Error| Failure::setup("waiting for the caller", "", error);
        loop {
            let mut byte = [0_u8];
            self.writer.get_mut().read_exact(&mut byte).map_err(failed)?;
            if byte[0] == GO_ON {
                return Ok(());
            }
        }
    }
}
