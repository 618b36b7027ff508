//! Reading a rule's parameters out of TOML, with the place of each.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::pattern::Pattern;
use crate::problem::Problem;
use crate::rules;

/// How many texts one list may have.
const LIST_MAX: usize = 1000;

/// The longest text.
const TEXT_MAX: usize = 4096;

/// A parameter of a rule, for messages.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// How it is written: `identities = ["builder-*"]`.
    pub example: &'static str,
}

/// The text of a policy, and what was found wrong with it so far.
pub(crate) struct Text<'a> {
    file: &'a str,
    text: &'a str,
    pub(crate) problems: Vec<Problem>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Text<'a> {
        Text { file, text, problems: Vec::new() }
    }

    pub(crate) fn problem(&mut self, offset: usize, message: String, hint: Option<String>) {
        self.problems.push(Problem::at(self.file, self.text, offset, message, hint));
    }

    /// Reads a text out of a value.
    pub(crate) fn string(&mut self, value: &Spanned<DeValue<'_>>, name: &str, hint: &str) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) if !text.is_empty() && text.len() <= TEXT_MAX => Some(text.to_string()),
            DeValue::String(_) => {
                let message = format!("`{name}` must have 1 to {TEXT_MAX} bytes");
                self.problem(value.span().start, message, Some(format!("as in `{hint}`")));
                None
            }
            other => {
                let message = format!("`{name}` must be a string, not {}", article(other.type_str()));
                self.problem(value.span().start, message, Some(format!("as in `{hint}`")));
                None
            }
        }
    }
}

/// The parameters of one rule.
pub(crate) struct Params<'t, 'a, 'd> {
    text: &'t mut Text<'a>,
    rule: &'static str,
    parameters: &'static [Parameter],
    offset: usize,
    table: &'d DeTable<'d>,
}

