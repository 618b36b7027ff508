use super::*;
use crate::lock_file::{cargo, go, gradle, maven, npm, pnpm, uv, yarn};

/// Checks the owner of each path, written as name and version, `?` before what is not sure and `!` before what is not
/// in the lock file.
fn check(owners: &Owners<'_>, cases: &[(&str, &str)]) {
    let label = |position: &usize| {
        let package = &owners.lock.packages[*position];
        format!("{}@{}", package.name, package.version)
    };
    for (path, expected) in cases {
        let found = match owners.of(path) {
            Owner::Package(position) => label(&position),
            Owner::OneOf(positions) => format!("?{}", positions.iter().map(label).collect::<Vec<_>>().join(" ")),
            Owner::Description(position) => format!("description of {}", label(&position)),
            Owner::Unlocked(name) => format!("!{name}"),
            Owner::None => "-".to_owned(),
        };
        assert_eq!(found, *expected, "{path}");
    }
}

#[test]
fn npm_has_places() {
    let lock = npm::parse("f", include_bytes!("../../../fixtures/npm/v3.json")).expect("a lock file");
    let owners = Owners::new(&lock, "/work/app/");
    check(
        &owners,
        &[
            ("/work/app/node_modules/debug/src/index.js", "debug@4.3.4"),
            ("/work/app/node_modules/debug/package.json", "description of debug@4.3.4"),
            ("/work/app/node_modules/debug/node_modules/ms/index.js", "ms@2.1.2"),
            ("/work/app/node_modules/debug/node_modules/other/index.js", "!other"),
            ("/work/app/node_modules/debug/node_modules/debug/index.js", "!debug"),
            ("/work/app/node_modules/@types/ms/index.d.ts", "@types/ms@0.7.34"),
            ("/work/app/node_modules/lodash-alias/index.js", "lodash.once@4.1.1"),
            ("/work/app/node_modules/evil/index.js", "!evil"),
            ("/work/app/node_modules/.package-lock.json", "-"),
            ("/work/app/node_modules/.bin/x", "-"),
            ("packages/greet/index.js", "@demo/greet@0.2.0"),
            ("packages/greet/node_modules/ms/index.js", "ms@2.1.3"),
            ("/work/application/node_modules/evil/index.js", "!evil"),
            ("/usr/lib/x.so", "-"),
            ("src/index.js", "-"),
        ],
    );
    let paths =
        ["node_modules/ms/index.js", "node_modules/debug/a", "node_modules/debug/b", "node_modules/evil/a", "src/a"];
    let observed = owners.observed(paths);
    assert_eq!((observed.read.len(), observed.unlocked), (2, BTreeSet::from(["evil".to_owned()])));
}

#[test]
fn pnpm_and_yarn_have_names() {
    let lock = pnpm::parse("f", include_bytes!("../../../fixtures/pnpm/v9.yaml")).expect("a lock file");
    check(
        &Owners::new(&lock, "/w"),
        &[
            ("/w/node_modules/.pnpm/@types+ms@0.7.34/node_modules/@types/ms/index.d.ts", "@types/ms@0.7.34"),
            (
                "/w/node_modules/.pnpm/use-sync-external-store@1.2.0_react@18.2.0/node_modules/use-sync-external-store/a",
                "use-sync-external-store@1.2.0",
            ),
            ("/w/node_modules/.pnpm/ms@2.1.3/node_modules/ms/index.js", "ms@2.1.3"),
            ("/w/node_modules/.pnpm/debug@4.3.4/node_modules/ms/index.js", "?ms@2.0.0 ms@2.1.2 ms@2.1.3"),
            ("/w/node_modules/ms/index.js", "?ms@2.0.0 ms@2.1.2 ms@2.1.3"),
            ("/w/node_modules/.pnpm/evil@1.0.0/node_modules/evil/index.js", "!evil"),
            ("/w/node_modules/.modules.yaml", "-"),
            ("/w/packages/greet/a.js", "@demo/greet@"),
        ],
    );
    let lock = yarn::parse("f", include_bytes!("../../../fixtures/yarn/berry.lock")).expect("a lock file");
    check(
        &Owners::new(&lock, "/w"),
        &[
            ("/root/.yarn/berry/cache/debug-npm-4.3.4-4513954577-10c0.zip", "debug@4.3.4"),
            ("/w/.yarn/cache/@types-ms-npm-0.7.34-bc9a7d3ee8-ac80bd9001.zip", "@types/ms@0.7.34"),
            ("/w/.yarn/cache/evil-npm-1.0.0-bc9a7d3ee8-ac80bd9001.zip", "!evil-npm-1.0.0-bc9a7d3ee8-ac80bd9001.zip"),
            ("/w/node_modules/debug/src/index.js", "debug@4.3.4"),
            ("/w/node_modules/ms/index.js", "?ms@2.0.0 ms@2.1.2 ms@2.1.3"),
        ],
    );
}

