//! Tasks of users: the routes of the first task managers, and those under `/v1`.
//!
//! A handler stores an intention or reads the store; it never waits for a cluster. Errors are problems (RFC 9457) that point
//! at the value at fault.

mod accept;
mod artifacts;
mod bodies;
mod caller;
mod chosen;
mod datasets;
mod inputs;
mod legacy;
mod logs;
mod openapi;
mod problem;
mod selections;
mod shared;
mod sweeps;
mod tidying;
mod v1;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use belvedere_tasks::{Catalog, Datasets, Inbox, Monitor, UploadLimits};
use tokio::sync::Semaphore;

pub use datasets::HubDatasets;
pub use inputs::InputLinks;
pub(crate) use openapi::openapi;

use crate::state::ApiState;
use crate::{headers, metrics};

/// Clients that follow logs at the same time.
const FOLLOWERS: usize = 200;

/// What the routes of tasks need.
pub struct TaskService {
    /// The clusters.
    pub catalog: Arc<Catalog>,
    /// Files of tasks.
    pub inbox: Inbox,
    /// Where datasets come from.
    pub datasets: Arc<dyn Datasets>,
    /// Bounds of requests.
    pub limits: UploadLimits,
    /// Is told that something waits; `None` where another process watches over the clusters.
    pub monitor: Option<Arc<Monitor>>,
    links: Option<InputLinks>,
    followers: Arc<Semaphore>,
}

impl TaskService {
    /// A service.
    pub fn new(
        catalog: Arc<Catalog>,
        inbox: Inbox,
        datasets: Arc<dyn Datasets>,
        limits: UploadLimits,
        monitor: Option<Arc<Monitor>>,
    ) -> Self {
        let followers = Arc::new(Semaphore::new(FOLLOWERS));
        Self { catalog, inbox, datasets, limits, monitor, links: None, followers }
    }

    /// Lets clusters fetch files of datasets by addresses that were signed.
    #[must_use]
    pub fn with_links(self, links: InputLinks) -> Self {
        Self { links: Some(links), ..self }
    }

    fn wake(&self) {
        if let Some(monitor) = &self.monitor {
            monitor.wake();
        }
    }
}

/// The routes. Both spellings of the old ones answer, without a redirect that would have files sent twice.
pub(crate) fn routes(state: &Arc<ApiState>) -> Router<Arc<ApiState>> {
    if state.tasks.is_none() {
        return Router::new();
    }
    Router::new()
        .route("/new_task", post(legacy::new_task))
        .route("/new_task/", post(legacy::new_task))
        .route("/tasks", get(legacy::tasks))
        .route("/tasks/", get(legacy::tasks))
        .route("/task/{id}", get(legacy::task))
        .route("/task/{id}/", get(legacy::task))
        .route("/job_status/{job}", get(legacy::job_status))
        .route("/job_status/{job}/", get(legacy::job_status))
        .route("/users", get(legacy::users))
        .route("/users/", get(legacy::users))
        .route("/users/{name}", get(legacy::user))
        .route("/users/{name}/", get(legacy::user))
        .route("/v1/tasks", get(v1::list).post(v1::submit))
        .route("/v1/tasks/plan", post(v1::plan))
        .route("/v1/tasks/{id}", get(v1::task).delete(v1::delete))
        .route("/v1/tasks/{id}/attempts", get(v1::attempts))
        .route("/v1/tasks/{id}/events", get(v1::events))
        .route("/v1/tasks/{id}/cancel", post(v1::cancel))
        .route("/v1/tasks/{id}/retry", post(v1::retry))
        .route("/v1/tasks/{id}/logs", get(logs::get))
        .route("/v1/tasks/{id}/artifacts", get(artifacts::list))
        .route("/v1/tasks/{id}/artifacts/{*path}", get(artifacts::get))
        .route("/v1/tasks/{id}/inputs/{sha256}", get(inputs::get))
        .route("/v1/tasks/tidy", post(tidying::post))
        .route("/v1/sweeps", get(sweeps::list).post(sweeps::submit))
        .route("/v1/sweeps/{id}", get(sweeps::get))
        .route("/v1/sweeps/{id}/cancel", post(sweeps::cancel))
        .route("/v1/sweeps/{id}/retry", post(sweeps::retry))
        .route("/selections", post(selections::post))
        .route("/selections/{id}", get(selections::get))
        .route("/v1/clusters", get(v1::clusters))
        .method_not_allowed_fallback(headers::wrong_method)
        .route_layer(from_fn_with_state(Arc::clone(state), metrics::measure))
        // Files are counted while they come in.
        .layer(DefaultBodyLimit::disable())
}
