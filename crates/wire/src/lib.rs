//! The standards' documents, one module for each specification, as plain data.
//!
//! This crate parses, prints and hashes; it never reads a file, opens a socket or decides anything,
//! and it does not know the application. Each module's header links the specification it follows.
//! Everything parsed here comes from outside, so every parser has a stated limit.

#![forbid(unsafe_code)]

pub mod base64;
pub mod cyclonedx;

pub mod digest;
pub mod jcs;
pub mod pem;
pub mod timestamp;

pub mod dsse;
pub mod in_toto;

pub mod slsa_provenance;
pub mod test_result;
pub mod vsa;

pub mod note;
pub mod tlog_policy;
pub mod tlog_proof;
pub mod tlog_witness;

pub mod fulcio;
pub mod jwt;
pub mod rekor;
pub mod signing_config;
pub mod sigstore_bundle;
pub mod trusted_root;

pub mod oci_distribution;
pub mod oci_image;

pub mod purl;

pub mod mutation;
