//! Bases as files: an image as the root file system of a build, fetched from registries and layouts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use wire::digest::Digest;

use crate::foreign_registry::Registry;
use crate::place::{Place, git};
use crate::serving::Server;

/// Copies programs of this machine, with the libraries that they need, below a directory.
fn install(programs: &[&str], root: &Path) {
    for program in programs {
        let listed = Command::new("ldd").arg(program).output().expect("ldd runs");
        let text = String::from_utf8(listed.stdout).expect("paths are text");
        let libraries = text.split_whitespace().filter(|word| word.starts_with('/'));
        for file in libraries.chain([*program]) {
            let to = root.join(file.trim_start_matches('/'));
            fs::create_dir_all(to.parent().expect("it has one")).expect("made");
            fs::copy(file, to).expect("copied");
        }
    }
}

/// Packs a directory as a layer, `names` only.
fn layer(root: &Path, names: &[&str]) -> Vec<u8> {
    let tar = Command::new("tar").args(["--sort=name", "--mtime=@0", "-cf", "-", "-C"]).arg(root).args(names).output();
    tar.expect("tar runs").stdout
}

/// Writes an image layout with these layers; returns the digest of its manifest.
pub(crate) fn layout(directory: &Path, layers: &[Vec<u8>]) -> String {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("made");
    let put = |media_type: &str, bytes: &[u8]| -> Value {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).expect("written");
        json!({"mediaType": format!("application/vnd.oci.image.{media_type}"), "digest": digest, "size": bytes.len()})
    };
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let config = put(
        "config.v1+json",
        json!({
            "architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "config": {"Env": ["PATH=/opt/bin:/usr/bin:/bin", "GREETING=hello"]},
        })
        .to_string()
        .as_bytes(),
    );
    let layers: Vec<Value> = layers.iter().map(|layer| put("layer.v1.tar", layer)).collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers,
    });
    let manifest = put("manifest.v1+json", manifest.to_string().as_bytes());
    fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(directory.join("index.json"), index.to_string()).expect("written");
    manifest["digest"].as_str().expect("it has one").to_owned()
}

/// A base with a shell, `cat` and a tool of its own in `/opt/bin`; its second layer takes back what the first brought too much.
fn shell_image(place: &Place) -> (PathBuf, String) {
    let root = place.root().join("root");
    install(&["/bin/sh", "/bin/cat"], &root);
    for (path, text) in [
        ("opt/bin/tool", "#!/bin/sh\necho \"$GREETING from the image\"\n"),
        ("opt/old", "this goes"),
        ("etc/os-release", "ID=testing\nVERSION_ID=7\n"),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        fs::write(path, text).expect("written");
    }
    let chmod = Command::new("chmod").arg("4755").arg(root.join("opt/bin/tool")).status().expect("chmod runs");
    assert!(chmod.success());
    let first = layer(&root, &["."]);
    let second_root = place.root().join("second");
    fs::create_dir_all(second_root.join("opt")).expect("made");
    fs::write(second_root.join("opt/.wh.old"), "").expect("written");
    let second = layer(&second_root, &["opt/.wh.old"]);
    let directory = place.work().join("image");
    let digest = layout(&directory, &[first, second]);
    (directory, digest)
}

/// A project whose one step says what it sees of its base.
fn project(place: &Place, name: &str, image: &str) -> PathBuf {
    let directory = place.work().join(name);
    fs::create_dir_all(&directory).expect("made");
    fs::write(
        directory.join("assay.toml"),
        format!(
            r#"version = 1
[project]
name = "seen"
owners = ["ada@example.org"]
[base]
image = "{image}"
[[step]]
name = "look"
run = ["/bin/sh", "-c", "{{ tool; cat /etc/os-release; for f in /opt/*; do echo $f; done; }} > seen"]
[[artifact]]
name = "seen"
path = "seen"
"#
        ),
    )
    .expect("written");
    git(&directory, &["init", "-q"]);
    git(&directory, &["add", "."]);
    git(&directory, &["commit", "-q", "-m", "a project"]);
    directory
}

