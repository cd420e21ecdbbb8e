use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use belvedere_domain::{DatasetName, FileEntry, Revision};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::data_files::Resolution;
use crate::hub::{Hub, HubError};
use crate::memory::ProcessMemory;
use crate::revision::resolve_revision;
use crate::snapshot::revision_of;

/// A time long after every file was written.
const LATER: Duration = Duration::from_secs(4_000_000_000);

fn later() -> SystemTime {
    UNIX_EPOCH + LATER
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
    fs::write(path, content).expect("a file");
}

struct Fixture {
    folder: tempfile::TempDir,
    memory: Arc<ProcessMemory>,
}

impl Fixture {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, content) in files {
            write(folder.path(), path, content);
        }
        Self { folder, memory: Arc::default() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn open(&self) -> LocalHub {
        self.open_with(LocalOptions::default())
    }

    fn open_with(&self, options: LocalOptions) -> LocalHub {
        let root = Root { name: None, path: self.path().to_owned(), layout: Layout::Detect };
        LocalHub::open(&[root], self.memory.clone(), options).expect("can be served")
    }
}

fn name(text: &str) -> DatasetName {
    DatasetName::new(text).expect("a legal name")
}

fn wine() -> DatasetName {
    name("local/wine")
}

async fn revision(hub: &LocalHub, dataset: &DatasetName) -> Revision {
    hub.head(dataset).await.expect("readable").expect("exists").revision
}

