//! `assay witness` and `assay log`: cosigned checkpoints, quorums, and what a witness catches that nothing else can.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::Place;
use crate::tamper::small;

/// A server or a witness that runs: it prints one line when it is ready, and its URL ends that line.
pub(crate) struct Running {
    child: Child,
    pub(crate) url: String,
}

impl Running {
    fn start(place: &Place, arguments: &[&str]) -> Running {
        Running::spawn(place.program(&place.work()).args(arguments))
    }

    pub(crate) fn spawn(command: &mut Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut ready).expect("a line");
        let url = ready.trim().rsplit(' ').next().expect("an address").to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{ready}");
        Running { child, url }
    }

    fn witness(place: &Place, name: &str, listen: &str) -> Running {
        let arguments = ["witness", "serve", "--quiet", "--listen", listen, name, "--policy", "logs.policy"];
        Running::start(place, &arguments)
    }

    /// SIGKILL, in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited");
    }

    /// SIGTERM ends it with exit code 0.
    fn stop(&mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        assert!(self.child.wait().expect("waited").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

struct Scene {
    place: Place,
    project: PathBuf,
    witnesses: Vec<Running>,
    policy: PathBuf,
}

impl Scene {
    /// A home with a log, and witnesses `w1` (Ed25519) and `w2` (ML-DSA-44) that follow it; both make the quorum.
    fn new(name: &str) -> Scene {
        let place = Place::new(name);
        let project = small(&place);
        let log = place.assay(&project, &["log", "key"]).exits(0).stdout;
        fs::write(place.work().join("logs.policy"), format!("{log}quorum none\n")).expect("written");
        let mut text = log;
        let mut witnesses = Vec::new();
        for (name, kind) in [("w1", "ed25519"), ("w2", "ml-dsa-44")] {
            let directory = place.work().join(name);
            let at = directory.to_str().expect("a path");
            let made = place.json(&project, 0, &["witness", "init", at, "--name", &format!("{name}.example.org")]);
            let keys = made["keys"].as_array().expect("keys");
            let key = keys[usize::from(kind == "ml-dsa-44")].as_str().expect("a key");
            let witness = Running::witness(&place, name, "127.0.0.1:0");
            text.push_str(&format!("witness {name} {key} {}\n", witness.url));
            witnesses.push(witness);
        }
        let policy = place.work().join("log.policy");
        fs::write(&policy, format!("{text}group both all w1 w2\nquorum both\n")).expect("written");
        Scene { place, project, witnesses, policy }
    }

    fn cosign(&self, exit: i32) -> Value {
        let policy = self.policy.to_str().expect("a path");
        self.place.json(&self.project, exit, &["log", "cosign", "--policy", policy])
    }

    /// Adds a statement to the log.
    fn grow(&self) {
        self.reference(self.size());
    }

    fn reference(&self, number: u64) {
        let digest = format!("sha256:{number:064x}");
        self.place.json(&self.project, 0, &["reference", "add", "small", &digest, "--source", "https://example.org"]);
    }

    fn size(&self) -> u64 {
        self.place.json(&self.project, 0, &["admin", "status"])["size"].as_u64().expect("a size")
    }
}

/// M3.2 M3.3: a log that only grows is cosigned; its proofs carry the cosignatures and are checked without a network.
#[test]
fn witnesses_cosign_a_log_and_its_proofs_say_so() {
    let scene = Scene::new("witness");
    // A verdict may demand what publishing never waits for.
    let demanded = fs::read_to_string(&scene.policy).expect("a policy");
    let head = "version = 1\nname = \"production\"\n\n[[rules]]\nrule = \"witnessed\"\n";
    fs::write(scene.project.join("policy.toml"), format!("{head}policy = '''\n{demanded}'''\n")).expect("written");
    let gate = |exit| scene.place.json(&scene.project, exit, &["gate", "small", "--env", "production"]);
    let denied = gate(1);
    assert!(denied["rules"][0]["fix"].as_str().is_some_and(|fix| fix.contains("`assay log cosign")), "{denied}");
    let first = scene.cosign(0);
    assert_eq!(gate(0)["result"], "pass");
    assert_eq!((first["met"].as_bool(), first["size"].as_u64()), (Some(true), Some(scene.size())), "{first}");
    scene.grow();
    assert_eq!(scene.cosign(0)["size"].as_u64(), Some(scene.size()));

    let (place, project) = (&scene.place, &scene.project);
    let proof = place.work().join("first.tlog-proof");
    let [proof, policy] = [&proof, &scene.policy].map(|path| path.to_str().expect("a path"));
    place.json(project, 0, &["log", "prove", "0", "--output", proof]);
    let entry = proof.replace(".tlog-proof", ".entry");
    let check = |exit| place.json(project, exit, &["log", "check-proof", proof, "--entry", &entry, "--policy", policy]);
    let checked = check(0);
    assert_eq!(checked["cosigned"].as_object().map(serde_json::Map::len), Some(2), "{checked}");

    // One changed byte anywhere is refused; so is a proof that only one of the two has seen.
    let good = fs::read_to_string(proof).expect("a proof");
    let last = good.trim_end().rfind('\n').expect("lines");
    fs::write(proof, format!("{}\n", &good[..last])).expect("written");
    assert_eq!(check(1)["error"]["code"], "not-witnessed");
    fs::write(proof, good.replacen("index 0", "index 1", 1)).expect("written");
    assert_eq!(check(1)["error"]["code"], "not-logged");
    fs::write(proof, &good).expect("written");
    fs::write(&entry, [fs::read(&entry).expect("an entry"), b" ".to_vec()].concat()).expect("written");
    assert_eq!(check(1)["error"]["code"], "not-logged");

    // Bundles that were made since carry the cosignatures, and verify as before.
    assert_eq!(place.json(project, 0, &["verify", "small"])["result"], "pass");
    assert_eq!(place.json(project, 0, &["admin", "fsck"])["result"], "pass");
}

/// A snapshot of the whole machine, with the head that is kept outside of the home: nothing here can notice, a witness does.
#[test]
fn a_witness_catches_a_snapshot_of_the_whole_machine() {
    let scene = Scene::new("snapshot");
    scene.cosign(0);
    // State and head: all that a machine has of it.
    let names = ["home", "home.heads"];
    let copy = |from: &Path, to: &Path| {
        for name in names {
            let _writable = Command::new("chmod").args(["-R", "u+w"]).arg(to.join(name)).output();
            let _absent = fs::remove_dir_all(to.join(name));
            let copied = Command::new("cp").arg("-a").arg(from.join(name)).arg(to.join(name)).status();
            assert!(copied.expect("cp runs").success());
        }
    };
    let snapshot = scene.place.root().join("snapshot");
    fs::create_dir(&snapshot).expect("made");
    copy(scene.place.root(), &snapshot);
    scene.grow();
    scene.cosign(0);
    copy(&snapshot, scene.place.root());

    // The home itself is whole, and signs: it was the newest once.
    assert_eq!(scene.place.json(&scene.project, 0, &["admin", "status"])["ready"], true);
    let old = scene.cosign(1);
    assert_eq!(old["witnesses"][0]["code"], "old-copy", "{old}");
    // Once it has grown past what was seen, it is a fork, and no witness ever cosigns it.
    (0..3).for_each(|_| scene.grow());
    let forked = scene.cosign(1);
    for witness in forked["witnesses"].as_array().expect("witnesses") {
        assert_eq!(witness["code"], "forked", "{forked}");
    }
    let evidence = fs::read_dir(scene.place.work().join("w1/evidence")).expect("kept").count();
    assert_eq!(evidence, 1, "the request that proves it is kept");
}

/// A server has its log cosigned whenever it has grown, never waits for it, and asks again a witness that was away.
#[test]
fn a_server_has_its_log_cosigned_as_it_grows() {
    let mut scene = Scene::new("cosigning");
    let policy = scene.policy.to_str().expect("a path").to_owned();
    scene.witnesses[1].stop();
    let serve = ["serve", "--quiet", "--anonymous-read", "--listen", "127.0.0.1:0", "--witnesses", &policy];
    let mut server = Running::start(&scene.place, &serve);
    // The command speaks to the server, which answers though one witness is away.
    scene.reference(7);
    let listen = scene.witnesses[1].url.trim_start_matches("http://").to_owned();
    scene.witnesses[1] = Running::witness(&scene.place, "w2", &listen);
    scene.reference(8);
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let output = Command::new("curl").args(["--silent", &format!("{}/log/checkpoint", server.url)]).output();
        let text = String::from_utf8_lossy(&output.expect("curl runs").stdout).into_owned();
        if ["w1.example.org", "w2.example.org"].iter().all(|name| text.contains(name)) {
            break;
        }
        assert!(Instant::now() < deadline, "not cosigned by both in two minutes:\n{text}");
        std::thread::sleep(Duration::from_millis(200));
    }
    server.stop();
    assert_eq!(scene.place.json(&scene.project, 0, &["admin", "fsck"])["result"], "pass");
}
