//! `assay sigstore verify-bundle`: the command line that conformance drivers use, over bundles that others made.

use std::path::{Path, PathBuf};

use crate::place::{Place, Ran};

const EMAIL: [&str; 4] =
    ["--certificate-identity", "w.vollprecht@gmail.com", "--certificate-oidc-issuer", "https://github.com/login/oauth"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/foreign/sigstore").join(name)
}

/// Runs the command: names that stand in the fixtures' directory are made paths.
fn verify(place: &Place, arguments: &[&str]) -> Ran {
    let paths: Vec<String> = arguments
        .iter()
        .map(|argument| match fixture(argument) {
            path if path.is_file() => path.to_str().expect("UTF-8").to_owned(),
            _ => (*argument).to_owned(),
        })
        .collect();
    let mut all = vec!["sigstore", "verify-bundle"];
    all.extend(paths.iter().map(String::as_str));
    place.assay(&place.work(), &all)
}

#[test]
fn a_certificate_bundle_is_verified_and_refused() {
    let place = Place::new("sigstore");
    let base = ["--bundle", "cosign-v3-blob.sigstore.json", "--trusted-root", "public.trusted_root.json"];
    let check = |more: &[&str]| verify(&place, &[&base[..], more].concat());

    let ran = check(&[&EMAIL[..], &["--json", "cosign-v3-blob.txt"]].concat()).exits(0);
    let json = ran.json();
    assert_eq!(json["certificate"]["identity"], "w.vollprecht@gmail.com");
    assert_eq!(json["certificate"]["issuer"], "https://github.com/login/oauth");
    assert_eq!(json["times"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["logged"][0]["index"], 738_312_748);

    let digest = "sha256:e194b99df6639501325c5f44da79fe3a8efae6f239bd79443a19787e06fb1764";
    check(&[&EMAIL[..], &["--staging", digest]].concat()).exits(0);

    let other = digest.replace("e194", "e195");
    check(&[&EMAIL[..], &[&other]].concat()).exits(1);
    check(&[&EMAIL[..], &["managed-key.txt"]].concat()).exits(1);
    let mut identity = EMAIL;
    identity[1] = "W.vollprecht@gmail.com";
    let ran = check(&[&identity[..], &["cosign-v3-blob.txt"]].concat()).exits(1);
    assert!(ran.stderr.contains("signed by `w.vollprecht@gmail.com`"), "{}", ran.stderr);
    let mut issuer = EMAIL;
    issuer[3] = "https://accounts.google.com";
    check(&[&issuer[..], &["cosign-v3-blob.txt"]].concat()).exits(1);
    check(&["--key", "managed-key.pub", "cosign-v3-blob.txt"]).exits(1);
}

#[test]
fn an_attestation_is_about_its_subject() {
    let place = Place::new("sigstore-dsse");
    let identity = "https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/main";
    let base = [
        "--bundle",
        "conda-attestation.sigstore.json",
        "--trusted-root",
        "public.trusted_root.json",
        "--certificate-identity",
        identity,
        "--certificate-oidc-issuer",
        "https://token.actions.githubusercontent.com",
    ];
    let check = |artifact: &str| verify(&place, &[&base[..], &[artifact]].concat());
    check("conda-attestation.conda").exits(0);
    let ran = check("managed-key.txt").exits(1);
    assert!(ran.stderr.contains("no subject of the statement"), "{}", ran.stderr);
}

#[test]
fn a_key_bundle_is_verified_by_its_key() {
    let place = Place::new("sigstore-key");
    let base = ["--bundle", "managed-key.sigstore.json", "--trusted-root", "public.trusted_root.json"];
    let check = |more: &[&str]| verify(&place, &[&base[..], more].concat());
    check(&["--key", "managed-key.pub", "managed-key.txt"]).exits(0);
    check(&["--key", "managed-key.pub", "cosign-v3-blob.txt"]).exits(1);
    check(&[&EMAIL[..], &["managed-key.txt"]].concat()).exits(1);
    check(&["--key", "managed-key.txt", "managed-key.txt"]).exits(2);
}

#[test]
fn what_is_missing_or_malformed_leaves_the_question_open_or_refuses() {
    let place = Place::new("sigstore-bad");
    let root = ["--trusted-root", "public.trusted_root.json"];
    let bundle = ["--bundle", "cosign-v3-blob.sigstore.json"];
    let artifact = ["cosign-v3-blob.txt"];

    let ran = verify(&place, &[&bundle[..], &EMAIL, &artifact].concat()).exits(2);
    assert!(ran.stderr.contains("--trusted-root"), "{}", ran.stderr);
    verify(&place, &[&bundle[..], &root, &artifact].concat()).exits(2);
    verify(&place, &[&bundle[..], &root, &EMAIL[..2], &artifact].concat()).exits(2);
    verify(&place, &[&["--bundle", "absent.json"][..], &root, &EMAIL, &artifact].concat()).exits(2);
    verify(&place, &[&bundle[..], &root, &EMAIL, &["absent.txt"]].concat()).exits(2);
    verify(&place, &[&bundle[..], &root, &EMAIL, &["sha256:12"]].concat()).exits(2);
    let no_root = ["--trusted-root", "cosign-v3-blob.sigstore.json"];
    verify(&place, &[&bundle[..], &no_root, &EMAIL, &artifact].concat()).exits(2);
    for name in ["invalid-version", "two-signatures", "version-0.1", "no-log-entry", "no-signed-time"] {
        let file = format!("{name}.sigstore.json");
        verify(&place, &[&["--bundle", &file][..], &root, &EMAIL, &artifact].concat()).exits(1);
    }
}
