//! Parts that only some programs have: the cargo feature `duckdb`.

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
        call => belvedere_engine::execute(call, task),
    }
}
