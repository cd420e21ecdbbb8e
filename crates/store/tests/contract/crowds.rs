//! Many at once.

use std::collections::HashSet;
use std::process::Stdio;

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
