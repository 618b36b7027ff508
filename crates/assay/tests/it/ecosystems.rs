//! Each ecosystem by the shipped binary: init or a written specification, lock, built twice with equal digests at level
//! full, tested, and built once more after upstream deleted what was fetched.

mod java;

mod javascript;

mod python;

mod real_projects;

mod recorded;

mod upstream;

mod vendored;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wire::digest::Digest;

use crate::place::{Place, git};
use upstream::Upstream;

/// Commits a project, so that it has a commit time.
fn commit(project: &Path) {
    git(project, &["init", "--quiet"]);
    git(project, &["add", "--all"]);
    git(project, &["commit", "--quiet", "-m", "as it is"]);
}

/// Makes a project of files and commits it.
fn project(place: &Place, files: &[(&str, &str)]) -> PathBuf {
    let project = place.work().join("project");
    for (path, text) in files {
        let path = project.join(path);
        fs::create_dir_all(path.parent().expect("it lies in the project")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    commit(&project);
    project
}

/// Locks twice with equal bytes, builds twice with equal digests, and returns what the second build says.
#[track_caller]
fn locked_and_built_twice(place: &Place, project: &Path) -> Value {
    place.json(project, 0, &["lock"]);
    assert_eq!(place.json(project, 0, &["lock"])["changed"], false);
    let built = place.json(project, 0, &["build"]);
    assert_eq!(built["level"], "full", "{built}");
    assert_eq!(built["complete"], true, "{built}");
    rebuilt(place, project)
}

#[track_caller]
fn rebuilt(place: &Place, project: &Path) -> Value {
    let built = place.json(project, 0, &["build", "--again"]);
    assert_eq!(built["rebuilt"]["equal"], true, "{built}");
    built
}

/// How many packages of lock files a build read, and of how many.
fn locked(built: &Value) -> (&Value, &Value) {
    (&built["sbom"]["locked_read"], &built["sbom"]["locked"])
}

/// Builds and tests with nothing left but the home and the project: no upstream, no cache of the machine.
#[track_caller]
fn outlives_its_upstream(place: &Place, project: &Path) {
    let empty = place.work().join("empty");
    fs::create_dir_all(&empty).expect("a directory");
    let run = |arguments: &[&str]| {
        let mut program = place.program(project);
        program.env("XDG_CACHE_HOME", empty.join("cache")).env("HOME", &empty).env_remove("CARGO_HOME");
        crate::place::ran(program.args(arguments).arg("--json").output().expect("the program runs")).exits(0).json()
    };
    let built = run(&["build", "--again"]);
    assert_eq!(built["rebuilt"]["equal"], true, "{built}");
    assert_eq!(run(&["test"])["result"], "pass");
}

/// The bytes of the artifact of a name.
fn artifact(place: &Place, project: &Path, name: &str) -> Vec<u8> {
    let out = place.work().join("out");
    place.assay(project, &["build", "--output", out.to_str().expect("UTF-8")]).exits(0);
    fs::read(out.join(name)).expect("the artifact")
}

#[test]
fn c_with_a_makefile() {
    let place = Place::new("c");
    let project = place.copy("examples/tally");
    place.assay(&project, &["init"]).exits(0);
    place.json(&project, 0, &["check"]);
    commit(&project);
    let built = locked_and_built_twice(&place, &project);
    assert_eq!(built["artifacts"][0]["name"], "tally");
    assert_eq!(place.json(&project, 0, &["test"])["result"], "pass");
}

const FETCHING: &str = r#"version = 1
[project]
name = "fetching"
owners = ["ada"]
[base]
packages = ["coreutils", "dash"]
[[fetch]]
url = "URL/tool.sh"
digest = "DIGEST"
path = "/fetched/tool/tool.sh"
executable = true
[[step]]
name = "run"
run = ["sh", "-c", "/fetched/tool/tool.sh > made"]
[[artifact]]
name = "made"
path = "made"
"#;

#[test]
fn a_file_by_url_and_digest_outlives_its_upstream() {
    let place = Place::new("fetch");
    let upstream = Upstream::new();
    let tool = b"#!/bin/sh\necho made by a tool\n";
    let spec = FETCHING.replace("URL", &upstream.url()).replace("DIGEST", &Digest::of(tool).to_string());
    let project = project(&place, &[("assay.toml", &spec)]);
    let error = place.json(&project, 2, &["lock"]);
    assert!(
        error["error"]["message"].as_str().expect("a message").contains("/tool.sh` answered with status 404"),
        "{error}"
    );
    upstream.serve("/tool.sh", *b"#!/bin/sh\necho something else\n");
    let error = place.json(&project, 2, &["lock"]);
    let message = error["error"]["message"].as_str().expect("a message");
    let other = Digest::of(b"#!/bin/sh\necho something else\n");
    assert!(message.contains(&other.to_string()) && message.contains(&Digest::of(tool).to_string()), "{message}");
    upstream.serve("/tool.sh", *tool);
    locked_and_built_twice(&place, &project);
    drop(upstream);
    rebuilt(&place, &project);
    assert_eq!(place.json(&project, 0, &["lock", "--check"])["changed"], false, "nothing is asked for again");
    assert_eq!(artifact(&place, &project, "made"), b"made by a tool\n");
}

/// cJSON 1.7.15, as Debian keeps its upstream's release: nobody here wrote it.
const CJSON: &str = r#"version = 1
[project]
name = "cjson"
owners = ["ada"]
[base]
packages = ["cmake", "coreutils", "dash", "gcc", "libc6-dev", "make"]
[[fetch]]
url = "http://deb.debian.org/debian/pool/main/c/cjson/cjson_1.7.15.orig.tar.gz"
digest = "sha256:5308fd4bd90cef7aa060558514de6a1a4a0819974a26e6ed13973c5f624c24b2"
path = "/fetched/cjson"
unpack = true
[[step]]
name = "configure"
run = ["cmake", "-S", "/fetched/cjson/cJSON-1.7.15", "-B", "out", "-DENABLE_CJSON_TEST=Off"]
[[step]]
name = "compile"
run = ["cmake", "--build", "out"]
[[artifact]]
name = "libcjson"
path = "out/libcjson.so.1.7.15"
"#;

#[test]
fn somebody_elses_library_with_cmake() {
    let place = Place::new("cjson");
    let project = project(&place, &[("assay.toml", CJSON)]);
    let built = locked_and_built_twice(&place, &project);
    assert_eq!(built["artifacts"][0]["name"], "libcjson");
    assert!(artifact(&place, &project, "libcjson").starts_with(b"\x7fELF"));
}

/// What gives a build `node` and npm on this machine: its own directory, or Debian's packages.
fn with_node(spec: &str) -> String {
    let npm = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .find_map(|place| place.join("node").canonicalize().ok())
        .and_then(|node| Some(node.parent()?.parent()?.join("lib/node_modules/npm")));
    match npm.is_some_and(|npm| npm.is_dir()) {
        true => spec.to_owned(),
        false => spec.replace("toolchains = [\"node\"]\n", "").replacen(
            "packages = [",
            "packages = [\"nodejs\", \"npm\", ",
            1,
        ),
    }
}

#[test]
fn node_with_npm() {
    let place = Place::new("node");
    let project = place.copy("examples/pages");
    for made in ["node_modules", "src/routes.js"] {
        let _absent = fs::remove_dir_all(project.join(made)).or_else(|_| fs::remove_file(project.join(made)));
    }
    git(&project, &["init", "--quiet"]);
    place.assay(&project, &["init"]).exits(0);
    let spec = fs::read_to_string(project.join("assay.toml")).expect("assay.toml");
    fs::write(project.join("assay.toml"), with_node(&spec)).expect("a file");
    place.json(&project, 0, &["check"]);
    commit(&project);
    let built = locked_and_built_twice(&place, &project);
    assert_eq!(locked(&built), (&json!(1), &json!(1)));
    assert!(!project.join("src/routes.js").exists(), "no script of the project ran outside of the sandbox");
    assert_eq!(built["artifacts"][0]["name"], "pages.tar");
    assert_eq!(place.json(&project, 0, &["test"])["result"], "pass");
    let tar = artifact(&place, &project, "pages.tar");
    let text = String::from_utf8_lossy(&tar);
    assert!(text.contains("./src/routes.js") && text.contains("./node_modules/ms/index.js"));
    // A manifest that asks for more than the lock file has.
    let manifest = fs::read_to_string(project.join("package.json")).expect("package.json");
    fs::write(project.join("package.json"), manifest.replace("\"ms\": \"2.1.3\"", "\"ms\": \"2.1.2\""))
        .expect("a file");
    let error = place.json(&project, 2, &["lock"]);
    let message = error["error"]["message"].as_str().expect("a message");
    assert!(message.contains("npm install --package-lock-only"), "{error}");
}

/// is-odd 3.0.1, as npm's registry keeps it, packed anew: nobody here wrote it.
const IS_ODD: &str = r#"version = 1
[project]
name = "is-odd"
owners = ["ada"]
[base]
packages = ["coreutils", "dash", "libc6", "libstdc++6"]
toolchains = ["node"]
lock-files = ["package-lock.json"]
[build]
tier = "T1"
[[fetch]]
url = "https://registry.npmjs.org/is-odd/-/is-odd-3.0.1.tgz"
digest = "sha512:090a6758fac3c263f5f923075d986d2ed26ff74ca2c957e5b86b17e62342564ae142d5374d01ec5163c6f7091d93d2e0779c8da4083d8d0128f7408169781630"
path = "/fetched/is-odd"
unpack = true
[[step]]
name = "install"
run = ["npm", "ci"]
[[step]]
name = "pack"
run = ["npm", "pack", "--ignore-scripts", "/fetched/is-odd/package"]
[[artifact]]
name = "is-odd.tgz"
path = "is-odd-3.0.1.tgz"
[[test]]
name = "unit"
run = ["sh", "-c", "npm ci && cp -r /fetched/is-odd/package odd && node -e 'require(\"assert\")(require(\"./odd\")(3))'"]
format = "exit"
"#;

const IS_ODD_LOCK: &str = r#"{"name": "odd", "lockfileVersion": 3, "packages": {
"": {"name": "odd", "dependencies": {"is-number": "6.0.0"}},
"node_modules/is-number": {"version": "6.0.0", "resolved": "UPSTREAM/is-number/-/is-number-6.0.0.tgz",
"integrity": "sha512-Wu1VHeILBK8KAWJUAiSZQX94GmOE45Rg6/538fKwiloUu21KncEkYGPqob2oSZ5mUT73vLGrHQjKw3KMPwfDzg=="}}}
"#;

