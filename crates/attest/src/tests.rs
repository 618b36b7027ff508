//! Statements there and back, bundles opened and refused, facts, and the pages of `docs/formats/`.

mod documents;
mod facts;
mod opening;
mod statements;

use crate::predicate::{Predicate, TABLE};

/// Every predicate.
fn all() -> impl Iterator<Item = Predicate> {
    TABLE.iter().map(|row| row.predicate)
}

/// A small deterministic generator (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound as u64) as usize
    }
}
