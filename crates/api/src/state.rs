//! What handlers share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use belvedere_domain::Timestamp;
use belvedere_engine::call::Budget;
use belvedere_jobs::{Caller, Observer, Refresher, Services};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::admin::AdminSettings;
use crate::auth::reading::{ReadSettings, Restricted};
use crate::auth::{Accounts, AuthSettings};
use crate::metrics::{Lookups, Metrics};
use crate::params::DEFAULT_LENGTH;
use crate::public::compare::Board;
use crate::public::filter::Selections;
use crate::public::remembered::Remembered;
use crate::public::split::RowsIndexCache;
use crate::public::sql::SqlAccess;
use crate::public::statistics::SelectedStatistics;
use crate::sse::Feed;
use crate::tasks::TaskService;
use crate::trace::{RequestIds, RequestLog};
use crate::webhook::WebhookSecret;

/// How often to look whether anybody still asks for a comparison; after twelve looks it is dropped.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Clients of one process that follow a dataset at the same time.
const MAX_STATUS_STREAMS: usize = 1000;

/// Settings of the HTTP API.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Seconds that clients may keep a success; 0: not at all.
    pub max_age_long: u32,
    /// Seconds that clients may keep an error; 0: not at all.
    pub max_age_short: u32,
    /// Address that URLs in answers start with; `None`: the one the client used.
    pub base_url: Option<String>,
    /// Clients reach us by TLS.
    pub tls: bool,
    /// Seconds that readers stay on the served revision while its successor is computed.
    pub patience_seconds: f64,
    /// Largest number of rows of one page of JSON, at least 1.
    pub max_page_rows: u64,
    /// Largest number of rows of one answer in another format; `None`: no limit.
    pub max_export_rows: Option<u64>,
    /// Bytes of such an answer that are made at a time, about; eight times as many of Parquet.
    pub piece_bytes: usize,
    /// What a question about rows may cost.
    pub query: QuerySettings,
    /// Comparing splits.
    pub compare: CompareSettings,
    /// Answer some failures as today's reference implementation does.
    pub compat: bool,
    /// Whether queries in SQL are answered.
    pub sql: SqlAccess,
    /// What time it is: only for how long readers have been waiting.
    pub clock: fn() -> Timestamp,
    /// Directory of the media files made while answering.
    pub cached_assets: PathBuf,
    /// How files in distant places reach clients.
    pub delivery: Delivery,
    /// Directory of the files behind views, whose disk is told in the metrics; `None`: they are not on this machine.
    pub blobs: Option<PathBuf>,
    /// The admin service.
    pub admin: AdminSettings,
    /// Logins and sessions.
    pub auth: AuthSettings,
    /// What senders of webhooks must know; without it, all of them are refused.
    pub webhook_secret: Option<WebhookSecret>,
    /// A dataset that is unknown here is asked for at the remote Hub when somebody wants to read it.
    pub remote_on_demand: bool,
    /// Whether each request is logged.
    pub log_requests: RequestLog,
    /// Who may read.
    pub reading: ReadSettings,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            max_age_long: 120,
            max_age_short: 10,
            base_url: None,
            tls: false,
            patience_seconds: 60.0,
            max_page_rows: 10_000,
            max_export_rows: None,
            piece_bytes: 4 << 20,
            query: QuerySettings::default(),
            compare: CompareSettings::default(),
            compat: false,
            sql: SqlAccess::NotBuilt,
            clock: || Timestamp(chrono::Utc::now().timestamp_micros()),
            cached_assets: std::env::temp_dir().join("belvedere-cached-assets"),
            delivery: Delivery::Proxy,
            blobs: None,
            admin: AdminSettings::default(),
            auth: AuthSettings::default(),
            webhook_secret: None,
            remote_on_demand: false,
            log_requests: RequestLog::default(),
            reading: ReadSettings::default(),
        }
    }
}

/// How files that are kept in S3 reach clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Through this server.
    Proxy,
    /// By a redirection to a signed link.
    Link {
        /// How long the link may be used.
        good_for: Duration,
    },
}

/// What questions about rows may cost, and how much of their answers is kept.
#[derive(Clone, Copy, Debug)]
pub struct QuerySettings {
    /// Seconds of one question.
    pub max_seconds: f64,
    /// Bytes of memory of one question, for what is kept while files are read.
    pub max_memory_bytes: usize,
    /// Rows that one question may look at, after those that statistics of the files rule out; `None`: any number.
    pub max_rows: Option<u64>,
    /// Rows of one answer, whose numbers are held in memory.
    pub max_answer_rows: u64,
    /// Bytes of row numbers that are kept for the next page.
    pub kept_bytes: usize,
}

impl QuerySettings {
    /// What the caller waits longer than the engine, which can say more about why it stopped.
    const GRACE: Duration = Duration::from_secs(5);

