//! Every file: read, written, made, renamed, removed, missing, refused; copies, trees, and what is collected.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use sandbox::event::Event;
use sandbox::outcome::{AccessKind, CollectedKind, Limit, Outcome};
use sandbox::plan::{Collect, Mount};

use crate::harness::{Bench, Test, assert_touched, events, step, touched};

pub(crate) const TESTS: &[Test] = &[
    ("files_are_attributed", files_are_attributed),
    ("links_are_resolved", links_are_resolved),
    ("missing_and_refused_stand_apart", missing_and_refused_stand_apart),
    ("odd_names", odd_names),
    ("the_path_of_an_open_is_the_kernels", the_path_of_an_open_is_the_kernels),
    ("copies_are_canonical", copies_are_canonical),
    ("a_base_at_the_root", a_base_at_the_root),
    ("collected_files", collected_files),
    ("links_lead_nowhere", links_lead_nowhere),
    ("absent_outputs", absent_outputs),
    ("collected_bytes_end", collected_bytes_end),
    ("trace_file", trace_file),
    ("a_writable_root_and_what_became_of_it", a_writable_root_and_what_became_of_it),
    ("a_writable_root_needs_namespaces", a_writable_root_needs_namespaces),
    ("a_writable_root_is_bounded", a_writable_root_is_bounded),
];

// M2.4
fn files_are_attributed() {
    let script = "cat a > out; mkdir d; mv out d/kept; ln d/kept hard; ln -s a soft; echo x >> sub/b; rm sub/b; \
                  rmdir gone 2>/dev/null; touch -d @0 a; chmod 600 a; ls d >/dev/null; true";
    let outcome = Bench::new("files", script).pass();
    for (kind, program, path) in [
        (AccessKind::Read, "cat", "/build/a"),
        (AccessKind::Write, "dash", "/build/out"),
        (AccessKind::Create, "mkdir", "/build/d"),
        (AccessKind::RenameFrom, "mv", "/build/out"),
        (AccessKind::RenameTo, "mv", "/build/d/kept"),
        (AccessKind::Read, "ln", "/build/d/kept"),
        (AccessKind::Create, "ln", "/build/hard"),
        (AccessKind::Create, "ln", "/build/soft"),
        (AccessKind::Write, "dash", "/build/sub/b"),
        (AccessKind::Remove, "rm", "/build/sub/b"),
        (AccessKind::Missing, "rmdir", "/build/gone"),
        (AccessKind::Attributes, "chmod", "/build/a"),
        (AccessKind::List, "ls", "/build/d"),
    ] {
        assert_touched(&outcome, kind, program, path);
    }
}

fn links_are_resolved() {
    let script = "mkdir real; ln -s real way; echo x > way/file; mv way/file way/moved; cat /lib64/../bin/../bin/true >/dev/null";
    let outcome = Bench::new("links", script).pass();
    assert_touched(&outcome, AccessKind::Write, "dash", "/build/real/file");
    assert_touched(&outcome, AccessKind::RenameTo, "mv", "/build/real/moved");
    assert_touched(&outcome, AccessKind::Read, "cat", "/usr/bin/true");
}

fn missing_and_refused_stand_apart() {
    let mut bench = Bench::new("missing", "cat nothing sub/../none/x; echo x > /usr/new; cat < /etc/shadow; true");
    let outcome = bench.pass();
    for path in ["/build/nothing", "/build/none/x"] {
        assert_touched(&outcome, AccessKind::Missing, "cat", path);
    }
    assert_touched(&outcome, AccessKind::Missing, "dash", "/etc/shadow");
    assert_touched(&outcome, AccessKind::Refused, "dash", "/usr/new");
    assert!(outcome.accesses.iter().all(|access| !access.kind.is_failure()));
}

fn odd_names() {
    let script = "printf x > \"$(printf 'new\\nline')\"; printf x > \"$(printf 'not\\377utf8')\"; printf x > 'gone (deleted)'; \
                  exec 3> other; rm other; cat < /proc/self/fd/3";
    let outcome = Bench::new("names", &format!("{script}; true")).pass();
    for path in ["/build/new\nline", "/build/not\\xffutf8", "/build/gone (deleted)", "/build/other"] {
        assert_touched(&outcome, AccessKind::Write, "dash", path);
    }
}

