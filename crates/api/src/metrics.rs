//! `/metrics`: Prometheus text. Names and labels are those that dashboards of dataset viewers know; what they do not know
//! begins with `belvedere_`.
//!
//! The values of labels are routes as declared, names of steps, codes and fixed words: nothing that a client can choose.

mod jobs;
mod lookups;
mod storage;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use belvedere_domain::job::JobStatus;
use belvedere_jobs::Observer;
use belvedere_jobs::gates::Disk;
use belvedere_jobs::worker::Part;
use belvedere_store::Run;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::error::ApiError;
use crate::state::ApiState;
use crate::tally::Tally;

use jobs::JobMetrics;
pub(crate) use lookups::Lookups;
use storage::StorageMetrics;

/// Counters of this process, and gauges of the store filled at each scrape.
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    responses: IntCounterVec,
    exceptions: IntCounterVec,
    seconds: HistogramVec,
    endpoint_seconds: HistogramVec,
    in_progress: IntGaugeVec,
    jobs: GaugeVec,
    worker_sizes: GaugeVec,
    views: GaugeVec,
    disk: GaugeVec,
    lookups: IntCounterVec,
    chores: GaugeVec,
    tally: Tally,
    of_worker: JobMetrics,
    storage: StorageMetrics,
}

impl Metrics {
    /// `gauges_with_pid`: gauges carry the number of the process.
    pub(crate) fn new(gauges_with_pid: bool) -> Self {
        let registry = Registry::new();
        let route = &["method", "path_template"];
        let gauge = |name: &str, help: &str| match gauges_with_pid {
            true => Opts::new(name, help).const_label("pid", std::process::id().to_string()),
            false => Opts::new(name, help),
        };
        let requests =
            IntCounterVec::new(Opts::new("starlette_requests_total", "Requests by method and route."), route);
        let responses = IntCounterVec::new(
            Opts::new("starlette_responses_total", "Responses by method, route and status."),
            &["method", "path_template", "status_code"],
        );
        let exceptions = IntCounterVec::new(
            Opts::new("starlette_exceptions_total", "Requests that ended in a panic."),
            &["method", "path_template", "exception_type"],
        );
        let seconds = HistogramVec::new(
            HistogramOpts::new("starlette_requests_processing_time_seconds", "Time to answer, by method and route."),
            route,
        );
        let endpoint_seconds = HistogramVec::new(
            HistogramOpts::new("method_steps_processing_time_seconds", "Time to answer, by endpoint."),
            &["method", "step"],
        );
        let in_progress = IntGaugeVec::new(gauge("starlette_requests_in_progress", "Requests being answered."), route);
        let jobs = GaugeVec::new(
            gauge("queue_jobs_total", "Jobs by step, status, and whether their dataset is at rest."),
            &["queue", "status", "dataset_status"],
        );
        let worker_sizes = GaugeVec::new(
            gauge("worker_size_jobs_count", "Jobs that wait for a worker, by the size of worker they need."),
            &["worker_size"],
        );
        let views = GaugeVec::new(
            gauge("responses_in_cache_total", "Views by step, status and error code."),
            &["kind", "http_status", "error_code"],
        );
        let disk = GaugeVec::new(
            gauge("parquet_metadata_disk_usage", "The disk of the files behind views, in bytes and percent."),
            &["type"],
        );
        let lookups = IntCounterVec::new(
            Opts::new("belvedere_cache_lookups_total", "Lookups in caches of the process, by result."),
            &["cache", "result"],
        );
        let chores = GaugeVec::new(
            gauge("maintenance_done_timestamp_seconds", "When a chore was last done by any process, since 1970."),
            &["chore"],
        );
        let legal = "the names and labels are legal";
        let endpoint_seconds = endpoint_seconds.expect(legal);
        let metrics = Self {
            registry,
            requests: requests.expect(legal),
            responses: responses.expect(legal),
            exceptions: exceptions.expect(legal),
            seconds: seconds.expect(legal),
            of_worker: JobMetrics::new(endpoint_seconds.clone()),
            storage: StorageMetrics::new(gauge),
            endpoint_seconds,
            in_progress: in_progress.expect(legal),
            jobs: jobs.expect(legal),
            worker_sizes: worker_sizes.expect(legal),
            views: views.expect(legal),
            disk: disk.expect(legal),
            lookups: lookups.expect(legal),
            chores: chores.expect(legal),
            tally: Tally::default(),
        };
        let collectors: [Box<dyn prometheus::core::Collector>; 12] = [
            Box::new(metrics.requests.clone()),
            Box::new(metrics.responses.clone()),
            Box::new(metrics.exceptions.clone()),
            Box::new(metrics.seconds.clone()),
            Box::new(metrics.endpoint_seconds.clone()),
            Box::new(metrics.in_progress.clone()),
            Box::new(metrics.jobs.clone()),
            Box::new(metrics.worker_sizes.clone()),
            Box::new(metrics.views.clone()),
            Box::new(metrics.disk.clone()),
            Box::new(metrics.lookups.clone()),
            Box::new(metrics.chores.clone()),
        ];
        let more = metrics.of_worker.collectors().into_iter().chain(metrics.storage.collectors());
        for collector in collectors.into_iter().chain(more) {
            metrics.registry.register(collector).expect("each name is registered once");
        }
        metrics
    }

