//! Tests of name patterns.

use super::*;

#[test]
fn patterns_match_within_a_name() {
    for (pattern, name, expected) in [
        ("*", "anything", true),
        ("*", "", true),
        ("*.so", "lib.so", true),
        ("*.so", "lib.so.1", false),
        ("lib*.so*", "libx.so.so.1", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("**b*", "aab", true),
        ("*ab", "aaab", true),
        ("*a*b*c", "xaybzc", true),
        ("*a*b*c", "xaybz", false),
        ("exact", "exact", true),
        ("exact", "exactly", false),
        ("*", ".hidden", true),
    ] {
        assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
    }
    let many = "*a".repeat(30);
    assert!(!matches(many.as_bytes(), "a".repeat(29).as_bytes()), "linear, not exponential");
}
