//! `/datasets/<dataset>/resolve/<revision>/<path>`: files as the Hub serves them, with ranges.
//!
//! On the conversion branch these are the Parquet and DuckDB files of the served revision, ours or the dataset's own; on
//! any other revision, the files of the dataset.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use belvedere_domain::parquet_path::ParquetPath;
use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, ErrorCode, Revision, SplitName, StepName};
use belvedere_jobs::JobError;
use belvedere_jobs::content::FileBehind;
use belvedere_jobs::files::ServedFile;
use belvedere_jobs::heal;
use percent_encoding::percent_decode_str;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::{assets, distant, miss};
use crate::auth::reading;
use crate::error::ApiError;
use crate::headers::{is_known, max_age, not_modified, set};
use crate::state::ApiState;

pub(crate) async fn get(State(state): State<Arc<ApiState>>, request: Request) -> Response {
    let short = state.settings.max_age_short;
    answer(&state, request).await.unwrap_or_else(|error| error.keep(short).into_response())
}

async fn answer(state: &ApiState, mut request: Request) -> Result<Response, ApiError> {
    let settings = &state.services.settings;
    let (parquet, duckdb) = (&settings.parquet.target_revision, &settings.duckdb_index.target_revision);
    let (dataset, revision, path) = parse(request.uri().path(), &[parquet, duckdb]).ok_or_else(miss::not_found)?;
    let dataset = match DatasetName::new(&dataset) {
        Ok(name) if reading::is_signed(state, request.uri()).await? => name,
        _ => reading::readable(state, &dataset, request.headers()).await?,
    };
    let (file, revision, maker) = if revision == *duckdb && path.ends_with(".duckdb") {
        index(state, &dataset, &path).await?
    } else if revision == *parquet {
        converted(state, &dataset, &path).await?
    } else {
        original(state, &dataset, &revision, &path).await?
    };
    let etag = format!("\"{}\"", file.content_id);
    let known = is_known(request.headers(), &etag);
    judge_conditions(request.headers_mut(), &etag);
    let mut response = match &file.distant {
        Some((key, size)) if !known => {
            // Once sending has begun, or has been left to the other place, nobody here learns that it is gone. Parts of a
            // file are asked for after a look at the whole.
            let is_first = !request.headers().contains_key(header::RANGE);
            if is_first
                && state.services.blobs.head(key).await.map_err(|error| ApiError::from(error).at(&revision))?.is_none()
            {
                return Err(missing(state, maker, &file, &revision).await);
            }
            let sent = distant::send(state, &state.services.blobs, key, Some(*size), request.headers()).await;
            sent.map_err(|error| ApiError::from(error).at(&revision))?
        }
        Some(_) => Response::default(),
        None => ServeFile::new(&file.local_path).oneshot(request).await.into_response(),
    };
    if response.status() == StatusCode::FOUND {
        // The link is good for a while only, and says itself what it leads to.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return Ok(response);
    }
    if response.status() == StatusCode::NOT_FOUND {
        return Err(missing(state, maker, &file, &revision).await);
    }
    let headers = response.headers_mut();
    for (name, value) in
        [("etag", etag.as_str()), ("x-revision", revision.as_str()), ("x-repo-commit", revision.as_str())]
    {
        set(headers, name, value);
    }
    headers.insert(header::CACHE_CONTROL, max_age(state.settings.max_age_short));
    headers.remove(header::LAST_MODIFIED);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    // A file of a dataset is data, whatever its name says: media at most, and never a page.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(&path)));
    Ok(if known && response.status().is_success() { not_modified(response) } else { response })
}

/// What to say when a file is not there that the list of files names: it was there a moment ago, or is lost and made again.
async fn missing(state: &ApiState, maker: Option<ArtifactKey>, file: &ServedFile, revision: &Revision) -> ApiError {
    if let Some(maker) = maker {
        match heal::files(&state.services, &maker, revision).await {
            Ok(loss) => {
                if let Some(error) = miss::of_loss(loss, revision) {
                    return error;
                }
            }
            Err(error) => return ApiError::from(error).at(revision),
        }
    }
    let missing = std::io::Error::new(std::io::ErrorKind::NotFound, file.local_path.display().to_string());
    ApiError::internal(&missing).at(revision)
}

/// Leaves no condition to the file server, which goes by times: an older file may well be another one. The rest of a
/// file that has changed since its beginning was fetched is sent whole.
fn judge_conditions(headers: &mut HeaderMap, etag: &str) {
    if headers.get(header::IF_RANGE).is_some_and(|tag| tag != etag) {
        headers.remove(header::RANGE);
    }
    for name in [
        header::IF_RANGE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
    ] {
        headers.remove(name);
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("parquet") => "application/vnd.apache.parquet",
        Some("json") => "application/json",
        Some("csv" | "tsv" | "txt" | "md" | "jsonl" | "yaml") => "text/plain; charset=utf-8",
        _ => assets::mime_of(path).unwrap_or("application/octet-stream"),
    }
}

