//! The best rows of many, in bounded memory.

use std::cmp::Ordering;

/// A row that matches.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Hit {
    /// Row of the split, from 0.
    pub(super) row: u64,
    /// How well it matches; more is better.
    pub(super) score: f64,
}

impl Hit {
    /// Best first, of equal ones the earlier row.
    fn compare(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.row.cmp(&other.row))
    }
}

/// Keeps the best `size` of the rows pushed.
#[derive(Debug)]
pub(super) struct Top {
    size: usize,
    hits: Vec<Hit>,
    /// The worst one that can still be among the best.
    threshold: Option<Hit>,
    /// Rows pushed.
    pub(super) total: u64,
}

impl Top {
    /// Holds up to twice `size` rows of 16 bytes.
    pub(super) fn new(size: usize) -> Self {
        Self { size, hits: Vec::new(), threshold: None, total: 0 }
    }

    /// False when no row of this score can be among the best any more.
    fn may_take(&self, score: f64) -> bool {
        self.size > 0 && self.threshold.is_none_or(|threshold| score >= threshold.score)
    }

    /// Adds a row, where telling which one costs something.
    pub(super) fn push(&mut self, score: f64, row: impl FnOnce() -> u64) {
        match self.may_take(score) {
            true => self.push_hit(Hit { row: row(), score }),
            false => self.total += 1,
        }
    }

    /// Adds a row.
    pub(super) fn push_hit(&mut self, hit: Hit) {
        self.total += 1;
        if self.size == 0 || self.threshold.is_some_and(|threshold| threshold.compare(&hit) == Ordering::Less) {
            return;
        }
        self.hits.push(hit);
        if self.hits.len() >= (2 * self.size).max(64) {
            self.shrink();
        }
    }

    /// Adds the rows of another one.
    pub(super) fn merge(&mut self, other: Self) {
        let total = self.total + other.total;
        other.hits.into_iter().for_each(|hit| self.push_hit(hit));
        self.total = total;
    }

    fn shrink(&mut self) {
        if self.hits.len() > self.size {
            self.hits.select_nth_unstable_by(self.size - 1, Hit::compare);
            self.hits.truncate(self.size);
            self.threshold = self.hits.last().copied();
        }
    }

    /// The best rows from `offset` on, best first.
    pub(super) fn into_page(mut self, offset: usize) -> Vec<Hit> {
        self.shrink();
        self.hits.sort_unstable_by(Hit::compare);
        self.hits.split_off(offset.min(self.hits.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_score_then_row() {
        let score = |row: u64| ((row * 7919) % 10) as f64;
        let mut all: Vec<Hit> = (0..1000).map(|row| Hit { row, score: score(row) }).collect();
        for (size, offset) in [(5, 0), (130, 100), (1000, 990), (2000, 1500), (0, 0)] {
            let (mut left, mut right) = (Top::new(size), Top::new(size));
            all.iter().rev().for_each(|hit| if hit.row % 3 == 0 { left.push_hit(*hit) } else { right.push_hit(*hit) });
            left.merge(right);
            assert_eq!(left.total, 1000);
            all.sort_by(Hit::compare);
            let expected: Vec<Hit> = all.iter().take(size).skip(offset).copied().collect();
            assert_eq!(left.into_page(offset), expected);
        }
    }
}
