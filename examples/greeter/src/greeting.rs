//! Words for people.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name that is greeted, in characters.
pub const NAME_MAX: usize = 80;

/// A language that can be greeted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    #[default]
    #[serde(rename = "en")]
    English,
    #[serde(rename = "de")]
    German,
    #[serde(rename = "fr")]
    French,
    #[serde(rename = "es")]
    Spanish,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GreetingError {
    #[error("unknown language `{0}`: expected en, de, fr or es")]
    Language(String),
    #[error("a name has 1 to {NAME_MAX} characters, none of them a control character")]
    Name,
}

impl FromStr for Language {
    type Err = GreetingError;

    fn from_str(text: &str) -> Result<Language, GreetingError> {
        match text {
            "en" => Ok(Language::English),
            "de" => Ok(Language::German),
            "fr" => Ok(Language::French),
            "es" => Ok(Language::Spanish),
            other => Err(GreetingError::Language(other.chars().take(20).collect())),
        }
    }
}

/// Greets `name`.
pub fn greet(name: &str, language: Language) -> Result<String, GreetingError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.contains(char::is_control) {
        return Err(GreetingError::Name);
    }
    Ok(match language {
        Language::English => format!("Hello, {name}!"),
        Language::German => format!("Guten Tag, {name}!"),
        Language::French => format!("Bonjour, {name} !"),
        Language::Spanish => format!("¡Hola, {name}!"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greets_in_every_language() {
        for (language, expected) in
            [("en", "Hello, Ada!"), ("de", "Guten Tag, Ada!"), ("fr", "Bonjour, Ada !"), ("es", "¡Hola, Ada!")]
        {
            let language = language.parse().expect("a known language");
            assert_eq!(greet(" Ada ", language).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn refuses_what_is_no_name() {
        for name in ["", "  ", "a\nb", &"x".repeat(NAME_MAX + 1)] {
            assert_eq!(greet(name, Language::English), Err(GreetingError::Name), "{name:?}");
        }
        assert!(greet(&"ü".repeat(NAME_MAX), Language::English).is_ok());
    }

    #[test]
    fn refuses_unknown_languages() {
        assert_eq!("tlh".parse::<Language>(), Err(GreetingError::Language("tlh".to_owned())));
    }
}
