//! A library of the system that a build lacks, read from what linkers, compilers and pkg-config say.
//!
//! Where one is missing nothing is known about the code, so it is no honest no: the environment is what must change.

/// How much of the end of a log is searched: a linker repeats its arguments, and other crates go on for a while.
pub(crate) const SEARCHED_MAX: usize = 64 << 10;

/// How long a library's name may be.
const NAME_MAX: usize = 100;

/// What stands before a name and what after it, as rust-lld, GNU ld, the crate `pkg-config`, pkg-config, and C compilers say
/// it, in this order.
const SAID: [(&str, &str); 6] = [
    ("unable to find library -l", "\n"),
    ("cannot find -l", "\n"),
    ("cannot find -l", ": No such file"),
    ("The system library `", "` required by crate"),
    ("Package ", " was not found in the pkg-config search path"),
    ("fatal error: ", ": No such file"),
];

/// Returns the first library, or header of one, that a failed build's log names as missing.
pub(crate) fn library(log: &str) -> Option<&str> {
    SAID.iter().find_map(|(before, after)| log.split(before).skip(1).find_map(|rest| named(rest, after)))
}

fn named<'log>(rest: &'log str, after: &str) -> Option<&'log str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-_./".contains(c);
    let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let name = &rest[..end];
    ((1..=NAME_MAX).contains(&end) && rest[end..].starts_with(after)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::library;

    #[test]
    fn what_is_missing_is_read_from_the_tools_words() {
        for (log, name) in [
            ("rust-lld: error: unable to find library -ldoesnotexist\n  collect2: error", Some("doesnotexist")),
            ("/usr/bin/ld: cannot find -lzstd: No such file or directory\n", Some("zstd")),
            ("/usr/bin/ld: cannot find -lstdc++\n", Some("stdc++")),
            ("  The system library `libzstd` required by crate `zstd-sys` was not found.\n", Some("libzstd")),
            ("Package libpq was not found in the pkg-config search path.\n", Some("libpq")),
            ("x.c:1:10: fatal error: sasl/sasl.h: No such file or directory\n", Some("sasl/sasl.h")),
            ("error[E0425]: cannot find value `x` in this scope\n", None),
            ("fatal error: too many errors emitted\n", None),
            ("cannot find -l", None),
            ("", None),
        ] {
            assert_eq!(library(log), name, "{log}");
        }
    }
}