const SEEN: &str = "hello from the image\nID=testing\nVERSION_ID=7\n/opt/bin\n";

fn artifact(place: &Place, directory: &Path) -> String {
    let built = place.json(directory, 0, &["build"]);
    assert_eq!(built["complete"], json!(true), "{built}");
    assert_eq!(built["artifacts"][0]["digest"], json!(Digest::of(SEEN.as_bytes())), "{built}");
    built["artifacts"][0]["digest"].as_str().expect("it has one").to_owned()
}

#[test]
fn a_build_sees_the_image_of_a_registry_and_nothing_else() {
    let place = Place::new("base-registry");
    let registry = Registry::start(&place);
    let (image, digest) = shell_image(&place);
    let copied = Command::new("skopeo")
        .args(["copy", "-q", "--dest-tls-verify=false", "--preserve-digests"])
        .arg(format!("oci:{}", image.display()))
        .arg(format!("docker://{}/team/base:1", registry.host))
        .status()
        .expect("skopeo runs");
    assert!(copied.success());
    let reference = format!("{}/team/base:1@{digest}", registry.host);
    let directory = project(&place, "project", &reference);
    let locked = place.json(&directory, 0, &["lock"]);
    let lock = fs::read_to_string(directory.join("assay.lock")).expect("it is written");
    for line in [
        "version = 3".to_owned(),
        "distribution = \"testing 7\"".to_owned(),
        format!("reference = \"{reference}\""),
        format!("digest = \"{digest}\""),
        "    \"GREETING=hello\",".to_owned(),
    ] {
        assert!(lock.lines().any(|other| other == line), "{line}\n{lock}");
    }
    artifact(&place, &directory);

    // The registry is gone: the store has all of it.
    drop(registry);
    let again = place.json(&directory, 0, &["lock", "--check"]);
    assert_eq!(again["base"], locked["base"]);
    let data = place.home().join("data");
    let tree = locked["base"].as_str().expect("a digest").trim_start_matches("sha256:");
    let tree = data.join("trees/sha256").join(tree);
    let writable = Command::new("chmod").args(["-R", "u+w"]).arg(&tree).status().expect("chmod runs");
    assert!(writable.success());
    fs::remove_dir_all(&tree).expect("removed");
    let again = place.json(&directory, 0, &["build", "--again"]);
    assert_eq!(again["rebuilt"]["equal"], json!(true), "{again}");
    assert!(tree.is_dir(), "the build made the tree of the layers again");
}

#[test]
fn a_layout_and_a_server_of_ours_give_the_same_base() {
    let place = Place::new("base-layout");
    let (image, digest) = shell_image(&place);
    let directory = project(&place, "project", "oci:../image");
    let of_layout = place.json(&directory, 0, &["lock"]);
    artifact(&place, &directory);

    let server = Place::new("base-server");
    let served = Server::start(&server);
    let host = served.address.trim_start_matches("http://").to_owned();
    let copied = Command::new("skopeo")
        .args(["copy", "-q", "--dest-tls-verify=false", "--preserve-digests", "--dest-creds"])
        .arg(format!("operator:{}", server.operator()))
        .arg(format!("oci:{}", image.display()))
        .arg(format!("docker://{host}/base:1"))
        .status()
        .expect("skopeo runs");
    assert!(copied.success());
    let target = format!("{host}/base:1");
    let reader = Place::new("base-reader");
    let other = project(&reader, "other", &format!("{target}@{digest}"));
    let denied = reader.assay(&other, &["lock", "--json"]).exits(2).json();
    assert!(denied["error"]["message"].as_str().expect("a message").contains("401"), "{denied}");
    let of_server = reader.json(&other, 0, &["lock", "--server", &served.address, "--token", &server.operator()]);
    assert_eq!(of_server["base"], of_layout["base"]);
}

