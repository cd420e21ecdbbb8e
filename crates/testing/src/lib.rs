//! The whole program in one test: real folders, store, jobs and router, without sockets and without waiting.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use belvedere_api::{Answer, ApiSettings, ApiState, Router, ask};
use belvedere_hub::local::{Layout, LocalHub, LocalOptions, Root};
use belvedere_jobs::call::{Caller, InProcess};
use belvedere_jobs::files::Files;
use belvedere_jobs::memory::StoreMemory;
use belvedere_jobs::worker::Tick;
use belvedere_jobs::{Refresher, Registry, Services, Settings, Worker};
use belvedere_store::{Blobs, Store};

/// Belvedere over a temporary folder, with everything that runs by itself in the hands of the test.
pub struct TestApp {
    folder: tempfile::TempDir,
    hub: Arc<LocalHub>,
    /// Shared services: store, blobs, graph.
    pub services: Arc<Services>,
    /// Keeps datasets up to date.
    pub refresher: Arc<Refresher>,
    /// Runs jobs.
    pub worker: Worker,
    router: Router,
    _state: tempfile::TempDir,
}

impl TestApp {
    /// An app over an empty folder, with default settings.
    ///
    /// # Panics
    /// When the machine has no room for temporary files.
    pub async fn new() -> Self {
        Self::with(|_| {}, |_| {}).await
    }

    /// An app with other settings.
    ///
    /// # Panics
    /// When the machine has no room for temporary files.
    pub async fn with(change: impl FnOnce(&mut Settings), change_api: impl FnOnce(&mut ApiSettings)) -> Self {
        let (folder, state) = (temporary(), temporary());
        let url = format!("sqlite:{}", state.path().join("test.sqlite").display());
        let store = Store::connect(&url).await.expect("a new store opens");
        let blobs = Blobs::open(&state.path().join("blobs").to_string_lossy()).expect("a new folder opens");
        let memory = Arc::new(StoreMemory(Arc::clone(&store.snapshots)));
        let root = Root::parse(&folder.path().to_string_lossy(), Layout::Detect);
        // Files of tests are complete when they are written.
        let options = LocalOptions { quiet: Duration::ZERO, ..LocalOptions::default() };
        let hub = Arc::new(LocalHub::open(&[root], memory, options).expect("the folder is there"));
        let registry = Arc::new(Registry::new().expect("the steps form a graph"));
        let mut settings = Settings::default();
        settings.worker.scratch = state.path().join("scratch");
        settings.worker.coalesce_seconds = 0.0;
        change(&mut settings);
        let services = Arc::new(Services {
            files: Files::new(Arc::clone(&hub) as _, blobs.clone()),
            store,
            blobs,
            graph: registry.graph(),
            settings,
            children: Arc::new(InProcess) as Arc<dyn Caller>,
            trusted: Arc::new(InProcess) as Arc<dyn Caller>,
        });
        let refresher = Arc::new(Refresher::new(Arc::clone(&services), 2));
        let worker = Worker::new(Arc::clone(&services), registry, "test");
        let mut api = ApiSettings { cached_assets: state.path().join("cached-assets"), ..ApiSettings::default() };
        change_api(&mut api);
        let router = belvedere_api::router(ApiState::new(Arc::clone(&services), Arc::clone(&refresher), api));
        Self { folder, hub, services, refresher, worker, router, _state: state }
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

    /// Writes a file below the folder. The first segment is the dataset.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("the folder is writable");
        std::fs::write(path, content).expect("the folder is writable");
    }

    /// The full path of a file below the folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Looks through the folder and plans what its changes need.
    pub async fn refresh(&self) {
        self.hub.scan(SystemTime::now() + Duration::from_secs(60)).await;
        self.refresher.all().await;
    }

    /// Runs jobs until none is left.
    ///
    /// # Panics
    /// When jobs do not come to an end.
    pub async fn run_jobs(&self) {
        for _ in 0..10_000 {
            match self.worker.tick().await.expect("the queue can be asked") {
                Tick::Ran => {}
                Tick::Idle => return,
                Tick::Closed(reason) => panic!("the machine has no room: {reason}"),
            }
        }
        panic!("the jobs do not come to an end");
    }

    /// Looks, plans and runs until nothing is left to do.
    pub async fn settle(&self) {
        self.refresh().await;
        self.run_jobs().await;
    }

    /// Asks the API.
    pub async fn get(&self, path: &str) -> Answer {
        ask(&self.router, "GET", path, &[("host", "viewer.test")]).await
    }

    /// Asks the API with a method and headers.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        ask(&self.router, method, path, headers).await
    }
}

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("the machine has room for temporary files")
}

/// Status, the headers that tests look at, and the body, as readable text.
pub fn show(answer: &Answer) -> String {
    let mut text = format!("{}\n", answer.status);
    for name in ["cache-control", "content-type", "x-error-code"] {
        if let Some(value) = answer.header(name) {
            text.push_str(&format!("{name}: {value}\n"));
        }
    }
    match serde_json::from_slice::<serde_json::Value>(&answer.body) {
        Ok(json) => text.push_str(&serde_json::to_string_pretty(&json).unwrap_or_default()),
        Err(_) => text.push_str(&answer.text()),
    }
    text
}
