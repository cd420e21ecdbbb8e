//! How much the distribution of a column has moved from left to right.
//!
//! Numbers (and lengths, where values have no order) are counted in bins between the deciles of a sample of the left split,
//! and compared by the population stability index (N. Siddiqi, Credit Risk Scorecards, 2006, chapter 12). Categories are
//! compared by the Jensen–Shannon distance with logarithms to the base 2 (D. Endres, J. Schindelin, IEEE Trans. Inf.
//! Theory 49, 2003). All counts are exact; only where the bins lie depends on a sample.

mod count;
mod leaf;
mod score;

use serde::{Deserialize, Serialize};

use super::shared;
use crate::error::EngineError;
use crate::scan::SplitTable;
use crate::task::Task;

pub(super) use count::Counts;
use leaf::Leaf;

/// Rows that the bins are laid by, in runs of so many.
const SAMPLE_ROWS: u64 = 10_000;
const SAMPLE_RUN: u64 = 100;
const SAMPLE_BYTES: u64 = 64 << 20;

/// How a column differs. Names of nested columns have dots between them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ColumnDifference {
    /// The column.
    pub column: String,
    /// What the score is.
    pub method: Method,
    /// The score, 0 for equal distributions; `None` when one side has no rows.
    pub drift: Option<f64>,
    /// What the score is commonly taken for.
    pub level: Option<Level>,
    /// Figures of the left column.
    pub left: Summary,
    /// Figures of the right column.
    pub right: Summary,
    /// What was counted, for numbers and lengths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<Bins>,
    /// What was counted, for categories: those whose share differs most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValueCount>,
}

/// How a score is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Population stability index of the values.
    PopulationStability,
    /// Population stability index of the lengths: characters of texts, items of lists, bytes of binary values.
    PopulationStabilityOfLengths,
    /// Jensen–Shannon distance, from 0 to 1.
    JensenShannon,
}

/// What a score is commonly taken for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Below 0.1.
    Small,
    /// Below 0.25.
    Moderate,
    /// From 0.25.
    Large,
}

/// Figures of a column, of its lengths where it has no numbers. Those that no finite number can tell are left out.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Rows that are not null.
    pub count: u64,
    /// Rows that are null.
    pub nulls: u64,
    /// Values that are no number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nans: u64,
    /// The smallest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The largest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// The standard deviation of the values as a population.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<f64>,
    /// Number of different values, for categories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<u64>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Counts between edges. The first bin has everything up to the first edge, edge included, the last one everything beyond
/// the last edge.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Bins {
    /// Ascending; one fewer than there are bins.
    pub edges: Vec<f64>,
    /// Counts left.
    pub left: Vec<u64>,
    /// Counts right.
    pub right: Vec<u64>,
}

/// A category.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ValueCount {
    /// Its name; `None` for nulls.
    pub value: Option<String>,
    /// Rows left.
    pub left: u64,
    /// Rows right.
    pub right: u64,
}

/// What is counted: the parts of each shared column that have a distribution.
pub(super) struct Plan {
    leaves: Vec<Leaf>,
    /// For each leaf, inner edges of its bins.
    edges: Vec<Vec<f64>>,
}

impl Plan {
    /// Lays the bins by a sample of the left split, or of the right one if the left has no rows.
    pub(super) fn new(
        left: &SplitTable,
        right: &SplitTable,
        columns: &[shared::Column],
        task: &Task,
    ) -> Result<Self, EngineError> {
        let leaves = leaf::leaves(columns);
        let is_right = left.num_rows() == 0;
        let table = if is_right { right } else { left };
        let place = |column: &shared::Column| if is_right { column.places.1 } else { column.places.0 };
        let mut used: Vec<usize> = leaves.iter().filter(|leaf| leaf.has_bins()).map(Leaf::column).collect();
        used.dedup();
        let mut ascending: Vec<usize> = used.iter().map(|&column| place(&columns[column])).collect();
        ascending.sort_unstable();
        let sample = table.gather(&sample(table, &ascending), &ascending, task)?;
        let edges = leaves.iter().map(|leaf| {
            if !leaf.has_bins() {
                return Ok(Vec::new());
            }
            let column = &columns[leaf.column()];
            let stored = sample.column(ascending.partition_point(|&other| other < place(column)));
            leaf.numbers(&column.values(stored)?).map(|numbers| score::deciles(numbers.iter().flatten().collect()))
        });
        let edges = edges.collect::<Result<_, EngineError>>()?;
        Ok(Self { leaves, edges })
    }

    /// Nothing counted yet.
    pub(super) fn counts(&self) -> Counts {
        Counts::new(&self.leaves, &self.edges)
    }

    /// Counts the values of shared columns.
    pub(super) fn count(&self, counts: &mut Counts, columns: &[arrow::array::ArrayRef]) -> Result<(), EngineError> {
        counts.add(&self.leaves, &self.edges, columns)
    }

    /// What differs, most different first.
    pub(super) fn differences(&self, left: &Counts, right: &Counts) -> Vec<ColumnDifference> {
        let counted = self.leaves.iter().zip(&self.edges).zip(left.iter().zip(right.iter()));
        let mut differences: Vec<_> =
            counted.map(|((leaf, edges), (left, right))| score::difference(leaf, edges, left, right)).collect();
        differences.sort_by(|one, other| {
            let score = |difference: &ColumnDifference| difference.drift.unwrap_or(-1.0);
            other.level.cmp(&one.level).then(score(other).total_cmp(&score(one)))
        });
        differences
    }
}

/// Rows for the bins: runs spread evenly over the split, as many as memory takes.
fn sample(table: &SplitTable, columns: &[usize]) -> Vec<u64> {
    let rows = table.groups().iter().map(|group| table.rows_within(group, columns, SAMPLE_BYTES) as u64).min();
    let (wanted, total) = (rows.unwrap_or(0).min(SAMPLE_ROWS), table.num_rows());
    if total <= wanted {
        return (0..total).collect();
    }
    let runs = wanted.div_ceil(SAMPLE_RUN).max(1);
    let length = (wanted / runs).max(1);
    (0..runs)
        .flat_map(|run| {
            // Wide enough for any number of rows.
            let start = (u128::from(total - length) * u128::from(run) / u128::from(runs.max(2) - 1)) as u64;
            start..start + length
        })
        .collect()
}
