use super::*;

#[test]
fn plain_http_is_for_this_machine_or_on_demand() {
    let check = |host: &str, plain, expected: &str| {
        let address = Address::of_host(host, plain).expect("an address");
        assert_eq!(address.to_string(), expected);
    };
    check("registry.example.org", false, "https://registry.example.org");
    check("registry.example.org:5000", true, "http://registry.example.org:5000");
    check("localhost:5000", false, "http://localhost:5000");
    check("127.0.0.1:5000", false, "http://127.0.0.1:5000");
    check("127.9.9.9", false, "http://127.9.9.9");
    check("[::1]:5000", false, "http://[::1]:5000");
    check("10.0.0.1:5000", false, "https://10.0.0.1:5000");
    check("localhost.example.org", false, "https://localhost.example.org");
    check("docker.io", false, "https://registry-1.docker.io");
}

#[test]
fn addresses_that_are_none_are_refused() {
    let bad = [
        "",
        "x",
        "ftp://a",
        "https://",
        "https://u:p@a",
        "https://a/b",
        "https://a?b",
        "https://a#b",
        "file:///etc/passwd",
    ];
    for text in bad {
        let failure = Address::of_url(text).expect_err(text);
        assert_eq!((failure.code, failure.exit), ("server-address", 2), "{text}");
        assert!(failure.hint.is_some(), "{text}");
    }
    assert_eq!(Address::of_url("https://a.example:443/").expect("an address").host(), "a.example");
}

#[test]
fn a_server_leads_nowhere_in_the_clear() {
    let check = |from: &str, to: &str, expected| {
        let from = Address::of_url(from).expect("an address");
        assert_eq!(from.may_lead_to(&Url::parse(to).expect("a URL")), expected, "{from} → {to}");
    };
    check("https://a.example", "https://cdn.example/x", true);
    check("https://a.example", "http://a.example/x", false);
    check("https://a.example", "http://127.0.0.1/x", false);
    check("http://127.0.0.1:1", "http://127.0.0.1:2/x", true);
    check("http://127.0.0.1:1", "http://a.example/x", false);
    check("http://a.example", "http://a.example/x", true);
    check("http://a.example", "http://b.example/x", false);
    check("http://a.example", "file:///x", false);
}

#[test]
fn what_is_owned_has_scheme_host_and_port() {
    let address = Address::of_url("https://a.example").expect("an address");
    let check = |url: &str, expected| assert_eq!(address.owns(&Url::parse(url).expect("a URL")), expected, "{url}");
    check("https://a.example/v2/", true);
    check("https://a.example:443/v2/", true);
    check("https://a.example:8443/", false);
    check("http://a.example/", false);
    check("https://b.a.example/", false);
}
