//! From a request to an answer, without a socket.

use serde::Serialize;

use crate::greeting::{self, GreetingError, Language};

/// What every answer depends on besides the request.
#[derive(Clone, Debug)]
pub struct Service {
    pub default_language: Language,
}

/// Status and JSON body.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

#[derive(Serialize)]
struct Index {
    service: &'static str,
    paths: [&'static str; 4],
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Greeting {
    greeting: String,
    language: Language,
}

#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Problem {
    error: String,
}

impl Service {
    /// Answers one request; `url` is path and query as they stand in the request line.
    pub fn answer(&self, method: &str, url: &str) -> Answer {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        if method != "GET" && method != "HEAD" {
            return problem(405, format!("method {method} is not allowed"));
        }
        match path {
            "/" => answer(200, &Index { service: NAME, paths: ["/", "/health", "/greet/NAME", "/version"] }),
            "/health" => answer(200, &Health { status: "ok", version: VERSION }),
            "/version" => answer(200, &Version { name: NAME, version: VERSION }),
            _ => match path.strip_prefix("/greet/") {
                Some(name) => self.greet(name, query),
                None => problem(404, "nothing here: see /".to_owned()),
            },
        }
    }

    fn greet(&self, name: &str, query: &str) -> Answer {
        let Some(name) = percent_decode(name) else {
            return problem(400, "the name is not percent-encoded UTF-8".to_owned());
        };
        let wanted = query.split('&').find_map(|pair| pair.strip_prefix("language="));
        let language = wanted.map_or(Ok(self.default_language), str::parse);
        let greeting = language.and_then(|language| Ok((greeting::greet(&name, language)?, language)));
        match greeting {
            Ok((greeting, language)) => answer(200, &Greeting { greeting, language }),
            Err(error @ (GreetingError::Language(_) | GreetingError::Name)) => problem(400, error.to_string()),
        }
    }
}

const NAME: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn answer(status: u16, body: &impl Serialize) -> Answer {
    let body = serde_json::to_string(body).expect("our answers are representable in JSON");
    Answer { status, body }
}

fn problem(status: u16, error: String) -> Answer {
    answer(status, &Problem { error })
}

/// Decodes `%C3%A9`; `None` if a percent sign stands alone or the bytes are no UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, url: &str, status: u16, body: &str) {
        let service = Service { default_language: Language::English };
        assert_eq!(service.answer(method, url), Answer { status, body: body.to_owned() }, "{method} {url}");
    }

    #[test]
    fn greets() {
        check("GET", "/greet/Ada", 200, r#"{"greeting":"Hello, Ada!","language":"en"}"#);
        check("GET", "/greet/Ada?language=de", 200, r#"{"greeting":"Guten Tag, Ada!","language":"de"}"#);
        check("GET", "/greet/Ren%C3%A9e", 200, r#"{"greeting":"Hello, Renée!","language":"en"}"#);
    }

    #[test]
    fn names_itself() {
        check("GET", "/version", 200, &format!(r#"{{"name":"greeter","version":"{VERSION}"}}"#));
        check("HEAD", "/health", 200, &format!(r#"{{"status":"ok","version":"{VERSION}"}}"#));
    }

    #[test]
    fn refuses() {
        check("GET", "/nowhere", 404, r#"{"error":"nothing here: see /"}"#);
        check("POST", "/", 405, r#"{"error":"method POST is not allowed"}"#);
        check("GET", "/greet/%F", 400, r#"{"error":"the name is not percent-encoded UTF-8"}"#);
        check("GET", "/greet/%FF", 400, r#"{"error":"the name is not percent-encoded UTF-8"}"#);
        check("GET", "/greet/A?language=xx", 400, r#"{"error":"unknown language `xx`: expected en, de, fr or es"}"#);
    }
}
