//! A folder of datasets, a state directory and a database of a test's own, and the processes on top of them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use belvedere_domain::job::{JobRecord, JobStatus};
use belvedere_domain::{DatasetName, StepName};
use belvedere_store::Store;
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::postgres::Database;
use crate::process::{CHILD_MEMORY_BYTES, Program, until};

/// The step that takes long, and whose results are files.
pub(crate) const CONVERSION: &str = "config-parquet-and-info";
/// Rows of a dataset whose conversion takes a while.
pub(crate) const MANY: u64 = 120_000;
/// Rows of a dataset whose conversion takes no time.
pub(crate) const FEW: u64 = 100;

/// Settings of every process: short leases, and no rest while the machine works for other tests.
const SETTINGS: &[(&str, &str)] = &[
    ("WORKER_HEARTBEAT_INTERVAL_SECONDS", "0.5"),
    ("WORKER_MAX_MISSING_HEARTBEATS", "4"),
    ("WORKER_KILL_ZOMBIES_INTERVAL_SECONDS", "0.3"),
    ("WORKER_SLEEP_SECONDS", "0.2"),
    ("WORKER_SLOTS", "1"),
    ("WORKER_UVICORN_PORT", "0"),
    ("WORKER_CHILD_MEMORY_BYTES", CHILD_MEMORY_BYTES),
    ("WORKER_MAX_LOAD_PCT", "0"),
    ("WORKER_MAX_MEMORY_PCT", "0"),
    ("WORKER_MAX_SYSTEM_MEMORY_PCT", "0"),
    ("WORKER_MAX_DISK_USAGE_PCT", "0"),
    ("QUEUE_RATE_LIMIT", "false"),
    ("HUB_QUIET_SECONDS", "0.05"),
];

/// What an HTTP request came to.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// See the module.
pub(crate) struct Bed {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) database: Option<Database>,
    /// The datasets with the number of their rows.
    pub(crate) datasets: Vec<(String, u64)>,
    settings: Vec<(String, String)>,
    folder: tempfile::TempDir,
    agent: ureq::Agent,
    started: AtomicU32,
}