    /// Counts what is stored, so that the first scrape need not wait for it.
    pub(crate) async fn count_ahead(&self, state: &ApiState) {
        if let Err(error) = self.tally.counts(&state.services.store).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "nothing could be counted ahead");
        }
    }

    async fn collect(&self, state: &ApiState) -> Result<String, ApiError> {
        let counts = self.tally.counts(&state.services.store).await?;
        self.jobs.reset();
        for size in ["light", "medium", "heavy"] {
            self.worker_sizes.with_label_values(&[size]).set(0.0);
        }
        for jobs in &counts.jobs {
            let status = if jobs.status == JobStatus::Waiting { "waiting" } else { "started" };
            let dataset_status = if jobs.blocked { "blocked" } else { "normal" };
            let count = jobs.count as f64;
            self.jobs.with_label_values(&[jobs.step.as_str(), status, dataset_status]).add(count);
            if jobs.status == JobStatus::Waiting && !jobs.blocked {
                self.worker_sizes.with_label_values(&[jobs.difficulty.worker_size()]).add(count);
            }
        }
        self.views.reset();
        for views in &counts.artifacts {
            let code = views.error_code.as_deref().unwrap_or("None");
            let labels = [views.step.as_str(), &views.http_status.to_string(), code];
            self.views.with_label_values(&labels).add(views.count as f64);
        }
        for duty in state.services.store.housekeeping.duties().await? {
            if let Some(done_at) = duty.done_at {
                self.chores.with_label_values(&[&duty.name]).set(done_at.0 as f64 / 1e6);
            }
        }
        if let Some(disk) = state.settings.blobs.as_deref().and_then(Disk::of) {
            let percent = disk.used_percent().unwrap_or_default();
            let values = [("total", disk.total_bytes), ("used", disk.used_bytes), ("free", disk.free_bytes)];
            for (kind, bytes) in values {
                self.disk.with_label_values(&[kind]).set(bytes as f64);
            }
            self.disk.with_label_values(&["percent"]).set(percent);
        }
        for (cache, lookups) in state.caches() {
            for (result, count) in lookups.counts() {
                let told = self.lookups.with_label_values(&[cache, result]);
                told.inc_by(count.saturating_sub(told.get()));
            }
        }
        self.storage.look(&state.services, &state.settings.cached_assets);
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(|error| ApiError::internal(&error))
    }
}

/// What the worker of this process tells.
impl Observer for Metrics {
    fn ended(&self, run: &Run) {
        self.of_worker.ended(run);
    }

    fn took(&self, part: Part, time: std::time::Duration) {
        self.of_worker.took(part, time);
    }
}

/// The scrape.
pub(crate) async fn get(State(state): State<Arc<ApiState>>) -> Result<Response, ApiError> {
    let mut response = state.metrics.collect(&state).await?.into_response();
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    Ok(response)
}

/// Counts and times a request to a known route.
pub(crate) async fn measure(State(state): State<Arc<ApiState>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or_else(String::new, |path| path.as_str().to_owned());
    let method = request.method().as_str().to_owned();
    let metrics = &state.metrics;
    metrics.requests.with_label_values(&[&method, &path]).inc();
    let under_way = UnderWay::start(metrics, [&method, &path]);
    let started = Instant::now();
    let response = next.run(request).await;
    drop(under_way);
    let seconds = started.elapsed().as_secs_f64();
    metrics.seconds.with_label_values(&[&method, &path]).observe(seconds);
    if let Some(endpoint) = endpoint_of(&path) {
        metrics.endpoint_seconds.with_label_values(&[endpoint.as_str(), "all"]).observe(seconds);
    }
    metrics.responses.with_label_values(&[&method, &path, response.status().as_str()]).inc();
    response
}

/// The numbers of one method and route for answers with status 200. Looking them up costs more than an answer from memory.
pub(crate) struct Successes {
    requests: IntCounter,
    responses: IntCounter,
    seconds: Histogram,
    endpoint_seconds: Option<Histogram>,
}

impl Metrics {
    /// The numbers of a method and a route as declared.
    pub(crate) fn successes(&self, method: &str, path: &str) -> Successes {
        let route = [method, path];
        let of_endpoint = |name: String| self.endpoint_seconds.with_label_values(&[name.as_str(), "all"]);
        Successes {
            requests: self.requests.with_label_values(&route),
            responses: self.responses.with_label_values(&[method, path, "200"]),
            seconds: self.seconds.with_label_values(&route),
            endpoint_seconds: endpoint_of(path).map(of_endpoint),
        }
    }
}

impl Successes {
    /// Counts a request with its answer, as [`measure`] does.
    pub(crate) fn count(&self, seconds: f64) {
        self.requests.inc();
        self.seconds.observe(seconds);
        if let Some(endpoint) = &self.endpoint_seconds {
            endpoint.observe(seconds);
        }
        self.responses.inc();
    }
}

/// The name of the handler in dashboards of the reference: `rows_endpoint`; `None` for paths that it has not.
fn endpoint_of(path: &str) -> Option<String> {
    let name = path.strip_prefix("/admin").unwrap_or(path).strip_prefix('/')?.split('/').next()?;
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    is_plain.then(|| format!("{}_endpoint", name.replace('-', "_")))
}

/// A request in work. It ends in whatever way: answered, given up by its client, or in a panic.
struct UnderWay<'a> {
    metrics: &'a Metrics,
    labels: [&'a str; 2],
}

impl<'a> UnderWay<'a> {
    fn start(metrics: &'a Metrics, labels: [&'a str; 2]) -> Self {
        metrics.in_progress.with_label_values(&labels).inc();
        Self { metrics, labels }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.metrics.in_progress.with_label_values(&self.labels).dec();
        if std::thread::panicking() {
            let [method, path] = self.labels;
            self.metrics.exceptions.with_label_values(&[method, path, "panic"]).inc();
        }
    }
}
