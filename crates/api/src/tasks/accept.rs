//! From a multipart request to a stored task: files come in, everything is checked, then all is stored at once or nothing.

use axum::extract::Multipart;
use axum::http::HeaderMap;
use belvedere_domain::task::{ConfigError, Sweep, TaskConfig, TaskId, strict_json};
use belvedere_domain::{DatasetName, ErrorCode};
use belvedere_store::tasks::{NewSweep, NewTask, RequestKey, Submitted, TaskFile};
use belvedere_tasks::archive::{self, ArchiveError, ArchiveLimits};
use belvedere_tasks::cluster::Needs;
use belvedere_tasks::entry::{self, Entry};
use belvedere_tasks::{DatasetError, Kept, Member, Pin, Reference, Upload, new_task_id, new_task_ids};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::TaskService;
use super::caller::Caller;
use super::problem::Problem;
use super::shared::readable;
use crate::state::ApiState;

/// Names of the parts that are read.
const PARTS: [&str; 5] = ["files", "file", "config", "script", "archive"];
/// The name that clients of the first task managers give to the configuration.
const CONFIG_NAME: &str = "submiter_confs.json";
/// Tasks of a sweep that are active at a time, where it does not say.
const PARALLEL: u32 = 10;
/// Longest key of a request that may be repeated.
const MAX_KEY_BYTES: usize = 255;

/// A request that has come in and is good.
pub(super) struct Accepted {
    pub(super) upload: Upload,
    pub(super) text: String,
    pub(super) config: TaskConfig,
    pub(super) entry: Entry,
    pub(super) needs: Needs,
    pub(super) pin: Option<Pin>,
    fingerprint: String,
}

impl Accepted {
    /// Refuses a request for many tasks where one is expected.
    pub(super) fn refuse_sweep(&self) -> Result<(), Problem> {
        match self.config.sweep {
            None => Ok(()),
            Some(_) => Err(Problem::at("/sweep", "these are many tasks; send them to /v1/sweeps")),
        }
    }
}

/// What became of a request.
pub(super) struct Stored {
    pub(super) id: TaskId,
    /// It had been stored before.
    pub(super) replayed: bool,
}

/// Reads and checks a request.
pub(super) async fn read(
    state: &ApiState,
    service: &TaskService,
    caller: &Caller,
    headers: &HeaderMap,
    multipart: Multipart,
) -> Result<Accepted, Problem> {
    let (mut upload, fields) = receive(service, multipart).await?;
    let index = find_config(&upload, &fields)?;
    let file = &upload.files()[index];
    if file.size_bytes > strict_json::MAX_BYTES as u64 {
        return Err(Problem::at("", format!("the configuration is longer than {} bytes", strict_json::MAX_BYTES)));
    }
    let bytes = upload.read(index).await;
    let bytes = bytes.map_err(|error| Problem::from(crate::error::ApiError::internal(&error)))?;
    let config = TaskConfig::parse(&bytes).map_err(Problem::invalid)?;
    let text = String::from_utf8(bytes).map_err(|_| Problem::at("", "the configuration is not UTF-8"))?;
    let member = service.catalog.member(&config.cluster)?;
    let needs = member.needs(&caller.name, &config)?;
    let programs: Vec<TaskFile> =
        upload.files().iter().enumerate().filter(|(at, _)| *at != index).map(|(_, file)| file.clone()).collect();
    let entry = entry::choose(&config, &programs).map_err(|error| Problem::invalid(vec![error]))?;
    look_into_archive(&mut upload, &entry).await?;
    let pin = pin(service, &config).await?;
    if let Some(pin) = &pin {
        let nothing = || {
            let (pointer, named) = match (&config.selection, &config.dataset) {
                (Some(id), _) => ("/selection", format!("there is no selection `{id}`")),
                (None, name) => ("/dataset_name", format!("there is no dataset `{}`", name.as_deref().unwrap_or(""))),
            };
            Problem::at(pointer, named)
        };
        let dataset = DatasetName::new(&pin.dataset).map_err(|_| nothing())?;
        readable(state, caller, &dataset, headers).await.map_err(|()| nothing())?;
    }
    let fingerprint = fingerprint(&upload, &fields);
    Ok(Accepted { upload, text, config, entry, needs, pin, fingerprint })
}

