//! Plans: what to queue and what to drop so that a dataset comes up to date. Pure functions of graph and state.
//!
//! Five defects of the usual planner are repaired here: pending jobs are matched for every artifact of a
//! fan-out, a job of a superseded revision neither writes nor plans (the store refuses it), a trigger that
//! arrives while its child runs queues one more run, a repair queues nothing whose inputs are still to come, and it
//! drops no waiting job of the target revision, which may stand for a trigger that it did not see.

mod parts;

use std::collections::HashSet;

use crate::error_code::ErrorCode;
use crate::graph::{Graph, Level, Step};
use crate::job::{Difficulty, JobId, JobStatus, NewJob, Priority};
use crate::names::{ArtifactKey, ConfigName, DatasetName, Revision, SplitName, StepName};
use crate::time::Timestamp;
use parts::Parts;

/// Added to the difficulty for each failed run, so that a retried job moves to a bigger machine.
pub const DIFFICULTY_BONUS_BY_FAILED_RUN: u32 = 20;

/// What is stored about one artifact: the row of the target revision if there is one, else of the served one.
#[derive(Clone, PartialEq, Debug)]
pub struct ArtifactRow {
    /// Which artifact.
    pub key: ArtifactKey,
    /// The revision of the pointer.
    pub revision: Revision,
    /// 200 or an error status.
    pub http_status: u16,
    /// `None` for a success.
    pub error_code: Option<String>,
    /// Failures stored at this revision.
    pub failed_runs: u32,
    /// Version of the step's code when it was written.
    pub runner_version: u32,
    /// Last write.
    pub updated_at: Timestamp,
}

/// A queued or running job, as far as planning looks at it.
#[derive(Clone, PartialEq, Debug)]
pub struct PendingJob {
    /// Its number.
    pub id: JobId,
    /// What it computes.
    pub key: ArtifactKey,
    /// Of which revision.
    pub revision: Revision,
    /// Waiting or started.
    pub status: JobStatus,
    /// Somebody asked for it whatever is stored.
    pub forced: bool,
}

/// A config with the names of its splits; `None` while they are unknown.
#[derive(Clone, PartialEq, Debug)]
pub struct KnownConfig {
    /// The config.
    pub name: ConfigName,
    /// Its splits in order.
    pub splits: Vec<SplitName>,
    /// At least [`BIG_BYTES`](crate::graph::BIG_BYTES) of data.
    pub big: bool,
    /// The big ones among its splits.
    pub big_splits: Vec<SplitName>,
}

/// Everything planning looks at, read in one go.
#[derive(Clone, PartialEq, Debug)]
pub struct DatasetState {
    /// The dataset.
    pub dataset: DatasetName,
    /// The revision to bring everything to.
    pub target: Revision,
    /// Configs and splits, from the stored names of any revision.
    pub configs: Vec<KnownConfig>,
    /// What is stored.
    pub rows: Vec<ArtifactRow>,
    /// What is queued or running, of any revision.
    pub pending: Vec<PendingJob>,
}

/// Changes to the queue.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// Jobs to queue.
    pub create: Vec<NewJob>,
    /// Waiting jobs to drop; a job that has started meanwhile stays.
    pub delete: Vec<JobId>,
}

impl Plan {
    /// True when there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.create.is_empty() && self.delete.is_empty()
    }
}

/// Why an artifact is not up to date, or that it is. The first fitting line wins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// A parent was written later.
    OutdatedByParent,
    /// Nothing is stored.
    Empty,
    /// An error that may pass, tried fewer times than its limit.
    ErrorToRetry,
    /// Written by older code.
    ObsoleteVersion,
    /// Stored for another revision.
    DifferentRevision,
    /// Nothing to do.
    UpToDate,
}

/// Which steps a plan looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The roots only: a new revision starts the chain.
    Roots,
    /// Everything: repairs whatever is missing or stale.
    All,
}

/// The plan that brings a dataset up to date.
pub fn plan(graph: &Graph, state: &DatasetState, scope: Scope, priority: Priority) -> Plan {
    let parts = Parts::of(graph, state);
    let mut rows = parts.table::<Option<&ArtifactRow>>();
    // When each step was last written, for a part of the dataset and for those that contain it.
    let mut written = parts.table::<Option<Timestamp>>();
    for row in &state.rows {
        let Some(step) = parts.step(&row.key.step) else { continue };
        for part in parts.around(&row.key) {
            let latest = written.at(step, part);
            *latest = (*latest).max(Some(row.updated_at));
        }
        if let Some(part) = parts.part(step, &row.key) {
            *rows.at(step, part) = Some(row);
        }
    }
    let mut pending = parts.table::<bool>();
    for job in state.pending.iter().filter(|job| job.revision == state.target) {
        if let Some((step, part)) = parts.place(&job.key) {
            *pending.at(step, part) = true;
        }
    }
    let mut plan = Plan::default();
    // What will be computed, for a part and for those that contain it.
    let mut coming = parts.table::<bool>();
    for (index, step) in graph.steps().iter().enumerate() {
        if scope == Scope::Roots && !step.triggered_by.is_empty() {
            continue;
        }
        let coalesce = graph.aggregates(step);
        for part in parts.at_level(step.level) {
            let row = *rows.at(index, part);
            let latest = parts.parents(index, part).filter_map(|(parent, part)| *written.at(parent, part)).max();
            if freshness(step, row, latest, &state.target) == Freshness::UpToDate {
                continue;
            }
            // What is about to be computed triggers its children when it ends. Before, they would only fail.
            let waits = parts.parents(index, part).any(|(parent, part)| *coming.at(parent, part));
            for part in parts.self_and_containing(part) {
                *coming.at(index, part) = true;
            }
            if !waits && !*pending.at(index, part) {
                let failed_runs = row.map_or(0, |row| row.failed_runs);
                let big = parts.bonus(step, part);
                plan.create.push(NewJob {
                    key: parts.key(step, part),
                    revision: state.target.clone(),
                    priority: step.priority(priority),
                    difficulty: Difficulty::new(step.difficulty + big + bonus_of_failures(failed_runs)),
                    forced: false,
                    coalesce,
                });
            }
        }
    }
    let considered = |job: &&PendingJob| {
        scope == Scope::All || graph.step(&job.key.step).is_none_or(|step| step.triggered_by.is_empty())
    };
    // However fresh its artifact looks, a job of the target revision stays: a trigger that came after the state was read
    // is no row of its own, it is this waiting job.
    let is_wanted = |job: &PendingJob| job.revision == state.target && (job.forced || parts.place(&job.key).is_some());
    plan.delete = state
        .pending
        .iter()
        .filter(considered)
        .filter(|job| job.status == JobStatus::Waiting && !is_wanted(job))
        .map(|job| job.id)
        .collect();
    plan
}

