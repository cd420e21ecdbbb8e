use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array, Decimal256Array,
    DurationNanosecondArray, DurationSecondArray, FixedSizeBinaryArray, FixedSizeListArray, Float16Array, Float32Array,
    Float64Array, Int8Array, Int32Array, Int64Array, LargeListArray, LargeStringArray, ListArray, NullArray,
    StringArray, StringViewArray, StructArray, Time32MillisecondArray, Time64NanosecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field, Fields, i256};
use serde_json::json;

use super::*;
use crate::call::{MediaRules, MediaTarget};

fn nowhere() -> MediaTarget {
    MediaTarget {
        directory: PathBuf::from("/nonexistent"),
        url_prefix: "http://localhost/assets".to_owned(),
        resolve_prefix: "https://hub/datasets/d/resolve/r".to_owned(),
        repository: "hf://datasets/d@r".to_owned(),
        linked_files: Some(Vec::new()),
        rules: MediaRules { strict: true, any_revision: false },
    }
}

/// All cells of a column, separated by spaces.
fn cells(feature: serde_json::Value, array: impl Array + 'static) -> String {
    let feature = Feature::from_json(&feature).expect("well formed");
    try_cells(&feature, &array).expect("shown")
}

fn try_cells(feature: &Feature, array: &dyn Array) -> Result<String, EngineError> {
    let target = nowhere();
    let mut media = MediaStore::new(&target);
    let writer = Cells::of(feature, array)?;
    let mut out = String::new();
    for row in 0..array.len() {
        if row > 0 {
            out.push(' ');
        }
        let mut place = Place { row: row as u64, column: "c", path: Vec::new() };
        writer.write(&mut out, row, &mut place, &mut media)?;
    }
    Ok(out)
}

fn value(dtype: &str) -> serde_json::Value {
    json!({"dtype": dtype, "_type": "Value"})
}

#[test]
fn numbers() {
    assert_eq!(cells(value("int8"), Int8Array::from(vec![Some(-128), None])), "-128 null");
    assert_eq!(cells(value("int64"), Int64Array::from(vec![i64::MIN])), "-9223372036854775808");
    assert_eq!(cells(value("uint64"), UInt64Array::from(vec![u64::MAX])), "18446744073709551615");
    assert_eq!(cells(value("bool"), BooleanArray::from(vec![Some(true), Some(false), None])), "true false null");
    assert_eq!(cells(value("float32"), Float32Array::from(vec![0.1, 2.0])), "0.10000000149011612 2.0");
    let doubles = Float64Array::from(vec![1.0, f64::NAN, f64::INFINITY, -0.5]);
    assert_eq!(cells(value("float64"), doubles), "1.0 null null -0.5");
    let half = Float16Array::from_iter_values([1.5_f32, 0.1].map(arrow_half));
    assert_eq!(cells(value("float16"), half), "1.5 0.0999755859375");
    assert_eq!(cells(value("null"), NullArray::new(2)), "null null");
}

/// The native value of a half-precision array.
fn arrow_half(value: f32) -> <Float16Type as ArrowPrimitiveType>::Native {
    let single = Float32Array::from(vec![value]);
    let cast = arrow::compute::cast(&single, &DataType::Float16).expect("castable");
    cast.as_primitive::<Float16Type>().value(0)
}

