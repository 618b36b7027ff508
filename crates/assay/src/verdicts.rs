//! What a trace tells beside what nothing pins, for people and for programs: `build` and `why` show it alike.

use attest::Claim;
use attest::predicate::sbom::Sbom;
use model::recipe::Artifact;
use model::run::{Attempt, Verdicts};
use serde_json::{Value, json};
use wire::digest::Digest;

use crate::error::Result;
use crate::report::Report;
use crate::session::Session;

/// How many of each kind a text names.
const NAMED_MAX: usize = 5;

/// As `--json` has it; `docs/formats/run.md` tells what the fields mean.
pub(crate) fn json(verdicts: &Verdicts) -> Value {
    let attempts = |list: &[Attempt]| -> Value {
        let one = |one: &Attempt| json!({ "what": one.what, "process": one.process, "command": one.command, "count": one.count });
        list.iter().map(one).collect()
    };
    json!({
        "unread": verdicts.unread,
        "dynamic": attempts(&verdicts.dynamic),
        "random": verdicts.random.iter().map(|one| json!({
            "program": one.program, "source": one.source, "seeded": one.seeded,
            "process": one.process, "count": one.count,
        })).collect::<Vec<_>>(),
        "clock": verdicts.clock.iter().map(|one| json!({
            "step": one.step, "tier": one.tier, "fixed": one.fixed,
        })).collect::<Vec<_>>(),
        "clock_files": attempts(&verdicts.clock_files),
        "outside": attempts(&verdicts.outside),
    })
}

/// Finds the bill of materials that a run led to; `None` for a run from before there were any.
pub(crate) fn sbom_of(session: &Session<'_>, outputs: &[Artifact], run: &Digest) -> Result<Option<Sbom>> {
    let digests: Vec<Digest> = outputs.iter().map(|output| output.digest).collect();
    let found = session.about(&digests)?.attestations;
    Ok(found.into_iter().filter(|one| one.authorised()).find_map(|one| match one.claim() {
        Claim::Sbom(sbom) if sbom.run == *run => Some((**sbom).clone()),
        _ => None,
    }))
}

/// How much of what was pinned was read.
pub(crate) fn counted(sbom: &Sbom) -> Value {
    let (locked, base) = (sbom.locked(), sbom.base());
    json!({ "locked": locked.1, "locked_read": locked.0, "base": base.1, "base_read": base.0 })
}

/// What [`counted`] says, in words.
pub(crate) fn counted_text(counted: &Value) -> Option<String> {
    let number = |name: &str| counted[name].as_u64().filter(|&number| number > 0);
    let locked = number("locked").map(|all| format!("{} of {all} locked packages read", counted["locked_read"]));
    let base = number("base").map(|all| format!("{} of {all} packages of the base", counted["base_read"]));
    let parts: Vec<String> = locked.into_iter().chain(base).collect();
    (!parts.is_empty()).then(|| format!("  {}", parts.join(", ")))
}

/// How many runs `why` tells of.
const RUNS_MAX: usize = 3;

/// Adds to the answer of `why` what the traces of the runs in it tell.
pub(crate) fn add(session: &Session<'_>, report: &mut Report) -> Result<()> {
    let nodes = report.json["nodes"].as_array().cloned().unwrap_or_default();
    let runs = nodes.iter().filter(|node| node["kind"] == json!("run"));
    let digests = runs.filter_map(|node| node["digest"].as_str()?.parse::<Digest>().ok());
    let mut told = Vec::new();
    for digest in digests.take(RUNS_MAX) {
        for one in session.by_payload(&digest)?.attestations {
            let Claim::Run(run) = one.claim() else { continue };
            let verdicts = run.verdicts.as_ref().map(json);
            let lines = verdicts.as_ref().map(text).unwrap_or_default();
            let undeclared = run
                .undeclared
                .iter()
                .take(NAMED_MAX)
                .map(|one| format!("  opened, and nothing pins it: `{}`: {}", one.argv0, one.path));
            let lines: Vec<String> = undeclared.chain(lines).collect();
            if !lines.is_empty() {
                report.text.push_str(&format!(
                    "\nrun {}, by its trace {}\n{}",
                    digest.short(),
                    run.trace.short(),
                    lines.join("\n")
                ));
            }
            let undeclared: Vec<Value> = run
                .undeclared
                .iter()
                .map(|one| json!({ "path": one.path, "process": one.process, "argv0": one.argv0, "count": one.count }))
                .collect();
            told.push(json!({ "run": digest, "trace": run.trace, "undeclared": undeclared, "verdicts": verdicts }));
            break;
        }
    }
    report.json["runs"] = Value::Array(told);
    Ok(())
}

/// A few lines of what [`json`] made; none where there was nothing to tell.
pub(crate) fn text(verdicts: &Value) -> Vec<String> {
    let list = |field: &str| verdicts[field].as_array().cloned().unwrap_or_default();
    let mut out = Vec::new();
    for (field, words) in [
        ("dynamic", "looked for inputs while building"),
        ("outside", "wrote outside its outputs"),
        ("clock_files", "read what tells the time"),
    ] {
        let all = list(field);
        for one in all.iter().take(NAMED_MAX) {
            let word = |name: &str| one[name].as_str().unwrap_or_default();
            out.push(format!("  {words}: `{}`: {}", word("command"), word("what")));
        }
        out.extend(more(all.len(), words));
    }
    let unread = list("unread");
    if !unread.is_empty() {
        let names: Vec<&str> = unread.iter().take(NAMED_MAX).filter_map(Value::as_str).collect();
        let dots = if unread.len() > names.len() { ", …" } else { "" };
        out.push(format!("  pinned and never read: {} ({}{dots})", unread.len(), names.join(", ")));
    }
    let random = list("random");
    if !random.is_empty() {
        let seeded = random.iter().filter(|one| one["seeded"] == json!(true)).count();
        let words = if seeded > 0 { format!(", {seeded} of them the seeded one") } else { String::new() };
        out.push(format!("  randomness: asked for by {} programs{words}", random.len()));
    }
    let unseen: Vec<String> = list("clock")
        .iter()
        .filter(|one| one["fixed"] == json!(false))
        .map(|one| {
            format!("`{}` ({})", one["step"].as_str().unwrap_or_default(), one["tier"].as_str().unwrap_or_default())
        })
        .collect();
    if !unseen.is_empty() {
        out.push(format!("  clock: real, and who reads it is not seen, in {}; tier T2 fixes it", unseen.join(", ")));
    }
    out
}

fn more(count: usize, words: &str) -> Option<String> {
    (count > NAMED_MAX).then(|| format!("  {words}: {} more; `--json` names them", count - NAMED_MAX))
}
