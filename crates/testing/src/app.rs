//! The program, one step at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use belvedere_api::{Answer, ApiSettings, ApiState, Router, ask, ask_with};
use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, Difficulty, NewJob, Priority, SplitName, StepName};
use belvedere_hub::local::{Layout, LocalHub, LocalOptions, Root};
use belvedere_jobs::distant;
use belvedere_jobs::files::Files;
use belvedere_jobs::memory::StoreMemory;
use belvedere_jobs::worker::Tick;
use belvedere_jobs::{Caller, Refresher, Registry, Services, Settings, Worker};
use belvedere_store::{Blobs, ClaimRequest, DatasetRow, Store};

use crate::children::Children;
use crate::postgres::Database;

/// The `Host` that tests ask for, so that URLs in answers are known.
const HOST: (&str, &str) = ("host", "viewer.test");

/// What a test may change about the program.
pub struct Options {
    /// Settings of steps and workers. Nothing waits: failed jobs and aggregates are due at once.
    pub settings: Settings,
    /// Settings of the API.
    pub api: ApiSettings,
    /// Earlier revisions that stay readable, apart from the one served and the one in work.
    pub keep_revisions: u32,
    /// Files behind views are kept in this place, not in a folder.
    pub distant: Option<Blobs>,
    /// Media that jobs make are kept in this place, not with the other files.
    pub assets: Option<Blobs>,
}

/// Belvedere over a temporary folder, with everything that runs by itself in the hands of the test.
pub struct TestApp {
    folder: tempfile::TempDir,
    state: tempfile::TempDir,
    hub: Arc<LocalHub>,
    database: Option<Database>,
    router: Router,
    /// Shared services: store, blobs, graph.
    pub services: Arc<Services>,
    /// Reads files for jobs and for pages of rows.
    pub children: Arc<Children>,
    /// Keeps datasets up to date.
    pub refresher: Arc<Refresher>,
    /// Runs jobs.
    pub worker: Worker,
}

/// The app that tests make.
impl TestApp {
    /// An app over an empty folder, with default settings.
    ///
    /// # Panics
    /// When the machine has no room for temporary files.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// An app with other settings.
    ///
    /// # Panics
    /// When the machine has no room for temporary files.
    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::start(None, change).await
    }

    /// An app on a PostgreSQL database of its own; `None` when `BELVEDERE_TEST_POSTGRES_URL` names no server. To be
    /// ended with [`close`](Self::close).
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn on_postgres() -> Option<Self> {
        let database = Database::new().await?;
        Some(Self::start(Some(database), |_| {}).await)
    }

    /// An app on SQLite and, if `BELVEDERE_TEST_POSTGRES_URL` names a server, one on PostgreSQL, with the same settings.
    /// Each is to be ended with [`close`](Self::close).
    ///
    /// # Panics
    /// When the machine has no room for temporary files, or the server refuses.
    pub async fn everywhere(change: impl Fn(&mut Options)) -> Vec<Self> {
        let mut apps = vec![Self::start(None, &change).await];
        if let Some(database) = Database::new().await {
            apps.push(Self::start(Some(database), &change).await);
        }
        apps
    }

    async fn start(database: Option<Database>, change: impl FnOnce(&mut Options)) -> Self {
        let (folder, state) = (temporary(), temporary());
        let url = match &database {
            Some(database) => database.url.clone(),
            None => format!("sqlite:{}", state.path().join("test.sqlite").display()),
        };
        let store = Store::connect(&url).await.expect("a new store opens");
        let memory = Arc::new(StoreMemory(Arc::clone(&store.snapshots)));
        let root = Root::parse(&folder.path().to_string_lossy(), Layout::Detect);
        // Files of tests are complete when they are written.
        let local = LocalOptions { quiet: Duration::ZERO, ..LocalOptions::default() };
        let hub = Arc::new(LocalHub::open(&[root], memory, local).expect("the folder is there"));
        let mut options = Options {
            settings: Settings::default(),
            api: ApiSettings::default(),
            keep_revisions: 2,
            distant: None,
            assets: None,
        };
        options.settings.worker.scratch = state.path().join("scratch");
        options.settings.worker.coalesce_seconds = 0.0;
        options.settings.worker.retry_seconds = 0.0;
        options.api.cached_assets = state.path().join("cached-assets");
        change(&mut options);
        let registry = Arc::new(Registry::with(&options.settings.scans.steps()).expect("the steps form a graph"));
        let blobs = options.distant.map_or_else(|| Blobs::folder(&state.path().join("blobs")), Ok);
        let blobs = blobs.expect("a new folder opens");
        let children = Arc::new(Children::default());
        let caller = Arc::clone(&children) as Arc<dyn Caller>;
        let trusted = if blobs.is_folder() { Arc::clone(&caller) } else { distant::trusted(&blobs) };
        let files = Files::new(Arc::clone(&hub) as _, blobs.clone(), Some(Arc::clone(&store.views)));
        let services = Arc::new(Services {
            files: options.assets.into_iter().fold(files, Files::with_assets),
            store,
            children: distant::with_files(&blobs, caller),
            trusted,
            blobs,
            graph: registry.graph(),
            settings: options.settings,
        });
        let refresher = Arc::new(Refresher::new(Arc::clone(&services), options.keep_revisions));
        let api = ApiState::new(Arc::clone(&services), Arc::clone(&refresher), options.api);
        let worker = Worker::new(Arc::clone(&services), registry, "test").observed_by(api.observer());
        let router = belvedere_api::router_with_admin(api);
        Self { folder, state, hub, database, router, services, children, refresher, worker }
    }

    /// An app with one file in the dataset `local/data`, all jobs done.
    ///
    /// # Panics
    /// When a file cannot be written or a job does not end.
    pub async fn with_file(name: &str, content: impl AsRef<[u8]>) -> Self {
        let app = Self::new().await;
        app.write(&format!("data/{name}"), content);
        app.settle().await;
        app
    }

    /// The store as another process opens it; `None` where there is no other.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn store_of_another(&self) -> Option<Store> {
        let database = self.database.as_ref()?;
        Some(Store::connect(&database.url).await.expect("the server answers"))
    }

    /// Ends the app and drops its database, if it has one of its own.
    ///
    /// # Panics
    /// When the database cannot be dropped.
    pub async fn close(self) {
        let Self { database, services, refresher, worker, router, hub, .. } = self;
        drop((services, refresher, worker, router, hub));
        if let Some(database) = database {
            database.drop().await;
        }
    }
}

