//! How jobs end: views, children, distances, budgets, superseded work.

use belvedere_domain::job::JobStatus;
use belvedere_domain::{Json, NewJob, StepName, View};
use belvedere_store::{ClaimRequest, Completion, Fairness, Finished, NewView, RateLimit, StoreError, ViewContent};

use crate::bed::{
    Bed, anything, at_revision, computed, dataset_key, dataset_name, digest_of, failed, job, named, ok, revision_of,
    step, with_view,
};

/// Keeps the served pointer where it is: this step is pending in these tests.
fn never() -> Vec<StepName> {
    vec![step("never")]
}

pub(crate) async fn views_children_and_deletion_are_one_transaction(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let claimed = bed.claim().await.unwrap();
    let shortcut = computed(&job("a/one", "s2"), ok("two"));
    let mut completion = with_view(&claimed, ok("one"));
    completion.views.push(shortcut);
    completion.children = vec![job("a/one", "s3"), job("a/one", "s4")];
    completion.answer_set = vec![step("s4")];
    assert_eq!(bed.finish_with(&claimed, completion).await, Finished::Saved { served: None });
    assert_eq!(bed.pending().await, ["a/one s3 Waiting", "a/one s4 Waiting"]);
    let rows = bed.store.views.rows(&dataset_name("a/one")).await.unwrap();
    let steps: Vec<_> = rows.iter().map(|row| row.key.step.as_str()).collect();
    assert_eq!(steps, ["s1", "s2"]);
    assert!(rows.iter().all(|row| row.http_status == 200 && row.runner_version == 3 && row.failed_runs == 0));
}

pub(crate) async fn a_finish_that_fails_changes_nothing(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let claimed = bed.claim().await.unwrap();
    let mut completion = with_view(&claimed, ok("one"));
    completion.children = vec![job("a/one", "s2")];
    completion.views.push(NewView {
        key: dataset_key("a/one", "s3"),
        digest: digest_of("unknown"),
        runner_version: 1,
        content: ViewContent::Reused,
    });
    bed.store.queue.finish(&claimed.lease, completion).await.unwrap_err();
    assert_eq!(bed.pending().await, ["a/one s1 Started"]);
    assert!(!bed.store.views.has_any(&dataset_name("a/one")).await.unwrap());
    assert!(matches!(bed.finish(&claimed).await, Finished::Saved { .. }));
}

pub(crate) async fn a_job_may_end_without_a_view(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let claimed = bed.claim().await.unwrap();
    let completion = Completion { children: vec![job("a/one", "s2")], answer_set: never(), ..Completion::default() };
    assert!(matches!(bed.finish_with(&claimed, completion).await, Finished::Saved { .. }));
    assert_eq!(bed.pending().await, ["a/one s2 Waiting"]);
    assert!(!bed.store.views.has_any(&dataset_name("a/one")).await.unwrap());
}

pub(crate) async fn saving_keeps_the_job(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let claimed = bed.claim().await.unwrap();
    bed.age_started(5).await;
    assert!(bed.store.queue.save(&claimed.lease, computed(&job("a/one", "s1"), ok("half"))).await.unwrap());
    assert_eq!(bed.pending().await, ["a/one s1 Started"]);
    let key = dataset_key("a/one", "s1");
    let found = bed.store.views.read(&key, None, 60.0).await.unwrap().unwrap();
    assert_eq!(found.stored.view, ok("half"));
    assert!((5.0..65.0).contains(&found.stored.duration_seconds), "{}", found.stored.duration_seconds);
    bed.finish_with(&claimed, with_view(&claimed, ok("whole"))).await;
    assert_eq!(bed.store.views.read(&key, None, 60.0).await.unwrap().unwrap().stored.view, ok("whole"));
}

