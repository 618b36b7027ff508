//! Which logs and which witnesses a checkpoint must be signed by.
//!
//! Specification: C2SP tlog-policy <https://c2sp.org/tlog-policy>.
//!
//! ```text
//! # The company's log, seen by two of three.
//! log example.org/log+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW https://assay.example.org/log
//! witness w1 w1.example.org+0a1b2c3d+BKp2…
//! witness w2 w2.example.net+11223344+BGd7…
//! witness w3 w3.example.com+55667788+BOo1…
//! group two-of-three 2 w1 w2 w3
//! quorum two-of-three
//! ```
//!
//! The specification takes names as bytes; here the file is UTF-8, which it recommends, and names are compared byte by
//! byte all the same. Whether a quorum is met is no question of this module.

use std::collections::{BTreeMap, BTreeSet};

use crate::note::Vkey;

/// The largest policy that is read.
pub const SIZE_MAX: usize = 256 << 10;

/// How many logs, witnesses and groups there may be; the specification asks for 32 of each at least.
pub const LINES_MAX: usize = 256;

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogPolicy {
    /// Any one of these must have signed.
    pub logs: Vec<LogLine>,
    /// Who may cosign.
    pub witnesses: Vec<WitnessLine>,
    /// Groups of witnesses and of groups before them.
    pub groups: Vec<GroupLine>,
    /// What must have cosigned; `None` for `quorum none`.
    pub quorum: Option<Member>,
}

/// `log VKEY [URL]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its key, named by its origin.
    pub key: Vkey,
    /// Where it is.
    pub url: Option<String>,
}

/// `witness NAME VKEY [URL]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessLine {
    /// Its name in this file.
    pub name: String,
    /// Its key.
    pub key: Vkey,
    /// Its submission prefix.
    pub url: Option<String>,
}

/// `group NAME all|any|K MEMBER…`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLine {
    /// Its name in this file.
    pub name: String,
    /// How many members must have cosigned: from 1 to all of them.
    pub threshold: usize,
    /// Its members.
    pub members: Vec<Member>,
}

/// A witness, or a group that stands on an earlier line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// Position in [`TlogPolicy::witnesses`].
    Witness(usize),
    /// Position in [`TlogPolicy::groups`].
    Group(usize),
}

/// Why a text is no policy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TlogPolicyError {
    /// More than [`SIZE_MAX`] bytes.
    #[error("policy of {0} bytes is larger than the limit of {SIZE_MAX}")]
    Size(usize),
    /// A line that is none.
    #[error("line {line}: {what}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: LineError,
    },
    /// No quorum line.
    #[error("the policy has no line `quorum NAME` or `quorum none`")]
    NoQuorum,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LineError {
    /// A control character other than tab.
    #[error("a control character")]
    Control,
    /// None of the forms.
    #[error("expected `log VKEY [URL]`, `witness NAME VKEY [URL]`, `group NAME all|any|K MEMBER…` or `quorum NAME`")]
    Form,
    /// Not a key.
    #[error("`{0}` is no note verification key `NAME+HEX+BASE64`")]
    Vkey(String),
    /// A key that stands on an earlier line.
    #[error("the key stands on an earlier line")]
    KeyTwice,
    /// A name that stands on an earlier line, or `none`.
    #[error("the name `{0}` is taken")]
    NameTaken(String),
    /// A name that stands on no earlier line.
    #[error("`{0}` names no witness or group of an earlier line")]
    Unknown(String),
    /// A name that is a member already.
    #[error("`{0}` is a member of a group already")]
    MemberTwice(String),
    /// A threshold that cannot be.
    #[error("the threshold is not `all`, `any`, or a number from 1 to the number of members")]
    Threshold,
    /// A second quorum line.
    #[error("a second quorum")]
    QuorumTwice,
    /// More than [`LINES_MAX`] of a kind.
    #[error("more than {LINES_MAX} logs, witnesses or groups")]
    Count,
}

impl TlogPolicy {
    /// Parses a policy file.
    pub fn parse(text: &str) -> Result<TlogPolicy, TlogPolicyError> {
        if text.len() > SIZE_MAX {
            return Err(TlogPolicyError::Size(text.len()));
        }
        let mut reader = Reader::default();
        for (index, line) in text.split('\n').enumerate() {
            reader.line(line).map_err(|what| TlogPolicyError::Line { line: index + 1, what })?;
        }
        let quorum = reader.quorum.ok_or(TlogPolicyError::NoQuorum)?;
        Ok(TlogPolicy { logs: reader.logs, witnesses: reader.witnesses, groups: reader.groups, quorum })
    }
}

