//! C and C++ projects: CMake, a `configure` script, autoconf, or a Makefile. They have no lock file: what they use are
//! packages of the base, and files of `[[fetch]]`.

use std::path::Path;

use super::draft::{Draft, Step, texts};
use super::{InitError, directory_name, has_source, name_of, read_text};

/// The compiler, the C library, make, and what recipes and `configure` scripts call. Debian takes most of these for granted,
/// so nothing depends on them.
const ALWAYS: [&str; 13] = [
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "gcc",
    "grep",
    "gzip",
    "hostname",
    "libc6-dev",
    "make",
    "mawk",
    "sed",
    "tar",
];

/// Names of a Makefile, as GNU make looks for them.
const MAKEFILES: [&str; 3] = ["GNUmakefile", "makefile", "Makefile"];

/// `None` if the directory holds no such project.
pub(super) fn look(directory: &Path) -> Result<Option<Draft>, InitError> {
    let has = |name: &str| directory.join(name).is_file();
    let mut draft = match () {
        () if has("CMakeLists.txt") => cmake(&read_text(directory, "CMakeLists.txt")?, &directory_name(directory)),
        () if has("configure") => autotools(directory, false)?,
        () if has("configure.ac") => autotools(directory, true)?,
        () => match MAKEFILES.iter().find(|name| has(name)) {
            Some(name) => make(&read_text(directory, name)?, &directory_name(directory)),
            None => return Ok(None),
        },
    };
    draft.project = directory_name(directory);
    if draft.artifacts.is_empty() {
        draft.artifacts = vec![(draft.project.clone(), draft.project.clone())];
        draft.about_artifacts =
            texts(&["No program was found in the build files: name the file that the steps leave."]);
        draft.notes.push("what the build leaves is not known: check `[[artifact]]`".to_owned());
    }
    draft.check = vec![draft.artifacts[0].0.clone(), "--help".to_owned()];
    draft.notes.insert(0, format!("builds {}", draft.artifacts[0].1));
    if draft.test.is_none() {
        draft.notes.push("no test was found".to_owned());
    }
    if has_source(directory, &["cc", "cpp", "cxx"]) {
        draft.packages.push("g++".to_owned());
    }
    draft.packages.sort();
    draft.packages.dedup();
    Ok(Some(draft))
}

fn cmake(text: &str, project: &str) -> Draft {
    let program = word_after(text, "add_executable(").map(|program| artifact(&program, "out/"));
    let mut steps = vec![
        Step::new(
            "configure",
            &["cmake", "-S", ".", "-B", "out", "-DCMAKE_BUILD_TYPE=Release"],
            &["FetchContent and ExternalProject have no network here: name such files in `[[fetch]]`."],
        ),
        Step::new("compile", &["cmake", "--build", "out"], &[]),
    ];
    let artifact = program.unwrap_or_else(|| {
        let (step, artifact) = packed(project, "cmake --install out --prefix installed/usr");
        steps.push(step);
        artifact
    });
    let has_tests = text.contains("enable_testing") || text.contains("include(CTest)");
    Draft {
        about_base: texts(&[
            "Libraries that the project finds with find_package() or pkg-config: add their -dev packages.",
        ]),
        packages: texts(&[&ALWAYS[..], &["cmake", "g++"]].concat()),
        steps,
        artifacts: vec![artifact],
        test: has_tests.then(|| {
            let script = "cmake -S . -B out -DCMAKE_BUILD_TYPE=Release && cmake --build out && ctest --test-dir out";
            texts(&["sh", "-c", script])
        }),
        ..Draft::default()
    }
}

