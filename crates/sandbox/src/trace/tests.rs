use std::collections::BTreeMap;

use super::*;
use crate::outcome::{AccessKind, Collected, CollectedKind, Denied, Exit, Network, Random};
use crate::plan::Level;

/// A seeded generator (xorshift), so that a failure can be made again.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Small and large numbers alike.
    fn any(&mut self) -> u64 {
        let bits = self.below(64);
        self.next() >> bits
    }

    fn text(&mut self) -> String {
        let letters = ["a", "/", "é", "☃", "\u{0}", "\\xff", "usr/lib/", "\n"];
        (0..self.below(12)).map(|_| letters[self.below(letters.len())]).collect()
    }
}

fn start() -> Event {
    let (format, level) = (TRACE_FORMAT.to_owned(), Level::Full);
    Event::Start { format, version: TRACE_VERSION, level, refused: Vec::new(), landlock: None, root: None }
}

fn finished() -> Event {
    Event::Finished { lost: 0, losses: Vec::new(), duration_us: 9 }
}

/// Any event, whether or not it makes sense after those before it.
fn event(numbers: &mut Numbers) -> Event {
    let index = |numbers: &mut Numbers| numbers.any() as usize;
    let maybe = |numbers: &mut Numbers| (numbers.below(2) == 0).then(|| (numbers.any() >> 1) as usize);
    let kinds = [AccessKind::Execute, AccessKind::Read, AccessKind::RenameTo, AccessKind::Missing, AccessKind::Refused];
    match numbers.below(12) {
        0 => Event::Path { id: index(numbers), path: numbers.text() },
        1 => Event::Forget,
        2 => Event::Fork {
            id: index(numbers),
            pid: numbers.next() as u32,
            parent: maybe(numbers),
            step: index(numbers),
            start_us: numbers.any(),
        },
        3 => Event::Process {
            id: index(numbers),
            pid: numbers.next() as u32,
            parent: maybe(numbers),
            replaces: maybe(numbers),
            step: index(numbers),
            executed: numbers.below(2) == 0,
            exe: numbers.text(),
            argv: (0..numbers.below(5)).map(|_| numbers.text()).collect(),
            cwd: numbers.text(),
            variables: (0..numbers.below(3)).map(|_| (numbers.text(), numbers.text())).collect::<BTreeMap<_, _>>(),
            start_us: numbers.any(),
        },
        4 => Event::End {
            process: index(numbers),
            exit: [
                Exit::Code(numbers.next() as i32),
                Exit::Signal(numbers.next() as i32),
                Exit::Exec(index(numbers)),
                Exit::Unknown,
            ][numbers.below(4)],
            duration_us: numbers.any(),
            cpu_us: numbers.any(),
            rss_max_kib: numbers.any(),
        },
        5 => Event::Denied(Denied { process: index(numbers), what: numbers.text(), count: numbers.any() }),
        6 => Event::Network(Network {
            process: index(numbers),
            call: numbers.text(),
            address: numbers.text(),
            loopback: numbers.below(2) == 0,
            errno: numbers.next() as i32,
            count: numbers.any(),
        }),
        7 => Event::Random(Random { process: 0, source: numbers.text(), seeded: true, count: numbers.any() }),
        8 => Event::Collected(Collected { path: numbers.text(), kind: CollectedKind::Directory }),
        _ => Event::Access {
            process: index(numbers),
            path: index(numbers),
            kind: kinds[numbers.below(kinds.len())],
            count: if numbers.below(2) == 0 { 1 } else { numbers.any() },
        },
    }
}

#[test]
fn any_events_survive_the_codec() {
    for seed in 1..400_u64 {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let events: Vec<Event> = (0..numbers.below(60)).map(|_| event(&mut numbers)).collect();
        let (mut encoder, mut bytes) = (codec::Encoder::default(), Vec::new());
        events.iter().for_each(|event| encoder.write(event, &mut bytes));
        let (mut decoder, mut rest) = (codec::Decoder::default(), &bytes[..]);
        let mut found = Vec::new();
        while let Some(event) = decoder.read(&mut rest).unwrap_or_else(|error| panic!("seed {seed}: {error}")) {
            found.push(event);
        }
        assert_eq!(found, events, "seed {seed}");
    }
}

#[test]
fn any_bytes_are_read_without_panic() {
    for seed in 1..3000_u64 {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut bytes: Vec<u8> = Vec::new();
        let mut encoder = codec::Encoder::default();
        (0..8).for_each(|_| encoder.write(&event(&mut numbers), &mut bytes));
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(bytes.len());
            bytes[at] = numbers.next() as u8;
        }
        let (mut decoder, mut rest) = (codec::Decoder::default(), &bytes[..]);
        // Some changes are harmless; what is read then is an event, and reading ends.
        while let Ok(Some(_)) = decoder.read(&mut rest) {}
    }
}

