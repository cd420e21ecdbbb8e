//! Who may operate.
//!
//! Without an organization and without tokens, whoever is on this machine: the listener is on the loopback, and pages
//! of the web that make a browser on this machine call it are told apart by `Host` (a name that was rebound to
//! 127.0.0.1) and `Origin`. Else holders of a token of the settings, and members of the organization on the Hub. In any
//! case users who are admins, by their session or a token with that scope.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use belvedere_domain::ErrorCode;
use belvedere_hub::{Whoami, WhoamiError};
use sha2::{Digest as _, Sha256};

use crate::auth::{Principal, authorization, bearer};
use crate::error::ApiError;
use crate::state::ApiState;

/// Headers that only a proxy adds: the caller is somewhere else then.
const FORWARDED: [HeaderName; 4] =
    [header::FORWARDED, header::VIA, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];

/// Who may operate.
#[derive(Clone, Debug)]
pub enum AdminAccess {
    /// Whoever is on this machine. Only for a listener on the loopback.
    Machine,
    /// Those with credentials.
    Operators {
        /// Tokens of the settings.
        tokens: Vec<TokenHash>,
        /// The organization whose members may operate.
        organization: Option<Organization>,
    },
}

/// An organization on a Hub.
#[derive(Clone, Debug)]
pub struct Organization {
    /// Its name.
    pub name: String,
    /// Who knows its members.
    pub whoami: Whoami,
}

/// A token as it is kept: its SHA-256, with a name for the log. Tokens are long and random, so no slow hash is needed.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash {
    pub(crate) name: String,
    sha256: [u8; 32],
}

/// A text that is not the hash of a token.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected NAME:HASH or HASH, where the hash is the SHA-256 of the token in 64 hexadecimal digits")]
pub struct TokenHashError;

impl TokenHash {
    /// The hash of a token.
    pub fn of(name: &str, token: &str) -> Self {
        Self { name: name.to_owned(), sha256: Sha256::digest(token).into() }
    }

    /// Reads `NAME:HASH` or `HASH`.
    ///
    /// # Errors
    /// [`TokenHashError`] for any other text, most likely the token itself.
    pub fn parse(text: &str) -> Result<Self, TokenHashError> {
        let (name, hash) = text.trim().rsplit_once(':').unwrap_or(("token", text.trim()));
        let mut sha256 = [0; 32];
        hex::decode_to_slice(hash, &mut sha256).map_err(|_| TokenHashError)?;
        Ok(Self { name: name.to_owned(), sha256 })
    }

    pub(crate) fn fits(&self, token: &str) -> bool {
        // Without a shortcut, although what a comparison of hashes takes tells little about a token.
        let given: [u8; 32] = Sha256::digest(token).into();
        given.iter().zip(self.sha256).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
    }
}

/// As it is written in the configuration.
impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, hex::encode(self.sha256))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({})", self.name)
    }
}

/// Lets operators through. Actions are logged with who asked for them.
pub(crate) async fn check(State(state): State<Arc<ApiState>>, request: Request, next: Next) -> Response {
    let allowed = operator(&state, request.uri(), request.headers()).await;
    answer(&state, allowed, request, next).await
}

/// Lets operators through who have logged in, or who may read the store. Whoever is just on this machine makes nobody an
/// operator.
pub(crate) async fn check_login(State(state): State<Arc<ApiState>>, request: Request, next: Next) -> Response {
    let allowed = match operator(&state, request.uri(), request.headers()).await {
        Ok(Operator::Machine) => Err(unauthenticated()),
        other => other,
    };
    answer(&state, allowed, request, next).await
}

/// Who operates.
enum Operator {
    /// Somebody on this machine.
    Machine,
    /// Somebody with a name.
    Named(String),
}

async fn answer(state: &ApiState, allowed: Result<Operator, ApiError>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match allowed {
        Ok(operator) => {
            if !reads {
                let operator = match &operator {
                    Operator::Machine => "this machine",
                    Operator::Named(name) => name,
                };
                tracing::info!(operator, method = %request.method(), path = request.uri().path(), "an operator acts");
            }
            next.run(request).await
        }
        Err(error) => error.keep(if reads { state.settings.admin.max_age } else { 0 }).into_response(),
    }
}

