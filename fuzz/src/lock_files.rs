//! Lock files of all ecosystems, and Dockerfiles. Seeds are those that the tools themselves have written.
//!
//! What is asserted of each: edges lead to packages of the file, names can be printed as package URLs and read again, and
//! whatever is left open has a hint.

use inspect::lock_file::{
    LockFile, LockFileError, cargo as cargo_lock, maven, npm as npm_lock, pipfile, pnpm as pnpm_lock,
};
use inspect::lock_file::{
    go as go_lock, gradle, poetry, pylock, record as record_file, requirements as requirements_file, uv,
    yarn as yarn_lock,
};

const FILE: &str = "fuzzed";

fn good(parsed: Result<LockFile, LockFileError>) {
    let lock = match parsed {
        Ok(lock) => lock,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for package in &lock.packages {
        assert!(package.dependencies.iter().all(|edge| edge.to < lock.packages.len()));
        let printed = package.purl.to_string();
        assert!(printed.parse::<wire::purl::Purl>().is_ok(), "`{printed}` is printed and not read");
        assert!(package.origin.digests().count() < 10_000);
    }
    for finding in lock.open() {
        assert!(!finding.hint().is_empty() && finding.to_string().starts_with(FILE));
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(super) fn cargo_seeds() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../examples/greeter/Cargo.lock"),
        "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"0.1.0\"\ndependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"b\"\n\
         version = \"0.1.0\"\nsource = \"git+https://example.org/b?branch=main#4c1f0a9be2d7738c5d1e0b6f9a3c2d4e5f607182\"\n",
    ])
}

pub(super) fn cargo(bytes: &[u8]) {
    good(cargo_lock::parse(FILE, bytes));
}

pub(super) fn npm_seeds() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../crates/inspect/fixtures/npm/v1.json"),
        include_str!("../../crates/inspect/fixtures/npm/v2.json"),
        include_str!("../../crates/inspect/fixtures/npm/v3.json"),
    ])
}

pub(super) fn npm(bytes: &[u8]) {
    good(npm_lock::parse(FILE, bytes));
}

pub(super) fn pnpm_seeds() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../crates/inspect/fixtures/pnpm/v6.yaml"),
        include_str!("../../crates/inspect/fixtures/pnpm/v9.yaml"),
    ])
}

pub(super) fn pnpm(bytes: &[u8]) {
    good(pnpm_lock::parse(FILE, bytes));
}

pub(super) fn record_seeds() -> Vec<Vec<u8>> {
    vec![
        b"version = 1\ncommand = [\"true\"]\n\n[[answer]]\nurl = \"https://a.example/x\"\naccept = \"text/html\"\nstatus = 200\n\
          digest = \"sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\"\nsize = 1\n\n[[answer]]\n\
          url = \"http://a.example/y\"\nlocation = \"https://a.example/x\"\nstatus = 302\n"
            .to_vec(),
    ]
}

/// What is read is what is written again.
pub(super) fn record(bytes: &[u8]) {
    good(record_file::parse(FILE, bytes));
    if let Ok(read) = record_file::record(FILE, bytes) {
        let text = read.to_text();
        let again = record_file::record(FILE, text.as_bytes()).expect("it was written here");
        assert_eq!(again.to_text(), text);
    }
}

pub(super) fn yarn_seeds() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../crates/inspect/fixtures/yarn/v1.lock"),
        include_str!("../../crates/inspect/fixtures/yarn/berry.lock"),
    ])
}

pub(super) fn yarn(bytes: &[u8]) {
    good(yarn_lock::parse(FILE, bytes));
}

pub(super) fn requirements_seeds() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../crates/inspect/fixtures/python/requirements.txt"),
        include_str!("../../crates/inspect/fixtures/python/nasty-requirements.txt"),
    ])
}

pub(super) fn requirements(bytes: &[u8]) {
    good(requirements_file::parse(FILE, bytes));
}

