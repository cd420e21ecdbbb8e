//! One artifact computed here and now, with all that leads to it, and nothing else: to see for oneself how a job ends.
//!
//! The store is a fresh one of the caller's. A single job stands in its queue; the views that lead to the artifact are
//! saved on its lease, so that nothing of what they would trigger is queued.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use belvedere_domain::job::{ClaimedJob, Difficulty, JobRecord};
use belvedere_domain::plan::Plan;
use belvedere_domain::{
    ArtifactKey, ConfigName, Graph, Level, NewJob, Priority, Revision, SplitName, Step, StepName, View,
};
use belvedere_store::{ClaimRequest, Completion, NewView, StoreError, TargetChange, ViewContent};
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::run::{Attempt, attempt};
use crate::content::{ConfigNames, SplitNames};
use crate::job::ok_content;
use crate::meter::{Meter, Usage};

/// Longer than any rehearsal: nobody else is there to take the job.
const LEASE_SECONDS: f64 = 30.0 * 86_400.0;

/// What came of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Rehearsal {
    /// What the job would have stored; `None`: nothing, since the artifact does not belong to the revision.
    pub view: Option<View>,
    /// How long the step itself took.
    pub time: Duration,
    /// What it used meanwhile.
    pub usage: Usage,
    /// Number of artifacts that were computed before it.
    pub prerequisites: usize,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This build has no such step.
    #[error("there is no step `{0}`")]
    UnknownStep(StepName),
    /// The files changed meanwhile.
    #[error("the files of the dataset changed while {0} was computed")]
    Changed(ArtifactKey),
    /// Somebody else works on the store.
    #[error("the job for {0} was taken by somebody else")]
    Taken(ArtifactKey),
}

/// How much of a dataset is needed of a step: the split of the target, its config, or everything.
type Scope = Level;

impl Worker {
    /// Computes an artifact whatever is stored, after everything that leads to it. The store must be one that nobody
    /// else works on; it holds the views that led to the artifact afterwards, but not the artifact.
    ///
    /// # Errors
    /// [`RehearsalError`]. What is wrong with the dataset is no error but the view.
    pub async fn rehearse(&self, key: ArtifactKey, revision: &Revision) -> Result<Rehearsal, RehearsalError> {
        let graph = self.services.graph.clone();
        let step = graph.step(&key.step).ok_or_else(|| RehearsalError::UnknownStep(key.step.clone()))?;
        let job = self.only_job(step, &key, revision).await?;
        let mut prerequisites = 0;
        for (parent, scope) in needed(&graph, step) {
            for artifact in self.artifacts(parent, scope, &key, revision).await? {
                tracing::info!(step = parent.name, "computing first: {artifact}");
                let job = ClaimedJob {
                    record: JobRecord { key: artifact, forced: false, ..job.record.clone() },
                    ..job.clone()
                };
                if let (Some(views), ..) = self.computed(parent, &job).await? {
                    for view in views {
                        self.keep(&job, view).await?;
                    }
                }
                prerequisites += 1;
            }
        }
        let started = Instant::now();
        tracing::info!("computing {key}");
        let (views, meter) = self.computed(step, &job).await?;
        let time = started.elapsed();
        let own = views.into_iter().flatten().find(|view| view.key == key);
        let view = match own.map(|view| (view.digest, view.content)) {
            Some((_, ViewContent::Computed(view))) => Some(view),
            Some((digest, ViewContent::Reused)) => {
                self.services.store.views.by_digest(&digest).await?.map(|stored| stored.view)
            }
            None => None,
        };
        self.services.store.queue.finish(&job.lease, Completion::default()).await?;
        Ok(Rehearsal { view, time, usage: meter.usage(), prerequisites })
    }

    /// The one job of the store, claimed.
    async fn only_job(
        &self,
        step: &Step,
        key: &ArtifactKey,
        revision: &Revision,
    ) -> Result<ClaimedJob, RehearsalError> {
        let queue = &self.services.store.queue;
        let job = NewJob {
            key: key.clone(),
            revision: revision.clone(),
            priority: Priority::High,
            difficulty: Difficulty::new(step.difficulty),
            forced: true,
            coalesce: false,
        };
        let plan = Plan { create: vec![job], ..Plan::default() };
        queue.set_target(TargetChange { dataset: key.dataset.clone(), revision: revision.clone(), plan }).await?;
        let request = ClaimRequest {
            owner: self.owner.to_string(),
            only: vec![key.step.clone()],
            lease_seconds: LEASE_SECONDS,
            ..ClaimRequest::default()
        };
        let claimed = queue.claim(&request).await?.filter(|job| job.record.key == *key);
        let mut job = claimed.ok_or_else(|| RehearsalError::Taken(key.clone()))?;
        // The last attempt: what failed for reasons of the machine is shown instead of tried again.
        job.record.attempt = self.settings().max_attempts;
        Ok(job)
    }

