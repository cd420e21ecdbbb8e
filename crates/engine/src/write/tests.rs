use std::fs::File;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Int64Array, ListBuilder, RecordBatchReader, StringArray, StringBuilder,
    StructArray, TimestampSecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belvedere_domain::Feature;
use belvedere_domain::features::Dtype;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader, RowGroupMetaData};
use serde_json::json;

use super::*;
use crate::source::LocalFile;
use crate::source::SourceFile;

fn features() -> Features {
    Features::from_json(&json!({
        "id": {"dtype": "int64", "_type": "Value"},
        "kind": {"dtype": "string", "_type": "Value"},
        "image": {"_type": "Image"},
        "tags": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
    }))
    .expect("well formed")
}

/// Rows `start..start + rows`: a unique id, one of three kinds, some bytes, a list.
fn table(start: i64, rows: i64) -> RecordBatch {
    let ids = start..start + rows;
    let kinds = StringArray::from_iter_values(ids.clone().map(|id| ["a", "b", "c"][usize::try_from(id % 3).unwrap()]));
    let bytes = BinaryArray::from_iter_values(ids.clone().map(i64::to_be_bytes));
    let schema = features_arrow::to_schema(&features(), false);
    let DataType::Struct(media) = schema.field(2).data_type() else { panic!("a struct") };
    let paths: ArrayRef = arrow::array::new_null_array(&DataType::Utf8, bytes.len());
    let image = StructArray::new(media.clone(), vec![Arc::new(bytes), paths], None);
    let mut tags = ListBuilder::new(StringBuilder::new());
    ids.clone().for_each(|id| {
        tags.values().append_value(id.to_string());
        tags.append(id % 5 != 0);
    });
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from_iter_values(ids)), Arc::new(kinds), Arc::new(image), Arc::new(tags.finish())];
    RecordBatch::try_new(schema, columns).expect("same schema")
}

fn read(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().unwrap();
    concat_batches(&schema, &batches).unwrap()
}

fn metadata(path: &Path) -> ParquetMetaData {
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&File::open(path).unwrap())
        .unwrap()
}

fn writer(folder: &Path, options: WriteOptions) -> SplitWriter {
    SplitWriter::new(folder, "train", &features(), options)
}

fn ids(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn tables_come_back_with_their_features() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), WriteOptions::default());
    writer.write(&table(0, 2_500), 1).unwrap();
    writer.write(&table(2_500, 10), 1).unwrap();
    let written = writer.finish().unwrap();
    assert_eq!((written.len(), written[0].num_rows), (1, 2_510));
    assert_eq!(written[0].path, Path::new("train/0000.parquet"));
    let path = folder.path().join(&written[0].path);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), written[0].size);
    let read = read(&path);
    let expected = concat_batches(&table(0, 0).schema(), [&table(0, 2_500), &table(2_500, 10)]).unwrap();
    assert_eq!(ids(&read), ids(&expected));
    assert_eq!(read.column(2).as_struct().column(0), expected.column(2).as_struct().column(0));
    let footer = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    assert_eq!(features_arrow::features_of(footer.schema()), Ok(features()));
}

#[test]
fn features_stand_beside_the_arrow_schema_and_inside() {
    let folder = tempfile::tempdir().unwrap();
    let written = writer(folder.path(), WriteOptions::default()).finish().unwrap();
    let metadata = metadata(&folder.path().join(&written[0].path));
    let value = |name: &str| {
        let mut pairs = metadata.file_metadata().key_value_metadata().unwrap().iter();
        pairs.find(|pair| pair.key == name).and_then(|pair| pair.value.clone()).unwrap()
    };
    let expected = json!({"info": {"features": features().to_json()}});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&value("huggingface")).unwrap(), expected);
    let arrow_schema = STANDARD.decode(value("ARROW:schema")).unwrap();
    assert!(memchr::memmem::find(&arrow_schema, expected.to_string().as_bytes()).is_some());
}

#[test]
fn pages_hold_a_thousand_rows_and_are_indexed() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), WriteOptions::default());
    writer.write(&table(0, 5_000), 1).unwrap();
    let written = writer.finish().unwrap();
    let metadata = metadata(&folder.path().join(&written[0].path));
    let pages = metadata.offset_index().unwrap()[0]
        .iter()
        .map(|column| column.page_locations().iter().map(|page| page.first_row_index).collect::<Vec<_>>());
    assert_eq!(pages.collect::<Vec<_>>(), vec![vec![0, 1_000, 2_000, 3_000, 4_000]; 5]);
}

#[test]
fn dictionaries_are_for_what_repeats_and_bytes_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), WriteOptions::default());
    writer.write(&table(0, 5_000), 1).unwrap();
    let written = writer.finish().unwrap();
    let metadata = metadata(&folder.path().join(&written[0].path));
    let columns = metadata.row_group(0).columns().iter().map(|column| {
        let compressed = column.compression() != Compression::UNCOMPRESSED;
        (column.column_path().string(), column.dictionary_page_offset().is_some(), compressed)
    });
    let expected = [
        ("id", false, true),
        ("kind", true, true),
        ("image.bytes", false, false),
        ("image.path", true, true),
        ("tags.list.element", false, true),
    ];
    assert_eq!(
        columns.collect::<Vec<_>>(),
        expected.map(|(name, dictionary, compressed)| (name.to_owned(), dictionary, compressed))
    );
}