    /// What the engine may use for one question.
    pub(crate) fn budget(&self) -> Budget {
        Budget { max_seconds: self.max_seconds, max_memory_bytes: self.max_memory_bytes, max_rows: self.max_rows }
    }

    /// How long one question is waited for.
    pub(crate) fn limit(&self) -> Duration {
        Duration::try_from_secs_f64(self.max_seconds).unwrap_or(Duration::MAX).saturating_add(Self::GRACE)
    }
}

impl Default for QuerySettings {
    fn default() -> Self {
        Self {
            max_seconds: 30.0,
            max_memory_bytes: 256 << 20,
            max_rows: None,
            max_answer_rows: 1_000_000,
            kept_bytes: 32 << 20,
        }
    }
}

/// What comparing splits may cost.
#[derive(Clone, Copy, Debug)]
pub struct CompareSettings {
    /// How long a request waits for its answer before it is told to come back.
    pub wait: Duration,
    /// Longest time that one comparison may take.
    pub limit: Duration,
    /// Comparisons at the same time, at least 1.
    pub at_a_time: usize,
}

impl Default for CompareSettings {
    fn default() -> Self {
        Self { wait: Duration::from_secs(3), limit: Duration::from_secs(600), at_a_time: 2 }
    }
}

impl ApiSettings {
    /// Largest page of rows.
    pub(crate) fn max_length(&self) -> u64 {
        if self.compat { DEFAULT_LENGTH } else { self.max_page_rows.max(1) }
    }
}

/// State of the router.
pub struct ApiState {
    pub(crate) services: Arc<Services>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) settings: ApiSettings,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) accounts: Accounts,
    pub(crate) restricted: Restricted,
    pub(crate) remembered: Remembered,
    pub(crate) rows: RowsIndexCache,
    pub(crate) selections: Selections,
    pub(crate) compares: Board,
    pub(crate) statistics: SelectedStatistics,
    pub(crate) sql: Option<Arc<dyn Caller>>,
    pub(crate) rows_lookups: Lookups,
    pub(crate) request_ids: RequestIds,
    pub(crate) feed: Feed,
    /// Places for clients that follow a dataset.
    pub(crate) status_streams: Arc<Semaphore>,
    /// Ends answers that would otherwise never end.
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: Option<Arc<TaskService>>,
}

impl ApiState {
    /// State for a router.
    pub fn new(services: Arc<Services>, refresher: Arc<Refresher>, settings: ApiSettings) -> Self {
        let metrics = Arc::new(Metrics::new(settings.admin.gauges_with_pid));
        let selections = Selections::new(settings.query.kept_bytes);
        let compares = Board::new(settings.compare.at_a_time, LOOK_EVERY);
        Self {
            services,
            refresher,
            settings,
            metrics,
            accounts: Accounts::default(),
            restricted: Restricted::default(),
            remembered: Remembered::default(),
            rows: RowsIndexCache::default(),
            selections,
            compares,
            statistics: SelectedStatistics::default(),
            sql: None,
            rows_lookups: Lookups::default(),
            request_ids: RequestIds::new(),
            feed: Feed::default(),
            status_streams: Arc::new(Semaphore::new(MAX_STATUS_STREAMS)),
            stop: CancellationToken::new(),
            tasks: None,
        }
    }

    /// What time it is, in seconds since 1970: for credentials that end.
    pub(crate) fn now_seconds(&self) -> i64 {
        (self.settings.clock)().0.div_euclid(1_000_000)
    }

    /// With a sign that the server ends, on which streams of events end, too.
    #[must_use]
    pub fn until(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// Does in the background what the first requests would have to wait for. To be called when the server starts.
    pub fn prepare(self: &Arc<Self>) {
        let state = Arc::clone(self);
        tokio::spawn(async move { state.metrics.count_ahead(&state).await });
    }

    /// Counts for the metrics of this process what its worker does.
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.metrics) as Arc<dyn Observer>
    }

    /// The caches of this process by name.
    pub(crate) fn caches(&self) -> [(&'static str, &Lookups); 4] {
        [
            ("answers", self.remembered.lookups()),
            ("split_files", &self.rows_lookups),
            ("selections", self.selections.lookups()),
            ("selected_statistics", self.statistics.lookups()),
        ]
    }

    /// With tasks of users.
    #[must_use]
    pub fn with_tasks(mut self, tasks: Arc<TaskService>) -> Self {
        self.tasks = Some(tasks);
        self
    }

    /// With restrictions on who may read.
    #[must_use]
    pub fn with_reading(mut self, reading: ReadSettings) -> Self {
        self.settings.reading = reading;
        self
    }

    /// With processes that carry out queries in SQL, apart from those that read files.
    #[must_use]
    pub fn with_sql(mut self, caller: Arc<dyn Caller>) -> Self {
        self.sql = Some(caller);
        self
    }
}
