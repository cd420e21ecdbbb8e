//! What operators ask of datasets: make them again, compute one artifact by force, repair what is missing or stale,
//! and look before that at what would be done.

use belvedere_domain::graph::BIG_BYTES;
use belvedere_domain::job::Difficulty;
use belvedere_domain::plan::{Plan, Scope, forced_job, plan};
use belvedere_domain::{ArtifactKey, DatasetName, ErrorCode, NewJob, Priority, Revision, Step, StepName};
use belvedere_store::Leftovers;
use serde_json::Value as Json;

use super::{Ensured, RefreshError, Refresher};
use crate::job::ok_content;

/// What a repair of a dataset would do.
#[derive(Clone, PartialEq, Debug)]
pub struct Preview {
    /// The revision it would work to.
    pub revision: Revision,
    /// The jobs it would queue and drop.
    pub plan: Plan,
}

/// What a repair of many datasets did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Datasets looked at.
    pub analyzed: usize,
    /// Those that were not to be shown any more, or unknown to the Hub.
    pub unsupported: usize,
    /// Those that could not be repaired; the log tells why.
    pub failed: usize,
}

impl Refresher {
    /// Deletes everything stored for a dataset, then queues it anew. What is not to be shown stays deleted. Running jobs
    /// go on; their results count if they are of the revision that is queued.
    ///
    /// # Errors
    /// [`RefreshError`] when the Hub or the store fails.
    pub async fn recreate(&self, dataset: &DatasetName, priority: Priority) -> Result<Ensured, RefreshError> {
        let dropped = self.services.store.datasets.delete(dataset).await?;
        self.drop_blobs(&dropped).await;
        tracing::info!(dataset.name = %dataset, "everything stored for the dataset was deleted, to be computed again");
        self.ensure_with(dataset, priority).await
    }

    /// Queues one artifact at the head revision, to be computed whatever is stored. Neither config nor split is checked:
    /// the job tells. `difficulty` is that of the step when it is `None`; big data adds to it.
    ///
    /// # Errors
    /// [`RefreshError`] when the Hub or the store fails.
    pub async fn force(
        &self,
        step: &Step,
        key: ArtifactKey,
        priority: Priority,
        difficulty: Option<u32>,
    ) -> Result<Ensured, RefreshError> {
        let dataset = key.dataset.clone();
        let Some(head) = self.services.files.hub().head(&dataset).await? else { return Ok(Ensured::Unknown) };
        if let Some(code) = self.unsupported(&dataset, &head) {
            return Ok(Ensured::Unsupported(code));
        }
        let row = self.services.store.datasets.get(&dataset).await?;
        if row.is_none_or(|row| row.target != head.revision) {
            // Results of a revision that is not the target would not be stored.
            self.update(&dataset, &head.revision, priority).await?;
        }
        let state = self.state(&dataset, &head.revision).await?;
        let bonus = if self.is_big(&key).await? { step.bonus_if_big } else { 0 };
        let job = NewJob {
            difficulty: Difficulty::new(difficulty.unwrap_or(step.difficulty).saturating_add(bonus)),
            ..forced_job(&self.services.graph, step, key, &state, priority)
        };
        self.services.store.queue.enqueue(vec![job]).await?;
        Ok(Ensured::Queued)
    }

    /// Queues what is missing or stale of a dataset, and forgets it if it is not to be shown any more.
    ///
    /// # Errors
    /// [`RefreshError`] when the Hub or the store fails.
    pub async fn repair(&self, dataset: &DatasetName, priority: Priority) -> Result<Ensured, RefreshError> {
        let done = self.ensure_with(dataset, priority).await?;
        if done == Ensured::Unknown && self.services.store.datasets.get(dataset).await?.is_some() {
            self.remove(dataset).await;
        }
        Ok(done)
    }

    /// What [`repair`](Self::repair) would do now; `None` for a dataset that it would not show.
    ///
    /// # Errors
    /// [`RefreshError`] when the Hub or the store fails.
    pub async fn preview(&self, dataset: &DatasetName) -> Result<Option<Preview>, RefreshError> {
        let head = self.services.files.hub().head(dataset).await?;
        let Some(head) = head.filter(|head| self.unsupported(dataset, head).is_none()) else { return Ok(None) };
        let row = self.services.store.datasets.get(dataset).await?;
        let same = row.is_some_and(|row| row.target == head.revision);
        let plan = self.plan_for(dataset, &head.revision, same, Priority::Low).await?;
        Ok(Some(Preview { revision: head.revision, plan }))
    }

