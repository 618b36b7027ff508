//! What a trace tells: the verdicts of a run in `build`, `why` and its statement; the bill of materials; the trace itself.
//!
//! M1.5 M2.3 M3.1

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::place::{Place, git};

const SPEC: &str = r#"version = 1
[project]
name = "telltale"
owners = ["ada"]
[base]
packages = ["coreutils", "dash", "sed"]
[[step]]
name = "run"
run = ["sh", "run.sh"]
[[artifact]]
name = "made"
path = "made"
"#;

const SCRIPT: &str = "set -e\n\
    . ./env.sh\n\
    echo more >> tracked.txt\n\
    cat /etc/resolv.conf 2> /dev/null || true\n\
    head -c 4 /dev/urandom > /dev/null\n\
    sort --random-source=/dev/zero tracked.txt > made\n";

fn telltale(place: &Place) -> std::path::PathBuf {
    let project = place.work().join("project");
    fs::create_dir_all(&project).expect("a directory");
    let secret = "export API_TOKEN=hunter2hunter2\n";
    for (path, text) in
        [("assay.toml", SPEC), ("run.sh", SCRIPT), ("env.sh", secret), ("tracked.txt", "b\na\n"), ("unread.txt", "")]
    {
        fs::write(project.join(path), text).expect("a file");
    }
    git(&project, &["init", "--quiet"]);
    git(&project, &["add", "--all"]);
    git(&project, &["commit", "--quiet", "-m", "as it is"]);
    place.assay(&project, &["lock"]).exits(0);
    project
}

/// Each entry of a list of attempts as `WHAT by COMMAND`.
fn attempts(list: &Value) -> Vec<String> {
    let text = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
    list.as_array()
        .into_iter()
        .flatten()
        .map(|one| format!("{} by {}", text(one, "what"), text(one, "command")))
        .collect()
}

#[test]
fn verdicts_of_a_run_are_told_by_build_why_and_the_statement() {
    let place = Place::new("verdicts");
    let project = telltale(&place);
    let built = place.json(&project, 0, &["build"]);
    let verdicts = &built["verdicts"];
    assert_eq!(attempts(&verdicts["outside"]), ["write /build/tracked.txt by sh run.sh"], "{built}");
    assert_eq!(attempts(&verdicts["dynamic"]), ["looked for /etc/resolv.conf by cat /etc/resolv.conf"]);
    assert_eq!(verdicts["clock"], json!([{"step": "run", "tier": "T0", "fixed": false}]));
    let drawn = verdicts["random"].as_array().expect("a list");
    let head = drawn.iter().find(|one| one["source"] == "/dev/urandom").expect("`head` asked");
    assert!(head["program"].as_str().is_some_and(|program| program.ends_with("/head")), "{head}");
    assert_eq!((&head["count"], &head["seeded"]), (&json!(1), &json!(false)));
    let unread: Vec<&str> = verdicts["unread"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(unread.iter().any(|purl| purl.starts_with("pkg:deb/debian/sed@")), "{unread:?}");
    assert!(!unread.iter().any(|purl| purl.contains("/coreutils@") || purl.contains("/dash@")), "{unread:?}");

    // The same from the statement: of a former build, and by the walk back.
    let cached = place.json(&project, 0, &["build", "--recheck", "0"]);
    assert_eq!((&cached["cached"], &cached["verdicts"], &cached["sbom"]), (&json!(true), verdicts, &built["sbom"]));
    let why = place.json(&project, 0, &["why", "made"]);
    assert_eq!((&why["runs"][0]["run"], &why["runs"][0]["verdicts"]), (&built["run"], verdicts));
    let text = place.assay(&project, &["why", "made"]).exits(0).stdout;
    assert!(text.contains("wrote outside its outputs: `sh run.sh`: write /build/tracked.txt"), "{text}");

    the_trace_is_printed(&place, &project, &built);
    what_was_cut_is_refused(&place, &project, &built);
}

fn blob(place: &Place, digest: &Value) -> Vec<u8> {
    let value = digest.as_str().and_then(|text| text.strip_prefix("sha256:")).expect("a digest");
    let (start, rest) = value.split_at(2);
    fs::read(place.home().join("data/blobs/sha256").join(start).join(rest)).expect("a blob")
}

fn the_trace_is_printed(place: &Place, project: &Path, built: &Value) {
    assert!(blob(place, &built["trace"]).starts_with(b"assay-trace 2\n"));
    let run = built["run"].as_str().expect("a digest");
    let whole = place.assay(project, &["trace", run]).exits(0).stdout;
    let events: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!((&events[0]["event"], &events[0]["version"]), (&json!("start"), &json!(2)));
    assert_eq!(events[events.len() - 1]["event"], "finished");
    // The token was in the variables of every process after it was set.
    assert!(!whole.contains("hunter2"), "a secret stands in the trace");
    let withheld = events.iter().filter(|event| {
        event["variables"]["API_TOKEN"].as_str().is_some_and(|value| value.starts_with("hmac:") && value.len() == 69)
    });
    assert!(withheld.count() >= 3, "{whole}");
    let counted = place.json(project, 0, &["trace", "made"]);
    assert_eq!((&counted["events"], &counted["trace"]), (&json!(events.len()), &built["trace"]));

    let touched = place.assay(project, &["trace", "made", "--path", "/build/tracked.txt"]).exits(0).stdout;
    let who: Vec<String> = touched
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("an object"))
        .map(|one| format!("{} {}", one["kind"].as_str().unwrap_or("?"), one["argv"][0].as_str().unwrap_or("?")))
        .collect();
    assert!(who.contains(&"write sh".to_owned()) && who.contains(&"read sort".to_owned()), "{who:?}");
}

