//! `config-parquet-layout`: private copies of those of the config's own Parquet files whose layout makes pages of rows
//! slow. Queries read a copy in place of its original ([`Files`](crate::files::Files)); it is never listed or sent.
//!
//! Copies belong to the view under whose digest they lie. What was copied before, of the same content, is linked.
//! All copies together stay within a bound; where there is no room, nothing is stored, and a later look tries again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use belvedere_domain::view::DigestBuilder;
use belvedere_domain::{ErrorCode, Step, View};
use belvedere_engine::call::{Footers, Relaid, Relayout};
use belvedere_engine::source::SourceFile;
use belvedere_engine::{Call, ErrorKind, Reply};
use belvedere_store::blobs::segment;
use serde::{Deserialize, Serialize};

use super::parquet_and_info::LAYOUT;
use super::sibling;
use crate::call::CallError;
use crate::content::{ConfigParquetMetadata, FileBehind, LaidOutFile, LayoutCopy, ParquetLayout, Place, Written};
use crate::job::{Job, JobContext, JobError, Ready};

const STEP: Step = Step::config(PARQUET_LAYOUT)
    .triggered_by(&["config-parquet-metadata"])
    .version(1)
    .difficulty(70)
    .heavy()
    .background();

/// Name of the step.
pub(crate) const PARQUET_LAYOUT: &str = "config-parquet-layout";
/// First segment of the keys of copies; the digest of their view follows.
pub(crate) const COPIES: &str = "layouts";

/// Part of the longest duration of a job after which the rest is left to its next run.
const SHARE_OF_A_RUN: f64 = 0.25;

pub(crate) struct ParquetLayoutJob;

#[async_trait]
impl Job for ParquetLayoutJob {
    fn step(&self) -> &'static Step {
        &STEP
    }

    async fn run(&self, ctx: &mut JobContext) -> Result<Ready, JobError> {
        let parent = sibling::<ConfigParquetMetadata>(ctx, "config-parquet-metadata").await?;
        ctx.input("layout", &LAYOUT);
        let originals = originals(&parent.found.stored.view)?;
        if originals.is_empty() {
            return Ok(view(Vec::new(), Vec::new()));
        }
        let max_bytes = ctx.services.settings.parquet.copies_max_bytes;
        if max_bytes == 0 {
            return Err(JobError::Nothing("copies of Parquet files are switched off".into()));
        }
        if are_there(ctx).await?
            && let Some(reused) = ctx.reuse().await?
        {
            return Ok(reused);
        }
        if !ctx.are_hashed(paths(&originals)).await? {
            return Err(JobError::Postpone { seconds: 2.0, reason: "large files are still being hashed" });
        }
        Copying::new(ctx, max_bytes).run(&originals).await
    }
}

/// A file of the dataset that a config lists.
struct Original {
    /// On the conversion branch.
    listed: String,
    /// In the dataset.
    path: String,
    content_id: String,
    size: u64,
    num_rows: u64,
}

fn originals(metadata: &View) -> Result<Vec<Original>, JobError> {
    let behind: Option<Vec<FileBehind>> = metadata
        .internal
        .parse()
        .map_err(|_| JobError::fail(ErrorCode::PreviousStepFormatError, "the list of stored files cannot be read"))?;
    let original = |file: FileBehind| match file.place {
        Place::Blob(_) => None,
        Place::Source { path, content_id } => {
            Some(Original { listed: file.path, path, content_id, size: file.size, num_rows: file.num_rows })
        }
    };
    Ok(behind.unwrap_or_default().into_iter().filter_map(original).collect())
}

fn paths(originals: &[Original]) -> Vec<&str> {
    originals.iter().map(|original| original.path.as_str()).collect()
}

fn view(files: Vec<LaidOutFile>, copies: Vec<LayoutCopy>) -> Ready {
    View::ok(&ParquetLayout { files }).with_internal(&copies).into()
}

