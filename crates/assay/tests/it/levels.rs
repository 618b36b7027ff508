//! `assay` in containers, as a user starts it there: which level holds, what is said where one does not, and that the bytes are the
//! same at every level, for every user, inside and outside.
//!
//! A container's root directory is made of this machine's own files, read-only: no registry is needed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::chain::tool;
use crate::place::{Place, Ran, git, ran};

/// As `/work/home`, `/work/tool`: what the containers of one test share.
struct Machine {
    place: Place,
    root: PathBuf,
}

impl Machine {
    fn new(name: &str) -> Machine {
        for program in ["podman", "runc"] {
            let version = Command::new(program).arg("--version").output();
            assert!(
                version.is_ok_and(|o| o.status.success()),
                "`{program}` does not run here: `scripts/test` installs it"
            );
        }
        let place = Place::new(name);
        let root = place.root().join("root");
        for directory in ["dev", "etc", "opt", "proc", "root", "run", "sys", "tmp", "usr", "work", "var/lib/dpkg"] {
            fs::create_dir_all(root.join(directory)).expect("a directory");
        }
        for name in ["bin", "sbin", "lib", "lib64"] {
            if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
                symlink(target, root.join(name)).expect("a link");
            }
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("a mode");
        Machine { place, root }
    }

    /// Runs a shell's words in a new container, in `/work/tool`.
    fn run(&self, options: &[&str], words: &str) -> Ran {
        let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc runs").stdout;
        let sysroot = String::from_utf8(sysroot).expect("a path").trim().to_owned();
        let mut podman = Command::new("podman");
        // What podman asks for by default, this machine may not be allowed to give.
        podman.args([
            "run",
            "--rm",
            "--runtime",
            "runc",
            "--ulimit",
            "nofile=1024:1024",
            "--ulimit",
            "nproc=4096:4096",
        ]);
        podman.args(["--network", "none", "--log-driver", "none", "--workdir", "/work/tool"]);
        podman.args(["--env", &format!("PATH=/opt:{sysroot}/bin:/usr/bin:/bin"), "--env", "ASSAY_HOME=/work/home"]);
        podman.args(["--env", "HOME=/tmp"]);
        podman.args(["--volume", &format!("{}:/opt/assay:ro", env!("CARGO_BIN_EXE_assay"))]);
        podman.args(["--volume", &format!("{}:/work", self.place.work().display())]);
        for directory in ["/usr", "/etc", "/var/lib/dpkg", "/bin", "/sbin", "/lib", "/lib64", sysroot.as_str()] {
            if fs::symlink_metadata(directory).is_ok_and(|found| found.is_dir()) {
                podman.args(["--volume", &format!("{directory}:{directory}:ro")]);
            }
        }
        podman.args(options).arg("--rootfs").arg(&self.root).args(["sh", "-ec", words]);
        ran(podman.output().expect("podman runs"))
    }

    fn build(&self, options: &[&str], arguments: &str) -> Value {
        self.run(options, &format!("assay build --json {arguments}")).exits(0).json()
    }
}

/// The option of `start the container with ...` in a hint, a reason or a fix.
fn helping_options(text: &str) -> Vec<&str> {
    let (_, after) = text.split_once("start the container with `").unwrap_or_else(|| panic!("no option in: {text}"));
    after.split('`').next().expect("a first part").split_whitespace().collect()
}

/// Docker's own profile, where `scripts/test` puts it.
fn docker_profile() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/foreign/docker/seccomp.json");
    assert!(path.is_file(), "`{}` is missing: `scripts/test` fetches it", path.display());
    format!("seccomp={}", path.display())
}

/// The bytes, and the statement that names them with all that made them, are those of the host.
#[track_caller]
fn same(built: &Value, host: &Value) {
    assert_eq!(built["artifacts"], host["artifacts"], "{built}");
    assert_eq!(built["recipe"], host["recipe"], "{built}");
}

/// A small project, described, pinned, committed and built on the host.
fn prepared(machine: &Machine) -> (PathBuf, Value) {
    let project = tool(&machine.place);
    machine.place.assay(&project, &["init"]).exits(0);
    machine.place.assay(&project, &["lock"]).exits(0);
    git(&project, &["init", "--quiet"]);
    git(&project, &["add", "--all"]);
    git(&project, &["commit", "--quiet", "-m", "tool: as it is"]);
    let host = machine.place.json(&project, 0, &["build"]);
    assert_eq!((&host["complete"], &host["level"]), (&json!(true), &json!("full")), "{host}");
    (project, host)
}

