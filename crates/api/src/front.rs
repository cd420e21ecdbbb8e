//! The layer before all others: answers that are in memory, and what everybody else does for them.
//!
//! Such an answer is ready in a microsecond, so nothing is built for it that only other answers need: no span without a line in the
//! log, no box around each layer. Whatever the layers behind it did to the answer is kept with it. Its number and the metrics are
//! added as they would be behind.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::response::Response;
use futures::future::{BoxFuture, Either, Ready, ready};
use tokio::time::timeout;
use tower::util::Oneshot;
use tower::{Layer, Service, ServiceExt as _};

use crate::public::remembered::{Answer, Question, Turn};
use crate::state::ApiState;
use crate::trace;

/// Longest wait for an answer that somebody else makes.
const PATIENCE: Duration = Duration::from_millis(100);

/// Makes a [`Front`].
#[derive(Clone)]
pub(crate) struct FrontLayer {
    state: Arc<ApiState>,
}

impl FrontLayer {
    pub(crate) fn new(state: Arc<ApiState>) -> Self {
        Self { state }
    }
}

impl<S> Layer<S> for FrontLayer {
    type Service = Front<S>;

    fn layer(&self, inner: S) -> Front<S> {
        Front { state: Arc::clone(&self.state), inner: Arc::new(inner) }
    }
}

/// Answers from memory, or lets the layers behind it answer.
pub(crate) struct Front<S> {
    state: Arc<ApiState>,
    /// A clone of it copies every layer; one of this does not.
    inner: Arc<S>,
}

impl<S> Clone for Front<S> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), inner: Arc::clone(&self.inner) }
    }
}

type Answered = Result<Response, Infallible>;

impl<S> Service<Request> for Front<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Answered>, Either<Oneshot<S, Request>, BoxFuture<'static, Answered>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Each request goes to a clone of its own, which is waited for.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Some(question) = Question::of(&self.state, &request) else {
            return Either::Right(Either::Left(self.behind(request)));
        };
        let changes = self.state.services.store.known_changes();
        if let Some(answer) = changes.and_then(|changes| self.state.remembered.get(&question, changes)) {
            return Either::Left(ready(Ok(known(&self.state, &request, &answer, question.asked))));
        }
        Either::Right(Either::Right(Box::pin(self.clone().ask(request, question, changes))))
    }
}

impl<S> Front<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    fn behind(&self, request: Request) -> Oneshot<S, Request> {
        S::clone(&self.inner).oneshot(request)
    }

    /// The answer to a question that is not known, or was not a moment ago.
    async fn ask(self, request: Request, mut question: Question, changes: Option<u64>) -> Answered {
        let (store, remembered) = (&self.state.services.store, &self.state.remembered);
        let changes = match changes {
            Some(changes) => Some(changes),
            None => store.changes().await,
        };
        let Some(changes) = changes else {
            remembered.missed();
            return self.behind(request).await;
        };
        let (asked, mut has_waited) = (question.asked, false);
        loop {
            match remembered.turn(question, changes, has_waited) {
                Turn::Known(answer) => return Ok(known(&self.state, &request, &answer, asked)),
                Turn::Make(making) => {
                    let path = request.uri().path().to_owned();
                    let response = self.behind(request).await?;
                    let successes = || self.state.metrics.successes("GET", &path);
                    return Ok(remembered.keep(making, response, successes).await);
                }
                Turn::Wait(again, done) => {
                    // Not for ever: what holds up one may not hold up all.
                    let _ = timeout(PATIENCE, done.cancelled()).await;
                    (question, has_waited) = (again, true);
                }
            }
        }
    }
}

/// An answer from memory, with what is of this request, and counted.
fn known(state: &ApiState, request: &Request, answer: &Answer, asked: Instant) -> Response {
    let mut response = answer.response();
    trace::follow_at_once(state, request, &mut response, asked);
    answer.successes.count(asked.elapsed().as_secs_f64());
    response
}
