//! What one run of a job sees: what it computes, under which settings, and how it asks the engine.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use belvedere_domain::job::ClaimedJob;
use belvedere_domain::view::{Digest, DigestBuilder};
use belvedere_domain::{ArtifactKey, ConfigName, ErrorCode, Level, Revision, SplitName, Step, StepName, View};
use belvedere_engine::{Call, Reply};
use belvedere_store::{NewView, ViewContent};
use serde::Serialize;

use super::JobError;
use crate::call::CallError;
use crate::context::Services;
use crate::meter::Meter;
use crate::settings::Settings;

/// What one run of a job sees. Everything it reads goes into the digest of its view.
pub struct JobContext {
    /// Shared services.
    pub services: Arc<Services>,
    /// What to compute.
    pub key: ArtifactKey,
    /// Of which revision.
    pub revision: Revision,
    pub(super) forced: bool,
    pub(super) digest: DigestBuilder,
    pub(super) sealed: bool,
    shortcuts: Vec<(ArtifactKey, View)>,
    pub(super) meter: Meter,
    /// What an outdated view said that is being made again.
    pub(super) before: Option<View>,
}

impl JobContext {
    /// A context for a claimed job.
    pub fn new(services: Arc<Services>, step: &Step, job: &ClaimedJob) -> Self {
        let record = &job.record;
        let mut digest = DigestBuilder::new(step.name, step.version)
            .part("dataset", record.key.dataset.as_str())
            .part("config", record.key.config.as_ref().map_or("", ConfigName::as_str))
            .part("split", record.key.split.as_ref().map_or("", SplitName::as_str));
        if record.forced {
            // Forced runs compute anew, and what they compute is another view.
            digest = digest.part("forced", job.lease.token.to_le_bytes());
        }
        Self {
            services,
            key: record.key.clone(),
            revision: record.revision.clone(),
            forced: record.forced,
            digest,
            sealed: false,
            shortcuts: Vec::new(),
            meter: Meter::default(),
            before: None,
        }
    }

    /// The same, noting what it uses.
    #[must_use]
    pub fn with_meter(self, meter: Meter) -> Self {
        Self { meter, ..self }
    }

    /// The settings for datasets from where this one comes from.
    pub fn settings(&self) -> Cow<'_, Settings> {
        self.services.settings.of(self.services.files.hub().origin(&self.key.dataset))
    }

    /// The config of a config- or split-level job.
    pub fn config(&self) -> Result<&ConfigName, JobError> {
        self.key
            .config
            .as_ref()
            .ok_or_else(|| JobError::fail(ErrorCode::ParameterMissingError, "the job names no config"))
    }

    /// The split of a split-level job.
    pub fn split(&self) -> Result<&SplitName, JobError> {
        self.key
            .split
            .as_ref()
            .ok_or_else(|| JobError::fail(ErrorCode::ParameterMissingError, "the job names no split"))
    }

    /// Adds an input to the digest of the view.
    pub fn input<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        assert!(!self.sealed, "every input must be read before asking whether a view of them is stored");
        let value = serde_json::to_vec(value).expect("inputs are plain values");
        self.digest = self.digest.clone().part(name, value);
    }

    /// The artifact of another step at the same place.
    pub fn at(&self, step: StepName, level: Level) -> ArtifactKey {
        self.key.at(step, level)
    }

    /// The digest of the inputs read so far.
    pub fn digest(&self) -> Digest {
        self.digest.clone().finish()
    }

    /// Stores a view on behalf of another step of the same dataset.
    pub fn shortcut(&mut self, key: ArtifactKey, view: View) {
        self.shortcuts.push((key, view));
    }

    /// Takes the shortcut views out, with digests derived from this one's.
    pub(crate) fn take_shortcuts(&mut self, graph: &belvedere_domain::Graph) -> Vec<NewView> {
        let digest = self.digest();
        let view = |(key, view): (ArtifactKey, View)| {
            let version = graph.step(&key.step).map_or(1, |step| step.version);
            let digest = DigestBuilder::new(key.step.as_str(), version).part("from", digest.as_bytes()).finish();
            NewView { key, digest, runner_version: version, content: ViewContent::Computed(view) }
        };
        std::mem::take(&mut self.shortcuts).into_iter().map(view).collect()
    }

    /// Longest time of a call. The worker watches over the duration of the whole job; this only bounds a call nobody
    /// watches.
    pub(crate) fn call_limit(&self) -> Duration {
        Duration::from_secs_f64(self.services.settings.worker.max_job_duration_seconds.clamp(1.0, 1e6) * 1.5)
    }

    /// Carries out an engine call in a child process.
    pub async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let reply = self.services.children.call_metered(call, self.call_limit(), self.meter.clone()).await;
        if let Err(CallError::Engine(error)) = &reply
            && let Some(file) = &error.file
        {
            self.meter.note_failed_file(file);
        }
        reply
    }
}
