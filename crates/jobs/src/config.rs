//! Config-level steps.

pub(crate) mod duckdb_index_size;
pub(crate) mod info;
pub(crate) mod is_valid;
pub(crate) mod opt_in_out_urls_count;
pub(crate) mod parquet;
pub(crate) mod parquet_and_info;
pub(crate) mod parquet_layout;
pub(crate) mod parquet_metadata;
pub(crate) mod segments;
pub(crate) mod size;
pub(crate) mod split_names;

use belvedere_domain::{Level, StepName};
use serde::de::DeserializeOwned;

use crate::job::{JobContext, JobError, Parent};

/// The view of another step for the same config.
async fn sibling<T: DeserializeOwned>(ctx: &mut JobContext, step: &'static str) -> Result<Parent<T>, JobError> {
    let key = ctx.at(StepName::known(step), Level::Config);
    ctx.parent(&key).await
}