impl Bed {
    /// On a SQLite file.
    pub(crate) fn sqlite() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        for child in ["data", "logs"] {
            fs::create_dir(folder.path().join(child)).unwrap();
        }
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(30)));
        Self {
            runtime,
            database: None,
            datasets: Vec::new(),
            settings: SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            folder,
            agent: config.build().into(),
            started: AtomicU32::new(0),
        }
    }

    /// On a database of its own, with its history recorded. `None` when no server is named.
    pub(crate) fn postgres() -> Option<Self> {
        let server = std::env::var("BELVEDERE_TEST_POSTGRES_URL").ok()?;
        Some(Self::on(&server))
    }

    /// On a database of its own of this server.
    pub(crate) fn on(server: &str) -> Self {
        let mut bed = Self::sqlite();
        let database = bed.runtime.block_on(Database::create(server));
        bed.set("STORE_URL", &database.url);
        bed.database = Some(database);
        bed
    }

    /// Changes a setting of the processes to come.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a dataset of one CSV file, or another state of it. The file appears at once.
    pub(crate) fn write(&mut self, dataset: &str, rows: u64) {
        let folder = self.folder.path().join("data").join(dataset);
        fs::create_dir_all(&folder).unwrap();
        let block: String = (0..1000).fold(String::new(), |mut block, id| {
            writeln!(block, "{id},a text of some words for row {id},{}.5,2024-03-{:02}", id * 7, id % 28 + 1).unwrap();
            block
        });
        let mut text = "id,text,number,day\n".to_owned();
        for _ in 0..rows / 1000 {
            text.push_str(&block);
        }
        block.lines().take((rows % 1000) as usize).for_each(|line| writeln!(text, "{line}").unwrap());
        let fresh = self.folder.path().join("fresh.csv");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, folder.join("data.csv")).unwrap();
        let name = format!("lab/{dataset}");
        self.datasets.retain(|(known, _)| *known != name);
        self.datasets.push((name, rows));
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// What is left in the parent of scratch directories.
    pub(crate) fn scratch(&self) -> Vec<String> {
        names_in(&self.state().join("scratch"))
    }

    /// `belvedere serve`: everything in one process.
    pub(crate) fn serve(&self) -> Program {
        self.start("serve", &["--host", "127.0.0.1", "--port", "0"])
    }

    /// `belvedere api`: requests only.
    pub(crate) fn api(&self) -> Program {
        self.start("api", &["--host", "127.0.0.1", "--port", "0"])
    }

    /// `belvedere worker`: jobs only.
    pub(crate) fn worker(&self) -> Program {
        self.start("worker", &[])
    }

    /// `belvedere worker` with other settings.
    pub(crate) fn worker_with(&self, settings: &[(&str, &str)]) -> Program {
        let set: Vec<String> = settings
            .iter()
            .map(|(name, value)| format!("{}={value}", name.to_lowercase().replacen('_', ".", 1)))
            .collect();
        let flags: Vec<&str> = set.iter().flat_map(|set| ["--set", set.as_str()]).collect();
        self.start("worker", &flags)
    }

    /// `belvedere monitor`: what is done once for all.
    pub(crate) fn monitor(&self) -> Program {
        self.start("monitor", &[])
    }

    fn start(&self, command: &str, arguments: &[&str]) -> Program {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let (state, data) = (self.state(), self.folder.path().join("data"));
        let folder = format!("lab={}", data.display());
        let mut all =
            vec![command, folder.as_str(), "--state", state.to_str().unwrap(), "--color", "never", "--verbose"];
        all.extend(arguments);
        Program::start(&all, &self.settings, self.folder.path().join(format!("logs/{number}-{command}.log")))
    }

    /// One GET; `None` when nobody answers.
    pub(crate) fn try_get(&self, url: &str) -> Option<Answer> {
        let mut response = self.agent.get(url).call().ok()?;
        let body = response.body_mut().with_config().limit(1 << 30).read_to_vec().ok()?;
        Some(Answer { status: response.status().as_u16(), body })
    }

    /// One GET.
    pub(crate) fn get(&self, url: &str) -> Answer {
        self.try_get(url).unwrap_or_else(|| panic!("no answer to GET {url}"))
    }

    /// The store of several processes.
    pub(crate) fn store(&self) -> &Store {
        &self.database.as_ref().unwrap().store
    }

    /// The store that the server left, once it has ended.
    pub(crate) fn left_store(&self) -> Store {
        let url = format!("sqlite:{}", self.state().join("belvedere.sqlite").display());
        self.runtime.block_on(Store::connect(&url)).unwrap()
    }

    /// The job of a step of a dataset, if it is pending.
    pub(crate) fn job(&self, store: &Store, dataset: &str, step: &str) -> Option<JobRecord> {
        let name = DatasetName::new(dataset).unwrap();
        let jobs = self.runtime.block_on(store.queue.pending(Some(&name))).unwrap();
        jobs.into_iter().find(|job| job.key.step == StepName::read(step.to_owned()))
    }

    /// Catches a process in the middle of a conversion: its readers stand still from now on.
    pub(crate) fn catch(&self, program: &Program) {
        let begun = |name: &String| name.starts_with(CONVERSION) && !name.ends_with("-lock");
        until("a conversion runs", || {
            (self.scratch().iter().any(begun) && !program.readers().is_empty()).then_some(())
        });
        let readers = program.readers();
        readers.iter().for_each(|reader| kill_process(*reader, Signal::STOP).unwrap());
        assert!(self.scratch().iter().any(begun), "the conversion was too fast to be caught: more rows are needed");
    }

    /// As [`catch`](Self::catch), and gives the job as the queue has it.
    pub(crate) fn catch_job(&self, program: &Program, dataset: &str) -> JobRecord {
        self.catch(program);
        let job = self.job(self.store(), dataset, CONVERSION).unwrap();
        assert_eq!(job.status, JobStatus::Started);
        job
    }

    /// Number of jobs that wait or run, as the server tells.
    fn pending(&self, base: &str) -> Option<u64> {
        let metrics = self.try_get(&format!("{base}/metrics")).filter(|answer| answer.status == 200)?;
        let text = String::from_utf8(metrics.body).unwrap();
        let jobs = text.lines().filter(|line| line.starts_with("queue_jobs_total{"));
        Some(jobs.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() as u64).sum())
    }

    /// Waits until every dataset is served as it is on the disk, and nothing is left to be done.
    pub(crate) fn settle(&self, base: &str) {
        for (dataset, rows) in &self.datasets {
            until(&format!("{dataset} is served with {rows} rows"), || {
                let size = self.try_get(&format!("{base}/size?dataset={dataset}"))?.json();
                let complete = size["pending"] == serde_json::json!([]) && size["failed"] == serde_json::json!([]);
                (complete && size["size"]["dataset"]["num_rows"] == *rows).then_some(())
            });
        }
        until("nothing is left to be done", || (self.pending(base)? == 0).then_some(()));
    }
}

/// The names of what is visible in a folder; none when it is missing.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).map(|entries| entries.filter_map(Result::ok).collect()).unwrap_or_else(|_| vec![]);
    let names = entries.iter().map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}
