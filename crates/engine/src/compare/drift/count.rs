//! What is counted of a column in one pass; counts of parts add up, in any order.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef};

use super::leaf::{Kind, Leaf};
use crate::error::EngineError;

/// Texts with more different values than this are compared by their lengths.
const MAX_CATEGORIES: usize = 1_000;
/// Longer texts are no categories.
const MAX_CATEGORY_BYTES: usize = 1_000;

/// The counts of all leaves.
pub(in crate::compare) struct Counts(Vec<Count>);

/// The counts of a leaf.
pub(super) struct Count {
    pub(super) rows: u64,
    pub(super) nulls: u64,
    pub(super) nans: u64,
    /// Of values that are numbers.
    pub(super) moments: Moments,
    pub(super) bins: Vec<u64>,
    /// `None`: there are too many.
    pub(super) categories: Option<HashMap<String, u64>>,
}

/// Number, extremes, mean and spread.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Moments {
    pub(super) count: u64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) mean: f64,
    /// Sum of squared distances from the mean.
    pub(super) squares: f64,
}

impl Counts {
    pub(super) fn new(leaves: &[Leaf], edges: &[Vec<f64>]) -> Self {
        Self(leaves.iter().zip(edges).map(|(leaf, edges)| Count::new(leaf, edges.len())).collect())
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Count> {
        self.0.iter()
    }

    pub(super) fn add(&mut self, leaves: &[Leaf], edges: &[Vec<f64>], columns: &[ArrayRef]) -> Result<(), EngineError> {
        for ((count, leaf), edges) in self.0.iter_mut().zip(leaves).zip(edges) {
            count.add(leaf, edges, &columns[leaf.column()])?;
        }
        Ok(())
    }

    /// Adds the counts of other rows.
    pub(in crate::compare) fn merge(&mut self, other: Self) {
        for (count, other) in self.0.iter_mut().zip(other.0) {
            count.merge(other);
        }
    }
}

impl Count {
    fn new(leaf: &Leaf, edges: usize) -> Self {
        Self {
            rows: 0,
            nulls: 0,
            nans: 0,
            moments: Moments::default(),
            bins: vec![0; if leaf.has_bins() { edges + 1 } else { 0 }],
            categories: matches!(leaf.kind, Kind::Text | Kind::Bool | Kind::Label(_)).then(HashMap::new),
        }
    }

    fn add(&mut self, leaf: &Leaf, edges: &[f64], column: &ArrayRef) -> Result<(), EngineError> {
        let values = leaf.values(column)?;
        self.rows += values.len() as u64;
        self.nulls += values.null_count() as u64;
        if leaf.has_bins() {
            for number in leaf.numbers_of(&values)?.iter().flatten() {
                if number.is_nan() {
                    self.nans += 1;
                    continue;
                }
                self.moments.add(number);
                self.bins[edges.partition_point(|edge| *edge < number)] += 1;
            }
        }
        if let Some(categories) = &mut self.categories {
            let mut fits = true;
            leaf.for_each_category(&values, |name| {
                let Some(name) = name else { return true };
                if let Some(count) = categories.get_mut(name) {
                    *count += 1;
                } else {
                    fits = name.len() <= MAX_CATEGORY_BYTES && categories.len() < MAX_CATEGORIES;
                    categories.insert(name.to_owned(), 1);
                }
                fits
            });
            if !fits {
                self.categories = None;
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.nulls += other.nulls;
        self.nans += other.nans;
        self.moments.merge(other.moments);
        self.bins.iter_mut().zip(other.bins).for_each(|(bin, other)| *bin += other);
        self.categories = match (self.categories.take(), other.categories) {
            (Some(mut categories), Some(others)) => {
                for (name, count) in others {
                    *categories.entry(name).or_default() += count;
                }
                (categories.len() <= MAX_CATEGORIES).then_some(categories)
            }
            _ => None,
        };
    }
}

impl Default for Moments {
    fn default() -> Self {
        Self { count: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, mean: 0.0, squares: 0.0 }
    }
}

impl Moments {
    /// B. P. Welford, Technometrics 4, 1962.
    fn add(&mut self, number: f64) {
        self.count += 1;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        let distance = number - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (number - self.mean);
    }

    /// T. F. Chan, G. H. Golub, R. J. LeVeque, Technical Report STAN-CS-79-773, 1979.
    fn merge(&mut self, other: Self) {
        let count = self.count + other.count;
        if other.count == 0 {
            return;
        }
        let (here, there) = (self.count as f64, other.count as f64);
        let distance = other.mean - self.mean;
        self.mean += distance * there / count as f64;
        self.squares += other.squares + distance * distance * here * there / count as f64;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.count = count;
    }
}
