//! Projects that hold their dependencies themselves, from `init` on: nothing is fetched, so there is no upstream to lose.

use std::fs;
use std::path::Path;

use super::{artifact, commit, locked_and_built_twice, project};
use crate::place::{Place, Ran, ran};
use wire::digest::Digest;

/// Locks where nothing can be reached, with no cache.
fn locked_without_a_network(place: &Place, project: &Path) -> Ran {
    let empty = place.work().join("empty");
    let mut program = place.program(project);
    program.env("XDG_CACHE_HOME", empty.join("cache")).env("CARGO_HOME", empty.join("cargo"));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "GOPROXY"] {
        program.env(name, "http://127.0.0.1:9");
    }
    ran(program.args(["lock", "--json"]).output().expect("the program runs"))
}

const CARGO: &str =
    "[package]\nname = \"ferry\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\ntide = \"1.0.0\"\n";
const SOURCES: &str =
    "[source.crates-io]\nreplace-with = \"vendored-sources\"\n\n[source.vendored-sources]\ndirectory = \"vendor\"\n";
const MAIN: &str = "fn main() {\n    println!(\"{}\", tide::HIGH);\n}\n\n#[test]\nfn it_is_high() {\n    assert_eq!(tide::HIGH, 7);\n}\n";
const TIDE: &str = "pub const HIGH: u32 = 7;\n";
const TIDE_CARGO: &str = "[package]\nname = \"tide\"\nversion = \"1.0.0\"\nedition = \"2021\"\n";

#[test]
fn cargo_with_vendored_crates() {
    let place = Place::new("vendored-cargo");
    let checksum = "ab".repeat(32);
    let lock = format!(
        "version = 4\n\n[[package]]\nname = \"ferry\"\nversion = \"0.1.0\"\ndependencies = [\n \"tide\",\n]\n\n[[package]]\n\
         name = \"tide\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
         checksum = \"{checksum}\"\n"
    );
    let hex = |text: &str| Digest::of(text.as_bytes()).hex();
    let sums = format!(
        r#"{{"files":{{"Cargo.toml":"{}","src/lib.rs":"{}"}},"package":"{checksum}"}}"#,
        hex(TIDE_CARGO),
        hex(TIDE)
    );
    let project = project(
        &place,
        &[
            ("Cargo.toml", CARGO),
            ("Cargo.lock", &lock),
            (".cargo/config.toml", SOURCES),
            ("src/main.rs", MAIN),
            ("vendor/tide/Cargo.toml", TIDE_CARGO),
            ("vendor/tide/src/lib.rs", TIDE),
            ("vendor/tide/.cargo-checksum.json", &sums),
        ],
    );
    place.assay(&project, &["init"]).exits(0);
    place.json(&project, 0, &["check"]);
    commit(&project);
    locked_without_a_network(&place, &project).exits(0);
    locked_and_built_twice(&place, &project);
    assert_eq!(place.json(&project, 0, &["test"])["result"], "pass");
    assert!(artifact(&place, &project, "ferry").starts_with(b"\x7fELF"));

    // A vendored file that is not what its checksum says.
    fs::write(project.join("vendor/tide/src/lib.rs"), "pub const HIGH: u32 = 8;\n").expect("a file");
    let error = place.json(&project, 1, &["build"]);
    let message = error["error"]["message"].as_str().expect("a message");
    assert!(message.contains("the listed checksum of `/build/vendor/tide/src/lib.rs` has changed"), "{error}");

    // A lock file that does not fit: another version is asked for than is vendored.
    fs::write(project.join("vendor/tide/src/lib.rs"), TIDE).expect("a file");
    fs::write(project.join("Cargo.toml"), CARGO.replace("1.0.0", "1.1.0")).expect("a file");
    let error = locked_without_a_network(&place, &project).exits(2).json();
    assert!(error["error"]["message"].as_str().expect("a message").contains("Cargo.lock"), "{error}");
}

#[test]
fn go_with_vendored_modules() {
    let place = Place::new("vendored-go");
    let go_mod = "module example.org/ferry\n\ngo 1.19\n\nrequire example.org/tide v1.0.0\n";
    let sums = "example.org/tide v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\
                example.org/tide v1.0.0/go.mod h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    let main =
        "package main\n\nimport (\n\t\"fmt\"\n\n\t\"example.org/tide\"\n)\n\nfunc main() { fmt.Println(tide.High) }\n";
    let test = "package main\n\nimport (\n\t\"testing\"\n\n\t\"example.org/tide\"\n)\n\n\
                func TestHigh(t *testing.T) {\n\tif tide.High != 7 {\n\t\tt.Fatal(tide.High)\n\t}\n}\n";
    let project = project(
        &place,
        &[
            ("go.mod", go_mod),
            ("go.sum", sums),
            ("main.go", main),
            ("main_test.go", test),
            ("vendor/modules.txt", "# example.org/tide v1.0.0\n## explicit; go 1.19\nexample.org/tide\n"),
            ("vendor/example.org/tide/tide.go", "package tide\n\nconst High = 7\n"),
        ],
    );
    place.assay(&project, &["init"]).exits(0);
    place.json(&project, 0, &["check"]);
    commit(&project);
    locked_without_a_network(&place, &project).exits(0);
    locked_and_built_twice(&place, &project);
    assert_eq!(place.json(&project, 0, &["test"])["result"], "pass");
    assert!(artifact(&place, &project, "ferry").starts_with(b"\x7fELF"));
}
