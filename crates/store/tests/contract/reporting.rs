//! What operators ask and change.

use belvedere_domain::job::JobStatus;
use belvedere_domain::{JobId, Priority, View};
use belvedere_store::{Completion, Finished, RateLimit, Report};
use serde_json::json;

use crate::bed::{Bed, at_revision, dataset_name, failed, job, job_of, ok, split_key, step, with_view};

fn told(reports: &[Report]) -> Vec<String> {
    reports.iter().map(|report| format!("{} {} {}", report.key, report.revision, report.http_status)).collect()
}

pub(crate) async fn pages_follow_the_cursor(bed: &Bed) {
    bed.target("a/one", "r1").await;
    for at in 0..5 {
        bed.run(job_of(split_key("a/one", "s1", "c", &format!("n{at}"))), ok(&at.to_string())).await;
        bed.run(job_of(split_key("a/one", "s2", "c", &format!("n{at}"))), ok("other")).await;
    }
    let reports = &bed.store.reports;
    let mut contents = Vec::new();
    let mut after = 0;
    loop {
        let page = reports.artifacts(&step("s1"), after, 2, true).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2 && page.iter().all(|report| report.id > after));
        after = last.id;
        contents.extend(page.iter().map(|report| report.content.as_ref().unwrap().as_str().to_owned()));
    }
    assert_eq!(contents, ["\"0\"", "\"1\"", "\"2\"", "\"3\"", "\"4\""]);
    let first = reports.artifacts(&step("s1"), 0, 1, false).await.unwrap();
    assert_eq!(first[0].content, None);
    // Written again, an artifact keeps its place.
    bed.run(job_of(split_key("a/one", "s1", "c", "n0")), ok("again")).await;
    assert_eq!(reports.artifacts(&step("s1"), 0, 1, true).await.unwrap()[0].id, first[0].id);
    assert!(reports.artifacts(&step("s3"), 0, 100, false).await.unwrap().is_empty());
    assert!(reports.artifacts(&step("s1"), i64::MAX, 100, false).await.unwrap().is_empty());
}

/// `s1` and `s3` served at r1, `s1` done again at r2, which is not served yet.
async fn half_way(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.run(job("a/one", "s1"), ok("one")).await;
    bed.run(job("a/one", "s3"), failed()).await;
    bed.target("a/one", "r2").await;
    bed.enqueue([at_revision(job("a/one", "s1"), "r2"), at_revision(job("a/one", "s2"), "r2")]).await;
    let claimed = bed.claim().await.unwrap();
    let completion = Completion { answer_set: vec![step("s2")], ..with_view(&claimed, ok("two")) };
    bed.finish_with(&claimed, completion).await;
}

pub(crate) async fn an_artifact_has_one_row(bed: &Bed) {
    half_way(bed).await;
    let reports = &bed.store.reports;
    let all = reports.artifacts_of(&dataset_name("a/one")).await.unwrap();
    assert_eq!(told(&all), ["s3 of a/one r1 500", "s1 of a/one r2 200"]);
    assert_eq!(told(&reports.artifacts(&step("s1"), 0, 10, false).await.unwrap()), ["s1 of a/one r2 200"]);
    assert_eq!(told(&reports.artifacts(&step("s3"), 0, 10, false).await.unwrap()), ["s3 of a/one r1 500"]);
    assert!(reports.artifacts_of(&dataset_name("a/two")).await.unwrap().is_empty());
}

