//! What nobody else tidies up: files of views that were never stored, because their worker vanished or its dataset moved
//! on between writing them and finishing; private copies beyond their bound; media that answers made of revisions that
//! are gone.
//!
//! Each look removes a bounded number of things, so that it ends soon; the next one goes on.

mod media;

use std::collections::HashMap;

use belvedere_domain::{Digest, Timestamp};
use belvedere_store::{Blobs, StoreError};

use crate::config::parquet_layout::COPIES;
use crate::context::Services;

pub use media::{count_media, forget_media};

/// Files younger than this may belong to a job that is about to finish, in microseconds: a day.
const SAFE_AGE_MICROSECONDS: i64 = 24 * 3600 * 1_000_000;
/// Views whose files one look removes.
const MAX_VIEWS: usize = 1_000;

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

/// The moment before which files that belong to no view are certainly left over, and not those of a job about to finish.
pub fn left_over_before(now: Timestamp) -> Timestamp {
    Timestamp(now.0 - SAFE_AGE_MICROSECONDS)
}

/// Removes the files of views that are not stored and that have not changed since `before`. Returns of how many views.
/// A job that computes such a view just now writes new files, which stay.
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
