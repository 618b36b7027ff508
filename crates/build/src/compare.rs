//! Two or more runs of one recipe: did they give the same bytes?

use std::collections::BTreeMap;

use model::recipe::Recipe;
use model::run::Rebuilt;
use wire::digest::Digest;

/// Why runs cannot be compared.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CompareError {
    /// Fewer than two.
    #[error("a comparison needs two runs")]
    TooFew,
    /// Not the same recipe: what differs says nothing about reproducibility.
    #[error("run `{run}` has another {what} than the first: these are not builds of one recipe")]
    Otherwise {
        /// Which run: digest of its statement's payload.
        run: Digest,
        /// Which part of the recipe.
        what: &'static str,
    },
}

/// Compares the outputs of runs, oldest first. Each comes with the digest of its run statement's payload; `recipe` is
/// that of the first recipe statement's.
pub fn compare(recipe: &Digest, runs: &[(Digest, &Recipe)]) -> Result<Rebuilt, CompareError> {
    let [(_, first), rest @ ..] = runs else { return Err(CompareError::TooFew) };
    if rest.is_empty() {
        return Err(CompareError::TooFew);
    }
    for (run, other) in rest {
        same_recipe(first, run, other)?;
    }
    let mut found: BTreeMap<&str, Vec<Option<Digest>>> = BTreeMap::new();
    for (index, (_, recipe)) in runs.iter().enumerate() {
        for output in &recipe.outputs {
            found.entry(&output.name).or_insert_with(|| vec![None; runs.len()])[index] = Some(output.digest);
        }
    }
    let differs = |digests: &Vec<Option<Digest>>| digests.iter().any(|digest| *digest != digests[0]);
    let differences: Vec<(String, Vec<Digest>)> = found
        .into_iter()
        .filter(|(_, digests)| differs(digests))
        .map(|(name, digests)| (name.to_owned(), digests.into_iter().flatten().collect()))
        .collect();
    let runs = runs.iter().map(|(run, _)| *run).collect();
    Ok(Rebuilt { recipe: *recipe, runs, equal: differences.is_empty(), differences })
}

fn same_recipe(a: &Recipe, run: &Digest, b: &Recipe) -> Result<(), CompareError> {
    let parts = [
        ("source", a.source == b.source),
        ("specification", a.spec == b.spec),
        ("lock", a.lock == b.lock),
        ("plan", a.plan == b.plan),
    ];
    match parts.into_iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(CompareError::Otherwise { run: *run, what }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
