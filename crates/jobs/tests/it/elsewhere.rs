//! Workers with other folders than the API's leave what they do not have to those who do.

use std::sync::Arc;
use std::time::Duration;

use belvedere_hub::local::{Layout, LocalHub, LocalOptions, Root};
use belvedere_jobs::files::Files;
use belvedere_jobs::memory::StoreMemory;
use belvedere_jobs::worker::Tick;
use belvedere_jobs::{Registry, Services, Worker};
use belvedere_testing::TestApp;

use super::{BIRDS, ROWS, code};

/// A worker on the app's queue, over another folder.
fn worker_over(app: &TestApp, folder: &std::path::Path) -> Worker {
    let services = &app.services;
    let memory = Arc::new(StoreMemory(Arc::clone(&services.store.snapshots)));
    let root = Root::parse(&folder.to_string_lossy(), Layout::Detect);
    let local = LocalOptions { quiet: Duration::ZERO, ..LocalOptions::default() };
    let hub = Arc::new(LocalHub::open(&[root], memory, local).unwrap());
    let services = Services {
        store: services.store.clone(),
        blobs: services.blobs.clone(),
        files: Files::new(hub, services.blobs.clone(), None),
        graph: Arc::clone(&services.graph),
        settings: services.settings.clone(),
        children: Arc::clone(&services.children),
        trusted: Arc::clone(&services.trusted),
    };
    Worker::new(Arc::new(services), Arc::new(Registry::new().unwrap()), "stranger")
}

async fn leaves_to_others(app: &TestApp) {
    let other = tempfile::tempdir().unwrap();
    let stranger = worker_over(app, other.path());
    app.write("data/birds.csv", BIRDS);
    app.write("more/birds.csv", BIRDS);
    app.refresh().await;
    // One look at each of the two datasets, then nothing more.
    let mut looks = 0;
    while stranger.tick().await.unwrap() == Tick::Ran {
        looks += 1;
    }
    assert_eq!(looks, 2);
    let pending = app.services.store.queue.pending(None).await.unwrap();
    assert_eq!(pending.len(), 2);
    assert!(pending.iter().all(|job| job.attempt == 0 && job.crashes == 0), "{pending:?}");
    assert_eq!(code(&app.get(ROWS).await), (500, "ResponseNotReady"));

    app.run_jobs().await;
    assert_eq!(app.get(ROWS).await.status, 200);
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
    assert_eq!(app.errors("local/more").await, Vec::<String>::new());
}

#[tokio::test]
async fn jobs_of_unknown_datasets_are_left_to_others() {
    leaves_to_others(&TestApp::new().await).await;
}

#[tokio::test]
async fn jobs_of_unknown_datasets_are_left_to_others_on_postgres() {
    let Some(app) = TestApp::on_postgres().await else { return };
    leaves_to_others(&app).await;
    app.close().await;
}

#[tokio::test]
async fn a_worker_does_what_its_folder_has() {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    app.write("more/birds.csv", BIRDS);
    app.refresh().await;
    // Only one of the two datasets is there for this worker, under the same name and with the same file.
    let other = tempfile::tempdir().unwrap();
    std::fs::create_dir(other.path().join("more")).unwrap();
    std::fs::hard_link(app.path("more/birds.csv"), other.path().join("more/birds.csv")).unwrap();
    let worker = worker_over(&app, other.path());
    while worker.tick().await.unwrap() == Tick::Ran {}
    let pending = app.services.store.queue.pending(None).await.unwrap();
    let of = |name: &str| pending.iter().filter(|job| job.key.dataset.as_str() == name).count();
    assert_eq!((of("local/data"), of("local/more")), (1, 0), "{pending:?}");
}
