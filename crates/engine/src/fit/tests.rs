use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, FixedSizeListArray, Float64Array, Int64Array, ListArray,
    NullArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type};
use belvedere_domain::data_files::Reader;
use belvedere_domain::{Feature, Features};
use serde_json::{Value as JsonValue, json};

use super::Fitter;
use crate::ErrorKind;
use crate::nbytes;
use crate::read::testing::{Folder, config, show};
use crate::read::{ConfigReader, ReadLimits};

/// Fits the tables of files one after the other; shows the last one, or the error.
fn after(reader: Reader, contents: &[&str]) -> String {
    let folder = Folder::new();
    let reader = ConfigReader::new(config(reader, &json!({})), ReadLimits::default());
    let mut fitter = reader.fitter();
    let mut shown = String::new();
    for (number, content) in contents.iter().enumerate() {
        let file = folder.file(&format!("{number}"), content);
        let table = reader.open(&file).unwrap().next_table().unwrap().unwrap();
        shown = match fitter.fit(table) {
            Ok(table) => show(&[table]),
            Err(error) => format!("{:?}: {error}", error.kind),
        };
    }
    shown
}

fn fitter(declared: &JsonValue) -> Fitter {
    let mut config = config(Reader::Csv, &json!({}));
    config.declared_features = Some(Features::from_json(declared).unwrap());
    ConfigReader::new(config, ReadLimits::default()).fitter()
}

/// Casts one column to a feature.
fn cast(array: impl Array + 'static, feature: JsonValue) -> Result<ArrayRef, String> {
    let batch = RecordBatch::try_from_iter_with_nullable([("a", Arc::new(array) as ArrayRef, true)]).unwrap();
    let fitted = fitter(&json!({ "a": feature })).fit(batch);
    fitted.map(|table| Arc::clone(table.column(0))).map_err(|error| format!("{:?}: {error}", error.kind))
}

fn text(array: impl Array + 'static, feature: JsonValue) -> String {
    match cast(array, feature) {
        Ok(array) => {
            let rows = (0..array.len()).map(|row| match array.is_null(row) {
                true => "null".to_owned(),
                false => arrow::util::display::array_value_to_string(&array, row).unwrap(),
            });
            rows.collect::<Vec<_>>().join(" | ")
        }
        Err(error) => error,
    }
}

fn value(dtype: &str) -> JsonValue {
    json!({"dtype": dtype, "_type": "Value"})
}

