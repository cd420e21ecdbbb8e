//! What it costs to watch over many tasks on a real cluster, and how soon one runs there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use belvedere_domain::task::{State, TaskConfig, TaskId};
use belvedere_store::Store;
use belvedere_store::tasks::{ActiveLimits, NewTask};
use belvedere_tasks::profile::ClustersFile;
use belvedere_tasks::{
    Catalog, DatasetError, Datasets, Inbox, Monitor, MonitorSettings, Pin, Reference, UploadLimits, new_task_id,
};

/// What is asked for between two looks at a cluster, by default.
const POLL_SECONDS: f64 = 30.0;
/// Longest time for bringing all tasks to the cluster.
const PATIENCE: Duration = Duration::from_secs(1800);
/// Submissions of which one after the other is timed.
const TIMED: usize = 5;

/// Tasks without datasets.
struct None;

#[async_trait]
impl Datasets for None {
    async fn pin(&self, _: &Reference) -> Result<Pin, DatasetError> {
        Err(DatasetError::Unknown("there is none".to_owned()))
    }

    async fn pin_selection(&self, _: &str) -> Result<Pin, DatasetError> {
        Err(DatasetError::Unknown("there is none".to_owned()))
    }

    async fn locate(&self, _: &Pin) -> Result<Vec<PathBuf>, DatasetError> {
        Err(DatasetError::Gone("there is none".to_owned()))
    }
}

struct Bed {
    store: Store,
    inbox: Inbox,
    catalog: Arc<Catalog>,
    monitor: Arc<Monitor>,
    _folder: tempfile::TempDir,
}

/// Measures a cluster that `ci/slurm.sh` has started.
#[tokio::main]
pub(crate) async fn measure(cluster: &Path, active: usize, looks: u32) -> anyhow::Result<()> {
    let bed = Bed::new(cluster).await?;
    let stop = tokio_util::sync::CancellationToken::new();
    let watching = tokio::spawn(Arc::clone(&bed.monitor).run(stop.clone()));
    let mut waits = Vec::new();
    for _ in 0..TIMED {
        let began = Instant::now();
        let id = bed.submit("sleep 5").await?;
        bed.monitor.wake();
        bed.until(id, |state| state == State::Running).await?;
        waits.push(began.elapsed());
        bed.until(id, State::is_final).await?;
    }
    waits.sort_unstable();
    println!(
        "an idle cluster, looked at every second: from the submission until it is seen to run: {:.2} s (median of {TIMED}, longest {:.2} s)",
        waits[TIMED / 2].as_secs_f64(),
        waits[TIMED - 1].as_secs_f64(),
    );
    stop.cancel();
    watching.await?;

    for _ in 0..active {
        bed.submit("sleep 3000").await?;
    }
    let member = bed.catalog.members().next().context("a cluster")?;
    let began = Instant::now();
    // What a busy cluster does not take at once is tried again after a pause.
    loop {
        bed.monitor.tick(member, true).await?;
        let states = bed.store.tasks.active(&member.name, 100_000).await?;
        let there = states.iter().filter(|active| active.attempt.state.may_be_on_cluster()).count();
        if there == active {
            break;
        }
        ensure!(began.elapsed() < PATIENCE, "{there} of {active} tasks are on the cluster");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let sent = began.elapsed();
    println!(
        "{active} tasks submitted over SSH in {:.0} s, {:.0} ms each",
        sent.as_secs_f64(),
        sent.as_secs_f64() * 1000.0 / active as f64
    );
    // Until states have settled.
    for _ in 0..3 {
        bed.monitor.tick(member, true).await?;
    }
    let (own, children, began) = (cpu("self")?, cpu("children")?, Instant::now());
    let mut listings = 0;
    for _ in 0..looks {
        listings += bed.monitor.tick(member, true).await?.listings;
    }
    let each = |seconds: f64| seconds / f64::from(looks);
    let (own, children) = (each(cpu("self")? - own), each(cpu("children")? - children));
    println!(
        "{active} active tasks: {:.2} listings a look; a look takes {:.0} ms and {:.1} ms of processor (and {:.1} ms in ssh): {:.2} % \
         of a core when it looks every {POLL_SECONDS} s",
        f64::from(listings) / f64::from(looks),
        each(began.elapsed().as_secs_f64()) * 1000.0,
        own * 1000.0,
        children * 1000.0,
        (own + children) / POLL_SECONDS * 100.0,
    );
    Ok(())
}

impl Bed {
    async fn new(cluster: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(cluster.join("clusters.toml"))?;
        let mut catalog = Catalog::default();
        for (name, mut profile) in ClustersFile::parse(&text).map_err(|error| anyhow::anyhow!("{error}"))?.clusters {
            (profile.max_active, profile.max_active_per_user) = (100_000, 100_000);
            catalog = catalog.with_profile(name, profile)?;
        }
        let folder = tempfile::tempdir()?;
        let store = Store::connect(&format!("sqlite:{}", folder.path().join("store.sqlite").display())).await?;
        let (inbox, catalog) = (Inbox::new(folder.path().join("tasks")), Arc::new(catalog));
        let monitor = Monitor::new(
            Arc::clone(&store.tasks),
            Arc::clone(&catalog),
            inbox.clone(),
            Arc::new(None),
            MonitorSettings::default(),
            "bench".to_owned(),
        );
        Ok(Self { store, inbox, catalog, monitor: Arc::new(monitor), _folder: folder })
    }

    async fn submit(&self, script: &str) -> anyhow::Result<TaskId> {
        let config = r#"{"runner_location": "real", "args_style": "none"}"#;
        let parsed = TaskConfig::parse(config.as_bytes()).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let mut upload = self.inbox.begin(UploadLimits { files: 1, file_bytes: 1 << 20, total_bytes: 1 << 20 });
        let mut file = upload.file("x.sh").await?;
        file.write(script.as_bytes()).await?;
        file.finish().await?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let id = new_task_id(i64::try_from(now.as_micros())?);
        let kept = self.inbox.commit(id, upload).await?;
        let task = NewTask {
            id,
            owner: "bench".to_owned(),
            cluster: parsed.cluster.clone(),
            experiment: String::new(),
            dataset: Option::None,
            pin: Option::None,
            config: config.to_owned(),
            files: kept.files,
            contents: kept.contents,
            key: Option::None,
            limits: ActiveLimits { per_owner: 100_000, per_cluster: 100_000 },
        };
        self.store.tasks.submit(task).await?;
        Ok(id)
    }

    async fn until(&self, id: TaskId, is_there: impl Fn(State) -> bool) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let task = self.store.tasks.task(id, Option::None).await?.context("it is stored")?;
            if is_there(task.attempt.state) {
                return Ok(());
            }
            ensure!(!task.attempt.state.is_final(), "it has ended: {:?}", task.attempt);
            ensure!(began.elapsed() < Duration::from_secs(120), "it does not get there: {:?}", task.attempt);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Seconds of processor of this process, or of its children that have ended.
fn cpu(whose: &str) -> anyhow::Result<f64> {
    /// Ticks per second, the same on every Linux that Rust's standard library runs on.
    const TICKS: f64 = 100.0;
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<f64> =
        text.rsplit(") ").next().unwrap_or_default().split(' ').map(|field| field.parse().unwrap_or(0.0)).collect();
    let from = if whose == "self" { 11 } else { 13 };
    Ok(fields.get(from..from + 2).context("a short line")?.iter().sum::<f64>() / TICKS)
}