#[test]
fn an_image_that_is_not_pinned_or_not_there_is_an_error_with_what_to_do() {
    let place = Place::new("base-errors");
    let directory = project(&place, "project", "127.0.0.1:1/team/base:1");
    let error = place.assay(&directory, &["lock", "--json"]).exits(2).json();
    assert_eq!(error["error"]["where"]["line"], 6, "{error}");
    assert!(error["error"]["hint"].as_str().expect("a hint").contains("assay env freeze"), "{error}");
    let none = Digest::of(b"none");
    let directory = project(&place, "other", &format!("oci:../image@{none}"));
    let error = place.assay(&directory, &["lock", "--json"]).exits(2).json();
    let message = error["error"]["message"].as_str().expect("a message");
    assert!(message.contains("of the image layout"), "{message}");
}

/// Every file below a directory with its bytes, mode and time, as `tar` packs them.
fn packed(directory: &Path) -> Digest {
    let tar = Command::new("tar")
        .args(["--sort=name", "--numeric-owner", "--owner=0", "--group=0", "-cf", "-", "-C"])
        .arg(directory)
        .arg(".")
        .output()
        .expect("tar runs");
    assert!(tar.status.success());
    Digest::of(&tar.stdout)
}

/// Runs a command of the product in a network namespace without interfaces.
fn without_network(place: &Place, directory: &Path, exit: i32, arguments: &[&str]) -> Value {
    let program = place.program(directory);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net"]).arg(program.get_program()).args(arguments).arg("--json");
    command.current_dir(directory).env_clear();
    for (name, value) in program.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    crate::place::ran(command.output().expect("unshare runs")).exits(exit).json()
}

fn put_in(place: &Place, from: &Path) -> PathBuf {
    let to = place.work().join("project");
    let copied = Command::new("cp").arg("-r").arg(from).arg(&to).status().expect("cp runs");
    assert!(copied.success());
    to
}

/// Changes one byte of a file of a store.
fn flip(path: &Path) {
    let directory = path.parent().expect("it has one");
    let writable = Command::new("chmod").args(["u+w"]).arg(directory).arg(path).status().expect("chmod runs");
    assert!(writable.success());
    let mut bytes = fs::read(path).expect("read");
    bytes[0] ^= 1;
    fs::write(path, bytes).expect("written");
}

/// M5.1 M5.2
#[test]
fn another_machine_makes_the_same_base_without_a_network() {
    let (here, there) = (Place::new("provision-here"), Place::new("provision-there"));
    let (image, _) = shell_image(&here);
    let directory = project(&here, "project", "oci:../image");
    let locked = here.json(&directory, 0, &["lock"]);
    // The other machine has the project and what an operator copied: the data directory, and nothing of the image.
    let project = put_in(&there, &directory);
    let copy = there.root().join("copy");
    let copied = Command::new("cp").arg("-r").arg(here.home().join("data")).arg(&copy).status().expect("cp runs");
    assert!(copied.success());
    fs::remove_dir_all(image).expect("removed");

    let none = without_network(&there, &project, 1, &["env", "provision", "../root"]);
    assert_eq!(none["error"]["code"], "not-held", "{none}");
    let message = none["error"]["message"].as_str().expect("a message");
    assert!(message.contains("index.json") || message.contains("is not in the store"), "{message}");

    let from = copy.to_str().expect("it is text");
    let first = without_network(&there, &project, 0, &["env", "provision", "../one", "--from", from]);
    assert_eq!(first["tree"], locked["base"], "{first}");
    assert!(first["taken"]["blobs"].as_u64().is_some_and(|blobs| blobs >= 4), "{first}");
    let second = without_network(&there, &project, 0, &["env", "provision", "../two", "--oci", "../oci"]);
    assert_eq!(second["tree"], first["tree"]);
    let work = there.work();
    assert_eq!(packed(&work.join("one")), packed(&work.join("two")));
    let again = without_network(&there, &project, 0, &["env", "provision", "--oci", "../again"]);
    assert_eq!((&again["image"], &again["diff_ids"]), (&second["image"], &second["diff_ids"]));
    assert_eq!(packed_bytes(&work.join("oci")), packed_bytes(&work.join("again")));
    artifact(&there, &project);

    let occupied = there.assay(&project, &["env", "provision", "../one", "--json"]).exits(2).json();
    assert_eq!(occupied["error"]["code"], "occupied", "{occupied}");
    let inspected = Command::new("skopeo").arg("inspect").arg(format!("oci:{}", work.join("oci").display())).output();
    let inspected: Value = serde_json::from_slice(&inspected.expect("skopeo runs").stdout).expect("it is JSON");
    assert_eq!(inspected["Digest"], second["image"], "{inspected}");
    assert_eq!(podman_run(&there, &work.join("oci"), &["/opt/bin/tool"]), "hello from the image\n");
}