pub(super) fn python_seeds() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../crates/inspect/fixtures/python/uv.lock"),
        include_str!("../../crates/inspect/fixtures/python/poetry-2.0.lock"),
        include_str!("../../crates/inspect/fixtures/python/poetry-2.1.lock"),
        include_str!("../../crates/inspect/fixtures/python/pylock.toml"),
        include_str!("../../crates/inspect/fixtures/python/Pipfile.lock"),
    ])
}

/// The formats are told apart by their content, so each reads what is meant for the others, too.
pub(super) fn python(bytes: &[u8]) {
    good(uv::parse(FILE, bytes));
    good(poetry::parse(FILE, bytes));
    good(pylock::parse(FILE, bytes));
    good(pipfile::parse(FILE, bytes));
}

pub(super) fn go_seeds() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../crates/inspect/fixtures/go/go.mod.txt"),
        include_str!("../../crates/inspect/fixtures/go/go.sum"),
        include_str!("../../crates/inspect/fixtures/go/modules.txt"),
    ])
}

pub(super) fn go(bytes: &[u8]) {
    let _parsed = (go_lock::parse_go_mod(FILE, bytes).is_ok(), go_lock::parse_modules_txt(FILE, bytes).is_ok());
    // As the description of a module, and as what stands beside a good one.
    let module = include_bytes!("../../crates/inspect/fixtures/go/go.mod.txt");
    let input = |bytes| go_lock::Input { file: FILE, bytes };
    good(go_lock::parse(input(bytes), None, None));
    good(go_lock::parse(input(module), Some(input(bytes)), None));
    good(go_lock::parse(input(module), None, Some(input(bytes))));
}

pub(super) fn java_seeds() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../crates/inspect/fixtures/gradle/gradle.lockfile"),
        include_str!("../../crates/inspect/fixtures/gradle/verification-metadata.xml"),
        include_str!("../../crates/inspect/fixtures/maven/lockfile.json"),
    ])
}

pub(super) fn java(bytes: &[u8]) {
    good(maven::parse(FILE, bytes));
    let input = gradle::Input { file: FILE, bytes };
    good(gradle::parse(&[input], None));
    good(gradle::parse(&[], Some(input)));
}

pub(super) fn dockerfile_seeds() -> Vec<Vec<u8>> {
    texts(&[include_str!("../../crates/inspect/fixtures/dockerfile/nasty.Dockerfile")])
}

pub(super) fn dockerfile(bytes: &[u8]) {
    if let Err(error) = inspect::dockerfile::parse(FILE, bytes) {
        assert!(error.to_string().starts_with(FILE), "{error}");
    }
    let settings = build::spec::Dockerfile {
        path: FILE.to_owned(),
        target: None,
        arguments: Default::default(),
        images: Default::default(),
    };
    match build::dockerfile::Source::read(&settings, bytes, bytes) {
        Ok(source) => drop(source.images()),
        Err(problems) => assert!(!problems.is_empty() && problems.iter().all(|problem| problem.line > 0)),
    }
}

pub(super) fn provenance_seeds() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../tests/foreign/sigstore/happy-path.sigstore.json"),
        include_str!("../../tests/foreign/sigstore/two-signatures.sigstore.json"),
        r#"{"SLSA":{"builder":{"id":""},"buildType":"https://mobyproject.org/buildkit@v1","materials":[]}}"#,
        r#"{"attestation_bundles":[{"attestations":[{"envelope":{"statement":"eyJwcmVkaWNhdGVUeXBlIjoiIn0","signature":""}}]}]}"#,
    ])
}

pub(super) fn provenance(bytes: &[u8]) {
    for document in inspect::provenance::documents(bytes).unwrap_or_default() {
        if let Some(graded) = inspect::provenance::grade(&document.statement) {
            assert!(graded.score() <= 100);
            assert!(graded.findings.iter().all(|finding| !finding.found.chars().any(char::is_control)));
        }
    }
}
