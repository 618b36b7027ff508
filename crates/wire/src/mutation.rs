//! Seeded random damage, for tests of parsers: the same seed gives the same inputs on every machine.
//!
//! Generator: xorshift64*, Vigna 2016 <https://vigna.di.unimi.it/ftp/papers/xorshift.pdf>. An ordinary module, because
//! the tests of other crates use it too; nothing but tests does.

/// A small deterministic generator that damages bytes.
pub struct Mutator(u64);

impl Mutator {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Mutator {
        Mutator(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Returns the next number.
    #[expect(clippy::should_implement_trait, reason = "an endless generator is no iterator of a collection")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Returns a number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Returns `bytes` with one to four places changed, removed, doubled, inserted or cut off.
    pub fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        const SPICE: &[u8] = b"\"{}[]:,\\0123456789-+eE.\0\n\r \xff\x80/=";
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(4) {
            if out.is_empty() {
                return out;
            }
            let at = self.below(out.len());
            match self.below(6) {
                0 => out[at] ^= 1 << self.below(8),
                1 => out[at] = SPICE[self.below(SPICE.len())],
                2 => drop(out.remove(at)),
                3 => out.insert(at, SPICE[self.below(SPICE.len())]),
                4 => out.truncate(at),
                _ => {
                    let end = (at + self.below(40)).min(out.len());
                    let piece = out[at..end].to_vec();
                    let to = self.below(out.len());
                    out.splice(to..to, piece);
                }
            }
        }
        out
    }

    /// Calls `check` with `count` damaged forms of `bytes`.
    pub fn each(&mut self, count: usize, bytes: &[u8], mut check: impl FnMut(&[u8])) {
        for _ in 0..count {
            check(&self.damage(bytes));
        }
    }
}
