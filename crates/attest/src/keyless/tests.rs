//! Bundles that nobody here wrote; where they come from stands in `tests/foreign/sigstore/README.md`.

mod foreign;
mod mock;
mod mutations;
mod opening;

use std::error::Error;
use std::fs;
use std::path::Path;

use wire::trusted_root::TrustedRoot;

use super::*;

fn file(name: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/foreign/sigstore");
    fs::read(directory.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn bundle(name: &str) -> Bundle {
    Bundle::parse(&file(&format!("{name}.sigstore.json"))).unwrap_or_else(|error| panic!("{name}: {}", all(&error)))
}

fn root(name: &str) -> TrustedRoot {
    TrustedRoot::parse(&file(&format!("{name}.trusted_root.json"))).expect("a trusted root")
}

fn authorities(name: &str) -> Authorities {
    Authorities::of(&root(name)).unwrap_or_else(|error| panic!("{name}: {}", all(&error)))
}

fn now() -> Timestamp {
    "2026-11-25T00:00:00Z".parse().expect("a time")
}

/// An error with its causes.
fn all(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// The digest that the bundle itself names, where its artifact is not kept here.
fn stated(bundle: &Bundle) -> Digest {
    match &bundle.content {
        Content::Message(message) => {
            let bytes = message.message_digest.as_ref().expect("a digest").digest.clone();
            Digest::Sha256(bytes.try_into().expect("32 bytes"))
        }
        Content::Envelope(envelope) => {
            let statement = Statement::parse(&envelope.payload).expect("a statement");
            statement.digests().find(|digest| digest.algorithm() == "sha256").expect("a subject")
        }
    }
}
