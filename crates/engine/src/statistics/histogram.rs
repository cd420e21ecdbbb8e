//! Edges of histogram bins, by the documented rules of the dataset viewer.

use crate::statistics::Rules;

/// Scaled values from here on are whole numbers: there is nothing left to round.
const WHOLE: f64 = (1_u64 << 52) as f64;

/// Rounds to five decimals, halves to even on the scaled value.
pub(super) fn rounded(value: f64) -> f64 {
    let scaled = value * 1e5;
    // Adding zero turns a negative zero into zero.
    if scaled.abs() < WHOLE { scaled.round_ties_even() / 1e5 + 0.0 } else { value }
}

/// Edges of `bins` equal bins from a rounded minimum to a rounded maximum; one bin when both are the same.
pub(super) fn float_edges(min: f64, max: f64, bins: u32) -> Vec<f64> {
    if min == max {
        return vec![min, max];
    }
    // Divided before the subtraction where the distance is beyond a double.
    let span = max - min;
    let step = if span.is_finite() { span / f64::from(bins) } else { max / f64::from(bins) - min / f64::from(bins) };
    // The step as it comes out of the first addition: the edges of `numpy.arange`, which the reference uses. Values on an
    // edge would else fall on its other side.
    let step = (min + step) - min;
    let inner = (0..bins).map(|bin| (min + f64::from(bin) * step).min(max));
    inner.chain([max]).collect()
}

/// Edges of at most `bins` bins of whole numbers, all of one width but the last.
///
/// The documented form goes on while an edge is at most the maximum and then repeats the maximum: a last bin whose edges
/// are equal holds that value alone. Today's reference ends with the maximum once, and fails on two neighbours, for which the
/// documented form stands in.
pub(super) fn integer_edges(min: i128, max: i128, bins: u32, rules: Rules) -> Vec<i128> {
    let step = (max - min + 1).unsigned_abs().div_ceil(u128::from(bins)).cast_signed();
    let steps = || std::iter::successors(Some(min), |edge| Some(edge + step));
    if rules == Rules::Reference && max - min > 1 {
        return steps().take_while(|&edge| edge < max).chain([max]).collect();
    }
    steps().take_while(|&edge| edge <= max).chain([max]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_keeps_five_decimals() {
        assert_eq!(rounded(0.123_456_5), 0.123_46);
        assert_eq!(rounded(2.5e-5), 2e-5);
        assert!(rounded(-1e-9).is_sign_positive());
        assert_eq!((rounded(1e305), rounded(187_438_731_922.631_32)), (1e305, 187_438_731_922.631_32));
    }

    #[test]
    fn float_bins_are_equal_and_end_at_the_maximum() {
        assert_eq!(float_edges(0.25, 0.35, 10).len(), 11);
        assert_eq!(float_edges(-1.0, 1.0, 4), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        assert_eq!(float_edges(3.0, 3.0, 10), [3.0, 3.0]);
        let wide = float_edges(-1e308, 1e308, 2);
        assert_eq!(wide, [-1e308, 0.0, 1e308]);
    }

    #[test]
    fn integer_bins_follow_the_documented_table() {
        let edges = |min, max| integer_edges(min, max, 10, Rules::Seed);
        assert_eq!(edges(0, 1), [0, 1, 1]);
        assert_eq!(edges(0, 6), [0, 1, 2, 3, 4, 5, 6, 6]);
        assert_eq!(edges(0, 9), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9]);
        assert_eq!(edges(54, 99), [54, 59, 64, 69, 74, 79, 84, 89, 94, 99, 99]);
        assert_eq!(edges(0, 23), [0, 3, 6, 9, 12, 15, 18, 21, 23]);
        assert_eq!(edges(5, 5), [5, 5]);
        assert_eq!(integer_edges(i128::from(i64::MIN), i128::from(i64::MAX), 1, Rules::Seed).len(), 2);
    }

    #[test]
    fn integer_bins_of_the_reference_end_with_the_maximum_once() {
        let edges = |min, max| integer_edges(min, max, 10, Rules::Reference);
        assert_eq!(edges(0, 6), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(edges(0, 9), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(edges(54, 99), [54, 59, 64, 69, 74, 79, 84, 89, 94, 99]);
        assert_eq!(edges(0, 23), [0, 3, 6, 9, 12, 15, 18, 21, 23]);
        assert_eq!((edges(5, 5), edges(7, 8)), (vec![5, 5], vec![7, 8, 8]));
    }
}
