//! What readers see.

use belvedere_domain::{ArtifactKey, ErrorCode, View};
use belvedere_store::{Completion, NewView, ViewContent};

use crate::bed::{
    Bed, at_revision, computed, dataset_key, dataset_name, digest_of, failed, job, job_of, ok, revision_of, split_key,
    step, with_view,
};

/// The content that a reader with this patience gets now.
async fn read(bed: &Bed, key: &ArtifactKey, patience_seconds: f64) -> Option<String> {
    let found = bed.store.views.read(key, None, patience_seconds).await.unwrap();
    found.map(|found| format!("{} {}", found.revision, found.stored.view.content.as_str()))
}

fn key() -> ArtifactKey {
    dataset_key("a/one", "s1")
}

/// Runs s1 with a view, while a job of the answer set is pending.
async fn run_unserved(bed: &Bed, revision: &str, content: &str) {
    end_unserved(bed, revision, ok(content)).await;
}

async fn end_unserved(bed: &Bed, revision: &str, view: View) {
    bed.enqueue([at_revision(job("a/one", "s1"), revision), at_revision(job("a/one", "s2"), revision)]).await;
    let claimed = bed.claim().await.unwrap();
    assert_eq!(claimed.record.key, key());
    let completion = Completion { answer_set: vec![step("s2")], ..with_view(&claimed, view) };
    bed.finish_with(&claimed, completion).await;
}

async fn run_served(bed: &Bed, revision: &str, content: &str) {
    bed.run(at_revision(job("a/one", "s1"), revision), ok(content)).await;
}

pub(crate) async fn nothing_is_found_where_nothing_is_stored(bed: &Bed) {
    let views = &bed.store.views;
    assert_eq!(views.read(&key(), None, 60.0).await.unwrap(), None);
    assert_eq!(views.read(&key(), Some(&revision_of("r1")), 60.0).await.unwrap(), None);
    assert_eq!(views.at_revision(&[key()], &revision_of("r1")).await.unwrap(), [None]);
    assert_eq!(views.by_digest(&digest_of("x")).await.unwrap(), None);
    assert_eq!(views.rows(&dataset_name("a/one")).await.unwrap(), []);
    assert!(!views.has_any(&dataset_name("a/one")).await.unwrap());
    assert!(views.retire(&dataset_name("a/one"), 1).await.unwrap().is_empty());
    assert!(bed.store.reports.artifact_counts().await.unwrap().is_empty());
}

pub(crate) async fn a_revision_is_read_exactly(bed: &Bed) {
    bed.target("a/one", "r1").await;
    run_served(bed, "r1", "one").await;
    bed.target("a/one", "r2").await;
    run_served(bed, "r2", "two").await;
    for (revision, content) in [("r1", Some("\"one\"")), ("r2", Some("\"two\"")), ("r3", None)] {
        let found = bed.store.views.read(&key(), Some(&revision_of(revision)), 60.0).await.unwrap();
        assert_eq!(found.as_ref().map(|found| found.stored.view.content.as_str()), content);
    }
}

pub(crate) async fn readers_see_the_served_revision(bed: &Bed) {
    bed.target("a/one", "r1").await;
    run_served(bed, "r1", "one").await;
    bed.target("a/one", "r2").await;
    run_unserved(bed, "r2", "two").await;
    assert_eq!(read(bed, &key(), 60.0).await.as_deref(), Some("r1 \"one\""));
    bed.run(at_revision(job("a/one", "s2"), "r2"), ok("x")).await;
    assert_eq!(read(bed, &key(), 60.0).await.as_deref(), Some("r2 \"two\""));
}

pub(crate) async fn readers_see_the_target_while_nothing_is_served(bed: &Bed) {
    bed.target("a/one", "r1").await;
    run_unserved(bed, "r1", "one").await;
    assert_eq!(read(bed, &key(), 60.0).await.as_deref(), Some("r1 \"one\""));
    assert_eq!(read(bed, &dataset_key("a/one", "s2"), 60.0).await, None);
}

