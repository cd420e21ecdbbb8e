//! What attempts print and leave: pieces of their streams while they run, everything else when they have ended.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use belvedere_domain::task::{ExecutionMode, State, TaskConfig};
use belvedere_store::StoreError;
use belvedere_store::tasks::{ActiveAttempt, Artifact, Facts, LogExtent, LogKey, LogPiece};
use sha2::{Digest as _, Sha256};

use super::{Monitor, Tick, backoff};
use crate::catalog::Member;
use crate::cluster::{ClusterError, Tail, TailRequest};
use crate::mlflow::{self, Tracking};
use crate::place::is_inner_path;

/// Bytes of one stream that are read at a time.
const PIECE: u64 = 1 << 20;
/// Bytes of one stored piece.
const STORED: usize = 256 << 10;
/// Running attempts whose streams are read in one look.
const READ_AT_A_TIME: usize = 64;
/// Failures in a row after which what is there is taken for all.
const MAX_FAILURES: u32 = 5;
/// Names of the streams.
const STREAMS: [&str; 2] = ["out", "err"];

/// Where the copy of an artefact lies in the folder of its attempt: programs choose the paths, so they do not name files.
pub fn copy_name(path: &str) -> String {
    hex::encode(&Sha256::digest(path)[..16])
}

impl Monitor {
    /// Reads what running attempts have printed since the last look.
    pub(super) async fn read_logs(&self, member: &Member, active: &[ActiveAttempt]) -> Result<(), StoreError> {
        let mut running: Vec<_> = active.iter().filter(|active| active.attempt.state == State::Running).collect();
        if running.len() > READ_AT_A_TIME {
            // Each look begins elsewhere, so that all have their turn.
            let turn = running.first().map_or(0, |active| active.now.0 / 1_000_000) as usize % running.len();
            running.rotate_left(turn);
            running.truncate(READ_AT_A_TIME);
        }
        let mut extents = HashMap::new();
        for active in &running {
            extents.insert(active.attempt.tag.clone(), self.extents(active).await?);
        }
        let request = |active: &&ActiveAttempt| {
            let [out, err] = extents[&active.attempt.tag];
            TailRequest { tag: active.attempt.tag.clone(), out: out.end, err: err.end }
        };
        let requests: Vec<_> = running.iter().map(request).collect();
        if requests.is_empty() {
            return Ok(());
        }
        match member.cluster.tails(&requests, PIECE).await {
            Ok(tails) => {
                for active in running {
                    if let Some(tails) = tails.get(&active.attempt.tag) {
                        self.keep(active, &extents[&active.attempt.tag], tails).await?;
                    }
                }
            }
            Err(error) => tracing::debug!(cluster.name = %member.name, "streams could not be read: {error}"),
        }
        Ok(())
    }

    fn key(active: &ActiveAttempt, stream: &'static str) -> LogKey {
        LogKey { task: active.task, attempt: active.attempt.number, stream }
    }

    async fn extents(&self, active: &ActiveAttempt) -> Result<[LogExtent; 2], StoreError> {
        let [out, err] = STREAMS.map(|stream| Self::key(active, stream));
        Ok([self.tasks.log_extent(&out).await?, self.tasks.log_extent(&err).await?])
    }

    /// Stores what was read. True if there is more to be read.
    async fn keep(
        &self,
        active: &ActiveAttempt,
        extents: &[LogExtent; 2],
        tails: &[Tail; 2],
    ) -> Result<bool, StoreError> {
        let mut more = false;
        for (stream, (extent, tail)) in STREAMS.into_iter().zip(extents.iter().zip(tails)) {
            let (mut generation, mut start) = (extent.generation, extent.end);
            if tail.size < extent.end {
                // The program made it shorter. What it holds now is read at the next look, from its beginning.
                (generation, start) = (extent.generation + 1, 0);
                let piece = LogPiece { generation, start, bytes: Vec::new() };
                self.tasks.append_log(&Self::key(active, stream), piece).await?;
                more |= tail.size > 0;
                continue;
            }
            let room = self.settings.log_bytes.saturating_sub(extent.total);
            let kept = tail.bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            for bytes in tail.bytes[..kept].chunks(STORED) {
                let piece = LogPiece { generation, start, bytes: bytes.to_vec() };
                start += bytes.len() as u64;
                self.tasks.append_log(&Self::key(active, stream), piece).await?;
            }
            generation = extent.generation;
            more |= kept > 0 && start < tail.size && generation == extent.generation;
        }
        Ok(more)
    }

    /// Fetches all that an ended attempt has left, and moves it to its end.
    pub(super) async fn collect(
        &self,
        member: &Member,
        mut active: ActiveAttempt,
        tick: &mut Tick,
    ) -> Result<(), StoreError> {
        if active.attempt.not_before > active.now {
            return Ok(());
        }
        let Some(task) = self.tasks.task(active.task, None).await? else { return Ok(()) };
        let outcome = task.attempt.outcome.unwrap_or(State::Lost);
        let fetched = match self.fetch_all(member, &active).await? {
            Ok(fetched) => fetched,
            Err(error) if active.attempt.failures + 1 < MAX_FAILURES => {
                if error.is_of_the_way() {
                    self.failed(member, &error).await;
                }
                let failures = active.attempt.failures + 1;
                let wait_seconds = Some(backoff(member, failures));
                let facts = Facts { failures: Some(failures), wait_seconds, ..Facts::default() };
                return self.move_to(&mut active, None, facts, tick).await.map(drop);
            }
            Err(error) => {
                tracing::warn!(task.id = %active.task, "what a task left could not be fetched: {error}");
                Vec::new()
            }
        };
        let mut facts = self.end_run(member, &task.config, &active, &task.attempt.run_id, outcome, &fetched).await;
        facts.reason = facts.reason.or(task.attempt.reason);
        facts.again = self.again(&task.config, active.attempt.number, outcome);
        self.tasks.put_artifacts(active.task, active.attempt.number, fetched).await?;
        self.move_to(&mut active, Some(outcome), facts, tick).await.map(drop)
    }

