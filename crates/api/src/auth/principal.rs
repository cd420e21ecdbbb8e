//! Somebody, known by a session or by a token of ours, and what they may.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use belvedere_auth::fresh::{TOKEN_PREFIX, sha256};
use belvedere_auth::{Session, sessions};
use belvedere_domain::{DatasetName, ErrorCode, Role, Scope, User};

use super::Accounts;
use crate::error::ApiError;
use crate::state::ApiState;

/// Longest `Authorization` header that is looked at. Tokens have a few dozen characters, JWT a few hundred.
const MAX_AUTHORIZATION_BYTES: usize = 8192;

/// Somebody whose credentials are good now.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    /// The user.
    pub(crate) user: User,
    credential: Credential,
}

#[derive(Clone, Debug)]
enum Credential {
    /// All that the user may.
    Session(Session),
    /// No more than these, and no more than the user may.
    Token { id: String, scopes: Vec<Scope> },
}

impl Principal {
    /// Who sends these headers: nobody where there are no credentials, or none that could be of this server.
    ///
    /// # Errors
    /// That credentials of this server are not good, or not any more.
    pub(crate) async fn of(state: &ApiState, headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let Some(token) = bearer(headers) else { return Ok(None) };
        let users = &state.services.store.users;
        if token.starts_with(TOKEN_PREFIX) {
            let (token, user) = users.use_token(&sha256(token)).await?.ok_or_else(no_longer_good)?;
            return Ok(Some(Self { user, credential: Credential::Token { id: token.id, scopes: token.scopes } }));
        }
        if !sessions::looks_like_one(token) {
            return Ok(None);
        }
        let shared = Accounts::shared(state).await?;
        let session = shared.sessions.verify(token, state.now_seconds()).ok_or_else(no_longer_good)?;
        let user = users.session_user(session.user, session.version, &session.id).await?.ok_or_else(no_longer_good)?;
        Ok(Some(Self { user, credential: Credential::Session(session) }))
    }

    /// Whether all that follows from a login is allowed, as making tokens.
    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.credential {
            Credential::Session(session) => Some(session),
            Credential::Token { .. } => None,
        }
    }

    /// The name of the token, where there is no session.
    pub(crate) fn token_id(&self) -> Option<&str> {
        match &self.credential {
            Credential::Session(_) => None,
            Credential::Token { id, .. } => Some(id),
        }
    }

    /// What the credentials are good for, as scopes.
    pub(crate) fn scopes(&self) -> Vec<Scope> {
        let scopes = match &self.credential {
            Credential::Session(_) => vec![Scope::Read, Scope::Tasks, Scope::Admin],
            Credential::Token { scopes, .. } => scopes.clone(),
        };
        scopes.into_iter().filter(|scope| *scope != Scope::Admin || self.user.role == Role::Admin).collect()
    }

    /// Whether they may read a dataset that is not for everybody.
    pub(crate) fn may_read(&self, dataset: &DatasetName) -> bool {
        self.scopes().iter().any(|scope| scope.reads(dataset))
    }

    /// Whether they may operate the server.
    pub(crate) fn is_admin(&self) -> bool {
        self.scopes().contains(&Scope::Admin)
    }

    /// Whether they may run tasks and look at their own.
    pub(crate) fn may_run_tasks(&self) -> bool {
        self.scopes().contains(&Scope::Tasks)
    }
}

/// The one bearer token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = authorization(headers)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The one `Authorization` header of a request, if it is of a usual length.
pub(crate) fn authorization(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    match (given.next(), given.next()) {
        (Some(value), None) if value.len() <= MAX_AUTHORIZATION_BYTES => {
            value.to_str().ok().filter(|value| !value.trim().is_empty())
        }
        _ => None,
    }
}

fn no_longer_good() -> ApiError {
    ApiError::new(ErrorCode::LoginRequired, "These credentials are not good, or not any more. Log in again.")
}

/// What is said where somebody is needed.
pub(crate) fn missing() -> ApiError {
    ApiError::new(
        ErrorCode::LoginRequired,
        "This needs a login: send `Authorization: Bearer …` with a session or a token.",
    )
}

impl FromRequestParts<Arc<ApiState>> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<ApiState>) -> Result<Self, ApiError> {
        Self::of(state, &parts.headers).await?.ok_or_else(missing)
    }
}

impl OptionalFromRequestParts<Arc<ApiState>> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<ApiState>) -> Result<Option<Self>, ApiError> {
        Self::of(state, &parts.headers).await
    }
}