fn the_path_of_an_open_is_the_kernels() {
    let mut bench = Bench::new("race", "/tools/hostile race");
    let outcome = bench.pass();
    let count = |path: &str| -> u64 {
        let here = outcome.accesses.iter().filter(|one| one.kind == AccessKind::Read && outcome.path(one) == path);
        here.map(|access| access.count).sum()
    };
    let numbers: Vec<u64> = bench.output.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [alpha, beta] = numbers[..] else { panic!("{}", bench.output) };
    assert!(alpha + beta > 0, "{}", bench.output);
    // Another thread could have changed the descriptor as well as the path, so what was asked for is told too.
    assert!(count("/build/a") >= alpha && count("/build/sub/b") >= beta, "what was read is recorded: {}", bench.output);
}

fn copies_are_canonical() {
    let script = "stat -c '%n %a %u %g %Y' . a sub sub/b run.sh; ls -U; ./run.sh; echo more >> a";
    let mut bench = Bench::new("copies", script);
    bench.pass();
    let expected = ". 755 1000 1000 981173106\na 644 1000 1000 981173106\nsub 755 1000 1000 981173106\n\
                    sub/b 644 1000 1000 981173106\nrun.sh 755 1000 1000 981173106\n";
    assert!(bench.output.starts_with(expected), "{}", bench.output);
    assert!(bench.output.ends_with("ran\n"));
    assert_eq!(
        fs::read_to_string(bench.place.join("source/a")).expect("the source"),
        "alpha\n",
        "a copy, not the source"
    );
    let first = std::mem::take(&mut bench.output);
    fs::remove_file(&bench.host.trace).expect("the old trace");
    fs::remove_file(&bench.host.log).expect("the old log");
    bench.pass();
    assert_eq!(bench.output, first, "listed in the same order");
}

fn a_base_at_the_root() {
    let mut bench = Bench::new("base", "cat /etc/kept /etc/passwd /opt/deep/x; ls /etc /opt/deep; cat /root-file");
    let base = bench.place.join("base");
    for directory in ["etc", "opt/deep", "proc"] {
        fs::create_dir_all(base.join(directory)).expect("a directory");
    }
    for (name, text) in [("etc/kept", "kept\n"), ("etc/passwd", "hidden\n"), ("opt/deep/y", ""), ("root-file", "top\n")]
    {
        fs::write(base.join(name), text).expect("a file");
    }
    std::os::unix::fs::symlink("usr/bin", base.join("bin")).expect("a link");
    std::os::unix::fs::symlink("usr/lib64", base.join("lib64")).expect("a link");
    std::os::unix::fs::symlink("usr/lib", base.join("lib")).expect("a link");
    bench.plan.mounts.retain(|mount| !matches!(mount, Mount::Link { .. }));
    bench.plan.mounts.insert(0, Mount::Tree { target: "/".to_owned(), source: "base".to_owned() });
    let content = "deep\n".to_owned();
    bench.plan.mounts.push(Mount::File { target: "/opt/deep/x".to_owned(), content, executable: false });
    bench.host.sources.insert("base".to_owned(), base);
    bench.pass();
    assert_eq!(
        bench.output,
        "kept\nbuilder:x:1000:1000::/home:/bin/sh\ndeep\n/etc:\nkept\npasswd\n\n/opt/deep:\nx\ny\ntop\n"
    );
}

fn collect(path: &str) -> Collect {
    Collect { path: path.to_owned(), optional: false, after_failure: false }
}

