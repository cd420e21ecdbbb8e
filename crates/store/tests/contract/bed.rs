//! A store of its own for each test, and short words for what tests need.

use std::sync::atomic::{AtomicU32, Ordering};

use belvedere_domain::job::ClaimedJob;
use belvedere_domain::plan::Plan;
use belvedere_domain::view::DigestBuilder;
use belvedere_domain::{
    ArtifactKey, ConfigName, DatasetName, Difficulty, Digest, ErrorCode, NewJob, Priority, Revision, SplitName,
    StepName, View,
};
use belvedere_store::{ClaimRequest, Completion, Finished, NewView, Store, TargetChange, ViewContent};

/// A store in a temporary file or in a database of its own.
pub(crate) struct Bed {
    pub(crate) store: Store,
    pub(crate) url: String,
    backend: Backend,
}

enum Backend {
    Sqlite { _folder: tempfile::TempDir, path: std::path::PathBuf },
    Postgres { server: tokio_postgres::Client, database: String },
}

impl Bed {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let url = format!("sqlite:{}", path.display());
        Self { store: Store::connect(&url).await.unwrap(), url, backend: Backend::Sqlite { _folder: folder, path } }
    }

    /// `None` when no server is named.
    pub(crate) async fn postgres() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server_url = std::env::var("BELVEDERE_TEST_POSTGRES_URL").ok()?;
        let server = postgres_client(&server_url).await;
        let database = format!("contract_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        server.batch_execute(&format!("DROP DATABASE IF EXISTS {database}")).await.unwrap();
        server.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
        let base = server_url.rsplit_once('/').unwrap().0;
        let url = format!("{base}/{database}");
        Some(Self { store: Store::connect(&url).await.unwrap(), url, backend: Backend::Postgres { server, database } })
    }

    /// Removes the database of a test that went well.
    pub(crate) async fn close(self) {
        if let Backend::Postgres { server, database } = self.backend {
            drop(self.store);
            // Not WITH (FORCE), which fails beside autovacuum; without it the server ends autovacuum by itself.
            let ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user";
            server.batch_execute(&format!("{ours} AND datname = '{database}'")).await.unwrap();
            server.batch_execute(&format!("DROP DATABASE {database}")).await.unwrap();
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.backend, Backend::Postgres { .. })
    }

    /// Changes what the API cannot, such as the time.
    pub(crate) async fn sql(&self, sql: &str) {
        match &self.backend {
            Backend::Sqlite { path, .. } => {
                let connection = rusqlite::Connection::open(path).unwrap();
                connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
                connection.execute_batch(sql).unwrap();
            }
            Backend::Postgres { .. } => postgres_client(&self.url).await.batch_execute(sql).await.unwrap(),
        }
    }

    /// Makes started jobs look as if they had started earlier.
    pub(crate) async fn age_started(&self, seconds: u32) {
        self.sql(&format!("UPDATE jobs SET started_at = started_at - {seconds}000000 WHERE status = 1")).await;
    }

    /// A dataset whose target is a revision and whose queue is empty.
    pub(crate) async fn target(&self, dataset: &str, revision: &str) {
        let change =
            TargetChange { dataset: dataset_name(dataset), revision: revision_of(revision), plan: Plan::default() };
        self.store.queue.set_target(change).await.unwrap();
    }

    pub(crate) async fn enqueue(&self, jobs: impl IntoIterator<Item = NewJob>) -> usize {
        self.store.queue.enqueue(jobs.into_iter().collect()).await.unwrap()
    }

    pub(crate) async fn claim(&self) -> Option<ClaimedJob> {
        self.claim_with(&anything()).await
    }

    pub(crate) async fn claim_with(&self, request: &ClaimRequest) -> Option<ClaimedJob> {
        self.store.queue.claim(request).await.unwrap()
    }

    /// The next job's dataset and step, as `dataset step`, or `nothing`.
    pub(crate) async fn next(&self) -> String {
        named(self.claim().await.as_ref())
    }

    pub(crate) async fn next_with(&self, request: &ClaimRequest) -> String {
        named(self.claim_with(request).await.as_ref())
    }

    pub(crate) async fn finish(&self, job: &ClaimedJob) -> Finished {
        self.finish_with(job, Completion::default()).await
    }

    pub(crate) async fn finish_with(&self, job: &ClaimedJob, completion: Completion) -> Finished {
        self.store.queue.finish(&job.lease, completion).await.unwrap()
    }

    /// Queues, claims and finishes a job with a view, which must be accepted.
    pub(crate) async fn run(&self, job: NewJob, view: View) -> Finished {
        let new = computed(&job, view);
        self.enqueue([job.clone()]).await;
        let claimed = self.claim().await.unwrap();
        assert_eq!(claimed.record.key, job.key);
        self.finish_with(&claimed, Completion { views: vec![new], ..Completion::default() }).await
    }

    /// `dataset step status` of everything pending, oldest first.
    pub(crate) async fn pending(&self) -> Vec<String> {
        let jobs = self.store.queue.pending(None).await.unwrap();
        jobs.iter().map(|job| format!("{} {} {:?}", job.key.dataset, job.key.step, job.status)).collect()
    }
}