#[test]
fn python_has_records() {
    let lock = uv::parse("f", include_bytes!("../../../fixtures/python/uv.lock")).expect("a lock file");
    let mut owners = Owners::new(&lock, "/w");
    let site = "/w/.venv/lib/python3.11/site-packages";
    let record = "click/core.py,sha256:x,1\n\"odd,name.py\",,\n../../../bin/click,,\ntyping_extensions.py,,\n";
    owners.add_record(site, "click-8.1.7.dist-info", record);
    owners.add_record(site, "evil-1.0.dist-info", "idna/core.py,,\n");
    check(
        &owners,
        &[
            ("/w/.venv/lib/python3.11/site-packages/click/core.py", "click@8.1.7"),
            ("/w/.venv/lib/python3.11/site-packages/odd,name.py", "click@8.1.7"),
            ("/w/.venv/lib/python3.11/site-packages/typing_extensions.py", "click@8.1.7"),
            ("/w/.venv/lib/python3.11/site-packages/idna/core.py", "idna@3.10"),
            ("/usr/lib/python3/dist-packages/six.py", "six@1.16.0"),
            ("/x/site-packages/typing_extensions-4.12.2.dist-info/METADATA", "typing-extensions@4.12.2"),
            ("/x/site-packages/click-8.1.6.dist-info/METADATA", "!click-8.1.6"),
            ("/x/site-packages/yaml/__init__.py", "!yaml"),
            ("/x/site-packages/__pycache__/six.pyc", "-"),
            ("/fetched/six-1.16.0-py2.py3-none-any.whl", "six@1.16.0"),
            ("/w/packages/greet/greet.py", "greet@0.2.0"),
            ("/w/main.py", "-"),
        ],
    );
    assert_eq!(owners.of("/bin/click"), Owner::None, "a record does not reach out of its directory");
}

#[test]
fn cargo_has_directories() {
    let lock = r#"
version = 4
[[package]]
name = "serde-json"
version = "1.0.0-rc.1"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "8f42a60cbdf9a97f5d2305f08a87dc4e09308d1276d28c869c684d7777685682"
[[package]]
name = "log"
version = "0.4.30"
source = "git+https://github.com/rust-lang/log#0123456789abcdef0123456789abcdef01234567"
"#;
    let lock = cargo::parse("f", lock.as_bytes()).expect("a lock file");
    check(
        &Owners::new(&lock, ""),
        &[
            (
                "/c/registry/src/index.crates.io-1949cf8c6b5b557f/serde-json-1.0.0-rc.1/src/lib.rs",
                "serde-json@1.0.0-rc.1",
            ),
            ("/c/registry/cache/index.crates.io-1949cf8c6b5b557f/serde-json-1.0.0-rc.1.crate", "serde-json@1.0.0-rc.1"),
            ("/c/registry/src/index.crates.io-1949cf8c6b5b557f/evil-1.0.0/build.rs", "!evil-1.0.0"),
            ("/c/git/checkouts/log-1a2b/0123456/src/lib.rs", "log@0.4.30"),
            ("/c/git/checkouts/log-1a2b/fffffff/src/lib.rs", "!log-1a2b"),
            ("vendor/serde-json-1.0.0-rc.1/src/lib.rs", "serde-json@1.0.0-rc.1"),
            ("vendor/log/src/lib.rs", "log@0.4.30"),
            ("vendor/evil/src/lib.rs", "!evil"),
            ("src/main.rs", "-"),
        ],
    );
}

