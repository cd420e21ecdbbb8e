//! The first rows of a split straight from its source files, read no further than needed.

use belvedere_domain::Features;

use crate::call::{Head, PageOfRows};
use crate::error::{EngineError, ErrorKind};
use crate::inspect::check_column_names;
use crate::read::{ConfigReader, ReadLimits};
use crate::rows::{Page, check_columns};

/// How much of a JSON array decides its types; the rest of the file is not looked at.
const INFERENCE_BYTES: u64 = 10 << 20;

/// Answers [`Call::Head`](crate::Call::Head). Features are the declared ones, else those of the first table.
///
/// # Errors
/// [`Empty`](ErrorKind::Empty) when there is no table at all, [`TooManyColumns`](ErrorKind::TooManyColumns),
/// [`TooLongColumnName`](ErrorKind::TooLongColumnName); those of reading, fitting and of cells.
pub(crate) fn head(call: &Head) -> Result<PageOfRows, EngineError> {
    let limits = ReadLimits { max_inference_bytes: Some(INFERENCE_BYTES), ..ReadLimits::default() };
    let reader = ConfigReader::new(call.config.clone(), limits);
    let mut fitter = reader.fitter();
    let mut tables = Vec::new();
    let mut num_rows = 0;
    'files: for file in &call.files {
        let mut stream = reader.open(file)?;
        while let Some(table) = stream.next_table().map_err(|error| error.in_file(&file.path))? {
            // One row more than wanted tells that there are more.
            let table = table.slice(0, table.num_rows().min(call.max_rows + 1 - num_rows));
            let table = fitter.fit(table).map_err(|error| error.in_file(&file.path))?;
            num_rows += table.num_rows();
            tables.push(table);
            if num_rows > call.max_rows {
                break 'files;
            }
        }
    }
    let features: Features = match &call.config.declared_features {
        Some(features) => features.clone(),
        None => {
            fitter.features().cloned().ok_or_else(|| EngineError::new(ErrorKind::Empty, "the files hold no data"))?
        }
    };
    check_columns(&features, call.max_columns)?;
    check_column_names(&features)?;
    let mut page = Page::new(&features, &call.media, 0);
    for table in &tables {
        page.push(&table.slice(0, table.num_rows().min(call.max_rows - page.len())))?;
    }
    let more = num_rows > call.max_rows;
    Ok(page.finish(features.clone(), (!more).then_some(num_rows as u64), more))
}
