//! HTTP: the public viewer API, the converted files, the plain page that lists the datasets, and the admin service.
//!
//! The only crate that knows axum. Handlers answer from views or from pages of rows; they never compute what a job
//! should, and never talk to anything but the store and the engine.
//!
//! To add an endpoint over a view: one row in `public/views.rs`. Any other endpoint: a file under `public/` and one
//! line in [`router`].

mod admin;
mod auth;
mod connections;
mod error;
mod events;
mod front;
mod headers;
mod metrics;
mod openapi;
mod params;
mod public;
mod serving;
mod sse;
mod state;
mod tally;
mod tasks;
mod tls;
mod trace;
mod webhook;

pub use admin::{AdminAccess, AdminSettings, Organization, TokenHash, TokenHashError};
pub use auth::AuthSettings;
pub use auth::hub_keys::{HubKeys, HubKeysError, KeySource};
pub use auth::reading::ReadSettings;
pub use belvedere_auth::Passwords;
pub use connections::{Patience, serve_with};
pub use public::sql::{SqlAccess, SqlBudget};
pub use serving::{Answer, ask, ask_with, serve};
pub use state::{ApiSettings, ApiState, CompareSettings, Delivery, QuerySettings};
pub use tasks::{HubDatasets, InputLinks, TaskService};
pub use tls::{Tls, TlsError, serve_tls};
pub use trace::RequestLog;
pub use webhook::WebhookSecret;

use std::sync::Arc;

pub use axum::Router;
use axum::routing::{get, post};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

/// What a worker of its own answers: that it lives, its numbers, and why it takes no jobs if it does not.
pub fn worker_router(state: impl Into<Arc<ApiState>>) -> Router {
    let state = state.into();
    Router::new()
        .route("/healthcheck", get(public::health::get))
        .route("/metrics", get(metrics::get))
        .route("/gate", get(admin::jobs::gate))
        .fallback(headers::not_found)
        .method_not_allowed_fallback(headers::wrong_method)
        .with_state(Arc::clone(&state))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(axum::middleware::from_fn_with_state(state, trace::follow))
}

/// Every route of the public API.
pub fn router(state: impl Into<Arc<ApiState>>) -> Router {
    let state = state.into();
    finished(public_routes(&state), state)
}

/// Every route of the public API and of the admin service, for one listener.
pub fn router_with_admin(state: impl Into<Arc<ApiState>>) -> Router {
    let state = state.into();
    finished(public_routes(&state).merge(admin::routes(&state)), state)
}

/// Every route of the admin service, for a listener of its own.
pub fn admin_router(state: impl Into<Arc<ApiState>>) -> Router {
    let state = state.into();
    let open = Router::new()
        .route("/healthcheck", get(public::health::get))
        .route("/metrics", get(metrics::get))
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&state), metrics::measure))
        .method_not_allowed_fallback(headers::wrong_method)
        .fallback(headers::not_found);
    finished(open.merge(admin::routes(&state)), state)
}

fn public_routes(state: &Arc<ApiState>) -> Router<Arc<ApiState>> {
    let mut router = Router::new()
        .route("/", get(public::index::get))
        .route("/rows", get(public::rows::get))
        .route("/cell", get(public::cell::get))
        .route("/sample", get(public::sample::get))
        .route("/schema", get(public::schema::get))
        .route("/status", get(public::status::get))
        .route("/filter", get(public::filter::get))
        .route("/compare", get(public::compare::get))
        .route("/search", get(public::search::get))
        .route("/sql", get(public::sql::get).post(public::sql::post))
        .route("/healthcheck", get(public::health::get))
        .route("/metrics", get(metrics::get))
        .route("/openapi.json", get(openapi::get))
        .route("/docs", get(openapi::docs))
        .route("/assets/{*path}", get(public::assets::get))
        .route("/cached-assets/{*path}", get(public::assets::cached))
        .route("/datasets/{*path}", get(public::resolve::get))
        .route("/sse/hub-cache", get(sse::hub_cache))
        .route("/sse/healthcheck", get(public::health::get))
        .route("/sse/metrics", get(metrics::get))
        .route("/webhook", post(webhook::post));
    for endpoint in public::views::ENDPOINTS {
        router = router.route(endpoint.path, get(public::views::get));
    }
    router
        // Routes and their methods only, so that hostile paths and methods make no new labels.
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(state), metrics::measure))
        .fallback(headers::not_found)
        .method_not_allowed_fallback(headers::wrong_method)
        .layer(
            ServiceBuilder::new()
                .layer(axum::middleware::from_fn(headers::cors))
                .layer(axum::middleware::from_fn_with_state(Arc::clone(state), auth::reading::seal)),
        )
        .merge(auth::routes(state))
        .merge(tasks::routes(state))
}

/// What all routers share.
fn finished(router: Router<Arc<ApiState>>, state: Arc<ApiState>) -> Router {
    let compressed = SizeAbove::new(500)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::SSE)
        .and(NotForContentType::const_new("audio/"))
        .and(NotForContentType::const_new("video/"))
        .and(NotForContentType::const_new("application/vnd.apache."));
    // The outermost first. One layer for the router, which boxes and clones each.
    let layers = ServiceBuilder::new()
        .layer(front::FrontLayer::new(Arc::clone(&state)))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&state), trace::follow))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(axum::middleware::from_fn(headers::plain_bodies))
        .layer(CompressionLayer::new().gzip(true).compress_when(compressed));
    router.with_state(state).layer(layers)
}
