//! Tests of the streams.

use super::*;

fn drawn(streams: &mut Streams, process: pid_t) -> [u8; 48] {
    let mut bytes = [0; 48];
    streams.draw(process, &mut bytes).expect("a known process");
    bytes
}

fn argv(words: &str) -> Vec<String> {
    words.split(' ').map(str::to_owned).collect()
}

/// A make with two compilers, started in one order or the other; returns what each drew.
fn compilers(first: &str, second: &str) -> HashMap<String, [u8; 48]> {
    let mut streams = Streams::default();
    streams.fork(1, None);
    streams.execute(1, &argv("make -j2"));
    let mut all = HashMap::new();
    for (process, name) in [(2, first), (3, second)] {
        streams.fork(process, Some(1));
        streams.execute(process, &argv(name));
    }
    for (process, name) in [(3, second), (2, first)] {
        all.insert(name.to_owned(), drawn(&mut streams, process));
    }
    all
}

#[test]
fn streams_do_not_depend_on_what_runs_beside() {
    let (one, other) = (compilers("cc -c a.c", "cc -c b.c"), compilers("cc -c b.c", "cc -c a.c"));
    assert_eq!(one, other);
    assert_ne!(one["cc -c a.c"], one["cc -c b.c"]);
}

#[test]
fn names_of_temporary_files_do_not_count() {
    let (one, other) = (compilers("cc1 a.c -o /tmp/cc1.s", "x"), compilers("cc1 a.c -o /tmp/cc2.s", "x"));
    assert_eq!(one["cc1 a.c -o /tmp/cc1.s"], other["cc1 a.c -o /tmp/cc2.s"]);
}

#[test]
fn each_process_and_each_draw_differs() {
    let mut streams = Streams::default();
    streams.fork(1, None);
    streams.execute(1, &argv("sh"));
    let mut all = vec![drawn(&mut streams, 1), drawn(&mut streams, 1)];
    for process in 2..5 {
        streams.fork(process, Some(1));
        all.push(drawn(&mut streams, process));
        streams.execute(process, &argv("mktemp"));
        all.push(drawn(&mut streams, process));
        streams.end(process);
    }
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    assert!(streams.draw(2, &mut [0]).is_none(), "it ended");
}

#[test]
fn the_stream_is_fixed_for_good() {
    let mut streams = Streams::default();
    streams.fork(1, None);
    streams.execute(1, &argv("true"));
    let mut bytes = [0; 16];
    streams.draw(1, &mut bytes).expect("a known process");
    assert_eq!(uuid(bytes), "fdf69e22-b3c5-4197-a53f-31aab2f57fc9\n");
}

#[test]
fn uuids_have_their_form() {
    assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff\n");
    assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000\n");
}
