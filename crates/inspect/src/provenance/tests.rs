use expect_test::{Expect, expect};
use serde_json::json;

use super::*;

fn foreign(name: &str) -> Vec<u8> {
    let path = format!("{}/../../tests/foreign/sigstore/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a recorded bundle")
}

fn graded(bytes: &[u8]) -> Graded {
    let documents = documents(bytes).expect("a statement");
    grade(&documents[0].statement).expect("provenance")
}

fn table(graded: &Graded) -> String {
    let mut text = format!("{} {:?} {}%\n", graded.predicate_type, graded.producer, graded.score());
    for finding in &graded.findings {
        text.push_str(&format!("{:7} {}: {}\n", finding.grade.to_string(), finding.field, finding.found));
    }
    text
}

fn check(graded: &Graded, expected: Expect) {
    expected.assert_eq(&table(graded));
}

#[test]
fn what_github_actions_says_and_leaves_open() {
    let bytes = foreign("happy-path.sigstore.json");
    let found = documents(&bytes).expect("a bundle");
    assert_eq!(found[0].layers, [Layer::Bundle { entries: 1, stamps: 0 }, Layer::Envelope { signatures: 1 }]);
    check(
        &graded(&bytes),
        expect![[r#"
        https://slsa.dev/provenance/v1 Some("GitHub Actions (attest-build-provenance)") 66%
        good    _type: https://in-toto.io/Statement/v1
        good    subject: 1 with digests
        good    predicate.buildDefinition.buildType: https://actions.github.io/buildtypes/workflow/v1
        weak    predicate.buildDefinition.externalParameters: workflow
        good    predicate.buildDefinition.resolvedDependencies (source): git+https://github.com/loosebazooka/aa-test@refs/heads/main
        good    predicate.buildDefinition.internalParameters: github
        weak    predicate.buildDefinition.resolvedDependencies: 1, the source only
        good    predicate.buildDefinition.resolvedDependencies[].digest: 1 of 1
        missing predicate (completeness): no claim
        good    predicate.runDetails.builder.id: https://github.com/loosebazooka/aa-test/.github/workflows/provenance.yaml@refs/h…
        missing predicate.runDetails.builder.version: none
        good    predicate.runDetails.metadata.invocationId: https://github.com/loosebazooka/aa-test/actions/runs/11941425487/attempts/1
        missing predicate.runDetails.metadata.startedOn, finishedOn: none
        missing predicate.runDetails.byproducts: none
        good    predicate (secrets): none seen
    "#]],
    );
}

#[test]
fn what_npm_said_in_the_old_format() {
    check(
        &graded(&foreign("two-signatures.sigstore.json")),
        expect![[r#"
        https://slsa.dev/provenance/v0.2 Some("npm on GitHub Actions") 63%
        weak    _type: https://in-toto.io/Statement/v0.1
        good    subject: 1 with digests
        good    predicate.buildType: https://github.com/npm/slsa-provenance/gha@v0
        missing predicate.invocation.parameters: empty
        good    predicate.invocation.configSource: git+https://github.com/github/slsa-provenance@refs/heads/demo
        good    predicate.invocation.environment: GITHUB_EVENT_NAME, GITHUB_JOB, GITHUB_REF, GITHUB_REF_TYPE, GITHUB_REPOSITORY, G…
        weak    predicate.materials: 1, the source only
        good    predicate.materials[].digest: 1 of 1
        weak    predicate.metadata.completeness: said to be incomplete
        good    predicate.builder.id: https://github.com/npm/slsa-provenance@0.0.1
        missing predicate.builder.version: none
        good    predicate.metadata.buildInvocationId: 3024091546-4
        missing predicate.metadata.buildStartedOn, buildFinishedOn: none
        missing predicate (byproducts): none
        good    predicate (secrets): none seen
    "#]],
    );
}

/// BuildKit's `mode=min` as its clients print it: no statement, an empty builder, what was built from without the rest.
#[test]
fn what_buildkit_prints_in_its_least_mode() {
    let bare = json!({"SLSA": {
        "builder": {"id": ""},
        "buildType": "https://mobyproject.org/buildkit@v1",
        "materials": [{"uri": "pkg:docker/docker/dockerfile@1", "digest": {"sha256": "a".repeat(64)}},
                      {"uri": "pkg:docker/alpine@latest?platform=linux%2Famd64"}],
        "invocation": {"configSource": {"entryPoint": "Dockerfile"}, "parameters": {"frontend": "gateway.v0",
            "args": {"build-arg:NPM_TOKEN": "npm_0123456789abcdef"}}, "environment": {"platform": "linux/amd64"}},
        "metadata": {"buildInvocationID": "yirbp1aosi1vqjmi3z6bc75nb", "buildStartedOn": "2026-11-08T11:39:20.583450152+01:00",
            "buildFinishedOn": "2026-11-08T10:37:20Z", "completeness": {"parameters": true, "environment": true, "materials": false}}}});
    check(
        &graded(bare.to_string().as_bytes()),
        expect![[r#"
        https://slsa.dev/provenance/v0.2 Some("BuildKit") 36%
        missing _type: none
        missing subject: none
        good    predicate.buildType: https://mobyproject.org/buildkit@v1
        good    predicate.invocation.parameters: args, frontend
        missing predicate.invocation.configSource: none
        good    predicate.invocation.environment: platform
        good    predicate.materials: 2, 2 beside the source
        wrong   predicate.materials[].digest: 1 of 2 have none: pkg:docker/alpine@latest?platform=linux%2Famd64
        weak    predicate.metadata.completeness: said to be incomplete
        wrong   predicate.builder.id: none
        missing predicate.builder.version: none
        good    predicate.metadata.buildInvocationId: yirbp1aosi1vqjmi3z6bc75nb
        wrong   predicate.metadata.buildStartedOn, buildFinishedOn: 2026-11-08T10:39:20Z to 2026-11-08T10:37:20Z
        missing predicate (byproducts): none
        wrong   predicate (secrets): a value that begins with npm_, build-arg:NPM_TOKEN
    "#]],
    );
    let platforms = json!({"linux/amd64": bare, "linux/arm64": bare});
    assert_eq!(documents(platforms.to_string().as_bytes()).expect("two").len(), 2);
}

fn good() -> Value {
    let sha = "b".repeat(64);
    json!({"_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app", "digest": {"sha256": sha}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {"buildType": "https://example.org/build/v1", "externalParameters": {"target": "app"},
                "internalParameters": {"kernel": "6.1"},
                "resolvedDependencies": [
                    {"uri": "git+https://example.org/app", "digest": {"gitCommit": "c".repeat(40)}},
                    {"uri": "pkg:cargo/serde@1.0.0", "digest": {"sha256": sha}}]},
            "runDetails": {"builder": {"id": "https://example.org/builder", "version": {"builder": "1.2"}},
                "metadata": {"invocationId": "https://example.org/run/1", "startedOn": "2026-11-08T11:39:20Z",
                    "finishedOn": "2026-11-08T11:40:20Z"},
                "byproducts": [{"name": "log", "digest": {"sha256": sha}}]}}})
}

fn grade_of(statement: &Value, field: &str) -> Grade {
    let graded = grade(statement).expect("provenance");
    graded.findings.iter().find(|finding| finding.field == field).unwrap_or_else(|| panic!("no {field}")).grade
}

/// Each field, damaged or taken away, changes its own grade and never to the better.
#[test]
fn every_field_counts() {
    let whole = grade(&good()).expect("provenance");
    assert!(
        whole
            .findings
            .iter()
            .all(|finding| finding.grade == Grade::Good || finding.field == "predicate (completeness)"),
        "{}",
        table(&whole)
    );
    let definition = "/predicate/buildDefinition";
    let details = "/predicate/runDetails";
    let rows: [(&str, Value, &str, Grade); 24] = [
        ("/_type", json!("https://in-toto.io/Statement/v0.1"), "_type", Grade::Weak),
        ("/_type", json!("something"), "_type", Grade::Wrong),
        ("/subject", json!([]), "subject", Grade::Missing),
        ("/subject/0/digest", json!({"sha1": "b".repeat(40)}), "subject", Grade::Wrong),
        ("/subject/0/digest", json!({"sha256": "not hexadecimal"}), "subject", Grade::Wrong),
        (&format!("{definition}/buildType"), json!(""), "predicate.buildDefinition.buildType", Grade::Missing),
        (&format!("{definition}/buildType"), json!("make"), "predicate.buildDefinition.buildType", Grade::Wrong),
        (
            &format!("{definition}/externalParameters"),
            json!({}),
            "predicate.buildDefinition.externalParameters",
            Grade::Missing,
        ),
        (
            &format!("{definition}/externalParameters"),
            json!({"workflow": {}}),
            "predicate.buildDefinition.externalParameters",
            Grade::Weak,
        ),
        (
            &format!("{definition}/internalParameters"),
            json!({}),
            "predicate.buildDefinition.internalParameters",
            Grade::Missing,
        ),
        (
            &format!("{definition}/resolvedDependencies"),
            json!([]),
            "predicate.buildDefinition.resolvedDependencies",
            Grade::Missing,
        ),
        (
            &format!("{definition}/resolvedDependencies"),
            json!([]),
            "predicate.buildDefinition.resolvedDependencies (source)",
            Grade::Missing,
        ),
        (
            &format!("{definition}/resolvedDependencies/0/digest"),
            json!({}),
            "predicate.buildDefinition.resolvedDependencies (source)",
            Grade::Wrong,
        ),
        (
            &format!("{definition}/resolvedDependencies/1/digest"),
            json!({}),
            "predicate.buildDefinition.resolvedDependencies[].digest",
            Grade::Wrong,
        ),
        (
            &format!("{definition}/resolvedDependencies/1/digest"),
            json!({"md5": "d".repeat(40)}),
            "predicate.buildDefinition.resolvedDependencies[].digest",
            Grade::Wrong,
        ),
        (&format!("{details}/builder/id"), json!(""), "predicate.runDetails.builder.id", Grade::Wrong),
        (
            &format!("{details}/builder/id"),
            json!("https://localhost/builder"),
            "predicate.runDetails.builder.id",
            Grade::Wrong,
        ),
        (&format!("{details}/builder/version"), json!({}), "predicate.runDetails.builder.version", Grade::Missing),
        (
            &format!("{details}/metadata/invocationId"),
            json!(null),
            "predicate.runDetails.metadata.invocationId",
            Grade::Missing,
        ),
        (
            &format!("{details}/metadata/startedOn"),
            json!("yesterday"),
            "predicate.runDetails.metadata.startedOn, finishedOn",
            Grade::Wrong,
        ),
        (
            &format!("{details}/metadata/startedOn"),
            json!("2026-11-08T12:00:00Z"),
            "predicate.runDetails.metadata.startedOn, finishedOn",
            Grade::Wrong,
        ),
        (
            &format!("{details}/metadata/finishedOn"),
            json!(null),
            "predicate.runDetails.metadata.startedOn, finishedOn",
            Grade::Weak,
        ),
        (&format!("{details}/byproducts/0/digest"), json!({}), "predicate.runDetails.byproducts", Grade::Weak),
        (
            &format!("{details}/metadata"),
            json!({"NPM_TOKEN": "npm_0123456789abcdef"}),
            "predicate (secrets)",
            Grade::Wrong,
        ),
    ];
    for (pointer, value, field, expected) in rows {
        let mut changed = good();
        *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        assert_eq!(grade_of(&changed, field), expected, "{pointer}");
        assert!(grade(&changed).expect("provenance").score() < whole.score(), "{pointer}");
    }
}

#[test]
fn an_empty_list_is_not_complete() {
    let statement = json!({"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v0.2", "subject": [],
        "predicate": {"metadata": {"completeness": {"materials": true}}, "materials": []}});
    assert_eq!(grade_of(&statement, "predicate.metadata.completeness"), Grade::Wrong);
}

#[test]
fn statements_come_out_of_every_wrapping() {
    let statement = good();
    let payload = wire::base64::encode(statement.to_string().as_bytes());
    let url_safe = payload.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned();
    let envelope = json!({"payload": payload, "payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": "AA=="}, {"sig": "AA=="}]});
    let bundle = json!({"dsseEnvelope": envelope, "verificationMaterial": {"tlogEntries": [{}],
        "timestampVerificationData": {"rfc3161Timestamps": [{}, {}]}}});
    let npm = json!({"attestations": [{"predicateType": "https://slsa.dev/provenance/v1", "bundle": bundle}]});
    let pypi = json!({"version": 1, "attestation_bundles": [{"publisher": {}, "attestations": [
        {"version": 1, "envelope": {"statement": url_safe, "signature": "AA=="}, "verification_material": {}}]}]});
    let signed = Layer::Envelope { signatures: 2 };
    let rows: [(Value, &[Layer]); 6] = [
        (statement.clone(), &[]),
        (envelope.clone(), &[signed]),
        (bundle.clone(), &[Layer::Bundle { entries: 1, stamps: 2 }, signed]),
        (npm, &[Layer::Npm, Layer::Bundle { entries: 1, stamps: 2 }, signed]),
        (pypi, &[Layer::Pypi, Layer::Envelope { signatures: 1 }]),
        (json!([envelope]), &[signed]),
    ];
    for (value, layers) in rows {
        let found = documents(value.to_string().as_bytes()).unwrap_or_else(|error| panic!("{layers:?}: {error}"));
        assert_eq!(found, [Document { statement: statement.clone(), layers: layers.to_vec() }]);
    }
    let lines = format!("{envelope}\n\n{bundle}\n");
    assert_eq!(documents(lines.as_bytes()).expect("two lines").len(), 2);
}

#[test]
fn what_is_no_statement_is_said() {
    let envelope =
        |payload: &str, kind: &str| json!({"payload": payload, "payloadType": kind, "signatures": []}).to_string();
    let mut deep = good().to_string();
    for _ in 0..9 {
        deep = format!("{{\"attestations\":[{deep}]}}").replace("\"predicateType\"", "\"predicatetype\"");
    }
    let many = format!("[{}]", vec![good().to_string(); DOCUMENTS_MAX + 1].join(","));
    let rows: [(&str, &str); 10] = [
        ("", "there is no statement in it"),
        ("[]", "there is no statement in it"),
        ("{\n\"a\": nonsense}", "line 2 is no JSON"),
        (&format!("{}\n{{", good()), "line 2 is no JSON"),
        ("{\"hello\":1}", "an object with hello: neither an in-toto statement"),
        (
            &envelope("!", "application/vnd.in-toto+json"),
            "the payload of an object with payload, payloadType, signatures is no base64",
        ),
        (&envelope("Im5vIG9iamVjdCI=", "application/vnd.in-toto+json"), "is no base64 of a JSON statement"),
        (&envelope("e30=", "text/plain"), "the envelope has payload type `text/plain`"),
        (&deep, "wrappings lie deeper than 8"),
        (&many, "more than 1000 statements"),
    ];
    for (text, expected) in rows {
        let error = documents(text.as_bytes()).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(matches!(documents(&vec![b' '; SIZE_MAX + 1]), Err(DocumentError::Size(_))));
    assert_eq!(grade(&json!({"predicateType": "https://slsa.dev/verification_summary/v1", "predicate": {}})), None);
}
