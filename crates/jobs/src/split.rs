//! Split-level steps.

pub(crate) mod descriptive_statistics;
pub(crate) mod duckdb_index;
pub(crate) mod first_rows;
pub(crate) mod image_url_columns;
pub(crate) mod is_valid;
pub(crate) mod search_index;
