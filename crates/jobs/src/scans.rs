//! Scans of the content of splits, which operators turn on: for the wishes of authors, and for personal data.

use belvedere_domain::{DatasetName, ErrorCode, Features};
use belvedere_engine::call::Texts;
use belvedere_engine::{Call, ErrorKind, Reply};
use belvedere_hub::patterns::Pattern;
use belvedere_hub::services::{Analyzer, OptOut, ServiceError};
use serde::Serialize;

use crate::call::CallError;
use crate::files::SplitFiles;
use crate::job::{JobContext, JobError};
use crate::registry::Optional;

/// Entries of a list in a view, at most; what is beyond counts without being listed.
pub(crate) const MAX_LISTED: usize = 10_000;
/// Bytes of texts in memory, about.
const PAGE_BYTES: usize = 4 << 20;

/// The scans.
#[derive(Clone, Debug, Default)]
pub struct Scans {
    /// For the wishes of authors.
    pub opt_in_out_urls: OptInOutUrls,
    /// For personal data.
    pub presidio_entities: PresidioEntities,
}

impl Scans {
    /// The steps that these settings turn on.
    pub fn steps(&self) -> Vec<Optional> {
        let mut steps = Vec::new();
        if self.opt_in_out_urls.service.is_some() {
            steps.push(Optional::OptInOutUrls);
        }
        if !matches!(self.presidio_entities.datasets, ScannedDatasets::None) {
            steps.push(Optional::PresidioEntities);
        }
        steps
    }
}

/// The scan of image URLs for the wishes of their authors.
#[derive(Clone, Debug)]
pub struct OptInOutUrls {
    /// Who knows the wishes; `None`: the scan is off.
    pub service: Option<OptOut>,
    /// Most columns of a split.
    pub columns_max_number: usize,
    /// Most rows of a split.
    pub rows_max_number: u64,
}

impl Default for OptInOutUrls {
    fn default() -> Self {
        Self { service: None, columns_max_number: 10, rows_max_number: 100_000 }
    }
}

/// The scan of texts for personal data.
#[derive(Clone, Debug)]
pub struct PresidioEntities {
    /// What is scanned.
    pub datasets: ScannedDatasets,
    /// Who finds personal data; `None`: the rules of [`belvedere_entities`].
    pub analyzer: Option<Analyzer>,
    /// Most columns of a split.
    pub columns_max_number: usize,
    /// Longest part of a text that is looked at, in characters.
    pub max_text_length: usize,
    /// Most rows of a split.
    pub rows_max_number: u64,
}

impl PresidioEntities {
    /// What decides the counts.
    pub(crate) fn deciding(&self) -> impl Serialize + use<> {
        let by = self.analyzer.as_ref().map(|analyzer| analyzer.url().to_owned());
        (by, belvedere_entities::VERSION, self.columns_max_number, self.max_text_length, self.rows_max_number)
    }
}

impl Default for PresidioEntities {
    fn default() -> Self {
        Self {
            datasets: ScannedDatasets::None,
            analyzer: None,
            columns_max_number: 10,
            max_text_length: 1000,
            rows_max_number: 10_000,
        }
    }
}

/// Which datasets are scanned.
#[derive(Clone, Debug, Default)]
pub enum ScannedDatasets {
    /// None: the scan is off.
    #[default]
    None,
    /// Those whose names match.
    Some(Vec<Pattern>),
    /// All.
    All,
}

impl ScannedDatasets {
    /// Whether a dataset is scanned.
    pub fn covers(&self, dataset: &DatasetName) -> bool {
        match self {
            Self::None => false,
            Self::Some(patterns) => patterns.iter().any(|pattern| !pattern.select(&[dataset.as_str()]).is_empty()),
            Self::All => true,
        }
    }
}

/// The texts of a split, page after page.
pub(crate) struct TextPages {
    files: SplitFiles,
    features: Features,
    columns: Vec<String>,
    rows_per_page: u64,
    max_characters: usize,
    next: u64,
    end: u64,
    is_whole: bool,
}

/// The texts of rows that follow each other.
pub(crate) struct TextRows {
    /// The first of them, from 0 in the split.
    pub(crate) first: u64,
    /// Rows × columns.
    pub(crate) rows: Vec<Vec<String>>,
}

impl TextPages {
    /// The texts of some columns, of at most so many rows, so many at a time.
    pub(crate) fn new(
        files: SplitFiles,
        features: Features,
        columns: Vec<String>,
        (max_rows, rows_per_page): (u64, u64),
        max_characters: usize,
    ) -> Self {
        let num_rows: u64 = files.files.iter().map(|file| file.num_rows).sum();
        let is_whole = num_rows <= max_rows && !files.partial;
        let (end, rows_per_page) = (num_rows.min(max_rows), rows_per_page.max(1));
        Self { files, features, columns, rows_per_page, max_characters, next: 0, end, is_whole }
    }

    /// True if the pages hold all rows of the split.
    pub(crate) fn are_whole(&self) -> bool {
        self.is_whole
    }

    /// Rows read so far.
    pub(crate) fn num_rows_read(&self) -> u64 {
        self.next
    }

    /// The next rows; `None` after the last.
    ///
    /// # Errors
    /// `SplitParquetSchemaMismatchError` and `StreamingRowsError` for files that do not give the rows; those of calls.
    pub(crate) async fn next(&mut self, ctx: &JobContext) -> Result<Option<TextRows>, JobError> {
        if self.next >= self.end {
            return Ok(None);
        }
        let call = Call::Texts(Texts {
            files: self.files.files.clone(),
            features: Some(self.features.clone()),
            columns: self.columns.clone(),
            offset: self.next,
            length: self.rows_per_page.min(self.end - self.next),
            max_characters: self.max_characters,
            max_bytes: PAGE_BYTES,
        });
        let reply = match self.files.trusted {
            true => ctx.services.trusted.call(call, ctx.call_limit()).await,
            false => ctx.call(call).await,
        };
        let page = match reply.map_err(failure)? {
            Reply::Texts(page) if !page.rows.is_empty() => page,
            _ => return Err(CallError::Died("answered another question".into()).into()),
        };
        let first = self.next;
        self.next += page.rows.len() as u64;
        Ok(Some(TextRows { first, rows: page.rows }))
    }
}

/// Which public code a failed call ends in.
fn failure(error: CallError) -> JobError {
    JobError::of_call(error, "the texts could not be read", |kind| match kind {
        ErrorKind::SchemaMismatch => Some(ErrorCode::SplitParquetSchemaMismatchError),
        ErrorKind::Unreadable | ErrorKind::Incompatible | ErrorKind::Cell => Some(ErrorCode::StreamingRowsError),
        _ => None,
    })
}

/// What the failure of a service ends in. Its cause holds an address, which is not for readers.
pub(crate) fn of_service(what: &str, error: &ServiceError) -> JobError {
    tracing::warn!(error = error as &dyn std::error::Error, "{what} is of no use");
    let message = format!("{what}: {error}");
    match error.is_passing() {
        true => JobError::Retry { message, code: ErrorCode::ExternalServerError },
        false => JobError::fail(ErrorCode::ExternalServerError, message),
    }
}

/// Fails when a split has more columns to be scanned than allowed.
pub(crate) fn check_columns(columns: &[String], max: usize) -> Result<(), JobError> {
    match columns.len() > max {
        true => {
            let message = format!("{} columns would have to be scanned, more than the {max} allowed", columns.len());
            Err(JobError::fail(ErrorCode::TooManyColumnsError, message))
        }
        false => Ok(()),
    }
}
