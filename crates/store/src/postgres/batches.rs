//! Joins calls that come at the same moment into one call of the database.
//!
//! A call that finds no other under way goes at once, alone. Those that come meanwhile wait and then go together: so
//! one asker never waits, and many share what one statement, one round trip and one flush of the disk cost.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::StoreError;

/// Requests of one call; more would only make the first ones wait.
const MAX_REQUESTS: usize = 32;
/// Bytes of one call, from which on no request is added.
const MAX_BYTES: usize = 4 << 20;

/// How requests of one kind are carried out together.
#[async_trait]
pub(super) trait Batch: Send + Sync + 'static {
    /// What is asked.
    type Request: Send + Sync + 'static;
    /// What each asker gets.
    type Answer: Send + 'static;

    /// Whether a request may go in one call with those taken already.
    fn joins(taken: &[Asked<Self>], request: &Self::Request) -> bool;

    /// Roughly how many bytes a request sends.
    fn size_bytes(request: &Self::Request) -> usize;

    /// Carries out requests that were joined, and answers each.
    async fn run(&self, asked: Vec<Asked<Self>>);
}

/// A request and who waits for its answer.
pub(super) struct Asked<B: Batch + ?Sized> {
    pub(super) request: B::Request,
    reply: oneshot::Sender<Result<B::Answer, StoreError>>,
}

impl<B: Batch + ?Sized> Asked<B> {
    /// Gives the answer back when nobody waits for it any more.
    pub(super) fn answer(self, answer: Result<B::Answer, StoreError>) -> Result<(), Result<B::Answer, StoreError>> {
        self.reply.send(answer)
    }
}

/// What became of the requests of one call, in their order.
pub(super) type Outcomes<A> = Vec<Result<A, StoreError>>;

/// Requests of which one call carries out many, each with an outcome of its own.
#[async_trait]
pub(super) trait Joined: Send + Sync {
    type Request: Send + Sync;
    type Answer: Send;

    /// Carries out requests, all or none.
    async fn call(&self, requests: &[&Self::Request]) -> Result<Outcomes<Self::Answer>, StoreError>;
}

/// Carries out requests together, or one by one where that fails: whatever the database does not like about one of them
/// is no business of the others.
pub(super) async fn join<J: Joined>(joined: &J, requests: &[&J::Request]) -> Outcomes<J::Answer> {
    match joined.call(requests).await {
        Ok(outcomes) => outcomes,
        Err(error) if requests.len() > 1 && !error.is_passing() => {
            let mut outcomes = Vec::with_capacity(requests.len());
            for request in requests {
                outcomes.push(joined.call(&[request]).await.and_then(only));
            }
            outcomes
        }
        Err(error) => error.copies().take(requests.len()).map(Err).collect(),
    }
}

/// The outcome of the only request.
pub(super) fn only<A>(outcomes: Outcomes<A>) -> Result<A, StoreError> {
    let missing = || StoreError::Corrupt("a call had no outcome".to_owned());
    outcomes.into_iter().next().ok_or_else(missing)?
}

/// The calls of one kind of this process.
pub(super) struct Batches<B: Batch> {
    shared: Arc<Shared<B>>,
}

struct Shared<B: Batch> {
    batch: B,
    line: Mutex<Line<B>>,
}

struct Line<B: Batch> {
    waiting: VecDeque<Asked<B>>,
    /// Whether somebody takes care of those who wait.
    served: bool,
}

impl<B: Batch> Batches<B> {
    pub(super) fn new(batch: B) -> Self {
        let line = Mutex::new(Line { waiting: VecDeque::new(), served: false });
        Self { shared: Arc::new(Shared { batch, line }) }
    }

    /// Carries out a request, perhaps together with others.
    pub(super) async fn call(&self, request: B::Request) -> Result<B::Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        let starts = {
            let mut line = self.shared.line();
            line.waiting.push_back(Asked { request, reply });
            !std::mem::replace(&mut line.served, true)
        };
        if starts {
            let turn = Turn { shared: Arc::clone(&self.shared), over: false };
            tokio::spawn(run_until_empty(turn));
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::unavailable("the store is closing")))
    }
}

impl<B: Batch> Shared<B> {
    fn line(&self) -> MutexGuard<'_, Line<B>> {
        self.line.lock().expect("never poisoned: no code panics while holding it")
    }

    /// The oldest request and those that join it. None when nobody waits: the turn is over, which the same lock
    /// tells those who come next.
    fn take(&self) -> Vec<Asked<B>> {
        let mut line = self.line();
        line.waiting.retain(|asked| !asked.reply.is_closed());
        let mut taken = Vec::new();
        let mut bytes = 0;
        let mut rest = VecDeque::with_capacity(line.waiting.len());
        for asked in std::mem::take(&mut line.waiting) {
            let fits = taken.len() < MAX_REQUESTS && bytes < MAX_BYTES;
            if fits && B::joins(&taken, &asked.request) {
                bytes += B::size_bytes(&asked.request);
                taken.push(asked);
            } else {
                rest.push_back(asked);
            }
        }
        line.waiting = rest;
        line.served = !taken.is_empty();
        taken
    }
}

/// Takes care of those who wait until nobody does. Cut off, it takes them along: they learn of it at once.
struct Turn<B: Batch> {
    shared: Arc<Shared<B>>,
    over: bool,
}

impl<B: Batch> Drop for Turn<B> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut line = self.shared.line();
        line.served = false;
        line.waiting.clear();
    }
}

async fn run_until_empty<B: Batch>(mut turn: Turn<B>) {
    loop {
        // Tasks that are about to ask get to it first. Nobody else is there: this takes no time.
        tokio::task::yield_now().await;
        let taken = turn.shared.take();
        if taken.is_empty() {
            turn.over = true;
            return;
        }
        turn.shared.batch.run(taken).await;
    }
}
