//! `assay lint`: what provenance is worth, others' and our own.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::place::{Place, ran};
use crate::tamper::small;
use crate::witness::Running;

fn foreign(name: &str) -> String {
    format!("{}/../../tests/foreign/sigstore/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// M3.1 M10.1: what GitHub signs is graded; what is wrong, too little, or no provenance has its own answer.
#[test]
fn foreign_provenance_is_graded_field_by_field() {
    let place = Place::new("lint");
    let work = place.work();
    let bundle = foreign("happy-path.sigstore.json");
    let linted = place.json(&work, 0, &["lint", &bundle]);
    let statement = &linted["statements"][0];
    assert_eq!(statement["producer"], "GitHub Actions (attest-build-provenance)");
    // The page shows this very score.
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sigstore.md");
    let shown = format!("(attest-build-provenance), {} of 100", statement["score"]);
    assert!(fs::read_to_string(page).expect("a page").contains(&shown), "{shown}");
    let grade = |field: &str| {
        let fields = statement["fields"].as_array().expect("fields");
        fields.iter().find(|row| row["field"] == field).expect("the field")["grade"].clone()
    };
    assert_eq!(grade("predicate.runDetails.builder.id"), "good");
    assert_eq!(grade("predicate.buildDefinition.resolvedDependencies"), "weak");
    assert_eq!(grade("predicate.runDetails.byproducts"), "missing");
    assert_eq!(place.json(&work, 1, &["lint", "--minimum", "90", &bundle])["result"], "fail");
    place.json(&work, 0, &["lint", "--minimum", "60", &bundle]);

    fs::write(work.join("bad.json"), r#"{"SLSA":{"buildType":"make","builder":{"id":""}}}"#).expect("written");
    let text = place.assay(&work, &["lint", "bad.json"]).exits(1).stdout;
    assert!(
        text.contains("not signed: anybody may have written it") && text.contains("wrong   predicate.builder.id"),
        "{text}"
    );
    let release = place.json(&work, 2, &["lint", &foreign("github-private.sigstore.json")]);
    assert_eq!(release["error"]["code"], "not-provenance");
    fs::write(work.join("empty.json"), "").expect("written");
    assert_eq!(place.json(&work, 2, &["lint", "empty.json"])["error"]["code"], "not-provenance");
}

/// What we write ourselves leaves nothing out that the others are graded down for.
#[test]
fn our_own_provenance_says_everything() {
    let place = Place::new("lint-own");
    let project = small(&place);
    let built = place.json(&project, 0, &["build"]);
    let run = built["run"].as_str().expect("a run statement");
    let serve = ["serve", "--quiet", "--anonymous-read", "--listen", "127.0.0.1:0"];
    let server = Running::spawn(place.program(&project).args(serve));
    let url = format!("{}/api/v1/statements/{run}/bundle", server.url);
    let fetched = Command::new("curl")
        .args(["--silent", "--fail", "--output", "run.sigstore.json", &url])
        .current_dir(&project)
        .status();
    assert!(fetched.expect("curl runs").success());
    drop(server);
    let linted =
        ran(place.program(&project).args(["lint", "--minimum", "95", "run.sigstore.json"]).output().expect("it runs"));
    assert!(Path::new(&project).join("run.sigstore.json").exists());
    linted.exits(0);
}
