//! One field of a record set for each column.

use belvedere_domain::features::Dtype;
use belvedere_domain::{Feature, Features};
use serde_json::{Map, Value as JsonValue, json};

use super::{DatasetInfo, Ids, escape};

/// Writes the fields of one config.
pub(super) struct FieldWriter<'a> {
    file_set: &'a str,
    ids: &'a mut Ids,
}

impl<'a> FieldWriter<'a> {
    pub(super) fn new(file_set: &'a str, ids: &'a mut Ids) -> Self {
        Self { file_set, ids }
    }

    /// The fields: the split, then each column; and the columns for which Croissant has no type.
    pub(super) fn write(
        mut self,
        record_set: &str,
        splits_set: &str,
        config: &str,
        info: &DatasetInfo,
    ) -> (Vec<JsonValue>, Vec<String>) {
        let splits: Vec<String> = info.splits.keys().map(|split| escape_regex(split.as_str())).collect();
        let regex = format!("{}/(?:partial-)?({})/.+parquet$", escape_regex(config), splits.join("|"));
        let mut fields = vec![json!({
            "@type": "cr:Field",
            "@id": format!("{record_set}/split"),
            "dataType": "sc:Text",
            "source": {
                "fileSet": {"@id": self.file_set},
                "extract": {"fileProperty": "fullpath"},
                "transform": {"regex": regex},
            },
            "references": {"field": {"@id": format!("{splits_set}/split_name")}},
        })];
        let mut skipped = Vec::new();
        let mut columns = Ids::new("split");
        for (column, feature) in &info.known_features().unwrap_or_default() {
            let id = format!("{record_set}/{}", columns.take(&escape(column)));
            match self.field(&id, column, feature, &[]) {
                Some(field) => fields.push(field),
                None => skipped.push(column.clone()),
            }
        }
        (fields, skipped)
    }

    /// `None` for a type that Croissant does not know. `path` leads from the column to the value.
    fn field(&mut self, id: &str, column: &str, feature: &Feature, path: &[String]) -> Option<JsonValue> {
        match feature {
            Feature::Struct(children) => Some(self.record(id, column, children, path)),
            Feature::List { feature: item, .. } | Feature::LargeList(item) => {
                let mut field = self.field(id, column, innermost(item), path)?;
                field["isArray"] = true.into();
                field["arrayShape"] = shape(feature).into();
                Some(field)
            }
            _ => {
                let data_type = data_type(feature)?;
                let mut source = Map::new();
                source.insert("fileSet".into(), json!({"@id": self.file_set}));
                source.insert("extract".into(), json!({"column": column}));
                let mut steps: Vec<JsonValue> = path.iter().map(|step| json!({"jsonPath": step})).collect();
                if matches!(feature, Feature::Image(_)) {
                    steps.push(json!({"jsonPath": "bytes"}));
                }
                match steps.len() {
                    0 => {}
                    1 => drop(source.insert("transform".into(), steps.remove(0))),
                    _ => drop(source.insert("transform".into(), steps.into())),
                }
                if let Feature::Audio(media) = feature
                    && let Some(rate) = media.attributes.get("sampling_rate").filter(|rate| !rate.is_null())
                {
                    source.insert("sampling_rate".into(), rate.clone());
                }
                Some(json!({"@type": "cr:Field", "@id": id, "dataType": data_type, "source": source}))
            }
        }
    }

    fn record(&mut self, id: &str, column: &str, children: &Features, path: &[String]) -> JsonValue {
        let mut fields = Vec::with_capacity(children.len());
        for (name, child) in children {
            let child_id = self.ids.take(&format!("{id}/{}", escape(name)));
            let path: Vec<String> = path.iter().cloned().chain([step(name)]).collect();
            // A child without a type leaves a hole: readers count the fields of a struct.
            fields.push(self.field(&child_id, column, child, &path).unwrap_or_default());
        }
        json!({"@type": "cr:Field", "@id": id, "subField": fields})
    }
}

fn innermost(feature: &Feature) -> &Feature {
    match feature {
        Feature::List { feature, .. } | Feature::LargeList(feature) => innermost(feature),
        other => other,
    }
}

/// The length of each level of lists, −1 where it varies.
fn shape(feature: &Feature) -> String {
    let mut levels = Vec::new();
    let mut feature = feature;
    loop {
        feature = match feature {
            Feature::List { feature, length } => {
                levels.push(length.map_or("-1".to_owned(), |length| length.to_string()));
                feature
            }
            Feature::LargeList(feature) => {
                levels.push("-1".to_owned());
                feature
            }
            _ => return levels.join(","),
        };
    }
}

fn data_type(feature: &Feature) -> Option<&'static str> {
    Some(match feature {
        Feature::Image(_) => "sc:ImageObject",
        Feature::Audio(_) => "sc:AudioObject",
        Feature::Video(_) => "sc:VideoObject",
        Feature::ClassLabel { .. } => "sc:Integer",
        Feature::Value(dtype) => match dtype {
            Dtype::Int8 => "cr:Int8",
            Dtype::Int16 => "cr:Int16",
            Dtype::Int32 => "cr:Int32",
            Dtype::Int64 => "cr:Int64",
            Dtype::UInt8 => "cr:UInt8",
            Dtype::UInt16 => "cr:UInt16",
            Dtype::UInt32 => "cr:UInt32",
            Dtype::UInt64 => "cr:UInt64",
            Dtype::Float16 => "cr:Float16",
            Dtype::Float32 => "cr:Float32",
            Dtype::Float64 => "cr:Float64",
            Dtype::Bool => "sc:Boolean",
            Dtype::String | Dtype::LargeString | Dtype::Binary => "sc:Text",
            Dtype::Date32 | Dtype::Date64 => "sc:Date",
            Dtype::Time32(_) | Dtype::Time64(_) => "sc:Time",
            Dtype::Timestamp(_, None) => "sc:DateTime",
            _ => return None,
        },
        _ => return None,
    })
}

/// A name as a step of a JSON path.
fn step(name: &str) -> String {
    if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return name.to_owned();
    }
    let mut quoted = String::from("['");
    for c in name.chars() {
        if matches!(c, '\'' | '[' | ']' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push_str("']");
    quoted
}

/// As Python's `re.escape`.
fn escape_regex(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_patterns_are_quoted() {
        assert_eq!([step("a_1"), step("a b"), step("it's [x]")], ["a_1", "['a b']", r"['it\'s \[x\]']"]);
        assert_eq!(escape_regex("naïve config (v1)-2_a.b"), r"naïve\ config\ \(v1\)\-2_a\.b");
    }

    #[test]
    fn lists_tell_the_length_of_every_level() {
        let fixed = Feature::List { feature: Box::new(Feature::string()), length: Some(3) };
        assert_eq!(shape(&Feature::list(fixed)), "-1,3");
    }
}
