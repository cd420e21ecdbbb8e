//! Single fields of the columns of a row group: of a struct only what is asked for is read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, NullArray, RecordBatch, RecordBatchOptions, make_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use belvedere_domain::Feature;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::RowSelection;

use super::batches::Source;
use super::{Group, SplitTable};
use crate::error::{EngineError, ErrorKind};
use crate::rows::stored_as;

/// A column, or a field down from it through structs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct FieldPath {
    /// Position among the features.
    pub(crate) feature: usize,
    /// Names of the fields below it; none for the whole column.
    pub(crate) names: Vec<String>,
}

/// Tables of fields, one column for each in the order asked. Whole columns come in the storage of their features, fields
/// in that of the file, and what the file lacks as nulls without type.
pub(crate) struct Fields<'t> {
    table: &'t SplitTable,
    file: usize,
    fields: &'t [FieldPath],
    source: Source,
}

impl SplitTable {
    /// The leaf columns of the file of a group that hold a field.
    pub(crate) fn leaves(&self, group: &Group, field: &FieldPath) -> impl Iterator<Item = usize> {
        let root = self.column_in_file(group, field.feature);
        let schema = self.footer(group).metadata().file_metadata().schema_descr();
        (0..schema.num_columns()).filter(move |&leaf| {
            root == Some(schema.get_column_root_idx(leaf))
                && schema.column(leaf).path().parts().get(1..).is_some_and(|names| names.starts_with(&field.names))
        })
    }

    /// As [`read`](Self::read), of fields.
    ///
    /// # Errors
    /// [`Unreadable`](ErrorKind::Unreadable) naming the file.
    pub(crate) fn read_fields<'t>(
        &'t self,
        group: &Group,
        fields: &'t [FieldPath],
        rows: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<Fields<'t>, EngineError> {
        let schema = self.footer(group).metadata().file_metadata().schema_descr();
        let mut leaves: Vec<usize> = fields.iter().flat_map(|field| self.leaves(group, field)).collect();
        leaves.sort_unstable();
        leaves.dedup();
        let mask = (!leaves.is_empty()).then(|| ProjectionMask::leaves(schema, leaves));
        let source = Source::open(self, group, mask, rows, batch_rows)?;
        Ok(Fields { table: self, file: group.file, fields, source })
    }
}

impl Fields<'_> {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let Some(table) = self.source.next_table()? else { return Ok(None) };
        let columns = self.fields.iter().map(|field| self.field(&table, field)).collect::<Result<Vec<_>, _>>()?;
        let described =
            |(index, array): (usize, &ArrayRef)| Field::new(index.to_string(), array.data_type().clone(), true);
        let schema = Schema::new(columns.iter().enumerate().map(described).collect::<Vec<_>>());
        let options = RecordBatchOptions::new().with_row_count(Some(table.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)
            .map(Some)
            .map_err(|error| EngineError::new(ErrorKind::Internal, error))
    }

    fn field(&self, table: &RecordBatch, path: &FieldPath) -> Result<ArrayRef, EngineError> {
        let (name, feature): &(String, Feature) = &self.table.features[path.feature];
        let missing = || Arc::new(NullArray::new(table.num_rows())) as ArrayRef;
        let is_there = self.table.files[self.file].columns[path.feature].is_some();
        let Some(column) = table.column_by_name(name).filter(|_| is_there) else { return Ok(missing()) };
        if path.names.is_empty() {
            return stored_as(column, feature).map(std::borrow::Cow::into_owned).map_err(|error| error.in_column(name));
        }
        let mut array = Arc::clone(column);
        for name in &path.names {
            let position = array.as_struct_opt().and_then(|parent| parent.fields().find(name)).map(|(at, _)| at);
            let Some(position) = position else { return Ok(missing()) };
            array = child(&array, position)?;
        }
        Ok(array)
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<RecordBatch, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let path = &self.table.files[self.file].path;
        self.next_table().map_err(|error| error.in_file(path)).transpose()
    }
}

/// A field of a struct; null where the struct is.
///
/// # Errors
/// [`Internal`](ErrorKind::Internal) for what is no struct.
pub(crate) fn child(array: &ArrayRef, field: usize) -> Result<ArrayRef, EngineError> {
    let internal = |error: &dyn std::fmt::Display| EngineError::new(ErrorKind::Internal, error);
    let parent = array.as_struct_opt().ok_or_else(|| internal(&"a field of a column without fields"))?;
    let child = parent.column(field);
    let Some(nulls) = parent.nulls().filter(|nulls| nulls.null_count() > 0) else { return Ok(Arc::clone(child)) };
    if *child.data_type() == DataType::Null {
        return Ok(Arc::clone(child));
    }
    let nulls = NullBuffer::union(Some(nulls), child.nulls());
    let data = child.to_data().into_builder().nulls(nulls).build().map_err(|error| internal(&error))?;
    Ok(make_array(data))
}