/// A trace of so many paths, each read by one process; its bytes and its events.
fn trace(paths: usize) -> (Vec<u8>, Vec<Event>) {
    let mut events = vec![start(), Event::Fork { id: 0, pid: 2, parent: None, step: 0, start_us: 3 }];
    for id in 0..paths {
        events.push(Event::Path { id, path: format!("/usr/include/c++/12/bits/header_{id}.h") });
    }
    events.extend((0..paths).map(|path| Event::Access { process: 0, path, kind: AccessKind::Read, count: 1 }));
    events.push(Event::End { process: 0, exit: Exit::Code(0), duration_us: 5, cpu_us: 4, rss_max_kib: 3 });
    events.push(finished());
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes).expect("begun");
    events.iter().for_each(|event| writer.write(event).expect("written"));
    writer.finish().expect("finished");
    (bytes, events)
}

fn read(bytes: &[u8]) -> (Vec<Event>, Option<TraceError>) {
    let mut events = Vec::new();
    let mut reader = match Reader::new(bytes) {
        Ok(reader) => reader,
        Err(error) => return (events, Some(error)),
    };
    loop {
        match reader.read() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, None),
            Err(error) => return (events, Some(error)),
        }
    }
}

#[test]
fn a_trace_is_read_as_it_was_written() {
    let (bytes, events) = trace(30_000);
    assert!(bytes.starts_with(b"assay-trace 2\n"));
    let (found, error) = read(&bytes);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(found, events);
    assert!(bytes.len() < 4 * 30_000, "{} bytes", bytes.len());
}

/// A file that was cut off anywhere tells what its whole blocks hold, and is never complete.
#[test]
fn a_cut_trace_is_readable_and_never_complete() {
    let (bytes, events) = trace(30_000);
    let cuts = (0..bytes.len()).step_by(997).chain(bytes.len() - 60..bytes.len());
    let mut longest = 0;
    for cut in cuts {
        let (found, error) = read(&bytes[..cut]);
        match error {
            Some(TraceError::Truncated { events }) => assert_eq!(events as usize, found.len()),
            Some(TraceError::Format) => assert!(cut < 14, "{cut}"),
            other => panic!("{other:?} when cut at {cut}"),
        }
        assert_eq!(found[..], events[..found.len()], "{cut}");
        longest = longest.max(found.len());
    }
    assert_eq!(longest, events.len(), "without its end alone, all of it is readable");
}

#[test]
fn each_changed_byte_is_noticed() {
    let (bytes, _) = trace(300);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert!(read(&changed).1.is_some(), "byte {at}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(read(&longer).1, Some(TraceError::Damaged { .. })));
}

/// What a careless or hostile writer could make: right checksums around wrong contents.
#[test]
fn what_does_not_fit_together_is_damaged() {
    let check = |events: &[Event], expected: &str| {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes).expect("begun");
        events.iter().for_each(|event| writer.write(event).expect("written"));
        writer.finish().expect("finished");
        let error = read(&bytes).1.expect("it is damaged").to_string();
        assert_eq!(error, expected);
    };
    let fork = |id, parent| Event::Fork { id, pid: 2, parent, step: 0, start_us: 0 };
    let access = Event::Access { process: 0, path: 0, kind: AccessKind::Read, count: 1 };
    check(&[finished()], "the trace is damaged after 0 events: it does not begin with `start`");
    check(&[start()], "the trace is cut off after 1 whole events, and so no complete evidence");
    check(&[start(), finished(), finished()], "the trace is damaged after 2 events: something follows its last event");
    check(
        &[start(), access.clone()],
        "the trace is damaged after 1 events: an event names process 0, which does not live",
    );
    check(
        &[start(), fork(0, None), access],
        "the trace is damaged after 2 events: an event names path 0, which has no number",
    );
    check(&[start(), fork(1, None)], "the trace is damaged after 1 events: process number 1 is out of order");
    check(
        &[start(), fork(0, Some(3))],
        "the trace is damaged after 1 events: an event names process 0, which does not live",
    );
    let path = Event::Path { id: 1, path: "/".to_owned() };
    check(&[start(), path], "the trace is damaged after 1 events: path number 1 is out of order");
}

