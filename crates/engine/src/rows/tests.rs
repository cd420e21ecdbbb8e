use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use belvedere_domain::Features;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value as JsonValue, json};

use super::*;
use crate::call::{MediaRules, MediaTarget, ParquetFile};
use crate::source::{FileIdentity, LocalFile, SourceFile};
use crate::write::{SplitWriter, WriteOptions};

fn media() -> MediaTarget {
    MediaTarget {
        directory: "/nonexistent".into(),
        url_prefix: "http://localhost/assets".into(),
        resolve_prefix: "https://hub/datasets/d/resolve/r".into(),
        repository: "hf://datasets/d@r".into(),
        linked_files: Some(Vec::new()),
        rules: MediaRules::default(),
    }
}

fn features(json: JsonValue) -> Features {
    Features::from_json(&json).unwrap()
}

fn numbers() -> Features {
    features(json!({"n": {"dtype": "int64", "_type": "Value"}, "t": {"dtype": "string", "_type": "Value"}}))
}

/// Rows `start..end`: a number and its text.
fn table(start: i64, end: i64) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(start..end)),
        Arc::new(StringArray::from_iter_values((start..end).map(|n| format!("row {n}")))),
    ];
    RecordBatch::try_new(crate::features_arrow::to_schema(&numbers(), false), columns).unwrap()
}

fn listed(path: &Path, num_rows: u64) -> ParquetFile {
    let metadata = std::fs::metadata(path).unwrap();
    let file = SourceFile {
        path: path.file_name().unwrap().to_str().unwrap().to_owned(),
        local_path: path.to_owned(),
        size: metadata.len(),
        identity: Some(FileIdentity::of(&metadata)),
    };
    ParquetFile { file, num_rows }
}

/// Files of 700 rows each, in row groups of 300.
fn written(folder: &Path, files: i64) -> Vec<ParquetFile> {
    let options = WriteOptions { max_shard_bytes: 1, max_row_group_rows: 300, ..WriteOptions::default() };
    let mut writer = SplitWriter::new(folder, "train", &numbers(), options);
    for file in 0..files {
        writer.write(&table(file * 700, (file + 1) * 700), 1).unwrap();
    }
    writer.finish().unwrap().into_iter().map(|file| listed(&folder.join(&file.path), file.num_rows)).collect()
}

/// A file as other programs write it: one row group, no page index.
fn foreign(folder: &Path, name: &str, columns: Vec<(&str, ArrayRef)>) -> ParquetFile {
    let schema: Schema = Schema::new(
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect::<Vec<_>>(),
    );
    let batch = RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect()).unwrap();
    let path = folder.join(name);
    let properties = WriterProperties::builder()
        .set_offset_index_disabled(true)
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None);
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    listed(&path, batch.num_rows() as u64)
}

fn call(files: &[ParquetFile], features: Option<Features>, offset: u64, length: usize) -> Rows {
    Rows {
        files: files.to_vec(),
        features,
        offset,
        length,
        max_read_bytes: u64::MAX,
        max_columns: None,
        media: media(),
    }
}

fn page(
    files: &[ParquetFile],
    features: Option<Features>,
    offset: u64,
    length: usize,
) -> Result<Vec<JsonValue>, EngineError> {
    let page = rows(&call(files, features, offset, length), &FooterCache::default())?;
    Ok(page.rows.iter().map(|row| serde_json::from_str(row.get()).unwrap()).collect())
}

#[test]
fn any_page_is_the_slice_of_all_rows() {
    let folder = tempfile::tempdir().unwrap();
    let files = written(folder.path(), 3);
    assert_eq!(files.len(), 3);
    let cache = FooterCache::default();
    for (offset, length) in [
        (0, 100),
        (299, 2),
        (250, 600),
        (690, 20),
        (0, 2_100),
        (1_399, 1),
        (2_050, 100),
        (2_100, 10),
        (9_999, 5),
        (700, 0),
    ] {
        let page = rows(&call(&files, None, offset, length), &cache).unwrap();
        let expected: Vec<String> =
            (offset..2_100).take(length).map(|n| format!(r#"{{"n":{n},"t":"row {n}"}}"#)).collect();
        let found: Vec<&str> = page.rows.iter().map(|row| row.get()).collect();
        assert_eq!(found, expected, "{length} rows from {offset}");
        assert_eq!(page.num_rows_total, Some(2_100));
        assert_eq!(page.more, offset + (length as u64) < 2_100, "{length} rows from {offset}");
    }
}

/// Counts what is read.
struct Counting {
    file: LocalFile,
    bytes: Arc<AtomicU64>,
    calls: Arc<AtomicU64>,
}

impl ReadRanges for Counting {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, EngineError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(ranges.iter().map(|range| range.end - range.start).sum(), Ordering::Relaxed);
        self.file.read_ranges(ranges)
    }
}

#[test]
fn a_page_reads_one_page_of_each_column_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = SplitWriter::new(folder.path(), "train", &numbers(), WriteOptions::default());
    writer.write(&table(0, 50_000), 1).unwrap();
    let file = &writer.finish().unwrap()[0];
    let file = listed(&folder.path().join(&file.path), file.num_rows);
    let footer = Footer::read(&Ranges::new(LocalFile::open(&file.file).unwrap()), "x").unwrap();
    let (bytes, calls) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counting =
        Counting { file: LocalFile::open(&file.file).unwrap(), bytes: Arc::clone(&bytes), calls: Arc::clone(&calls) };
    let (features, media) = (numbers(), media());
    let mut page = Page::new(&features, &media, 25_000);
    read(&Ranges::new(counting), &footer, 25_000..25_100, u64::MAX, &mut page).unwrap();
    assert_eq!(page.len(), 100);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(bytes.load(Ordering::Relaxed) < file.file.size / 40, "{bytes:?} of {} bytes", file.file.size);
}

