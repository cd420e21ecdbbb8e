//! How columns are laid out: page size, dictionary, compression, decided from the first rows of a file.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::row::{RowConverter, SortField};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowSchemaConverter, encode_arrow_schema};
use parquet::basic::{Compression, Encoding, Type as PhysicalType};
use parquet::file::metadata::{KeyValue, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor, SchemaDescriptor};

use crate::error::{EngineError, ErrorKind};
use crate::write::bloom;
use crate::write::file::failed;

/// Rows per page: what a response shows at most is 100, so one page per column mostly suffices.
pub(crate) const PAGE_ROWS: usize = 1_000;
/// Uncompressed, about; a page ends with the row that exceeds it. Who wants one text has to decompress its whole page.
pub(crate) const PAGE_BYTES: usize = 64 << 10;
/// A dictionary has to be read with every page, so it must stay small.
const DICTIONARY_BYTES: usize = 64 << 10;
/// Distinct values per row above which a dictionary only costs.
const DICTIONARY_RATIO: f64 = 0.1;
const DICTIONARY_SAMPLE_ROWS: usize = 10_000;
const STATISTICS_BYTES: usize = 64;

/// Bounds of files and row groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WriteOptions {
    /// A new file begins after this many bytes of tables in memory.
    pub(crate) max_shard_bytes: u64,
    /// Rows of a row group.
    pub(crate) max_row_group_rows: usize,
    /// Bytes that the encoded columns of a row group may take in memory, about.
    pub(crate) max_row_group_bytes: usize,
    /// Of all columns but binary ones.
    pub(crate) compression: Compression,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            max_shard_bytes: 500_000_000,
            max_row_group_rows: 100_000,
            max_row_group_bytes: 128 << 20,
            // A page of 100 rows of 10 columns takes 0.22 ms with snappy, 0.68 ms with zstd(1) and 0.15 ms without; a
            // file of 104 MB becomes 53 or 37 MB. First the time, then the room.
            compression: Compression::SNAPPY,
        }
    }
}

/// What the layout of a file is decided from.
pub(super) enum Sample<'a> {
    /// The first table.
    Table(&'a RecordBatch),
    /// The first row group, when it is copied from another file.
    RowGroup(&'a RowGroupMetaData),
}

/// What list items are called.
#[derive(Clone, Copy)]
pub(super) enum ItemNames {
    /// As the format wants it.
    Standard,
    /// As in the Arrow schema.
    AsTheyAre,
}

/// Everything that is fixed when a file begins.
pub(super) struct Layout {
    pub(super) schema: SchemaDescriptor,
    pub(super) properties: WriterProperties,
}

/// The layout of a file with this schema.
pub(super) fn properties(
    schema: &SchemaRef,
    items: ItemNames,
    sample: Sample<'_>,
    options: &WriteOptions,
) -> Result<Layout, EngineError> {
    let descriptor = match items {
        ItemNames::Standard => ArrowSchemaConverter::new().convert(&with_standard_names(schema)),
        ItemNames::AsTheyAre => ArrowSchemaConverter::new().convert(schema),
    };
    let descriptor = descriptor.map_err(failed)?;
    // Arrow's own reader looks for the metadata inside the Arrow schema, others look beside it.
    let mut metadata = vec![KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), encode_arrow_schema(schema))];
    metadata.extend(schema.metadata().iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())));
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("belvedere ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(metadata))
        .set_compression(options.compression)
        .set_dictionary_enabled(false)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_write_batch_size(PAGE_ROWS)
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES));
    for (column, traits) in descriptor.columns().iter().zip(traits(&descriptor, sample)) {
        let path = column.path().clone();
        if is_binary(column) {
            properties = properties
                .set_column_compression(path.clone(), Compression::UNCOMPRESSED)
                .set_column_encoding(path.clone(), Encoding::PLAIN)
                .set_column_statistics_enabled(path, EnabledStatistics::None);
        } else if traits.repeats {
            properties = properties.set_column_dictionary_enabled(path, true);
        } else if traits.bloom_filter {
            properties = bloom::with_filter(properties, column);
        }
    }
    Ok(Layout { schema: descriptor, properties: properties.build() })
}

/// Media and other raw bytes: compressed already, mostly, and without an order that anybody asks for.
fn is_binary(column: &ColumnDescriptor) -> bool {
    let bytes = matches!(column.physical_type(), PhysicalType::BYTE_ARRAY | PhysicalType::FIXED_LEN_BYTE_ARRAY);
    bytes && column.logical_type_ref().is_none() && column.converted_type() == parquet::basic::ConvertedType::NONE
}

/// What the sample tells of a leaf column.
#[derive(Clone, Copy, Default)]
struct Traits {
    /// Its values repeat so much that a dictionary pays.
    repeats: bool,
    /// Its values may be looked up one by one.
    bloom_filter: bool,
}

