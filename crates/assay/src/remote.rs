//! The client side of the program's HTTP borders: a server's API, and OCI registries of any maker.
//!
//! `http` sends and tries again, `auth` answers challenges, `api` speaks API version 1 of `assay serve`, `oci` speaks
//! OCI Distribution 1.1 <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>, `parcel` says what an
//! artifact looks like in a registry. Nothing that a server says is believed: blobs are checked against their digests
//! here, and statements are verified by whoever uses them.

pub(crate) mod address;
pub(crate) mod api;

mod auth;
pub(crate) mod copy;
pub(crate) mod dated;
mod http;
pub(crate) mod images;
pub(crate) mod import;
pub(crate) mod issuer_keys;
pub(crate) mod oci;
pub(crate) mod parcel;
pub(crate) mod place;
mod retry;
pub(crate) mod serving;
pub(crate) mod witness;
