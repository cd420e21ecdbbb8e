//! How long jobs will take, if they go on as the last ones did.

use std::collections::BTreeMap;

use belvedere_domain::job::JobRecord;
use belvedere_store::Run;

/// Runs that are looked at.
pub(super) const RUNS: u32 = 200;

/// What the last runs tell.
pub(super) struct Pace {
    /// Seconds between two ends of jobs, while there was something to do.
    seconds_per_job: Option<f64>,
    /// Jobs at the same time, while there was something to do.
    at_a_time: f64,
    /// Mean seconds of a run by step.
    by_step: BTreeMap<String, f64>,
}

impl Pace {
    /// Of runs in any order. Without runs nothing is known.
    pub(super) fn of(runs: &[Run]) -> Self {
        let mut spans: Vec<(i64, i64)> = runs.iter().map(|run| (run.started_at.0, run.ended_at().0)).collect();
        spans.sort_unstable();
        let (mut busy, mut end) = (0, i64::MIN);
        for (start, stop) in spans {
            busy += (stop - start.max(end)).max(0);
            end = end.max(stop);
        }
        let busy = busy as f64 / 1e6;
        let worked: f64 = runs.iter().map(|run| run.seconds).sum();
        let mut by_step: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for run in runs {
            let (seconds, count) = by_step.entry(run.key.step.as_str().to_owned()).or_default();
            *seconds += run.seconds;
            *count += 1.0;
        }
        Self {
            seconds_per_job: (!runs.is_empty()).then(|| busy / runs.len() as f64),
            at_a_time: if busy > 0.0 { (worked / busy).max(1.0) } else { 1.0 },
            by_step: by_step.into_iter().map(|(step, (seconds, count))| (step, seconds / count)).collect(),
        }
    }

    /// Seconds until so many jobs have begun.
    pub(super) fn wait(&self, jobs: u64) -> Option<f64> {
        self.seconds_per_job.map(|seconds| rounded(seconds * jobs as f64))
    }

    /// Seconds of these jobs; those of steps that did not run lately take as long as any.
    pub(super) fn seconds_of(&self, jobs: &[JobRecord]) -> Option<f64> {
        let any = self.seconds_per_job? * self.at_a_time;
        let seconds = |job: &JobRecord| self.by_step.get(job.key.step.as_str()).copied().unwrap_or(any);
        Some(rounded(jobs.iter().map(seconds).sum::<f64>() / self.at_a_time))
    }
}

/// To milliseconds.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use belvedere_domain::{ArtifactKey, DatasetName, Difficulty, JobId, Priority, Revision, StepName, Timestamp};
    use belvedere_store::Ending;

    use super::*;

    fn run(step: &'static str, started: i64, seconds: f64) -> Run {
        Run {
            job: JobId(1),
            key: ArtifactKey::dataset(StepName::known(step), DatasetName::new("a/b").unwrap()),
            revision: Revision::new("r").unwrap(),
            priority: Priority::Low,
            difficulty: Difficulty::new(1),
            forced: false,
            attempt: 1,
            crashes: 0,
            worker: String::new(),
            created_at: Timestamp(0),
            started_at: Timestamp(started * 1_000_000),
            seconds,
            ending: Ending::Stored,
            http_status: None,
            error_code: None,
            details: None,
            peak_memory_bytes: None,
            bytes_read: None,
            input_file: None,
            input_files: 0,
        }
    }

    #[test]
    fn idle_times_do_not_count() {
        // Two at a time for ten seconds, and one for two, an hour later.
        let pace = Pace::of(&[run("a", 0, 10.0), run("a", 0, 10.0), run("b", 3_600, 2.0)]);
        assert_eq!((pace.wait(0), pace.wait(3)), (Some(0.0), Some(12.0)));
        assert_eq!(pace.seconds_of(&[]), Some(0.0));
        assert!((pace.at_a_time - 22.0 / 12.0).abs() < 1e-9);
        assert_eq!(pace.by_step, BTreeMap::from([("a".to_owned(), 10.0), ("b".to_owned(), 2.0)]));
    }

    #[test]
    fn without_runs_nothing_is_known() {
        let pace = Pace::of(&[]);
        assert_eq!((pace.wait(3), pace.seconds_of(&[])), (None, None));
    }
}
