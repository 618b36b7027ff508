use super::super::Role;
use super::*;
use crate::{LogKey, SigningKey};

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn now() -> Timestamp {
    time("2026-11-22T19:41:00Z")
}

fn identity(name: &str) -> Identity {
    Identity {
        name: name.to_owned(),
        key: SigningKey::generate().expect("key").public().clone(),
        roles: vec![Role::Builder],
        valid_from: time("2026-01-01T00:00:00Z"),
        valid_until: None,
        revoked_at: None,
    }
}

fn old() -> Trust {
    let log = LogIdentity {
        origin: "example.org/log".to_owned(),
        key: LogKey::generate().expect("key").public().clone(),
        valid_from: time("2026-01-01T00:00:00Z"),
        valid_until: None,
    };
    Trust { identities: vec![identity("builder"), identity("admin")], logs: vec![log], ..Trust::default() }
}

#[test]
fn a_successor_and_an_end_to_come_keep_everything() {
    let old = old();
    let mut new = old.clone();
    new.identities[0].valid_until = Some(now());
    new.logs[0].valid_until = Some(now().plus_s(1));
    new.identities.push(identity("builder"));
    assert_eq!(new.keeps(&old, now(), None), Ok(()));
}

#[test]
fn each_way_to_lose_a_window_is_named() {
    let old = old();
    let other = LogKey::generate().expect("key").public().clone();
    let earlier = now().plus_s(-1);
    type Change = Box<dyn Fn(&mut Trust)>;
    let changes: Vec<(&str, Change)> = vec![
        ("missing", Box::new(|new| drop(new.identities.remove(0)))),
        ("name", Box::new(|new| new.identities[0].name = "other".to_owned())),
        ("roles", Box::new(|new| new.identities[0].roles.push(Role::Admin))),
        ("begins", Box::new(|new| new.identities[0].valid_from = time("2026-01-01T00:00:01Z"))),
        ("ends", Box::new(move |new| new.identities[0].valid_until = Some(earlier))),
        ("revocation", Box::new(|new| new.identities[0].revoked_at = Some(now()))),
        ("missing", Box::new(|new| new.logs.clear())),
        ("missing", Box::new(|new| new.logs[0].origin = "example.org/other".to_owned())),
        ("missing", Box::new(move |new| new.logs[0].key = other.clone())),
        ("missing", Box::new(|new| new.logs[0].valid_from = now())),
        ("missing", Box::new(move |new| new.logs[0].valid_until = Some(earlier))),
    ];
    for (number, (word, change)) in changes.iter().enumerate() {
        let mut new = old.clone();
        change(&mut new);
        let lost = new.keeps(&old, now(), None).expect_err("lost");
        assert!(lost.what.contains(word), "change {number}: {lost}");
    }
}

#[test]
fn a_set_end_stays() {
    let mut old = old();
    old.identities[0].valid_until = Some(now());
    for end in [None, Some(now().plus_s(1))] {
        let mut new = old.clone();
        new.identities[0].valid_until = end;
        assert!(new.keeps(&old, now(), None).is_err(), "{end:?}");
    }
}

#[test]
fn a_revocation_is_made_or_moved_back_of_that_key_alone() {
    let mut old = old();
    let (one, other) = (old.identities[0].key.id(), old.identities[1].key.id());
    let revoked = |trust: &Trust, at: Option<Timestamp>| {
        let mut new = trust.clone();
        new.identities[0].revoked_at = at;
        new
    };
    assert_eq!(revoked(&old, Some(now())).keeps(&old, now(), Some(&one)), Ok(()));
    assert!(revoked(&old, Some(now())).keeps(&old, now(), Some(&other)).is_err());
    old.identities[0].revoked_at = Some(now());
    assert_eq!(revoked(&old, Some(now().plus_s(-1))).keeps(&old, now(), Some(&one)), Ok(()));
    assert!(revoked(&old, Some(now().plus_s(1))).keeps(&old, now(), Some(&one)).is_err());
    assert!(revoked(&old, None).keeps(&old, now(), Some(&one)).is_err());
}
