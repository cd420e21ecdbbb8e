//! The YAML form of features: a list of entries, each with `name` and one key that tells the type.
//!
//! ```yaml
//! - name: label
//!   dtype: {class_label: {names: {'0': neg, '1': pos}}}
//! - name: tokens
//!   list: string
//! ```

use belvedere_domain::features::{Dtype, Feature, Features};
use serde_json::{Map, Value as JsonValue, json};

use super::CardError;
use super::yaml::{Node, Yaml};

/// Reads a list of columns.
///
/// # Errors
/// [`CardError`] with line, column and what is wrong.
pub(crate) fn features(node: &Node) -> Result<Features, CardError> {
    let Some(entries) = node.list() else {
        return Err(CardError::new(format!("expected a list of columns, found {}", node.kind())).at(node.line));
    };
    let column = |entry: &Node| {
        let name = name_of(entry)?;
        Ok((name.to_owned(), typed(entry).map_err(|error| error.under(name))?))
    };
    Ok(Features::new(entries.iter().map(column).collect::<Result<Vec<_>, CardError>>()?))
}

fn name_of(entry: &Node) -> Result<&str, CardError> {
    let Some(entries) = entry.map() else {
        return Err(CardError::new(format!("expected `name` and a type, found {}", entry.kind())).at(entry.line));
    };
    match entries.iter().find(|(key, _)| key.text() == Some("name")) {
        Some((_, name)) => name.text().ok_or_else(|| {
            CardError::new(format!("a column name must be text, found {}", name.kind())).at(name.line).under("name")
        }),
        None => Err(CardError::new("a column without `name`").at(entry.line)),
    }
}

/// The type of an entry: of its first key that is not `name`, or of `dtype`, `list`, … wherever they stand.
fn typed(node: &Node) -> Result<Feature, CardError> {
    const STRUCTURE: [&str; 5] = ["dtype", "list", "sequence", "large_list", "struct"];
    match &node.value {
        Yaml::List(_) => return features(node).map(Feature::Struct),
        Yaml::Map(entries) => {
            let mut keys = entries.iter().filter_map(|(key, value)| Some((key.text()?, value)));
            let found =
                keys.clone().find(|(key, _)| STRUCTURE.contains(key)).or_else(|| keys.find(|(key, _)| *key != "name"));
            match found {
                Some((key, value)) => return keyed(node, key, value).map_err(|error| error.under(key)),
                None if entries.is_empty() => return Ok(Feature::Struct(Features::default())),
                None => {}
            }
        }
        _ => {}
    }
    Err(CardError::new("a type is missing: expected `dtype`, `list`, `struct` or the name of a type").at(node.line))
}

fn keyed(parent: &Node, key: &str, value: &Node) -> Result<Feature, CardError> {
    match key {
        "dtype" => match value.text() {
            Some(name) => named(name, value),
            None if matches!(value.value, Yaml::Map(_) | Yaml::List(_)) => typed(value),
            None => Err(CardError::new(format!("expected the name of a type, found {}", value.kind())).at(value.line)),
        },
        "list" => Ok(Feature::List { feature: Box::new(item(value)?), length: length(parent)? }),
        "large_list" => Ok(Feature::LargeList(Box::new(item(value)?))),
        "sequence" => {
            let length = length(parent)?;
            let list = |feature: Feature| Feature::List { feature: Box::new(feature), length };
            Ok(match item(value)? {
                // The older spelling: a sequence of columns is a struct of lists.
                Feature::Struct(fields) if value.list().is_some() => Feature::Struct(Features::new(
                    fields.iter().map(|(name, field)| (name.clone(), list(field.clone()))),
                )),
                feature => list(feature),
            })
        }
        "struct" => typed(value),
        kind => attributed(kind, value),
    }
}

/// The type of the items of a list: a type name, a type, or a list of columns.
fn item(value: &Node) -> Result<Feature, CardError> {
    match value.text() {
        Some(name) => named(name, value),
        None => typed(value),
    }
}

/// −1 was the older way to say "any length".
fn length(node: &Node) -> Result<Option<u32>, CardError> {
    let Some(length) = node.get("length") else { return Ok(None) };
    match length.value {
        Yaml::Int(-1) => Ok(None),
        Yaml::Int(value) if u32::try_from(value).is_ok() => Ok(u32::try_from(value).ok()),
        _ => Err(CardError::new("`length` must be a whole number").at(length.line)),
    }
}