/// `updated local/wine`, without the revision.
fn told(tick: &Tick) -> Vec<String> {
    assert!(tick.failures.is_empty(), "{:?}", tick.failures);
    tick.events
        .iter()
        .map(|event| match event {
            HubEvent::Updated { dataset, is_provisional: true, .. } => format!("updated {dataset}, provisional"),
            HubEvent::Updated { dataset, .. } => format!("updated {dataset}"),
            HubEvent::Removed { dataset } => format!("removed {dataset}"),
            other => format!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn datasets_have_revisions_made_of_their_content() {
    let fixture = Fixture::new(&[("wine/a.csv", "x\n1\n"), ("wine/d/b.csv", "x\n2\n"), ("pets/cat/1.png", "no image")]);
    let hub = fixture.open();
    let mut news = hub.subscribe();
    assert_eq!(told(&hub.scan(later()).await), ["updated local/pets", "updated local/wine"]);
    assert_eq!(hub.datasets().await.expect("readable"), [name("local/pets"), wine()]);

    let revision = revision(&hub, &wine()).await;
    let manifest = hub.manifest(&wine(), &revision).await.expect("kept");
    assert_eq!(manifest.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a.csv", "d/b.csv"]);
    assert_eq!(revision_of(&manifest), revision);
    assert_eq!(told(&hub.scan(later()).await), [""; 0], "nothing changed, nothing is told");

    let mut received = Vec::new();
    while let Ok(event) = news.try_recv() {
        received.push(event);
    }
    assert!(received.contains(&HubEvent::Scanning { dataset: wine() }));
    assert!(received.contains(&HubEvent::Updated { dataset: wine(), revision, is_provisional: false }));
}

#[tokio::test]
async fn content_decides_and_not_names_or_times() {
    let fixture = Fixture::new(&[("wine/a.csv", "x\n1\n")]);
    let hub = fixture.open();
    hub.scan(later()).await;
    let first = revision(&hub, &wine()).await;
    let file = File::options().append(true).open(fixture.path().join("wine/a.csv")).expect("exists");
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1)).expect("set");
    assert_eq!(told(&hub.scan(later()).await), [""; 0], "touched, but the same");
    write(fixture.path(), "wine/a.csv", "x\n2\n");
    assert_eq!(told(&hub.scan(later()).await), ["updated local/wine"]);
    write(fixture.path(), "wine/a.csv", "x\n1\n");
    assert_eq!(told(&hub.scan(later()).await), ["updated local/wine"]);
    assert_eq!(revision(&hub, &wine()).await, first, "the old content has the old revision");
}

#[tokio::test]
async fn the_first_question_looks_at_the_files() {
    let fixture = Fixture::new(&[("wine/a.csv", "x\n1\n")]);
    let hub = fixture.open_with(LocalOptions { clock: later, ..LocalOptions::default() });
    let revision = revision(&hub, &wine()).await;
    assert_eq!(hub.manifest(&wine(), &revision).await.expect("kept").files.len(), 1);
    assert_eq!(hub.head(&name("local/beer")).await.expect("readable"), None);
}

#[tokio::test]
async fn files_are_read_only_while_they_are_those_of_the_revision() {
    let fixture = Fixture::new(&[("wine/a.csv", "x\n1\n"), ("wine/b.csv", "x\n2\n")]);
    let hub = fixture.open();
    hub.scan(later()).await;
    let old = revision(&hub, &wine()).await;
    assert_eq!(hub.read(&wine(), &old, "a.csv", 2..100).await.expect("unchanged"), "1\n");
    let located = hub.locate(&wine(), &old, "a.csv").await.expect("unchanged");
    assert_eq!((located.path.as_str(), located.size), ("a.csv", 4));
    assert!(located.local_path.ends_with("wine/a.csv") && located.inode != 0 && located.mtime_ns > 0);

    write(fixture.path(), "wine/a.csv", "x\n100\n");
    let error = hub.locate(&wine(), &old, "a.csv").await.expect_err("changed, though not scanned yet");
    assert!(matches!(&error, HubError::RevisionGone { path: Some(path), .. } if path == "a.csv"), "{error}");
    hub.scan(later()).await;
    assert!(matches!(hub.read(&wine(), &old, "a.csv", 0..4).await, Err(HubError::RevisionGone { .. })));
    assert_eq!(hub.manifest(&wine(), &old).await.expect("still kept").get("a.csv").map(|file| file.size), Some(4));
    assert!(hub.read(&wine(), &old, "b.csv", 0..4).await.is_ok(), "this file did not change");
    let new = revision(&hub, &wine()).await;
    assert_eq!(hub.read(&wine(), &new, "a.csv", 0..99).await.expect("current"), "x\n100\n");

    let unknown = Revision::new("0".repeat(40)).expect("legal");
    assert!(matches!(hub.manifest(&wine(), &unknown).await, Err(HubError::RevisionGone { path: None, .. })));
    assert!(matches!(hub.locate(&wine(), &new, "c.csv").await, Err(HubError::FileNotFound { .. })));
    assert!(matches!(hub.locate(&wine(), &new, "../wine/a.csv").await, Err(HubError::FileNotFound { .. })));
    assert!(matches!(hub.locate(&name("local/beer"), &new, "a.csv").await, Err(HubError::DatasetNotFound(_))));
}

#[tokio::test]
async fn a_file_that_became_a_link_is_not_followed_out() {
    let fixture = Fixture::new(&[("wine/a.csv", "x\n1\n")]);
    let outside = tempfile::tempdir().expect("a folder");
    write(outside.path(), "a.csv", "x\n1\n");
    let hub = fixture.open();
    hub.scan(later()).await;
    let revision = revision(&hub, &wine()).await;
    let path = fixture.path().join("wine/a.csv");
    fs::remove_file(&path).expect("removed");
    std::os::unix::fs::symlink(outside.path().join("a.csv"), &path).expect("a link");
    assert!(matches!(hub.read(&wine(), &revision, "a.csv", 0..4).await, Err(HubError::RevisionGone { .. })));
}

#[tokio::test]
async fn folders_come_and_go() {
    let fixture = Fixture::new(&[("wine/a.csv", "x\n1\n")]);
    let hub = fixture.open();
    hub.scan(later()).await;
    write(fixture.path(), "beer/b.csv", "x\n1\n");
    fs::create_dir(fixture.path().join("empty")).expect("a folder");
    assert_eq!(told(&hub.scan(later()).await), ["updated local/beer"]);
    assert_eq!(hub.datasets().await.expect("readable"), [name("local/beer"), wine()]);
    fs::remove_dir_all(fixture.path().join("wine")).expect("removed");
    fs::remove_file(fixture.path().join("beer/b.csv")).expect("removed");
    assert_eq!(told(&hub.scan(later()).await), ["removed local/wine", "removed local/beer"]);
    assert_eq!(hub.datasets().await.expect("readable"), []);
}

#[tokio::test]
async fn a_file_being_written_is_waited_for() {
    let fixture = Fixture::new(&[("wine/a.csv", "x\n1\n"), ("wine/b.csv", "x\n2\n")]);
    let written = UNIX_EPOCH + Duration::from_secs(1_000_000);
    for path in ["wine/a.csv", "wine/b.csv"] {
        let file = File::options().append(true).open(fixture.path().join(path)).expect("exists");
        file.set_modified(written).expect("set");
    }
    let hub = fixture.open();
    let tick = hub.tick(written + Duration::from_millis(100)).await;
    assert_eq!((told(&tick), tick.next_at), (Vec::new(), Some(written + Duration::from_millis(500))));
    let tick = hub.tick(written + Duration::from_millis(499)).await;
    assert_eq!(told(&tick), [""; 0], "not due yet");
    let tick = hub.tick(written + Duration::from_millis(500)).await;
    assert_eq!((told(&tick), tick.next_at), (vec!["updated local/wine".to_owned()], None));
}

#[tokio::test]
async fn a_file_that_never_rests_does_not_hold_back_the_others() {
    let fixture = Fixture::new(&[("wine/a.csv", "x\n1\n"), ("wine/log.csv", "x\n")]);
    let start = UNIX_EPOCH + Duration::from_secs(1_000_000);
    let touch = |path: &str, at: SystemTime| {
        let file = File::options().append(true).open(fixture.path().join(path)).expect("exists");
        file.set_modified(at).expect("set");
    };
    touch("wine/a.csv", start);
    touch("wine/log.csv", start);
    let hub = fixture.open();
    hub.tick(start + Duration::from_secs(1)).await;
    let first = revision(&hub, &wine()).await;

    write(fixture.path(), "wine/new.csv", "x\n3\n");
    touch("wine/new.csv", start);
    let mut events = Vec::new();
    let mut now = start + Duration::from_secs(2);
    hub.mark_path(&hub.roots[0].path.join("wine/new.csv"), now);
    while events.is_empty() && now < start + Duration::from_secs(20) {
        now += Duration::from_millis(400);
        touch("wine/log.csv", now);
        events = told(&hub.tick(now).await);
    }
    assert_eq!(events, ["updated local/wine"]);
    assert!(now <= start + Duration::from_secs(9), "after five seconds of patience");
    let manifest = hub.manifest(&wine(), &revision(&hub, &wine()).await).await.expect("kept");
    let old = hub.manifest(&wine(), &first).await.expect("kept");
    assert_eq!(manifest.files.len(), 3);
    assert_eq!(manifest.get("log.csv"), old.get("log.csv"), "the restless file keeps its last entry");
    assert!(hub.tick(now).await.next_at.is_some(), "it is looked at again");
}

#[tokio::test]
async fn a_time_in_the_future_is_not_waited_for() {
    let fixture = Fixture::new(&[("wine/a.csv", "x\n1\n")]);
    let hub = fixture.open();
    assert_eq!(told(&hub.scan(UNIX_EPOCH + Duration::from_secs(1)).await), ["updated local/wine"]);
}

#[tokio::test]
async fn large_files_are_served_at_once_and_hashed_later() {
    let fixture = Fixture::new(&[
        ("wine/README.md", "---\ntags: [red]\nviewer: false\n---\n"),
        ("wine/a.csv", &"x\n".repeat(100_000)),
    ]);
    let options = LocalOptions { hash_at_once_bytes: 1000, ..LocalOptions::default() };
    let hub = fixture.open_with(options.clone());
    let tick = hub.scan(later()).await;
    assert_eq!(
        (told(&tick), tick.unhashed.as_slice()),
        (vec!["updated local/wine, provisional".to_owned()], &[wine()][..])
    );
    let head = hub.head(&wine()).await.expect("readable").expect("exists");
    assert!(head.is_provisional && !head.viewer && head.tags == ["red"]);
    let manifest = hub.manifest(&wine(), &head.revision).await.expect("kept");
    assert_eq!(manifest.files.iter().map(FileEntry::is_hashed).collect::<Vec<_>>(), [true, false]);
    assert!(hub.locate(&wine(), &head.revision, "a.csv").await.is_ok());

    assert_eq!(hub.hash_rest(&wine(), later()).await.expect("remembered"), 200_000);
    let tick = hub.tick(later()).await;
    assert_eq!((told(&tick), tick.unhashed.is_empty()), (vec!["updated local/wine".to_owned()], true));
    let last = hub.head(&wine()).await.expect("readable").expect("exists");
    assert!(!last.is_provisional && last.revision != head.revision);
    assert!(hub.locate(&wine(), &head.revision, "a.csv").await.is_ok(), "the same file serves both revisions");

    // Another process finds the hashes, and still serves the provisional revision.
    let again = fixture.open_with(options);
    let tick = again.scan(later()).await;
    assert!(tick.unhashed.is_empty());
    assert_eq!(revision(&again, &wine()).await, last.revision);
    assert!(again.locate(&wine(), &head.revision, "a.csv").await.is_ok());
    write(fixture.path(), "wine/a.csv", "x\n");
    assert!(matches!(again.locate(&wine(), &head.revision, "a.csv").await, Err(HubError::RevisionGone { .. })));
}

#[tokio::test]
async fn remembered_hashes_save_reading() {
    let fixture = Fixture::new(&[("wine/a.csv", "x\n1\n"), ("wine/b.csv", "x\n2\n")]);
    let first = fixture.open();
    first.scan(later()).await;
    let revision_of_first = revision(&first, &wine()).await;
    // With nothing allowed to be hashed at once, only what is remembered makes a final revision.
    let second = fixture.open_with(LocalOptions { hash_at_once_bytes: 0, ..LocalOptions::default() });
    assert!(second.scan(later()).await.unhashed.is_empty());
    assert_eq!(revision(&second, &wine()).await, revision_of_first);
}

#[tokio::test]
async fn an_unreadable_name_is_reported_and_the_rest_served() {
    use std::os::unix::ffi::OsStrExt;
    let fixture = Fixture::new(&[("wine/a.csv", "x\n1\n")]);
    let bad = fixture.path().join("wine").join(std::ffi::OsStr::from_bytes(b"\xff.csv"));
    fs::write(bad, "x").expect("a file");
    let hub = fixture.open();
    assert_eq!(told(&hub.scan(later()).await), ["updated local/wine"]);
    let notes: Vec<String> = hub.report().into_iter().flat_map(|report| report.notes).collect();
    assert_eq!(notes, ["local/wine: \u{fffd}.csv: the name is not UTF-8"]);
}

#[tokio::test]
async fn two_roots_may_not_claim_one_name() {
    let a = Fixture::new(&[("wine/a.csv", "x\n1\n")]);
    let b = Fixture::new(&[("wine/b.csv", "x\n1\n")]);
    let roots = [&a, &b].map(|fixture| Root { name: None, path: fixture.path().to_owned(), layout: Layout::Detect });
    let error = LocalHub::open(&roots, a.memory.clone(), LocalOptions::default()).err().expect("refused");
    assert!(error.to_string().contains("would both be `local/wine`"), "{error}");
}

#[tokio::test]
async fn a_revision_resolves_to_configs() {
    let fixture = Fixture::new(&[
        (
            "wine/README.md",
            "---\nconfigs: [{config_name: red, data_files: r.csv}, {config_name: white, data_dir: w}]\n---\n",
        ),
        ("wine/r.csv", "x\n"),
        ("wine/w/test.csv", "x\n"),
        ("beer/a.csv", "x\n"),
    ]);
    let hub = Arc::new(fixture.open());
    hub.scan(later()).await;
    let revision = revision(&hub, &wine()).await;
    let resolution: Resolution = resolve_revision(hub, &wine(), &revision).await.expect("readable").expect("resolved");
    let listed: Vec<String> = resolution
        .configs
        .iter()
        .flat_map(|config| config.split_names.iter().map(|split| format!("{}/{split}", config.name)))
        .collect();
    assert_eq!(listed, ["red/train", "white/test"]);
}

/// Waits for the event that fits, at most ten seconds.
async fn wait_for(news: &mut broadcast::Receiver<HubEvent>, fits: impl Fn(&HubEvent) -> bool) -> HubEvent {
    let wait = async {
        loop {
            let event = news.recv().await.expect("the hub lives");
            if fits(&event) {
                return event;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("news within ten seconds")
}

fn is_update_of(event: &HubEvent, wanted: &str) -> bool {
    matches!(event, HubEvent::Updated { dataset, .. } if dataset.as_str() == wanted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watch_tells_of_new_changed_nested_and_removed_folders() {
    let fixture = Fixture::new(&[("wine/a.csv", "x\n1\n")]);
    let hub = Arc::new(fixture.open());
    let mut news = hub.subscribe();
    let cancel = CancellationToken::new();
    let running = tokio::spawn(hub.clone().run(cancel.clone()));
    wait_for(&mut news, |event| is_update_of(event, "local/wine")).await;

    let changed = Instant::now();
    write(fixture.path(), "wine/new/folder/b.csv", "x\n2\n");
    wait_for(&mut news, |event| is_update_of(event, "local/wine")).await;
    assert!(changed.elapsed() < Duration::from_secs(2), "{:?}", changed.elapsed());

    write(fixture.path(), "wine/new/folder/b.csv", "x\n3\n");
    wait_for(&mut news, |event| is_update_of(event, "local/wine")).await;

    write(fixture.path(), "beer/deep/c.csv", "x\n");
    wait_for(&mut news, |event| is_update_of(event, "local/beer")).await;

    fs::rename(fixture.path().join("beer"), fixture.path().join("ale")).expect("renamed");
    wait_for(&mut news, |event| *event == HubEvent::Removed { dataset: name("local/beer") }).await;
    wait_for(&mut news, |event| is_update_of(event, "local/ale")).await;
    write(fixture.path(), "ale/deep/d.csv", "x\n");
    wait_for(&mut news, |event| is_update_of(event, "local/ale")).await;

    fs::remove_dir_all(fixture.path().join("wine")).expect("removed");
    wait_for(&mut news, |event| *event == HubEvent::Removed { dataset: wine() }).await;
    write(fixture.path(), "wine/a.csv", "x\n5\n");
    wait_for(&mut news, |event| is_update_of(event, "local/wine")).await;
    write(fixture.path(), "wine/a.csv", "x\n6\n");
    wait_for(&mut news, |event| is_update_of(event, "local/wine")).await;

    cancel.cancel();
    tokio::time::timeout(Duration::from_secs(10), running).await.expect("it stops").expect("without a panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loop_hashes_large_files_in_the_background() {
    let fixture = Fixture::new(&[("wine/a.csv", &"x\n".repeat(1000))]);
    let hub = Arc::new(fixture.open_with(LocalOptions { hash_at_once_bytes: 0, ..LocalOptions::default() }));
    let mut news = hub.subscribe();
    let cancel = CancellationToken::new();
    let running = tokio::spawn(hub.clone().run(cancel.clone()));
    wait_for(&mut news, |event| matches!(event, HubEvent::Updated { is_provisional: true, .. })).await;
    wait_for(&mut news, |event| matches!(event, HubEvent::Updated { is_provisional: false, .. })).await;
    cancel.cancel();
    running.await.expect("without a panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polling_finds_changes_without_notifications() {
    let fixture = Fixture::new(&[("wine/a.csv", "x\n1\n")]);
    let hub = Arc::new(fixture.open_with(LocalOptions { poll: true, ..LocalOptions::default() }));
    let mut news = hub.subscribe();
    let cancel = CancellationToken::new();
    let running = tokio::spawn(hub.clone().run(cancel.clone()));
    wait_for(&mut news, |event| is_update_of(event, "local/wine")).await;
    write(fixture.path(), "wine/a.csv", "x\n2\n");
    wait_for(&mut news, |event| is_update_of(event, "local/wine")).await;
    write(fixture.path(), "beer/a.csv", "x\n2\n");
    wait_for(&mut news, |event| is_update_of(event, "local/beer")).await;
    cancel.cancel();
    running.await.expect("without a panic");
}
