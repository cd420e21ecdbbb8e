//! One job from claim to end.

use std::sync::Arc;
use std::time::Duration;

use belvedere_domain::job::{ClaimedJob, JobRecord};
use belvedere_domain::plan::{KnownConfig, children};
use belvedere_domain::{ArtifactKey, Digest, ErrorCode, Graph, Json, Level, NewJob, Step, StepName, View};
use belvedere_store::{Completion, Ending, Finished, Found, NewView, StoreError, ViewContent};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::recorder::{Part, Verdict};
use super::{Next, Worker};
use crate::content::{ConfigNames, PreviousJob, SplitNames};
use crate::heal::{self, Loss};
use crate::job::{Job, JobContext, JobError, Ready};
use crate::meter::Meter;

/// Said when a job turns out to be somebody else's; operators look for these words.
const STALE: &str = "stale lease: another worker has the job, what was computed here is dropped";
/// How long a job that was told to stop waits for a database that is away.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// Runs a job and stores what it gives. Its end may bring along what its place does `next`.
pub(super) async fn run(worker: &Worker, job: ClaimedJob, stop: CancellationToken, next: Option<&mut Next>) {
    let record = &job.record;
    // At the level of errors, so that no line about a job is without it.
    let span = tracing::error_span!(
        "job",
        job.id = record.id.0,
        job.attempt = record.attempt,
        worker = &*worker.owner,
        step = record.key.step.as_str(),
        dataset.name = record.key.dataset.as_str(),
        config = record.key.config.as_ref().map(tracing::field::display),
        split = record.key.split.as_ref().map(tracing::field::display),
    );
    async {
        let (started, meter) = (std::time::Instant::now(), Meter::default());
        let graph = Arc::clone(&worker.services.graph);
        let Some(step) = graph.step(&record.key.step) else {
            return drop_unknown(worker, &job, &stop).await;
        };
        let outcome = attempt(worker, step, &job, &stop, &meter).await;
        worker.took(Part::Compute, started);
        let outcome = match outcome {
            Some(outcome) => outcome,
            None if worker.lock().get(&record.id).is_some_and(|running| running.too_long) => {
                Attempt::Views(vec![too_long(worker, step, &job)])
            }
            None => Attempt::Abandoned,
        };
        let verdict = match &outcome {
            Attempt::Views(views) | Attempt::Remade(views) => Verdict::of(&job, views),
            Attempt::Retry { code, reason, .. } => Verdict::retry(*code, reason),
            Attempt::RevisionGone => Verdict::retry(None, &JobError::RevisionGone.to_string()),
            Attempt::Nothing | Attempt::Abandoned => Verdict::default(),
        };
        let computed = std::time::Instant::now();
        let ending = end(worker, step, &job, outcome, &stop, next).await;
        worker.took(Part::Finish, computed);
        worker.record(&job, started.elapsed(), ending, verdict, &meter);
        tracing::debug!(duration_ms = started.elapsed().as_millis() as u64, ending = ending.as_str(), "job ended");
    }
    .instrument(span)
    .await;
}

/// Gives a job up whose workers kept vanishing.
pub(super) async fn bury(worker: &Worker, job: ClaimedJob) {
    let stop = CancellationToken::new();
    let Some(step) = worker.services.graph.step(&job.record.key.step).cloned() else {
        return drop_unknown(worker, &job, &stop).await;
    };
    let message = format!("the worker died {} times while computing this; it is given up", job.record.crashes);
    tracing::error!(job.id = job.record.id.0, step = step.name, dataset.name = %job.record.key.dataset, "{message}");
    let views = vec![failed(&step, &job, ErrorCode::JobManagerCrashedError, &message)];
    let verdict = Verdict::of(&job, &views);
    let ending = end(worker, &step, &job, Attempt::Views(views), &stop, None).await;
    worker.record(&job, Duration::ZERO, ending, verdict, &Meter::default());
}

/// Ends a job that another version queued; nothing depends on it here.
async fn drop_unknown(worker: &Worker, job: &ClaimedJob, stop: &CancellationToken) {
    tracing::warn!(job.id = job.record.id.0, step = %job.record.key.step, "this program does not know the step; the job is dropped");
    let _dropped = finish(worker, job, without_result(worker), stop, None).await;
}

