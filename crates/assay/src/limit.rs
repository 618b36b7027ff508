//! The end of a run that reached a limit: which, its value, what reached it, and how to raise it.

use build::reached::{Reached, reached, who};
use sandbox::outcome::Limit;
use sandbox::plan::Plan;

use crate::building::Ran;
use crate::error::{Context as _, Failure, Result};
use crate::inputs::StoreInputs;

/// Says no: `subject` (``step `compile` ``) reached `limit`. Whoever used the most of it is read from the trace.
pub(crate) fn failure(
    inputs: &StoreInputs,
    plan: &Plan,
    ran: &Ran,
    limit: &Limit,
    (code, subject): (&'static str, &str),
) -> Result<Failure> {
    let Reached { what, key } = reached(limit, plan);
    let trace = inputs.blobs.open(&ran.trace).context("store", "reading the trace")?;
    let who = who(trace, limit).context("trace", "reading the trace")?;
    let who = who.map_or(String::new(), |who| format!(": {who}"));
    let hint = format!(
        "if it needs more, write a larger `{key}` under `[limits]` in assay.toml, then `assay lock`; the whole log is blob {}",
        ran.log
    );
    Ok(Failure::no(code, format!("{subject} reached the limit of {what}{who}")).hint(hint))
}
