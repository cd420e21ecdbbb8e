use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date64Array, Decimal128Array, DictionaryArray, DurationSecondArray,
    FixedSizeListArray, Float64Array, Int32Array, Int64Array, LargeStringArray, ListArray, MapArray, RecordBatch,
    StringArray, StringViewArray, StructArray, Time32SecondArray, TimestampSecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema};
use belvedere_domain::Features;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};

use super::*;
use crate::call::{MediaRules, MediaTarget, ParquetFile, Rows};
use crate::error::ErrorKind;
use crate::rows::rows;
use crate::source::FileIdentity;

const ROWS: i64 = 150_000;

fn every(modulus: i64) -> NullBuffer {
    (0..ROWS).map(|row| row % modulus != 0).collect::<Vec<_>>().into()
}

/// Columns of every kind that has a shape of its own in Parquet.
fn columns() -> Vec<(Field, ArrayRef)> {
    let rows = usize::try_from(ROWS).unwrap();
    let int64 = |modulus: i64| Int64Array::from_iter((0..ROWS).map(|row| (row % modulus != 0).then_some(row)));
    let words = || (0..ROWS).map(|row| format!("word {}", row % 1_000));
    let lengths = || OffsetBuffer::from_lengths((0..rows).map(|row| row % 3));
    let items = (0..rows).map(|row| row % 3).sum::<usize>();
    let item = Arc::new(Field::new("array", DataType::Int32, true));
    let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..i32::try_from(items).unwrap()));
    let list = ListArray::new(Arc::clone(&item), lengths(), Arc::clone(&numbers), Some(every(7)));
    let pairs =
        Fields::from(vec![Field::new("key", DataType::Int32, false), Field::new("value", DataType::Int32, true)]);
    let pairs = StructArray::new(pairs, vec![Arc::clone(&numbers), Arc::clone(&numbers)], None);
    let entries = Arc::new(Field::new("entries", pairs.data_type().clone(), false));
    let map = MapArray::new(entries, lengths(), pairs, None, false);
    let fixed: ArrayRef = Arc::new(Int32Array::from_iter_values((0..ROWS * 2).map(|value| value as i32)));
    let fixed = FixedSizeListArray::new(Arc::new(Field::new("item", DataType::Int32, false)), 2, fixed, None);
    let inner = Fields::from(vec![
        Field::new("bytes", DataType::Binary, true),
        Field::new("numbers", list.data_type().clone(), true),
    ]);
    let bytes: ArrayRef =
        Arc::new(BinaryArray::from_iter((0..ROWS).map(|row| (row % 5 != 0).then(|| row.to_be_bytes()))));
    let nested = StructArray::new(inner, vec![bytes, Arc::new(list.clone())], Some(every(11)));
    let dictionary: DictionaryArray<Int32Type> = words().collect::<Vec<_>>().iter().map(String::as_str).collect();
    let arrays: Vec<(&str, bool, ArrayRef)> = vec![
        ("required", false, Arc::new(Int64Array::from_iter_values(0..ROWS))),
        ("sparse", true, Arc::new(int64(3))),
        ("dictionary", true, Arc::new(dictionary)),
        ("large", true, Arc::new(LargeStringArray::from_iter_values(words()))),
        ("view", true, Arc::new(StringViewArray::from_iter_values(words()))),
        ("a.dotted", true, Arc::new(StringArray::from_iter_values(words()))),
        ("truth", true, Arc::new(BooleanArray::from_iter((0..ROWS).map(|row| Some(row % 2 == 0))))),
        (
            "ratio",
            true,
            Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| if row % 9 == 0 { f64::NAN } else { -0.0 }))),
        ),
        ("seconds", true, Arc::new(TimestampSecondArray::from_iter_values(0..ROWS).with_timezone("Europe/Paris"))),
        ("days", true, Arc::new(Date64Array::from_iter_values((0..ROWS).map(|row| row * 86_400_000)))),
        ("times", true, Arc::new(Time32SecondArray::from_iter_values((0..ROWS).map(|row| (row % 86_400) as i32)))),
        ("durations", true, Arc::new(DurationSecondArray::from_iter_values(0..ROWS))),
        (
            "decimal",
            true,
            Arc::new(
                Decimal128Array::from_iter_values((0..ROWS).map(i128::from)).with_precision_and_scale(30, 4).unwrap(),
            ),
        ),
        ("list", true, Arc::new(list)),
        ("map", true, Arc::new(map)),
        ("fixed", true, Arc::new(fixed)),
        ("nested", true, Arc::new(nested)),
        ("null", true, arrow::array::new_null_array(&DataType::Null, rows)),
    ];
    arrays
        .into_iter()
        .map(|(name, nullable, array)| (Field::new(name, array.data_type().clone(), nullable), array))
        .collect()
}

