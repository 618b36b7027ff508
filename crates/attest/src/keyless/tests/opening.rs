//! A certificate's bundle opened against a trust root of ours.

use sign::PublicKey;
use sign::trust::{CertifiedIdentity, LogIdentity, Pattern, Revocation, Role, SubjectRule, Trust, TrustError};

use super::*;
use crate::open::{OpenError, VerifyError, open};

const SUBJECT: &str = "https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/main";
const PATTERN: &str = "https://github.com/prefix-dev/*/.github/workflows/action.yaml@refs/heads/*";

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn trust() -> Trust {
    let root = root("public");
    let start = time("2021-01-12T11:53:27Z");
    let key = PublicKey::from_spki_der(&root.tlogs[0].public_key.raw_bytes).expect("a key");
    let log = LogIdentity { origin: "rekor.sigstore.dev".to_owned(), key, valid_from: start, valid_until: None };
    let identity = CertifiedIdentity {
        name: "conda".to_owned(),
        issuer: "https://token.actions.githubusercontent.com".to_owned(),
        subject: SubjectRule::Exact(SUBJECT.to_owned()),
        roles: vec![Role::Builder],
        valid_from: time("2025-01-01T00:00:00Z"),
        valid_until: None,
        revoked_at: None,
    };
    let authorities = Authorities { logs: Vec::new(), ..authorities("public") };
    Trust { logs: vec![log], certified: vec![identity], authorities, ..Trust::default() }
}

#[test]
fn the_identity_is_that_of_the_trust_root() {
    // What is read from the file is what counts.
    let trust = Trust::parse(&trust().to_json()).expect("its own print");
    let bundle = bundle("conda-attestation");
    let attestation = open(&bundle, &trust, now()).unwrap_or_else(|error| panic!("{}", all(&error)));
    let statement = attestation.statement();
    assert_eq!((statement.identity(), statement.roles()), ("conda", &[Role::Builder][..]));
    let logged = attestation.logged().expect("it is logged");
    assert_eq!((logged.origin(), logged.index()), ("rekor.sigstore.dev", 456_119_071));
    assert_eq!(logged.key_id(), statement.key());
    let Content::Envelope(envelope) = &bundle.content else { panic!("an envelope") };
    assert_eq!(statement.payload(), &Digest::of(&envelope.payload));
}

fn refused(change: impl FnOnce(&mut Trust)) -> OpenError {
    let mut trust = trust();
    change(&mut trust);
    match open(&bundle("conda-attestation"), &trust, now()) {
        Ok(_) => panic!("accepted"),
        Err(error) => error,
    }
}

fn trust_error(change: impl FnOnce(&mut CertifiedIdentity)) -> TrustError {
    match refused(|trust| change(&mut trust.certified[0])) {
        OpenError::Verify(VerifyError::Trust { source, .. }) => source,
        other => panic!("{}", all(&other)),
    }
}

#[test]
fn a_change_of_any_part_of_the_trust_root_is_refused() {
    let unknown = |error: TrustError| matches!(error, TrustError::UnknownSubject { .. });
    assert!(unknown(trust_error(|one| one.issuer.push('/'))));
    assert!(unknown(trust_error(|one| one.subject = SubjectRule::Exact(SUBJECT.to_uppercase()))));
    assert!(unknown(trust_error(|one| one.subject = SubjectRule::Exact(SUBJECT[..SUBJECT.len() - 1].to_owned()))));
    let late = trust_error(|one| one.valid_from = time("2025-09-01T12:14:00Z"));
    assert!(matches!(late, TrustError::NotYetValid { .. }), "{late}");
    let over = trust_error(|one| one.valid_until = Some(time("2026-01-01T00:00:00Z")));
    assert!(matches!(over, TrustError::Expired { .. }), "{over}");
    let revoked = trust_error(|one| one.revoked_at = Some(now()));
    assert!(matches!(revoked, TrustError::Revoked { .. }), "{revoked}");

    let keyless = |error: OpenError| matches!(error, OpenError::Keyless { .. });
    assert!(keyless(refused(|trust| trust.authorities.certificates.clear())));
    assert!(keyless(refused(|trust| trust.authorities.certificate_logs.clear())));
    assert!(keyless(refused(|trust| trust.logs.clear())));
    assert!(keyless(refused(|trust| trust.logs[0].valid_until = Some(time("2025-09-01T12:13:58Z")))));
    assert!(matches!(
        refused(|trust| trust.certified.clear()),
        OpenError::Verify(VerifyError::Trust { source: TrustError::UnknownSubject { .. }, .. })
    ));
}

/// What was signed before a revocation counts; of that subject, or of the whole issuer.
#[test]
fn a_revocation_counts_from_its_time_on() {
    let issuer = "https://token.actions.githubusercontent.com";
    let check = |issuer: &str, subject: Option<&str>, at: &str| {
        let mut trust = trust();
        let (issuer, subject) = (issuer.to_owned(), subject.map(str::to_owned));
        trust.revocations = vec![Revocation { issuer, subject, at: time(at) }];
        open(&bundle("conda-attestation"), &trust, now()).map(drop)
    };
    let (signed, after) = ("2025-09-01T12:13:59Z", "2025-09-01T12:14:00Z");
    for subject in [Some(SUBJECT), None] {
        let refused = check(issuer, subject, signed).expect_err("revoked when it signed");
        assert!(all(&refused).contains("were revoked at 2025-09-01T12:13:59Z"), "{}", all(&refused));
        check(issuer, subject, after).expect("signed before");
    }
    check("https://other.example.org", None, signed).expect("another issuer's");
    check(issuer, Some(&SUBJECT[1..]), signed).expect("somebody else's");
}

#[test]
fn a_pattern_of_the_subject_is_enough() {
    let mut trust = trust();
    trust.certified[0].subject = SubjectRule::Pattern(Pattern::new(PATTERN).expect("a pattern"));
    open(&bundle("conda-attestation"), &trust, now()).unwrap_or_else(|error| panic!("{}", all(&error)));
}