/// Its files.
impl TestApp {
    /// Writes a file below the folder. The first segment is the dataset: `wine/a.csv` belongs to `local/wine`.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("the folder is writable");
        std::fs::write(path, content).expect("the folder is writable");
    }

    /// Copies the files of a conformance set to a dataset.
    ///
    /// # Panics
    /// When there is no such set or a file cannot be copied.
    pub fn copy_set(&self, set: &str, dataset: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/sets").join(set).join("repo");
        copy(&from, &self.path(dataset));
    }

    /// Removes a file or a whole dataset.
    ///
    /// # Panics
    /// When it cannot be removed.
    pub fn remove(&self, path: &str) {
        let path = self.path(path);
        let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        removed.expect("what was written can be removed");
    }

    /// A path in the state directory.
    pub fn state_path(&self, path: &str) -> PathBuf {
        self.state.path().join(path)
    }

    /// The full path of a file below the folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The files below the state directory, relative and sorted: `blobs/…`, `scratch/…`.
    ///
    /// # Panics
    /// When it cannot be listed.
    pub fn state_files(&self) -> Vec<String> {
        let mut files = Vec::new();
        list(self.state.path(), self.state.path(), &mut files);
        files.sort_unstable();
        files
    }
}

/// What runs by itself in the real program.
impl TestApp {
    /// The newest revision of a dataset in the folder.
    ///
    /// # Panics
    /// When there is no such dataset.
    pub async fn head(&self, dataset: &str) -> belvedere_domain::Revision {
        use belvedere_hub::Hub;
        let dataset = DatasetName::new(dataset).expect("a legal name");
        self.hub.head(&dataset).await.expect("the folder can be read").expect("the dataset is there").revision
    }

    /// Looks through the folder.
    pub async fn scan(&self) {
        self.hub.scan(SystemTime::now() + Duration::from_secs(60)).await;
    }

    /// Looks through the folder and plans what its changes need.
    pub async fn refresh(&self) {
        self.scan().await;
        self.refresher.all().await;
    }

    /// Runs the next job. `false`: there is none.
    ///
    /// # Panics
    /// When the queue cannot be asked.
    pub async fn tick(&self) -> bool {
        match self.worker.tick().await.expect("the queue can be asked") {
            Tick::Ran => true,
            Tick::Idle => false,
            Tick::Closed(reason) => panic!("the machine has no room: {reason}"),
        }
    }

    /// Runs jobs until none is left.
    ///
    /// # Panics
    /// When jobs do not come to an end.
    pub async fn run_jobs(&self) {
        for _ in 0..10_000 {
            if !self.tick().await {
                self.worker.store_history().await;
                return;
            }
        }
        panic!("the jobs do not come to an end");
    }

