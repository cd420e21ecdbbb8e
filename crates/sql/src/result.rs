//! Tables of a result as tables of features, which is what can be shown.

use std::sync::Arc;

use belvedere_domain::Features;
use belvedere_engine::{EngineError, ErrorKind, features_arrow};
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

/// Key in the metadata of a field: `{"<column>": <feature>}`, what the column was in its split.
pub(crate) const FEATURE: &str = "belvedere.feature";

/// The columns of a result: what they were in their split if they were only passed on, else what their types tell.
///
/// # Errors
/// [`Query`](ErrorKind::Query) naming a column whose type cannot be shown, or a name that two columns have.
pub(crate) fn features_of(schema: &Schema) -> Result<Features, EngineError> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let name = field.name();
        if columns.iter().any(|(other, _)| other == name) {
            let message = format!("two columns of the result are called `{name}`; rename one of them with `AS`");
            return Err(EngineError::new(ErrorKind::Query, message));
        }
        let plain = Arc::new(Field::new(name, plain(field.data_type()), true));
        let passed_on = field
            .metadata()
            .get(FEATURE)
            .and_then(|told| feature_of(told))
            .filter(|feature| features_arrow::same_storage(&features_arrow::data_type(feature), plain.data_type()));
        let feature = match passed_on {
            Some(feature) => feature,
            None => physical(&plain)?,
        };
        columns.push((name.clone(), feature));
    }
    Ok(Features::new(columns))
}

fn feature_of(told: &str) -> Option<belvedere_domain::Feature> {
    let features = Features::from_json(&serde_json::from_str(told).ok()?).ok()?;
    features.iter().next().map(|(_, feature)| feature.clone())
}

fn physical(field: &FieldRef) -> Result<belvedere_domain::Feature, EngineError> {
    let cannot = |_| {
        let message = format!(
            "column `{}` has the type {}, which cannot be shown; cast it, as in `CAST(… AS VARCHAR)`",
            field.name(),
            field.data_type()
        );
        EngineError::new(ErrorKind::Query, message)
    };
    let features = features_arrow::features_of(&Schema::new(vec![Arc::clone(field)])).map_err(cannot)?;
    let (_, feature) = features.iter().next().expect("one field gives one feature");
    Ok(feature.clone())
}

/// The type without encodings that only save space.
fn plain(data_type: &DataType) -> DataType {
    let of = |field: &FieldRef| -> FieldRef { Arc::new(Field::new(field.name(), plain(field.data_type()), true)) };
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        DataType::List(item) | DataType::ListView(item) => DataType::List(of(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(of(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(of(item), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(of).collect()),
        other => other.clone(),
    }
}

/// A table of the result in the storage of its features.
///
/// # Errors
/// [`Query`](ErrorKind::Query) when a value does not fit.
pub(crate) fn stored(table: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, EngineError> {
    let failed = |error| EngineError::new(ErrorKind::Query, error);
    let column = |(array, field): (&ArrayRef, &FieldRef)| match array.data_type() == field.data_type() {
        true => Ok(Arc::clone(array)),
        false => cast(array, field.data_type()),
    };
    let columns =
        table.columns().iter().zip(schema.fields()).map(column).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let options = RecordBatchOptions::new().with_row_count(Some(table.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(failed)
}
