//! Login with a password, which begins a session, and what somebody may do about themselves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, Multipart, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use belvedere_auth::{Checked, passwords};
use belvedere_domain::{ErrorCode, Timestamp, User, UserName};
use belvedere_store::UserChange;
use serde::Deserialize;
use serde_json::json;

use super::principal::missing;
use super::{Accounts, Principal};
use crate::error::ApiError;
use crate::params::{Params, invalid};
use crate::state::ApiState;

/// `POST /auth/login`: the password form of OAuth 2 (RFC 6749, 4.3), as a form or in parts.
pub(super) async fn login(State(state): State<Arc<ApiState>>, request: Request) -> Result<Response, ApiError> {
    let address = address(&state, &request);
    let form = form(&state, request).await?;
    if form.get("grant_type").is_some_and(|kind| kind != "password") {
        return Err(invalid("Parameter 'grant_type' must be `password`".to_owned()));
    }
    // A password may be of blanks only; whether it is there is all that counts.
    let (name, password) = (form.required("username")?, form.required("password")?);
    if password.len() > passwords::MAX_BYTES {
        return Err(invalid(format!("Parameter 'password' has more than {} bytes", passwords::MAX_BYTES)));
    }
    let user = admitted(&state, address, name, password).await?;
    let sessions = &Accounts::shared(&state).await?.sessions;
    let token = sessions.begin(&user, state.now_seconds()).map_err(|error| ApiError::internal(&error))?;
    tracing::info!(user.name = %user.name, "somebody logged in");
    let body = json!({"access_token": token, "token_type": "bearer", "expires_in": sessions.lifetime_seconds()});
    Ok(no_store(Json(body)))
}

/// The user of a name and a password. Each refusal looks like any other and takes about as long.
async fn admitted(state: &ApiState, address: IpAddr, name: &str, password: &str) -> Result<User, ApiError> {
    let now = (state.settings.clock)().0 as f64 / 1e6;
    if let Err(seconds) = state.accounts.throttle(|throttle| throttle.attempt(address, name, now)) {
        tracing::warn!(client.address = %address, "logins are refused after too many failures");
        let text = format!("Too many failed logins. Try again in {seconds} seconds.");
        return Err(ApiError::new(ErrorCode::TooManyAttempts, text).retry_after(seconds));
    }
    let started = tokio::time::Instant::now();
    let users = &state.services.store.users;
    let found = match UserName::new(name) {
        Ok(name) => users.user(&name).await?,
        Err(_) => None,
    };
    let (user, stored) = found.unzip();
    let checked = Accounts::check(state, password.to_owned(), stored.clone()).await?;
    let user = user.filter(|user| checked != Checked::Wrong && !user.disabled);
    let Some(user) = user else {
        wait(started, state.settings.auth.refusal_step).await;
        tracing::info!(client.address = %address, "a login failed");
        let text = "The user name or the password is wrong.";
        return Err(ApiError::new(ErrorCode::LoginRequired, text));
    };
    state.accounts.throttle(|throttle| throttle.succeeded(address, name));
    let rehashed = match (checked, stored) {
        (Checked::RightAndOld, Some(old)) => {
            let password = password.to_owned();
            let new = Accounts::hash(state, move |passwords| passwords.hash_again(&password)).await?;
            Some((old, new.map_err(|error| ApiError::internal(&error))?))
        }
        _ => None,
    };
    users.note_login(user.id, rehashed).await?;
    Ok(user)
}

/// Waits until a multiple of `step` after the start: hashes of different costs take different times.
async fn wait(started: tokio::time::Instant, step: Duration) {
    if !step.is_zero() {
        let steps = started.elapsed().as_nanos() / step.as_nanos() + 1;
        tokio::time::sleep_until(started + step * u32::try_from(steps).unwrap_or(1)).await;
    }
}

