//! The line to the caller: events out, single bytes in.
//!
//! Events go as records ([`crate::trace::codec`]), whole ones in frames: their length (4 bytes, little-endian) and they. Packing them is
//! left to the caller, whose time is not the build's.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use super::tracer::TOO_MUCH_OUTPUT;
use crate::error::Failure;
use crate::event::Event;
use crate::sys;
use crate::trace::codec::{Encoder, RECORD_BYTES_MAX};

/// The caller's word to go on with the next step: all output of the last has been taken.
pub(crate) const GO_ON: u8 = b'g';

/// A frame is sent when it has so many bytes, or at a tick.
const FRAME_BYTES: usize = 64 << 10;
/// No frame has more: it was one record short of being sent.
pub(crate) const FRAME_BYTES_MAX: usize = FRAME_BYTES + RECORD_BYTES_MAX;

/// Sends events; a caller that is gone is noticed at the next tick.
pub(super) struct Sink {
    writer: UnixStream,
    encoder: Encoder,
    frame: Vec<u8>,
    is_broken: bool,
}

impl Sink {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self { writer: socket, encoder: Encoder::default(), frame: Vec::with_capacity(FRAME_BYTES), is_broken: false }
    }

    /// Adds one event; returns its length. One that is too long for any reader breaks the line: nothing is left out silently.
    pub(super) fn emit(&mut self, event: &Event) -> usize {
        let before = self.frame.len();
        self.encoder.write(event, &mut self.frame);
        let length = self.frame.len() - before;
        self.is_broken |= length > RECORD_BYTES_MAX;
        if self.frame.len() >= FRAME_BYTES {
            self.flush();
        }
        length
    }

    pub(super) fn flush(&mut self) {
        if self.frame.is_empty() || self.is_broken {
            return;
        }
        let length = (self.frame.len() as u32).to_le_bytes();
        let sent = self.writer.write_all(&length).and_then(|()| self.writer.write_all(&self.frame));
        self.is_broken |= sent.is_err();
        self.frame.clear();
        self.frame.shrink_to(FRAME_BYTES);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Returns a byte that the caller sent meanwhile.
    pub(super) fn word(&mut self) -> Result<Option<u8>, Failure> {
        let failed = |error: io::Error| Failure::setup("listening to the caller", "", error);
        let readable = sys::poll_readable(&[Some(self.writer.as_fd())], 0).map_err(failed)?;
        if !readable.contains(&true) {
            return Ok(None);
        }
        let mut byte = [0_u8];
        self.writer.read_exact(&mut byte).map_err(failed)?;
        Ok(Some(byte[0]))
    }

    /// Waits until the caller says to go on; returns whether it said before that there was too much output.
    pub(super) fn wait(&mut self) -> Result<bool, Failure> {
        self.flush();
        let failed = |error: io::Error| Failure::setup("waiting for the caller", "", error);
        let mut was_too_much = false;
        loop {
            let mut byte = [0_u8];
            self.writer.read_exact(&mut byte).map_err(failed)?;
            match byte[0] {
                GO_ON => return Ok(was_too_much),
                word => was_too_much |= word == TOO_MUCH_OUTPUT,
            }
        }
    }
}
