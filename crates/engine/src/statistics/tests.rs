//! Figures of a file of many types. The expected ones were computed in Python from the same generated numbers: means and
//! deviations with fractions, quantiles with numpy, bins by counting; nothing of this crate takes part.

use std::path::Path;
use std::sync::Arc;

use arrow::array::Array;
use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int64Type};
use belvedere_domain::Features;
use serde_json::json;

use super::*;
use crate::call::{Budget, ParquetFile, QueryText, SelectedRows};
use crate::features_arrow::to_schema;
use crate::source::SourceFile;
use crate::write::{SplitWriter, WriteOptions};

const ROWS: usize = 3_000;

/// Numbers that look random, the same in every run.
fn noise(seed: u64, below: u64) -> impl Iterator<Item = u64> {
    let step = move |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((*state >> 20) % below)
    };
    std::iter::repeat_n((), ROWS).scan(seed, move |state, ()| step(state))
}

fn features() -> Features {
    let value = |dtype: &str| json!({"dtype": dtype, "_type": "Value"});
    let features = json!({
        "i": value("int32"), "u": value("uint64"), "f": value("float64"), "t": value("string"), "l": value("string"),
        "ts": value("timestamp[us]"), "li": {"_type": "List", "feature": value("int64")}, "b": value("bool"),
        "dec": value("decimal128(12, 2)"), "s": {"x": value("int32")}, "none": value("null"),
    });
    Features::from_json(&features).unwrap()
}

fn table() -> RecordBatch {
    let float = |(row, value): (usize, u64)| match row {
        _ if row % 50 == 0 => f64::NAN,
        _ if row % 999 == 0 => f64::INFINITY,
        _ => value as f64 / 7.0 - 50_000.0,
    };
    let integers: Int32Array =
        noise(1, 1_000).enumerate().map(|(row, value)| (row % 7 != 0).then_some(value as i32 - 500)).collect();
    let integers: ArrayRef = Arc::new(integers);
    let label = |(row, value): (usize, u64)| (row % 11 != 0).then(|| ["red", "green", "blue"][value as usize]);
    let lists = noise(7, 5).map(|length| Some((0..length as i64).map(Some).collect::<Vec<_>>()));
    let field = Arc::new(Field::new("x", integers.data_type().clone(), true));
    let columns: Vec<ArrayRef> = vec![
        integers.clone(),
        Arc::new(UInt64Array::from_iter_values(noise(2, 1 << 40).map(|value| value + (1 << 63)))),
        Arc::new(Float64Array::from_iter_values(noise(3, 1_000_001).enumerate().map(float))),
        Arc::new(StringArray::from_iter_values(
            noise(4, 2_000).map(|value| format!("{}{value}", "é".repeat(value as usize % 40))),
        )),
        Arc::new(noise(5, 3).enumerate().map(label).collect::<StringArray>()),
        Arc::new(TimestampMicrosecondArray::from_iter_values(
            noise(6, 10_000_000_000_000).map(|value| value as i64 + 1_600_000_000_000_000),
        )),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)),
        Arc::new(noise(9, 2).map(|value| Some(value == 1)).collect::<BooleanArray>()),
        Arc::new(
            Decimal128Array::from_iter_values(noise(8, 100_000).map(i128::from))
                .with_precision_and_scale(12, 2)
                .unwrap(),
        ),
        Arc::new(StructArray::new(vec![field].into(), vec![integers], None)),
        arrow::array::new_null_array(&DataType::Null, ROWS),
    ];
    RecordBatch::try_new(to_schema(&features(), false), columns).unwrap()
}

/// A call on the table, written in row groups of so many rows.
fn call(folder: &Path, group_rows: usize) -> Statistics {
    let options = WriteOptions { max_row_group_rows: group_rows, ..WriteOptions::default() };
    let mut writer = SplitWriter::new(folder, &format!("of-{group_rows}"), &features(), options);
    let table = table();
    for first in (0..ROWS).step_by(500) {
        writer.write(&table.slice(first, 500.min(ROWS - first)), 8 * 500).unwrap();
    }
    Statistics {
        files: listed(folder, writer),
        features: Some(features()),
        rules: Rules::Seed,
        histogram_bins: 10,
        max_string_labels: 30,
        max_split_bytes: None,
        memory_bytes: 64 << 20,
        scratch: folder.join("scratch"),
        repository: "hf://datasets/d@r".to_owned(),
        linked_files: Vec::new(),
        selected: None,
    }
}