fn autotools(directory: &Path, generate: bool) -> Result<Draft, InitError> {
    let mut packages = ALWAYS.to_vec();
    let mut steps = Vec::new();
    if generate {
        packages.extend(["autoconf", "automake", "libtool"]);
        steps.push(Step::new(
            "generate",
            &["autoreconf", "--install"],
            &["The release of a project brings `configure` along; its repository does not."],
        ));
    }
    steps.push(Step::new(
        "configure",
        &["./configure"],
        &["It sees a fixed host name, user, CPU count and path, the same on every machine."],
    ));
    steps.push(Step::new("compile", &["make"], &[]));
    let mut program = None;
    for (file, below) in [("Makefile.am", ""), ("src/Makefile.am", "src/")] {
        if program.is_none() && directory.join(file).is_file() {
            program = word_after(&read_text(directory, file)?, "bin_PROGRAMS =").map(|name| artifact(&name, below));
        }
    }
    let artifact = program.unwrap_or_else(|| {
        let (step, artifact) = packed(&directory_name(directory), "make install DESTDIR=\"$PWD/installed\"");
        steps.push(step);
        artifact
    });
    let prepare = if generate { "autoreconf --install && " } else { "" };
    Ok(Draft {
        about_base: texts(&[
            "Libraries that `configure` looks for: add their -dev packages, and pkg-config if it uses that.",
        ]),
        packages: texts(&packages),
        steps,
        artifacts: vec![artifact],
        test: Some(vec!["sh".to_owned(), "-c".to_owned(), format!("{prepare}./configure && make check")]),
        ..Draft::default()
    })
}

fn make(text: &str, project: &str) -> Draft {
    let rules = text.lines().filter(|line| !line.starts_with(['\t', '#', '.', ' ']));
    let rules: Vec<(&str, &str)> = rules.filter_map(|line| line.split_once(':')).collect();
    let has = |target: &str| {
        rules
            .iter()
            .any(|(targets, rest)| !rest.starts_with('=') && targets.split_whitespace().any(|one| one == target))
    };
    let phony = text.lines().filter_map(|line| line.strip_prefix(".PHONY")?.trim_start().strip_prefix(':'));
    let phony: Vec<&str> = phony.flat_map(str::split_whitespace).collect();
    let is_file = |target: &str| is_plain(target) && target != "all" && !phony.contains(&target);
    let all = text.lines().find_map(|line| line.strip_prefix("all:"));
    let first = || {
        let target = rules.iter().find(|(targets, rest)| !rest.starts_with('=') && targets.trim() != "all");
        target.map(|(targets, _)| targets.trim().to_owned()).filter(|target| is_file(target))
    };
    let named = all.and_then(|list| list.split_whitespace().next().map(str::to_owned)).filter(|name| is_file(name));
    let program = named.or_else(first).map(|name| artifact(&name, ""));
    let mut steps = vec![Step::new("compile", &["make"], &[])];
    let packed = (program.is_none() && has("install"))
        .then(|| packed(project, "make install DESTDIR=\"$PWD/installed\""))
        .map(|(step, artifact)| {
            steps.push(step);
            artifact
        });
    let test = ["check", "test"].into_iter().find(|target| has(target));
    Draft {
        about_base: texts(&["Libraries that the programs are linked with: add their -dev packages."]),
        packages: texts(&ALWAYS),
        steps,
        artifacts: program.or(packed).into_iter().collect(),
        test: test.map(|target| texts(&["make", target])),
        ..Draft::default()
    }
}

/// Where no program is known: all that the project installs, in one archive.
fn packed(project: &str, install: &str) -> (Step, (String, String)) {
    let file = format!("{project}.tar");
    let script = format!(
        "{install} && tar --sort=name --mtime=@$SOURCE_DATE_EPOCH --owner=0 --group=0 --numeric-owner -cf {file} -C installed ."
    );
    let about =
        "No program was found in the build files, so all that is installed, in sorted order and with fixed times.";
    (Step::new("pack", &["sh", "-c", &script], &[about]), (file.clone(), file))
}

/// Name and path of a program.
fn artifact(program: &str, below: &str) -> (String, String) {
    (name_of(program), format!("{below}{program}"))
}

/// The first word after a text, if it is a plain name.
fn word_after(text: &str, before: &str) -> Option<String> {
    let rest = &text[text.find(before)? + before.len()..];
    let end = |c: char| c.is_whitespace() || c == ')' || c == '\\';
    let word = rest.trim_start().split(end).next()?;
    is_plain(word).then(|| word.to_owned())
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
        && !name.starts_with('.')
}
