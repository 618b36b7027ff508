use serde_json::{Value, json};

use super::*;
use crate::jwt::tests::claims_of;

const GITHUB: &str = "https://token.actions.githubusercontent.com";

fn issuers(text: &str) -> Result<Vec<Issuer>, String> {
    let value: Value = serde_json::from_str(text).expect("JSON");
    let file: IssuersFile = serde_json::from_value(value).map_err(|error| error.to_string())?;
    file.issuers().map_err(|error| error.to_string())
}

fn issuer(entry: Value) -> Issuer {
    issuers(&json!({"version": 1, "issuer": [entry]}).to_string()).expect("an issuer").remove(0)
}

fn identify(entry: Value, claims: Value) -> Result<Identity, IdentityError> {
    issuer(entry).identify(&claims_of(claims), b"a key")
}

fn github() -> Value {
    json!({"iss": GITHUB, "sub": "repo:o/r:ref:refs/heads/main", "job_workflow_ref": "o/r/.github/workflows/x.yml@refs/heads/main",
        "job_workflow_sha": "aa", "sha": "bb", "event_name": "push", "repository": "o/r", "workflow": "X",
        "ref": "refs/heads/main", "repository_owner": "o", "repository_id": "1", "repository_owner_id": "2",
        "workflow_ref": "o/r/.github/workflows/top.yml@refs/heads/main", "workflow_sha": "cc", "run_id": "3",
        "run_attempt": "1", "runner_environment": "github-hosted", "repository_visibility": "private"})
}

/// Every extension that Fulcio gives a workflow of GitHub, and none that the token says nothing for.
#[test]
fn a_workflow_of_github() {
    let found =
        identify(json!({"type": "github-actions", "allow": [{"repository_owner": "o"}]}), github()).expect("one");
    let name = "https://github.com/o/r/.github/workflows/x.yml@refs/heads/main";
    assert_eq!(found.name, SubjectName::Uri(name.to_owned()));
    assert_eq!((found.challenge.as_str(), found.issuer.as_str()), ("repo:o/r:ref:refs/heads/main", GITHUB));
    let values: Vec<(u32, &str)> = found.values.iter().map(|value| (value.number(), value.text())).collect();
    assert_eq!(
        values,
        [
            (2, "push"),
            (3, "bb"),
            (4, "X"),
            (5, "o/r"),
            (6, "refs/heads/main"),
            (9, name),
            (10, "aa"),
            (11, "github-hosted"),
            (12, "https://github.com/o/r"),
            (13, "bb"),
            (14, "refs/heads/main"),
            (15, "1"),
            (16, "https://github.com/o"),
            (17, "2"),
            (18, "https://github.com/o/r/.github/workflows/top.yml@refs/heads/main"),
            (19, "cc"),
            (20, "push"),
            (21, "https://github.com/o/r/actions/runs/3/attempts/1"),
            (22, "private"),
            (24, "repo:o/r:ref:refs/heads/main"),
        ]
    );
    for needed in ["job_workflow_ref", "sha", "event_name", "repository", "workflow", "ref", "sub"] {
        let mut claims = github();
        claims.as_object_mut().expect("an object").remove(needed);
        let error = identify(json!({"type": "github-actions", "allow": "anyone"}), claims).expect_err(needed);
        assert_eq!(error, IdentityError::Claim(needed.to_owned()));
    }
    let mut claims = github();
    claims["job_workflow_ref"] = json!("o/r/x.yml@refs/heads/größe a");
    let found = identify(json!({"type": "github-actions", "allow": "anyone"}), claims).expect("one");
    assert_eq!(found.name.text(), "https://github.com/o/r/x.yml@refs/heads/gr%C3%B6%C3%9Fe%20a");
}

