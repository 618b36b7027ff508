//! Policies: a list of named rules with typed parameters, in TOML.
//!
//! ```toml
//! version = 1
//! name = "production"
//!
//! [[rules]]
//! rule = "signed-by"
//! identities = ["builder-*"]
//!
//! [[rules]]
//! rule = "logged"
//! ```
//!
//! Every problem names its place and what is allowed there; a policy with one is not used at all.

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wire::digest::Digest;

use crate::params::{Text, article};
use crate::problem::Problem;
use crate::rules::{self, Rule};

/// The largest policy that is read: a page of rules has a few kilobytes.
pub(crate) const SIZE_MAX: usize = 1 << 20;

/// How many rules a policy may have.
pub(crate) const RULES_MAX: usize = 200;

/// A policy that was understood whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    name: String,
    digest: Digest,
    rules: Vec<Rule>,
}

impl Policy {
    /// Reads a policy; `file` is how problems name it.
    pub fn parse(file: &str, text: &str) -> Result<Policy, Vec<Problem>> {
        let mut reading = Text::new(file, text);
        if text.len() > SIZE_MAX {
            reading.problem(0, format!("a policy may have {SIZE_MAX} bytes, this has {}", text.len()), None);
            return Err(reading.problems);
        }
        let document = match DeTable::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                reading.problem(offset, error.message().lines().next().unwrap_or_default().to_owned(), None);
                return Err(reading.problems);
            }
        };
        let (name, rules) = document_parts(&mut reading, document.get_ref());
        match name {
            Some(name) if reading.problems.is_empty() => {
                Ok(Policy { name, digest: Digest::of(text.as_bytes()), rules })
            }
            _ => {
                reading.problems.sort_by_key(|problem| (problem.line, problem.column));
                Err(reading.problems)
            }
        }
    }

    /// Returns the policy's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the digest of its text.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns its rules; never none.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

const KEYS: [&str; 3] = ["version", "name", "rules"];

fn document_parts(reading: &mut Text<'_>, document: &DeTable<'_>) -> (Option<String>, Vec<Rule>) {
    for key in document.keys() {
        let name = key.get_ref().as_ref();
        if !KEYS.contains(&name) {
            let shown: String = name.chars().take(80).collect();
            let hint = format!("expected {}", rules::quoted(KEYS, "and"));
            reading.problem(key.span().start, format!("unknown key `{shown}`"), Some(hint));
        }
    }
    match document.get("version").map(|value| (value, value.get_ref().as_integer().map(|number| number.as_str()))) {
        Some((_, Some("1"))) => {}
        Some((value, _)) => {
            let hint = "this assay reads `version = 1`".to_owned();
            reading.problem(value.span().start, "unknown version of policy".to_owned(), Some(hint));
        }
        None => reading.problem(0, "a policy needs its version".to_owned(), Some("as in `version = 1`".to_owned())),
    }
    let name = match document.get("name") {
        Some(value) => reading.string(value, "name", "name = \"production\""),
        None => {
            let hint = "as in `name = \"production\"`".to_owned();
            reading.problem(0, "a policy needs a name".to_owned(), Some(hint));
            None
        }
    };
    (name, rule_list(reading, document.get("rules")))
}

fn rule_list(reading: &mut Text<'_>, value: Option<&Spanned<DeValue<'_>>>) -> Vec<Rule> {
    let hint = || Some("each rule begins with a line `[[rules]]`".to_owned());
    let Some(value) = value else {
        reading.problem(0, "a policy needs at least one rule".to_owned(), hint());
        return Vec::new();
    };
    let items = match value.get_ref() {
        DeValue::Array(items) => items,
        other => {
            let message = format!("`rules` must be a list of tables, not {}", article(other.type_str()));
            reading.problem(value.span().start, message, hint());
            return Vec::new();
        }
    };
    let count = items.iter().count();
    if count == 0 || count > RULES_MAX {
        reading.problem(value.span().start, format!("a policy has 1 to {RULES_MAX} rules, this has {count}"), hint());
        return Vec::new();
    }
    items.iter().filter_map(|item| rule(reading, item)).collect()
}

fn rule(reading: &mut Text<'_>, item: &Spanned<DeValue<'_>>) -> Option<Rule> {
    let offset = item.span().start;
    let DeValue::Table(table) = item.get_ref() else {
        let message = format!("a rule must be a table, not {}", article(item.get_ref().type_str()));
        reading.problem(offset, message, Some("each rule begins with a line `[[rules]]`".to_owned()));
        return None;
    };
    let allowed = || Some(format!("expected {}", rules::quoted(rules::NAMES, "or")));
    let Some(name) = table.get("rule") else {
        reading.problem(offset, "a rule needs `rule`, its name".to_owned(), allowed());
        return None;
    };
    let text = reading.string(name, "rule", "rule = \"logged\"")?;
    let Some(known) = rules::NAMES.into_iter().find(|known| *known == text) else {
        let shown: String = text.chars().take(80).collect();
        reading.problem(name.span().start, format!("unknown rule `{shown}`"), allowed());
        return None;
    };
    Rule::parse(reading, known, offset, table)
}
