use std::io::Write;

use expect_test::{Expect, expect};
use inspect::lock_file::go::{hash_go_mod, hash1};
use zip::write::SimpleFileOptions;

use super::*;
use crate::ecosystem::LockFileKind;
use crate::spec::Spec;
use crate::testing::{Directory, DirectoryInputs, Network, NoRegistry};

const GO_MOD: &str = "module example.org/Hello\n\ngo 1.19\n";

/// A module's zip.
fn module(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        archive.start_file(*name, SimpleFileOptions::default()).expect("it is in memory");
        archive.write_all(text.as_bytes()).expect("it is in memory");
    }
    archive.finish().expect("it is in memory").into_inner()
}

fn h1(digest: &Digest) -> String {
    format!("h1:{}", wire::base64::encode(digest.bytes()))
}

fn files() -> [(&'static str, &'static str); 2] {
    [("example.org/Hello@v1.0.0/go.mod", GO_MOD), ("example.org/Hello@v1.0.0/hello.go", "package hello\n")]
}

fn go_sum() -> ProjectFile {
    let mut list: Vec<(String, Digest)> =
        files().iter().map(|(name, text)| ((*name).to_owned(), Digest::of(text.as_bytes()))).collect();
    let tree = hash1(&mut list).expect("they are good");
    let text = format!(
        "example.org/Hello v1.0.0 {}\nexample.org/Hello v1.0.0/go.mod {}\n",
        h1(&tree),
        h1(&hash_go_mod(GO_MOD.as_bytes()))
    );
    let go_mod = "module example.org/app\n\ngo 1.19\n\nrequire example.org/Hello v1.0.0\n";
    let beside = vec![("go.mod".to_owned(), go_mod.into())];
    ProjectFile { path: "go.sum".to_owned(), kind: LockFileKind::GoSum, bytes: text.into(), beside }
}

fn pinned(file: &ProjectFile, zip: &[u8], proxy: Option<&str>) -> Result<Vec<String>, PinError> {
    let directory = Directory::new("go-pin");
    let (inputs, mut host) = (DirectoryInputs::new(&directory), directory.host());
    host.variables.remove("GOPROXY");
    host.variables.extend(proxy.map(|proxy| ("GOPROXY".to_owned(), proxy.to_owned())));
    let at = "https://proxy.example/go/example.org/!hello/@v/v1.0.0";
    let network = Network::default().with(&format!("{at}.zip"), zip).with(&format!("{at}.mod"), GO_MOD);
    let world = World { inputs: &inputs, fetch: &network, images: &NoRegistry, host: &host, progress: &|_| {} };
    let base = crate::lock::tests::sample().base;
    let spec = Spec::parse("assay.toml", crate::spec::tests::GREETER.as_bytes()).expect("it is good");
    let request = Request { project: directory.path(), spec: &spec, files: &[file], base: &base, toolchains: &[] };
    let first = pin(&request, &world)?;
    network.asked();
    let second = pin(&request, &world)?;
    assert_eq!((second.tree, network.asked()), (first.tree, Vec::new()), "what is held is not asked for again");
    let mut lines: Vec<String> = first.dependencies.iter().map(|d| format!("{} {}", d.purl, d.source)).collect();
    if let Some(tree) = first.tree {
        let tree = crate::inputs::manifest(&inputs, &tree)?;
        lines.extend(tree.entries().map(|(path, _)| path.to_owned()).filter(|path| path.contains("/v1")));
    }
    Ok(lines)
}

const PROXY: &str = "off,direct,https://proxy.example/go/,https://other.example";

#[test]
fn modules_stand_as_a_proxy_has_them() {
    let lines = pinned(&go_sum(), &module(&files()), Some(PROXY)).expect("all answer");
    expect![[r#"
        pkg:golang/example.org/hello@v1.0.0 example.org/Hello
        example.org/!hello/@v/v1.0.0.info
        example.org/!hello/@v/v1.0.0.mod
        example.org/!hello/@v/v1.0.0.zip"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn vendored_modules_are_not_fetched() {
    let mut file = go_sum();
    let modules = "# example.org/Hello v1.0.0\n## explicit; go 1.19\nexample.org/Hello\n";
    file.beside.push(("vendor/modules.txt".to_owned(), modules.into()));
    assert_eq!(pinned(&file, b"", None).expect("nothing is asked for"), Vec::<String>::new());
    assert!(file.names().expect("it is read").is_empty());
}

fn refused(file: &ProjectFile, zip: &[u8], proxy: &str, expected: Expect) {
    let error = pinned(file, zip, Some(proxy)).expect_err("it is bad").to_string();
    expected.assert_eq(&error.lines().filter(|line| !line.starts_with("  | ")).collect::<Vec<_>>().join(";"));
}

#[test]
fn other_files_and_missing_sums_are_refused() {
    let good = module(&files());
    refused(
        &go_sum(),
        &module(&[files()[0], ("example.org/Hello@v1.0.0/hello.go", "package evil\n")]),
        PROXY,
        expect![
            "module `example.org/Hello v1.0.0` at `https://proxy.example/go/example.org/!hello/@v/v1.0.0.zip` is h1:K718tIJXxj1JWxZ7EcVTOweTTsChW5xM9VywCwtCmOs=, but go.sum says h1:M7eQ9T//zXs6devd17rB9WEzNw0PEJ508D8xSh0s1RE="
        ],
    );
    refused(
        &go_sum(),
        b"no zip",
        PROXY,
        expect![
            "module `example.org/Hello v1.0.0` at `https://proxy.example/go/example.org/!hello/@v/v1.0.0.zip` is no zip (invalid Zip archive: Could not find EOCD), but go.sum says h1:M7eQ9T//zXs6devd17rB9WEzNw0PEJ508D8xSh0s1RE="
        ],
    );
    refused(
        &go_sum(),
        &good,
        "off",
        expect!["`GOPROXY` is `off`, which names no http address to fetch modules from; set it to a proxy's address"],
    );
    let none = ProjectFile { bytes: Vec::new(), ..go_sum() };
    refused(
        &none,
        &good,
        PROXY,
        expect![
            "go.mod:5:9: `example.org/Hello`: no digest pins what is fetched;  = run `go mod tidy` to complete `go.sum`"
        ],
    );
}

#[test]
fn a_zip_packed_anew_has_the_same_hash() {
    let mut turned = files();
    turned.reverse();
    pinned(&go_sum(), &module(&turned), Some(PROXY)).expect("the order of a zip does not count");
}
