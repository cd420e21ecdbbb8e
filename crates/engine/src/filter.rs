//! Which rows of a split match, and how many there are.

use std::time::Duration;

use crate::call::{Budget, Filter, Filtered, QueryText};
use crate::error::EngineError;
use crate::footers::FooterCache;
use crate::query::Query;
use crate::scan::SplitTable;
use crate::task::Task;

/// Answers [`Call::Filter`](crate::Call::Filter).
///
/// # Errors
/// [`Query`](crate::ErrorKind::Query) naming the parameter and the character,
/// [`OverBudget`](crate::ErrorKind::OverBudget) and [`TimedOut`](crate::ErrorKind::TimedOut) beyond the budget; those of
/// [`Call::Rows`](crate::Call::Rows).
pub(crate) fn filter(call: &Filter, cache: &FooterCache, task: &Task) -> Result<Filtered, EngineError> {
    let query = call.query.parsed()?;
    let table = SplitTable::open(&call.files, call.features.as_ref(), cache)?;
    let bound = query.bind(table.features())?;
    let task = call.budget.applied_to(task);
    let matches = bound.first(&table, call.offset, call.length, call.budget.max_rows, &task)?;
    Ok(Filtered { rows: matches.rows, count: matches.count })
}

impl QueryText {
    /// Reads the texts without looking at a file.
    ///
    /// # Errors
    /// [`Query`](crate::ErrorKind::Query) naming the parameter and the character where a text cannot be read on.
    pub fn check(&self) -> Result<(), EngineError> {
        self.parsed().map(drop)
    }

    /// The condition and the order, read.
    ///
    /// # Errors
    /// [`Query`](crate::ErrorKind::Query).
    pub(crate) fn parsed(&self) -> Result<Query, EngineError> {
        Query::parse(self.condition.as_deref(), self.order.as_deref(), self.reference)
    }
}

impl Budget {
    /// The task within these bounds.
    pub(crate) fn applied_to(&self, task: &Task) -> Task {
        let limit = Duration::try_from_secs_f64(self.max_seconds).unwrap_or(Duration::MAX);
        task.clone().within(limit).with_memory(self.max_memory_bytes.min(task.memory_bytes))
    }
}
