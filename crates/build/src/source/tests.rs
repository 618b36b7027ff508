use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use super::scratch::Scratch;
use super::*;

/// A git repository for a test.
struct Project(Scratch);

impl Project {
    /// One commit with a file, an executable and a link.
    fn new() -> Project {
        let project = Project(Scratch::new());
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        project.put("Cargo.toml", "[package]\n");
        project.put("src/main.rs", "fn main() {}\n");
        project.put("run.sh", "#!/bin/sh\n");
        project.mode("run.sh", 0o755);
        symlink("src/main.rs", project.at("link")).expect("a writable directory");
        project.put(".gitignore", "/target\n*.log\n");
        project.commit("first\n\nbody");
        project
    }

    fn directory(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        let host = self.at(path);
        fs::create_dir_all(host.parent().expect("it has one")).expect("a writable directory");
        fs::write(host, text).expect("a writable directory");
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).expect("our own file");
    }

    fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgSign=false"])
            .args(["-c", "protocol.file.allow=always"])
            .args(arguments)
            .current_dir(self.directory())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_DATE", "1795376400 +0100")
            .env("GIT_COMMITTER_DATE", "1795376460 +0100")
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    fn revision(&self) -> Revision {
        revision(self.directory(), &[]).expect("a readable repository").expect("a commit")
    }

    fn dirty(&self) -> Vec<String> {
        self.revision().dirty
    }

    fn files(&self) -> Vec<String> {
        files(self.directory(), &[]).expect("a readable source")
    }
}

const ALL: [&str; 5] = [".gitignore", "Cargo.toml", "link", "run.sh", "src/main.rs"];

#[test]
fn tells_what_the_commit_says() {
    let project = Project::new();
    let revision = project.revision();
    assert_eq!(revision.commit.len(), 40);
    assert_eq!(revision.commit_time_unix_s, 1_795_376_460);
    assert_eq!(
        (revision.author.as_str(), revision.committer.as_str()),
        ("Ada <ada@example.org>", "Ada <ada@example.org>")
    );
    assert_eq!((revision.summary.as_str(), revision.branch.as_deref()), ("first", Some("main")));
    assert_eq!(revision.repository, format!("file://{}", project.directory().display()));
    assert_eq!((revision.dirty, revision.origin.as_str()), (Vec::<String>::new(), "local-git"));

    project.git(&["checkout", "--quiet", "--detach"]);
    project.git(&["remote", "add", "origin", "https://ada:secret@git.example.org/a.git?token=x"]);
    let detached = project.revision();
    assert_eq!((detached.branch, detached.repository.as_str()), (None, "https://git.example.org/a.git"));
}

#[test]
fn sha256_repositories_are_repositories() {
    let project = Project(Scratch::new());
    project.git(&["init", "--quiet", "--object-format=sha256"]);
    project.put("a", "a");
    project.commit("first");
    assert_eq!(project.revision().commit.len(), 64);
    project.put("a", "b");
    assert_eq!(project.dirty(), ["a"]);
}

#[test]
fn lists_every_way_to_differ() {
    type Change = fn(&Project);
    let cases: Vec<(&str, Change)> = vec![
        ("src/main.rs", |p| p.put("src/main.rs", "fn main() { }\n")),
        ("run.sh", |p| p.mode("run.sh", 0o644)),
        ("Cargo.toml", |p| p.mode("Cargo.toml", 0o755)),
        ("Cargo.toml", |p| fs::remove_file(p.at("Cargo.toml")).expect("it is there")),
        ("new.rs", |p| p.put("new.rs", "")),
        ("staged.rs", |p| {
            p.put("staged.rs", "");
            p.git(&["add", "staged.rs"]);
        }),
        ("Cargo.toml", |p| {
            // In the index only: the work tree has the commit's bytes again.
            p.put("Cargo.toml", "[workspace]\n");
            p.git(&["add", "Cargo.toml"]);
            p.put("Cargo.toml", "[package]\n");
        }),
        ("link", |p| {
            fs::remove_file(p.at("link")).expect("it is there");
            symlink("Cargo.toml", p.at("link")).expect("a writable directory");
        }),
        ("link", |p| {
            fs::remove_file(p.at("link")).expect("it is there");
            p.put("link", "src/main.rs");
        }),
        ("src/main.rs", |p| {
            p.git(&["update-index", "--assume-unchanged", "src/main.rs"]);
            p.put("src/main.rs", "fn main() { evil() }\n");
        }),
        ("src/main.rs", |p| {
            p.git(&["update-index", "--skip-worktree", "src/main.rs"]);
            p.put("src/main.rs", "fn main() { evil() }\n");
        }),
    ];
    for (position, (path, change)) in cases.into_iter().enumerate() {
        let project = Project::new();
        change(&project);
        assert_eq!(project.dirty(), [path], "case {position}");
    }
}

