//! The documentation is true: the guide's commands run in order, every command of the program is described, and no link
//! leads nowhere.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::place::{Place, free_port, ran};

/// What stands before the output of each block.
const MARK: &str = "=== block ";

/// A shell that runs the blocks, and ends what it left running whatever happened.
const PROLOGUE: &str =
    "set -euo pipefail\nexec 2>&1\ntrap 'jobs=$(jobs -p); [ -z \"$jobs\" ] || { kill $jobs; wait; } || true' EXIT\n";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace's directory")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
}

/// The blocks between a line "```sh" and the next "```"; any other word after the backticks is not for running.
fn blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut current: Option<(bool, String)> = None;
    for line in markdown.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, &mut current) {
            (Some(language), None) => current = Some((language.trim() == "sh", String::new())),
            (Some(_), Some(_)) => blocks.extend(current.take().filter(|(run, _)| *run).map(|(_, text)| text)),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(current.is_none(), "a block of the guide is not closed");
    blocks
}

fn script(blocks: &[String]) -> String {
    let mut script = PROLOGUE.to_owned();
    for (number, block) in blocks.iter().enumerate() {
        script.push_str(&format!("printf '%s%d\\n' {MARK:?} {number}\n{block}"));
    }
    script
}

/// Ends services that were deployed in a place, when it is dropped.
struct Services(PathBuf);

impl Drop for Services {
    fn drop(&mut self) {
        for environment in entries(&self.0) {
            for service in entries(&environment) {
                let state = fs::read(service.join("service.json")).unwrap_or_default();
                let state: Value = serde_json::from_slice(&state).unwrap_or_default();
                if let Some(pid) = state["supervisor"]["pid"].as_u64().filter(|_| state["state"] != "stopped") {
                    let _gone = Command::new("kill").arg(pid.to_string()).status();
                }
            }
        }
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(list) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = list.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.sort();
    paths
}

#[test]
fn the_guides_commands_run_in_order() {
    let repository = repository();
    let place = Place::new("guide");
    let _services = Services(place.home().join("deployments"));
    let bin = place.root().join("bin");
    fs::create_dir_all(&bin).expect("a directory for the program");
    symlink(env!("CARGO_BIN_EXE_assay"), bin.join("assay")).expect("the program is linked");
    let blocks = blocks(&read(&repository.join("docs/guide.md")));
    assert!(blocks.len() > 10, "the guide has only {} blocks to run", blocks.len());
    let file = place.root().join("guide.sh");
    fs::write(&file, script(&blocks)).expect("the script is written");

    let program = place.program(&repository);
    let mut shell = Command::new("bash");
    shell.arg(&file).current_dir(&repository).env_clear().stdin(std::process::Stdio::null());
    for (name, value) in program.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    let path = std::env::var("PATH").unwrap_or_default();
    shell.env("PATH", format!("{}:{path}", bin.display()));
    shell.env("TMPDIR", place.work());
    shell.env("GREETER_PORT", free_port().to_string());
    shell.env("REGISTRY_PORT", free_port().to_string());
    // Into a file: a service that a block leaves running would hold a pipe open.
    let output = place.root().join("output");
    let to = fs::File::create(&output).expect("the output's file");
    let also = to.try_clone().expect("the output's file");
    let status = shell.stdout(to).stderr(also).status().expect("bash runs");

    let text = String::from_utf8_lossy(&fs::read(&output).expect("the output")).into_owned();
    let (number, last) = text.rsplit_once(MARK).and_then(|(_, last)| last.split_once('\n')).unwrap_or(("0", &text));
    let block = number.parse::<usize>().ok().and_then(|number| blocks.get(number)).map_or("", String::as_str);
    assert!(
        status.success(),
        "block {number} of docs/guide.md ended with {status}\n--- block\n{block}--- output\n{last}"
    );
    assert_eq!(number, (blocks.len() - 1).to_string(), "the guide ended before its last block:\n{last}");
}

#[test]
fn blocks_are_those_marked_sh() {
    let text = "a\n```sh\none\n```\n```sh no-run\ntwo\n```\n```text\nthree\n```\n```sh\nfour\nfive\n```\n";
    assert_eq!(blocks(text), ["one\n", "four\nfive\n"]);
}

/// Every command with its subcommands, as `assay admin token create`, from the program's own help.
fn commands(place: &Place, path: &[String], found: &mut BTreeSet<String>) {
    let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = ran(place.program(&place.work()).args(&arguments).output().expect("the program runs")).exits(0).stdout;
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // The name stands two blanks in; a continued description stands further in.
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    for name in names.filter_map(|line| line.split_whitespace().next()) {
        let deeper = [path, &[name.to_owned()]].concat();
        found.insert(deeper.join(" "));
        commands(place, &deeper, found);
    }
}

#[test]
fn every_command_is_described() {
    let place = Place::new("commands");
    let mut found = BTreeSet::new();
    commands(&place, &[], &mut found);
    assert!(found.contains("admin token create") && found.len() > 25, "{found:?}");
    let mut files = Vec::new();
    markdown(&repository().join("docs"), &mut files);
    let text: String = files.iter().map(|file| read(file)).collect();
    let missing: Vec<&String> = found.iter().filter(|name| !text.contains(&format!("assay {name}"))).collect();
    assert!(missing.is_empty(), "no page under docs/ mentions {missing:?}");
}

/// Markdown files below a directory, but not in build output, dependencies or version control.
fn markdown(directory: &Path, files: &mut Vec<PathBuf>) {
    for path in entries(directory) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() && !["target", "node_modules", ".git"].contains(&name.as_str()) {
            markdown(&path, files);
        } else if name.ends_with(".md") {
            files.push(path);
        }
    }
}

/// The targets of `[text](target)` outside of blocks and code.
fn links(markdown: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut in_block = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
            out.extend(prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned));
        }
    }
    out
}

/// What a heading is called in a link, as GitHub does it.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut in_block = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        let Some(heading) = line.strip_prefix('#').filter(|_| !in_block) else { continue };
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        out.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    out
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut files = Vec::new();
    markdown(&repository(), &mut files);
    assert!(files.len() > 20, "found only {} pages", files.len());
    let mut broken = Vec::new();
    for file in &files {
        for link in links(&read(file)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(path, anchor)| (path, Some(anchor)));
            let target = if path.is_empty() { file.clone() } else { file.with_file_name("").join(path) };
            let good = target.exists() && anchor.is_none_or(|anchor| anchors(&read(&target)).contains(anchor));
            if !good {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn links_and_anchors_are_found() {
    assert_eq!(links("see [a](b.md) and `[x](y)`, [c](d#e)\n```\n[f](g)\n```\n"), ["b.md", "d#e"]);
    assert_eq!(
        anchors("# One two\n## `code`, and: more\n"),
        BTreeSet::from(["one-two".to_owned(), "code-and-more".to_owned()])
    );
}
