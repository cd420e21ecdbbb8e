//! Numbers that look like chance and are the same in every run.

/// A linear congruential generator.
pub(crate) struct Sequence(u64);

impl Sequence {
    /// The numbers of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut sequence = Self(seed);
        // Neighbouring seeds begin with neighbouring numbers.
        for _ in 0..4 {
            sequence.below(2);
        }
        sequence
    }

    /// A number from 0 to below the bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// One of several.
    pub(crate) fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.below(from.len() as u64) as usize])
    }
}
