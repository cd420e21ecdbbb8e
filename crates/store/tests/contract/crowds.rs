//! Many at once.

use std::collections::HashSet;
use std::process::Stdio;
use std::task::Poll;

use belvedere_store::{Completion, Finished, Store};

use crate::bed::{Bed, anything, dataset_name, job, job_of, ok, revision_of, split_key, step, with_view};

pub(crate) async fn many_enqueue_one_job_waits(bed: &Bed) {
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let queue = bed.store.queue.clone();
            tokio::spawn(async move { queue.enqueue(vec![job("a/one", "s1"), job("a/one", "s2")]).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        new += task.await.unwrap();
    }
    assert_eq!(new, 2);
    assert_eq!(bed.pending().await.len(), 2);
}

async fn fill(bed: &Bed, jobs: usize) {
    for dataset in ["a/one", "b/one", "c/one"] {
        bed.target(dataset, "r1").await;
        let key = |n| split_key(dataset, "s", "c", &format!("n{n}"));
        bed.enqueue((0..jobs / 3).map(|n| job_of(key(n)))).await;
    }
}

/// Claims and finishes until nothing is left; the ids of the jobs.
async fn drain(store: &Store) -> Vec<i64> {
    let mut ids = Vec::new();
    while let Some(claimed) = store.queue.claim(&anything()).await.unwrap() {
        ids.push(claimed.record.id.0);
        let completion = with_view(&claimed, ok("done"));
        let finished = store.queue.finish(&claimed.lease, completion).await.unwrap();
        assert!(matches!(finished, Finished::Saved { .. }), "{finished:?}");
    }
    ids
}

fn assert_all_different(ids: &[i64], expected: usize) {
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    assert_eq!(ids.len(), expected);
}

pub(crate) async fn many_claim_none_gets_the_same(bed: &Bed) {
    fill(bed, 600).await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = bed.store.clone();
            tokio::spawn(async move { drain(&store).await })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.extend(task.await.unwrap());
    }
    // A claimer may find nothing while another holds the last row, never the reverse.
    ids.extend(drain(&bed.store).await);
    assert_all_different(&ids, 600);
}

pub(crate) async fn many_end_and_claim_none_gets_the_same(bed: &Bed) {
    fill(bed, 600).await;
    let work = |store: Store| async move {
        let mut ids = Vec::new();
        let mut claimed = store.queue.claim(&anything()).await.unwrap();
        while let Some(job) = claimed {
            ids.push(job.record.id.0);
            let completion = with_view(&job, ok("done"));
            let (finished, next) = store.queue.finish_and_claim(&job.lease, completion, &anything()).await;
            assert!(matches!(finished, Ok(Finished::Saved { .. })), "{finished:?}");
            claimed = next.unwrap();
        }
        ids
    };
    let tasks: Vec<_> = (0..16).map(|_| tokio::spawn(work(bed.store.clone()))).collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.extend(task.await.unwrap());
    }
    ids.extend(drain(&bed.store).await);
    assert_all_different(&ids, 600);
}

/// On PostgreSQL this runs itself again as two other processes. A SQLite file belongs to one process, and says so.
pub(crate) async fn two_processes_claim_none_gets_the_same(bed: &Bed) {
    if let Ok(url) = std::env::var("CONTRACT_DRAIN_URL") {
        let store = Store::connect(&url).await.unwrap();
        let ids = drain(&store).await;
        std::fs::write(std::env::var("CONTRACT_DRAIN_OUTPUT").unwrap(), serde_json::to_string(&ids).unwrap()).unwrap();
        return;
    }
    let test = "crowds::two_processes_claim_none_gets_the_same";
    let spawn = |output: &std::path::Path| {
        tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("postgres::{test}")])
            .env("CONTRACT_DRAIN_URL", &bed.url)
            .env("CONTRACT_DRAIN_OUTPUT", output)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    if !bed.is_postgres() {
        let error = Store::connect(&bed.url).await.err().unwrap();
        assert!(error.to_string().contains(&format!("(pid {})", std::process::id())), "{error}");
        return;
    }
    fill(bed, 900).await;
    let folder = tempfile::tempdir().unwrap();
    let outputs = ["one", "two"].map(|name| folder.path().join(name));
    let mut children = outputs.each_ref().map(|output| spawn(output));
    for child in &mut children {
        assert!(child.wait().await.unwrap().success());
    }
    let read = |path| -> Vec<i64> { serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() };
    let mut ids: Vec<i64> = outputs.iter().flat_map(read).collect();
    ids.extend(drain(&bed.store).await);
    assert_all_different(&ids, 900);
}

