//! Jobs to be queued, as the parallel arrays that the database takes.

use belvedere_domain::NewJob;
use tokio_postgres::types::ToSql;

use crate::codec::{config_text, split_text};

/// The first ten arguments of `enqueue_jobs`.
#[derive(Default)]
pub(super) struct JobColumns<'a> {
    steps: Vec<&'a str>,
    datasets: Vec<&'a str>,
    namespaces: Vec<&'a str>,
    revisions: Vec<&'a str>,
    configs: Vec<&'a str>,
    splits: Vec<&'a str>,
    priorities: Vec<i64>,
    difficulties: Vec<i64>,
    forced: Vec<bool>,
    coalesced: Vec<bool>,
}

impl<'a> JobColumns<'a> {
    pub(super) fn of(jobs: impl IntoIterator<Item = &'a NewJob>) -> Self {
        let mut columns = Self::default();
        for job in jobs {
            columns.steps.push(job.key.step.as_str());
            columns.datasets.push(job.key.dataset.as_str());
            columns.namespaces.push(job.key.dataset.namespace());
            columns.revisions.push(job.revision.as_str());
            columns.configs.push(config_text(&job.key));
            columns.splits.push(split_text(&job.key));
            columns.priorities.push(i64::from(job.priority.rank()));
            columns.difficulties.push(i64::from(job.difficulty.get()));
            columns.forced.push(job.forced);
            columns.coalesced.push(job.coalesce);
        }
        columns
    }

    /// In the order of the arguments.
    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 10] {
        let Self {
            steps,
            datasets,
            namespaces,
            revisions,
            configs,
            splits,
            priorities,
            difficulties,
            forced,
            coalesced,
        } = self;
        [steps, datasets, namespaces, revisions, configs, splits, priorities, difficulties, forced, coalesced]
    }
}
