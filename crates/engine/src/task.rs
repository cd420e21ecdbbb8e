//! What a call may use, and whether anybody still wants its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{EngineError, ErrorKind};

/// Memory that a call may hold for intermediate results, unless told otherwise, in bytes.
const DEFAULT_MEMORY: usize = 256 << 20;

/// Bounds of one call. Clones share the wish to stop.
#[derive(Clone, Debug)]
pub struct Task {
    /// Threads that may work at the same time, at least 1.
    pub threads: usize,
    /// Bytes of intermediate results in memory; beyond it they go to disk or the call fails.
    pub memory_bytes: usize,
    /// How far the work is, for work that tells it.
    pub progress: Progress,
    deadline: Option<(Instant, Duration)>,
    cancelled: Arc<AtomicBool>,
}

impl Task {
    /// As many threads as asked for, 256 MiB, no deadline.
    pub fn new(threads: usize) -> Self {
        Self {
            threads: threads.max(1),
            memory_bytes: DEFAULT_MEMORY,
            progress: Progress::default(),
            deadline: None,
            cancelled: Arc::default(),
        }
    }

    /// Ends after `limit` from now.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.deadline = Instant::now().checked_add(limit).map(|end| (end, limit));
        self
    }

    /// Holds at most so many bytes of intermediate results.
    #[must_use]
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Asks the work to stop at its next look.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Fails when the work shall stop. Cheap: asked for every table that is read.
    ///
    /// # Errors
    /// [`Cancelled`](ErrorKind::Cancelled), [`TimedOut`](ErrorKind::TimedOut).
    pub fn check(&self) -> Result<(), EngineError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(EngineError::new(ErrorKind::Cancelled, "nobody waits for the answer any more"));
        }
        match self.deadline {
            Some((end, limit)) if Instant::now() >= end => {
                let message = format!("it takes longer than the {} seconds allowed", limit.as_secs_f64());
                Err(EngineError::new(ErrorKind::TimedOut, message))
            }
            _ => Ok(()),
        }
    }
}

/// How far some work is. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<[AtomicU64; 2]>);

impl Progress {
    /// Says how many pieces there will be.
    pub fn expect(&self, pieces: u64) {
        self.0[1].store(pieces, Ordering::Relaxed);
    }

    /// Counts pieces that are done.
    pub fn advance(&self, pieces: u64) {
        self.0[0].fetch_add(pieces, Ordering::Relaxed);
    }

    /// From 0 to 1; `None` while nobody knows.
    pub fn share(&self) -> Option<f64> {
        let [done, all] = [self.0[0].load(Ordering::Relaxed), self.0[1].load(Ordering::Relaxed)];
        (all > 0).then(|| (done as f64 / all as f64).min(1.0))
    }
}

impl Default for Task {
    /// One thread for each processor of the machine.
    fn default() -> Self {
        Self::new(thread::available_parallelism().map_or(1, usize::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_wish_to_stop() {
        let task = Task::new(0);
        let clone = task.clone();
        assert!(task.threads == 1 && clone.check().is_ok());
        task.cancel();
        assert_eq!(clone.check().unwrap_err().kind, ErrorKind::Cancelled);
    }

    #[test]
    fn a_task_without_time_left_tells_its_limit() {
        let error = Task::new(1).within(Duration::ZERO).check().unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::TimedOut, "it takes longer than the 0 seconds allowed")
        );
    }
}
