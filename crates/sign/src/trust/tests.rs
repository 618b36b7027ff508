mod version_2;

use wire::mutation::Mutator;

use super::*;
use crate::{LogKey, SigningKey, seal};

const NOW: &str = "2026-11-22T19:41:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn identity(name: &str, key: &SigningKey) -> Identity {
    Identity {
        name: name.to_owned(),
        key: key.public().clone(),
        roles: vec![Role::Builder, Role::Tester],
        valid_from: time("2026-01-01T00:00:00Z"),
        valid_until: Some(time("2027-01-01T00:00:00Z")),
        revoked_at: None,
    }
}

fn new_key() -> SigningKey {
    SigningKey::generate().expect("key")
}

fn sample() -> (SigningKey, Trust) {
    let key = new_key();
    let log = LogIdentity {
        origin: "example.org/log".to_owned(),
        key: LogKey::generate().expect("key").public().clone(),
        valid_from: time("2026-01-01T00:00:00Z"),
        valid_until: None,
    };
    let others = (0..3).map(|number| identity(&format!("other-{number}"), &new_key()));
    let identities = others.chain([identity("builder", &key)]).collect();
    (key, Trust { identities, logs: vec![log], ..Trust::default() })
}

#[test]
fn an_accepted_signature_opens_the_envelope() {
    let (key, trust) = sample();
    let envelope = seal("text/plain", b"hello", &key);
    let (identity, payload) = open(&envelope, &trust, time(NOW)).expect("accepted");
    assert_eq!((identity.name.as_str(), payload), ("builder", &b"hello"[..]));
    assert!(identity.has(Role::Tester) && !identity.has(Role::Admin));
}

#[test]
fn a_hint_is_only_a_hint() {
    let (key, trust) = sample();
    let mut envelope = seal("text/plain", b"hello", &key);
    let others = trust.identities[0].key.id().to_string();
    for hint in [String::new(), "nonsense".to_owned(), others.clone(), Digest::of(b"unknown").to_string()] {
        envelope.signature.keyid = hint;
        assert_eq!(open(&envelope, &trust, time(NOW)).expect("accepted").0.name, "builder");
    }
    let mut foreign = seal("text/plain", b"hello", &new_key());
    assert!(matches!(open(&foreign, &trust, time(NOW)), Err(TrustError::UnknownKey { .. })));
    foreign.signature.keyid = others;
    let error = open(&foreign, &trust, time(NOW)).expect_err("unknown");
    assert_eq!(error, TrustError::Signature { identity: "other-0".to_owned() });
}

#[test]
fn nobody_trusted_opens_nothing() {
    let (key, _) = sample();
    let envelope = seal("text/plain", b"hello", &key);
    let error = open(&envelope, &Trust::default(), time(NOW)).expect_err("nobody");
    assert_eq!(error, TrustError::UnknownKey { hint: key.public().id().to_string() });
}

#[test]
fn a_change_of_any_field_is_refused() {
    let (key, trust) = sample();
    let good = seal("text/plain", b"hello", &key);
    let changes: [fn(&mut Envelope); 5] = [
        |envelope| envelope.payload[0] ^= 1,
        |envelope| envelope.payload.push(b' '),
        |envelope| envelope.payload_type.push('x'),
        |envelope| envelope.signature.sig[8] ^= 1,
        |envelope| envelope.signature.sig.clear(),
    ];
    for change in changes {
        let mut envelope = good.clone();
        change(&mut envelope);
        let error = open(&envelope, &trust, time(NOW)).expect_err("changed");
        assert_eq!(error, TrustError::Signature { identity: "builder".to_owned() });
    }
}

#[test]
fn time_and_revocation_count() {
    let (key, trust) = sample();
    let envelope = seal("text/plain", b"hello", &key);
    let check = |now: &str, revoked_at: Option<&str>| {
        let mut trust = trust.clone();
        trust.identities[3].revoked_at = revoked_at.map(time);
        open(&envelope, &trust, time(now)).map(|_| ()).map_err(|error| error.to_string())
    };
    let refused = |text: &str| Err(text.to_owned());
    for (now, revoked_at, expected) in [
        ("2026-01-01T00:00:00Z", None, Ok(())),
        ("2027-01-01T00:00:00Z", None, Ok(())),
        (
            "2025-12-31T23:59:59Z",
            None,
            refused("`builder` is accepted from 2026-01-01T00:00:00Z only, and it is 2025-12-31T23:59:59Z"),
        ),
        (
            "2027-01-01T00:00:01Z",
            None,
            refused("`builder` was accepted until 2027-01-01T00:00:00Z, and it is 2027-01-01T00:00:01Z"),
        ),
        (NOW, Some("2026-11-22T19:41:01Z"), Ok(())),
        (NOW, Some(NOW), refused("the key of `builder` was revoked at 2026-11-22T19:41:00Z")),
        (NOW, Some("2026-01-01T00:00:00Z"), refused("the key of `builder` was revoked at 2026-01-01T00:00:00Z")),
    ] {
        assert_eq!(check(now, revoked_at), expected, "{now} {revoked_at:?}");
    }
}

