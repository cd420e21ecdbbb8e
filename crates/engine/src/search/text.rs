//! The texts of a cell: every string at any depth, with the way to it.

use arrow::array::{Array, AsArray, OffsetSizeTrait};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};
use belvedere_domain::features::Dtype;
use belvedere_domain::{Feature, Features};
use serde::{Deserialize, Serialize};
use serde_json::Value as JsonValue;

use super::analyze::Alphabet;

/// A step into a nested value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Step {
    /// Item of a list, from 0.
    Index(usize),
    /// Field of a struct or key of an object.
    Key(String),
}

/// Called with an array, a row of it and the way to it.
type Visit<'v> = dyn FnMut(&dyn Array, usize, &mut Vec<Step>) + 'v;

/// Called with the way from the column to a text, and the text.
pub(crate) type Sink<'s> = dyn FnMut(&[Step], &str) + 's;

/// Positions of the columns that hold text at any depth.
pub fn text_columns(features: &Features) -> Vec<usize> {
    features.iter().enumerate().filter(|(_, (_, feature))| holds_text(feature)).map(|(index, _)| index).collect()
}

/// True if some column can be searched: it holds strings, translations or JSON, at any depth.
pub fn is_searchable(features: &Features) -> bool {
    features.iter().any(|(_, feature)| holds_text(feature))
}

fn holds_text(feature: &Feature) -> bool {
    feature.any(&mut |part| {
        matches!(
            part,
            Feature::Value(Dtype::String | Dtype::LargeString | Dtype::StringView)
                | Feature::Translation { .. }
                | Feature::TranslationVariableLanguages { .. }
                | Feature::Json
        )
    })
}

/// Calls `sink` with every text of a cell, in the order in which the cell is shown.
pub(crate) fn visit(alphabet: Alphabet, feature: &Feature, array: &dyn Array, row: usize, sink: &mut Sink<'_>) {
    match alphabet {
        Alphabet::Unicode => texts(feature, array, row, &mut Vec::new(), sink),
        Alphabet::Reference if !array.is_null(row) => printed(array, row, sink),
        Alphabet::Reference => {}
    }
}

fn texts(feature: &Feature, array: &dyn Array, row: usize, path: &mut Vec<Step>, sink: &mut Sink<'_>) {
    if array.is_null(row) {
        return;
    }
    match feature {
        Feature::Value(_) => {
            if let Some(text) = text_at(array, row) {
                sink(path, text);
            }
        }
        Feature::Json => {
            if let Some(text) = text_at(array, row) {
                match serde_json::from_str(text) {
                    Ok(value) => json_texts(&value, path, sink),
                    Err(_) => sink(path, text),
                }
            }
        }
        Feature::List { feature, .. } | Feature::LargeList(feature) => {
            items(array, row, path, &mut |array, row, path| texts(feature, array, row, path, sink));
        }
        Feature::Struct(children) => {
            for (name, child) in children {
                if holds_text(child)
                    && let Some(array) = array.as_struct_opt().and_then(|array| array.column_by_name(name))
                {
                    path.push(Step::Key(name.clone()));
                    texts(child, array, row, path, sink);
                    path.pop();
                }
            }
        }
        Feature::Translation { .. } | Feature::TranslationVariableLanguages { .. } => {
            let Some(array) = array.as_struct_opt() else { return };
            for (name, column) in array.column_names().into_iter().zip(array.columns()) {
                path.push(Step::Key(name.to_owned()));
                match column.data_type() {
                    DataType::List(_) => items(column, row, path, &mut |array, row, path| {
                        if let Some(text) = text_at(array, row) {
                            sink(path, text);
                        }
                    }),
                    _ => {
                        if let Some(text) = text_at(column, row) {
                            sink(path, text);
                        }
                    }
                }
                path.pop();
            }
        }
        // Media, labels and arrays of numbers hold no text.
        _ => {}
    }
}

/// Calls `visit` with every item of a list and its path.
fn items(array: &dyn Array, row: usize, path: &mut Vec<Step>, visit: &mut Visit<'_>) {
    let Some((items, range)) = items_of(array, row) else { return };
    for (index, item) in range.enumerate() {
        path.push(Step::Index(index));
        visit(items, item, path);
        path.pop();
    }
}

fn items_of(array: &dyn Array, row: usize) -> Option<(&dyn Array, std::ops::Range<usize>)> {
    fn of<O: OffsetSizeTrait>(array: &dyn Array, row: usize) -> (&dyn Array, std::ops::Range<usize>) {
        let list = array.as_list::<O>();
        let offsets = list.value_offsets();
        (list.values(), offsets[row].as_usize()..offsets[row + 1].as_usize())
    }
    match array.data_type() {
        _ if array.is_null(row) => None,
        DataType::List(_) => Some(of::<i32>(array, row)),
        DataType::LargeList(_) => Some(of::<i64>(array, row)),
        DataType::FixedSizeList(_, length) => {
            let length = usize::try_from(*length).unwrap_or(0);
            let list = array.as_fixed_size_list();
            let start = list.value_offset(row) as usize;
            Some((list.values(), start..start + length))
        }
        _ => None,
    }
}

fn text_at(array: &dyn Array, row: usize) -> Option<&str> {
    match array.data_type() {
        _ if array.is_null(row) => None,
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        _ => None,
    }
}

fn json_texts(value: &JsonValue, path: &mut Vec<Step>, sink: &mut Sink<'_>) {
    match value {
        JsonValue::String(text) => sink(path, text),
        JsonValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(Step::Index(index));
                json_texts(item, path, sink);
                path.pop();
            }
        }
        JsonValue::Object(fields) => {
            for (name, value) in fields {
                path.push(Step::Key(name.clone()));
                json_texts(value, path, sink);
                path.pop();
            }
        }
        _ => {}
    }
}

