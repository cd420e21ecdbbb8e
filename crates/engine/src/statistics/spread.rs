//! How values are spread: everything that one ascending walk over them tells.
//!
//! All figures depend on the multiset of values alone, down to the last bit.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::error::EngineError;
use crate::statistics::keys::Key;
use crate::statistics::multiset::Multiset;
use crate::task::Task;

/// Distinct values whose moments are summed before they are merged with those before.
const BLOCK: usize = 1024;

/// What to look for.
pub(super) struct Questions<'q> {
    /// Upper and lower bounds of the bins, one more than there are bins, in the order of the measured keys.
    pub(super) edges: &'q [u64],
    /// Shares of the values, from 0 to 1, ascending: the values there are wanted.
    pub(super) quantiles: &'q [f64],
    /// How many of the most frequent values are wanted.
    pub(super) top: usize,
}

/// What was found. Without values there is none.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Spread<K> {
    /// Number of values.
    pub(super) count: u64,
    /// Number of distinct values.
    pub(super) distinct: u64,
    /// Arithmetic mean of the measured values.
    pub(super) mean: f64,
    /// Sample standard deviation (divisor: count − 1); `None` for a single value.
    pub(super) std: Option<f64>,
    /// For each quantile the two values between which it lies, and how far from the first to the second.
    pub(super) quantiles: Vec<(K, K, f64)>,
    /// Number of values of each bin: lower bound inclusive, upper bound exclusive but for the last one. Values beyond the
    /// bounds count for the first or last bin.
    pub(super) bins: Vec<u64>,
    /// The most frequent values that occur at least twice, most frequent first, then by value.
    pub(super) top: Vec<(K, u64)>,
}

/// Walks over a multiset. `measured` maps keys to keys of what is measured, keeping their order; `value` gives those
/// as numbers.
///
/// # Errors
/// Those of reading spilled runs and of the task.
pub(super) fn spread<K: Key>(
    set: &Multiset<K>,
    questions: &Questions<'_>,
    task: &Task,
    measured: impl Fn(K) -> u64,
    value: impl Fn(u64) -> f64,
) -> Result<Spread<K>, EngineError> {
    let mut moments = Moments::default();
    let mut block = Block::default();
    let mut ranks = Ranks::new(questions.quantiles, set.len());
    let mut bins = vec![0; questions.edges.len().saturating_sub(1)];
    let mut bin = 0;
    let mut top = Top::new(questions.top);
    let mut distinct = 0;
    let mut before = 0;
    set.for_each(task, |key, count| {
        distinct += 1;
        let measured = measured(key);
        while bin + 1 < bins.len() && measured >= questions.edges[bin + 1] {
            bin += 1;
        }
        if let Some(bin) = bins.get_mut(bin) {
            *bin += count;
        }
        block.push(value(measured), count);
        if block.values.len() == BLOCK {
            moments.merge(block.take());
        }
        before += count;
        ranks.reach(key, before);
        top.offer(key, count);
    })?;
    moments.merge(block.take());
    Ok(Spread {
        count: before,
        distinct,
        mean: moments.mean,
        std: (before > 1).then(|| (moments.squares / (before - 1) as f64).max(0.0).sqrt()),
        quantiles: ranks.finish(),
        bins,
        top: top.finish(),
    })
}

/// Values with their numbers.
#[derive(Default)]
struct Block {
    values: Vec<(f64, f64)>,
}

impl Block {
    fn push(&mut self, value: f64, count: u64) {
        self.values.push((value, count as f64));
    }

    /// The moments of the block, in two passes over it.
    fn take(&mut self) -> Moments {
        let count: f64 = self.values.iter().map(|(_, count)| count).sum();
        let Some(&(first, _)) = self.values.first() else { return Moments::default() };
        // Relative to the first value: neither large values nor many of them cost digits.
        let shifted: f64 = self.values.iter().map(|(value, count)| (value - first) * count).sum();
        let mean = first + shifted / count;
        let squares = self.values.iter().map(|(value, count)| (value - mean) * (value - mean) * count).sum();
        self.values.clear();
        Moments { count, mean, squares }
    }
}

/// Count, mean and sum of squared distances from the mean.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
    fn merge(&mut self, other: Self) {
        if other.count == 0.0 {
            return;
        }
        let count = self.count + other.count;
        let distance = other.mean - self.mean;
        self.squares += other.squares + distance * distance * self.count * (other.count / count);
        self.mean += distance * (other.count / count);
        self.count = count;
    }
}

/// Values at given ranks.
struct Ranks<K> {
    /// Rank of the value before the quantile, rank of the one after it, share of the way.
    wanted: Vec<(u64, u64, f64)>,
    found: Vec<(K, K, f64)>,
    /// The value before was found, the one after is still to come.
    half: usize,
}

impl<K: Key> Ranks<K> {
    /// Linear interpolation between the closest ranks: type 7 of Hyndman and Fan, "Sample Quantiles in Statistical
    /// Packages" (1996), as in numpy and polars.
    fn new(quantiles: &[f64], len: u64) -> Self {
        let last = len.saturating_sub(1);
        let rank = |&quantile: &f64| {
            let place = quantile.clamp(0.0, 1.0) * last as f64;
            let below = (place.floor() as u64).min(last);
            (below, (below + 1).min(last), place - place.floor())
        };
        let wanted: Vec<_> = quantiles.iter().map(rank).collect();
        Self { found: Vec::with_capacity(wanted.len()), wanted, half: 0 }
    }

