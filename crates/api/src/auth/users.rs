//! Users, for admins.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get, patch};
use axum::{Json, Router};
use belvedere_auth::Passwords;
use belvedere_domain::{ErrorCode, Role, UserName};
use belvedere_store::{NewUser, UserChange};
use serde::Deserialize;
use serde_json::json;

use super::login::{created, no_store};
use super::{Accounts, MAX_BODY_BYTES, tokens};
use crate::error::ApiError;
use crate::params::{invalid, missing};
use crate::state::ApiState;

/// What admins do about users and their tokens. Being on this machine is not enough for these.
pub(crate) fn admin_routes() -> Router<Arc<ApiState>> {
    Router::new()
        .route("/admin/users", get(all).post(add))
        .route("/admin/users/{name}", patch(change).delete(remove))
        .route("/admin/tokens", get(tokens::all).post(tokens::make_any))
        .route("/admin/tokens/{id}", delete(tokens::revoke_any))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    password: Option<String>,
    /// In place of the password, for imports.
    password_hash: Option<String>,
    #[serde(default = "Wanted::role")]
    role: String,
}

impl Wanted {
    fn role() -> String {
        Role::User.as_str().to_owned()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    password: Option<String>,
    role: Option<String>,
    disabled: Option<bool>,
}

/// `GET /admin/users`.
async fn all(State(state): State<Arc<ApiState>>) -> Result<Response, ApiError> {
    let users = state.services.store.users.users().await?;
    Ok(no_store(Json(json!({"users": users}))))
}

/// `POST /admin/users`.
async fn add(State(state): State<Arc<ApiState>>, body: Bytes) -> Result<Response, ApiError> {
    let wanted: Wanted = super::json(&body)?;
    let (name, role) = (user_name(&wanted.name)?, parse_role(&wanted.role)?);
    let password = match (wanted.password, wanted.password_hash) {
        (Some(password), None) => Accounts::hash_new(&state, password).await?,
        (None, Some(hash)) => {
            Passwords::import(&hash).map_err(|error| invalid(format!("Parameter 'password_hash': {error}")))?
        }
        (None, None) => return Err(missing(&["password"])),
        (Some(_), Some(_)) => return Err(invalid("Give 'password' or 'password_hash', not both".to_owned())),
    };
    match state.services.store.users.add_user(NewUser { name: name.clone(), password, role }).await? {
        Some(user) => {
            tracing::info!(user.name = %name, role = role.as_str(), "a user was added");
            Ok(created(Json(user)))
        }
        None => Err(ApiError::new(ErrorCode::AlreadyExists, format!("There is a user {name} already."))),
    }
}

/// `PATCH /admin/users/{name}`. Sessions of the user end.
async fn change(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (name, changes) = (user_name(&name)?, super::json::<Changes>(&body)?);
    let role = changes.role.as_deref().map(parse_role).transpose()?;
    let password = match changes.password {
        Some(password) => Some(Accounts::hash_new(&state, password).await?),
        None => None,
    };
    let change = UserChange { password, role, disabled: changes.disabled };
    if change == UserChange::default() {
        return Err(invalid("Nothing is to be changed: give 'password', 'role' or 'disabled'".to_owned()));
    }
    let user = state.services.store.users.change_user(&name, change).await?.ok_or_else(|| not_found(&name))?;
    tracing::info!(user.name = %name, "a user was changed");
    Ok(no_store(Json(user)))
}

/// `DELETE /admin/users/{name}`.
async fn remove(State(state): State<Arc<ApiState>>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    let name = user_name(&name)?;
    if !state.services.store.users.remove_user(&name).await? {
        return Err(not_found(&name));
    }
    tracing::info!(user.name = %name, "a user was removed");
    Ok(StatusCode::NO_CONTENT)
}

fn user_name(text: &str) -> Result<UserName, ApiError> {
    UserName::new(text).map_err(|error| invalid(format!("Parameter 'name': {error}")))
}

fn parse_role(text: &str) -> Result<Role, ApiError> {
    Role::parse(text).map_err(|error| invalid(format!("Parameter 'role': {error}")))
}

pub(super) fn not_found(name: &UserName) -> ApiError {
    ApiError::new(ErrorCode::ResponseNotFound, format!("There is no user {name}."))
}
