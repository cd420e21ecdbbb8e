//! Who may read a dataset.
//!
//! Everybody, unless it is restricted: by the settings, by its card, or because a Hub is asked about every dataset. Then a
//! signed token of the Hub for this dataset, a session or a token of ours with `read`, or the Hub's consent opens it. What
//! does not exist and what may not be read look the same. Caches keep nothing for others: an answer to a request with
//! credentials is private, and an answer to one without is what everybody may see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use belvedere_auth::{Expected, HubTokenError};
use belvedere_domain::account::fits;
use belvedere_domain::{DatasetName, ErrorCode};
use belvedere_hub::auth_check::{Access, AuthCheck, AuthCheckError};
use belvedere_hub::{Head, HubError, Origin};
use belvedere_store::DatasetRow;

use super::hub_keys::HubKeys;
use super::principal::{Principal, authorization, bearer};
use super::{Accounts, Shared};
use crate::error::ApiError;
use crate::state::ApiState;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Settings of who may read.
#[derive(Clone, Debug, Default)]
pub struct ReadSettings {
    /// Datasets that are not for everybody: names, with `*` in the part after the `/`.
    pub private: Vec<String>,
    /// The Hub that is asked about every dataset; `None`: nobody is asked.
    pub hub: Option<AuthCheck>,
    /// The keys of tokens that let read one dataset without asking the Hub.
    pub keys: Option<HubKeys>,
}

/// Whether anything is restricted, so that caches must be told.
#[derive(Debug, Default)]
pub(crate) struct Restricted(AtomicBool);

/// The dataset of a name that exists and may be read.
///
/// # Errors
/// That it does not exist or may not be read, which is the same; what is wrong about the credentials; that the Hub gives
/// no answer.
pub(crate) async fn readable(state: &ApiState, name: &str, headers: &HeaderMap) -> Result<DatasetName, ApiError> {
    let Ok(dataset) = DatasetName::new(name) else { return Err(refused(headers)) };
    let known = known(state, &dataset).await?;
    permit(state, &dataset, &known, headers).await?;
    match known {
        Known::Nowhere => Err(refused(headers)),
        Known::Plain | Known::Restricted => Ok(dataset),
    }
}

/// Whether a file of a dataset may be sent: to whom may read, or by a signed link. Says nothing about whether the dataset
/// exists.
///
/// # Errors
/// As [`readable`].
pub(crate) async fn file(
    state: &ApiState,
    dataset: &DatasetName,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    if is_signed(state, uri).await? {
        return Ok(());
    }
    let known = known(state, dataset).await?;
    permit(state, dataset, &known, headers).await
}

/// Whether the address was signed here, not long ago.
pub(crate) async fn is_signed(state: &ApiState, uri: &Uri) -> Result<bool, ApiError> {
    match uri.query() {
        Some(query) if query.contains("signature=") => {
            let shared = Accounts::shared(state).await?;
            Ok(shared.links.verify(uri.path(), query, state.now_seconds()))
        }
        _ => Ok(false),
    }
}

/// What is known about a dataset here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Nowhere,
    Plain,
    /// Its card says that it is not for everybody.
    Restricted,
}

impl Known {
    fn of(is_restricted: bool) -> Self {
        if is_restricted { Self::Restricted } else { Self::Plain }
    }
}

async fn known(state: &ApiState, dataset: &DatasetName) -> Result<Known, ApiError> {
    // The Hub first: it knows without asking the database.
    let hub = state.services.files.hub();
    if let Ok(Some(head)) = hub.known_head(dataset).await {
        return Ok(Known::of(is_kept_back(&head)));
    }
    let row = state.services.store.datasets.get(dataset).await?;
    Ok(match row {
        Some(row) => Known::of(row.restricted),
        // Nobody who may only read makes us ask elsewhere, unless the operator says so.
        None if hub.origin(dataset) == Origin::Remote => match state.settings.remote_on_demand {
            false => Known::Nowhere,
            true => match hub.head(dataset).await {
                Ok(head) => head.map_or(Known::Nowhere, |head| Known::of(is_kept_back(&head))),
                Err(HubError::Disabled(_)) => Known::Plain,
                Err(error) => {
                    tracing::warn!(dataset.name = %dataset, error = &error as &dyn std::error::Error, "no answer");
                    let text = "The Hub gave no answer about the dataset. Please try again later.";
                    return Err(ApiError::new(ErrorCode::HfHubError, text));
                }
            },
        },
        // Files that are still being written are a dataset already, of which nothing is served yet.
        None if state.services.files.exists(dataset).await => Known::Plain,
        None => Known::Nowhere,
    })
}

