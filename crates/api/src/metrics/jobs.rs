//! What the worker of this process does: how long jobs take, what memory they need, how they end.

use std::time::Duration;

use belvedere_jobs::Observer;
use belvedere_jobs::worker::Part;
use belvedere_store::Run;
use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};

/// Seconds, from those of small steps to those of large conversions.
const LONG: [f64; 23] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0,
    500.0, 750.0, 1000.0, 2500.0,
];
/// The last bound of the same.
const LONGEST: f64 = 5000.0;
/// Powers of two from 16 MiB to 8 GiB.
const MEMORY_BUCKETS: i32 = 10;
const SMALLEST_MEMORY_BYTES: f64 = 16.0 * 1024.0 * 1024.0;

/// The numbers. Labels are names of steps and fixed words.
pub(super) struct JobMetrics {
    /// Shared with the endpoints, which are timed under the same name.
    short: HistogramVec,
    long: HistogramVec,
    seconds: HistogramVec,
    memory: HistogramVec,
    bytes_read: IntCounterVec,
    ended: IntCounterVec,
}

impl JobMetrics {
    pub(super) fn new(short: HistogramVec) -> Self {
        let long: Vec<f64> = LONG.into_iter().chain([LONGEST]).collect();
        let histogram = |name: &str, help: &str, labels: &[&str], buckets: Vec<f64>| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)
                .expect("the names and labels are legal")
        };
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels).expect("the names and labels are legal")
        };
        let memory = (0..MEMORY_BUCKETS).map(|power| SMALLEST_MEMORY_BYTES * 2_f64.powi(power)).collect();
        Self {
            short,
            long: histogram(
                "method_long_steps_processing_time_seconds",
                "Time of long parts of the worker's loop.",
                &["method", "step"],
                long.clone(),
            ),
            seconds: histogram("belvedere_job_duration_seconds", "Time of a run of a job.", &["step"], long),
            memory: histogram(
                "belvedere_job_peak_memory_bytes",
                "Most memory of a process that read files for a run of a job.",
                &["step"],
                memory,
            ),
            bytes_read: counter("belvedere_job_read_bytes_total", "Bytes that such processes read.", &["step"]),
            ended: counter("belvedere_jobs_ended_total", "Runs of jobs by how they ended.", &["step", "ending"]),
        }
    }

    pub(super) fn collectors(&self) -> [Box<dyn Collector>; 5] {
        [
            Box::new(self.long.clone()),
            Box::new(self.seconds.clone()),
            Box::new(self.memory.clone()),
            Box::new(self.bytes_read.clone()),
            Box::new(self.ended.clone()),
        ]
    }
}

impl Observer for JobMetrics {
    fn ended(&self, run: &Run) {
        let step = run.key.step.as_str();
        self.seconds.with_label_values(&[step]).observe(run.seconds);
        self.ended.with_label_values(&[step, run.ending.as_str()]).inc();
        if let Some(bytes) = run.peak_memory_bytes {
            self.memory.with_label_values(&[step]).observe(bytes as f64);
        }
        if let Some(bytes) = run.bytes_read {
            self.bytes_read.with_label_values(&[step]).inc_by(bytes);
        }
    }

    fn took(&self, part: Part, time: Duration) {
        let (histogram, name) = match part {
            Part::Claim => (&self.short, "start_job"),
            Part::Compute => (&self.long, "run_job"),
            Part::Finish => (&self.short, "finish_job"),
        };
        histogram.with_label_values(&["loop", name]).observe(time.as_secs_f64());
    }
}