#[test]
fn somebody_elses_package_with_npm_outlives_its_upstream() {
    let place = Place::new("is-odd");
    let upstream = Upstream::new();
    upstream.serve(
        "/is-number/-/is-number-6.0.0.tgz",
        fetched("https://registry.npmjs.org/is-number/-/is-number-6.0.0.tgz"),
    );
    let (spec, lock) = (with_node(IS_ODD), IS_ODD_LOCK.replace("UPSTREAM", &upstream.url()));
    let manifest = r#"{"name": "odd", "dependencies": {"is-number": "6.0.0"}}"#;
    let project = project(&place, &[("assay.toml", &spec), ("package-lock.json", &lock), ("package.json", manifest)]);
    let findings = place.json(&project, 1, &["check"])["findings"].to_string();
    assert!(findings.contains("is fetched without TLS"), "{findings}");
    locked_and_built_twice(&place, &project);
    drop(upstream);
    rebuilt(&place, &project);
    assert_eq!(place.json(&project, 0, &["test"])["result"], "pass");
}

/// yarn 1 itself comes from npm's registry, as a file by digest.
const YARN: &str = r#"version = 1
[project]
name = "yarned"
owners = ["ada"]
[base]
packages = ["coreutils", "dash", "libc6", "libstdc++6"]
toolchains = ["node"]
lock-files = ["yarn.lock"]
[build]
tier = "T1"
[[fetch]]
url = "https://registry.npmjs.org/yarn/-/yarn-1.22.22.tgz"
digest = "sha512:a6b2f7906b721bba3d67d4aff083df04dad64c399707841b7acf00f6b133b7ac24255f2652fa22ae3534329dc6180534e98d17432037ff6fd140556e2bb3137e"
path = "/fetched/yarn"
unpack = true
[[step]]
name = "install"
run = ["node", "/fetched/yarn/package/bin/yarn.js", "install", "--offline", "--frozen-lockfile", "--non-interactive"]
[[step]]
name = "say"
run = ["sh", "-c", "node -p 'require(\"is-number\")(6)' > made"]
[[artifact]]
name = "made"
path = "made"
"#;

