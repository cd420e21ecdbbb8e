//! The split that a request names: its Parquet files, and calls on them. For every endpoint that reads rows.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::Response;
use belvedere_domain::{
    ArtifactKey, ConfigName, DatasetName, Digest, ErrorCode, Features, Recent, Revision, SplitName, StepName,
};
use belvedere_engine::call::{MediaRules, MediaTarget};
use belvedere_engine::{Call, ErrorKind, Reply};
use belvedere_jobs::files::{SplitFiles, media_target, shows_media};
use belvedere_jobs::heal::{self, Loss};
use belvedere_jobs::{CallError, JobError};
use belvedere_store::Found;

use super::{miss, serve};
use crate::auth::reading;
use crate::error::ApiError;
use crate::params::{Params, invalid};
use crate::state::ApiState;

/// Splits whose lists of files are kept parsed.
const KEPT_INDEXES: usize = 256;

/// Parsed lists of files by split and view: a page then costs no parsing.
pub(crate) struct RowsIndexCache(Mutex<Recent<(Digest, Revision, SplitName), Arc<RowsIndex>>>);

impl Default for RowsIndexCache {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(KEPT_INDEXES, u64::MAX)))
    }
}

/// What the rows of a split are read by.
pub(crate) struct RowsIndex {
    /// The files in order.
    pub(crate) files: SplitFiles,
    /// What the rows are shown as; `None`: as the first file tells.
    pub(crate) features: Option<Features>,
}

/// A split of a revision that readers may see.
#[derive(Clone)]
pub(crate) struct Split {
    /// The view that lists its files: dataset, config, revision, digest of what they were made from.
    pub(crate) found: Arc<Found>,
    /// Its name.
    pub(crate) name: SplitName,
}

/// What the parameters `dataset`, `config`, `split` and `revision` lead to.
pub(crate) enum Opened {
    /// A split whose files are known. It may turn out not to exist when its index is asked for.
    Split(Split),
    /// The stored error that stands in place of the files.
    Stored(Response),
}

/// Finds the split that a request names.
///
/// # Errors
/// Missing and bad parameters first, then access, then what is not there or not ready.
pub(crate) async fn open(state: &ApiState, params: &Params, headers: &HeaderMap) -> Result<Opened, ApiError> {
    let (dataset, config, split) = (params.required("dataset")?, params.required("config")?, params.required("split")?);
    let revision = params.revision()?;
    find(state, (dataset, config, split), revision.as_ref(), headers).await
}

/// Finds a split by its names.
///
/// # Errors
/// As [`open`].
pub(crate) async fn find(
    state: &ApiState,
    (dataset, config, split): (&str, &str, &str),
    revision: Option<&Revision>,
    headers: &HeaderMap,
) -> Result<Opened, ApiError> {
    let dataset = reading::readable(state, dataset, headers).await?;
    let (Ok(config), Ok(name)) = (ConfigName::new(config), SplitName::new(split)) else {
        return Err(miss::not_found());
    };
    find_for_anybody(state, dataset, config, name, revision, headers).await
}

/// Finds a split of a dataset that may be read, as was made sure of elsewhere.
///
/// # Errors
/// What is not there or not ready.
pub(crate) async fn find_for_anybody(
    state: &ApiState,
    dataset: DatasetName,
    config: ConfigName,
    name: SplitName,
    revision: Option<&Revision>,
    headers: &HeaderMap,
) -> Result<Opened, ApiError> {
    let key = ArtifactKey::config(StepName::known("config-parquet-metadata"), dataset, config);
    let found = state.services.store.views.read(&key, revision, state.settings.patience_seconds).await?;
    let Some(found) = found else { return Err(miss::decide(state, &key, revision).await?) };
    Ok(match found.stored.view.outcome.is_ok() {
        true => Opened::Split(Split { found: Arc::new(found), name }),
        false => Opened::Stored(serve::view(state, &found, headers)),
    })
}

impl Split {
    /// The revision that is read.
    pub(crate) fn revision(&self) -> &Revision {
        &self.found.revision
    }

    /// A weak entity tag for an answer made from these files; `what` tells apart the answers of one split.
    pub(crate) fn etag(&self, what: &str) -> String {
        format!("W/\"{}-{}-{}-{what}\"", &self.found.stored.digest.to_hex()[..24], self.found.revision, self.name)
    }

