//! Dataset-level steps.

pub(crate) mod compatible_libraries;
pub(crate) mod config_names;
pub(crate) mod croissant_crumbs;
pub(crate) mod duckdb_index_size;
pub(crate) mod filetypes;
pub(crate) mod hub_cache;
pub(crate) mod info;
pub(crate) mod init;
pub(crate) mod is_valid;
pub(crate) mod modalities;
pub(crate) mod opt_in_out_urls_count;
pub(crate) mod parquet;
pub(crate) mod presidio_entities_count;
pub(crate) mod size;
pub(crate) mod split_names;

use belvedere_domain::{ArtifactKey, Level, StepName};
use belvedere_store::Found;
use serde::de::DeserializeOwned;

use crate::content::{ConfigNames, PreviousJob};
use crate::job::{JobContext, JobError, typed};

/// One view per config, as aggregates see them.
struct OfConfigs<T> {
    ready: Vec<T>,
    pending: Vec<PreviousJob>,
    failed: Vec<PreviousJob>,
    total: usize,
}

/// Reads the views of `step` for every config. Missing ones are pending, errors are failed.
async fn of_configs<T: DeserializeOwned>(ctx: &mut JobContext, step: &'static str) -> Result<OfConfigs<T>, JobError> {
    let names = config_names(ctx).await?;
    let keys: Vec<ArtifactKey> = names
        .config_names
        .into_iter()
        .map(|item| ArtifactKey::config(StepName::known(step), item.dataset, item.config))
        .collect();
    let found = ctx.read_all(&keys).await?;
    let mut all = OfConfigs { ready: Vec::new(), pending: Vec::new(), failed: Vec::new(), total: keys.len() };
    for (key, found) in keys.iter().zip(found) {
        match found {
            None => all.pending.push(key.into()),
            Some(found) if !found.stored.view.outcome.is_ok() => all.failed.push(key.into()),
            Some(found) => all.ready.push(typed(found)?.content),
        }
    }
    Ok(all)
}

impl<T> OfConfigs<T> {
    /// How many inputs are there, failed ones included.
    fn settled(&self) -> usize {
        self.total - self.pending.len()
    }
}

async fn config_names(ctx: &mut JobContext) -> Result<ConfigNames, JobError> {
    let key = ctx.at(StepName::known("dataset-config-names"), Level::Dataset);
    Ok(ctx.parent::<ConfigNames>(&key).await?.content)
}

/// True for a view that is there and a success.
fn is_ok(found: &Option<Found>) -> bool {
    found.as_ref().is_some_and(|found| found.stored.view.outcome.is_ok())
}
