//! The filter is run here by a small machine of our own and compared with the table, call by call.

use super::*;
use crate::supervise::calls::{Knobs, Settings, rules};
use crate::tier::Tier;

fn run(program: &[sock_filter], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let word = |offset: u32| match offset {
        NUMBER => number,
        ARCHITECTURE => architecture,
        _ => {
            let (index, half) = ((offset - ARGUMENTS) / 8, (offset - ARGUMENTS) % 8);
            (arguments[index as usize] >> (8 * half)) as u32
        }
    };
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let one = program[at];
        at += 1;
        let taken = match one.code {
            LOAD => {
                accumulator = word(one.k);
                continue;
            }
            RETURN => return one.k,
            EQUAL => accumulator == one.k,
            AT_LEAST => accumulator >= one.k,
            ANY_BIT => accumulator & one.k != 0,
            code => panic!("instruction {code:#x}"),
        };
        at += usize::from(if taken { one.jt } else { one.jf });
    }
}

/// Argument values that lie on both sides of every condition of the table.
const VALUES: [u64; 15] =
    [0, 1, 2, 4, 5, 8, 10, 11, 16, 393, 0x5412, 0x0080_0000, 0x1000_0000, 0xffff_ffff, 0x1_0000_0000];

#[test]
fn filter_agrees_with_the_table() {
    let settings = [(true, true), (true, false), (false, false)].map(|(own_network, told)| Settings {
        own_network,
        affinity: told,
        host_name: told,
    });
    let knobs = Tier::ALL.map(|tier| Knobs { tier, ..Knobs::default() });
    for (settings, knobs) in settings.into_iter().flat_map(|settings| knobs.map(|knobs| (settings, knobs))) {
        let rules = rules(settings, knobs);
        let program = program(&rules);
        assert!(program.len() < 4096, "the kernel takes no more");
        for number in 0..UNKNOWN_FROM {
            let rule = rules.iter().find(|rule| rule.number == number);
            let singles = (0..6).flat_map(|index| VALUES.map(|value| (index, value)));
            // A second argument counts for some: once with nothing else, once with a time.
            for ((index, value), time) in singles.flat_map(|single| [(single, 0), (single, 1 << 32)]) {
                let mut arguments = [0, 0, 0, time, 0, 0];
                arguments[index] = value;
                let expected = match rule {
                    Some(rule) if !rule.when.holds(&arguments) => ALLOW,
                    Some(rule) if rule.then == Then::Absent => ERROR | libc::ENOSYS as u32,
                    Some(_) => TRACE,
                    None => ALLOW,
                };
                let found = run(&program, X86_64, number as u32, arguments);
                assert_eq!(found, expected, "call {number}, argument {index} = {value:#x}");
            }
        }
    }
}

#[test]
fn foreign_entries_die_and_unknown_calls_are_absent() {
    let program = program(&rules(Settings { own_network: true, affinity: false, host_name: false }, Knobs::default()));
    const I386: u32 = 0x4000_0003;
    assert_eq!(run(&program, I386, 20, [0; 6]), KILL);
    assert_eq!(run(&program, X86_64, X32 + 39, [0; 6]), KILL);
    assert_eq!(run(&program, X86_64, u32::MAX, [0; 6]), KILL);
    for number in [UNKNOWN_FROM as u32, 1000] {
        assert_eq!(run(&program, X86_64, number, [0; 6]), ERROR | libc::ENOSYS as u32);
    }
}

#[test]
fn without_an_own_network_no_socket_is_allowed() {
    let program = program(&rules(Settings { own_network: false, affinity: false, host_name: false }, Knobs::default()));
    let socket = libc::SYS_socket as u32;
    assert_eq!(run(&program, X86_64, socket, [libc::AF_UNIX as u64, 0, 0, 0, 0, 0]), TRACE);
    assert!(program.len() < 4096, "the kernel takes no more");
}
