//! Jobs with how they ended, and the command by which one can be looked at on another machine.

use belvedere_domain::job::Priority;
use belvedere_domain::view::ErrorBody;
use belvedere_domain::{ArtifactKey, ConfigName, JobId, Revision, SplitName};
use belvedere_store::{JobDetail, Run};
use serde::Serialize;

use super::AdminSettings;
use super::bodies::{self, Job, Work};

/// A job that waits or runs.
#[derive(Serialize)]
pub(super) struct PendingBody<'a> {
    id: JobId,
    #[serde(flatten)]
    job: Job<'a>,
    forced: bool,
    attempt: u32,
    crashes: u32,
    worker: Option<&'a str>,
    lease_ends_at: Option<String>,
    not_before: Option<String>,
    reproduce: String,
    /// Those before.
    runs: Vec<RunBody<'a>>,
}

impl<'a> PendingBody<'a> {
    pub(super) fn of(detail: &'a JobDetail, runs: Vec<RunBody<'a>>, settings: &AdminSettings) -> Self {
        let record = &detail.record;
        Self {
            id: record.id,
            job: Job::of(record),
            forced: record.forced,
            attempt: record.attempt,
            crashes: record.crashes,
            worker: detail.owner.as_deref(),
            lease_ends_at: detail.expires_at.map(bodies::time),
            not_before: detail.not_before.map(bodies::time),
            reproduce: command(&record.key, &record.revision, settings),
            runs,
        }
    }
}

/// A job that has ended.
#[derive(Serialize)]
pub(super) struct PastBody<'a> {
    pub(super) id: JobId,
    #[serde(flatten)]
    pub(super) job: PastJob<'a>,
    pub(super) runs: Vec<RunBody<'a>>,
}

/// What its runs had in common. The names are those of a pending job.
#[derive(Serialize)]
pub(super) struct PastJob<'a> {
    #[serde(flatten)]
    work: Work<'a>,
    priority: Priority,
    status: &'static str,
    difficulty: u8,
    created_at: String,
    forced: bool,
    crashes: u32,
    reproduce: String,
}

impl<'a> PastJob<'a> {
    pub(super) fn of(run: &'a Run, settings: &AdminSettings) -> Self {
        Self {
            work: Work::of(&run.key, &run.revision),
            priority: run.priority,
            status: "ended",
            difficulty: run.difficulty.get(),
            created_at: bodies::time(run.created_at),
            forced: run.forced,
            crashes: run.crashes,
            reproduce: command(&run.key, &run.revision, settings),
        }
    }
}

/// One run in a list of many jobs.
#[derive(Serialize)]
pub(super) struct PastRun<'a> {
    id: JobId,
    #[serde(flatten)]
    job: PastJob<'a>,
    #[serde(flatten)]
    run: RunBody<'a>,
}

impl<'a> PastRun<'a> {
    pub(super) fn of(run: &'a Run, settings: &AdminSettings) -> Self {
        Self { id: run.job, job: PastJob::of(run, settings), run: RunBody::of(run) }
    }
}

/// How a run ended, and what it used.
#[derive(Serialize)]
pub(super) struct RunBody<'a> {
    attempt: u32,
    worker: &'a str,
    started_at: String,
    ended_at: String,
    duration_seconds: f64,
    ending: &'static str,
    http_status: Option<u16>,
    error_code: Option<&'a str>,
    /// The error object with its cause.
    details: Option<&'a ErrorBody>,
    input_file: Option<&'a str>,
    input_files: u64,
    peak_memory_bytes: Option<u64>,
    bytes_read: Option<u64>,
}

impl<'a> RunBody<'a> {
    pub(super) fn of(run: &'a Run) -> Self {
        Self {
            attempt: run.attempt,
            worker: &run.worker,
            started_at: bodies::time(run.started_at),
            ended_at: bodies::time(run.ended_at()),
            duration_seconds: run.seconds,
            ending: run.ending.as_str(),
            http_status: run.http_status,
            error_code: run.error_code.as_deref(),
            details: run.details.as_ref(),
            input_file: run.input_file.as_deref(),
            input_files: run.input_files,
            peak_memory_bytes: run.peak_memory_bytes,
            bytes_read: run.bytes_read,
        }
    }
}

/// The command that computes an artifact where the folders of this server are, ready for a shell.
fn command(key: &ArtifactKey, revision: &Revision, settings: &AdminSettings) -> String {
    let mut words = vec!["belvedere".to_owned(), "run-step".to_owned(), key.step.to_string()];
    words.extend(settings.folders.iter().cloned());
    if settings.single {
        words.push("--single".to_owned());
    }
    let parts = [
        ("--dataset", Some(key.dataset.as_str())),
        ("--config-name", key.config.as_ref().map(ConfigName::as_str)),
        ("--split", key.split.as_ref().map(SplitName::as_str)),
        ("--revision", Some(revision.as_str())),
    ];
    for (flag, value) in parts {
        // Joined, so that a value that begins with a dash is no flag.
        words.extend(value.map(|value| format!("{flag}={value}")));
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_./=:,+@%".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use belvedere_domain::{DatasetName, StepName};

    use super::*;

    #[test]
    fn the_command_survives_a_shell() {
        let settings =
            AdminSettings { folders: vec!["lab=/srv/it's $HOME".to_owned()], single: true, ..AdminSettings::default() };
        let key = ArtifactKey::split(
            StepName::known("split-first-rows"),
            DatasetName::new("local/wine").unwrap(),
            ConfigName::new("-x `id`; \"$(id)\" 'q' é").unwrap(),
            SplitName::new("train").unwrap(),
        );
        let command = command(&key, &Revision::new("a".repeat(40)).unwrap(), &settings);
        let script = format!("printf '%s\\n' {command}");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let words: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        let revision = format!("--revision={}", "a".repeat(40));
        assert_eq!(
            words,
            [
                "belvedere",
                "run-step",
                "split-first-rows",
                "lab=/srv/it's $HOME",
                "--single",
                "--dataset=local/wine",
                "--config-name=-x `id`; \"$(id)\" 'q' é",
                "--split=train",
                &revision,
            ]
        );
    }
}
