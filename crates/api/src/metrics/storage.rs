//! How much is stored: files behind views by kind, media that answers made, the database.
//!
//! Measuring files means listing them all, so it is done in the background, at most a hundredth of the time, and only
//! while somebody scrapes. Until the first measure is done the numbers are absent.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use belvedere_jobs::Services;
use belvedere_store::blobs::Usage;
use prometheus::core::Collector;
use prometheus::{GaugeVec, Opts};

/// Rest between two measures, in multiples of what the last one took.
const REST: u32 = 100;
/// The rest is never shorter.
const SHORTEST_REST: Duration = Duration::from_secs(60);

/// The first parts of the keys of blobs.
const KINDS: [&str; 2] = ["views", "layouts"];

/// The numbers, and when they are to be taken again.
pub(super) struct StorageMetrics {
    bytes: GaugeVec,
    objects: GaugeVec,
    database: GaugeVec,
    next: Arc<Mutex<Next>>,
}

/// When to measure next; `None`: it is being done.
struct Next(Option<Instant>);

impl StorageMetrics {
    /// `gauge` makes options from a name and a help text.
    pub(super) fn new(gauge: impl Fn(&str, &str) -> Opts) -> Self {
        let vector = |name: &str, help: &str, labels: &[&str]| {
            GaugeVec::new(gauge(name, help), labels).expect("the names and labels are legal")
        };
        Self {
            bytes: vector("belvedere_storage_bytes", "Size of stored files by kind.", &["kind"]),
            objects: vector("belvedere_storage_objects", "Number of stored files by kind.", &["kind"]),
            database: vector("belvedere_database_bytes", "Size of the database.", &[]),
            next: Arc::new(Mutex::new(Next(Some(Instant::now())))),
        }
    }

    pub(super) fn collectors(&self) -> [Box<dyn Collector>; 3] {
        [Box::new(self.bytes.clone()), Box::new(self.objects.clone()), Box::new(self.database.clone())]
    }

    /// Starts a measure if it is time for one.
    pub(super) fn look(&self, services: &Arc<Services>, cached_assets: &Path) {
        {
            let mut next = self.next.lock().expect("never poisoned: no code panics while holding it");
            if next.0.is_none_or(|at| at > Instant::now()) {
                return;
            }
            next.0 = None;
        }
        let (bytes, objects, database) = (self.bytes.clone(), self.objects.clone(), self.database.clone());
        let (next, services, cached_assets) = (Arc::clone(&self.next), Arc::clone(services), cached_assets.to_owned());
        tokio::spawn(async move {
            let started = Instant::now();
            for (kind, usage) in usages(&services, cached_assets).await {
                bytes.with_label_values(&[kind]).set(usage.bytes as f64);
                objects.with_label_values(&[kind]).set(usage.objects as f64);
            }
            if let Ok(size) = services.store.reports.database_bytes().await {
                database.with_label_values(&[] as &[&str]).set(size as f64);
            }
            let rest = (started.elapsed() * REST).max(SHORTEST_REST);
            let mut next = next.lock().expect("never poisoned: no code panics while holding it");
            next.0 = Some(Instant::now() + rest);
        });
    }
}

/// What can be measured now, by kind.
async fn usages(services: &Services, cached_assets: PathBuf) -> Vec<(&'static str, Usage)> {
    let mut usages = Vec::new();
    for kind in KINDS {
        match services.blobs.measure(kind).await {
            Ok(usage) => usages.push((kind, usage)),
            Err(error) => {
                tracing::warn!(kind, error = &error as &dyn std::error::Error, "stored files cannot be measured");
            }
        }
    }
    let media = tokio::task::spawn_blocking(move || belvedere_store::blobs::usage_of_folder(&cached_assets)).await;
    if let Ok(Ok(usage)) = media {
        usages.push(("cached-assets", usage));
    }
    usages
}
