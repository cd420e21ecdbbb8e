//! A store, an inbox and a monitor that tests drive by hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use belvedere_domain::task::{ClusterName, State, TaskConfig, TaskId};
use belvedere_store::Store;
use belvedere_store::tasks::{ActiveLimits, LogKey, NewSweep, NewTask, Submitted, TaskRow};
use belvedere_tasks::datasets::{DatasetError, Datasets, Pin, PinnedFile, Reference};
use belvedere_tasks::{
    Catalog, Inbox, Kept, Local, LocalSettings, Monitor, MonitorSettings, UploadLimits, local::SandboxRule, new_task_id,
};
use sha2::{Digest as _, Sha256};

/// No wait of a test is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One dataset, `local/wine`, of one file.
struct Wine(PathBuf);

#[async_trait]
impl Datasets for Wine {
    async fn pin(&self, _: &Reference) -> Result<Pin, DatasetError> {
        let bytes = std::fs::read(&self.0).map_err(|error| DatasetError::Gone(error.to_string()))?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let file = PinnedFile { path: "wine.csv".into(), size: bytes.len() as u64, sha256 };
        Ok(Pin { dataset: "local/wine".into(), revision: "r1".into(), files: vec![file], ..Pin::default() })
    }

    async fn pin_selection(&self, id: &str) -> Result<Pin, DatasetError> {
        Err(DatasetError::Unknown(format!("there is no selection {id}")))
    }

    async fn locate(&self, _: &Pin) -> Result<Vec<PathBuf>, DatasetError> {
        match self.0.exists() {
            true => Ok(vec![self.0.clone()]),
            false => Err(DatasetError::Gone("the revision r1 is not kept any more".into())),
        }
    }
}

pub(crate) struct Bed {
    pub(crate) store: Store,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) inbox: Inbox,
    datasets: Arc<dyn Datasets>,
    pub(crate) settings: MonitorSettings,
    folder: tempfile::TempDir,
}

impl Bed {
    /// This machine, with settings that a test may change.
    pub(crate) async fn local(adjust: impl FnOnce(&mut LocalSettings)) -> Self {
        Self::local_with(adjust, MonitorSettings::default()).await
    }

    /// The same, with settings of the monitor.
    pub(crate) async fn local_with(adjust: impl FnOnce(&mut LocalSettings), monitor: MonitorSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let program = std::env::current_exe().unwrap();
        let wrapper = [program.to_str().unwrap(), "--exact", "local::wrapper", "--nocapture", "--"];
        let mut settings = LocalSettings {
            root: folder.path().join("work"),
            wrapper: wrapper.map(str::to_owned).to_vec(),
            sandbox: SandboxRule::Off,
            run_as: 65534,
            memory_bytes: 1 << 30,
            processes: 64,
            file_bytes: 64 << 20,
            time_seconds: 60,
            python: "/usr/bin/python3".into(),
            binds: Vec::new(),
            network: false,
        };
        adjust(&mut settings);
        let limits = ActiveLimits { per_owner: 100, per_cluster: 100 };
        let catalog = Catalog::default().with_local(Arc::new(Local::new(settings)), limits);
        Self::with(folder, catalog, monitor).await
    }

