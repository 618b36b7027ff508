//! Tests of the table of calls.

use std::collections::BTreeSet;

use super::*;
use crate::tier::Tier;

const OWN: Settings = Settings { own_network: true, affinity: true, host_name: true };

#[test]
fn each_call_stands_once() {
    for tier in Tier::ALL {
        let rules = rules(OWN, Knobs { tier, ..Knobs::default() });
        let numbers: BTreeSet<i64> = rules.iter().map(|rule| rule.number).collect();
        assert_eq!(numbers.len(), rules.len());
        assert!(numbers.iter().all(|&number| (0..UNKNOWN_FROM).contains(&number)));
    }
}

#[test]
fn refusals_are_described() {
    let describe = |number: i64, arguments: [u64; 6]| {
        let all = rules(OWN, Knobs::default());
        let rule = all.iter().find(|rule| rule.number == number).expect("a rule");
        assert!(rule.when.holds(&arguments));
        super::describe(rule, &arguments)
    };
    let first = |argument: libc::c_int| [argument as u32 as u64, 0, 0, 0, 0, 0];
    assert_eq!(
        describe(libc::SYS_clone, first(libc::CLONE_NEWUSER | libc::CLONE_NEWNET)),
        "clone(CLONE_NEWUSER|CLONE_NEWNET)"
    );
    assert_eq!(describe(libc::SYS_clone, first(libc::CLONE_UNTRACED)), "clone(CLONE_UNTRACED)");
    assert_eq!(describe(libc::SYS_unshare, first(0x80)), "unshare(0x80)");
    assert_eq!(describe(libc::SYS_socket, first(libc::AF_VSOCK)), "socket(AF_VSOCK)");
    assert_eq!(describe(libc::SYS_socket, first(99)), "socket(family 99)");
    assert_eq!(describe(libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0, 0, 0]), "ioctl(TIOCSTI)");
}

#[test]
fn conditions_look_at_the_low_half_as_the_kernel_does() {
    assert!(When::Is(1, &[5]).holds(&[0, 0xffff_ffff_0000_0005, 0, 0, 0, 0]));
    assert!(!When::IsNot(0, &[1]).holds(&[0x1_0000_0001, 0, 0, 0, 0, 0]));
    assert!(When::NonZero(4).holds(&[0, 0, 0, 0, 1 << 32, 0]));
    assert!(!When::Bits(0, 6).holds(&[9, 0, 0, 0, 0, 0]));
}