/// What an attempt came to.
pub(super) enum Attempt {
    /// Views to store.
    Views(Vec<NewView>),
    /// The same, but the view of the job was outdated and has become another one under its old digest. The next steps, whose
    /// digests are the old ones too, must not take their stored views for good.
    Remade(Vec<NewView>),
    /// Store nothing, but trigger the children.
    Nothing,
    /// Put it back.
    Retry { delay_seconds: f64, count_attempt: bool, code: Option<ErrorCode>, reason: String },
    /// The files changed: a new plan is needed, this job is pointless.
    RevisionGone,
    /// Stopped half-way: hand the lease back, unless it is somebody else's already.
    Abandoned,
}

/// Computes; `None` when stopped half-way.
pub(super) async fn attempt(
    worker: &Worker,
    step: &Step,
    job: &ClaimedJob,
    stop: &CancellationToken,
    meter: &Meter,
) -> Option<Attempt> {
    let mut ctx = JobContext::new(Arc::clone(&worker.services), step, job).with_meter(meter.clone());
    let registry = Arc::clone(&worker.registry);
    let (name, level) = (step.step_name(), step.level);
    let mut work = tokio::spawn(
        async move {
            let result = compute(registry.job(&name), level, &mut ctx).await;
            (ctx, result)
        }
        .in_current_span(),
    );
    let joined = tokio::select! {
        joined = &mut work => joined,
        () = stop.cancelled() => {
            // Dropping the computation kills its child and removes what it wrote, which comes before handing it back.
            work.abort();
            let _ = tokio::time::timeout(LAST_PATIENCE, work).await;
            return None;
        }
    };
    let max = worker.settings().content_max_bytes;
    let store = |view: View, ctx: &mut JobContext| {
        let is_other = ctx.is_other_than_before(&view);
        let main = NewView {
            key: job.record.key.clone(),
            digest: ctx.digest(),
            runner_version: step.version,
            content: ViewContent::Computed(bounded(view, max)),
        };
        let mut views = ctx.take_shortcuts(&worker.services.graph);
        views.push(main);
        if is_other { Attempt::Remade(views) } else { Attempt::Views(views) }
    };
    Some(match joined {
        Err(panic) => {
            let message = panic_message(panic);
            tracing::error!(message, "the job panicked");
            Attempt::Views(vec![failed(
                step,
                job,
                ErrorCode::UnexpectedError,
                &format!("the step panicked: {message}"),
            )])
        }
        Ok((mut ctx, Ok(Ready::View(view)))) => store(view, &mut ctx),
        Ok((ctx, Ok(Ready::Reused))) => reused(step, job, ctx.digest()),
        Ok((_, Ok(Ready::ReusedAs(digest)))) => reused(step, job, digest),
        Ok((_, Err(JobError::Nothing(reason)))) => {
            tracing::debug!(reason, "nothing to store");
            Attempt::Nothing
        }
        Ok((_, Err(JobError::RevisionGone))) => Attempt::RevisionGone,
        Ok((_, Err(JobError::Postpone { seconds, reason }))) => {
            tracing::debug!(seconds, reason, "postponed");
            Attempt::Retry { delay_seconds: seconds, count_attempt: false, code: None, reason: reason.to_owned() }
        }
        Ok((_, Err(JobError::Retry { message, code }))) if job.record.attempt < worker.settings().max_attempts => {
            tracing::warn!(message, attempt = job.record.attempt, "the job will be tried again");
            let delay_seconds = backoff(worker.settings().retry_seconds, job.record.attempt);
            Attempt::Retry { delay_seconds, count_attempt: true, code: Some(code), reason: message }
        }
        Ok((mut ctx, Err(JobError::Retry { message, code }))) => store(View::error(code, &message, None), &mut ctx),
        Ok((mut ctx, Err(JobError::Copy(found)))) => store(copy(&found), &mut ctx),
        Ok((mut ctx, Err(JobError::Fail { code, message, cause }))) => {
            store(View::error(code, &message, cause.as_ref()), &mut ctx)
        }
    })
}

fn reused(step: &Step, job: &ClaimedJob, digest: Digest) -> Attempt {
    let key = job.record.key.clone();
    Attempt::Views(vec![NewView { key, digest, runner_version: step.version, content: ViewContent::Reused }])
}

async fn compute(job: Option<&dyn Job>, level: Level, ctx: &mut JobContext) -> Result<Ready, JobError> {
    let job = job.ok_or_else(|| JobError::Nothing("the step is unknown".into()))?;
    ctx.validate(level).await?;
    job.run(ctx).await
}

