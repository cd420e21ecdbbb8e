//! `/v1/tasks/{id}/inputs/{sha256}`: a file of the dataset that a task reads, for the task's owner, and for the cluster that
//! fetches it by an address that is good for a short while.

use std::sync::Arc;

use axum::extract::{FromRequestParts as _, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use belvedere_auth::Links;
use belvedere_domain::DatasetName;
use belvedere_domain::task::TaskId;
use belvedere_jobs::Services;
use belvedere_store::StoreError;
use belvedere_store::tasks::TaskRow;
use belvedere_tasks::{DatasetError, Pin};
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use super::caller::Caller;
use super::problem::Problem;
use super::shared::{reach, readable, service};
use crate::state::ApiState;

/// Seconds for which an address is good at least; at most twice as many.
const LIFETIME: u32 = 450;

/// Signs addresses of files of tasks.
#[derive(Clone, Debug)]
pub struct InputLinks(Links);

impl InputLinks {
    /// Those that all servers on a database share. Their secret is not that of other links.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn shared(services: &Services) -> Result<Self, StoreError> {
        let fresh: [u8; 32] = rand::random();
        let secret = services.store.users.shared_secret("inputs of tasks", &fresh).await?;
        Ok(Self(Links::new(&secret, LIFETIME)))
    }

    /// The query that makes a path good, from a time in seconds since 1970.
    pub fn sign(&self, path: &str, now: i64) -> String {
        self.0.sign(path, now)
    }

    fn verify(&self, path: &str, query: &str, now: i64) -> bool {
        self.0.verify(path, query, now)
    }
}

/// `GET /v1/tasks/{id}/inputs/{sha256}`, with ranges.
pub(super) async fn get(
    State(state): State<Arc<ApiState>>,
    Path((id, sha256)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let row = match signed(&state, &parts.uri, &id).await? {
        Some(row) => row,
        None => {
            let caller = Caller::from_request_parts(&mut parts, &state).await?;
            let row = reach(&state, &caller, &id).await?;
            let dataset = row.dataset.as_deref().and_then(|name| DatasetName::new(name).ok());
            let dataset = dataset.ok_or_else(Problem::not_found)?;
            readable(&state, &caller, &dataset, &parts.headers).await.map_err(|()| Problem::not_found())?;
            row
        }
    };
    let pin: Option<Pin> = row.pin.as_deref().and_then(|pin| serde_json::from_str(pin).ok());
    let at = pin.as_ref().and_then(|pin| pin.files.iter().position(|file| file.sha256 == sha256));
    let (Some(pin), Some(at)) = (pin, at) else { return Err(Problem::not_found()) };
    let mut paths = match service(&state).datasets.locate(&pin).await {
        Ok(paths) => paths,
        Err(DatasetError::Passing(error)) => {
            return Err(crate::error::ApiError::internal(&*error).into());
        }
        Err(_) => return Err(Problem::not_found()),
    };
    let request = Request::from_parts(parts, body);
    let mut response = ServeFile::new(paths.swap_remove(at)).oneshot(request).await.into_response();
    if response.status() == StatusCode::NOT_FOUND {
        return Err(Problem::not_found());
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The task of an address that was signed not long ago and that has not ended.
async fn signed(state: &ApiState, uri: &axum::http::Uri, id: &str) -> Result<Option<TaskRow>, Problem> {
    let (Some(links), Some(query)) = (&service(state).links, uri.query()) else { return Ok(None) };
    if !links.verify(uri.path(), query, state.now_seconds()) {
        return Ok(None);
    }
    let Ok(id) = TaskId::parse(id) else { return Ok(None) };
    let row = state.services.store.tasks.task(id, None).await?;
    Ok(row.filter(|row| !row.attempt.state.is_final()))
}
