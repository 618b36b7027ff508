//! Script branches: nothing that a script can see or make differs for being traced; and what is told of it.

mod corpus;
pub(crate) mod measure;

use std::collections::BTreeMap;
use std::fs;

use sandbox::event::Event;
use sandbox::outcome::Outcome;
use sandbox::plan::{Mount, Step};
use sandbox::script::{How, Place, ScriptEvent, Scripts, decode};
use sandbox::trace::Reader;

use crate::harness::{Bench, Test, step};
use corpus::{CORPUS, For};

pub(crate) const TESTS: &[Test] = &[
    ("scripts::marked_scripts_do_what_they_did", marked_scripts_do_what_they_did),
    ("scripts::each_branch_is_told", each_branch_is_told),
    ("scripts::what_is_not_traced_is_told", what_is_not_traced_is_told),
    ("scripts::a_script_tells_of_itself_alone", a_script_tells_of_itself_alone),
    ("scripts::the_record_is_cut", the_record_is_cut),
];

/// Runs one script in a directory of its own, and shows all that it did.
const DRIVER: &str = "mkdir /work/$1 && cd /work/$1 && printf 'l1\\nl2\\nl3\\nl4\\n' > in; \
    \"$2\" \"$3\" \"$4\" one 'two words' < in > out 2> err; echo \"status $?\"; cat out; echo ---; cat err; \
    find . -type f ! -name out ! -name err -exec sha256sum {} + | sort; find . ! -type f | sort";

/// A shell, and how it gets a script.
const WAYS: [(&str, &str, For); 5] = [
    ("sh", "-f", For::Both),
    ("bash", "-f", For::Bash),
    ("sh", "-c", For::Both),
    ("bash", "-c", For::Bash),
    ("bash", "--posix", For::Bash),
];

/// What each script did in each way, and how many processes that took.
fn all(scripts: Scripts) -> (BTreeMap<String, (String, usize)>, Bench) {
    let mut bench = Bench::new(&format!("corpus-{scripts:?}"), "");
    bench.plan.steps.clear();
    bench.plan.mounts.push(Mount::Scratch { target: "/work".to_owned(), size_bytes: 64 << 20 });
    for (way, (shell, option, able)) in WAYS.iter().enumerate() {
        for (name, who, text) in CORPUS.iter().filter(|(_, who, _)| *able == For::Bash || *who == For::Both) {
            assert!(*who == For::Both || *able == For::Bash);
            let path = format!("source/{name}.sh");
            fs::write(bench.place.join(&path), text).expect("a script");
            let place = format!("{way}-{name}");
            let script = if *option == "-c" { (*text).to_owned() } else { format!("/build/{name}.sh") };
            let option = if *option == "-f" { "+f" } else { option };
            let mut one = step(&place, &["/bin/sh", "-c", DRIVER, "driver", &place, shell, option, &script]);
            one.scripts = scripts;
            bench.plan.steps.push(one);
        }
    }
    let outcome = bench.pass();
    let mut done = BTreeMap::new();
    let mut rest = bench.output.as_str();
    for (index, step) in bench.plan.steps.iter().enumerate() {
        let next = rest[1..].find("\nstatus ").map_or(rest.len(), |at| at + 2);
        let processes = outcome.processes.iter().filter(|process| process.step == index).count();
        done.insert(step.name.clone(), (rest[..next].to_owned(), processes));
        rest = &rest[next..];
    }
    assert!(rest.is_empty() && bench.errors.is_empty(), "{rest}{}", bench.errors);
    (done, bench)
}

fn marked_scripts_do_what_they_did() {
    let ((without, _), (with, bench)) = (all(Scripts::Untraced), all(Scripts::Traced));
    let differ = |name: &&String| without[*name] != with[*name];
    let faults: Vec<String> = without
        .keys()
        .filter(differ)
        .map(|name| {
            format!(
                "{name}: {} processes\n{}=== traced: {}\n{}",
                without[name].1, without[name].0, with[name].1, with[name].0
            )
        })
        .collect();
    assert!(faults.is_empty(), "{} of {} differ\n{}", faults.len(), without.len(), faults.join("\n\n"));
    // The rest is refused for a reason each: aliases, `set -v`, `$_`, CRLF before a keyword, …
    let told = told(&bench);
    let of_files = told.scripts.iter().filter(|path| path.starts_with("/build/")).count();
    let refused = told.untraced.iter().filter(|(path, _)| path.starts_with("/build/")).count();
    assert!(of_files > 150 && refused < 60, "{of_files} traced, {refused} refused: {:?}", told.untraced);
}

/// What a trace tells of scripts.
#[derive(Default)]
struct Told {
    scripts: Vec<String>,
    places: Vec<Place>,
    ran: Vec<(usize, usize, Vec<String>)>,
    untraced: Vec<(String, String)>,
    is_cut: bool,
}

fn told(bench: &Bench) -> Told {
    let file = fs::File::open(&bench.host.trace).expect("a trace");
    let mut told = Told::default();
    let mut reader = Reader::new(file).expect("a trace");
    while let Some(event) = reader.read().expect("an event") {
        let Event::Script(event) = event else { continue };
        match event {
            ScriptEvent::Script { path, .. } => told.scripts.push(path),
            ScriptEvent::Place { place, .. } => told.places.push(place),
            ScriptEvent::Ran { process, ran, values, .. } => {
                let mut values: BTreeMap<usize, Vec<String>> = values.into_iter().collect();
                for (index, place) in decode(&ran, 1 << 20).expect("numbers").into_iter().enumerate() {
                    told.ran.push((process, place, values.remove(&index).unwrap_or_default()));
                }
            }
            ScriptEvent::Untraced { path, reason, .. } => told.untraced.push((path, reason)),
            ScriptEvent::Cut { .. } => told.is_cut = true,
            ScriptEvent::Step { scripts, .. } => assert_eq!(scripts, Scripts::Traced),
        }
    }
    told
}

