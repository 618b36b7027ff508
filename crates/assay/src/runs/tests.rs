use super::*;

fn runs(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("assay-runs-{name}-{}", std::process::id()));
    let _absent = fs::remove_dir_all(&path);
    path
}

fn names(runs: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(runs)
        .expect("listed")
        .flatten()
        .map(|entry| entry.file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_leaves_nothing() {
    let runs = runs("leaves");
    let run = Run::new(&runs).expect("made");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&runs), mode(run.path())), (0o700, 0o700));
    fs::write(run.path().join("trace"), "…").expect("written");
    assert_eq!(names(&runs), [run.name().to_owned(), format!("{}{LOCK}", run.name())]);
    drop(run);
    assert_eq!(names(&runs), Vec::<String>::new());
    fs::remove_dir_all(&runs).expect("removed");
}

/// What a process that was killed has left goes with the next run; what runs stays, and so does what is nobody's.
#[test]
fn the_next_run_removes_what_the_dead_have_left() {
    let runs = runs("sweeps");
    let running = Run::new(&runs).expect("made");
    // As kill -9 leaves it: a lock that nobody holds, and a tree with a directory that is read-only.
    let dead = runs.join("dead");
    fs::create_dir_all(dead.join("collect/sub")).expect("made");
    fs::write(dead.join("collect/sub/file"), "…").expect("written");
    fs::set_permissions(dead.join("collect/sub"), fs::Permissions::from_mode(0o500)).expect("read-only");
    fs::write(runs.join("dead.lock"), "").expect("written");
    // Killed between its lock and its directory.
    fs::write(runs.join("early.lock"), "").expect("written");
    fs::create_dir(runs.join("somebody-else's")).expect("made");
    let next = Run::new(&runs).expect("made");
    let mut expected: Vec<String> = [&running, &next]
        .into_iter()
        .flat_map(|run| [run.name().to_owned(), format!("{}{LOCK}", run.name())])
        .chain(["somebody-else's".to_owned()])
        .collect();
    expected.sort();
    assert_eq!(names(&runs), expected);
    drop((running, next));
    assert_eq!(names(&runs), ["somebody-else's"]);
    fs::remove_dir_all(&runs).expect("removed");
}

/// Many at once: nobody takes another's away while he is making it.
#[test]
fn runs_at_the_same_time_leave_each_other_alone() {
    let runs = runs("many");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let run = Run::new(&runs).expect("made");
                    fs::write(run.path().join("file"), run.name()).expect("it is still there");
                    assert_eq!(fs::read_to_string(run.path().join("file")).expect("read"), run.name());
                }
            });
        }
    });
    assert_eq!(names(&runs), Vec::<String>::new());
    fs::remove_dir_all(&runs).expect("removed");
}
