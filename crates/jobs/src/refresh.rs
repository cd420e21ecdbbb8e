//! Keeps datasets up to date: a revision appears, a plan is made, jobs are queued.
//!
//! [`Refresher::run`] follows the Hub; [`Refresher::ensure`] serves the first request for a dataset that nobody
//! has planned yet. Both come to the same: read the state, plan, store the plan in one transaction.

pub(crate) mod harmless;
mod news;
mod operations;

use std::sync::Arc;
use std::time::Duration;

use belvedere_domain::plan::{DatasetState, KnownConfig, PendingJob};
use belvedere_domain::{ArtifactKey, DatasetName, ErrorCode, Priority, Revision, StepName};
use belvedere_hub::{Head, HubError, HubEvent, Origin};
use belvedere_store::{StoreError, TargetChange};
use tokio_util::sync::CancellationToken;

use crate::content::{ConfigNames, SplitNames};
use crate::context::Services;
use crate::files::prefixes_of;
use crate::job::ok_content;

/// Pause before the first look at what could not be recorded, and the longest one while that keeps failing.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a dataset could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Hub failed.
    #[error(transparent)]
    Hub(HubError),
}

impl From<HubError> for RefreshError {
    /// What the Hub remembers is in the store: its failures are the store's.
    fn from(error: HubError) -> Self {
        match error {
            HubError::Memory(source) => match source.downcast::<StoreError>() {
                Ok(error) => Self::Store(*error),
                Err(source) => Self::Hub(HubError::Memory(source)),
            },
            error => Self::Hub(error),
        }
    }
}

impl RefreshError {
    /// True while files are still being written; the Hub sends an event when they are done.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Hub(HubError::Busy(_)))
    }
}

pub use news::News;
pub use operations::{Preview, Swept};

/// What [`Refresher::ensure`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ensured {
    /// Its jobs are in the queue.
    Queued,
    /// The Hub has no such dataset.
    Unknown,
    /// The Hub has it, but it is not to be shown; the code says why. Nothing of it is kept.
    Unsupported(ErrorCode),
}

/// Tags of public datasets that today's reference refuses.
const ADULT_TAGS: [&str; 5] = ["not-for-all-audiences", "nsfw", "porn", "hentai", "inappropriate"];

/// Keeps datasets up to date.
pub struct Refresher {
    services: Arc<Services>,
    keep_revisions: u32,
}

impl Refresher {
    /// `keep_revisions`: how many earlier revisions stay readable besides the served and the target one.
    pub fn new(services: Arc<Services>, keep_revisions: u32) -> Self {
        Self { services, keep_revisions }
    }

