//! Protocol sessions against a server on a real port: request, then asserts.

mod bench;
mod client;

mod access;
mod chain;
mod conformance;
mod dashboard;
mod keyless;
mod manifests;
mod rekor;
mod sigstore;
mod tools;
mod uploads;
mod witness;
