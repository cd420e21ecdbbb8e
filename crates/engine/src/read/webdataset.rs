//! WebDataset: tar archives in which neighbours that share the name up to its first dot are one row.
//!
//! What follows the dot is the column, and its last part tells the type ([`decode`]). The first rows of a config decide
//! its columns; later rows may lack some, and what they have besides is left out.

mod decode;
mod npy;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use belvedere_domain::{Feature, Features};

use super::loose::{self, Value};
use super::tar::TarReader;
use super::{Agreement, ReadLimits, TableStream};
use crate::decompress::Place;
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::to_schema;

/// Rows of a table.
const BATCH: usize = 100;
/// Rows that decide the columns.
const INFERENCE_ROWS: usize = 5;
const KEY: &str = "__key__";
const URL: &str = "__url__";

/// Opens an archive. `repository`: what the paths of its files begin with.
pub(super) fn open(
    place: &Place,
    limits: ReadLimits,
    agreement: Arc<Agreement>,
    repository: &str,
) -> Result<Box<dyn TableStream>, EngineError> {
    Ok(Box::new(WebdatasetStream {
        archive: TarReader::open(place)?,
        agreement,
        limits,
        url: Value::Text(format!("{repository}/{}", place.path())),
        path: place.path(),
        next: None,
    }))
}

struct WebdatasetStream {
    archive: TarReader,
    agreement: Arc<Agreement>,
    limits: ReadLimits,
    /// What the column of URLs holds.
    url: Value,
    path: String,
    /// The first field of the row after the last one.
    next: Option<Part>,
}

/// A member of the archive.
struct Part {
    key: String,
    field: String,
    value: Value,
}

struct Row {
    key: String,
    fields: Vec<(String, Value)>,
}

impl Row {
    fn size(&self) -> usize {
        self.fields.iter().map(|(_, value)| value.size()).sum()
    }
}

impl WebdatasetStream {
    /// The next member that is part of a row.
    fn part(&mut self) -> Result<Option<Part>, EngineError> {
        while let Some(entry) = self.archive.next_file()? {
            let Some((key, field)) = split_name(&entry.name) else { continue };
            let path = format!("{}/{}", self.path, entry.name);
            let max = self.limits.max_record_bytes;
            if entry.size > max as u64 {
                let message = format!("this member takes {} bytes, more than the {max} of a single record", entry.size);
                return Err(EngineError::new(ErrorKind::Unreadable, message).in_file(&path));
            }
            let (key, field) = (key.to_owned(), field.to_owned());
            let bytes = self.archive.read(entry.size)?;
            let value = decode::value(&field, bytes, max).map_err(|error| error.in_file(&path))?;
            return Ok(Some(Part { key, field, value }));
        }
        Ok(None)
    }

    fn row(&mut self) -> Result<Option<Row>, EngineError> {
        let first = match self.next.take() {
            Some(part) => part,
            None => match self.part()? {
                Some(part) => part,
                None => return Ok(None),
            },
        };
        let mut row = Row { key: first.key, fields: vec![(first.field, first.value)] };
        while let Some(part) = self.part()? {
            if part.key != row.key {
                self.next = Some(part);
                break;
            }
            if row.fields.iter().any(|(field, _)| *field == part.field) {
                let message = format!(
                    "the row \"{}\" has two files that end with \".{}\"; give every row a name of its own",
                    row.key, part.field
                );
                return Err(EngineError::new(ErrorKind::Unreadable, message));
            }
            row.fields.push((part.field, part.value));
            if row.size() > self.limits.max_batch_bytes {
                let message = format!("the row \"{}\" takes more than {} bytes", row.key, self.limits.max_batch_bytes);
                return Err(EngineError::new(ErrorKind::Unreadable, message));
            }
        }
        Ok(Some(row))
    }

    fn read_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let mut rows = Vec::new();
        let mut size = 0;
        while rows.len() < BATCH
            && size < self.limits.max_batch_bytes / 4
            && let Some(row) = self.row()?
        {
            size += row.size();
            rows.push(row);
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let features = match self.agreement.imposed() {
            Some(features) => features.clone(),
            None => {
                let features = infer(&rows[..rows.len().min(INFERENCE_ROWS)])?;
                self.agreement.impose(&features);
                features
            }
        };
        self.table(&features, rows).map(Some)
    }