#[test]
fn texts_and_bytes() {
    assert_eq!(cells(value("string"), StringArray::from(vec![Some("a\"b\n"), None])), r#""a\"b\n" null"#);
    assert_eq!(cells(value("large_string"), LargeStringArray::from(vec!["é"])), r#""é""#);
    assert_eq!(cells(value("string_view"), StringViewArray::from(vec!["x"])), r#""x""#);
    assert_eq!(
        cells(value("binary"), BinaryArray::from_vec(vec![b"hello", b"", b"\0\x01\xff"])),
        r#""aGVsbG8=" "" "AAH/""#
    );
    let fixed = FixedSizeBinaryArray::try_from_iter([b"ab"].iter()).expect("same width");
    assert_eq!(cells(value("fixed_size_binary[2]"), fixed), r#""YWI=""#);
}

#[test]
fn dates_and_times() {
    assert_eq!(cells(value("date32"), Date32Array::from(vec![11324])), r#""2001-01-02""#);
    assert_eq!(cells(value("date64"), Date64Array::from(vec![978_393_600_000, -1])), r#""2001-01-02" "1969-12-31""#);
    assert_eq!(cells(value("time32[ms]"), Time32MillisecondArray::from(vec![3_723_000])), r#""01:02:03""#);
    assert_eq!(
        cells(value("time64[ns]"), Time64NanosecondArray::from(vec![3_723_000_456_999])),
        r#""01:02:03.000456""#
    );
    let plain = TimestampMicrosecondArray::from(vec![978_404_645_000_000]);
    assert_eq!(cells(value("timestamp[us]"), plain.clone()), r#""2001-01-02T03:04:05""#);
    assert_eq!(cells(value("timestamp[us, tz=UTC]"), plain.clone().with_timezone("UTC")), r#""2001-01-02T03:04:05Z""#);
    assert_eq!(
        cells(value("timestamp[us, tz=Asia/Tokyo]"), plain.with_timezone("Asia/Tokyo")),
        r#""2001-01-02T12:04:05+09:00""#
    );
    let nanos = TimestampNanosecondArray::from(vec![978_404_645_123_456_789]);
    assert_eq!(cells(value("timestamp[ns]"), nanos), r#""2001-01-02T03:04:05.123456""#);
    assert_eq!(cells(value("duration[s]"), DurationSecondArray::from(vec![90_061])), r#""1 day, 1:01:01""#);
    assert_eq!(cells(value("duration[ns]"), DurationNanosecondArray::from(vec![1])), r#""0 days 00:00:00.000000001""#);
}

#[test]
fn an_unknown_time_zone_is_an_error() {
    let feature = Feature::from_json(&value("timestamp[us, tz=Mars/Olympus]")).expect("well formed");
    let array = TimestampMicrosecondArray::from(vec![0]).with_timezone("Mars/Olympus");
    let error = try_cells(&feature, &array).expect_err("unknown");
    assert_eq!(error.kind, ErrorKind::Cell);
}

#[test]
fn decimals_keep_their_scale() {
    let small = Decimal128Array::from(vec![150, -1]).with_precision_and_scale(10, 2).expect("fits");
    assert_eq!(cells(value("decimal128(10, 2)"), small), r#""1.50" "-0.01""#);
    let large = Decimal256Array::from(vec![i256::from_i128(i128::MAX)]).with_precision_and_scale(60, 3).expect("fits");
    assert_eq!(cells(value("decimal256(60, 3)"), large), r#""170141183460469231731687303715884105.727""#);
}

#[test]
fn class_labels_are_their_numbers() {
    let label = json!({"names": ["cat", "dog"], "_type": "ClassLabel"});
    assert_eq!(cells(label, Int64Array::from(vec![Some(1), Some(-1), None])), "1 -1 null");
}

fn list(lengths: &[usize], values: ArrayRef) -> ListArray {
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    ListArray::new(field, OffsetBuffer::from_lengths(lengths.iter().copied()), values, None)
}

#[test]
fn lists_of_every_kind() {
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3), Some(4)]));
    let item = Arc::new(Field::new_list_field(DataType::Int32, true));
    let feature = |kind: &str| json!({"feature": value("int32"), "_type": kind});
    assert_eq!(cells(feature("List"), list(&[2, 0, 2], Arc::clone(&numbers))), "[1,null] [] [3,4]");
    let sliced = list(&[2, 0, 2], Arc::clone(&numbers)).slice(2, 1);
    assert_eq!(cells(feature("List"), sliced), "[3,4]");
    let large = LargeListArray::new(Arc::clone(&item), OffsetBuffer::from_lengths([1, 3]), Arc::clone(&numbers), None);
    assert_eq!(cells(feature("LargeList"), large), "[1] [null,3,4]");
    let fixed = FixedSizeListArray::new(item, 2, numbers, None);
    let feature = json!({"feature": value("int32"), "length": 2, "_type": "List"});
    assert_eq!(cells(feature.clone(), fixed.clone()), "[1,null] [3,4]");
    assert_eq!(cells(feature, fixed.slice(1, 1)), "[3,4]");
}

#[test]
fn arrays_are_nested_lists() {
    let inner = list(&[2, 1], Arc::new(Float32Array::from(vec![1.0, 2.0, 3.0])));
    let array = json!({"shape": [2, 2], "dtype": "float32", "_type": "Array2D"});
    assert_eq!(cells(array, list(&[2], Arc::new(inner))), "[[1.0,2.0],[3.0]]");
}

fn structs(columns: Vec<(&str, ArrayRef)>, valid: Option<Vec<bool>>) -> StructArray {
    let fields: Fields =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    StructArray::new(fields, columns.into_iter().map(|(_, array)| array).collect(), valid.map(Into::into))
}

#[test]
fn structs_are_objects_in_the_order_of_the_features() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("b", Arc::new(StringArray::from(vec!["x", "y"]))),
        ("a", Arc::new(Int64Array::from(vec![Some(1), None]))),
    ];
    let feature = json!({"a": value("int64"), "b": value("string"), "gone": value("bool")});
    let array = structs(columns, Some(vec![true, true]));
    assert_eq!(cells(feature, array), r#"{"a":1,"b":"x","gone":null} {"a":null,"b":"y","gone":null}"#);
}

#[test]
fn a_null_struct_is_null_whatever_its_children_hold() {
    let array = structs(vec![("a", Arc::new(Int64Array::from(vec![7])))], Some(vec![false]));
    assert_eq!(cells(json!({"a": value("int64")}), array), "null");
}

#[test]
fn translations_are_objects() {
    let texts = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let array = structs(vec![("en", texts("the cat")), ("fr", texts("le chat"))], None);
    let feature = json!({"languages": ["en", "fr"], "_type": "Translation"});
    assert_eq!(cells(feature, array), r#"{"en":"the cat","fr":"le chat"}"#);
    let many = |items: Vec<&str>| -> ArrayRef { Arc::new(list(&[items.len()], Arc::new(StringArray::from(items)))) };
    let array = structs(vec![("language", many(vec!["en", "fr"])), ("translation", many(vec!["cat", "chat"]))], None);
    let feature = json!({"languages": ["en", "fr"], "_type": "TranslationVariableLanguages"});
    assert_eq!(cells(feature, array), r#"{"language":["en","fr"],"translation":["cat","chat"]}"#);
}

#[test]
fn json_is_parsed_and_made_compact() {
    let texts = vec![Some(r#"{"a": [1, 1.50, "\u00e9"]}"#), Some("not json"), None, Some("null")];
    assert_eq!(cells(json!({"_type": "Json"}), StringArray::from(texts)), r#"{"a":[1,1.5,"é"]} "not json" null null"#);
}

#[test]
fn unknown_types_show_only_nulls() {
    let feature = Feature::from_json(&json!({"_type": "Mesh"})).expect("well formed");
    let array = |valid| structs(vec![("bytes", Arc::new(BinaryArray::from_vec(vec![b"x"])))], Some(vec![valid]));
    assert_eq!(try_cells(&feature, &array(false)).expect("null"), "null");
    let error = try_cells(&feature, &array(true)).expect_err("cannot be shown");
    assert_eq!((error.kind, error.column.as_deref()), (ErrorKind::Cell, Some("c")));
}
