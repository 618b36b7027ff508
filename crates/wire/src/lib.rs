//! The standards' documents, one module for each specification, as plain data.
//!
//! This crate parses, prints and hashes; it never reads a file, opens a socket or decides anything,
//! and it does not know the application. Each module's header links the specification it follows.
//! Everything parsed here comes from outside, so every parser has a stated limit.

pub mod digest;
pub mod dsse;
pub mod in_toto;
pub mod jcs;
pub mod timestamp;
