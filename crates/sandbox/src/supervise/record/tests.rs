//! Tests of the book.

use super::*;
use crate::event::Event;

/// Runs a story, and returns its events.
fn tell_story(story: impl FnOnce(&mut Book, &mut Emit<'_>)) -> (Book, Vec<Event>) {
    let (mut book, mut events) = (Book::default(), Vec::new());
    story(&mut book, &mut |event: &Event| {
        events.push(event.clone());
        100
    });
    (book, events)
}

fn program(exe: &str) -> Program {
    Program { exe: exe.to_owned(), ..Program::default() }
}

#[test]
fn repetition_costs_nothing() {
    let (book, events) = tell_story(|book, emit| {
        book.fork(10, None, 2, 0, 1, emit);
        book.execute(10, program("/sh"), 2, emit);
        for _ in 0..1000 {
            book.access(10, "/a".to_owned(), AccessKind::Read, emit);
            book.deny(10, "mount".to_owned());
        }
        book.end(10, Exit::Code(0), (5, 6), 9, emit);
    });
    assert_eq!(events.len(), 8, "{events:?}");
    assert!(events.contains(&Event::Access { process: 0, path: 1, kind: AccessKind::Read, count: 1000 }));
    assert!(events.contains(&Event::Denied(Denied { process: 0, what: "mount".to_owned(), count: 1000 })));
    assert!(book.weight() < 12 && book.lost().0 == 0);
}

#[test]
fn randomness_is_told_by_source_and_kind() {
    let (book, events) = tell_story(|book, emit| {
        book.fork(10, None, 2, 0, 1, emit);
        book.execute(10, program("/sh"), 2, emit);
        for seeded in [true, true, false] {
            book.draw(10, "getrandom", seeded);
        }
        book.draw(99, "getrandom", true);
        book.end(10, Exit::Code(0), (5, 6), 9, emit);
    });
    let random = |seeded, count| Event::Random(Random { process: 0, source: "getrandom".to_owned(), seeded, count });
    assert!(events.contains(&random(true, 2)) && events.contains(&random(false, 1)), "{events:?}");
    assert_eq!(book.lost().0, 1, "of an unknown process");
}

#[test]
fn second_program_is_a_new_entry() {
    let (_, events) = tell_story(|book, emit| {
        book.fork(10, None, 2, 0, 1, emit);
        book.execute(10, program("/sh"), 2, emit);
        book.execute(10, program("/cat"), 3, emit);
        book.fork(11, Some(10), 3, 0, 4, emit);
        book.end(11, Exit::Code(1), (0, 0), 5, emit);
        book.end(10, Exit::Code(0), (0, 0), 6, emit);
    });
    let processes: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Process { id, pid, parent, replaces, executed, .. } => {
                Some((*id, *pid, *parent, *replaces, *executed))
            }
            Event::Fork { id, pid, parent, .. } => Some((*id, *pid, *parent, None, false)),
            _ => None,
        })
        .collect();
    let expected = [
        (0, 2, None, None, false),
        (0, 2, None, None, true),
        (1, 2, None, Some(0), true),
        (2, 3, Some(1), None, false),
    ];
    assert_eq!(processes, expected);
    let exec = |event: &&Event| matches!(event, Event::End { process: 0, exit: Exit::Exec(1), .. });
    assert_eq!(events.iter().filter(exec).count(), 1);
}

#[test]
fn strangers_are_losses() {
    let (book, _) = tell_story(|book, emit| {
        book.access(9, "/a".to_owned(), AccessKind::Read, emit);
        book.execute(9, program("/x"), 1, emit);
        book.deny(9, "mount".to_owned());
        book.reach(9, "connect", "192.0.2.1:1".to_owned(), false, 0);
        (0..20).for_each(|number| book.lose(format!("{number}")));
    });
    let (lost, told) = book.lost();
    assert_eq!((lost, told.len()), (24, 16));
}

#[test]
fn long_lines_weigh_more() {
    let mut book = Book::default();
    book.fork(1, None, 1, 0, 0, &mut |_| 1);
    book.execute(1, program("/x"), 0, &mut |_| 1 << 20);
    assert!(book.weight() > 256);
    book.end_all(1, &mut |_| 1);
    assert!(book.live.is_empty());
}

#[test]
fn text_loses_nothing() {
    assert_eq!(text(b"plain \xc3\xa9"), "plain \u{e9}");
    assert_eq!(text(b"a\xff\xfeb"), "a\\xff\\xfeb");
}

/// What many paths cost: they are forgotten before they are too many, and what is held back is told.
#[test]
fn memory_is_bounded_however_many_paths_there_are() {
    let mut live = crate::trace::live::Live::default();
    let (mut told, mut forgotten, mut held_max) = (0_u64, 0, 0);
    let mut book = Book::default();
    let mut emit = |event: &Event| {
        live.take(event).expect("a reader can follow");
        match event {
            Event::Access { count, .. } => told += count,
            Event::Forget => forgotten += 1,
            _ => {}
        }
        10
    };
    book.fork(10, None, 2, 0, 1, &mut emit);
    book.execute(10, program("/sh"), 2, &mut emit);
    let many = 3 * PATHS_MAX;
    for number in 0..many {
        book.access(10, format!("/build/{number}"), AccessKind::Read, &mut emit);
        held_max = held_max.max(book.held);
        assert!(book.paths.len() <= PATHS_MAX);
    }
    book.end(10, Exit::Code(0), (0, 0), 3, &mut emit);
    assert_eq!((told, forgotten, book.held), (many as u64 + 1, 3, 0));
    assert!(held_max <= HELD_MAX, "{held_max}");
    assert!(book.weight() >= 2 * many as u64, "each counts for the limit of events");
}

#[test]
fn long_paths_are_forgotten_sooner() {
    let (mut book, mut forgotten) = (Book::default(), 0);
    let mut emit = |event: &Event| {
        forgotten += usize::from(*event == Event::Forget);
        10
    };
    book.fork(10, None, 2, 0, 1, &mut emit);
    let long = "d/".repeat(2000);
    for number in 0..10_000 {
        book.access(10, format!("/{long}{number}"), AccessKind::Missing, &mut emit);
        assert!(book.path_bytes <= PATH_BYTES_MAX);
    }
    assert_eq!(forgotten, 10_000 * 4000 / PATH_BYTES_MAX);
}

/// What has no path is bounded by the tick: a flood of addresses too.
#[test]
fn a_flood_of_addresses_is_told_at_the_tick() {
    let (mut book, mut told) = (Book::default(), 0);
    let mut emit = |event: &Event| {
        told += usize::from(matches!(event, Event::Network(_)));
        10
    };
    book.fork(10, None, 2, 0, 1, &mut emit);
    for number in 0..HELD_MAX {
        book.reach(10, "connect", format!("192.0.2.1:{number}"), false, 101);
    }
    book.ease(&mut emit);
    assert_eq!((told, book.held), (HELD_MAX, 0));
}
