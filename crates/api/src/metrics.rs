//! `/metrics`: Prometheus text. Names and labels are those that dashboards of dataset viewers know.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::error::ApiError;
use crate::state::ApiState;

/// Counters of this process, and gauges of the store filled at each scrape.
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    responses: IntCounterVec,
    seconds: HistogramVec,
    in_progress: IntGaugeVec,
    jobs: GaugeVec,
    views: GaugeVec,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let route = &["method", "path_template"];
        let requests =
            IntCounterVec::new(Opts::new("starlette_requests_total", "Requests by method and route."), route);
        let responses = IntCounterVec::new(
            Opts::new("starlette_responses_total", "Responses by method, route and status."),
            &["method", "path_template", "status_code"],
        );
        let seconds = HistogramVec::new(
            HistogramOpts::new("starlette_requests_processing_time_seconds", "Time to answer, by method and route."),
            route,
        );
        let in_progress =
            IntGaugeVec::new(Opts::new("starlette_requests_in_progress", "Requests being answered."), route);
        let jobs = GaugeVec::new(
            Opts::new("queue_jobs_total", "Jobs by step and status."),
            &["queue", "status", "dataset_status"],
        );
        let views = GaugeVec::new(
            Opts::new("responses_in_cache_total", "Views by step, status and error code."),
            &["kind", "http_status", "error_code"],
        );
        let legal = "the names and labels are legal";
        let metrics = Self {
            registry,
            requests: requests.expect(legal),
            responses: responses.expect(legal),
            seconds: seconds.expect(legal),
            in_progress: in_progress.expect(legal),
            jobs: jobs.expect(legal),
            views: views.expect(legal),
        };
        let collectors: [Box<dyn prometheus::core::Collector>; 6] = [
            Box::new(metrics.requests.clone()),
            Box::new(metrics.responses.clone()),
            Box::new(metrics.seconds.clone()),
            Box::new(metrics.in_progress.clone()),
            Box::new(metrics.jobs.clone()),
            Box::new(metrics.views.clone()),
        ];
        for collector in collectors {
            metrics.registry.register(collector).expect("each name is registered once");
        }
        metrics
    }

    async fn collect(&self, state: &ApiState) -> Result<String, ApiError> {
        let (queue, views) = (&state.services.store.queue, &state.services.store.views);
        let (jobs, counts) = (queue.counts().await?, views.counts().await?);
        self.jobs.reset();
        for (step, status, count) in jobs {
            let status = match status {
                belvedere_domain::job::JobStatus::Waiting => "waiting",
                belvedere_domain::job::JobStatus::Started => "started",
            };
            self.jobs.with_label_values(&[step.as_str(), status, "normal"]).add(count as f64);
        }
        self.views.reset();
        for (step, http_status, code, count) in counts {
            let code = code.unwrap_or_else(|| "None".into());
            self.views.with_label_values(&[step.as_str(), &http_status.to_string(), &code]).add(count as f64);
        }
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(|error| ApiError::internal(&error))
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
    let labels = [method.as_str(), path.as_str()];
    let metrics = &state.metrics;
    metrics.requests.with_label_values(&labels).inc();
    let in_progress = metrics.in_progress.with_label_values(&labels);
    in_progress.inc();
    let started = Instant::now();
    let response = next.run(request).await;
    in_progress.dec();
    metrics.seconds.with_label_values(&labels).observe(started.elapsed().as_secs_f64());
    metrics.responses.with_label_values(&[&method, &path, response.status().as_str()]).inc();
    response
}
