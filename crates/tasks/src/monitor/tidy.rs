//! Removing what nobody needs any more: folders of attempts that ended long ago, tasks that were kept long enough, and what
//! has no task at all.

use std::time::{Duration, SystemTime};

use belvedere_domain::task::{AttemptTag, TaskId};
use belvedere_store::StoreError;
use belvedere_store::tasks::{Deleted, OldFolder};
use tokio::time::Instant;

use super::Monitor;
use crate::catalog::Member;

/// How often is looked for what can be removed.
const EVERY: Duration = Duration::from_secs(600);
/// Things that are removed at a time, so that the cluster is not kept from better work.
const AT_A_TIME: u32 = 50;
/// Folders here that no task has are left alone so long: a task may be on its way into the store.
const YOUNG: Duration = Duration::from_secs(3600);
/// Files of datasets on clusters are kept so long after their last use.
const DATA: Duration = Duration::from_secs(30 * 24 * 3600);

/// What was removed, or would be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tidied {
    /// Tasks that were kept long enough.
    pub tasks: Vec<TaskId>,
    /// Folders of attempts on the cluster that are not needed any more.
    pub folders: Vec<AttemptTag>,
    /// Folders of this server that no task has.
    pub files: Vec<TaskId>,
    /// Selections that nobody has used for long.
    pub selections: Vec<String>,
}

impl Monitor {
    /// Removes what can be, if it is time.
    pub(super) async fn tidy_now_and_then(&self, member: &Member) -> Result<(), StoreError> {
        let mut tidied = self.tidied.lock().await;
        if tidied.get(&member.name).is_some_and(|at| at.elapsed() < EVERY) {
            return Ok(());
        }
        tidied.insert(member.name.clone(), Instant::now());
        drop(tidied);
        self.tidy(member).await.map(drop)
    }

    /// Removes what can be, some of it where there is much.
    ///
    /// # Errors
    /// When the store fails; what a cluster does wrong is tried again later.
    pub async fn tidy(&self, member: &Member) -> Result<Tidied, StoreError> {
        let settings = &self.settings;
        let mut done = Tidied::default();
        if let Some(keep) = settings.keep_tasks {
            for row in self.tasks.old(None, keep.as_secs_f64(), AT_A_TIME).await? {
                if let Deleted::Gone(folders) = self.tasks.delete(row.id, None).await? {
                    self.inbox.remove(&folders).await;
                    done.tasks.push(row.id);
                }
            }
        }
        done.files = self.unknown_files().await?;
        self.inbox.remove(&done.files).await;
        done.selections = self.tasks.drop_selections(settings.keep_selections.as_secs_f64()).await?;
        self.inbox.remove_selections(&done.selections).await;
        let seconds = settings.keep_folders.as_secs_f64();
        for folder in self.tasks.old_folders(&member.name, seconds, AT_A_TIME).await? {
            if let Err(error) = member.cluster.remove(&folder.tag).await {
                tracing::debug!(cluster.name = %member.name, "a folder stays for now: {error}");
                return Ok(done);
            }
            self.tasks.folder_gone(&folder).await?;
            done.folders.push(folder.tag);
        }
        if let Err(error) = member.cluster.trim(DATA).await {
            tracing::debug!(cluster.name = %member.name, "files of datasets stay for now: {error}");
        }
        Ok(done)
    }

    /// Folders of this server that no task has.
    async fn unknown_files(&self) -> Result<Vec<TaskId>, StoreError> {
        let found = match self.inbox.folders(SystemTime::now(), YOUNG) {
            Ok(found) => found,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the folders of tasks cannot be read");
                return Ok(Vec::new());
            }
        };
        let known = self.tasks.known(found.clone()).await?;
        Ok(found.into_iter().filter(|id| !known.contains(id)).collect())
    }

    /// Folders on a cluster of which the store knows nothing: of another server, or of a store before it was restored. They
    /// are removed only when an operator says so.
    ///
    /// # Errors
    /// When the store fails, or the cluster does not answer, which is the inner error.
    pub async fn orphans(
        &self,
        member: &Member,
        remove: bool,
    ) -> Result<Result<Vec<AttemptTag>, crate::ClusterError>, StoreError> {
        let found = match member.cluster.folders().await {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let mut orphans = Vec::new();
        for tag in found {
            let Some(task) = tag.task() else { continue };
            if self.tasks.known(vec![task]).await?.is_empty() {
                orphans.push(tag);
            }
        }
        if remove {
            for tag in &orphans {
                if let Err(error) = member.cluster.cancel(tag).await {
                    return Ok(Err(error));
                }
                if let Err(error) = member.cluster.remove(tag).await {
                    return Ok(Err(error));
                }
                self.tasks.folder_gone(&OldFolder { tag: tag.clone(), attempt: None }).await?;
            }
        }
        Ok(Ok(orphans))
    }
}