#[test]
fn row_groups_are_bounded_and_never_span_two_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), WriteOptions { max_row_group_rows: 1_000, ..WriteOptions::default() });
    writer.write(&table(0, 1_500), 1).unwrap();
    writer.write(&table(1_500, 600), 1).unwrap();
    let first = writer.end_input().unwrap().unwrap();
    writer.write(&table(2_100, 10), 1).unwrap();
    let second = writer.end_input().unwrap().unwrap();
    assert!(writer.end_input().unwrap().is_none());
    let written = writer.finish().unwrap();
    assert_eq!((first.first_row_group, first.row_groups), (0, 3));
    assert_eq!((second.first_row_group, second.row_groups), (3, 1));
    let rows: Vec<i64> =
        metadata(&folder.path().join(&written[0].path)).row_groups().iter().map(RowGroupMetaData::num_rows).collect();
    assert_eq!(rows, [1_000, 1_000, 100, 10]);
}

#[test]
fn a_row_group_ends_when_it_takes_too_much_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), WriteOptions { max_row_group_bytes: 200_000, ..WriteOptions::default() });
    writer.write(&table(0, 40_000), 1).unwrap();
    let written = writer.finish().unwrap();
    assert!(metadata(&folder.path().join(&written[0].path)).num_row_groups() > 2);
    assert_eq!(written[0].num_rows, 40_000);
}

#[test]
fn a_full_file_is_followed_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), WriteOptions { max_shard_bytes: 100, ..WriteOptions::default() });
    assert_eq!(writer.write(&table(0, 10), 60).unwrap(), None);
    assert_eq!(writer.write(&table(10, 10), 60).unwrap(), None);
    let run = writer.write(&table(20, 10), 60).unwrap().unwrap();
    assert_eq!((run.path.as_path(), run.first_row_group, run.row_groups), (Path::new("train/0000.parquet"), 0, 1));
    let written = writer.finish().unwrap();
    let rows: Vec<_> = written.iter().map(|file| (file.path.to_str().unwrap(), file.num_rows)).collect();
    assert_eq!(rows, [("train/0000.parquet", 20), ("train/0001.parquet", 10)]);
    assert_eq!(ids(&read(&folder.path().join("train/0001.parquet"))), (20..30).collect::<Vec<_>>());
}

#[test]
fn a_split_without_rows_is_one_empty_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), WriteOptions::default());
    writer.write(&table(0, 0), 0).unwrap();
    let written = writer.finish().unwrap();
    assert_eq!((written.len(), written[0].num_rows), (1, 0));
    let read = read(&folder.path().join(&written[0].path));
    assert_eq!((read.num_rows(), read.num_columns()), (0, 4));
}

#[test]
fn an_unfinished_file_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), WriteOptions::default());
    writer.write(&table(0, 10), 1).unwrap();
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path().join("train")).unwrap().count(), 0);
}

#[test]
fn copied_row_groups_are_the_same_bytes_at_another_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = writer(folder.path(), WriteOptions { max_row_group_rows: 2_000, ..WriteOptions::default() });
    first.write(&table(0, 5_000), 1).unwrap();
    let source = folder.path().join(&first.finish().unwrap()[0].path);
    let listed = SourceFile {
        path: "0000.parquet".into(),
        size: std::fs::metadata(&source).unwrap().len(),
        local_path: source.clone(),
        identity: None,
    };
    let source_metadata = metadata(&source);
    let ranges = Ranges::new(LocalFile::open(&listed).unwrap());

    let mut second = SplitWriter::new(folder.path(), "again", &features(), WriteOptions::default());
    second.write(&table(9_000, 700), 1).unwrap();
    second.end_input().unwrap();
    second.copy(&ranges, &source_metadata, 1..3, 1).unwrap();
    let run = second.end_input().unwrap().unwrap();
    assert_eq!((run.first_row_group, run.row_groups), (1, 2));
    second.write(&table(0, 5), 1).unwrap();
    let copy = folder.path().join(&second.finish().unwrap()[0].path);
    assert_eq!(ids(&read(&copy)), (9_000..9_700).chain(2_000..5_000).chain(0..5).collect::<Vec<_>>());

    let copied = metadata(&copy);
    let bytes = |path: &Path, metadata: &ParquetMetaData, group: usize, column: usize| {
        let (start, length) = metadata.row_group(group).column(column).byte_range();
        let content = std::fs::read(path).unwrap();
        content[usize::try_from(start).unwrap()..usize::try_from(start + length).unwrap()].to_vec()
    };
    for column in 0..5 {
        assert_eq!(bytes(&copy, &copied, 1, column), bytes(&source, &source_metadata, 1, column));
    }
    let pages = copied.offset_index().unwrap()[1][0].page_locations();
    let (start, _) = copied.row_group(1).column(0).byte_range();
    assert_eq!((pages[0].offset.unsigned_abs(), pages.len()), (start, 2));
}

#[test]
fn seconds_are_stored_as_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    let features = Features::new([(
        "t".to_owned(),
        Feature::Value(Dtype::Timestamp(belvedere_domain::features::TimeUnit::Second, None)),
    )]);
    let schema = features_arrow::to_schema(&features, false);
    let table = RecordBatch::try_new(schema, vec![Arc::new(TimestampSecondArray::from(vec![7]))]).unwrap();
    let mut writer = SplitWriter::new(folder.path(), "train", &features, WriteOptions::default());
    writer.write(&table, 8).unwrap();
    let written = writer.finish().unwrap();
    let read = read(&folder.path().join(&written[0].path));
    let expected = Field::new("t", DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, None), true);
    assert_eq!(read.schema().field(0), &expected);
}