const YARN_LOCK: &str = "# yarn lockfile v1\n\n\nis-number@6.0.0:\n  version \"6.0.0\"\n  \
                         resolved \"UPSTREAM/is-number/-/is-number-6.0.0.tgz#e6d15ad31fc262887cccf217ae5f9316f81b1995\"\n  \
                         integrity sha512-Wu1VHeILBK8KAWJUAiSZQX94GmOE45Rg6/538fKwiloUu21KncEkYGPqob2oSZ5mUT73vLGrHQjKw3KMPwfDzg==\n";

#[test]
fn node_with_yarn_outlives_its_upstream() {
    let place = Place::new("yarn");
    let upstream = Upstream::new();
    let tarball = "/is-number/-/is-number-6.0.0.tgz";
    upstream.serve(tarball, fetched(&format!("https://registry.npmjs.org{tarball}")));
    let (spec, lock) = (with_node(YARN), YARN_LOCK.replace("UPSTREAM", &upstream.url()));
    let manifest = r#"{"name": "yarned", "dependencies": {"is-number": "6.0.0"}}"#;
    let project = project(&place, &[("assay.toml", &spec), ("yarn.lock", &lock), ("package.json", manifest)]);
    locked_and_built_twice(&place, &project);
    drop(upstream);
    rebuilt(&place, &project);
    assert_eq!(artifact(&place, &project, "made"), b"true\n");
}

