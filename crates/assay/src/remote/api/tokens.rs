//! Tokens of a server: it makes them, and its log keeps who may what.

use registry::token::NewToken;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use super::{ANSWER_MAX, Api, Call, read};
use crate::error::Result;

/// One role of a token, by the token's SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// SHA-256 of the token.
    pub(crate) token: Digest,
    /// Whose it is.
    pub(crate) name: String,
    /// The role.
    pub(crate) role: String,
    /// Patterns of the repositories that it covers.
    pub(crate) repositories: Vec<String>,
    /// When it was given.
    pub(crate) granted: Timestamp,
}

impl Api {
    /// Lets the server make a token, and returns it: nobody has it but us.
    pub(crate) fn give_token(&self, new: &NewToken) -> Result<String> {
        let repositories: Vec<&str> = new.repositories.iter().map(|pattern| pattern.as_str()).collect();
        let body = json!({"name": new.name, "role": new.role.name(), "repositories": repositories}).to_string();
        let call = Call::new(Method::POST, self.url("/api/v1/tokens", &[])?);
        // Once: a second request after a broken connection would give a second token.
        let call = call.header(CONTENT_TYPE, "application/json").bytes(body.into_bytes()).once();
        let answer = self.object(&self.known(&call, ANSWER_MAX)?)?;
        self.text(&answer, "token")
    }

    /// All tokens, by name.
    pub(crate) fn tokens(&self) -> Result<Vec<Granted>> {
        self.rows(&self.ask("/api/v1/tokens", &[])?, "tokens", granted)
    }

    /// Takes every role from a token, named by its SHA-256, or from all tokens of a name. Returns the roles taken.
    pub(crate) fn revoke_tokens(&self, which: &str) -> Result<Vec<Granted>> {
        let url = self.url(&format!("/api/v1/tokens/{}", read::path_part(which)), &[])?;
        let answer = self.send(&Call::new(Method::DELETE, url).once(), ANSWER_MAX)?;
        match self.present(&answer)? {
            Some(answer) => self.rows(&answer, "revoked", granted),
            None => Ok(Vec::new()),
        }
    }
}

/// `{"digest":"sha256:…","name":"ci","role":"publisher","repositories":["team/*"],"granted":"2026-11-22T19:41:00Z"}`
fn granted(row: &Value) -> Option<Granted> {
    let patterns = row["repositories"].as_array()?;
    Some(Granted {
        token: row["digest"].as_str()?.parse().ok()?,
        name: row["name"].as_str()?.to_owned(),
        role: row["role"].as_str()?.to_owned(),
        repositories: patterns.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        granted: serde_json::from_value(row["granted"].clone()).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_whole_or_not_at_all() {
        let row = json!({
            "digest": Digest::of(b"token"), "name": "ci", "role": "publisher", "repositories": ["team/*"],
            "granted": "2026-11-22T19:41:00Z",
        });
        assert_eq!(granted(&row).map(|granted| granted.repositories), Some(vec!["team/*".to_owned()]));
        for (field, value) in [
            ("digest", json!("x")),
            ("name", Value::Null),
            ("role", json!(1)),
            ("repositories", json!(["a", 1])),
            ("granted", json!("now")),
        ] {
            let mut broken = row.clone();
            broken[field] = value;
            assert_eq!(granted(&broken), None, "{field}");
        }
    }
}
