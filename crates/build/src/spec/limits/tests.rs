use expect_test::expect;

use super::*;
use crate::spec::tests::{GREETER, check};
use crate::spec::{FILE, Spec};

fn with(limits: &str) -> String {
    GREETER.replace("[build]\n", &format!("[limits]\n{limits}\n\n[build]\n"))
}

#[test]
fn what_is_not_said_is_as_it_was() {
    let spec = |text: &str| Spec::parse(FILE, text.as_bytes()).expect("a specification");
    assert_eq!(spec(GREETER).limits, Limits::default());
    assert_eq!(spec(&with("")).limits, Limits::default());
    let limits = spec(&with("memory-mib = 64\ncpu-s = 9\ndisk-mib = 3")).limits;
    let run = Run { memory_bytes: 64 << 20, cpu_ms: Some(9000), ..Run::default() };
    assert_eq!(limits, Limits { run, disk_bytes: Some(3 << 20), tmp_bytes: None });
}

#[test]
fn each_key_is_one_limit() {
    for key in KEYS {
        let text = with(&format!("{key} = 17"));
        let limits = Spec::parse(FILE, text.as_bytes()).expect("a specification").limits;
        assert_ne!(limits, Limits::default(), "{key}");
    }
}

#[test]
fn what_is_no_limit_is_named_with_its_place() {
    check(
        &with("wall = 5\nmemory-mib = 1\nprocesses = \"many\"\nlog-mib = -1"),
        expect![[r#"
        assay.toml:12:1: unknown key `wall` in [limits]
          | wall = 5
          | ^
          = allowed: `wall-s`, `cpu-s`, `processes`, `memory-mib`, `open-files`, `file-mib`, `disk-mib`, `tmp-mib`, `log-mib`, `output-mib`, `trace-events`
        assay.toml:13:14: 1 is no value of `memory-mib`
          | memory-mib = 1
          |              ^
          = expected a whole number from 16 to 1048576
        assay.toml:14:13: `processes` is a string here
          | processes = "many"
          |             ^
          = expected a whole number from 1 to 4194304
        assay.toml:15:11: -1 is no value of `log-mib`
          | log-mib = -1
          |           ^
          = expected a whole number from 1 to 1048576"#]],
    );
}