    /// Repairs, with low priority, the datasets that are stored: all of them, or those with an error that may have passed.
    ///
    /// # Errors
    /// [`RefreshError`] when the datasets cannot be listed. One that cannot be repaired does not stop the others.
    pub async fn repair_all(&self, only_retryable: bool) -> Result<Swept, RefreshError> {
        let store = &self.services.store;
        let datasets = if only_retryable {
            let codes: Vec<&str> =
                ErrorCode::ALL.iter().filter(|code| code.max_failed_runs() > 0).map(|code| code.as_str()).collect();
            store.reports.datasets_with_errors(&codes).await?
        } else {
            store.datasets.list().await?.into_iter().map(|row| row.name).collect()
        };
        let mut swept = Swept { analyzed: datasets.len(), ..Swept::default() };
        for dataset in &datasets {
            match self.repair(dataset, Priority::Low).await {
                Ok(Ensured::Queued) => {}
                Ok(Ensured::Unknown | Ensured::Unsupported(_)) => swept.unsupported += 1,
                // Its files are being written; the folder watch comes back to it.
                Err(error) if error.is_busy() => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(dataset.name = %dataset, error, "the dataset could not be repaired");
                    swept.failed += 1;
                }
            }
        }
        Ok(swept)
    }

    /// Drops what is stored of revisions that are not kept any more, with its files: what the change of a target would have
    /// dropped, had it not failed or had the setting been the one of now. Returns the number of revisions.
    ///
    /// # Errors
    /// [`RefreshError`] when the store fails.
    pub async fn retire_all(&self) -> Result<usize, RefreshError> {
        let old = self.old_revisions().await?;
        let mut datasets: Vec<&DatasetName> = old.iter().map(|(dataset, _)| dataset).collect();
        datasets.dedup();
        for dataset in datasets {
            self.retire(dataset).await;
        }
        Ok(old.len())
    }

    /// The revisions that [`retire_all`](Self::retire_all) would drop now, by dataset.
    ///
    /// # Errors
    /// [`RefreshError`] when the store fails.
    pub async fn old_revisions(&self) -> Result<Vec<(DatasetName, Revision)>, RefreshError> {
        Ok(self.services.store.housekeeping.old_revisions(self.keep_revisions.saturating_add(2)).await?)
    }

    /// Waiting jobs and artifacts of steps that this build does not know: counted, or removed when `remove` is set.
    ///
    /// # Errors
    /// [`RefreshError`] when the store fails.
    pub async fn leftovers(&self, remove: bool) -> Result<Leftovers, RefreshError> {
        let known: Vec<StepName> = self.services.graph.steps().iter().map(Step::step_name).collect();
        let leftovers = self.services.store.reports.leftovers(&known, remove).await?;
        self.drop_blobs(&leftovers.dropped).await;
        Ok(leftovers)
    }

    /// The plan for a revision; `same`: it is the target already.
    pub(super) async fn plan_for(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        same: bool,
        priority: Priority,
    ) -> Result<Plan, RefreshError> {
        let state = self.state(dataset, revision).await?;
        // Without any view there is nothing to look through: the root starts the chain.
        let scope = if same && !state.rows.is_empty() { Scope::All } else { Scope::Roots };
        Ok(plan(&self.services.graph, &state, scope, priority))
    }

    /// Whether the config or split of a key holds so much data that its jobs count as harder. Unknown: no.
    async fn is_big(&self, key: &ArtifactKey) -> Result<bool, RefreshError> {
        let Some(config) = &key.config else { return Ok(false) };
        let info = ArtifactKey::config(StepName::known("config-info"), key.dataset.clone(), config.clone());
        let found = self.services.store.views.read(&info, None, 0.0).await?;
        let Some(info) = ok_content::<Json>(found.as_ref()) else { return Ok(false) };
        let bytes = match &key.split {
            None => &info["dataset_info"]["dataset_size"],
            Some(split) => &info["dataset_info"]["splits"][split.as_str()]["num_bytes"],
        };
        Ok(bytes.as_u64().is_some_and(|bytes| bytes >= BIG_BYTES))
    }
}