fn listed(folder: &Path, writer: SplitWriter) -> Vec<ParquetFile> {
    let file = |written: crate::call::WrittenFile| ParquetFile {
        num_rows: written.num_rows,
        file: SourceFile {
            path: written.path.display().to_string(),
            local_path: folder.join(&written.path),
            size: written.size,
            identity: None,
        },
    };
    writer.finish().unwrap().into_iter().map(file).collect()
}

fn described(call: &Statistics, threads: usize) -> SplitStatistics {
    statistics(call, &FooterCache::default(), &Task::new(threads)).unwrap()
}

fn column<'r>(found: &'r SplitStatistics, name: &str) -> &'r ColumnStatistics {
    let mut all = found.statistics.iter().chain(&found.more_statistics);
    all.find(|column| column.column_name == name).unwrap()
}

#[test]
fn figures_are_those_of_an_independent_computation() {
    let folder = tempfile::tempdir().unwrap();
    let found = described(&call(folder.path(), 700), 2);
    assert_eq!((found.num_examples, found.partial), (ROWS as u64, false));
    let expected = json!({
        "i": {
            "nan_count": 429, "nan_proportion": 0.143, "min": -500, "max": 499, "mean": -11.0879, "median": -11.0,
            "std": 287.63858, "histogram": {
                "hist": [272, 265, 279, 238, 267, 259, 257, 263, 240, 231],
                "bin_edges": [-500, -400, -300, -200, -100, 0, 100, 200, 300, 400, 499],
            },
        },
        "u": {
            "nan_count": 0, "nan_proportion": 0.0, "min": 9_223_372_036_905_770_451_u64,
            "max": 9_223_373_136_350_275_057_u64, "mean": 9.223_372_592_015_59e18, "median": 9.223_372_584_844_554e18,
            "std": 321_576_208_721.716_2, "histogram": {
                "hist": [295, 318, 274, 310, 306, 274, 279, 304, 315, 325],
                "bin_edges": [
                    9_223_372_036_905_770_451_u64, 9_223_372_146_850_220_912_u64, 9_223_372_256_794_671_373_u64,
                    9_223_372_366_739_121_834_u64, 9_223_372_476_683_572_295_u64, 9_223_372_586_628_022_756_u64,
                    9_223_372_696_572_473_217_u64, 9_223_372_806_516_923_678_u64, 9_223_372_916_461_374_139_u64,
                    9_223_373_026_405_824_600_u64, 9_223_373_136_350_275_057_u64,
                ],
            },
        },
        "f": {
            "nan_count": 60, "nan_proportion": 0.02, "min": -49_883.285_71, "max": 92_733.571_43, "mean": 22_182.008_27,
            "median": 23_297.428_57, "std": 40_722.676_17, "histogram": {
                "hist": [278, 268, 301, 312, 273, 313, 289, 319, 303, 281],
                "bin_edges": [
                    -49_883.285_71, -35_621.6, -21_359.914_28, -7_098.228_57, 7_163.457_15, 21_425.142_86, 35_686.828_57,
                    49_948.514_29, 64_210.2, 78_471.885_72, 92_733.571_43,
                ],
            },
        },
        "t": {
            "nan_count": 0, "nan_proportion": 0.0, "min": 1, "max": 43, "mean": 22.791_67, "median": 23.0, "std": 11.604_99,
            "histogram": {
                "hist": [213, 371, 378, 374, 361, 379, 371, 382, 171],
                "bin_edges": [1, 6, 11, 16, 21, 26, 31, 36, 41, 43],
            },
        },
        "l": {
            "nan_count": 273, "nan_proportion": 0.091, "no_label_count": 0, "no_label_proportion": 0.0, "n_unique": 3,
            "frequencies": {"blue": 919, "green": 904, "red": 904},
        },
        "ts": {
            "nan_count": 0, "nan_proportion": 0.0, "min": "2020-09-13 12:27:17", "max": "2021-01-07 04:52:29",
            "mean": "2020-11-04 13:15:16", "median": "2020-11-04 03:47:04", "std": "30 days, 18:28:17.411910",
            "histogram": {
                "hist": [334, 335, 345, 321, 336, 386, 323, 287, 170, 163],
                "bin_edges": [
                    "2020-09-13 12:27:17", "2020-09-25 02:05:49", "2020-10-06 15:44:21", "2020-10-18 05:22:53",
                    "2020-10-29 19:01:25", "2020-11-10 08:39:57", "2020-11-21 22:18:29", "2020-12-03 11:57:01",
                    "2020-12-15 01:35:33", "2020-12-26 15:14:05", "2021-01-07 04:52:29",
                ],
            },
        },
        "li": {
            "nan_count": 0, "nan_proportion": 0.0, "min": 0, "max": 4, "mean": 1.998_33, "median": 2.0, "std": 1.4242,
            "histogram": {"hist": [608, 605, 586, 586, 615], "bin_edges": [0, 1, 2, 3, 4, 4]},
        },
        "b": {"nan_count": 0, "nan_proportion": 0.0, "frequencies": {"False": 1500, "True": 1500}},
        "dec": {
            "nan_count": 0, "nan_proportion": 0.0, "min": "0.68", "max": "999.93", "mean": 503.279_58, "median": 510.71,
            "std": 292.640_86, "histogram": {
                "hist": [313, 314, 294, 266, 284, 287, 317, 311, 296, 318],
                "bin_edges": [
                    0.68, 100.605, 200.53, 300.455, 400.38, 500.305, 600.23, 700.155, 800.08, 900.005, 999.93,
                ],
            },
        },
    });
    for (name, expected) in expected.as_object().unwrap() {
        let figures = &column(&found, name).column_statistics;
        assert_eq!(figures, expected, "{name}");
    }
    // The same numbers inside of a struct.
    assert_eq!(column(&found, "s.x").column_statistics, expected["i"]);
    let listed: Vec<&str> = found.statistics.iter().map(|column| column.column_name.as_str()).collect();
    assert_eq!(listed, ["b", "f", "i", "l", "li", "t", "ts", "u"]);
    let more: Vec<&str> = found.more_statistics.iter().map(|column| column.column_name.as_str()).collect();
    assert_eq!(more, ["dec", "li[]", "none", "s.x"]);
}

