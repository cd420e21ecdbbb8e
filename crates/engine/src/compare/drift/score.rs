//! Counts of two sides → a score.

use std::collections::BTreeMap;

use super::count::Count;
use super::leaf::{Kind, Leaf};
use super::{Bins, ColumnDifference, Level, Method, Summary, ValueCount};

/// Values shown of a categorical column.
const SHOWN_VALUES: usize = 10;
const MODERATE: f64 = 0.1;
const LARGE: f64 = 0.25;

/// At most nine ascending edges that part the numbers into tenths; fewer where numbers repeat.
pub(super) fn deciles(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.retain(|number| !number.is_nan());
    numbers.sort_unstable_by(f64::total_cmp);
    let Some(last) = numbers.last().copied() else { return Vec::new() };
    let mut edges: Vec<f64> = (1..10).map(|tenth| numbers[(numbers.len() * tenth).div_ceil(10) - 1]).collect();
    edges.dedup();
    // Nothing would be beyond an edge at the end.
    edges.retain(|edge| *edge < last);
    edges
}

/// What a leaf has on both sides.
pub(super) fn difference(leaf: &Leaf, edges: &[f64], left: &Count, right: &Count) -> ColumnDifference {
    let mut difference = ColumnDifference {
        column: leaf.name.clone(),
        method: Method::PopulationStability,
        drift: None,
        level: None,
        left: summary(left),
        right: summary(right),
        bins: None,
        values: Vec::new(),
    };
    let has_rows = left.rows > 0 && right.rows > 0;
    if let (Some(here), Some(there)) = (&left.categories, &right.categories) {
        difference.method = Method::JensenShannon;
        let mut counts: BTreeMap<Option<&str>, (u64, u64)> = BTreeMap::new();
        here.iter().for_each(|(name, count)| counts.entry(Some(name)).or_default().0 += count);
        there.iter().for_each(|(name, count)| counts.entry(Some(name)).or_default().1 += count);
        if left.nulls + right.nulls > 0 {
            counts.insert(None, (left.nulls, right.nulls));
        }
        let pairs: Vec<(u64, u64)> = counts.values().copied().collect();
        difference.drift = has_rows.then(|| jensen_shannon(&pairs));
        difference.values = most_different(&counts, left.rows, right.rows);
    } else {
        if !matches!(leaf.kind, Kind::Number) {
            difference.method = Method::PopulationStabilityOfLengths;
        }
        let mut pairs: Vec<(u64, u64)> = left.bins.iter().copied().zip(right.bins.iter().copied()).collect();
        let beside = [(left.nulls, right.nulls), (left.nans, right.nans)];
        pairs.extend(beside.iter().filter(|(left, right)| left + right > 0));
        difference.drift = has_rows.then(|| population_stability(&pairs));
        difference.bins = Some(Bins { edges: edges.to_vec(), left: left.bins.clone(), right: right.bins.clone() });
    }
    difference.level = difference.drift.map(level);
    difference
}

fn level(score: f64) -> Level {
    match score {
        score if score < MODERATE => Level::Small,
        score if score < LARGE => Level::Moderate,
        _ => Level::Large,
    }
}

/// `Σ (p − q) ln(p / q)`. Half a row is added to every bin, since the logarithm knows no empty ones.
fn population_stability(pairs: &[(u64, u64)]) -> f64 {
    let (left, right) = totals(pairs);
    let share = |count: u64, total: f64| (count as f64 + 0.5) / (total + 0.5 * pairs.len() as f64);
    let term = |(here, there): &(u64, u64)| {
        let (p, q) = (share(*here, left), share(*there, right));
        (p - q) * (p / q).ln()
    };
    pairs.iter().map(term).sum()
}

/// `√(½ Σ p log₂(p / m) + ½ Σ q log₂(q / m))` with `m = (p + q) / 2`.
fn jensen_shannon(pairs: &[(u64, u64)]) -> f64 {
    let (left, right) = totals(pairs);
    let part = |p: f64, m: f64| if p > 0.0 { 0.5 * p * (p / m).log2() } else { 0.0 };
    let term = |(here, there): &(u64, u64)| {
        let (p, q) = (*here as f64 / left, *there as f64 / right);
        let m = (p + q) / 2.0;
        part(p, m) + part(q, m)
    };
    // Rounding may leave a little less than nothing.
    pairs.iter().map(term).sum::<f64>().max(0.0).sqrt()
}

fn totals(pairs: &[(u64, u64)]) -> (f64, f64) {
    let sum = |side: fn(&(u64, u64)) -> u64| pairs.iter().map(side).sum::<u64>() as f64;
    (sum(|pair| pair.0), sum(|pair| pair.1))
}

fn most_different(counts: &BTreeMap<Option<&str>, (u64, u64)>, left: u64, right: u64) -> Vec<ValueCount> {
    let share = |count: u64, rows: u64| count as f64 / rows.max(1) as f64;
    let distance = |(here, there): (u64, u64)| (share(here, left) - share(there, right)).abs();
    let mut ordered: Vec<_> = counts.iter().collect();
    ordered.sort_by(|one, other| distance(*other.1).total_cmp(&distance(*one.1)).then(one.0.cmp(other.0)));
    let value = |(name, (left, right)): (&Option<&str>, &(u64, u64))| ValueCount {
        value: name.map(str::to_owned),
        left: *left,
        right: *right,
    };
    ordered.into_iter().take(SHOWN_VALUES).map(value).collect()
}

fn summary(count: &Count) -> Summary {
    let moments = &count.moments;
    let finite = |number: f64| (moments.count > 0 && number.is_finite()).then_some(number);
    Summary {
        count: count.rows - count.nulls,
        nulls: count.nulls,
        nans: count.nans,
        min: finite(moments.min),
        max: finite(moments.max),
        mean: finite(moments.mean),
        std: finite((moments.squares / moments.count as f64).sqrt()),
        distinct: count.categories.as_ref().map(|categories| categories.len() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deciles_are_the_ends_of_tenths() {
        assert_eq!(deciles((1..=100).map(f64::from).collect()), [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]);
        assert_eq!(deciles(vec![2.0, f64::NAN, 1.0]), [1.0]);
        assert_eq!(deciles(vec![5.0; 50]), Vec::<f64>::new());
        assert_eq!(deciles(Vec::new()), Vec::<f64>::new());
        let mostly_zero = [vec![0.0; 95], vec![1.0; 5]].concat();
        assert_eq!(deciles(mostly_zero), [0.0]);
    }

    /// The expected figures were computed with numpy from the formulas.
    #[test]
    fn scores_are_those_of_the_literature() {
        let close = |score: f64, expected: f64| assert!((score - expected).abs() < 1e-12, "{score} is not {expected}");
        close(jensen_shannon(&[(10, 0), (0, 7)]), 1.0);
        close(jensen_shannon(&[(1, 10), (2, 20)]), 0.0);
        close(jensen_shannon(&[(70, 30), (20, 50), (10, 20)]), 0.345_713_720_118_480_95);
        close(population_stability(&[(50, 50), (50, 50)]), 0.0);
        close(population_stability(&[(999, 499), (0, 500)]), 3.801_201_167_583_533);
    }
}
