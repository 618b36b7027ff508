//! The `assay` program: parses what was typed, runs one command, and turns its answer into an exit code.
//!
//! Exit 0 is yes or done, 1 an honest no, 2 could not tell. The hidden first arguments `__supervise`, `__signer`,
//! `__service` and `__inside` are other processes of the same binary: the sandbox's supervisor, the signer, a service's keeper, and one
//! that looks at a service from within its network.

#![forbid(unsafe_code)]
// The doc comments of commands are their help, read on a terminal, not by rustdoc.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::invalid_html_tags, rustdoc::bare_urls)]

mod cli;
mod commands;
mod context;
mod error;
mod report;

mod authority;
mod home;
mod keys;
mod machine;
mod runs;
mod session;
mod signer;

mod fetch;
mod inputs;
mod project;
mod proxy;
mod recording;
mod resolve;

mod building;
mod layout;
mod missing;

mod normalising;

mod judge;
mod verdicts;

mod trail;

mod kit;
mod walk;

mod deploying;
mod dockerfile;
mod limit;
mod live;
mod port;
mod rehash;
mod release;
mod reuse;
mod runbook;
mod service;

mod copy;
mod example;
mod pipeline;
mod remote;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|text| text.to_string_lossy().into_owned()).collect();
    match arguments.first().map(String::as_str) {
        Some("__supervise") => sandbox::supervise(),
        Some("__signer") => return ExitCode::from(signer::main(&arguments[1..])),
        Some("__service") => return ExitCode::from(service::keeper::main(&arguments[1..])),
        Some("__inside") => return ExitCode::from(service::inside::main(&arguments[1..])),
        _ => {}
    }
    let typed = match cli::Cli::try_parse() {
        Ok(typed) => typed,
        Err(error) => {
            let _closed = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    ExitCode::from(commands::run(typed))
}
