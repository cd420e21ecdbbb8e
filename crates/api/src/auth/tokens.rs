//! Tokens: one's own, and for admins those of all.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use belvedere_auth::Fresh;
use belvedere_domain::account::MAX_NAME_BYTES;
use belvedere_domain::{ErrorCode, Role, Scope, User, UserName};
use belvedere_store::NewToken;
use serde::Deserialize;
use serde_json::json;

use super::login::{created, no_store};
use super::{Principal, users};
use crate::error::ApiError;
use crate::params::invalid;
use crate::state::ApiState;

/// Most scopes of one token.
const MAX_SCOPES: usize = 100;
/// Longest life of a token that has an end: ten years.
const MAX_LIFETIME_SECONDS: u32 = 10 * 366 * 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Whose; only admins say.
    owner: Option<String>,
    name: String,
    scopes: Vec<String>,
    lifetime_seconds: Option<u32>,
}

/// `GET /auth/tokens`: those of the user.
pub(super) async fn own(State(state): State<Arc<ApiState>>, principal: Principal) -> Result<Response, ApiError> {
    let tokens = state.services.store.users.tokens(Some(principal.user.id)).await?;
    Ok(no_store(Json(json!({"tokens": tokens}))))
}

/// `POST /auth/tokens`: a new one. It takes a session: a token makes no others.
pub(super) async fn make_own(
    State(state): State<Arc<ApiState>>,
    principal: Principal,
    body: Bytes,
) -> Result<Response, ApiError> {
    if principal.session().is_none() {
        let text = "A token cannot make another one: log in with the password.";
        return Err(ApiError::new(ErrorCode::NotPermitted, text));
    }
    let wanted: Wanted = super::json(&body)?;
    if wanted.owner.is_some() {
        return Err(invalid("The owner of a token made here is who asks; leave out 'owner'".to_owned()));
    }
    make(&state, &principal.user, wanted).await
}

/// `DELETE /auth/tokens/{id}`.
pub(super) async fn revoke_own(
    State(state): State<Arc<ApiState>>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    match state.services.store.users.revoke_token(&id, Some(principal.user.id)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(not_found()),
    }
}

/// `GET /admin/tokens`: all.
pub(super) async fn all(State(state): State<Arc<ApiState>>) -> Result<Response, ApiError> {
    let tokens = state.services.store.users.tokens(None).await?;
    Ok(no_store(Json(json!({"tokens": tokens}))))
}

/// `POST /admin/tokens`: a new one of any user.
pub(super) async fn make_any(State(state): State<Arc<ApiState>>, body: Bytes) -> Result<Response, ApiError> {
    let wanted: Wanted = super::json(&body)?;
    let owner = wanted.owner.as_deref().ok_or_else(|| crate::params::missing(&["owner"]))?;
    let owner = UserName::new(owner).map_err(|error| invalid(format!("Parameter 'owner': {error}")))?;
    let (owner, _) = state.services.store.users.user(&owner).await?.ok_or_else(|| users::not_found(&owner))?;
    make(&state, &owner, wanted).await
}

/// `DELETE /admin/tokens/{id}`.
pub(super) async fn revoke_any(
    State(state): State<Arc<ApiState>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    match state.services.store.users.revoke_token(&id, None).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(not_found()),
    }
}

async fn make(state: &ApiState, owner: &User, wanted: Wanted) -> Result<Response, ApiError> {
    let scopes: Result<Vec<Scope>, _> = wanted.scopes.iter().map(|scope| Scope::parse(scope)).collect();
    let scopes = scopes.map_err(|error| invalid(format!("Parameter 'scopes': {error}")))?;
    if scopes.is_empty() || scopes.len() > MAX_SCOPES {
        return Err(invalid(format!(
            "Parameter 'scopes' needs 1 to {MAX_SCOPES} of `read`, `read:…`, `tasks`, `admin`"
        )));
    }
    if scopes.contains(&Scope::Admin) && owner.role != Role::Admin {
        return Err(invalid(format!("Parameter 'scopes': {} is no admin", owner.name)));
    }
    let name = wanted.name.trim();
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        return Err(invalid(format!("Parameter 'name' needs 1 to {MAX_NAME_BYTES} bytes without control characters")));
    }
    if wanted.lifetime_seconds.is_some_and(|seconds| !(1..=MAX_LIFETIME_SECONDS).contains(&seconds)) {
        return Err(invalid(format!("Parameter 'lifetime_seconds' must be from 1 to {MAX_LIFETIME_SECONDS}")));
    }
    let fresh = Fresh::token().map_err(|error| ApiError::internal(&error))?;
    let new = NewToken {
        id: fresh.id,
        name: name.to_owned(),
        sha256: fresh.sha256,
        scopes,
        lifetime_seconds: wanted.lifetime_seconds,
    };
    let made = state.services.store.users.add_token(owner.id, new).await?;
    let made = made.ok_or_else(|| users::not_found(&owner.name))?;
    tracing::info!(user.name = %owner.name, token.id = made.id, "a token was made");
    let mut body = serde_json::to_value(&made).expect("a token has a JSON form");
    body["token"] = json!(fresh.secret);
    Ok(created(Json(body)))
}

fn not_found() -> ApiError {
    ApiError::new(ErrorCode::ResponseNotFound, "There is no such token.")
}
