//! Values that look like secrets reach neither a trace nor a statement: `hmac:` and a keyed hash stand in their place.
//!
//! The key is the run's own and is never published, so equal values can be told within a run and guessed by nobody.

use std::collections::BTreeMap;

use sandbox::event::Event;
use sandbox::script::{self, ScriptEvent};
use wire::digest::hmac_sha256;

use crate::spec::looks_secret;

/// Beginnings of values that are tokens wherever they stand: GitHub, GitLab, AWS, Slack, Stripe, crates.io, JWT, PEM.
const TOKEN_STARTS: [&str; 14] = [
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "AKIA",
    "ASIA",
    "xoxb-",
    "xoxp-",
    "sk_live_",
    "cio",
    "eyJ",
    "-----BEGIN",
];

/// More places than the sandbox writes into one event.
const RAN_MAX: usize = 1 << 16;

/// A token is longer than this; shorter values with such a beginning are words.
const TOKEN_LENGTH_MIN: usize = 16;

/// Withholds values under one key.
#[derive(Debug)]
pub struct Withhold {
    key: [u8; 32],
    /// The variables of each place of a script that was told.
    names: Vec<Vec<String>>,
}

impl Withhold {
    /// `key` is the run's own.
    pub fn new(key: [u8; 32]) -> Withhold {
        Withhold { key, names: Vec::new() }
    }

    /// Withholds what a program's arguments and variables tell, and the values that decided in a script. Events come in the order of the
    /// trace: a place of a script tells its variables before it is passed.
    pub fn event(&mut self, event: &mut Event) {
        match event {
            Event::Process { argv, variables, .. } => {
                *argv = self.arguments(argv);
                *variables = self.variables(variables);
            }
            Event::Script(ScriptEvent::Place { id, place, .. }) if *id == self.names.len() => {
                self.names.push(place.names.clone());
            }
            Event::Script(ScriptEvent::Ran { ran, values, .. }) => self.values(ran, values),
            _ => {}
        }
    }

    /// Withholds the values that places were passed with. What names no place tells nothing.
    fn values(&self, ran: &str, values: &mut Vec<(usize, Vec<String>)>) {
        if values.is_empty() {
            return;
        }
        let ran = script::decode(ran, RAN_MAX).unwrap_or_default();
        values.retain_mut(|(index, values)| {
            let Some(names) = ran.get(*index).and_then(|place| self.names.get(*place)) else { return false };
            *values = self.named(names, std::mem::take(values));
            true
        });
    }

    /// Withholds values that stand beside their names; values without a name go.
    pub fn named(&self, names: &[String], values: Vec<String>) -> Vec<String> {
        let named: BTreeMap<String, String> = names.iter().cloned().zip(values).collect();
        let mut shown = self.variables(&named);
        names.iter().map_while(|name| shown.remove(name)).collect()
    }

    /// Withholds values of variables: by the name, and tokens by their form.
    pub fn variables(&self, variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let value = |name: &str, value: &str| match looks_secret(name) && !value.is_empty() {
            true => self.withheld(value),
            false => self.token(value),
        };
        variables.iter().map(|(name, text)| (name.clone(), value(name, text))).collect()
    }

    /// Withholds `--password=X`, `--token X`, and tokens by their form.
    pub fn arguments(&self, argv: &[String]) -> Vec<String> {
        let mut after_secret_option = false;
        let mut out = Vec::with_capacity(argv.len());
        for argument in argv {
            let is_value = std::mem::take(&mut after_secret_option) && !argument.starts_with('-');
            out.push(match argument.split_once('=') {
                _ if is_value => self.withheld(argument),
                Some((name, value)) if is_option(name) && looks_secret(&name.replace('-', "_")) => {
                    format!("{name}={}", self.withheld(value))
                }
                None if is_option(argument) && looks_secret(&argument.replace('-', "_")) => {
                    after_secret_option = true;
                    argument.clone()
                }
                _ => self.token(argument),
            });
        }
        out
    }

    fn token(&self, value: &str) -> String {
        let is_token = value.len() >= TOKEN_LENGTH_MIN
            && TOKEN_STARTS.iter().any(|start| value.starts_with(start))
            && !value.contains('/');
        let has_password = value.split_once("://").is_some_and(|(_, rest)| {
            let authority = rest.split('/').next().unwrap_or("");
            authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
        });
        if is_token || has_password { self.withheld(value) } else { value.to_owned() }
    }

    fn withheld(&self, value: &str) -> String {
        // What was withheld when the trace was written stays under the run's key.
        let is_done = |hash: &str| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if value.strip_prefix("hmac:").is_some_and(is_done) {
            return value.to_owned();
        }
        let hash: String = hmac_sha256(&self.key, value.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("hmac:{hash}")
    }
}

fn is_option(name: &str) -> bool {
    name.starts_with('-')
}