/// Every file of a layout and its digest.
fn packed_bytes(directory: &Path) -> Vec<(String, Digest)> {
    let found =
        Command::new("find").arg(directory).args(["-type", "f", "-printf", "%P\\n"]).output().expect("find runs");
    let names = String::from_utf8(found.stdout).expect("names are text");
    let mut files: Vec<(String, Digest)> = names
        .lines()
        .map(|name| (name.to_owned(), Digest::of(&fs::read(directory.join(name)).expect("read"))))
        .collect();
    files.sort();
    files
}

/// Podman runs a program of an image layout, without a network, and says what it printed.
fn podman_run(place: &Place, layout: &Path, program: &[&str]) -> String {
    // Podman takes no long path for its state.
    let state = std::env::temp_dir().join(format!("assay-podman-{}", std::process::id()));
    let podman = || {
        let mut command = Command::new("podman");
        command.args(["--storage-driver", "vfs", "--root"]).arg(place.root().join("podman"));
        command.arg("--runroot").arg(&state);
        command
    };
    let pulled = podman().arg("pull").arg("-q").arg(format!("oci:{}", layout.display())).output().expect("podman runs");
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    let id = String::from_utf8_lossy(&pulled.stdout).trim().to_owned();
    let mut run = podman();
    run.args([
        "run",
        "--rm",
        "--runtime",
        "runc",
        "--ulimit",
        "nofile=1024:1024",
        "--ulimit",
        "nproc=4096:4096",
        "--network",
        "none",
        "--log-driver",
        "none",
        &id,
    ])
    .args(program);
    let ran = run.output().expect("podman runs");
    let _removed = podman().args(["rmi", "-f", &id]).output();
    let _removed = fs::remove_dir_all(&state);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// M5.3
#[test]
fn a_flipped_byte_of_the_base_is_found_and_named() {
    let place = Place::new("base-flipped");
    shell_image(&place);
    let directory = project(&place, "project", "oci:../image");
    let locked = place.json(&directory, 0, &["lock"]);
    let whole = place.json(&directory, 0, &["build", "--paranoid"]);
    assert_eq!(whole["rehashed"]["trees"], 1, "{whole}");
    assert!(whole["rehashed"]["entries"].as_u64().is_some_and(|entries| entries > 10), "{whole}");
    assert_eq!(whole["rehashed"]["blobs"], 4, "manifest, config and two layers: {whole}");
    assert_eq!(place.json(&directory, 0, &["build"])["rehashed"], Value::Null);

    let data = place.home().join("data");
    let hex = locked["base"].as_str().expect("a digest").trim_start_matches("sha256:");
    let tool = data.join("trees/sha256").join(hex).join("opt/bin/tool");
    flip(&tool);
    let refused = place.assay(&directory, &["build", "--paranoid", "--json"]).exits(1).json();
    assert_eq!(refused["error"]["code"], "damaged", "{refused}");
    let told = refused["error"].to_string();
    assert!(told.contains("opt/bin/tool") && told.contains("has other content"), "{told}");
    let refused = place.assay(&directory, &["test", "--paranoid", "--json"]).exits(1).json();
    assert_eq!(refused["error"]["code"], "damaged", "{refused}");
    for arguments in
        [&["env", "provision", "../root", "--json"][..], &["env", "provision", "--oci", "../oci", "--json"]]
    {
        let refused = place.assay(&directory, arguments).exits(1).json();
        assert_eq!(refused["error"]["code"], "damaged", "{refused}");
        assert!(refused["error"]["message"].as_str().is_some_and(|told| told.contains("opt/bin")), "{refused}");
    }
    assert!(!place.work().join("root").exists() && !place.work().join("oci/index.json").exists());
    let scrubbed = place.json(&directory, 1, &["admin", "fsck"]);
    assert!(scrubbed["findings"].to_string().contains("opt/bin/tool"), "{scrubbed}");

    // A layer is an input too.
    let lock = fs::read_to_string(directory.join("assay.lock")).expect("read");
    let layer =
        lock.lines().find_map(|line| line.trim().strip_prefix("\"sha256:")).expect("a layer").trim_end_matches("\",");
    flip(&data.join("blobs/sha256").join(&layer[..2]).join(&layer[2..]));
    let refused = place.assay(&directory, &["build", "--paranoid", "--json"]).exits(1).json();
    assert!(refused["error"]["also"].to_string().contains("the image's layer"), "{refused}");
}

#[test]
fn freezing_pins_what_was_loose_and_keeps_the_rest_of_the_file() {
    let place = Place::new("freeze");
    let registry = Registry::start(&place);
    let (image, digest) = shell_image(&place);
    let copied = Command::new("skopeo")
        .args(["copy", "-q", "--dest-tls-verify=false", "--preserve-digests"])
        .arg(format!("oci:{}", image.display()))
        .arg(format!("docker://{}/team/base:1", registry.host))
        .status()
        .expect("skopeo runs");
    assert!(copied.success());
    let loose = format!("{}/team/base:1", registry.host);
    let directory = project(&place, "project", &loose);
    let path = directory.join("assay.toml");
    let before = format!("# a comment\n{}", fs::read_to_string(&path).expect("read"));
    fs::write(&path, &before).expect("written");
    let would = place.json(&directory, 1, &["env", "freeze", "--check"]);
    assert_eq!(would["changes"][0]["to"], json!(format!("{loose}@{digest}")), "{would}");
    assert_eq!(fs::read_to_string(&path).expect("read"), before);
    place.json(&directory, 0, &["env", "freeze"]);
    let pinned = before.replace(&loose, &format!("{loose}@{digest}"));
    assert_eq!(fs::read_to_string(&path).expect("read"), pinned);
    assert_eq!(place.json(&directory, 0, &["env", "freeze"])["changed"], json!(false));
    place.json(&directory, 0, &["lock"]);

    let installed =
        Command::new("dpkg-query").args(["-W", "-f", "${Version}", "dash"]).output().expect("dpkg-query runs");
    let version = String::from_utf8(installed.stdout).expect("it is text");
    let packages =
        |dash: &str| pinned.replace(&format!("image = \"{loose}@{digest}\""), &format!("packages = [\"{dash}\"]"));
    fs::write(&path, packages("dash")).expect("written");
    place.json(&directory, 0, &["env", "freeze"]);
    assert_eq!(fs::read_to_string(&path).expect("read"), packages(&format!("dash={version}")));
    place.json(&directory, 0, &["lock"]);
    fs::write(&path, packages("dash=0.1")).expect("written");
    for arguments in [&["env", "freeze", "--json"][..], &["lock", "--json"]] {
        let refused = place.assay(&directory, arguments);
        assert_ne!(refused.exit, 0);
        let told = refused.json()["error"]["message"].to_string();
        assert!(told.contains(&format!("dash 0.1 ≠ {version}")), "{told}");
    }
    place.json(&directory, 0, &["env", "freeze", "--refresh"]);
    assert_eq!(fs::read_to_string(&path).expect("read"), packages(&format!("dash={version}")));
}

#[test]
fn a_service_stands_upon_the_base_that_it_was_built_in() {
    let place = Place::new("upon-base");
    shell_image(&place);
    let directory = project(&place, "project", "oci:../image");
    let path = directory.join("assay.toml");
    let mut text = fs::read_to_string(&path).expect("read");
    text = text.replace("> seen\"]", "> seen; echo 'tool; cat /seen' > start\"]");
    text.push_str(
        r#"[[artifact]]
name = "start"
path = "start"
[image]
name = "service"
artifacts = ["seen", "start"]
entrypoint = ["/bin/sh", "/start"]
libraries = "base"
"#,
    );
    fs::write(&path, text).expect("written");
    place.json(&directory, 0, &["lock"]);
    let built = place.json(&directory, 0, &["build", "-o", "../out"]);
    let again = place.json(&directory, 0, &["build", "--again"]);
    assert_eq!(again["rebuilt"]["equal"], json!(true), "{again}");
    let base = place.json(&directory, 0, &["env", "provision", "--oci", "../oci"]);
    let layout = place.work().join("out/service.oci");
    let mut config = Command::new("skopeo");
    config.args(["inspect", "--config", "--raw"]).arg(format!("oci:{}", layout.display()));
    let config = config.output().expect("skopeo runs");
    let config: Value = serde_json::from_slice(&config.stdout).expect("it is JSON");
    assert_eq!(config["rootfs"]["diff_ids"][0], base["diff_ids"][0], "{built}");
    assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(2));
    assert_eq!(podman_run(&place, &layout, &[]), format!("hello from the image\n{SEEN}"));
}

