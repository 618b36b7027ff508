use super::*;
use crate::record::tests::sample;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

#[test]
fn equal_runs_are_equal() {
    let record = sample().recipe;
    let rebuilt = compare(&digest("recipe"), &[(digest("a"), &record), (digest("b"), &record)]).expect("one recipe");
    assert_eq!((rebuilt.equal, rebuilt.runs.len()), (true, 2));
    assert_eq!(rebuilt.differences, []);
}

#[test]
fn outputs_that_differ_are_named_with_all_their_digests() {
    let first = sample().recipe;
    let mut second = sample().recipe;
    second.outputs[0].digest = digest("other");
    let runs = [(digest("a"), &first), (digest("b"), &second), (digest("c"), &first)];
    let rebuilt = compare(&digest("recipe"), &runs).expect("one recipe");
    let found = first.outputs[0].digest;
    assert_eq!(rebuilt.differences, [("greeter".to_owned(), vec![found, digest("other"), found])]);
    assert!(!rebuilt.equal);
    second.outputs.clear();
    let rebuilt = compare(&digest("recipe"), &[(digest("a"), &first), (digest("b"), &second)]).expect("one recipe");
    assert_eq!(rebuilt.differences, [("greeter".to_owned(), vec![found])]);
}

#[test]
fn builds_of_different_recipes_are_not_compared() {
    let first = sample().recipe;
    let run = digest("a");
    assert_eq!(compare(&run, &[(run, &first)]), Err(CompareError::TooFew));
    assert_eq!(compare(&run, &[]), Err(CompareError::TooFew));
    type Change = fn(&mut Recipe);
    let changes: [(&str, Change); 4] = [
        ("source", |recipe| recipe.source = Digest::of(b"x")),
        ("specification", |recipe| recipe.spec = Digest::of(b"x")),
        ("lock", |recipe| recipe.lock = Digest::of(b"x")),
        ("plan", |recipe| recipe.plan = Digest::of(b"x")),
    ];
    for (what, change) in changes {
        let mut second = sample().recipe;
        change(&mut second);
        let error = compare(&run, &[(run, &first), (run, &second)]).expect_err(what);
        assert_eq!(error, CompareError::Otherwise { run, what });
    }
}