#[test]
fn ignored_files_are_neither_source_nor_change() {
    let project = Project::new();
    project.put("target/debug/app", "");
    project.put("build.log", "");
    assert_eq!((project.dirty(), project.files()), (vec![], ALL.map(str::to_owned).to_vec()));
}

#[test]
fn source_is_what_lies_in_the_work_tree() {
    let project = Project::new();
    project.put("new file.rs", "");
    fs::remove_file(project.at("Cargo.toml")).expect("it is there");
    assert_eq!(project.files(), [".gitignore", "link", "new file.rs", "run.sh", "src/main.rs"]);

    let entries = snapshot(project.directory(), &[]).expect("a readable source");
    let shown: Vec<String> = entries.iter().map(|entry| format!("{} {:?}", entry.path, entry.kind)).collect();
    assert_eq!(
        shown,
        [
            ".gitignore File { executable: false }",
            "link Link { target: \"src/main.rs\" }",
            "new file.rs File { executable: false }",
            "run.sh File { executable: true }",
            "src/main.rs File { executable: false }",
        ]
    );
    assert!(entries.iter().all(|entry| entry.host == project.at(&entry.path)));
}

#[test]
fn a_directory_inside_a_repository_is_seen_alone() {
    let project = Project::new();
    project.put("service/Cargo.toml", "");
    project.commit("second");
    project.put("service/a.rs", "");
    project.put("elsewhere.rs", "");
    let service = project.at("service");
    assert_eq!(files(&service, &[]).expect("a readable source"), ["Cargo.toml", "a.rs"]);
    let revision = revision(&service, &[]).expect("a readable repository").expect("a commit");
    assert_eq!((revision.dirty, revision.summary.as_str()), (vec!["a.rs".to_owned()], "second"));
}

#[test]
fn own_places_inside_the_project_are_left_out() {
    let project = Project::new();
    project.put("home/data/blob", "");
    let without = [project.at("home")];
    assert_eq!(files(project.directory(), &without).expect("a readable source"), ALL);
    let seen = revision(project.directory(), &without).expect("a readable repository").expect("a commit");
    assert_eq!(seen.dirty, Vec::<String>::new());
    assert_eq!(project.dirty(), ["home/data/blob"]);
}

#[test]
fn the_number_of_changes_listed_is_limited() {
    let project = Project::new();
    for number in 0..DIRTY_MAX + 20 {
        project.put(&format!("n{number:03}"), "");
    }
    assert_eq!(project.dirty().len(), DIRTY_MAX);
}

#[test]
fn repositories_inside_are_refused() {
    let inner = Project::new();
    let project = Project::new();
    let clone = inner.directory().to_str().expect("a path of ours");
    project.git(&["clone", "--quiet", clone, "vendored"]);
    let error = files(project.directory(), &[]).expect_err("a clone inside").to_string();
    assert!(error.starts_with("`vendored` is a git repository of its own"), "{error}");

    fs::remove_dir_all(project.at("vendored")).expect("it is there");
    project.git(&["submodule", "--quiet", "add", clone, "sub"]);
    let error = files(project.directory(), &[]).expect_err("a submodule").to_string();
    assert!(error.starts_with("`sub` is a git repository of its own"), "{error}");
}