/// A repository of one package in a directory, and an apt that knows nothing else.
struct Repository {
    config: PathBuf,
    directory: PathBuf,
}

impl Repository {
    fn new(place: &Place) -> Repository {
        let root = place.root();
        let (tree, directory, apt) = (root.join("tree"), root.join("repository"), root.join("apt"));
        for part in ["state/lists/partial", "cache/archives/partial", "etc"] {
            fs::create_dir_all(apt.join(part)).expect("made");
        }
        fs::create_dir_all(&directory).expect("made");
        let apt_shown = apt.display();
        fs::write(
            root.join("apt.conf"),
            format!(
                "Dir \"{apt_shown}\";\nDir::State \"{apt_shown}/state\";\nDir::Cache \"{apt_shown}/cache\";\n\
                 Dir::Etc \"{apt_shown}/etc\";\nDir::State::status \"{apt_shown}/status\";\nAPT::Sandbox::User \"\";\n"
            ),
        )
        .expect("written");
        fs::write(apt.join("status"), "").expect("written");
        fs::write(apt.join("etc/sources.list"), format!("deb [trusted=yes] file:{} ./\n", directory.display()))
            .expect("written");
        install(&["/bin/sh", "/bin/cat"], &tree);
        for (path, text) in [
            ("opt/bin/tool", "#!/bin/sh\necho \"$GREETING from the image\"\n"),
            ("opt/seen", "ID=testing\nVERSION_ID=7\n"),
            (
                "DEBIAN/postinst",
                "#!/bin/sh\nupdate-alternatives --install /usr/bin/tool tool /opt/bin/tool 1\nln -s a b\n",
            ),
        ] {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            fs::write(path, text).expect("written");
        }
        let programs = ["opt/bin/tool", "DEBIAN/postinst"].map(|path| tree.join(path));
        assert!(Command::new("chmod").arg("755").args(programs).status().expect("chmod runs").success());
        Repository { config: root.join("apt.conf"), directory }
    }

