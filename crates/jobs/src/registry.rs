//! The one list of steps. The graph, the routes of the admin API and the worker all derive from it.

use std::collections::HashMap;
use std::sync::Arc;

use belvedere_domain::graph::GraphError;
use belvedere_domain::{Graph, StepName};

use crate::job::Job;
use crate::{config, dataset, split};

/// Every step that every program has.
fn jobs() -> Vec<Box<dyn Job>> {
    vec![
        Box::new(dataset::init::Init),
        Box::new(dataset::config_names::ConfigNamesJob),
        Box::new(config::split_names::SplitNamesJob),
        Box::new(config::parquet_and_info::ParquetAndInfoJob),
        Box::new(config::parquet::ParquetJob),
        Box::new(config::parquet_metadata::ParquetMetadataJob),
        Box::new(config::parquet_layout::ParquetLayoutJob),
        Box::new(config::info::InfoJob),
        Box::new(config::size::SizeJob),
        Box::new(split::first_rows::FirstRowsJob),
        Box::new(split::descriptive_statistics::DescriptiveStatisticsJob),
        Box::new(split::search_index::SearchIndexJob),
        Box::new(split::is_valid::IsValidJob),
        Box::new(config::is_valid::IsValidJob),
        Box::new(dataset::split_names::SplitNamesJob),
        Box::new(dataset::parquet::ParquetJob),
        Box::new(dataset::info::InfoJob),
        Box::new(dataset::size::SizeJob),
        Box::new(dataset::is_valid::IsValidJob),
        Box::new(split::image_url_columns::ImageUrlColumnsJob),
        Box::new(dataset::filetypes::FiletypesJob),
        Box::new(dataset::modalities::ModalitiesJob),
        Box::new(dataset::croissant_crumbs::CroissantCrumbsJob),
        Box::new(dataset::compatible_libraries::CompatibleLibrariesJob),
        Box::new(dataset::hub_cache::HubCacheJob),
    ]
}

/// A group of steps that are there only where something that they need is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Optional {
    /// DuckDB files of splits, and their sizes.
    DuckdbIndex,
    /// The wishes of authors of images.
    OptInOutUrls,
    /// Personal data in texts.
    PresidioEntities,
}

/// What a group of steps needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// A program built with a cargo feature, as the steps use a heavy library.
    Feature(&'static str),
    /// A setting, by its name in the configuration.
    Setting(&'static str),
}

impl Optional {
    /// All groups.
    pub const ALL: &[Self] = &[Self::DuckdbIndex, Self::OptInOutUrls, Self::PresidioEntities];

    /// What it needs.
    pub fn need(self) -> Need {
        match self {
            Self::DuckdbIndex => Need::Feature("duckdb"),
            Self::OptInOutUrls => Need::Setting("opt_in_out_urls_scan.spawning_token"),
            Self::PresidioEntities => Need::Setting("presidio_entities_scan.datasets"),
        }
    }

    /// Names of its steps.
    pub fn steps(self) -> Vec<&'static str> {
        self.jobs().iter().map(|job| job.step().name).collect()
    }

    /// The group that a step belongs to; `None` for steps that every program has, or none.
    pub fn of(step: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|group| group.steps().contains(&step))
    }

    fn jobs(self) -> Vec<Box<dyn Job>> {
        match self {
            Self::DuckdbIndex => vec![
                Box::new(split::duckdb_index::DuckdbIndexJob),
                Box::new(config::duckdb_index_size::SizeJob),
                Box::new(dataset::duckdb_index_size::SizeJob),
            ],
            Self::OptInOutUrls => vec![
                Box::new(split::opt_in_out_urls_scan::OptInOutUrlsScanJob),
                Box::new(split::opt_in_out_urls_count::OptInOutUrlsCountJob),
                Box::new(config::opt_in_out_urls_count::OptInOutUrlsCountJob),
                Box::new(dataset::opt_in_out_urls_count::OptInOutUrlsCountJob),
            ],
            Self::PresidioEntities => vec![
                Box::new(split::presidio_scan::PresidioScanJob),
                Box::new(dataset::presidio_entities_count::PresidioEntitiesCountJob),
            ],
        }
    }
}

/// The jobs by name, with their graph.
pub struct Registry {
    jobs: HashMap<StepName, Box<dyn Job>>,
    graph: Arc<Graph>,
}

impl Registry {
    /// The steps that every program has.
    ///
    /// # Errors
    /// [`GraphError`] when the steps do not form a graph.
    pub fn new() -> Result<Self, GraphError> {
        Self::with(&[])
    }

    /// The steps that every program has, and some groups.
    ///
    /// # Errors
    /// [`GraphError`] when the steps do not form a graph.
    pub fn with(optional: &[Optional]) -> Result<Self, GraphError> {
        let mut jobs = jobs();
        jobs.extend(optional.iter().flat_map(|group| group.jobs()));
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
