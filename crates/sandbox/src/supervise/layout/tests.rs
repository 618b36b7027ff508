//! Tests of the file system inside, with host directories made up.

use std::collections::BTreeMap;

use super::*;
use crate::plan::{Limits, PLAN_VERSION, Step};

fn list(path: &Path) -> std::io::Result<Option<Vec<(String, Entry)>>> {
    let directory = |names: &[(&str, Entry)]| {
        Ok(Some(names.iter().map(|(name, entry)| ((*name).to_owned(), entry.clone())).collect()))
    };
    match path.to_str().expect("text") {
        "/base" => directory(&[
            ("etc", Entry::Directory),
            ("usr", Entry::Directory),
            ("bin", Entry::Link("usr/bin".to_owned())),
            ("init", Entry::File),
            ("fifo", Entry::Other),
        ]),
        "/base/etc" => directory(&[("passwd", Entry::File), ("ssl", Entry::Directory)]),
        "/base/usr" | "/tree" => directory(&[]),
        "/file" => Ok(None),
        _ => Err(std::io::Error::from_raw_os_error(libc::ENOENT)),
    }
}

fn compute(mounts: Vec<Mount>, cwd: &str) -> Result<Node, LayoutError> {
    let (tier, randomness) = Default::default();
    let (name, argv, variables) = Default::default();
    let step = Step {
        name,
        argv,
        cwd: cwd.to_owned(),
        variables,
        tier,
        randomness,
        scripts: crate::script::Scripts::Untraced,
    };
    let (hostname, limits, collect) = (String::new(), Limits::default(), Vec::new());
    let plan = Plan {
        version: PLAN_VERSION,
        hostname,
        cpus: 1,
        loopback: false,
        epoch_unix_s: 0,
        mounts,
        steps: vec![step],
        collect,
        limits,
    };
    let sources = ["base", "tree", "file", "none"].map(|name| (name.to_owned(), Path::new("/").join(name)));
    layout(&plan, &BTreeMap::from(sources), Vec::new(), &list)
}

fn show(node: &Node, path: &str, lines: &mut Vec<String>) {
    match node {
        Node::Directory { tmpfs, children } => {
            lines.push(format!("{path}/{}", if tmpfs.is_some() { " tmpfs" } else { "" }));
            children.iter().for_each(|(name, child)| show(child, &format!("{path}/{name}"), lines));
        }
        Node::Bind { source, .. } => lines.push(format!("{path} = {}", source.display())),
        Node::Device(source) => lines.push(format!("{path} device {}", source.display())),
        Node::Link(to) => lines.push(format!("{path} -> {to}")),
        Node::File { content, .. } => lines.push(format!("{path}: {content}")),
        Node::Proc => lines.push(format!("{path} proc")),
    }
}

fn check(mounts: Vec<Mount>, cwd: &str, expected: &[&str]) {
    let mut lines = Vec::new();
    show(&compute(mounts, cwd).expect("a layout"), "", &mut lines);
    assert_eq!(lines, expected);
}

fn tree(target: &str, source: &str) -> Mount {
    Mount::Tree { target: target.to_owned(), source: source.to_owned() }
}

fn file(target: &str) -> Mount {
    Mount::File { target: target.to_owned(), content: "text".to_owned(), executable: false }
}

fn scratch(target: &str) -> Mount {
    Mount::Scratch { target: target.to_owned(), size_bytes: 1 }
}

#[test]
fn base_is_bound_by_its_top_level() {
    let expected = ["/", "/bin -> usr/bin", "/etc = /base/etc", "/init = /base/init", "/usr = /base/usr"];
    check(vec![tree("/", "base")], "/", &expected);
}

#[test]
fn a_file_in_a_bound_directory_opens_it_up() {
    let mounts = vec![file("/etc/passwd"), file("/etc/deep/x"), tree("/", "base")];
    let expected = [
        "/",
        "/bin -> usr/bin",
        "/etc/",
        "/etc/deep/",
        "/etc/deep/x: text",
        "/etc/passwd: text",
        "/etc/ssl = /base/etc/ssl",
        "/init = /base/init",
        "/usr = /base/usr",
    ];
    check(mounts, "/", &expected);
}

#[test]
fn later_mounts_lie_over_earlier_ones() {
    let mounts =
        vec![file("/x/one"), tree("/x", "tree"), scratch("/build"), tree("/build/deps", "tree"), tree("/f", "file")];
    check(
        mounts,
        "/work/here",
        &["/", "/build/ tmpfs", "/build/deps = /tree", "/f = /file", "/work/", "/work/here/", "/x = /tree"],
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let error = |mounts| compute(mounts, "/").expect_err("refused").to_string();
    let through = error(vec![tree("/", "base"), file("/bin/x")]);
    assert_eq!(through, "`/bin/x` lies below `/bin`, which is no directory");
    assert_eq!(error(vec![file("/a"), file("/a/b/c")]), "`/a/b/c` lies below `/a`, which is no directory");
    assert!(error(vec![tree("/x", "none")]).starts_with("cannot list `/none`"));
    let many = (0..=BINDS_MAX).map(|number| tree(&format!("/t{number}"), "tree")).collect();
    assert_eq!(error(many), "more than 8192 binds");
}

#[test]
fn system_nodes_show_the_cpus() {
    let nodes: BTreeMap<String, Node> = system_nodes(3, "info").into_iter().collect();
    let online = Node::File { content: "0-2\n".to_owned(), executable: false };
    assert_eq!(nodes.get("/sys/devices/system/cpu/online"), Some(&online));
    assert!(nodes.contains_key("/sys/devices/system/cpu/cpu2") && !nodes.contains_key("/sys/devices/system/cpu/cpu3"));
    assert!(nodes.contains_key("/dev/null") && !nodes.contains_key("/dev/tty"));
    let one: BTreeMap<String, Node> = system_nodes(1, "").into_iter().collect();
    let online = Node::File { content: "0\n".to_owned(), executable: false };
    assert_eq!(one.get("/sys/devices/system/cpu/online"), Some(&online));
}
