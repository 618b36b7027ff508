//! The chain's own nouns, in the order in which data flows, and the walk over them.
//!
//! ```text
//! source ─ base ─ recipe ─ run ─ artifact ─ test ─ publication ─ verdict ─ deployment ─ observation
//! ```
//!
//! Nothing here does I/O, and nothing here is serializable: `attest` turns these values into statements at the edge
//! and back, so that a change of a noun is never by accident a change of a format. The one text format that lives
//! here, the tree manifest ([`tree`]), has its own version.

#![forbid(unsafe_code)]

pub mod tree;

pub mod source;

pub mod recipe;

pub mod run;

pub mod test;

pub mod verdict;

pub mod deployment;

pub mod lineage;
