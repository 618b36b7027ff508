//! Tests of what is found of a service without its supervisor.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command};

use super::*;

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("assay-service-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Place(path)
    }

    /// A process whose output is the service's log, and that is there when this returns.
    fn process(&self, script: &str) -> Child {
        let log = fs::File::options().create(true).append(true).open(log_file(&self.0)).expect("a log");
        let mut child = Command::new("sh")
            .args(["-c", &format!("echo up; {script}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log))
            .spawn()
            .expect("sh runs");
        child.stdout.take().expect("a pipe").read_exact(&mut [0; 3]).expect("it says `up`");
        child
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_nobody_wrote_down_is_found_and_ended() {
    let place = Place::new("orphan");
    let mut polite = place.process("exec sleep 1000");
    let mut stubborn = place.process("trap '' TERM; while :; do sleep 0.05; done");
    let mut reader = Command::new("tail").arg("-f").arg(log_file(&place.0)).spawn().expect("tail runs");
    let pids: Vec<u32> = processes(&place.0).expect("found").iter().map(|one| one.pid).collect();
    assert!(pids.contains(&polite.id()) && pids.contains(&stubborn.id()), "{pids:?}");
    assert!(!pids.contains(&reader.id()), "who reads the log does not belong to the service");
    let left = processes::end(&|| processes(&place.0), Duration::from_millis(200)).expect("readable");
    assert_eq!(left, []);
    for child in [&mut polite, &mut stubborn] {
        child.wait().expect("ended");
    }
    assert!(reader.try_wait().expect("its state").is_none());
    reader.kill().expect("running");
    reader.wait().expect("ended");
}

#[test]
fn a_later_process_with_the_same_pid_is_another() {
    let place = Place::new("pid");
    let own = ProcessId::of(std::process::id()).expect("this process");
    let text = format!(
        "{{\"version\":1,\"supervisor\":{{\"pid\":1,\"start\":1}},\"service\":{{\"pid\":{},\"start\":1}},\"restarts\":0,\"state\":\"running\"}}",
        own.pid
    );
    fs::write(state_file(&place.0), text).expect("written");
    assert_eq!(main_process(&place.0).expect("readable"), None);
    stop(&place.0).expect("nothing to stop");
    fs::write(state_file(&place.0), "{").expect("written");
    let failure = stop(&place.0).expect_err("half a file");
    assert!(failure.hint.is_some_and(|hint| hint.contains("service.json")));
}

#[test]
fn two_commands_do_not_start_one_service() {
    let place = Place::new("lock");
    let lock = vacate(&place.0).expect("free");
    let failure = vacate(&place.0).expect_err("locked");
    assert!(failure.message.contains("service.lock"), "{failure}");
    drop(lock);
    vacate(&place.0).expect("free again");
}
