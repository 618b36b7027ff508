//! A proof that an entry is in a log, as a file of its own that is checked without a network.
//!
//! Specification: C2SP tlog-proof <https://c2sp.org/tlog-proof>. File name: `*.tlog-proof`.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! index 73894
//! gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
//! B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
//!
//! example.com/fancylog
//! 109482
//! sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
//!
//! — example.com/fancylog hI2DJw…
//! ```

use std::fmt;

use crate::base64;
use crate::note;
use crate::tlog_witness::{PROOF_MAX, decimal};

/// The first line.
pub const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// How many bytes of extra data are read.
pub const EXTRA_MAX: usize = 16 << 10;

/// The largest proof that is read.
pub const SIZE_MAX: usize = note::SIZE_MAX + EXTRA_MAX * 2 + PROOF_MAX * 64;

/// A proof. Nothing has been checked but the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// What an application adds; authenticated by nothing.
    pub extra: Option<Vec<u8>>,
    /// Position of the entry.
    pub index: u64,
    /// RFC 6962 inclusion proof, from the leaf's sibling up.
    pub hashes: Vec<[u8; 32]>,
    /// The signed checkpoint with its cosignatures, as it came.
    pub checkpoint: String,
}

/// Why a text is no proof.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TlogProofError {
    /// More than [`SIZE_MAX`] bytes.
    #[error("proof of {0} bytes is larger than the limit of {SIZE_MAX}")]
    Size(usize),
    /// Another first line.
    #[error("line 1 is not `{HEADER}`")]
    Header,
    /// Extra data that is no base64, or too much.
    #[error("the extra data is no base64, or more than {EXTRA_MAX} bytes")]
    Extra,
    /// The index line.
    #[error("the line `index NUMBER` is missing or malformed")]
    Index,
    /// A hash.
    #[error("hash {0} of the proof is not 32 bytes in base64")]
    Hash(usize),
    /// Too many hashes.
    #[error("the proof has more than {PROOF_MAX} hashes")]
    Count,
    /// Nothing after the proof.
    #[error("an empty line and a checkpoint are missing after the proof")]
    Checkpoint,
}

impl TlogProof {
    /// Parses a proof.
    pub fn parse(text: &str) -> Result<TlogProof, TlogProofError> {
        if text.len() > SIZE_MAX {
            return Err(TlogProofError::Size(text.len()));
        }
        let (header, mut rest) = text.split_once('\n').ok_or(TlogProofError::Header)?;
        if header != HEADER {
            return Err(TlogProofError::Header);
        }
        let mut line = || {
            let (line, after) = rest.split_once('\n')?;
            rest = after;
            Some(line)
        };
        let mut next = line().ok_or(TlogProofError::Index)?;
        let mut extra = None;
        if let Some(text) = next.strip_prefix("extra ") {
            let bytes = base64::decode(text).ok().filter(|bytes| bytes.len() <= EXTRA_MAX);
            extra = Some(bytes.ok_or(TlogProofError::Extra)?);
            next = line().ok_or(TlogProofError::Index)?;
        }
        let index = next.strip_prefix("index ").and_then(decimal).ok_or(TlogProofError::Index)?;
        let mut hashes = Vec::new();
        loop {
            let next = line().ok_or(TlogProofError::Checkpoint)?;
            if next.is_empty() {
                break;
            }
            if hashes.len() == PROOF_MAX {
                return Err(TlogProofError::Count);
            }
            let hash = base64::decode(next).ok().and_then(|bytes| bytes.try_into().ok());
            hashes.push(hash.ok_or(TlogProofError::Hash(hashes.len() + 1))?);
        }
        if rest.is_empty() {
            return Err(TlogProofError::Checkpoint);
        }
        Ok(TlogProof { extra, index, hashes, checkpoint: rest.to_owned() })
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64::encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", base64::encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Mutator;

    const SAMPLE: &str = "c2sp.org/tlog-proof@v1\nextra YWdl\nindex 73894\ngSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\nB95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n\nexample.com/fancylog\n109482\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n— example.com/fancylog hI2DJwAA\n";

    #[test]
    fn text_and_back() {
        let proof = TlogProof::parse(SAMPLE).expect("sample");
        assert_eq!((proof.index, proof.hashes.len()), (73_894, 2));
        assert_eq!(proof.extra.as_deref(), Some(&b"age"[..]));
        assert_eq!(proof.to_string(), SAMPLE);
        let plain = SAMPLE.replace("extra YWdl\n", "");
        assert_eq!(TlogProof::parse(&plain).expect("sample").to_string(), plain);
    }

    #[test]
    fn malformed_proofs_are_refused() {
        let with = |from: &str, to: &str| TlogProof::parse(&SAMPLE.replace(from, to));
        assert_eq!(with("proof@v1", "proof@v2"), Err(TlogProofError::Header));
        assert_eq!(TlogProof::parse(""), Err(TlogProofError::Header));
        assert_eq!(with("extra YWdl", "extra ?"), Err(TlogProofError::Extra));
        assert_eq!(with("index 73894", "index 073894"), Err(TlogProofError::Index));
        assert_eq!(with("index 73894\n", ""), Err(TlogProofError::Index));
        assert_eq!(with("B95lDa8R", "B95l"), Err(TlogProofError::Hash(2)));
        assert_eq!(TlogProof::parse("c2sp.org/tlog-proof@v1\nindex 0\n"), Err(TlogProofError::Checkpoint));
        assert_eq!(TlogProof::parse("c2sp.org/tlog-proof@v1\nindex 0\n\n"), Err(TlogProofError::Checkpoint));
        let hash = format!("{}\n", base64::encode(&[1; 32]));
        let many = format!("{HEADER}\nindex 0\n{}\nlog\n", hash.repeat(PROOF_MAX + 1));
        assert_eq!(TlogProof::parse(&many), Err(TlogProofError::Count));
        let extra = format!("{HEADER}\nextra {}\nindex 0\n\nlog\n", base64::encode(&vec![0; EXTRA_MAX + 1]));
        assert_eq!(TlogProof::parse(&extra), Err(TlogProofError::Extra));
        assert_eq!(TlogProof::parse(&"a".repeat(SIZE_MAX + 1)), Err(TlogProofError::Size(SIZE_MAX + 1)));
    }

    #[test]
    fn what_parses_prints_the_same() {
        Mutator::new(32).each(10_000, SAMPLE.as_bytes(), |bytes| {
            let text = String::from_utf8_lossy(bytes);
            if let Ok(proof) = TlogProof::parse(&text) {
                assert_eq!(proof.to_string(), text);
            }
        });
    }
}
