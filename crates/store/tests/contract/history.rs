//! How the last runs of jobs ended.

use belvedere_domain::view::{ErrorBody, ErrorCause};
use belvedere_domain::{ArtifactKey, Difficulty, JobId, Priority, StepName, Timestamp};
use belvedere_store::{Ending, Run};

use crate::bed::{Bed, dataset_name, revision_of};

fn run(job: i64, dataset: &str, attempt: u32) -> Run {
    Run {
        job: JobId(job),
        key: ArtifactKey::dataset(StepName::known("dataset-init"), dataset_name(dataset)),
        revision: revision_of("r1"),
        priority: Priority::High,
        difficulty: Difficulty::new(70),
        forced: true,
        attempt,
        crashes: 1,
        worker: "wörker 'one'".to_owned(),
        created_at: Timestamp(1),
        started_at: Timestamp(2_000_000),
        seconds: 1.5,
        ending: Ending::Stored,
        http_status: Some(500),
        error_code: Some("UnexpectedError".to_owned()),
        details: Some(ErrorBody {
            error: "bad \u{1F980} line".to_owned(),
            cause: Some(ErrorCause { kind: "CsvError".to_owned(), message: "line 3".to_owned(), traceback: vec![] }),
        }),
        peak_memory_bytes: Some(u64::MAX / 4),
        bytes_read: None,
        input_file: Some("données/a.csv".to_owned()),
        input_files: 3,
    }
}

pub(crate) async fn runs_of_a_job_come_back_in_order(bed: &Bed) {
    let history = &bed.store.history;
    assert_eq!(history.runs_of_job(JobId(7)).await.unwrap(), []);
    let runs = [run(7, "a/one", 1), run(8, "a/one", 1), run(7, "a/one", 2)];
    history.add_runs(&runs, 100).await.unwrap();
    history.add_runs(&[], 100).await.unwrap();
    assert_eq!(history.runs_of_job(JobId(7)).await.unwrap(), [runs[0].clone(), runs[2].clone()]);
    assert_eq!(runs[0].ended_at(), Timestamp(3_500_000));
}

pub(crate) async fn the_last_runs_come_newest_first(bed: &Bed) {
    let history = &bed.store.history;
    let runs: Vec<Run> = (0..6).map(|job| run(job, if job % 2 == 0 { "a/even" } else { "a/odd" }, 1)).collect();
    history.add_runs(&runs, 100).await.unwrap();
    let jobs = |runs: Vec<Run>| runs.iter().map(|run| run.job.0).collect::<Vec<_>>();
    assert_eq!(jobs(history.last_runs(None, 4).await.unwrap()), [5, 4, 3, 2]);
    assert_eq!(jobs(history.last_runs(Some(&dataset_name("a/odd")), 2).await.unwrap()), [5, 3]);
    assert_eq!(jobs(history.last_runs(Some(&dataset_name("a/none")), 2).await.unwrap()), [0_i64; 0]);
}

pub(crate) async fn the_oldest_runs_are_forgotten(bed: &Bed) {
    let history = &bed.store.history;
    for first in [0, 10] {
        let runs: Vec<Run> = (first..first + 10).map(|job| run(job, "a/one", 1)).collect();
        history.add_runs(&runs, 12).await.unwrap();
    }
    let left: Vec<i64> = history.last_runs(None, 100).await.unwrap().iter().map(|run| run.job.0).collect();
    assert_eq!(left, (8..20).rev().collect::<Vec<_>>());
    history.add_runs(&[], 0).await.unwrap();
    assert_eq!(history.last_runs(None, 100).await.unwrap(), []);
}
