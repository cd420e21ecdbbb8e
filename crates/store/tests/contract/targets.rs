//! Datasets, their targets and what is served.

use belvedere_domain::plan::Plan;
use belvedere_domain::{NewJob, Priority, StepName};
use belvedere_store::{Completion, Finished, TargetChange};

use crate::bed::{
    Bed, at_revision, dataset_key, dataset_name, digest_of, failed, job, ok, revision_of, step, with_view,
};

fn answers() -> Vec<StepName> {
    vec![step("names"), step("rows")]
}

async fn served(bed: &Bed) -> Option<String> {
    let row = bed.store.datasets.get(&dataset_name("a/one")).await.unwrap().unwrap();
    row.served.map(|revision| revision.to_string())
}

/// Claims the next job, which must be of this step, and finishes it with these children.
async fn finish_next(bed: &Bed, name: &str, children: Vec<NewJob>) -> Finished {
    let claimed = bed.claim().await.unwrap();
    assert_eq!(claimed.record.key.step.as_str(), name);
    let completion = Completion { children, answer_set: answers(), ..with_view(&claimed, ok(name)) };
    bed.finish_with(&claimed, completion).await
}

pub(crate) async fn a_new_target_drops_the_waiting_jobs_of_the_old(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1"), job("a/one", "s2"), job("b/one", "s1")]).await;
    bed.claim().await.unwrap();
    let change = TargetChange {
        dataset: dataset_name("a/one"),
        revision: revision_of("r2"),
        plan: Plan { create: vec![at_revision(job("a/one", "s1"), "r2")], delete: vec![] },
    };
    assert_eq!(bed.store.queue.set_target(change).await.unwrap(), (1, 1));
    assert_eq!(bed.pending().await, ["a/one s1 Started", "b/one s1 Waiting", "a/one s1 Waiting"]);
}

pub(crate) async fn the_same_target_keeps_its_time(bed: &Bed) {
    bed.target("a/one", "r1").await;
    let since = async || bed.store.datasets.get(&dataset_name("a/one")).await.unwrap().unwrap().target_since;
    let first = since().await;
    bed.target("a/one", "r1").await;
    assert_eq!(since().await, first);
    bed.target("a/one", "r2").await;
    assert!(since().await > first);
}

pub(crate) async fn plans_are_applied(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1"), job("a/one", "s2"), job("b/one", "s3")]).await;
    bed.claim().await.unwrap();
    let ids = bed.store.queue.pending(None).await.unwrap().into_iter().map(|job| job.id).collect();
    let plan = Plan { create: vec![job("a/one", "s2"), job("a/one", "s1")], delete: ids };
    let change = TargetChange { dataset: dataset_name("a/one"), revision: revision_of("r1"), plan };
    // The started job and that of another dataset stay.
    assert_eq!(bed.store.queue.set_target(change).await.unwrap(), (2, 1));
    assert_eq!(bed.pending().await, ["a/one s1 Started", "b/one s3 Waiting", "a/one s2 Waiting", "a/one s1 Waiting"]);
}

pub(crate) async fn plans_join_what_waits_already(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1"), at_revision(job("a/one", "s2"), "r2")]).await;
    let high = |name| NewJob { priority: Priority::High, ..job("a/one", name) };
    let plan = Plan { create: vec![high("s3"), high("s1"), job("a/one", "s1")], delete: vec![] };
    let change = TargetChange { dataset: dataset_name("a/one"), revision: revision_of("r1"), plan };
    assert_eq!(bed.store.queue.set_target(change).await.unwrap(), (1, 1));
    let jobs = bed.store.queue.pending(None).await.unwrap();
    let told: Vec<_> = jobs.iter().map(|job| (job.key.step.as_str(), job.priority)).collect();
    assert_eq!(told, [("s1", Priority::High), ("s3", Priority::High)]);
    assert_eq!(bed.next().await, "a/one s1");
}

pub(crate) async fn the_served_revision_follows_the_answer_set(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "names"), job("a/one", "rows"), job("a/one", "later")]).await;
    assert_eq!(finish_next(bed, "names", vec![]).await, Finished::Saved { served: None });
    assert_eq!(served(bed).await, None);
    assert_eq!(finish_next(bed, "rows", vec![]).await, Finished::Saved { served: Some(revision_of("r1")) });
    assert_eq!(served(bed).await.as_deref(), Some("r1"));
    assert_eq!(finish_next(bed, "later", vec![]).await, Finished::Saved { served: None });
}

pub(crate) async fn children_of_the_answer_set_hold_it_back(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "names")]).await;
    assert_eq!(finish_next(bed, "names", vec![job("a/one", "rows")]).await, Finished::Saved { served: None });
    assert_eq!(
        finish_next(bed, "rows", vec![job("a/one", "later")]).await,
        Finished::Saved { served: Some(revision_of("r1")) }
    );
}

pub(crate) async fn the_answer_set_may_be_completed_by_another_step(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "init")]).await;
    assert_eq!(finish_next(bed, "init", vec![]).await, Finished::Saved { served: Some(revision_of("r1")) });
    // Jobs of other revisions do not hold it back.
    bed.enqueue([at_revision(job("a/one", "init"), "r2"), at_revision(job("a/one", "names"), "r1")]).await;
    bed.claim().await.unwrap();
    bed.claim().await.unwrap();
    bed.target("a/one", "r2").await;
    bed.enqueue([at_revision(job("a/one", "other"), "r2")]).await;
    assert_eq!(finish_next(bed, "other", vec![]).await, Finished::Saved { served: Some(revision_of("r2")) });
}

