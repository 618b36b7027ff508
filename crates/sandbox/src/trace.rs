//! The trace as a file: written while the run goes on, read event by event, complete only with its end.
//!
//! Version 2, whose page is `docs/formats/trace.md`; version 1 (one JSON object a line) is read too. Integers are little-endian.
//!
//! ```text
//! assay-trace 2⏎                              header
//! packed u32 · raw u32 · CRC-32 u32 · bytes   block: records (see [`codec`]), packed by DEFLATE; any number of them
//! ffffffff · events u64 · SHA-256             end: of all bytes before it; nothing follows
//! ```
//!
//! A file that was cut off is readable up to its last whole block. It is never taken for complete: [`Reader`] ends with an error then.
//! Reading needs memory for one block, and what [`live`] bounds.

pub mod codec;
pub mod live;

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::Compression;
use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;
use wire::digest::{Algorithm, Hasher};

use self::codec::{CodecError, Decoder, Encoder, RECORD_BYTES_MAX};
use self::live::{Live, LiveError};
use crate::event::{Event, TRACE_FORMAT, TRACE_VERSION, TRACE_VERSION_LINES};

#[cfg(test)]
mod tests;

/// A block is packed when it has so many bytes: DEFLATE looks no further back than 32 KiB, so larger ones would win little.
const BLOCK_BYTES: usize = 256 << 10;
/// No block has more: it was one record short of being packed.
const BLOCK_BYTES_MAX: usize = BLOCK_BYTES + RECORD_BYTES_MAX;
/// DEFLATE's own bound is 5 bytes more for each 64 KiB.
const PACKED_BYTES_MAX: usize = BLOCK_BYTES_MAX + BLOCK_BYTES_MAX / 1000 + 64;
/// Stands where a block's length would.
const END: u32 = u32::MAX;
/// The longest line of version 1, as its reader always had it.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// The longest first line.
const HEADER_BYTES_MAX: u64 = 32;

/// Writes a trace.
pub struct Writer<W: Write> {
    out: W,
    hasher: Hasher,
    encoder: Encoder,
    raw: Vec<u8>,
    packed: Vec<u8>,
    events: u64,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a trace.
    pub fn new(out: W) -> io::Result<Self> {
        let hasher = Hasher::new(Algorithm::Sha256);
        let (raw, packed) = (Vec::with_capacity(BLOCK_BYTES), Vec::new());
        let mut writer = Self { out, hasher, encoder: Encoder::default(), raw, packed, events: 0, written: 0 };
        writer.put(header(TRACE_VERSION).as_bytes())?;
        Ok(writer)
    }

