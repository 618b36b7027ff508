//! Runs a plan in Linux namespaces and reports every process and every file that it touched.
//!
//! References: `namespaces(7)`, `ptrace(2)`, `seccomp(2)`, `landlock(7)`, `mount_setattr(2)` (Linux man-pages 6.9); kernel 5.12 or newer.
//! A caller gives a [`plan::Plan`] (what to do, the same on every machine) and a [`plan::Host`] (where this machine keeps
//! things) to [`run`]; a re-executed, single-threaded supervisor process does the rest, [`outcome::Summary`] and the events tell what happened.
//!
//! ```text
//! caller ──plan, go──▶ supervisor (tracer, outside) ──clone──▶ init (pid 1: mounts, forks) ──▶ step (uid 1000, no capabilities)
//!    ▲                      │ events ([`trace::codec`])                                         │
//!    └──────────────────────┴───────────────────────────────── stdout, stderr ◀─────────────────┘
//! ```
//!
//! Deliberately absent: what a build is; configuration; the network ([`network`] makes an empty one for a process beside; [`door`] is the one way out, and who answers there is the caller).
//! How much of the machine a step sees is its [`tier::Tier`].
//! Evidence comes from `ptrace` alone, never from a preloaded library: static programs and raw system calls are seen alike.
//! This is the only room with `unsafe`; `sys` holds nearly all of it.

pub mod door;
pub mod error;
pub mod event;
pub mod network;
pub mod outcome;
pub mod plan;
pub mod probe;
pub mod script;
pub mod tier;
pub mod trace;

mod machine;
mod run;
mod supervise;
mod sys;

pub use run::run;
pub use supervise::supervise;

/// The argument by which the re-executed program knows that it is a supervisor.
pub const SUPERVISE: &str = "__supervise";