pub(crate) async fn readers_see_the_target_when_patience_ends(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.run(job("a/one", "s3"), ok("only before")).await;
    run_served(bed, "r1", "one").await;
    bed.target("a/one", "r2").await;
    run_unserved(bed, "r2", "two").await;
    bed.sql("UPDATE datasets SET target_since = target_since - 100000000").await;
    assert_eq!(read(bed, &key(), 600.0).await.as_deref(), Some("r1 \"one\""));
    assert_eq!(read(bed, &key(), 60.0).await.as_deref(), Some("r2 \"two\""));
    assert_eq!(read(bed, &dataset_key("a/one", "s3"), 60.0).await.as_deref(), Some("r1 \"only before\""));
}

pub(crate) async fn readers_see_the_target_after_it_was_superseded_unserved(bed: &Bed) {
    bed.target("a/one", "r1").await;
    run_served(bed, "r1", "one").await;
    bed.target("a/one", "r2").await;
    bed.target("a/one", "r3").await;
    run_unserved(bed, "r3", "three").await;
    assert_eq!(read(bed, &key(), 60.0).await.as_deref(), Some("r3 \"three\""));
    bed.run(at_revision(job("a/one", "s2"), "r3"), ok("x")).await;
    // Served now, the next target waits again for its answer set.
    bed.target("a/one", "r4").await;
    run_unserved(bed, "r4", "four").await;
    assert_eq!(read(bed, &key(), 60.0).await.as_deref(), Some("r3 \"three\""));
}

pub(crate) async fn what_lacks_parts_waits_for_patience_where_a_whole_one_is_served(bed: &Bed) {
    bed.target("a/one", "r1").await;
    run_served(bed, "r1", "all").await;
    bed.target("a/one", "r2").await;
    bed.target("a/one", "r3").await;
    end_unserved(bed, "r3", ok("some").with_progress(1, 2)).await;
    assert_eq!(read(bed, &key(), 60.0).await.as_deref(), Some("r1 \"all\""));
    bed.sql("UPDATE datasets SET target_since = target_since - 100000000").await;
    assert_eq!(read(bed, &key(), 60.0).await.as_deref(), Some("r3 \"some\""));
}

pub(crate) async fn rows_show_the_target_else_the_served(bed: &Bed) {
    bed.target("a/one", "r1").await;
    run_served(bed, "r1", "one").await;
    bed.run(job("a/one", "s3"), failed()).await;
    bed.target("a/one", "r2").await;
    run_unserved(bed, "r2", "two").await;
    let rows = bed.store.views.rows(&dataset_name("a/one")).await.unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.key.step.as_str(), row.revision.as_str(), row.http_status, row.error_code.as_deref()))
        .collect();
    assert_eq!(told, [("s3", "r1", 500, Some(ErrorCode::StreamingRowsError.as_str())), ("s1", "r2", 200, None)]);
    assert_eq!(rows[0].failed_runs, 1);
    assert!(rows[1].updated_at > rows[0].updated_at);
}

pub(crate) async fn many_are_read_in_order(bed: &Bed) {
    bed.target("a/one", "r1").await;
    let keys: Vec<_> = (0..50).map(|n| split_key("a/one", "s", "c", &format!("n{n}"))).collect();
    for key in keys.iter().step_by(2) {
        bed.run(job_of(key.clone()), ok(&key.to_string())).await;
    }
    let found = bed.store.views.at_revision(&keys, &revision_of("r1")).await.unwrap();
    assert_eq!(found.len(), 50);
    for (at, (key, found)) in keys.iter().zip(&found).enumerate() {
        assert_eq!(found.as_ref().map(|found| &found.key), (at % 2 == 0).then_some(key));
    }
}

pub(crate) async fn nasty_names_come_back(bed: &Bed) {
    bed.target("a/one", "r1").await;
    let long = "é".repeat(127);
    let configs =
        ["'; DROP TABLE jobs; --", "\"quoted\"", "日本語 🎉", "a,b", "%_\u{1}\t", "{}", "\\N", " ", &long, "NULL"];
    for (at, config) in configs.iter().filter(|config| !config.contains('\\')).enumerate() {
        let key = split_key("a/one", "s", config, "été.v2");
        let view = View { details: ok(config).content, ..ok(&format!("{at} {config} \u{0} ünï")) };
        bed.run(job_of(key.clone()), view.clone()).await;
        let found = bed.store.views.read(&key, None, 60.0).await.unwrap().unwrap();
        assert_eq!((found.key, found.stored.view), (key, view));
    }
    let rows = bed.store.views.rows(&dataset_name("a/one")).await.unwrap();
    assert_eq!(rows.len(), configs.len() - 1);
}

