//! The signed tokens of a Hub: each lets its bearer read one dataset for a while, without asking the Hub.

use serde_json::{Map, Value};

use crate::jwt::{Unverified, seconds};
use crate::keys::PublicKeys;

/// Permissions of which one is enough to read.
const PERMISSIONS: [&str; 4] = ["repo.content.read", "repo.content.write", "repo.read", "repo.write"];
/// How far the clock of the Hub may go before ours, in seconds.
const LEEWAY: f64 = 60.0;

/// What a token must be for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The dataset, by the name that the reader wrote.
    pub dataset: &'a str,
    /// Seconds since 1970.
    pub now: i64,
}

/// Why a token is not accepted, in words for its bearer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HubTokenError {
    /// It is none.
    #[error("this is no signed token")]
    Malformed,
    /// It says it is signed in another way.
    #[error("the token is signed with `{found}`, and only `{expected}` is accepted")]
    Algorithm {
        /// What the token says, shortened.
        found: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// No known key has signed it.
    #[error("no known key has signed the token")]
    Signature,
    /// A claim is missing or of another type.
    #[error("the claim `{0}` is missing or is not what it should be")]
    Claim(&'static str),
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not good yet: `{0}` lies in the future")]
    NotYet(&'static str),
    /// It is for somebody else.
    #[error("the token is for another audience than this service")]
    Audience,
    /// It is for something else.
    #[error("the token is for another dataset")]
    Subject,
    /// It does not let read.
    #[error("the token does not permit to read")]
    Permission,
}

impl PublicKeys {
    /// Checks that a token lets read a dataset now.
    ///
    /// # Errors
    /// [`HubTokenError`], the first reason in the order of its variants, about.
    pub fn check(&self, token: &str, expected: Expected<'_>) -> Result<(), HubTokenError> {
        let token = Unverified::parse(token).ok_or(HubTokenError::Malformed)?;
        let algorithm = self.algorithm.as_str();
        if token.algorithm != algorithm {
            let found = token.algorithm.chars().take(20).collect();
            return Err(HubTokenError::Algorithm { found, expected: algorithm });
        }
        if !self.have_signed(token.signed, &token.signature) {
            return Err(HubTokenError::Signature);
        }
        judge(&token.claims().ok_or(HubTokenError::Malformed)?, expected)
    }
}

fn judge(claims: &Map<String, Value>, expected: Expected<'_>) -> Result<(), HubTokenError> {
    let claim =
        |name: &'static str| claims.get(name).filter(|claim| !claim.is_null()).ok_or(HubTokenError::Claim(name));
    let time = |name: &'static str, value: &Value| seconds(value).ok_or(HubTokenError::Claim(name));
    let (expires, subject, permissions) = (claim("exp")?, claim("sub")?, claim("permissions")?);
    let now = expected.now as f64;
    for name in ["iat", "nbf"] {
        if let Some(value) = claims.get(name)
            && time(name, value)? > now + LEEWAY
        {
            return Err(HubTokenError::NotYet(name));
        }
    }
    if time("exp", expires)? <= now {
        return Err(HubTokenError::Expired);
    }
    if claims.get("aud").is_some_and(|audience| !audience.is_null()) {
        return Err(HubTokenError::Audience);
    }
    let subject = subject.as_str().ok_or(HubTokenError::Claim("sub"))?;
    if subject.strip_prefix('/').unwrap_or(subject).strip_prefix("datasets/") != Some(expected.dataset) {
        return Err(HubTokenError::Subject);
    }
    let permissions = permissions.as_object().ok_or(HubTokenError::Claim("permissions"))?;
    let may_read = PERMISSIONS.iter().any(|name| permissions.get(*name) == Some(&Value::Bool(true)));
    if may_read { Ok(()) } else { Err(HubTokenError::Permission) }
}

#[cfg(test)]
mod tests;
