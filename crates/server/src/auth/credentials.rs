//! What a request says about who sends it: `Authorization: Basic`, `Authorization: Bearer`, or the dashboard's cookie.

use wire::base64;

/// The longest credential that is looked at.
const LENGTH_MAX: usize = 4096;

/// The dashboard's cookie.
pub(crate) const COOKIE: &str = "assay_session";

/// A credential, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// None was sent.
    None,
    /// A token: the password of Basic (the user name may be anything), or a Bearer that is a token itself.
    Token(String),
    /// A short-lived bearer, from the token endpoint or the dashboard's cookie.
    Bearer(String),
    /// Something was sent that cannot be read.
    Malformed,
}

/// Reads the `Authorization` header, else the cookie.
pub(crate) fn read(authorization: Option<&str>, cookies: Option<&str>) -> Credential {
    match authorization {
        Some(header) => read_authorization(header),
        None => match cookies.and_then(session) {
            Some(bearer) => Credential::Bearer(bearer.to_owned()),
            None => Credential::None,
        },
    }
}

fn read_authorization(header: &str) -> Credential {
    if header.len() > LENGTH_MAX {
        return Credential::Malformed;
    }
    let Some((scheme, value)) = header.split_once(' ') else { return Credential::Malformed };
    let value = value.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => match base64::decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(pair) => match pair.split_once(':') {
                // Clients without a login send an empty pair.
                Some((_, "")) => Credential::None,
                Some((_, password)) => Credential::Token(password.to_owned()),
                None => Credential::Malformed,
            },
            None => Credential::Malformed,
        },
        "bearer" if value.starts_with("assay1.") => Credential::Bearer(value.to_owned()),
        "bearer" if !value.is_empty() => Credential::Token(value.to_owned()),
        _ => Credential::Malformed,
    }
}

fn session(cookies: &str) -> Option<&str> {
    if cookies.len() > LENGTH_MAX {
        return None;
    }
    cookies.split(';').find_map(|pair| match pair.trim().split_once('=') {
        Some((COOKIE, value)) if !value.is_empty() => Some(value),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read() {
        let basic = |pair: &str| format!("Basic {}", base64::encode(pair.as_bytes()));
        let check = |authorization: Option<&str>, cookies, expected| assert_eq!(read(authorization, cookies), expected);
        let token = |text: &str| Credential::Token(text.to_owned());
        check(None, None, Credential::None);
        check(Some(&basic("anybody:secret")), None, token("secret"));
        check(Some(&basic(":se:cret")), None, token("se:cret"));
        check(Some(&basic("anybody:")), None, Credential::None);
        check(Some(&basic("nocolon")), None, Credential::Malformed);
        check(Some("basic YTpi"), None, token("b"));
        check(Some("Bearer secret"), None, token("secret"));
        check(Some("Bearer assay1.x"), None, Credential::Bearer("assay1.x".to_owned()));
        check(None, Some("a=b; assay_session=assay1.y"), Credential::Bearer("assay1.y".to_owned()));
        check(Some("Bearer secret"), Some("assay_session=assay1.y"), token("secret"));
        check(None, Some("assay_session="), Credential::None);
        for malformed in ["Basic", "Basic %%%", "Digest x", "Bearer ", "Basic //79", &"x".repeat(5000)] {
            check(Some(malformed), None, Credential::Malformed);
        }
    }
}
