//! What operators can set about jobs. The binary fills these from its configuration; tests from defaults.

use std::borrow::Cow;
use std::path::PathBuf;

use belvedere_domain::Features;
use belvedere_domain::data_files::Schemas;
use belvedere_domain::view::REVISION_PLACEHOLDER;
use belvedere_domain::{DatasetName, StepName};
use belvedere_engine::Call;
use belvedere_engine::call::{ParquetFile, SelectedRows, Statistics};
use belvedere_engine::source::SourceFile;
use belvedere_engine::statistics::Rules;
use belvedere_hub::Origin;
use belvedere_hub::patterns::Pattern;
use belvedere_store::RateLimit;
use serde::Serialize;

use crate::scans::Scans;

/// Settings of steps and workers.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Rules of today's reference implementation where ours differ.
    pub compat: bool,
    /// Names of datasets that the operator blocks: nothing of them is stored or shown.
    pub blocked_datasets: Vec<Pattern>,
    /// Limits of names.
    pub names: Names,
    /// Limits of first rows.
    pub first_rows: FirstRows,
    /// The conversion to Parquet.
    pub parquet: Parquet,
    /// The DuckDB files of splits.
    pub duckdb_index: DuckdbIndex,
    /// Figures of columns.
    pub descriptive_statistics: DescriptiveStatistics,
    /// Search, and the indexes it is quick by.
    pub search: Search,
    /// Scans that operators turn on.
    pub scans: Scans,
    /// The worker.
    pub worker: WorkerSettings,
    /// Where URLs in views point to.
    pub urls: Urls,
    /// The same for datasets of a remote Hub, where it differs.
    pub remote: Remote,
}

/// What holds for datasets of a remote Hub in place of the settings of the same names.
#[derive(Clone, Debug, Default)]
pub struct Remote {
    /// The conversion to Parquet.
    pub parquet: Parquet,
    /// Bytes that DuckDB files are made of, see [`DuckdbIndex::max_bytes`].
    pub duckdb_index_max_bytes: Option<u64>,
    /// Bytes that statistics are made of, see [`DescriptiveStatistics::max_split_size_bytes`].
    pub statistics_max_split_size_bytes: Option<u64>,
    /// Bytes up to which search indexes are made, see [`Search::max_split_bytes`].
    pub search_max_split_bytes: Option<u64>,
    /// What precedes `/datasets/…` of converted files: the Hub if they are sent there, else the placeholder of this server.
    pub converted_url: String,
}

impl Settings {
    /// The settings for datasets that come from there.
    pub fn of(&self, origin: Origin) -> Cow<'_, Self> {
        if origin == Origin::Folders {
            return Cow::Borrowed(self);
        }
        let mut settings = self.clone();
        let remote = self.remote.clone();
        settings.parquet = remote.parquet;
        settings.duckdb_index.max_bytes = remote.duckdb_index_max_bytes;
        settings.descriptive_statistics.max_split_size_bytes = remote.statistics_max_split_size_bytes;
        settings.search.max_split_bytes = remote.search_max_split_bytes;
        settings.urls.converted = remote.converted_url;
        Cow::Owned(settings)
    }
}

/// How many configs and splits are accepted.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Names {
    /// Configs of a dataset.
    pub configs_max: usize,
    /// Configs up to which the first job already lists them.
    pub configs_max_for_init: usize,
    /// Splits of a config.
    pub splits_max: usize,
}

impl Default for Names {
    fn default() -> Self {
        Self { configs_max: 4000, configs_max_for_init: 10, splits_max: 30 }
    }
}

/// Limits of first rows.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FirstRows {
    /// Bytes of the answer.
    pub max_bytes: usize,
    /// Rows of the answer.
    pub max_number: usize,
    /// Rows that are kept even if their cells must be cut.
    pub min_number: usize,
    /// Cells up to this size are never cut, in bytes of JSON.
    pub min_cell_bytes: usize,
    /// Columns of the answer.
    pub columns_max_number: usize,
}

impl Default for FirstRows {
    fn default() -> Self {
        Self { max_bytes: 1_000_000, max_number: 100, min_number: 10, min_cell_bytes: 100, columns_max_number: 1000 }
    }
}

/// Search, and the indexes it is quick by.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Indexes are built.
    pub builds_indexes: bool,
    /// Splits whose Parquet files hold more bytes have none; `None`: no limit.
    pub max_split_bytes: Option<u64>,
    /// Memory for building one, in bytes.
    pub memory_bytes: usize,
    /// Longest time in seconds that a query may read texts while there is no index.
    pub max_scan_seconds: f64,
}

impl Default for Search {
    fn default() -> Self {
        Self { builds_indexes: true, max_split_bytes: None, memory_bytes: 48 << 20, max_scan_seconds: 10.0 }
    }
}