/// False when a view of these inputs is stored, but copies of it were removed since.
async fn are_there(ctx: &JobContext) -> Result<bool, JobError> {
    let Some(stored) = ctx.services.store.views.by_digest(&ctx.digest()).await? else { return Ok(true) };
    let copies: Option<Vec<LayoutCopy>> = stored.view.internal.parse().ok();
    for copy in copies.iter().flatten() {
        if !is_kept(ctx, &copy.key).await? {
            return Ok(false);
        }
    }
    Ok(copies.is_some())
}

async fn is_kept(ctx: &JobContext, key: &str) -> Result<bool, JobError> {
    Ok(ctx.services.blobs.head(key).await?.is_some())
}

/// What became of some content, remembered under [`memory_key`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// A copy lies here.
    Copied { key: String, size: u64 },
    /// There is no use in a copy, or no way to one.
    Left(String),
}

fn memory_key(content_id: &str) -> String {
    DigestBuilder::new("parquet-copy", LAYOUT).part("content", content_id).finish().to_hex()
}

/// One run over the files of a config.
struct Copying<'a> {
    ctx: &'a JobContext,
    max_bytes: u64,
    until: Instant,
}

impl<'a> Copying<'a> {
    fn new(ctx: &'a JobContext, max_bytes: u64) -> Self {
        let seconds = ctx.services.settings.worker.max_job_duration_seconds.clamp(1.0, 1e6) * SHARE_OF_A_RUN;
        Self { ctx, max_bytes, until: Instant::now() + Duration::from_secs_f64(seconds) }
    }

    async fn run(&self, originals: &[Original]) -> Result<Ready, JobError> {
        let mut outcomes = self.known(originals).await?;
        let poor = self.poor(originals).await?;
        let missing = |original: &&Original| !outcomes.contains_key(&original.content_id);
        let needed: u64 = poor.iter().map(|(original, _)| *original).filter(missing).map(|file| file.size).sum();
        if needed > self.room().await? {
            tracing::info!(needed_bytes = needed, "no room for copies of Parquet files in a better layout");
            return Err(JobError::Nothing("there is no room for copies of the Parquet files".into()));
        }
        for (original, source) in &poor {
            if outcomes.contains_key(&original.content_id) {
                continue;
            }
            if Instant::now() > self.until {
                return Err(JobError::Postpone { seconds: 0.0, reason: "the rest of the files is for the next run" });
            }
            let outcome = self.copy(original, source).await?;
            outcomes.insert(original.content_id.clone(), outcome);
        }
        let (mut files, mut copies) = (Vec::new(), Vec::new());
        for (original, _) in &poor {
            let (copy, left) = match &outcomes[&original.content_id] {
                Outcome::Left(reason) => (None, Some(reason.clone())),
                Outcome::Copied { key, size } => {
                    copies.push(LayoutCopy {
                        path: original.listed.clone(),
                        content_id: original.content_id.clone(),
                        key: key.clone(),
                        size: *size,
                    });
                    (Some(*size), None)
                }
            };
            files.push(LaidOutFile { path: original.listed.clone(), size: original.size, copy, left });
        }
        Ok(view(files, copies))
    }

    /// Bytes that copies may still take.
    async fn room(&self) -> Result<u64, JobError> {
        Ok(self.max_bytes.saturating_sub(self.ctx.services.blobs.usage(COPIES).await?))
    }

    /// Where the copy of some content lies while this view is stored.
    fn key(&self, content_id: &str) -> String {
        format!("{COPIES}/{}/{}.parquet", self.ctx.digest().to_hex(), segment(content_id))
    }

