//! The admin service: reports about queue and views, and the few actions of operators.
//!
//! Both generations of its routes are here, with the same handlers behind them: with the prefix `/admin` and without,
//! `/cache-reports/{step}` and `/cache-reports{step}`, and three short names of steps. Everything but the health
//! check and the metrics needs the rights of an operator ([`access`]). Users and tokens are made here too, but not by just
//! anybody on this machine.
//!
//! To add a route: a handler in one of the files below, and one line in [`protected`].

pub(crate) mod access;
mod actions;
mod bodies;
pub(crate) mod jobs;
mod openapi;
mod reports;
mod runs;
mod steps;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

pub use access::{AdminAccess, Organization, TokenHash, TokenHashError};

use crate::state::ApiState;
use crate::{auth, headers, metrics, public};

/// Settings of the admin service.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// Who may call it, apart from users who are admins.
    pub access: AdminAccess,
    /// A token for whoever may read the store: the command line.
    pub own_token: Option<TokenHash>,
    /// Results of one page of `/cache-reports/…`.
    pub cache_reports_num_results: u32,
    /// Results of one page of `/cache-reports-with-content/…`.
    pub cache_reports_with_content_num_results: u32,
    /// Waiting jobs of one step in `/pending-jobs`; the oldest are listed.
    pub pending_jobs_num_results: u32,
    /// Seconds that clients may keep an answer; 0: not at all.
    pub max_age: u32,
    /// Gauges carry the number of the process, as those of several processes that share their metrics do.
    pub gauges_with_pid: bool,
    /// The folders that are served, as they were named, for the command that computes an artifact again elsewhere.
    pub folders: Vec<String>,
    /// They were named as one dataset.
    pub single: bool,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            access: AdminAccess::Machine,
            own_token: None,
            cache_reports_num_results: 100,
            cache_reports_with_content_num_results: 100,
            pending_jobs_num_results: 100,
            max_age: 10,
            gauges_with_pid: false,
            folders: Vec::new(),
            single: false,
        }
    }
}

/// What the routes of the admin service add to another router on the same listener.
pub(crate) fn routes(state: &Arc<ApiState>) -> Router<Arc<ApiState>> {
    let open = Router::new()
        .route("/admin/healthcheck", get(public::health::get))
        .route("/admin/metrics", get(metrics::get))
        .route("/admin/openapi.json", get(openapi::document));
    let checked = protected(state).route_layer(from_fn_with_state(Arc::clone(state), access::check));
    let accounts = auth::admin_routes().route_layer(from_fn_with_state(Arc::clone(state), access::check_login));
    let routes = open
        .merge(checked)
        .merge(accounts)
        .route_layer(from_fn_with_state(Arc::clone(state), metrics::measure))
        .method_not_allowed_fallback(headers::wrong_method);
    match state.settings.admin.access {
        // Pages of other origins have no business here, so nothing invites them.
        AdminAccess::Machine => routes,
        // Their browsers send no credentials by themselves, so whoever sends some may read the answer.
        AdminAccess::Operators { .. } => routes.layer(from_fn(headers::cors)),
    }
}

fn protected(state: &ApiState) -> Router<Arc<ApiState>> {
    let mut router = Router::new();
    for prefix in ["/admin", ""] {
        let path = |rest: &str| format!("{prefix}{rest}");
        router = router
            .route(&path("/pending-jobs"), get(jobs::pending))
            .route(&path("/blocked-datasets"), get(jobs::blocked_datasets))
            .route(&path("/dataset-status"), get(reports::dataset_status))
            .route(&path("/num-dataset-infos-by-builder-name"), get(reports::builders))
            .route(&path("/dataset-backfill-plan"), get(actions::backfill_plan))
            .route(&path("/dataset-backfill"), post(actions::backfill))
            .route(&path("/recreate-dataset"), post(actions::recreate));
        for (name, step) in steps::names(&state.services.graph) {
            for name in [format!("/{name}"), name] {
                let (one, two, three, four) = (step.clone(), step.clone(), step.clone(), step.clone());
                router = router
                    .route(
                        &path(&format!("/cache-reports{name}")),
                        get(move |s, q, h| reports::page(one, false, s, q, h)),
                    )
                    .route(
                        &path(&format!("/cache-reports-with-content{name}")),
                        get(move |s, q, h| reports::page(two, true, s, q, h)),
                    )
                    .route(&path(&format!("/force-refresh{name}")), post(move |s, q| actions::force(three, s, q)))
                    .route(&path(&format!("/cancel-jobs{name}")), post(move |s, q| actions::cancel(four, s, q)));
            }
        }
        for step in steps::not_there(&state.services.graph) {
            let names = ["", "/"].map(|slash| path(&format!("/force-refresh{slash}{step}")));
            for name in names {
                router = router.route(&name, post(move || actions::not_there(step)));
            }
        }
    }
    router
        .route("/admin/datasets", get(reports::datasets))
        .route("/admin/jobs", get(jobs::last))
        .route("/admin/jobs/{id}", get(jobs::one))
        .route("/admin/gate", get(jobs::gate))
        .route("/admin/unblock-dataset", post(actions::unblock))
        .route("/admin/clean", post(actions::clean))
}