    fn table(&self, features: &Features, mut rows: Vec<Row>) -> Result<RecordBatch, EngineError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(features.len());
        for (name, feature) in features {
            let values: Vec<Value> = rows.iter_mut().map(|row| self.take(row, name, feature)).collect();
            let all: Vec<&Value> = values.iter().collect();
            let column = loose::column(feature, &all).map_err(|error| {
                // The first row that does not fit by itself is the one to look at.
                let culprit = all.iter().position(|value| loose::column(feature, &[value]).is_err());
                let error = culprit.and_then(|at| loose::column(feature, &all[at..=at]).err()).unwrap_or(error);
                let key = culprit.and_then(|at| rows.get(at)).map(|row| format!("{}/{}.{name}", self.path, row.key));
                let error = error.in_column(name);
                key.map_or(error.clone(), |member| error.in_file(&member))
            })?;
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(to_schema(features, false), columns, &options)
            .map_err(|error| EngineError::new(ErrorKind::Internal, error))
    }

    /// The cell of a column.
    fn take(&self, row: &mut Row, name: &str, feature: &Feature) -> Value {
        match name {
            KEY => Value::Text(row.key.clone()),
            URL => self.url.clone(),
            _ => {
                let found = row.fields.iter_mut().find(|(field, _)| field == name);
                let value = found.map_or(Value::Null, |(_, value)| std::mem::replace(value, Value::Null));
                match value {
                    Value::Bytes(bytes) if feature.media().is_some() => Value::Object(vec![
                        ("bytes".to_owned(), Value::Bytes(bytes)),
                        ("path".to_owned(), Value::Text(format!("{}.{name}", row.key))),
                    ]),
                    value => value,
                }
            }
        }
    }
}

/// The columns of the first rows, which must all have the same fields.
fn infer(rows: &[Row]) -> Result<Features, EngineError> {
    let Some(first) = rows.first() else { return Ok(Features::default()) };
    let names = |row: &Row| {
        let mut names: Vec<String> = row.fields.iter().map(|(field, _)| format!(".{field}")).collect();
        names.sort();
        names
    };
    let expected = names(first);
    if let Some(other) = rows.iter().find(|row| names(row) != expected) {
        let message = format!(
            "the first rows must have the same files: \"{}\" has {}, \"{}\" has {}; \
             files of a row follow one another and share their name up to the first dot",
            first.key,
            expected.join(", "),
            other.key,
            names(other).join(", "),
        );
        return Err(EngineError::new(ErrorKind::Unreadable, message));
    }
    let feature = |(name, _): &(String, Value)| {
        let feature = decode::media(name).unwrap_or_else(|| {
            let values: Vec<&Value> = rows
                .iter()
                .filter_map(|row| row.fields.iter().find(|(field, _)| field == name))
                .map(|(_, value)| value)
                .collect();
            loose::feature_of(&values)
        });
        (name.clone(), feature)
    };
    let keys = [KEY, URL].map(|name| (name.to_owned(), Feature::string()));
    Ok(Features::new(first.fields.iter().map(feature).chain(keys)))
}

/// Key and field of a member: its path up to the first dot of its name, and what follows. `None` for names without a
/// dot or without anything before it, and for those that are not meant as data.
fn split_name(path: &str) -> Option<(&str, &str)> {
    let start = path.rfind('/').map_or(0, |at| at + 1);
    let name = &path[start..];
    let dot = name.find('.')?;
    let is_data = dot > 0 && !name.starts_with("__");
    is_data.then(|| (&path[..start + dot], &name[dot + 1..]))
}

impl TableStream for WebdatasetStream {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        self.read_table().map_err(|error| error.in_file(&self.path))
    }

    fn bytes_consumed(&self) -> u64 {
        self.archive.bytes_consumed()
    }
}

#[cfg(test)]
mod tests;
