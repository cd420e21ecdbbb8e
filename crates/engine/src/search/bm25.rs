//! How rows are ranked: BM25 with exact lengths, in 64-bit floats, so that an index and a scan give the same number.

/// How soon more occurrences stop counting.
const K: f64 = 1.2;
/// How much long rows are discounted.
const B: f64 = 0.75;

/// The weights of a query in a split.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Bm25 {
    average: f64,
    rarity: Vec<f64>,
}

impl Bm25 {
    /// Of a split of `num_rows` rows with `num_words` words in all, where `frequencies` rows hold each unit of the query.
    pub(super) fn new(num_rows: u64, num_words: u64, frequencies: &[u64]) -> Self {
        let rows = num_rows as f64;
        let rarity = |&found: &u64| ((rows - found as f64 + 0.5) / (found as f64 + 0.5) + 1.0).log10();
        Self { average: num_words as f64 / rows, rarity: frequencies.iter().map(rarity).collect() }
    }

    /// What `count` occurrences of a unit in a row of `length` words add to the score of the row. More than 0.
    pub(super) fn weight(&self, unit: usize, count: u32, length: u32) -> f64 {
        let count = f64::from(count);
        self.rarity[unit] * (count * (K + 1.0) / (count + K * (1.0 - B + B * (f64::from(length) / self.average))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_the_formula() {
        // Checked with the full-text search of DuckDB 1.5.5: three rows of 1, 2 and 3 words, the word in the first two.
        let weights = Bm25::new(3, 6, &[2]);
        assert!((weights.weight(0, 1, 1) - 0.256_607_978_196_019_8).abs() < 1e-15, "{}", weights.weight(0, 1, 1));
        assert!(weights.weight(0, 2, 3) > weights.weight(0, 1, 3));
    }

    #[test]
    fn a_unit_in_every_row_still_counts() {
        assert!(Bm25::new(5, 50, &[5]).weight(0, 1, 10) > 0.0);
    }
}
