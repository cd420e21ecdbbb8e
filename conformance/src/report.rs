//! Counts verdicts and writes the table at the end.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::run::SetResult;

/// Counts of all verdicts.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    endpoints: BTreeMap<String, Count>,
    recalls: Vec<f64>,
}

/// Counts of one endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Count {
    /// Answers that are the same.
    pub same: usize,
    /// Answers that count: the same or different.
    pub total: usize,
    /// Answers where the reference refuses or breaks; in neither of the others.
    pub beyond: usize,
}

/// A tally as data.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// By endpoint.
    pub endpoints: BTreeMap<String, Count>,
    /// All endpoints together.
    pub all: Count,
    /// `same / total`, 0 to 1.
    pub share: f64,
    /// Mean share of the reference's hits that our searches find; `None` without a search.
    pub search_recall: Option<f64>,
    /// How many searches went into it.
    pub search_queries: usize,
}

impl Tally {
    /// Counts one set.
    pub fn add(&mut self, result: &SetResult) {
        for case in &result.cases {
            let count = self.endpoints.entry(case.endpoint.clone()).or_default();
            self.recalls.extend(case.verdict.recall);
            let same = case.verdict.differences.is_empty();
            if case.verdict.beyond {
                count.beyond += 1;
            } else {
                count.total += 1;
                count.same += usize::from(same);
            }
        }
    }

    /// The counts so far.
    pub fn summary(&self) -> Summary {
        let all = self.endpoints.values().fold(Count::default(), |sum, count| Count {
            same: sum.same + count.same,
            total: sum.total + count.total,
            beyond: sum.beyond + count.beyond,
        });
        let queries = self.recalls.len();
        Summary {
            endpoints: self.endpoints.clone(),
            all,
            share: all.same as f64 / all.total.max(1) as f64,
            search_recall: (queries > 0).then(|| self.recalls.iter().sum::<f64>() / queries as f64),
            search_queries: queries,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (endpoint, count) in &self.endpoints {
            write!(f, "{endpoint:22} {:4} / {:4}", count.same, count.total)?;
            match count.beyond {
                0 => writeln!(f)?,
                beyond => writeln!(f, "   + {beyond} beyond the reference")?,
            }
        }
        if let Some(recall) = self.search_recall {
            let queries = self.search_queries;
            writeln!(f, "search: mean recall of the reference's first page {recall:.3} over {queries} queries")?;
        }
        writeln!(f, "same: {} of {} answers ({:.1}%)", self.all.same, self.all.total, self.share * 100.0)
    }
}