fn batch(columns: Vec<(Field, ArrayRef)>) -> RecordBatch {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let metadata = [("pandas".to_owned(), "{}".to_owned())].into();
    RecordBatch::try_new(Arc::new(Schema::new_with_metadata(fields, metadata)), arrays).unwrap()
}

fn numbers(rows: i64) -> RecordBatch {
    batch(vec![(Field::new("n", DataType::Int64, true), Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef)])
}

/// As other programs write files: large row groups, no page index.
fn plain() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_offset_index_disabled(true).set_statistics_enabled(EnabledStatistics::Chunk)
}

fn foreign(path: &Path, batch: &RecordBatch, properties: WriterPropertiesBuilder) -> SourceFile {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    listed(path)
}

fn listed(path: &Path) -> SourceFile {
    let metadata = std::fs::metadata(path).unwrap();
    SourceFile {
        path: "data/train.parquet".into(),
        local_path: path.to_owned(),
        size: metadata.len(),
        identity: Some(FileIdentity::of(&metadata)),
    }
}

fn copy_of(file: &SourceFile, folder: &Path, max_bytes: u64) -> Result<Relaid, EngineError> {
    let call = Relayout { file: file.clone(), output: folder.join("copies"), max_bytes };
    relayout(&call, WriteOptions::default(), &FooterCache::default())
}

fn written(relaid: Relaid) -> WrittenFile {
    match relaid {
        Relaid::Written(written) => written,
        other => panic!("{other:?}"),
    }
}

fn is_poor(file: &SourceFile) -> bool {
    facts(&Footers { files: vec![file.clone()] }, &FooterCache::default()).unwrap().files[0].poor
}

fn read(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap();
    let schema = SchemaRef::clone(reader.schema());
    let batches = reader.build().unwrap().map(|batch| batch.unwrap().with_schema(Arc::clone(&schema)).unwrap());
    concat_batches(&schema, &batches.collect::<Vec<_>>()).unwrap()
}

fn page(file: &SourceFile, features: Option<Features>, offset: u64) -> Result<Vec<String>, EngineError> {
    let num_rows = FooterCache::default().open(file)?.1.num_rows();
    let call = Rows {
        files: vec![ParquetFile { file: file.clone(), num_rows }],
        features,
        offset,
        length: 100,
        max_read_bytes: u64::MAX,
        max_columns: None,
        media: MediaTarget {
            directory: "/nonexistent".into(),
            url_prefix: String::new(),
            resolve_prefix: String::new(),
            repository: "hf://datasets/d@r".into(),
            linked_files: Some(Vec::new()),
            rules: MediaRules::default(),
        },
    };
    let page = rows(&call, &FooterCache::default())?;
    Ok(page.rows.iter().map(|row| row.get().to_owned()).collect())
}

#[test]
fn a_copy_has_the_same_rows_of_the_same_types() {
    let folder = tempfile::tempdir().unwrap();
    let original = foreign(&folder.path().join("original.parquet"), &batch(columns()), plain());
    assert!(is_poor(&original));
    let copy = written(copy_of(&original, folder.path(), u64::MAX).unwrap());
    let copy_path = folder.path().join("copies").join(&copy.path);
    assert_eq!(copy.num_rows, ROWS.unsigned_abs());
    let (before, after) = (read(&original.local_path), read(&copy_path));
    assert_eq!(before.schema(), after.schema());
    for (field, (before, after)) in before.schema().fields().iter().zip(before.columns().iter().zip(after.columns())) {
        assert_eq!(before.to_data(), after.to_data(), "{}", field.name());
    }
    let copy = SourceFile { local_path: copy_path, size: copy.size, identity: None, ..original.clone() };
    assert!(!is_poor(&copy));
}

