//! Nothing outside can be reached, and each attempt is told with its process and address.

use sandbox::outcome::Network;

use crate::harness::{Bench, Test, process};

pub(crate) const TESTS: &[Test] = &[
    ("attempts_are_told", attempts_are_told),
    ("loopback_is_no_way_out", loopback_is_no_way_out),
    ("loopback_is_down_unless_asked_for", loopback_is_down_unless_asked_for),
    ("abstract_sockets_of_the_host", abstract_sockets_of_the_host),
    ("only_loopback_exists", only_loopback_exists),
];

// M2.1
fn attempts_are_told() {
    let script = "h=/tools/hostile; $h tcp 192.0.2.1 443; $h udp 192.0.2.2 53 connect; $h udp 192.0.2.3 53 sendto; \
                  $h udp 192.0.2.4 53 sendmsg; /tools/hostile-static udp 192.0.2.5 53 sendmmsg; $h tcp6 2001:db8::1 80; true";
    let mut bench = Bench::new("attempts", script);
    let outcome = bench.pass();
    assert_eq!(bench.output.matches("ENETUNREACH").count(), 5, "{}", bench.output);
    let told = |one: &Network| format!("{} {} {}", one.call, one.address, one.errno);
    let all: Vec<String> = outcome.network.iter().map(told).collect();
    let expected = [
        "connect 192.0.2.1:443 101",
        "connect 192.0.2.2:53 101",
        "sendto 192.0.2.3:53 101",
        "sendmsg 192.0.2.4:53 101",
        "sendmmsg 192.0.2.5:53 101",
        "connect [2001:db8::1]:80 99",
    ];
    assert_eq!(all, expected);
    assert!(outcome.network.iter().all(|one| !one.loopback));
    let program = process(&outcome, "/hostile-static");
    assert_eq!(outcome.network[4].process, program.id);
}

fn loopback_is_no_way_out() {
    let mut bench = Bench::new("loopback", "/tools/hostile loopback");
    bench.plan.loopback = true;
    let outcome = bench.pass();
    assert_eq!(bench.output, "loopback: ok\n");
    let one = &outcome.network[0];
    assert!(one.loopback && one.errno == 0 && one.address.starts_with("127.0.0.1:"), "{one:?}");
}

fn loopback_is_down_unless_asked_for() {
    let mut bench = Bench::new("no-loopback", "/tools/hostile tcp 127.0.0.1 80; true");
    let outcome = bench.pass();
    let one = &outcome.network[0];
    assert!(one.loopback && one.errno == libc::ENETUNREACH, "{one:?}");
}

fn abstract_sockets_of_the_host() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("sandbox-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
    let _host = std::os::unix::net::UnixListener::bind_addr(&address).expect("an abstract socket of the host");
    let mut bench = Bench::new("abstract", &format!("/tools/hostile abstract {name}; true"));
    bench.pass();
    assert_eq!(bench.output, "abstract: ECONNREFUSED\n");
}

fn only_loopback_exists() {
    let mut bench = Bench::new("interfaces", "tail -n +3 /proc/net/dev | cut -d: -f1");
    bench.pass();
    assert_eq!(bench.output.trim(), "lo");
}