#[test]
fn details_are_those_of_an_independent_computation() {
    let folder = tempfile::tempdir().unwrap();
    let found = described(&call(folder.path(), 700), 2);
    let details = |name: &str| column(&found, name).details.clone().unwrap();
    let quantiles = json!({
        "0.01": -491.0, "0.05": -452.0, "0.25": -261.0, "0.50": -11.0, "0.75": 233.5, "0.95": 446.5, "0.99": 490.0,
    });
    assert_eq!(details("i")["quantiles"], quantiles);
    let found_floats = details("f");
    assert_eq!(found_floats["infinite_count"], 3);
    let expected = [
        ("0.01", -48_398.88),
        ("0.05", -42_633.628_571_428_57),
        ("0.25", -13_173.285_714_285_717),
        ("0.50", 23_297.428_571_428_565),
        ("0.75", 57_142.571_428_571_435),
        ("0.95", 85_639.571_428_571_42),
        ("0.99", 91_141.571_428_571_42),
    ];
    for (share, expected) in expected {
        let quantile = found_floats["quantiles"][share].as_f64().unwrap();
        assert!((quantile - expected).abs() < 1e-9, "{share}: {quantile}");
    }
    let texts = details("t");
    assert_eq!(texts["n_unique"], 1557);
    let top: Vec<&Json> = texts["top_values"].as_array().unwrap().iter().map(|item| &item["count"]).collect();
    assert_eq!(top[0], 7);
    let named = |name: &str| texts["top_values"].as_array().unwrap().iter().any(|item| item["value"] == name);
    assert!(["ééééé1005", "1640", "ééééééééééééééééééééé1621"].into_iter().all(named), "{texts}");
    assert_eq!(details("none")["alerts"], json!([{"alert": "all_null"}]));
}

#[test]
fn neither_row_groups_nor_threads_nor_memory_change_a_figure() {
    let folder = tempfile::tempdir().unwrap();
    let expected = described(&call(folder.path(), 3_000), 1);
    for (group_rows, threads, memory_bytes) in [(100, 4, 64 << 20), (700, 3, 0), (1_500, 1, 10_000)] {
        let call = Statistics { memory_bytes, ..call(folder.path(), group_rows) };
        let found = described(&call, threads);
        assert_eq!(found.statistics, expected.statistics, "{group_rows}");
        assert_eq!(found.more_statistics, expected.more_statistics, "{group_rows}");
        assert_eq!(found.frames, expected.frames, "{group_rows}");
    }
    // What was spilled left nothing behind.
    assert_eq!(std::fs::read_dir(folder.path().join("scratch")).unwrap().count(), 0);
}