/// The jobs that the end of `finished` triggers. `configs` is what is known after it was stored.
///
/// Every artifact of a fan-out gets its own job; the store drops those that already wait.
pub fn children(
    graph: &Graph,
    finished: &[ArtifactKey],
    revision: &Revision,
    configs: &[KnownConfig],
    priority: Priority,
) -> Vec<NewJob> {
    let mut jobs: Vec<NewJob> = Vec::new();
    let mut known = HashSet::new();
    for key in finished {
        for child in graph.children(&key.step) {
            if finished.iter().any(|done| done.step == child.name) {
                continue;
            }
            for target in fan(key, child, configs) {
                if known.insert(target.clone()) {
                    let big = bonus(child, &target, configs);
                    jobs.push(NewJob {
                        difficulty: Difficulty::new(child.difficulty + big),
                        key: target,
                        revision: revision.clone(),
                        priority: child.priority(priority),
                        forced: false,
                        coalesce: graph.aggregates(child),
                    });
                }
            }
        }
    }
    jobs
}

/// A job that computes `step` at `key` whatever is stored.
pub fn forced_job(graph: &Graph, step: &Step, key: ArtifactKey, state: &DatasetState, priority: Priority) -> NewJob {
    NewJob {
        difficulty: Difficulty::new(step.difficulty + bonus(step, &key, &state.configs)),
        key,
        revision: state.target.clone(),
        priority,
        forced: true,
        coalesce: graph.aggregates(step),
    }
}

/// Class of one artifact. `latest` is the last write of its parents.
fn freshness(step: &Step, row: Option<&ArtifactRow>, latest: Option<Timestamp>, target: &Revision) -> Freshness {
    let Some(row) = row else { return Freshness::Empty };
    if latest.is_some_and(|written| written > row.updated_at) {
        Freshness::OutdatedByParent
    } else if row.error_code.as_deref().is_some_and(|code| row.failed_runs < ErrorCode::max_failed_runs_of(code)) {
        Freshness::ErrorToRetry
    } else if row.runner_version < step.version {
        Freshness::ObsoleteVersion
    } else if row.revision != *target {
        Freshness::DifferentRevision
    } else {
        Freshness::UpToDate
    }
}

fn splits_of(name: &StepName, dataset: &DatasetName, config: &KnownConfig) -> Vec<ArtifactKey> {
    let key = |split: &SplitName| ArtifactKey::split(name.clone(), dataset.clone(), config.name.clone(), split.clone());
    config.splits.iter().map(key).collect()
}

/// The artifacts of `child` that the end of `key` reaches.
fn fan(key: &ArtifactKey, child: &Step, configs: &[KnownConfig]) -> Vec<ArtifactKey> {
    let name = child.step_name();
    match (child.level, &key.config, &key.split) {
        (Level::Config, None, _) => configs
            .iter()
            .map(|config| ArtifactKey::config(name.clone(), key.dataset.clone(), config.name.clone()))
            .collect(),
        (Level::Split, Some(config), None) => configs
            .iter()
            .filter(|known| known.name == *config)
            .flat_map(|known| splits_of(&name, &key.dataset, known))
            .collect(),
        _ => vec![key.at(name, child.level)],
    }
}

fn bonus_of_failures(failed_runs: u32) -> u32 {
    DIFFICULTY_BONUS_BY_FAILED_RUN * failed_runs.min(5)
}

fn bonus(step: &Step, key: &ArtifactKey, configs: &[KnownConfig]) -> u32 {
    if step.bonus_if_big == 0 {
        return 0;
    }
    let config = key.config.as_ref().and_then(|name| configs.iter().find(|known| known.name == *name));
    let big = match (config, &key.split) {
        (Some(config), None) => config.big,
        (Some(config), Some(split)) => config.big_splits.contains(split),
        (None, _) => false,
    };
    if big { step.bonus_if_big } else { 0 }
}

#[cfg(test)]
mod tests;
