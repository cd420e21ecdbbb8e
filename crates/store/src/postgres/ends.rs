//! Ends of jobs: several in one transaction, each with an outcome of its own.

use belvedere_domain::job::ClaimedJob;
use belvedere_domain::{Lease, NewJob, StepName};
use tokio_postgres::types::ToSql;

use super::batches::Outcomes;
use super::claims::ClaimArguments;
use super::database::Database;
use super::jobs::JobColumns;
use super::views::ViewColumns;
use super::{get, row};
use crate::codec::microseconds;
use crate::{ClaimRequest, Completion, Finished, NewView, RateLimit, StoreError, ViewContent};

const END: &str = include_str!("sql/end.sql");
const END_AND_CLAIM: &str = concat!(
    "SELECT ",
    include_str!("../sql/job_columns.sql"),
    ", turn.outcomes, turn.notes ",
    include_str!("sql/end_and_claim.sql")
);
/// Where the outcomes stand in [`END_AND_CLAIM`].
const OUTCOMES: usize = 17;
/// Views of one call: the database compares each with each.
const MAX_VIEWS: usize = 64;

/// What one job leaves behind.
pub(super) struct End {
    pub(super) lease: Lease,
    pub(super) completion: Completion,
}

impl End {
    /// With no two views of an artifact, and no two contents of a digest: the last ones count.
    pub(super) fn new(lease: Lease, mut completion: Completion) -> Self {
        let views = std::mem::take(&mut completion.views);
        for (index, view) in views.iter().enumerate() {
            if views[index + 1..].iter().any(|later| later.key == view.key) {
                continue;
            }
            let same = views[index..].iter().rev().find(|other| other.digest == view.digest && is_computed(other));
            let is_stored_here =
                completion.views.iter().any(|before| before.digest == view.digest && is_computed(before));
            let content = match same {
                Some(same) if !is_stored_here => same.content.clone(),
                _ => ViewContent::Reused,
            };
            completion.views.push(NewView { content, ..view.clone() });
        }
        Self { lease, completion }
    }

    /// Whether this one may go in one call with others: what holds for all of a call is the same, and no two of them
    /// write one artifact or the view of one digest.
    pub(super) fn joins<'a>(&self, others: impl Iterator<Item = &'a Self> + Clone) -> bool {
        let mut count = self.completion.views.len();
        others.clone().all(|other| {
            let (one, other) = (&self.completion, &other.completion);
            count += other.views.len();
            let meets = |view: &NewView| {
                other.views.iter().any(|other| {
                    view.key == other.key || view.digest == other.digest && (is_computed(view) || is_computed(other))
                })
            };
            count <= MAX_VIEWS
                && one.rate_limit == other.rate_limit
                && one.coalesce_seconds.total_cmp(&other.coalesce_seconds).is_eq()
                && one.answer_set == other.answer_set
                && !one.views.iter().any(meets)
        })
    }

    /// Roughly how many bytes it sends.
    pub(super) fn size_bytes(&self) -> usize {
        self.completion.views.iter().map(size_of_view).sum()
    }
}

fn is_computed(view: &NewView) -> bool {
    matches!(view.content, ViewContent::Computed(_))
}

impl Database {
    /// Ends jobs that may go in one call. With `ends` false they go on, and only their views are stored.
    pub(super) async fn end(&self, asked: &[&End], ends: bool) -> Result<Outcomes<Finished>, StoreError> {
        let Some(arguments) = EndArguments::of(asked, ends) else { return Ok(Vec::new()) };
        let row = self.write_one("finish a job", END, &arguments.params()).await?;
        arguments.outcomes(get(&row, 0)?, get(&row, 1)?)
    }