/// The bytes at a URL of a real registry.
fn fetched(url: &str) -> Vec<u8> {
    let output = std::process::Command::new("curl").args(["--fail", "--silent", "--location", url]).output();
    let output = output.expect("curl runs");
    assert!(output.status.success(), "fetching {url}");
    output.stdout
}

#[test]
fn python_with_hashes() {
    let place = Place::new("python");
    let project = place.copy("examples/almanac");
    place.assay(&project, &["init"]).exits(0);
    place.json(&project, 0, &["check"]);
    commit(&project);
    let built = locked_and_built_twice(&place, &project);
    // The wheel is for the test alone; the build leaves it where it is.
    assert_eq!(locked(&built), (&json!(0), &json!(1)));
    assert_eq!((&built["complete"], &built["artifacts"][0]["name"]), (&json!(true), &json!("almanac.whl")));
    assert_eq!(place.json(&project, 0, &["test"])["result"], "pass");
    let lock = fs::read_to_string(project.join("assay.lock")).expect("assay.lock");
    assert!(lock.contains("purl = \"pkg:pypi/click@8.1.7\"") && !lock.contains("click-8.1.7.tar.gz"), "{lock}");
}

/// MarkupSafe 2.1.5, its source as the registry keeps it, compiled; and a package of `uv.lock`.
const MARKUPSAFE: &str = r#"version = 1
[project]
name = "markupsafe"
owners = ["ada"]
[base]
packages = ["coreutils", "dash", "gcc", "libc6-dev", "python3", "python3-dev", "python3-pip", "python3-setuptools", "python3-venv", "python3-wheel"]
lock-files = ["uv.lock"]
[[fetch]]
url = "https://files.pythonhosted.org/packages/87/5b/aae44c6655f3801e81aa3eef09dbbf012431987ba564d7231722f68df02d/MarkupSafe-2.1.5.tar.gz"
digest = "sha256:d283d37a890ba4c1ae73ffadf8046435c76e7bc2247bbb63c00bd1a709c6544b"
path = "/fetched/markupsafe"
unpack = true
[[step]]
name = "source"
run = ["sh", "-c", "cp -r /fetched/markupsafe/MarkupSafe-2.1.5 source && chmod -R u+w source"]
[[step]]
name = "wheel"
run = ["python3", "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", "dist", "./source"]
[[step]]
name = "name"
run = ["sh", "-c", "mv dist/MarkupSafe-2.1.5-cp3*-linux_*.whl dist/markupsafe.whl"]
[[artifact]]
name = "markupsafe.whl"
path = "dist/markupsafe.whl"
[[test]]
name = "locked"
run = ["sh", "-c", "python3 -m venv /tmp/v && /tmp/v/bin/pip install -r /dependencies/python/locked/uv.lock.txt && /tmp/v/bin/python -c 'import iniconfig'"]
format = "exit"
"#;

