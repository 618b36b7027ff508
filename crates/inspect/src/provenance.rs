//! What somebody else's provenance says, and what it leaves open, field by field.
//!
//! ```text
//! a file → documents (statements, out of whatever wraps them) → a view of SLSA v0.2 or v1 → findings, a grade for each field
//! ```
//!
//! Nothing here checks a signature: a graded statement may be forged. It says what a true one would be worth.
//!
//! Sources: SLSA Provenance v1 <https://slsa.dev/spec/v1.2/build-provenance>, v0.2 <https://slsa.dev/spec/v0.2/provenance>,
//! in-toto Statement <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>, and what builders of the field
//! are known to leave out or to get wrong, each named at its check.

use serde_json::Value;

mod document;
mod grade;
mod view;

pub use document::{Document, DocumentError, Layer, documents};
pub use grade::{Finding, Grade};

/// The largest file that is read.
pub const SIZE_MAX: usize = 32 << 20;

/// How many statements a file may hold.
pub const DOCUMENTS_MAX: usize = 1_000;

/// A graded statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graded {
    /// Its predicate type, as it stands.
    pub predicate_type: String,
    /// Who makes such provenance, as far as its build type tells.
    pub producer: Option<&'static str>,
    /// One for each field, in the order of the specification.
    pub findings: Vec<Finding>,
}

impl Graded {
    /// Percent of what there is to say: a good field counts two, a weak one counts one.
    pub fn score(&self) -> u32 {
        let points: u32 = self.findings.iter().map(|finding| finding.grade.points()).sum();
        let most = Grade::Good.points() * self.findings.len() as u32;
        (100 * points).checked_div(most).unwrap_or(0)
    }

    /// Whether something in it contradicts its specification or itself.
    pub fn has_wrong(&self) -> bool {
        self.findings.iter().any(|finding| finding.grade == Grade::Wrong)
    }
}

/// Grades a statement; `None` when it is no SLSA provenance.
pub fn grade(statement: &Value) -> Option<Graded> {
    let view = view::View::of(statement)?;
    let findings = grade::findings(&view);
    Some(Graded { predicate_type: view.predicate_type.to_owned(), producer: view.producer(), findings })
}

#[cfg(test)]
mod tests;
