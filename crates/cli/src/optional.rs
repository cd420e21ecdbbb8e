//! Parts that only some programs have: the cargo features `sql` and `duckdb`.

use belvedere_engine::{Call, EngineError, Reply, Task};
use belvedere_jobs::registry::Optional;

/// The groups of steps that this program has besides those of every program.
pub const STEPS: &[Optional] = &[
    #[cfg(feature = "duckdb")]
    Optional::DuckdbIndex,
];

/// True for a cargo feature that this program was built with.
pub fn is_built(feature: &str) -> bool {
    match feature {
        "sql" => cfg!(feature = "sql"),
        "duckdb" => cfg!(feature = "duckdb"),
        _ => false,
    }
}

/// Carries out a call, those of the optional parts included.
///
/// # Errors
/// Those of the call; [`NotBuilt`](belvedere_engine::ErrorKind::NotBuilt) for a part that this program lacks.
pub fn execute(call: Call, task: &Task) -> Result<Reply, EngineError> {
    match call {
        #[cfg(feature = "duckdb")]
        Call::DuckdbIndex(call) => belvedere_duckdb::build(&call, task).map(Reply::DuckdbIndex),
        #[cfg(feature = "sql")]
        Call::SqlTables(call) => belvedere_sql::tables(&call).map(Reply::SqlTables),
        #[cfg(feature = "sql")]
        Call::Sql(call) => belvedere_sql::run(&call, task).map(Reply::Sql),
        call => belvedere_engine::execute(call, task),
    }
}
