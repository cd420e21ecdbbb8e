//! Plans: what to queue and what to drop so that a dataset comes up to date. Pure functions of graph and state.
//!
//! Five defects of the usual planner are repaired here: pending jobs are matched for every artifact of a
//! fan-out, a job of a superseded revision neither writes nor plans (the store refuses it), a trigger that
//! arrives while its child runs queues one more run, a repair queues nothing whose inputs are still to come, and it
//! drops no waiting job of the target revision, which may stand for a trigger that it did not see.

use std::collections::{HashMap, HashSet};

use crate::error_code::ErrorCode;
use crate::graph::{Graph, Level, Step};
use crate::job::{Difficulty, JobId, JobStatus, NewJob, Priority};
use crate::names::{ArtifactKey, ConfigName, DatasetName, Revision, SplitName, StepName};
use crate::time::Timestamp;

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
    let rows: HashMap<&ArtifactKey, &ArtifactRow> = state.rows.iter().map(|row| (&row.key, row)).collect();
    let parents = latest_writes(graph, state);
    let pending: HashSet<&ArtifactKey> =
        state.pending.iter().filter(|job| job.revision == state.target).map(|job| &job.key).collect();
    let mut plan = Plan::default();
    let mut expected = HashSet::new();
    let mut coming = Coming::default();
    for step in graph.steps() {
        if scope == Scope::Roots && !step.triggered_by.is_empty() {
            continue;
        }
        for key in artifacts(step, state) {
            let row = rows.get(&key).copied();
            if freshness(step, &key, row, &parents, &state.target) != Freshness::UpToDate {
                // What is about to be computed triggers its children when it ends. Before, they would only fail.
                let waits = coming.leads_to(graph, step, &key);
                coming.add(&key);
                if !waits && !pending.contains(&key) {
                    let failed_runs = row.map_or(0, |row| row.failed_runs);
                    plan.create.push(new_job(graph, step, key.clone(), state, priority, failed_runs));
                }
            }
            expected.insert(key);
        }
    }
    let considered = |job: &&PendingJob| {
        scope == Scope::All || graph.step(&job.key.step).is_none_or(|step| step.triggered_by.is_empty())
    };
    // However fresh its artifact looks, a job of the target revision stays: a trigger that came after the state was read
    // is no row of its own, it is this waiting job.
    let is_wanted = |job: &PendingJob| job.revision == state.target && (job.forced || expected.contains(&job.key));
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
    NewJob { forced: true, priority, ..new_job(graph, step, key, state, priority, 0) }
}

/// Class of one artifact.
fn freshness(
    step: &Step,
    key: &ArtifactKey,
    row: Option<&ArtifactRow>,
    parents: &LatestWrites<'_>,
    target: &Revision,
) -> Freshness {
    let Some(row) = row else { return Freshness::Empty };
    if parents.latest(step, key).is_some_and(|written| written > row.updated_at) {
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

/// When each parent step was last written, by the part of the dataset it covers.
struct LatestWrites<'a> {
    by_part: HashMap<(&'a str, Option<&'a ConfigName>, Option<&'a SplitName>), Timestamp>,
    levels: HashMap<&'static str, Level>,
}

fn latest_writes<'a>(graph: &Graph, state: &'a DatasetState) -> LatestWrites<'a> {
    let mut by_part = HashMap::new();
    for row in &state.rows {
        let (config, split) = (row.key.config.as_ref(), row.key.split.as_ref());
        // Once for the part itself and once for each part that contains it, so that a lookup is one step.
        for part in [(None, None), (config, None), (config, split)] {
            let latest = by_part.entry((row.key.step.as_str(), part.0, part.1)).or_insert(row.updated_at);
            *latest = (*latest).max(row.updated_at);
        }
    }
    LatestWrites { by_part, levels: graph.steps().iter().map(|step| (step.name, step.level)).collect() }
}

impl LatestWrites<'_> {
    /// The latest write among the parents in the same branch: of a config only its own splits, and the reverse.
    fn latest(&self, step: &Step, key: &ArtifactKey) -> Option<Timestamp> {
        let of_parent = |parent: &&'static str| {
            let level = self.levels.get(parent).copied()?.min(step.level);
            let config = key.config.as_ref().filter(|_| level != Level::Dataset);
            let split = key.split.as_ref().filter(|_| level == Level::Split);
            self.by_part.get(&(*parent, config, split)).copied()
        };
        step.triggered_by.iter().filter_map(of_parent).max()
    }
}

/// The artifacts that will be computed, found by the parts of the dataset that contain them.
#[derive(Default)]
struct Coming {
    parts: HashSet<(StepName, Option<ConfigName>, Option<SplitName>)>,
}

impl Coming {
    fn add(&mut self, key: &ArtifactKey) {
        let (config, split) = (key.config.clone(), key.split.clone());
        for (config, split) in [(None, None), (config.clone(), None), (config, split)] {
            self.parts.insert((key.step.clone(), config, split));
        }
    }

    /// Whether a parent in the same branch is among them: of a config only its own splits, and the reverse.
    fn leads_to(&self, graph: &Graph, step: &Step, key: &ArtifactKey) -> bool {
        step.triggered_by.iter().any(|parent| {
            let parent = StepName::known(parent);
            let level = graph.step(&parent).map_or(step.level, |parent| parent.level.min(step.level));
            let config = key.config.clone().filter(|_| level != Level::Dataset);
            let split = key.split.clone().filter(|_| level == Level::Split);
            self.parts.contains(&(parent, config, split))
        })
    }
}

fn artifacts(step: &Step, state: &DatasetState) -> Vec<ArtifactKey> {
    let name = step.step_name();
    let dataset = &state.dataset;
    match step.level {
        Level::Dataset => vec![ArtifactKey::dataset(name, dataset.clone())],
        Level::Config => state
            .configs
            .iter()
            .map(|config| ArtifactKey::config(name.clone(), dataset.clone(), config.name.clone()))
            .collect(),
        Level::Split => state.configs.iter().flat_map(|config| splits_of(&name, dataset, config)).collect(),
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

fn new_job(
    graph: &Graph,
    step: &Step,
    key: ArtifactKey,
    state: &DatasetState,
    priority: Priority,
    failed_runs: u32,
) -> NewJob {
    let difficulty =
        step.difficulty + bonus(step, &key, &state.configs) + DIFFICULTY_BONUS_BY_FAILED_RUN * failed_runs.min(5);
    NewJob {
        key,
        revision: state.target.clone(),
        priority: step.priority(priority),
        difficulty: Difficulty::new(difficulty),
        forced: false,
        coalesce: graph.aggregates(step),
    }
}

fn bonus(step: &Step, key: &ArtifactKey, configs: &[KnownConfig]) -> u32 {
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