pub(crate) async fn a_megabyte_comes_back(bed: &Bed) {
    bed.target("a/one", "r1").await;
    let view = ok(&"long ✓ ".repeat(150_000)).with_internal(&"x".repeat(300_000)).with_progress(1, 3);
    bed.run(job("a/one", "s1"), view.clone()).await;
    let found = bed.store.views.read(&key(), None, 60.0).await.unwrap().unwrap();
    assert!(found.stored.view == view);
    assert_eq!(found.stored.view.progress, Some(333));
}

pub(crate) async fn old_revisions_retire(bed: &Bed) {
    let shared = NewView {
        key: dataset_key("a/one", "s9"),
        digest: digest_of("shared"),
        runner_version: 1,
        content: ViewContent::Computed(ok("shared")),
    };
    for revision in ["r1", "r2", "r3", "r4"] {
        bed.target("a/one", revision).await;
        bed.enqueue([at_revision(job("a/one", "s1"), revision)]).await;
        let claimed = bed.claim().await.unwrap();
        let own = computed(&job("a/one", "s1"), ok(revision));
        bed.finish_with(&claimed, Completion { views: vec![own, shared.clone()], ..Completion::default() }).await;
    }
    bed.store.datasets.serve(&dataset_name("a/one"), &revision_of("r1")).await.unwrap();
    // Overwritten at its own revision: its first view has no pointer any more.
    run_served(bed, "r4", "r4 again").await;
    bed.store.datasets.serve(&dataset_name("a/one"), &revision_of("r1")).await.unwrap();
    let mut dropped = bed.store.views.retire(&dataset_name("a/one"), 2).await.unwrap();
    let mut expected = ["r2", "r4"].map(|content| computed(&job("a/one", "s1"), ok(content)).digest);
    expected.sort();
    dropped.sort();
    assert_eq!(dropped, expected);
    for (revision, kept) in [("r1", true), ("r2", false), ("r3", true), ("r4", true)] {
        let found = bed.store.views.read(&key(), Some(&revision_of(revision)), 0.0).await.unwrap();
        assert_eq!(found.is_some(), kept, "{revision}");
    }
    assert!(bed.store.views.by_digest(&digest_of("shared")).await.unwrap().is_some());
    assert!(bed.store.views.retire(&dataset_name("a/one"), 2).await.unwrap().is_empty());
}

pub(crate) async fn outdated_views_are_read_and_planned_again(bed: &Bed) {
    bed.target("a/one", "r1").await;
    run_served(bed, "r1", "one").await;
    bed.run(job("a/one", "s3"), failed()).await;
    let views = &bed.store.views;
    let found = views.read(&key(), None, 60.0).await.unwrap().unwrap();
    let error = views.read(&dataset_key("a/one", "s3"), None, 60.0).await.unwrap().unwrap();
    let digests = [found.stored.digest, error.stored.digest, digest_of("unknown")];
    assert_eq!(views.outdate(&digests, true).await.unwrap(), 1, "errors are tried again for other reasons");
    assert_eq!(views.outdate(&digests, true).await.unwrap(), 0, "a second report of the same loss");
    let again = views.by_digest(&digests[0]).await.unwrap().unwrap();
    assert!(again.is_outdated() && !found.stored.is_outdated());
    assert_eq!(read(bed, &key(), 60.0).await.as_deref(), Some("r1 \"one\""), "it is read as before");
    let row =
        async || views.rows(&dataset_name("a/one")).await.unwrap().into_iter().find(|row| row.key == key()).unwrap();
    assert_eq!((row().await.runner_version, row().await.failed_runs), (0, 1));
    run_served(bed, "r1", "one").await;
    assert!(!views.by_digest(&digests[0]).await.unwrap().unwrap().is_outdated());
    assert_eq!((row().await.runner_version, row().await.failed_runs), (3, 1), "losses are remembered");
    assert_eq!(views.outdate(&digests[..1], false).await.unwrap(), 1);
    assert_eq!((row().await.runner_version, row().await.failed_runs), (0, 1), "nothing was lost");
}