#[test]
fn containers_build_the_same_bytes_and_say_their_level() {
    let machine = Machine::new("containers");
    let (project, host) = prepared(&machine);
    let lock = fs::read(project.join("assay.lock")).expect("a lock");

    // Podman's default covers parts of /proc, so the kernel gives no fresh one.
    machine.run(&[], "assay lock").exits(0);
    assert_eq!(fs::read(project.join("assay.lock")).expect("a lock"), lock, "a lock made in the container is the same");
    for (options, level) in [
        (&[][..], "no-proc"),
        (&["--security-opt", "unmask=ALL"][..], "full"),
        (&["--privileged"][..], "full"),
        (&["--cap-drop", "ALL", "--cap-add", "SETFCAP"][..], "no-proc"),
    ] {
        let built = machine.build(options, "--again");
        assert_eq!((&built["level"], &built["complete"]), (&json!(level), &json!(true)), "{options:?}: {built}");
        assert_eq!(built["rebuilt"]["equal"], true, "{options:?}: {built}");
        same(&built, &host);
    }

    // Without the one capability that maps root, there are no namespaces; the option that is named brings them back.
    let dropped = machine.build(&["--cap-drop", "ALL"], "--again");
    assert_eq!((&dropped["level"], &dropped["complete"]), (&json!("trace-only"), &json!(false)), "{dropped}");
    let reason = dropped["reasons"][0].as_str().expect("a reason");
    assert_eq!(helping_options(reason), ["--cap-add", "SETFCAP"], "{reason}");
    as_ordinary_user(&machine, &project, &host);
}

/// Inside as a user without rights, from a home and a lock of its own; outside as another, from the store alone.
fn as_ordinary_user(machine: &Machine, project: &Path, host: &Value) {
    let script =
        "rm -rf \"$0/user\" && mkdir \"$0/user\" && cp -a \"$1\" \"$0/user/tool\" && chown -R 1234:1234 \"$0/user\"";
    let work = machine.place.work();
    let copied = Command::new("sh").args(["-ec", script]).arg(&work).arg(project).status();
    assert!(copied.is_ok_and(|status| status.success()), "the project is given to another user");
    let user = ["--user", "1234:1234", "--workdir", "/work/user/tool", "--env", "ASSAY_HOME=/work/user/home"];
    machine.run(&user, "assay lock").exits(0);
    for (options, level) in [(&[][..], "no-proc"), (&["--security-opt", "unmask=ALL"][..], "full")] {
        let built = machine.build(&[&user, options].concat(), "--again");
        assert_eq!((&built["level"], &built["complete"]), (&json!(level), &json!(true)), "{options:?}: {built}");
        same(&built, host);
    }
    let outside = crate::chain::built_by_another_user(&machine.place, project, "HEAD");
    assert_eq!(outside["complete"], true, "{outside}");
    same(&outside, host);
}

/// Docker's default profile allows no namespaces: nothing is hidden, the gate refuses, and what it advises helps.
#[test]
fn under_dockers_profile_the_gate_refuses_and_its_advice_helps() {
    let machine = Machine::new("docker-profile");
    let (project, host) = prepared(&machine);
    let profile = docker_profile();
    let docker = ["--security-opt", profile.as_str()];
    machine.run(&docker, "assay lock").exits(0);
    let built = machine.build(&docker, "--again");
    assert_eq!((&built["level"], &built["complete"]), (&json!("trace-only"), &json!(false)), "{built}");
    assert_eq!(built["artifacts"], host["artifacts"], "{built}");
    let reasons: Vec<&str> = built["reasons"].as_array().expect("reasons").iter().filter_map(Value::as_str).collect();
    assert!(!reasons.iter().any(|reason| reason.contains("lost")), "ptrace is allowed, so all is seen: {reasons:?}");

    let gate = machine.run(&docker, "assay gate tool --env production --json").exits(1).json();
    let rules = gate["rules"].as_array().expect("rules");
    let rule = rules.iter().find(|rule| rule["name"] == "complete-hermetic-build").expect("the rule");
    assert_eq!(rule["result"], "fail", "{gate}");
    let text = machine.run(&docker, "assay gate tool --env production").exits(1);
    let text = text.stdout + &text.stderr;
    let advised = helping_options(&text);
    let helped = machine.build(&advised, "--again");
    assert_eq!((&helped["level"], &helped["complete"]), (&json!("full"), &json!(true)), "{advised:?}: {helped}");
    same(&helped, &host);
    demanded(&machine, &project, &docker);
}

/// A level that is asked for holds, or nothing is built: not anew, and not from the evidence of a weaker build.
fn demanded(machine: &Machine, project: &Path, docker: &[&str]) {
    git(project, &["commit", "--quiet", "--allow-empty", "-m", "tool: nothing changes, but this is another build"]);
    let error = machine.run(docker, "assay build --level no-proc --json").exits(2).json();
    assert_eq!(error["error"]["code"], "level", "{error}");
    assert!(error["error"]["message"].as_str().expect("a message").contains("making namespaces"), "{error}");
    let built = machine.build(&[], "--level no-proc");
    assert_eq!((&built["level"], &built["cached"]), (&json!("no-proc"), &json!(false)), "{built}");
    let error = machine.run(&[], "assay build --level full --json").exits(2).json();
    assert!(error["error"]["message"].as_str().expect("a message").contains("mounting a fresh `/proc`"), "{error}");
    let advised = helping_options(error["error"]["hint"].as_str().expect("a hint"));
    let built = machine.build(&advised, "--level full");
    assert_eq!((&built["level"], &built["cached"]), (&json!("full"), &json!(false)), "{built}");
    let error = machine.run(&[], "assay build --level best --json").exits(2);
    assert!(error.stderr.contains("full, no-proc, trace-only"), "{}", error.stderr);
}