#[derive(Default)]
struct Reader {
    logs: Vec<LogLine>,
    witnesses: Vec<WitnessLine>,
    groups: Vec<GroupLine>,
    quorum: Option<Option<Member>>,
    names: BTreeMap<String, Member>,
    members: BTreeSet<Member>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), LineError> {
        if line.chars().any(|c| c.is_ascii_control() && c != '\t') {
            return Err(LineError::Control);
        }
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        match words[..] {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", key] => self.log(key, None),
            ["log", key, url] => self.log(key, Some(url)),
            ["witness", name, key] => self.witness(name, key, None),
            ["witness", name, key, url] => self.witness(name, key, Some(url)),
            ["group", name, threshold, ref members @ ..] if !members.is_empty() => self.group(name, threshold, members),
            ["quorum", name] => self.quorum(name),
            _ => Err(LineError::Form),
        }
    }

    fn log(&mut self, key: &str, url: Option<&str>) -> Result<(), LineError> {
        let key = vkey(key)?;
        if self.logs.iter().any(|log| log.key.key == key.key) {
            return Err(LineError::KeyTwice);
        }
        within(self.logs.len())?;
        self.logs.push(LogLine { key, url: url.map(str::to_owned) });
        Ok(())
    }

    fn witness(&mut self, name: &str, key: &str, url: Option<&str>) -> Result<(), LineError> {
        let key = vkey(key)?;
        if self.witnesses.iter().any(|witness| witness.key.key == key.key) {
            return Err(LineError::KeyTwice);
        }
        within(self.witnesses.len())?;
        self.name(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(WitnessLine { name: name.to_owned(), key, url: url.map(str::to_owned) });
        Ok(())
    }

    fn group(&mut self, name: &str, threshold: &str, members: &[&str]) -> Result<(), LineError> {
        within(self.groups.len())?;
        let mut found = Vec::with_capacity(members.len());
        for member in members {
            let known = self.named(member)?;
            if !self.members.insert(known) {
                return Err(LineError::MemberTwice((*member).to_owned()));
            }
            found.push(known);
        }
        let threshold = match threshold {
            "all" => found.len(),
            "any" => 1,
            number => number.parse().ok().filter(|parsed: &usize| parsed.to_string() == number).unwrap_or(0),
        };
        if threshold == 0 || threshold > found.len() {
            return Err(LineError::Threshold);
        }
        self.name(name, Member::Group(self.groups.len()))?;
        self.groups.push(GroupLine { name: name.to_owned(), threshold, members: found });
        Ok(())
    }

    fn quorum(&mut self, name: &str) -> Result<(), LineError> {
        if self.quorum.is_some() {
            return Err(LineError::QuorumTwice);
        }
        self.quorum = Some(if name == "none" { None } else { Some(self.named(name)?) });
        Ok(())
    }

    fn named(&self, name: &str) -> Result<Member, LineError> {
        self.names.get(name).copied().ok_or_else(|| LineError::Unknown(name.to_owned()))
    }

    fn name(&mut self, name: &str, member: Member) -> Result<(), LineError> {
        if name == "none" || self.names.insert(name.to_owned(), member).is_some() {
            return Err(LineError::NameTaken(name.to_owned()));
        }
        Ok(())
    }
}

fn vkey(text: &str) -> Result<Vkey, LineError> {
    Vkey::parse(text).ok_or_else(|| LineError::Vkey(text.chars().take(200).collect()))
}

