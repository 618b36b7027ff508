use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use expect_test::{Expect, expect};
use wire::digest::{Algorithm, Hasher};

use super::*;
use crate::ecosystem::LockFileKind;
use crate::lock::{Base, BasePackage};
use crate::spec::Spec;
use crate::testing::{Directory, DirectoryInputs, Network, NoRegistry};

const URL: &str = "https://registry.npmjs.org/a/-/a-1.0.0.tgz";

fn sri(bytes: &[u8]) -> String {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(bytes);
    format!("sha512-{}", STANDARD.encode(hasher.finish().bytes()))
}

/// A lock file with these members of `packages`.
fn lock(packages: &str) -> ProjectFile {
    let text =
        format!("{{\n\"lockfileVersion\": 3,\n\"packages\": {{\n\"\": {{\"name\": \"app\"}},\n{packages}\n}}\n}}\n");
    ProjectFile {
        path: "package-lock.json".to_owned(),
        kind: LockFileKind::Npm,
        bytes: text.into(),
        beside: Vec::new(),
    }
}

fn entry(place: &str, more: &str) -> String {
    format!("\"node_modules/{place}\": {{\"version\": \"1.0.0\", {more}}}")
}

/// Long paths of the tree, dependencies, and what was asked for.
type Outcome = (Vec<String>, Vec<String>, Vec<String>);

fn pinned(file: &ProjectFile) -> Result<Outcome, PinError> {
    let directory = Directory::new("node-pin");
    directory.write("package.json", "{}");
    let (inputs, host) = (DirectoryInputs::new(&directory), directory.host());
    let network = Network::default().with(URL, "tarball").with("https://x.example/b.tgz", "tarball");
    let world = World { inputs: &inputs, fetch: &network, images: &NoRegistry, host: &host, progress: &|_| {} };
    let package = BasePackage {
        name: "libc6".to_owned(),
        version: "1".to_owned(),
        architecture: "amd64".to_owned(),
        digest: Digest::of(b""),
        deb: None,
        url: None,
        purl: String::new(),
    };
    let base =
        Base { distribution: "debian 12".to_owned(), tree: Digest::of(b""), image: None, packages: vec![package] };
    let spec = Spec::parse("assay.toml", crate::spec::tests::GREETER.as_bytes()).expect("it is good");
    let request = Request { project: directory.path(), spec: &spec, files: &[file], base: &base, toolchains: &[] };
    let pinned = pin(&request, &world)?;
    let tree = pinned.tree.map(|tree| crate::inputs::manifest(&inputs, &tree)).transpose()?;
    let paths = tree.iter().flat_map(|tree| tree.entries()).map(|(path, _)| path.to_owned());
    let paths = paths.filter(|path| path.len() > 100).collect();
    Ok((paths, pinned.dependencies.iter().map(|d| format!("{} {}", d.name, d.purl)).collect(), network.asked()))
}

#[test]
fn tarballs_stand_where_npm_looks_for_their_digest() {
    let good = format!("\"resolved\": \"{URL}\", \"integrity\": \"{}\"", sri(b"tarball"));
    let other = format!("\"resolved\": \"https://x.example/b.tgz\", \"integrity\": \"{}\"", sri(b"tarball"));
    let packages = [entry("a", &good), entry("b/node_modules/a", &good), entry("b", &other)].join(",\n");
    let (paths, dependencies, asked) = pinned(&lock(&packages)).expect("all answer");
    assert_eq!(asked, [URL, "https://x.example/b.tgz"], "the same tarball is asked for once");
    expect!["_cacache/content-v2/sha512/58/14/0cf5fb8b929067eb4705714f465273811328705716cea7295ed200ff69b2bf5b4d50b5c16d12c0c68f7459616ae93f65316ac1e3436a65084e85af32d876"]
    .assert_eq(&paths.join("\n"));
    assert_eq!(dependencies.len(), 2);
    assert_eq!(dependencies[0], "a pkg:npm/a@1.0.0");
    assert!(dependencies[1].starts_with("b pkg:npm/b@1.0.0?"), "{dependencies:?}");
}

#[test]
fn what_is_for_another_system_is_not_fetched() {
    let good = format!("\"resolved\": \"{URL}\", \"integrity\": \"{}\"", sri(b"tarball"));
    let other =
        |more: &str| format!("\"resolved\": \"https://x.example/gone.tgz\", \"integrity\": \"{}\", {more}", sri(b"x"));
    let packages = [
        entry("a", &format!("{good}, \"os\": [\"linux\"], \"cpu\": [\"x64\"], \"libc\": [\"glibc\"]")),
        entry("b", &other("\"os\": [\"darwin\"], \"optional\": true")),
        entry("c", &other("\"cpu\": [\"arm64\", \"ppc64\"]")),
        entry("d", &other("\"os\": [\"!linux\"]")),
        entry("e", &other("\"libc\": [\"musl\"]")),
    ];
    let (_, dependencies, asked) = pinned(&lock(&packages.join(",\n"))).expect("the others are not asked for");
    assert_eq!((dependencies.len(), asked.len()), (1, 1));
}

