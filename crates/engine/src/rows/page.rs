//! Tables → rows of an answer: cast to the features, then written as JSON objects.

use std::borrow::Cow;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use belvedere_domain::{Feature, Features};
use serde_json::value::RawValue;

use crate::call::{MediaTarget, PageOfRows};
use crate::cells::{self, Cells};
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::{data_type, same_storage};
use crate::fit;
use crate::media::{MediaStore, Place};

/// Rows gathered for an answer.
pub(crate) struct Page<'a> {
    features: &'a Features,
    /// `"name":`, escaped, in the order of the features.
    keys: Vec<String>,
    media: MediaStore<'a>,
    /// Row of the split that comes next.
    next_row: u64,
    rows: Vec<Box<RawValue>>,
}

impl<'a> Page<'a> {
    /// A page whose first row is `first_row` of the split.
    pub(crate) fn new(features: &'a Features, media: &'a MediaTarget, first_row: u64) -> Self {
        let keys = features.iter().map(|(name, _)| cells::key(name)).collect();
        Self { features, keys, media: MediaStore::new(media), next_row: first_row, rows: Vec::new() }
    }

    /// Number of rows so far.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows so far, each as a JSON object.
    pub(crate) fn rows(&self) -> &[Box<RawValue>] {
        &self.rows
    }

    /// Adds all rows of a table.
    ///
    /// # Errors
    /// [`SchemaMismatch`](ErrorKind::SchemaMismatch) when the table has columns that the features lack,
    /// [`Incompatible`](ErrorKind::Incompatible) when values cannot be cast; those of cells.
    pub(crate) fn push(&mut self, table: &RecordBatch) -> Result<(), EngineError> {
        let rows = self.next_row..self.next_row + table.num_rows() as u64;
        self.next_row = rows.end;
        self.push_rows(table, &rows.collect::<Vec<_>>())
    }

    /// As [`push`](Self::push), of rows whose numbers in the split are given.
    pub(crate) fn push_rows(&mut self, table: &RecordBatch, numbers: &[u64]) -> Result<(), EngineError> {
        let columns = conform(table, self.features)?;
        let columns = self
            .features
            .iter()
            .zip(&columns)
            .map(|((name, feature), array)| Cells::of(feature, array).map_err(|error| error.in_column(name)))
            .collect::<Result<Vec<_>, _>>()?;
        let mut text = String::new();
        for (row, &number) in numbers.iter().enumerate() {
            text.clear();
            text.push('{');
            for (index, ((cells, key), (name, _))) in columns.iter().zip(&self.keys).zip(self.features).enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(key);
                let mut place = Place { row: number, column: name, path: Vec::new() };
                cells.write(&mut text, row, &mut place, &mut self.media).map_err(|error| error.in_column(name))?;
            }
            text.push('}');
            let json = RawValue::from_string(text.as_str().to_owned());
            self.rows.push(json.map_err(|error| EngineError::new(ErrorKind::Internal, error))?);
        }
        Ok(())
    }

    /// The answer.
    ///
    /// # Errors
    /// [`FilesWanted`](ErrorKind::FilesWanted) when cells need files that the call did not bring along.
    pub(crate) fn finish(
        self,
        features: Features,
        num_rows_total: Option<u64>,
        more: bool,
    ) -> Result<PageOfRows, EngineError> {
        Ok(PageOfRows { features, rows: self.rows, num_rows_total, more, assets: self.media.into_assets()? })
    }
}

/// Fails when there are more columns than allowed.
///
/// # Errors
/// [`TooManyColumns`](ErrorKind::TooManyColumns).
pub(crate) fn check_columns(features: &Features, max: usize) -> Result<(), EngineError> {
    if features.len() <= max {
        return Ok(());
    }
    let message = format!("there are {} columns, more than the {max} that can be shown", features.len());
    Err(EngineError::new(ErrorKind::TooManyColumns, message))
}

/// The columns of a table in the order and storage of the features. Columns that the table lacks are null.
fn conform(table: &RecordBatch, features: &Features) -> Result<Vec<ArrayRef>, EngineError> {
    let schema = table.schema_ref();
    if let Some(extra) = schema.fields().iter().find(|field| features.get(field.name()).is_none()) {
        let message = "the file has a column that the features of the split do not tell";
        return Err(EngineError::new(ErrorKind::SchemaMismatch, message).in_column(extra.name()));
    }
    let column = |(name, feature): &(String, Feature)| {
        let Some(array) = table.column_by_name(name) else {
            return Ok(new_null_array(&data_type(feature), table.num_rows()));
        };
        stored_as(array, feature).map(Cow::into_owned).map_err(|error| error.in_column(name))
    };
    features.iter().map(column).collect()
}

/// An array in the storage of a feature.
///
/// # Errors
/// [`Incompatible`](ErrorKind::Incompatible) when values cannot be cast.
pub(crate) fn stored_as<'a>(array: &'a ArrayRef, feature: &Feature) -> Result<Cow<'a, ArrayRef>, EngineError> {
    let wanted = data_type(feature);
    if same_storage(&wanted, array.data_type()) && !has_dictionary(array.data_type()) {
        return Ok(Cow::Borrowed(array));
    }
    fit::to_feature(array, feature).map(Cow::Owned)
}

fn has_dictionary(data_type: &arrow::datatypes::DataType) -> bool {
    use arrow::datatypes::DataType as T;
    match data_type {
        T::Dictionary(..) => true,
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => has_dictionary(item.data_type()),
        T::Struct(fields) => fields.iter().any(|field| has_dictionary(field.data_type())),
        _ => false,
    }
}
