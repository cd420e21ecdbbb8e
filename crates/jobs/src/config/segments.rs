//! What earlier conversions can lend to the next one: for each input file, where its rows were written.
//!
//! Remembered under the input's content, reader and parameters. Whether the schema fits too is for the engine to see.

use std::collections::{HashMap, HashSet};

use belvedere_domain::data_files::ResolvedConfig;
use belvedere_domain::view::DigestBuilder;
use belvedere_engine::call::{Converted, Segment};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};

use crate::content::Written;
use crate::job::{JobContext, JobError};

/// Inputs of more files than this are not looked up: the look-up would cost as much as it saves.
const MAX_FILES: usize = 20_000;
/// Files looked for at the same time; in distant places each look is a request.
const LOOKS_AT_A_TIME: usize = 16;

/// SHA-256 of each input file whose rows may be copied, by path; files that are not hashed yet have none, and neither have
/// tables that describe media: their rows name the revision, and cost nothing to make again.
pub(crate) async fn content_ids(
    ctx: &JobContext,
    resolved: &ResolvedConfig,
) -> Result<HashMap<String, String>, JobError> {
    let manifest = ctx.manifest().await?;
    let id = |path: &str| {
        let entry = manifest.get(path).filter(|entry| entry.is_hashed())?;
        Some((path.to_owned(), entry.content_id.clone()))
    };
    let of_media = resolved.reader.folder().is_some();
    let copied = |path: &&str| !of_media || path.to_ascii_lowercase().ends_with(".zip");
    Ok(resolved.opened_paths().filter(copied).take(MAX_FILES).filter_map(id).collect())
}

/// The segments remembered for the inputs of a config whose Parquet files are still there.
pub(crate) async fn known(
    ctx: &JobContext,
    resolved: &ResolvedConfig,
    content_ids: &HashMap<String, String>,
) -> Result<Vec<Segment>, JobError> {
    let keys: Vec<String> = content_ids.values().map(|id| input_key(resolved, id)).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let services = &ctx.services;
    let remembered = services.store.snapshots.segments(&keys).await?;
    let mut segments = Vec::new();
    for text in remembered.into_values() {
        // Written by another version: worth nothing, and no reason to fail.
        let Ok(found) = serde_json::from_str::<Vec<Segment>>(&text) else { continue };
        segments.extend(found);
    }
    // Many segments share a file.
    let keys: HashSet<String> = segments.iter().map(|segment| segment.file.path.clone()).collect();
    let look = |key: String| {
        let blobs = services.blobs.clone();
        async move { blobs.head(&key).await.map(|head| head.map(|_| key)) }.boxed()
    };
    let looks: Vec<BoxFuture<'static, _>> = keys.into_iter().map(look).collect();
    let found: Vec<Option<String>> = stream::iter(looks).buffer_unordered(LOOKS_AT_A_TIME).try_collect().await?;
    let kept: HashSet<String> = found.into_iter().flatten().collect();
    segments.retain_mut(|segment| {
        let path = services.blobs.local_path(&segment.file.path).filter(|_| kept.contains(&segment.file.path));
        path.map(|path| segment.file.local_path = path).is_some()
    });
    Ok(segments)
}

/// Remembers the segments of a conversion whose files are in the store now.
pub(crate) async fn remember(
    ctx: &JobContext,
    resolved: &ResolvedConfig,
    converted: &Converted,
    written: &[Written],
    scratch: &std::path::Path,
) -> Result<(), JobError> {
    let keys: HashMap<_, _> = written.iter().map(|file| (file.from.clone(), file.key.clone())).collect();
    let mut by_input: HashMap<String, Vec<Segment>> = HashMap::new();
    for segment in &converted.segments {
        let Some(key) = keys.get(&scratch.join(&segment.file.local_path)) else { continue };
        let mut segment = segment.clone();
        segment.file.path.clone_from(key);
        by_input.entry(input_key(resolved, &segment.content_id)).or_default().push(segment);
    }
    let rows = by_input
        .into_iter()
        .map(|(key, segments)| (key, serde_json::to_string(&segments).expect("segments are plain values")))
        .collect();
    Ok(ctx.services.store.snapshots.put_segments(rows).await?)
}

fn input_key(resolved: &ResolvedConfig, content_id: &str) -> String {
    let parameters = serde_json::to_vec(&resolved.parameters).expect("parameters are plain values");
    DigestBuilder::new("segment", 1)
        .part("content", content_id)
        .part("reader", resolved.reader.as_str())
        .part("parameters", parameters)
        .finish()
        .to_hex()
}