#[test]
fn a_revoked_key_is_not_saved_by_a_hint_at_another() {
    let (key, mut trust) = sample();
    trust.identities[3].revoked_at = Some(time("2026-02-01T00:00:00Z"));
    let mut envelope = seal("text/plain", b"hello", &key);
    envelope.signature.keyid = trust.identities[0].key.id().to_string();
    assert!(matches!(open(&envelope, &trust, time(NOW)), Err(TrustError::Revoked { .. })));
}

#[test]
fn logs_are_found_by_their_id() {
    let (_, trust) = sample();
    let id = *trust.logs[0].note_key().log_id();
    assert_eq!(trust.log(id.bytes()), Some(&trust.logs[0]));
    assert_eq!(trust.log(&id.bytes()[..4]), None);
    assert_eq!(trust.log(&[]), None);
    assert!(trust.logs[0].is_valid(time(NOW)) && !trust.logs[0].is_valid(time("2025-12-31T23:59:59Z")));
}

#[test]
fn the_file_and_back() {
    let (_, mut trust) = sample();
    trust.identities[1].revoked_at = Some(time(NOW));
    trust.identities[2].valid_until = None;
    let text = trust.to_json();
    assert!(
        text.starts_with("{\n  \"version\": 1,\n  \"identities\": [\n    {\n      \"name\": \"other-0\",\n"),
        "{text}"
    );
    assert_eq!(Trust::parse(&text).expect("its own print"), trust);
    assert_eq!(Trust::parse(&Trust::default().to_json()).expect("nobody"), Trust::default());
}

#[test]
fn other_files_are_refused() {
    let (_, trust) = sample();
    let good = trust.to_json();
    let key = wire::base64::encode(trust.identities[3].key.spki_der());
    let again = wire::base64::encode(trust.identities[0].key.spki_der());
    for (text, expected) in [
        (String::new(), "not a trust file"),
        ("{}".to_owned(), "not a trust file"),
        (
            good.replace("\"version\": 1", "\"version\": 3, \"new\": []"),
            "trust file has version 3; this assay reads versions 1 and 2",
        ),
        (good.replace("validUntil", "validTill"), "not a trust file"),
        (good.replacen("\"roles\"", "\"revoked_at\": null, \"roles\"", 1), "not a trust file"),
        (good.replacen("validFrom", "from", 1), "not a trust file"),
        (
            good.replace("\"tester\"", "\"king\""),
            "`other-0` has unknown role `king`: expected builder, tester, publisher, verifier, deployer or admin",
        ),
        (good.replace(&key, &key[1..]), "reading the key of `builder`"),
        (good.replace(&key, "MCow"), "reading the key of `builder`"),
        (good.replace(&key, &again), "the key of `builder` stands twice in the trust file"),
        (
            good.replace("\"builder\",\n      \"key", "\"\",\n      \"key"),
            "`` is no name: it is empty, or has a space, a plus or a control character",
        ),
        (
            good.replace("example.org/log", "example.org log"),
            "`example.org log` is no name: it is empty, or has a space, a plus or a control character",
        ),
        (" ".repeat((4 << 20) + 1), "trust file of 4194305 bytes is larger than the limit of 4194304"),
    ] {
        assert_eq!(Trust::parse(&text).expect_err(expected).to_string(), expected);
    }
}

#[test]
fn too_many_identities_are_refused() {
    let key = new_key();
    let identities = vec![identity("builder", &key); IDENTITIES_MAX + 1];
    let text = Trust { identities, ..Trust::default() }.to_json();
    assert!(matches!(Trust::parse(&text), Err(TrustFileError::Count(4097))));
}

#[test]
fn damaged_files_never_panic_and_parse_stably() {
    let (_, trust) = sample();
    Mutator::new(53).each(3_000, trust.to_json().as_bytes(), |bytes| {
        if let Ok(trust) = Trust::parse(&String::from_utf8_lossy(bytes)) {
            assert_eq!(Trust::parse(&trust.to_json()).expect("its own print"), trust);
        }
    });
}

#[test]
fn stock_clients_get_the_logs() {
    let (_, trust) = sample();
    let root = TrustedRoot::parse(to_trusted_root_json(&trust).as_bytes()).expect("a trusted root");
    let [log] = &root.tlogs[..] else { panic!("one log") };
    assert_eq!((log.base_url.as_str(), log.hash_algorithm.as_str()), ("example.org/log", "SHA2_256"));
    assert_eq!(log.public_key.raw_bytes, trust.logs[0].key.spki_der());
    assert_eq!(log.public_key.key_details, "PKIX_ED25519");
    assert_eq!(log.public_key.valid_for.start, trust.logs[0].valid_from);
    assert_eq!(log.log_id.key_id, trust.logs[0].note_key().log_id().bytes());
}

#[test]
fn roles_have_names() {
    for (role, name) in Role::ALL {
        assert_eq!(Role::of_name(name), Some(role));
        assert_eq!(role.name(), name);
    }
    assert_eq!(Role::of_name("king"), None);
}