#[test]
fn a_repository_cannot_make_us_run_its_programs() {
    let project = Project::new();
    let witness = project.at("target/witness");
    fs::create_dir_all(project.at("target")).expect("a writable directory");
    let touch = format!("touch {}; cat", witness.display());
    for key in
        ["core.fsmonitor", "filter.x.clean", "filter.x.process", "core.pager", "core.sshCommand", "diff.external"]
    {
        project.git(&["config", key, &touch]);
    }
    project.put(".git/info/attributes", "* filter=x diff=x\n");
    for hook in ["post-index-change", "post-checkout"] {
        project.put(&format!(".git/hooks/{hook}"), &format!("#!/bin/sh\ntouch {}\n", witness.display()));
        project.mode(&format!(".git/hooks/{hook}"), 0o755);
    }
    project.put("src/main.rs", "fn main() { }\n");
    assert_eq!(project.dirty(), ["src/main.rs"]);
    assert_eq!(project.files(), ALL);
    assert!(!witness.exists());
}

#[test]
fn somebody_elses_repository_can_be_read() {
    let project = Project::new();
    for path in [project.directory().to_owned(), project.at(".git")] {
        // Only root may give files away; anybody else sees his own repository here.
        let _refused = std::os::unix::fs::chown(path, Some(65534), Some(65534));
    }
    assert_eq!((project.dirty(), project.files()), (vec![], ALL.map(str::to_owned).to_vec()));
}

#[test]
fn outside_git_known_directories_are_left_out() {
    let project = Project(Scratch::new());
    for path in [
        "Cargo.toml",
        "src/a.rs",
        "src/target/mod.rs",
        "target/debug/x",
        ".hg/store",
        "web/package.json",
        "web/node_modules/x/y",
        "node_modules/z",
    ] {
        project.put(path, "");
    }
    fs::create_dir(project.at("empty")).expect("a writable directory");
    assert_eq!(project.files(), ["Cargo.toml", "node_modules/z", "src/a.rs", "src/target/mod.rs", "web/package.json"]);
    assert_eq!(revision(project.directory(), &[]).expect("nothing to read"), None);
}

#[test]
fn no_commit_and_an_ignored_directory_give_no_revision() {
    let project = Project(Scratch::new());
    project.git(&["init", "--quiet"]);
    project.put("a", "");
    assert_eq!(revision(project.directory(), &[]).expect("a readable repository"), None);
    assert_eq!(project.files(), ["a"]);

    let project = Project::new();
    project.put("target/copy/Cargo.toml", "");
    let copy = project.at("target/copy");
    assert_eq!(revision(&copy, &[]).expect("a readable repository"), None);
    assert_eq!(files(&copy, &[]).expect("a readable source"), ["Cargo.toml"]);
}

#[test]
fn refuses_paths_and_files_that_no_tree_can_hold() {
    for repository in [true, false] {
        let make = || if repository { Project::new() } else { Project(Scratch::new()) };
        let project = make();
        fs::write(project.directory().join(OsStr::from_bytes(b"caf\xe9")), "").expect("a writable directory");
        assert!(matches!(files(project.directory(), &[]), Err(SourceError::Path { .. })), "{repository}");
        let project = make();
        project.put("a\nb", "");
        assert!(matches!(files(project.directory(), &[]), Err(SourceError::Path { .. })), "{repository}");
        assert_eq!(revision(project.directory(), &[]).is_err(), repository);
    }
    let project = Project(Scratch::new());
    assert!(matches!(snapshot(project.directory(), &[]), Err(SourceError::Empty { .. })));
    assert!(matches!(snapshot(&project.at("nowhere"), &[]), Err(SourceError::Read { .. })));
    let status = Command::new("mkfifo").arg(project.at("pipe")).status().expect("mkfifo is installed");
    assert!(status.success());
    assert!(matches!(snapshot(project.directory(), &[]), Err(SourceError::Special { .. })));
}

