//! Runs real plans, as root and as an ordinary user, and prints what the standard test harness would.
//!
//! A harness of its own, because this program is also the supervisor (`__supervise`) and some of the hostile programs. Started by
//! root it runs every test as root, then starts a copy of itself as user 65534 and runs them all again; started by a user it runs the user's
//! half and says so. Arguments: words that a test's name must hold; `--measure`, `--tiers`, `--scale` and `--scripts` run the
//! measurements instead.

#![allow(clippy::print_stdout, reason = "a test harness speaks on standard output")]

mod escape;
mod evidence;
mod files;
mod harness;
mod isolation;
mod levels;
mod limits;
mod measure;
mod network;
mod processes;
mod scripts;
mod survivors;
mod tiers;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(sandbox::SUPERVISE) => sandbox::supervise(),
        Some("__inside") => harness::inside(&arguments[1..]),
        Some("__caller") => survivors::caller(&arguments[1..]),
        Some("__probe") => levels::print_probe(),
        Some("--measure") => measure::measure(),
        Some("--scale") => evidence::scale(&arguments[1..]),
        Some("--scripts") => scripts::measure::race(&arguments[1..]),
        Some("--tiers") => measure::race_tiers(&arguments[1..]),
        _ => std::process::exit(harness::run_all(&arguments, &tests())),
    }
}

fn tests() -> Vec<harness::Row> {
    let named = [
        evidence::TESTS,
        processes::TESTS,
        files::TESTS,
        network::TESTS,
        isolation::TESTS,
        limits::TESTS,
        levels::TESTS,
        survivors::TESTS,
        tiers::TESTS,
        scripts::TESTS,
        escape::TESTS,
    ];
    named.into_iter().flatten().map(harness::Row::from).chain(escape::rows()).collect()
}