pub(crate) async fn reports_tell_what_went_wrong(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.run(job("a/one", "s1"), failed()).await;
    bed.run(job("a/one", "s1"), failed()).await;
    bed.run(job("a/one", "s2"), ok("half").with_progress(1, 2)).await;
    let all = bed.store.reports.artifacts_of(&dataset_name("a/one")).await.unwrap();
    assert_eq!((all[0].error_code.as_deref(), all[0].failed_runs), (Some("StreamingRowsError"), 2));
    assert_eq!(all[0].details.as_str(), r#"{"error":"could not read the rows"}"#);
    assert_eq!((all[0].progress, all[0].runner_version), (None, 3));
    assert_eq!((all[1].error_code.as_deref(), all[1].details.as_str(), all[1].progress), (None, "{}", Some(500)));
    assert!(all[1].updated_at > all[0].updated_at);
}

pub(crate) async fn artifacts_are_counted_once(bed: &Bed) {
    bed.target("b/one", "r1").await;
    bed.run(job("b/one", "s1"), ok("other")).await;
    half_way(bed).await;
    let counts = bed.store.reports.artifact_counts().await.unwrap();
    let told: Vec<_> = counts
        .iter()
        .map(|count| (count.step.as_str(), count.http_status, count.error_code.as_deref(), count.count))
        .collect();
    assert_eq!(told, [("s1", 200, None, 2), ("s3", 500, Some("StreamingRowsError"), 1)]);
    // With r2 served, the s3 of r1 is neither of the target nor served.
    let claimed = bed.claim().await.unwrap();
    bed.finish(&claimed).await;
    assert_eq!(bed.store.reports.artifact_counts().await.unwrap().len(), 1);
}

pub(crate) async fn builders_are_counted(bed: &Bed) {
    let info = |config: &str, builder: &str| View::ok(&json!({"dataset_info": {config: {"builder_name": builder}}}));
    for (dataset, view) in [
        ("a/one", info("default", "csv")),
        ("a/two", info("default", "csv")),
        ("a/three", info("default", "parquet")),
        ("a/four", info("other \u{0} '$.x\"", "json")),
        ("a/five", failed()),
    ] {
        bed.target(dataset, "r1").await;
        bed.run(job(dataset, "dataset-info"), view).await;
    }
    let counts = bed.store.reports.builders().await.unwrap();
    assert_eq!(counts, [(None, 1), (Some("csv".to_owned()), 2), (Some("parquet".to_owned()), 1)]);
}

pub(crate) async fn datasets_are_found_by_their_errors(bed: &Bed) {
    for dataset in ["b/one", "a/one", "a/two"] {
        bed.target(dataset, "r1").await;
        let view = if dataset == "a/two" { ok("fine") } else { failed() };
        bed.run(job(dataset, "s1"), view.clone()).await;
        bed.run(job(dataset, "s2"), view).await;
    }
    let found = bed.store.reports.datasets_with_errors(&["StreamingRowsError", "HfHubError"]).await.unwrap();
    assert_eq!(found, [dataset_name("a/one"), dataset_name("b/one")]);
    assert!(bed.store.reports.datasets_with_errors(&["HfHubError"]).await.unwrap().is_empty());
    assert!(bed.store.reports.datasets_with_errors(&[]).await.unwrap().is_empty());
}

pub(crate) async fn lists_of_jobs_are_cut_per_step(bed: &Bed) {
    bed.target("a/one", "r1").await;
    for name in ["s1", "s2", "s3"] {
        let keys = (0..4).map(|at| job_of(split_key("a/one", name, "c", &format!("n{at}"))));
        bed.enqueue(keys).await;
    }
    let started = bed.claim().await.unwrap();
    let list = bed.store.reports.jobs(&[step("s2"), step("s1")], 2).await.unwrap();
    let told: Vec<_> = list.iter().map(|job| (job.key.to_string(), job.status)).collect();
    let key = |name: &str, at: u8| split_key("a/one", name, "c", &format!("n{at}")).to_string();
    assert_eq!(
        told,
        [
            (started.record.key.to_string(), JobStatus::Started),
            (key("s1", 1), JobStatus::Waiting),
            (key("s1", 2), JobStatus::Waiting),
            (key("s2", 0), JobStatus::Waiting),
            (key("s2", 1), JobStatus::Waiting),
        ]
    );
    assert!(bed.store.reports.jobs(&[], 2).await.unwrap().is_empty());
}

pub(crate) async fn a_job_is_found_until_it_ends(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let id = bed.store.queue.pending(None).await.unwrap()[0].id;
    let waiting = bed.store.reports.job(id).await.unwrap().unwrap();
    assert_eq!((waiting.record.status, waiting.owner, waiting.expires_at), (JobStatus::Waiting, None, None));
    let claimed = bed.claim().await.unwrap();
    let started = bed.store.reports.job(id).await.unwrap().unwrap();
    assert_eq!((started.record.status, started.owner.as_deref()), (JobStatus::Started, Some("test")));
    assert!(started.expires_at > started.record.started_at);
    bed.store.queue.release(&claimed.lease, 3600.0, true).await.unwrap();
    assert!(bed.store.reports.job(id).await.unwrap().unwrap().not_before.is_some());
    assert_eq!(bed.store.reports.job(JobId(id.0 + 1)).await.unwrap(), None);
}

pub(crate) async fn jobs_ahead_are_older_or_more_urgent(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.target("b/one", "r1").await;
    bed.enqueue([job("a/one", "s1"), job("b/one", "s1"), job("a/one", "s2")]).await;
    let mut urgent = job("b/one", "s2");
    urgent.priority = Priority::High;
    bed.enqueue([urgent]).await;
    let ahead = async || {
        let mut told = Vec::new();
        for record in bed.store.queue.pending(None).await.unwrap() {
            if record.status == JobStatus::Waiting {
                let [all, some] = [100, 2].map(|at_most| bed.store.reports.jobs_ahead(&record, at_most));
                told.push((record.key.to_string(), all.await.unwrap(), some.await.unwrap()));
            }
        }
        told
    };
    let key = |dataset, name| job(dataset, name).key.to_string();
    assert_eq!(
        ahead().await,
        [
            (key("a/one", "s1"), 1, 1),
            (key("b/one", "s1"), 2, 2),
            (key("a/one", "s2"), 3, 2),
            (key("b/one", "s2"), 0, 0),
        ]
    );
    // What runs waits no more, and what rests is passed by.
    let claimed = bed.claim().await.unwrap();
    assert_eq!(ahead().await[2], (key("a/one", "s2"), 2, 2));
    bed.store.queue.release(&claimed.lease, 3600.0, true).await.unwrap();
    assert_eq!(ahead().await[2], (key("a/one", "s2"), 2, 2));
}

/// A dataset that rests after a run, with a job that waits.
async fn resting(bed: &Bed) {
    let limit = RateLimit { budget_seconds: 100.0, ..RateLimit::default() };
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1"), job("a/one", "s2")]).await;
    let claimed = bed.claim().await.unwrap();
    bed.age_started(101).await;
    bed.finish_with(&claimed, Completion { rate_limit: Some(limit), ..Completion::default() }).await;
}

pub(crate) async fn counts_tell_resting_jobs_apart(bed: &Bed) {
    resting(bed).await;
    bed.target("b/one", "r1").await;
    bed.enqueue([job("b/one", "s2"), job("b/one", "s3")]).await;
    let claimed = bed.claim().await.unwrap();
    bed.store.queue.release(&claimed.lease, 3600.0, true).await.unwrap();
    assert_eq!(bed.next().await, "b/one s3");
    let counts = bed.store.reports.job_counts().await.unwrap();
    let told: Vec<_> = counts
        .iter()
        .map(|count| (count.step.as_str(), count.status, count.difficulty.get(), count.blocked, count.count))
        .collect();
    let (waiting, started) = (JobStatus::Waiting, JobStatus::Started);
    // A job that waits for its time is not at rest.
    assert_eq!(told, [("s2", waiting, 50, false, 1), ("s3", started, 50, false, 1), ("s2", waiting, 50, true, 1)]);
}

pub(crate) async fn cancelled_jobs_wait_again(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1"), job("a/one", "s2"), job("a/one", "s3")]).await;
    let (first, second) = (bed.claim().await.unwrap(), bed.claim().await.unwrap());
    let cancelled = bed.store.reports.cancel(&[step("s1"), step("s3")]).await.unwrap();
    assert_eq!(cancelled, std::slice::from_ref(&first.record));
    assert_eq!(bed.pending().await, ["a/one s1 Waiting", "a/one s2 Started", "a/one s3 Waiting"]);
    // Neither its result nor its failure counts any more.
    assert_eq!(bed.finish_with(&first, with_view(&first, ok("late"))).await, Finished::LeaseLost);
    assert_eq!(bed.finish(&second).await, Finished::Saved { served: Some(second.record.revision.clone()) });
    let again = bed.claim().await.unwrap();
    assert_eq!((again.record.id, again.record.attempt, again.record.crashes), (first.record.id, 1, 0));
    assert!(bed.store.reports.cancel(&[]).await.unwrap().is_empty());
}

pub(crate) async fn a_rest_can_be_ended(bed: &Bed) {
    resting(bed).await;
    assert_eq!(bed.next().await, "nothing");
    assert_eq!(bed.store.queue.blocked_datasets().await.unwrap(), [dataset_name("a/one")]);
    assert!(bed.store.reports.unblock(&dataset_name("a/one")).await.unwrap());
    assert!(!bed.store.reports.unblock(&dataset_name("a/one")).await.unwrap());
    assert!(bed.store.queue.blocked_datasets().await.unwrap().is_empty());
    assert_eq!(bed.next().await, "a/one s2");
}

pub(crate) async fn leftovers_are_counted_and_removed(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.run(job("a/one", "s1"), ok("kept")).await;
    bed.run(job("a/one", "retired"), ok("dropped")).await;
    bed.enqueue([job("a/one", "retired"), job("a/one", "s1")]).await;
    let reports = &bed.store.reports;
    for remove in [false, true] {
        let leftovers = reports.leftovers(&[step("s1")], remove).await.unwrap();
        assert_eq!((leftovers.jobs, leftovers.artifacts, leftovers.dropped.len()), (1, 1, usize::from(remove)));
    }
    assert_eq!(told(&reports.artifacts_of(&dataset_name("a/one")).await.unwrap()), ["s1 of a/one r1 200"]);
    assert_eq!(bed.pending().await, ["a/one s1 Waiting"]);
    assert_eq!(reports.leftovers(&[step("s1")], true).await.unwrap(), belvedere_store::Leftovers::default());
}
