//! Which columns get a Bloom filter, by which a look-up of a single value skips row groups.
//!
//! Those whose values hardly repeat and are not in order: keys, hashes, names. Sorted columns are told by their
//! statistics, repeating ones would be found in every row group.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::schema::types::ColumnDescriptor;

/// Rows of the sample.
const SAMPLE_ROWS: usize = 10_000;
/// With fewer rows than a page there is nothing to skip.
const MIN_ROWS: usize = 1_000;
/// Values per row group; filters of fewer values are made smaller.
const MAX_VALUES: u64 = 100_000;
/// Share of row groups that are read in vain. 100,000 texts take 128 KiB, as many integers 64 KiB.
const TEXT_ERRORS: f64 = 0.02;
const INTEGER_ERRORS: f64 = 0.15;
/// Nobody looks for longer texts as a whole, on average, in bytes.
const MAX_TEXT_BYTES: usize = 200;

/// True for a leaf whose first values say that a filter is worth its room. `repeats`: they repeat.
pub(super) fn is_worth_it(column: &ColumnDescriptor, leaf: &ArrayRef, repeats: bool) -> bool {
    if repeats || column.max_rep_level() > 0 || leaf.len() < MIN_ROWS {
        return false;
    }
    let sample = leaf.slice(0, leaf.len().min(SAMPLE_ROWS));
    let fits = match sample.data_type() {
        DataType::Int64 | DataType::Int32 => true,
        DataType::Utf8 => sample.as_string::<i32>().value_data().len() / leaf.len().max(1) <= MAX_TEXT_BYTES,
        DataType::LargeUtf8 => sample.as_string::<i64>().value_data().len() / leaf.len().max(1) <= MAX_TEXT_BYTES,
        _ => false,
    };
    let is_sorted = |descending| {
        let options = SortOptions { descending, nulls_first: false };
        let order = arrow::compute::sort_to_indices(&sample, Some(options), None);
        // Equal values may stand in any order, so positions are compared by value.
        order.is_ok_and(|order| {
            let sorted = arrow::compute::take(&sample, &order, None);
            sorted.is_ok_and(|sorted| sorted.to_data() == sample.to_data())
        })
    };
    fits && !is_sorted(false) && !is_sorted(true)
}

/// The same of a row group that is copied.
pub(super) fn has_filter(group: &RowGroupMetaData, leaf: usize) -> bool {
    group.column(leaf).bloom_filter_offset().is_some()
}

/// Properties with a filter for a column.
pub(super) fn with_filter(properties: WriterPropertiesBuilder, column: &ColumnDescriptor) -> WriterPropertiesBuilder {
    let is_text = column.physical_type() == parquet::basic::Type::BYTE_ARRAY;
    let errors = if is_text { TEXT_ERRORS } else { INTEGER_ERRORS };
    let path = column.path();
    properties
        .set_column_bloom_filter_enabled(path.clone(), true)
        .set_column_bloom_filter_fpp(path.clone(), errors)
        .set_column_bloom_filter_max_ndv(path.clone(), MAX_VALUES)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray};
    use belvedere_domain::Features;
    use parquet::arrow::arrow_reader::ArrowReaderMetadata;
    use parquet::bloom_filter::Sbbf;
    use serde_json::json;

    use crate::features_arrow::to_schema;
    use crate::write::{SplitWriter, WriteOptions};

    const ROWS: i64 = 3_000;

    /// A permutation: odd and no multiple of 5 or 3.
    fn mixed(row: i64) -> i64 {
        row * 1_009 % ROWS
    }

    fn table() -> (Features, RecordBatch) {
        let of = |dtype| json!({"dtype": dtype, "_type": "Value"});
        let features = json!({
            "sorted": of("int64"), "key": of("int64"), "name": of("string"), "word": of("string"),
            "long": of("string"), "share": of("float64"),
        });
        let features = Features::from_json(&features).unwrap();
        let integers = |value: fn(i64) -> i64| Arc::new((0..ROWS).map(|row| Some(value(row))).collect::<Int64Array>());
        let texts = |text: fn(i64) -> String| Arc::new((0..ROWS).map(|row| Some(text(row))).collect::<StringArray>());
        let table = RecordBatch::try_new(
            to_schema(&features, false),
            vec![
                integers(|row| row / 2),
                integers(mixed),
                texts(|row| format!("name {}", mixed(row))),
                texts(|row| format!("word {}", row % 7)),
                texts(|row| format!("{:0300}", mixed(row))),
                Arc::new((0..ROWS).map(|row| Some(mixed(row) as f64 / 7.0)).collect::<Float64Array>()),
            ],
        );
        (features, table.unwrap())
    }

    #[test]
    fn filters_are_for_values_that_are_looked_up_and_not_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let (features, table) = table();
        let mut writer = SplitWriter::new(folder.path(), "train", &features, WriteOptions::default());
        writer.write(&table, 1).unwrap();
        let file = std::fs::File::open(folder.path().join(&writer.finish().unwrap()[0].path)).unwrap();
        let metadata = ArrowReaderMetadata::load(&file, Default::default()).unwrap();
        let group = metadata.metadata().row_group(0);
        let has: Vec<_> = (0..group.num_columns()).map(|leaf| super::has_filter(group, leaf)).collect();
        assert_eq!(has, [false, true, true, false, false, false]);
        let filter = |leaf: usize| Sbbf::read_from_column_chunk(group.column(leaf), &file).unwrap().unwrap();
        let (keys, names) = (filter(1), filter(2));
        assert!((0..ROWS).all(|key| keys.check(&key) && names.check(format!("name {key}").as_str())));
        let wrong = (ROWS..2 * ROWS).filter(|key| names.check(format!("name {key}").as_str())).count();
        assert!(wrong < 300, "{wrong} of {ROWS} are not told apart");
        let bytes: i32 = [1, 2].iter().map(|leaf| group.column(*leaf).bloom_filter_length().unwrap()).sum();
        assert!(bytes < 8_192, "filters of few values are small, not {bytes} bytes");
    }
}
