//! Identities by certificate, and the authorities in the file.

use super::*;
use crate::certificate::SubjectName;

const PUBLIC: &str = include_str!("../../../../../tests/foreign/sigstore/public.trusted_root.json");

fn certified() -> CertifiedIdentity {
    CertifiedIdentity {
        name: "release".to_owned(),
        issuer: "https://issuer.example.org".to_owned(),
        subject: SubjectRule::Exact("jane@example.org".to_owned()),
        roles: vec![Role::Publisher],
        valid_from: time("2026-01-01T00:00:00Z"),
        valid_until: None,
        revoked_at: None,
    }
}

fn whole() -> Trust {
    let (_, mut trust) = sample();
    let root = TrustedRoot::parse(PUBLIC.as_bytes()).expect("a root");
    trust.authorities = Authorities { logs: Vec::new(), ..Authorities::of(&root).expect("authorities") };
    let pattern = Pattern::new("https://github.com/acme/*/.github/workflows/ci.yml@refs/tags/v*").expect("a pattern");
    trust.certified = vec![certified(), CertifiedIdentity { subject: SubjectRule::Pattern(pattern), ..certified() }];
    trust
}

#[test]
fn version_2_and_back() {
    let trust = whole();
    let text = trust.to_json();
    assert!(text.starts_with("{\n  \"version\": 2,\n"), "{text:.40}");
    assert_eq!(Trust::parse(&text).expect("its own print"), trust);
}

/// A file of version 1 is read as before, and stays one until something needs version 2.
#[test]
fn version_1_is_migrated_only_by_a_change() {
    let (_, trust) = sample();
    let text = trust.to_json();
    let mut read = Trust::parse(&text).expect("version 1");
    assert_eq!(read.to_json(), text);
    assert!(text.contains("\"version\": 1"));
    read.certified.push(certified());
    let text = read.to_json();
    assert!(text.contains("\"version\": 2"));
    assert_eq!(Trust::parse(&text).expect("version 2"), read);
}

#[test]
fn stock_clients_get_the_authorities() {
    let trust = whole();
    let root = TrustedRoot::parse(to_trusted_root_json(&trust).as_bytes()).expect("a trusted root");
    let foreign = TrustedRoot::parse(PUBLIC.as_bytes()).expect("a root");
    assert_eq!(root.certificate_authorities, foreign.certificate_authorities);
    assert_eq!(root.timestamp_authorities, foreign.timestamp_authorities);
    assert_eq!(root.ctlogs, foreign.ctlogs);
    assert_eq!(root.tlogs.len(), trust.logs.len());
    assert_eq!(Authorities::of(&root).expect("authorities"), trust.authorities());
}

#[test]
fn other_files_of_version_2_are_refused() {
    let good = whole().to_json();
    let check = |from: &str, to: &str, expected: &str| {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        assert_eq!(Trust::parse(&text).expect_err(expected).to_string(), expected);
    };
    check("\"version\": 2", "\"version\": 1", "trust file of version 1 has `certificate`, which is of version 2");
    check(
        "\"subject\": \"jane",
        "\"subject\": \"jane doe",
        "`release` has a malformed `subject`: it is empty, too long, or has a space or a control character",
    );
    check(
        "\"issuer\": \"https",
        "\"issuer\": \" https",
        "`release` has a malformed `issuer`: it is empty, too long, or has a space or a control character",
    );
    check("\"subject\": \"jane@example.org\"", "\"subjects\": \"jane@example.org\"", "not a trust file");
    check(
        "\"subject\": \"jane@example.org\"",
        "\"subject\": \"jane@example.org\", \"subjectPattern\": \"*@example.org\"",
        "`release` must have exactly one of `subject` and `subjectPattern`",
    );
    check(
        "      \"certificate\": {",
        "      \"key\": \"MCow\", \"certificate\": {",
        "`release` must have exactly one of `key` and `certificate`",
    );
    check("\"https://github.com/acme/", "\"https://*/acme/", "reading the `subjectPattern` of `release`");
    check("\"MII", "\"MIJ", "reading the authorities");
    check("\"MII", "\"!MI", "reading the key of `https://fulcio.sigstore.dev`");
    check("\"uri\"", "\"url\"", "not a trust file");
}

#[test]
fn patterns_are_anchored_and_small() {
    let uri = "https://github.com/acme/*/.github/workflows/ci.yml@refs/tags/v*";
    for (pattern, name, expected) in [
        (uri, "https://github.com/acme/app/.github/workflows/ci.yml@refs/tags/v1.2", true),
        (uri, "https://github.com/acme//.github/workflows/ci.yml@refs/tags/v1", false),
        (uri, "https://github.com/acme/a/b/.github/workflows/ci.yml@refs/tags/v1", false),
        (uri, "https://github.com/acme/app/.github/workflows/ci.yml@refs/tags/v", false),
        (uri, "https://github.com/acme/app/.github/workflows/ci.yml@refs/tags/v1/x", false),
        (uri, "https://github.com/acme/app/.github/workflows/ci.yml@refs/tags/v1@x", false),
        (uri, "xhttps://github.com/acme/app/.github/workflows/ci.yml@refs/tags/v1", false),
        (uri, "https://github.com.evil.org/acme/app/.github/workflows/ci.yml@refs/tags/v1", false),
        ("https://example.org/*a*b", "https://example.org/xaayab", true),
        ("https://example.org/*a*b", "https://example.org/ab", false),
    ] {
        let pattern = Pattern::new(pattern).expect("a pattern");
        let rule = CertifiedIdentity { subject: SubjectRule::Pattern(pattern), ..certified() };
        let subject = |name| Subject { name, issuer: "https://issuer.example.org".to_owned() };
        assert_eq!(rule.is(&subject(SubjectName::Uri(name.to_owned()))), expected, "{name}");
        assert!(!rule.is(&subject(SubjectName::Email(name.to_owned()))), "{name}");
        assert!(!rule.is(&subject(SubjectName::Other(name.to_owned()))), "{name}");
    }
    let of_mail = CertifiedIdentity {
        subject: SubjectRule::Pattern(Pattern::new("*@example.org").expect("a pattern")),
        ..certified()
    };
    let mail = |text: &str| Subject { name: SubjectName::Email(text.to_owned()), issuer: of_mail.issuer.clone() };
    assert!(of_mail.is(&mail("jane@example.org")));
    for other in ["@example.org", "jane@example.org.evil", "jane@evil@example.org", "a/b@example.org"] {
        assert!(!of_mail.is(&mail(other)), "{other}");
    }
    for bad in [
        "",
        "*",
        "https://*",
        "https://*/x",
        "https://a*.org/x",
        "https://example.org",
        "https://example.org/x",
        "https://u@example.org/*",
        "http://example.org/*",
        "https://example.org/**",
        "jane@*",
        "jane@*.org",
        "*",
        "jane@example.org",
        "*@",
        "https:///*",
        "https://example.org/ *",
    ] {
        assert!(Pattern::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn damaged_files_of_version_2_never_panic() {
    let text = whole().to_json();
    Mutator::new(59).each(500, text.as_bytes(), |bytes| {
        if let Ok(trust) = Trust::parse(&String::from_utf8_lossy(bytes)) {
            assert_eq!(Trust::parse(&trust.to_json()).expect("its own print"), trust);
        }
    });
}
