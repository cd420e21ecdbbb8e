//! Who carries out engine calls: a child process with limits, or this process for files that we wrote ourselves.

use std::time::Duration;

use async_trait::async_trait;
use belvedere_engine::task::Progress;
use belvedere_engine::{Call, EngineError, Reply, Task};
use belvedere_hub::HubError;

use crate::meter::Meter;

/// Why a call gave no reply.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The engine refused, with the place in the file.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A file did not come from its Hub.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The process that read the file died or was killed.
    #[error("the process that read the files {0}")]
    Died(String),
    /// It took longer than allowed and was killed.
    #[error("reading the files took longer than {} seconds and was stopped", .0.as_secs())]
    TooLong(Duration),
    /// No process could be started, or talking to it failed.
    #[error("no process could be started to read the files")]
    Start(#[source] std::io::Error),
}

/// Carries out engine calls. Dropping the future stops the work.
#[async_trait]
pub trait Caller: Send + Sync {
    /// Carries out one call within `limit`.
    ///
    /// # Errors
    /// [`CallError`] tells whether the files are at fault or the process.
    async fn call(&self, call: Call, limit: Duration) -> Result<Reply, CallError>;

    /// As [`call`](Self::call), telling meanwhile how far it is. Children do not tell.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    async fn call_watched(&self, call: Call, limit: Duration, progress: Progress) -> Result<Reply, CallError> {
        let _untold = progress;
        self.call(call, limit).await
    }

    /// As [`call`](Self::call), noting what the process that carries it out uses. Calls in this process, which does
    /// other things beside them, note nothing.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    async fn call_metered(&self, call: Call, limit: Duration, meter: Meter) -> Result<Reply, CallError> {
        let _unmeasured = meter;
        self.call(call, limit).await
    }
}

/// Calls in this process: for files that we wrote, and for tests that have no binary to start.
///
/// Work that nobody waits for any more stops at its next look at the task.
#[derive(Clone, Copy, Debug, Default)]
pub struct InProcess;

#[async_trait]
impl Caller for InProcess {
    async fn call(&self, call: Call, limit: Duration) -> Result<Reply, CallError> {
        self.call_watched(call, limit, Progress::default()).await
    }

    async fn call_watched(&self, call: Call, limit: Duration, progress: Progress) -> Result<Reply, CallError> {
        in_process(limit, progress, move |task| belvedere_engine::execute(call, task)).await
    }
}

/// Carries out work on a thread that may block, until it takes too long or nobody waits for it any more.
pub(crate) async fn in_process(
    limit: Duration,
    progress: Progress,
    work: impl FnOnce(&Task) -> Result<Reply, EngineError> + Send + 'static,
) -> Result<Reply, CallError> {
    let mut task = Task::default();
    task.progress = progress;
    let _stop = StopOnDrop(task.clone());
    let work = tokio::task::spawn_blocking(move || work(&task));
    match tokio::time::timeout(limit, work).await {
        Err(_) => Err(CallError::TooLong(limit)),
        Ok(Err(panic)) => Err(CallError::Died(format!("panicked: {panic}"))),
        Ok(Ok(result)) => Ok(result?),
    }
}

/// Ends the work when the future that waits for it is dropped.
struct StopOnDrop(Task);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