const UV_LOCK: &str = r#"version = 1
requires-python = ">=3.9"

[[package]]
name = "iniconfig"
version = "2.0.0"
source = { registry = "https://pypi.org/simple" }
wheels = [
    { url = "UPSTREAM/iniconfig-2.0.0-py3-none-any.whl", hash = "sha256:b6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374", size = 5892 },
]
"#;

const INICONFIG: &str = "https://files.pythonhosted.org/packages/ef/a6/62565a6e1cf69e10f5727360368e451d4b7f58beeac6173dc9db836a5b46/iniconfig-2.0.0-py3-none-any.whl";

#[test]
fn somebody_elses_compiled_wheel_and_uv_outlive_their_upstream() {
    let place = Place::new("markupsafe");
    let upstream = Upstream::new();
    let lock = UV_LOCK.replace("UPSTREAM", &upstream.url());
    let project = project(&place, &[("assay.toml", MARKUPSAFE), ("uv.lock", &lock)]);
    upstream.serve("/iniconfig-2.0.0-py3-none-any.whl", *b"substituted");
    let error = place.json(&project, 2, &["lock"]);
    let message = error["error"]["message"].as_str().expect("a message");
    assert!(message.contains(&Digest::of(b"substituted").to_string()) && message.contains("uv.lock says"), "{message}");
    upstream.serve("/iniconfig-2.0.0-py3-none-any.whl", fetched(INICONFIG));
    let built = locked_and_built_twice(&place, &project);
    assert_eq!(built["complete"], true, "{built}");
    drop(upstream);
    rebuilt(&place, &project);
    assert_eq!(place.json(&project, 0, &["test"])["result"], "pass");
}

const RESOLVING: &str = r#"version = 1
[project]
name = "resolving"
owners = ["ada"]
[base]
packages = ["coreutils", "dash", "python3", "python3-pip"]
[[step]]
name = "install"
run = ["sh", "-c", "python3 -m pip install --target lib six || exit 3"]
[[artifact]]
name = "made"
path = "made"
"#;

#[test]
fn a_step_that_chooses_versions_itself_is_named_with_process_and_command() {
    let place = Place::new("resolving");
    let project = project(&place, &[("assay.toml", RESOLVING)]);
    let findings = place.json(&project, 1, &["check"])["findings"].to_string();
    assert!(findings.contains("pip install` fetches or installs what nothing pins"), "{findings}");
    place.json(&project, 0, &["lock"]);
    let error = place.json(&project, 1, &["build"]);
    let also = error["error"]["also"].to_string();
    assert!(
        also.contains("step `install`, process ") && also.contains("python3 -m pip install --target lib six"),
        "{error}"
    );
}

