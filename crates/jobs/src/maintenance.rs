//! What nobody else tidies up: files of views that were never stored, because their worker vanished or its dataset moved
//! on between writing them and finishing; private copies beyond their bound; media that answers made of revisions that
//! are gone.
//!
//! Each look removes a bounded number of things, so that it ends soon; the next one goes on.

mod media;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use belvedere_domain::{Digest, Timestamp};
use belvedere_store::{Blobs, StoreError};
use tokio_util::sync::CancellationToken;

use crate::config::parquet_layout::COPIES;
use crate::context::Services;

pub use media::forget_media;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(3600);
/// Files younger than this may belong to a job that is about to finish, in microseconds: a day.
const SAFE_AGE_MICROSECONDS: i64 = 24 * 3600 * 1_000_000;
/// Views whose files one look removes, and files of media.
const MAX_VIEWS: usize = 1_000;
const MAX_MEDIA: usize = 20_000;

/// Why something could not be tidied up.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory of media that answers made cannot be read or written.
    #[error("the media that answers made cannot be read or removed")]
    Media(#[source] std::io::Error),
}

/// Looks now and every hour until `stop`. `cached_assets` is where answers keep the media they make. `now` is asked for
/// the time; it need not be the database's, since files of a day's age are meant.
pub async fn run(services: Arc<Services>, cached_assets: PathBuf, now: fn() -> Timestamp, stop: CancellationToken) {
    loop {
        let before = left_over_before(now());
        tell(sweep(&services, before).await, "files of views that were never stored");
        let copies_max_bytes = services.settings.parquet.copies_max_bytes;
        tell(shrink_copies(&services.blobs, copies_max_bytes).await, "private copies of Parquet files");
        tell(forget_media(&services, &cached_assets, MAX_MEDIA).await, "media of revisions that are gone");
        tokio::select! { () = tokio::time::sleep(EVERY) => {}, () = stop.cancelled() => return }
    }
}

fn tell(removed: Result<usize, MaintenanceError>, what: &'static str) {
    match removed {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed {what}"),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "could not look for {what}, or not remove them");
        }
    }
}

/// The moment before which files that belong to no view are certainly left over, and not those of a job about to finish.
pub fn left_over_before(now: Timestamp) -> Timestamp {
    Timestamp(now.0 - SAFE_AGE_MICROSECONDS)
}

/// Removes the files of views that are not stored and that have not changed since `before`. Returns of how many views.
///
/// # Errors
/// [`MaintenanceError`] when views or files cannot be listed or removed.
pub async fn sweep(services: &Services, before: Timestamp) -> Result<usize, MaintenanceError> {
    let prefixes = left_over(services, before).await?;
    for prefix in &prefixes {
        for place in services.files.places() {
            place.delete_older(prefix, before.0).await?;
        }
    }
    Ok(prefixes.len())
}

/// Where the files lie that [`sweep`] would remove now.
///
/// # Errors
/// [`MaintenanceError`] when views or files cannot be listed.
pub async fn left_over(services: &Services, before: Timestamp) -> Result<Vec<String>, MaintenanceError> {
    let mut prefixes = Vec::new();
    for first in ["views", COPIES] {
        let mut groups: HashMap<String, i64> = HashMap::new();
        for place in services.files.places() {
            for (name, changed) in place.groups(first).await? {
                let newest = groups.entry(name).or_default();
                *newest = (*newest).max(changed);
            }
        }
        for (name, changed) in groups {
            let Ok(digest) = Digest::try_from(name.clone()) else { continue };
            if changed >= before.0 || services.store.views.by_digest(&digest).await?.is_some() {
                continue;
            }
            if prefixes.len() == MAX_VIEWS {
                return Ok(prefixes);
            }
            prefixes.push(format!("{first}/{name}"));
        }
    }
    Ok(prefixes)
}

/// Removes private copies of Parquet files, the oldest first, until they take at most `max_bytes`: the bound may have been
/// made smaller. Returns of how many views.
///
/// # Errors
/// [`MaintenanceError`] when files cannot be listed or removed.
pub async fn shrink_copies(blobs: &Blobs, max_bytes: u64) -> Result<usize, MaintenanceError> {
    let mut removed = 0;
    if blobs.usage(COPIES).await? <= max_bytes {
        return Ok(removed);
    }
    let mut groups: Vec<_> = blobs.groups(COPIES).await?.into_iter().collect();
    groups.sort_unstable_by(|(left, left_changed), (right, right_changed)| {
        (left_changed, left).cmp(&(right_changed, right))
    });
    for (name, _) in groups {
        blobs.delete_prefix(&format!("{COPIES}/{name}")).await?;
        removed += 1;
        // Copies may share their room, so that a removal need not free any.
        if blobs.usage(COPIES).await? <= max_bytes {
            break;
        }
    }
    Ok(removed)
}
