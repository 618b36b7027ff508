//! Deployments whose command, supervisor or service is killed, whose port or disk is taken; and what is observed then.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wire::digest::Digest;

use crate::chain::tool;
use crate::place::{Place, free_port, git, ran};

const SERVER: &str = r#"
use std::io::{Read, Write};
fn main() {
    let Some(address) = std::env::args().nth(1).filter(|word| word != "check") else { return };
    let listener = std::net::TcpListener::bind(address).expect("the port is free");
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        let _request = stream.read(&mut [0; 1024]);
        let _answer = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nV1");
    }
}

#[test]
fn works() {}
"#;

/// How long the world may take to become as it should.
const PATIENCE: Duration = Duration::from_secs(120);

/// A service that went live as version 1, with version 2 ready; stopped at the end.
struct Bench {
    place: Place,
    project: PathBuf,
    port: u16,
    versions: [String; 2],
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.place.assay(&self.project, &["env", "stop", "production"]);
    }
}

impl Bench {
    fn new(name: &str) -> Bench {
        let place = Place::new(name);
        let project = tool(&place);
        fs::write(project.join("src/main.rs"), SERVER).expect("a file");
        place.assay(&project, &["init"]).exits(0);
        let port = free_port();
        let spec = project.join("assay.toml");
        let text = fs::read_to_string(&spec).expect("assay.toml");
        let at = text.find("\nkind = \"").expect("an environment") + 1;
        let service = format!(
            "kind = \"service\"\nrun = [\"tool\", \"127.0.0.1:{port}\"]\nhealth = \"http://127.0.0.1:{port}/\"\nstop = \"SIGTERM\"\n\n\
             [environment.small]\npolicy = \"policies/production.toml\"\nkind = \"release\"\ncheck = [\"tool\", \"check\"]\n"
        );
        fs::write(&spec, format!("{}{service}", &text[..at])).expect("assay.toml");
        place.assay(&project, &["lock"]).exits(0);
        git(&project, &["init", "--quiet"]);
        let mut bench = Bench { place, project, port, versions: [String::new(), String::new()] };
        bench.versions = ["V1", "V2"].map(|version| bench.made(version));
        bench
    }

    fn made(&self, version: &str) -> String {
        fs::write(self.project.join("src/main.rs"), SERVER.replace("V1", version)).expect("a file");
        git(&self.project, &["add", "--all"]);
        git(&self.project, &["commit", "--quiet", "-m", version]);
        let built = self.place.json(&self.project, 0, &["build", "--again"]);
        self.place.json(&self.project, 0, &["test"]);
        built["artifacts"][0]["digest"].as_str().expect("a digest").to_owned()
    }

    fn directory(&self) -> PathBuf {
        self.place.home().join("deployments/production/tool")
    }

    fn deploy(&self, version: &str) -> Value {
        self.place.json(&self.project, 0, &["deploy", version, "production"])
    }

    fn observe(&self, exit: i32) -> Value {
        self.place.json(&self.project, exit, &["env", "observe", "production"])
    }

    /// Which version `current` leads to. Asserts that it, and every other that is there, is whole.
    #[track_caller]
    fn whole(&self) -> Option<String> {
        for entry in fs::read_dir(self.directory().join("versions")).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if !name.ends_with(".new") {
                assert_eq!(digest_of(&path.join("bin/tool")), format!("sha256:{name}"), "half a release");
            }
        }
        let target = fs::read_link(self.directory().join("current")).ok()?;
        assert!(self.directory().join(&target).join("bin/tool").is_file(), "`current` leads nowhere");
        Some(format!("sha256:{}", target.file_name().expect("a name").to_string_lossy()))
    }

    /// Process ids of supervisors, and of services.
    fn processes(&self) -> (Vec<u32>, Vec<u32>) {
        let (mut supervisors, mut services) = (Vec::new(), Vec::new());
        let directory = self.directory().display().to_string();
        for entry in fs::read_dir("/proc").expect("proc").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<String> = line.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
            if words.get(1).is_some_and(|word| word == "__service") && words[2].contains(&directory) {
                supervisors.push(pid);
            } else if words[0].starts_with(&directory) {
                services.push(pid);
            }
        }
        (supervisors, services)
    }

    /// One supervisor, one service, the version whole and live, and nothing else in the directory.
    #[track_caller]
    fn settled(&self, version: &str) {
        assert_eq!(self.whole().as_deref(), Some(version));
        let (supervisors, services) = self.processes();
        assert_eq!((supervisors.len(), services.len()), (1, 1), "{supervisors:?} {services:?}");
        let observed = self.observe(0);
        assert_eq!((&observed["observed"], &observed["process"]["pid"]), (&json!(version), &json!(services[0])));
        let mut names: Vec<String> = Vec::new();
        for place in [self.directory(), self.directory().join("versions")] {
            let entries = fs::read_dir(place).expect("readable").map(|entry| entry.expect("an entry").file_name());
            names.extend(entries.map(|name| name.to_string_lossy().into_owned()));
        }
        let unfinished: Vec<&String> =
            names.iter().filter(|name| name.ends_with(".new") || name.starts_with("journal")).collect();
        assert!(unfinished.is_empty(), "{unfinished:?}");
    }
}

