//! Every state in which a killed command can leave a service's directory, and what the next one makes of it.

use std::io::{self, Cursor};

use super::*;

const BYTES: &[u8] = b"the program, as it was built";

struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

fn place(name: &str) -> Place {
    let path = std::env::temp_dir().join(format!("assay-release-{name}-{}", std::process::id()));
    fs::create_dir_all(path.join("versions")).expect("a directory");
    Place(path)
}

/// What lies there: paths below the directory, links with their target, sorted.
fn listing(directory: &Path) -> Vec<String> {
    fn walk(at: &Path, root: &Path, out: &mut Vec<String>) {
        for path in fs::read_dir(at).expect("readable").map(|entry| entry.expect("an entry").path()) {
            let name = path.strip_prefix(root).expect("below").display().to_string();
            match fs::read_link(&path) {
                Ok(target) => out.push(format!("{name} -> {}", target.display())),
                Err(_) if path.is_dir() => walk(&path, root, out),
                Err(_) => out.push(name),
            }
        }
    }
    let mut out = Vec::new();
    walk(directory, directory, &mut out);
    let digest = Digest::of(BYTES);
    let mut out: Vec<String> = out.iter().map(|line| line.replace(&digest.hex(), "DIGEST")).collect();
    out.sort();
    out
}

/// Plants what a killed command left, then unpacks and switches as the next one does: the outcome is always the same.
fn check(name: &str, plant: &dyn Fn(&Path, &Path)) {
    let place = place(name);
    let digest = Digest::of(BYTES);
    plant(&place.0, &version(&place.0, &digest));
    clear(&place.0).expect("cleared");
    unpack(&place.0, "tool", &digest, &mut Cursor::new(BYTES)).expect("unpacked");
    switch(&place.0, "tool", &digest).expect("switched");
    assert_eq!(listing(&place.0), ["current -> versions/DIGEST", "versions/DIGEST/bin/tool"], "{name}");
    assert_eq!(fs::read(place.0.join("current/bin/tool")).expect("whole"), BYTES, "{name}");
    assert_eq!(current(&place.0), Some(digest), "{name}");
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, bytes).expect("a file");
}

#[test]
fn whatever_was_left_the_same_comes_of_it() {
    check("nothing", &|_, _| {});
    check("empty-aside", &|_, release| fs::create_dir_all(release.with_extension("new")).expect("a directory"));
    check("half-aside", &|_, release| write(&release.with_extension("new").join("bin/tool"), &BYTES[..9]));
    check("whole-aside", &|_, release| write(&release.with_extension("new").join("bin/tool"), BYTES));
    check("another-aside", &|directory, _| write(&directory.join("versions/0123.new/bin/other"), b"half"));
    check("placed", &|_, release| write(&release.join("bin/tool"), BYTES));
    check("half-in-place", &|_, release| write(&release.join("bin/tool"), &BYTES[..9]));
    check("other-bytes-in-place", &|_, release| write(&release.join("bin/tool"), b"another program"));
    check("empty-in-place", &|_, release| fs::create_dir_all(release).expect("a directory"));
    check("directory-in-place", &|_, release| fs::create_dir_all(release.join("bin/tool")).expect("a directory"));
    check("exchanged", &|_, release| {
        write(&release.join("bin/tool"), BYTES);
        write(&release.with_extension("new").join("bin/tool"), b"what was there before");
    });
    check("link-made", &|directory, release| {
        write(&release.join("bin/tool"), BYTES);
        symlink("versions/elsewhere", directory.join("current.new")).expect("a link");
    });
    check("journal-half-written", &|directory, _| write(&directory.join("journal.new"), b"{\"vers"));
    check("switched", &|directory, release| {
        write(&release.join("bin/tool"), BYTES);
        symlink(Path::new("versions").join(Digest::of(BYTES).hex()), directory.join("current")).expect("a link");
    });
    check("switched-then-damaged", &|directory, release| {
        write(&release.join("bin/tool"), &BYTES[..9]);
        symlink(Path::new("versions").join(Digest::of(BYTES).hex()), directory.join("current")).expect("a link");
    });
}

/// Gives some bytes, then fails.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::from(io::ErrorKind::StorageFull)),
            count => Ok(count),
        }
    }
}

#[test]
fn what_cannot_be_completed_leaves_nothing_and_is_never_switched_to() {
    let place = place("incomplete");
    let digest = Digest::of(BYTES);
    let failure = unpack(&place.0, "tool", &digest, &mut Failing(&BYTES[..9])).expect_err("the disk is full");
    assert!(failure.to_string().contains("unpacking `tool`"), "{failure}");
    assert_eq!(listing(&place.0), [""; 0]);
    let failure = unpack(&place.0, "tool", &digest, &mut Cursor::new(b"others")).expect_err("other bytes");
    assert_eq!(failure.code, "artifact-damaged");
    assert_eq!(listing(&place.0), [""; 0]);
    assert_eq!(switch(&place.0, "tool", &digest).expect_err("nothing there").code, "release-damaged");
    write(&version(&place.0, &digest).join("bin/tool"), &BYTES[..9]);
    assert_eq!(switch(&place.0, "tool", &digest).expect_err("half of it").code, "release-damaged");
    assert_eq!(current(&place.0), None);
}

#[test]
fn current_leads_to_a_program_while_what_is_there_is_replaced() {
    let place = place("exchange");
    let digest = Digest::of(BYTES);
    let release = version(&place.0, &digest);
    write(&release.join("bin/tool"), b"altered");
    symlink(&release, place.0.join("current")).expect("a link");
    let program = place.0.join("current/bin/tool");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut looks = 0_u32;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) || looks == 0 {
                assert!(program.exists(), "`current` led nowhere");
                looks += 1;
            }
            looks
        });
        let turns = (0..50_u8).try_for_each(|turn| -> Result<()> {
            fs::write(release.join("bin/tool"), [turn]).context("test", "damaging it")?;
            unpack(&place.0, "tool", &digest, &mut Cursor::new(BYTES))?;
            let writable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(release.join("bin/tool"), writable).context("test", "opening it")
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(watcher.join().expect("no look failed") > 0);
        turns.expect("replaced each time");
    });
    assert_eq!(fs::read(&program).expect("whole"), BYTES);
}
