//! Tests of the fold from events to outcome.

use super::*;
use crate::plan::{Limits, PLAN_VERSION, Step};
use crate::tier::{Randomness, Tier};

const TRACE: &str = r#"{"event":"start","format":"assay-trace","version":2,"level":"full","refused":[],"landlock":null,"root":null}
{"event":"fork","id":0,"pid":2,"parent":null,"step":0,"start_us":1}
{"event":"process","id":0,"pid":2,"parent":null,"replaces":null,"step":0,"executed":true,"exe":"/usr/bin/dash","argv":["sh"],"cwd":"/build","variables":{"A":"b"},"start_us":1}
{"event":"path","id":0,"path":"/usr/bin/dash"}
{"event":"fork","id":1,"pid":3,"parent":0,"step":0,"start_us":9}
{"event":"end","process":1,"exit":{"signal":9},"duration_us":1,"cpu_us":0,"rss_max_kib":0}
{"event":"access","process":0,"path":0,"kind":"execute","count":1}
{"event":"access","process":0,"path":0,"kind":"missing","count":2}
{"event":"forget"}
{"event":"path","id":1,"path":"/etc"}
{"event":"access","process":0,"path":1,"kind":"list","count":1}
{"event":"denied","process":0,"what":"mount","count":1}
{"event":"network","process":0,"call":"connect","address":"192.0.2.1:443","loopback":false,"errno":101,"count":1}
{"event":"random","process":0,"source":"/dev/urandom","seeded":false,"count":3}
{"event":"end","process":0,"exit":{"exec":2},"duration_us":22,"cpu_us":16,"rss_max_kib":18}
{"event":"process","id":2,"pid":2,"parent":null,"replaces":0,"step":0,"executed":true,"exe":"/usr/bin/true","argv":["true"],"cwd":"/build","variables":{"A":"b"},"start_us":5}
{"event":"end","process":2,"exit":{"code":0},"duration_us":22,"cpu_us":16,"rss_max_kib":18}
{"event":"step","step":0,"exit":{"code":0},"duration_us":23,"survivors":0,"tier":"T0","randomness":"real"}
{"event":"finished","lost":0,"losses":[],"duration_us":24}
"#;

fn plan() -> Plan {
    let step = Step {
        name: "one".to_owned(),
        argv: Vec::new(),
        cwd: "/".to_owned(),
        variables: BTreeMap::new(),
        tier: Tier::T0,
        randomness: Randomness::Real,
        scripts: crate::script::Scripts::Untraced,
    };
    let (hostname, limits) = (String::new(), Limits::default());
    let (mounts, collect) = (Vec::new(), Vec::new());
    Plan {
        version: PLAN_VERSION,
        hostname,
        cpus: 1,
        loopback: false,
        epoch_unix_s: 0,
        mounts,
        steps: vec![step],
        collect,
        limits,
    }
}

fn fold(text: &str) -> Result<Outcome, SandboxError> {
    let event = |line| serde_json::from_str(line).map_err(|error| SandboxError::Protocol { what: error.to_string() });
    Outcome::of(text.lines().map(event).collect::<Result<Vec<Event>, _>>()?, &plan())
}

#[test]
fn outcome_follows_from_events() {
    let outcome = fold(TRACE).expect("an outcome");
    assert!(outcome.passed());
    assert_eq!((outcome.processes.len(), outcome.accesses.len(), outcome.missing.len()), (3, 2, 1));
    assert_eq!(outcome.path(&outcome.accesses[0]), "/usr/bin/dash");
    assert_eq!((outcome.denied[0].what.as_str(), outcome.network[0].errno), ("mount", 101));
    let copy = &outcome.processes[1];
    assert_eq!((copy.exe.as_str(), copy.argv[0].as_str(), copy.exit), ("/usr/bin/dash", "sh", Exit::Signal(9)));
    assert_eq!(outcome.steps[0].name, "one");
}

#[test]
fn events_survive_writing_and_reading() {
    for line in TRACE.lines() {
        let event: Event = serde_json::from_str(line).expect("an event");
        assert_eq!(serde_json::to_string(&event).expect("a line"), line);
    }
}

#[test]
fn each_broken_reference_is_refused() {
    for (from, to) in [
        ("assay-trace", "other-trace"),
        ("\"version\":2", "\"version\":1"),
        ("\"id\":0,\"path\"", "\"id\":1,\"path\""),
        ("\"fork\",\"id\":1", "\"fork\",\"id\":2"),
        ("\"process\",\"id\":2", "\"process\",\"id\":3"),
        (
            "{\"event\":\"forget\"}",
            "{\"event\":\"end\",\"process\":0,\"exit\":{\"code\":0},\"duration_us\":0,\"cpu_us\":0,\"rss_max_kib\":0}",
        ),
        ("\"path\":1,\"kind\":\"list\"", "\"path\":0,\"kind\":\"list\""),
        ("\"parent\":0", "\"parent\":7"),
        ("\"replaces\":0", "\"replaces\":7"),
        ("\"access\",\"process\":0", "\"access\",\"process\":9"),
        ("\"path\":0", "\"path\":5"),
        ("\"denied\",\"process\":0", "\"denied\",\"process\":9"),
        ("\"network\",\"process\":0", "\"network\",\"process\":9"),
        ("\"event\":\"step\",\"step\":0", "\"event\":\"step\",\"step\":1"),
        ("\"event\":\"finished\"", "\"event\":\"fin\""),
    ] {
        let changed = TRACE.replacen(from, to, 1);
        assert_ne!(changed, TRACE, "{from}");
        assert!(fold(&changed).is_err(), "{from} -> {to}");
    }
    for missing in [0, TRACE.lines().count() - 1] {
        let text: Vec<&str> =
            TRACE.lines().enumerate().filter(|(number, _)| *number != missing).map(|(_, line)| line).collect();
        assert!(fold(&text.join("\n")).is_err(), "without line {missing}");
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for _ in 0..2000 {
        let mut bytes = TRACE.as_bytes().to_vec();
        for _ in 0..=next() % 3 {
            let at = next() % bytes.len();
            bytes[at] = next() as u8;
        }
        // Some changes are harmless; none may panic.
        fold(&String::from_utf8_lossy(&bytes)).ok();
    }
}

#[test]
fn failure_becomes_the_error() {
    let line = r#"{"event":"failed","failure":{"setup":{"what":"binding","place":"/x","reason":"gone"}}}"#;
    assert_eq!(fold(line).expect_err("an error").to_string(), "binding `/x`: gone");
}
