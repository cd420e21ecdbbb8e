//! The wishes of authors: whether what lies behind a URL may be used for training. A service of the shape of Spawning's API
//! keeps them.

use std::fmt;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;

use super::client::{Client, Pacing, ServiceError};

/// Asks a service for wishes.
#[derive(Clone)]
pub struct OptOut {
    client: Client,
    token: Arc<str>,
    batch: usize,
}

/// What is known of a URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Wish {
    /// Its author agrees.
    #[serde(rename = "optIn")]
    pub opt_in: bool,
    /// Its author refuses.
    #[serde(rename = "optOut")]
    pub opt_out: bool,
}

#[derive(Deserialize)]
struct Answer {
    urls: Vec<Wish>,
}

impl OptOut {
    /// A client of the service at `url`, asked about `batch` URLs at once.
    pub fn new(url: &str, token: &str, batch: usize, pacing: Pacing) -> Self {
        Self { client: Client::new(url.to_owned(), pacing), token: token.into(), batch: batch.max(1) }
    }

    /// The address of the service.
    pub fn url(&self) -> &str {
        self.client.url()
    }

    /// URLs that keep the service as busy as it may be.
    pub fn preferred_urls(&self) -> usize {
        self.batch.saturating_mul(self.client.max_concurrent())
    }

    /// The wishes for all URLs, in their order. None of them may hold a line break.
    ///
    /// # Errors
    /// [`ServiceError`] of the first batch that came to nothing.
    pub async fn ask(&self, urls: Vec<String>) -> Result<Vec<Wish>, ServiceError> {
        let batches: Vec<Vec<String>> = urls.chunks(self.batch).map(<[String]>::to_vec).collect();
        let asked = batches.into_iter().map(|batch| {
            let this = self.clone();
            async move { this.ask_batch(batch).await }
        });
        let answers: Vec<Vec<Wish>> = stream::iter(asked).buffered(self.client.max_concurrent()).try_collect().await?;
        Ok(answers.concat())
    }

    async fn ask_batch(&self, mut urls: Vec<String>) -> Result<Vec<Wish>, ServiceError> {
        let wanted = urls.len();
        if wanted == 1 {
            // The service takes no list of one.
            urls.push(String::new());
        }
        let headers = [
            ("authorization", format!("API {}", self.token)),
            ("content-type", "text/plain; charset=utf-8".to_owned()),
        ];
        let answer = self.client.post(&headers, urls.join("\n").into_bytes()).await?;
        let answer: Answer = serde_json::from_slice(&answer)
            .map_err(|error| ServiceError::Unexpected(format!("no list of wishes: {error}")))?;
        if answer.urls.len() != urls.len() {
            let (told, asked) = (answer.urls.len(), urls.len());
            return Err(ServiceError::Unexpected(format!("wishes for {told} URLs, asked about {asked}")));
        }
        Ok(answer.urls[..wanted].to_vec())
    }
}

impl fmt::Debug for OptOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OptOut").field("url", &self.url()).finish_non_exhaustive()
    }
}
