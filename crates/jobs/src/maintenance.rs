//! What nobody else tidies up: files of views that were never stored, because their worker vanished or its dataset moved
//! on between writing them and finishing.

use std::sync::Arc;
use std::time::Duration;

use belvedere_domain::{Digest, Timestamp};
use belvedere_store::StoreError;
use tokio_util::sync::CancellationToken;

use crate::context::Services;

/// Time between two sweeps.
const EVERY: Duration = Duration::from_secs(3600);
/// Files younger than this may belong to a job that is about to finish, in microseconds: a day.
const SAFE_AGE_MICROSECONDS: i64 = 24 * 3600 * 1_000_000;

/// Sweeps now and every hour until `stop`. `now` is asked for the time; it need not be the database's, since files of
/// a day's age are meant.
pub async fn run(services: Arc<Services>, now: fn() -> Timestamp, stop: CancellationToken) {
    loop {
        match sweep(&services, Timestamp(now().0 - SAFE_AGE_MICROSECONDS)).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed files of views that were never stored"),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "files of unknown views could not be looked for"
                );
            }
        }
        tokio::select! { () = tokio::time::sleep(EVERY) => {}, () = stop.cancelled() => return }
    }
}

/// Removes the files of views that are not stored and that have not changed since `before`. Returns of how many views.
///
/// # Errors
/// [`StoreError`] when views or files cannot be listed or removed.
pub async fn sweep(services: &Services, before: Timestamp) -> Result<usize, StoreError> {
    let mut removed = 0;
    for (name, changed) in services.blobs.groups("views").await? {
        let Ok(digest) = Digest::try_from(name.clone()) else { continue };
        if changed < before.0 && services.store.views.by_digest(&digest).await?.is_none() {
            services.blobs.delete_prefix(&format!("views/{name}")).await?;
            removed += 1;
        }
    }
    Ok(removed)
}
