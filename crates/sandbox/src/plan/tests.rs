//! Tests of plan checking.

use std::path::PathBuf;

use super::*;

fn host() -> Host {
    let nowhere = PathBuf::from("/none");
    Host {
        supervisor: nowhere.clone(),
        sources: BTreeMap::from([("base".to_owned(), nowhere.clone()), ("odd".to_owned(), PathBuf::from("none"))]),
        minimum: Level::Full,
        ceiling: Level::Full,
        trace: nowhere.clone(),
        log: nowhere.clone(),
        collect: nowhere.clone(),
        scratch: nowhere,
        path: String::new(),
        deny: Vec::new(),
        door: None,
    }
}

fn plan() -> Plan {
    let text = r#"{"version":1,"hostname":"build","cpus":2,"mounts":[{"tree":{"target":"/","source":"base"}},
        {"copy":{"target":"/build","source":"base","mtime_unix_s":315532800,"size_bytes":1024}}],
        "steps":[{"name":"compile","argv":["/bin/sh","-c","make"],"cwd":"/build","variables":{"PATH":"/usr/bin"}}],
        "collect":[{"path":"/build/out/*"}]}"#;
    serde_json::from_str(text).expect("a plan")
}

/// Checks that a change of the plan is refused with these words.
fn check(change: fn(&mut Plan), words: &str) {
    let mut plan = plan();
    change(&mut plan);
    let error = plan.validate(&host()).expect_err(words).to_string();
    assert!(error.contains(words), "{error}");
}

#[test]
fn good_plan_passes_and_its_json_is_stable() {
    let plan = plan();
    assert!(plan.validate(&host()).is_ok());
    let text = serde_json::to_string(&plan).expect("text");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("the same"), plan);
    assert!(!text.contains("none"), "no host path: {text}");
}

#[test]
fn each_fault_is_named() {
    check(|plan| plan.version = 3, "version 3 is not 2");
    check(|plan| plan.version = 0, "version 0 is not 2");
    check(|plan| plan.epoch_unix_s = -1, "epoch -1");
    check(|plan| plan.epoch_unix_s = i64::MAX, "epoch 9223372036854775807");
    check(|plan| plan.hostname.clear(), "host name ``");
    check(|plan| plan.hostname = "x".repeat(65), "longer than 64");
    check(|plan| plan.cpus = 0, "0 CPUs");
    check(|plan| plan.cpus = 1025, "1025 CPUs");
    check(|plan| plan.steps[0].argv.clear(), "step `compile`: no program");
    check(|plan| plan.steps[0].argv[1] = "a\0b".to_owned(), "zero byte");
    check(|plan| plan.steps[0].cwd = "build".to_owned(), "`build` is not an absolute path");
    check(|plan| plan.collect[0].path = "/usr/bin".to_owned(), "`/usr/bin` is in no writable mount");
    check(|plan| plan.collect[0].path = "/build/../etc".to_owned(), "without `.`, `..`");
    let variable = |name: &str| BTreeMap::from([(name.to_owned(), String::new())]);
    let mut bad = plan();
    bad.steps[0].variables = variable("A=B");
    assert!(bad.validate(&host()).is_err());
}

#[test]
fn version_1_is_read_and_knows_no_tiers() {
    let old = plan();
    assert_eq!((old.version, old.tier(), old.steps[0].randomness), (1, Tier::T0, Randomness::Real));
    assert!(old.validate(&host()).is_ok());
    check(|plan| plan.steps[0].tier = Tier::T1, "version 1 knows no tiers");
    check(|plan| plan.steps[0].randomness = Randomness::Seeded, "version 1 knows no tiers");
    let mut new = plan();
    (new.version, new.steps[0].tier) = (PLAN_VERSION, Tier::T2);
    assert!(new.validate(&host()).is_ok() && new.tier() == Tier::T2);
    let text = serde_json::to_string(&new).expect("text");
    assert!(text.contains(r#""tier":"T2","randomness":"real""#), "{text}");
    assert!(serde_json::from_str::<Plan>(&text.replace("T2", "T3")).is_err());
}

#[test]
fn each_bad_mount_is_named() {
    let refused = |mount: Mount, words: &str| {
        let mut plan = plan();
        plan.mounts.push(mount);
        let error = plan.validate(&host()).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    };
    for target in ["", "x", "/x/", "//x", "/x/../y", "/./x", "/x\0"] {
        refused(Mount::Scratch { target: target.to_owned(), size_bytes: 1 }, "is not an absolute path");
    }
    refused(Mount::Scratch { target: "/".to_owned(), size_bytes: 1 }, "only a tree");
    refused(Mount::Tree { target: "/x".to_owned(), source: "none".to_owned() }, "names no source: `none`");
    refused(Mount::Tree { target: "/x".to_owned(), source: "odd".to_owned() }, "`none` is not absolute");
}

#[test]
fn unknown_keys_are_refused() {
    let text = serde_json::to_string(&plan()).expect("text").replacen("\"cpus\"", "\"gpus\":1,\"cpus\"", 1);
    assert!(serde_json::from_str::<Plan>(&text).is_err());
}

#[test]
fn levels_are_ordered() {
    assert!(Level::Full.holds(Level::TraceOnly) && Level::NoProc.holds(Level::NoProc));
    assert!(!Level::TraceOnly.holds(Level::NoProc));
    assert!(is_within("/build/x", "/build") && is_within("/build", "/build") && !is_within("/builder", "/build"));
}
