//! Tests of the auxiliary vector, on this process's own.

use super::*;

#[test]
fn entries_are_found() {
    let vector = std::fs::read("/proc/self/auxv").expect("a vector");
    let page = auxiliary(&vector, libc::AT_PAGESZ).expect("the size of a page");
    assert!(page.is_power_of_two() && auxiliary(&vector, libc::AT_RANDOM).is_some());
    assert_eq!(auxiliary(&vector, 0xdead), None);
    assert_eq!(auxiliary(&vector[..7], libc::AT_PAGESZ), None, "cut short");
    assert_eq!(auxiliary(&[], libc::AT_PAGESZ), None);
}

#[test]
fn readings_are_counted_behind_the_programs_name() {
    let vector = std::fs::read("/proc/self/auxv").expect("a vector");
    let own = std::process::id() as pid_t;
    let place = counter(own, auxiliary(&vector, libc::AT_EXECFN)).expect("the last word of the stack");
    let stack = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let stack = stack.lines().find(|line| line.ends_with("[stack]")).expect("a stack");
    let end = stack.split([' ', '-']).nth(1).expect("its end");
    assert_eq!(u64::from_str_radix(end, 16), Ok(place + 8));
    assert!(counter(own, None).is_err() && counter(own, Some(place)).is_err(), "no name there");
}