pub(crate) async fn failed_runs_count_per_revision_and_artifact(bed: &Bed) {
    bed.target("a/one", "r1").await;
    let runs = async |revision: &str| {
        let key = dataset_key("a/one", "s1");
        let found = bed.store.views.read(&key, Some(&revision_of(revision)), 0.0).await.unwrap().unwrap();
        (found.failed_runs, found.stored.view.outcome.http_status())
    };
    bed.run(job("a/one", "s1"), failed()).await;
    assert_eq!(runs("r1").await, (1, 500));
    bed.run(job("a/one", "s1"), failed()).await;
    assert_eq!(runs("r1").await, (2, 500));
    bed.run(job("a/one", "s1"), ok("fine")).await;
    assert_eq!(runs("r1").await, (2, 200));
    bed.run(job("a/one", "s2"), ok("other")).await;
    bed.target("a/one", "r2").await;
    bed.run(at_revision(job("a/one", "s1"), "r2"), failed()).await;
    assert_eq!(runs("r2").await, (1, 500));
}

fn reused(digest_text: &str) -> NewView {
    NewView {
        key: dataset_key("a/one", "s1"),
        digest: digest_of(digest_text),
        runner_version: 3,
        content: ViewContent::Reused,
    }
}

pub(crate) async fn a_stored_view_is_reused_by_digest(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let claimed = bed.claim().await.unwrap();
    let first = NewView { content: ViewContent::Computed(ok("same")), ..reused("d") };
    bed.finish_with(&claimed, Completion { views: vec![first], ..Completion::default() }).await;
    bed.target("a/one", "r2").await;
    bed.enqueue([at_revision(job("a/one", "s1"), "r2")]).await;
    let claimed = bed.claim().await.unwrap();
    bed.finish_with(&claimed, Completion { views: vec![reused("d")], ..Completion::default() }).await;
    let found = bed.store.views.read(&dataset_key("a/one", "s1"), None, 60.0).await.unwrap().unwrap();
    assert_eq!((found.revision, found.stored.view), (revision_of("r2"), ok("same")));
    assert_eq!(bed.store.views.by_digest(&digest_of("d")).await.unwrap().unwrap().view, ok("same"));
}

pub(crate) async fn a_view_that_is_gone_cannot_be_reused(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let claimed = bed.claim().await.unwrap();
    let completion = Completion { views: vec![reused("unknown")], ..Completion::default() };
    let error = bed.store.queue.finish(&claimed.lease, completion).await.unwrap_err();
    assert!(matches!(error, StoreError::ViewGone(_)), "{error:?}");
    assert!(error.is_passing());
}

pub(crate) async fn a_recomputed_digest_replaces_its_view(bed: &Bed) {
    bed.target("a/one", "r1").await;
    for content in ["first", "second"] {
        bed.enqueue([job("a/one", "s1")]).await;
        let claimed = bed.claim().await.unwrap();
        let view = NewView { content: ViewContent::Computed(ok(content)), ..reused("d") };
        bed.finish_with(&claimed, Completion { views: vec![view], ..Completion::default() }).await;
    }
    assert_eq!(bed.store.views.by_digest(&digest_of("d")).await.unwrap().unwrap().view, ok("second"));
}

fn aggregate() -> NewJob {
    NewJob { coalesce: true, ..job("a/one", "sum") }
}

/// A finished job whose child is the aggregate, with a distance of 100 seconds.
async fn trigger(bed: &Bed, name: &str) {
    bed.enqueue([job("a/one", name)]).await;
    let claimed = bed.claim().await.unwrap();
    assert_eq!(claimed.record.key.step.as_str(), name);
    let completion = Completion {
        children: vec![aggregate()],
        coalesce_seconds: 100.0,
        answer_set: never(),
        ..Completion::default()
    };
    bed.finish_with(&claimed, completion).await;
}

fn at_distance() -> Completion {
    Completion { coalesce_seconds: 100.0, answer_set: never(), ..Completion::default() }
}