async fn operator(state: &ApiState, uri: &Uri, headers: &HeaderMap) -> Result<Operator, ApiError> {
    let settings = &state.settings.admin;
    if let Some(own) = &settings.own_token
        && bearer(headers).is_some_and(|token| own.fits(token))
    {
        return Ok(Operator::Named(own.name.clone()));
    }
    match Principal::of(state, headers).await? {
        Some(principal) if principal.is_admin() => return Ok(Operator::Named(principal.user.name.to_string())),
        Some(_) => return Err(refused()),
        None => {}
    }
    match &settings.access {
        AdminAccess::Machine => on_this_machine(uri, headers).map(|()| Operator::Machine),
        AdminAccess::Operators { tokens, organization } => {
            named(headers, tokens, organization.as_ref()).await.map(Operator::Named)
        }
    }
}

/// The name of the operator with these credentials.
async fn named(
    headers: &HeaderMap,
    tokens: &[TokenHash],
    organization: Option<&Organization>,
) -> Result<String, ApiError> {
    let Some(authorization) = authorization(headers) else { return Err(unauthenticated()) };
    if let Some(token) = bearer(headers)
        && let Some(known) = tokens.iter().find(|known| known.fits(token))
    {
        return Ok(known.name.clone());
    }
    let Some(organization) = organization else { return Err(unauthenticated()) };
    match organization.whoami.ask(authorization).await {
        Ok(identity) if identity.may_operate(&organization.name) => {
            Ok(identity.name().unwrap_or("somebody").to_owned())
        }
        Ok(_) | Err(WhoamiError::Refused) => Err(refused()),
        Err(WhoamiError::Unauthenticated) => Err(unauthenticated()),
        Err(error) => Err(ApiError::internal(&error)),
    }
}

fn refused() -> ApiError {
    let text = "Not found, or these credentials do not belong to an operator of this service.";
    ApiError::new(ErrorCode::ExternalAuthenticatedError, text)
}

fn unauthenticated() -> ApiError {
    ApiError::new(ErrorCode::ExternalUnauthenticatedError, "Not found, or the credentials of an operator are missing.")
}

/// Refuses what a page of the web, or somebody behind a proxy, could have caused.
fn on_this_machine(uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let refused = |reason: &str| {
        let text = format!(
            "The admin service has no login here and answers to programs on this machine only: {reason}. \
             Set an organization or tokens for operators elsewhere."
        );
        Err(ApiError::new(ErrorCode::ExternalUnauthenticatedError, text))
    };
    if FORWARDED.iter().any(|name| headers.contains_key(name)) {
        return refused("the request came through a proxy");
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        // HTTP/2 has it elsewhere.
        (None, None) => uri.authority().map(axum::http::uri::Authority::as_str),
        _ => None,
    };
    let Some(host) = host.filter(|host| is_loopback(host)) else {
        return refused("the `Host` header does not name it");
    };
    let mut origins = headers.get_all(header::ORIGIN).iter();
    if origins.any(|origin| origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://")) != Some(host)) {
        return refused("the request came from a page of another origin");
    }
    let site = headers.get("sec-fetch-site").map(axum::http::HeaderValue::as_bytes);
    match site {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => refused("the request came from a page of another site"),
    }
}

/// Whether `host[:port]` is a name of the loopback that nobody else can give to it.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else { return false };
    let name = authority.host();
    // What is left after host and port would be a user.
    let is_plain = !host.contains('@');
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    is_plain && (name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_loopback_are_known() {
        for host in ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "127.8.9.1", "[::1]:8000", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "10.0.0.1",
            "0.0.0.0",
            "a@localhost",
            "localhost@evil",
            "[::2]",
            "::1x",
            "local host",
            "2130706433",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn hashes_of_tokens_are_read_as_they_are_written() {
        let hash = TokenHash::of("ana", "secret");
        assert_eq!(TokenHash::parse(&hash.to_string()), Ok(hash.clone()));
        assert!(hash.fits("secret") && !hash.fits("Secret") && !hash.fits(""));
        let bare = TokenHash::parse("2BB80D537B1DA3E38BD30361AA855686BDE0EACD7162FEF6A25FE97BF527A25B").unwrap();
        assert!(bare.fits("secret"));
        for text in
            ["", "secret", "ana:", ":", "ana:2bb8", "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a2zz"]
        {
            assert_eq!(TokenHash::parse(text), Err(TokenHashError), "{text}");
        }
        assert!(!format!("{hash:?}").contains("2bb8"));
    }
}