    /// Puts a version of the package there, in place of the former, and has apt read the index.
    fn publish(&self, place: &Place, version: &str) {
        let tree = place.root().join("tree");
        let text = |more: &str| {
            format!(
                "Package: shell\nVersion: {version}\nArchitecture: all\nMaintainer: Ada <ada@example.org>\n{more}Description: a shell\n"
            )
        };
        fs::write(tree.join("DEBIAN/control"), text("")).expect("written");
        let name = format!("shell_{version}_all.deb");
        let mut packed = Command::new("dpkg-deb");
        packed.args(["--root-owner-group", "-Zzstd", "--build"]).arg(&tree).arg(self.directory.join(&name));
        let packed = packed.output().expect("dpkg-deb runs");
        assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
        let bytes = fs::read(self.directory.join(&name)).expect("read");
        let digest = Digest::of(&bytes);
        let more = format!("Filename: ./{name}\nSize: {}\nSHA256: {}\n", bytes.len(), digest.hex());
        fs::write(self.directory.join("Packages"), text(&more)).expect("written");
        let updated = Command::new("apt-get").args(["update", "-qq"]).env("APT_CONFIG", &self.config).output();
        let updated = updated.expect("apt-get runs");
        assert!(updated.status.success(), "{}", String::from_utf8_lossy(&updated.stderr));
    }