    /// Seconds until another attempt, if the task asks for one after such an end.
    fn again(&self, config: &str, number: u32, ended: State) -> Option<f64> {
        let policy = TaskConfig::parse(config.as_bytes()).ok()?.retry;
        let rest = self.settings.rest * (1 << (number - 1).min(5));
        policy.wants_another(number, ended).then_some(rest.as_secs_f64())
    }

    /// The rest of the streams, and the files.
    async fn fetch_all(
        &self,
        member: &Member,
        active: &ActiveAttempt,
    ) -> Result<Result<Vec<Artifact>, ClusterError>, StoreError> {
        loop {
            let extents = self.extents(active).await?;
            let tag = active.attempt.tag.clone();
            let request = TailRequest { tag: tag.clone(), out: extents[0].end, err: extents[1].end };
            let tails = match member.cluster.tails(&[request], PIECE).await {
                Ok(mut tails) => tails.remove(&tag).unwrap_or_default(),
                Err(error) => return Ok(Err(error)),
            };
            if !self.keep(active, &extents, &tails).await? {
                break;
            }
        }
        Ok(self.artifacts(member, active).await)
    }

    async fn artifacts(&self, member: &Member, active: &ActiveAttempt) -> Result<Vec<Artifact>, ClusterError> {
        let settings = &self.settings;
        let (mut entries, more) = match member.cluster.outputs(&active.attempt.tag, settings.artifact_files).await {
            Ok(found) => found,
            // There is no folder, as when the program never started.
            Err(ClusterError::Refused(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let folder = self.inbox.artifacts(active.task, active.attempt.number);
        let failed = |error: std::io::Error| ClusterError::Refused(format!("artifacts cannot be kept: {error}"));
        tokio::fs::create_dir_all(&folder).await.map_err(failed)?;
        let (mut all, mut total) = (Vec::new(), 0_u64);
        for entry in entries {
            let mut artifact = Artifact { path: entry.path.clone(), size_bytes: entry.size, sha256: None, note: None };
            let refusal = match () {
                () if !is_inner_path(&entry.path) => {
                    artifact.path = entry.path.escape_debug().to_string();
                    Some("its name cannot be asked for")
                }
                () if entry.size > settings.artifact_file_bytes => Some("larger than a file may be"),
                () if total + entry.size > settings.artifact_bytes => {
                    Some("the room for files of an attempt is used up")
                }
                () => entry.kind.refusal(),
            };
            match refusal {
                Some(refusal) => artifact.note = Some(refusal.to_owned()),
                None => {
                    let to = folder.join(copy_name(&entry.path));
                    match member.cluster.fetch(&active.attempt.tag, &entry.path, entry.size, &to).await {
                        Ok(()) => {
                            total += entry.size;
                            artifact.sha256 = Some(hash(to).await.map_err(failed)?);
                        }
                        Err(ClusterError::Refused(reason)) => artifact.note = Some(reason),
                        Err(error) => return Err(error),
                    }
                }
            }
            all.push(artifact);
        }
        if more {
            let note = Some(format!("there are more than {} files; the others were left", settings.artifact_files));
            all.push(Artifact { path: "…".to_owned(), size_bytes: 0, sha256: None, note });
        }
        Ok(all)
    }

    /// Closes the run at the tracking server, or finds the one that the program recorded in its output.
    async fn end_run(
        &self,
        member: &Member,
        config: &str,
        active: &ActiveAttempt,
        run: &Option<String>,
        outcome: State,
        artifacts: &[Artifact],
    ) -> Facts {
        let Ok(config) = TaskConfig::parse(config.as_bytes()) else { return Facts::default() };
        let uri = config.tracking_uri.as_ref().or(member.tracking_uri.as_ref());
        let Some(tracking) = uri.map(|uri| Tracking::parse(uri)) else { return Facts::default() };
        match (tracking, run.clone()) {
            (Tracking::Server(server), Some(run)) if self.may_ask(member, &server) => {
                let now = active.now.0 / 1000;
                let closed = tokio::task::spawn_blocking(move || mlflow::close_run(&server, &run, outcome, now)).await;
                if let Ok(Err(error)) = closed {
                    tracing::warn!(task.id = %active.task, "an MLflow run stays open: {error}");
                }
                Facts::default()
            }
            // It was away when the run was to be made; whoever looks for the run learns why there is none.
            (Tracking::Server(server), None)
                if config.mode == ExecutionMode::Mlflow
                    && self.may_ask(member, &server)
                    && outcome == State::Succeeded =>
            {
                let reason = "MLflow could not be asked for a run; the task ran without one of its own".to_owned();
                Facts { reason: Some(reason), ..Facts::default() }
            }
            (Tracking::Folder(folder), None) => {
                let paths = artifacts.iter().map(|artifact| artifact.path.as_str());
                Facts { run_id: mlflow::run_in_folder(&folder, paths), ..Facts::default() }
            }
            _ => Facts::default(),
        }
    }
}

async fn hash(path: PathBuf) -> std::io::Result<String> {
    let hash = move |path: &Path| {
        let mut hash = Sha256::new();
        let mut file = std::fs::File::open(path)?;
        let mut piece = vec![0; 256 << 10];
        loop {
            match std::io::Read::read(&mut file, &mut piece)? {
                0 => return Ok(hex::encode(hash.finalize())),
                read => hash.update(&piece[..read]),
            }
        }
    };
    tokio::task::spawn_blocking(move || hash(&path)).await.map_err(std::io::Error::other)?
}
