//! The golden thread: one commit through every noun of the chain, by the shipped binary, on the example service.
//!
//! M1.2 M1.5 M2.1 M2.3 M2.4 M2.6 M3.1–M3.4 M4.2 M5.5 M7.1 M7.6 M11.1

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::evidence::bill_of_materials;
use crate::place::{Place, free_port, git, ran};

/// A copy of the example, described, with a free port, pinned and committed.
pub(crate) fn prepared(place: &Place) -> PathBuf {
    let project = place.copy("examples/greeter");
    git(&project, &["init", "--quiet"]);
    place.assay(&project, &["init"]).exits(0);
    let free = free_port().to_string();
    let spec = project.join("assay.toml");
    let text = fs::read_to_string(&spec).expect("assay.toml").replace("8080", &free);
    let text = text.replace(
        "stop = \"SIGTERM\"",
        &format!("stop = \"SIGTERM\"\nvariables = {{ GREETER_LISTEN = \"127.0.0.1:{free}\" }}"),
    );
    fs::write(&spec, text).expect("assay.toml");
    place.assay(&project, &["check"]).exits(0);
    place.assay(&project, &["lock"]).exits(0);
    git(&project, &["add", "--all"]);
    git(&project, &["commit", "--quiet", "-m", "greeter: as it goes to production"]);
    project
}

fn stop_service(place: &Place) {
    let pids = Command::new("pkill").args(["-TERM", "-f", &format!("__service.*{}", place.home().display())]).status();
    assert!(pids.is_ok(), "pkill runs");
}

fn rule<'a>(verdict: &'a Value, name: &str) -> &'a Value {
    let rules = verdict["rules"].as_array().expect("rules");
    rules.iter().find(|rule| rule["name"] == name).unwrap_or_else(|| panic!("no rule `{name}` in {verdict}"))
}

#[test]
fn a_commit_travels_to_production_and_back() {
    let place = Place::new("chain");
    let project = prepared(&place);
    let commit = git(&project, &["rev-parse", "HEAD"]);

    // M2.1: the lock is the same when made again.
    let again = place.json(&project, 0, &["lock"]);
    assert_eq!(again["changed"], false);

    // Build: complete at the best level, and found again when nothing changed.
    let built = place.json(&project, 0, &["build"]);
    assert_eq!((&built["complete"], &built["cached"], &built["undeclared"]), (&json!(true), &json!(false), &json!([])));
    let digest = built["artifacts"][0]["digest"].as_str().expect("a digest").to_owned();
    assert_eq!(built["artifacts"][0]["name"], "greeter");
    bill_of_materials(&place, &project, &built);
    let cached = place.json(&project, 0, &["build", "--recheck", "0"]);
    assert_eq!((&cached["cached"], &cached["recipe"], &cached["run"]), (&json!(true), &built["recipe"], &built["run"]));

    // The gate names what is missing, and the command that makes it.
    let refused = place.json(&project, 1, &["gate", "greeter", "--env", "production"]);
    assert_eq!(refused["result"], "unknown");
    assert_eq!(rule(&refused, "rebuilt")["result"], "unknown");
    assert!(rule(&refused, "rebuilt")["fix"].as_str().expect("a fix").contains("assay build --again"));
    assert!(rule(&refused, "tests-passed")["fix"].as_str().expect("a fix").contains("assay test"));
    let deploy = place.json(&project, 1, &["deploy", "greeter", "production"]);
    assert_eq!(deploy["live"], false);

    // M2.6 and M7.6: built again, tested twice, attested.
    let rebuilt = place.json(&project, 0, &["build", "--again"]);
    assert_eq!((&rebuilt["rebuilt"]["equal"], &rebuilt["rebuilt"]["times"]), (&json!(true), &json!(2)));
    assert_eq!(rebuilt["recipe"], built["recipe"], "the recipe of two builds is one statement");
    let tests = place.json(&project, 0, &["test"]);
    assert_eq!(tests["result"], "pass");
    assert_eq!(place.json(&project, 0, &["verify", "greeter"])["result"], "pass");
    assert_eq!(place.json(&project, 0, &["gate", "greeter", "--env", "production", "--record"])["result"], "pass");

    // M5.5: live, and seen to be.
    let deployed = place.json(&project, 0, &["deploy", "greeter", "production"]);
    assert_eq!(deployed["live"], true);
    let names: Vec<&str> =
        deployed["steps"].as_array().expect("steps").iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!(names, ["unpack", "switch", "restart", "health"]);
    let observed = place.json(&project, 0, &["env", "observe", "production"]);
    assert_eq!((&observed["agrees"], &observed["observed"]), (&json!(true), &json!(digest)));
    let pid = observed["process"]["pid"].as_u64().expect("a pid");

    // M11.1: the walk back from the running program to the commit, and forward from the commit to what is live.
    for start in ["production".to_owned(), "greeter".to_owned(), format!("/proc/{pid}/exe")] {
        let why = place.json(&project, 0, &["why", &start]);
        let ids: Vec<&str> = why["nodes"].as_array().expect("nodes").iter().filter_map(|n| n["id"].as_str()).collect();
        assert!(ids.contains(&format!("git:{commit}").as_str()), "why {start}");
        assert!(ids.contains(&"identity:Ada <ada@example.org>"), "why {start}");
        assert!(ids.iter().any(|id| id.starts_with("pkg:cargo/serde@")), "why {start}");
    }
    for start in [commit.as_str(), "serde@1.0.229", &digest] {
        let found = place.json(&project, 0, &["where", start]);
        let ids: Vec<&str> =
            found["nodes"].as_array().expect("nodes").iter().filter_map(|n| n["id"].as_str()).collect();
        assert!(ids.contains(&"env:production"), "where {start}: {ids:?}");
    }

    // Integrity at rest, and tables that can be made again.
    assert_eq!(place.json(&project, 0, &["admin", "fsck"])["result"], "pass");
    let before = place.json(&project, 0, &["why", "production"]);
    place.json(&project, 0, &["admin", "reindex"]);
    assert_eq!(place.json(&project, 0, &["why", "production"]), before, "reindex gives the same answers");

    second_release(&place, &project, &digest);
    by_another_user(&place, &project, &built);
    crate::foreign::stock_verifier_accepts(&place, &project);
    stop_service(&place);
}