#[test]
fn a_job_of_gitlab() {
    let claims = json!({"iss": "https://gitlab.example.org", "sub": "project_path:g/p:ref_type:tag:ref:v1",
        "ci_config_ref_uri": "gitlab.example.org/g/p//.gitlab-ci.yml@refs/tags/v1", "ci_config_sha": "aa", "sha": "bb",
        "pipeline_source": "push", "project_path": "g/p", "namespace_path": "g", "namespace_id": "1", "project_id": "2",
        "job_id": "3", "ref": "v1", "ref_type": "tag", "runner_environment": "self-hosted", "project_visibility": "public",
        "environment": "production"});
    let entry = json!({"type": "gitlab-ci", "url": "https://gitlab.example.org", "allow": [{"namespace_path": "g"}]});
    let found = identify(entry.clone(), claims.clone()).expect("one");
    assert_eq!(found.name.text(), "https://gitlab.example.org/g/p//.gitlab-ci.yml@refs/tags/v1");
    let value = |number| found.values.iter().find(|value| value.number() == number).map(FulcioValue::text);
    assert_eq!(value(14), Some("refs/tags/v1"));
    assert_eq!(value(16), Some("https://gitlab.example.org/g"));
    assert_eq!(value(21), Some("https://gitlab.example.org/g/p/-/jobs/3"));
    assert_eq!(value(23), Some("production"));
    let mut other = claims;
    other["ref_type"] = json!("merge");
    assert!(matches!(identify(entry, other), Err(IdentityError::Form { claim: "ref_type", .. })));
}

#[test]
fn people_and_workloads() {
    let email = json!({"type": "google", "allow": [{"email": "*@example.org"}]});
    let jane = |address: &str, verified: Value| json!({"sub": "7", "email": address, "email_verified": verified});
    let found = identify(email.clone(), jane("jane@example.org", json!(true))).expect("jane");
    assert_eq!(
        (found.name, found.challenge.as_str()),
        (SubjectName::Email("jane@example.org".to_owned()), "jane@example.org")
    );
    assert!(identify(email.clone(), jane("jane@example.org", json!(false))).is_err());
    assert!(identify(email.clone(), jane("jane@example.org", Value::Null)).is_err());
    assert!(matches!(
        identify(email.clone(), jane("jane@example.net", json!(true))),
        Err(IdentityError::NotAllowed(_))
    ));
    assert!(matches!(identify(email, jane("a@b@example.org", json!(true))), Err(IdentityError::NotAllowed(_))));

    let kubernetes = json!({"type": "kubernetes", "url": "https://kubernetes.default.svc", "allow": [{"kubernetes.io/namespace": "ci"}]});
    let account = |space: &str, name: &str| json!({"sub": "system:serviceaccount", "kubernetes.io": {"namespace": space, "serviceaccount": {"name": name}}});
    let found = identify(kubernetes.clone(), account("ci", "builder")).expect("an account");
    assert_eq!(found.name.text(), "https://kubernetes.io/namespaces/ci/serviceaccounts/builder");
    assert!(identify(kubernetes.clone(), account("ci", "../x")).is_err());
    assert!(identify(kubernetes.clone(), account("other", "builder")).is_err());
    assert!(identify(kubernetes, json!({"sub": "x", "kubernetes.io": {"namespace": "ci"}})).is_err());

    let spiffe =
        json!({"type": "spiffe", "url": "https://spire.example.org", "trust-domain": "example.org", "allow": "anyone"});
    identify(spiffe.clone(), json!({"sub": "spiffe://example.org/ns/ci/sa/x"})).expect("a workload");
    for bad in [
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org.evil/x",
        "spiffe://example.org/../x",
        "spiffe://other.org/x",
        "https://example.org/x",
        "spiffe://example.org//x",
    ] {
        assert!(identify(spiffe.clone(), json!({"sub": bad})).is_err(), "{bad}");
    }
    let uri = json!({"type": "uri", "url": "https://ci.example.org", "subject-domain": "https://example.org", "allow": "anyone"});
    identify(uri.clone(), json!({"sub": "https://example.org/a"})).expect("a subject");
    for bad in
        ["https://example.org.evil/a", "http://example.org/a", "https://example.org@evil/a", "https://example.org/a b"]
    {
        assert!(identify(uri.clone(), json!({"sub": bad})).is_err(), "{bad}");
    }
}

#[test]
fn any_other_issuer_by_its_texts() {
    let entry = json!({"type": "generic", "url": "https://ci.example.org", "audience": "ours", "allow": [{"team": "a", "branch": "main"}],
        "subject": "https://ci.example.org/{team}/{job}", "extensions": {"sourceRepositoryURI": "https://git.example.org/{repo}", "buildTrigger": "{absent}"}});
    let claims = json!({"sub": "s", "team": "a", "branch": "main", "job": "j", "repo": "r"});
    let found = identify(entry.clone(), claims.clone()).expect("one");
    assert_eq!(found.name.text(), "https://ci.example.org/a/j");
    let values: Vec<(u32, &str)> = found.values.iter().map(|value| (value.number(), value.text())).collect();
    assert_eq!(values, [(12, "https://git.example.org/r")]);
    let mut other = claims.clone();
    other["branch"] = json!("maint");
    assert!(matches!(identify(entry.clone(), other), Err(IdentityError::NotAllowed(_))));
    let mut other = claims;
    other.as_object_mut().expect("an object").remove("job");
    assert_eq!(identify(entry, other), Err(IdentityError::Claim("job".to_owned())));
}

