//! The one list of steps. The graph, the routes of the admin API and the worker all derive from it.

use std::collections::HashMap;
use std::sync::Arc;

use belvedere_domain::graph::GraphError;
use belvedere_domain::{Graph, StepName};

use crate::job::Job;
use crate::{config, dataset, split};

/// Every step of this build.
fn jobs() -> Vec<Box<dyn Job>> {
    vec![
        Box::new(dataset::init::Init),
        Box::new(dataset::config_names::ConfigNamesJob),
        Box::new(config::split_names::SplitNamesJob),
        Box::new(config::parquet_and_info::ParquetAndInfoJob),
        Box::new(config::parquet::ParquetJob),
        Box::new(config::parquet_metadata::ParquetMetadataJob),
        Box::new(config::info::InfoJob),
        Box::new(config::size::SizeJob),
        Box::new(split::first_rows::FirstRowsJob),
        Box::new(split::is_valid::IsValidJob),
        Box::new(config::is_valid::IsValidJob),
        Box::new(dataset::split_names::SplitNamesJob),
        Box::new(dataset::parquet::ParquetJob),
        Box::new(dataset::info::InfoJob),
        Box::new(dataset::size::SizeJob),
        Box::new(dataset::is_valid::IsValidJob),
    ]
}

/// The jobs by name, with their graph.
pub struct Registry {
    jobs: HashMap<StepName, Box<dyn Job>>,
    graph: Arc<Graph>,
}

impl Registry {
    /// All steps of this build.
    ///
    /// # Errors
    /// [`GraphError`] when the steps do not form a graph.
    pub fn new() -> Result<Self, GraphError> {
        let jobs = jobs();
        let graph = Graph::new(jobs.iter().map(|job| job.step().clone()).collect())?;
        let jobs = jobs.into_iter().map(|job| (job.step().step_name(), job)).collect();
        Ok(Self { jobs, graph: Arc::new(graph) })
    }

    /// The graph.
    pub fn graph(&self) -> Arc<Graph> {
        Arc::clone(&self.graph)
    }

    /// The job of a step; `None` for steps of other versions.
    pub fn job(&self, step: &StepName) -> Option<&dyn Job> {
        self.jobs.get(step).map(|job| &**job)
    }
}