/// A new version goes live; rolling back restores the former digest.
fn second_release(place: &Place, project: &Path, former: &str) {
    let edit = "grep -rl Hello src tests | xargs sed -i 's/Hello/Good day/g'";
    assert!(Command::new("sh").args(["-c", edit]).current_dir(project).status().expect("sh runs").success());

    // M3.4: uncommitted changes are refused by name.
    place.json(project, 0, &["build"]);
    let dirty = place.json(project, 1, &["gate", "greeter", "--env", "production"]);
    assert_eq!(rule(&dirty, "no-uncommitted-changes")["result"], "fail", "{dirty}");
    git(project, &["commit", "--quiet", "--all", "-m", "greeter: a better greeting"]);

    let built = place.json(project, 0, &["build", "--again"]);
    let digest = built["artifacts"][0]["digest"].as_str().expect("a digest").to_owned();
    assert_ne!(digest, former);
    place.json(project, 0, &["test"]);
    let live = place.json(project, 0, &["deploy", "greeter", "production"]);
    assert_eq!((&live["live"], &live["previous"]), (&json!(true), &json!(former)));
    let back = place.json(project, 0, &["rollback", "production"]);
    assert_eq!((&back["live"], &back["subject"]["digests"][0]), (&json!(true), &json!(former)));
    let observed = place.json(project, 0, &["env", "observe", "production"]);
    assert_eq!(observed["observed"], json!(former));
}

/// Built again by an ordinary user, from another directory, from the store alone: the same bytes and the same recipe.
fn by_another_user(place: &Place, project: &Path, built: &Value) {
    let again = built_by_another_user(place, project, "HEAD~1");
    assert_eq!(again["rebuilt"]["equal"], true, "{again}");
    assert_eq!(again["artifacts"], built["artifacts"]);
    assert_eq!(again["recipe"], built["recipe"], "two builders, one recipe, byte for byte");
}

/// What `build --again` answers to a user who owns copies of home and project, and nothing else.
pub(crate) fn built_by_another_user(place: &Place, project: &Path, revision: &str) -> Value {
    assert!(rustix_is_root(), "this part needs to be root to become another user: run it in CI's container");
    // The repository may lie where another user cannot look.
    let other = std::env::temp_dir().join(format!("assay other user {} {revision}", std::process::id()));
    fs::create_dir(&other).expect("a directory");
    let script = format!(
        "cp -a '{home}' '{other}/home' && cp -a '{home}.heads' '{other}/home.heads' && rm -rf '{other}/home/deployments' && \
         cp -a '{project}' '{other}/elsewhere' && cd '{other}/elsewhere' && git checkout --quiet {revision} && chown -R 65534:65534 '{other}'",
        home = place.home().display(),
        other = other.display(),
        project = project.display(),
    );
    assert!(Command::new("bash").args(["-ec", &script]).status().expect("bash runs").success());
    let binary = other.join("assay");
    fs::copy(env!("CARGO_BIN_EXE_assay"), &binary).expect("the program");
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&binary)
        .args(["build", "--again", "--json"])
        .current_dir(other.join("elsewhere"))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", &other)
        .env("ASSAY_HOME", other.join("home"))
        .env("XDG_CACHE_HOME", other.join("cache"))
        .output()
        .expect("setpriv runs");
    assert!(
        Command::new("sh")
            .args(["-c", "chmod -R u+w \"$0\"; rm -rf \"$0\""])
            .arg(&other)
            .status()
            .expect("sh runs")
            .success()
    );
    ran(output).exits(0).json()
}