fn collected_files() {
    let script = "mkdir -p out/deep; echo one > out/one.txt; echo two > out/two.log; cp run.sh out/deep/run; ln -s one.txt out/link";
    let mut bench = Bench::new("collected", script);
    bench.plan.collect = vec![collect("/build/out/*.t?t"), collect("/build/out/deep"), collect("/build/out/link")];
    let outcome = bench.pass();
    let paths: Vec<&str> = outcome.collected.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["/build/out/deep", "/build/out/deep/run", "/build/out/link", "/build/out/one.txt"]);
    let CollectedKind::File { digest, size, executable } = &outcome.collected[3].kind else { panic!("a file") };
    assert_eq!((*digest, *size, *executable), (wire::digest::Digest::of(b"one\n"), 4, false));
    assert_eq!(outcome.collected[2].kind, CollectedKind::Link { to: "one.txt".to_owned() });
    let at = |name: &str| bench.host.collect.join("build/out").join(name);
    assert_eq!(fs::read_to_string(at("one.txt")).expect("a copy"), "one\n");
    let run = fs::metadata(at("deep/run")).expect("a copy");
    assert_eq!(run.permissions().mode() & 0o777, 0o755);
    let own = fs::metadata(&bench.host.collect).expect("the place").uid();
    assert_eq!(run.uid(), own, "what is collected belongs to the caller");
    assert!(!at("two.log").exists());
}

fn links_lead_nowhere() {
    let secret = "secret of the host";
    let mut bench = Bench::new("nowhere", "");
    let outside = bench.place.join("outside");
    fs::create_dir(&outside).expect("a directory");
    fs::write(outside.join("secret"), secret).expect("a file");
    let script =
        format!("ln -s {0} away; ln -s {0}/secret file; ln -s / root; mkdir ok; ln -s / ok/in", outside.display());
    bench.plan.steps = vec![step("link", &["/bin/sh", "-c", &script])];
    bench.plan.collect = vec![collect("/build/*"), collect("/build/away/secret"), collect("/build/root/usr/bin/true")];
    bench.plan.collect.push(collect("/build/*/secret"));
    let outcome = bench.run();
    assert_eq!(outcome.absent, ["/build/away/secret", "/build/root/usr/bin/true", "/build/*/secret"]);
    let link = outcome.collected.iter().find(|one| one.path == "/build/file").expect("the link itself");
    assert!(matches!(link.kind, CollectedKind::Link { .. }));
    let copied = fs::symlink_metadata(bench.host.collect.join("build/file")).expect("the link itself");
    assert!(copied.is_symlink());
}

fn absent_outputs() {
    let mut bench = Bench::new("absent", "echo r > report; exit 1");
    let report = Collect { path: "/build/report".to_owned(), optional: false, after_failure: true };
    bench.plan.collect = vec![collect("/build/a"), report];
    let outcome = bench.run();
    let paths: Vec<&str> = outcome.collected.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["/build/report"], "after a failure only what was asked for");
    let mut bench = Bench::new("absent-2", "true");
    bench.plan.collect = vec![collect("/build/none"), collect("/build/none*")];
    bench.plan.collect.push(Collect { path: "/tmp/perhaps".to_owned(), optional: true, after_failure: false });
    let outcome = bench.run();
    assert_eq!(outcome.absent, ["/build/none", "/build/none*"]);
    assert!(!outcome.passed());
}

fn collected_bytes_end() {
    let mut bench = Bench::new("too-much", "head -c 2000 /dev/zero > big");
    bench.plan.collect = vec![collect("/build/big")];
    bench.plan.limits.collect_bytes = 1999;
    assert_eq!(bench.run().limit, Some(Limit::Collect));
}

fn trace_file() {
    let mut bench = Bench::new("trace", "cat a");
    let outcome = bench.pass();
    let events = events(&bench);
    assert!(matches!(events[0], Event::Start { version: 2, level: sandbox::plan::Level::Full, .. }), "{:?}", events[0]);
    assert!(matches!(events.last(), Some(Event::Finished { lost: 0, .. })));
    let begun = |event: &&Event| matches!(event, Event::Fork { .. } | Event::Process { replaces: Some(_), .. });
    assert_eq!(events.iter().filter(begun).count(), outcome.processes.len());
    assert_eq!(Outcome::of(events, &bench.plan).expect("an outcome"), outcome, "what was kept is what was told");
    let read = touched(&outcome, AccessKind::Read);
    assert!(read.contains(&("cat".to_owned(), "/build/a".to_owned())));
}

