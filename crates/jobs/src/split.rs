//! Split-level steps.

pub(crate) mod descriptive_statistics;
pub(crate) mod duckdb_index;
pub(crate) mod first_rows;
pub(crate) mod image_url_columns;
pub(crate) mod is_valid;
pub(crate) mod opt_in_out_urls_count;
pub(crate) mod opt_in_out_urls_scan;
pub(crate) mod presidio_scan;
pub(crate) mod search_index;
