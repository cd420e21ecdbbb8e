use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use serde_json::json;

use super::*;
use crate::features_arrow::to_schema;
use crate::source::SourceFile;
use crate::task::Task;
use crate::write::{SplitWriter, WriteOptions};

fn features(json: serde_json::Value) -> Features {
    Features::from_json(&json).unwrap()
}

/// Two files: rows 0..250 with columns n and s in groups of 100 rows, rows 250..300 with n alone.
fn files(folder: &Path) -> Vec<ParquetFile> {
    let both = features(json!({"n": {"dtype": "int64", "_type": "Value"}, "s": {"dtype": "string", "_type": "Value"}}));
    let one = features(json!({"n": {"dtype": "int64", "_type": "Value"}}));
    let numbers = |range| Arc::new(Int64Array::from_iter_values::<std::ops::Range<i64>>(range));
    let texts = Arc::new(StringArray::from_iter_values((0..250).map(|n| format!("row {n}"))));
    let first = RecordBatch::try_new(to_schema(&both, false), vec![numbers(0..250), texts]).unwrap();
    let second = RecordBatch::try_new(to_schema(&one, false), vec![numbers(250..300)]).unwrap();
    let write = |name: &str, features: &Features, table: &RecordBatch| {
        let options = WriteOptions { max_row_group_rows: 100, ..WriteOptions::default() };
        let mut writer = SplitWriter::new(folder, name, features, options);
        writer.write(table, 8).unwrap();
        let written = &writer.finish().unwrap()[0];
        let file = SourceFile {
            path: name.into(),
            local_path: folder.join(&written.path),
            size: written.size,
            identity: None,
        };
        ParquetFile { file, num_rows: table.num_rows() as u64 }
    };
    vec![write("a", &both, &first), write("b", &one, &second)]
}

fn opened(folder: &Path) -> SplitTable {
    SplitTable::open(&files(folder), None, &FooterCache::default()).unwrap()
}

fn numbers(table: &RecordBatch) -> Vec<i64> {
    table.column(0).as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn groups_count_their_rows_through_all_files() {
    let folder = tempfile::tempdir().unwrap();
    let table = opened(folder.path());
    let groups: Vec<_> = table.groups().iter().map(|group| (group.file, group.first_row, group.num_rows)).collect();
    assert_eq!(groups, [(0, 0, 100), (0, 100, 100), (0, 200, 50), (1, 250, 50)]);
    assert_eq!(table.num_rows(), 300);
}

#[test]
fn groups_are_read_in_parallel_and_answer_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let table = opened(folder.path());
    let read = |group: &Group| table.read(group, &[0], None, 33)?.collect::<Result<Vec<_>, _>>();
    let tables = for_each_group(table.groups(), &Task::new(3), read).unwrap();
    let sizes: Vec<_> = tables[0].iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes, [33, 33, 33, 1]);
    assert_eq!(tables.iter().flatten().flat_map(numbers).collect::<Vec<_>>(), (0..300).collect::<Vec<_>>());
}

#[test]
fn columns_that_a_file_lacks_are_null() {
    let folder = tempfile::tempdir().unwrap();
    let table = opened(folder.path());
    let mut batches = table.read(&table.groups()[3], &[1], None, 1000).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert_eq!((batch.num_rows(), batch.column(0).null_count()), (50, 50));
    assert!(batches.next().is_none());
}

#[test]
fn the_first_failure_wins_and_a_cancelled_task_does_nothing() {
    let fail = |index: usize| match index {
        0 | 1 => Ok(index),
        _ => Err(EngineError::new(ErrorKind::Internal, format!("piece {index}"))),
    };
    for threads in [1, 4] {
        assert_eq!(for_each(9, &Task::new(threads), fail).unwrap_err().message, "piece 2");
        let task = Task::new(threads);
        task.cancel();
        assert_eq!(for_each(9, &task, fail).unwrap_err().kind, ErrorKind::Cancelled);
    }
}

#[test]
fn rows_are_gathered_in_the_order_asked() {
    let folder = tempfile::tempdir().unwrap();
    let table = opened(folder.path());
    let rows = [299, 0, 1, 100, 0, 249, 250];
    let gathered = table.gather(&rows, &[0, 1], &Task::new(2)).unwrap();
    assert_eq!(numbers(&gathered), rows.map(|row| row as i64));
    assert_eq!(gathered.column(1).as_string::<i32>().value(3), "row 100");
    assert!(gathered.column(1).is_null(0));
    assert_eq!(table.gather(&[], &[0], &Task::new(2)).unwrap().num_rows(), 0);
    assert_eq!(table.gather(&[300], &[0], &Task::new(2)).unwrap_err().kind, ErrorKind::Internal);
}

#[test]
fn a_file_with_a_column_that_the_features_lack_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let told = features(json!({"n": {"dtype": "int64", "_type": "Value"}}));
    let error = SplitTable::open(&files(folder.path()), Some(&told), &FooterCache::default()).err().unwrap();
    assert_eq!((error.kind, error.column.as_deref()), (ErrorKind::SchemaMismatch, Some("s")));
}