/// Refuses an archive that would do harm where it is unpacked.
async fn look_into_archive(upload: &mut Upload, entry: &Entry) -> Result<(), Problem> {
    if !entry::is_archive(&entry.file) {
        return Ok(());
    }
    let folder = upload.on_disk().await.map_err(|error| crate::error::ApiError::internal(&error))?;
    let (path, name) = (folder.join(&entry.file), entry.file.clone());
    let looked = move || archive::check(&path, &name, ArchiveLimits::default());
    match tokio::task::spawn_blocking(looked).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(ArchiveError::Refused(reason))) => Err(Problem::at("", reason)),
        Ok(Err(ArchiveError::Io(error))) => Err(crate::error::ApiError::internal(&error).into()),
        Err(error) => Err(crate::error::ApiError::internal(&error).into()),
    }
}

/// Takes the files; the names of their parts.
async fn receive(service: &TaskService, mut multipart: Multipart) -> Result<(Upload, Vec<String>), Problem> {
    let malformed = |error: axum::extract::multipart::MultipartError| {
        Problem::at("", format!("the body is not the multipart form that its header announces: {}", error.body_text()))
    };
    let mut upload = service.inbox.begin(service.limits);
    let mut names = Vec::new();
    while let Some(mut field) = multipart.next_field().await.map_err(malformed)? {
        let name = field.name().unwrap_or_default().to_owned();
        if !PARTS.contains(&name.as_str()) {
            let shown: String = name.chars().take(64).collect();
            let message = format!("there is no part `{shown}`; send every file as `files`");
            return Err(Problem::at("", message));
        }
        let original = field.file_name().unwrap_or(if name == "config" { CONFIG_NAME } else { "" }).to_owned();
        let mut file = upload.file(&original).await?;
        while let Some(chunk) = field.chunk().await.map_err(malformed)? {
            file.write(&chunk).await?;
        }
        file.finish().await?;
        names.push(name);
    }
    Ok((upload, names))
}

/// Which file is the configuration: the part of that name, else the one JSON file, else the one that is called as ever.
fn find_config(upload: &Upload, fields: &[String]) -> Result<usize, Problem> {
    let files = upload.files();
    let all = |is: &dyn Fn(usize) -> bool| (0..files.len()).filter(|at| is(*at)).collect::<Vec<_>>();
    let named = all(&|at| fields[at] == "config");
    let json = all(&|at| files[at].original_name.to_ascii_lowercase().ends_with(".json"));
    let usual = all(&|at| files[at].original_name == CONFIG_NAME);
    match (&named[..], &json[..], &usual[..]) {
        ([one], ..) | ([], [one], _) | ([], _, [one]) => Ok(*one),
        ([], [], _) => Err(Problem::at("", "no configuration (a `.json` file) was sent")),
        _ => {
            let names: Vec<_> = json.iter().map(|at| files[*at].original_name.as_str()).collect();
            let text = format!("which file is the configuration: {}? Send it as `config`", names.join(", "));
            Err(Problem::at("", text))
        }
    }
}

async fn pin(service: &TaskService, config: &TaskConfig) -> Result<Option<Pin>, Problem> {
    let (pointer, pinned) = match (&config.selection, &config.dataset) {
        (Some(id), _) => ("/selection", service.datasets.pin_selection(id).await),
        (None, Some(name)) => {
            let reference = Reference::parse(name).map_err(|error| Problem::at("/dataset_name", error.to_string()))?;
            let reference = Reference { format: config.format, ..reference };
            ("/dataset_name", service.datasets.pin(&reference).await)
        }
        (None, None) => return Ok(None),
    };
    match pinned {
        Ok(pin) => Ok(Some(pin)),
        Err(DatasetError::Unknown(text) | DatasetError::Gone(text)) => Err(Problem::at(pointer, text)),
        Err(DatasetError::NotReady(text)) => Err(Problem::new(ErrorCode::TaskDatasetNotReady, text).retry_after(2)),
        Err(error @ DatasetError::Passing(_)) => Err(crate::error::ApiError::internal(&error).into()),
    }
}

