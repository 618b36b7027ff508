use super::*;

fn grant(role: Role, patterns: &[&str]) -> Grant {
    let repositories = patterns.iter().map(|text| Pattern::parse(text).expect("a pattern")).collect();
    Grant { role, repositories }
}

#[test]
fn each_role_may_what_the_table_says() {
    use Action::{Administer, Attest, Push, Read};
    for (role, may) in [
        (Role::Reader, [true, false, false, false]),
        (Role::Publisher, [true, true, true, false]),
        (Role::Deployer, [true, false, true, false]),
        (Role::Admin, [true, true, true, true]),
    ] {
        for (action, expected) in [Read, Push, Attest, Administer].into_iter().zip(may) {
            assert_eq!(allows(&[grant(role, &["a/*"])], action, Some("a/b")), expected, "{role:?} {action:?}");
            assert_eq!(allows(&[grant(role, &["*"])], action, None), expected, "{role:?} {action:?}");
            assert_eq!(allows(&[grant(role, &["a/*"])], action, None), expected && action != Administer);
            assert!(!allows(&[grant(role, &["a/*"])], action, Some("b/a")), "{role:?} {action:?}");
            assert!(!allows(&[grant(role, &[])], action, Some("a/b")), "{role:?} {action:?}");
        }
    }
}

#[test]
fn no_grant_allows_nothing() {
    assert!(!allows(&[], Action::Read, None));
    assert!(!allows(&[], Action::Read, Some("a")));
}

#[test]
fn grants_add_up_but_do_not_mix() {
    let grants = [grant(Role::Reader, &["*"]), grant(Role::Publisher, &["a"])];
    assert!(allows(&grants, Action::Push, Some("a")));
    assert!(allows(&grants, Action::Read, Some("b")));
    assert!(!allows(&grants, Action::Push, Some("b")));
}