fn is_kept_back(head: &Head) -> bool {
    head.private || head.gated
}

async fn permit(state: &ApiState, dataset: &DatasetName, known: &Known, headers: &HeaderMap) -> Result<(), ApiError> {
    let settings = &state.settings.reading;
    if let (Some(keys), Some(token)) = (&settings.keys, hub_token(headers)) {
        let expected = Expected { dataset: dataset.as_str(), now: state.now_seconds() };
        // There is no way back to the Hub: a token that is sent must be good.
        return keys.check(token, expected).await.map_err(|error| token_refused(state, &error));
    }
    let principal = Principal::of(state, headers).await?;
    if principal.as_ref().is_some_and(|principal| principal.may_read(dataset)) {
        return Ok(());
    }
    // What a remote Hub restricts is its to decide, if it is asked.
    let decides = settings.hub.is_some() && state.services.files.hub().origin(dataset) == Origin::Remote;
    let is_restricted = (*known == Known::Restricted && !decides) || is_private(state, dataset);
    if is_restricted {
        state.restricted.0.store(true, Ordering::Relaxed);
        return Err(refused(headers));
    }
    let Some(hub) = &settings.hub else { return Ok(()) };
    // Credentials of ours are nothing for the Hub.
    let passed_on = authorization(headers).filter(|_| principal.is_none());
    match hub.ask(dataset, passed_on).await {
        Ok(Access::Granted) => Ok(()),
        Ok(Access::Renamed) => {
            let text = "The dataset has been renamed. Please use the current dataset name.";
            Err(ApiError::new(ErrorCode::RenamedDatasetError, text))
        }
        Ok(Access::Unauthenticated) => Err(unauthenticated()),
        Ok(Access::Refused) => Err(not_accessible()),
        Err(error @ AuthCheckError::Status(_)) => Err(ApiError::internal(&error)),
        Err(error @ AuthCheckError::NoAnswer(_)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, dataset.name = %dataset, "access is refused");
            let text = "Authentication check on the Hugging Face Hub failed or timed out. Please try again later, \
                        it's a temporary internal issue.";
            Err(ApiError::new(ErrorCode::AuthCheckHubRequestError, text))
        }
    }
}

fn is_private(state: &ApiState, dataset: &DatasetName) -> bool {
    state.settings.reading.private.iter().any(|pattern| fits(pattern, dataset))
}

/// Somebody who looks at what there is, rather than at a dataset by its name. Where a Hub would have to be asked about each
/// dataset, they see those that their session or token of ours opens.
pub(crate) struct Onlooker(Option<Principal>);

impl Onlooker {
    /// Who sends these headers.
    ///
    /// # Errors
    /// What is wrong about the credentials.
    pub(crate) async fn of(state: &ApiState, headers: &HeaderMap) -> Result<Self, ApiError> {
        Principal::of(state, headers).await.map(Self)
    }

    /// Whether they may know of a dataset, which may be gone.
    ///
    /// # Errors
    /// When the database is away.
    pub(crate) async fn may_see(&self, state: &ApiState, dataset: &DatasetName) -> Result<bool, ApiError> {
        Ok(self.may_see_known(state, dataset, known(state, dataset).await?))
    }

    fn may_see_known(&self, state: &ApiState, dataset: &DatasetName, known: Known) -> bool {
        if self.0.as_ref().is_some_and(|principal| principal.may_read(dataset)) {
            return true;
        }
        match known {
            Known::Plain => state.settings.reading.hub.is_none() && !is_private(state, dataset),
            Known::Restricted => {
                state.restricted.0.store(true, Ordering::Relaxed);
                false
            }
            // Nobody remembers who could read it.
            Known::Nowhere => !is_guarded(state),
        }
    }
}

/// The datasets of a list that somebody may know of.
///
/// # Errors
/// What is wrong about the credentials.
pub(crate) async fn listed(
    state: &ApiState,
    rows: Vec<DatasetRow>,
    headers: &HeaderMap,
) -> Result<Vec<DatasetRow>, ApiError> {
    let onlooker = Onlooker::of(state, headers).await?;
    let mut shown = Vec::with_capacity(rows.len());
    for row in rows {
        let head = state.services.files.hub().known_head(&row.name).await.ok().flatten();
        let known = Known::of(head.map_or(row.restricted, |head| is_kept_back(&head)));
        if onlooker.may_see_known(state, &row.name, known) {
            shown.push(row);
        }
    }
    Ok(shown)
}

