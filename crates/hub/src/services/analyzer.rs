//! Personal data in texts, found by a Presidio analyzer: a service with language models, which know names and places.

use serde::{Deserialize, Serialize};

use super::client::{Client, Pacing, ServiceError};

/// Asks a Presidio analyzer, over its REST API.
#[derive(Clone, Debug)]
pub struct Analyzer {
    client: Client,
    min_score: f64,
}

/// A part of a text that the analyzer takes for personal data.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Analyzed {
    /// What it is, by a name of Presidio.
    pub entity_type: String,
    /// Its first character, from 0.
    pub start: usize,
    /// The character after its last one.
    pub end: usize,
    /// How sure the analyzer is, from 0 to 1.
    pub score: f64,
}

#[derive(Serialize)]
struct Question<'q> {
    text: &'q str,
    language: &'q str,
    score_threshold: f64,
}

impl Analyzer {
    /// A client of the analyzer at `endpoint`, such as `http://localhost:5002`. What it is less sure of than `min_score` does
    /// not count.
    pub fn new(endpoint: &str, min_score: f64, pacing: Pacing) -> Self {
        let url = format!("{}/analyze", endpoint.trim_end_matches('/'));
        Self { client: Client::new(url, pacing), min_score }
    }

    /// The address of the service.
    pub fn url(&self) -> &str {
        self.client.url()
    }

    /// Texts that it looks at at the same time.
    pub fn max_concurrent(&self) -> usize {
        self.client.max_concurrent()
    }

    /// The personal data in an English text, in characters.
    ///
    /// # Errors
    /// [`ServiceError`] when the service does not tell, or tells of places that the text does not have.
    pub async fn analyze(&self, text: &str) -> Result<Vec<Analyzed>, ServiceError> {
        let question = Question { text, language: "en", score_threshold: self.min_score };
        let body = serde_json::to_vec(&question).expect("texts and numbers are JSON");
        let answer = self.client.post(&[("content-type", "application/json".to_owned())], body).await?;
        let found: Vec<Analyzed> = serde_json::from_slice(&answer)
            .map_err(|error| ServiceError::Unexpected(format!("no list of entities: {error}")))?;
        let length = text.chars().count();
        if found.iter().any(|found| found.start > found.end || found.end > length) {
            return Err(ServiceError::Unexpected("an entity outside of the text".to_owned()));
        }
        Ok(found.into_iter().filter(|found| found.score >= self.min_score).collect())
    }
}
