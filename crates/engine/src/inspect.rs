//! Splits whose files already are Parquet, described from their footers: nothing is decoded, whatever their size.

use std::collections::HashMap;

use crate::call::{Inspect, Inspected, InspectedSplit};
use crate::error::{EngineError, ErrorKind};
use crate::footers::FooterCache;
use crate::source::SourceFile;

/// Files whose first row group the reference looks at.
const SAMPLED_FILES: usize = 5;

/// Answers [`Call::Inspect`](crate::Call::Inspect). Features are the declared ones, else those of the first file of
/// the first split.
///
/// # Errors
/// [`Empty`](ErrorKind::Empty) without files in some split, [`Unreadable`](ErrorKind::Unreadable) naming a file that is
/// no Parquet, [`Features`](ErrorKind::Features) when the first file has a type that has no feature,
/// [`TooLongColumnName`](ErrorKind::TooLongColumnName).
pub(crate) fn inspect(call: &Inspect, cache: &FooterCache) -> Result<Inspected, EngineError> {
    let files: HashMap<&str, &SourceFile> = call.files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut features = call.config.declared_features.clone();
    let (mut files_seen, mut largest, mut sampled) = (0, 0, 0);
    let mut splits = Vec::with_capacity(call.config.splits.len());
    for (split, paths) in &call.config.splits {
        if paths.is_empty() {
            return Err(EngineError::new(ErrorKind::Empty, format!("the split \"{split}\" has no files")));
        }
        let mut inspected =
            InspectedSplit { split: split.clone(), num_bytes: 0, num_examples: 0, num_rows: Vec::new() };
        for path in paths {
            let file = files.get(path.as_str()).ok_or_else(|| not_listed(path))?;
            let (_, footer) = cache.open(file)?;
            if features.is_none() {
                features = Some(footer.features()?.clone());
            }
            largest = largest.max(footer.row_group_bytes().max().unwrap_or_default());
            if files_seen < SAMPLED_FILES {
                sampled = sampled.max(footer.row_group_bytes().next().unwrap_or_default());
            }
            files_seen += 1;
            inspected.num_bytes += footer.uncompressed_bytes();
            inspected.num_examples += footer.num_rows();
            inspected.num_rows.push(footer.num_rows());
        }
        splits.push(inspected);
    }
    let features = features.ok_or_else(|| EngineError::new(ErrorKind::Empty, "the config has no files"))?;
    check_column_names(&features)?;
    Ok(Inspected { features, splits, largest_row_group_bytes: largest, sampled_row_group_bytes: sampled })
}

/// Longer names of columns are refused.
const MAX_NAME_CHARACTERS: usize = 500;

/// Fails when a column name is longer than 500 characters.
///
/// # Errors
/// [`TooLongColumnName`](ErrorKind::TooLongColumnName).
pub(crate) fn check_column_names(features: &belvedere_domain::Features) -> Result<(), EngineError> {
    let Some((name, _)) = features.iter().find(|(name, _)| name.chars().count() > MAX_NAME_CHARACTERS) else {
        return Ok(());
    };
    let start: String = name.chars().take(40).collect();
    let message =
        format!("the name of column \"{start}…\" is longer than {MAX_NAME_CHARACTERS} characters; shorten it");
    Err(EngineError::new(ErrorKind::TooLongColumnName, message))
}

/// A caller forgot a file.
pub(crate) fn not_listed(path: &str) -> EngineError {
    EngineError::new(ErrorKind::Internal, "the config names a file that was not listed").in_file(path)
}
