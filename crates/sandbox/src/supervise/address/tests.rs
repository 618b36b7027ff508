//! Tests of socket addresses.

use super::*;

fn bytes(family: i32, rest: &[u8]) -> Vec<u8> {
    [&(family as u16).to_ne_bytes()[..], rest].concat()
}

#[test]
fn addresses_are_read() {
    let check = |bytes: &[u8], expected: Option<(&str, bool)>| {
        let found = internet(bytes);
        assert_eq!(found.as_ref().map(|one| (one.address.as_str(), one.loopback)), expected);
    };
    check(&bytes(libc::AF_INET, &[1, 187, 192, 0, 2, 1, 0, 0]), Some(("192.0.2.1:443", false)));
    check(&bytes(libc::AF_INET, &[0, 80, 127, 0, 0, 53]), Some(("127.0.0.1:80".replace("0.1", "0.53").as_str(), true)));
    check(&bytes(libc::AF_INET, &[0, 80, 0, 0, 0, 0]), Some(("0.0.0.0:80", true)));
    check(&bytes(libc::AF_INET, &[0, 80]), Some(("AF_INET", false)));
    let mut six = vec![0, 80, 0, 0, 0, 0];
    six.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    check(&bytes(libc::AF_INET6, &six), Some(("[2001:db8::1]:80", false)));
    let mut mapped = vec![0, 80, 0, 0, 0, 0];
    mapped.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1]);
    check(&bytes(libc::AF_INET6, &mapped), Some(("[::ffff:127.0.0.1]:80", true)));
    check(&bytes(libc::AF_VSOCK, &[0; 14]), Some(("AF_VSOCK", false)));
    for quiet in [libc::AF_UNIX, libc::AF_NETLINK, libc::AF_UNSPEC] {
        check(&bytes(quiet, &[0; 14]), None);
    }
    check(&[], None);
    check(&[2], None);
}

#[test]
fn random_bytes_never_panic() {
    let mut state = 7_u64;
    for length in (0..=ADDRESS_MAX).cycle().take(4000) {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as u8 & if state & 64 == 0 { 0x0f } else { 0xff }
            })
            .collect();
        internet(&bytes);
    }
}