/// A file, its revision, and for one that we made what it was made as.
type Located = (ServedFile, Revision, Option<ArtifactKey>);

/// A file of the conversion branch, at the revision that readers see.
async fn converted(state: &ApiState, dataset: &DatasetName, path: &str) -> Result<Located, ApiError> {
    let place = ParquetPath::parse(path).ok_or_else(miss::not_found)?;
    let key = ArtifactKey::config(StepName::known("config-parquet-and-info"), dataset.clone(), place.config);
    made(state, key, path).await
}

/// The DuckDB file of a split, at the revision that readers see.
async fn index(state: &ApiState, dataset: &DatasetName, path: &str) -> Result<Located, ApiError> {
    let mut segments = path.split('/');
    let (Some(config), Some(directory)) = (segments.next(), segments.next()) else { return Err(miss::not_found()) };
    let split = directory.strip_prefix("partial-").unwrap_or(directory);
    let (Ok(config), Ok(split)) = (ConfigName::new(config), SplitName::new(split)) else {
        return Err(miss::not_found());
    };
    let step = StepName::known("split-duckdb-index");
    let key = ArtifactKey { step, dataset: dataset.clone(), config: Some(config), split: Some(split) };
    made(state, key, path).await
}

/// A file that a view lists, by its path on the branch.
async fn made(state: &ApiState, key: ArtifactKey, path: &str) -> Result<Located, ApiError> {
    let dataset = &key.dataset;
    let found = state.services.store.views.read(&key, None, state.settings.patience_seconds).await?;
    let Some(found) = found else { return Err(miss::decide(state, &key, None).await?) };
    let behind: Option<Vec<FileBehind>> = found.stored.view.internal.parse().ok().flatten();
    let behind = behind.unwrap_or_default().into_iter().find(|file| file.path == path).ok_or_else(miss::not_found)?;
    match state.services.files.served(dataset, &found.revision, &behind).await {
        Ok(file) => Ok((file, found.revision, Some(key))),
        Err(error) => {
            if matches!(error, JobError::RevisionGone) {
                state.refresher.lost(dataset, &found.revision).await?;
            }
            Err(gone(error, &found.revision))
        }
    }
}

/// A file of the dataset itself. `main` is the revision that readers see.
async fn original(state: &ApiState, dataset: &DatasetName, revision: &str, path: &str) -> Result<Located, ApiError> {
    let row = state.services.store.datasets.get(dataset).await?.ok_or_else(miss::not_found)?;
    let revision = match revision {
        "main" | "refs/heads/main" => row.served.unwrap_or(row.target),
        other => Revision::new(other).map_err(|_| miss::not_found())?,
    };
    match state.services.files.original(dataset, &revision, path).await {
        Ok(Some(file)) => Ok((file, revision, None)),
        Ok(None) => Err(miss::not_found()),
        Err(error) => {
            if matches!(error, JobError::RevisionGone) {
                // Only looked at: what was converted from the file stays readable.
                state.services.files.changed(dataset).await;
            }
            Err(gone(error, &revision))
        }
    }
}

fn gone(error: JobError, revision: &Revision) -> ApiError {
    match error {
        JobError::RevisionGone => {
            let text = format!("The files of revision {revision} have changed since it was read.");
            ApiError::new(ErrorCode::RevisionGone, text).at(revision)
        }
        other => ApiError::internal(&other),
    }
}

/// Dataset, revision and path of a raw URL path. A branch is accepted with and without its slashes encoded.
fn parse(path: &str, branches: &[&String]) -> Option<(String, String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned).ok();
    let (dataset, rest) = path.strip_prefix("/datasets/")?.split_once("/resolve/")?;
    let on = |branch: &String| Some((branch.clone(), rest.strip_prefix(branch.as_str())?.strip_prefix('/')?));
    let (revision, file) = match branches.iter().find_map(|branch| on(branch)) {
        Some(found) => found,
        None => {
            let (revision, file) = rest.split_once('/')?;
            (decode(revision)?, file)
        }
    };
    Some((decode(dataset)?, revision, decode(file)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branch_may_be_encoded_or_not() {
        let branch = "refs/convert/parquet".to_owned();
        let expected =
            Some(("a/b".to_owned(), "refs/convert/parquet".to_owned(), "default/train/0000.parquet".to_owned()));
        for path in [
            "/datasets/a/b/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet",
            "/datasets/a/b/resolve/refs/convert/parquet/default/train/0000.parquet",
        ] {
            assert_eq!(parse(path, &[&branch]), expected);
        }
        assert_eq!(parse("/datasets/a/b/tree/main", &[&branch]), None);
    }
}