    pub(crate) async fn with(folder: tempfile::TempDir, catalog: Catalog, settings: MonitorSettings) -> Self {
        let url = format!("sqlite:{}", folder.path().join("store.sqlite").display());
        let store = Store::connect(&url).await.unwrap();
        let inbox = Inbox::new(folder.path().join("tasks"));
        let wine = folder.path().join("wine.csv");
        std::fs::write(&wine, "alcohol,class\n13.2,1\n12.4,2\n").unwrap();
        let (catalog, datasets) = (Arc::new(catalog), Arc::new(Wine(wine)) as Arc<dyn Datasets>);
        let monitor = monitor(&store, &catalog, &inbox, &datasets, &settings, "one");
        Self { store, monitor, catalog, inbox, datasets, settings, folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn datasets(&self) -> Arc<dyn Datasets> {
        Arc::clone(&self.datasets)
    }

    /// As if the server had been killed and started again.
    pub(crate) fn restart(&mut self, name: &str) {
        self.monitor = monitor(&self.store, &self.catalog, &self.inbox, &self.datasets, &self.settings, name);
    }

    /// Stores a task as a server does.
    pub(crate) async fn submit(&self, config: &str, files: &[(&str, &str)]) -> TaskId {
        let parsed = TaskConfig::parse(config.as_bytes()).unwrap();
        let limits = UploadLimits { files: 10, file_bytes: 1 << 20, total_bytes: 1 << 20 };
        let mut upload = self.inbox.begin(limits);
        for (name, text) in files {
            let mut file = upload.file(name).await.unwrap();
            file.write(text.as_bytes()).await.unwrap();
            file.finish().await.unwrap();
        }
        let id = new_task_id(1_700_000_000_000_000);
        let Kept { files, contents } = self.inbox.commit(id, upload).await.unwrap();
        let pin = match &parsed.dataset {
            Some(name) => Some(self.datasets.pin(&Reference::parse(name).unwrap()).await.unwrap()),
            None => None,
        };
        let task = NewTask {
            id,
            owner: "ana".into(),
            cluster: parsed.cluster.clone(),
            experiment: parsed.experiment.clone(),
            dataset: None,
            pin: pin.map(|pin| serde_json::to_string(&pin).unwrap()),
            config: config.to_owned(),
            files,
            contents,
            key: None,
            limits: ActiveLimits { per_owner: 100, per_cluster: 100 },
        };
        assert_eq!(self.store.tasks.submit(task).await.unwrap(), Submitted::Created);
        id
    }

    /// Stores a sweep as a server does; its id and those of its tasks.
    pub(crate) async fn submit_sweep(
        &self,
        config: &str,
        files: &[(&str, &str)],
        max_parallel: u32,
    ) -> (TaskId, Vec<TaskId>) {
        let parsed = TaskConfig::parse(config.as_bytes()).unwrap();
        let limits = UploadLimits { files: 10, file_bytes: 1 << 20, total_bytes: 1 << 20 };
        let mut upload = self.inbox.begin(limits);
        for (name, text) in files {
            let mut file = upload.file(name).await.unwrap();
            file.write(text.as_bytes()).await.unwrap();
            file.finish().await.unwrap();
        }
        let id = new_task_id(1_700_000_000_000_000);
        let Kept { files, contents } = self.inbox.commit(id, upload).await.unwrap();
        let shared = NewTask {
            id,
            owner: "ana".into(),
            cluster: parsed.cluster.clone(),
            experiment: parsed.experiment.clone(),
            dataset: None,
            pin: None,
            config: config.to_owned(),
            files,
            contents,
            key: None,
            limits: ActiveLimits { per_owner: 100, per_cluster: 100 },
        };
        let points = parsed.sweep.unwrap().points.into_iter().map(|point| serde_json::Value::Object(point).to_string());
        let ids = belvedere_tasks::new_task_ids(1_700_000_000_000_000, points.len());
        let sweep = NewSweep { shared, max_parallel, points: ids.iter().copied().zip(points).collect() };
        assert_eq!(self.store.tasks.submit_sweep(sweep).await.unwrap(), Submitted::Created);
        (id, ids)
    }

    pub(crate) async fn task(&self, id: TaskId) -> TaskRow {
        self.store.tasks.task(id, None).await.unwrap().unwrap()
    }

    pub(crate) async fn tick(&self, cluster: &str) -> belvedere_tasks::monitor::Tick {
        let member = self.catalog.member(&ClusterName::new(cluster).unwrap()).unwrap();
        self.monitor.tick(member, true).await.unwrap()
    }

    /// Looks until the task is in one of the states.
    pub(crate) async fn until(&self, id: TaskId, wanted: &[State]) -> TaskRow {
        let end = Instant::now() + PATIENCE;
        loop {
            let task = self.task(id).await;
            if wanted.contains(&task.attempt.state) {
                return task;
            }
            assert!(Instant::now() < end, "{:?}\n{}", task.attempt, self.log(id, "err").await);
            self.tick(task.cluster.as_str()).await;
        }
    }

    /// Looks until the task has ended.
    pub(crate) async fn end(&self, id: TaskId) -> TaskRow {
        let ends: Vec<_> = State::ALL.iter().copied().filter(|state| state.is_final()).collect();
        self.until(id, &ends).await
    }

    pub(crate) async fn log(&self, id: TaskId, stream: &'static str) -> String {
        let key = LogKey { task: id, attempt: 1, stream };
        let pieces = self.store.tasks.log(&key, 0, 0, 1 << 20).await.unwrap();
        String::from_utf8_lossy(&pieces.into_iter().flat_map(|piece| piece.bytes).collect::<Vec<_>>()).into_owned()
    }

    /// The kinds of what happened.
    pub(crate) async fn story(&self, id: TaskId) -> String {
        let events = self.store.tasks.events(id, 0, 100).await.unwrap();
        events.into_iter().map(|event| event.kind).collect::<Vec<_>>().join(" ")
    }
}

fn monitor(
    store: &Store,
    catalog: &Arc<Catalog>,
    inbox: &Inbox,
    datasets: &Arc<dyn Datasets>,
    settings: &MonitorSettings,
    name: &str,
) -> Arc<Monitor> {
    let tasks = Arc::clone(&store.tasks);
    let parts = (Arc::clone(catalog), inbox.clone(), Arc::clone(datasets), settings.clone());
    Arc::new(Monitor::new(tasks, parts.0, parts.1, parts.2, parts.3, name.to_owned()))
}
