//! Calls of one service: bounded in number, rate and size, and tried again where that can help. Blocks no one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Longest time that a service can make us wait.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);
/// Longest answer that is read.
const MAX_ANSWER_BYTES: u64 = 32 << 20;

/// How fast a service is asked.
#[derive(Clone, Debug)]
pub struct Pacing {
    /// Longest time for one answer, connecting included.
    pub timeout: Duration,
    /// Calls at the same time, at least 1.
    pub max_concurrent: usize,
    /// Calls begun in a second, at least 1; `None`: any number.
    pub max_per_second: Option<u32>,
    /// Pauses before a call that came to nothing is made again. Longer where the service asks for it.
    pub waits: Vec<Duration>,
}

impl Default for Pacing {
    fn default() -> Self {
        let waits = [1, 3, 10].map(Duration::from_secs).into();
        Self { timeout: Duration::from_secs(30), max_concurrent: 4, max_per_second: None, waits }
    }
}

/// Why a service said nothing of use.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// No connection, no answer in time, or one that broke off.
    #[error("the service gave no answer")]
    NoAnswer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is an error.
    #[error("the service answered with the status {status}")]
    Status {
        /// Its status.
        status: u16,
        /// How long to wait before the next call.
        retry_after: Option<Duration>,
    },
    /// The answer is not what it should be.
    #[error("the service answered with something unexpected: {0}")]
    Unexpected(String),
}

impl ServiceError {
    /// True when the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Unexpected(_) => false,
        }
    }
}

/// Asks one service.
#[derive(Clone, Debug)]
pub(super) struct Client {
    agent: ureq::Agent,
    url: Arc<str>,
    calls: Arc<Semaphore>,
    pacing: Arc<Pacing>,
    /// Made at the first call, when there is a runtime to keep its time.
    ticks: Arc<Mutex<Option<Interval>>>,
}

impl Client {
    pub(super) fn new(url: String, pacing: Pacing) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(pacing.timeout))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("belvedere/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let calls = Arc::new(Semaphore::new(pacing.max_concurrent.max(1)));
        Self { agent, url: url.into(), calls, pacing: Arc::new(pacing), ticks: Arc::default() }
    }

    /// The address.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Calls at the same time.
    pub(super) fn max_concurrent(&self) -> usize {
        self.pacing.max_concurrent.max(1)
    }

    /// Sends a body and reads the answer. Tries again what may pass.
    pub(super) async fn post(
        &self,
        headers: &[(&'static str, String)],
        body: impl Into<Arc<[u8]>>,
    ) -> Result<Vec<u8>, ServiceError> {
        let body = body.into();
        let mut waits = self.pacing.waits.iter();
        loop {
            let error = match self.send(headers, Arc::clone(&body)).await {
                Err(error) if error.is_passing() => error,
                done => return done,
            };
            let Some(planned) = waits.next() else { return Err(error) };
            let asked = match &error {
                ServiceError::Status { retry_after, .. } => retry_after.unwrap_or_default().min(MAX_RETRY_AFTER),
                _ => Duration::ZERO,
            };
            tracing::debug!(error = &error as &dyn std::error::Error, "a service is asked again");
            tokio::time::sleep(asked.max(*planned)).await;
        }
    }

    async fn send(&self, headers: &[(&'static str, String)], body: Arc<[u8]>) -> Result<Vec<u8>, ServiceError> {
        let permit = Arc::clone(&self.calls).acquire_owned().await.map_err(no_answer)?;
        self.wait_for_turn().await;
        let mut request = self.agent.post(&*self.url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let asked = tokio::task::spawn_blocking(move || {
            let answer = request.send(&body[..]);
            let read = answer.map_err(failed).and_then(read);
            drop(permit);
            read
        });
        asked.await.map_err(no_answer)?
    }

    /// Waits until the next call may begin.
    async fn wait_for_turn(&self) {
        let Some(rate) = self.pacing.max_per_second else { return };
        let mut ticks = self.ticks.lock().await;
        let ticks = ticks.get_or_insert_with(|| {
            let mut ticks = interval(Duration::from_secs(1) / rate.max(1));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        ticks.tick().await;
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Result<Vec<u8>, ServiceError> {
    let status = answer.status().as_u16();
    if status != 200 {
        let seconds = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry_after = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        return Err(ServiceError::Status { status, retry_after });
    }
    answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec().map_err(failed)
}

fn failed(error: ureq::Error) -> ServiceError {
    match error {
        ureq::Error::BodyExceedsLimit(limit) => ServiceError::Unexpected(format!("more than {limit} bytes")),
        ureq::Error::BadUri(_) => ServiceError::Unexpected("its address cannot be called".to_owned()),
        error => no_answer(error),
    }
}

fn no_answer(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ServiceError {
    ServiceError::NoAnswer(error.into())
}