    /// What is known of these contents from other runs, with their copies linked to this view.
    async fn known(&self, originals: &[Original]) -> Result<HashMap<String, Outcome>, JobError> {
        let services = &self.ctx.services;
        let ids: HashMap<String, &str> =
            originals.iter().map(|file| (memory_key(&file.content_id), file.content_id.as_str())).collect();
        let keys: Vec<String> = ids.keys().cloned().collect();
        let mut known = HashMap::new();
        for (memory, text) in services.store.snapshots.segments(&keys).await? {
            // Written by another version: worth nothing, and no reason to fail.
            let Ok(outcome) = serde_json::from_str::<Outcome>(&text) else { continue };
            let Some(&content_id) = ids.get(&memory) else { continue };
            let outcome = match outcome {
                Outcome::Copied { key, size } => {
                    let own = self.key(content_id);
                    if key != own && !services.blobs.link(&key, &own).await? || !is_kept(self.ctx, &own).await? {
                        continue;
                    }
                    let outcome = Outcome::Copied { key: own, size };
                    self.remember(content_id, &outcome).await?;
                    outcome
                }
                left => left,
            };
            known.insert(content_id.to_owned(), outcome);
        }
        Ok(known)
    }

    /// The files whose layout is poor.
    async fn poor<'o>(&self, originals: &'o [Original]) -> Result<Vec<(&'o Original, SourceFile)>, JobError> {
        let files = self.ctx.source_files(paths(originals)).await?;
        let reply = self.ctx.call(Call::Footers(Footers { files: files.clone() })).await?;
        let Reply::Footers(list) = reply else { return Err(unexpected()) };
        let poor: HashMap<String, SourceFile> = files
            .into_iter()
            .zip(list.files)
            .filter(|(_, facts)| facts.poor)
            .map(|(file, _)| (file.path.clone(), file))
            .collect();
        let with_source = |original: &'o Original| Some((original, poor.get(&original.path)?.clone()));
        Ok(originals.iter().filter_map(with_source).collect())
    }

    /// Makes the copy of one file, or finds why there is none.
    async fn copy(&self, original: &Original, source: &SourceFile) -> Result<Outcome, JobError> {
        let scratch = self.ctx.scratch_directory()?;
        let max_bytes = self.room().await?;
        let call = Relayout { file: source.clone(), output: scratch.path().to_owned(), max_bytes };
        let outcome = match self.ctx.call(Call::Relayout(call)).await {
            Ok(Reply::Relayout(Relaid::Written(written))) if written.num_rows == original.num_rows => {
                let key = self.key(&original.content_id);
                let from = scratch.path().join(&written.path);
                self.ctx.keep(&[Written { from, key: key.clone() }]).await?;
                Outcome::Copied { key, size: written.size }
            }
            Ok(Reply::Relayout(Relaid::Written(_))) => return Err(JobError::RevisionGone),
            // Room comes and goes: not remembered.
            Ok(Reply::Relayout(Relaid::TooBig)) => {
                return Ok(Outcome::Left("the copy would take more room than there is".into()));
            }
            Ok(Reply::Relayout(Relaid::Left { reason })) => Outcome::Left(reason),
            Ok(_) => return Err(unexpected()),
            Err(CallError::Engine(error))
                if matches!(error.kind, ErrorKind::Changed | ErrorKind::Io | ErrorKind::NoSpace) =>
            {
                return Err(CallError::Engine(error).into());
            }
            Err(error @ CallError::Start(_)) => return Err(error.into()),
            // The original is served all the same; whoever asks for the bad rows is told.
            Err(error) => {
                tracing::warn!(file = original.path, %error, "a Parquet file cannot be copied into a better layout");
                Outcome::Left(error.to_string())
            }
        };
        self.remember(&original.content_id, &outcome).await?;
        Ok(outcome)
    }

    async fn remember(&self, content_id: &str, outcome: &Outcome) -> Result<(), JobError> {
        let text = serde_json::to_string(outcome).expect("outcomes are plain values");
        Ok(self.ctx.services.store.snapshots.put_segments(vec![(memory_key(content_id), text)]).await?)
    }
}

fn unexpected() -> JobError {
    JobError::fail(ErrorCode::UnexpectedError, "the reader answered another question")
}