pub(crate) async fn coalesced_children_keep_their_distance(bed: &Bed) {
    bed.target("a/one", "r1").await;
    trigger(bed, "s1").await;
    let first = bed.claim().await.unwrap();
    bed.finish_with(&first, at_distance()).await;
    trigger(bed, "s2").await;
    assert_eq!(bed.next().await, "nothing");
    let due = bed.store.queue.next_due_seconds().await.unwrap().unwrap();
    assert!((40.0..=100.0).contains(&due), "{due}");
    // A run of 60 seconds keeps ten times as much distance.
    bed.sql("UPDATE jobs SET not_before = 1 WHERE not_before IS NOT NULL").await;
    let second = bed.claim().await.unwrap();
    bed.age_started(60).await;
    bed.finish_with(&second, at_distance()).await;
    trigger(bed, "s3").await;
    let due = bed.store.queue.next_due_seconds().await.unwrap().unwrap();
    assert!((540.0..=1200.0).contains(&due), "{due}");
    assert_eq!(bed.pending().await, ["a/one sum Waiting"]);
}

pub(crate) async fn a_run_is_as_long_as_its_worker_says(bed: &Bed) {
    bed.target("a/one", "r1").await;
    trigger(bed, "s1").await;
    let run = bed.claim().await.unwrap();
    // The clock of the database leapt by an hour while the job ran.
    bed.age_started(3600).await;
    let completion = Completion { ran_seconds: Some(2.0), ..at_distance() };
    bed.finish_with(&run, Completion { views: with_view(&run, ok("sum")).views, ..completion }).await;
    trigger(bed, "s2").await;
    let due = bed.store.queue.next_due_seconds().await.unwrap().unwrap();
    assert!((40.0..=100.0).contains(&due), "{due}");
    let found = bed.store.views.read(&run.record.key, None, 60.0).await.unwrap().unwrap();
    assert!((1.9..3.0).contains(&found.stored.duration_seconds), "{}", found.stored.duration_seconds);
}

/// Of PostgreSQL alone: on SQLite the database's clock does not leap.
pub(crate) async fn a_clock_that_was_set_back_holds_nobody_up(bed: &Bed) {
    if !bed.is_postgres() {
        return;
    }
    bed.target("a/one", "r1").await;
    trigger(bed, "s1").await;
    let first = bed.claim().await.unwrap();
    bed.finish_with(&first, at_distance()).await;
    trigger(bed, "s2").await;
    bed.store.queue.collect_expired(3, 60.0).await.unwrap();
    let due = bed.store.queue.next_due_seconds().await.unwrap().unwrap();
    assert!((40.0..=100.0).contains(&due), "{due}");
    // All that was timed until now was timed by a clock that was an hour ahead.
    bed.sql("UPDATE clock SET seen = seen + 3600000000").await;
    bed.sql("UPDATE jobs SET not_before = not_before + 3600000000 WHERE not_before IS NOT NULL").await;
    bed.sql("UPDATE job_runs SET ended_at = ended_at + 3600000000").await;
    bed.sql("INSERT INTO blockages SELECT 'b/other', now_us() + 3660000000").await;
    bed.store.queue.collect_expired(3, 60.0).await.unwrap();
    let due = bed.store.queue.next_due_seconds().await.unwrap().unwrap();
    assert!(due < 200.0, "{due}");
    bed.sql("UPDATE jobs SET not_before = 1 WHERE not_before IS NOT NULL").await;
    assert_eq!(bed.next().await, "a/one sum");
    trigger(bed, "s3").await;
    let due = bed.store.queue.next_due_seconds().await.unwrap().unwrap();
    assert!(due < 200.0, "the last run has ended by now: {due}");
    let resting = bed.store.queue.blocked_datasets().await.unwrap();
    assert_eq!(resting, [dataset_name("b/other")], "for minutes, not for an hour");
    bed.sql("UPDATE blockages SET blocked_until = blocked_until - 200000000").await;
    assert!(bed.store.queue.blocked_datasets().await.unwrap().is_empty());
}

