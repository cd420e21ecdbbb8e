use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use serde_json::json;

use super::*;
use crate::call::{ParquetFile, SplitOf};
use crate::features_arrow::features_of;
use crate::source::SourceFile;
use crate::write::{SplitWriter, WriteOptions};

/// A split of one file, in row groups of 100 rows.
fn split(folder: &Path, name: &str, columns: Vec<(&str, ArrayRef)>) -> SplitOf {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let table = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    let features = features_of(&table.schema()).unwrap();
    let options = WriteOptions { max_row_group_rows: 100, ..WriteOptions::default() };
    let mut writer = SplitWriter::new(folder, name, &features, options);
    writer.write(&table, 8).unwrap();
    let written = &writer.finish().unwrap()[0];
    let local_path = folder.join(&written.path);
    let file = SourceFile { path: name.into(), local_path, size: written.size, identity: None };
    SplitOf { files: vec![ParquetFile { file, num_rows: written.num_rows }], features: None }
}

fn numbers(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn texts<'t>(values: impl IntoIterator<Item = &'t str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn call(left: SplitOf, right: SplitOf, key: &[&str], columns: &[&str]) -> Compare {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Compare { left, right, key: owned(key), columns: owned(columns), scratch: std::env::temp_dir() }
}

fn compared(call: &Compare) -> Compared {
    compare(call, &FooterCache::default(), &Task::new(2)).unwrap()
}

#[test]
fn rows_without_a_key_are_the_same_or_others() {
    let folder = tempfile::tempdir().unwrap();
    let left = split(folder.path(), "l", vec![("n", numbers([1, 2, 2, 2, 3, 4]))]);
    let right = split(folder.path(), "r", vec![("n", numbers([5, 2, 1, 2, 6]))]);
    let rows = compared(&call(left, right, &[], &[])).rows.unwrap();
    assert_eq!((rows.same, rows.changed, rows.added, rows.removed, rows.repeated), (3, 0, 2, 3, (2, 1)));
    assert_eq!((rows.examples.added, rows.examples.changed), (vec![0, 4], vec![]));
    // Of the three rows with 2, two are still there; the first of them stands for all.
    assert_eq!(rows.examples.removed, [1, 4, 5]);
}

#[test]
fn rows_with_a_key_may_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let left = split(
        folder.path(),
        "l",
        vec![("id", Arc::new(Int32Array::from_iter_values([1, 2, 3, 4, 4]))), ("t", texts(["a", "b", "c", "d", "e"]))],
    );
    let right = split(
        folder.path(),
        "r",
        vec![("t", texts(["c", "B", "x", "e", "f", "g"])), ("id", numbers([3, 2, 9, 4, 4, 4]))],
    );
    let result = compared(&call(left, right, &["id"], &[]));
    let rows = result.rows.unwrap();
    assert_eq!((rows.key, rows.columns), (vec!["id".to_owned()], vec!["id".to_owned(), "t".to_owned()]));
    // 3 and one of 4 are the same, 2 and the other 4 changed, 1 went, 9 and a third 4 came.
    assert_eq!((rows.same, rows.changed, rows.added, rows.removed, rows.repeated), (2, 2, 2, 1, (1, 2)));
    assert_eq!(rows.examples.changed, [(1, 1), (3, 4)]);
    assert_eq!((rows.examples.added, rows.examples.removed), (vec![2, 5], vec![0]));
    // The key is not looked for, so the text alone leaks.
    let leakage = result.leakage.unwrap();
    assert_eq!(leakage.columns, ["t"]);
    assert_eq!((leakage.exact.left_rows, leakage.exact.right_rows), (2, 2));
}

#[test]
fn columns_that_came_went_or_changed_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let left = split(
        folder.path(),
        "l",
        vec![("a", numbers([1])), ("b", numbers([1])), ("c", texts(["x"])), ("d", numbers([1]))],
    );
    let right = split(
        folder.path(),
        "r",
        vec![
            ("d", Arc::new(Float64Array::from(vec![1.0])) as ArrayRef),
            ("a", numbers([1])),
            ("c", Arc::new(BooleanArray::from(vec![true]))),
            ("e", numbers([1])),
        ],
    );
    let result = compared(&call(left, right, &[], &[]));
    let value = |dtype: &str| json!({"dtype": dtype, "_type": "Value"});
    assert_eq!(
        serde_json::to_value(&result.schema).unwrap(),
        json!({
            "added": [{"name": "e", "type": value("int64")}],
            "removed": [{"name": "b", "type": value("int64")}],
            "changed": [
                {"name": "c", "left": value("string"), "right": value("bool"), "comparable": false},
                {"name": "d", "left": value("int64"), "right": value("float64"), "comparable": true},
            ],
            "same": 1,
            "reordered": true,
        })
    );
    let rows = result.rows.unwrap();
    assert_eq!((rows.columns, rows.same), (vec!["a".to_owned(), "d".to_owned()], 1));
}

#[test]
fn splits_without_common_columns_have_nothing_to_compare() {
    let folder = tempfile::tempdir().unwrap();
    let (left, right) =
        (split(folder.path(), "l", vec![("a", numbers([1]))]), split(folder.path(), "r", vec![("b", numbers([1]))]));
    let result = compared(&call(left.clone(), right.clone(), &[], &[]));
    assert!(result.rows.is_none() && result.leakage.is_none() && result.columns.is_empty());
    let error = compare(&call(left, right, &["a"], &[]), &FooterCache::default(), &Task::new(1)).unwrap_err();
    assert_eq!(
        (error.kind, error.to_string().as_str()),
        (ErrorKind::Parameter, "Parameter 'key': the splits have no columns in common that can be compared")
    );
}

