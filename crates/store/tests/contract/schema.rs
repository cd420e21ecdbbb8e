//! Programs of two versions on one database.

use belvedere_store::{Store, StoreError};

use crate::bed::{Bed, job};

/// What a newer program does to the schema: one more migration.
async fn upgrade(bed: &Bed, oldest_program: &str) {
    bed.sql(&format!("UPDATE schema_version SET version = version + 1, oldest_program = {oldest_program}")).await;
}

/// What another process finds; on SQLite, where one process owns the file, in a copy.
async fn open_again(bed: &Bed, folder: &tempfile::TempDir) -> Result<Store, StoreError> {
    if bed.is_postgres() {
        return Store::connect(&bed.url).await;
    }
    let copy = folder.path().join("copy.sqlite");
    bed.sql(&format!("VACUUM INTO '{}'", copy.display())).await;
    Store::connect(&format!("sqlite:{}", copy.display())).await
}

/// e026 | a newer program has changed the schema, and allows this one beside it | this one starts and works, and leaves the
/// schema alone
pub(crate) async fn e026_a_program_works_on_a_newer_schema_that_allows_it(bed: &Bed) {
    let folder = tempfile::tempdir().unwrap();
    upgrade(bed, "version").await;
    let store = open_again(bed, &folder).await.unwrap();
    store.queue.enqueue(vec![job("a/one", "s1")]).await.unwrap();
    assert_eq!(store.queue.pending(None).await.unwrap().len(), 1);
    store.housekeeping.check_schema().await.unwrap();
    // It has not put its own version back: with one more change the next one is refused.
    upgrade(bed, "version + 1").await;
    let folder = tempfile::tempdir().unwrap();
    let Err(StoreError::NewerSchema { found, known }) = open_again(bed, &folder).await else { panic!("it opened") };
    assert_eq!(found, known + 2);
}

/// e026 | a newer program has changed the schema in a way that this one cannot live with | this one refuses to start, and
/// tells both versions
pub(crate) async fn e026_a_program_refuses_a_newer_schema_that_does_not(bed: &Bed) {
    let folder = tempfile::tempdir().unwrap();
    upgrade(bed, "version + 1").await;
    let Err(error) = open_again(bed, &folder).await else { panic!("it opened") };
    let StoreError::NewerSchema { found, known } = error else { panic!("{error:?}") };
    assert_eq!(found, known + 1);
}

/// e026 | a newer program changes the schema under one that runs | within half a minute that one knows whether it may go on;
/// if not, it hands its jobs back and ends with an error
pub(crate) async fn e026_a_program_that_runs_learns_of_a_newer_schema(bed: &Bed) {
    bed.store.housekeeping.check_schema().await.unwrap();
    upgrade(bed, "version").await;
    bed.store.housekeeping.check_schema().await.unwrap();
    upgrade(bed, "version + 1").await;
    let error = bed.store.housekeeping.check_schema().await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { .. }), "{error:?}");
}