/// A pseudonym depends on the key, the issuer and the name, and tells nothing else of the token.
#[test]
fn a_pseudonym_says_nothing() {
    let entry = |url: &str| json!({"type": "email", "url": url, "pseudonymous": true, "allow": "anyone"});
    let claims = |address: &str| json!({"sub": "7", "email": address, "email_verified": true});
    let of = |url: &str, address: &str, key: &[u8]| {
        issuer(entry(url)).identify(&claims_of(claims(address)), key).expect("one")
    };
    let jane = of("https://a.example.org", "jane@example.org", b"a key");
    assert!(jane.name.text().starts_with("urn:assay:pseudonym:"), "{:?}", jane.name);
    assert_eq!(jane.name, of("https://a.example.org", "jane@example.org", b"a key").name);
    assert_eq!((jane.own_name.text(), jane.challenge.as_str()), ("jane@example.org", "jane@example.org"));
    assert_eq!(jane.values, []);
    for (url, address, key) in [
        ("https://b.example.org", "jane@example.org", &b"a key"[..]),
        ("https://a.example.org", "john@example.org", b"a key"),
        ("https://a.example.org", "jane@example.org", b"another"),
    ] {
        assert_ne!(jane.name, of(url, address, key).name);
    }
}

#[test]
fn a_configuration_that_leaves_something_open_is_refused() {
    let email = |more: Value| {
        let mut entry = json!({"type": "email", "url": "https://a.example.org", "allow": "anyone"});
        for (name, value) in more.as_object().expect("an object") {
            entry[name] = value.clone();
        }
        json!({"version": 1, "issuer": [entry]}).to_string()
    };
    issuers(&email(json!({}))).expect("good");
    issuers(&email(json!({"url": "http://127.0.0.1:8080"}))).expect("this machine");
    assert_eq!(issuers(r#"{"version":1}"#), Ok(Vec::new()));
    for (more, why) in [
        (json!({"allow": null}), "`allow` must say"),
        (json!({"allow": []}), "`allow` must say"),
        (json!({"allow": [{}]}), "`allow` must say"),
        (json!({"allow": "everybody"}), "`allow` must say"),
        (json!({"url": null}), "`url` is missing"),
        (json!({"url": "http://a.example.org"}), "no URL with https"),
        (json!({"url": "http://127.0.0.1.example.org"}), "no URL with https"),
        (json!({"url": "http://localhost@example.org"}), "no URL with https"),
        (json!({"url": "ftp://a"}), "no URL with https"),
        (json!({"audience": ""}), "a text is empty"),
        (json!({"server": "https://a"}), "`server` is not read"),
        (json!({"subject": "https://a/{sub}"}), "`subject` is not read"),
        (json!({"alow": "anyone"}), "unknown field"),
        (json!({"type": "generic", "subject": "{sub}"}), "expected `https://HOST/"),
        (json!({"type": "generic", "subject": "https://{sub}/x"}), "expected `https://HOST/"),
        (json!({"type": "generic", "subject": "https://a/{sub}", "extensions": {"x": "y"}}), "none of Fulcio's"),
        (json!({"type": "generic"}), "`subject` is missing"),
        (json!({"type": "spiffe"}), "`trust-domain` is missing"),
        (json!({"type": "uri", "subject-domain": "example.org"}), "expected `https://HOST`"),
        (json!({"type": "saml"}), "unknown variant"),
    ] {
        let error = issuers(&email(more.clone())).expect_err(why);
        assert!(error.contains(why), "{more}: {error}");
    }
    assert!(issuers(r#"{"version":2}"#).expect_err("later").contains("version 2"));
    let entry = json!({"type": "email", "url": "https://a.example.org", "allow": "anyone"});
    let twice = json!({"version": 1, "issuer": [entry, entry]}).to_string();
    assert!(issuers(&twice).expect_err("twice").contains("stands twice"));
    let many = json!({"version": 1, "issuer": vec![entry; ISSUERS_MAX + 1]}).to_string();
    assert!(issuers(&many).expect_err("too many").contains("more than the limit"));
}
