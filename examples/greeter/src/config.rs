//! Flags and variables.

use std::net::SocketAddr;

use crate::greeting::{GreetingError, Language};

/// How the service was asked to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub listen: SocketAddr,
    pub language: Language,
    pub workers: usize,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    #[error("unknown argument `{0}`: only `--listen ADDR` is taken")]
    Argument(String),
    #[error("`--listen` needs an address like 127.0.0.1:8080")]
    MissingAddress,
    #[error("`{0}` is no address like 127.0.0.1:8080")]
    Address(String),
    #[error("GREETER_LANGUAGE")]
    Language(#[source] GreetingError),
    #[error("GREETER_WORKERS is `{0}`: expected 1 to 64")]
    Workers(String),
}

const LISTEN: &str = "127.0.0.1:8080";
const WORKERS: usize = 4;
const WORKERS_MAX: usize = 64;

impl Config {
    /// Reads arguments (without the program's name) and variables; a flag wins over a variable.
    pub fn read(
        arguments: impl IntoIterator<Item = String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        let mut listen = variable("GREETER_LISTEN").unwrap_or_else(|| LISTEN.to_owned());
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.split_once('=') {
                Some(("--listen", address)) => listen = address.to_owned(),
                _ if argument == "--listen" => listen = arguments.next().ok_or(ConfigError::MissingAddress)?,
                _ => return Err(ConfigError::Argument(argument)),
            }
        }
        let language = match variable("GREETER_LANGUAGE") {
            Some(text) => text.parse().map_err(ConfigError::Language)?,
            None => Language::default(),
        };
        let workers = match variable("GREETER_WORKERS") {
            Some(text) => match text.parse() {
                Ok(count) if (1..=WORKERS_MAX).contains(&count) => count,
                _ => return Err(ConfigError::Workers(text)),
            },
            None => WORKERS,
        };
        let listen = listen.parse().map_err(|_| ConfigError::Address(listen))?;
        Ok(Config { listen, language, workers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::read(arguments.iter().map(|argument| (*argument).to_owned()), variable)
    }

    #[test]
    fn has_defaults() {
        let config = read(&[], &[]).expect("defaults are valid");
        assert_eq!((config.listen.to_string().as_str(), config.workers), (LISTEN, WORKERS));
    }

    #[test]
    fn a_flag_wins_over_a_variable() {
        for arguments in [&["--listen", "127.0.0.1:9"][..], &["--listen=127.0.0.1:9"]] {
            let config = read(arguments, &[("GREETER_LISTEN", "127.0.0.1:7")]).expect("valid");
            assert_eq!(config.listen.port(), 9);
        }
        assert_eq!(read(&[], &[("GREETER_LISTEN", "127.0.0.1:7")]).expect("valid").listen.port(), 7);
    }

    #[test]
    fn refuses() {
        assert_eq!(read(&["--port"], &[]), Err(ConfigError::Argument("--port".to_owned())));
        assert_eq!(read(&["--listen"], &[]), Err(ConfigError::MissingAddress));
        assert_eq!(read(&["--listen", "here"], &[]), Err(ConfigError::Address("here".to_owned())));
        assert_eq!(read(&[], &[("GREETER_WORKERS", "0")]), Err(ConfigError::Workers("0".to_owned())));
        assert!(matches!(read(&[], &[("GREETER_LANGUAGE", "xx")]), Err(ConfigError::Language(_))));
    }
}
