//! Paths of certificates that OpenSSL made (`tests/foreign/certificates/make.sh`): one difference each.

use std::collections::BTreeMap;

use wire::base64;
use wire::mutation::Mutator;

use super::*;

const PATHS: &str = include_str!("../../../../tests/foreign/certificates/paths.txt");

fn certificates() -> BTreeMap<&'static str, (&'static str, Certificate)> {
    let line = |line: &'static str| {
        let [name, issuer, text] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let certificate = Certificate::from_der(&base64::decode(text).expect(name)).expect(name);
        (name, (issuer, certificate))
    };
    PATHS.lines().map(line).collect()
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// Checks a leaf under the chain of its issuers.
fn check(name: &str, purpose: Purpose, at: &str) -> String {
    let all = certificates();
    let (issuer, leaf) = &all[name];
    let mut issuer = *issuer;
    let mut chain = Vec::new();
    while issuer != "self" {
        let (next, certificate) = &all[issuer];
        chain.push(certificate.clone());
        issuer = *next;
    }
    match issuer_of(leaf, &chain, purpose, time(at)) {
        Ok(issuer) if *issuer == chain[0] => "good".to_owned(),
        Ok(_) => "good, by another issuer".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_rule_of_a_path_counts() {
    for (name, expected) in [
        ("leaf", "good"),
        ("leaf-with-harmless", "good"),
        ("leaf-of-short", "good"),
        ("leaf-without-usage", "its key usage does not allow digital signatures"),
        ("leaf-for-encryption", "its key usage does not allow digital signatures"),
        ("leaf-without-purpose", "its extended key usage does not allow code signing"),
        ("leaf-for-servers", "its extended key usage does not allow code signing"),
        ("stamper", "its extended key usage does not allow code signing"),
        ("leaf-with-unknown", "it has the unknown critical extension 1.2.3.4"),
        ("leaf-authority", "it is a certificate authority's, and signed as if it were not"),
        ("leaf-of-no-authority", "its issuer is no certificate authority (basic constraints)"),
        ("leaf-of-not-critical", "its issuer is no certificate authority (basic constraints)"),
        ("leaf-of-without-signing", "its key usage does not allow certificates"),
        ("leaf-of-for-servers", "its extended key usage does not allow code signing"),
        ("leaf-of-constrained", "an authority constrains names, which this verifier does not understand"),
        ("leaf-of-with-unknown", "it has the unknown critical extension 1.2.3.4"),
        ("leaf-too-long", "an authority allows 0 others below it, and has 1"),
    ] {
        assert_eq!(check(name, Purpose::CodeSigning, "2026-11-22T19:41:00Z"), expected, "{name}");
    }
}

#[test]
fn a_time_stamper_stamps_times_alone() {
    let refused = "its extended key usage does not allow time-stamping";
    for (name, expected) in [
        ("stamper-good", "good"),
        ("stamper", refused), // its authority is for code alone
        ("stamper-not-critical", refused),
        ("stamper-and-code", refused),
        ("leaf", refused),
    ] {
        assert_eq!(check(name, Purpose::TimeStamping, "2026-11-22T19:41:00Z"), expected, "{name}");
    }
}

#[test]
fn both_ends_of_the_validity_are_within() {
    for (at, good) in [
        ("2025-12-31T23:59:59Z", false),
        ("2026-01-01T00:00:00Z", true),
        ("2046-01-01T00:00:00Z", true),
        ("2046-01-01T00:00:01Z", false),
    ] {
        assert_eq!(check("leaf", Purpose::CodeSigning, at) == "good", good, "{at}");
    }
}

/// Names that fit prove nothing: keys do. A chain ends at its last certificate, and nowhere before.
#[test]
fn a_chain_must_lead_to_its_anchor() {
    let all = certificates();
    let of = |name: &str| all[name].1.clone();
    let at = time("2026-11-22T19:41:00Z");
    let check =
        |chain: &[Certificate]| issuer_of(&all["leaf"].1, chain, Purpose::CodeSigning, at).map(Certificate::digest);
    assert_eq!(check(&[of("middle"), of("root")]), Ok(of("middle").digest()));
    assert_eq!(check(&[of("root"), of("middle")]), Ok(of("middle").digest()));
    assert_eq!(check(&[of("middle-for-all"), of("root")]), Err(PathError::Signature));
    assert_eq!(check(&[of("middle"), of("short-root")]), Err(PathError::Issuer));
    assert_eq!(check(&[of("root")]), Err(PathError::Issuer));
    assert_eq!(check(&[]), Err(PathError::Issuer));
}

#[test]
fn only_der_is_a_certificate() {
    let all = certificates();
    let good = all["leaf"].1.der().to_vec();
    let refused = |der: &[u8]| Certificate::from_der(der).expect_err("refused");
    assert_eq!(refused(&[]), CertificateError::Form("structure"));
    assert_eq!(refused(&good[1..]), CertificateError::Form("structure"));
    assert_eq!(refused(&[&good[..], &[0]].concat()), CertificateError::Form("structure"));
    assert_eq!(refused(&vec![0; SIZE_MAX + 1]), CertificateError::Size(SIZE_MAX + 1));
    assert_eq!(all["leaf"].1.subject(), Err(CertificateError::Names { found: 0 }));
    Mutator::new(61).each(3_000, &good, |bytes| {
        if let Ok(certificate) = Certificate::from_der(bytes) {
            assert_eq!(certificate.der(), bytes);
            drop(certificate.subject());
        }
    });
}
