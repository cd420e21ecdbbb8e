//! Stores tasks: all that come at the same moment in one transaction and one round trip, each with an outcome of its own.

use async_trait::async_trait;
use belvedere_domain::DatasetName;
use belvedere_domain::task::TaskId;

use super::batches::{Asked, Batch, Joined, Outcomes, join};
use super::database::Database;
use super::{Postgres, get};
use crate::StoreError;
use crate::tasks::{KEY_SECONDS, NewTask, Submitted};

const SUBMIT: &str = include_str!("sql/submit.sql");

pub(super) struct Submissions {
    pub(super) database: Database,
}

#[async_trait]
impl Batch for Submissions {
    type Request = NewTask;
    type Answer = Submitted;

    fn joins(_: &[Asked<Self>], _: &NewTask) -> bool {
        true
    }

    fn size_bytes(task: &NewTask) -> usize {
        task.config.len() + task.contents.iter().map(Vec::len).sum::<usize>()
    }

    async fn run(&self, asked: Vec<Asked<Self>>) {
        let tasks: Vec<&NewTask> = asked.iter().map(|asked| &asked.request).collect();
        let outcomes = join(self, &tasks).await;
        for (asked, outcome) in asked.into_iter().zip(outcomes) {
            // What is stored is stored, whether somebody waits to hear it or not.
            let _ = asked.answer(outcome);
        }
    }
}

#[async_trait]
impl Joined for Submissions {
    type Request = NewTask;
    type Answer = Submitted;

    async fn call(&self, tasks: &[&NewTask]) -> Result<Outcomes<Submitted>, StoreError> {
        fn of<'a, T>(tasks: &[&'a NewTask], get: impl Fn(&'a NewTask) -> T) -> Vec<T> {
            tasks.iter().map(|task| get(task)).collect()
        }
        let files = Files::of(tasks);
        let row = self
            .database
            .write_one(
                "store a task",
                SUBMIT,
                &[
                    &of(tasks, |task| task.id.to_string()),
                    &of(tasks, |task| task.id.tag(1).as_str().to_owned()),
                    &of(tasks, |task| task.owner.as_str()),
                    &of(tasks, |task| task.cluster.as_str()),
                    &of(tasks, |task| task.experiment.as_str()),
                    &of(tasks, |task| task.dataset.as_ref().map(DatasetName::as_str)),
                    &of(tasks, |task| task.pin.as_deref()),
                    &of(tasks, |task| task.config.as_str()),
                    &of(tasks, |task| i64::from(task.limits.per_owner)),
                    &of(tasks, |task| i64::from(task.limits.per_cluster)),
                    &of(tasks, |task| task.key.as_ref().map(|key| key.route.as_str())),
                    &of(tasks, |task| task.key.as_ref().map(|key| key.key.as_str())),
                    &of(tasks, |task| task.key.as_ref().map(|key| key.fingerprint.as_str())),
                    &(KEY_SECONDS * 1_000_000),
                    &files.places,
                    &files.positions,
                    &files.stored_names,
                    &files.original_names,
                    &files.sizes,
                    &files.hashes,
                    &files.contents,
                ],
            )
            .await?;
        let (outcomes, notes): (Vec<i64>, Vec<Option<String>>) = (get(&row, 0)?, get(&row, 1)?);
        Ok(outcomes.into_iter().zip(notes).map(|(outcome, note)| read(outcome, note)).collect())
    }
}

fn read(outcome: i64, note: Option<String>) -> Result<Submitted, StoreError> {
    let count = |note: Option<String>| note.unwrap_or_default().parse().map_err(StoreError::corrupt);
    match outcome {
        0 => Ok(Submitted::Created),
        1 => Ok(Submitted::Replayed(TaskId::parse(&note.unwrap_or_default()).map_err(StoreError::corrupt)?)),
        2 => Ok(Submitted::KeyTaken),
        3 => Ok(Submitted::OwnerFull(count(note)?)),
        _ => Ok(Submitted::ClusterFull(count(note)?)),
    }
}

/// Files of all tasks, as columns.
#[derive(Default)]
struct Files<'a> {
    places: Vec<i64>,
    positions: Vec<i64>,
    stored_names: Vec<&'a str>,
    original_names: Vec<&'a str>,
    sizes: Vec<i64>,
    hashes: Vec<&'a str>,
    contents: Vec<Option<&'a [u8]>>,
}

impl<'a> Files<'a> {
    fn of(tasks: &[&'a NewTask]) -> Self {
        let mut all = Self::default();
        for (place, task) in (1..).zip(tasks) {
            for (index, file) in task.files.iter().enumerate() {
                all.places.push(place);
                all.positions.push(i64::try_from(index).unwrap_or(i64::MAX));
                all.stored_names.push(&file.stored_name);
                all.original_names.push(&file.original_name);
                all.sizes.push(i64::try_from(file.size_bytes).unwrap_or(i64::MAX));
                all.hashes.push(&file.sha256);
                all.contents.push(task.contents.get(index).map(Vec::as_slice));
            }
        }
        all
    }
}

impl Postgres {
    /// Stores a task, together with others that come at the same moment.
    pub(crate) async fn submit_task(&self, task: NewTask) -> Result<Submitted, StoreError> {
        self.submissions.call(task).await
    }
}
