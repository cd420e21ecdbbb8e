//! Who may read, from the configuration.

use anyhow::Context;
use belvedere_api::{AuthSettings, HubKeys, KeySource, ReadSettings};
use belvedere_hub::auth_check::AuthCheck;

use crate::admin::HUB;
use crate::config::Config;
use crate::exit::Advice;

/// Who may read. Keys of signed tokens are fetched.
///
/// # Errors
/// With a hint, when the keys cannot be read: a server without them would refuse everybody.
pub async fn settings(config: &Config) -> anyhow::Result<ReadSettings> {
    let api = &config.api;
    let source = KeySource {
        algorithm: api.hf_jwt_algorithm.clone(),
        url: api.hf_jwt_public_key_url.clone(),
        additional: api.hf_jwt_additional_public_keys.iter().map(|key| key.expose().to_owned()).collect(),
        timeout: api.hf_timeout_seconds,
        look_every: std::time::Duration::from_secs(60),
    };
    let keys = HubKeys::load(source).await.context(Advice::environment(
        "signed tokens cannot be verified",
        "check `API_HF_JWT_PUBLIC_KEY_URL`, `API_HF_JWT_ADDITIONAL_PUBLIC_KEYS` and `API_HF_TIMEOUT_SECONDS`, or \
         switch signed tokens off with an empty `API_HF_JWT_ALGORITHM`",
    ))?;
    let endpoint = config.common.hf_endpoint.as_deref().unwrap_or(HUB);
    let hub = api.hf_auth_path.as_deref().map(|path| AuthCheck::new(endpoint, path, api.hf_timeout_seconds));
    let private = api.private_datasets.iter().map(|pattern| pattern.as_str().to_owned()).collect();
    Ok(ReadSettings { private, hub, keys })
}

/// Logins and sessions.
pub fn auth(config: &Config) -> AuthSettings {
    let seconds = |duration: std::time::Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    AuthSettings {
        session_seconds: seconds(config.api.session_seconds),
        link_seconds: seconds(config.api.link_seconds),
        trusted_proxies: config.api.trusted_proxies.clone(),
        ..AuthSettings::default()
    }
}