#[test]
fn dates_of_the_reference_pass_over_nulls() {
    let folder = tempfile::tempdir().unwrap();
    let features = Features::from_json(
        &json!({"day": {"dtype": "string", "_type": "Value"}, "n": {"dtype": "int8", "_type": "Value"}}),
    );
    let features = features.unwrap();
    // Few distinct values, so that the file stores codes.
    let days: StringArray =
        (0..4_000).map(|row| (row % 4 != 3).then(|| format!("2024-01-{:02}", row % 4 + 1))).collect();
    let numbers = arrow::array::Int8Array::from(vec![1; 4_000]);
    let table = RecordBatch::try_new(to_schema(&features, false), vec![Arc::new(days), Arc::new(numbers)]).unwrap();
    let mut writer = SplitWriter::new(folder.path(), "days", &features, WriteOptions::default());
    writer.write(&table, 40_000).unwrap();
    let files = listed(folder.path(), writer);
    let call = Statistics { files, features: Some(features), rules: Rules::Reference, ..call(folder.path(), 3_000) };
    let found = described(&call, 1);
    let day = column(&found, "day");
    assert_eq!((day.column_type.as_str(), &day.column_statistics["nan_count"]), ("datetime", &json!(1000)));
    assert_eq!(day.column_statistics["mean"], "2024-01-02 00:00:00");
    assert_eq!(day.column_statistics["histogram"]["hist"], json!([1000, 0, 0, 0, 1000, 0, 0, 0, 0, 1000]));
    assert_eq!((&day.details, found.more_statistics.len()), (&None, 0));
}

#[test]
fn a_call_that_nobody_waits_for_stops() {
    let folder = tempfile::tempdir().unwrap();
    let task = Task::new(2);
    task.cancel();
    let error = statistics(&call(folder.path(), 700), &FooterCache::default(), &task).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled);
}

#[test]
fn an_empty_split_has_figures_of_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let full = call(folder.path(), 700);
    let writer = SplitWriter::new(folder.path(), "empty", &features(), WriteOptions::default());
    let empty = Statistics { files: listed(folder.path(), writer), ..full };
    let found = described(&empty, 2);
    assert_eq!((found.num_examples, &column(&found, "f").column_statistics["mean"]), (0, &Json::Null));
    assert_eq!(column(&found, "l").column_statistics["frequencies"], json!({}));
}

#[test]
fn some_rows_are_described_in_the_bins_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let all = call(folder.path(), 700);
    let whole = described(&all, 2);
    let of = |condition: &str| {
        let query = QueryText { condition: Some(condition.to_owned()), order: None, reference: false };
        let budget = Budget { max_seconds: 60.0, max_memory_bytes: 1 << 20, max_rows: None };
        let selected = Some(SelectedRows { query, budget, frames: whole.frames.clone() });
        described(&Statistics { selected, ..all.clone() }, 2)
    };
    let everything = of("i >= -500 or i is null");
    assert_eq!(everything.statistics, whole.statistics);
    assert_eq!(everything.more_statistics, whole.more_statistics);

    let blue = of("l = 'blue'");
    assert_eq!(blue.num_examples, 919);
    let rest = of("l <> 'blue' or l is null");
    assert_eq!(rest.num_examples, 3_000 - 919);
    for name in ["i", "u", "f", "t", "ts", "li", "dec", "s.x", "li[]"] {
        let [whole, blue, rest] =
            [&whole, &blue, &rest].map(|found| column(found, name).column_statistics["histogram"].clone());
        assert_eq!((&blue["bin_edges"], &rest["bin_edges"]), (&whole["bin_edges"], &whole["bin_edges"]), "{name}");
        let counts = |histogram: &Json| -> Vec<u64> {
            histogram["hist"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect()
        };
        let sums: Vec<u64> = counts(&blue).into_iter().zip(counts(&rest)).map(|(left, right)| left + right).collect();
        assert_eq!(sums, counts(&whole), "{name}");
    }
    assert_eq!(column(&blue, "l").column_statistics["frequencies"], json!({"blue": 919}));
    // Few texts are still described by their lengths, as all of them are.
    let few = of("i = 7");
    assert!(few.num_examples < 30 && column(&few, "t").column_type == "string_text");
    let nothing = of("i > 1000");
    assert_eq!((nothing.num_examples, &column(&nothing, "f").column_statistics["mean"]), (0, &Json::Null));
}
