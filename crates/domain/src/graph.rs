//! The processing graph: which steps exist, at which level, and which step triggers which.
//!
//! Each step declares itself beside its code; [`Graph::new`] joins them and checks that they fit.
//! Knows nothing of how a step computes.

use std::collections::HashMap;

use crate::job::Priority;
use crate::names::StepName;

/// What a step is keyed by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// A dataset.
    Dataset,
    /// A config of a dataset.
    Config,
    /// A split of a config.
    Split,
}

/// A node of the graph.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Its name: job type, view kind and path segment of the admin API.
    pub name: &'static str,
    /// What it is keyed by.
    pub level: Level,
    /// Steps whose end triggers this one. Empty for a root.
    pub triggered_by: &'static [&'static str],
    /// Version of its code. A higher one makes stored views obsolete.
    pub version: u32,
    /// The machine it needs, 0 to 100.
    pub difficulty: u32,
    /// Added to the difficulty when the config or split is big, see [`BIG_BYTES`].
    pub bonus_if_big: u32,
    /// Part of the answer set: the served revision does not move on before all of these are done.
    pub answers: bool,
    /// Reads whole data files, for seconds or minutes. One place of every worker is kept free of heavy steps.
    pub heavy: bool,
    /// Nobody waits for it: its jobs have low priority, whatever triggered them.
    pub background: bool,
}

/// A config or split of at least this many bytes of data counts as big.
pub const BIG_BYTES: u64 = 3_000_000_000;

impl Step {
    const fn new(name: &'static str, level: Level) -> Self {
        Self {
            name,
            level,
            triggered_by: &[],
            version: 1,
            difficulty: 50,
            bonus_if_big: 0,
            answers: false,
            heavy: false,
            background: false,
        }
    }

    /// A dataset-level step.
    pub const fn dataset(name: &'static str) -> Self {
        Self::new(name, Level::Dataset)
    }

    /// A config-level step.
    pub const fn config(name: &'static str) -> Self {
        Self::new(name, Level::Config)
    }

    /// A split-level step.
    pub const fn split(name: &'static str) -> Self {
        Self::new(name, Level::Split)
    }

    /// Sets the parents.
    #[must_use]
    pub const fn triggered_by(mut self, parents: &'static [&'static str]) -> Self {
        self.triggered_by = parents;
        self
    }

    /// Sets the version of the code.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Sets the difficulty.
    #[must_use]
    pub const fn difficulty(mut self, difficulty: u32) -> Self {
        self.difficulty = difficulty;
        self
    }

    /// Sets the bonus for big data.
    #[must_use]
    pub const fn bonus_if_big(mut self, bonus: u32) -> Self {
        self.bonus_if_big = bonus;
        self
    }

    /// Makes it part of the answer set.
    #[must_use]
    pub const fn answers(mut self) -> Self {
        self.answers = true;
        self
    }

    /// Marks it as reading whole data files.
    #[must_use]
    pub const fn heavy(mut self) -> Self {
        self.heavy = true;
        self
    }

    /// Makes its jobs wait for those of all other steps.
    #[must_use]
    pub const fn background(mut self) -> Self {
        self.background = true;
        self
    }

    /// The priority of its jobs, when what triggers them has this one.
    pub const fn priority(&self, of_trigger: Priority) -> Priority {
        if self.background { Priority::Low } else { of_trigger }
    }

    /// The name as a [`StepName`].
    pub const fn step_name(&self) -> StepName {
        StepName::known(self.name)
    }
}

