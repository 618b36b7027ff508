//! The pages of `docs/formats/` show real samples: each page's JSON block is the sample statement.
//! `UPDATE_EXPECT=1 cargo test -p attest` writes them anew.

use std::fs;
use std::path::PathBuf;

use super::all;
use crate::predicate::Predicate;
use crate::sample;

fn page(predicate: Predicate) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats");
    PathBuf::from(root).join(format!("{}.md", predicate.name()))
}

/// Splits a page around the first block of JSON.
fn parts(text: &str) -> (&str, &str, &str) {
    let (before, rest) = text.split_once("```json\n").expect("the page has a block of JSON");
    let (block, after) = rest.split_once("```\n").expect("the block ends");
    (before, block, after)
}

#[test]
fn samples_are_real() {
    for predicate in all() {
        let path = page(predicate);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (before, block, after) = parts(&text);
        let sample =
            serde_json::to_string_pretty(&serde_json::json!(sample::statement(predicate))).expect("JSON") + "\n";
        if block != sample && std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&path, format!("{before}```json\n{sample}```\n{after}")).expect("the page can be written");
        } else {
            assert_eq!(block, sample, "{}", path.display());
        }
    }
}

#[test]
fn pages_name_type_signer_version_and_migration() {
    for predicate in all() {
        let text = fs::read_to_string(page(predicate)).expect("the page is there");
        let role = format!("role `{}`", predicate.role().name());
        for part in [predicate.uri(), role.as_str(), "Version 1", "## Fields", "## Changes"] {
            assert!(text.contains(part), "{}.md lacks {part}", predicate.name());
        }
    }
}

/// Every field of a sample is explained: its name stands in backquotes on the page.
#[test]
fn pages_explain_every_field() {
    for predicate in all() {
        let text = fs::read_to_string(page(predicate)).expect("the page is there");
        let (before, _, after) = parts(&text);
        let prose = format!("{before}{after}");
        let statement = sample::statement(predicate);
        let mut names = Vec::new();
        collect(&statement.predicate, &mut names);
        for name in names {
            assert!(prose.contains(&format!("`{name}`")), "{}.md does not explain `{name}`", predicate.name());
        }
    }
}

fn collect(value: &serde_json::Value, names: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, child) in map {
                // Names of variables and of digest algorithms are values, not fields.
                if !["CARGO_TERM_COLOR", "sha256"].contains(&name.as_str()) {
                    names.push(name.clone());
                }
                collect(child, names);
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|child| collect(child, names)),
        _ => {}
    }
}