#[test]
fn too_many_paths_without_forgetting_are_refused() {
    let mut live = Live::default();
    let path = |id| Event::Path { id, path: String::new() };
    (0..live::PATHS_MAX).for_each(|id| live.take(&path(id)).expect("within the limit"));
    assert_eq!(live.take(&path(live::PATHS_MAX)), Err(LiveError::TooMuch));
    live.take(&Event::Forget).expect("forgotten");
    live.take(&path(live::PATHS_MAX)).expect("numbers go on");
    assert_eq!((live.path(0), live.path(live::PATHS_MAX)), (None, Some("")));
}

/// A block that says that it is small, and is not.
#[test]
fn a_block_is_not_unpacked_beyond_its_size() {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![6_u8; 1 << 20]).expect("packed");
    let packed = encoder.finish().expect("packed");
    let mut bytes = header(TRACE_VERSION).into_bytes();
    for word in [packed.len() as u32, 16, crc(&packed)] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(packed);
    let error = read(&bytes).1.expect("an error").to_string();
    assert_eq!(error, "the trace is damaged after 0 events: a block has another size than it says");
    let huge = [header(TRACE_VERSION).as_bytes(), &[0xfe, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0]].concat();
    assert!(matches!(read(&huge).1, Some(TraceError::Damaged { .. })));
}

/// A trace that 0.1.0 wrote.
const VERSION_1: &str = r#"{"event":"start","format":"assay-trace","version":1,"level":"full","refused":[],"landlock":null,"root":null}
{"event":"path","id":0,"path":"/usr/bin/dash"}
{"event":"process","id":0,"pid":2,"parent":null,"replaces":null,"step":0,"executed":true,"exe":"/usr/bin/dash","argv":["sh"],"cwd":"/build","variables":{"A":"b"},"start_us":1}
{"event":"access","process":0,"path":0,"kind":"execute","count":1}
{"event":"end","process":0,"exit":{"code":0},"duration_us":22,"cpu_us":16,"rss_max_kib":18}
{"event":"process","id":1,"pid":3,"parent":0,"replaces":null,"step":0,"executed":false,"exe":"","argv":[],"cwd":"","variables":{},"start_us":9}
{"event":"access","process":1,"path":0,"kind":"missing","count":2}
{"event":"end","process":1,"exit":{"signal":9},"duration_us":1,"cpu_us":0,"rss_max_kib":0}
{"event":"step","step":0,"exit":{"code":0},"duration_us":23,"survivors":0}
{"event":"finished","lost":0,"losses":[],"duration_us":24}
"#;

#[test]
fn version_1_is_read_too() {
    let (events, error) = read(VERSION_1.as_bytes());
    assert!(error.is_none(), "{error:?}");
    assert_eq!(events.len(), 10);
    let mut reader = Reader::new(VERSION_1.as_bytes()).expect("begun");
    while let Some(event) = reader.read().expect("an event") {
        if let Event::Access { process: 1, path, .. } = event {
            let seen = reader.live().process(1).expect("it lives");
            assert_eq!((seen.program.exe.as_str(), reader.live().path(path)), ("/usr/bin/dash", Some("/usr/bin/dash")));
        }
    }
    let cut = VERSION_1.len() - 30;
    assert!(matches!(read(&VERSION_1.as_bytes()[..cut]).1, Some(TraceError::Truncated { events: 9 })));
    let whole_line = VERSION_1.trim_end().rfind('\n').expect("lines") + 1;
    assert!(matches!(read(&VERSION_1.as_bytes()[..whole_line]).1, Some(TraceError::Truncated { events: 9 })));
    let other = VERSION_1.replace("\"version\":1", "\"version\":2");
    assert!(matches!(read(other.as_bytes()).1, Some(TraceError::Version(2))));
}

#[test]
fn other_files_and_later_versions_are_named() {
    let error = |bytes: &[u8]| Reader::new(bytes).err().expect("an error").to_string();
    assert_eq!(error(b""), "this is no trace: it does not begin with `assay-trace VERSION`");
    assert_eq!(error(b"assay-trace 2"), error(b""));
    assert_eq!(error(b"assay-trace 02\n"), error(b""));
    assert_eq!(error(b"assay-trace 3\n"), "a trace of version 3; this program reads 1 and 2");
}

/// A disk that becomes full.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.checked_sub(bytes.len()) {
            Some(left) => self.0 = left,
            None => return Err(io::Error::from(io::ErrorKind::StorageFull)),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_wherever_it_becomes_full() {
    let (bytes, events) = trace(30_000);
    for room in (0..bytes.len()).step_by(4001).chain([bytes.len() - 1]) {
        let written = Writer::new(Full(room)).and_then(|mut writer| {
            events.iter().try_for_each(|event| writer.write(event))?;
            writer.finish()
        });
        assert_eq!(written.expect_err("no room").kind(), io::ErrorKind::StorageFull, "{room}");
    }
}
