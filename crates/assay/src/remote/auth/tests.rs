use super::*;

fn bearer(realm: &str) -> Challenge {
    Challenge::Bearer { realm: realm.to_owned(), service: None, scope: None }
}

#[test]
fn challenges_are_chosen() {
    let check = |values: &[&str], expected: Option<Challenge>| {
        assert_eq!(choose(values.iter().copied()), expected, "{values:?}")
    };
    let basic = || Challenge::Basic { realm: "r".to_owned() };
    check(&[], None);
    check(&[r#"Basic realm="r""#], Some(basic()));
    check(&[r#"Basic realm="r""#, r#"Bearer realm="https://a/t""#], Some(bearer("https://a/t")));
    check(&[r#"Negotiate"#, r#"Basic realm="r""#], Some(basic()));
    check(
        &[r#"Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push""#],
        Some(Challenge::Bearer {
            realm: "https://a/t".to_owned(),
            service: Some("s".to_owned()),
            scope: Some("repository:a/b:pull,push".to_owned()),
        }),
    );
    check(&[r#"Bearer service="s""#], None);
    check(&["Bearer", "Basic", "", "=", "Bearer realm="], None);
    check(&[&format!(r#"Bearer realm="https://a/{}""#, "x".repeat(CHALLENGE_LENGTH_MAX))], None);
    let mut many = vec!["Negotiate"; CHALLENGES_MAX];
    many.push(r#"Basic realm="r""#);
    check(&many, None);
}

#[test]
fn tokens_are_fetched_only_where_nobody_listens() {
    let address = Address::of_url("https://r.example").expect("an address");
    let url =
        token_url(&address, "https://auth.example/t?x=1", Some("r.example"), "repository:a/b:pull").expect("a URL");
    assert_eq!(url.as_str(), "https://auth.example/t?x=1&service=r.example&scope=repository%3Aa%2Fb%3Apull");
    for realm in ["http://auth.example/t", "http://127.0.0.1/t", "file:///etc/passwd", "auth", ""] {
        assert_eq!(token_url(&address, realm, None, "s").expect_err(realm).code, "registry-auth");
    }
}

#[test]
fn tokens_are_read() {
    let check =
        |json: &str, expected: Option<&str>| assert_eq!(parse_token(json.as_bytes()).as_deref(), expected, "{json}");
    check(r#"{"token":"t"}"#, Some("t"));
    check(r#"{"access_token":"a"}"#, Some("a"));
    check(r#"{"token":"t","access_token":"a","expires_in":300}"#, Some("t"));
    check(r#"{"token":"","access_token":"a"}"#, Some("a"));
    check(r#"{"token":""}"#, None);
    check("{}", None);
    check("", None);
    check("[]", None);
    check(r#"{"token":7}"#, None);
    check(r#"{"token":"a\r\nX-Header: b"}"#, None);
    check(&format!(r#"{{"token":"{}"}}"#, "x".repeat(TOKEN_LENGTH_MAX + 1)), None);
}

#[test]
fn logins_are_found_by_host() {
    let auth = base64::encode(b"ada:se:cret");
    let file = format!(
        r#"{{"auths":{{"r.example:5000":{{"auth":"{auth}"}},"https://s.example":{{"auth":"{auth}"}},"e.example":{{}}}}}}"#
    );
    let check = |host: &str, expected: bool| {
        let login = login_in(file.as_bytes(), host);
        assert_eq!(login.is_some(), expected, "{host}");
        if let Some(login) = login {
            assert_eq!(login.basic(), format!("Basic {auth}"));
            assert!(!format!("{login:?}").contains("cret"));
        }
    };
    check("r.example:5000", true);
    check("s.example", true);
    check("r.example", false);
    check("e.example", false);
    for broken in
        ["", "[]", "{}", r#"{"auths":[]}"#, r#"{"auths":{"a":{"auth":7}}}"#, r#"{"auths":{"a":{"auth":"%"}}}"#]
    {
        assert_eq!(login_in(broken.as_bytes(), "a"), None, "{broken}");
    }
}