    /// Ends jobs that may go in one call, and claims up to so many.
    pub(super) async fn end_and_claim(
        &self,
        asked: &[&End],
        request: &ClaimRequest,
        count: usize,
    ) -> Result<(Outcomes<Finished>, Vec<ClaimedJob>), StoreError> {
        let claim = ClaimArguments::of(request, count);
        let Some(end) = EndArguments::of(asked, true) else {
            return Ok((Vec::new(), self.claim(request, count).await?));
        };
        let params: Vec<_> = end.params().into_iter().chain(claim.params()).collect();
        let rows = self.write("finish a job and claim the next", END_AND_CLAIM, &params).await?;
        // One row per job claimed; without any, one row without a job.
        let first = rows.first().ok_or_else(|| StoreError::Corrupt("a statement returned no row".to_owned()))?;
        let finished = end.outcomes(get(first, OUTCOMES)?, get(first, OUTCOMES + 1)?)?;
        let mut claimed = Vec::with_capacity(rows.len());
        for found in &rows {
            if get::<Option<i64>>(found, 0)?.is_some() {
                claimed.push(row::job(found)?.decode_claimed()?);
            }
        }
        Ok((finished, claimed))
    }
}

/// The arguments of `end_jobs`.
struct EndArguments<'a> {
    /// Where the jobs stand among those asked for: the database takes them in the order of their ids.
    order: Vec<usize>,
    jobs: Vec<i64>,
    tokens: Vec<i64>,
    ran: Vec<Option<i64>>,
    ends: bool,
    views: ViewColumns<'a>,
    parents: Vec<i64>,
    children: JobColumns<'a>,
    answer_set: Vec<&'a str>,
    distance: i64,
    window: Option<i64>,
    budget: f64,
    minimum: f64,
    penalty: i64,
}

impl<'a> EndArguments<'a> {
    /// `None` when nothing is asked.
    fn of(asked: &[&'a End], ends: bool) -> Option<Self> {
        let mut order: Vec<usize> = (0..asked.len()).collect();
        order.sort_by_key(|index| asked[*index].lease.job);
        let sorted: Vec<&'a End> = order.iter().map(|index| asked[*index]).collect();
        let Completion { answer_set, rate_limit, coalesce_seconds, .. } = &sorted.first()?.completion;
        let RateLimit { budget_seconds, minimum_seconds, penalty_seconds, .. } = rate_limit.unwrap_or_default();
        let children = || {
            (1_i64..)
                .zip(&sorted)
                .flat_map(|(place, end)| end.completion.children.iter().map(move |child: &'a NewJob| (place, child)))
        };
        Some(Self {
            jobs: sorted.iter().map(|end| end.lease.job.0).collect(),
            tokens: sorted.iter().map(|end| end.lease.token).collect(),
            ran: sorted.iter().map(|end| end.completion.ran_seconds.map(microseconds)).collect(),
            ends,
            views: ViewColumns::of(sorted.iter().map(|end| end.completion.views.as_slice())),
            parents: children().map(|(place, _)| place).collect(),
            children: JobColumns::of(children().map(|(_, child)| child)),
            answer_set: answer_set.iter().map(StepName::as_str).collect(),
            distance: microseconds(*coalesce_seconds).max(0),
            window: rate_limit.map(|limit| microseconds(limit.window_seconds)),
            budget: budget_seconds,
            minimum: minimum_seconds,
            penalty: microseconds(penalty_seconds),
            order,
        })
    }

    /// In their order.
    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        let Self { jobs, tokens, ran, ends, views, parents, children, answer_set, .. } = self;
        let Self { distance, window, budget, minimum, penalty, .. } = self;
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![jobs, tokens, ran, ends];
        params.extend(views.params());
        params.push(parents);
        params.extend(children.params());
        params.extend([answer_set as &(dyn ToSql + Sync), distance, window, budget, minimum, penalty]);
        params
    }

    /// What became of each, as they were asked for.
    fn outcomes(&self, outcomes: Vec<i64>, notes: Vec<Option<String>>) -> Result<Outcomes<Finished>, StoreError> {
        let mut found: Vec<_> = self.order.iter().zip(outcomes).zip(notes).collect();
        if found.len() != self.order.len() {
            return Err(StoreError::Corrupt("an end had no outcome".to_owned()));
        }
        found.sort_by_key(|((index, _), _)| **index);
        Ok(found.into_iter().map(|((_, outcome), note)| read(outcome, note)).collect())
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

fn size_of_view(view: &NewView) -> usize {
    match &view.content {
        ViewContent::Computed(view) => {
            view.content.as_str().len() + view.details.as_str().len() + view.internal.as_str().len()
        }
        ViewContent::Reused => 0,
    }
}