/// The conversion to Parquet.
#[derive(Clone, Debug)]
pub struct Parquet {
    /// Bytes of tables per split after which the conversion stops; `None`: no limit.
    pub max_dataset_size_bytes: Option<u64>,
    /// The branch of the converted files.
    pub target_revision: String,
    /// Dataset, encoded revision, path.
    pub url_template: String,
    /// Largest number of bytes fetched by one read of rows.
    pub max_read_bytes: u64,
    /// Configs of Parquet files with larger row groups, in bytes before compression, are converted rather than
    /// referenced; `None`: no limit.
    pub max_row_group_bytes_for_copy: Option<u64>,
    /// What becomes of files that differ, where the card of a dataset says nothing.
    pub schemas: Schemas,
    /// Bytes that private copies of Parquet files in our layout may take, all together; 0: none are made.
    pub copies_max_bytes: u64,
}

impl Default for Parquet {
    fn default() -> Self {
        Self {
            max_dataset_size_bytes: None,
            target_revision: "refs/convert/parquet".into(),
            url_template: "/datasets/%s/resolve/%s/%s".into(),
            max_read_bytes: 300_000_000,
            max_row_group_bytes_for_copy: None,
            schemas: Schemas::Strict,
            copies_max_bytes: 20_000_000_000,
        }
    }
}

/// The DuckDB files of splits, for programs that come with DuckDB.
#[derive(Clone, Debug)]
pub struct DuckdbIndex {
    /// Parent of the directories that they are written in; `None`: that of all jobs.
    pub scratch: Option<PathBuf>,
    /// Directory of the extensions of DuckDB; `None`: no full-text index.
    pub extensions: Option<PathBuf>,
    /// Bytes before compression of the Parquet files after which the rest of a split is left out; `None`: no limit.
    pub max_bytes: Option<u64>,
    /// Bytes that DuckDB may hold in memory.
    pub memory_bytes: u64,
    /// The branch of the files.
    pub target_revision: String,
    /// Dataset, encoded revision, path.
    pub url_template: String,
}

impl Default for DuckdbIndex {
    fn default() -> Self {
        Self {
            scratch: None,
            extensions: None,
            max_bytes: None,
            memory_bytes: 1 << 30,
            target_revision: "refs/convert/parquet".into(),
            url_template: "/datasets/%s/resolve/%s/%s".into(),
        }
    }
}

/// Figures of columns.
#[derive(Clone, Debug)]
pub struct DescriptiveStatistics {
    /// Whose rules they follow.
    pub rules: Rules,
    /// Bins of a histogram.
    pub histogram_num_bins: u32,
    /// Distinct texts up to which a column is one of labels.
    pub max_num_string_labels: usize,
    /// Uncompressed bytes of a split after which no further file is read; `None`: no limit.
    pub max_split_size_bytes: Option<u64>,
    /// Bytes of values in memory; what is beyond them goes to the directory.
    pub max_memory_bytes: usize,
    /// Directory for values that do not fit.
    pub cache_directory: PathBuf,
}

impl DescriptiveStatistics {
    /// What decides the figures.
    pub fn deciding(&self) -> impl Serialize + use<> {
        (self.rules, self.histogram_num_bins, self.max_num_string_labels, self.max_split_size_bytes)
    }

    /// Asks for the figures of a split, or of some of its rows. `linked_files` are those that media cells refer to.
    pub fn call(
        &self,
        dataset: &DatasetName,
        files: Vec<ParquetFile>,
        features: Option<Features>,
        selected: Option<SelectedRows>,
        linked_files: Vec<SourceFile>,
    ) -> Call {
        Call::Statistics(Statistics {
            files,
            features,
            rules: self.rules,
            histogram_bins: self.histogram_num_bins,
            max_string_labels: self.max_num_string_labels,
            max_split_bytes: self.max_split_size_bytes,
            memory_bytes: self.max_memory_bytes,
            scratch: self.cache_directory.clone(),
            repository: format!("hf://datasets/{dataset}@{REVISION_PLACEHOLDER}"),
            linked_files,
            selected,
        })
    }
}

impl Default for DescriptiveStatistics {
    fn default() -> Self {
        Self {
            rules: Rules::Seed,
            histogram_num_bins: 10,
            max_num_string_labels: 30,
            max_split_size_bytes: None,
            max_memory_bytes: 128 << 20,
            cache_directory: std::env::temp_dir(),
        }
    }
}

/// What stands in stored URLs for the address of this server; replaced when a view is served.
pub const BASE_URL_PLACEHOLDER: &str = "{belvedere_base_url}";

/// Where URLs in views point to.
#[derive(Clone, Debug)]
pub struct Urls {
    /// What precedes `/datasets/…`: the Hub, or the placeholder of this server.
    pub hub: String,
    /// The same for converted files.
    pub converted: String,
    /// What precedes `/<dataset>/--/…` of assets.
    pub assets: String,
    /// The same for assets made while answering.
    pub cached_assets: String,
}

impl Urls {
    /// The URL of a converted file on a branch: the three `%s` of the template are dataset, encoded revision and path.
    pub fn of_file(&self, template: &str, dataset: &DatasetName, revision: &str, path: &str) -> String {
        let revision = revision.replace('%', "%25").replace('/', "%2F");
        let fill = |url: String, part: &str| url.replacen("%s", part, 1);
        let url = [dataset.as_str(), &revision, path].into_iter().fold(template.to_owned(), fill);
        format!("{}{url}", self.converted)
    }
}

