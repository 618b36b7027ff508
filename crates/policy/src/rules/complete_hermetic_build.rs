//! `complete-hermetic-build`: the build could reach nothing but pinned inputs, and all of it was seen.
//!
//! ```toml
//! [[rules]]
//! rule = "complete-hermetic-build"
//! levels = ["full", "no-proc"]        # the default
//! ```
//!
//! Looks at the run that counts: its level, its completeness, and files that it opened though nothing pins them.

use attest::Attestation;
use attest::predicate::run::{LEVELS, Run};
use model::verdict::RuleResult;

use crate::evidence::Case;
use crate::params::{Parameter, Params};
use crate::rules::{Finding, SHOWN, count, judge_runs, named, quoted};

/// The rule's name.
pub const NAME: &str = "complete-hermetic-build";

/// Its parameters.
pub const PARAMETERS: [Parameter; 1] = [Parameter { name: "levels", example: "levels = [\"full\", \"no-proc\"]" }];

/// Whether the build could reach only what is pinned, and was seen whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompleteHermeticBuild {
    /// Levels of isolation that are good enough.
    pub levels: Vec<String>,
}

impl CompleteHermeticBuild {
    pub(crate) fn parse(params: &mut Params<'_, '_, '_>) -> Option<CompleteHermeticBuild> {
        let levels = params.choices("levels", &LEVELS, &["full", "no-proc"])?;
        Some(CompleteHermeticBuild { levels })
    }

    pub(crate) fn judge(&self, case: &Case<'_>) -> RuleResult {
        judge_runs(NAME, case, |attestation, run| self.judge_run(attestation, run))
    }

    fn judge_run(&self, attestation: &Attestation, run: &Run) -> Finding {
        let name = named(attestation);
        let level = &run.level;
        if !self.levels.contains(level) {
            let allowed = quoted(&self.levels, "or");
            return Finding::fail(
                format!("{name} was isolated at level `{level}`, not {allowed}{}", reasons(run)),
                level_fix(run),
            );
        }
        if !run.undeclared.is_empty() {
            return undeclared(&name, run);
        }
        if !run.completeness.complete {
            return Finding::fail(
                format!("{name} at level `{level}` is not complete{}", reasons(run)),
                "remove the reason, then `assay build`",
            );
        }
        let processes = count(run.processes, "process", "processes");
        Finding::pass(format!(
            "{name} at level `{level}` is complete: {processes} seen, nothing opened that is not pinned"
        ))
    }
}

fn reasons(run: &Run) -> String {
    match run.completeness.reasons.as_slice() {
        [] => String::new(),
        reasons => format!(": {}", reasons.join("; ")),
    }
}

fn undeclared(name: &str, run: &Run) -> Finding {
    let files = count(run.undeclared.len(), "file", "files");
    let opens = run.undeclared.iter().take(SHOWN).map(|file| format!("`{}` by `{}`", file.path, file.argv0));
    let opens: Vec<String> = opens.collect();
    let more = match run.undeclared.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Finding::fail(
        format!("{name} opened {files} that nothing pins: {}{more}", opens.join(", ")),
        "add what holds them to `base` in assay.toml, or stop opening them; then `assay lock` and `assay build`",
    )
}

/// The reasons say what the machine withheld, and where it is known by which option it would give it.
fn level_fix(run: &Run) -> String {
    let options: Vec<&str> =
        run.completeness.reasons.iter().map(String::as_str).filter(|reason| reason.contains("--")).collect();
    match options.as_slice() {
        [] => "`assay build` where user namespaces are allowed: outside of a container, or in one started with \
               `--security-opt seccomp=unconfined --security-opt unmask=ALL` or `--privileged`"
            .to_owned(),
        options => format!("{}; then `assay build`", options.join("; ")),
    }
}
