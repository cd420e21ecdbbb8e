//! The parts of a dataset by numbers: itself, its configs, their splits. Tables by step and part make a plan of a thousand
//! configs a matter of looking up numbers rather than names.

use std::collections::HashMap;

use super::{DatasetState, KnownConfig};
use crate::graph::{Graph, Level, Step};
use crate::names::{ArtifactKey, StepName};

/// The number of the dataset itself.
const WHOLE: usize = 0;

/// Parts and steps by their numbers: the dataset, and each config followed by its splits.
pub(super) struct Parts<'a> {
    state: &'a DatasetState,
    steps: HashMap<&'a str, usize>,
    levels: Vec<Level>,
    /// The parents of each step, each with the level at which its artifacts meet those of the step.
    parents: Vec<Vec<(usize, Level)>>,
    /// Number of each config.
    configs: HashMap<&'a str, usize>,
    /// Number of each split, by that of its config.
    splits: HashMap<(usize, &'a str), usize>,
    parts: Vec<Part>,
}

/// A part: which config and which of its splits, by their places in the state.
#[derive(Clone, Copy)]
struct Part {
    config: Option<usize>,
    split: Option<usize>,
    /// The next larger one; the dataset is its own.
    within: usize,
}

impl<'a> Parts<'a> {
    pub(super) fn of(graph: &'a Graph, state: &'a DatasetState) -> Self {
        let steps: HashMap<&str, usize> = graph.steps().iter().map(|step| step.name).zip(0..).collect();
        let levels: Vec<Level> = graph.steps().iter().map(|step| step.level).collect();
        let meets = |step: &Step| {
            let parent = |name: &&'static str| {
                let parent = *steps.get(*name)?;
                Some((parent, levels[parent].min(step.level)))
            };
            step.triggered_by.iter().filter_map(parent).collect()
        };
        let parents = graph.steps().iter().map(meets).collect();
        let mut parts = vec![Part { config: None, split: None, within: WHOLE }];
        let mut configs = HashMap::with_capacity(state.configs.len());
        let mut splits = HashMap::with_capacity(state.configs.iter().map(|config| config.splits.len()).sum());
        for (config, known) in state.configs.iter().enumerate() {
            let within = parts.len();
            configs.insert(known.name.as_str(), within);
            parts.push(Part { config: Some(config), split: None, within: WHOLE });
            for (split, name) in known.splits.iter().enumerate() {
                splits.insert((within, name.as_str()), parts.len());
                parts.push(Part { config: Some(config), split: Some(split), within });
            }
        }
        Self { state, steps, levels, parents, configs, splits, parts }
    }

    /// One value for each step and part.
    pub(super) fn table<T: Clone + Default>(&self) -> Table<T> {
        Table { cells: vec![T::default(); self.levels.len() * self.parts.len()], parts: self.parts.len() }
    }

    /// The number of a step; `None` for one that the graph does not have.
    pub(super) fn step(&self, name: &StepName) -> Option<usize> {
        self.steps.get(name.as_str()).copied()
    }

    /// The part of an artifact of a step; `None` when the dataset has no such part, or the step no such artifact.
    pub(super) fn part(&self, step: usize, key: &ArtifactKey) -> Option<usize> {
        match (self.levels[step], &key.config, &key.split) {
            (Level::Dataset, None, None) => Some(WHOLE),
            (Level::Config, Some(config), None) => self.configs.get(config.as_str()).copied(),
            (Level::Split, Some(config), Some(split)) => {
                let config = self.configs.get(config.as_str())?;
                self.splits.get(&(*config, split.as_str())).copied()
            }
            _ => None,
        }
    }

    /// Step and part of an artifact that the dataset can have.
    pub(super) fn place(&self, key: &ArtifactKey) -> Option<(usize, usize)> {
        let step = self.step(&key.step)?;
        Some((step, self.part(step, key)?))
    }

    /// The part of any artifact and those that contain it, as far as the dataset has them.
    pub(super) fn around(&self, key: &ArtifactKey) -> impl Iterator<Item = usize> {
        let config = key.config.as_ref().and_then(|config| self.configs.get(config.as_str()).copied());
        let split = config.zip(key.split.as_ref());
        let split = split.and_then(|(config, split)| self.splits.get(&(config, split.as_str())).copied());
        [Some(WHOLE), config, split].into_iter().flatten()
    }

    /// A part and those that contain it.
    pub(super) fn self_and_containing(&self, part: usize) -> impl Iterator<Item = usize> {
        let within = self.parts[part].within;
        // The dataset contains itself.
        [part, within, WHOLE].into_iter()
    }

    /// All parts of a level, in order.
    pub(super) fn at_level(&self, level: Level) -> impl Iterator<Item = usize> {
        self.parts.iter().enumerate().filter(move |(_, part)| part.level() == level).map(|(number, _)| number)
    }

    /// Where the parents of an artifact are: of a config only its own splits, and the reverse.
    pub(super) fn parents(&self, step: usize, part: usize) -> impl Iterator<Item = (usize, usize)> {
        self.parents[step].iter().map(move |(parent, level)| (*parent, self.lift(part, *level)))
    }

    /// The part itself, or the one of that level that contains it.
    fn lift(&self, part: usize, level: Level) -> usize {
        match level {
            Level::Dataset => WHOLE,
            Level::Config if self.parts[part].split.is_some() => self.parts[part].within,
            Level::Config | Level::Split => part,
        }
    }

    /// What big data adds to the difficulty of a step.
    pub(super) fn bonus(&self, step: &Step, part: usize) -> u32 {
        let is_big = match (self.config(part), self.parts[part].split) {
            (None, _) => false,
            (Some(config), None) => config.big,
            (Some(config), Some(split)) => config.big_splits.contains(&config.splits[split]),
        };
        if is_big { step.bonus_if_big } else { 0 }
    }

    /// The artifact of a step.
    pub(super) fn key(&self, step: &Step, part: usize) -> ArtifactKey {
        let config = self.config(part);
        let split = config.zip(self.parts[part].split);
        ArtifactKey {
            step: step.step_name(),
            dataset: self.state.dataset.clone(),
            config: config.map(|config| config.name.clone()),
            split: split.map(|(config, split)| config.splits[split].clone()),
        }
    }

    fn config(&self, part: usize) -> Option<&'a KnownConfig> {
        self.parts[part].config.map(|config| &self.state.configs[config])
    }
}

impl Part {
    fn level(self) -> Level {
        match (self.config, self.split) {
            (None, _) => Level::Dataset,
            (Some(_), None) => Level::Config,
            (Some(_), Some(_)) => Level::Split,
        }
    }
}

/// One value for each step and part.
pub(super) struct Table<T> {
    cells: Vec<T>,
    parts: usize,
}

impl<T> Table<T> {
    pub(super) fn at(&mut self, step: usize, part: usize) -> &mut T {
        &mut self.cells[step * self.parts + part]
    }
}
