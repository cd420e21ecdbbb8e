//! Tables of many files and batches → tables of one schema.
//!
//! The first table with rows fixes names, order and types for all splits of a config, unless features are declared
//! or the reader knows them before. Later tables are cast; what cannot be cast is an error, never a guess.

mod cast;
pub(crate) mod json_text;
mod scalar;

pub(crate) use cast::to_feature;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};
use belvedere_domain::data_files::{Reader, ResolvedConfig};
use belvedere_domain::features::Dtype;
use belvedere_domain::{Feature, Features};

use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::{features_of, to_schema};
use crate::read::Agreement;

/// Casts the tables of a config, one after the other, to the schema of the config.
#[derive(Debug)]
pub struct Fitter {
    config: Arc<ResolvedConfig>,
    agreement: Arc<Agreement>,
    target: Option<Target>,
    /// What a table without rows told; used when no table has rows.
    fallback: Option<Features>,
}

#[derive(Clone, Debug)]
struct Target {
    features: Features,
    schema: SchemaRef,
}

impl Target {
    fn new(features: Features) -> Self {
        let schema = to_schema(&features, false);
        Self { features, schema }
    }
}

impl Fitter {
    pub(crate) fn new(config: Arc<ResolvedConfig>, agreement: Arc<Agreement>) -> Self {
        let declared = config.declared_features.clone().or_else(|| config.reader_features.clone());
        Self { config, agreement, target: declared.map(Target::new), fallback: None }
    }

    /// The features of every table from now on; before the first table with rows, what is known so far.
    pub fn features(&self) -> Option<&Features> {
        self.target.as_ref().map(|target| &target.features).or(self.fallback.as_ref())
    }

    /// Fixes the schema before the first table, because it is known to be what the first table would tell.
    pub(crate) fn assume(&mut self, features: &Features) {
        if matches!(self.config.reader, Reader::Json | Reader::Webdataset) {
            self.agreement.impose(features);
        }
        self.agreement.settle(features);
        self.target.get_or_insert_with(|| Target::new(features.clone()));
    }

    /// Casts a table. A table without rows that comes before the schema is fixed is returned as it is.
    ///
    /// # Errors
    /// [`ColumnsMismatch`](ErrorKind::ColumnsMismatch) when the table has columns that the schema lacks and the
    /// reader does not enforce the schema itself; [`Incompatible`](ErrorKind::Incompatible), naming the column, when
    /// values cannot be cast; [`Features`](ErrorKind::Features) when a column has a type without a feature.
    pub fn fit(&mut self, table: RecordBatch) -> Result<RecordBatch, EngineError> {
        let table = self.read_as_declared(table)?;
        let target = match &self.target {
            Some(target) => target,
            None => {
                let features = match self.agreement.imposed() {
                    Some(features) => features.clone(),
                    None => features_of(&table.schema())?,
                };
                if table.num_rows() == 0 {
                    self.fallback.get_or_insert(features);
                    return Ok(table);
                }
                self.agreement.settle(&features);
                self.target.insert(Target::new(features))
            }
        };
        let enforced = self.agreement.imposed().is_some();
        let kind = if enforced { ErrorKind::Incompatible } else { ErrorKind::ColumnsMismatch };
        cast_table(&table, target, kind, enforced && self.config.reader == Reader::Json)
    }

    /// With features as a reader parameter, the reader keeps those columns only, and all of them must be there.
    fn read_as_declared(&self, table: RecordBatch) -> Result<RecordBatch, EngineError> {
        let Some(features) = self.config.reader_features.as_ref().filter(|_| self.config.reader == Reader::Csv) else {
            return Ok(table);
        };
        let schema = table.schema();
        let place = |(name, _): &(String, Feature)| {
            schema.index_of(name).map_err(|_| {
                let message = format!("the file lacks this column, which the features name; it has {}", names(&schema));
                EngineError::new(ErrorKind::Incompatible, message).in_column(name)
            })
        };
        let places = features.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let chosen = table.project(&places).map_err(|error| EngineError::new(ErrorKind::Internal, error))?;
        // Both declarations may stand in a card: the reader's first, then the final one.
        match &self.config.declared_features {
            Some(declared) if declared != features => {
                cast_table(&chosen, &Target::new(features.clone()), ErrorKind::Incompatible, false)
            }
            _ => Ok(chosen),
        }
    }
}

fn cast_table(
    table: &RecordBatch,
    target: &Target,
    mismatch: ErrorKind,
    writes_json: bool,
) -> Result<RecordBatch, EngineError> {
    let schema = table.schema();
    if let Some(extra) = schema.fields().iter().find(|field| target.features.get(field.name()).is_none()) {
        let message = format!("this column is not among those of the split: {}", names(&target.schema));
        return Err(EngineError::new(mismatch, message).in_column(extra.name()));
    }
    let rows = table.num_rows();
    let cast = |((name, feature), field): (&(String, Feature), &Arc<arrow::datatypes::Field>)| {
        let Ok(place) = schema.index_of(name) else { return Ok(absent(field.data_type(), rows)) };
        let mut array = Arc::clone(table.column(place));
        if writes_json && *feature == Feature::Value(Dtype::String) && matches!(array.data_type(), DataType::Struct(_))
        {
            array = json_text::of_array(&array)?;
        }
        to_feature(&array, feature).map_err(|error| cast::within(error, name))
    };
    let arrays =
        target.features.iter().zip(target.schema.fields()).map(cast).collect::<Result<Vec<_>, EngineError>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(&target.schema), arrays, &options)
        .map_err(|error| EngineError::new(ErrorKind::Internal, error))
}

/// A column of nulls whose children, below a struct, hold empty values: so much memory is counted for it.
fn absent(data_type: &DataType, rows: usize) -> ArrayRef {
    use arrow::array::StructArray;
    match data_type {
        DataType::Struct(fields) if rows > 0 && !fields.is_empty() => {
            let children = fields.iter().map(|field| hollow(field.data_type(), rows)).collect();
            let nulls = arrow::buffer::NullBuffer::new_null(rows);
            Arc::new(StructArray::new(fields.clone(), children, Some(nulls)))
        }
        other => new_null_array(other, rows),
    }
}

/// Empty values: zeros, empty texts, empty lists.
fn hollow(data_type: &DataType, rows: usize) -> ArrayRef {
    let empty = |data_type: &DataType| -> ArrayRef {
        let nulls = new_null_array(data_type, rows).to_data();
        let data = nulls.into_builder().nulls(None).build();
        data.map_or_else(|_| new_null_array(data_type, rows), arrow::array::make_array)
    };
    match data_type {
        DataType::Utf8 => Arc::new(StringArray::from(vec![""; rows])),
        DataType::Struct(fields) if !fields.is_empty() => {
            let children = fields.iter().map(|field| hollow(field.data_type(), rows)).collect();
            Arc::new(arrow::array::StructArray::new(fields.clone(), children, None))
        }
        other => empty(other),
    }
}

fn names(schema: &SchemaRef) -> String {
    const SHOWN: usize = 20;
    let fields = schema.fields();
    let shown: Vec<String> = fields.iter().take(SHOWN).map(|field| format!("\"{}\"", field.name())).collect();
    let more = fields.len().saturating_sub(SHOWN);
    format!("{}{}", shown.join(", "), if more == 0 { String::new() } else { format!(" and {more} more") })
}

#[cfg(test)]
mod tests;
