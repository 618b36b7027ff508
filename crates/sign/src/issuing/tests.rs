//! What is issued here is what the verifiers of this crate, written against others' certificates, take; each change is not.

use wire::mutation::Mutator;

use super::*;
use crate::authority::{Authorities, Authority as Trusted, CertificateLog, Window};
use crate::certificate::Claim;

const ISSUER: &str = "https://issuer.example.org";

fn now() -> Timestamp {
    "2026-11-22T19:41:00Z".parse().expect("a time")
}

fn serial(number: u8) -> Serial {
    Serial::new([number; 20])
}

fn title(common_name: &str, number: u8) -> Title<'_> {
    Title {
        organization: "example.org/log",
        common_name,
        valid_from: now().plus_s(-60),
        valid_until: now().plus_s(1_000_000_000),
        serial: serial(number),
    }
}

struct Instance {
    authority: Authority,
    log: SigningKey,
    trusted: Authorities,
}

fn instance() -> Instance {
    let key = || SigningKey::generate().expect("a key");
    let (root_key, issuing, log) = (key(), key(), key());
    let root_certificate = root(&title("root", 1), &root_key, Below::Leaves).expect("a root");
    let anchor = Authority::new(root_key, vec![root_certificate.clone()]).expect("its key");
    let intermediate = anchor.issue(&title("intermediate", 2), &issuing, Below::Leaves).expect("an intermediate");
    let chain = vec![intermediate, root_certificate];
    let window = Window { start: now().plus_s(-60), end: None };
    let der: Vec<Vec<u8>> = chain.iter().map(|one| one.der().to_vec()).collect();
    let trusted = Authorities {
        certificates: vec![Trusted::new("ca", &der, window).expect("an authority")],
        certificate_logs: vec![CertificateLog::new("ct", SubjectKey::from(log.public()), window)],
        ..Authorities::default()
    };
    Instance { authority: Authority::new(issuing, chain).expect("its key"), log, trusted }
}

fn issue(instance: &Instance, name: &SubjectName, values: &[FulcioValue]) -> Result<Certificate, IssueError> {
    let key = SigningKey::generate().expect("a key");
    let leaf = Leaf {
        key: &SubjectKey::from(key.public()),
        name,
        issuer: ISSUER,
        values,
        valid_from: now(),
        serial: serial(7),
    };
    instance.authority.draft(&leaf)?.finish(&instance.authority, &instance.log)
}

fn value(number: u32, text: &str) -> FulcioValue {
    FulcioValue::new(number, text).expect("a number")
}

#[test]
fn a_leaf_says_who_and_what() {
    let instance = instance();
    let uri = SubjectName::Uri("https://github.com/o/r/.github/workflows/x.yml@refs/heads/main".to_owned());
    let values = [value(12, "https://github.com/o/r"), value(5, "o/r"), value(24, "repo:o/r:ref:refs/heads/größe")];
    let leaf = issue(&instance, &uri, &values).expect("issued");
    let subject = leaf.subject().expect("a subject");
    assert_eq!((subject.name, subject.issuer.as_str()), (uri.clone(), ISSUER));
    assert_eq!(leaf.claim(Claim::SourceRepositoryUri), Some("https://github.com/o/r"));
    assert_eq!(leaf.claim(Claim::TokenSubject), Some("repo:o/r:ref:refs/heads/größe"));
    assert_eq!((leaf.valid_from(), leaf.valid_until()), (now(), now().plus_s(600)));
    assert_eq!(leaf.x509().tbs_certificate.serial_number.as_bytes().len(), 20);
    for name in [SubjectName::Email("jane@example.org".to_owned()), SubjectName::Other("jane!example.org".to_owned())] {
        let leaf = issue(&instance, &name, &[]).expect("issued");
        assert_eq!(leaf.subject().expect("a subject").name, name);
        instance.trusted.certify(leaf, now()).expect("certified");
    }
    let certified = instance.trusted.certify(leaf.clone(), now().plus_s(600)).expect("certified");
    assert_eq!(certified.promised().at(), now());
    for at in [-1, 601] {
        instance.trusted.certify(leaf.clone(), now().plus_s(at)).expect_err("not valid then");
    }
}

#[test]
fn each_bit_of_a_leaf_counts() {
    let instance = instance();
    let name = SubjectName::Email("jane@example.org".to_owned());
    let good = issue(&instance, &name, &[value(20, "push")]).expect("issued").der().to_vec();
    Mutator::new(5).each(3_000, &good, |bytes| {
        if bytes == good {
            return;
        }
        if let Ok(certificate) = Certificate::from_der(bytes) {
            instance.trusted.certify(certificate, now()).expect_err("changed");
        }
    });
}

