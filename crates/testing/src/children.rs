//! A reader of files inside the test, in place of child processes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use belvedere_engine::call::{SplitOf, WantedRows};
use belvedere_engine::task::Progress;
use belvedere_engine::{Call, EngineError, ErrorKind, Reply};
use belvedere_jobs::call::{CallError, Caller, InProcess};
use tokio::sync::Semaphore;

/// Carries out calls in this process, notes each, and fails those it was told to.
#[derive(Default)]
pub struct Children {
    calls: Mutex<Vec<String>>,
    orders: Mutex<Vec<Order>>,
    /// What the noted calls start with that wait, and what they wait for.
    held: Mutex<Vec<(String, Arc<Semaphore>)>>,
}

/// Calls wait as long as this lives.
pub struct Held(Arc<Semaphore>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// How a call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The disk refuses: passes when tried again.
    Disk,
    /// The process is killed.
    Death,
    /// The code around the call panics.
    Panic,
    /// It takes longer than it may.
    TooLong,
}

struct Order {
    /// What the noted call starts with.
    call: String,
    failure: Failure,
    times: usize,
}

impl Children {
    /// What was asked since the last time, in order: `convert default`, `head default/train`, `rows 0+100`, ….
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets the next calls whose note starts with `call` fail, so many times.
    pub fn fail(&self, call: &str, failure: Failure, times: usize) {
        let order = Order { call: call.to_owned(), failure, times };
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
    }

    /// Lets calls whose note starts with `call` wait until the answer is dropped.
    #[must_use]
    pub fn hold(&self, call: &str) -> Held {
        let gate = Arc::new(Semaphore::new(0));
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push((call.to_owned(), Arc::clone(&gate)));
        Held(gate)
    }

    fn gate_of(&self, note: &str) -> Option<Arc<Semaphore>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().rfind(|(call, _)| note.starts_with(call)).map(|(_, gate)| Arc::clone(gate))
    }

    fn failure_of(&self, note: &str) -> Option<Failure> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let order = orders.iter_mut().find(|order| order.times > 0 && note.starts_with(&order.call))?;
        order.times -= 1;
        Some(order.failure)
    }
}

#[async_trait]
impl Caller for Children {
    async fn call(&self, call: Call, limit: Duration) -> Result<Reply, CallError> {
        self.call_watched(call, limit, Progress::default()).await
    }

    async fn call_watched(&self, call: Call, limit: Duration, progress: Progress) -> Result<Reply, CallError> {
        let note = note(&call);
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(note.clone());
        if let Some(gate) = self.gate_of(&note) {
            // No permit ever comes; the end of the hold closes it.
            let _closed = gate.acquire().await;
        }
        match self.failure_of(&note) {
            None => InProcess.call_watched(call, limit, progress).await,
            Some(Failure::Disk) => Err(EngineError::new(ErrorKind::Io, "no space left on device").into()),
            Some(Failure::Death) => Err(CallError::Died("was killed by the test".into())),
            Some(Failure::Panic) => panic!("the reader is broken"),
            Some(Failure::TooLong) => Err(CallError::TooLong(limit)),
        }
    }
}

fn note(call: &Call) -> String {
    match call {
        Call::Convert(convert) => {
            let mut lent: Vec<_> = convert.segments.iter().map(|segment| &segment.content_id).collect();
            lent.sort_unstable();
            lent.dedup();
            let lent = match lent.len() {
                0 => String::new(),
                count => format!(", {count} of {} files known", convert.files.len()),
            };
            format!("convert {}{lent}", convert.config.name)
        }
        Call::Inspect(inspect) => format!("inspect {}", inspect.config.name),
        Call::Head(head) => format!("head {}/{}", head.config.name, head.split),
        Call::Rows(rows) => format!("rows {}+{}", rows.offset, rows.length),
        Call::Filter(filter) => format!("filter {}+{}", filter.offset, filter.length),
        Call::Export(export) => format!("export {:?} {}", export.format, wanted(&export.rows)),
        Call::Compare(compare) => {
            let rows = |split: &SplitOf| split.files.iter().map(|file| file.num_rows).sum::<u64>();
            format!("compare {} rows with {}", rows(&compare.right), rows(&compare.left))
        }
        Call::Texts(texts) => format!("texts of {} {}+{}", texts.columns.join(", "), texts.offset, texts.length),
        Call::Footers(footers) => format!("footers of {} files", footers.files.len()),
        Call::Relayout(relayout) => format!("relayout {}", relayout.file.path),
        Call::BuildSearchIndex(index) => format!("search index of {} files", index.files.len()),
        // Calls that no test tells apart go by their name.
        other => format!("{other:?}").split('(').next().unwrap_or_default().to_lowercase(),
    }
}

fn wanted(rows: &WantedRows) -> String {
    match rows {
        WantedRows::Range { offset, length: u64::MAX } => format!("{offset}+"),
        WantedRows::Range { offset, length } => format!("{offset}+{length}"),
        WantedRows::Listed(rows) => format!("{} rows", rows.len()),
    }
}