#[test]
fn a_damaged_repository_is_an_error() {
    let project = Project::new();
    fs::remove_dir_all(project.at(".git/objects")).expect("it is there");
    fs::create_dir(project.at(".git/objects")).expect("a writable directory");
    assert!(matches!(revision(project.directory(), &[]), Err(SourceError::Git { .. })));
    let project = Project::new();
    fs::remove_file(project.at(".git/HEAD")).expect("it is there");
    assert!(matches!(revision(project.directory(), &[]), Err(SourceError::Git { .. })));
    assert!(matches!(files(project.directory(), &[]), Err(SourceError::Git { .. })));
}

#[test]
fn credentials_never_stay() {
    let cases = [
        ("https://ada:secret@example.org/a.git", "https://example.org/a.git"),
        ("https://ghp_token@example.org/a.git", "https://example.org/a.git"),
        ("https://a@b:c@example.org:8443/a?private_token=x#y", "https://example.org:8443/a"),
        ("HTTP://u:p@example.org", "HTTP://example.org"),
        ("ssh://git:secret@example.org:22/a.git", "ssh://git@example.org:22/a.git"),
        ("git@example.org:a/b.git", "git@example.org:a/b.git"),
        ("ftp://u:p@example.org/a", "ftp://example.org/a"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        ("https://example.org/@scope/a", "https://example.org/@scope/a"),
    ];
    for (url, expected) in cases {
        assert_eq!(git::without_credentials(url), expected, "{url}");
    }
}

#[test]
fn commit_objects_are_parsed_strictly() {
    let id = "0123456789abcdef0123456789abcdef01234567";
    let raw = b"tree x\nauthor A > B <a@b> 12 +0100\ncommitter C <> -7 +0000\ngpgsig x\n author Z <z> 1 +0000\n\n\nHello  \nmore\n";
    let commit = git::parse_commit(id, raw).expect("a commit");
    assert_eq!((commit.author.as_str(), commit.committer.as_str()), ("A > B <a@b>", "C <>"));
    assert_eq!((commit.time_unix_s, commit.summary.as_str()), (-7, "Hello"));
    for raw in [
        "",
        "author A <a> 1 +0\n\nx",
        "author A\ncommitter B <b> 1 +0\n\nx",
        "author A <a> x\ncommitter B <b> y +0\n\n",
    ] {
        assert_eq!(git::parse_commit(id, raw.as_bytes()), None, "{raw}");
    }
    assert_eq!(git::parse_commit("main", b"author A <a> 1 +0\ncommitter A <a> 1 +0\n\n"), None);
}

#[test]
fn damaged_git_output_is_refused_or_read_without_harm() {
    let id = "0123456789abcdef0123456789abcdef01234567";
    let commit = b"tree x\nauthor Ada <a@b> 12 +0100\ncommitter Bob <b@c> 13 +0000\n\nHello\n";
    let batch = format!("{id} blob 5\nhello\n{id} blob 0\n\n");
    let mut state = 9_u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    for _ in 0..20_000 {
        let (mut one, mut other) = (commit.to_vec(), batch.clone().into_bytes());
        for bytes in [&mut one, &mut other] {
            let at = below(bytes.len());
            bytes[at] = below(256) as u8;
            if below(4) == 0 {
                bytes.truncate(below(bytes.len()));
            }
        }
        if let Some(read) = git::parse_commit(id, &one) {
            assert!(read.author.len() <= 3 * commit.len() && !read.author.contains('\n'));
        }
        if let Some(blobs) = git::parse_batch(&other) {
            assert!(blobs.iter().map(Vec::len).sum::<usize>() <= other.len());
        }
    }
    assert_eq!(git::parse_batch(batch.as_bytes()), Some(vec![b"hello".to_vec(), Vec::new()]));
    for malformed in [format!("{id} missing\n"), format!("{id} blob 9\nhello\n"), format!("{id} tree 5\nhello\n")] {
        assert_eq!(git::parse_batch(malformed.as_bytes()), None, "{malformed}");
    }
}
