//! A query from its text to its answer.

use belvedere_engine::call::{Sql, SqlPlan, SqlResult};
use belvedere_engine::export::TableWriter;
use belvedere_engine::{EngineError, Task, features_arrow};
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::physical_plan::displayable;
use futures::StreamExt;

use crate::error::told;
use crate::{result, session, statement};

/// Carries out a query.
///
/// # Errors
/// [`Query`](belvedere_engine::ErrorKind::Query) with the place when it cannot be understood,
/// [`OverBudget`](belvedere_engine::ErrorKind::OverBudget) when it needs too much memory; those of reading files.
pub fn run(call: &Sql, task: &Task) -> Result<SqlResult, EngineError> {
    task.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(task.threads)
        .thread_stack_size(statement::STACK_BYTES)
        .enable_time()
        .build()?;
    // The thread of the caller may have little of a stack.
    let answer = std::thread::scope(|scope| {
        let work = || runtime.block_on(answer(call, task));
        let thread = std::thread::Builder::new().stack_size(statement::STACK_BYTES).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    // Parts of a plan whose rows nobody wanted may still be at it.
    runtime.shutdown_background();
    answer
}

async fn answer(call: &Sql, task: &Task) -> Result<SqlResult, EngineError> {
    let statement = statement::parse(&call.sql)?;
    let context = session::open(call, task)?;
    let plan = context.state().statement_to_plan(statement).await.map_err(told)?;
    // The parser let only queries through; should one hide something else, it ends here.
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reading.verify_plan(&plan).map_err(told)?;
    let rows = DataFrame::new(context.state(), plan);
    // One more tells whether there are more.
    let rows = rows.limit(0, Some(call.max_rows.saturating_add(1))).map_err(told)?;
    let features = result::features_of(rows.schema().as_arrow())?;
    let physical = rows.clone().create_physical_plan().await.map_err(told)?;
    let plan = match call.plan {
        true => Some(SqlPlan {
            logical: rows.clone().into_optimized_plan().map_err(told)?.display_indent().to_string(),
            physical: displayable(physical.as_ref()).indent(false).to_string(),
        }),
        false => None,
    };
    let stream = datafusion::physical_plan::execute_stream(physical, context.task_ctx()).map_err(told)?;
    let mut writer = TableWriter::new(call.format, &features)?;
    let (num_rows, truncated) = write(stream, &mut writer, call, task, &features).await?;
    let piece = writer.finish()?;
    Ok(SqlResult { features, piece, num_rows, truncated, plan })
}

/// Writes rows until there are no more or enough of them. Returns their number, and whether some are left.
async fn write(
    mut stream: SendableRecordBatchStream,
    writer: &mut TableWriter<'_>,
    call: &Sql,
    task: &Task,
    features: &belvedere_domain::Features,
) -> Result<(usize, bool), EngineError> {
    let schema = features_arrow::to_schema(features, false);
    let mut num_rows = 0;
    while let Some(table) = stream.next().await {
        task.check()?;
        let table = table.map_err(told)?;
        if writer.num_bytes() > call.max_bytes && table.num_rows() > 0 {
            return Ok((num_rows, true));
        }
        let kept = table.num_rows().min(call.max_rows - num_rows);
        writer.push(&result::stored(&table.slice(0, kept), &schema)?)?;
        num_rows += kept;
        if kept < table.num_rows() {
            return Ok((num_rows, true));
        }
    }
    Ok((num_rows, false))
}

#[cfg(test)]
mod tests;
