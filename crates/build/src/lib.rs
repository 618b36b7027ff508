//! From specification and lock to a plan, and from what a run left to the record of a build.
//!
//! ```text
//! assay.toml ─ spec ─┐
//! lock files ─ lock ─┴─ plan ─ (sandbox runs it) ─ record ─ compare
//! ```
//!
//! This crate knows what a build is; it signs nothing and names neither HTTP nor a database. What it must read or
//! keep, it asks of three small traits: [`inputs::Inputs`] (bytes and trees by digest), [`inputs::Fetch`] (a URL's
//! bytes) and [`inputs::Images`] (an image's parts out of a registry). Making a lock is the only phase with a network.

#![forbid(unsafe_code)]

pub mod problem;

mod document;

pub mod spec;

pub mod init;

pub mod check;

pub mod inputs;

pub mod ecosystem;

pub mod dpkg;

pub mod base;

pub mod toolchain;

pub mod lock;

pub mod source;

pub mod image;

pub mod normalise;

pub mod pin;

pub mod plan;

pub mod stage;

pub mod dockerfile;

pub mod record;

pub mod compare;

pub mod test_report;

pub mod attempts;

pub mod reached;

#[cfg(test)]
mod testing;
