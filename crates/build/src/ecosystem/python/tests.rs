use expect_test::{Expect, expect};

use super::*;
use crate::inputs::Fetch;
use crate::lock::{Base, BasePackage};
use crate::spec::Spec;
use crate::testing::{Directory, DirectoryInputs, Network, NoRegistry};

fn base(names: &[&str]) -> Base {
    let package = |name: &&str| BasePackage {
        name: (*name).to_owned(),
        version: "2.36-9+deb12u14".to_owned(),
        architecture: "amd64".to_owned(),
        digest: Digest::of(b""),
        deb: None,
        url: None,
        purl: String::new(),
    };
    let packages = names.iter().map(package).collect();
    Base { distribution: "debian 12".to_owned(), tree: Digest::of(b""), image: None, packages }
}

fn file(path: &str, text: &str) -> ProjectFile {
    let kind = LockFileKind::of_path(path).expect("it is one");
    ProjectFile { path: path.to_owned(), kind, bytes: text.into(), beside: Vec::new() }
}

fn pinned(files: &[&ProjectFile], base: &Base, network: &Network) -> Result<Vec<String>, PinError> {
    let directory = Directory::new("python-pin");
    let (inputs, host) = (DirectoryInputs::new(&directory), directory.host());
    let world = World { inputs: &inputs, fetch: network, images: &NoRegistry, host: &host, progress: &|_| {} };
    let spec = Spec::parse("assay.toml", crate::spec::tests::GREETER.as_bytes()).expect("it is good");
    let request = Request { project: directory.path(), spec: &spec, files, base, toolchains: &[] };
    let pinned = pin(&request, &world)?;
    let first = network.asked();
    assert_eq!(pin(&request, &world)?.tree, pinned.tree);
    assert_eq!(network.asked(), Vec::<String>::new(), "neither index nor files are asked for again");
    first.iter().for_each(|url| drop(network.fetch(url, 0))); // asked, for whoever looks at it
    let tree = crate::inputs::manifest(&inputs, &pinned.tree.expect("there are files"))?;
    let mut lines: Vec<String> =
        tree.entries().map(|(path, _)| path.to_owned()).filter(|path| path.contains('.')).collect();
    lines.extend(pinned.dependencies.iter().map(|d| format!("{} {} {}", d.name, d.version, d.purl)));
    Ok(lines)
}

fn page(files: &[&str]) -> String {
    let link = |file: &&str| format!("<a href=\"/f/{file}#sha256={}\">{file}</a>\n", Digest::of(file.as_bytes()).hex());
    files.iter().map(link).collect()
}

fn network(index: &str, project: &str, files: &[&str]) -> Network {
    let host = index.trim_end_matches("/simple");
    let network = Network::default().with(&format!("{index}/{project}/"), page(files));
    files.iter().fold(network, |network, file| network.with(&format!("{host}/f/{file}"), file))
}

fn hashes(files: &[&str]) -> String {
    files.iter().map(|file| format!(" --hash={}", Digest::of(file.as_bytes()))).collect()
}

const FILES: [&str; 4] = [
    "m-1.0-cp311-cp311-manylinux2014_x86_64.whl",
    "m-1.0-cp312-cp312-manylinux2014_x86_64.whl",
    "m-1.0-py3-none-any.whl",
    "m-1.0.tar.gz",
];

