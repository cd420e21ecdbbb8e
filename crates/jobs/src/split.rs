//! Split-level steps.

pub(crate) mod duckdb_index;
pub(crate) mod first_rows;
pub(crate) mod is_valid;
