//! The keys that a Hub signs tokens with: read at the start, and again when a token is signed with another key, since the
//! Hub may have changed them.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use belvedere_auth::{Algorithm, Expected, HubTokenError, KeyError, PublicKeys};
use belvedere_hub::auth_check::{AuthCheckError, fetch_keys};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum HubKeysError {
    /// The algorithm or a key cannot be used.
    #[error("the keys of signed tokens cannot be used")]
    Keys(#[from] KeyError),
    /// The list cannot be read.
    #[error("the keys at {url} cannot be read")]
    List {
        /// Where it should be.
        url: String,
        /// What happened.
        #[source]
        source: AuthCheckError,
    },
}

/// Where keys come from.
#[derive(Clone, Debug)]
pub struct KeySource {
    /// The one algorithm of signatures.
    pub algorithm: String,
    /// The address of a list of keys (JWK).
    pub url: Option<String>,
    /// Further keys, as PEM.
    pub additional: Vec<String>,
    /// How long the list may take.
    pub timeout: Duration,
    /// Shortest time between two looks at the list: forged tokens must not become calls.
    pub look_every: Duration,
}

/// The keys that hold now. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HubKeys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: KeySource,
    keys: RwLock<Arc<PublicKeys>>,
    looked: Mutex<Instant>,
}

impl HubKeys {
    /// Reads the keys; `None` when none is configured, or no algorithm.
    ///
    /// # Errors
    /// [`HubKeysError`]: the server must not start then, since it would refuse everybody or trust nobody knows whom.
    pub async fn load(source: KeySource) -> Result<Option<Self>, HubKeysError> {
        if source.algorithm.trim().is_empty() || (source.url.is_none() && source.additional.is_empty()) {
            return Ok(None);
        }
        let keys = read(&source).await?;
        let inner = Inner { source, keys: RwLock::new(Arc::new(keys)), looked: Mutex::new(Instant::now()) };
        Ok(Some(Self(Arc::new(inner))))
    }

    /// Checks that a token lets read a dataset now.
    ///
    /// # Errors
    /// [`HubTokenError`].
    pub(crate) async fn check(&self, token: &str, expected: Expected<'_>) -> Result<(), HubTokenError> {
        match self.now().check(token, expected) {
            Err(HubTokenError::Signature) if self.look_again().await => self.now().check(token, expected),
            other => other,
        }
    }

    fn now(&self) -> Arc<PublicKeys> {
        Arc::clone(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the list again, if that was not done a moment ago. `true`: there may be other keys than before.
    async fn look_again(&self) -> bool {
        if self.0.source.url.is_none() {
            return false;
        }
        let mut looked = self.0.looked.lock().await;
        if looked.elapsed() < self.0.source.look_every {
            // Whoever waited for the one who looked gets what that one found.
            return looked.elapsed() < Duration::from_secs(1);
        }
        *looked = Instant::now();
        match read(&self.0.source).await {
            Ok(keys) => {
                *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                true
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the keys of signed tokens stay as they were");
                false
            }
        }
    }
}

async fn read(source: &KeySource) -> Result<PublicKeys, HubKeysError> {
    let mut keys = PublicKeys::new(Algorithm::parse(source.algorithm.trim())?);
    if let Some(url) = &source.url {
        let list = fetch_keys(url, source.timeout).await;
        let list = list.map_err(|error| HubKeysError::List { url: url.clone(), source: error })?;
        for reason in keys.add_list(&list)? {
            tracing::warn!(reason, "a key of signed tokens is left out");
        }
    }
    source.additional.iter().try_for_each(|text| keys.add_pem(text))?;
    Ok(keys)
}
