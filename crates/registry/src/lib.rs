//! The rules of an OCI registry: uploads, manifests, referrers, tags and what may not change.
//!
//! Specification: OCI Distribution 1.1 <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>.
//!
//! Blobs are shared by digest across repositories; who may read one is decided by what a repository references. A push
//! and the move of a tag are logged statements, and the rows that say which tag points where are derived from them.
//! This crate doesn't know HTTP (`server` does) and holds no key: it is given a
//! [`Recorder`]. It deletes nothing but tags.

#![forbid(unsafe_code)]

pub mod access;

pub mod pattern;

pub mod upload;

pub mod uploads;

mod members;

pub mod referrer;

pub mod token;

mod referrers;

mod registry;

pub use referrers::REFERRERS_A_PAGE;
pub use registry::{
    Accepted, NewManifest, Parts, Pending, Push, RecordError, Recorder, Registry, RegistryError, StoreError,
    StoredManifest, TAGS_A_PUSH_MAX,
};