/// A plan whose root is a small tree with the machine's programs beside it.
fn writable_root(name: &str, script: &str) -> Bench {
    let mut bench = Bench::new(name, script);
    let root = bench.place.join("root");
    fs::create_dir_all(root.join("etc/old/deep")).expect("a directory");
    for (path, content) in
        [("etc/same", "same\n"), ("etc/conf", "one\n"), ("etc/gone", "x\n"), ("etc/old/deep/x", "x\n")]
    {
        fs::write(root.join(path), content).expect("a file");
    }
    for name in ["bin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name)).expect("a link");
    }
    bench.host.sources.insert("root".to_owned(), root);
    bench.plan.mounts.retain(|mount| mount.target() == "/usr");
    let root = Mount::Root { source: "root".to_owned(), mtime_unix_s: 981_173_106, size_bytes: 64 << 20 };
    bench.plan.mounts.insert(0, root);
    bench.plan.steps[0].cwd = "/srv/app".to_owned();
    bench.plan.collect = vec![Collect { path: "/".to_owned(), optional: false, after_failure: false }];
    bench
}

// M2.5
fn a_writable_root_and_what_became_of_it() {
    let script = "test $(id -u):$(id -g) = 0:0 && ! grep -q 'Cap[A-Z]*:.*[1-9a-f]' /proc/self/status && touch /etc/same && \
                  echo two > /etc/conf && rm -r /etc/gone /etc/old && mkdir /etc/old && echo y > /etc/old/new && \
                  mkdir -p /var/empty /tmp && ln -s conf /etc/link && cp /bin/true /opt.sh && chmod 700 /opt.sh && chmod 600 /etc/conf && \
                  ! chown 1:1 /etc/conf 2>/dev/null && ! mount -t tmpfs none /tmp 2>/dev/null && ! mknod /x c 1 3 2>/dev/null && pwd > here";
    let mut bench = writable_root("writable-root", script);
    let outcome = bench.pass();
    let seen: Vec<(&str, &str)> = outcome
        .collected
        .iter()
        .map(|one| {
            let kind = match &one.kind {
                CollectedKind::File { executable: true, .. } => "executable",
                CollectedKind::File { .. } => "file",
                CollectedKind::Link { .. } => "link",
                CollectedKind::Directory => "directory",
                CollectedKind::Removed => "removed",
            };
            (one.path.as_str(), kind)
        })
        .collect();
    let expected = [
        ("/etc/conf", "file"),
        ("/etc/gone", "removed"),
        ("/etc/link", "link"),
        ("/etc/old/deep", "removed"),
        ("/etc/old/new", "file"),
        ("/opt.sh", "executable"),
        ("/srv", "directory"),
        ("/srv/app", "directory"),
        ("/srv/app/here", "file"),
        ("/tmp", "directory"),
        ("/var", "directory"),
        ("/var/empty", "directory"),
    ];
    assert_eq!(seen, expected, "not `/etc/same`, which is as it was, and neither /usr nor what the sandbox adds");
    assert_eq!(fs::read_to_string(bench.place.join("collected/srv/app/here")).expect("collected"), "/srv/app\n");
    assert_eq!(
        fs::read_to_string(bench.place.join("root/etc/conf")).expect("the source"),
        "one\n",
        "a copy was written"
    );
}

fn a_writable_root_needs_namespaces() {
    let mut bench = writable_root("root-level", "true");
    (bench.host.minimum, bench.host.ceiling) = (sandbox::plan::Level::TraceOnly, sandbox::plan::Level::TraceOnly);
    let error = bench.try_run().expect_err("no level can").to_string();
    assert!(error.contains("giving the steps a root that they may write"), "{error}");
}

fn a_writable_root_is_bounded() {
    let mut bench = writable_root("root-full", "head -c 100000000 /dev/zero > /big");
    let outcome = bench.run();
    assert_eq!(outcome.limit, Some(Limit::Space("/".to_owned())), "{outcome:?}");
}
