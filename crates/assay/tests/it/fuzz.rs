//! The fuzz targets of `fuzz/`, each run on its seeds and on some damaged forms of them: they compile, their laws hold of
//! good input, and what a campaign finds is not needed to see a careless parser.

#[path = "../../../../fuzz/src/targets.rs"]
mod targets;

use wire::mutation::Mutator;

#[test]
fn every_parser_of_foreign_bytes_returns_whatever_it_is_given() {
    for target in targets::TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} begins with nothing", target.name);
        (target.run)(b"");
        for (number, seed) in seeds.iter().enumerate() {
            (target.run)(seed);
            // A large seed is an executable file: damage of a few bytes rarely meets its headers.
            let count = if seed.len() > 10_000 { 20 } else { 200 };
            Mutator::new(number as u64 + 1).each(count, seed, target.run);
        }
    }
}