/// The letters of a value cast to text as the reference implementation's database prints it, in pieces. Digits and
/// punctuation are left out, since [`Alphabet::Reference`] sees neither.
fn printed(array: &dyn Array, row: usize, sink: &mut Sink<'_>) {
    if array.is_null(row) {
        return sink(&[], "NULL");
    }
    if let Some(text) = text_at(array, row) {
        return sink(&[], text);
    }
    if let Some((items, range)) = items_of(array, row) {
        return range.for_each(|item| printed(items, item, sink));
    }
    let float = |value: f64, sink: &mut Sink<'_>| match value {
        value if value.is_nan() => sink(&[], "nan"),
        value if value.is_infinite() => sink(&[], "inf"),
        _ => {}
    };
    match array.data_type() {
        DataType::Struct(fields) => {
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                sink(&[], field.name());
                printed(column, row, sink);
            }
        }
        DataType::Boolean => sink(&[], if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Float16 => float(array.as_primitive::<Float16Type>().value(row).to_f64(), sink),
        DataType::Float32 => float(array.as_primitive::<Float32Type>().value(row).into(), sink),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row), sink),
        DataType::Binary => sink(&[], &escaped(array.as_binary::<i32>().value(row))),
        DataType::LargeBinary => sink(&[], &escaped(array.as_binary::<i64>().value(row))),
        _ => {}
    }
}

/// Bytes as text: printable ASCII as it is, all else as `\xHH`.
fn escaped(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b' '..=b'~' if byte != b'\\' => text.push(char::from(byte)),
            other => {
                let _ = write!(text, "\\x{other:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, ListArray, StringArray, StructArray};
    use arrow::buffer::OffsetBuffer;
    use serde_json::json;

    use super::*;
    use crate::features_arrow::data_type;

    /// The texts of the first row, with their paths as JSON.
    fn seen(alphabet: Alphabet, feature: serde_json::Value, array: &ArrayRef) -> Vec<String> {
        let features = Features::from_json(&json!({"column": feature})).unwrap();
        let mut seen = Vec::new();
        visit(alphabet, &features[0].1, array, 0, &mut |path, text| {
            seen.push(format!("{} {text}", serde_json::to_string(path).unwrap()));
        });
        seen
    }

    #[test]
    fn chat_messages_are_reached_with_their_place() {
        let string = json!({"dtype": "string", "_type": "Value"});
        let feature = json!([{"role": string, "content": string, "score": {"dtype": "float64", "_type": "Value"}}]);
        let features = Features::from_json(&json!({"column": feature})).unwrap();
        let DataType::List(item) = data_type(&features[0].1) else { panic!("a list") };
        let DataType::Struct(fields) = item.data_type() else { panic!("of structs") };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["user", "bot"])),
            Arc::new(StringArray::from(vec![Some("Hi"), None])),
            Arc::new(Float64Array::from(vec![Some(1.5), None])),
        ];
        let messages = Arc::new(StructArray::new(fields.clone(), columns, None));
        let array: ArrayRef = Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([2]), messages, None));
        assert_eq!(
            seen(Alphabet::Unicode, feature.clone(), &array),
            [r#"[0,"role"] user"#, r#"[0,"content"] Hi"#, r#"[1,"role"] bot"#]
        );
        assert_eq!(
            seen(Alphabet::Reference, feature, &array),
            [
                "[] role",
                "[] user",
                "[] content",
                "[] Hi",
                "[] score",
                "[] role",
                "[] bot",
                "[] content",
                "[] NULL",
                "[] score",
                "[] NULL"
            ]
        );
    }

    #[test]
    fn json_is_searched_by_its_strings() {
        let array: ArrayRef = Arc::new(StringArray::from(vec![r#"{"a": ["x", {"b": "y"}], "n": 1}"#]));
        assert_eq!(seen(Alphabet::Unicode, json!({"_type": "Json"}), &array), [r#"["a",0] x"#, r#"["a",1,"b"] y"#]);
        let broken: ArrayRef = Arc::new(StringArray::from(vec!["{not json"]));
        assert_eq!(seen(Alphabet::Unicode, json!({"_type": "Json"}), &broken), ["[] {not json"]);
    }

    #[test]
    fn translations_have_a_text_for_each_language() {
        let feature = json!({"languages": ["en", "fr"], "_type": "Translation"});
        let features = Features::from_json(&json!({"column": feature})).unwrap();
        let DataType::Struct(fields) = data_type(&features[0].1) else { panic!("a struct") };
        let columns: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from(vec!["cat"])), Arc::new(StringArray::from(vec!["chat"]))];
        let array: ArrayRef = Arc::new(StructArray::new(fields, columns, None));
        assert_eq!(seen(Alphabet::Unicode, feature, &array), [r#"["en"] cat"#, r#"["fr"] chat"#]);
    }

    #[test]
    fn media_and_numbers_are_not_searched() {
        let features = Features::from_json(&json!({
            "image": {"_type": "Image"},
            "n": {"dtype": "int64", "_type": "Value"},
            "label": {"names": ["a"], "_type": "ClassLabel"},
            "nested": {"x": [{"y": {"dtype": "string", "_type": "Value"}}]},
            "t": {"dtype": "large_string", "_type": "Value"},
        }));
        let features = features.unwrap();
        assert_eq!(text_columns(&features), [3, 4]);
        assert!(is_searchable(&features));
        assert_eq!(escaped(b"a\\\x00\xfe"), "a\\x5C\\x00\\xFE");
    }
}
