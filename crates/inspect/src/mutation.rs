//! Damage for tests: the same seed gives the same damage.

/// xorshift64*, for tests only.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.max(1))
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }

    /// Returns the bytes with one to four of them changed, removed, doubled, or cut off.
    pub(crate) fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(3) {
            if out.is_empty() {
                return out;
            }
            let at = self.below(out.len());
            match self.below(8) {
                0..=3 => out[at] = self.below(256) as u8,
                4 => out[at] ^= 1 << self.below(8),
                5 => drop(out.remove(at)),
                6 => out.insert(at, out[at]),
                _ => out.truncate(at),
            }
        }
        out
    }
}