/// The fields of a form in either of the two encodings.
async fn form(state: &Arc<ApiState>, request: Request) -> Result<Params, ApiError> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.to_ascii_lowercase().starts_with("multipart/form-data") {
        let broken = |text: String| invalid(format!("The form cannot be read: {text}"));
        let mut parts = Multipart::from_request(request, state).await.map_err(|error| broken(error.body_text()))?;
        let mut fields = Vec::new();
        while let Some(part) = parts.next_field().await.map_err(|error| broken(error.body_text()))? {
            let name = part.name().unwrap_or_default().to_owned();
            fields.push((name, part.text().await.map_err(|error| broken(error.body_text()))?));
        }
        return Ok(Params::of(fields));
    }
    let body = Bytes::from_request(request, state).await;
    let body = body.map_err(|error| ApiError::new(ErrorCode::InvalidParameter, error.body_text()))?;
    let body = std::str::from_utf8(&body).map_err(|_| invalid("The form is not in UTF-8".to_owned()))?;
    Ok(Params::parse(Some(body)))
}

/// Where a request comes from: the peer, or what a trusted proxy says it passes on.
fn address(state: &ApiState, request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    // Without a socket, it is this process that asks.
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)).to_canonical();
    let trusted = &state.settings.auth.trusted_proxies;
    if !trusted.contains(&peer) {
        return peer;
    }
    let passed_on = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let mut addresses: Vec<IpAddr> =
        passed_on.flat_map(|value| value.split(',')).filter_map(|text| text.trim().parse().ok()).collect();
    // Each proxy appends whom it was asked by; the last one who is no proxy of ours is whom we believe.
    while let Some(address) = addresses.pop() {
        if !trusted.contains(&address) {
            return address;
        }
    }
    peer
}

/// `POST /auth/logout`: ends the session, or withdraws the token, that it is sent with.
pub(super) async fn logout(State(state): State<Arc<ApiState>>, principal: Principal) -> Result<StatusCode, ApiError> {
    let users = &state.services.store.users;
    match (principal.session(), principal.token_id()) {
        (Some(session), _) => users.end_session(&session.id, Timestamp(session.expires_at * 1_000_000)).await?,
        (None, Some(id)) => drop(users.revoke_token(id, Some(principal.user.id)).await?),
        (None, None) => {}
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /auth/me`: who one is.
pub(super) async fn me(principal: Principal) -> Response {
    let mut body = serde_json::to_value(&principal.user).expect("a user has a JSON form");
    body["scopes"] = json!(principal.scopes());
    body["session_expires_at"] = json!(principal.session().map(|session| Timestamp(session.expires_at * 1_000_000)));
    no_store(Json(body))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    old: String,
    new: String,
}

/// `POST /auth/password`: another password. All sessions of the user end, this one as well; tokens stay.
pub(super) async fn change_password(
    State(state): State<Arc<ApiState>>,
    principal: Principal,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let name = principal.session().map(|_| principal.user.name.clone()).ok_or_else(missing)?;
    let address = address(&state, &request);
    let body = Bytes::from_request(request, &state).await;
    let body = body.map_err(|error| ApiError::new(ErrorCode::InvalidParameter, error.body_text()))?;
    let change: PasswordChange = super::json(&body)?;
    admitted(&state, address, name.as_str(), &change.old).await?;
    let password = Accounts::hash_new(&state, change.new).await?;
    let change = UserChange { password: Some(password), ..UserChange::default() };
    state.services.store.users.change_user(&name, change).await?.ok_or_else(missing)?;
    tracing::info!(user.name = %name, "somebody changed their password");
    Ok(StatusCode::NO_CONTENT)
}

/// An answer that nobody keeps.
pub(super) fn no_store(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, crate::headers::max_age(0));
    response
}

/// The same, for something new.
pub(super) fn created(response: impl IntoResponse) -> Response {
    let mut response = no_store(response);
    *response.status_mut() = StatusCode::CREATED;
    response
}