#[test]
fn each_part_comes_from_the_instance() {
    let (here, there) = (instance(), instance());
    let name = SubjectName::Email("jane@example.org".to_owned());
    let leaf = issue(&here, &name, &[]).expect("issued");
    here.trusted.certify(leaf.clone(), now()).expect("certified");
    there.trusted.certify(leaf.clone(), now()).expect_err("another authority");
    let mixed = Authorities { certificate_logs: there.trusted.certificate_logs.clone(), ..here.trusted.clone() };
    mixed.certify(leaf, now()).expect_err("another log");
    let swapped = Instance { log: SigningKey::generate().expect("a key"), ..instance() };
    let leaf = issue(&swapped, &name, &[]).expect("issued");
    swapped.trusted.certify(leaf, now()).expect_err("a log of nobody");
}

/// The log is shown what the certificate says, before there is a certificate.
#[test]
fn a_draft_is_its_certificate() {
    let instance = instance();
    let key = SigningKey::generate().expect("a key");
    let name = SubjectName::Email("jane@example.org".to_owned());
    let leaf = Leaf {
        key: &SubjectKey::from(key.public()),
        name: &name,
        issuer: ISSUER,
        values: &[],
        valid_from: now(),
        serial: serial(7),
    };
    let draft = instance.authority.draft(&leaf).expect("drafted");
    let (tbs, at_unix_ms) = sct::read_entry(draft.entry()).expect("an entry");
    let tbs = tbs.to_vec();
    assert_eq!(at_unix_ms, unix_ms(now()));
    let poisoned = Certificate::from_der(draft.precertificate()).expect("a certificate");
    // Nobody takes it for a certificate: its poison is a critical extension that no verifier knows.
    let error = instance.trusted.certify(poisoned, now()).expect_err("poisoned");
    assert!(std::error::Error::source(&error).expect("a cause").to_string().contains("11129.2.4.3"));
    assert_eq!(crate::certificate::precertified(draft.precertificate()), Some(tbs.clone()));
    let issued = draft.finish(&instance.authority, &instance.log).expect("issued");
    assert_eq!(issued.precertificate_tbs().expect("its bytes"), tbs);
    assert_eq!(crate::certificate::precertified(issued.der()), None);
    for cut in [0, 1, 10, 40, tbs.len()] {
        assert_eq!(sct::read_entry(&tbs[..cut]), None);
    }
}

#[test]
fn what_no_certificate_can_hold_is_refused() {
    let instance = instance();
    let long = "x".repeat(TEXT_MAX + 1);
    for name in [
        SubjectName::Email(String::new()),
        SubjectName::Email("jane".to_owned()),
        SubjectName::Email("jäne@example.org".to_owned()),
        SubjectName::Email(format!("{long}@example.org")),
        SubjectName::Uri("no uri".to_owned()),
        SubjectName::Uri("https://example.org/größe".to_owned()),
        SubjectName::Other(String::new()),
    ] {
        assert!(matches!(issue(&instance, &name, &[]), Err(IssueError::Text { .. })), "{name:?}");
    }
    let name = SubjectName::Email("jane@example.org".to_owned());
    for text in ["", &long] {
        assert!(matches!(issue(&instance, &name, &[value(20, text)]), Err(IssueError::Text { .. })));
    }
    for number in [0, 1, 7, 8, 25] {
        assert_eq!(FulcioValue::new(number, "x"), None, "{number}");
    }
}

#[test]
fn an_authority_has_its_own_key_and_is_one() {
    let instance = instance();
    let chain = instance.authority.chain().to_vec();
    let key = || SigningKey::generate().expect("a key");
    assert!(matches!(Authority::new(key(), chain), Err(IssueError::Key)));
    assert!(matches!(Authority::new(key(), Vec::new()), Err(IssueError::Chain)));
    let leaf = issue(&instance, &SubjectName::Email("jane@example.org".to_owned()), &[]).expect("issued");
    assert!(matches!(Authority::new(key(), vec![leaf]), Err(IssueError::Chain)));
}

/// What an intermediate issues below itself is nobody's: its path may have no further authority.
#[test]
fn an_intermediate_makes_no_authority() {
    let instance = instance();
    let below = SigningKey::generate().expect("a key");
    let certificate = instance.authority.issue(&title("below", 9), &below, Below::Leaves).expect("written");
    let chain = [vec![certificate], instance.authority.chain().to_vec()].concat();
    let der: Vec<Vec<u8>> = chain.iter().map(|one| one.der().to_vec()).collect();
    let authority = Authority::new(below, chain).expect("its key");
    let window = Window { start: now().plus_s(-60), end: None };
    let trusted = Authorities {
        certificates: vec![Trusted::new("ca", &der, window).expect("an authority")],
        ..instance.trusted.clone()
    };
    let instance = Instance { authority, log: instance.log, trusted };
    let leaf = issue(&instance, &SubjectName::Email("jane@example.org".to_owned()), &[]).expect("issued");
    let error = instance.trusted.certify(leaf, now()).expect_err("too long");
    assert!(std::error::Error::source(&error).expect("a cause").to_string().contains("allows 0 others below it"));
}