pub(crate) async fn a_coalesced_job_triggered_while_it_runs_keeps_its_distance(bed: &Bed) {
    bed.target("a/one", "r1").await;
    trigger(bed, "s1").await;
    let running = bed.claim().await.unwrap();
    trigger(bed, "s2").await;
    trigger(bed, "s3").await;
    assert_eq!(bed.pending().await, ["a/one sum Started", "a/one sum Waiting"]);
    bed.finish_with(&running, at_distance()).await;
    assert_eq!(bed.next().await, "nothing");
    assert!(bed.store.queue.next_due_seconds().await.unwrap().unwrap() > 40.0);
}

pub(crate) async fn the_first_coalesced_run_does_not_wait(bed: &Bed) {
    bed.target("a/one", "r1").await;
    trigger(bed, "s1").await;
    let first = bed.claim().await.unwrap();
    bed.finish_with(&first, at_distance()).await;
    // Another revision has no last run.
    bed.target("a/one", "r2").await;
    bed.enqueue([at_revision(job("a/one", "s1"), "r2")]).await;
    let claimed = bed.claim().await.unwrap();
    let completion = Completion { children: vec![at_revision(aggregate(), "r2")], ..at_distance() };
    bed.finish_with(&claimed, completion).await;
    assert_eq!(bed.next().await, "a/one sum");
}

async fn spend(bed: &Bed, name: &str, seconds: u32, rate_limit: RateLimit) {
    bed.enqueue([job("a/one", name)]).await;
    let claimed = bed.claim().await.unwrap();
    bed.age_started(seconds).await;
    let completion = Completion { rate_limit: Some(rate_limit), answer_set: never(), ..Completion::default() };
    bed.finish_with(&claimed, completion).await;
}

pub(crate) async fn the_rate_limit_is_strict(bed: &Bed) {
    bed.target("a/one", "r1").await;
    // Fractions of seconds are cut off, so 50 + 50 is exactly the budget.
    let limit = RateLimit { budget_seconds: 100.0, minimum_seconds: 30.0, ..RateLimit::default() };
    spend(bed, "s1", 50, limit).await;
    spend(bed, "s2", 50, limit).await;
    assert!(bed.store.queue.blocked_datasets().await.unwrap().is_empty());
    spend(bed, "s3", 31, limit).await;
    assert_eq!(bed.store.queue.blocked_datasets().await.unwrap(), [dataset_name("a/one")]);
}

pub(crate) async fn the_rate_limit_forgets_and_ignores_short_jobs(bed: &Bed) {
    bed.target("a/one", "r1").await;
    let limit = RateLimit { budget_seconds: 100.0, minimum_seconds: 30.0, ..RateLimit::default() };
    spend(bed, "s1", 90, limit).await;
    for name in ["s2", "s3", "s4"] {
        spend(bed, name, 20, limit).await;
    }
    assert!(bed.store.queue.blocked_datasets().await.unwrap().is_empty());
    bed.sql("UPDATE past_jobs SET finished_at = finished_at - 3601000000").await;
    spend(bed, "s5", 90, limit).await;
    assert!(bed.store.queue.blocked_datasets().await.unwrap().is_empty());
}

pub(crate) async fn a_resting_dataset_queues_but_does_not_run(bed: &Bed) {
    bed.target("a/one", "r1").await;
    let limit =
        RateLimit { budget_seconds: 10.0, minimum_seconds: 1.0, penalty_seconds: 500.0, ..RateLimit::default() };
    bed.enqueue([job("a/one", "s1"), job("a/one", "before")]).await;
    let running = bed.claim().await.unwrap();
    bed.age_started(60).await;
    bed.finish_with(&running, Completion { rate_limit: Some(limit), answer_set: never(), ..Completion::default() })
        .await;
    bed.enqueue([job("a/one", "after"), job("a/two", "s1")]).await;
    assert_eq!(bed.next().await, "a/two s1");
    assert_eq!(bed.next().await, "nothing");
    // When the penalty is over the jobs run in their order.
    bed.sql("UPDATE blockages SET blocked_until = blocked_until - 501000000").await;
    bed.sql("UPDATE jobs SET not_before = not_before - 501000000 WHERE not_before IS NOT NULL").await;
    assert!(bed.store.queue.blocked_datasets().await.unwrap().is_empty());
    assert_eq!(bed.next().await, "a/one before");
    assert_eq!(bed.next().await, "a/one after");
}

