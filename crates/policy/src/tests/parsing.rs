//! Policies read, and refused with place and hint. // M3.4

use expect_test::{Expect, expect};

use crate::policy::Policy;
use crate::rules::{self, Rule};
use crate::starter::starter;

fn check(text: &str, expected: Expect) {
    let problems = Policy::parse("p.toml", text).expect_err("a policy with a problem");
    let text = |text: &str| if text.is_empty() { String::new() } else { format!("  {text}\n") };
    let lines: Vec<String> = problems.iter().map(|problem| format!("{problem}\n{}", text(&problem.text))).collect();
    expected.assert_eq(&lines.concat());
}

#[test]
fn problems_name_place_and_what_is_allowed() {
    check(
        "",
        expect![[r#"
            p.toml:1:1: a policy needs its version; as in `version = 1`
            p.toml:1:1: a policy needs a name; as in `name = "production"`
            p.toml:1:1: a policy needs at least one rule; each rule begins with a line `[[rules]]`
        "#]],
    );
    check(
        "version = 1\nname = \"x\"\nrules = []\n",
        expect![[r#"
        p.toml:3:9: a policy has 1 to 200 rules, this has 0; each rule begins with a line `[[rules]]`
          rules = []
    "#]],
    );
    check(
        "version = 2\nname = 7\nowner = \"me\"\n[[rules]]\nrule = \"logged\"\n",
        expect![[r#"
        p.toml:1:11: unknown version of policy; this assay reads `version = 1`
          version = 2
        p.toml:2:8: `name` must be a string, not an integer; as in `name = "production"`
          name = 7
        p.toml:3:1: unknown key `owner`; expected `version`, `name` and `rules`
          owner = "me"
    "#]],
    );
    check(
        "version = 1\nname = \"x\"\n[[rules]]\nrule = \"loged\"\n[[rules]]\nidentities = [\"a\"]\n",
        expect![[r#"
            p.toml:4:8: unknown rule `loged`; expected `signed-by`, `logged`, `witnessed`, `complete-hermetic-build`, `source`, `no-uncommitted-changes`, `rebuilt`, `tests-passed`, `age` or `reference-digest`
              rule = "loged"
            p.toml:5:1: a rule needs `rule`, its name; expected `signed-by`, `logged`, `witnessed`, `complete-hermetic-build`, `source`, `no-uncommitted-changes`, `rebuilt`, `tests-passed`, `age` or `reference-digest`
              [[rules]]
        "#]],
    );
    check(
        "version = 1\nname = \"x\"\n[[rules]]\nrule = \"logged\"\nstrict = true\n",
        expect![[r#"
        p.toml:5:1: rule `logged` has no parameter `strict`; it has no parameters
          strict = true
    "#]],
    );
    check(
        "version = 1\nname = \"x\"\nrules = [\"logged\"]\n",
        expect![[r#"
        p.toml:3:10: a rule must be a table, not a string; each rule begins with a line `[[rules]]`
          rules = ["logged"]
    "#]],
    );
    check(
        "version = 1\nname = \"x\"\n[rules]\nrule = \"logged\"\n",
        expect![[r#"
        p.toml:3:1: `rules` must be a list of tables, not a table; each rule begins with a line `[[rules]]`
          [rules]
    "#]],
    );
    check(
        "version = 1\nname = \"x\n",
        expect![[r#"
        p.toml:2:10: invalid basic string, expected `"`
          name = "x
    "#]],
    );
}

#[test]
fn parameters_have_types_and_bounds() {
    let check = |rule: &str, expected| check(&format!("version = 1\nname = \"x\"\n[[rules]]\n{rule}\n"), expected);
    check(
        "rule = \"signed-by\"",
        expect![[r#"
        p.toml:3:1: rule `signed-by` needs `identities`; as in `identities = ["builder-*"]`
          [[rules]]
    "#]],
    );
    check(
        "rule = \"signed-by\"\nidentities = []",
        expect![[r#"
        p.toml:5:14: `identities` of rule `signed-by` must be a list of 1 to 1000 strings; as in `identities = ["builder-*"]`
          identities = []
    "#]],
    );
    check(
        "rule = \"signed-by\"\nidentities = \"builder\"",
        expect![[r#"
        p.toml:5:14: `identities` of rule `signed-by` must be a list of strings; as in `identities = ["builder-*"]`
          identities = "builder"
    "#]],
    );
    check(
        "rule = \"signed-by\"\nidentities = [1]",
        expect![[r#"
        p.toml:5:15: `identities` of rule `signed-by` must be a list of strings of 1 to 4096 bytes; as in `identities = ["builder-*"]`
          identities = [1]
    "#]],
    );
    check(
        "rule = \"signed-by\"\nidentities = [\"a\"]\npredicates = [\"run\", \"sbom\"]",
        expect![[r#"
        p.toml:6:22: `predicates` of rule `signed-by` cannot be `sbom`; expected `recipe`, `run`, `rebuilt`, `test`, `reference`, `verdict`, `deployment` or `publication`
          predicates = ["run", "sbom"]
    "#]],
    );
    check(
        "rule = \"complete-hermetic-build\"\nlevels = [\"part\"]",
        expect![[r#"
        p.toml:5:11: `levels` of rule `complete-hermetic-build` cannot be `part`; expected `full`, `no-proc` or `trace-only`
          levels = ["part"]
    "#]],
    );
    check(
        "rule = \"source\"\nbranches = [\"main\"]",
        expect![[r#"
        p.toml:3:1: rule `source` needs `repository`; as in `repository = "https://git.example.org/greeter"`
          [[rules]]
    "#]],
    );
    check(
        "rule = \"source\"\nrepository = [\"a\"]\nbranch = \"main\"\nbranches = [\"main\"]",
        expect![[r#"
        p.toml:5:14: `repository` must be a string, not an array; as in `repository = "https://git.example.org/greeter"`
          repository = ["a"]
        p.toml:6:1: rule `source` has no parameter `branch`; it has `repository` and `branches`
          branch = "main"
    "#]],
    );
    check(
        "rule = \"rebuilt\"\ntimes = 1",
        expect![[r#"
        p.toml:5:9: `times` of rule `rebuilt` must be a whole number from 2 to 100; as in `times = 2`
          times = 1
    "#]],
    );
    check(
        "rule = \"rebuilt\"\ntimes = \"two\"",
        expect![[r#"
        p.toml:5:9: `times` of rule `rebuilt` must be a whole number from 2 to 100; as in `times = 2`
          times = "two"
    "#]],
    );
    check(
        "rule = \"tests-passed\"\nsuites = [\"unit\"]\nnone_vanished = 1",
        expect![[r#"
        p.toml:6:17: `none_vanished` of rule `tests-passed` must be `true` or `false`; as in `none_vanished = true`
          none_vanished = 1
    "#]],
    );
    check(
        "rule = \"age\"\nmax_days = -1",
        expect![[r#"
        p.toml:5:12: `max_days` of rule `age` must be a whole number from 1 to 36525; as in `max_days = 90`
          max_days = -1
    "#]],
    );
    check(
        "rule = \"age\"\nmax_days = 99999999999999999999",
        expect![[r#"
        p.toml:5:12: `max_days` of rule `age` must be a whole number from 1 to 36525; as in `max_days = 90`
          max_days = 99999999999999999999
    "#]],
    );
    check(
        "rule = \"reference-digest\"\nrequired = \"no\"",
        expect![[r#"
        p.toml:5:12: `required` of rule `reference-digest` must be `true` or `false`; as in `required = true`
          required = "no"
    "#]],
    );
}

#[test]
fn a_policy_is_named_by_its_bytes() {
    let text = format!("version = 1\nname = \"x\"\n{}", super::EVERY_RULE);
    let policy = Policy::parse("p.toml", &text).expect("it is good");
    assert_eq!(policy.digest(), &wire::digest::Digest::of(text.as_bytes()));
    let names: Vec<&str> = policy.rules().iter().map(Rule::name).collect();
    // `witnessed` names the keys of one log, which each scene makes anew: it has tests of its own.
    assert_eq!(names, rules::NAMES.into_iter().filter(|name| *name != rules::witnessed::NAME).collect::<Vec<_>>());
    let other = Policy::parse("p.toml", &format!("{text}\n")).expect("it is good");
    assert_ne!(policy.digest(), other.digest());
    assert_eq!(policy.rules(), other.rules());
}

#[test]
fn each_example_is_one() {
    for name in rules::NAMES {
        let parameters: Vec<&str> = rules::parameters(name).iter().map(|parameter| parameter.example).collect();
        super::policy(&format!("[[rules]]\nrule = \"{name}\"\n{}\n", parameters.join("\n")));
    }
}

#[test]
fn the_starter_is_a_policy() {
    let suites = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<String>>();
    for (name, repository, branch, tests, count) in [
        ("production", "https://git.example.org/greeter", "main", suites(&["unit"]), 9),
        ("a \"b\" \\ c", "file:///home/ä b/\"x\"", "feature/'quotes'", suites(&["a\"b", "c"]), 9),
        ("no tests", "file:///x", "main", suites(&[]), 8),
    ] {
        let text = starter(name, repository, branch, &tests);
        let policy = Policy::parse("starter.toml", &text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        assert_eq!((policy.name(), policy.rules().len()), (name, count));
        let Some(Rule::Source(source)) = policy.rules().iter().find(|rule| rule.name() == "source") else {
            panic!("the starter names the source");
        };
        assert!(source.repository.matches(repository));
        assert!(source.branches.iter().all(|pattern| pattern.matches(branch)));
    }
}

#[test]
fn sizes_have_limits() {
    let long = format!("version = 1\nname = \"x\"\n# {}\n{}", "x".repeat(1 << 20), super::EVERY_RULE);
    assert!(Policy::parse("p.toml", &long).is_err());
    let many = format!("version = 1\nname = \"x\"\n{}", "[[rules]]\nrule = \"logged\"\n".repeat(201));
    assert!(Policy::parse("p.toml", &many).is_err());
    let wide = format!("version = 1\nname = \"{}\"\n[[rules]]\nrule = \"logged\"\n", "x".repeat(4097));
    assert!(Policy::parse("p.toml", &wide).is_err());
}

#[test]
fn damaged_policies_never_panic_and_problems_lie_inside() {
    let good = format!("version = 1\nname = \"ä\"\n{}", super::EVERY_RULE);
    let mut random = super::law::Random(7);
    for _ in 0..3_000 {
        let mut letters: Vec<char> = good.chars().collect();
        for _ in 0..=random.below(3) {
            let at = random.below(letters.len());
            match random.below(3) {
                0 => drop(letters.remove(at)),
                1 => letters.insert(at, ['"', '[', ']', '=', '\n', 'é', '0', '.'][random.below(8)]),
                _ => letters.truncate(at.max(1)),
            }
        }
        let text: String = letters.into_iter().collect();
        for problem in Policy::parse("p.toml", &text).err().unwrap_or_default() {
            let line = text.split('\n').nth(problem.line - 1).expect("the line is there");
            assert!(problem.column <= line.chars().count() + 1, "{problem}");
            assert!(!problem.message.is_empty());
        }
    }
}

#[test]
fn the_page_names_every_rule_and_its_example_is_a_policy() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/policy.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    for name in rules::NAMES {
        let row = page.lines().rfind(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("policy.md lacks `{name}`"));
        for parameter in rules::parameters(name) {
            assert!(row.contains(&format!("`{}`", parameter.name)), "policy.md lacks `{}` of `{name}`", parameter.name);
        }
    }
    let example = page.split_once("```toml\n").and_then(|(_, rest)| rest.split_once("```")).expect("an example").0;
    assert!(Policy::parse("policy.md", example).is_ok());
}
