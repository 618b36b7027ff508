use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::*;
use crate::ecosystem::cargo::vendor::VendorError;
use crate::testing::{Directory, DirectoryInputs, Network, NoRegistry, crate_archive};

const SPEC: &str = r#"version = 1
[project]
name = "demo"
owners = ["ada"]
[base]
packages = ["tool"]
toolchains = ["rust"]
[[step]]
name = "compile"
run = ["cargo", "build", "--locked"]
[[artifact]]
name = "demo"
path = "target/debug/demo"
"#;

const MANIFEST: &str =
    "[package]\nname = \"demo\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\ntiny = \"1\"\n";

/// A project with one dependency, a system with one package, and a network that has the dependency.
struct Scene {
    directory: Directory,
    inputs: DirectoryInputs,
    network: Network,
    host: Host,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let directory = Directory::new(name);
        let status = "Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0\n";
        directory.write("root/var/lib/dpkg/status", status);
        directory.write("root/var/lib/dpkg/info/tool.list", "/usr/bin/tool\n");
        directory.write("root/usr/bin/tool", "a tool");
        directory.write("project/Cargo.toml", MANIFEST);
        directory.write("project/src/main.rs", "fn main() {}\n");
        let tiny = tiny();
        directory.write("project/Cargo.lock", cargo_lock(&Digest::of(&tiny).hex()));
        let inputs = DirectoryInputs::new(&directory);
        let network = Network::default().with("https://static.crates.io/crates/tiny/tiny-1.0.0.crate", tiny);
        let host = small_toolchain(&directory);
        Scene { directory, inputs, network, host }
    }

    fn make(&self) -> Result<Made, PinError> {
        let spec = Spec::parse("assay.toml", SPEC.as_bytes()).expect("it is good");
        make(&self.directory.path().join("project"), &spec, &self.world())
    }

    fn restore(&self, lock: &Lock) -> Result<(), PinError> {
        let spec = Spec::parse("assay.toml", SPEC.as_bytes()).expect("it is good");
        restore(&self.directory.path().join("project"), &spec, lock, &self.world())
    }

    fn world(&self) -> World<'_> {
        World { inputs: &self.inputs, fetch: &self.network, images: &NoRegistry, host: &self.host, progress: &|_| {} }
    }
}

fn tiny() -> Vec<u8> {
    let manifest = "[package]\nname = \"tiny\"\nversion = \"1.0.0\"\nedition = \"2021\"\n";
    crate_archive("tiny-1.0.0", &[("Cargo.toml", manifest), ("src/lib.rs", "")])
}

fn cargo_lock(checksum: &str) -> String {
    format!(
        "version = 4\n\n[[package]]\nname = \"demo\"\nversion = \"0.1.0\"\ndependencies = [\n \"tiny\",\n]\n\n\
         [[package]]\nname = \"tiny\"\nversion = \"1.0.0\"\n\
         source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{checksum}\"\n"
    )
}

/// A `rustc` that names a toolchain of a few bytes, before the real tools in the search path: importing the real one
/// takes seconds and shows nothing more. `cargo` stays the real one.
fn small_toolchain(directory: &Directory) -> Host {
    for file in ["bin/cargo", "bin/rustc", "bin/rustdoc"] {
        directory.write(&format!("sysroot/{file}"), file);
    }
    for target in ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"] {
        directory.write(&format!("sysroot/lib/rustlib/{target}/lib/libstd.rlib"), target);
    }
    let sysroot = directory.path().join("sysroot");
    let script = format!(
        "#!/bin/sh\nif [ \"$*\" = '--print sysroot' ]; then echo {}; else exec {} \"$@\"; fi\n",
        sysroot.display(),
        real("rustc").display()
    );
    directory.write("shadow/rustc", script);
    let shadow = directory.path().join("shadow");
    fs::set_permissions(shadow.join("rustc"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("it is there");
    let mut host = directory.host();
    let path = host.variables.get("PATH").cloned().unwrap_or_default();
    host.variables.insert("PATH".to_owned(), format!("{}:{path}", shadow.display()));
    host
}

/// The first program of that name in the caller's search path.
fn real(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).map(|directory| directory.join(program));
    places.into_iter().find(|place| place.is_file()).expect("the tests are run by cargo")
}

