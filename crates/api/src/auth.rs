//! Who a request comes from: users of this server, by a session or by a token, and what they may.
//!
//! A handler asks for a [`Principal`] as an extractor, or with [`Principal::of`] where nobody is somebody, too. Rights are
//! asked of it, never of the parts of a credential. Passwords, signatures and tokens are matters of `belvedere-auth`;
//! what is stored about users, of the store.

pub(crate) mod hub_keys;
mod login;
pub(crate) mod openapi;
mod principal;
pub(crate) mod reading;
mod tokens;
mod users;

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use belvedere_auth::{Checked, Links, PasswordError, Passwords, Sessions, Throttle};
use belvedere_domain::ErrorCode;
use serde::de::DeserializeOwned;
use tokio::sync::{OnceCell, Semaphore};

pub(crate) use principal::{Principal, authorization, bearer, missing};
pub(crate) use users::admin_routes;

use crate::error::ApiError;
use crate::state::ApiState;
use crate::{headers, metrics};

/// Most bytes of the body of a request about users.
const MAX_BODY_BYTES: usize = 16 << 10;
/// Passwords that are hashed at the same time: each takes a core and 19 MiB.
const HASHES_AT_A_TIME: usize = 2;
/// Passwords that wait to be hashed; more are told to come back.
const HASHES_WAITING: usize = 64;

/// Settings of logins and sessions.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// How long a session lasts after its login.
    pub session_seconds: u32,
    /// How long a signed link to a file is good, at least; twice as long at most.
    pub link_seconds: u32,
    /// How passwords are hashed.
    pub passwords: Passwords,
    /// A refused login is answered at a multiple of this, so that its duration tells nothing about the user.
    pub refusal_step: Duration,
    /// Proxies whose `X-Forwarded-For` tells where a login comes from.
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            session_seconds: 3600,
            link_seconds: 3600,
            passwords: Passwords::default(),
            refusal_step: Duration::from_millis(500),
            trusted_proxies: Vec::new(),
        }
    }
}

/// What requests about users share.
pub(crate) struct Accounts {
    throttle: Mutex<Throttle>,
    hashing: Semaphore,
    waiting: AtomicUsize,
    shared: OnceCell<Shared>,
}

/// What follows from the secret that all servers on a database share.
pub(crate) struct Shared {
    pub(crate) sessions: Sessions,
    pub(crate) links: Links,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            throttle: Mutex::default(),
            hashing: Semaphore::new(HASHES_AT_A_TIME),
            waiting: AtomicUsize::new(0),
            shared: OnceCell::new(),
        }
    }
}

impl Accounts {
    /// Sessions and links; the first one who asks makes their secret, unless it is stored.
    pub(crate) async fn shared(state: &ApiState) -> Result<&Shared, ApiError> {
        let shared = state.accounts.shared.get_or_try_init(|| async {
            let fresh = belvedere_auth::fresh::bytes::<32>().map_err(|error| ApiError::internal(&error))?;
            let secret = state.services.store.users.shared_secret("sessions", &fresh).await?;
            let settings = &state.settings.auth;
            Ok::<_, ApiError>(Shared {
                sessions: Sessions::new(&secret, settings.session_seconds),
                links: Links::new(&secret, settings.link_seconds),
            })
        });
        shared.await
    }

    /// The same, if somebody has asked before.
    pub(crate) fn known_shared(&self) -> Option<&Shared> {
        self.shared.get()
    }

    fn throttle<T>(&self, work: impl FnOnce(&mut Throttle) -> T) -> T {
        work(&mut self.throttle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs something about passwords, which takes a core for a while, apart from the threads that answer requests.
    async fn hash<T: Send + 'static>(
        state: &ApiState,
        work: impl FnOnce(&Passwords) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let accounts = &state.accounts;
        let busy = || {
            let text = "Too many logins at the same time. Please retry later.";
            ApiError::new(ErrorCode::ServiceUnavailable, text)
        };
        if accounts.waiting.fetch_add(1, Ordering::Relaxed) >= HASHES_WAITING {
            accounts.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(busy());
        }
        let _waiting = Waiting(&accounts.waiting);
        let _permit = accounts.hashing.acquire().await.map_err(|_| busy())?;
        let passwords = state.settings.auth.passwords.clone();
        tokio::task::spawn_blocking(move || work(&passwords)).await.map_err(|error| ApiError::internal(&error))
    }

    /// The hash of a new password.
    async fn hash_new(state: &ApiState, password: String) -> Result<String, ApiError> {
        match Self::hash(state, move |passwords| passwords.hash(&password)).await? {
            Ok(hash) => Ok(hash),
            Err(error @ PasswordError::Failed(_)) => Err(ApiError::internal(&error)),
            Err(error) => Err(ApiError::new(ErrorCode::InvalidParameter, format!("Parameter 'password': {error}"))),
        }
    }

    /// Compares a password; `None` stands for a user who does not exist.
    async fn check(state: &ApiState, password: String, stored: Option<String>) -> Result<Checked, ApiError> {
        Self::hash(state, move |passwords| passwords.check(&password, stored.as_deref())).await
    }
}

/// Counts itself off when it goes, however the request ends.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The routes of users about themselves. Pages of other origins have no business here, so nothing invites them.
pub(crate) fn routes(state: &Arc<ApiState>) -> Router<Arc<ApiState>> {
    Router::new()
        .route("/auth/login", post(login::login))
        .route("/auth/login/", post(login::login))
        .route("/auth/logout", post(login::logout))
        .route("/auth/me", get(login::me))
        .route("/auth/password", post(login::change_password))
        .route("/auth/tokens", get(tokens::own).post(tokens::make_own))
        .route("/auth/tokens/{id}", delete(tokens::revoke_own))
        .route_layer(from_fn_with_state(Arc::clone(state), metrics::measure))
        .method_not_allowed_fallback(headers::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

/// A body in JSON.
fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        ApiError::new(ErrorCode::InvalidParameter, format!("The body cannot be read as JSON: {error}"))
    })
}