impl Default for Urls {
    fn default() -> Self {
        Self {
            hub: BASE_URL_PLACEHOLDER.into(),
            converted: BASE_URL_PLACEHOLDER.into(),
            assets: format!("{BASE_URL_PLACEHOLDER}/assets"),
            cached_assets: format!("{BASE_URL_PLACEHOLDER}/cached-assets"),
        }
    }
}

/// The worker.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Jobs run at the same time; one more place takes only steps that are not heavy.
    pub slots: usize,
    /// Largest size of a view's content in bytes.
    pub content_max_bytes: usize,
    /// Bounds of difficulty, see [`belvedere_store::ClaimRequest`].
    pub difficulty_min: Option<u8>,
    /// Inclusive.
    pub difficulty_max: Option<u8>,
    /// The lower bound is inclusive.
    pub difficulty_min_inclusive: bool,
    /// Steps never taken.
    pub job_types_blocked: Vec<StepName>,
    /// If not empty, the only steps taken.
    pub job_types_only: Vec<StepName>,
    /// Seconds between signs of life.
    pub heartbeat_interval_seconds: f64,
    /// Missed signs of life after which a job is taken from its worker.
    pub max_missing_heartbeats: u32,
    /// Seconds between looks for jobs whose worker vanished.
    pub kill_zombies_interval_seconds: f64,
    /// Seconds between looks for jobs that take too long.
    pub kill_long_job_interval_seconds: f64,
    /// Longest run of a job in seconds.
    pub max_job_duration_seconds: f64,
    /// Load of the machine, in percent of its processors, above which no job is started; 0: no check.
    pub max_load_pct: f64,
    /// Use of the container's memory in percent; 0: no check.
    pub max_memory_pct: f64,
    /// Use of the machine's memory in percent; 0: no check.
    pub max_system_memory_pct: f64,
    /// Use of each disk in percent; 0: no check.
    pub max_disk_usage_pct: f64,
    /// Paths on the disks to check.
    pub storage_paths: Vec<PathBuf>,
    /// Seconds between looks at the queue when no wake-up comes.
    pub sleep_seconds: f64,
    /// A new job wakes waiting places at once.
    pub wake_on_enqueue: bool,
    /// Memory of a child process in bytes; `None`: no limit.
    pub child_memory_bytes: Option<u64>,
    /// Largest file that a child may write, in bytes; `None`: no limit.
    pub child_file_bytes: Option<u64>,
    /// Where scratch directories are made.
    pub scratch: PathBuf,
    /// Vanished workers after which a job is given up.
    pub max_crashes: u32,
    /// Attempts at a job whose environment fails, before the failure is stored.
    pub max_attempts: u32,
    /// Seconds before the second attempt; each further one waits four times as long as the one before.
    pub retry_seconds: f64,
    /// Started jobs of one dataset; `None`: no cap.
    pub max_jobs_per_dataset: Option<u32>,
    /// Budget of machine time per dataset; `None`: no limit.
    pub rate_limit: Option<RateLimit>,
    /// Seconds between two runs of an aggregate step, at least.
    pub coalesce_seconds: f64,
    /// Seconds to finish running jobs when asked to stop, before their leases are handed back.
    pub grace_seconds: f64,
    /// How ended runs of jobs are remembered: the last so many; 0: none.
    pub kept_runs: u64,
}

impl WorkerSettings {
    /// How long a lease holds without a sign of life. Detection is off at 0 intervals; then a day.
    pub fn lease_seconds(&self) -> f64 {
        let seconds = self.heartbeat_interval_seconds * f64::from(self.max_missing_heartbeats);
        if seconds > 0.0 { seconds } else { 86_400.0 }
    }

    /// Seconds between signs of life: often enough for three within a lease.
    pub fn beat_seconds(&self) -> f64 {
        let third = self.lease_seconds() / 3.0;
        if self.heartbeat_interval_seconds > 0.0 { self.heartbeat_interval_seconds.min(third) } else { third }
    }
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            slots: 2,
            content_max_bytes: 10_000_000,
            difficulty_min: None,
            difficulty_max: None,
            difficulty_min_inclusive: true,
            job_types_blocked: Vec::new(),
            job_types_only: Vec::new(),
            heartbeat_interval_seconds: 60.0,
            max_missing_heartbeats: 5,
            kill_zombies_interval_seconds: 600.0,
            kill_long_job_interval_seconds: 60.0,
            max_job_duration_seconds: 1200.0,
            max_load_pct: 0.0,
            max_memory_pct: 0.0,
            max_system_memory_pct: 0.0,
            max_disk_usage_pct: 0.0,
            storage_paths: Vec::new(),
            sleep_seconds: 15.0,
            wake_on_enqueue: true,
            child_memory_bytes: Some(4 << 30),
            child_file_bytes: None,
            scratch: std::env::temp_dir(),
            max_crashes: 3,
            max_attempts: 5,
            retry_seconds: 1.0,
            max_jobs_per_dataset: None,
            rate_limit: None,
            coalesce_seconds: 1.0,
            grace_seconds: 20.0,
            kept_runs: 10_000,
        }
    }
}