    /// Runs jobs until none is left but those of the given steps.
    ///
    /// # Panics
    /// When the queue cannot be asked.
    pub async fn run_jobs_except(&self, steps: &[&'static str]) {
        let request = ClaimRequest {
            owner: "test".into(),
            blocked: steps.iter().map(|step| StepName::known(step)).collect(),
            lease_seconds: 3600.0,
            ..ClaimRequest::default()
        };
        while let Some(job) = self.services.store.queue.claim(&request).await.expect("the queue can be asked") {
            self.worker.work(job).await;
        }
    }

    /// Looks, plans and runs until nothing is left to do.
    pub async fn settle(&self) {
        self.refresh().await;
        self.run_jobs().await;
    }

    /// Queues a step of `local/data`, to be computed even if its view is stored.
    ///
    /// # Panics
    /// When a name is not legal or the dataset unknown.
    pub async fn force(&self, step: &'static str, config: Option<&str>, split: Option<&str>) {
        self.force_in("local/data", step, config, split).await;
    }

    /// Queues a step of a dataset, to be computed even if its view is stored.
    ///
    /// # Panics
    /// When a name is not legal or the dataset unknown.
    pub async fn force_in(&self, dataset: &str, step: &'static str, config: Option<&str>, split: Option<&str>) {
        let row = self.dataset(dataset).await.expect("the dataset is known");
        let key = ArtifactKey {
            step: StepName::known(step),
            dataset: row.name,
            config: config.map(|name| ConfigName::new(name).expect("a legal name")),
            split: split.map(|name| SplitName::new(name).expect("a legal name")),
        };
        let job = NewJob {
            key,
            revision: row.target,
            priority: Priority::High,
            difficulty: Difficulty::new(50),
            forced: true,
            coalesce: false,
        };
        self.services.store.queue.enqueue(vec![job]).await.expect("the queue takes it");
    }
}

/// What it answers and holds.
impl TestApp {
    /// Asks the API.
    pub async fn get(&self, path: &str) -> Answer {
        ask(&self.router, "GET", path, &[HOST]).await
    }

    /// The API itself, for answers that are read bit by bit.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// Asks the API with a method and headers.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let headers: Vec<_> = std::iter::once(HOST).chain(headers.iter().copied()).collect();
        ask(&self.router, method, path, &headers).await
    }

    /// Sends a body to the API.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        let headers: Vec<_> = std::iter::once(HOST).chain(headers.iter().copied()).collect();
        ask_with(&self.router, "POST", path, &headers, body.into()).await
    }

    /// Asks the admin service from this machine.
    pub async fn operate(&self, method: &str, path: &str) -> Answer {
        self.ask_as(method, path, &[("host", "localhost:8000")]).await
    }

    /// Asks with these headers and no others.
    pub async fn ask_as(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        ask(&self.router, method, path, headers).await
    }

    /// What the store knows of a dataset.
    ///
    /// # Panics
    /// When the name is not legal or the store cannot be asked.
    pub async fn dataset(&self, name: &str) -> Option<DatasetRow> {
        let name = DatasetName::new(name).expect("a legal name");
        self.services.store.datasets.get(&name).await.expect("the store answers")
    }

    /// The waiting jobs in the order of the queue, as `step config split`.
    ///
    /// # Panics
    /// When the queue cannot be asked.
    pub async fn queue(&self) -> Vec<String> {
        let jobs = self.services.store.queue.pending(None).await.expect("the queue can be asked");
        jobs.iter().map(|job| words(&job.key)).collect()
    }

    /// What is stored for a dataset, one line per artifact: `step config split: status code`.
    ///
    /// # Panics
    /// When the name is not legal or the store cannot be asked.
    pub async fn views(&self, dataset: &str) -> Vec<String> {
        let dataset = DatasetName::new(dataset).expect("a legal name");
        let rows = self.services.store.views.rows(&dataset).await.expect("the store answers");
        let line = |row: &belvedere_domain::plan::ArtifactRow| {
            let code = row.error_code.as_deref().map_or_else(String::new, |code| format!(" {code}"));
            format!("{}: {}{code}", words(&row.key), row.http_status)
        };
        rows.iter().map(line).collect()
    }

    /// Those of [`views`](Self::views) that are errors.
    ///
    /// # Panics
    /// As there.
    pub async fn errors(&self, dataset: &str) -> Vec<String> {
        self.views(dataset).await.into_iter().filter(|line| !line.ends_with(": 200")).collect()
    }
}

fn words(key: &ArtifactKey) -> String {
    let names = [key.config.as_ref().map(ConfigName::as_str), key.split.as_ref().map(SplitName::as_str)];
    let names: String = names.into_iter().flatten().map(|name| format!(" {name}")).collect();
    format!("{}{names}", key.step)
}

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("the machine has room for temporary files")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder is writable");
    for entry in std::fs::read_dir(from).expect("the set is there") {
        let from = entry.expect("the set can be listed").path();
        let to = to.join(from.file_name().expect("listed"));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).expect("the file can be copied");
        }
    }
}

fn list(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            list(root, &path, files);
        } else {
            files.push(path.strip_prefix(root).expect("below").to_string_lossy().into_owned());
        }
    }
}