    /// The values up to the rank `end` (exclusive) are at most `key`.
    fn reach(&mut self, key: K, end: u64) {
        while let Some(&(below, _, share)) = self.wanted.get(self.found.len()).filter(|wanted| wanted.0 < end) {
            debug_assert!(below < end);
            self.found.push((key, key, share));
        }
        while self.half < self.found.len() && self.wanted[self.half].1 < end {
            self.found[self.half].1 = key;
            self.half += 1;
        }
    }

    fn finish(self) -> Vec<(K, K, f64)> {
        self.found
    }
}

/// The most frequent values.
struct Top<K> {
    most: usize,
    kept: BinaryHeap<Reverse<(u64, Reverse<K>)>>,
    /// Fewer than this is not enough any more.
    enough: u64,
}

impl<K: Key> Top<K> {
    fn new(most: usize) -> Self {
        let enough = if most == 0 { u64::MAX } else { 2 };
        Self { most, kept: BinaryHeap::with_capacity(most + 1), enough }
    }

    fn offer(&mut self, key: K, count: u64) {
        if count < self.enough {
            return;
        }
        self.kept.push(Reverse((count, Reverse(key))));
        if self.kept.len() > self.most {
            self.kept.pop();
        }
        if self.kept.len() == self.most {
            // Of equally frequent values the first ones stay, so a later one must be more frequent.
            self.enough = self.kept.peek().map_or(2, |Reverse((least, _))| least + 1);
        }
    }

    fn finish(self) -> Vec<(K, u64)> {
        let mut top: Vec<(K, u64)> = self.kept.into_iter().map(|Reverse((count, Reverse(key)))| (key, count)).collect();
        top.sort_unstable_by_key(|&(key, count)| (Reverse(count), key));
        top
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::statistics::keys::{of_float, to_float};
    use crate::statistics::multiset::{Budget, Run};

    fn floats(values: &[f64], run: usize) -> Multiset<u64> {
        let mut set = Multiset::new(&Budget::new(usize::MAX, PathBuf::new()));
        for values in values.chunks(run) {
            set.add(Run::of(values.iter().copied().map(of_float).collect())).unwrap();
        }
        set
    }

    fn of(values: &[f64], edges: &[f64], run: usize) -> Spread<u64> {
        let edges: Vec<u64> = edges.iter().copied().map(of_float).collect();
        let questions = Questions { edges: &edges, quantiles: &[0.0, 0.25, 0.5, 0.9, 1.0], top: 2 };
        spread(&floats(values, run), &questions, &Task::new(1), |key| key, to_float).unwrap()
    }

    fn quantiles(spread: &Spread<u64>) -> Vec<f64> {
        let between = |&(low, high, share): &(u64, u64, f64)| to_float(low) + (to_float(high) - to_float(low)) * share;
        spread.quantiles.iter().map(between).collect()
    }

    #[test]
    fn a_walk_tells_moments_quantiles_bins_and_frequent_values() {
        // numpy: mean, std(ddof=1), quantile([0, .25, .5, .9, 1]).
        let found = of(&[2.0, 8.0, 4.0, 4.0, 1.0, 8.0, 3.5, 8.0], &[1.0, 4.0, 8.0], 3);
        assert_eq!((found.count, found.distinct, found.mean), (8, 5, 4.8125));
        assert!((found.std.unwrap() - 2.827_637_832_942_138_6).abs() < 1e-14);
        assert_eq!(quantiles(&found), [1.0, 3.125, 4.0, 8.0, 8.0]);
        assert_eq!(found.bins, [3, 5]);
        let top: Vec<(f64, u64)> = found.top.iter().map(|&(key, count)| (to_float(key), count)).collect();
        assert_eq!(top, [(8.0, 3), (4.0, 2)]);
    }

    #[test]
    fn one_value_has_no_deviation() {
        let found = of(&[7.5], &[7.5, 7.5], 1);
        assert_eq!((found.mean, found.std, quantiles(&found), found.bins), (7.5, None, vec![7.5; 5], vec![1]));
    }

    #[test]
    fn far_away_values_lose_no_digits() {
        let values: Vec<f64> = (0..100_000).map(|index| 1e9 + f64::from(index % 7)).collect();
        let found = of(&values, &[], 1_000);
        // Exact, with fractions.
        assert!((found.mean - (1e9 + 2.999_95)).abs() < 1e-6, "{}", found.mean);
        assert!((found.std.unwrap() - 1.999_997_499_348_430_2).abs() < 1e-12, "{:?}", found.std);
        let same = of(&values.iter().rev().copied().collect::<Vec<_>>(), &[], 77);
        assert_eq!(found, same);
    }

    #[test]
    fn of_equally_frequent_values_the_least_are_kept() {
        let found = of(&[5.0, 5.0, 4.0, 4.0, 3.0, 3.0, 9.0], &[], 2);
        assert_eq!(found.top, [(of_float(3.0), 2), (of_float(4.0), 2)]);
    }
}