pub(crate) async fn a_target_with_nothing_to_do_is_served_at_once(bed: &Bed) {
    bed.target("a/one", "r1").await;
    assert_eq!(served(bed).await, None);
    bed.run(job("a/one", "s1"), ok("one")).await;
    bed.target("a/one", "r2").await;
    assert_eq!(served(bed).await.as_deref(), Some("r1"));
    bed.run(at_revision(job("a/one", "s1"), "r2"), ok("two")).await;
    assert_eq!(served(bed).await.as_deref(), Some("r2"));
    // Back to a revision that is complete: nothing to queue, nothing to wait for.
    bed.target("a/one", "r1").await;
    assert_eq!(served(bed).await.as_deref(), Some("r1"));
}

pub(crate) async fn a_revision_can_be_served_by_force(bed: &Bed) {
    bed.target("a/one", "r1").await;
    bed.enqueue([job("a/one", "s1")]).await;
    bed.store.datasets.serve(&dataset_name("a/one"), &revision_of("r1")).await.unwrap();
    assert_eq!(served(bed).await.as_deref(), Some("r1"));
}

pub(crate) async fn a_revision_is_adopted_when_nothing_is_to_be_done(bed: &Bed) {
    let (name, datasets) = (dataset_name("a/one"), &bed.store.datasets);
    let adopt = async |from: &str, to: &str| datasets.adopt(&name, &revision_of(from), &revision_of(to)).await.unwrap();
    assert!(!adopt("r1", "r2").await, "there is no such dataset");
    bed.target("a/one", "r1").await;
    assert!(!adopt("r1", "r2").await, "nothing is served");
    bed.run(job("a/one", "s1"), ok("one")).await;
    bed.run(job("a/one", "s2"), failed()).await;
    assert!(!adopt("r0", "r2").await, "it is at another revision");
    bed.enqueue([job("a/one", "s3")]).await;
    assert!(!adopt("r1", "r2").await, "a job waits");
    let claimed = bed.claim().await.unwrap();
    assert!(!adopt("r1", "r2").await, "a job runs");
    bed.finish(&claimed).await;
    assert!(adopt("r1", "r2").await);
    let row = datasets.get(&name).await.unwrap().unwrap();
    assert_eq!((row.target, row.served), (revision_of("r2"), Some(revision_of("r2"))));
    for (step, failed_runs) in [("s1", 0), ("s2", 1)] {
        let key = dataset_key("a/one", step);
        let found = bed.store.views.at_revision(std::slice::from_ref(&key), &revision_of("r2")).await.unwrap();
        let old = bed.store.views.at_revision(&[key], &revision_of("r1")).await.unwrap();
        let (found, old) = (found[0].clone().unwrap(), old[0].clone().unwrap());
        assert_eq!((found.stored, found.updated_at, found.failed_runs), (old.stored, old.updated_at, failed_runs));
    }
    assert!(!adopt("r2", "r1").await, "the other has results of its own");
    // What both point at stays until neither does.
    assert!(bed.store.views.retire(&name, 0).await.unwrap().is_empty());
    assert_eq!(datasets.delete(&name).await.unwrap().len(), 2);
}

pub(crate) async fn deleting_drops_what_nobody_else_points_at(bed: &Bed) {
    let shared = |dataset: &str| belvedere_store::NewView {
        key: dataset_key(dataset, "s1"),
        digest: digest_of("shared"),
        runner_version: 1,
        content: belvedere_store::ViewContent::Computed(ok("shared")),
    };
    for dataset in ["a/one", "b/two"] {
        bed.target(dataset, "r1").await;
        bed.enqueue([job(dataset, "s1")]).await;
        let claimed = bed.claim().await.unwrap();
        bed.finish_with(&claimed, Completion { views: vec![shared(dataset)], ..Completion::default() }).await;
        bed.run(job(dataset, "s2"), ok("own")).await;
    }
    let dropped = bed.store.datasets.delete(&dataset_name("a/one")).await.unwrap();
    assert_eq!(dropped, [digest_of("s2 of a/one \"own\"")]);
    assert_eq!(bed.store.datasets.get(&dataset_name("a/one")).await.unwrap(), None);
    assert!(!bed.store.views.has_any(&dataset_name("a/one")).await.unwrap());
    assert!(bed.store.views.by_digest(&digest_of("shared")).await.unwrap().is_some());
    let dropped = bed.store.datasets.delete(&dataset_name("b/two")).await.unwrap();
    assert_eq!(dropped.len(), 2);
    assert!(bed.store.views.by_digest(&digest_of("shared")).await.unwrap().is_none());
    assert!(bed.store.datasets.delete(&dataset_name("b/two")).await.unwrap().is_empty());
}

pub(crate) async fn lists_tell_pending_jobs_and_errors(bed: &Bed) {
    bed.target("b/two", "r1").await;
    bed.target("a/one", "r1").await;
    bed.run(job("a/one", "s1"), failed()).await;
    bed.run(job("a/one", "s2"), ok("fine")).await;
    bed.enqueue([job("a/one", "s3"), job("a/one", "s4"), job("b/two", "s1")]).await;
    bed.claim().await.unwrap();
    let rows = bed.store.datasets.list().await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.pending_jobs, row.errors)).collect();
    assert_eq!(told, [("a/one", 2, 1), ("b/two", 1, 0)]);
    assert_eq!(bed.store.datasets.get(&dataset_name("a/one")).await.unwrap().as_ref(), Some(&rows[0]));
}
