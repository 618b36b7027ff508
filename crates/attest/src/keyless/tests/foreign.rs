//! The verdict on each of them.

use expect_test::{Expect, expect};

use super::*;

fn check(name: &str, root: &str, expected: Expect) {
    let found = match Bundle::parse(&file(&format!("{name}.sigstore.json"))) {
        Err(error) => format!("no bundle: {}", all(&error)),
        Ok(bundle) => describe(verify(&bundle, &Artifact::Sha256(stated(&bundle)), &authorities(root), now())),
    };
    expected.assert_eq(&found);
}

fn describe(verified: Result<Keyless, KeylessError>) -> String {
    let signed = match verified {
        Ok(signed) => signed,
        Err(error) => return format!("refused: {}", all(&error)),
    };
    let mut lines = Vec::new();
    if let Some(Subject { name, issuer }) = signed.subject() {
        lines.push(format!("{name:?} of {issuer}"));
    }
    lines.extend(signed.times().iter().map(|time| format!("{} {:?} {}", time.at, time.source, time.by)));
    lines.extend(signed.logged().iter().map(|place| format!("{} {}", place.origin(), place.index())));
    lines.join("\n")
}

#[test]
fn good_ones_are_accepted() {
    check(
        "cosign-v3-blob",
        "public",
        expect![[r#"
        Email("w.vollprecht@gmail.com") of https://github.com/login/oauth
        2025-12-03T18:36:42Z Stamp https://timestamp.sigstore.dev/api/v1/timestamp
        2025-12-03T18:36:43Z Log https://rekor.sigstore.dev
        https://rekor.sigstore.dev 738312748"#]],
    );
    check(
        "bundle-v3",
        "staging",
        expect![[r#"
        Email("william@yossarian.net") of https://github.com/login/oauth
        2024-04-02T19:19:09Z Log https://rekor.sigstage.dev
        https://rekor.sigstage.dev 25915956"#]],
    );
    check(
        "happy-path",
        "public",
        expect![[r#"
        Uri("https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main") of https://token.actions.githubusercontent.com
        2024-12-16T18:42:56Z Log https://rekor.sigstore.dev
        https://rekor.sigstore.dev 155690850"#]],
    );
    check(
        "conda-attestation",
        "public",
        expect![[r#"
        Uri("https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/main") of https://token.actions.githubusercontent.com
        2025-09-01T12:13:59Z Log https://rekor.sigstore.dev
        https://rekor.sigstore.dev 456119071"#]],
    );
    check(
        "conda-attestation-rekor2",
        "staging",
        expect![[r#"
        Email("jku@goto.fi") of https://github.com/login/oauth
        2026-05-26T07:42:21Z Stamp https://timestamp.sigstage.dev/api/v1/timestamp
        https://log2025-alpha3.rekor.sigstage.dev 4197416"#]],
    );
    check(
        "othername",
        "scaffolding",
        expect![[r#"
        Other("foo!oidc.local") of http://oidc.local:8080
        2024-07-12T19:06:29Z Log http://rekor.rekor-system.172.18.255.1.sslip.io
        http://rekor.rekor-system.172.18.255.1.sslip.io 3"#]],
    );
    check(
        "staging-rekor-v2",
        "staging",
        expect![[r#"
        Email("jku@goto.fi") of https://github.com/login/oauth
        2025-06-09T11:57:38Z Stamp https://timestamp.sigstage.dev/api/v1/timestamp
        https://log2025-alpha1.rekor.sigstage.dev 645"#]],
    );
    check(
        "staging-rekor-v2-dsse",
        "staging",
        expect![[r#"
        Uri("https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main") of https://token.actions.githubusercontent.com
        2026-05-13T19:23:33Z Stamp https://timestamp.sigstage.dev/api/v1/timestamp
        https://log2025-alpha3.rekor.sigstage.dev 4026478"#]],
    );
    check(
        "sct-multi-intermediate",
        "staging",
        expect![[r#"
        Uri("https://github.com/sigstore/root-signing-staging/.github/workflows/custom-test.yml@refs/heads/main") of https://token.actions.githubusercontent.com
        2026-07-08T05:25:12Z Stamp https://timestamp.sigstage.dev/api/v1/timestamp
        https://log2026-1.us-east4.rekor.sigstage.dev 330754"#]],
    );
    check(
        "timestamp-valid",
        "staging",
        expect![[r#"
        Uri("https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main") of https://token.actions.githubusercontent.com
        2025-08-06T18:51:36Z Stamp https://timestamp.sigstage.dev/api/v1/timestamp
        https://log2025-alpha1.rekor.sigstage.dev 29469"#]],
    );
}

#[test]
fn bad_ones_are_refused() {
    check(
        "cve-2022-36056",
        "staging",
        expect!["refused: checking log entry 0 of the bundle: the entry has another signature than the bundle"],
    );
    check(
        "no-signed-time",
        "public",
        expect!["refused: the bundle has no signed time: neither a time-stamp nor a log's signed entry timestamp"],
    );
    check(
        "timestamp-payload-mismatch",
        "staging",
        expect!["refused: checking time-stamp 0 of the bundle: time-stamp is over another signature"],
    );
    check(
        "two-signatures",
        "public",
        expect!["no bundle: not a Sigstore bundle v0.3: missing field `inclusionProof` at line 19 column 4"],
    );
    check(
        "invalid-version",
        "public",
        expect![
            "no bundle: not a Sigstore bundle v0.3: unsupported media type `this is completely wrong`: expected `application/vnd.dev.sigstore.bundle.v0.3+json`"
        ],
    );
    check(
        "no-log-entry",
        "public",
        expect![
            "no bundle: not a Sigstore bundle v0.3: `x509CertificateChain` is not allowed in v0.3 at line 1 column 1127"
        ],
    );
}

#[test]
fn what_is_not_supported_is_refused() {
    check(
        "version-0.1",
        "public",
        expect![
            "no bundle: not a Sigstore bundle v0.3: `x509CertificateChain` is not allowed in v0.3 at line 49 column 3"
        ],
    );
    check(
        "github-private",
        "public",
        expect![
            "refused: reading the bundle's certificate: certificate names no OpenID Connect issuer (extension 1.3.6.1.4.1.57264.1.8 or .1)"
        ],
    );
    check("managed-key", "public", expect!["refused: the bundle has no certificate: whose key signed it must be said"]);
}

#[test]
fn another_root_accepts_nothing() {
    check(
        "cosign-v3-blob",
        "staging",
        expect![
            "refused: checking time-stamp 0 of the bundle: time-stamp is signed by a certificate that neither it nor a trusted authority has"
        ],
    );
    check(
        "staging-rekor-v2",
        "public",
        expect![
            "refused: checking time-stamp 0 of the bundle: no time-stamp authority is trusted at 2025-06-09T11:57:38Z"
        ],
    );
    check(
        "othername",
        "public",
        expect!["refused: checking log entry 0 of the bundle: the entry is in an unknown log"],
    );
}

#[test]
fn the_artifact_itself_is_checked() {
    let (bundle, authorities) = (bundle("cosign-v3-blob"), authorities("public"));
    let artifact = file("cosign-v3-blob.txt");
    verify(&bundle, &Artifact::Bytes(&artifact), &authorities, now()).expect("good");
    let other = verify(&bundle, &Artifact::Bytes(b"other"), &authorities, now()).expect_err("another file");
    assert!(matches!(other, KeylessError::Entry { .. }), "{}", all(&other));
    let bundle = super::bundle("conda-attestation");
    verify(&bundle, &Artifact::Bytes(&file("conda-attestation.conda")), &authorities, now()).expect("good");
    let other = verify(&bundle, &Artifact::Bytes(b"other"), &authorities, now()).expect_err("another file");
    assert!(matches!(other, KeylessError::Subject(_)), "{}", all(&other));
}

#[test]
fn a_key_verifies_what_it_signed() {
    let (bundle, authorities) = (bundle("managed-key"), authorities("public"));
    let artifact = file("managed-key.txt");
    let key = |pem: &[u8]| {
        let pem = std::str::from_utf8(pem).expect("text");
        SubjectKey::from_spki_der(&wire::pem::decode(wire::pem::PUBLIC_KEY, pem).expect("PEM")).expect("a key")
    };
    let ours = key(&file("managed-key.pub"));
    let check = |key: &SubjectKey, artifact: &[u8]| {
        verify_with_key(&bundle, &Artifact::Bytes(artifact), key, &authorities, now())
    };
    let signed = check(&ours, &artifact).unwrap_or_else(|error| panic!("{}", all(&error)));
    assert_eq!((signed.subject(), signed.times().len()), (None, 2));
    assert!(matches!(check(&ours, b"other"), Err(KeylessError::Entry { .. })));
    let other = SubjectKey::from(sign::SigningKey::generate().expect("a key").public());
    assert!(matches!(check(&other, &artifact), Err(KeylessError::Entry { .. })));
}
