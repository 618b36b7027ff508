use super::*;

fn check(pattern: &str, yes: &[&str], no: &[&str]) {
    let pattern = Pattern::parse(pattern).expect("a pattern");
    for name in yes {
        assert!(pattern.covers(name), "{pattern:?} should cover {name}");
    }
    for name in no {
        assert!(!pattern.covers(name), "{pattern:?} should not cover {name}");
    }
}

#[test]
fn patterns_cover_what_they_say() {
    check("*", &["", "a", "a/b"], &[]);
    check("team/*", &["team/", "team/a", "team/a/b"], &["team", "teams/a", "a/team/b"]);
    check("greeter", &["greeter"], &["greete", "greeterr", ""]);
    check("v#*", &["v1", "v1.2.3", "v10.0.0-rc.1"], &["v", "vnext", "1.2", "latest", "xv1"]);
    check("#.#.#", &["1.2.3", "10.20.30"], &["1.2", "1.2.3.4", "a.b.c"]);
    check("*-#", &["a-1", "a-b-22", "-0"], &["a-", "a-b"]);
}

#[test]
fn bad_patterns_are_refused() {
    for text in ["", "a b", "é", "a\n", "[a]", "a?", &"a".repeat(LENGTH_MAX + 1)] {
        assert!(Pattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_hostile_pattern_ends_soon() {
    let pattern = Pattern::parse(&"*a".repeat(127)).expect("a pattern");
    assert!(!pattern.covers(&"a".repeat(126)));
    assert!(pattern.covers(&"a".repeat(255)));
}
