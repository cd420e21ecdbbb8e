//! From configuration to running parts: store, Hub, jobs, API. Everything is made here and passed as a value.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use belvedere_api::{
    AdminSettings, ApiSettings, ApiState, CompareSettings, QuerySettings, RequestLog, Router, SqlAccess, SqlBudget,
    WebhookSecret,
};
use belvedere_domain::Graph;
use belvedere_domain::data_files::Schemas;
use belvedere_engine::statistics::Rules;
use belvedere_hub::local::{Layout, LocalHub, LocalOptions, Root, RootError};
use belvedere_hub::patterns::Pattern;
use belvedere_jobs::call::Caller;
use belvedere_jobs::child::{ChildCommand, ChildPool};
use belvedere_jobs::distant;
use belvedere_jobs::files::Files;
use belvedere_jobs::memory::StoreMemory;
use belvedere_jobs::scans::Scans;
use belvedere_jobs::settings::{DescriptiveStatistics, DuckdbIndex, FirstRows, Names, Parquet, Urls, WorkerSettings};
use belvedere_jobs::upkeep::{Caretaker, Upkeep};
use belvedere_jobs::{Refresher, Registry, Services, Settings, Worker};
use belvedere_store::{RateLimit, StoreError};
use tokio_util::sync::CancellationToken;

use crate::blobs::Places;
use crate::config::Config;
use crate::config::types::{BlockedDataset, Compat, LogRequests, SchemaChoice, StatisticsRules};
use crate::exit::Advice;
use crate::optional::is_built;
use crate::steps;

/// Time between two looks at the version of the schema.
const LOOK_AT_SCHEMA_EVERY: std::time::Duration = std::time::Duration::from_secs(30);

/// The parts of a process.
pub struct Runtime {
    /// What jobs share.
    pub services: Arc<Services>,
    /// The steps.
    pub registry: Arc<Registry>,
    /// Keeps datasets up to date.
    pub refresher: Arc<Refresher>,
    /// The folders.
    pub hub: Arc<LocalHub>,
    /// Where answers keep the media they make.
    cached_assets: PathBuf,
    /// How often datasets are looked through for missing and stale results.
    pub upkeep: Upkeep,
    /// Carries out queries in SQL, if this program can.
    queries: Option<Arc<dyn Caller>>,
}

impl Runtime {
    /// Makes the parts, with settings that `adjust` has the last word on. Nothing runs yet.
    ///
    /// # Errors
    /// With a hint, when a folder, the state directory, the store or a setting cannot be used.
    pub async fn build(config: &Config, adjust: impl FnOnce(&mut Settings)) -> anyhow::Result<Self> {
        let scans = crate::scans::settings(config)?;
        let optional = [crate::optional::STEPS, &scans.steps()[..]].concat();
        let registry = Arc::new(Registry::with(&optional).context("the steps of this build do not form a graph")?);
        let mut settings = settings(config, scans, &registry.graph())?;
        adjust(&mut settings);
        let state = state_directory(config)?;
        let store = crate::open::store(config).await?;
        let Places { blobs, assets } = Places::open(config).await?;
        let memory = Arc::new(StoreMemory(Arc::clone(&store.snapshots)));
        let layout = if config.serve.single { Layout::Single } else { Layout::Detect };
        let roots: Vec<Root> = config.serve.folders.iter().map(|folder| Root::parse(folder, layout)).collect();
        let options = LocalOptions {
            state_folder: Some(state.clone()),
            hash_at_once_bytes: config.hub.provisional_bytes,
            quiet: config.hub.quiet_seconds,
            poll_every: config.hub.poll_seconds,
            ..LocalOptions::default()
        };
        let hub = LocalHub::open(&roots, memory, options).map_err(not_served)?;
        let hub = Arc::new(hub);
        let command = child_command(&settings.worker, config.paths().temporary)?;
        let hub_of_all = crate::remote::beside(&hub, config, &store)?;
        let pool = |command, size| ChildPool::new(command, size).with_files_of(Arc::clone(&hub_of_all));
        let queries = is_built("sql").then(|| {
            // What is not counted: the program itself, its stacks, columns on their way.
            let command = ChildCommand { memory_bytes: Some(config.sql.memory_bytes + (1 << 30)), ..command.clone() };
            distant::with_files(&blobs, Arc::new(pool(command, config.sql.max_concurrent as usize)))
        });
        let children = distant::with_files(&blobs, Arc::new(pool(command, settings.worker.slots + 2)));
        let copies = (settings.parquet.copies_max_bytes > 0).then(|| Arc::clone(&store.views));
        let files = Files::new(Arc::clone(&hub_of_all), blobs.clone(), copies)
            .with_committers(crate::remote::committers(config)?);
        let services = Arc::new(Services {
            files: assets.into_iter().fold(files, Files::with_assets),
            store,
            trusted: distant::trusted(&blobs),
            blobs,
            graph: registry.graph(),
            settings,
            children,
        });
        let refresher = Arc::new(Refresher::new(Arc::clone(&services), config.views.keep_revisions));
        let upkeep = Upkeep {
            retry_errors_every: config.maintenance.retry_errors_seconds,
            backfill_every: config.maintenance.backfill_seconds,
            clean_every: config.maintenance.clean_seconds,
        };
        let cached_assets = config.paths().cached_assets;
        Ok(Self { services, registry, refresher, hub, cached_assets, upkeep, queries })
    }

