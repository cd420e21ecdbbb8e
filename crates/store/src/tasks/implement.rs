//! The store of tasks on both databases.

use async_trait::async_trait;
use belvedere_domain::task::{ClusterName, TaskId};
use belvedere_domain::{DatasetName, Timestamp};

use super::change::{Cancel, ChangeAttempt, Retry};
use super::clean::{Delete, FolderGone, Folders, Known, Old};
use super::questions::{Active, Attempts, ByJob, Contents, Events, Files, Found, List, OfDataset};
use super::selections::{DropSelections, PutSelection, Selection, UseSelection};
use super::submit::KeyOf;
use super::sweeps::{CancelSweep, ListSweeps, RetrySweep, SubmitSweep, Sweep};
use super::traces::{AppendLog, Artifacts, Clusters, Hold, LogSize, PutArtifacts, PutHealth, ReadLog};
use super::{
    ActiveAttempt, ActiveLimits, Advance, Artifact, AttemptRow, Cancelled, ClusterRow, Deleted, Event, Leftovers,
    LogExtent, LogKey, LogPiece, NewSelection, NewSweep, NewTask, OldFolder, RequestKey, Requests, Retried, Selections,
    Submitted, SweepCancelled, SweepRow, Sweeps, TaskFile, TaskFilter, TaskRow, Traces, Watch,
};
use crate::StoreError;