    /// The views that a job gives, with what it used; `None`: it gives none.
    async fn computed(&self, step: &Step, job: &ClaimedJob) -> Result<(Option<Vec<NewView>>, Meter), RehearsalError> {
        loop {
            let meter = Meter::default();
            match attempt(self, step, job, &CancellationToken::new(), &meter).await {
                Some(Attempt::Views(views) | Attempt::Remade(views)) => return Ok((Some(views), meter)),
                Some(Attempt::Retry { delay_seconds, reason, .. }) => {
                    tracing::info!(delay_seconds, "waiting: {reason}");
                    tokio::time::sleep(Duration::from_secs_f64(delay_seconds.clamp(0.05, 5.0))).await;
                }
                Some(Attempt::RevisionGone) => return Err(RehearsalError::Changed(job.record.key.clone())),
                Some(Attempt::Nothing | Attempt::Abandoned) | None => return Ok((None, meter)),
            }
        }
    }

    async fn keep(&self, job: &ClaimedJob, view: NewView) -> Result<(), RehearsalError> {
        match self.services.store.queue.save(&job.lease, view).await? {
            true => Ok(()),
            false => Err(RehearsalError::Taken(job.record.key.clone())),
        }
    }

    /// The artifacts of a step, as far as they are needed, by the names that were computed before.
    async fn artifacts(
        &self,
        step: &Step,
        scope: Scope,
        key: &ArtifactKey,
        revision: &Revision,
    ) -> Result<Vec<ArtifactKey>, RehearsalError> {
        let name = step.step_name();
        if step.level <= scope {
            return Ok(vec![key.at(name, step.level)]);
        }
        let configs: Vec<ConfigName> = match (scope, &key.config) {
            (Level::Config | Level::Split, Some(config)) => vec![config.clone()],
            _ => {
                let names = key.at(StepName::known("dataset-config-names"), Level::Dataset);
                let names: Option<ConfigNames> = self.stored(names, revision).await?;
                names.into_iter().flat_map(|names| names.config_names).map(|item| item.config).collect()
            }
        };
        let mut artifacts = Vec::new();
        for config in configs {
            let at_config = ArtifactKey::config(name.clone(), key.dataset.clone(), config);
            if step.level == Level::Config {
                artifacts.push(at_config);
                continue;
            }
            let names = at_config.at(StepName::known("config-split-names"), Level::Config);
            let names: Option<SplitNames> = self.stored(names, revision).await?;
            let splits: Vec<SplitName> =
                names.into_iter().flat_map(|names| names.splits).map(|item| item.split).collect();
            artifacts.extend(splits.into_iter().map(|split| ArtifactKey { split: Some(split), ..at_config.clone() }));
        }
        Ok(artifacts)
    }

    async fn stored<T: serde::de::DeserializeOwned>(
        &self,
        key: ArtifactKey,
        revision: &Revision,
    ) -> Result<Option<T>, RehearsalError> {
        let found = self.services.store.views.at_revision(&[key], revision).await?;
        Ok(ok_content(found.first().and_then(Option::as_ref)))
    }
}

/// The steps that lead to a step, parents first, and how much of the dataset is needed of each.
fn needed<'g>(graph: &'g Graph, step: &Step) -> Vec<(&'g Step, Scope)> {
    let mut scopes: BTreeMap<&str, Scope> = BTreeMap::from([(step.name, step.level)]);
    if step.level != Level::Dataset {
        // Every job of a config or split looks first whether that exists.
        scopes.insert("dataset-config-names", Level::Dataset);
        scopes.insert("config-split-names", Level::Config);
    }
    for step in graph.steps().iter().rev() {
        let Some(scope) = scopes.get(step.name).copied() else { continue };
        for parent in step.triggered_by {
            // What is joined into one artifact of this step is needed as a whole.
            let wanted = scope.min(step.level);
            scopes.entry(parent).and_modify(|known| *known = (*known).min(wanted)).or_insert(wanted);
        }
    }
    scopes.remove(step.name);
    graph.steps().iter().filter_map(|step| Some((step, *scopes.get(step.name)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    fn lines(step: &'static str) -> Vec<String> {
        let graph = Registry::new().unwrap().graph();
        let step = graph.step(&StepName::known(step)).unwrap();
        needed(&graph, step).iter().map(|(step, scope)| format!("{} of the {scope:?}", step.name)).collect()
    }

    #[test]
    fn a_split_needs_its_own_branch_only() {
        insta::assert_snapshot!(lines("split-descriptive-statistics").join("\n"), @r"
        dataset-init of the Dataset
        dataset-config-names of the Dataset
        config-parquet-and-info of the Config
        config-parquet of the Config
        config-info of the Config
        config-split-names of the Config
        config-parquet-metadata of the Split
        ");
    }

    #[test]
    fn what_joins_configs_needs_all_of_them() {
        insta::assert_snapshot!(lines("dataset-size").join("\n"), @r"
        dataset-init of the Dataset
        dataset-config-names of the Dataset
        config-parquet-and-info of the Dataset
        config-size of the Dataset
        ");
    }
}