/// Why steps do not form a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two steps of one name.
    #[error("step `{0}` is declared twice")]
    Duplicate(&'static str),
    /// A parent that does not exist.
    #[error("step `{step}` is triggered by `{parent}`, which does not exist")]
    UnknownParent {
        /// The child.
        step: &'static str,
        /// The missing parent.
        parent: &'static str,
    },
    /// Steps that trigger each other.
    #[error("step `{0}` is part of a cycle")]
    Cycle(&'static str),
    /// A root above which data would be needed.
    #[error("root step `{0}` must be at dataset level")]
    RootLevel(&'static str),
    /// Without a parent of its own level or above, an empty dataset or config would never get this view.
    #[error("step `{0}` needs a parent at its own level or above")]
    NoParentAbove(&'static str),
    /// The size of a whole dataset is never known in time.
    #[error("dataset-level step `{0}` cannot have a bonus difficulty")]
    DatasetBonus(&'static str),
    /// Splits are only known per config.
    #[error("dataset-level step `{parent}` cannot trigger split-level step `{step}`")]
    DatasetToSplit {
        /// The child.
        step: &'static str,
        /// The parent.
        parent: &'static str,
    },
}

/// All steps with their edges, in topological order.
#[derive(Clone, Debug)]
pub struct Graph {
    steps: Vec<Step>,
    children: HashMap<&'static str, Vec<usize>>,
    /// Asked for at the end of every job, so it is found once.
    answer_set: Vec<StepName>,
}

impl Graph {
    /// Joins the steps.
    ///
    /// # Errors
    /// [`GraphError`] for a duplicate, an unknown parent, a cycle or levels that do not fit.
    pub fn new(steps: Vec<Step>) -> Result<Self, GraphError> {
        check(&steps)?;
        let steps = sorted(steps)?;
        let mut children: HashMap<_, Vec<_>> = steps.iter().map(|step| (step.name, Vec::new())).collect();
        for (index, step) in steps.iter().enumerate() {
            for parent in step.triggered_by {
                children.entry(parent).or_default().push(index);
            }
        }
        let mut graph = Self { steps, children, answer_set: Vec::new() };
        graph.answer_set = graph.find_answer_set();
        Ok(graph)
    }

    /// All steps, parents before children; steps of equal depth in the order declared.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The step of a name; `None` when this build does not know it.
    pub fn step(&self, name: &StepName) -> Option<&Step> {
        self.steps.iter().find(|step| *name == step.name)
    }

    /// The steps that the end of this one triggers.
    pub fn children(&self, name: &StepName) -> impl Iterator<Item = &Step> {
        self.children.get(name.as_str()).into_iter().flatten().map(|index| &self.steps[*index])
    }

    /// The step itself and everything that leads to it.
    pub fn self_and_ancestors(&self, name: &StepName) -> Vec<StepName> {
        let mut found: Vec<&Step> = self.step(name).into_iter().collect();
        let mut next = 0;
        while let Some(step) = found.get(next) {
            for parent in step.triggered_by {
                let parent = self.step(&StepName::known(parent)).expect("checked when the graph was made");
                if !found.iter().any(|known| known.name == parent.name) {
                    found.push(parent);
                }
            }
            next += 1;
        }
        found.into_iter().map(Step::step_name).collect()
    }

    /// True when several artifacts of one parent step end in one artifact of this step.
    pub fn aggregates(&self, step: &Step) -> bool {
        step.triggered_by
            .iter()
            .filter_map(|parent| self.step(&StepName::known(parent)))
            .any(|parent| parent.level > step.level)
    }

    /// The steps whose jobs must have ended before a revision is served: the answers and all that leads to them.
    pub fn answer_set(&self) -> &[StepName] {
        &self.answer_set
    }

    fn find_answer_set(&self) -> Vec<StepName> {
        let mut set: Vec<StepName> = Vec::new();
        for answer in self.steps.iter().filter(|step| step.answers) {
            let leading = self.self_and_ancestors(&answer.step_name());
            set.extend(leading.into_iter().filter(|step| !set.contains(step)).collect::<Vec<_>>());
        }
        set
    }
}

fn check(steps: &[Step]) -> Result<(), GraphError> {
    for (index, step) in steps.iter().enumerate() {
        if steps[..index].iter().any(|other| other.name == step.name) {
            return Err(GraphError::Duplicate(step.name));
        }
        if step.level == Level::Dataset && step.bonus_if_big > 0 {
            return Err(GraphError::DatasetBonus(step.name));
        }
        if step.triggered_by.is_empty() {
            if step.level != Level::Dataset {
                return Err(GraphError::RootLevel(step.name));
            }
            continue;
        }
        let mut above = step.level == Level::Split;
        for parent in step.triggered_by {
            let level = steps
                .iter()
                .find(|other| other.name == *parent)
                .ok_or(GraphError::UnknownParent { step: step.name, parent })?
                .level;
            above |= level <= step.level;
            if level == Level::Dataset && step.level == Level::Split {
                return Err(GraphError::DatasetToSplit { step: step.name, parent });
            }
        }
        if !above {
            return Err(GraphError::NoParentAbove(step.name));
        }
    }
    Ok(())
}

/// Orders by longest distance to a root.
fn sorted(steps: Vec<Step>) -> Result<Vec<Step>, GraphError> {
    let mut sorted: Vec<Step> = Vec::with_capacity(steps.len());
    let mut rest = steps;
    while !rest.is_empty() {
        let done =
            |step: &Step| step.triggered_by.iter().all(|parent| sorted.iter().any(|known| known.name == *parent));
        let (ready, waiting): (Vec<_>, Vec<_>) = rest.into_iter().partition(done);
        if ready.is_empty() {
            return Err(GraphError::Cycle(waiting[0].name));
        }
        sorted.extend(ready);
        rest = waiting;
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graph_refuses_what_does_not_fit() {
        let error = |steps: Vec<Step>| Graph::new(steps).expect_err("must be refused");
        assert_eq!(error(vec![Step::dataset("a"), Step::dataset("a")]), GraphError::Duplicate("a"));
        assert_eq!(
            error(vec![Step::dataset("a").triggered_by(&["b"])]),
            GraphError::UnknownParent { step: "a", parent: "b" }
        );
        assert_eq!(error(vec![Step::config("a")]), GraphError::RootLevel("a"));
        assert_eq!(
            error(vec![Step::dataset("a").triggered_by(&["b"]), Step::dataset("b").triggered_by(&["a"])]),
            GraphError::Cycle("a")
        );
        let root = Step::dataset("root");
        let config = Step::config("c").triggered_by(&["root"]);
        assert_eq!(
            error(vec![root.clone(), config, Step::dataset("d").triggered_by(&["c"])]),
            GraphError::NoParentAbove("d")
        );
        assert_eq!(
            error(vec![root.clone(), Step::split("s").triggered_by(&["root"])]),
            GraphError::DatasetToSplit { step: "s", parent: "root" }
        );
        assert_eq!(error(vec![root.bonus_if_big(20)]), GraphError::DatasetBonus("root"));
    }

    #[test]
    fn ancestors_include_the_step_itself() {
        let graph = Graph::new(vec![
            Step::dataset("c").triggered_by(&["b"]),
            Step::dataset("b").triggered_by(&["a"]),
            Step::dataset("a"),
            Step::dataset("other"),
        ])
        .expect("well formed");
        let names: Vec<_> =
            graph.self_and_ancestors(&StepName::known("c")).into_iter().map(|name| name.to_string()).collect();
        assert_eq!(names, ["c", "b", "a"]);
        assert_eq!(graph.steps().iter().map(|step| step.name).collect::<Vec<_>>(), ["a", "other", "b", "c"]);
    }
}
