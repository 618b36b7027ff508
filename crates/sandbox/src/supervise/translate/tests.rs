//! Tests of paths at `trace-only`.

use std::collections::BTreeMap;

use super::*;
use crate::plan::{Limits, PLAN_VERSION};

#[test]
fn targets_are_replaced_where_they_stand_alone() {
    let scratch = |target: &str| Mount::Scratch { target: target.to_owned(), size_bytes: 1 };
    let base = Mount::Tree { target: "/".to_owned(), source: String::new() };
    let mounts = vec![base, scratch("/build"), scratch("/build/deps"), scratch("/tmp")];
    let (hostname, limits) = (String::new(), Limits::default());
    let (steps, collect) = (Vec::new(), Vec::new());
    let plan = Plan {
        version: PLAN_VERSION,
        hostname,
        cpus: 1,
        loopback: false,
        epoch_unix_s: 0,
        mounts,
        steps,
        collect,
        limits,
    };
    let translation = Translation::new(&plan, Path::new("/s"));
    for (text, expected) in BTreeMap::from([
        ("/build", "/s/build"),
        ("/build/deps/x", "/s/build/deps/x"),
        ("/usr/bin:/build/bin:/tmp", "/usr/bin:/s/build/bin:/s/tmp"),
        ("--remap-path-prefix=/build=.", "--remap-path-prefix=/s/build=."),
        ("directory = \"/build/deps\"", "directory = \"/s/build/deps\""),
        ("/home/build /builder x/build /build-x /build.d", "/home/build /builder x/build /build-x /build.d"),
        ("-I/build", "-I/build"),
        ("é/tmp", "é/tmp"),
        ("", ""),
    ]) {
        assert_eq!(translation.text(text), expected);
    }
    assert_eq!(translation.path("/build/x"), Path::new("/s/build/x"));
}
