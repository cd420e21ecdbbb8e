//! HTTP: the public viewer API, the converted files, and the plain page that lists the datasets.
//!
//! The only crate that knows axum. Handlers answer from views or from pages of rows; they never compute what a job
//! should, and never talk to anything but the store and the engine.
//!
//! To add an endpoint over a view: one row in `public/views.rs`. Any other endpoint: a file under `public/` and one
//! line in [`router`].

mod error;
mod headers;
mod metrics;
mod openapi;
mod params;
mod public;
mod serving;
mod state;

pub use serving::{Answer, ask, serve};
pub use state::{ApiSettings, ApiState};

use std::sync::Arc;

pub use axum::Router;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

/// What a worker of its own answers: that it lives, and its numbers.
pub fn worker_router(state: ApiState) -> Router {
    Router::new()
        .route("/healthcheck", get(public::health::get))
        .route("/metrics", get(metrics::get))
        .fallback(headers::not_found)
        .method_not_allowed_fallback(headers::wrong_method)
        .with_state(Arc::new(state))
        .layer(CatchPanicLayer::custom(error::panicked))
}

/// Every route of the public API.
pub fn router(state: ApiState) -> Router {
    let state = Arc::new(state);
    let mut router = Router::new()
        .route("/", get(public::index::get))
        .route("/rows", get(public::rows::get))
        .route("/healthcheck", get(public::health::get))
        .route("/metrics", get(metrics::get))
        .route("/openapi.json", get(openapi::get))
        .route("/docs", get(openapi::docs))
        .route("/assets/{*path}", get(public::assets::get))
        .route("/cached-assets/{*path}", get(public::assets::cached))
        .route("/datasets/{*path}", get(public::resolve::get));
    for endpoint in public::views::ENDPOINTS {
        router = router.route(endpoint.path, get(public::views::get));
    }
    let compressed = SizeAbove::new(500)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::SSE)
        .and(NotForContentType::const_new("audio/"))
        .and(NotForContentType::const_new("video/"))
        .and(NotForContentType::const_new("application/vnd.apache."));
    router
        .fallback(headers::not_found)
        .method_not_allowed_fallback(headers::wrong_method)
        // Matched routes only, so that hostile paths make no new labels.
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&state), metrics::measure))
        .with_state(state)
        .layer(CompressionLayer::new().gzip(true).compress_when(compressed))
        .layer(axum::middleware::from_fn(headers::cors))
        .layer(CatchPanicLayer::custom(error::panicked))
}