/// A type given by its name alone.
fn named(name: &str, node: &Node) -> Result<Feature, CardError> {
    match name.parse::<Dtype>() {
        Ok(dtype) => Ok(Feature::Value(dtype)),
        Err(error) => match name {
            "image" | "audio" | "video" | "pdf" | "json" | "nifti" | "mesh" => {
                attributed(name, &Node { line: node.line, value: Yaml::Null })
            }
            _ => Err(CardError::new(error.to_string()).at(node.line)),
        },
    }
}

/// A type with attributes, such as `class_label: {names: […]}`.
fn attributed(kind: &str, value: &Node) -> Result<Feature, CardError> {
    let mut attributes = match &value.value {
        Yaml::Null => Map::new(),
        Yaml::Map(_) => match value.to_json() {
            JsonValue::Object(attributes) => attributes,
            _ => Map::new(),
        },
        _ => {
            return Err(
                CardError::new(format!("expected attributes of `{kind}`, found {}", value.kind())).at(value.line)
            );
        }
    };
    let kind = match kind {
        "class_label" => {
            attributes.insert("names".to_owned(), json!(class_names(value)?));
            "ClassLabel"
        }
        "array2_d" => "Array2D",
        "array3_d" => "Array3D",
        "array4_d" => "Array4D",
        "array5_d" => "Array5D",
        "translation" => "Translation",
        "translation_variable_languages" => "TranslationVariableLanguages",
        "image" => "Image",
        "audio" => "Audio",
        "video" => "Video",
        "pdf" => "Pdf",
        "json" => "Json",
        "nifti" => "Nifti",
        "mesh" => "Mesh",
        _ => return Err(CardError::new(format!("`{kind}` is not the name of a type")).at(value.line)),
    };
    attributes.insert("_type".to_owned(), kind.into());
    Feature::from_json(&JsonValue::Object(attributes)).map_err(|error| CardError::new(error.reason).at(value.line))
}

