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
    /// What starts the program, with its arguments before the program's.
    pub(crate) wrapper: &'static [&'static str],
    /// Views may have been errors before they were what they are.
    pub(crate) forgives_failed_runs: bool,
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
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
        Self {
            runtime,
            database: None,
            datasets: Vec::new(),
            settings: SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            wrapper: &[],
            forgives_failed_runs: false,
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

    /// Leaves a setting of the processes to come as it is.
    pub(crate) fn unset(&mut self, name: &str) {
        self.settings.retain(|(known, _)| known != name);
    }

    /// Waits for so many signs of life of the workers of started jobs.
    pub(crate) fn wait_for_signs_of_life(&self, number: usize) {
        let mut seen = std::collections::BTreeSet::new();
        let client = self.runtime.block_on(self.database.as_ref().unwrap().client());
        until("there are signs of life", || {
            let sql = "SELECT max(last_heartbeat) FROM jobs WHERE status = 1";
            let last: Option<i64> = self.runtime.block_on(client.query_one(sql, &[])).unwrap().get(0);
            seen.extend(last);
            (seen.len() > number).then_some(())
        });
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

    /// A place of the test's own.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        let place = self.folder.path().join(name);
        fs::create_dir_all(&place).unwrap();
        place
    }

    /// Removes a dataset.
    pub(crate) fn remove(&mut self, dataset: &str) {
        fs::remove_dir_all(self.folder.path().join("data").join(dataset)).unwrap();
        self.datasets.retain(|(known, _)| *known != format!("lab/{dataset}"));
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
        Program::start(
            self.wrapper,
            &all,
            &self.settings,
            self.folder.path().join(format!("logs/{number}-{command}.log")),
        )
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

    /// Asks for a step of a dataset to be run again, which is a write; what that came to.
    pub(crate) fn force(&self, base: &str, dataset: &str) -> Answer {
        let url = format!("{base}/admin/force-refresh/dataset-config-names?dataset={dataset}");
        let mut response = self.agent.post(&url).send_empty().unwrap();
        let body = response.body_mut().read_to_vec().unwrap();
        Answer { status: response.status().as_u16(), body }
    }

    /// The store of several processes.
    pub(crate) fn store(&self) -> &Store {
        &self.database.as_ref().unwrap().store
    }

    /// The SQLite file of the server.
    pub(crate) fn file(&self) -> PathBuf {
        let named = self.settings.iter().find(|(name, _)| name == "STORE_URL");
        named.map_or_else(
            || self.state().join("belvedere.sqlite"),
            |(_, url)| PathBuf::from(url.strip_prefix("sqlite:").unwrap()),
        )
    }

    /// The store that the server left, once it has ended.
    pub(crate) fn left_store(&self) -> Store {
        self.runtime.block_on(Store::connect(&format!("sqlite:{}", self.file().display()))).unwrap()
    }

    /// The job of a step of a dataset, if it is pending.
    pub(crate) fn job(&self, store: &Store, dataset: &str, step: &str) -> Option<JobRecord> {
        let name = DatasetName::new(dataset).unwrap();
        let jobs = self.runtime.block_on(store.queue.pending(Some(&name))).unwrap();
        jobs.into_iter().find(|job| job.key.step == StepName::read(step.to_owned()))
    }

    /// Whether a conversion is in work.
    pub(crate) fn converts(&self) -> bool {
        self.scratch().iter().any(|name| name.starts_with(CONVERSION) && !name.ends_with("-lock"))
    }

    /// Catches a process in the middle of a conversion: its readers stand still from now on. A conversion that ends too soon
    /// to be caught, which is chance, is followed by one of twice as many rows.
    pub(crate) fn catch(&mut self, program: &Program) {
        loop {
            let readers = until("a conversion runs", || {
                let readers = if self.converts() { program.readers() } else { vec![] };
                (!readers.is_empty()).then_some(readers)
            });
            let tell = |signal| {
                for reader in &readers {
                    // One that is not needed any more may be gone.
                    let _ = kill_process(*reader, signal);
                }
            };
            tell(Signal::STOP);
            if self.converts() {
                return;
            }
            tell(Signal::CONT);
            let (dataset, rows) = self.datasets.iter().max_by_key(|(_, rows)| *rows).unwrap().clone();
            assert!(rows < 16 * MANY, "no conversion can be caught");
            self.write(dataset.strip_prefix("lab/").unwrap(), rows * 2);
        }
    }

    /// As [`catch`](Self::catch), and gives the job as the queue has it.
    pub(crate) fn catch_job(&mut self, program: &Program, dataset: &str) -> JobRecord {
        self.catch(program);
        let job = self.job(self.store(), dataset, CONVERSION).unwrap();
        assert_eq!(job.status, JobStatus::Started);
        job
    }

    /// Number of jobs that wait or run and of views that are errors, as the server tells.
    pub(crate) fn unsettled(&self, base: &str) -> Option<u64> {
        let told = self.try_get(&format!("{base}/admin/datasets")).filter(|answer| answer.status == 200)?.json();
        let number = |dataset: &Value, name: &str| dataset[name].as_u64();
        let of = |dataset: &Value| Some(number(dataset, "pending_jobs")? + number(dataset, "errors")?);
        told["datasets"].as_array()?.iter().map(of).sum()
    }

    /// Waits until every dataset is served as it is on the disk, no error is stored and nothing is left to be done.
    pub(crate) fn settle(&self, base: &str) {
        for (dataset, rows) in &self.datasets {
            until(&format!("{dataset} is served with {rows} rows"), || {
                let size = self.try_get(&format!("{base}/size?dataset={dataset}"))?.json();
                let complete = size["pending"] == serde_json::json!([]) && size["failed"] == serde_json::json!([]);
                (complete && size["size"]["dataset"]["num_rows"] == *rows).then_some(())
            });
        }
        until("nothing is left to be done", || (self.unsettled(base)? == 0).then_some(()));
    }
}

/// The names of what is visible in a folder; none when it is missing.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).map(|entries| entries.filter_map(Result::ok).collect()).unwrap_or_else(|_| vec![]);
    let names = entries.iter().map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}