#[test]
fn a_read_over_the_limit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = foreign(folder.path(), "a.parquet", vec![("n", Arc::new(Int64Array::from_iter_values(0..10_000)))]);
    let mut call = call(std::slice::from_ref(&file), None, 5_000, 10);
    call.max_read_bytes = 1_000;
    let error = rows(&call, &FooterCache::default()).unwrap_err();
    assert_eq!((error.kind, error.file.as_deref()), (ErrorKind::TooBig, Some("a.parquet")));
    assert!(error.message.contains("page index"));
    // Whole column chunks are read where there is no page index.
    call.max_read_bytes = file.file.size;
    assert_eq!(rows(&call, &FooterCache::default()).unwrap().rows[0].get(), r#"{"n":5000}"#);
}

#[test]
fn columns_follow_the_features() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = || -> ArrayRef { Arc::new(Int64Array::from(vec![1, 2])) };
    let texts = || -> ArrayRef { Arc::new(StringArray::from(vec!["cat", "dog"])) };
    let file = foreign(folder.path(), "a.parquet", vec![("b", texts()), ("a", numbers())]);
    let shown = features(json!({
        "a": {"dtype": "string", "_type": "Value"},
        "gone": {"dtype": "float64", "_type": "Value"},
        "b": {"names": ["dog", "cat"], "_type": "ClassLabel"},
    }));
    let rows = page(std::slice::from_ref(&file), Some(shown), 0, 10).unwrap();
    assert_eq!(rows, [json!({"a": "1", "gone": null, "b": 1}), json!({"a": "2", "gone": null, "b": 0})]);
    let fewer = features(json!({"a": {"dtype": "int64", "_type": "Value"}}));
    let error = page(std::slice::from_ref(&file), Some(fewer), 0, 10).unwrap_err();
    assert_eq!((error.kind, error.column.as_deref()), (ErrorKind::SchemaMismatch, Some("b")));
}

#[test]
fn values_that_do_not_fit_are_an_error_that_names_file_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let first = foreign(folder.path(), "0.parquet", vec![("a", Arc::new(Int64Array::from(vec![1])))]);
    let second = foreign(folder.path(), "1.parquet", vec![("a", Arc::new(Float64Array::from(vec![1.5])))]);
    let error = page(&[first, second], None, 0, 10).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Incompatible);
    assert_eq!((error.file.as_deref(), error.column.as_deref()), (Some("1.parquet"), Some("a")));
}

#[test]
fn a_file_that_changed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = foreign(folder.path(), "a.parquet", vec![("a", Arc::new(Int64Array::from(vec![1])))]);
    let wrong = ParquetFile { num_rows: 7, ..file.clone() };
    assert_eq!(page(&[wrong], None, 0, 1).unwrap_err().kind, ErrorKind::Changed);
    let cache = FooterCache::default();
    rows(&call(std::slice::from_ref(&file), None, 0, 1), &cache).unwrap();
    foreign(folder.path(), "a.parquet", vec![("a", Arc::new(Int64Array::from(vec![1, 2, 3])))]);
    let error = rows(&call(std::slice::from_ref(&file), None, 0, 1), &cache).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Changed, "{error}");
}

#[test]
fn limits_and_empty_splits_are_errors_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(page(&[], None, 0, 1).unwrap_err().kind, ErrorKind::Empty);
    let mut call = call(&written(folder.path(), 1), None, 0, 1);
    call.max_columns = Some(1);
    assert_eq!(rows(&call, &FooterCache::default()).unwrap_err().kind, ErrorKind::TooManyColumns);
}

#[test]
fn a_file_that_is_no_parquet_is_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    for content in [&b""[..], b"PAR1", b"this is not a parquet file at all", b"PAR1\xff\xff\xff\x7fPAR1"] {
        std::fs::write(&path, content).unwrap();
        let error = page(&[listed(&path, 1)], None, 0, 1).unwrap_err();
        assert_eq!((error.kind, error.file.as_deref()), (ErrorKind::Unreadable, Some("a.parquet")), "{content:?}");
    }
}

#[test]
fn footers_used_last_are_kept_up_to_a_number_of_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let files = written(folder.path(), 3);
    let open = |cache: &FooterCache, index: usize| cache.open(&files[index].file).unwrap().1;
    let bytes = open(&FooterCache::default(), 0).memory_size();
    let two = FooterCache::new(bytes * 5 / 2);
    let (first, second) = (open(&two, 0), open(&two, 1));
    assert!(Arc::ptr_eq(&first, &open(&two, 0)));
    open(&two, 2);
    assert!(Arc::ptr_eq(&first, &open(&two, 0)), "it was used after the second");
    assert!(!Arc::ptr_eq(&second, &open(&two, 1)), "it had to make room");
    let none = FooterCache::new(bytes / 2);
    assert!(!Arc::ptr_eq(&open(&none, 0), &open(&none, 0)));
}
