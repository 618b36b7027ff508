//! Whether a former build may be the answer: a share of them is built again, and one that was found to differ is not used.
//!
//! What was built before is known from recipes and runs that accepted builders signed and this home logged. There is no cache beside
//! the log that a step, or a hand on a file, could fill: see `former` in `commands::build`, which also looks that every
//! output is still in the store.

use attest::Claim;
use model::recipe::Recipe;
use wire::digest::Digest;

use crate::error::Result;
use crate::machine;
use crate::session::Session;

/// Draws whether one former build is built again, for a share of one in `one_in`; none where that is 0.
///
/// By chance, and of the kernel: a build that could foresee it would lie at other times.
pub(crate) fn is_drawn(one_in: u32) -> Result<bool> {
    Ok(match one_in {
        0 => false,
        1 => true,
        many => u64::from_le_bytes(machine::random()?) % u64::from(many) == 0,
    })
}

/// The statement that forbids to use a former build of the same source, specification, lock and plan: the newest comparison of
/// such builds, if it found a difference. A later one that found none lifts it.
pub(crate) fn distrusted(session: &Session<'_>, recipe: &Recipe) -> Result<Option<Digest>> {
    let mut newest = None;
    for known in session.recipes_of(&recipe.source)? {
        let Claim::Recipe(claim) = known.claim() else { continue };
        if (claim.plan, claim.lock, claim.spec) != (recipe.plan, recipe.lock, recipe.spec) {
            continue;
        }
        for comparison in session.comparisons_of(known.statement().payload())? {
            let Claim::Rebuilt(rebuilt) = comparison.claim() else { continue };
            let index = comparison.logged().map(tlog::Logged::index);
            if comparison.authorised() && newest.is_none_or(|(newest, _, _)| index > newest) {
                newest = Some((index, rebuilt.equal, *comparison.statement().payload()));
            }
        }
    }
    Ok(newest.and_then(|(_, equal, payload)| (!equal).then_some(payload)))
}

/// Names of the stages that left something else for others although they saw the same.
pub(crate) fn differing(first: &Recipe, second: &Recipe) -> Vec<String> {
    let pairs = first.stages.iter().zip(&second.stages);
    let differs = pairs.filter(|(one, other)| one.made.plan == other.made.plan && one.made != other.made);
    differs.map(|(one, _)| one.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::is_drawn;

    #[test]
    fn a_share_is_none_all_or_some() {
        assert!((0..100).all(|_| !is_drawn(0).expect("the kernel gives bytes")));
        assert!((0..100).all(|_| is_drawn(1).expect("the kernel gives bytes")));
        // Of 200 with one in two, all or none: once in 2^199.
        let drawn = (0..200).filter(|_| is_drawn(2).expect("the kernel gives bytes")).count();
        assert!((1..200).contains(&drawn), "{drawn}");
    }
}
