use expect_test::{Expect, expect};
use wire::mutation::Mutator;

use super::*;
use crate::lock_file::shown::shown;

/// Made by Go 1.19.8 (`go mod tidy`, `go mod vendor`) from a proxy in a directory, with modules made for it.
const GO_MOD: &str = include_str!("../../../fixtures/go/go.mod.txt");
const GO_SUM: &str = include_str!("../../../fixtures/go/go.sum");
const MODULES: &str = include_str!("../../../fixtures/go/modules.txt");

fn input<'a>(file: &'a str, text: &'a str) -> Input<'a> {
    Input { file, bytes: text.as_bytes() }
}

fn check(go_mod: &str, go_sum: Option<&str>, modules: Option<&str>, expected: Expect) {
    let go_sum = go_sum.map(|text| input("go.sum", text));
    match parse(input("go.mod", go_mod), go_sum, modules.map(|text| input("modules.txt", text))) {
        Ok(lock) => expected.assert_eq(&shown(&lock)),
        Err(error) => expected.assert_eq(&error.to_string()),
    }
}

#[test]
fn reads_the_three_files() {
    check(
        GO_MOD,
        Some(GO_SUM),
        Some(MODULES),
        expect![[r#"
        1 pkg:golang/example.org/app?download_url=file://.
            workspace ``
            needs example.org/hello@v1.2.0, example.org/legacy@v2.0.0+incompatible, example.org/local@v0.1.0, example.org/fork@v1.0.1-0.20240101000000-0123456789ab, example.org/Words@v0.3.0
        1 pkg:golang/example.org/words@v0.3.0
            registry -: v0.3.0.zip [tree:6b72d13f], description v0.3.0.mod [mod:1813c454]
            at vendor/example.org/Words
        3 pkg:golang/example.org/fork@v1.0.1-0.20240101000000-0123456789ab
            registry -: v1.0.1-0.20240101000000-0123456789ab.zip [tree:81af730b], description v1.0.1-0.20240101000000-0123456789ab.mod [mod:00724f2c]
            at vendor/example.org/old
        5 pkg:golang/example.org/hello@v1.2.0
            registry -: v1.2.0.zip [tree:5430208f], description v1.2.0.mod [mod:cb134030]
            at vendor/example.org/hello
        7 pkg:golang/example.org/legacy@v2.0.0%2Bincompatible
            registry -: v2.0.0+incompatible.zip [tree:dca10526], description v2.0.0+incompatible.mod [mod:1feda36b]
            at vendor/example.org/legacy
        8 pkg:golang/example.org/local@v0.1.0?download_url=file://./local
            path `local`
            at vendor/example.org/local
    "#]],
    );
    check(
        GO_MOD,
        Some(GO_SUM),
        None,
        expect![[r#"
        1 pkg:golang/example.org/app?download_url=file://.
            workspace ``
            needs example.org/hello@v1.2.0, example.org/legacy@v2.0.0+incompatible, example.org/local@v0.1.0, example.org/fork@v1.0.1-0.20240101000000-0123456789ab, example.org/Words@v0.3.0
        1 pkg:golang/example.org/words@v0.3.0
            registry -: v0.3.0.zip [tree:6b72d13f], description v0.3.0.mod [mod:1813c454]
        3 pkg:golang/example.org/fork@v1.0.1-0.20240101000000-0123456789ab
            registry -: v1.0.1-0.20240101000000-0123456789ab.zip [tree:81af730b], description v1.0.1-0.20240101000000-0123456789ab.mod [mod:00724f2c]
        5 pkg:golang/example.org/hello@v1.2.0
            registry -: v1.2.0.zip [tree:5430208f], description v1.2.0.mod [mod:cb134030]
        7 pkg:golang/example.org/legacy@v2.0.0%2Bincompatible
            registry -: v2.0.0+incompatible.zip [tree:dca10526], description v2.0.0+incompatible.mod [mod:1feda36b]
        8 pkg:golang/example.org/local@v0.1.0?download_url=file://./local
            path `local`
    "#]],
    );
    let lock = parse(input("m", GO_MOD), Some(input("s", GO_SUM)), None).expect("sound");
    let files: Vec<&str> = lock.packages[1].origin.artifacts().iter().filter_map(|one| one.file.as_deref()).collect();
    assert_eq!(files, ["example.org/!words/@v/v0.3.0.zip", "example.org/!words/@v/v0.3.0.mod"]);
}

#[test]
fn hashes_as_go_does() {
    let go_mod = "module example.org/hello\n\ngo 1.17\n\nrequire example.org/Words v0.3.0\n";
    let hello = "package hello\n\nimport words \"example.org/Words\"\n\n// Greeting greets.\nfunc Greeting() string { return words.Hello() }\n";
    let files =
        [("go.mod", go_mod), ("sub/z.go", "package sub\n"), ("hello.go", hello), ("LICENSE", "public domain\n")];
    let mut files = files.map(|(name, text)| (format!("example.org/hello@v1.2.0/{name}"), Digest::of(text.as_bytes())));
    let lock = parse(input("m", GO_MOD), Some(input("s", GO_SUM)), None).expect("sound");
    let hello = lock.packages.iter().find(|one| one.name == "example.org/hello").expect("there");
    let pins: Vec<&Pin> = hello.origin.artifacts().iter().flat_map(|one| &one.pins).collect();
    assert_eq!(*pins[0], Pin::GoTree(hash1(&mut files).expect("a hash")));
    assert_eq!(*pins[1], Pin::GoMod(hash_go_mod(go_mod.as_bytes())));

    files[1].0 = "a\nb".to_owned(); // sorts last
    assert_eq!(hash1(&mut files), Err(DirHashError::LineFeed("a\\nb".to_owned())));
    let mut twice = [files[3].clone(), files[3].clone()];
    assert!(matches!(hash1(&mut twice), Err(DirHashError::Twice(_))));
    let mut wide = [("a".to_owned(), Digest::Sha512([0; 64]))];
    assert!(matches!(hash1(&mut wide), Err(DirHashError::Algorithm(_))));
}

#[test]
fn reads_each_line_of_a_go_mod() {
    let text = "// Deprecated: no\nmodule \"example.org/a\" // comment\ngo 1.22\ntoolchain go1.22.3\nrequire (\n\texample.org/b v1.0.0 // indirect; kept\n\n\t`example.org/c` v1.0.0//indirect\n)\nreplace (\n\texample.org/b => ../b\n\texample.org/c v1.0.0 => example.org/d v2.0.0\n)\nexclude example.org/b v0.1.0\nretract [v1.0.0, v1.1.0] // bad\ngodebug default=go1.21\ntool example.org/c/cmd\nignore ./x\n";
    let parsed = parse_go_mod("go.mod", text.as_bytes()).expect("sound");
    assert_eq!(
        (parsed.module.as_str(), parsed.go.as_deref(), parsed.toolchain.as_deref()),
        ("example.org/a", Some("1.22"), Some("go1.22.3"))
    );
    assert!(parsed.requires.iter().all(|require| require.indirect));
    assert_eq!(parsed.tools, ["example.org/c/cmd"]);
    assert_eq!(parsed.replacement("example.org/c", "v1.0.1"), None);
    check(
        text,
        None,
        None,
        expect![[r#"
        2 pkg:golang/example.org/a?download_url=file://.
            workspace ``
            needs example.org/b@v1.0.0, example.org/d@v2.0.0
        6 pkg:golang/example.org/b@v1.0.0?download_url=file://./../b
            path `../b`
        8 pkg:golang/example.org/d@v2.0.0
            registry -: 
        open go.mod:6:2: `example.org/b`: `../b` lies outside of the project, so the source tree does not hold it
        open go.mod:8:2: `example.org/d`: no digest pins what is fetched
    "#]],
    );
}

#[test]
fn refuses_what_is_malformed() {
    let sum = "h1:VDAgj/ljDgjPu3NH/Z/IsO+l2hu2aC60JAwpL/SNyj0=";
    check("", None, None, expect!["go.mod:1:1: `module` is missing"]);
    check("module a\nmodule b", None, None, expect!["go.mod:2:1: `module b` is no line of a go.mod"]);
    check("module a\nrequire (\nb v1.0.0", None, None, expect!["go.mod:3:1: a block is not closed"]);
    check("module a\nrequire b", None, None, expect!["go.mod:2:9: `require b` is no line of a go.mod"]);
    check(
        "module a\nrequire ../b v1.0.0",
        None,
        None,
        expect!["go.mod:2:9: package `../b`: the name is no package name"],
    );
    check("module a\nrequire b 1.0.0", None, None, expect!["go.mod:2:9: package `b`: `1.0.0` is no version"]);
    check("module a\nrequire b latest", None, None, expect!["go.mod:2:9: package `b`: `latest` is no version"]);
    check("module a\nreplace b => c", None, None, expect!["go.mod:2:1: `replace b => c` is no line of a go.mod"]);
    check("module a\nrequire \"b v1.0.0", None, None, expect!["go.mod:2:9: a quote is not closed"]);
    check("module a", Some("b v1.0.0"), None, expect!["go.sum:1:1: expected a module path, a version and a hash"]);
    check(
        "module a",
        Some("b v1.0.0 h1:AAAA"),
        None,
        expect!["go.sum:1:1: package `b`: `h1:AAAA` is no digest of a package's file"],
    );
    check(
        "module a",
        Some(&format!("b v1.0.0 {sum}\nb v1.0.0 {}", sum.replace("VD", "WD"))),
        None,
        expect![
            "go.sum:2:1: package `b`: `h1:WDAgj/ljDgjPu3NH/Z/IsO+l2hu2aC60JAwpL/SNyj0=` is no digest of a package's file"
        ],
    );
    check(
        "module a",
        Some(&format!("b v1.0.0 {sum}\nb v1.0.0 {sum}\n\nc v1.0.0 h2:x")),
        None,
        expect![[r#"
        1 pkg:golang/a?download_url=file://.
            workspace ``
        1 pkg:golang/b@v1.0.0
            registry -: v1.0.0.zip [tree:5430208f]
        4 pkg:golang/c@v1.0.0
            registry -: 
        open go.sum:4:1: `c`: only a digest by `h2` stands for what is fetched: expected sha256 or sha512
    "#]],
    );
    check("module a", None, Some("# b v1.0.0\nc"), expect!["modules.txt:2:1: `c` is no line of a modules.txt"]);
    check("module a", None, Some("b"), expect!["modules.txt:1:1: `b` is no line of a modules.txt"]);
    check(
        "module a",
        None,
        Some("# b v1.0.0\n## explicit\nb/../../x"),
        expect!["modules.txt:3:1: `b/../../x` is no line of a modules.txt"],
    );
    check(
        "module a\nrequire b v1.0.0",
        None,
        Some("# b v1.0.0\n## explicit; go 1.20\nb\nb/c"),
        expect![[r#"
        1 pkg:golang/a?download_url=file://.
            workspace ``
            needs b@v1.0.0
        2 pkg:golang/b@v1.0.0?download_url=file://./vendor/b
            path `vendor/b`
            at vendor/b
    "#]],
    );
}

#[test]
fn survives_mutation() {
    for (seed, which) in [(1, 0), (2, 1), (3, 2)] {
        let texts = [GO_MOD, GO_SUM, MODULES];
        Mutator::new(seed).each(1500, texts[which].as_bytes(), |bytes| {
            let mut inputs = texts.map(str::as_bytes);
            inputs[which] = bytes;
            let [go_mod, go_sum, modules] = inputs.map(|bytes| Input { file: "f", bytes });
            let Ok(lock) = parse(go_mod, Some(go_sum), Some(modules)) else { return };
            for package in &lock.packages {
                assert!(is_module_path(&package.name) && !package.version.contains('/'));
                assert!(package.dependencies.iter().all(|edge| edge.to < lock.packages.len()));
                assert!(package.origin.is_pinned() || lock.open().count() > 0);
            }
        });
    }
}
