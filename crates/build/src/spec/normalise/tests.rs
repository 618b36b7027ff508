use expect_test::{Expect, expect};

use super::*;
use crate::spec::tests::GREETER;
use crate::spec::{FILE, Spec};

const ARTIFACTS: &str = r#"
[[artifact]]
name = "one"
path = "dist/one-1.0.whl"

[[artifact]]
name = "two"
path = "dist/two-1.0.tar.gz"
"#;

fn parse(tables: &str) -> Result<Vec<Normalise>, String> {
    let text = format!("{GREETER}{ARTIFACTS}{tables}");
    let problems = |problems: Vec<crate::problem::Problem>| {
        problems.iter().map(|problem| format!("{}\n", problem.one_line())).collect::<String>()
    };
    Spec::parse(FILE, text.as_bytes()).map(|spec| spec.normalise).map_err(problems)
}

fn check(tables: &str, expected: Expect) {
    expected.assert_eq(&parse(tables).expect_err("it has problems"));
}

#[test]
fn artifacts_are_found_by_path_or_pattern_in_their_order() {
    assert_eq!(parse(""), Ok(Vec::new()));
    let two = "[[normalise]]\npath = \"dist/two-*.tar.gz\"\nrecompress = true\nkind = \"tar.gz\"\n";
    let one = "[[normalise]]\npath = \"dist/*.whl\"\ncheck = true\n";
    let normalise = |path: &str, kind, check, recompress| Normalise { path: path.to_owned(), kind, check, recompress };
    let expected = vec![
        normalise("dist/one-1.0.whl", None, true, false),
        normalise("dist/two-1.0.tar.gz", Some(Kind::TarGz), false, true),
    ];
    assert_eq!(parse(&format!("{two}{one}")), Ok(expected));
}

#[test]
fn what_names_no_artifact_or_one_twice_is_a_problem() {
    check(
        "[[normalise]]\npath = \"dist/*.jar\"\n",
        expect![[r#"
        assay.toml:57:8: no artifact lies at `dist/*.jar`; the artifacts lie at target/release/greeter, dist/one-1.0.whl, dist/two-1.0.tar.gz
    "#]],
    );
    check(
        "[[normalise]]\npath = \"*.whl\"\n",
        expect![[r#"
        assay.toml:57:8: no artifact lies at `*.whl`; the artifacts lie at target/release/greeter, dist/one-1.0.whl, dist/two-1.0.tar.gz
    "#]],
    );
    check(
        "[[normalise]]\npath = \"dist/*\"\n[[normalise]]\npath = \"dist/one-1.0.whl\"\n",
        expect![[r#"
        assay.toml:59:8: `dist/one-1.0.whl` is normalised twice; name each artifact once
    "#]],
    );
    check(
        "[[normalise]]\nkind = \"squashfs\"\n",
        expect![[r#"
        assay.toml:56:1: [[normalise]] lacks the key `path`; write path = "target/release/greeter"
        assay.toml:57:8: `squashfs` is no value of `kind`; allowed: `tar`, `gzip`, `tar.gz`, `tar.xz`, `zip`, `jar`, `wheel`, `ar`, `deb`, `rpm`, `pyc`, `mo`, `po`, `javadoc`, `png`
    "#]],
    );
    check(
        "[[normalise]]\npath = \"../dist/*.whl\"\nchecked = true\n",
        expect![[r#"
        assay.toml:57:8: `../dist/*.whl` is no path below the project; as `target/release/greeter`: no leading `/`, no `..`
        assay.toml:58:1: unknown key `checked` in [[normalise]]; did you mean `check`? allowed: `path`, `kind`, `check`, `recompress`
    "#]],
    );
}

#[test]
fn stars_stand_for_characters_of_one_component() {
    for (pattern, path, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("*", "a", true),
        ("*", "a/b", false),
        ("a*c", "ac", true),
        ("a*c", "abcd", false),
        ("a*a", "a", false),
        ("*b*", "abc", true),
        ("*b*b*", "abc", false),
        ("d/*.whl", "d/x.whl", true),
        ("*/x.whl", "d/x.whl", true),
    ] {
        assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
    }
}