/// Stores, plans the children, finishes.
async fn end(
    worker: &Worker,
    step: &Step,
    job: &ClaimedJob,
    attempt: Attempt,
    stop: &CancellationToken,
    next: Option<&mut Next>,
) -> Ending {
    let is_other = matches!(attempt, Attempt::Remade(_));
    let views = match attempt {
        Attempt::Views(views) | Attempt::Remade(views) => views,
        Attempt::Nothing => Vec::new(),
        Attempt::Retry { delay_seconds, count_attempt, .. } => {
            return release(worker, job, delay_seconds, count_attempt, stop, Ending::Retried).await;
        }
        Attempt::Abandoned => return release(worker, job, 0.0, false, stop, Ending::HandedBack).await,
        Attempt::RevisionGone if are_files_remade(worker, step, job).await => {
            if job.record.forced {
                return release(worker, job, worker.settings().retry_seconds, true, stop, Ending::Retried).await;
            }
            tracing::debug!("files are missing that are being made again, which triggers this step once more");
            return finish(worker, job, without_result(worker), stop, next).await;
        }
        Attempt::RevisionGone => {
            worker.services.files.changed(&job.record.key.dataset).await;
            if worker.services.files.is_elsewhere(&job.record.key.dataset).await {
                return leave_to_others(worker, job, stop).await;
            }
            return release(worker, job, worker.settings().retry_seconds, true, stop, Ending::Retried).await;
        }
    };
    let settings = worker.settings();
    loop {
        let children = match next_jobs(worker, step, job, &views, is_other).await {
            Ok(children) => children,
            Err(error) if error.is_passing() && !stop.is_cancelled() => {
                pause_for(&error).await;
                continue;
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the next steps could not be planned");
                return Ending::NotStored;
            }
        };
        let completion = Completion {
            views,
            children,
            answer_set: worker.services.graph.answer_set().to_vec(),
            rate_limit: settings.rate_limit.map(|limit| limit.of(&job.record.key.dataset)),
            coalesce_seconds: settings.coalesce_seconds,
            ..Completion::default()
        };
        return finish(worker, job, completion, stop, next).await;
    }
}

/// What ends a job of which nothing is stored, and that triggers nothing.
fn without_result(worker: &Worker) -> Completion {
    Completion { answer_set: worker.services.graph.answer_set().to_vec(), ..Completion::default() }
}

/// Whether files that the job was to read are gone from the storage and being made again.
async fn are_files_remade(worker: &Worker, step: &Step, job: &ClaimedJob) -> bool {
    let JobRecord { key, revision, .. } = &job.record;
    if !heal::reads_parquet(step) {
        return false;
    }
    match heal::parquet_files(&worker.services, key, revision).await {
        Ok(loss) => loss == Loss::Remaking,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "nobody knows whether files are missing");
            false
        }
    }
}

/// Finishes, again and again while the database is away: the result in hand is worth waiting for. The first time the next
/// job is claimed along with it; what is wrong with the claim shows when the queue is asked again.
async fn finish(
    worker: &Worker,
    job: &ClaimedJob,
    completion: Completion,
    stop: &CancellationToken,
    mut next: Option<&mut Next>,
) -> Ending {
    let own = completion.views.iter().find(|view| view.key == job.record.key);
    let stored = match own.or(completion.views.first()).map(|view| &view.content) {
        Some(ViewContent::Computed(_)) => Ending::Stored,
        Some(ViewContent::Reused) => Ending::Reused,
        None => Ending::Nothing,
    };
    loop {
        let ran_seconds = worker.lock().get(&job.record.id).map(|running| running.since.elapsed().as_secs_f64());
        let completion = Completion { ran_seconds, ..completion.clone() };
        let queue = &worker.services.store.queue;
        let place = next.take();
        let request = place.as_ref().and_then(|place| place.request(worker));
        let finished = match place.zip(request) {
            Some((place, request)) => {
                let (finished, claimed) = queue.finish_and_claim(&job.lease, completion, &request).await;
                place.started = claimed.ok().flatten().map(|job| worker.start(job));
                finished
            }
            None => queue.finish(&job.lease, completion).await,
        };
        return match finished {
            Ok(Finished::Saved { served }) => {
                if let Some(revision) = served {
                    tracing::info!(dataset.name = %job.record.key.dataset, %revision, "a new revision is served");
                }
                stored
            }
            Ok(Finished::LeaseLost) => {
                tracing::warn!("{STALE}");
                Ending::LeaseLost
            }
            Ok(Finished::Superseded) => {
                tracing::debug!("the dataset moved on, the result is dropped");
                Ending::Superseded
            }
            // What was to be pointed at again was dropped meanwhile: the job has to compute it after all.
            Err(StoreError::ViewGone(_)) => release(worker, job, 0.0, true, stop, Ending::Retried).await,
            Err(error) if error.is_passing() && !stop.is_cancelled() => {
                pause_for(&error).await;
                continue;
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the result could not be stored");
                Ending::NotStored
            }
        };
    }
}