fn within(count: usize) -> Result<(), LineError> {
    if count < LINES_MAX { Ok(()) } else { Err(LineError::Count) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Mutator;

    fn key(name: &str, byte: u8) -> String {
        Vkey::new(name, 4, &[byte; 32]).to_string()
    }

    fn sample() -> String {
        let [x1, x2, x3, y1, y2] = [("x1", 1), ("x2", 2), ("x3", 3), ("y1", 4), ("y2", 5)].map(|(n, b)| key(n, b));
        let log = Vkey::new("example.org/log", 1, &[9; 32]);
        format!(
            "# one log\n\tlog  {log} https://example.org/log \n\nwitness X1 {x1} https://x1.example\nwitness X2 {x2}\n\
             witness X3 {x3}\ngroup X-witnesses 2 X1 X2 X3\nwitness Y1 {y1}\nwitness Y2 {y2}\n\
             group Y-witnesses any Y1 Y2\n\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
        )
    }

    #[test]
    fn the_specifications_example_is_read() {
        let policy = TlogPolicy::parse(&sample()).expect("sample");
        assert_eq!(policy.logs[0].url.as_deref(), Some("https://example.org/log"));
        assert_eq!(policy.logs[0].key.name, "example.org/log");
        let thresholds: Vec<usize> = policy.groups.iter().map(|group| group.threshold).collect();
        assert_eq!((policy.witnesses.len(), thresholds), (5, vec![2, 1, 2]));
        assert_eq!(policy.groups[2].members, [Member::Group(0), Member::Group(1)]);
        assert_eq!(policy.quorum, Some(Member::Group(2)));
        assert_eq!(TlogPolicy::parse("quorum none").expect("no witnesses").quorum, None);
    }

    #[test]
    fn malformed_lines_are_named() {
        let witness = |name: &str| format!("witness {name} {}\n", key(name, name.as_bytes()[0]));
        let three = format!("{}{}{}", witness("a"), witness("b"), witness("c"));
        let line = |line, what| Err(TlogPolicyError::Line { line, what });
        for (text, expected) in [
            (String::new(), Err(TlogPolicyError::NoQuorum)),
            (three.clone(), Err(TlogPolicyError::NoQuorum)),
            ("quorum none\r\n".to_owned(), line(1, LineError::Control)),
            ("quorum".to_owned(), line(1, LineError::Form)),
            ("group g any".to_owned(), line(1, LineError::Form)),
            ("log x y z".to_owned(), line(1, LineError::Form)),
            ("log x".to_owned(), line(1, LineError::Vkey("x".to_owned()))),
            ("quorum a".to_owned(), line(1, LineError::Unknown("a".to_owned()))),
            (format!("{three}quorum a\nquorum b"), line(5, LineError::QuorumTwice)),
            (format!("{three}witness d {}", key("a", b'a')), line(4, LineError::KeyTwice)),
            (format!("{three}witness a {}", key("d", b'd')), line(4, LineError::NameTaken("a".to_owned()))),
            (format!("witness none {}", key("d", b'd')), line(1, LineError::NameTaken("none".to_owned()))),
            (format!("{three}group g 4 a b c"), line(4, LineError::Threshold)),
            (format!("{three}group g 0 a b c"), line(4, LineError::Threshold)),
            (format!("{three}group g 02 a b c"), line(4, LineError::Threshold)),
            (format!("{three}group g any g"), line(4, LineError::Unknown("g".to_owned()))),
            (format!("{three}group g any none"), line(4, LineError::Unknown("none".to_owned()))),
            (format!("{three}group g 1 a a"), line(4, LineError::MemberTwice("a".to_owned()))),
            (format!("{three}group g any a\ngroup h any a"), line(5, LineError::MemberTwice("a".to_owned()))),
        ] {
            assert_eq!(TlogPolicy::parse(&text), expected, "{text}");
        }
        // The same key under another name and kind is the same key.
        let renamed = Vkey::new("other", 6, &[b'a'; 32]);
        assert_eq!(TlogPolicy::parse(&format!("{three}witness d {renamed}")), line(4, LineError::KeyTwice));
        let many: String = (0..=LINES_MAX).map(|n| format!("log {}\n", Vkey::new("l", 1, &n.to_be_bytes()))).collect();
        assert_eq!(TlogPolicy::parse(&many), line(LINES_MAX + 1, LineError::Count));
        assert_eq!(TlogPolicy::parse(&"#".repeat(SIZE_MAX + 1)), Err(TlogPolicyError::Size(SIZE_MAX + 1)));
    }

    #[test]
    fn damaged_text_never_panics_and_groups_lead_backwards() {
        Mutator::new(33).each(10_000, sample().as_bytes(), |bytes| {
            let Ok(policy) = TlogPolicy::parse(&String::from_utf8_lossy(bytes)) else { return };
            for (index, group) in policy.groups.iter().enumerate() {
                assert!(group.members.iter().all(|member| !matches!(member, Member::Group(at) if *at >= index)));
            }
        });
    }
}