/// Whoever asked and went away takes nothing along. SQLite answers even those who are gone: their lease runs out.
pub(crate) async fn a_job_whose_asker_is_gone_is_given_to_the_next(bed: &Bed) {
    if !bed.is_postgres() {
        return;
    }
    bed.target("a/one", "r1").await;
    for _ in 0..20 {
        bed.enqueue([job("a/one", "s1")]).await;
        let request = anything();
        let mut gone = bed.store.queue.claim(&request);
        let claimed = match futures::poll!(&mut gone) {
            // The answer came before anybody could leave.
            Poll::Ready(claimed) => claimed.unwrap().unwrap(),
            Poll::Pending => {
                drop(gone);
                loop {
                    if let Some(claimed) = bed.claim().await {
                        break claimed;
                    }
                }
            }
        };
        assert_eq!(claimed.record.attempt, 1);
        bed.finish(&claimed).await;
    }
}

/// Two processes end jobs that trigger each other, in the worst order for both. PostgreSQL undoes one of two that wait
/// for each other, after a second; nobody must notice, but there should be none.
pub(crate) async fn two_processes_end_what_triggers_each_other(bed: &Bed) {
    if !bed.is_postgres() {
        return;
    }
    let other = Store::connect(&bed.url).await.unwrap();
    bed.target("a/one", "r1").await;
    for round in 0..15 {
        let steps = ["s0", "s1", "s2", "s3"];
        let coalesced = |name: &str| belvedere_domain::NewJob { coalesce: true, ..job("a/one", name) };
        bed.enqueue(steps.map(coalesced)).await;
        let mut claimed = Vec::new();
        for _ in steps {
            claimed.push(bed.claim().await.unwrap());
        }
        bed.enqueue(steps.map(coalesced)).await;
        let end = |store: Store, number: usize| {
            let lease = claimed[number].lease.clone();
            let mut completion = with_view(&claimed[number], ok(&format!("round {round}")));
            completion.children = vec![coalesced(steps[3 - number]), coalesced(steps[(number + 1) % 4])];
            completion.coalesce_seconds = 0.001;
            async move { store.queue.finish(&lease, completion).await.unwrap() }
        };
        let (here, there) = (bed.store.clone(), other.clone());
        let ends = [end(here.clone(), 3), end(here, 0), end(there.clone(), 2), end(there, 1)];
        for finished in futures::future::join_all(ends).await {
            assert!(matches!(finished, Finished::Saved { .. }), "{finished:?}");
        }
        assert_eq!(bed.pending().await.len(), 4);
        bed.sql("DELETE FROM jobs; DELETE FROM job_runs").await;
    }
    let server = crate::bed::postgres_client(&bed.url).await;
    let row = server.query_one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()", &[]);
    assert_eq!(row.await.unwrap().get::<_, i64>(0), 0);
}

pub(crate) async fn the_last_two_finish_together_and_the_answer_set_is_served(bed: &Bed) {
    for round in 0..20 {
        let revision = format!("r{round}");
        bed.target("a/one", &revision).await;
        let jobs = ["s1", "s2"].map(|name| crate::bed::at_revision(job("a/one", name), &revision));
        bed.enqueue(jobs).await;
        let (first, second) = (bed.claim().await.unwrap(), bed.claim().await.unwrap());
        let completion = Completion { answer_set: vec![step("s1"), step("s2")], ..Completion::default() };
        let finish = |lease: belvedere_domain::Lease| {
            let (queue, completion) = (bed.store.queue.clone(), completion.clone());
            tokio::spawn(async move { queue.finish(&lease, completion).await.unwrap() })
        };
        let (one, two) = (finish(first.lease), finish(second.lease));
        one.await.unwrap();
        two.await.unwrap();
        let row = bed.store.datasets.get(&dataset_name("a/one")).await.unwrap().unwrap();
        assert_eq!(row.served, Some(revision_of(&revision)));
    }
}