/// A zip of files alone, as a proxy has a module.
fn zipped(place: &Place, files: &[(&str, &str)]) -> Vec<u8> {
    let zip = place.work().join("module.zip");
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1], 'w')\n\
                  for i in range(2, len(sys.argv), 2): z.writestr(sys.argv[i], sys.argv[i + 1])\nz.close()\n";
    let mut command = std::process::Command::new("python3");
    command.args(["-c", script]).arg(&zip).args(files.iter().flat_map(|(name, text)| [name, text]));
    assert!(command.status().expect("python3 runs").success());
    fs::read(zip).expect("the zip")
}

const TIDE_MOD: &str = "module example.org/tide\n\ngo 1.19\n";
const TIDE: &str =
    "// Package tide knows when the water is high.\npackage tide\n\nfunc High(hour int) bool { return hour%12 < 6 }\n";
const FERRY_MOD: &str = "module example.org/ferry\n\ngo 1.19\n\nrequire example.org/tide v1.0.0\n";
const FERRY: &str = r#"// Command ferry says whether it goes.
package main

import (
	"fmt"

	"example.org/tide"
)

func main() { fmt.Println("goes at seven:", !tide.High(7)) }
"#;
const FERRY_TEST: &str = "package main\n\nimport (\n\t\"testing\"\n\n\t\"example.org/tide\"\n)\n\n\
                          func TestHigh(t *testing.T) {\n\tif !tide.High(3) {\n\t\tt.Fatal(\"low\")\n\t}\n}\n";

#[test]
fn go_with_modules_of_a_proxy() {
    let place = Place::new("go");
    let upstream = Upstream::new();
    let files = [("example.org/tide@v1.0.0/go.mod", TIDE_MOD), ("example.org/tide@v1.0.0/tide.go", TIDE)];
    let zip = zipped(&place, &files);
    let mut list = files.map(|(name, text)| (name.to_owned(), Digest::of(text.as_bytes())));
    let tree = inspect::lock_file::go::hash1(&mut list).expect("good names");
    let h1 = |digest: &Digest| format!("h1:{}", wire::base64::encode(digest.bytes()));
    let go_mod = inspect::lock_file::go::hash_go_mod(TIDE_MOD.as_bytes());
    let sums = format!("example.org/tide v1.0.0 {}\nexample.org/tide v1.0.0/go.mod {}\n", h1(&tree), h1(&go_mod));
    let project =
        project(&place, &[("go.mod", FERRY_MOD), ("go.sum", &sums), ("main.go", FERRY), ("main_test.go", FERRY_TEST)]);
    place.assay(&project, &["init"]).exits(0);
    place.json(&project, 0, &["check"]);
    commit(&project);
    let lock = || {
        let mut program = place.program(&project);
        program.env("GOPROXY", upstream.url()).args(["lock", "--json"]);
        crate::place::ran(program.output().expect("the program runs"))
    };
    upstream.serve("/example.org/tide/@v/v1.0.0.mod", TIDE_MOD);
    upstream.serve("/example.org/tide/@v/v1.0.0.zip", *b"no zip");
    let error = lock().exits(2).json();
    assert!(error["error"]["message"].as_str().expect("a message").contains(&h1(&tree)), "{error}");
    upstream.serve("/example.org/tide/@v/v1.0.0.zip", zip);
    lock().exits(0);
    drop(upstream);
    let built = locked_and_built_twice(&place, &project);
    assert_eq!(locked(&built), (&json!(1), &json!(1)));
    assert_eq!(built["artifacts"][0]["name"], "ferry");
    assert_eq!(place.json(&project, 0, &["test"])["result"], "pass");
    let program = artifact(&place, &project, "ferry");
    assert!(program.starts_with(b"\x7fELF"));
    let host = project.to_str().expect("UTF-8");
    assert!(!program.windows(host.len()).any(|window| window == host.as_bytes()), "no path of this machine is in it");
}