fn refused(more: &str, expected: Expect) {
    let error = pinned(&lock(&entry("a", more))).expect_err(more).to_string();
    let line = error.lines().filter(|line| !line.starts_with("  | ")).collect::<Vec<_>>().join("");
    expected.assert_eq(&line);
}

#[test]
fn what_pins_nothing_or_cannot_be_fetched_is_refused_with_its_line() {
    let resolved = format!("\"resolved\": \"{URL}\"");
    refused(
        &resolved,
        expect![
            "package-lock.json:5:1: `a`: no digest pins what is fetched  = remove the file and `node_modules`, and run `npm install` with npm 7 or newer"
        ],
    );
    refused(
        &format!("{resolved}, \"integrity\": \"sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=\""),
        expect![
            "package-lock.json:5:1: `a`: only a digest by SHA-1 stands for what is fetched, and those can be forged  = remove the file and `node_modules`, and run `npm install` with npm 7 or newer"
        ],
    );
    refused(
        &format!("\"integrity\": \"{}\"", sri(b"tarball")),
        expect![
            "package-lock.json:5:1: `a` has no `resolved`, and npm finds it without a network by that only  = run `npm install --package-lock-only --omit-lockfile-registry-resolved=false`"
        ],
    );
    refused(
        "\"resolved\": \"git+ssh://git@github.com/a/a.git#73e321f84cd2493e93e093d455f52c39f9acbff7\"",
        expect![
            "package-lock.json:5:1: `a` comes from git, which is not fetched for npm  = depend on a tarball of it, by its https address"
        ],
    );
    refused(
        &format!("{resolved}, \"integrity\": \"{}\"", sri(b"other")),
        expect![
            "package `a 1.0.0` at `https://registry.npmjs.org/a/-/a-1.0.0.tgz` is sha512:58140cf5fb8b929067eb4705714f465273811328705716cea7295ed200ff69b2bf5b4d50b5c16d12c0c68f7459616ae93f65316ac1e3436a65084e85af32d876, but package-lock.json says sha512:e25ac3845f8cbe12801a2dfa5a89d4c55dc47900f3b6edc9a9ee590f3c2b9312f665d0039c93828b7b58f33950bc817a0955a9c5000a8d3e280569f08745ca68"
        ],
    );
}

#[test]
fn yarns_mirror_has_the_names_that_yarn_looks_for() {
    let cases = [
        ("https://registry.yarnpkg.com/ms/-/ms-2.1.3.tgz", "ms-2.1.3.tgz"),
        ("https://registry.yarnpkg.com/@babel/core/-/core-7.0.0.tgz#abc", "@babel-core-7.0.0.tgz"),
        ("https://registry.yarnpkg.com/@babel%2fcore/-/core-7.0.0.tgz", "@babel-core-7.0.0.tgz"),
        ("https://x.example/files/a.tgz?x=1", "a.tgz"),
    ];
    for (url, name) in cases {
        assert_eq!(mirror_name(url), name, "{url}");
    }
}

#[test]
fn a_yarn_lock_fills_the_mirror_and_berrys_is_refused() {
    let classic = |integrity: &str| ProjectFile {
        path: "yarn.lock".to_owned(),
        kind: LockFileKind::Yarn,
        bytes: format!("# yarn lockfile v1\n\na@^1.0.0:\n  version \"1.0.0\"\n  resolved \"{URL}#abc\"\n{integrity}")
            .into(),
        beside: Vec::new(),
    };
    let (_, dependencies, asked) = pinned(&classic(&format!("  integrity {}\n", sri(b"tarball")))).expect("it answers");
    assert_eq!((dependencies.len(), asked.len()), (1, 1));
    let error = pinned(&classic("")).expect_err("only SHA-1 stands for it").to_string();
    assert!(error.starts_with("yarn.lock:3:1: `a`: "), "{error}");
    let berry = "__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\"a@npm:1.0.0\":\n  version: 1.0.0\n  resolution: \"a@npm:1.0.0\"\n  \
                 checksum: 10c0/cedbec45298dd5c501d01b92b119cd3faebe5438c3917ff11ae1bff86a6c722930ac9c8659792824013168ba6db7c4668225d845c633fbdafbbf902a6389f736\n  languageName: node\n  linkType: hard\n";
    let file = ProjectFile { bytes: berry.into(), ..classic("") };
    let error = pinned(&file).expect_err("it pins a zip of yarn's own").to_string();
    assert!(error.starts_with("yarn.lock:"), "{error}");
}
