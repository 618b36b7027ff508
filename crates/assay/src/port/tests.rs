//! Tests of what `/proc/net/tcp` says, and of a real listener.

use std::net::TcpListener;

use super::*;

const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 48917 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 48918 1 0 20 4 0 10 -1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0
   3: 0100007F:XX 00000000:0000 0A
cut short";
const TCP6: &str = "header
   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 5 0 77 1 0
   1: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 5 0 78 1 0";

#[test]
#[cfg(target_endian = "little")]
fn tables_are_read() {
    let rows: Vec<String> = [TCP, TCP6]
        .iter()
        .flat_map(|text| listening(text))
        .map(|socket| format!("{} {} {} {}", socket.address, socket.port, socket.user, socket.inode))
        .collect();
    assert_eq!(rows, ["127.0.0.1 8080 1000 48917", "0.0.0.0 22 0 12", "::1 8080 5 77", "127.0.0.1 8080 5 78"]);
}

#[test]
fn only_loopback_addresses_can_be_looked_at() {
    let check = |url: &str, port: Option<u16>| assert_eq!(Local::of(url).map(|local| local.port), port, "{url}");
    check("http://127.0.0.1:8080/health", Some(8080));
    check("http://127.0.0.1", Some(80));
    check("http://localhost:99?x", Some(99));
    check("http://[::1]:7/", Some(7));
    check("http://[::1]/", Some(80));
    check("http://192.0.2.1:8080/", None);
    check("http://example.org:8080/", None);
    check("http://127.0.0.1:99999/", None);
    check("https://127.0.0.1:8443/", None);
    let local = Local::of("http://127.0.0.1:22/").expect("local");
    let served: Vec<bool> = listening(TCP).map(|socket| local.is_served_by(&socket)).collect();
    assert_eq!(served, [false, true], "a wildcard serves every address");
}

#[test]
fn a_listener_is_found_by_its_socket() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("an address").port();
    let local = Local::of(&format!("http://127.0.0.1:{port}/")).expect("local");
    // This very process is left out: it asks for others.
    let found = listeners(&local, "self").expect("readable");
    assert_eq!(found.iter().map(|one| one.processes.len()).collect::<Vec<_>>(), [0]);
    drop(socket);
    assert_eq!(listeners(&local, "self").expect("readable"), []);
}