pub(crate) async fn superseded_results_are_not_stored(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let claimed = bed.claim().await.unwrap();
    bed.target("a/one", "r2").await;
    let completion = Completion { children: vec![job("a/one", "s2")], ..with_view(&claimed, ok("old")) };
    assert_eq!(bed.finish_with(&claimed, completion).await, Finished::Superseded);
    assert!(bed.pending().await.is_empty());
    assert!(!bed.store.views.has_any(&dataset_name("a/one")).await.unwrap());
    assert_eq!(bed.finish(&claimed).await, Finished::LeaseLost);
}

pub(crate) async fn results_of_deleted_datasets_are_not_stored(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1"), job("a/one", "s2")]).await;
    let claimed = bed.claim().await.unwrap();
    bed.store.datasets.delete(&dataset_name("a/one")).await.unwrap();
    assert_eq!(bed.pending().await, ["a/one s1 Started"]);
    assert_eq!(bed.finish_with(&claimed, with_view(&claimed, ok("x"))).await, Finished::Superseded);
    assert!(bed.pending().await.is_empty());
    assert_eq!(bed.store.datasets.get(&dataset_name("a/one")).await.unwrap(), None);
}

/// The place of a job that ends is free for the claim, which sees the children.
pub(crate) async fn an_end_brings_the_next_job(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1"), job("a/one", "s2")]).await;
    let request = ClaimRequest { fairness: Fairness { max_jobs_per_dataset: Some(1) }, ..anything() };
    let mut claimed = bed.claim_with(&request).await;
    assert_eq!(bed.next_with(&request).await, "nothing");
    let mut seen = Vec::new();
    while let Some(job_now) = claimed {
        let mut completion = with_view(&job_now, ok("done"));
        if job_now.record.key.step == step("s2") {
            completion.children = vec![job("a/one", "child")];
        }
        let (finished, next) = bed.store.queue.finish_and_claim(&job_now.lease, completion, &request).await;
        assert!(matches!(finished, Ok(Finished::Saved { .. })), "{finished:?}");
        seen.push(named(Some(&job_now)));
        claimed = next.unwrap();
        if let Some(next) = &claimed {
            assert_eq!((next.record.attempt, next.record.status), (1, JobStatus::Started));
        }
    }
    assert_eq!(seen, ["a/one s1", "a/one s2", "a/one child"]);
    assert!(bed.pending().await.is_empty());
    assert_eq!(bed.store.views.rows(&dataset_name("a/one")).await.unwrap().len(), 3);
}

pub(crate) async fn what_is_wrong_with_an_end_or_a_claim_is_no_business_of_the_other(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue((0..4).map(|n| job("a/one", &format!("s{n}")))).await;
    let first = bed.claim().await.unwrap();
    let queue = &bed.store.queue;
    // A stale lease writes nothing.
    let stale = belvedere_domain::Lease { token: first.lease.token ^ 1, ..first.lease.clone() };
    let (finished, second) = queue.finish_and_claim(&stale, with_view(&first, ok("stale")), &anything()).await;
    assert_eq!((finished.unwrap(), named(second.as_ref().unwrap().as_ref())), (Finished::LeaseLost, "a/one s1".into()));
    assert!(bed.store.views.rows(&dataset_name("a/one")).await.unwrap().is_empty());
    // PostgreSQL takes no such text; SQLite does.
    let nul = ClaimRequest { owner: "\0".to_owned(), ..anything() };
    let (finished, third) = queue.finish_and_claim(&first.lease, with_view(&first, ok("done")), &nul).await;
    assert!(matches!(finished, Ok(Finished::Saved { .. })), "{finished:?}");
    assert_eq!(third.is_err(), bed.is_postgres(), "{third:?}");
    let second = second.unwrap().unwrap();
    let mut refused = with_view(&second, ok("done"));
    refused.views[0].content = ViewContent::Computed(View { content: Json::from_text("\"\0\""), ..ok("") });
    let (finished, next) = queue.finish_and_claim(&second.lease, refused, &anything()).await;
    assert_eq!(finished.is_err(), bed.is_postgres(), "{finished:?}");
    assert!(next.unwrap().is_some());
}