fn rustix_is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("proc");
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

#[test]
fn quickstart_takes_the_example_to_production() {
    let place = Place::new("quickstart");
    let story = place.json(&place.work(), 0, &["quickstart"]);
    assert_eq!(story["result"], "pass", "{story}");
    let steps: Vec<&str> =
        story["steps"].as_array().expect("steps").iter().filter_map(|s| s["step"].as_str()).collect();
    for step in [
        "copy", "init", "check", "lock", "commit", "build", "again", "test", "verify", "gate", "deploy", "observe",
        "why", "registry", "seal",
    ] {
        assert!(steps.contains(&step), "{steps:?}");
    }
    assert_eq!(fs::read_dir(place.work()).expect("a directory").count(), 0, "nothing is written where it was called");
    // What it says to try next works as it is typed, wherever the program lies.
    let next: Vec<&str> = story["next"].as_array().expect("commands").iter().filter_map(|c| c.as_str()).collect();
    let [why, serve, fsck] = next[..] else { panic!("three commands: {next:?}") };
    assert!(serve.contains(" serve "), "{serve}");
    for command in [why, fsck] {
        let program = place.program(&place.work());
        let variables = program.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(place.work()).env_clear().envs(variables);
        ran(shell.output().expect("a shell runs")).exits(0);
    }
}

/// A program without dependencies: what is no service is deployed as a release directory with a check.
pub(crate) fn tool(place: &Place) -> PathBuf {
    let project = place.work().join("tool");
    fs::create_dir_all(project.join("src")).expect("a directory");
    let write = |name: &str, text: &str| fs::write(project.join(name), text).expect("a file");
    write("Cargo.toml", "[package]\nname = \"tool\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n");
    write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"tool\"\nversion = \"0.1.0\"\n");
    write("src/main.rs", "fn main() {\n    println!(\"tool 0.1.0\");\n}\n\n#[test]\nfn works() {}\n");
    project
}

#[test]
fn quickstart_of_another_project_writes_nothing_into_it() {
    let place = Place::new("other-project");
    let project = tool(&place);
    let story = place.json(&place.work(), 0, &["quickstart", "tool"]);
    assert_eq!(story["result"], "pass", "{story}");
    let mut names: Vec<_> =
        fs::read_dir(&project).expect("readable").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["Cargo.lock", "Cargo.toml", "src"]);
    fs::rename(project.join("src/main.rs"), project.join("src/lib.rs")).expect("renamed");
    let error = place.json(&place.work(), 2, &["quickstart", "tool"]);
    assert!(error["error"]["message"].as_str().expect("a message").contains("`tool` is a library"), "{error}");
}

/// Where the machine allows no namespaces, the level is said, never lowered silently, and the gate refuses by its rule.
#[test]
fn without_namespaces_quickstart_runs_to_the_gate_and_is_refused() {
    let place = Place::new("trace-only");
    tool(&place);
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" quickstart tool";
    let mut program = place.program(&place.work());
    let output = Command::new("unshare")
        .args(["-Ur", "sh", "-c", script, env!("CARGO_BIN_EXE_assay")])
        .current_dir(place.work())
        .env_clear()
        .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .output();
    program.env_clear();
    let ran = ran(output.expect("unshare runs")).exits(1);
    for part in ["at level trace-only", "fail complete-hermetic-build", "--security-opt"] {
        assert!(ran.stderr.contains(part), "`{part}` is not in:\n{}", ran.stderr);
    }
}

#[test]
fn the_pipeline_itself_is_tested() {
    // M7.1
    let place = Place::new("pipeline");
    let project = prepared(&place);
    place.json(&project, 0, &["build", "--again"]);
    place.json(&project, 0, &["test"]);
    // Beside the live service, on the very port that it listens on.
    place.json(&project, 0, &["deploy", "greeter", "production"]);
    let before = place.json(&project, 0, &["env", "observe", "production"]);
    let tested = place.json(&project, 0, &["test", "--pipeline"]);
    assert_eq!(tested["suites"][0]["passed"].as_array().map(Vec::len), Some(6), "{tested}");
    assert_eq!(tested["network"], "own", "{tested}");
    let after = place.json(&project, 0, &["env", "observe", "production"]);
    assert_eq!((&after["process"], &after["agrees"]), (&before["process"], &json!(true)), "{after}");
    place.json(&project, 0, &["env", "stop", "production"]);
}