#[test]
fn made_twice_it_is_equal_and_imports_nothing_again() {
    let scene = Scene::new("pin-twice");
    let first = scene.make().expect("all is there");
    assert_eq!(first.imported, ["base", "rust"]);
    assert_eq!(first.counts.fetched, 1);
    scene.network.asked();
    let second = scene.make().expect("all is there");
    assert_eq!(second.lock.to_text(), first.lock.to_text());
    assert_eq!((second.imported, scene.network.asked()), (Vec::new(), Vec::new()));
    // Without the cache everything is read again, and the lock is the same.
    fs::remove_dir_all(&scene.host.cache).expect("it is there");
    let third = scene.make().expect("all is there");
    assert_eq!(third.lock.to_text(), first.lock.to_text());
    assert_eq!((third.imported.len(), third.counts.held), (2, 1));
    assert!(!third.lock.to_text().contains(scene.directory.path().to_str().expect("it is UTF-8")));
}

#[test]
fn another_directory_makes_the_same_lock() {
    let texts =
        ["pin-here", "pin-somewhere-else"].map(|name| Scene::new(name).make().expect("all is there").lock.to_text());
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn a_workspace_above_the_project_does_not_claim_it() {
    let scene = Scene::new("pin-below-a-workspace");
    let lock = scene.make().expect("a lock").lock;
    scene.directory.write("Cargo.toml", "[workspace]\nmembers = [\"other\"]\n");
    assert_eq!(scene.make().expect("the same lock").lock, lock);
}

#[test]
fn a_damaged_cache_costs_time_only() {
    let scene = Scene::new("pin-cache");
    let first = scene.make().expect("all is there").lock;
    for entry in fs::read_dir(&scene.host.cache).expect("it is there") {
        fs::write(entry.expect("it is readable").path(), "{").expect("it is writable");
    }
    assert_eq!(scene.make().expect("all is there").lock, first);
}

#[test]
fn lock_files_that_do_not_fit_are_refused() {
    let scene = Scene::new("pin-mismatch");
    scene.directory.write("project/Cargo.toml", MANIFEST.replace("tiny = \"1\"", "tiny = \"2\""));
    let error = scene.make().expect_err("the manifest asks for another version");
    assert!(matches!(&error, PinError::Mismatch { .. }), "{error}");
    assert!(error.to_string().contains("cargo update --workspace"), "{error}");
    scene.directory.write("project/Cargo.lock", "version = 4\n[[package]]\nname = 3\n");
    let error = scene.make().expect_err("malformed");
    assert!(error.to_string().starts_with("Cargo.lock:3:8: "), "{error}");
    fs::remove_file(scene.directory.path().join("project/Cargo.lock")).expect("it is there");
    let error = scene.make().expect_err("there is none");
    assert!(error.to_string().ends_with("Cargo.lock` is missing; run `cargo generate-lockfile`"), "{error}");
}

#[test]
fn a_wrong_checksum_names_the_crate() {
    let scene = Scene::new("pin-checksum");
    scene.directory.write("project/Cargo.lock", cargo_lock(&"0".repeat(64)));
    let error = scene.make().expect_err("other bytes");
    assert!(error.to_string().starts_with("crate `tiny 1.0.0` has SHA-256 "), "{error}");
}

#[test]
fn a_fresh_store_is_filled_from_the_lock_or_says_what_differs() {
    let scene = Scene::new("pin-restore");
    let lock = scene.make().expect("all is there").lock;
    let fresh = Scene::new("pin-restore-fresh");
    fresh.restore(&lock).expect("the machine has the same");
    for tree in lock.trees().values() {
        assert!(fresh.inputs.tree(tree).expect("it can be asked").is_some());
    }
    // What is held needs nothing of the machine.
    fs::remove_dir_all(fresh.directory.path().join("root")).expect("it is there");
    fresh.restore(&lock).expect("all is held");
    let other = Scene::new("pin-restore-other");
    let status = "Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.1\n";
    other.directory.write("root/var/lib/dpkg/status", status);
    let error = other.restore(&lock).expect_err("another version");
    assert_eq!(
        error.to_string(),
        "this machine differs from the lock: tool 1.0 ≠ 1.1; run `assay lock` to pin what is here"
    );
    let changed = Scene::new("pin-restore-changed");
    changed.directory.write("root/usr/bin/tool", "another tool");
    let error = changed.restore(&lock).expect_err("another file");
    assert!(error.to_string().contains("the base: same package versions, other files"), "{error}");
}

fn git(directory: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(["-c", "user.name=a", "-c", "user.email=a@b"])
        .args(arguments)
        .output();
    assert!(status.expect("git is installed").status.success(), "git {arguments:?}");
}

/// A repository whose package inherits from its workspace, as `inner` does in many projects.
fn git_dependency(directory: &Directory) -> String {
    let workspace = "[workspace]\nmembers = [\"inner\"]\nresolver = \"2\"\n[workspace.package]\nversion = \"0.3.0\"\nedition = \"2021\"\n\
                     [workspace.dependencies]\ntiny = \"1\"\n";
    directory.write("dep/Cargo.toml", workspace);
    let inner = "[package]\nname = \"inner\"\nversion.workspace = true\nedition.workspace = true\n[dependencies]\ntiny.workspace = true\n";
    directory.write("dep/inner/Cargo.toml", inner);
    directory.write("dep/inner/src/lib.rs", "pub fn greeting() -> &'static str { \"hello\" }\n");
    let place = directory.path().join("dep");
    git(&place, &["init", "--quiet", "--initial-branch", "main"]);
    git(&place, &["add", "--all"]);
    git(&place, &["commit", "--quiet", "--message", "first"]);
    let output =
        Command::new("git").arg("-C").arg(&place).args(["rev-parse", "HEAD"]).output().expect("git is installed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_git_dependency_is_pinned_and_builds_without_a_network() {
    let scene = Scene::new("pin-git");
    let commit = git_dependency(&scene.directory);
    let project = scene.directory.path().join("project");
    let url = format!("file://{}", scene.directory.path().join("dep").display());
    let manifest = format!("{MANIFEST}inner = {{ git = \"{url}\", branch = \"main\" }}\n");
    scene.directory.write("project/Cargo.toml", manifest);
    scene.directory.write("project/src/main.rs", "fn main() { println!(\"{}\", inner::greeting()); }\n");
    let checksum = Digest::of(&tiny()).hex();
    let inner = format!(
        "\n[[package]]\nname = \"inner\"\nversion = \"0.3.0\"\nsource = \"git+{url}?branch=main#{commit}\"\n\
         dependencies = [\n \"tiny\",\n]\n"
    );
    let lock = cargo_lock(&checksum).replacen(" \"tiny\",\n]\n", &format!(" \"inner\",\n \"tiny\",\n]\n{inner}"), 1);
    scene.directory.write("project/Cargo.lock", lock);
    let made = scene.make().expect("all is there");
    let dependency = made.lock.dependencies.iter().find(|d| d.name == "inner").expect("it is pinned");
    assert_eq!(dependency.commit.as_deref(), Some(commit.as_str()));
    // Once kept, the repository is not needed any more.
    fs::remove_dir_all(scene.directory.path().join("dep")).expect("it is there");
    assert_eq!(scene.make().expect("all is held").lock, made.lock);
    build_offline(&scene, &project, &made.lock);
}

/// Builds as the sandbox does: Cargo's configuration at a root, the dependencies beside it, an empty Cargo home.
fn build_offline(scene: &Scene, project: &Path, lock: &Lock) {
    let source = model::source::Source { tree: Digest::of(b"source"), revision: None };
    let spec = Spec::parse("assay.toml", SPEC.as_bytes()).expect("it is good");
    let planned = crate::plan::build(&spec, lock, &source);
    let configs: BTreeMap<String, String> = planned
        .plan
        .mounts
        .iter()
        .filter_map(|mount| match mount {
            sandbox::plan::Mount::File { target, content, .. } => Some((target.clone(), content.clone())),
            _ => None,
        })
        .collect();
    scene.directory.write("inside/.cargo/config.toml", &configs["/.cargo/config.toml"]);
    let vendor =
        scene.inputs.tree(&lock.tree_of(Ecosystem::Cargo).expect("there are dependencies")).expect("it can be asked");
    scene.directory.link("inside/vendor", vendor.expect("it is held").to_str().expect("it is UTF-8"));
    let inside = scene.directory.path().join("inside");
    fs::rename(project, inside.join("build")).expect("it is there");
    let output = Command::new(real("cargo"))
        .args(["run", "--locked", "--offline", "--quiet"])
        .current_dir(inside.join("build"))
        .env("CARGO_HOME", inside.join("home"))
        .env("CARGO_TARGET_DIR", inside.join("target"))
        .output()
        .expect("cargo starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_git_dependency_that_is_gone_is_named() {
    let scene = Scene::new("pin-git-gone");
    let url = format!("file://{}", scene.directory.path().join("absent").display());
    scene.directory.write("project/Cargo.toml", format!("{MANIFEST}inner = {{ git = \"{url}\" }}\n"));
    let commit = "0".repeat(40);
    let inner = format!("\n[[package]]\nname = \"inner\"\nversion = \"0.3.0\"\nsource = \"git+{url}#{commit}\"\n");
    let lock = cargo_lock(&Digest::of(&tiny()).hex());
    let lock = lock.replacen(" \"tiny\",\n]\n", &format!(" \"inner\",\n \"tiny\",\n]\n{inner}"), 1);
    scene.directory.write("project/Cargo.lock", lock);
    let error = scene.make().expect_err("there is no such repository");
    let PinError::Vendor(VendorError::Git(error)) = error else { panic!("{error}") };
    assert!(
        error.to_string().starts_with("`cargo vendor` could not fetch the git dependencies (inner 0.3.0): "),
        "{error}"
    );
}

const MIXED: &str = r#"version = 1
[project]
name = "mixed"
owners = ["ada"]
[base]
packages = ["python3.11"]
toolchains = ["rust"]
lock-files = ["Cargo.lock", "web/package-lock.json", "tools/requirements.txt", "tools/requirements-dev.txt"]
[[step]]
name = "compile"
run = ["cargo", "build", "--locked"]
[[artifact]]
name = "demo"
path = "target/debug/demo"
"#;

fn sha512(bytes: &[u8]) -> String {
    use base64::Engine as _;
    let mut hasher = wire::digest::Hasher::new(wire::digest::Algorithm::Sha512);
    hasher.update(bytes);
    base64::engine::general_purpose::STANDARD.encode(hasher.finish().bytes())
}

/// A project with lock files of three ecosystems, two of one of them.
fn mixed(name: &str) -> Scene {
    let mut scene = Scene::new(name);
    let status = "Package: python3.11\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.11.2\n";
    scene.directory.write("root/var/lib/dpkg/status", status);
    scene.directory.write("root/var/lib/dpkg/info/python3.11.list", "/usr/bin/tool\n");
    let package = format!(
        "{{\"lockfileVersion\": 3, \"packages\": {{\"\": {{}}, \"node_modules/n\": {{\"version\": \"1.0.0\", \"resolved\": \
         \"https://registry.npmjs.org/n/-/n-1.0.0.tgz\", \"integrity\": \"sha512-{}\"}}}}}}",
        sha512(b"n")
    );
    scene.directory.write("project/web/package-lock.json", package);
    scene.directory.write("project/web/package.json", "{}");
    for (file, name) in [("requirements.txt", "a"), ("requirements-dev.txt", "b")] {
        let wheel = format!("{name}-1.0-py3-none-any.whl");
        let digest = Digest::of(wheel.as_bytes());
        scene.directory.write(&format!("project/tools/{file}"), format!("{name}==1.0 --hash={digest}\n"));
        let page = format!("<a href=\"/{wheel}#sha256={}\">", digest.hex());
        scene.network = std::mem::take(&mut scene.network)
            .with(&format!("https://pypi.org/simple/{name}/"), page)
            .with(&format!("https://pypi.org/{wheel}"), &wheel);
    }
    scene.network = std::mem::take(&mut scene.network).with("https://registry.npmjs.org/n/-/n-1.0.0.tgz", "n");
    scene
}

#[test]
fn a_project_may_have_lock_files_of_several_ecosystems() {
    let scene = mixed("pin-mixed");
    let spec = Spec::parse("assay.toml", MIXED.as_bytes()).expect("it is good");
    let project = scene.directory.path().join("project");
    let lock = make(&project, &spec, &scene.world()).expect("all is there").lock;
    let files: Vec<String> = lock.lock_files.iter().map(|file| format!("{} {}", file.path, file.kind.name())).collect();
    let expected = [
        "Cargo.lock cargo",
        "tools/requirements-dev.txt requirements",
        "tools/requirements.txt requirements",
        "web/package-lock.json npm",
    ];
    assert_eq!(files, expected);
    let names: Vec<&str> = lock.dependencies.iter().map(|dependency| dependency.name.as_str()).collect();
    assert_eq!(names, ["tiny", "n", "a", "b"]);
    assert_eq!(lock.lock_files[1].tree, lock.lock_files[2].tree, "they share a tree");
    assert_eq!(Lock::parse("assay.lock", lock.to_text().as_bytes()).expect("it reads back"), lock);
    let source = model::source::Source { tree: Digest::of(b"source"), revision: None };
    let planned = crate::plan::build(&spec, &lock, &source);
    let targets: Vec<&str> = planned.plan.mounts.iter().map(|mount| mount.target()).collect();
    for target in ["/vendor", "/.cargo/config.toml", "/home/builder/.npm", "/dependencies/python"] {
        assert!(targets.contains(&target), "{targets:?}");
    }
    let files = ecosystem::project_files(&project, &spec).expect("all are there");
    assert_eq!(lock.stale(&spec, &files), []);
    scene.directory.write("project/tools/requirements.txt", format!("c==1.0 --hash={}\n", Digest::of(b"c")));
    let files = ecosystem::project_files(&project, &spec).expect("all are there");
    let stale: Vec<String> = lock.stale(&spec, &files).iter().map(ToString::to_string).collect();
    assert_eq!(stale, ["tools/requirements.txt changed since the lock was made (c 1.0 is new); run `assay lock`"]);
}

#[test]
fn trees_that_were_lost_are_made_again_from_what_is_held() {
    let mut scene = mixed("pin-lost");
    let spec = Spec::parse("assay.toml", MIXED.as_bytes()).expect("it is good");
    let project = scene.directory.path().join("project");
    let lock = make(&project, &spec, &scene.world()).expect("all is there").lock;
    scene.network.asked();
    scene.network = Network::default();
    let lost = lock.tree_of(Ecosystem::Node).expect("it has one");
    fs::remove_dir_all(scene.directory.path().join("store/trees").join(lost.hex())).expect("it is there");
    for entry in fs::read_dir(&scene.host.cache).expect("it is there") {
        fs::remove_file(entry.expect("it is readable").path()).expect("it is there");
    }
    restore(&project, &spec, &lock, &scene.world()).expect("the blobs are held");
    assert_eq!(scene.network.asked(), Vec::<String>::new());
    assert!(scene.inputs.tree(&lost).expect("it can be asked").is_some());
}