/// Inputs that are the same for two datasets have one view.
pub(crate) async fn ends_at_the_same_moment_may_leave_the_same_view(bed: &Bed) {
    let datasets = ["a/one", "b/one", "c/one", "d/one"];
    let mut ends = Vec::new();
    for dataset in datasets {
        bed.target(dataset, "r1").await;
        bed.enqueue([job(dataset, "s1")]).await;
        let claimed = bed.claim().await.unwrap();
        let mut completion = with_view(&claimed, ok("done"));
        completion.views[0].digest = digest_of("common");
        ends.push((claimed.lease, completion));
    }
    let finish = |(lease, completion)| async move { bed.store.queue.finish(&lease, completion).await.unwrap() };
    for finished in futures::future::join_all(ends.into_iter().map(finish)).await {
        assert!(matches!(finished, Finished::Saved { .. }), "{finished:?}");
    }
    for dataset in datasets {
        let found = bed.store.views.read(&dataset_key(dataset, "s1"), None, 0.0).await.unwrap().unwrap();
        assert_eq!((found.stored.digest, found.failed_runs), (digest_of("common"), 0));
    }
}

pub(crate) async fn ends_at_the_same_moment_have_their_own_outcomes(bed: &Bed) {
    for dataset in ["a/good", "b/stale", "c/moved", "d/gone", "e/nul", "f/deleted", "g/good"] {
        bed.target(dataset, "r1").await;
        bed.enqueue([job(dataset, "s1")]).await;
    }
    let mut ends = Vec::new();
    for _ in 0..7 {
        let claimed = bed.claim().await.unwrap();
        let mut completion = with_view(&claimed, ok("done"));
        completion.children = vec![job(claimed.record.key.dataset.as_str(), "child")];
        ends.push((claimed.lease, completion));
    }
    ends[1].0.token ^= 1;
    ends[3].1.views[0].content = ViewContent::Reused;
    // PostgreSQL takes no such text; SQLite does.
    ends[4].1.views[0].content = ViewContent::Computed(View { content: Json::from_text("\"\0\""), ..ok("") });
    bed.target("c/moved", "r2").await;
    bed.store.datasets.delete(&dataset_name("f/deleted")).await.unwrap();
    let finish = |(lease, completion)| async move { bed.store.queue.finish(&lease, completion).await };
    let outcomes = futures::future::join_all(ends.into_iter().map(finish)).await;
    let saved = |outcome: &Result<Finished, StoreError>| matches!(outcome, Ok(Finished::Saved { .. }));
    assert!(saved(&outcomes[0]) && saved(&outcomes[6]), "{outcomes:?}");
    assert!(matches!(outcomes[1], Ok(Finished::LeaseLost)), "{outcomes:?}");
    assert!(matches!(outcomes[2], Ok(Finished::Superseded)), "{outcomes:?}");
    assert!(matches!(outcomes[3], Err(StoreError::ViewGone(_))), "{outcomes:?}");
    assert!(matches!(outcomes[5], Ok(Finished::Superseded)), "{outcomes:?}");
    if bed.is_postgres() {
        let refusal = format!("{:?}", outcomes[4].as_ref().unwrap_err());
        assert!(refusal.contains("finish a job"), "{refusal}");
    } else {
        assert!(saved(&outcomes[4]), "{outcomes:?}");
    }
    let mut expected = vec!["a/good child Waiting", "b/stale s1 Started", "d/gone s1 Started", "g/good child Waiting"];
    expected.push(if bed.is_postgres() { "e/nul s1 Started" } else { "e/nul child Waiting" });
    expected.sort_unstable();
    let mut pending = bed.pending().await;
    pending.sort();
    assert_eq!(pending, expected);
}