impl<'t, 'a, 'd> Params<'t, 'a, 'd> {
    /// Starts reading a rule whose table begins at `offset`, and notes parameters that it does not have.
    pub(crate) fn new(
        text: &'t mut Text<'a>,
        rule: &'static str,
        parameters: &'static [Parameter],
        offset: usize,
        table: &'d DeTable<'d>,
    ) -> Params<'t, 'a, 'd> {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if name != "rule" && parameters.iter().all(|parameter| parameter.name != name) {
                let names = rules::quoted(parameters.iter().map(|parameter| parameter.name), "and");
                let hint = match parameters {
                    [] => "it has no parameters".to_owned(),
                    _ => format!("it has {names}"),
                };
                let shown: String = name.chars().take(80).collect();
                text.problem(key.span().start, format!("rule `{rule}` has no parameter `{shown}`"), Some(hint));
            }
        }
        Params { text, rule, parameters, offset, table }
    }

    fn example(&self, name: &str) -> &'static str {
        self.parameters.iter().find(|parameter| parameter.name == name).map_or("", |parameter| parameter.example)
    }

    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, name: &str, must: &str) {
        let message = format!("`{name}` of rule `{}` must be {must}", self.rule);
        let hint = format!("as in `{}`", self.example(name));
        self.text.problem(value.span().start, message, Some(hint));
    }

    fn missing(&mut self, name: &str) {
        let message = format!("rule `{}` needs `{name}`", self.rule);
        let hint = format!("as in `{}`", self.example(name));
        self.text.problem(self.offset, message, Some(hint));
    }

    fn value(&self, name: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.table.get(name)
    }

    /// Reads a list of texts: at least one, each different; `None` when absent or wrong.
    fn list(&mut self, name: &str) -> Option<Vec<(String, usize)>> {
        let value = self.value(name)?;
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong(value, name, "a list of strings");
            return None;
        };
        if items.is_empty() || items.iter().count() > LIST_MAX {
            self.wrong(value, name, &format!("a list of 1 to {LIST_MAX} strings"));
            return None;
        }
        let mut texts = Vec::new();
        for item in items.iter() {
            let text = item.get_ref().as_str().filter(|text| !text.is_empty() && text.len() <= TEXT_MAX);
            let Some(text) = text else {
                self.wrong(item, name, &format!("a list of strings of 1 to {TEXT_MAX} bytes"));
                return None;
            };
            texts.push((text.to_owned(), item.span().start));
        }
        Some(texts)
    }

    /// Reads a list of texts that must be there.
    pub(crate) fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        if self.value(name).is_none() {
            self.missing(name);
        }
        Some(self.list(name)?.into_iter().map(|(text, _)| text).collect())
    }

    /// Reads a list of patterns that must be there.
    pub(crate) fn patterns(&mut self, name: &str) -> Option<Vec<Pattern>> {
        Some(self.texts(name)?.iter().map(|text| Pattern::new(text)).collect())
    }

    /// Reads a pattern that must be there.
    pub(crate) fn pattern(&mut self, name: &str) -> Option<Pattern> {
        let Some(value) = self.value(name) else {
            self.missing(name);
            return None;
        };
        let hint = self.example(name);
        Some(Pattern::new(&self.text.string(value, name, hint)?))
    }

    /// Reads a text of several lines that must be there.
    pub(crate) fn long_text(&mut self, name: &str, bytes_max: usize) -> Option<String> {
        let Some(value) = self.value(name) else {
            self.missing(name);
            return None;
        };
        let text = value.get_ref().as_str().filter(|text| !text.is_empty() && text.len() <= bytes_max);
        if text.is_none() {
            self.wrong(value, name, &format!("a string of 1 to {bytes_max} bytes"));
        }
        text.map(str::to_owned)
    }

    /// Refuses a parameter that is there, for a reason of its own.
    pub(crate) fn refuse(&mut self, name: &str, reason: &str) {
        let Some(value) = self.value(name) else { return self.missing(name) };
        let message = format!("`{name}` of rule `{}`: {reason}", self.rule);
        let hint = format!("as in `{}`", self.example(name));
        self.text.problem(value.span().start, message, Some(hint));
    }

    /// Reads a list each of whose texts is one of `allowed`; `default` when absent.
    pub(crate) fn choices(&mut self, name: &str, allowed: &[&str], default: &[&str]) -> Option<Vec<String>> {
        if self.value(name).is_none() {
            return Some(default.iter().map(|&text| text.to_owned()).collect());
        }
        let list = self.list(name)?;
        for (text, offset) in &list {
            if !allowed.contains(&text.as_str()) {
                let shown: String = text.chars().take(80).collect();
                let hint = format!("expected {}", rules::quoted(allowed.iter().copied(), "or"));
                let message = format!("`{name}` of rule `{}` cannot be `{shown}`", self.rule);
                self.text.problem(*offset, message, Some(hint));
                return None;
            }
        }
        Some(list.into_iter().map(|(text, _)| text).collect())
    }

    /// Reads a number within bounds that must be there.
    pub(crate) fn number(&mut self, name: &str, bounds: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let Some(value) = self.value(name) else {
            self.missing(name);
            return None;
        };
        let integer = value.get_ref().as_integer();
        let number = integer.and_then(|integer| u32::from_str_radix(integer.as_str(), integer.radix()).ok());
        match number.filter(|number| bounds.contains(number)) {
            Some(number) => Some(number),
            None => {
                self.wrong(value, name, &format!("a whole number from {} to {}", bounds.start(), bounds.end()));
                None
            }
        }
    }

    /// Reads a yes or no; `default` when absent.
    pub(crate) fn flag(&mut self, name: &str, default: bool) -> Option<bool> {
        let Some(value) = self.value(name) else { return Some(default) };
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong(value, name, "`true` or `false`");
        }
        flag
    }
}

/// Puts the article before the name of a TOML type.
pub(crate) fn article(kind: &str) -> String {
    if kind.starts_with(['a', 'i', 'o']) { format!("an {kind}") } else { format!("a {kind}") }
}