async fn pause_for(error: &StoreError) {
    tracing::warn!(error = error as &dyn std::error::Error, "the database is away, trying again");
    tokio::time::sleep(Duration::from_millis(rand::random_range(300..900))).await;
}

/// The files of the job's dataset are not on this machine: a worker that has them is to do it. If they are gone
/// everywhere, so is the job as soon as the API notices.
async fn leave_to_others(worker: &Worker, job: &ClaimedJob, stop: &CancellationToken) -> Ending {
    let dataset = &job.record.key.dataset;
    // Before it waits again, so that no place of this worker takes it.
    if worker.elsewhere().note(dataset, std::time::Instant::now()) {
        tracing::warn!(dataset.name = %dataset, "its files are not here; its jobs are left to workers that have them");
    }
    release(worker, job, 0.0, false, stop, Ending::HandedBack).await
}

/// Gives back a job that came just before the worker was told to stop.
pub(super) async fn hand_back(worker: &Worker, job: &ClaimedJob, stop: &CancellationToken) {
    release(worker, job, 0.0, false, stop, Ending::HandedBack).await;
}

/// Puts the job back, again and again while the database is away: a lease that runs out instead looks like a crash.
/// Returns `ending` if that worked.
async fn release(
    worker: &Worker,
    job: &ClaimedJob,
    delay_seconds: f64,
    count_attempt: bool,
    stop: &CancellationToken,
    ending: Ending,
) -> Ending {
    let started = std::time::Instant::now();
    loop {
        return match worker.services.store.queue.release(&job.lease, delay_seconds, count_attempt).await {
            Ok(true) => ending,
            Ok(false) => {
                tracing::warn!("{STALE}");
                Ending::LeaseLost
            }
            Err(error) if error.is_passing() && (!stop.is_cancelled() || started.elapsed() < LAST_PATIENCE) => {
                pause_for(&error).await;
                continue;
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the job could not be handed back; its lease will run out"
                );
                ending
            }
        };
    }
}

/// 1, 4, 16, … times the first delay, with some spread.
fn backoff(first_seconds: f64, attempt: u32) -> f64 {
    first_seconds * 4f64.powi(attempt.saturating_sub(1).min(5) as i32) * rand::random_range(0.75..1.25)
}

/// The jobs that the end of this one triggers. If its view `is_other` than before under the same digest, theirs are outdated.
async fn next_jobs(
    worker: &Worker,
    step: &Step,
    job: &ClaimedJob,
    views: &[NewView],
    is_other: bool,
) -> Result<Vec<NewJob>, StoreError> {
    let children = plan_children(worker, step, job, views).await?;
    if is_other {
        let keys: Vec<ArtifactKey> = children.iter().map(|child| child.key.clone()).collect();
        let found = worker.services.store.views.at_revision(&keys, &job.record.revision).await?;
        let digests: Vec<Digest> = found.into_iter().flatten().map(|found| found.stored.digest).collect();
        worker.services.store.views.outdate(&digests, false).await?;
    }
    Ok(children)
}

/// The jobs that the end of this one triggers, from the names as they are after it.
async fn plan_children(
    worker: &Worker,
    step: &Step,
    job: &ClaimedJob,
    views: &[NewView],
) -> Result<Vec<NewJob>, StoreError> {
    let graph = &worker.services.graph;
    let key = &job.record.key;
    let mut finished = vec![key.clone()];
    finished.extend(views.iter().map(|view| view.key.clone()).filter(|other| other != key));
    let configs = known_configs(worker, graph, step, job, &finished, views).await?;
    Ok(children(graph, &finished, &job.record.revision, &configs, job.record.priority))
}