#[test]
fn answers_are_the_same_and_so_are_refusals() {
    let folder = tempfile::tempdir().unwrap();
    // A map has no feature, so it is read by nobody.
    let shown = columns().into_iter().filter(|(field, _)| field.name() != "map").collect();
    let original = foreign(&folder.path().join("original.parquet"), &batch(shown), plain());
    let copy = written(copy_of(&original, folder.path(), u64::MAX).unwrap());
    let copy = SourceFile {
        local_path: folder.path().join("copies").join(&copy.path),
        size: copy.size,
        identity: None,
        ..original.clone()
    };
    for offset in [0, 999, 12_345, 149_950] {
        assert_eq!(page(&original, None, offset).unwrap(), page(&copy, None, offset).unwrap(), "{offset}");
    }
    let other = Features::from_json(&serde_json::json!({"sparse": {"dtype": "int64", "_type": "Value"}})).unwrap();
    let refused = page(&original, Some(other.clone()), 0).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::SchemaMismatch);
    assert_eq!(page(&copy, Some(other), 0).unwrap_err(), refused);
}

/// Files by pyarrow and the reference library, with types of all kinds, stand in for what datasets hold.
#[test]
fn copies_of_conformance_files_answer_the_same() {
    let sets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/sets");
    let mut files = Vec::new();
    parquet_files(&sets, &mut files);
    let mut copied = 0;
    for path in files {
        let folder = tempfile::tempdir().unwrap();
        let file = listed(&path);
        let Ok((_, original)) = FooterCache::default().open(&file) else { continue };
        let call = Relayout { file: file.clone(), output: folder.path().to_owned(), max_bytes: u64::MAX };
        if original.num_rows() == 0 {
            continue;
        }
        let (written, _) = copy(&call, &original, WriteOptions::default()).unwrap().unwrap();
        let copy = SourceFile {
            local_path: folder.path().join(&written.path),
            size: written.size,
            identity: None,
            ..file.clone()
        };
        for offset in [0, 1, 700] {
            let (before, after) = (page(&file, None, offset), page(&copy, None, offset));
            assert_eq!(before, after, "{} from {offset}", path.display());
        }
        copied += 1;
    }
    assert!(copied > 20, "{copied} files");
}

fn parquet_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            parquet_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
}

#[test]
fn only_files_whose_pages_cost_much_are_poor() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, batch: &RecordBatch, properties| foreign(&folder.path().join(name), batch, properties);
    let rows = numbers(ROWS * 2);
    assert!(is_poor(&file("one-group", &rows, plain())));
    assert!(!is_poor(&file("small", &numbers(1_000), plain())), "a page cannot cost more than the file");
    assert!(!is_poor(&file("groups", &rows, plain().set_max_row_group_row_count(Some(5_000)))));
    let indexed = WriterProperties::builder().set_dictionary_enabled(false);
    assert!(!is_poor(&file(
        "pages",
        &rows,
        indexed.clone().set_data_page_row_count_limit(2_000).set_write_batch_size(1_000)
    )));
    let large = indexed.set_data_page_row_count_limit(1 << 20).set_data_page_size_limit(64 << 20);
    assert!(is_poor(&file("large-pages", &rows, large)), "an index does not help where there is one page");
    // A hundred images of 200 kB are as small a read as there can be.
    let image = vec![7_u8; 200_000];
    let images: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..100).map(|_| &image)));
    assert!(!is_poor(&file("images", &batch(vec![(Field::new("image", DataType::Binary, true), images)]), plain())));
}

#[test]
fn a_copy_that_would_not_fit_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let original = foreign(&folder.path().join("original.parquet"), &numbers(ROWS * 2), plain());
    assert_eq!(copy_of(&original, folder.path(), 100_000).unwrap(), Relaid::TooBig);
}

#[test]
fn a_layout_that_does_not_help_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let original = foreign(&folder.path().join("original.parquet"), &numbers(500), plain());
    let Relaid::Left { reason } = copy_of(&original, folder.path(), u64::MAX).unwrap() else { panic!("no gain") };
    assert_eq!(reason, "another layout would hardly help");
    let empty = foreign(&folder.path().join("empty.parquet"), &numbers(0), plain());
    let Relaid::Left { reason } = copy_of(&empty, folder.path(), u64::MAX).unwrap() else { panic!("no rows") };
    assert_eq!(reason, "the file has no rows");
}

#[test]
fn damage_is_told_with_the_file_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("original.parquet");
    foreign(&path, &numbers(ROWS * 2), plain());
    let mut bytes = std::fs::read(&path).unwrap();
    // The header of the first page.
    bytes[4..64].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    let damaged =
        SourceFile { path: "data/train.parquet".into(), local_path: path, size: metadata.len(), identity: None };
    let error = copy_of(&damaged, folder.path(), u64::MAX).unwrap_err();
    assert_eq!((error.kind, error.file.as_deref()), (ErrorKind::Unreadable, Some("data/train.parquet")));
    let left = std::fs::read_dir(folder.path().join("copies")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}
