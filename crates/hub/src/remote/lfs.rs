//! Large files sent to a Hub: it tells which contents it lacks and where each goes, in one piece or in parts.

use std::path::{Path, PathBuf};

use belvedere_domain::DatasetName;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use ureq::http::Method;

use super::address::redirected;
use super::http::{Call, Client, Credentials, HttpError, Payload};
use super::publish::Published;

const TYPE: &str = "application/vnd.git-lfs+json";

#[derive(Deserialize)]
struct Batch {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    #[serde(default)]
    actions: Option<Actions>,
    error: Option<Refusal>,
}

#[derive(Deserialize, Default)]
struct Actions {
    upload: Option<Action>,
    verify: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: Map<String, Json>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// Sends the contents that the Hub lacks.
pub(super) async fn upload(
    client: &Client,
    dataset: &DatasetName,
    branch: &str,
    files: &[(&Published, PathBuf)],
) -> Result<(), HttpError> {
    if files.is_empty() {
        return Ok(());
    }
    let objects: Vec<Json> = files.iter().map(|(file, _)| json!({"oid": file.sha256, "size": file.size})).collect();
    let body = json!({
        "operation": "upload",
        "transfers": ["basic", "multipart"],
        "objects": objects,
        "hash_algo": "sha256",
        "ref": {"name": branch},
    });
    let url = client.endpoint().at(&format!("/datasets/{dataset}.git/info/lfs/objects/batch"));
    let call = Call::post(url, TYPE, body.to_string()).with("accept", TYPE);
    let (_, batch): (_, Batch) = client.json(call, client.patient()).await?;
    for object in batch.objects {
        let Some((file, from)) = files.iter().find(|(file, _)| file.sha256 == object.oid) else { continue };
        if let Some(refusal) = object.error {
            return Err(HttpError::Unexpected(format!("the Hub does not take {}: {}", file.path, refusal.message)));
        }
        let actions = object.actions.unwrap_or_default();
        if let Some(action) = &actions.upload {
            send(client, file, from, action).await?;
        }
        if let Some(action) = &actions.verify {
            let body = json!({"oid": file.sha256, "size": file.size}).to_string();
            let call = Call::post(absolute(client, &action.href)?, TYPE, body).with("accept", TYPE);
            client.fetch(call, client.patient()).await?;
        }
    }
    Ok(())
}

async fn send(client: &Client, file: &Published, from: &Path, action: &Action) -> Result<(), HttpError> {
    let url = absolute(client, &action.href)?;
    let Some(chunk) = action.header.get("chunk_size") else {
        put(client, url, from, 0..file.size).await?;
        return Ok(());
    };
    let chunk: u64 = chunk.as_str().and_then(|text| text.parse().ok()).or(chunk.as_u64()).unwrap_or_default();
    let mut parts: Vec<(u32, &str)> = Vec::new();
    for (key, value) in &action.header {
        if let (Ok(number), Some(address)) = (key.parse(), value.as_str()) {
            parts.push((number, address));
        }
    }
    parts.sort_unstable();
    if chunk == 0 || parts.len() as u64 != file.size.div_ceil(chunk) {
        return Err(HttpError::Unexpected(format!("parts that do not make up {}", file.path)));
    }
    let mut done = Vec::with_capacity(parts.len());
    for (at, (number, address)) in parts.into_iter().enumerate() {
        let start = at as u64 * chunk;
        let tag = put(client, absolute(client, address)?, from, start..file.size.min(start + chunk)).await?;
        let tag = tag.ok_or_else(|| HttpError::Unexpected("a part without a tag".to_owned()))?;
        done.push(json!({"partNumber": number, "etag": tag}));
    }
    let body = json!({"oid": file.sha256, "parts": done}).to_string();
    let call = Call { credentials: Credentials::None, ..Call::post(url, TYPE, body) };
    client.fetch(call.with("accept", TYPE), client.patient()).await?;
    Ok(())
}

/// Sends part of a file; the tag of what came there. The address carries its own proof.
async fn put(
    client: &Client,
    url: String,
    from: &Path,
    range: std::ops::Range<u64>,
) -> Result<Option<String>, HttpError> {
    let payload = Payload::File(from.to_owned(), range);
    let call = Call { method: Method::PUT, url, headers: Vec::new(), payload, credentials: Credentials::None };
    let (headers, _) = client.fetch(call, client.patient()).await?;
    Ok(headers.get("etag").and_then(|value| value.to_str().ok()).map(str::to_owned))
}

/// An address as the Hub gave it, which may be one of its own without its host.
fn absolute(client: &Client, href: &str) -> Result<String, HttpError> {
    redirected(client.endpoint().as_str(), href).map_err(|error| HttpError::Refused(Box::new(error)))
}