    /// Adds an event; it is on disk when its block is full.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        let before = self.raw.len();
        self.encoder.write(event, &mut self.raw);
        if self.raw.len() - before > RECORD_BYTES_MAX {
            return Err(io::Error::other(format!("an event of more than {RECORD_BYTES_MAX} bytes")));
        }
        self.events += 1;
        if self.raw.len() >= BLOCK_BYTES { self.pack() } else { Ok(()) }
    }

    /// Writes the end, and returns how many bytes there are. Without it, what was written is no complete trace.
    pub fn finish(mut self) -> io::Result<u64> {
        self.pack()?;
        let mut end = END.to_le_bytes().to_vec();
        end.extend(self.events.to_le_bytes());
        self.hasher.update(&end);
        end.extend(self.hasher.finish().bytes());
        self.out.write_all(&end)?;
        self.out.flush()?;
        Ok(self.written + end.len() as u64)
    }

    fn pack(&mut self) -> io::Result<()> {
        if self.raw.is_empty() {
            return Ok(());
        }
        self.packed.clear();
        let mut encoder = DeflateEncoder::new(&mut self.packed, Compression::default());
        encoder.write_all(&self.raw)?;
        encoder.finish()?;
        let mut head = (self.packed.len() as u32).to_le_bytes().to_vec();
        head.extend((self.raw.len() as u32).to_le_bytes());
        head.extend(crc(&self.packed).to_le_bytes());
        self.raw.clear();
        // A rare large block does not stay.
        self.raw.shrink_to(BLOCK_BYTES);
        self.put(&head)?;
        let packed = std::mem::take(&mut self.packed);
        let put = self.put(&packed);
        self.packed = packed;
        self.packed.shrink_to(BLOCK_BYTES);
        put
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

fn header(version: u32) -> String {
    format!("{TRACE_FORMAT} {version}\n")
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Why a trace cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// Reading failed.
    #[error("reading the trace")]
    Io(#[from] io::Error),
    /// It begins as no trace does.
    #[error("this is no trace: it does not begin with `{TRACE_FORMAT} VERSION`")]
    Format,
    /// A version that this program does not read.
    #[error("a trace of version {0}; this program reads {TRACE_VERSION_LINES} and {TRACE_VERSION}")]
    Version(u32),
    /// It ends too early.
    #[error("the trace is cut off after {events} whole events, and so no complete evidence")]
    Truncated {
        /// How many came before.
        events: u64,
    },
    /// Its bytes were changed, or are none of ours.
    #[error("the trace is damaged after {events} events: {what}")]
    Damaged {
        /// How many came before.
        events: u64,
        /// What is wrong.
        what: String,
    },
}

/// Reads a trace from its beginning.
pub struct Reader<R> {
    source: Source<R>,
    live: Live,
    /// An `end` that was returned, and that [`Live`] has not taken yet, so that its process can be asked for.
    ending: Option<Event>,
    events: u64,
    is_finished: bool,
}

enum Source<R> {
    Blocks {
        input: BufReader<R>,
        hasher: Box<Hasher>,
        decoder: Box<Decoder>,
        raw: Vec<u8>,
        at: usize,
        is_complete: bool,
    },
    Lines {
        input: BufReader<R>,
        line: Vec<u8>,
    },
}

impl<R: Read> Reader<R> {
    /// Begins to read.
    pub fn new(input: R) -> Result<Self, TraceError> {
        let mut input = BufReader::with_capacity(1 << 16, input);
        let is_lines = input.fill_buf()?.first() == Some(&b'{');
        if is_lines {
            let source = Source::Lines { input, line: Vec::new() };
            return Ok(Self { source, live: Live::of_version_1(), ending: None, events: 0, is_finished: false });
        }
        let mut first = Vec::new();
        input.by_ref().take(HEADER_BYTES_MAX).read_until(b'\n', &mut first)?;
        let text = std::str::from_utf8(&first).ok().and_then(|text| text.strip_suffix('\n'));
        let version = text.and_then(|text| text.strip_prefix(TRACE_FORMAT)?.strip_prefix(' ')?.parse::<u32>().ok());
        match version {
            Some(TRACE_VERSION) if first == header(TRACE_VERSION).as_bytes() => {}
            Some(version) if version != TRACE_VERSION => return Err(TraceError::Version(version)),
            _ => return Err(TraceError::Format),
        }
        let mut hasher = Box::new(Hasher::new(Algorithm::Sha256));
        hasher.update(&first);
        let (decoder, raw) = (Box::<Decoder>::default(), Vec::new());
        let source = Source::Blocks { input, hasher, decoder, raw, at: 0, is_complete: false };
        Ok(Self { source, live: Live::default(), ending: None, events: 0, is_finished: false })
    }

    /// Returns the next event; `None` only after an end that fits all that came before it.
    pub fn read(&mut self) -> Result<Option<Event>, TraceError> {
        if let Some(end) = self.ending.take() {
            self.take(&end)?;
        }
        let events = self.events;
        let event = match &mut self.source {
            Source::Blocks { .. } => self.source.next_record(events)?,
            Source::Lines { input, line } => next_line(input, line, events)?,
        };
        let Some(event) = event else {
            return if self.is_finished { Ok(None) } else { Err(TraceError::Truncated { events }) };
        };
        if self.is_finished {
            return Err(TraceError::Damaged { events, what: "something follows its last event".to_owned() });
        }
        self.is_finished = matches!(event, Event::Finished { .. } | Event::Failed { .. });
        if let Event::Start { format, version, .. } = &event {
            let expected =
                if matches!(self.source, Source::Lines { .. }) { TRACE_VERSION_LINES } else { TRACE_VERSION };
            if format != TRACE_FORMAT {
                return Err(TraceError::Format);
            }
            if *version != expected {
                return Err(TraceError::Version(*version));
            }
        } else if events == 0 {
            return Err(TraceError::Damaged { events, what: "it does not begin with `start`".to_owned() });
        }
        match event {
            Event::End { .. } => self.ending = Some(event.clone()),
            _ => self.take(&event)?,
        }
        self.events += 1;
        Ok(Some(event))
    }

    /// What processes and paths the last event names.
    pub fn live(&self) -> &Live {
        &self.live
    }

    fn take(&mut self, event: &Event) -> Result<(), TraceError> {
        let events = self.events;
        self.live.take(event).map_err(|error: LiveError| TraceError::Damaged { events, what: error.to_string() })
    }
}

impl<R: Read> Source<R> {
    fn next_record(&mut self, events: u64) -> Result<Option<Event>, TraceError> {
        let Source::Blocks { input, hasher, decoder, raw, at, is_complete } = self else { return Ok(None) };
        let damaged = |what: String| TraceError::Damaged { events, what };
        while !*is_complete && *at == raw.len() {
            match next_block(input, hasher, raw, events)? {
                Block::Records => *at = 0,
                Block::End { count } if count == events => *is_complete = true,
                Block::End { count } => return Err(damaged(format!("its end counts {count} events"))),
            }
        }
        let mut rest = &raw[*at..];
        let event = decoder.read(&mut rest).map_err(|error: CodecError| damaged(error.to_string()))?;
        *at = raw.len() - rest.len();
        Ok(event)
    }
}

enum Block {
    Records,
    End { count: u64 },
}

/// Reads a block into `raw`, or the end and checks its digest.
fn next_block<R: Read>(
    input: &mut BufReader<R>,
    hasher: &mut Hasher,
    raw: &mut Vec<u8>,
    events: u64,
) -> Result<Block, TraceError> {
    let damaged = |what: &str| TraceError::Damaged { events, what: what.to_owned() };
    let mut head = [0_u8; 12];
    fill(input, &mut head, events)?;
    hasher.update(&head);
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (packed_size, raw_size, sum) = (word(0), word(4) as usize, word(8));
    if packed_size == END {
        let count = u64::from_le_bytes([head[4], head[5], head[6], head[7], head[8], head[9], head[10], head[11]]);
        let mut digest = [0_u8; 32];
        fill(input, &mut digest, events)?;
        let whole = std::mem::replace(hasher, Hasher::new(Algorithm::Sha256)).finish();
        if whole.bytes() != digest {
            return Err(damaged("its digest differs"));
        }
        if !input.fill_buf()?.is_empty() {
            return Err(damaged("something follows its end"));
        }
        return Ok(Block::End { count });
    }
    if packed_size as usize > PACKED_BYTES_MAX || raw_size > BLOCK_BYTES_MAX || raw_size == 0 {
        return Err(damaged("a block has an impossible size"));
    }
    let mut packed = Vec::new();
    input.by_ref().take(u64::from(packed_size)).read_to_end(&mut packed)?;
    if packed.len() != packed_size as usize {
        return Err(TraceError::Truncated { events });
    }
    if crc(&packed) != sum {
        return Err(damaged("a block differs from its checksum"));
    }
    hasher.update(&packed);
    raw.clear();
    raw.shrink_to(BLOCK_BYTES);
    let mut unpacked = DeflateDecoder::new(&packed[..]).take(raw_size as u64 + 1);
    unpacked.read_to_end(raw).map_err(|_| damaged("a block is no DEFLATE"))?;
    if raw.len() != raw_size {
        return Err(damaged("a block has another size than it says"));
    }
    Ok(Block::Records)
}

fn fill<R: Read>(input: &mut BufReader<R>, bytes: &mut [u8], events: u64) -> Result<(), TraceError> {
    input.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => TraceError::Truncated { events },
        _ => TraceError::Io(error),
    })
}

/// Reads a line of version 1, whose only sign of completeness is the kind of its last line.
fn next_line<R: Read>(input: &mut BufReader<R>, line: &mut Vec<u8>, events: u64) -> Result<Option<Event>, TraceError> {
    line.clear();
    line.shrink_to(1 << 16);
    if input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(TraceError::Truncated { events });
    }
    let damaged = |error: serde_json::Error| TraceError::Damaged { events, what: error.to_string() };
    serde_json::from_slice(line).map(Some).map_err(damaged)
}
