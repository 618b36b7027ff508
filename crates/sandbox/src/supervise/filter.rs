//! The seccomp filter, assembled from the table of calls.
//!
//! Reference: `seccomp(2)`, classic BPF of `Documentation/networking/filter.rst`. Each rule is one block that is entered when the number
//! matches and always ends in a return, so no jump is longer than its block. Calls that no rule names are allowed, and the kernel
//! remembers that by itself (since 5.11), so they cost nothing. Anything but x86-64 is killed.

use libc::sock_filter;

use super::calls::{Rule, Then, UNKNOWN_FROM, When, X32};

#[cfg(test)]
mod tests;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const ANY_BIT: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const NUMBER: u32 = 0; // offsets in struct seccomp_data
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
const X86_64: u32 = 0xc000_003e;

const ALLOW: u32 = 0x7fff_0000;
const TRACE: u32 = 0x7ff0_0000;
const KILL: u32 = 0x8000_0000;
const ERROR: u32 = 0x0005_0000;

/// Returns the program for a table of calls.
pub(super) fn program(rules: &[Rule]) -> Vec<sock_filter> {
    let mut program = vec![
        instruction(LOAD, ARCHITECTURE, 0, 0),
        instruction(EQUAL, X86_64, 1, 0),
        instruction(RETURN, KILL, 0, 0),
        instruction(LOAD, NUMBER, 0, 0),
        instruction(AT_LEAST, X32, 0, 1),
        instruction(RETURN, KILL, 0, 0),
        instruction(AT_LEAST, UNKNOWN_FROM as u32, 0, 1),
        instruction(RETURN, ERROR | libc::ENOSYS as u32, 0, 0),
    ];
    for rule in rules {
        let block = block(rule);
        program.push(instruction(EQUAL, rule.number as u32, 0, block.len() as u8));
        program.extend(block);
    }
    program.push(instruction(RETURN, ALLOW, 0, 0));
    program
}

fn block(rule: &Rule) -> Vec<sock_filter> {
    let action = match rule.then {
        Then::Absent => ERROR | libc::ENOSYS as u32,
        _ => TRACE,
    };
    let yes = instruction(RETURN, action, 0, 0);
    let no = instruction(RETURN, ALLOW, 0, 0);
    let low = |index: usize| instruction(LOAD, ARGUMENTS + 8 * index as u32, 0, 0);
    let high = |index: usize| instruction(LOAD, ARGUMENTS + 8 * index as u32 + 4, 0, 0);
    match rule.when {
        When::Always => vec![yes],
        When::Bits(index, bits) => vec![low(index), instruction(ANY_BIT, bits, 0, 1), yes, no],
        When::NonZero(index) => {
            vec![low(index), instruction(EQUAL, 0, 0, 2), high(index), instruction(EQUAL, 0, 1, 0), yes, no]
        }
        When::IsWith(index, values, other) => {
            let mut block = among_then(low(index), values, no);
            block.extend([low(other), instruction(EQUAL, 0, 0, 2), high(other), instruction(EQUAL, 0, 1, 0), yes, no]);
            block
        }
        When::Is(index, values) => among(low(index), values, yes, no),
        When::IsNot(index, values) => among(low(index), values, no, yes),
    }
}

/// `inside` if the loaded word is one of `values`, else `outside`.
fn among(load: sock_filter, values: &[u32], inside: sock_filter, outside: sock_filter) -> Vec<sock_filter> {
    let mut block = vec![load];
    for (index, &value) in values.iter().enumerate() {
        let after = (values.len() - 1 - index) as u8;
        block.push(instruction(EQUAL, value, after + 1, 0));
    }
    block.extend([outside, inside]);
    block
}

/// Goes on behind the block if the loaded word is one of `values`, else ends with `outside`.
fn among_then(load: sock_filter, values: &[u32], outside: sock_filter) -> Vec<sock_filter> {
    let mut block = vec![load];
    for (index, &value) in values.iter().enumerate() {
        let after = (values.len() - 1 - index) as u8;
        block.push(instruction(EQUAL, value, after + 1, 0));
    }
    block.push(outside);
    block
}

fn instruction(code: u16, value: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { code, jt: yes, jf: no, k: value }
}
