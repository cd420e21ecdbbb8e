//! From a stored intention to a job: pinning down what it needs, bringing its files, asking the cluster.

use belvedere_domain::task::{ExecutionMode, State, TaskConfig};
use belvedere_store::StoreError;
use belvedere_store::tasks::{ActiveAttempt, Facts, TaskRow};

use super::{Monitor, Tick, backoff};
use crate::catalog::Member;
use crate::cluster::{Answer, ClusterError, Submission};
use crate::datasets::{DatasetError, Pin};
use crate::mlflow::{self, Tracking};
use crate::profile::Refusal;
use crate::stage::{self, Delivery, Variables};
use crate::{entry, random};

/// Failures in a row after which bringing the files is given up.
const MAX_FAILURES: u32 = 6;
/// Seconds to wait after a cluster said that a quota is used up.
const QUOTA_SECONDS: f64 = 60.0;

/// What an attempt needs, ready to be brought.
struct Prepared {
    submission: Submission,
    files: Vec<Delivery>,
    facts: Facts,
}

/// Why an attempt is not ready.
enum Obstacle {
    /// It never will be.
    Final(String),
    /// It may be later.
    Passing(String),
}

impl Monitor {
    /// Submits what waits, the oldest first.
    pub(super) async fn send(
        &self,
        member: &Member,
        active: &[ActiveAttempt],
        tick: &mut Tick,
    ) -> Result<(), StoreError> {
        let waits = |active: &&ActiveAttempt| match active.attempt.state {
            State::Queued => !active.cancel && active.attempt.not_before <= active.now,
            // Left over from a process that is gone.
            State::Staging => !active.cancel,
            _ => false,
        };
        for active in active.iter().filter(waits) {
            if !self.send_one(member, active.clone(), tick).await? {
                break;
            }
        }
        Ok(())
    }

    /// False when the cluster is not to be asked again now.
    async fn send_one(&self, member: &Member, mut active: ActiveAttempt, tick: &mut Tick) -> Result<bool, StoreError> {
        let Some(task) = self.tasks.task(active.task, None).await? else { return Ok(true) };
        if active.attempt.state == State::Queued
            && !self.move_to(&mut active, Some(State::Staging), Facts::default(), tick).await?
        {
            return Ok(true);
        }
        let prepared = match self.prepare(member, &task, &active).await? {
            Ok(prepared) => prepared,
            Err(Obstacle::Final(reason)) => {
                self.give_up(&mut active, reason, tick).await?;
                return Ok(true);
            }
            Err(Obstacle::Passing(reason)) => {
                self.put_back(member, &mut active, reason, true, tick).await?;
                return Ok(true);
            }
        };
        match member.cluster.stage(&active.attempt.tag, &prepared.files).await {
            Ok(()) => {}
            Err(ClusterError::Refused(reason)) => {
                self.put_back(member, &mut active, reason, true, tick).await?;
                return Ok(true);
            }
            Err(error) => {
                self.failed(member, &error).await;
                self.put_back(member, &mut active, error.to_string(), false, tick).await?;
                return Ok(false);
            }
        }
        // From here on there may be a job.
        let facts = Facts { looks: Some(0), ..prepared.facts };
        if !self.move_to(&mut active, Some(State::Submitting), facts, tick).await? {
            return Ok(true);
        }
        let answer = member.cluster.submit(&prepared.submission).await;
        self.note_answer(member, &mut active, answer, tick).await
    }

    async fn note_answer(
        &self,
        member: &Member,
        active: &mut ActiveAttempt,
        answer: Result<Answer, ClusterError>,
        tick: &mut Tick,
    ) -> Result<bool, StoreError> {
        let quiet = |seconds: f64, reason: String| Facts {
            reason: Some(reason),
            wait_seconds: Some(seconds),
            ..Facts::default()
        };
        let (to, facts, go_on) = match answer {
            Ok(Answer::Taken(job)) => {
                self.worked(&member.name).await;
                let facts = Facts { job: Some(job), failures: Some(0), observed: true, ..Facts::default() };
                (State::Submitted, facts, true)
            }
            Ok(Answer::Rejected(reason)) => {
                let facts = Facts { reason: Some(reason), ended_at: Some(active.now), ..Facts::default() };
                (State::SubmitFailed, facts, true)
            }
            Ok(Answer::NotNow(reason)) => (State::Queued, quiet(QUOTA_SECONDS, reason), false),
            Ok(Answer::Unknown(reason)) => {
                tracing::warn!(task.id = %active.task, "whether a task was submitted is not known: {reason}");
                (State::SubmitUnknown, quiet(0.0, reason), false)
            }
            Err(error) => {
                self.failed(member, &error).await;
                (State::Queued, quiet(backoff(member, active.attempt.failures), error.to_string()), false)
            }
        };
        self.move_to(active, Some(to), facts, tick).await?;
        Ok(go_on)
    }

    async fn give_up(&self, active: &mut ActiveAttempt, reason: String, tick: &mut Tick) -> Result<(), StoreError> {
        let facts = Facts { reason: Some(reason), ended_at: Some(active.now), ..Facts::default() };
        self.move_to(active, Some(State::SubmitFailed), facts, tick).await.map(drop)
    }