/// What makes a request the same: its parts with their names and contents, in any order.
fn fingerprint(upload: &Upload, fields: &[String]) -> String {
    let part = |(file, field): (&TaskFile, &String)| format!("{field}\0{}\0{}\n", file.original_name, file.sha256);
    let mut parts: Vec<_> = upload.files().iter().zip(fields).map(part).collect();
    parts.sort();
    hex::encode(Sha256::digest(parts.concat()))
}

/// The key under which the client may repeat the request.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()));
    let text = format!("the header Idempotency-Key holds 1 to {MAX_KEY_BYTES} plain characters");
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Problem::at("", text))
}

/// Stores a request.
pub(super) async fn store(
    state: &ApiState,
    service: &TaskService,
    caller: &Caller,
    accepted: Accepted,
    key: Option<String>,
) -> Result<Stored, Problem> {
    let Accepted { upload, text, config, pin, fingerprint, .. } = accepted;
    let tasks = &state.services.store.tasks;
    let route = if config.sweep.is_some() { "sweeps" } else { "tasks" };
    let key = key.map(|key| RequestKey { route: route.to_owned(), key, fingerprint });
    // What is in memory costs nothing but the question: storing it tells as much.
    if let Some(key) = &key
        && upload.is_on_disk()
        && let Some(known) = tasks.find_request(&caller.name, key).await?
    {
        return outcome(known, None);
    }
    let member: &Member = service.catalog.member(&config.cluster)?;
    let now = (state.settings.clock)().0;
    let id = new_task_id(now);
    let Kept { files, contents } = service.inbox.commit(id, upload).await?;
    let task = NewTask {
        id,
        owner: caller.name.clone(),
        cluster: config.cluster.clone(),
        experiment: config.experiment.clone(),
        dataset: pin.as_ref().and_then(|pin| DatasetName::new(&pin.dataset).ok()),
        pin: pin.as_ref().map(|pin| serde_json::to_string(pin).expect("a pin has a JSON form")),
        config: text,
        files,
        contents,
        key,
        limits: member.limits,
    };
    let submitted = match config.sweep {
        None => tasks.submit(task).await,
        Some(sweep) => tasks.submit_sweep(many(task, sweep, now)).await,
    };
    if !matches!(submitted, Ok(Submitted::Created)) {
        // Where the answer of the database was lost the task may be there, and keeps its files.
        if submitted.is_ok() {
            service.inbox.discard(id).await;
        }
    }
    let stored = outcome(submitted?, Some(id))?;
    service.wake();
    Ok(stored)
}

/// The tasks of a sweep.
fn many(shared: NewTask, sweep: Sweep, now: i64) -> NewSweep {
    let ids = new_task_ids(now, sweep.points.len());
    let points = ids.into_iter().zip(sweep.points.into_iter().map(|point| Value::Object(point).to_string()));
    let limits = shared.limits;
    let most = limits.per_owner.min(limits.per_cluster).clamp(1, PARALLEL);
    NewSweep { shared, max_parallel: sweep.max_parallel.unwrap_or(most), points: points.collect() }
}

fn outcome(submitted: Submitted, id: Option<TaskId>) -> Result<Stored, Problem> {
    match (submitted, id) {
        (Submitted::Replayed(id), _) => Ok(Stored { id, replayed: true }),
        (Submitted::Created, Some(id)) => Ok(Stored { id, replayed: false }),
        (Submitted::OwnerFull(count), _) => {
            let text = format!("You have {count} active tasks, which is as many as you may have.");
            Err(Problem::new(ErrorCode::TaskLimitReached, text).retry_after(30))
        }
        (Submitted::ClusterFull(count), _) => {
            let text = format!("The cluster has {count} active tasks, which is as many as it may have.");
            Err(Problem::new(ErrorCode::TaskLimitReached, text).retry_after(30))
        }
        (Submitted::KeyTaken | Submitted::Created, _) => {
            let text = "This Idempotency-Key was sent with another request before.";
            Err(Problem::new(ErrorCode::TaskKeyTaken, text))
        }
    }
}

/// Errors of several values as one.
impl From<Vec<ConfigError>> for Problem {
    fn from(errors: Vec<ConfigError>) -> Self {
        Self::invalid(errors)
    }
}
