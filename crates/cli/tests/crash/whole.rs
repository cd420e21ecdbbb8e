//! What must hold when everything is over: every artifact once at the target revision, every file whole, nothing left
//! over on the disk or among the processes.

use std::collections::BTreeSet;
use std::fs;

use belvedere_domain::data_files::{Reader, ResolvedConfig};
use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, Level, SplitName};
use belvedere_engine::call::Inspect;
use belvedere_engine::source::SourceFile;
use belvedere_engine::{Call, Reply, Task};
use belvedere_jobs::Registry;
use belvedere_store::Store;
use indexmap::IndexMap;

use crate::bed::{Bed, names_in};
use crate::process::{Program, is_read_for, until};

impl Bed {
    /// Every file that the server lists is there, has its size, and holds all rows of the dataset.
    pub(crate) fn assert_files_whole(&self, base: &str) {
        for (dataset, rows) in &self.datasets {
            let listed = self.get(&format!("{base}/parquet?dataset={dataset}")).json();
            let files = listed["parquet_files"].as_array().unwrap();
            assert!(!files.is_empty(), "{dataset} has no files: {listed}");
            let folder = tempfile::tempdir().unwrap();
            let (mut sources, mut paths) = (Vec::new(), Vec::new());
            for (index, file) in files.iter().enumerate() {
                let bytes = self.get(file["url"].as_str().unwrap()).body;
                assert_eq!(bytes.len() as u64, file["size"], "{file}");
                let path = format!("{index}.parquet");
                let local_path = folder.path().join(&path);
                fs::write(&local_path, &bytes).unwrap();
                sources.push(SourceFile { path: path.clone(), local_path, size: bytes.len() as u64, identity: None });
                paths.push(path);
            }
            assert_eq!(rows_of(sources, paths), *rows, "rows of the files of {dataset}");
            let offset = rows - 1;
            let last = format!("{base}/rows?dataset={dataset}&config=default&split=train&offset={offset}&length=1");
            let last = self.get(&last).json();
            assert_eq!(last["rows"][0]["row"]["id"], offset % 1000, "last row of {dataset}: {last}");
            assert_eq!(last["num_rows_total"], *rows);
        }
    }

    /// Every artifact of every dataset is stored once and without error, for the target revision, which is served.
    pub(crate) fn assert_views_whole(&self, store: &Store) {
        let rows = self.runtime.block_on(store.datasets.list()).unwrap();
        let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, self.datasets.iter().map(|(name, _)| name.as_str()).collect());
        for row in rows {
            assert_eq!((row.pending_jobs, row.errors), (0, 0), "{}", row.name);
            assert_eq!(row.served.as_ref(), Some(&row.target), "{}", row.name);
            let stored = self.runtime.block_on(store.views.rows(&row.name)).unwrap();
            for artifact in &stored {
                let failed_runs = if self.forgives_failed_runs { 0 } else { artifact.failed_runs };
                let facts = (&artifact.revision, artifact.http_status, failed_runs);
                assert_eq!(facts, (&row.target, 200, 0), "{}", artifact.key);
            }
            let keys: Vec<String> = stored.iter().map(|artifact| artifact.key.to_string()).collect();
            let once: BTreeSet<String> = keys.iter().cloned().collect();
            assert_eq!(once.len(), keys.len(), "an artifact of {} is stored twice", row.name);
            assert_eq!(once, artifacts_of(&row.name), "artifacts of {}", row.name);
        }
    }

    /// The end of a test on PostgreSQL: all is well, then everything stops in order and leaves nothing.
    pub(crate) fn close(mut self, base: &str, programs: Vec<Program>) {
        self.assert_files_whole(base);
        self.assert_views_whole(self.store());
        self.assert_history();
        stop_in_order(programs);
        self.assert_nothing_left();
        let database = self.database.take().unwrap();
        self.runtime.block_on(database.remove());
    }

    /// Nothing in the recorded history must not be.
    pub(crate) fn assert_history(&self) {
        assert_eq!(crate::history::faults_of(&self.events()), Vec::<String>::new());
    }

    /// No process reads for us any more, and the scratch directories are gone.
    pub(crate) fn assert_nothing_left(&self) {
        until("no reader is left", || (!is_read_for(&self.state())).then_some(()));
        assert_eq!(names_in(&self.state().join("scratch")), Vec::<String>::new());
    }
}

/// Asks all of them to stop, and expects that they do.
pub(crate) fn stop_in_order(programs: Vec<Program>) {
    programs.iter().for_each(|program| program.signal(rustix::process::Signal::TERM));
    for mut program in programs {
        let status = program.end();
        assert_eq!(status.code(), Some(0), "{status:?}: {}", program.log());
    }
}

fn artifacts_of(dataset: &DatasetName) -> BTreeSet<String> {
    let (config, split) = (ConfigName::new("default").unwrap(), SplitName::new("train").unwrap());
    let key = |step: &belvedere_domain::Step| match step.level {
        Level::Dataset => ArtifactKey::dataset(step.step_name(), dataset.clone()),
        Level::Config => ArtifactKey::config(step.step_name(), dataset.clone(), config.clone()),
        Level::Split => ArtifactKey::split(step.step_name(), dataset.clone(), config.clone(), split.clone()),
    };
    // The root of the graph starts the chain and stores nothing of its own.
    let graph = Registry::new().unwrap().graph();
    graph.steps().iter().map(key).map(|key| key.to_string()).collect()
}

fn rows_of(files: Vec<SourceFile>, paths: Vec<String>) -> u64 {
    let config = ResolvedConfig {
        name: ConfigName::new("default").unwrap(),
        reader: Reader::Parquet,
        parameters: IndexMap::new(),
        reader_features: None,
        declared_features: None,
        declared_splits: None,
        declared_texts: IndexMap::new(),
        splits: IndexMap::from([(SplitName::new("train").unwrap(), paths)]),
    };
    match belvedere_engine::execute(Call::Inspect(Inspect { config, files }), &Task::default()).unwrap() {
        Reply::Inspect(inspected) => inspected.splits.iter().map(|split| split.num_examples).sum(),
        _ => panic!("the engine answered another question"),
    }
}