/// Only the names that the fan-out of these steps needs.
async fn known_configs(
    worker: &Worker,
    graph: &Graph,
    step: &Step,
    job: &ClaimedJob,
    finished: &[ArtifactKey],
    views: &[NewView],
) -> Result<Vec<KnownConfig>, StoreError> {
    let fans = |level: Level| {
        finished
            .iter()
            .any(|key| graph.children(&key.step).any(|child| child.level == level && child.level > step.level))
    };
    let key = &job.record.key;
    let known = |name, splits| KnownConfig { name, splits, big: false, big_splits: Vec::new() };
    match step.level {
        Level::Dataset if fans(Level::Config) => {
            let names = key.at(StepName::known("dataset-config-names"), Level::Dataset);
            let names: Option<ConfigNames> = content_of(worker, &names, job, views).await?;
            let names = names.map(|names| names.config_names).unwrap_or_default();
            Ok(names.into_iter().map(|item| known(item.config, Vec::new())).collect())
        }
        Level::Config if fans(Level::Split) => {
            let names = key.at(StepName::known("config-split-names"), Level::Config);
            let names: Option<SplitNames> = content_of(worker, &names, job, views).await?;
            let splits = names.map(|names| names.splits).unwrap_or_default();
            let config = key.config.clone();
            Ok(config
                .map(|config| known(config, splits.into_iter().map(|item| item.split).collect()))
                .into_iter()
                .collect())
        }
        _ => Ok(Vec::new()),
    }
}

/// The content of an artifact as it will be after this job: from the views in hand, else from the store.
async fn content_of<T: serde::de::DeserializeOwned>(
    worker: &Worker,
    key: &ArtifactKey,
    job: &ClaimedJob,
    views: &[NewView],
) -> Result<Option<T>, StoreError> {
    let parse = |view: &View| view.outcome.is_ok().then(|| serde_json::from_str(view.content.as_str()).ok()).flatten();
    let fresh = views.iter().find(|view| view.key == *key);
    match fresh.map(|view| (&view.content, &view.digest)) {
        Some((ViewContent::Computed(view), _)) => Ok(parse(view)),
        Some((ViewContent::Reused, digest)) => {
            let stored = worker.services.store.views.by_digest(digest).await?;
            Ok(stored.and_then(|stored| parse(&stored.view)))
        }
        None => {
            let found =
                worker.services.store.views.at_revision(std::slice::from_ref(key), &job.record.revision).await?;
            Ok(found.into_iter().flatten().next().and_then(|found| parse(&found.stored.view)))
        }
    }
}

/// A copy of a parent's error, with a note of where it comes from.
fn copy(found: &Found) -> View {
    let view = &found.stored.view;
    let mut details: serde_json::Map<String, serde_json::Value> = view.details.parse().unwrap_or_default();
    let origin = serde_json::to_value(PreviousJob::from(&found.key)).expect("a plain value");
    details.insert("copied_from_artifact".into(), origin);
    View { details: Json::of(&details), progress: None, internal: Json::from_text("null"), ..view.clone() }
}

fn bounded(view: View, max_bytes: usize) -> View {
    if view.content.len() <= max_bytes {
        return view;
    }
    let message = format!("the answer has {} bytes, more than the limit of {max_bytes}", view.content.len());
    View::error(ErrorCode::TooBigContentError, &message, None)
}

fn too_long(worker: &Worker, step: &Step, job: &ClaimedJob) -> NewView {
    let limit = worker.settings().max_job_duration_seconds;
    let message = format!("the step took longer than {limit} seconds and was stopped");
    tracing::warn!("{message}");
    failed(step, job, ErrorCode::JobManagerExceededMaximumDurationError, &message)
}

/// An error view of a run that has no digest of its inputs: it counts for this run only.
fn failed(step: &Step, job: &ClaimedJob, code: ErrorCode, message: &str) -> NewView {
    let digest = belvedere_domain::view::DigestBuilder::new(step.name, step.version)
        .part("job", job.record.id.0.to_le_bytes())
        .part("lease", job.lease.token.to_le_bytes())
        .part("revision", job.record.revision.as_str())
        .part("key", job.record.key.unicity_id(&job.record.revision))
        .finish();
    let view = View::error(code, message, None);
    NewView { key: job.record.key.clone(), digest, runner_version: step.version, content: ViewContent::Computed(view) }
}

fn panic_message(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "no message".into()),
        Err(_) => "the computation was stopped".into(),
    }
}