fn digest_of(path: &Path) -> String {
    let mut file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Digest::of_reader(&mut file).expect("readable").0.to_string()
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn kill(pid: u32) {
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill runs");
    assert!(killed.success(), "no process {pid}");
    until("it is gone", || fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z ")));
}

/// The system calls by which a deployment changes the world.
const CALLS: &str = "rename,renameat2,symlink,symlinkat,unlink,unlinkat,mkdir,connect,clone,clone3,vfork";

/// Runs a command under strace, killed where `inject` says; returns whether it was killed, and the calls it made.
fn traced(bench: &Bench, arguments: &[&str], inject: Option<&str>) -> (bool, String) {
    let log = bench.place.root().join("strace");
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-y", "-o"]).arg(&log).args(["-e", &format!("trace={CALLS}")]);
    if let Some(inject) = inject {
        strace.args(["-e", inject]);
    }
    let program = bench.place.program(&bench.project);
    strace.arg(program.get_program()).args(arguments).current_dir(&bench.project).env_clear();
    strace.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let status = strace.output().expect("strace runs").status;
    (status.signal() == Some(9) || status.code() == Some(137), fs::read_to_string(&log).expect("a log"))
}

/// Where to kill: at each call that names the service's directory, or starts or asks something, as strace's `inject` says it.
fn kill_points(log: &str, directory: &Path) -> Vec<String> {
    let directory = directory.display().to_string();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut is_deploying = false;
    let mut out = Vec::new();
    for line in log.lines() {
        let Some((call, _)) = line.split_once('(') else { continue };
        let count = counts.entry(call).or_default();
        *count += 1;
        is_deploying |= line.contains(&directory);
        if line.contains(&directory) || is_deploying && (call.contains("clone") || ["vfork", "connect"].contains(&call))
        {
            out.push(format!("inject={call}:signal=KILL:when={count}"));
        }
    }
    out
}

/// A command that is killed anywhere, and typed again, ends as if it had not been.
#[test]
fn killed_at_any_step_the_same_command_ends_in_the_same_state() {
    let bench = Bench::new("killed");
    let [first, second] = bench.versions.clone();
    bench.deploy(&first);
    bench.settled(&first);
    let (killed, log) = traced(&bench, &["deploy", &second, "production"], None);
    assert!(!killed);
    bench.settled(&second);
    let points = kill_points(&log, &bench.directory());
    let count = |call: &str| points.iter().filter(|point| point.contains(call)).count();
    assert!(count("=rename") >= 5 && count("=symlink") >= 1 && count("=unlink") >= 1, "{points:?}\n{log}");

    let mut kills = 0;
    for (turn, point) in points.iter().enumerate() {
        let (version, former) = if turn % 2 == 0 { (&first, &second) } else { (&second, &first) };
        let unpacked = bench.directory().join("versions").join(&version["sha256:".len()..]);
        fs::remove_dir_all(unpacked).expect("so that it is unpacked again");
        let (killed, log) = traced(&bench, &["deploy", version, "production"], Some(point));
        kills += usize::from(killed);
        let current = bench.whole().unwrap_or_else(|| panic!("no version is current after {point}"));
        assert!([version, former].contains(&&current), "{point}");
        let (supervisors, services) = bench.processes();
        assert!(supervisors.len() <= 1 && services.len() <= 1, "{point}: {supervisors:?} {services:?}\n{log}");
        assert_eq!(bench.deploy(version)["live"], true, "{point}");
        bench.settled(version);
    }
    assert!(kills + 2 >= points.len() && kills >= 10, "{kills} of {} kills: {points:?}", points.len());

    // Killed after it was recorded and before the journal was removed: it is not taken for one that was abandoned.
    let end = points.iter().rev().find(|point| point.contains("=unlink")).expect("the journal is removed");
    let live = bench.whole().expect("a version");
    let (killed, _) = traced(&bench, &["deploy", &live, "production"], Some(end));
    assert!(killed && bench.directory().join("journal.json").exists());
    let back = bench.place.json(&bench.project, 0, &["rollback", "production"]);
    let other = if live == first { &second } else { &first };
    assert_eq!(&back["subject"]["digests"][0], other, "{back}");
    let shown = bench.place.json(&bench.project, 0, &["env", "show", "production"]);
    let failed = shown["deployments"].as_array().expect("a history").iter().filter(|one| one["live"] == false).count();
    assert_eq!(failed, 0, "{shown}");
    // A rollback that was recorded, and whose answer was lost, is answered; it does not go back once more.
    let (killed, _) = traced(&bench, &["rollback", "production"], Some(end));
    let lost = bench.whole().expect("a version");
    let again = bench.place.json(&bench.project, 0, &["rollback", "production"]);
    assert!(killed, "where the journal ends is not where it was");
    assert_eq!(again["subject"]["digests"][0], json!(lost), "{again}");
    bench.settled(&bench.whole().expect("a version"));
}

#[test]
fn whatever_died_is_observed_as_it_is_and_cleared() {
    let bench = Bench::new("died");
    let [first, second] = bench.versions.clone();
    // Another program has the port: nothing is switched, and it is named.
    let in_the_way = TcpListener::bind(("127.0.0.1", bench.port)).expect("the port");
    let refused = bench.place.json(&bench.project, 1, &["deploy", &first, "production"]);
    let message = refused["failure"]["message"].as_str().expect("a message");
    assert!(message.contains(&format!("port {} is in use by pid {} (", bench.port, std::process::id())), "{message}");
    assert_eq!((bench.whole(), bench.processes()), (None, (vec![], vec![])));
    drop(in_the_way);
    // In a mount namespace of its own, which the observer does not share.
    let program = bench.place.program(&bench.project);
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", env!("CARGO_BIN_EXE_assay"), "deploy", &first, "production"]).env_clear();
    unshare.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(&bench.project);
    ran(unshare.output().expect("unshare runs")).exits(0);
    bench.settled(&first);

    // The file is replaced, then gone: what runs is still what was deployed.
    let file = bench.directory().join("current/bin/tool");
    fs::write(file.with_extension("other"), "#!/bin/sh\n").expect("another program");
    fs::rename(file.with_extension("other"), &file).expect("replaced");
    assert_eq!(bench.observe(0)["observed"], json!(first));
    fs::remove_file(&file).expect("removed");
    let gone = bench.observe(0);
    assert_eq!(gone["observed"], json!(first));
    assert!(gone["process"]["path"].as_str().expect("a path").ends_with(" (deleted)"), "{gone}");
    bench.deploy(&first);
    bench.settled(&first);

    // The service dies, and is started again by its supervisor.
    let (_, services) = bench.processes();
    kill(services[0]);
    until("it is started again", || bench.processes().1.first().is_some_and(|pid| *pid != services[0]));
    until("it is written down", || bench.place.assay(&bench.project, &["env", "observe", "production"]).exit == 0);
    bench.settled(&first);

    // The supervisor dies: the service goes on, is seen, and makes way for the next.
    let (supervisors, services) = bench.processes();
    kill(supervisors[0]);
    assert_eq!(bench.observe(0)["process"]["pid"], json!(services[0]));
    bench.deploy(&second);
    bench.settled(&second);
    let (supervisors, services) = bench.processes();
    kill(supervisors[0]);
    fs::remove_file(bench.directory().join("service.json")).expect("as if nothing had been written down");
    assert_eq!(bench.observe(0)["process"]["pid"], json!(services[0]));
    bench.deploy(&first);
    bench.settled(&first);

    pipeline_after_a_killed_one(&bench);
    bench.settled(&first);

    // Both die: nothing runs. Then somebody else takes the port.
    let (supervisors, services) = bench.processes();
    kill(supervisors[0]);
    kill(services[0]);
    let nothing = bench.observe(1);
    assert_eq!((&nothing["observed"], &nothing["process"]), (&Value::Null, &Value::Null));
    let _in_the_way = TcpListener::bind(("127.0.0.1", bench.port)).expect("the port");
    let other = bench.observe(1);
    assert_eq!(other["process"]["pid"], json!(std::process::id()));
    assert_eq!(other["observed"], json!(digest_of(Path::new("/proc/self/exe"))));
    disk_full(&bench);
}

/// A network of its own, for root and for an ordinary user; where the kernel gives none, that is known before anything is started.
#[test]
fn a_network_of_its_own_is_made_or_refused_beforehand() {
    let place = Place::new("own-network");
    let copy = std::env::temp_dir().join(format!("assay-own-network-{}", std::process::id()));
    fs::copy(env!("CARGO_BIN_EXE_assay"), &copy).expect("where another user can read it");
    let none = "echo 0 > /proc/sys/user/max_net_namespaces; exec \"$0\" __inside probe";
    let exits = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).current_dir(place.work()).status().expect("it runs");
        status.code().expect("an exit code")
    };
    let own = copy.to_string_lossy().into_owned();
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups", own.as_str(), "__inside", "probe"];
    let codes = [
        exits(&own, &["__inside", "probe"]),
        exits("setpriv", &user),
        exits("unshare", &["--user", "--map-root-user", "sh", "-ec", none, &own]),
        exits(&own, &["__inside", "1", "dance"]),
    ];
    fs::remove_file(&copy).expect("removed");
    assert_eq!(codes, [0, 0, 1, 1]);
}