#[test]
fn wheels_that_fit_are_taken_from_the_index_by_their_digest() {
    let requirements = file("requirements.txt", &format!("M==1.0{}\n", hashes(&FILES)));
    let network = network("https://pypi.org/simple", "m", &[&FILES[..], &["m-2.0.tar.gz"]].concat());
    let lines = pinned(&[&requirements], &base(&["libc6", "python3.11"]), &network).expect("all answer");
    expect![[r#"
        m-1.0-cp311-cp311-manylinux2014_x86_64.whl
        m-1.0-py3-none-any.whl
        M 1.0 pkg:pypi/m@1.0?download_url=https://pypi.org/f/m-1.0-cp311-cp311-manylinux2014_x86_64.whl
        M 1.0 pkg:pypi/m@1.0?download_url=https://pypi.org/f/m-1.0-py3-none-any.whl"#]]
    .assert_eq(&lines.join("\n"));
    let asked = network.asked();
    assert!(
        !asked.iter().any(|url| url.contains("cp312") || url.contains("m-2.0") || url.contains("tar.gz")),
        "{asked:?}"
    );
}

#[test]
fn without_a_wheel_the_source_archive_is_taken_and_an_index_may_be_named() {
    let index = "https://index.example/simple";
    let text = format!("--index-url {index}/\nm==1.0{}\n", hashes(&FILES[3..]));
    let lines = pinned(&[&file("requirements-dev.txt", &text)], &base(&["python3.13"]), &network(index, "m", &FILES));
    expect![[r#"
        m-1.0.tar.gz
        m 1.0 pkg:pypi/m@1.0?download_url=https://index.example/f/m-1.0.tar.gz"#]]
    .assert_eq(&lines.expect("it answers").join("\n"));
}

fn refused(text: &str, base: &Base, network: &Network, expected: Expect) {
    let error = pinned(&[&file("requirements.txt", text)], base, network).expect_err(text).to_string();
    expected.assert_eq(&error.lines().filter(|line| !line.starts_with("  | ")).collect::<Vec<_>>().join(";"));
}

#[test]
fn what_cannot_be_had_is_refused_with_its_line() {
    let (all, python) = (network("https://pypi.org/simple", "m", &FILES), base(&["python3.11"]));
    refused(
        "m>=1\n",
        &python,
        &all,
        expect![
            "requirements.txt:1:1: `m`: `m>=1` names no single version;  = write the file with `uv pip compile --generate-hashes` or `pip-compile --generate-hashes`"
        ],
    );
    refused(
        "\nm==1.0\n",
        &python,
        &all,
        expect![
            "requirements.txt:2:1: `m`: no digest pins what is fetched;  = write the file with `uv pip compile --generate-hashes` or `pip-compile --generate-hashes`"
        ],
    );
    refused(
        &format!("m==1.0{}\n", hashes(&FILES[1..2])),
        &python,
        &all,
        expect![
            "requirements.txt:1:1: no file of `m 1.0` fits Python 3.11 on x86_64 with glibc 2.17;  = let the lock file name its source archive as well, or take another version"
        ],
    );
    refused(
        &format!("m==1.0{}\n", hashes(&["other"])),
        &python,
        &all,
        expect!["no file of `m` with a digest of the lock file is in https://pypi.org/simple"],
    );
    refused(
        &format!("m==1.0{}\n", hashes(&FILES)),
        &base(&["libc6"]),
        &all,
        expect!["a lock file of Python is named, but no package of the base is a Python; add `python3` to `packages`"],
    );
    let changed = Network::default()
        .with("https://pypi.org/simple/m/", page(&FILES))
        .with("https://pypi.org/f/m-1.0-py3-none-any.whl", "changed");
    refused(
        &format!("m==1.0{}\n", hashes(&FILES[2..])),
        &python,
        &changed,
        expect![
            "package `m 1.0` (m-1.0-py3-none-any.whl) at `https://pypi.org/f/m-1.0-py3-none-any.whl` is sha256:d67e2e944994496c8d8ec76eed0cf9f09679448d584b532bebf941852a37f5ed, but requirements.txt says sha256:0a4c4cf345fd3eea0f119763a39d9cbe5a6ced421c6e325d69c7f48f8892d5b3"
        ],
    );
    refused(
        "m @ git+https://x.example/m@73e321f84cd2493e93e093d455f52c39f9acbff7\n",
        &python,
        &all,
        expect![
            "requirements.txt:1:1: `m` comes from git, which is not fetched for Python;  = depend on a release, or on an archive by its https address"
        ],
    );
}

#[test]
fn a_package_for_other_systems_may_have_no_file_here() {
    let files = ["w-1.0-cp311-cp311-win_amd64.whl"];
    let text = format!("w==1.0 ; sys_platform == \"win32\"{}\nm==1.0{}\n", hashes(&files), hashes(&FILES[2..3]));
    let host = network("https://pypi.org/simple", "m", &FILES).with("https://pypi.org/simple/w/", page(&files));
    let lines = pinned(&[&file("requirements.txt", &text)], &base(&["python3.11"]), &host).expect("one is skipped");
    assert_eq!(
        lines,
        ["m-1.0-py3-none-any.whl", "m 1.0 pkg:pypi/m@1.0?download_url=https://pypi.org/f/m-1.0-py3-none-any.whl"]
    );
}

#[test]
fn uv_names_addresses_and_gets_a_requirements_file() {
    let digest = Digest::of(FILES[2].as_bytes());
    let text = format!(
        "version = 1\nrequires-python = \">=3.9\"\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\nsource = {{ virtual = \".\" }}\n\n\
         [[package]]\nname = \"m\"\nversion = \"1.0\"\nsource = {{ registry = \"https://pypi.org/simple\" }}\n\
         wheels = [{{ url = \"https://files.pythonhosted.org/x/{}\", hash = \"{digest}\", size = 5 }}]\n",
        FILES[2]
    );
    let network = Network::default().with(&format!("https://files.pythonhosted.org/x/{}", FILES[2]), FILES[2]);
    let lines = pinned(&[&file("web/uv.lock", &text)], &base(&["python3.11"]), &network).expect("no index is asked");
    expect![[r#"
        locked/web-uv.lock.txt
        m-1.0-py3-none-any.whl
        m 1.0 pkg:pypi/m@1.0"#]]
    .assert_eq(&lines.join("\n"));
}
