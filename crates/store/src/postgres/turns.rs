//! Ends jobs and claims the next ones: whatever is asked at the same moment in one call and one transaction.
//!
//! Only one call runs at a time: while it does, the requests for the next gather. Two at a time would be smaller ones, and
//! the fixed cost of a call is more than that of two jobs in it.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use belvedere_domain::job::ClaimedJob;

use super::batches::{Asked, Batch, Joined, Outcomes, join};
use super::database::Database;
use super::ends::End;
use super::wakeups::Wakeups;
use crate::{ClaimRequest, Finished, StoreError};

/// A job to end, a request for another one, or both.
pub(super) struct Turn {
    pub(super) end: Option<End>,
    pub(super) claim: Option<ClaimRequest>,
}

/// What became of the parts of a turn; `None` for what it did not ask.
pub(super) struct Outcome {
    pub(super) finished: Option<Result<Finished, StoreError>>,
    pub(super) claimed: Option<Result<Option<ClaimedJob>, StoreError>>,
}

pub(super) struct Turns {
    pub(super) database: Database,
    pub(super) wakeups: Arc<Wakeups>,
}

#[async_trait]
impl Batch for Turns {
    type Request = Turn;
    type Answer = Outcome;

    fn joins(taken: &[Asked<Self>], request: &Turn) -> bool {
        let ends = taken.iter().filter_map(|asked| asked.request.end.as_ref());
        let claim = taken.iter().find_map(|asked| asked.request.claim.as_ref());
        request.end.as_ref().is_none_or(|end| end.joins(ends))
            && claim.zip(request.claim.as_ref()).is_none_or(|(one, other)| one == other)
    }

    fn size_bytes(turn: &Turn) -> usize {
        turn.end.as_ref().map_or(0, End::size_bytes)
    }

    async fn run(&self, asked: Vec<Asked<Self>>) {
        let ends: Vec<&End> = asked.iter().filter_map(|asked| asked.request.end.as_ref()).collect();
        let claims = asked.iter().filter_map(|asked| asked.request.claim.as_ref());
        let wanted = claims.clone().count();
        let (finished, claimed) = self.take(&ends, claims.clone().next().map(|request| (request, wanted))).await;
        let has_children = ends.iter().any(|end| !end.completion.children.is_empty());
        let ended = !ends.is_empty();
        self.hand_out(asked, finished, claimed).await;
        // A finished job frees a place; only new ones are worth waking other machines for.
        if has_children {
            self.wakeups.wake_all();
        } else if ended {
            self.wakeups.wake_here();
        }
    }
}

#[async_trait]
impl Joined for Turns {
    type Request = End;
    type Answer = Finished;

    async fn call(&self, ends: &[&End]) -> Result<Outcomes<Finished>, StoreError> {
        self.database.end(ends, true).await
    }
}

impl Turns {
    /// Ends jobs and claims up to so many, in one call; in several where something is wrong with one of them.
    async fn take(
        &self,
        ends: &[&End],
        claim: Option<(&ClaimRequest, usize)>,
    ) -> (Outcomes<Finished>, Result<Vec<ClaimedJob>, StoreError>) {
        let Some((request, count)) = claim else { return (join(self, ends).await, Ok(Vec::new())) };
        if ends.is_empty() {
            return (Vec::new(), self.database.claim(request, count).await);
        }
        match self.database.end_and_claim(ends, request, count).await {
            Ok((finished, claimed)) => (finished, Ok(claimed)),
            Err(error) if error.is_passing() => {
                let mut errors = error.copies();
                (errors.by_ref().take(ends.len()).map(Err).collect(), errors.next().map_or(Ok(Vec::new()), Err))
            }
            Err(_) => (join(self, ends).await, self.database.claim(request, count).await),
        }
    }

    /// Answers everybody. A job that nobody waits for any more goes to the next who asked, or back to the queue.
    async fn hand_out(
        &self,
        asked: Vec<Asked<Self>>,
        finished: Outcomes<Finished>,
        claimed: Result<Vec<ClaimedJob>, StoreError>,
    ) {
        let mut finished = finished.into_iter();
        let (mut jobs, mut errors) = match claimed {
            Ok(jobs) => (VecDeque::from(jobs), None),
            Err(error) => (VecDeque::new(), Some(error.copies())),
        };
        for asked in asked {
            let finished = asked.request.end.as_ref().and_then(|_| finished.next());
            let claimed = asked.request.claim.as_ref().map(|_| match errors.as_mut().and_then(Iterator::next) {
                Some(error) => Err(error),
                None => Ok(jobs.pop_front()),
            });
            // What is stored is stored, whether somebody waits to hear it or not.
            if let Err(Ok(Outcome { claimed: Some(Ok(Some(job))), .. })) =
                asked.answer(Ok(Outcome { finished, claimed }))
            {
                jobs.push_front(job);
            }
        }
        for job in jobs {
            if let Err(error) = self.database.release(&job.lease, 0.0, false).await {
                tracing::warn!(
                    job.id = job.lease.job.0,
                    error = &error as &dyn std::error::Error,
                    "a job whose asker is gone waits for its lease to run out"
                );
            }
            self.wakeups.wake_all();
        }
    }
}
