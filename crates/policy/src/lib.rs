//! The gate: evidence and a policy in, a verdict with reasons out.
//!
//! ```text
//! Policy::parse(text) ──┐
//! Evidence{Attestation…}┴─ gate(policy, evidence, environment, now) ──> Verdict{rules[{result, found, evidence, fix}]}
//! ```
//!
//! Results are three-valued, and unknown denies: evidence that is missing never reads as evidence that is good. The
//! sentence that a rule gives is made by the code that decided, so it cannot disagree with it. Format of policies:
//! `docs/formats/policy.md`, version 1.
//!
//! **Which statement counts.** Only attestations count (signature good, signer accepted, see `attest`), only by signers
//! with the role for that kind of statement, and only those about the subject. Of the run statements the newest counts,
//! by log index; of test, rebuilt and reference statements the newest of each signer. Indexes of different logs cannot
//! be compared, and a statement that no log holds has none: such statements all count, and one that speaks against
//! decides.
//!
//! **The law of missing evidence.** Let one statement be taken away. If the verdict was not a pass and becomes one, then
//! that statement stands in the `evidence` of a rule that did not pass: it spoke against the artifact, or was the newest
//! that counted. And no policy passes without any statement. So evidence that is lost, withheld or late can deny, and can
//! allow only where the verdict before named the very statement.
//!
//! Deliberately absent: I/O, a clock (`now` is an argument), waivers, and any expression language.

#![forbid(unsafe_code)]

mod evidence;

mod gate;

mod pattern;

mod params;

mod policy;

mod problem;

pub mod rules;

mod starter;

pub use evidence::{Evidence, Live, Refused};
pub use gate::{INTEGRITY, gate, integrity};
pub use params::Parameter;
pub use pattern::Pattern;
pub use policy::Policy;
pub use problem::Problem;
pub use starter::starter;

#[cfg(test)]
mod tests;