    /// Looks through the folders once, so that every dataset is known before the first request.
    ///
    /// # Errors
    /// When no folder can be read.
    pub async fn first_look(&self) -> anyhow::Result<()> {
        let look = self.hub.scan(std::time::SystemTime::now()).await;
        for (dataset, error) in look.failures {
            tracing::warn!(dataset.name = %dataset, error = &error as &dyn std::error::Error, "the dataset cannot be read");
        }
        Ok(())
    }

    /// Watches the folders, plans what their changes need, and tidies up, until `stop`.
    pub async fn follow_folders(self: Arc<Self>, stop: CancellationToken) {
        let caretaker = Caretaker::new(
            (Arc::clone(&self.services), Arc::clone(&self.refresher)),
            self.upkeep,
            &process_name(),
            self.cached_assets.clone(),
            ApiSettings::default().clock,
        );
        tokio::join!(
            self.refresher.run(stop.clone()),
            Arc::clone(&self.hub).run(stop.clone()),
            caretaker.run(stop.clone()),
        );
    }

    /// Stops the process when a newer program has brought the database to a schema that this one may not work on. To be
    /// asked for its end after everything else has ended.
    pub fn watch_schema(&self, stop: &CancellationToken) -> SchemaWatch {
        let (housekeeping, stop) = (Arc::clone(&self.services.store.housekeeping), stop.clone());
        SchemaWatch(tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_AT_SCHEMA_EVERY) => {}
                    () = stop.cancelled() => return Ok(()),
                }
                // A database that is away, or out of order, is told by those who need it.
                if let Err(error @ StoreError::NewerSchema { .. }) = housekeeping.check_schema().await {
                    tracing::error!(error = &error as &dyn std::error::Error, "a newer program has changed the schema");
                    stop.cancel();
                    return Err(error);
                }
            }
        }))
    }

    /// A worker; its name tells processes apart.
    pub fn worker(&self) -> Worker {
        Worker::new(Arc::clone(&self.services), Arc::clone(&self.registry), &process_name())
    }

    /// The HTTP API, without the admin service.
    pub fn router(&self, config: &Config) -> Router {
        belvedere_api::router(self.api_state(config, AdminSettings::default()))
    }

    /// What handlers of requests share.
    pub fn api_state(&self, config: &Config, admin: AdminSettings) -> ApiState {
        let settings = ApiSettings {
            max_age_long: config.api.max_age_long,
            max_age_short: config.api.max_age_short,
            base_url: config.serve.public_url.clone(),
            tls: config.api.tls_cert.is_some(),
            patience_seconds: config.views.patience_seconds.as_secs_f64(),
            max_page_rows: u64::from(config.api.max_page_rows),
            compare: CompareSettings {
                limit: config.api.compare_seconds,
                at_a_time: config.api.compare_at_a_time.on(cores()),
                ..CompareSettings::default()
            },
            max_export_rows: config.api.max_export_rows.get().map(u64::from),
            query: QuerySettings {
                max_seconds: config.query.max_seconds.as_secs_f64(),
                max_memory_bytes: bytes(config.query.max_memory_bytes),
                max_rows: config.query.max_rows.get().map(u64::from),
                max_answer_rows: config.query.max_answer_rows,
                kept_bytes: bytes(config.query.kept_bytes),
            },
            compat: config.general.compat == Compat::Reference,
            cached_assets: config.paths().cached_assets,
            delivery: crate::blobs::delivery(config),
            blobs: self.services.blobs.is_folder().then(|| config.paths().blobs),
            admin,
            remote_on_demand: config.common.hf_endpoint.is_some() && config.remote.on_demand,
            webhook_secret: config
                .api
                .hf_webhook_secret
                .as_ref()
                .and_then(|secret| WebhookSecret::new(secret.expose())),
            log_requests: match config.log.requests {
                LogRequests::Off => RequestLog::Off,
                LogRequests::Debug => RequestLog::Debug,
                LogRequests::Info => RequestLog::Info,
            },
            sql: sql_access(config),
            auth: crate::reading::auth(config),
            ..ApiSettings::default()
        };
        let state = ApiState::new(Arc::clone(&self.services), Arc::clone(&self.refresher), settings);
        match &self.queries {
            Some(queries) => state.with_sql(Arc::clone(queries)),
            None => state,
        }
    }
}