    /// Brings every dataset of the Hub up to date, then follows its changes until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let mut events = self.services.files.hub().subscribe();
        let mut behind = !self.all().await;
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(event) => behind |= !self.follow(event).await,
                    // Events were lost, so anything may have changed.
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => behind |= !self.all().await,
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                },
                // The store or the Hub was away, and nobody will tell again what was not recorded then.
                () = tokio::time::sleep(pause), if behind => {
                    behind = !self.all().await;
                    pause = if behind { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
                }
                () = stop.cancelled() => return,
            }
        }
    }

    /// Brings every dataset of the Hub up to date, and forgets those that are gone. `false`: not all of it worked, and
    /// it should be done again.
    pub async fn all(&self) -> bool {
        let datasets = match self.services.files.hub().datasets().await {
            Ok(datasets) => datasets,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the Hub cannot list its datasets");
                return false;
            }
        };
        let mut done = true;
        for dataset in &datasets {
            if let Err(error) = self.ensure(dataset).await {
                if error.is_busy() {
                    // Files are still being written: the Hub tells when they are done.
                    tracing::debug!(dataset.name = %dataset, %error, "no plan yet");
                    continue;
                }
                tracing::error!(dataset.name = %dataset, error = &error as &dyn std::error::Error, "no plan could be made");
                done = false;
            }
        }
        match self.services.store.datasets.list().await {
            Ok(known) => {
                for row in known.iter().filter(|row| !datasets.contains(&row.name)) {
                    if self.is_gone(&row.name).await {
                        done &= self.remove(&row.name).await;
                    }
                }
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the datasets cannot be listed");
                done = false;
            }
        }
        done
    }

    /// Whether our folders have no such dataset, looked at now: their list may be older than what another server has added.
    /// A Hub elsewhere tells by itself what it removed.
    async fn is_gone(&self, dataset: &DatasetName) -> bool {
        let hub = self.services.files.hub();
        hub.origin(dataset) == Origin::Folders
            && hub.look(dataset).await.is_ok()
            && matches!(hub.head(dataset).await, Ok(None))
    }

    /// Reacts to one event of the Hub. `false`: it could not be recorded; [`all`](Self::all) makes up for it later.
    pub async fn follow(&self, event: HubEvent) -> bool {
        match event {
            HubEvent::Updated { dataset, revision, .. } => {
                tracing::info!(dataset.name = %dataset, %revision, "a new revision appeared");
                let planned = self.ensure(&dataset).await;
                if let Err(error) = &planned {
                    tracing::error!(dataset.name = %dataset, error = error as &dyn std::error::Error, "no plan could be made");
                }
                planned.is_ok()
            }
            HubEvent::Removed { dataset } => self.remove(&dataset).await,
            HubEvent::Scanning { .. } | HubEvent::Hashing { .. } => true,
        }
    }

    /// Plans the jobs of a dataset at its head revision, if it is to be shown.
    ///
    /// # Errors
    /// [`RefreshError`] when the Hub or the store fails.
    pub async fn ensure(&self, dataset: &DatasetName) -> Result<Ensured, RefreshError> {
        self.ensure_with(dataset, Priority::Normal).await
    }

    async fn ensure_with(&self, dataset: &DatasetName, priority: Priority) -> Result<Ensured, RefreshError> {
        let found = match self.services.files.hub().head(dataset).await {
            Ok(Some(head)) => self.unsupported(dataset, &head).map_or(Ok(head), Err),
            Ok(None) => return Ok(Ensured::Unknown),
            Err(HubError::Disabled(_)) => Err(ErrorCode::NotSupportedDisabledRepositoryError),
            Err(error) => return Err(error.into()),
        };
        let head = match found {
            Ok(head) => head,
            Err(code) => {
                if self.services.store.datasets.get(dataset).await?.is_some() {
                    self.remove(dataset).await;
                }
                return Ok(Ensured::Unsupported(code));
            }
        };
        self.update(dataset, &head.revision, priority).await?;
        let is_restricted = head.private || head.gated;
        let datasets = &self.services.store.datasets;
        if datasets.get(dataset).await?.is_some_and(|row| row.restricted != is_restricted) {
            datasets.restrict(dataset, is_restricted).await?;
        }
        Ok(Ensured::Queued)
    }

    /// Why a dataset is not to be shown. What its owner keeps on this machine is not judged by its tags.
    fn unsupported(&self, dataset: &DatasetName, head: &Head) -> Option<ErrorCode> {
        let is_blocked = || {
            let patterns = &self.services.settings.blocked_datasets;
            patterns.iter().any(|pattern| !pattern.select(&[dataset.as_str()]).is_empty())
        };
        let is_adult = || head.tags.iter().any(|tag| ADULT_TAGS.contains(&tag.as_str()));
        if head.disabled {
            Some(ErrorCode::NotSupportedDisabledRepositoryError)
        } else if head.unpaid {
            Some(ErrorCode::NotSupportedPrivateRepositoryError)
        } else if self.services.settings.compat && !head.private && is_adult() {
            Some(ErrorCode::NotSupportedTagNFAAError)
        } else {
            let code = (!head.viewer).then_some(ErrorCode::NotSupportedDisabledViewerError);
            code.or_else(|| is_blocked().then_some(ErrorCode::DatasetInBlockListError))
        }
    }

    /// Sets the target revision of a dataset and queues what it needs. A revision that is the target already is
    /// looked through for missing and stale views.
    ///
    /// # Errors
    /// [`RefreshError`] when the store fails.
    pub async fn update(
        &self,
        dataset: &DatasetName,
        revision: &Revision,
        priority: Priority,
    ) -> Result<(), RefreshError> {
        let row = self.services.store.datasets.get(dataset).await?;
        let same = row.as_ref().is_some_and(|row| row.target == *revision);
        if let Some(row) = row.as_ref().filter(|row| !same && row.served.as_ref() == Some(&row.target))
            && self.holds_for(dataset, &row.target, revision).await?
            && self.services.store.datasets.adopt(dataset, &row.target, revision).await?
        {
            tracing::info!(dataset.name = %dataset, %revision, "the new revision changes no answer");
            self.retire(dataset).await;
            return Ok(());
        }
        let plan = self.plan_for(dataset, revision, same, priority).await?;
        if same && plan.is_empty() {
            return Ok(());
        }
        let change = TargetChange { dataset: dataset.clone(), revision: revision.clone(), plan };
        let (queued, dropped) = self.services.store.queue.set_target(change).await?;
        tracing::debug!(dataset.name = %dataset, %revision, queued, dropped, "planned");
        if !same && row.is_some() {
            self.retire(dataset).await;
        }
        Ok(())
    }

    /// The files of a served revision are not what they were: looks at the dataset now, and serves its newer revision
    /// as soon as that is known, however much of it is done.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub async fn lost(&self, dataset: &DatasetName, revision: &Revision) -> Result<(), StoreError> {
        self.services.files.changed(dataset).await;
        let datasets = &self.services.store.datasets;
        if let Some(row) = datasets.get(dataset).await?
            && row.served.as_ref() == Some(revision)
            && row.target != *revision
        {
            tracing::info!(dataset.name = %dataset, %revision, "the files of the served revision are gone");
            datasets.serve(dataset, &row.target).await?;
        }
        Ok(())
    }

    async fn remove(&self, dataset: &DatasetName) -> bool {
        tracing::info!(dataset.name = %dataset, "the dataset is not there any more, or not to be shown");
        match self.services.store.datasets.delete(dataset).await {
            Ok(digests) => {
                self.drop_blobs(&digests).await;
                true
            }
            Err(error) => {
                tracing::error!(dataset.name = %dataset, error = &error as &dyn std::error::Error, "it could not be deleted");
                false
            }
        }
    }

    async fn retire(&self, dataset: &DatasetName) {
        // Called when the target has just changed, so the newest two are the target and, as a rule, the served one.
        match self.services.store.views.retire(dataset, self.keep_revisions.saturating_add(2)).await {
            Ok(digests) => self.drop_blobs(&digests).await,
            Err(error) => {
                tracing::warn!(dataset.name = %dataset, error = &error as &dyn std::error::Error, "old revisions are still kept");
            }
        }
    }

    async fn drop_blobs(&self, digests: &[belvedere_domain::Digest]) {
        for digest in digests {
            // The same content may have come back meanwhile.
            if !matches!(self.services.store.views.by_digest(digest).await, Ok(None)) {
                continue;
            }
            for prefix in prefixes_of(digest) {
                for place in self.services.files.places() {
                    if let Err(error) = place.delete_prefix(&prefix).await {
                        tracing::warn!(
                            prefix,
                            error = &error as &dyn std::error::Error,
                            "files of a dropped view are left over"
                        );
                    }
                }
            }
        }
    }

    async fn state(&self, dataset: &DatasetName, revision: &Revision) -> Result<DatasetState, RefreshError> {
        let store = &self.services.store;
        let pending = store.queue.pending(Some(dataset)).await?;
        let pending = pending.into_iter().map(|job| PendingJob {
            id: job.id,
            key: job.key,
            revision: job.revision,
            status: job.status,
            forced: job.forced,
        });
        Ok(DatasetState {
            dataset: dataset.clone(),
            target: revision.clone(),
            configs: self.configs(dataset, revision).await?,
            rows: store.views.rows(dataset).await?,
            pending: pending.collect(),
        })
    }

    async fn configs(&self, dataset: &DatasetName, revision: &Revision) -> Result<Vec<KnownConfig>, RefreshError> {
        let views = &self.services.store.views;
        let names = ArtifactKey::dataset(StepName::known("dataset-config-names"), dataset.clone());
        let names: Option<ConfigNames> = ok_content(views.at_revision(&[names], revision).await?[0].as_ref());
        let configs: Vec<_> = names.map(|names| names.config_names).unwrap_or_default();
        let key = |config| ArtifactKey::config(StepName::known("config-split-names"), dataset.clone(), config);
        let keys: Vec<_> = configs.iter().map(|item| key(item.config.clone())).collect();
        let splits = views.at_revision(&keys, revision).await?;
        let known = |(item, found): (crate::content::ConfigItem, Option<belvedere_store::Found>)| {
            let splits: Option<SplitNames> = ok_content(found.as_ref());
            KnownConfig {
                name: item.config,
                splits: splits
                    .map(|splits| splits.splits.into_iter().map(|item| item.split).collect())
                    .unwrap_or_default(),
                big: false,
                big_splits: Vec::new(),
            }
        };
        Ok(configs.into_iter().zip(splits).map(known).collect())
    }
}