/// Both databases run the same scripts.
macro_rules! tasks_by_scripts {
    ($database:ty) => {
        #[async_trait]
        impl Requests for $database {
            async fn submit(&self, task: NewTask) -> Result<Submitted, StoreError> {
                self.submit_task(task).await
            }

            async fn find_request(&self, owner: &str, key: &RequestKey) -> Result<Option<Submitted>, StoreError> {
                self.script(KeyOf { owner: owner.to_owned(), key: key.clone() }).await
            }

            async fn task(&self, id: TaskId, owner: Option<&str>) -> Result<Option<TaskRow>, StoreError> {
                self.script(Found { id, owner: owner.map(str::to_owned) }).await
            }

            async fn list(&self, filter: TaskFilter, limit: u32) -> Result<Vec<TaskRow>, StoreError> {
                self.script(List { filter, limit }).await
            }

            async fn by_job(&self, job: &str, owner: Option<&str>) -> Result<Option<TaskRow>, StoreError> {
                self.script(ByJob { job: job.to_owned(), owner: owner.map(str::to_owned) }).await
            }

            async fn of_dataset(
                &self,
                dataset: &DatasetName,
                owner: Option<&str>,
                limit: u32,
            ) -> Result<Vec<TaskRow>, StoreError> {
                self.script(OfDataset { dataset: dataset.clone(), owner: owner.map(str::to_owned), limit }).await
            }

            async fn cancel(&self, id: TaskId, owner: Option<&str>, actor: &str) -> Result<Cancelled, StoreError> {
                self.script(Cancel { id, owner: owner.map(str::to_owned), actor: actor.to_owned() }).await
            }

            async fn retry(
                &self,
                id: TaskId,
                owner: Option<&str>,
                actor: &str,
                limits: ActiveLimits,
            ) -> Result<Retried, StoreError> {
                self.script(Retry { id, owner: owner.map(str::to_owned), actor: actor.to_owned(), limits }).await
            }

            async fn delete(&self, id: TaskId, owner: Option<&str>) -> Result<Deleted, StoreError> {
                self.script(Delete { id, owner: owner.map(str::to_owned) }).await
            }
        }

        #[async_trait]
        impl Traces for $database {
            async fn files(&self, id: TaskId) -> Result<Vec<TaskFile>, StoreError> {
                self.script(Files(id)).await
            }

            async fn contents(&self, id: TaskId) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
                self.script(Contents(id)).await
            }

            async fn attempts(&self, id: TaskId) -> Result<Vec<AttemptRow>, StoreError> {
                self.script(Attempts(id)).await
            }

            async fn events(&self, id: TaskId, after: i64, limit: u32) -> Result<Vec<Event>, StoreError> {
                self.script(Events { id, after, limit }).await
            }

            async fn append_log(&self, key: &LogKey, piece: LogPiece) -> Result<(), StoreError> {
                self.script(AppendLog { key: key.clone(), piece }).await
            }

            async fn log(
                &self,
                key: &LogKey,
                generation: u32,
                from: u64,
                max_bytes: u64,
            ) -> Result<Vec<LogPiece>, StoreError> {
                self.script(ReadLog { key: key.clone(), generation, from, max_bytes }).await
            }

            async fn log_extent(&self, key: &LogKey) -> Result<LogExtent, StoreError> {
                self.script(LogSize(key.clone())).await
            }

            async fn put_artifacts(
                &self,
                id: TaskId,
                attempt: u32,
                artifacts: Vec<Artifact>,
            ) -> Result<(), StoreError> {
                self.script(PutArtifacts { id, attempt, artifacts }).await
            }

            async fn artifacts(&self, id: TaskId, attempt: u32) -> Result<Vec<Artifact>, StoreError> {
                self.script(Artifacts { id, attempt }).await
            }
        }

        #[async_trait]
        impl Sweeps for $database {
            async fn submit_sweep(&self, sweep: NewSweep) -> Result<Submitted, StoreError> {
                self.script(SubmitSweep(sweep)).await
            }

            async fn sweep(&self, id: TaskId, owner: Option<&str>) -> Result<Option<SweepRow>, StoreError> {
                self.script(Sweep { id, owner: owner.map(str::to_owned) }).await
            }

            async fn sweeps(
                &self,
                owner: Option<&str>,
                before: Option<TaskId>,
                limit: u32,
            ) -> Result<Vec<SweepRow>, StoreError> {
                self.script(ListSweeps { owner: owner.map(str::to_owned), before, limit }).await
            }

            async fn cancel_sweep(
                &self,
                id: TaskId,
                owner: Option<&str>,
                actor: &str,
            ) -> Result<Option<SweepCancelled>, StoreError> {
                self.script(CancelSweep { id, owner: owner.map(str::to_owned), actor: actor.to_owned() }).await
            }

            async fn retry_sweep(
                &self,
                id: TaskId,
                owner: Option<&str>,
                actor: &str,
            ) -> Result<Option<u32>, StoreError> {
                self.script(RetrySweep { id, owner: owner.map(str::to_owned), actor: actor.to_owned() }).await
            }
        }

        #[async_trait]
        impl Selections for $database {
            async fn put_selection(&self, selection: NewSelection) -> Result<(), StoreError> {
                self.script(PutSelection(selection)).await
            }

            async fn selection(&self, id: &str) -> Result<Option<(NewSelection, Timestamp)>, StoreError> {
                self.script(Selection(id.to_owned())).await
            }

            async fn use_selection(&self, id: &str) -> Result<(), StoreError> {
                self.script(UseSelection(id.to_owned())).await
            }

            async fn drop_selections(&self, unused_seconds: f64) -> Result<Vec<String>, StoreError> {
                self.script(DropSelections(unused_seconds)).await
            }
        }

        #[async_trait]
        impl Watch for $database {
            async fn active(&self, cluster: &ClusterName, limit: u32) -> Result<Vec<ActiveAttempt>, StoreError> {
                self.script(Active { cluster: cluster.clone(), limit }).await
            }

            async fn advance(&self, advance: Advance) -> Result<bool, StoreError> {
                self.script(ChangeAttempt(advance)).await
            }

            async fn hold_cluster(
                &self,
                cluster: &ClusterName,
                holder: &str,
                seconds: f64,
            ) -> Result<bool, StoreError> {
                self.script(Hold { cluster: cluster.clone(), holder: holder.to_owned(), seconds }).await
            }

            async fn put_health(&self, cluster: &ClusterName, health: &str) -> Result<(), StoreError> {
                self.script(PutHealth { cluster: cluster.clone(), health: health.to_owned() }).await
            }

            async fn clusters(&self) -> Result<Vec<ClusterRow>, StoreError> {
                self.script(Clusters).await
            }
        }

        #[async_trait]
        impl Leftovers for $database {
            async fn old(
                &self,
                owner: Option<&str>,
                ended_seconds: f64,
                limit: u32,
            ) -> Result<Vec<TaskRow>, StoreError> {
                self.script(Old { owner: owner.map(str::to_owned), ended_seconds, limit }).await
            }

            async fn known(&self, ids: Vec<TaskId>) -> Result<Vec<TaskId>, StoreError> {
                self.script(Known(ids)).await
            }

            async fn old_folders(
                &self,
                cluster: &ClusterName,
                ended_seconds: f64,
                limit: u32,
            ) -> Result<Vec<OldFolder>, StoreError> {
                self.script(Folders { cluster: cluster.clone(), ended_seconds, limit }).await
            }

            async fn folder_gone(&self, folder: &OldFolder) -> Result<(), StoreError> {
                self.script(FolderGone(folder.clone())).await
            }
        }
    };
}

tasks_by_scripts!(crate::sqlite::Sqlite);
tasks_by_scripts!(crate::postgres::Postgres);
