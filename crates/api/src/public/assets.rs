//! `/assets/…` and `/cached-assets/…`: the media files behind cells.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, Revision, SplitName, StepName};
use belvedere_jobs::files::asset_key;
use belvedere_jobs::heal;
use belvedere_store::Found;
use percent_encoding::percent_decode_str;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::split::{self, Opened};
use super::{distant, miss, rows};
use crate::auth::reading;
use crate::error::ApiError;
use crate::headers::not_found;
use crate::state::ApiState;

/// `<dataset>/--/<revision>/--/<config>/<split>/<row>/<column>/<file>`, decoded but for the last three.
struct AssetPath {
    dataset: DatasetName,
    revision: Revision,
    config: ConfigName,
    split: SplitName,
    row: u64,
    /// `<row>/<column>/<file>` as in the URL, which is also how files are named.
    file: String,
}

/// A file that a job made: found through the view that points to it.
pub(crate) async fn get(State(state): State<Arc<ApiState>>, request: Request) -> Response {
    let Some(path) = AssetPath::parse(request.uri().path(), "/assets/") else { return not_found().await };
    if let Err(error) = reading::file(&state, &path.dataset, request.uri(), request.headers()).await {
        return error.keep(state.settings.max_age_short).into_response();
    }
    let step = StepName::known("split-first-rows");
    let key = ArtifactKey::split(step, path.dataset, path.config, path.split);
    let found = state.services.store.views.at_revision(&[key], &path.revision).await;
    let found = match found {
        Ok(found) => found.into_iter().flatten().next(),
        Err(error) => return ApiError::from(error).into_response(),
    };
    let Some(found) = found else { return not_found().await };
    let response = stored(&state, &found, &path.file, request).await;
    if response.status() != StatusCode::NOT_FOUND {
        return response;
    }
    // Either nobody ever named it, or it was lost.
    match heal::asset(&state.services, &found, &path.file).await {
        Ok(loss) => miss::of_loss(loss, &found.revision).map_or(response, IntoResponse::into_response),
        Err(error) => ApiError::from(error).into_response(),
    }
}

/// A file of a view, from where such files are kept.
async fn stored(state: &ApiState, found: &Found, path: &str, request: Request) -> Response {
    let (place, key) = (state.services.files.assets(), asset_key(&found.stored.digest, path));
    if !place.is_folder() {
        return match distant::send(state, place, &key, None, request.headers()).await {
            Ok(mut response) => {
                if let Some(kind) = mime_of(path) {
                    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                }
                dress(response)
            }
            Err(error) => ApiError::from(error).into_response(),
        };
    }
    match place.local_path(&key) {
        Some(file) => serve(file, request).await,
        None => not_found().await,
    }
}

/// A file that was made while answering. Another server may have made it, or it may have been removed; then it is made
/// once more, by reading the row of its cell.
pub(crate) async fn cached(State(state): State<Arc<ApiState>>, request: Request) -> Response {
    let Some(path) = AssetPath::parse(request.uri().path(), "/cached-assets/") else { return not_found().await };
    if let Err(error) = reading::file(&state, &path.dataset, request.uri(), request.headers()).await {
        return error.keep(state.settings.max_age_short).into_response();
    }
    // What was made for a dataset or a revision that is gone is gone too.
    match state.services.is_kept(&path.dataset, &path.revision).await {
        Ok(true) => {}
        Ok(false) => return not_found().await,
        Err(error) => return ApiError::from(error).into_response(),
    }
    let directory = belvedere_jobs::files::asset_directory(
        &path.dataset,
        path.revision.as_str(),
        Some(&path.config),
        Some(&path.split),
    );
    let file = state.settings.cached_assets.join(directory).join(&path.file);
    if !file.is_file()
        && let Err(error) = make(&state, &path, request.headers()).await
    {
        return error.into_response();
    }
    serve(file, request).await
}

/// Reads the row, which writes the media files of its cells; there may be none of that name.
async fn make(state: &ApiState, path: &AssetPath, headers: &HeaderMap) -> Result<(), ApiError> {
    // Whoever came here may read, maybe by a signed link.
    let (dataset, config, split) = (path.dataset.clone(), path.config.clone(), path.split.clone());
    let found = split::find_for_anybody(state, dataset, config, split, Some(&path.revision), headers).await?;
    if let Opened::Split(split) = found {
        rows::page(state, &split, path.row, 1).await?;
    }
    Ok(())
}

async fn serve(file: std::path::PathBuf, request: Request) -> Response {
    dress(ServeFile::new(file).oneshot(request).await.into_response())
}

/// What the name of a media file says; none for what a browser would take for a page.
pub(super) fn mime_of(file: &str) -> Option<&'static str> {
    let (_, extension) = file.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" | "jpe" | "jfif" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "bmp" => "image/bmp",
        "ico" => "image/x-icon",
        "avif" => "image/avif",
        "tif" | "tiff" => "image/tiff",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "flac" => "audio/flac",
        "ogg" | "opus" => "audio/ogg",
        "m4a" => "audio/mp4",
        "aac" => "audio/aac",
        "aiff" | "aif" => "audio/aiff",
        "mp4" | "m4v" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/quicktime",
        "mkv" => "video/x-matroska",
        "avi" => "video/x-msvideo",
        "mpeg" | "mpg" => "video/mpeg",
        "pdf" => "application/pdf",
        _ => return None,
    })
}

/// The headers of all media.
fn dress(mut response: Response) -> Response {
    let headers = response.headers_mut();
    // Media come from anybody's data: never to be taken for a page of ours.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    if response.status() == StatusCode::FOUND {
        // The link is good for a while only.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if response.status().is_success() {
        let forever = HeaderValue::from_static("max-age=31536000, immutable");
        response.headers_mut().insert(header::CACHE_CONTROL, forever);
    }
    response
}

impl AssetPath {
    fn parse(path: &str, prefix: &str) -> Option<Self> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned).ok();
        let (dataset, rest) = path.strip_prefix(prefix)?.split_once("/--/")?;
        let (revision, rest) = rest.split_once("/--/")?;
        let segments: Vec<&str> = rest.split('/').collect();
        let [config, split, row, column @ .., file] = segments.as_slice() else { return None };
        if column.is_empty() || segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return None;
        }
        Some(Self {
            row: row.parse().ok()?,
            dataset: DatasetName::new(decode(dataset)?).ok()?,
            revision: Revision::new(decode(revision)?).ok()?,
            config: ConfigName::new(decode(config)?).ok()?,
            split: SplitName::new(decode(split)?).ok()?,
            file: format!("{row}/{}/{file}", column.join("/")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_leave_their_folder() {
        let parse = |path: &str| AssetPath::parse(path, "/assets/").map(|path| path.file);
        assert_eq!(parse("/assets/a/b/--/sha/--/default/train/0/photo/image.jpg"), Some("0/photo/image.jpg".into()));
        assert_eq!(parse("/assets/a/b/--/sha/--/default/train/0/a/b/image.jpg"), Some("0/a/b/image.jpg".into()));
        for bad in [
            "/assets/a/b/--/sha/--/default/train/0/../image.jpg",
            "/assets/a/b/--/sha/--/default/train/x/photo/image.jpg",
            "/assets/a/b/--/sha/--/default/train/0/image.jpg",
            "/assets/../b/--/sha/--/default/train/0/photo/image.jpg",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