#[test]
fn text_leaks_although_it_was_retouched() {
    let folder = tempfile::tempdir().unwrap();
    let left = split(
        folder.path(),
        "l",
        vec![
            ("id", numbers(0..5)),
            ("q", texts(["What is Rust?", "Who am I", "Same", "", "?"])),
            ("a", texts(["a language", "you", "as ever", "", "!"])),
        ],
    );
    let right = split(
        folder.path(),
        "r",
        vec![
            ("id", numbers(10..15)),
            ("q", texts(["what is  rust", "Who am", "Same", "", "…"])),
            ("a", texts(["A language.", "I you", "as ever", "", ""])),
        ],
    );
    let leakage = compared(&call(left, right, &[], &["q", "a"])).leakage.unwrap();
    assert_eq!(leakage.text_columns, ["q", "a"]);
    // `Same` and the row of empty texts.
    let shared = |rows, examples| Shared { left_rows: rows, right_rows: rows, distinct: rows, examples };
    assert_eq!(leakage.exact, shared(2, vec![(2, 2), (3, 3)]));
    // Words of one column are not those of the next, and rows without a word do not count.
    assert_eq!(leakage.normalized.unwrap(), shared(2, vec![(0, 0), (2, 2)]));
}

#[test]
fn distributions_that_moved_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let columns = |shift: i64, kinds: [&'static str; 2]| {
        vec![
            ("calm", numbers((0..1000).map(|n| (n * 7) % 100))),
            ("moved", numbers((0..1000).map(move |n| (n * 7) % 100 + shift))),
            ("kind", texts((0..1000).map(move |n| kinds[usize::from(n % 4 == 0)]))),
        ]
    };
    let left = split(folder.path(), "l", columns(0, ["a", "b"]));
    let right = split(folder.path(), "r", columns(50, ["a", "c"]));
    let result = compared(&call(left, right, &[], &[]));
    let found: Vec<_> =
        result.columns.iter().map(|column| (column.column.as_str(), column.method, column.level.unwrap())).collect();
    assert_eq!(
        found,
        [
            ("moved", Method::PopulationStability, Level::Large),
            ("kind", Method::JensenShannon, Level::Large),
            ("calm", Method::PopulationStability, Level::Small),
        ]
    );
    let calm = &result.columns[2];
    assert_eq!((calm.drift, calm.left.min, calm.left.max), (Some(0.0), Some(0.0), Some(99.0)));
    let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-9;
    // Of the numbers 0 to 99 in equal parts: (99 + 1)² − 1 over 12.
    assert!(close(calm.left.mean, 49.5) && close(calm.right.std, (9_999.0_f64 / 12.0).sqrt()));
    let bins = calm.bins.as_ref().unwrap();
    assert_eq!(bins.edges, [9.0, 19.0, 29.0, 39.0, 49.0, 59.0, 69.0, 79.0, 89.0]);
    assert_eq!((&bins.left, &bins.right), (&vec![100; 10], &vec![100; 10]));
    // A quarter of each side is not on the other: √(½ · ¼ + ½ · ¼).
    let kind = &result.columns[1];
    assert!((kind.drift.unwrap() - 0.5).abs() < 1e-12);
    assert_eq!(kind.left.distinct, Some(2));
    let values: Vec<_> = kind.values.iter().map(|value| (value.value.as_deref(), value.left, value.right)).collect();
    assert_eq!(values, [(Some("b"), 250, 0), (Some("c"), 0, 250), (Some("a"), 750, 750)]);
}

#[test]
fn neither_threads_nor_memory_change_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let word = |n: i64| format!("Word {}", n * 2_654_435_761 % 4_001);
    let side = |name: &str, rows: std::ops::Range<i64>| {
        let words: Vec<String> = rows.clone().map(word).collect();
        let halves: ArrayRef = Arc::new(Float64Array::from_iter_values(rows.clone().map(|n| n as f64 / 3.0)));
        split(
            folder.path(),
            name,
            vec![("n", numbers(rows)), ("w", texts(words.iter().map(String::as_str))), ("x", halves)],
        )
    };
    let call = Compare {
        scratch: folder.path().join("scratch"),
        ..call(side("l", 0..6_000), side("r", 3_000..9_000), &["n"], &["w"])
    };
    let run =
        |threads, memory| compare(&call, &FooterCache::default(), &Task::new(threads).with_memory(memory)).unwrap();
    let expected = run(1, 1 << 30);
    assert!(!folder.path().join("scratch").exists(), "everything fits into memory");
    let rows = expected.rows.as_ref().unwrap();
    assert_eq!((rows.same, rows.added, rows.removed), (3_000, 3_000, 3_000));
    for (threads, memory) in [(4, 1 << 30), (1, 1), (4, 1)] {
        assert_eq!(run(threads, memory), expected);
    }
    assert!(folder.path().join("scratch").exists(), "not everything fits into nothing");
    let sent: Compared = serde_json::from_str(&serde_json::to_string(&expected).unwrap()).unwrap();
    assert_eq!(sent, expected);
}

#[test]
fn an_empty_split_is_compared_without_scores() {
    let folder = tempfile::tempdir().unwrap();
    let left = split(folder.path(), "l", vec![("n", numbers([]))]);
    let right = split(folder.path(), "r", vec![("n", numbers([1, 2]))]);
    let result = compared(&call(left, right, &[], &[]));
    assert_eq!((result.left_rows, result.right_rows), (0, 2));
    assert_eq!((result.columns[0].drift, result.columns[0].right.mean), (None, Some(1.5)));
    assert_eq!(result.rows.unwrap().added, 2);
}