fn traced(name: &str, steps: Vec<Step>) -> (Bench, Outcome) {
    let mut bench = Bench::new(name, "");
    bench.plan.steps = steps;
    bench.plan.steps.iter_mut().for_each(|step| step.scripts = Scripts::Traced);
    let outcome = bench.pass();
    (bench, outcome)
}

impl Told {
    /// The branches that were entered, in order: line, how, pattern, values.
    fn branches(&self) -> Vec<String> {
        let branch = |(_, place, values): &(usize, usize, Vec<String>)| {
            let place = &self.places[*place];
            let branch = place.branch.as_ref()?;
            let pattern = branch.pattern.as_ref().map_or(String::new(), |pattern| format!(" {pattern}"));
            let values = if values.is_empty() { String::new() } else { format!(" {values:?}") };
            Some(format!("{} {}{pattern}{values}", place.line, branch.how.name()))
        };
        self.ran.iter().filter_map(branch).collect()
    }
}

const BRANCHES: &str = "n=$1\nif [ \"$n\" = 1 ]; then\n  :\nelif [ \"$n\" = 2 ]; then\n  :\nelse\n  :\nfi\n\
    case $n in\n  1|one) : ;;\n  2) ;;\nesac\n[ $n = 1 ] && : and\n[ $n = 1 ] || : or\n\
    while [ $n -gt 1 ]; do\n  n=$((n - 1))\ndone\nfor i in a b; do\n  : $i\ndone\nif [ $n = 5 ]; then : ; fi\n";

fn each_branch_is_told() {
    for shell in ["sh", "bash"] {
        let run = |argument: &str| step(argument, &[shell, "-c", BRANCHES, "branches", argument]);
        let of = |argument: &str| {
            let (bench, _) = traced(&format!("branches-{shell}-{argument}"), vec![run(argument)]);
            let told = told(&bench);
            assert_eq!((told.scripts.as_slice(), told.untraced.as_slice()), (&["-c".to_owned()][..], &[][..]));
            let first = &told.places[told.ran[1].1];
            assert_eq!(
                (first.line, first.text.as_str(), &told.ran[1].2),
                (2, "if [ \"$n\" = 1 ]", &vec![argument.to_owned()])
            );
            told.branches()
        };
        let tail = ["19 body [\"a\"]", "19 body [\"b\"]", "21 else"];
        let expect =
            |branches: &[&str]| branches.iter().chain(&tail).map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(of("1"), expect(&["3 then", "10 item 1|one", "13 and"]));
        assert_eq!(of("2"), expect(&["4 else [\"2\"]", "5 then", "11 item 2", "14 or", "16 body"]));
        assert_eq!(of("3"), expect(&["4 else [\"3\"]", "7 else", "12 no-match", "14 or", "16 body", "16 body"]));
    }
}

fn what_is_not_traced_is_told() {
    let script = "printf 'alias a=b\\nif true; then echo x; fi\\n' > a.sh; sh a.sh; echo 'echo in' | sh; printf 'if' > b.sh; bash b.sh 2>/dev/null; \
                  bash -c 'echo $_; true && true'; bash --rcfile x -c 'true; true'";
    let (bench, _) = traced("untraced", vec![step("one", &["/bin/sh", "-c", script])]);
    let mut untraced = told(&bench).untraced;
    untraced.sort();
    let expected = [
        ("", "it is read from standard input"),
        ("", "the option `--rcfile` is not understood"),
        ("-c", "it asks for `$_`"),
        ("-c", "it asks for `$_`"),
        ("/build/a.sh", "line 1: it defines aliases"),
        ("/build/b.sh", "line 1: a condition is missing"),
    ];
    assert_eq!(untraced, expected.map(|(path, reason)| (path.to_owned(), reason.to_owned())));
}

/// A script that asks the question itself can claim lines of its own script, and nothing else.
fn a_script_tells_of_itself_alone() {
    let forge = "true; p=/.as; [ -w \"${p}say/0123456789abcdef/0\" ]; [ -w \"${p}say/0123456789abcdef\" ]; test -w \"${p}say/\"; true\n";
    let mut bench = Bench::new("forged", "");
    fs::write(bench.place.join("source/forge.sh"), forge).expect("a script");
    fs::write(bench.place.join("source/honest.sh"), "true\nif true; then\n :\nfi\n").expect("a script");
    let run = |name: &str| Step { scripts: Scripts::Traced, ..step(name, &["/bin/sh", &format!("/build/{name}.sh")]) };
    bench.plan.steps = vec![run("honest"), run("forge")];
    bench.pass();
    let told = told(&bench);
    let forged = told.untraced.iter().filter(|(_, reason)| reason.contains("was not given")).count();
    assert_eq!(forged, 3, "{:?}", told.untraced);
    let of_honest: Vec<u32> =
        told.ran.iter().filter(|(process, ..)| *process == 0).map(|(_, at, _)| told.places[*at].line).collect();
    assert_eq!(of_honest, [1, 2, 3]);
    assert!(told.places.iter().all(|place| place.branch.as_ref().is_none_or(|branch| branch.how != How::Or)));
}

fn the_record_is_cut() {
    let script = "v=$(printf '%1000s' x); i=0; while [ $i -lt 17000 ]; do i=$((i+1)); [ \"$v\" ] || :; done; if true; then : after; fi";
    let (bench, outcome) = traced("cut", vec![step("one", &["/bin/sh", "-c", script])]);
    let told = told(&bench);
    assert!(told.is_cut && outcome.lost == 0);
    assert!(told.places.iter().all(|place| !place.text.contains("after")), "nothing is told after the cut");
}