    #[track_caller]
    fn json(&self, place: &Place, directory: &Path, exit: i32, arguments: &[&str]) -> Value {
        let mut command = place.program(directory);
        let output = command.args(arguments).arg("--json").env("APT_CONFIG", &self.config).output();
        crate::place::ran(output.expect("the program runs")).exits(exit).json()
    }
}

/// M2.2 M5.2
#[test]
fn packages_that_are_not_installed_are_a_base_by_their_files() {
    let place = Place::new("debs");
    let repository = Repository::new(&place);
    repository.publish(&place, "1.0");
    let directory = project(&place, "project", "oci:../image");
    let path = directory.join("assay.toml");
    let text = fs::read_to_string(&path).expect("read");
    let text = text.replace("image = \"oci:../image\"", "packages = [\"shell\"] # ours\nfrom = \"archive\"");
    let text = text.replace("tool; cat /etc/os-release;", "GREETING=hello tool; cat /opt/seen;");
    fs::write(&path, text.replace("for f in /opt/*; do echo $f; done;", "echo /opt/bin;")).expect("written");

    let frozen = repository.json(&place, &directory, 0, &["env", "freeze"]);
    assert_eq!(frozen["changes"], json!([{"from": "shell", "to": "shell=1.0"}]));
    let text = fs::read_to_string(&path).expect("read");
    assert!(text.contains("packages = [\"shell=1.0\"] # ours\n"), "{text}");
    let locked = repository.json(&place, &directory, 0, &["lock"]);
    assert_eq!(locked["notes"], json!(["`shell`: a script, which is not run, makes links"]));
    let lock = fs::read_to_string(directory.join("assay.lock")).expect("read");
    let package = repository.directory.join("shell_1.0_all.deb");
    let deb = Digest::of(&fs::read(&package).expect("read"));
    assert!(lock.contains("version = 3\n") && lock.contains(&format!("deb = \"{deb}\"\n")), "{lock}");
    artifact(&place, &directory);

    // The repository has another version, and not the old one: who froze is told, and what is kept still builds.
    repository.publish(&place, "1.1");
    fs::remove_file(package).expect("removed");
    let refused = repository.json(&place, &directory, 1, &["env", "freeze"]);
    let told = refused["error"]["message"].as_str().expect("a message");
    assert!(told.contains("shell 1.0 ≠ 1.1"), "{told}");
    let refused = repository.json(&place, &directory, 2, &["lock"]);
    let told = refused["error"]["message"].as_str().expect("a message");
    assert!(told.contains("Version '1.0' for 'shell' was not found"), "{told}");
    let hex = locked["base"].as_str().expect("a digest").trim_start_matches("sha256:");
    let tree = place.home().join("data/trees/sha256").join(hex);
    let writable = Command::new("chmod").args(["-R", "u+w"]).arg(&tree).status().expect("chmod runs");
    assert!(writable.success());
    fs::remove_dir_all(&tree).expect("removed");
    let made = without_network(&place, &directory, 0, &["env", "provision", "../root"]);
    assert_eq!(made["tree"], locked["base"]);
    let again = place.json(&directory, 0, &["build", "--again"]);
    assert_eq!(again["rebuilt"]["equal"], json!(true), "{again}");

    // Damaged, it is named before anything is made of it.
    let stored = deb.hex();
    flip(&place.home().join("data/blobs/sha256").join(&stored[..2]).join(&stored[2..]));
    let damaged = place.assay(&directory, &["build", "--paranoid", "--json"]).exits(1).json();
    assert!(damaged["error"]["message"].as_str().is_some_and(|told| told.contains("`shell`")), "{damaged}");
}
