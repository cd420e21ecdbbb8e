//! A remote Hub beside the folders, from the configuration.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use belvedere_hub::remote::{ClientOptions, Endpoint, Publisher, Token};
use belvedere_hub::{Hub, Hubs, LocalHub, RemoteHub, RemoteOptions};
use belvedere_jobs::memory::StoreMemory;
use belvedere_jobs::publish::{Committer, Committers};
use belvedere_jobs::settings::{BASE_URL_PLACEHOLDER, Parquet, Remote};
use belvedere_store::Store;

use crate::config::Config;
use crate::config::types::{Compat, Secret};
use crate::exit::Advice;

/// The folders, with the Hub beside them if one is configured.
///
/// # Errors
/// With a hint, when the address of the Hub or the directory of its files cannot be used.
pub fn beside(folders: &Arc<LocalHub>, config: &Config, store: &Store) -> anyhow::Result<Arc<dyn Hub>> {
    let Some(client) = client(config, config.common.hf_token.as_ref())? else {
        return Ok(Arc::clone(folders) as _);
    };
    let directory = config.paths().remote;
    let options = RemoteOptions {
        client,
        branch: config.parquet_and_info.source_revision.clone(),
        cache: directory.clone(),
        cache_bytes: config.remote.cache_bytes,
        whole_bytes: config.remote.whole_bytes,
        in_use: config.worker.max_job_duration_seconds.mul_f64(1.5),
        fresh: config.remote.fresh_seconds,
        asks_for_plans: config.general.compat == Compat::Reference,
        clock: SystemTime::now,
    };
    let memory = Arc::new(StoreMemory(Arc::clone(&store.snapshots)));
    let remote = RemoteHub::open(options, memory).with_context(|| {
        let message = format!("the directory for files of the Hub {} cannot be used", directory.display());
        Advice::environment(message, "name another one in `REMOTE_CACHE_DIRECTORY`")
    })?;
    Ok(Arc::new(Hubs::new(Arc::clone(folders), remote)))
}

/// Who sends converted files to the Hub.
///
/// # Errors
/// With a hint, when the address of the Hub cannot be used.
pub fn committers(config: &Config) -> anyhow::Result<Committers> {
    let committer = |token: Option<&Secret>, message: &str| {
        let Some(client) = client(config, token)?.filter(|client| client.token.is_some()) else { return Ok(None) };
        let publisher = Arc::new(Publisher::new(client));
        Ok::<_, anyhow::Error>(Some(Committer { publisher, message: message.to_owned() }))
    };
    let token = config.committer.hf_token.as_ref();
    Ok(Committers {
        parquet: committer(token, &config.parquet_and_info.commit_message)?,
        duckdb_index: committer(
            config.duckdb_index.committer_hf_token.as_ref().or(token),
            &config.duckdb_index.commit_message,
        )?,
    })
}

/// How the Hub is called with a token; `None` without a Hub.
pub(crate) fn client(config: &Config, token: Option<&Secret>) -> anyhow::Result<Option<ClientOptions>> {
    let Some(endpoint) = &config.common.hf_endpoint else { return Ok(None) };
    let endpoint = Endpoint::new(endpoint).context(Advice::usage(
        "the Hub cannot be called",
        "set `COMMON_HF_ENDPOINT` to an address such as https://huggingface.co",
    ))?;
    Ok(Some(ClientOptions {
        endpoint,
        token: token.and_then(|token| Token::new(token.expose())),
        allowed: config.remote.allowed_addresses.as_slice().into(),
        timeout: config.remote.timeout_seconds,
        waits: waits(config.remote.retry_seconds).into(),
    }))
}

/// The pauses of the reference, 1, 1, 1, 10, 10 and 10 seconds, for another first one.
fn waits(first: Duration) -> [Duration; 6] {
    [first, first, first, first * 10, first * 10, first * 10]
}

/// Settings of jobs for datasets of the Hub.
pub fn settings(config: &Config) -> Remote {
    Remote {
        parquet: Parquet {
            max_dataset_size_bytes: config.parquet_and_info.max_dataset_size_bytes.for_remote_files(),
            max_row_group_bytes_for_copy: config.parquet_and_info.max_row_group_byte_size_for_copy.for_remote_files(),
            ..crate::runtime::parquet(config)
        },
        duckdb_index_max_bytes: config.duckdb_index.max_dataset_size_bytes.for_remote_files(),
        statistics_max_split_size_bytes: config.descriptive_statistics.max_split_size_bytes.for_remote_files(),
        search_max_split_bytes: config.search_index.max_split_size_bytes.for_remote_files(),
        converted_url: match (&config.committer.hf_token, &config.common.hf_endpoint) {
            (Some(_), Some(endpoint)) => endpoint.trim_end_matches('/').to_owned(),
            _ => BASE_URL_PLACEHOLDER.to_owned(),
        },
    }
}