pub(crate) async fn ends_at_the_same_moment_queue_a_common_child_once(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue((0..8).map(|n| job("a/one", &format!("s{n}")))).await;
    let mut ends = Vec::new();
    for n in 0..8 {
        let claimed = bed.claim().await.unwrap();
        let mut completion = with_view(&claimed, ok("done"));
        let child = NewJob { forced: n == 5, coalesce: true, ..job("a/one", "common") };
        let priority = if n == 3 { belvedere_domain::Priority::High } else { child.priority };
        completion.children = vec![NewJob { priority, ..child }];
        completion.answer_set = vec![step("common")];
        ends.push((claimed.lease, completion));
    }
    let finish = |(lease, completion)| async move { bed.store.queue.finish(&lease, completion).await.unwrap() };
    let outcomes = futures::future::join_all(ends.into_iter().map(finish)).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Finished::Saved { served: None }), "{outcomes:?}");
    let pending = bed.store.queue.pending(None).await.unwrap();
    assert_eq!(pending.len(), 1);
    assert!(pending[0].forced && pending[0].coalesce);
    assert_eq!(pending[0].priority, belvedere_domain::Priority::High);
    assert_eq!(bed.store.views.rows(&dataset_name("a/one")).await.unwrap().len(), 8);
}

pub(crate) async fn ends_of_different_kinds_do_not_disturb_each_other(bed: &Bed) {
    let rate_limit = RateLimit { budget_seconds: 9.0, minimum_seconds: 1.0, ..RateLimit::default() };
    let datasets = ["a/one", "b/one", "c/one", "d/one"];
    for dataset in datasets {
        bed.target(dataset, "r1").await;
        bed.enqueue([NewJob { coalesce: true, ..job(dataset, "s1") }]).await;
    }
    let mut ends = Vec::new();
    for n in 0..4 {
        let claimed = bed.claim().await.unwrap();
        let mut completion = with_view(&claimed, ok("done"));
        completion.answer_set = if n < 2 { vec![step("s1")] } else { never() };
        completion.rate_limit = (n % 2 == 1).then_some(rate_limit);
        ends.push((claimed.lease, completion));
    }
    bed.age_started(10).await;
    let finish = |(lease, completion)| async move { bed.store.queue.finish(&lease, completion).await.unwrap() };
    let outcomes = futures::future::join_all(ends.into_iter().map(finish)).await;
    let served = Finished::Saved { served: Some(revision_of("r1")) };
    assert_eq!(outcomes, [served.clone(), served.clone(), served.clone(), served]);
    let blocked = bed.store.queue.blocked_datasets().await.unwrap();
    assert_eq!(blocked, [dataset_name("b/one"), dataset_name("d/one")]);
}

pub(crate) async fn one_artifact_may_get_several_views_at_once(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    let claimed = bed.claim().await.unwrap();
    let key = claimed.record.key.clone();
    let view = |digest: &str, content| NewView {
        key: key.clone(),
        digest: digest_of(digest),
        runner_version: 1,
        content: ViewContent::Computed(content),
    };
    // The last one wins; a view stored just before may be pointed at by another artifact of the same end.
    let other = NewView { key: dataset_key("a/one", "s2"), content: ViewContent::Reused, ..view("two", ok("")) };
    let views = vec![view("one", failed()), view("two", failed()), view("two", ok("better")), other];
    bed.finish_with(&claimed, Completion { views, answer_set: never(), ..Completion::default() }).await;
    for name in ["s1", "s2"] {
        let found = bed.store.views.read(&dataset_key("a/one", name), None, 0.0).await.unwrap().unwrap();
        assert_eq!((found.stored.digest, found.stored.view), (digest_of("two"), ok("better")));
    }
    // What nobody points at any more goes with the next look.
    bed.store.datasets.delete(&dataset_name("a/one")).await.unwrap();
    assert!(bed.store.views.by_digest(&digest_of("one")).await.unwrap().is_none());
    assert!(bed.store.views.by_digest(&digest_of("two")).await.unwrap().is_none());
}