    /// Where media of the split go while a request is answered, and how cells refer to them.
    pub(crate) fn media(&self, state: &ApiState) -> MediaTarget {
        let (dataset, config) = (&self.found.key.dataset, self.found.key.config.as_ref());
        let revision = self.found.revision.as_str();
        let directory = belvedere_jobs::files::asset_directory(dataset, revision, config, Some(&self.name));
        let directory = state.settings.cached_assets.join(directory);
        let urls = &state.services.settings.urls;
        media_target(&urls.cached_assets, &urls.hub, dataset, revision, config, Some(&self.name), &directory)
    }

    /// Asks the engine something about the split: in this process if we wrote its files, else in a child. Where the
    /// list of files turns out to be old, it is made anew and the question asked again.
    ///
    /// # Errors
    /// That the split does not exist or its files have changed; what [`failure`] makes of the engine's errors.
    pub(crate) async fn ask(
        &self,
        state: &ApiState,
        limit: Duration,
        question: impl Fn(&RowsIndex) -> Call,
    ) -> Result<(Arc<RowsIndex>, Reply), ApiError> {
        self.ask_or(state, limit, question, |error| failure(error, &self.found.revision)).await
    }

    /// As [`ask`](Self::ask), with other words for what the engine refuses.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(crate) async fn ask_or(
        &self,
        state: &ApiState,
        limit: Duration,
        question: impl Fn(&RowsIndex) -> Call,
        failure: impl FnOnce(CallError) -> ApiError,
    ) -> Result<(Arc<RowsIndex>, Reply), ApiError> {
        for may_be_old in [true, false] {
            let index = self.index(state).await?;
            match self.call(state, limit, &index, &question).await? {
                Ok(reply) => return Ok((index, reply)),
                Err(CallError::Engine(error)) if error.kind == ErrorKind::Changed => {
                    self.forget(state);
                    if !may_be_old {
                        break;
                    }
                }
                Err(error) => return Err(failure(error)),
            }
        }
        self.is_gone(state).await
    }

    /// Carries out a call, with the files of the dataset that its media cells turn out to refer to.
    ///
    /// # Errors
    /// That such files are not what they were. Inside: what the call ends with.
    async fn call(
        &self,
        state: &ApiState,
        limit: Duration,
        index: &RowsIndex,
        question: impl Fn(&RowsIndex) -> Call,
    ) -> Result<Result<Reply, CallError>, ApiError> {
        let services = &state.services;
        let mut call = question(index);
        let rules = MediaRules { strict: state.settings.compat, any_revision: index.files.trusted };
        let is_statistics = matches!(call, Call::Statistics(_));
        let shows_cells = call.media_mut().map(|media| media.rules = rules).is_some();
        // Media are content of others, whoever wrote the file that holds or names them.
        let has_media = index.features.as_ref().is_none_or(shows_media);
        let trusted = index.files.trusted && !(has_media && (shows_cells || is_statistics));
        let caller = if trusted { &services.trusted } else { &services.children };
        let wanted = match caller.call(call, limit).await {
            Err(CallError::Engine(error)) if error.kind == ErrorKind::FilesWanted => error.wanted,
            answer => return Ok(answer),
        };
        let linked = services.files.sources_if_there(&self.found.key.dataset, self.revision(), &wanted).await;
        let linked = match linked {
            Ok(linked) => linked,
            Err(JobError::RevisionGone) => return self.is_gone(state).await,
            Err(error) => return Err(ApiError::away(&error).at(self.revision())),
        };
        let mut call = question(index);
        if let Some(media) = call.media_mut() {
            (media.rules, media.linked_files) = (rules, Some(linked));
        }
        Ok(services.children.call(call, limit).await)
    }

    /// What the rows are read by.
    ///
    /// # Errors
    /// That the split does not exist or its files have changed.
    pub(crate) async fn index(&self, state: &ApiState) -> Result<Arc<RowsIndex>, ApiError> {
        let key = self.key();
        let known = state.rows_lookups.count(lock(state).get(&key).cloned());
        if let Some(index) = known {
            // Copies that are faster to read are made while the originals are read already.
            let copies = || state.services.files.has_copies(&self.found);
            if index.files.settled || !copies().await.map_err(|error| ApiError::internal(&error))? {
                return Ok(index);
            }
        }
        let files = match state.services.files.parquet_files(&self.found, &self.name).await {
            Ok(files) => files,
            Err(JobError::RevisionGone) => return self.is_gone(state).await,
            Err(error @ JobError::Retry { .. }) => return Err(ApiError::away(&error).at(self.revision())),
            Err(error) => return Err(ApiError::internal(&error)),
        };
        if files.files.is_empty() {
            // Today's reference breaks here; a split that does not exist is simply not found.
            return Err(if state.settings.compat {
                ApiError::new(ErrorCode::UnexpectedApiError, "Unexpected error.").at(self.revision())
            } else {
                miss::not_found()
            });
        }
        #[derive(serde::Deserialize)]
        struct Content {
            features: Option<Features>,
        }
        let content: Result<Content, _> = serde_json::from_str(self.found.stored.view.content.as_str());
        let features = content.map_err(|error| ApiError::internal(&error))?.features;
        let index = Arc::new(RowsIndex { files, features });
        lock(state).keep(key, Arc::clone(&index), 0);
        Ok(index)
    }

    /// Drops the list of files that is kept, because it turned out to be old.
    pub(crate) fn forget(&self, state: &ApiState) {
        lock(state).remove(&self.key());
    }

    /// Looks after the files of ours that something was missing of.
    ///
    /// # Errors
    /// That they were lost, and are being made again.
    pub(crate) async fn check_files(&self, state: &ApiState) -> Result<(), ApiError> {
        let revision = &self.found.revision;
        // Those that are lost for good are gone like files that have changed.
        let loss = heal::parquet_files(&state.services, &self.found.key, revision).await?;
        miss::of_loss(loss, revision).filter(|_| loss == Loss::Remaking).map_or(Ok(()), Err)
    }

    /// The error for files that are not what they were. Files of ours that were lost are made again; else the dataset is
    /// looked at again.
    pub(crate) async fn is_gone<T>(&self, state: &ApiState) -> Result<T, ApiError> {
        let revision = &self.found.revision;
        self.check_files(state).await?;
        state.refresher.lost(&self.found.key.dataset, revision).await?;
        let text =
            format!("The files of revision {revision} have changed since it was read. Ask again for the new one.");
        Err(ApiError::new(ErrorCode::RevisionGone, text).at(revision))
    }

    /// Tells it apart from every other split, and from itself at another time.
    pub(crate) fn key(&self) -> (Digest, Revision, SplitName) {
        (self.found.stored.digest, self.found.revision.clone(), self.name.clone())
    }
}

