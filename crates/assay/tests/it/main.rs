//! All integration tests of the product, in one binary: what a user does, at the lowest boundary that shows it.

mod place;

mod tidy;
mod tiers;

mod chain;

mod foreign;

mod foreign_registry;

mod guide;

mod bad_input;

mod serving;

mod tamper;

mod ecosystems;

mod witness;

mod quickstart;

mod fuzz;

mod mishaps;

mod levels;

mod deploying;

mod normalise;

mod sigstore;

mod backup;

mod lint;

mod private_sigstore;

mod bases;

mod stages;

mod dockerfiles;

mod evidence;

mod keys;

mod encrypted_keys;

mod caching;

mod poisoned;

mod limits;

mod kit;
