//! What must still be there tomorrow: blobs and trees by digest, the log's files, the ledger, and the seal over them.
//!
//! ```text
//! DATA/VERSION        "assay data 1\n"
//!      lock           who has the directory open; empty when nobody
//!      blobs/         bytes by digest                                    blobs
//!      trees/         directories by digest                              trees
//!      log/           key, head, checkpoint, tiles                       log
//!      ct/            the log of issued certificates                     certificates
//!      ledger.sqlite  a view of log and blobs, rebuilt by reindex        ledger
//!      uploads/       bytes of unfinished uploads, safe to lose          `registry`
//!      tmp/           unfinished files, removed at opening               durable
//!      seal.json      digests of all that may change, while closed       seal
//! ```
//!
//! Order of durability: blob → log leaves → acknowledged; the ledger follows the log by a cursor. Nothing here knows
//! HTTP, a registry's rules or a policy. Blobs, trees and the log are synchronous; what speaks to the ledger is async.

#![forbid(unsafe_code)]

pub mod durable;

pub mod blobs;

pub mod trees;

pub mod lock;

pub mod seal;

pub mod log;

pub mod ledger;

pub mod certificates;

pub mod home;

pub mod backup;

pub mod fsck;

pub mod witness;

#[cfg(test)]
mod sample;

#[cfg(test)]
mod scratch;
