use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{Field, Int64Type};
use belvedere_domain::Features;
use serde_json::json;

use super::*;
use crate::call::{Extent, MediaTarget, ParquetFile};
use crate::features_arrow::to_schema;
use crate::source::SourceFile;
use crate::write::{SplitWriter, WriteOptions};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// Three rows in two files: the second row has a text of 3 MB, the last one is null throughout.
fn written(folder: &Path) -> (Vec<ParquetFile>, Features) {
    let features = Features::from_json(&json!({
        "n": {"dtype": "int64", "_type": "Value"},
        "t": {"dtype": "string", "_type": "Value"},
        "raw": {"dtype": "binary", "_type": "Value"},
        "list": {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "List"},
        "any": {"_type": "Json"},
        "photo": {"_type": "Image"},
    }))
    .unwrap();
    let long = "é".repeat(1_500_000);
    let photo = StructArray::from(vec![
        (
            Arc::new(Field::new("bytes", DataType::Binary, true)),
            Arc::new(BinaryArray::from(vec![Some(PNG), None, None])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("path", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![None, Some("hf://datasets/d@r/a b.png"), None])) as ArrayRef,
        ),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(1), Some(2), None])),
        Arc::new(StringArray::from(vec![Some("one"), Some(&long), None])),
        Arc::new(BinaryArray::from(vec![Some(&b"\0\xff"[..]), Some(b""), None])),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
            Some(vec![Some(1), None]),
            Some(vec![]),
            None,
        ])),
        Arc::new(StringArray::from(vec![Some("{\"a\": 1}"), Some("null"), None])),
        Arc::new(photo),
    ];
    let table = RecordBatch::try_new(to_schema(&features, false), columns).unwrap();
    let options = WriteOptions { max_shard_bytes: 1, ..WriteOptions::default() };
    let mut writer = SplitWriter::new(folder, "train", &features, options);
    writer.write(&table.slice(0, 1), 1).unwrap();
    writer.write(&table.slice(1, 2), 1).unwrap();
    let files = writer.finish().unwrap().into_iter().map(|file| ParquetFile {
        file: SourceFile {
            path: file.path.to_str().unwrap().to_owned(),
            local_path: folder.join(&file.path),
            size: file.size,
            identity: None,
        },
        num_rows: file.num_rows,
    });
    (files.collect(), features)
}

fn ask(row: u64, column: &str, extent: Option<Extent>) -> Result<CellValue, EngineError> {
    let folder = tempfile::tempdir().unwrap();
    let (files, features) = written(folder.path());
    assert_eq!(files.len(), 2);
    let call = Cell {
        files,
        features: Some(features),
        row,
        column: column.to_owned(),
        extent,
        max_read_bytes: 1 << 30,
        media: MediaTarget {
            directory: folder.path().join("media"),
            url_prefix: "http://here/assets".into(),
            resolve_prefix: "http://here/datasets/d/resolve/r".into(),
            repository: "hf://datasets/d@r".into(),
            linked_files: Some(Vec::new()),
            rules: Default::default(),
        },
    };
    cell(&call, &FooterCache::default(), &Task::default())
}

/// Media type, size and bytes.
fn content(row: u64, column: &str, extent: Option<Extent>) -> (String, u64, Vec<u8>) {
    match ask(row, column, extent).unwrap() {
        CellValue::Content { media_type, size, bytes, .. } => (media_type, size, bytes.to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_are_given_as_what_they_are() {
    for (column, media_type, bytes) in [
        ("n", JSON, &b"1"[..]),
        ("t", TEXT, b"one"),
        ("raw", BYTES, b"\0\xff"),
        ("list", JSON, b"[1,null]"),
        ("any", JSON, b"{\"a\": 1}"),
        ("photo", "image/png", PNG),
    ] {
        assert_eq!(content(0, column, None), (media_type.to_owned(), bytes.len() as u64, bytes.to_vec()), "{column}");
        assert_eq!(ask(2, column, None).unwrap(), CellValue::Null, "{column}");
    }
    // Nothing is not null.
    assert_eq!(content(1, "raw", None), (BYTES.to_owned(), 0, Vec::new()));
}

#[test]
fn files_of_the_repository_are_linked() {
    let url = "http://here/datasets/d/resolve/r/a%20b.png".to_owned();
    assert_eq!(ask(1, "photo", None).unwrap(), CellValue::Link { url });
}

#[test]
fn parts_of_long_values_are_cut_by_bytes() {
    let (_, size, bytes) = content(1, "t", None);
    assert_eq!((size, bytes.len()), (3_000_000, 3_000_000));
    for (extent, range) in [
        (Extent::From { start: 0, end: Some(5) }, 0..5),
        (Extent::From { start: 2_999_990, end: None }, 2_999_990..3_000_000),
        (Extent::From { start: 1_000_000, end: Some(u64::MAX) }, 1_000_000..3_000_000),
        (Extent::Last(7), 2_999_993..3_000_000),
        (Extent::From { start: 3_000_000, end: None }, 0..0),
    ] {
        assert_eq!(content(1, "t", Some(extent)), (TEXT.to_owned(), 3_000_000, bytes[range].to_vec()), "{extent:?}");
    }
}

#[test]
fn rows_and_columns_that_are_not_there_are_named() {
    assert_eq!(ask(3, "n", None).unwrap_err().message, "Parameter 'row': the split has rows from 0 to 2, not 3");
    let error = ask(0, "m", None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Parameter);
    assert!(error.message.starts_with("Parameter 'column': there is no column `m`; there are `n`, `t`"), "{error}");
}

#[test]
fn a_part_is_empty_where_there_is_no_such_byte() {
    assert_eq!(Extent::Last(3).within(0), None);
    assert_eq!(Extent::Last(3).within(2), Some(0..2));
    assert_eq!(Extent::From { start: 2, end: None }.within(2), None);
    assert_eq!(Extent::From { start: 1, end: Some(9) }.within(2), Some(1..2));
}