#[test]
fn go_has_a_cache_and_vendor() {
    let input = |file: &'static str, text: &'static str| go::Input { file, bytes: text.as_bytes() };
    let go_mod = input("m", include_str!("../../../fixtures/go/go.mod.txt"));
    let go_sum = input("s", include_str!("../../../fixtures/go/go.sum"));
    let modules = input("v", include_str!("../../../fixtures/go/modules.txt"));
    let lock = go::parse(go_mod, Some(go_sum), Some(modules)).expect("sound");
    let fork = "example.org/fork@v1.0.1-0.20240101000000-0123456789ab";
    check(
        &Owners::new(&lock, "/w"),
        &[
            ("/go/pkg/mod/example.org/!words@v0.3.0/words.go", "example.org/Words@v0.3.0"),
            ("/go/pkg/mod/cache/download/example.org/!words/@v/v0.3.0.zip", "example.org/Words@v0.3.0"),
            ("/go/pkg/mod/cache/download/example.org/!words/@v/v0.3.0.mod", "description of example.org/Words@v0.3.0"),
            ("/go/pkg/mod/cache/download/example.org/!words/@v/list", "-"),
            ("/go/pkg/mod/example.org/evil@v0.3.0/words.go", "!example.org/evil@v0.3.0"),
            ("/w/vendor/example.org/Words/words.go", "example.org/Words@v0.3.0"),
            ("/w/vendor/example.org/old/old.go", fork),
            ("/w/vendor/example.org/evil/a.go", "!example.org/evil"),
            ("/w/vendor/modules.txt", "-"),
            ("/w/local/l.go", "example.org/local@v0.1.0"),
            ("/w/main.go", "-"),
        ],
    );
}

#[test]
fn java_has_coordinates() {
    let lock = maven::parse("f", include_bytes!("../../../fixtures/maven/lockfile.json")).expect("a lock file");
    let at = "/root/.m2/repository/org/junit/jupiter/junit-jupiter-api/5.9.2/junit-jupiter-api-5.9.2";
    let owners = Owners::new(&lock, "/w");
    let name = "org.junit.jupiter:junit-jupiter-api@5.9.2";
    let cases = [(format!("{at}.jar"), name), (format!("{at}-sources.jar"), name)];
    let found = cases.map(|(path, expected)| {
        check(&owners, &[(&path, expected)]);
        owners.of(&path)
    });
    assert_ne!(found[0], found[1], "a file with a classifier is a package apart");
    let described = format!("description of {name}");
    let bom = "/root/.m2/repository/org/junit/junit-bom/5.9.2/junit-bom-5.9.2.pom";
    check(
        &owners,
        &[
            (&format!("{at}.pom"), described.as_str()),
            (bom, "description of org.junit:junit-bom@5.9.2"),
            ("/root/.m2/repository/org/evil/evil/1/evil-1.jar", "!org.evil:evil:1"),
            ("/root/.m2/repository/org/evil/evil/1/evil-1.pom", "-"),
            ("/w/src/Main.java", "-"),
        ],
    );
    let states = [gradle::Input { file: "f", bytes: include_bytes!("../../../fixtures/gradle/gradle.lockfile") }];
    let lock = gradle::parse(&states, None).expect("sound");
    let cache = "/root/.gradle/caches/modules-2/files-2.1/org.slf4j/slf4j-api/2.0.13";
    check(
        &Owners::new(&lock, "/w"),
        &[
            (&format!("{cache}/80229737f704/slf4j-api-2.0.13.jar"), "org.slf4j:slf4j-api@2.0.13"),
            (&format!("{cache}/80229737f704/slf4j-api-2.0.13.pom"), "description of org.slf4j:slf4j-api@2.0.13"),
            (&format!("{cache}.1/8022/slf4j-api-2.0.13.1.jar"), "!org.slf4j:slf4j-api:2.0.13.1"),
        ],
    );
}

#[test]
fn what_is_sure_is_not_perhaps() {
    let lock = pnpm::parse("f", include_bytes!("../../../fixtures/pnpm/v9.yaml")).expect("a lock file");
    let paths = ["/w/node_modules/ms/a", "/w/node_modules/.pnpm/ms@2.1.3/node_modules/ms/index.js"];
    let observed = Owners::new(&lock, "/w").observed(paths);
    assert_eq!((observed.read.len(), observed.perhaps.len()), (1, 2));
}