/// The watch over the schema of the database.
#[derive(Debug)]
pub struct SchemaWatch(tokio::task::JoinHandle<Result<(), StoreError>>);

impl SchemaWatch {
    /// How it ended.
    ///
    /// # Errors
    /// With a hint, when the process had to stop.
    pub async fn ended(self) -> anyhow::Result<()> {
        let ended = self.0.await.context("the watch over the schema panicked")?;
        ended.context(Advice::environment(
            "the database belongs to a newer program now",
            "install that version here, too",
        ))
    }
}

/// Tells this process apart from others.
fn process_name() -> String {
    format!("{}-{:016x}", std::process::id(), fresh_number())
}

/// A number of bytes that fits this machine's memory.
fn bytes(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A number that no other process has, without asking for randomness: the moment of the start in nanoseconds.
fn fresh_number() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

/// The state directory, made if it is missing, with its full path.
///
/// # Errors
/// With a hint when it cannot be made.
pub fn state_directory(config: &Config) -> anyhow::Result<PathBuf> {
    let state = &config.serve.state;
    let made = std::fs::create_dir_all(state).and_then(|()| state.canonicalize());
    made.with_context(|| {
        let message = format!("the state directory {} cannot be used", state.display());
        Advice::environment(message, "name another one with `--state DIR`")
    })
}

/// A root that cannot be served, with the way out.
fn not_served(error: RootError) -> anyhow::Error {
    let hint = match &error {
        RootError::Io { .. } => "name existing folders, as PATH or NAMESPACE=PATH",
        RootError::Name { .. } => "name it NAMESPACE=PATH, or NAME=PATH together with `--single`",
        RootError::Twice { .. } => "",
    };
    let advice = Advice::usage(error.to_string(), hint);
    match error {
        // Its message is that of the advice; what follows is the reason.
        RootError::Io { source, .. } => anyhow::Error::new(source).context(advice),
        _ => advice.into(),
    }
}

fn child_command(worker: &WorkerSettings, temporary: PathBuf) -> anyhow::Result<ChildCommand> {
    std::fs::create_dir_all(&temporary).with_context(|| {
        let message = format!("the directory for temporary files {} cannot be made", temporary.display());
        Advice::environment(message, "name another one in `TMPDIR`, or none for one in the state directory")
    })?;
    let program = std::env::current_exe().context("the path of this program is unknown")?;
    Ok(ChildCommand::new(program, "engine-child", temporary, worker))
}

/// Whether queries in SQL are answered: where other machines reach the server, only if the operator says so.
fn sql_access(config: &Config) -> SqlAccess {
    let host = &config.api.uvicorn_hostname;
    let is_loopback = host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    match config.api.sql.unwrap_or(is_loopback) {
        _ if !is_built("sql") => SqlAccess::NotBuilt,
        false => SqlAccess::NotAllowed,
        true => SqlAccess::Open(SqlBudget {
            max_seconds: config.sql.max_seconds.as_secs_f64(),
            max_rows: config.sql.max_rows as usize,
            max_bytes: usize::try_from(config.sql.max_bytes).unwrap_or(usize::MAX),
            memory_bytes: usize::try_from(config.sql.memory_bytes).unwrap_or(usize::MAX),
        }),
    }
}

/// Settings of jobs, from the configuration.
fn settings(config: &Config, scans: Scans, graph: &Graph) -> Result<Settings, Advice> {
    Ok(Settings {
        compat: config.general.compat == Compat::Reference,
        blocked_datasets: blocked_datasets(config)?,
        names: Names {
            configs_max: config.config_names.max_number as usize,
            configs_max_for_init: config.config_names.max_number_for_init as usize,
            splits_max: config.split_names.max_number as usize,
        },
        first_rows: FirstRows {
            max_bytes: config.first_rows.max_bytes as usize,
            max_number: config.first_rows.max_number as usize,
            min_number: config.first_rows.min_number as usize,
            min_cell_bytes: config.first_rows.min_cell_bytes as usize,
            columns_max_number: config.first_rows.columns_max_number as usize,
        },
        parquet: parquet(config),
        duckdb_index: DuckdbIndex {
            scratch: config.duckdb_index.cache_directory.clone(),
            extensions: config.duckdb_index.extensions_directory.clone(),
            max_bytes: config.duckdb_index.max_dataset_size_bytes.for_local_files(),
            // The other half is for the images and footers that the engine looks at, and for what DuckDB does not count.
            memory_bytes: config.worker.child_memory_bytes / 2,
            target_revision: config.duckdb_index.target_revision.clone(),
            url_template: config.duckdb_index.url_template.clone(),
        },
        descriptive_statistics: DescriptiveStatistics {
            rules: match config.descriptive_statistics.rules {
                StatisticsRules::Seed => Rules::Seed,
                StatisticsRules::Reference => Rules::Reference,
            },
            histogram_num_bins: config.descriptive_statistics.histogram_num_bins,
            max_num_string_labels: config.descriptive_statistics.max_num_string_labels as usize,
            max_split_size_bytes: config.descriptive_statistics.max_split_size_bytes.for_local_files(),
            max_memory_bytes: config.descriptive_statistics.max_memory_bytes as usize,
            cache_directory: config.paths().statistics,
        },
        search: belvedere_jobs::settings::Search {
            builds_indexes: config.search_index.enabled,
            max_split_bytes: config.search_index.max_split_size_bytes.for_local_files(),
            memory_bytes: usize::try_from(config.search_index.memory_bytes).unwrap_or(usize::MAX),
            max_scan_seconds: config.search_index.max_scan_seconds.into(),
        },
        urls: urls(config),
        remote: crate::remote::settings(config),
        scans,
        worker: worker_settings(config, graph)?,
    })
}

/// The conversion of files of this machine.
pub(crate) fn parquet(config: &Config) -> Parquet {
    Parquet {
        max_dataset_size_bytes: config.parquet_and_info.max_dataset_size_bytes.for_local_files(),
        target_revision: config.parquet_and_info.target_revision.clone(),
        url_template: config.parquet_and_info.url_template.clone(),
        max_read_bytes: config.rows_index.max_arrow_data_in_memory,
        max_row_group_bytes_for_copy: config.parquet_and_info.max_row_group_byte_size_for_copy.for_local_files(),
        schemas: match config.parquet_and_info.schema {
            SchemaChoice::Strict => Schemas::Strict,
            SchemaChoice::Union => Schemas::Union,
        },
        copies_max_bytes: config.parquet_layout.max_bytes,
    }
}

/// The block list as patterns of names.
fn blocked_datasets(config: &Config) -> Result<Vec<Pattern>, Advice> {
    config.common.blocked_datasets.iter().map(|entry| pattern("common.blocked_datasets", entry)).collect()
}

/// An entry of a list of datasets as a pattern of names.
pub(crate) fn pattern(setting: &str, entry: &BlockedDataset) -> Result<Pattern, Advice> {
    Pattern::new("", entry.as_str()).map_err(|error| {
        let message = format!("`{setting}` holds `{}`: {error}", entry.as_str());
        Advice::usage(message, "an entry is `name` or `namespace/pattern`")
    })
}

fn urls(config: &Config) -> Urls {
    let mut urls = Urls::default();
    if let Some(endpoint) = &config.common.hf_endpoint {
        urls.hub = endpoint.trim_end_matches('/').to_owned();
        urls.converted.clone_from(&urls.hub);
    }
    if let Some(base_url) = &config.assets.base_url {
        urls.assets = base_url.trim_end_matches('/').to_owned();
    }
    if let Some(base_url) = &config.cached_assets.base_url {
        urls.cached_assets = base_url.trim_end_matches('/').to_owned();
    }
    urls
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn worker_settings(config: &Config, graph: &Graph) -> Result<WorkerSettings, Advice> {
    let worker = &config.worker;
    let cores = cores();
    let percent = |limit: crate::config::types::Limit| limit.get().map_or(0.0, f64::from);
    Ok(WorkerSettings {
        slots: worker.slots.on(cores),
        content_max_bytes: worker.content_max_bytes as usize,
        difficulty_min: worker.difficulty_min,
        difficulty_max: worker.difficulty_max,
        difficulty_min_inclusive: worker.difficulty_min_inclusive,
        job_types_blocked: steps::named("worker.job_types_blocked", &worker.job_types_blocked, graph)?,
        job_types_only: steps::named("worker.job_types_only", &worker.job_types_only, graph)?,
        heartbeat_interval_seconds: worker.heartbeat_interval_seconds.as_secs_f64(),
        max_missing_heartbeats: worker.max_missing_heartbeats,
        kill_zombies_interval_seconds: worker.kill_zombies_interval_seconds.as_secs_f64(),
        kill_long_job_interval_seconds: worker.kill_long_job_interval_seconds.as_secs_f64(),
        max_job_duration_seconds: worker.max_job_duration_seconds.as_secs_f64(),
        max_load_pct: percent(worker.max_load_pct),
        max_memory_pct: percent(worker.max_memory_pct),
        max_system_memory_pct: percent(worker.max_system_memory_pct),
        max_disk_usage_pct: percent(worker.max_disk_usage_pct),
        storage_paths: config.watched_disks().into_iter().map(Path::to_owned).collect(),
        sleep_seconds: worker.sleep_seconds.as_secs_f64(),
        wake_on_enqueue: worker.wake_on_enqueue,
        child_memory_bytes: Some(worker.child_memory_bytes),
        scratch: config.paths().scratch,
        max_crashes: worker.max_crashes,
        grace_seconds: worker.grace_seconds.as_secs_f64(),
        kept_runs: worker.kept_runs,
        max_jobs_per_dataset: config.queue.max_jobs_per_dataset.get(),
        rate_limit: config.queue.rate_limit.then(RateLimit::default),
        ..WorkerSettings::default()
    })
}
