//! Ends jobs: all that end at the same moment in one transaction, each with an outcome of its own.

use std::sync::Arc;

use async_trait::async_trait;
use belvedere_domain::{Lease, NewJob, StepName};

use super::batches::{Asked, Batch, Joined, Outcomes, run_joined};
use super::database::Database;
use super::get;
use super::queue::{as_json, job_json};
use super::views::Columns;
use super::wakeups::Wakeups;
use crate::codec::microseconds;
use crate::{Completion, Finished, NewView, RateLimit, StoreError, ViewContent};

const END: &str = include_str!("sql/end.sql");

/// What one job leaves behind.
pub(super) struct End {
    pub(super) lease: Lease,
    pub(super) completion: Completion,
}

pub(super) struct Ends {
    pub(super) database: Database,
    pub(super) wakeups: Arc<Wakeups>,
}

#[async_trait]
impl Batch for Ends {
    type Request = End;
    type Answer = Finished;

    fn agree(one: &End, other: &End) -> bool {
        let (one, other) = (&one.completion, &other.completion);
        one.rate_limit == other.rate_limit
            && one.coalesce_seconds.total_cmp(&other.coalesce_seconds).is_eq()
            && one.answer_set == other.answer_set
    }

    fn size_bytes(end: &End) -> usize {
        end.completion.views.iter().map(size_of_view).sum()
    }

    async fn run(&self, asked: Vec<Asked<Self>>) {
        let has_children = asked.iter().any(|asked| !asked.request.completion.children.is_empty());
        run_joined(self, asked).await;
        // A finished job frees a place; only new ones are worth waking other machines for.
        if has_children {
            self.wakeups.wake_all();
        } else {
            self.wakeups.wake_here();
        }
    }
}

#[async_trait]
impl Joined for Ends {
    async fn call(&self, ends: &[&End]) -> Result<Outcomes<Finished>, StoreError> {
        self.database.end(ends, true).await
    }
}

impl Database {
    /// Ends jobs whose completions agree, in one transaction. With `ends` false they go on, and only their views are stored.
    pub(super) async fn end(&self, asked: &[&End], ends: bool) -> Result<Outcomes<Finished>, StoreError> {
        let Some(first) = asked.first() else { return Ok(Vec::new()) };
        let jobs: Vec<i64> = asked.iter().map(|end| end.lease.job.0).collect();
        let tokens: Vec<i64> = asked.iter().map(|end| end.lease.token).collect();
        let ran: Vec<Option<i64>> = asked.iter().map(|end| end.completion.ran_seconds.map(microseconds)).collect();
        let views = Columns::of(asked.iter().map(|end| end.completion.views.as_slice()));
        let children = children(asked);
        let Completion { answer_set, rate_limit, coalesce_seconds, .. } = &first.completion;
        let answers: Vec<&str> = answer_set.iter().map(StepName::as_str).collect();
        let distance = microseconds(*coalesce_seconds).max(0);
        let window = rate_limit.map(|limit| microseconds(limit.window_seconds));
        let RateLimit { budget_seconds, minimum_seconds, penalty_seconds, .. } = rate_limit.unwrap_or_default();
        let penalty = microseconds(penalty_seconds);
        let row = self
            .write_one(
                "finish a job",
                END,
                &[
                    &ran,
                    &jobs,
                    &tokens,
                    &ends,
                    &views.jobs,
                    &views.steps,
                    &views.configs,
                    &views.splits,
                    &views.digests,
                    &views.versions,
                    &views.statuses,
                    &views.codes,
                    &views.progress,
                    &views.internals,
                    &views.details,
                    &views.contents,
                    &children,
                    &answers,
                    &distance,
                    &window,
                    &budget_seconds,
                    &minimum_seconds,
                    &penalty,
                ],
            )
            .await?;
        let (outcomes, notes): (Vec<i64>, Vec<Option<String>>) = (get(&row, 0)?, get(&row, 1)?);
        Ok(outcomes.into_iter().zip(notes).map(|(outcome, note)| read(outcome, note)).collect())
    }
}

fn read(outcome: i64, note: Option<String>) -> Result<Finished, StoreError> {
    match outcome {
        0 => Ok(Finished::LeaseLost),
        1 => Ok(Finished::Saved { served: note.map(crate::codec::revision).transpose()? }),
        2 => Ok(Finished::Superseded),
        _ => Err(StoreError::ViewGone(note.unwrap_or_default())),
    }
}

/// The children of all, each with the place of the job that it belongs to; `None` when there are none.
fn children(asked: &[&End]) -> Option<String> {
    let of = |(place, end): (usize, &&End)| {
        let child = move |child: &NewJob| {
            let mut json = job_json(child);
            json["parent"] = (place + 1).into();
            json
        };
        end.completion.children.iter().map(child).collect::<Vec<_>>()
    };
    let children: Vec<_> = asked.iter().enumerate().flat_map(of).collect();
    (!children.is_empty()).then(|| as_json(children))
}

fn size_of_view(view: &NewView) -> usize {
    match &view.content {
        ViewContent::Computed(view) => {
            view.content.as_str().len() + view.details.as_str().len() + view.internal.as_str().len()
        }
        ViewContent::Reused => 0,
    }
}
