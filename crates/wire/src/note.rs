//! Signed notes: a text and the signature lines under it. Text form only; `sign` checks the signatures.
//!
//! Specification: C2SP signed-note v1.0.0 <https://c2sp.org/signed-note@v1.0.0>.
//!
//! ```text
//! example.org/log
//! 2
//! q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=
//!
//! — example.org/log nUv1fkyC7Qi…
//! ```

use std::fmt::{self, Write as _};

use crate::base64;
use crate::digest::Digest;

/// The largest note that is read: a checkpoint has 200 bytes and a witness line 150.
pub const SIZE_MAX: usize = 64 << 10;

/// How many signature lines are read; the specification asks for 16 at least.
pub const SIGNATURES_MAX: usize = 100;

/// A text and the signature lines under it. Nothing has been checked but the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is signed, with its final line feed.
    pub body: String,
    /// The signature lines, in order; never empty.
    pub signatures: Vec<Signature>,
}

/// A signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The key's name: not empty, no space, no plus.
    pub name: String,
    /// The key's id.
    pub key_id: [u8; 4],
    /// What follows the id: for Ed25519 the 64 bytes of the signature.
    pub bytes: Vec<u8>,
}

/// Why a text is no signed note.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoteError {
    /// More than [`SIZE_MAX`] bytes.
    #[error("note of {0} bytes is larger than the limit of {SIZE_MAX}")]
    Size(usize),
    /// A control character other than line feed.
    #[error("note contains a control character")]
    Control,
    /// No empty line, or no line feed at the end.
    #[error("note has no text, empty line and signature lines, each ending in a line feed")]
    Form,
    /// A signature line is malformed.
    #[error("signature line {0} of the note is not `— NAME BASE64`")]
    Signature(usize),
    /// More than [`SIGNATURES_MAX`] signature lines.
    #[error("note has {0} signature lines, more than the limit of {SIGNATURES_MAX}")]
    Count(usize),
}

impl Note {
    /// Parses a note.
    pub fn parse(text: &str) -> Result<Note, NoteError> {
        if text.len() > SIZE_MAX {
            return Err(NoteError::Size(text.len()));
        }
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoteError::Control);
        }
        // The last empty line divides: the text may have empty lines of its own.
        let at = text.rfind("\n\n").ok_or(NoteError::Form)?;
        let (body, lines) = (&text[..=at], &text[at + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Form)?;
        let lines: Vec<&str> = lines.split('\n').collect();
        if lines.len() > SIGNATURES_MAX {
            return Err(NoteError::Count(lines.len()));
        }
        let parse = |(index, line): (usize, &&str)| Signature::parse(line).ok_or(NoteError::Signature(index + 1));
        let signatures = lines.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        Ok(Note { body: body.to_owned(), signatures })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.body)?;
        f.write_char('\n')?;
        for signature in &self.signatures {
            let blob = [&signature.key_id, &signature.bytes[..]].concat();
            writeln!(f, "— {} {}", signature.name, base64::encode(&blob))?;
        }
        Ok(())
    }
}

impl Signature {
    fn parse(line: &str) -> Option<Signature> {
        let (name, blob) = line.strip_prefix("— ")?.split_once(' ')?;
        let blob = base64::decode(blob).ok()?;
        let (key_id, bytes) = blob.split_first_chunk()?;
        (is_key_name(name) && !bytes.is_empty()).then(|| Signature {
            name: name.to_owned(),
            key_id: *key_id,
            bytes: bytes.to_vec(),
        })
    }
}

/// A key that checks signature lines, in its text form; what kind of key it is, its first byte says.
///
/// ```text
/// PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vkey {
    /// Its name: not empty, no space, no plus.
    pub name: String,
    /// The signature type: `1` Ed25519, `4` and `6` cosignatures of Ed25519 and ML-DSA-44.
    pub kind: u8,
    /// The public key's bytes, without the type.
    pub key: Vec<u8>,
}

impl Vkey {
    /// Names a key.
    pub fn new(name: &str, kind: u8, key: &[u8]) -> Vkey {
        Vkey { name: name.to_owned(), kind, key: key.to_vec() }
    }

