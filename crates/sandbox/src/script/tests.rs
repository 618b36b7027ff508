//! What is marked, what is refused, and the small codecs. That a marked script does what it did is tested with real shells.

use super::*;

fn copy(text: &str, shell: Shell) -> String {
    let wanted = Wanted { shell, is_argument: false, is_sourced: false, prints: false };
    match Copy::new(text.as_bytes(), wanted) {
        Ok(Some(copy)) => {
            String::from_utf8_lossy(&copy.text).replace(&copy.key, "K").replace(SEPARATOR as char, "<US>")
        }
        Ok(None) => "nothing to mark".to_owned(),
        Err(Untraced(why)) => format!("not traced: {why}"),
    }
}

fn before(number: usize, values: &str) -> String {
    format!(
        "case $? in 0)[ ! -w \"/.assay/K/{number}{values}\" ];;1)[ -w \"/.assay/K/{number}{values}\" ];;*). \"/.assay/K/{number}/$?\";;esac&&:;"
    )
}

#[test]
fn marks_stand_where_branches_begin() {
    let m = before;
    let expected = [
        (
            "if [ \"$x\" ]; then a; fi",
            format!("{}if [ \"$x\" ]; then {}a; else [ ! -w \"/.assay/K/3\" ];fi", m(0, "<US>${x-}"), m(2, "")),
        ),
        (
            "a && b || c\n",
            format!(
                "{}a && [ ! -w \"/.assay/K/1\" ]&& b || case $? in 1)[ -w \"/.assay/K/2\" ];;*). \"/.assay/K/2/$?\";;esac|| c\n",
                m(0, "")
            ),
        ),
        (
            "case $x in\n a) ;;\n b) c\nesac",
            format!(
                "{}case $x in\n a) [ ! -w \"/.assay/K/1\" ] ;;\n b) {}c\n;;*) [ ! -w \"/.assay/K/3\" ];; esac",
                m(0, "<US>${x-}"),
                m(2, "")
            ),
        ),
        ("for i in 1; do a; done", format!("{}for i in 1; do {}a; done", m(0, ""), m(1, "<US>${i-}"))),
        ("x=`a; b` y=$(c; d) # e; f\n", format!("{}x=`a; b` y=$(c; d) # e; f\n", m(0, ""))),
        ("cat <<E; a\nif b; then\nE\n", format!("{}cat <<E; {}a\nif b; then\nE\n", m(0, ""), m(1, ""))),
        ("(a)\n(a; b)", format!("{}(a)\n{}({}a; {}b)", m(0, ""), m(2, ""), m(3, ""), m(4, ""))),
        ("[ $RANDOM = $_x ] && a", format!("{}[ $RANDOM = $_x ] && [ ! -w \"/.assay/K/1\" ]&& a", m(0, "<US>${_x-}"))),
    ];
    for (text, marked) in expected {
        assert_eq!(copy(text, Shell::Dash), marked, "{text}");
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    let of_both = [
        ("a\n'b", "line 2: a quote is not closed"),
        ("a \"b", "line 1: a double quote is not closed"),
        ("`a", "line 1: a backquote is not closed"),
        ("a $((1 + 2)", "line 1: `((` is not arithmetic"),
        ("a ${b", "line 1: a `${` is not closed"),
        ("if a; then\n", "line 2: a list is empty"),
        ("if a; then b", "line 1: `fi` is missing"),
        ("fi", "line 1: something closes that was not opened"),
        ("a )", "line 1: something closes that was not opened"),
        ("a; ;; b", "line 1: something closes that was not opened"),
        ("cat <<E\nb", "line 2: a here-document has no end"),
        ("cat <<E\nb\\\nE\n", "line 2: the last line of a here-document is continued"),
        ("cat <<E\n$(b\nE\n)", "line 4: an expansion reaches over the end of its here-document"),
        ("cat <<$E\n", "line 1: the delimiter of a here-document is not plain"),
        ("cat <<E $(a\nb)\nE\n", "line 2: a here-document is open around a command substitution of several lines"),
        ("alias a=b", "line 1: it defines aliases"),
        ("a & jobs", "line 1: it prints commands of jobs as they are written"),
        ("set $a", "line 1: `set` with options that are computed"),
        ("set -ev", "it prints itself (`set -v`)"),
        ("set -o verbose", "it prints itself (`set -v`)"),
        ("PS4='$(a)'", "it computes how its own trace looks (`PS4`)"),
        ("echo ${PIPESTATUS[0]}", "it asks for `PIPESTATUS`"),
        ("trap a DEBUG", "it sets a trap for each command"),
        ("echo $_", "it asks for `$_`"),
        ("echo ${_}", "it asks for `$_`"),
        ("[ -w /.assay/ ]", "it names what marks name"),
        ("a\0", "it holds a zero byte"),
        ("[() { a; }", "line 1: a function takes the place of a command that marks need"),
        ("case a in @(a|b)) c;; esac", "line 1: a pattern is not understood"),
        ("if true; then\r\na\r\nfi", "line 3: `then` is missing"),
    ];
    for (text, why) in of_both {
        for shell in [Shell::Dash, Shell::Bash] {
            assert_eq!(copy(text, shell), format!("not traced: {why}"), "{text:?} in {shell:?}");
        }
    }
    assert_eq!(copy("x=(a b)", Shell::Dash), "not traced: line 1: a command is not understood");
    assert!(copy("x=(a b) && c", Shell::Bash).contains("&& c"));
    let deep = "(".repeat(200);
    assert_eq!(copy(&deep, Shell::Dash), "not traced: line 1: commands are nested too deeply");
    let quoted = "\"$(".repeat(5000);
    assert_eq!(copy(&quoted, Shell::Dash), "not traced: line 1: commands are nested too deeply");
}

#[test]
fn every_cut_and_change_of_a_script_ends_in_an_answer() {
    let text = "f() { a \"$(b `c`)\" ${d:-\"e\"} $((1)); }\nif f; then case $g in h|'i') j;; esac; fi <<E\n$k\nE\n[[ l ]] && m=(n) || set -x\n";
    for shell in [Shell::Dash, Shell::Bash] {
        for at in 0..text.len() {
            assert!(!copy(&text[..at], shell).is_empty() || at == 0);
            for byte in "'\"`$\\(){}<>;&|\n#".chars() {
                let changed = format!("{}{byte}{}", &text[..at], &text[at..]);
                let marked = copy(&changed, shell);
                // Whatever is marked still holds the whole original.
                let mut rest = marked.chars();
                assert!(marked.starts_with("not traced") || changed.chars().all(|one| rest.any(|other| other == one)));
            }
        }
    }
}

#[test]
fn functions_that_are_shown_are_left_alone() {
    let text = "f() { a; }; declare -f f";
    assert!(copy(text, Shell::Bash).contains("f() { a; }"));
    assert!(!copy(text, Shell::Dash).contains("f() { a; }"));
    assert!(copy("f() { a; }; set", Shell::Bash).contains("f() { a; }"));
}

#[test]
fn a_single_command_is_left_alone() {
    let wanted = Wanted { shell: Shell::Dash, is_argument: true, is_sourced: false, prints: false };
    for (text, marks) in [("cc -c a.c", false), ("cc -c a.c; b", true), ("a && b", true), ("a | b", false), ("", false)]
    {
        let is_marked = Copy::new(text.as_bytes(), wanted).expect("it is understood").is_some();
        assert_eq!(is_marked, marks, "{text}");
    }
}

#[test]
fn scripts_are_found_in_arguments() {
    let of = |exe: &str, line: &str| {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        match start(exe, &argv, &std::collections::BTreeMap::new()) {
            None => "no shell".to_owned(),
            Some(Start::Argument { index, prints, .. }) => format!("argument {index} {prints}"),
            Some(Start::File { index, prints, .. }) => format!("file {index} {prints}"),
            Some(Start::Untraced(why)) => why,
        }
    };
    let cases = [
        ("/usr/bin/dash", "/bin/sh -ec a", "argument 2 false"),
        ("/usr/bin/dash", "sh -c -x a", "argument 3 true"),
        ("/usr/bin/dash", "sh ./configure -c", "file 1 false"),
        ("/usr/bin/bash", "bash -o pipefail -eu x.sh", "file 4 false"),
        ("/usr/bin/bash", "bash --posix -- -c", "file 3 false"),
        ("/usr/bin/bash", "bash --rcfile x", "the option `--rcfile` is not understood"),
        ("/usr/bin/bash", "bash -v x", "the option `-v` is not understood"),
        ("/usr/bin/bash", "bash -o verbose x", "it prints itself (`-o verbose`)"),
        ("/usr/bin/dash", "sh", "it is read from standard input"),
        ("/usr/bin/dash", "sh -s a", "it is read from standard input"),
        ("/usr/bin/dash", "sh -c", "it is read from standard input"),
        ("/usr/bin/busybox", "sh -c a", "scripts of the shell `busybox` are not understood"),
        ("/usr/bin/busybox", "ls -c a", "no shell"),
        ("/usr/bin/make", "sh -c a", "no shell"),
    ];
    for (exe, line, expected) in cases {
        assert_eq!(of(exe, line), expected, "{exe} {line}");
    }
    let variables = std::collections::BTreeMap::from([("SHELLOPTS".to_owned(), "braceexpand:verbose".to_owned())]);
    let argv = ["bash".to_owned(), "x".to_owned()];
    assert_eq!(
        start("/bin/bash", &argv, &variables),
        Some(Start::Untraced("it prints itself (`SHELLOPTS`)".to_owned()))
    );
}

#[test]
fn numbers_are_written_in_ranges() {
    for (numbers, text) in [(&[][..], ""), (&[7], "7"), (&[0, 1, 2, 9, 3, 4], "0-2 9 3-4"), (&[5, 5, 4], "5 5 4")] {
        assert_eq!(encode(numbers), text);
        assert_eq!(decode(text, 6).as_deref(), Some(numbers));
    }
    for bad in ["1-", "2-1", "x", "1  2", "0-99999999999", "0-6", "-1"] {
        assert_eq!(decode(bad, 6), None, "{bad}");
    }
}