pub(crate) async fn postgres_client(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) fn named(job: Option<&ClaimedJob>) -> String {
    job.map_or("nothing".to_owned(), |job| format!("{} {}", job.record.key.dataset, job.record.key.step))
}

/// An asker without limits, whose lease lasts.
pub(crate) fn anything() -> ClaimRequest {
    ClaimRequest { owner: "test".to_owned(), lease_seconds: 300.0, ..ClaimRequest::default() }
}

pub(crate) fn dataset_name(text: &str) -> DatasetName {
    DatasetName::new(text).unwrap()
}

pub(crate) fn revision_of(text: &str) -> Revision {
    Revision::new(text).unwrap()
}

pub(crate) fn step(text: &str) -> StepName {
    StepName::read(text.to_owned())
}

pub(crate) fn dataset_key(dataset: &str, name: &str) -> ArtifactKey {
    ArtifactKey::dataset(step(name), dataset_name(dataset))
}

pub(crate) fn split_key(dataset: &str, name: &str, config: &str, split: &str) -> ArtifactKey {
    ArtifactKey::split(
        step(name),
        dataset_name(dataset),
        ConfigName::new(config).unwrap(),
        SplitName::new(split).unwrap(),
    )
}

/// A low-priority job of difficulty 50 for revision `r1`.
pub(crate) fn job(dataset: &str, name: &str) -> NewJob {
    job_of(dataset_key(dataset, name))
}

pub(crate) fn job_of(key: ArtifactKey) -> NewJob {
    NewJob {
        key,
        revision: revision_of("r1"),
        priority: Priority::Low,
        difficulty: Difficulty::new(50),
        forced: false,
        coalesce: false,
    }
}

pub(crate) fn at_revision(job: NewJob, revision: &str) -> NewJob {
    NewJob { revision: revision_of(revision), ..job }
}

pub(crate) fn digest_of(text: &str) -> Digest {
    DigestBuilder::new("test", 1).part("text", text).finish()
}

/// A view whose digest follows from artifact and content.
pub(crate) fn computed(job: &NewJob, view: View) -> NewView {
    let digest = digest_of(&format!("{} {}", job.key, view.content.as_str()));
    NewView { key: job.key.clone(), digest, runner_version: 3, content: ViewContent::Computed(view) }
}

pub(crate) fn ok(content: &str) -> View {
    View::ok(content)
}

pub(crate) fn failed() -> View {
    View::error(ErrorCode::StreamingRowsError, "could not read the rows", None)
}

/// A completion with one view of the job.
pub(crate) fn with_view(job: &ClaimedJob, view: View) -> Completion {
    let record = &job.record;
    let new = NewJob {
        key: record.key.clone(),
        revision: record.revision.clone(),
        priority: record.priority,
        difficulty: record.difficulty,
        forced: false,
        coalesce: false,
    };
    Completion { views: vec![computed(&new, view)], ..Completion::default() }
}
