//! Remembers how runs ended: hands them to whoever counts, and to the store a group at a time.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use belvedere_domain::job::ClaimedJob;
use belvedere_domain::view::ErrorBody;
use belvedere_domain::{ErrorCode, View};
use belvedere_store::{Ending, NewView, Run, ViewContent};
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::meter::{Meter, Usage};

/// Time between two groups.
const EVERY: Duration = Duration::from_secs(1);
/// Runs that wait for a database that is away; the oldest are forgotten first.
const MAX_WAITING: usize = 1_000;
/// Longest text of an error that is remembered, in bytes.
const MAX_TEXT_BYTES: usize = 4_000;

/// A part of the worker's loop that is timed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Asking the queue for a job, where that was not part of ending the one before.
    Claim,
    /// Computing a view.
    Compute,
    /// Storing it and ending the job, and claiming the next one along with it.
    Finish,
}

/// Hears what a worker does, for metrics. Called on its threads: must return at once.
pub trait Observer: Send + Sync {
    /// A run of a job has ended.
    fn ended(&self, run: &Run);

    /// A part of the loop took so long.
    fn took(&self, part: Part, time: Duration);
}

/// Runs that are not stored yet.
#[derive(Default)]
pub(super) struct Recorder {
    waiting: Mutex<VecDeque<Run>>,
}

impl Recorder {
    fn add(&self, run: Run) {
        let mut waiting = self.waiting();
        if waiting.len() == MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(run);
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<Run>> {
        self.waiting.lock().expect("never poisoned: no code panics while holding it")
    }
}

/// What is told of a run besides the job itself.
#[derive(Default)]
pub(super) struct Verdict {
    http_status: Option<u16>,
    error_code: Option<String>,
    details: Option<ErrorBody>,
}

impl Verdict {
    /// Of the view of the job, if it is among these.
    pub(super) fn of(job: &ClaimedJob, views: &[NewView]) -> Self {
        match views.iter().find(|view| view.key == job.record.key).map(|view| &view.content) {
            Some(ViewContent::Computed(view)) => Self::of_view(view),
            Some(ViewContent::Reused) | None => Self::default(),
        }
    }

    fn of_view(view: &View) -> Self {
        let details = (!view.outcome.is_ok()).then(|| view.details.parse::<ErrorBody>().ok()).flatten();
        Self {
            http_status: Some(view.outcome.http_status()),
            error_code: view.outcome.code().map(str::to_owned),
            details: details.map(shortened),
        }
    }

    /// Of a failure that is tried again.
    pub(super) fn retry(code: Option<ErrorCode>, message: &str) -> Self {
        let details = ErrorBody { error: message.to_owned(), cause: None };
        let error_code = code.map(|code| code.as_str().to_owned());
        Self { http_status: None, error_code, details: Some(shortened(details)) }
    }
}

/// The same with texts of bounded length.
fn shortened(mut body: ErrorBody) -> ErrorBody {
    let shorten = |text: &mut String| {
        if text.len() > MAX_TEXT_BYTES {
            text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
            text.push('…');
        }
    };
    shorten(&mut body.error);
    if let Some(cause) = &mut body.cause {
        shorten(&mut cause.message);
        let mut left = MAX_TEXT_BYTES;
        cause.traceback.retain(|line| {
            let fits = line.len() <= left;
            left -= if fits { line.len() } else { 0 };
            fits
        });
    }
    body
}

impl Worker {
    /// Remembers how a run of a job ended.
    pub(super) fn record(&self, job: &ClaimedJob, time: Duration, ending: Ending, verdict: Verdict, meter: &Meter) {
        let (record, Verdict { http_status, error_code, details }) = (&job.record, verdict);
        let Usage { peak_memory_bytes, bytes_read, input_file, input_files } = meter.usage();
        let run = Run {
            job: record.id,
            key: record.key.clone(),
            revision: record.revision.clone(),
            priority: record.priority,
            difficulty: record.difficulty,
            forced: record.forced,
            attempt: record.attempt,
            crashes: record.crashes,
            worker: self.owner.to_string(),
            created_at: record.created_at,
            started_at: record.started_at.unwrap_or(record.created_at),
            seconds: time.as_secs_f64(),
            ending,
            http_status,
            error_code,
            details,
            peak_memory_bytes,
            bytes_read,
            input_file,
            input_files,
        };
        if let Some(observer) = &self.observer {
            observer.ended(&run);
        }
        if self.settings().kept_runs > 0 {
            self.recorder.add(run);
        }
    }

    pub(super) fn took(&self, part: Part, since: std::time::Instant) {
        if let Some(observer) = &self.observer {
            observer.took(part, since.elapsed());
        }
    }

    /// Stores the runs that ended since the last time. What cannot be stored is kept for the next time, within bounds.
    pub async fn store_history(&self) {
        let runs: Vec<Run> = self.recorder.waiting().drain(..).collect();
        if runs.is_empty() {
            return;
        }
        if let Err(error) = self.services.store.history.add_runs(&runs, self.settings().kept_runs).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "how runs ended could not be stored");
            let mut waiting = self.recorder.waiting();
            let room = MAX_WAITING.saturating_sub(waiting.len());
            runs.into_iter().rev().take(room).for_each(|run| waiting.push_front(run));
        }
    }

    /// Stores what ended, a group at a time, until `stop`, and then the rest.
    pub(super) async fn keep_history(self, stop: CancellationToken) {
        loop {
            tokio::select! { () = tokio::time::sleep(EVERY) => {}, () = stop.cancelled() => break }
            self.store_history().await;
        }
        self.store_history().await;
    }
}

#[cfg(test)]
mod tests {
    use belvedere_domain::view::ErrorCause;

    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let cause = ErrorCause {
            kind: "E".into(),
            message: "short".into(),
            traceback: vec!["a".repeat(3_000), "b".repeat(3_000), "c".into()],
        };
        let body = shortened(ErrorBody { error: "é".repeat(3_000), cause: Some(cause) });
        assert_eq!(body.error.len(), MAX_TEXT_BYTES + "…".len());
        let cause = body.cause.unwrap();
        assert_eq!((cause.message.as_str(), cause.traceback.len()), ("short", 2));
    }
}
