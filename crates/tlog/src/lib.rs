//! The append-only log: Merkle arithmetic, tiles, checkpoints, the pure sequencing step, and the check of a bundle's entry.
//!
//! Specifications: RFC 6962 <https://www.rfc-editor.org/rfc/rfc6962>, C2SP tlog-tiles <https://c2sp.org/tlog-tiles>,
//! tlog-checkpoint <https://c2sp.org/tlog-checkpoint>, tlog-witness <https://c2sp.org/tlog-witness> and tlog-policy
//! <https://c2sp.org/tlog-policy>.
//!
//! Nothing here reads or writes a file: [`step`] says what must be made durable and in which order, and who holds tiles
//! hands them in as a function from path to bytes.

#![forbid(unsafe_code)]

pub mod merkle;

pub mod tile;

pub mod checkpoint;

pub mod entry;

pub mod index;

pub mod proposal;

pub mod staging;

pub mod witness;

pub mod quorum;

mod append;
mod logged;
mod receipt;

pub use append::{Head, HeadError, LEAF_SIZE_MAX, Leaf, LeafError, Step, TileSink, step};
pub use logged::{LogError, Logged, keyless, verify, verify_blob, verify_index};
pub use receipt::{Receipt, ReceiptError};

#[cfg(test)]
mod testlog;