    async fn put_back(
        &self,
        member: &Member,
        active: &mut ActiveAttempt,
        reason: String,
        counts: bool,
        tick: &mut Tick,
    ) -> Result<(), StoreError> {
        let failures = active.attempt.failures + u32::from(counts);
        if counts && failures >= MAX_FAILURES {
            return self.give_up(active, reason, tick).await;
        }
        let wait_seconds = Some(backoff(member, failures));
        let facts = Facts { reason: Some(reason), failures: Some(failures), wait_seconds, ..Facts::default() };
        self.move_to(active, Some(State::Queued), facts, tick).await.map(drop)
    }

    async fn prepare(
        &self,
        member: &Member,
        task: &TaskRow,
        active: &ActiveAttempt,
    ) -> Result<Result<Prepared, Obstacle>, StoreError> {
        let files = self.tasks.files(task.id).await?;
        let never = |text: &dyn std::fmt::Display| Ok(Err(Obstacle::Final(text.to_string())));
        let point = task.element.as_ref().map(|element| element.point.as_str());
        let config = match TaskConfig::stored(&task.config, point) {
            Ok(config) => config,
            Err(errors) => return never(&errors.first().map_or_else(String::new, ToString::to_string)),
        };
        let entry = match entry::choose(&config, &files) {
            Ok(entry) => entry,
            Err(error) => return never(&error),
        };
        let needs = match member.needs(&task.owner, &config) {
            Ok(needs) => needs,
            Err(Refusal::Invalid(error) | Refusal::Forbidden(error)) => return never(&error),
        };
        let pin: Option<Pin> = match task.pin.as_deref().map(serde_json::from_str).transpose() {
            Ok(pin) => pin,
            Err(error) => return never(&error),
        };
        let located = match &pin {
            None => None,
            Some(pin) => match self.datasets.locate(pin).await {
                Ok(paths) => Some((pin, paths)),
                Err(DatasetError::Gone(reason) | DatasetError::Unknown(reason)) => {
                    return never(&format!("dataset_unavailable: {reason}"));
                }
                Err(error) => return Ok(Err(Obstacle::Passing(error.to_string()))),
            },
        };
        let (variables, facts) = self.track(member, &config, active).await;
        let variables = Variables { place: task.element.as_ref().map(|element| element.place), ..variables };
        let of = task.element.as_ref().map_or(task.id, |element| element.sweep);
        let folder = self.inbox.folder(of);
        if !folder.is_dir()
            && let Err(error) = self.inbox.unpack(of, self.tasks.contents(of).await?).await
        {
            return Ok(Err(Obstacle::Passing(format!("its files cannot be written: {error}"))));
        }
        let mut files = stage::deliveries(&config, &files, &folder, located, &variables);
        if let (Some(server), Some(sign)) = (&member.pull_from, &self.sign) {
            for file in files.iter_mut().filter(|file| file.is_data()) {
                let path = stage::input_path(task.id, &file.sha256);
                let query = sign(&path, active.now.0 / 1_000_000);
                file.url = Some(format!("{}{path}?{query}", server.trim_end_matches('/')));
            }
        }
        let attempt = &active.attempt;
        let submission = Submission {
            tag: attempt.tag.clone(),
            created_at: attempt.created_at,
            kind: entry.kind,
            file: entry.file,
            style: config.arguments.as_str(),
            needs,
        };
        Ok(Ok(Prepared { submission, files, facts }))
    }

    /// The run of the attempt, made at the tracking server where that may be asked.
    async fn track(&self, member: &Member, config: &TaskConfig, active: &ActiveAttempt) -> (Variables, Facts) {
        let uri = config.tracking_uri.as_ref().or(member.tracking_uri.as_ref());
        let (ExecutionMode::Mlflow, Some(uri)) = (config.mode, uri) else {
            return (Variables::default(), Facts::default());
        };
        let tracking = Tracking::parse(uri);
        let mut variables = Variables { tracking_uri: Some(tracking.variable()), ..Variables::default() };
        let mut facts = Facts::default();
        if let Tracking::Server(server) = tracking
            && self.may_ask(member, &server)
        {
            let (experiment, tag, now) = (config.experiment.clone(), active.attempt.tag.clone(), active.now.0 / 1000);
            let asked = tokio::task::spawn_blocking(move || mlflow::ensure_run(&server, &experiment, &tag, now)).await;
            match asked {
                Ok(Ok(run)) => {
                    variables.run_id = Some(run.id.clone());
                    (facts.run_id, facts.run_url) = (Some(run.id), Some(run.url));
                }
                Ok(Err(error)) => {
                    tracing::warn!(task.id = %active.task, "a task runs without its MLflow run: {error}");
                    facts.reason = Some(format!("{error}; the task runs without a run of its own"));
                }
                Err(error) => facts.reason = Some(error.to_string()),
            }
        }
        (variables, facts)
    }

    /// Whether this process may ask a tracking server: the cluster's own, or one that the operator has named.
    pub(super) fn may_ask(&self, member: &Member, server: &str) -> bool {
        let own = member.tracking_uri.as_deref().map(|uri| uri.trim_end_matches('/'));
        let Ok(url) = url::Url::parse(server) else { return false };
        let Some(host) = url.host_str() else { return false };
        let with_port = url.port_or_known_default().map(|port| format!("{host}:{port}"));
        let named = |allowed: &String| allowed == host || Some(allowed) == with_port.as_ref();
        own == Some(server) || self.settings.tracking_hosts.iter().any(named)
    }
}

/// A name for this process among those that may watch over a cluster.
pub fn holder() -> String {
    format!("{}-{}", std::process::id(), random::nonce())
}