/// A pipeline test that was killed leaves its service; the next one clears it, and runs as if there had been none.
fn pipeline_after_a_killed_one(bench: &Bench) {
    let scratch = bench.place.home().join("deployments/pipeline/tool");
    let mut program = bench.place.program(&bench.project);
    let mut killed = program.args(["test", "--pipeline", "--quiet"]).spawn().expect("it runs");
    until("the scratch service is there", || {
        scratch.join("service.json").exists() || killed.try_wait().is_ok_and(|e| e.is_some())
    });
    killed.kill().expect("running");
    killed.wait().expect("killed");
    assert!(scratch.join("journal.json").exists() || scratch.join("service.json").exists(), "it was killed halfway");
    let tested = bench.place.json(&bench.project, 0, &["test", "--pipeline"]);
    assert_eq!((&tested["result"], &tested["network"]), (&json!("pass"), &json!("own")), "{tested}");
    assert!(!scratch.exists());
    let home = bench.place.home().display().to_string();
    let left =
        Command::new("pgrep").args(["-f", &format!("{home}/deployments/pipeline")]).output().expect("pgrep runs");
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

/// On a disk with room for one release, the second fails, the first stays, and with room the same command goes through.
fn disk_full(bench: &Bench) {
    let [first, second] = &bench.versions;
    let directory = bench.place.home().join("deployments/small/tool");
    fs::create_dir_all(&directory).expect("a directory");
    let size = fs::metadata(bench.directory().join("versions").join(&first["sha256:".len()..]).join("bin/tool"));
    let room = size.expect("a release").len() * 3 / 2;
    let script = format!(
        "mount -t tmpfs -o size={room} none '{directory}'\n\"$0\" deploy {first} small >&2\n\
         \"$0\" deploy {second} small --json || test $? = 1\nreadlink '{directory}/current'; ls '{directory}/versions'\n\
         mount -o remount,size=64m '{directory}'\n\"$0\" deploy {second} small >&2\nreadlink '{directory}/current'",
        directory = directory.display()
    );
    let program = bench.place.program(&bench.project);
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-ec", &script, env!("CARGO_BIN_EXE_assay")]).env_clear();
    unshare.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(&bench.project);
    let ran = ran(unshare.output().expect("unshare runs (as root)")).exits(0);
    let (first, second) = (&first["sha256:".len()..], &second["sha256:".len()..]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let refused: Value = serde_json::from_str(lines[0]).expect("JSON");
    assert!(refused["failure"]["message"].as_str().expect("a message").contains("unpacking `tool`"), "{refused}");
    assert!(lines[0].contains("No space left on device"), "{refused}");
    assert_eq!(lines[1..], [format!("versions/{first}"), first.to_owned(), format!("versions/{second}")]);
}