#[test]
fn later_csv_tables_are_cast_to_the_first() {
    insta::assert_snapshot!(after(Reader::Csv, &["a\n1\n2\n", "a\n1.5\n2\n"]), @r#"Incompatible: column "a": 1.5 would be cut to fit into int64"#);
    insta::assert_snapshot!(after(Reader::Csv, &["a,b\n1,1\n", "a,b\n3.0,1\n,1\n"]), @r"
    a: int64, b: int64
    3 | 1
    null | 1
    ");
    insta::assert_snapshot!(after(Reader::Csv, &["a\n1.5\n", "a\n1\n"]), @r"
    a: float64
    1.0
    ");
    insta::assert_snapshot!(after(Reader::Csv, &["a\nx\n", "a\n1\n"]), @r"
    a: string
    1
    ");
    insta::assert_snapshot!(after(Reader::Csv, &["a\nx\n", "a\n1.0\n1e20\n"]), @r"
    a: string
    1
    1e+20
    ");
    insta::assert_snapshot!(after(Reader::Csv, &["a\n1\n", "a\nx\n"]), @r#"Incompatible: column "a": string to int64: cannot cast string 'x' to value of Int64 type"#);
    insta::assert_snapshot!(after(Reader::Csv, &["a\nTrue\n", "a\n2\n0\n"]), @r"
    a: bool
    true
    false
    ");
    insta::assert_snapshot!(after(Reader::Csv, &["a\nx\n", "a\nTrue\n"]), @r"
    a: string
    true
    ");
}

#[test]
fn columns_may_be_missing_or_in_another_order_but_not_new() {
    insta::assert_snapshot!(after(Reader::Csv, &["a,b\n1,x\n", "b,a\ny,2\n"]), @r"
    a: int64, b: string
    2 | y
    ");
    insta::assert_snapshot!(after(Reader::Csv, &["a,b\n1,x\n", "a\n2\n"]), @r"
    a: int64, b: string
    2 | null
    ");
    insta::assert_snapshot!(after(Reader::Csv, &["a\n1\n", "a,b\n2,x\n"]), @r#"ColumnsMismatch: column "b": this column is not among those of the split: "a""#);
    insta::assert_snapshot!(after(Reader::Json, &["{\"a\":1}\n", "{\"a\":1,\"b\":2}\n"]), @r#"Incompatible: column "b": this column is not among those of the split: "a""#);
    insta::assert_snapshot!(after(Reader::Json, &["[{\"a\":1}]", "{\"a\":1,\"b\":2}"]), @r#"ColumnsMismatch: column "b": this column is not among those of the split: "a""#);
    insta::assert_snapshot!(after(Reader::Json, &["[{\"a\":1}]", "[{\"a\":1,\"b\":2}]"]), @r#"ColumnsMismatch: column "b": this column is not among those of the split: "a""#);
}

#[test]
fn structs_may_lack_fields_but_not_gain_any() {
    insta::assert_snapshot!(after(Reader::Json, &["{\"o\":{\"x\":1,\"y\":\"a\"}}\n", "{\"o\":{\"x\":2}}\n"]), @r"
    o: {x: int64, y: string}
    {x: 2, y: null}
    ");
    insta::assert_snapshot!(after(Reader::Json, &["{\"o\":{\"x\":1}}\n", "{\"o\":{\"x\":2,\"z\":1}}\n"]), @r#"Incompatible: column "o.z": this field is not among those of the column"#);
    insta::assert_snapshot!(after(Reader::Json, &["{\"o\":null}\n", "{\"o\":1}\n"]), @r#"Incompatible: column "o": values of type int64 cannot become null"#);
    insta::assert_snapshot!(after(Reader::Json, &["{\"o\":[{\"x\":1}]}\n", "{\"o\":[{\"x\":\"word\"}]}\n"]), @r#"Incompatible: column "o.x": string to int64: cannot cast string 'word' to value of Int64 type"#);
}

#[test]
fn a_table_without_rows_does_not_fix_the_schema() {
    insta::assert_snapshot!(after(Reader::Csv, &["a,b\n"]), @"a: null, b: null");
    insta::assert_snapshot!(after(Reader::Csv, &["a,b\n", "a,b\n1,x\n"]), @r"
    a: int64, b: string
    1 | x
    ");
    insta::assert_snapshot!(after(Reader::Csv, &["a,b\n1,x\n", "a,b\n"]), @"a: int64, b: string");
}

#[test]
fn texts_become_numbers_times_and_labels_by_declaration() {
    assert_eq!(text(StringArray::from(vec!["1", "-2"]), value("int8")), "1 | -2");
    assert_eq!(text(StringArray::from(vec!["1.5", "nan"]), value("float32")), "1.5 | NaN");
    assert_eq!(text(StringArray::from(vec!["True", "0"]), value("bool")), "true | false");
    assert_eq!(
        text(StringArray::from(vec!["2024-01-31", "2024-01-31T01:02:03"]), value("timestamp[s]")),
        "2024-01-31T00:00:00 | 2024-01-31T01:02:03"
    );
    insta::assert_snapshot!(text(StringArray::from(vec!["yes"]), value("bool")), @r#"Incompatible: column "a": "yes" is neither true nor false"#);
    insta::assert_snapshot!(text(StringArray::from(vec!["soon"]), value("timestamp[s]")), @r#"Incompatible: column "a": string to timestamp(s): error parsing timestamp from 'soon': timestamp must contain at least 10 characters"#);
    insta::assert_snapshot!(text(StringArray::from(vec!["300"]), value("int8")), @r#"Incompatible: column "a": string to int8: cannot cast string '300' to value of Int8 type"#);
    let labels = json!({"names": ["neg", "pos"], "_type": "ClassLabel"});
    assert_eq!(
        text(StringArray::from(vec![Some("pos"), None, Some("0"), Some("-1")]), labels.clone()),
        "1 | null | 0 | -1"
    );
    insta::assert_snapshot!(text(StringArray::from(vec!["maybe"]), labels.clone()), @r#"Incompatible: column "a": "maybe" is not one of the 2 class names"#);
    insta::assert_snapshot!(text(Int64Array::from(vec![2]), labels.clone()), @r#"Incompatible: column "a": class 2 where only 2 classes are declared"#);
    assert_eq!(text(Float64Array::from(vec![1.0]), labels), "1");
}

#[test]
fn nothing_is_cut_off_or_rounded_away() {
    insta::assert_snapshot!(text(Float64Array::from(vec![1.5]), value("int64")), @r#"Incompatible: column "a": 1.5 would be cut to fit into int64"#);
    insta::assert_snapshot!(text(Float64Array::from(vec![1e20]), value("int64")), @r#"Incompatible: column "a": float64 to int64: can't cast value 1e20 to type Int64"#);
    insta::assert_snapshot!(text(Int64Array::from(vec![(1 << 53) + 1]), value("float64")), @r#"Incompatible: column "a": the integer 9007199254740993 has no exact float64"#);
    insta::assert_snapshot!(text(Int64Array::from(vec![300]), value("uint8")), @r#"Incompatible: column "a": int64 to uint8: can't cast value 300 to type UInt8"#);
    insta::assert_snapshot!(text(TimestampMicrosecondArray::from(vec![1]), value("timestamp[s]")), @r#"Incompatible: column "a": a time is finer than its unit Second can tell"#);
    assert_eq!(text(TimestampMicrosecondArray::from(vec![5_000_000]), value("timestamp[s]")), "1970-01-01T00:00:05");
}

#[test]
fn values_become_texts_as_arrow_spells_them() {
    let floats =
        vec![1.0, 0.5, -0.0, 1e14, 1e15, 1.5e-6, 1e-7, f64::NAN, f64::NEG_INFINITY, 1.234_567_890_123_456_8e18];
    assert_eq!(
        text(Float64Array::from(floats), value("string")),
        "1 | 0.5 | -0 | 100000000000000 | 1e+15 | 0.0000015 | 1e-7 | nan | -inf | 1.2345678901234568e+18"
    );
    assert_eq!(text(BooleanArray::from(vec![true, false]), value("string")), "true | false");
    assert_eq!(text(TimestampMicrosecondArray::from(vec![5_000_000]), value("string")), "1970-01-01 00:00:05.000000");
}

#[test]
fn media_come_from_paths_bytes_or_structs() {
    let image = json!({"_type": "Image"});
    let found = cast(StringArray::from(vec![Some("a.png"), None]), image.clone()).unwrap();
    assert_eq!(nbytes::of_array(&found), (1 + 8) + (1 + 8 + 5));
    let found = found.as_struct().clone();
    assert_eq!(found.column(1).as_string::<i32>().value(0), "a.png");
    assert!(found.is_null(1) && found.column(0).is_null(0));
    let found = cast(BinaryArray::from(vec![&b"\x89PNG"[..]]), image.clone()).unwrap();
    assert_eq!(found.as_struct().column(0).as_binary::<i32>().value(0), b"\x89PNG");
    let path = StructArray::from(vec![(
        Arc::new(Field::new("path", DataType::Utf8, true)),
        Arc::new(StringArray::from(vec!["b.png"])) as ArrayRef,
    )]);
    let found = cast(path, image.clone()).unwrap();
    assert_eq!(found.as_struct().column(1).as_string::<i32>().value(0), "b.png");
    insta::assert_snapshot!(text(Int64Array::from(vec![1]), image), @r#"Incompatible: column "a": values of type int64 cannot become struct"#);
}

fn lists(rows: &[Option<&[i64]>]) -> ListArray {
    let rows = rows.iter().map(|row| row.map(|items| items.iter().map(|item| Some(*item)).collect::<Vec<_>>()));
    ListArray::from_iter_primitive::<Int64Type, _, _>(rows)
}

#[test]
fn lists_are_cast_item_by_item_and_fixed_lengths_are_checked() {
    let fixed = json!({"feature": value("int8"), "length": 2, "_type": "List"});
    let array = cast(lists(&[Some(&[1, 2]), None, Some(&[3, 4])]), fixed.clone()).unwrap();
    // A bitmap, and one for the nulls that fill the null list.
    assert_eq!(nbytes::of_array(&array), 1 + (1 + 6));
    assert_eq!(text(lists(&[Some(&[1, 2]), None]), fixed.clone()), "[1, 2] | null");
    insta::assert_snapshot!(text(lists(&[Some(&[1, 2, 3])]), fixed), @r#"Incompatible: column "a": a list of 3 items where 2 are declared"#);
    let variable = json!({"feature": value("string"), "_type": "List"});
    assert_eq!(text(lists(&[Some(&[1, 2]), Some(&[])]), variable.clone()), "[1, 2] | []");
    assert_eq!(text(lists(&[Some(&[1, 2]), Some(&[3])]).slice(1, 1), variable.clone()), "[3]");
    let from_fixed = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), Some(2)])], 2);
    assert_eq!(text(from_fixed, variable.clone()), "[1, 2]");
    insta::assert_snapshot!(text(Int64Array::from(vec![1]), variable), @r#"Incompatible: column "a": values of type int64 cannot become list"#);
    let array2d = json!({"shape": [2, 1], "dtype": "float32", "_type": "Array2D"});
    let nested = json!([[[1], [2]]]).to_string();
    let folder = Folder::new();
    let file = folder.file("a.json", nested);
    let mut config = config(Reader::Json, &json!({}));
    config.declared_features = Some(Features::from_json(&json!({ "text": array2d })).unwrap());
    let reader = ConfigReader::new(config, ReadLimits::default());
    let table = reader.open(&file).unwrap().next_table().unwrap().unwrap();
    let fitted = reader.fitter().fit(table).unwrap();
    assert_eq!(arrow::util::display::array_value_to_string(fitted.column(0), 0).unwrap(), "[[1.0], [2.0]]");
}

#[test]
fn anything_becomes_json() {
    let json = json!({"_type": "Json"});
    assert_eq!(text(lists(&[Some(&[1, 2]), None]), json.clone()), "[1,2] | null");
    assert_eq!(text(StringArray::from(vec!["{\"a\": 1}", "[]"]), json.clone()), "{\"a\": 1} | []");
    assert_eq!(text(StringArray::from(vec!["a/é", "1"]), json.clone()), "\"a\\/\\u00e9\" | \"1\"");
    assert_eq!(
        text(Float64Array::from(vec![Some(1.0), Some(0.25), Some(f64::NAN), None]), json.clone()),
        "1.0 | 0.25 | null | null"
    );
    assert_eq!(text(BooleanArray::from(vec![true]), json), "true");
}

#[test]
fn nulls_fit_everywhere_and_nothing_fits_null() {
    for feature in [
        value("int8"),
        json!({"_type": "Image"}),
        json!({"_type": "Json"}),
        json!({"names": ["x"], "_type": "ClassLabel"}),
        json!({"x": value("string")}),
        json!({"feature": value("string"), "_type": "List"}),
    ] {
        assert_eq!(text(NullArray::new(2), feature), "null | null");
    }
    for (array, dtype) in [
        (Arc::new(Float64Array::from(vec![1.0])) as ArrayRef, "timestamp[s]"),
        (Arc::new(BooleanArray::from(vec![true])), "timestamp[s]"),
        (Arc::new(TimestampMicrosecondArray::from(vec![1])), "float64"),
    ] {
        let message = cast(array, value(dtype)).unwrap_err();
        assert!(message.contains("cannot become"), "{message}");
    }
    insta::assert_snapshot!(text(Int64Array::from(vec![1]), value("null")), @r#"Incompatible: column "a": values of type int64 cannot become null"#);
}

#[test]
fn absent_columns_count_as_the_reference_counts_them() {
    let features = json!({
        "a": value("int64"),
        "o": {"x": value("int8"), "l": {"feature": value("int8"), "_type": "List"}, "s": value("string")},
        "f": {"feature": value("int8"), "length": 3, "_type": "List"},
    });
    let rows = Arc::new(Int64Array::from_iter_values(0..20)) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("a", rows)]).unwrap();
    let fitted = fitter(&features).fit(batch).unwrap();
    let bytes: Vec<u64> = fitted.columns().iter().map(|column| nbytes::of_array(column)).collect();
    assert_eq!(bytes, [160, 180, 71]);
}

#[test]
fn a_struct_declared_as_text_becomes_json_text() {
    let folder = Folder::new();
    let file = folder.file("a.jsonl", "{\"a\":{\"b\":1,\"c\":[true]}}\n{\"a\":null}\n");
    let mut config = config(Reader::Json, &json!({}));
    config.declared_features = Some(Features::new([("a".to_owned(), Feature::string())]));
    let reader = ConfigReader::new(config, ReadLimits::default());
    let table = reader.open(&file).unwrap().next_table().unwrap().unwrap();
    assert_eq!(show(&[reader.fitter().fit(table).unwrap()]), "a: string\n{\"b\":1,\"c\":[true]}\nnull\n");
}

#[test]
fn features_of_the_csv_reader_choose_columns() {
    let folder = Folder::new();
    let file = folder.file("a.csv", "a,b,c\n01,2,3\n");
    let features = json!({"c": value("int8"), "a": value("string")});
    let reader = ConfigReader::new(config(Reader::Csv, &json!({ "features": features })), ReadLimits::default());
    let table = reader.open(&file).unwrap().next_table().unwrap().unwrap();
    assert_eq!(show(&[reader.fitter().fit(table).unwrap()]), "c: int8, a: string\n3 | 01\n");
    let other = folder.file("b.csv", "a,b\n1,2\n");
    let table = reader.open(&other).unwrap().next_table().unwrap().unwrap();
    let error = reader.fitter().fit(table).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Incompatible);
    insta::assert_snapshot!(error, @r#"column "c": the file lacks this column, which the features name; it has "a", "b""#);
}
