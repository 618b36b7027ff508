//! What a log asks of a witness, and what a witness answers. Text form only; `sign` and `tlog` check what it says.
//!
//! Specification: C2SP tlog-witness <https://c2sp.org/tlog-witness>.
//!
//! ```text
//! old 20852014
//! PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
//! jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
//!
//! example.com/behind-the-sofa
//! 20852163
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — example.com/behind-the-sofa Az3grlgtzPICa5OS8npV…
//! ```

use std::fmt;

use crate::base64;
use crate::note::{self, Signature};

/// The path of the call, below the witness's submission prefix.
pub const ADD_CHECKPOINT: &str = "/add-checkpoint";

/// The content type of the answer that names the size which the witness knows.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// How many hashes a consistency proof may have: one for each level of a tree of 2⁶³ leaves.
pub const PROOF_MAX: usize = 63;

/// The largest request that is read: the proof's lines and a note of the largest size.
pub const REQUEST_MAX: usize = note::SIZE_MAX + (PROOF_MAX + 2) * 64;

/// The largest answer that is read.
pub const ANSWER_MAX: usize = note::SIZE_MAX;

/// A request to cosign a checkpoint. Nothing has been checked but the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the checkpoint that the witness cosigned last, as far as the log knows; 0 if it never did.
    pub old: u64,
    /// RFC 6962 consistency proof from `old` to the checkpoint.
    pub proof: Vec<[u8; 32]>,
    /// The signed checkpoint, as it came.
    pub checkpoint: String,
}

/// Why a body is no such request.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RequestError {
    /// More than [`REQUEST_MAX`] bytes.
    #[error("request of {0} bytes is larger than the limit of {REQUEST_MAX}")]
    Size(usize),
    /// The first line.
    #[error("line 1 is not `old SIZE`")]
    Old,
    /// A line of the proof.
    #[error("line {0} is neither a hash in base64 nor empty")]
    Hash(usize),
    /// More than [`PROOF_MAX`] hashes.
    #[error("the proof has more than {PROOF_MAX} hashes")]
    Count,
    /// Nothing after the proof.
    #[error("an empty line and a checkpoint are missing after the proof")]
    Checkpoint,
}

impl AddCheckpoint {
    /// Parses a request's body.
    pub fn parse(text: &str) -> Result<AddCheckpoint, RequestError> {
        if text.len() > REQUEST_MAX {
            return Err(RequestError::Size(text.len()));
        }
        let (first, mut rest) = text.split_once('\n').ok_or(RequestError::Old)?;
        let old = first.strip_prefix("old ").and_then(decimal).ok_or(RequestError::Old)?;
        let mut proof = Vec::new();
        loop {
            let (line, after) = rest.split_once('\n').ok_or(RequestError::Checkpoint)?;
            rest = after;
            if line.is_empty() {
                break;
            }
            if proof.len() == PROOF_MAX {
                return Err(RequestError::Count);
            }
            let hash = base64::decode(line).ok().and_then(|bytes| bytes.try_into().ok());
            proof.push(hash.ok_or(RequestError::Hash(proof.len() + 2))?);
        }
        if rest.is_empty() {
            return Err(RequestError::Checkpoint);
        }
        Ok(AddCheckpoint { old, proof, checkpoint: rest.to_owned() })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", base64::encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Returns the signature lines of a witness's answer; `None` where a line is none, or there are too many.
pub fn parse_cosignatures(text: &str) -> Option<Vec<Signature>> {
    // A note's own rules hold for the lines: the answer is what stands under a checkpoint.
    let note = note::Note::parse(&format!("\n\n{text}")).ok()?;
    (note.body == "\n").then_some(note.signatures)
}

/// Returns the size in the answer to a request with another old size than the witness has.
pub fn parse_size(text: &str) -> Option<u64> {
    text.strip_suffix('\n').and_then(decimal)
}

/// A decimal number without leading zeros, at most 2⁶³ − 1.
pub fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text && i64::try_from(number).is_ok()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Mutator;

    // The request and the answer of the specification's examples.
    const SAMPLE: &str = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
    const ANSWER: &str = "— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==\n— witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==\n";

    #[test]
    fn text_and_back() {
        let request = AddCheckpoint::parse(SAMPLE).expect("sample");
        assert_eq!((request.old, request.proof.len()), (20_852_014, 4));
        assert!(request.checkpoint.starts_with("example.com/behind-the-sofa\n20852163\n"));
        assert_eq!(request.to_string(), SAMPLE);
        let first = AddCheckpoint { old: 0, proof: Vec::new(), checkpoint: "log\n".to_owned() };
        assert_eq!(AddCheckpoint::parse(&first.to_string()), Ok(first));
    }

    #[test]
    fn malformed_requests_are_refused() {
        for (text, error) in [
            ("", RequestError::Old),
            ("old 1", RequestError::Old),
            ("old 01\n\nlog\n", RequestError::Old),
            ("old -1\n\nlog\n", RequestError::Old),
            ("old 9223372036854775808\n\nlog\n", RequestError::Old),
            ("new 1\n\nlog\n", RequestError::Old),
            ("old 1\nlog\n", RequestError::Hash(2)),
            ("old 1\nAAAA\n\nlog\n", RequestError::Hash(2)),
            ("old 1\n", RequestError::Checkpoint),
            ("old 1\n\n", RequestError::Checkpoint),
        ] {
            assert_eq!(AddCheckpoint::parse(text), Err(error), "{text:?}");
        }
        let hash = base64::encode(&[7; 32]);
        let many = format!("old 1\n{}\nlog\n", format!("{hash}\n").repeat(PROOF_MAX + 1));
        assert_eq!(AddCheckpoint::parse(&many), Err(RequestError::Count));
        let large = "a".repeat(REQUEST_MAX + 1);
        assert_eq!(AddCheckpoint::parse(&large), Err(RequestError::Size(REQUEST_MAX + 1)));
    }

    #[test]
    fn answers_are_read() {
        let lines = parse_cosignatures(ANSWER).expect("lines");
        assert_eq!(
            lines.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(),
            ["witness.example/w1", "witness.example/w2"]
        );
        assert_eq!(lines[0].bytes.len(), 72);
        for bad in ["", "\n", "OK\n", "— w AAAA", "a\n\n— w AAAAAAA=\n"] {
            assert_eq!(parse_cosignatures(bad), None, "{bad:?}");
        }
        assert_eq!(parse_size("20852014\n"), Some(20_852_014));
        for bad in ["", "1", "01\n", "1\n\n", "x\n"] {
            assert_eq!(parse_size(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_parses_prints_the_same() {
        Mutator::new(31).each(10_000, SAMPLE.as_bytes(), |bytes| {
            let text = String::from_utf8_lossy(bytes);
            if let Ok(request) = AddCheckpoint::parse(&text) {
                assert_eq!(request.to_string(), text);
            }
        });
    }
}