fn lock(state: &ApiState) -> MutexGuard<'_, Recent<(Digest, Revision, SplitName), Arc<RowsIndex>>> {
    state.rows.0.lock().expect("never poisoned: no code panics while holding it")
}

/// What a client is told when the rows of a split cannot be read.
pub(crate) fn failure(error: CallError, revision: &Revision) -> ApiError {
    let error = match error {
        CallError::Engine(error) => error,
        CallError::Hub(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "files do not come from their Hub");
            let text = "The files of the dataset do not come from the Hub. Please try again later.";
            return ApiError::new(ErrorCode::HfHubError, text).at(revision);
        }
        other => return ApiError::internal(&other).at(revision),
    };
    match error.kind {
        ErrorKind::TooBig => {
            let text = "Too much data would have to be read for this page. \
                        Write the Parquet files with a page index or smaller row groups.";
            ApiError::too_big(text).at(revision).because("TooBigError", error.to_string())
        }
        ErrorKind::Query => invalid(format!("Parameter {}", error.message)).at(revision),
        ErrorKind::OverBudget | ErrorKind::TimedOut => {
            ApiError::new(ErrorCode::QueryBudgetExceeded, format!("The question costs too much: {}.", error.message))
                .at(revision)
        }
        ErrorKind::Away => ApiError::away(&error).at(revision),
        ErrorKind::Parameter => ApiError::new(ErrorCode::InvalidParameter, error.message).at(revision),
        ErrorKind::Cell | ErrorKind::SchemaMismatch | ErrorKind::Incompatible | ErrorKind::Unreadable => {
            let text = format!("Server error while reading the rows: {error}");
            ApiError::new(ErrorCode::TransformRowsProcessingError, text)
                .at(revision)
                .because(&format!("{:?}Error", error.kind), error.to_string())
        }
        _ => ApiError::internal(&error).at(revision),
    }
}
