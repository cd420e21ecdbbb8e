//! What is wrong with a dataset: the errors stored for it, each cause once, with what users miss and the way out.

use belvedere_domain::view::ErrorBody;
use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, ErrorCode, Revision, SplitName, StepName};
use belvedere_jobs::Services;
use belvedere_store::{Found, StoreError};
use serde::Serialize;

/// One cause, and what it keeps users from seeing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Problem {
    /// What is wrong, with file, line and column where they are known.
    pub message: String,
    /// What to do about it, where that is known.
    pub hint: Option<&'static str>,
    /// The answers that are errors because of it.
    pub missing: Vec<Missing>,
}

/// An answer that is an error.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Missing {
    /// The step that failed.
    pub step: StepName,
    /// Its config; `None` for the whole dataset.
    pub config: Option<ConfigName>,
    /// Its split; `None` for the whole config.
    pub split: Option<SplitName>,
    /// The code that clients get in `X-Error-Code`.
    pub code: String,
    /// The HTTP status that clients get.
    pub status: u16,
}

/// The problems of a dataset at a revision, in the order of the processing graph. Errors that are copies of the error
/// of an earlier step are not told again.
///
/// # Errors
/// When the store cannot be asked.
pub async fn of_dataset(
    services: &Services,
    dataset: &DatasetName,
    revision: &Revision,
) -> Result<Vec<Problem>, StoreError> {
    let rows = services.store.views.rows(dataset).await?;
    let mut keys: Vec<ArtifactKey> =
        rows.into_iter().filter(|row| row.http_status >= 400 && row.revision == *revision).map(|row| row.key).collect();
    let place = |step: &StepName| services.graph.steps().iter().position(|known| *step == known.name);
    keys.sort_by_cached_key(|key| (place(&key.step), key.to_string()));
    let found = services.store.views.at_revision(&keys, revision).await?;
    let mut problems: Vec<Problem> = Vec::new();
    for found in found.iter().flatten() {
        let Some((message, missing)) = root_cause(found) else { continue };
        match problems.iter_mut().find(|problem| problem.message == message) {
            Some(problem) => problem.missing.push(missing),
            None => problems.push(Problem { hint: hint(&missing.code, &message), message, missing: vec![missing] }),
        }
    }
    Ok(problems)
}

/// The cause of a stored error; `None` for a success, and for a copy of another error.
fn root_cause(found: &Found) -> Option<(String, Missing)> {
    let view = &found.stored.view;
    let code = view.outcome.code()?.to_owned();
    let details: serde_json::Map<String, serde_json::Value> = view.details.parse().unwrap_or_default();
    if details.contains_key("copied_from_artifact") {
        return None;
    }
    let body: ErrorBody = view.details.parse().or_else(|_| view.content.parse()).ok()?;
    let missing = Missing {
        step: found.key.step.clone(),
        config: found.key.config.clone(),
        split: found.key.split.clone(),
        code,
        status: view.outcome.http_status(),
    };
    // Steps put their own words before the cause; two steps that fail for one cause are one problem.
    Some((body.cause.map_or(body.error, |cause| cause.message), missing))
}

impl Problem {
    /// Something that keeps a whole dataset from being looked at, for which nothing is stored.
    pub fn without_answers(message: String) -> Self {
        Self { message, hint: None, missing: Vec::new() }
    }

    /// What users do not see because of it, in words: `rows, /parquet, /info and /size of config x`.
    pub fn consequence(&self) -> String {
        const SHOWN: usize = 3;
        let mut parts: Vec<String> = Vec::new();
        for part in self.missing.iter().map(Missing::in_words) {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        let more = parts.len().saturating_sub(SHOWN);
        parts.truncate(SHOWN);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        format!("{}{more}", parts.join("; "))
    }

    /// The codes that clients get, each once.
    pub fn codes(&self) -> Vec<&str> {
        let mut codes: Vec<&str> = Vec::new();
        for missing in &self.missing {
            if !codes.contains(&missing.code.as_str()) {
                codes.push(&missing.code);
            }
        }
        codes
    }
}

impl Missing {
    fn in_words(&self) -> String {
        let what = match self.step.as_str() {
            // Every other answer depends on these.
            "dataset-init" | "dataset-config-names" => return "every answer".to_owned(),
            "config-split-names" => "the splits",
            "config-parquet-and-info" => "/rows, /parquet, /info and /size",
            "config-parquet" => "/parquet and /rows",
            "config-parquet-metadata" => "/rows",
            "config-info" | "dataset-info" => "/info",
            "config-size" | "dataset-size" => "/size",
            "split-first-rows" => "/first-rows",
            other => other,
        };
        match (&self.config, &self.split) {
            (Some(config), Some(split)) => format!("{what} of {config}/{split}"),
            (Some(config), None) => format!("{what} of config {config}"),
            (None, _) => what.to_owned(),
        }
    }
}

/// The way out, where the code tells more than the message does.
fn hint(code: &str, message: &str) -> Option<&'static str> {
    Some(match ErrorCode::parse(code)? {
        _ if message.contains("is not among those of the split") => {
            "give all files the same columns, or join them with `schema: union` under `configs` in README.md; columns named under \
             `dataset_info` there must be all of them"
        }
        ErrorCode::ConfigNamesError => "correct the lines between the `---` at the top of README.md",
        ErrorCode::DatasetGenerationError | ErrorCode::StreamingRowsError | ErrorCode::FeaturesError => {
            "correct the file, or leave it out: name the files to read under `configs` in README.md"
        }
        ErrorCode::DatasetGenerationCastError => {
            "give all files the same columns, join them with `schema: union` under `configs` in README.md, or make them configs \
             of their own there"
        }
        ErrorCode::FileFormatMismatchBetweenSplitsError => {
            "convert the files to one format, or name the files to read under `configs` in README.md"
        }
        ErrorCode::DataFilesNotFoundError if message.contains("data_files") => {
            "correct `data_files` in README.md, or put files there that match"
        }
        ErrorCode::DataFilesNotFoundError => "convert the files to one of these formats",
        ErrorCode::EmptyDatasetError => "put a data file into the folder: csv, json, Parquet, Arrow or text",
        ErrorCode::JobManagerCrashedError if message.contains("memory") => {
            "raise `worker.child_memory_bytes`, or split the file"
        }
        ErrorCode::JobManagerExceededMaximumDurationError => {
            "raise `worker.max_job_duration_seconds`, or split the files"
        }
        ErrorCode::TooManyColumnsError => "raise `first_rows.columns_max_number`",
        ErrorCode::TooBigContentError => "raise `worker.content_max_bytes`",
        ErrorCode::DatasetWithTooManyConfigsError if message.contains("listed at once") => {
            "raise `config_names.max_number_for_init`"
        }
        ErrorCode::DatasetWithTooManyConfigsError => "raise `config_names.max_number`",
        ErrorCode::DatasetWithTooManySplitsError => "raise `split_names.max_number`",
        ErrorCode::FileSystemError => "make sure that the file is whole and that this user may read it",
        ErrorCode::TooLongColumnNameError => "shorten the name of the column",
        _ => return None,
    })
}