fn class_names(node: &Node) -> Result<Vec<String>, CardError> {
    let Some(names) = node.get("names") else {
        return Err(CardError::new("`class_label` needs `names`").at(node.line));
    };
    let text = |name: &Node| {
        name.scalar_text()
            .ok_or_else(|| CardError::new(format!("expected a name, found {}", name.kind())).at(name.line))
    };
    if let Some(names) = names.list() {
        return names.iter().map(text).collect();
    }
    let Some(entries) = names.map() else {
        return Err(CardError::new("`names` must be a list, or a mapping from numbers to names").at(names.line));
    };
    let mut numbered = Vec::with_capacity(entries.len());
    for (key, name) in entries {
        let number = match &key.value {
            Yaml::Int(number) => usize::try_from(*number).ok(),
            Yaml::Text(digits) => digits.trim().parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| CardError::new("the keys of `names` must be numbers").at(key.line))?;
        numbered.push((number, text(name)?));
    }
    numbered.sort_by_key(|(number, _)| *number);
    if numbered.iter().enumerate().any(|(expected, (number, _))| expected != *number) {
        return Err(CardError::new("`names` must be numbered from 0 without gaps").at(names.line));
    }
    Ok(numbered.into_iter().map(|(_, name)| name).collect())
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let node = yaml::parse(text, 1).expect("valid YAML");
        features(&node).map(|features| features.to_json().to_string()).map_err(|error| error.to_string())
    }

    fn column(entry: &str) -> String {
        let json = read(&format!("- name: x\n  {entry}")).expect("valid features");
        json.strip_prefix("{\"x\":").and_then(|rest| rest.strip_suffix('}')).expect("one column").to_owned()
    }

    #[test]
    fn scalars_have_the_names_of_arrow_and_two_aliases() {
        assert_eq!(column("dtype: int64"), r#"{"dtype":"int64","_type":"Value"}"#);
        assert_eq!(column("dtype: timestamp[us, tz=UTC]"), r#"{"dtype":"timestamp[us, tz=UTC]","_type":"Value"}"#);
        assert_eq!(column("dtype: float"), r#"{"dtype":"float32","_type":"Value"}"#);
        assert_eq!(column("dtype: double"), r#"{"dtype":"float64","_type":"Value"}"#);
        assert_eq!(column("dtype: 'null'"), r#"{"dtype":"null","_type":"Value"}"#);
        for wrong in ["str", "int", "1", "null"] {
            assert!(read(&format!("- name: x\n  dtype: {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn media_may_have_attributes() {
        assert_eq!(column("dtype: image"), r#"{"_type":"Image"}"#);
        assert_eq!(column("dtype: {audio: {sampling_rate: 16000}}"), r#"{"sampling_rate":16000,"_type":"Audio"}"#);
        assert_eq!(
            column("dtype: {image: {mode: RGB, decode: false}}"),
            r#"{"mode":"RGB","decode":false,"_type":"Image"}"#
        );
        assert_eq!(column("dtype: json"), r#"{"_type":"Json"}"#);
        assert_eq!(column("dtype: nifti"), r#"{"_type":"Nifti"}"#);
    }

    #[test]
    fn class_labels_are_numbered_or_listed() {
        let label = r#"{"names":["a","b"],"_type":"ClassLabel"}"#;
        assert_eq!(column("dtype: {class_label: {names: {'1': b, '0': a}}}"), label);
        assert_eq!(column("dtype: {class_label: {names: [a, b]}}"), label);
        assert_eq!(column("class_label: {names: [a, b]}"), label);
        assert!(read("- {name: x, dtype: {class_label: {names: {'0': a, '2': b}}}}").is_err());
        assert!(read("- {name: x, dtype: {class_label: {num_classes: 2}}}").is_err());
    }

    #[test]
    fn unquoted_yes_and_no_are_not_texts() {
        assert_eq!(
            column("class_label: {names: {'0': no, '1': yes}}"),
            r#"{"names":["False","True"],"_type":"ClassLabel"}"#
        );
        assert!(read("- {name: yes, dtype: string}").expect_err("not a text").contains("quotes"));
    }

    #[test]
    fn lists_hold_types_or_columns() {
        assert_eq!(column("list: int32"), r#"{"feature":{"dtype":"int32","_type":"Value"},"_type":"List"}"#);
        assert_eq!(column("list: image"), r#"{"feature":{"_type":"Image"},"_type":"List"}"#);
        assert_eq!(
            column("list: {list: int8}\n  length: 4"),
            r#"{"feature":{"feature":{"dtype":"int8","_type":"Value"},"_type":"List"},"length":4,"_type":"List"}"#
        );
        assert_eq!(
            column("list:\n  - {name: a, dtype: bool}"),
            r#"{"feature":{"a":{"dtype":"bool","_type":"Value"}},"_type":"List"}"#
        );
        assert_eq!(
            column("list: {class_label: {names: [a]}}"),
            r#"{"feature":{"names":["a"],"_type":"ClassLabel"},"_type":"List"}"#
        );
        assert_eq!(
            column("large_list: string"),
            r#"{"feature":{"dtype":"string","_type":"Value"},"_type":"LargeList"}"#
        );
    }

    #[test]
    fn sequences_of_columns_are_structs_of_lists() {
        assert_eq!(column("sequence: int32"), column("list: int32"));
        assert_eq!(
            column("sequence:\n  - {name: k, dtype: int8}"),
            r#"{"k":{"feature":{"dtype":"int8","_type":"Value"},"_type":"List"}}"#
        );
    }

    #[test]
    fn structs_arrays_and_translations() {
        assert_eq!(column("struct:\n  - {name: a, dtype: bool}"), r#"{"a":{"dtype":"bool","_type":"Value"}}"#);
        assert_eq!(
            column("dtype: {array2_d: {shape: [2, 3], dtype: float32}}"),
            r#"{"shape":[2,3],"dtype":"float32","_type":"Array2D"}"#
        );
        assert_eq!(
            column("dtype: {translation: {languages: [en, fr]}}"),
            r#"{"languages":["en","fr"],"_type":"Translation"}"#
        );
    }

    #[test]
    fn errors_name_line_and_column() {
        insta::assert_snapshot!(read("- name: a\n  dtype: int8\n- name: b\n  list:\n  - name: c\n    dtype: strnig").expect_err("bad type"),
            @"line 6, key `b.list.c.dtype`: `strnig` is not a scalar type; examples: int64, float32, string, bool, timestamp[us], decimal128(10, 2)");
        insta::assert_snapshot!(read("- dtype: int8").expect_err("no name"), @"line 1: a column without `name`");
        insta::assert_snapshot!(read("- name: x").expect_err("no type"), @"line 1, key `x`: a type is missing: expected `dtype`, `list`, `struct` or the name of a type");
    }
}
