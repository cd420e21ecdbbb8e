//! Who somebody is, according to the Hub: the outgoing call of the admin service.
//!
//! Only the caller's `Authorization` header is passed on, to the one address that the operator has configured.
//! Redirects are not followed, since they could carry it elsewhere.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::sync::Semaphore;

/// Questions at the same time; more wait, so that a flood of bad tokens does not become a flood of calls.
const CALLS: usize = 16;
/// Longest answer that is read.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// Asks a whoami service.
#[derive(Clone, Debug)]
pub struct Whoami {
    agent: ureq::Agent,
    url: String,
    calls: Arc<Semaphore>,
}

/// Why nobody was recognized.
#[derive(Debug, thiserror::Error)]
pub enum WhoamiError {
    /// The service does not know these credentials (401).
    #[error("the whoami service does not know these credentials")]
    Unauthenticated,
    /// The service refuses to tell (403, 404).
    #[error("the whoami service refuses to tell who that is")]
    Refused,
    /// The service answered something else.
    #[error("the whoami service answered with the status {0}")]
    Status(u16),
    /// There was no answer in time, or none that could be read.
    #[error("the whoami service gave no answer")]
    NoAnswer(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Somebody, as the service describes them.
#[derive(Clone, PartialEq, Debug)]
pub struct Identity(Json);

impl Whoami {
    /// A client of the service at `path` of the Hub at `endpoint`. An answer may take `timeout`, connecting included.
    pub fn new(endpoint: &str, path: &str, timeout: Duration) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("belvedere/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let url = format!("{}/{}", endpoint.trim_end_matches('/'), path.trim_start_matches('/'));
        Self { agent, url, calls: Arc::new(Semaphore::new(CALLS)) }
    }

    /// Who sends this `Authorization` header.
    ///
    /// # Errors
    /// [`WhoamiError`] when the service does not say.
    pub async fn ask(&self, authorization: &str) -> Result<Identity, WhoamiError> {
        let permit = Arc::clone(&self.calls).acquire_owned().await.map_err(no_answer)?;
        let request = self.agent.get(&self.url).header("authorization", authorization);
        let asked = tokio::task::spawn_blocking(move || {
            let answer = request.call();
            drop(permit);
            let mut answer = answer.map_err(no_answer)?;
            match answer.status().as_u16() {
                200 => {
                    let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
                    let json = serde_json::from_slice(&body.map_err(no_answer)?);
                    json.map(Identity).map_err(no_answer)
                }
                401 => Err(WhoamiError::Unauthenticated),
                403 | 404 => Err(WhoamiError::Refused),
                status => Err(WhoamiError::Status(status)),
            }
        });
        asked.await.map_err(no_answer)?
    }
}

impl Identity {
    /// The name.
    pub fn name(&self) -> Option<&str> {
        self.0["name"].as_str()
    }

    /// Whether these credentials may operate for an organization: its user is a member, and they are an access token,
    /// either a fine-grained one with `repo.write` for the organization, or a classic one with the role `write` of
    /// somebody who is more than a contributor there.
    pub fn may_operate(&self, organization: &str) -> bool {
        let auth = &self.0["auth"];
        let membership = items(&self.0["orgs"]).find(|org| org["name"] == organization);
        let Some(membership) = membership.filter(|_| auth["type"] == "access_token") else { return false };
        let token = &auth["accessToken"];
        let is_granted = items(&token["fineGrained"]["scoped"]).any(|scope| {
            scope["entity"]["type"] == "org"
                && scope["entity"]["name"] == organization
                && items(&scope["permissions"]).any(|permission| permission == "repo.write")
        });
        let role = membership["roleInOrg"].as_str().unwrap_or_default();
        is_granted || (token["role"] == "write" && ["read", "write", "admin"].contains(&role))
    }
}

/// The items of a list; none of anything else.
fn items(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

fn no_answer(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> WhoamiError {
    WhoamiError::NoAnswer(error.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn member(role: &str, auth: &Json) -> Identity {
        Identity(json!({"name": "ana", "orgs": [{"name": "other"}, {"name": "lab", "roleInOrg": role}], "auth": auth}))
    }

    fn fine_grained(kind: &str, name: &str, permission: &str) -> Json {
        json!({"type": "access_token", "accessToken": {"role": "fineGrained", "fineGrained": {"scoped": [
            {"entity": {"type": kind, "name": name}, "permissions": ["repo.content.read", permission]},
        ]}}})
    }

    #[test]
    fn fine_grained_tokens_need_repo_write_for_the_organization() {
        assert!(member("contributor", &fine_grained("org", "lab", "repo.write")).may_operate("lab"));
        for (kind, name, permission) in
            [("org", "lab", "repo.read"), ("org", "other", "repo.write"), ("user", "lab", "repo.write")]
        {
            assert!(!member("admin", &fine_grained(kind, name, permission)).may_operate("lab"));
        }
    }

    #[test]
    fn classic_tokens_need_write_and_more_than_a_contributor() {
        let classic = |role: &str| json!({"type": "access_token", "accessToken": {"role": role}});
        for role in ["read", "write", "admin"] {
            assert!(member(role, &classic("write")).may_operate("lab"), "{role}");
        }
        assert!(!member("contributor", &classic("write")).may_operate("lab"));
        assert!(!member("admin", &classic("read")).may_operate("lab"));
    }

    #[test]
    fn others_and_other_credentials_are_refused() {
        let classic = json!({"type": "access_token", "accessToken": {"role": "write"}});
        assert!(!member("admin", &classic).may_operate("elsewhere"));
        assert!(!member("admin", &json!({"type": "jwt", "accessToken": {"role": "write"}})).may_operate("lab"));
        for odd in [json!(null), json!([]), json!({"orgs": "lab"}), json!({"orgs": [{"name": "lab"}], "auth": []})] {
            assert!(!Identity(odd.clone()).may_operate("lab"), "{odd}");
        }
    }
}
