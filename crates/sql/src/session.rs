//! What a query finds: tables, functions of values, budgets. Nothing else exists.

use std::sync::Arc;

use belvedere_engine::call::Sql;
use belvedere_engine::{EngineError, FooterCache, Task};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::common::TableReference;
use datafusion::error::Result;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SessionState, SessionStateDefaults};
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::error::{refused, told};
use crate::files::NoStores;
use crate::statement::reference_of;
use crate::table;

/// Where names without catalog and schema are looked for. No dataset has such a name.
const CATALOG: &str = " belvedere ";
const SCHEMA: &str = " belvedere ";
/// Rows of a table on its way through the plan: few, since a row may hold a large text.
const BATCH_ROWS: usize = 1024;

/// A session with the tables of a call.
///
/// # Errors
/// Those of opening the files.
pub(crate) fn open(call: &Sql, task: &Task) -> Result<SessionContext, EngineError> {
    let context = SessionContext::new_with_state(state(call, task).map_err(told)?);
    let footers = FooterCache::default();
    for table in &call.tables {
        task.check()?;
        let reference = reference_of(&table.name).ok_or_else(|| refused("a table is named by one to three parts"))?;
        let provider = table::open(table, &footers)?;
        make_room(&context, &reference).map_err(told)?;
        context.register_table(reference, Arc::new(provider)).map_err(told)?;
    }
    Ok(context)
}

fn state(call: &Sql, task: &Task) -> Result<SessionState> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(call.memory_bytes)))
        // What does not fit fails, instead of filling a disk.
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .with_object_store_registry(Arc::new(NoStores))
        .build_arc()?;
    Ok(SessionStateBuilder::new()
        .with_config(config(task.threads))
        .with_runtime_env(runtime)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(SessionStateDefaults::default_scalar_functions())
        .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .build())
}

fn config(threads: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(threads)
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(false)
        .with_default_catalog_and_schema(CATALOG, SCHEMA);
    let options = config.options_mut();
    // Columns of datasets have letters of both cases.
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    options.execution.parquet.schema_force_view_types = false;
    // Columns that are not filtered by are read for the rows only that pass.
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    config
}

/// Makes the catalog and the schema that a name speaks of.
fn make_room(context: &SessionContext, reference: &TableReference) -> Result<()> {
    let catalog_name = reference.catalog().unwrap_or(CATALOG);
    let schema_name = reference.schema().unwrap_or(SCHEMA);
    let catalog = match context.catalog(catalog_name) {
        Some(catalog) => catalog,
        None => {
            let catalog: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
            context.register_catalog(catalog_name, Arc::clone(&catalog));
            catalog
        }
    };
    if catalog.schema(schema_name).is_none() {
        catalog.register_schema(schema_name, Arc::new(MemorySchemaProvider::new()))?;
    }
    Ok(())
}