fn what_was_cut_is_refused(place: &Place, project: &Path, built: &Value) {
    let bytes = blob(place, &built["trace"]);
    let cut = place.work().join("cut");
    fs::write(&cut, &bytes[..bytes.len() - 1]).expect("a file");
    let refused = place.assay(project, &["trace", cut.to_str().expect("UTF-8")]).exits(2);
    assert!(refused.stdout.lines().count() > 10, "what is whole is printed");
    assert!(refused.stderr.contains("the trace is cut off after"), "{}", refused.stderr);
}

/// Of a Rust project whose lock file also names what only Windows needs.
pub(crate) fn bill_of_materials(place: &Place, project: &Path, built: &Value) {
    let counted = &built["sbom"];
    assert_eq!(counted["locked"], json!(24), "{built}");
    let bom = place.json(project, 0, &["sbom", "greeter"])["bom"].clone();
    assert_eq!((&bom["bomFormat"], &bom["specVersion"]), (&json!("CycloneDX"), &json!("1.6")));
    let components = bom["components"].as_array().expect("components");
    let find = |name: &str| {
        let found = components.iter().find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("`{name}` is not listed"))
    };
    let used = |component: &Value| {
        let all = component["properties"].as_array().expect("properties");
        all.iter().find(|one| one["name"] == "assay:used").map(|one| one["value"].clone())
    };
    let serde = find("serde");
    assert_eq!((&serde["scope"], used(serde)), (&json!("required"), Some(json!("read"))));
    assert!(serde["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:cargo/serde@1.")), "{serde}");
    assert_eq!(serde["hashes"][0]["alg"], "SHA-256");
    for windows in ["windows-sys", "windows-link"] {
        assert_eq!(find(windows)["scope"], "excluded", "{}", find(windows));
    }
    let read = components.iter().filter(|one| {
        let locked = one["properties"].as_array().is_some_and(|all| all.iter().any(|p| p["value"] == "cargo"));
        locked && one["scope"] == "required"
    });
    assert_eq!(json!(read.count()), counted["locked_read"]);
    assert_eq!(counted["locked_read"], json!(22), "all but those of Windows");
    let libc = find("libc6");
    assert_eq!((&libc["scope"], used(libc)), (&json!("required"), Some(json!("read"))), "{libc}");
    let text = place.assay(project, &["build"]).exits(0).stdout;
    assert!(text.contains("22 of 24 locked packages read"), "{text}");
}
