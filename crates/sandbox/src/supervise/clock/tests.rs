//! Tests of the logical clock. Real time is far from the epoch, as in life.

use super::*;

const EPOCH_S: i64 = 1_700_000_000;
const REAL_S: i64 = 1_790_000_000;
const DEVICE: u64 = 7;

fn clock() -> Clock {
    Clock::new(EPOCH_S, HashSet::from([DEVICE]), REAL_S as u64 * SECOND_NS)
}

fn at(second: i64, nanosecond: u32) -> Time {
    Time { second, nanosecond }
}

/// Looks at a file whose times are all the same.
fn look(clock: &mut Clock, inode: u64, real: Time) -> Time {
    let times = FileTimes { accessed: real, modified: real, changed: real, born: real };
    clock.look((DEVICE, inode), times).modified
}

#[test]
fn a_target_is_newer_than_what_was_looked_at() {
    let mut clock = clock();
    let source = look(&mut clock, 1, at(EPOCH_S, 0));
    clock.write((DEVICE, 2));
    let object = look(&mut clock, 2, at(REAL_S + 1, 5));
    clock.write((DEVICE, 3));
    let program = look(&mut clock, 3, at(REAL_S + 2, 5));
    assert!(source < object && object < program, "{source:?} {object:?} {program:?}");
    // The source is changed after that: everything is older.
    clock.write((DEVICE, 1));
    assert!(look(&mut clock, 1, at(REAL_S + 3, 0)) > program);
    assert_eq!(program.second, EPOCH_S);
    assert!(u64::from(program.nanosecond) + (EPOCH_S as u64) * SECOND_NS < clock.base_ns(), "not in the future");
}

#[test]
fn order_of_writing_without_a_look_between_does_not_show() {
    let (mut one, mut other) = (clock(), clock());
    for (clock, order) in [(&mut one, [1, 2]), (&mut other, [2, 1])] {
        order.iter().for_each(|&inode| clock.write((DEVICE, inode)));
    }
    for inode in [1, 2] {
        assert_eq!(look(&mut one, inode, at(REAL_S + 1, 9)), look(&mut other, inode, at(REAL_S + 8, 2)));
    }
}

#[test]
fn looking_again_shows_the_same_until_it_changes() {
    let mut clock = clock();
    clock.write((DEVICE, 1));
    let first = look(&mut clock, 1, at(REAL_S + 1, 0));
    clock.write((DEVICE, 2));
    look(&mut clock, 2, at(REAL_S + 1, 0));
    assert_eq!(look(&mut clock, 1, at(REAL_S + 1, 0)), first);
    // Written through a descriptor that was open already.
    assert!(look(&mut clock, 1, at(REAL_S + 2, 0)) > first);
}

#[test]
fn what_a_program_set_is_shown() {
    let mut clock = clock();
    for time in [at(0, 0), at(315_532_800, 0), at(EPOCH_S, 0), at(EPOCH_S - 1, 999_999_999), at(EPOCH_S, 4)] {
        assert_eq!(look(&mut clock, 1, time), time);
    }
    // Set to the present: the same as written now.
    let present = Time::from_ns(clock.reading_ns(3));
    clock.touch((DEVICE, 9));
    assert_eq!(look(&mut clock, 9, present), at(EPOCH_S, 1));
    // To the second, as Perl and many shells set it.
    clock.touch((DEVICE, 10));
    assert_eq!(look(&mut clock, 10, at(EPOCH_S, 0)), at(EPOCH_S, 2));
    // Opening a source for writing without writing changes nothing.
    clock.write((DEVICE, 11));
    assert_eq!(look(&mut clock, 11, at(EPOCH_S, 0)), at(EPOCH_S, 0));
}

#[test]
fn sleeping_moves_files_and_clock_by_whole_seconds() {
    let mut clock = clock();
    clock.write((DEVICE, 1));
    clock.sleep(300_000_000);
    clock.write((DEVICE, 2));
    clock.sleep(700_000_000);
    clock.write((DEVICE, 3));
    let seconds = [1, 2, 3].map(|inode| look(&mut clock, inode, at(REAL_S + inode as i64, 0)).second - EPOCH_S);
    assert_eq!(seconds, [0, 0, 1]);
    assert_eq!(clock.base_ns(), EPOCH_S as u64 * SECOND_NS + SECOND_NS + AHEAD_NS);
    clock.wait_until(EPOCH_S as u64 * SECOND_NS + 9 * SECOND_NS);
    assert_eq!(clock.base_ns(), EPOCH_S as u64 * SECOND_NS + 9 * SECOND_NS);
    clock.wait_until(0);
    assert_eq!(clock.base_ns(), EPOCH_S as u64 * SECOND_NS + 9 * SECOND_NS, "never back");
}

#[test]
fn a_spinning_process_comes_to_its_moment() {
    let clock = clock();
    let readings_until = |seconds: u64| (0..).find(|&k| clock.reading_ns(k) >= clock.base_ns() + seconds * SECOND_NS);
    assert_eq!(readings_until(1), Some(1000));
    assert!(readings_until(3600).expect("it comes") < 61_000);
    assert!(clock.reading_ns(700) / SECOND_NS == clock.base_ns() / SECOND_NS, "700 readings in one second");
    assert_eq!(clock.reading_ns(u64::MAX), clock.reading_ns(READINGS_MAX), "no overflow");
}

#[test]
fn earlier_steps_settle() {
    let mut clock = clock();
    clock.write((DEVICE, 1));
    clock.sleep(5 * SECOND_NS);
    look(&mut clock, 1, at(REAL_S + 1, 0));
    clock.begin_step((REAL_S as u64 + 10) * SECOND_NS);
    assert_eq!(look(&mut clock, 1, at(REAL_S + 1, 0)), at(EPOCH_S, 0));
    assert_eq!(look(&mut clock, 2, at(REAL_S + 11, 0)), at(EPOCH_S, 1));
    assert_eq!(clock.base_ns(), EPOCH_S as u64 * SECOND_NS + AHEAD_NS);
}

#[test]
fn inputs_have_the_epoch() {
    let real = at(REAL_S - 9, 3);
    let times = FileTimes { accessed: real, modified: real, changed: real, born: real };
    let epoch = at(EPOCH_S, 0);
    let expected = FileTimes { accessed: epoch, modified: epoch, changed: epoch, born: epoch };
    assert_eq!(clock().look((DEVICE + 1, 1), times), expected);
}

#[test]
fn sleeps_to_a_moment_are_rounded() {
    assert_eq!((meant(999_990_000), meant(1), meant(0), meant(20_000_000)), (SECOND_NS, GRAIN_NS, 0, 20_000_000));
}
