//! `assay admin backup`, `restore` and `log recover`: a lost home comes back, and its log has one history.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::place::{Place, Ran, ran};
use crate::tamper::small;
use crate::witness::Running;

struct Scene {
    place: Place,
    project: PathBuf,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let place = Place::new(name);
        let project = small(&place);
        Scene { place, project }
    }

    fn at(&self, name: &str) -> String {
        self.place.root().join(name).to_str().expect("a path").to_owned()
    }

    fn json(&self, exit: i32, arguments: &[&str]) -> Value {
        self.place.json(&self.project, exit, arguments)
    }

    /// Adds a statement to the log.
    fn grow(&self, number: u64) -> Ran {
        let digest = format!("sha256:{number:064x}");
        let arguments = ["reference", "add", "small", &digest, "--source", "https://example.org"];
        self.place.assay(&self.project, &arguments)
    }

    fn serve(&self, home: &str) -> Running {
        let arguments = ["serve", "--quiet", "--anonymous-read", "--listen", "127.0.0.1:0"];
        Running::spawn(self.place.program(&self.place.work()).env("ASSAY_HOME", home).args(arguments))
    }

    fn lose(&self) {
        let home = self.place.home();
        let removed = Command::new("sh").args(["-c", "chmod -R u+w \"$0\" && rm -r \"$0\""]).arg(&home).status();
        assert!(removed.expect("sh runs").success());
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp runs").success(), "{}", from.display());
}

/// M3.3 M11.1: a back-up beside a server; the server is killed and its disk lost; the old copy refuses to sign, and is repaired from
/// a mirror.
#[test]
fn a_lost_home_comes_back_without_a_second_history() {
    let scene = Scene::new("backup");
    let home = scene.place.home();
    let mut server = scene.serve(home.to_str().expect("a path"));
    scene.grow(1).exits(0);
    let backup = scene.at("backup");
    let taken = scene.json(0, &["admin", "backup", &backup]);
    assert_eq!(taken["damaged"].as_array().map(Vec::len), Some(0), "{taken}");
    scene.grow(2).exits(0);
    let more = scene.json(0, &["admin", "backup", &backup]);
    assert_eq!(
        (more["entries"].as_u64(), more["trees"]["copied"].as_u64()),
        (taken["entries"].as_u64().map(|n| n + 2), Some(0))
    );
    scene.grow(3).exits(0);
    server.kill();
    let newest = scene.json(0, &["admin", "status"])["size"].as_u64().expect("a size");
    let mirror = scene.at("mirror");
    copy(&home, Path::new(&mirror));
    copy(Path::new(&scene.at("home.heads")), Path::new(&scene.at("mirror.heads")));
    scene.lose();

    assert_eq!(scene.json(0, &["admin", "restore", "--check", &backup])["damaged"].as_array().map(Vec::len), Some(0));
    assert!(!home.exists(), "checking writes nothing");
    let restored = scene.json(0, &["admin", "restore", &backup]);
    assert!(restored["refuses"].as_str().is_some_and(|why| why.contains("old copy of the log")), "{restored}");
    let refused = scene.grow(4).exits(2);
    assert!(refused.stderr.contains("`assay admin log adopt`"), "{}", refused.stderr);
    assert_eq!(scene.json(0, &["verify", "small"])["result"], "pass", "reading goes on");
    scene.json(2, &["admin", "restore", &backup]);

    let server = scene.serve(&mirror);
    let recovered = scene.json(0, &["admin", "log", "recover", "--from", &server.url]);
    assert_eq!((recovered["size"].as_u64(), &recovered["refuses"]), (Some(newest), &Value::Null), "{recovered}");
    scene.grow(4).exits(0);
    assert_eq!(scene.json(0, &["verify", "small"])["result"], "pass");
    assert_eq!(scene.json(0, &["admin", "fsck"])["result"], "pass");
    // What the mirror knew is known: the third reference was not in the back-up.
    let third = format!("sha256:{:064x}", 3);
    let listed = scene.place.assay(&scene.project, &["where", &third, "--json"]);
    assert!(listed.stdout.contains(&third), "{}{}", listed.stdout, listed.stderr);

    // A mirror that does not answer is one error, not one within another.
    let silent =
        scene.place.assay(&scene.project, &["admin", "log", "recover", "--from", "http://127.0.0.1:1"]).exits(2);
    assert!(silent.stderr.contains("asking http://127.0.0.1:1"), "{}", silent.stderr);
    assert!(!silent.stderr.contains("error: asking"), "{}", silent.stderr);

    // It went on, and the mirror did not: there is nothing to be had from it.
    drop(server);
    let nothing = scene.json(2, &["admin", "log", "recover", "--from", &mirror]);
    assert!(
        nothing["error"]["message"].as_str().is_some_and(|text| text.contains("nothing to take over")),
        "{nothing}"
    );
}

/// From another directory blobs and trees come along; a back-up that somebody changed is named and not put back.
#[test]
fn a_newer_disk_is_taken_over_and_a_damaged_backup_refused() {
    let scene = Scene::new("recover");
    let backup = scene.at("backup");
    scene.json(0, &["admin", "backup", &backup]);
    fs::write(scene.project.join("made.txt"), "more").expect("written");
    scene.place.assay(&scene.project, &["build"]).exits(0);
    let old = scene.at("old-disk");
    copy(&scene.place.home(), Path::new(&old));
    scene.lose();
    scene.json(0, &["admin", "restore", &backup]);
    scene.grow(1).exits(2);
    let recovered = scene.json(0, &["admin", "log", "recover", "--from", &old]);
    assert!(recovered["blobs"].as_u64().is_some_and(|count| count > 0), "{recovered}");
    scene.grow(1).exits(0);
    assert_eq!(scene.json(0, &["admin", "fsck"])["result"], "pass");

    let key = fs::read_dir(Path::new(&backup).join("files")).expect("listed").next().expect("one").expect("one").path();
    let bytes = fs::read(&key).expect("read");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("set");
    fs::write(&key, [&bytes[..], b" "].concat()).expect("written");
    let elsewhere = scene.at("elsewhere");
    let restore = |arguments: &[&str]| {
        let mut program = scene.place.program(&scene.project);
        ran(program.env("ASSAY_HOME", &elsewhere).args(arguments).output().expect("it runs"))
    };
    for arguments in [&["admin", "restore", &backup][..], &["admin", "restore", "--check", &backup]] {
        let refused = restore(arguments).exits(1);
        assert!(refused.stderr.contains(&key.display().to_string()), "{}", refused.stderr);
        assert!(!Path::new(&elsewhere).join("VERSION").exists());
    }
    fs::write(&key, &bytes).expect("written");
    restore(&["admin", "restore", &backup]).exits(0);
}