/// The signed token of a Hub: in `X-Api-Key`, or after `Bearer jwt:`.
fn hub_token(headers: &HeaderMap) -> Option<&str> {
    let key = headers.get(&X_API_KEY).and_then(|value| value.to_str().ok()).map(str::trim);
    key.filter(|key| !key.is_empty()).or_else(|| bearer(headers)?.strip_prefix("jwt:"))
}

/// Whether somebody wants to be known.
pub(crate) fn has_credentials(headers: &HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION) || headers.contains_key(&X_API_KEY)
}

fn token_refused(state: &ApiState, error: &HubTokenError) -> ApiError {
    let code = match error {
        // The reference takes what is no token at all for a failure of its own.
        HubTokenError::Malformed if state.settings.compat => ErrorCode::UnexpectedApiError,
        HubTokenError::Malformed | HubTokenError::Signature => ErrorCode::JWTInvalidSignature,
        HubTokenError::Algorithm { .. } => ErrorCode::JWTInvalidKeyOrAlgorithm,
        HubTokenError::Claim(_) => ErrorCode::JWTMissingRequiredClaim,
        HubTokenError::Expired | HubTokenError::NotYet(_) => ErrorCode::JWTExpiredSignature,
        HubTokenError::Audience | HubTokenError::Subject => ErrorCode::JWTInvalidClaimSub,
        HubTokenError::Permission => ErrorCode::JWTInvalidClaimRead,
    };
    let text = match code {
        ErrorCode::UnexpectedApiError => "Unexpected error.".to_owned(),
        _ => format!("The signed token is refused: {error}."),
    };
    ApiError::new(code, text)
}

fn refused(headers: &HeaderMap) -> ApiError {
    if has_credentials(headers) { not_accessible() } else { unauthenticated() }
}

fn not_accessible() -> ApiError {
    let text = "The dataset does not exist, or is not accessible with the current credentials (private or gated).";
    ApiError::new(ErrorCode::ExternalAuthenticatedError, text)
}

fn unauthenticated() -> ApiError {
    let text = "The dataset does not exist, or is not accessible without authentication (private or gated).";
    ApiError::new(ErrorCode::ExternalUnauthenticatedError, text)
}

/// Whether answers differ by who asks.
pub(crate) fn is_guarded(state: &ApiState) -> bool {
    let settings = &state.settings.reading;
    let by_settings = !settings.private.is_empty() || settings.hub.is_some() || settings.keys.is_some();
    by_settings || state.restricted.0.load(Ordering::Relaxed)
}

/// What signs links in an answer to these headers; `None` where everybody may follow them anyway.
pub(crate) fn signer<'a>(state: &'a ApiState, headers: &HeaderMap) -> Option<&'a Shared> {
    let signs = has_credentials(headers) && is_guarded(state);
    state.accounts.known_shared().filter(|_| signs)
}

/// Keeps shared caches from giving to one what was made for another.
pub(crate) async fn seal(State(state): State<Arc<ApiState>>, mut request: Request, next: Next) -> Response {
    let has_credentials = has_credentials(request.headers());
    let is_signed = request.uri().query().is_some_and(|query| query.contains("signature="));
    if has_credentials && is_guarded(&state) {
        // Links are signed with the secret of the servers, which is asked for once.
        if let Err(error) = Accounts::shared(&state).await {
            return axum::response::IntoResponse::into_response(error);
        }
        // Links in what a client holds may have ended since; files hold none.
        let is_file =
            ["/assets/", "/cached-assets/", "/datasets/"].iter().any(|at| request.uri().path().starts_with(at));
        if !is_file {
            request.headers_mut().remove(header::IF_NONE_MATCH);
        }
    }
    let mut response = next.run(request).await;
    if !is_guarded(&state) {
        return response;
    }
    let headers = response.headers_mut();
    if has_credentials || is_signed {
        let kept = headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or("no-store");
        if kept != "no-store"
            && let Ok(value) = HeaderValue::from_str(&format!("private, {kept}"))
        {
            headers.insert(header::CACHE_CONTROL, value);
        }
    }
    headers.append(header::VARY, HeaderValue::from_static("Authorization, X-Api-Key"));
    response
}