/// The traits of each leaf column.
fn traits(descriptor: &SchemaDescriptor, sample: Sample<'_>) -> Vec<Traits> {
    match sample {
        Sample::RowGroup(group) => {
            let of_column = |leaf: usize| Traits {
                repeats: group.column(leaf).dictionary_page_offset().is_some(),
                bloom_filter: bloom::has_filter(group, leaf),
            };
            (0..group.num_columns()).map(of_column).collect()
        }
        Sample::Table(table) => {
            let mut leaves = Vec::with_capacity(descriptor.num_columns());
            table.columns().iter().for_each(|array| push_leaves(array, &mut leaves));
            // A type whose leaves are not known here goes without dictionaries.
            if leaves.len() != descriptor.num_columns() {
                return vec![Traits::default(); descriptor.num_columns()];
            }
            let of_leaf = |(leaf, column): (&ArrayRef, &ColumnDescPtr)| {
                let repeats = repeats(leaf);
                Traits { repeats, bloom_filter: bloom::is_worth_it(column, leaf, repeats) }
            };
            leaves.iter().zip(descriptor.columns()).map(of_leaf).collect()
        }
    }
}

/// Leaves in the order of Parquet columns.
fn push_leaves(array: &ArrayRef, leaves: &mut Vec<ArrayRef>) {
    match array.data_type() {
        DataType::Struct(_) => array.as_struct().columns().iter().for_each(|child| push_leaves(child, leaves)),
        DataType::Map(..) => {
            array.as_map().entries().columns().iter().for_each(|child| push_leaves(child, leaves));
        }
        DataType::List(_) => push_leaves(array.as_list::<i32>().values(), leaves),
        DataType::LargeList(_) => push_leaves(array.as_list::<i64>().values(), leaves),
        DataType::FixedSizeList(..) => push_leaves(array.as_fixed_size_list().values(), leaves),
        _ => leaves.push(Arc::clone(array)),
    }
}

fn repeats(leaf: &ArrayRef) -> bool {
    if leaf.is_empty() || matches!(leaf.data_type(), DataType::Null | DataType::Boolean) {
        return false;
    }
    let sample = leaf.slice(0, leaf.len().min(DICTIONARY_SAMPLE_ROWS));
    let rows = RowConverter::new(vec![SortField::new(sample.data_type().clone())])
        .and_then(|converter| converter.convert_columns(std::slice::from_ref(&sample)));
    // A type that has no order has no dictionary either.
    let Ok(rows) = rows else { return false };
    let limit = sample.len() as f64 * DICTIONARY_RATIO;
    let mut distinct = HashSet::new();
    rows.iter().all(|row| {
        distinct.insert(row.owned());
        distinct.len() as f64 <= limit
    })
}

/// The schema in types that every reader of Parquet knows: seconds and 64-bit dates have no Parquet type, and would
/// come back as mere integers elsewhere.
pub(super) fn stored_schema(schema: &Schema) -> SchemaRef {
    let fields: Fields = schema.fields().iter().map(stored_field).collect();
    Arc::new(Schema::new(fields).with_metadata(schema.metadata().clone()))
}

/// A table as it is stored.
pub(super) fn stored(table: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, EngineError> {
    let cast = |(array, field): (&ArrayRef, &FieldRef)| match array.data_type() == field.data_type() {
        true => Ok(Arc::clone(array)),
        false => arrow::compute::cast(array, field.data_type()),
    };
    let options = RecordBatchOptions::new().with_row_count(Some(table.num_rows()));
    table
        .columns()
        .iter()
        .zip(schema.fields())
        .map(cast)
        .collect::<Result<_, _>>()
        .and_then(|columns| RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options))
        .map_err(|error| EngineError::new(ErrorKind::Internal, format!("cannot store a table: {error}")))
}

fn stored_field(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Timestamp(TimeUnit::Second, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
        DataType::Time32(TimeUnit::Second) => DataType::Time32(TimeUnit::Millisecond),
        DataType::Date64 => DataType::Date32,
        DataType::List(inner) => DataType::List(stored_field(inner)),
        DataType::LargeList(inner) => DataType::LargeList(stored_field(inner)),
        DataType::FixedSizeList(inner, length) => DataType::FixedSizeList(stored_field(inner), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(stored_field).collect()),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// List items are called `element` in Parquet files, whatever they are called in Arrow.
fn with_standard_names(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(standard_field).collect::<Fields>())
}

fn standard_field(field: &FieldRef) -> FieldRef {
    let item = |item: &FieldRef| Arc::new(standard_field(item).as_ref().clone().with_name("element"));
    let data_type = match field.data_type() {
        DataType::List(inner) => DataType::List(item(inner)),
        DataType::LargeList(inner) => DataType::LargeList(item(inner)),
        DataType::FixedSizeList(inner, length) => DataType::FixedSizeList(item(inner), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(standard_field).collect()),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}
