//! What a trace tells beside what nothing pins, for people and for programs: `build` and `why` show it alike.

use model::run::{Attempt, Verdicts};
use serde_json::{Value, json};

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