    /// Parses the text form; `None` where it is none, or its id is not that of the key.
    pub fn parse(text: &str) -> Option<Vkey> {
        let (name, rest) = text.split_once('+')?;
        let (_, key) = rest.split_once('+')?;
        let key = base64::decode(key).ok()?;
        let (&kind, key) = key.split_first()?;
        let vkey = Vkey::new(name, kind, key);
        // The id is derived, so a text that disagrees with it is damaged.
        (is_key_name(name) && !key.is_empty() && vkey.to_string() == text).then_some(vkey)
    }

    /// Returns the whole digest that the key's id is cut from.
    pub fn digest(&self) -> Digest {
        Digest::of(&[self.name.as_bytes(), b"\n", &[self.kind], &self.key].concat())
    }

    /// Returns the key's id, as signature lines have it.
    pub fn key_id(&self) -> [u8; 4] {
        *self.digest().bytes().first_chunk().expect("a digest has more than four bytes")
    }
}

impl fmt::Display for Vkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.key_id());
        write!(f, "{}+{id:08x}+{}", self.name, base64::encode(&[&[self.kind], &self.key[..]].concat()))
    }
}

/// Whether `name` may name a key: not empty, no white space, no control character, no plus.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Mutator;

    // The example of the specification (signed by PeterNeumann).
    const SAMPLE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn text_and_back() {
        let note = Note::parse(SAMPLE).expect("sample");
        assert_eq!(note.signatures[0].name, "PeterNeumann");
        assert_eq!(note.signatures[0].key_id, [0xc7, 0x4f, 0x20, 0xa3]);
        assert_eq!(note.signatures[0].bytes.len(), 64);
        assert_eq!(note.to_string(), SAMPLE);
    }

    #[test]
    fn a_text_may_have_empty_lines() {
        let note = Note::parse("a\n\nb\n\n— k AAAAAAA=\n").expect("note");
        assert_eq!(note.body, "a\n\nb\n");
    }

    #[test]
    fn malformed_notes_are_refused() {
        for (text, error) in [
            ("", NoteError::Form),
            ("a\n", NoteError::Form),
            ("a\n\n", NoteError::Form),
            ("a\n\n— k AAAAAAA=", NoteError::Form),
            ("a\n\n— k AAAAAAA=\n\n", NoteError::Form),
            ("a\r\n\n— k AAAAAAA=\n", NoteError::Control),
            ("a\n\n- k AAAAAAA=\n", NoteError::Signature(1)),
            ("a\n\n— k AAAAAAA=\n— k\n", NoteError::Signature(2)),
            ("a\n\n— k AAAAAA==\n", NoteError::Signature(1)),
            ("a\n\n— k+k AAAAAAA=\n", NoteError::Signature(1)),
            ("a\n\n—  AAAAAAA=\n", NoteError::Signature(1)),
        ] {
            assert_eq!(Note::parse(text), Err(error), "{text:?}");
        }
        let many = format!("a\n\n{}", "— k AAAAAAA=\n".repeat(SIGNATURES_MAX + 1));
        assert_eq!(Note::parse(&many), Err(NoteError::Count(SIGNATURES_MAX + 1)));
        assert_eq!(Note::parse(&"a".repeat(SIZE_MAX + 1)), Err(NoteError::Size(SIZE_MAX + 1)));
    }

    #[test]
    fn keys_have_one_spelling() {
        const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let vkey = Vkey::parse(VKEY).expect("the example of the specification");
        assert_eq!((vkey.kind, vkey.key.len(), vkey.key_id()), (1, 32, [0xc7, 0x4f, 0x20, 0xa3]));
        assert_eq!(vkey.to_string(), VKEY);
        for bad in
            ["", "a", "a+b", "a+c74f20a3+", "a+00000000+AQ==", &VKEY.replace("c74f", "C74F"), &format!("{VKEY}=")]
        {
            assert_eq!(Vkey::parse(bad), None, "{bad}");
        }
        Mutator::new(4).each(5_000, VKEY.as_bytes(), |bytes| {
            let text = String::from_utf8_lossy(bytes);
            assert!(Vkey::parse(&text).is_none_or(|vkey| vkey.to_string() == text));
        });
    }

    #[test]
    fn what_parses_prints_the_same() {
        Mutator::new(3).each(10_000, SAMPLE.as_bytes(), |bytes| {
            let text = String::from_utf8_lossy(bytes);
            if let Ok(note) = Note::parse(&text) {
                assert_eq!(note.to_string(), text);
            }
        });
    }
}
