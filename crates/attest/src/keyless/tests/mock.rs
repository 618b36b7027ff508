//! What the Fulcio, log of certificates, time-stamp authority and Rekor of `@sigstore/mock` made (see
//! `tests/foreign/sigstore-mock`): what verifies, and what refuses when one part comes from elsewhere.

use serde_json::Value;

use super::*;

const REFUSED: [(&str, &str); 13] = [
    ("another certificate in the log", "another certificate or key than the bundle"),
    ("another log", "unknown log"),
    (
        "certificate known to another log",
        "none of the certificate's 1 signed certificate timestamps is of a trusted log",
    ),
    ("certificate of a forged log", "does not match the certificate"),
    ("certificate of another authority", "its signature is not the issuer's"),
    ("certificate with two issuers", "two OpenID Connect issuers"),
    ("certificate without a timestamp of a log", "the certificate has no signed certificate timestamp"),
    ("certificate without an issuer", "names no OpenID Connect issuer"),
    ("neither stamp nor promise", "no signed time"),
    ("promise after the certificate", "the certificate is valid from"),
    ("stamp after the certificate", "the certificate is valid from"),
    ("stamp of another authority", "time-stamp carries a certificate that is neither"),
    ("stamp over something else", "time-stamp is over another signature"),
];

#[test]
fn each_part_counts() {
    let mock: Value = serde_json::from_slice(&file("mock.json")).expect("JSON");
    let root = TrustedRoot::parse(mock["root"].to_string().as_bytes()).expect("a root");
    let authorities = Authorities::of(&root).unwrap_or_else(|error| panic!("{}", all(&error)));
    let artifact = Artifact::Bytes(mock["artifact"].as_str().expect("text").as_bytes());
    let bundles = mock["bundles"].as_object().expect("bundles");
    let mut refused = Vec::new();
    for (name, bundle) in bundles {
        let bundle = Bundle::parse(bundle.to_string().as_bytes()).unwrap_or_else(|error| panic!("{}", all(&error)));
        match verify(&bundle, &artifact, &authorities, now().plus_s(86_400)) {
            Ok(signed) => {
                assert!(name.starts_with("good "), "{name}: accepted");
                let subject = signed.subject().expect("a certificate");
                assert_eq!(subject.name.text(), "https://example.org/app/release.yml@refs/tags/v1");
                assert_eq!(subject.issuer, "https://issuer.example.org");
            }
            Err(error) => refused.push((name.as_str(), all(&error))),
        }
    }
    assert_eq!(bundles.len(), refused.len() + 4);
    assert_eq!(refused.len(), REFUSED.len(), "{refused:#?}");
    for ((name, error), (expected_name, expected)) in refused.iter().zip(REFUSED) {
        assert_eq!(*name, expected_name, "{error}");
        assert!(error.contains(expected), "{name}: {error}");
    }
}
