//! The columns of a split in the words of others: short names of types, a JSON Schema of the rows, an Arrow schema as JSON.

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit as ArrowUnit};
use belvedere_domain::features::Dtype;
use belvedere_domain::{Feature, Features};
use serde_json::{Value as JsonValue, json};

use crate::features_arrow::to_schema;

/// Each column with the name of its type: `int64`, `list<string>`, `struct<a: int64, b: image>`, `class` with its names.
pub fn simple(features: &Features) -> JsonValue {
    let column = |(name, feature): &(String, Feature)| {
        let mut column = json!({"name": name, "type": type_name(feature)});
        if let Feature::ClassLabel { names } = feature {
            column["names"] = json!(names);
        }
        column
    };
    features.iter().map(column).collect()
}

/// The short name of a type, for people and programs: `int64`, `list<string>`, `struct<a: int64, b: image>`.
pub fn type_name(feature: &Feature) -> String {
    match feature {
        Feature::Value(dtype) => dtype.to_string(),
        Feature::ClassLabel { .. } => "class".to_owned(),
        Feature::List { feature, length: None } | Feature::LargeList(feature) => {
            format!("list<{}>", type_name(feature))
        }
        Feature::List { feature, length: Some(length) } => format!("list<{}, {length}>", type_name(feature)),
        Feature::Array { shape, dtype } => {
            let shape: Vec<String> =
                shape.iter().map(|length| length.map_or_else(|| "?".to_owned(), |length| length.to_string())).collect();
            format!("array<{dtype}, {}>", shape.join(" × "))
        }
        Feature::Translation { .. } | Feature::TranslationVariableLanguages { .. } => "translation".to_owned(),
        Feature::Image(_) => "image".to_owned(),
        Feature::Audio(_) => "audio".to_owned(),
        Feature::Video(_) => "video".to_owned(),
        Feature::Pdf(_) => "pdf".to_owned(),
        Feature::Json => "json".to_owned(),
        Feature::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, feature)| format!("{name}: {}", type_name(feature))).collect();
            format!("struct<{}>", fields.join(", "))
        }
        Feature::Opaque(json) => json["_type"].as_str().unwrap_or("unknown").to_lowercase(),
    }
}

/// A JSON Schema (draft 2020-12) that the rows of an answer fulfil. Every cell may be null.
pub fn json_schema(features: &Features) -> JsonValue {
    let mut schema = object(features.iter().map(|(name, feature)| (name.as_str(), cell(feature))));
    schema["type"] = json!("object");
    let mut document = json!({"$schema": "https://json-schema.org/draft/2020-12/schema"});
    if let (Some(document), JsonValue::Object(schema)) = (document.as_object_mut(), schema) {
        document.extend(schema);
    }
    document
}

/// An object with exactly these members, or null.
fn object<'a>(members: impl Iterator<Item = (&'a str, JsonValue)>) -> JsonValue {
    let properties: serde_json::Map<String, JsonValue> =
        members.map(|(name, schema)| (name.to_owned(), schema)).collect();
    let required: Vec<&String> = properties.keys().collect();
    json!({
        "type": ["object", "null"],
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn list(items: JsonValue, length: Option<u32>) -> JsonValue {
    let mut schema = json!({"type": ["array", "null"], "items": items});
    if let Some(length) = length {
        schema["minItems"] = length.into();
        schema["maxItems"] = length.into();
    }
    schema
}

fn cell(feature: &Feature) -> JsonValue {
    let text = || json!({"type": ["string", "null"]});
    let link = || json!({"type": ["string", "null"], "format": "uri"});
    let size = || json!({"type": ["integer", "null"], "minimum": 0});
    match feature {
        Feature::Value(dtype) => scalar(dtype),
        Feature::ClassLabel { names } => {
            let class = |(number, name): (usize, &String)| json!({"const": number, "title": name});
            let classes = names.iter().enumerate().map(class);
            let none = json!({"enum": [-1, null], "title": "no label"});
            json!({"oneOf": classes.chain([none]).collect::<Vec<_>>()})
        }
        Feature::List { feature, length } => list(cell(feature), *length),
        Feature::LargeList(feature) => list(cell(feature), None),
        Feature::Array { shape, dtype } => shape.iter().rev().fold(scalar(dtype), |items, length| list(items, *length)),
        Feature::Translation { languages } => {
            let mut languages: Vec<&str> = languages.iter().map(String::as_str).collect();
            languages.sort_unstable();
            languages.dedup();
            object(languages.into_iter().map(|language| (language, text())))
        }
        Feature::TranslationVariableLanguages { .. } => {
            object(["language", "translation"].into_iter().map(|name| (name, list(text(), None))))
        }
        Feature::Image(_) => media(vec![("src", link()), ("height", size()), ("width", size())]),
        Feature::Audio(_) => {
            let mut source = media(vec![("src", link()), ("type", text())]);
            source["type"] = json!("object");
            list(source, None)
        }
        Feature::Video(_) => media(vec![("src", link())]),
        Feature::Pdf(_) => media(vec![("src", link()), ("size_bytes", size())]),
        Feature::Json => json!(true),
        Feature::Struct(fields) => object(fields.iter().map(|(name, feature)| (name.as_str(), cell(feature)))),
        Feature::Opaque(_) => json!({"type": "null"}),
    }
}

/// A media cell; one that cannot be shown says why.
fn media(members: Vec<(&str, JsonValue)>) -> JsonValue {
    let mut schema = object(members.into_iter());
    schema["properties"]["error"] = json!({"type": "string"});
    schema
}

fn scalar(dtype: &Dtype) -> JsonValue {
    let integer = |minimum: i128, maximum: i128| {
        let mut schema = json!({"type": ["integer", "null"]});
        // Bounds that JSON numbers hold exactly.
        if let (Ok(minimum), Ok(maximum)) = (i64::try_from(minimum), u64::try_from(maximum)) {
            schema["minimum"] = minimum.into();
            schema["maximum"] = maximum.into();
        }
        schema
    };
    match dtype {
        Dtype::Null => json!({"type": "null"}),
        Dtype::Bool => json!({"type": ["boolean", "null"]}),
        Dtype::Int8 => integer(i8::MIN.into(), i8::MAX.into()),
        Dtype::Int16 => integer(i16::MIN.into(), i16::MAX.into()),
        Dtype::Int32 => integer(i32::MIN.into(), i32::MAX.into()),
        Dtype::Int64 => integer(i64::MIN.into(), i64::MAX.into()),
        Dtype::UInt8 => integer(0, u8::MAX.into()),
        Dtype::UInt16 => integer(0, u16::MAX.into()),
        Dtype::UInt32 => integer(0, u32::MAX.into()),
        Dtype::UInt64 => integer(0, u64::MAX.into()),
        Dtype::Float16 | Dtype::Float32 | Dtype::Float64 => json!({"type": ["number", "null"]}),
        Dtype::Date32 | Dtype::Date64 => json!({"type": ["string", "null"], "format": "date"}),
        Dtype::Timestamp(_, Some(_)) => json!({"type": ["string", "null"], "format": "date-time"}),
        Dtype::Binary | Dtype::LargeBinary | Dtype::BinaryView | Dtype::FixedSizeBinary(_) => {
            json!({"type": ["string", "null"], "contentEncoding": "base64"})
        }
        // Without a zone, and as Python writes them.
        Dtype::Timestamp(_, None)
        | Dtype::Time32(_)
        | Dtype::Time64(_)
        | Dtype::Duration(_)
        | Dtype::Decimal128(..)
        | Dtype::Decimal256(..)
        | Dtype::String
        | Dtype::LargeString
        | Dtype::StringView => json!({"type": ["string", "null"]}),
    }
}

/// The Arrow schema that exports have, in the JSON form of Arrow's integration tests
/// (<https://arrow.apache.org/docs/format/Integration.html>).
pub fn arrow_json(features: &Features) -> JsonValue {
    let schema = to_schema(features, true);
    let fields: Vec<JsonValue> = schema.fields().iter().map(|field| arrow_field(field)).collect();
    json!({"schema": {"fields": fields, "metadata": metadata(schema.metadata())}})
}

fn arrow_field(field: &Field) -> JsonValue {
    let children: Vec<JsonValue> = match field.data_type() {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => {
            vec![arrow_field(item)]
        }
        DataType::Struct(fields) => fields.iter().map(|field| arrow_field(field)).collect(),
        _ => Vec::new(),
    };
    let mut described = json!({
        "name": field.name(),
        "nullable": field.is_nullable(),
        "type": arrow_type(field.data_type()),
        "children": children,
    });
    if !field.metadata().is_empty() {
        described["metadata"] = metadata(field.metadata());
    }
    described
}

fn metadata(metadata: &std::collections::HashMap<String, String>) -> JsonValue {
    let sorted: std::collections::BTreeMap<_, _> = metadata.iter().collect();
    sorted.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

fn arrow_type(data_type: &DataType) -> JsonValue {
    let named = |name: &str| json!({"name": name});
    let int = |bits: u8, signed: bool| json!({"name": "int", "bitWidth": bits, "isSigned": signed});
    let float = |precision: &str| json!({"name": "floatingpoint", "precision": precision});
    let time = |unit: &ArrowUnit, bits: u8| json!({"name": "time", "unit": unit_name(unit), "bitWidth": bits});
    let decimal = |precision: u8, scale: i8, bits: u16| json!({"name": "decimal", "precision": precision, "scale": scale, "bitWidth": bits});
    match data_type {
        DataType::Null => named("null"),
        DataType::Boolean => named("bool"),
        DataType::Int8 => int(8, true),
        DataType::Int16 => int(16, true),
        DataType::Int32 => int(32, true),
        DataType::Int64 => int(64, true),
        DataType::UInt8 => int(8, false),
        DataType::UInt16 => int(16, false),
        DataType::UInt32 => int(32, false),
        DataType::UInt64 => int(64, false),
        DataType::Float16 => float("HALF"),
        DataType::Float32 => float("SINGLE"),
        DataType::Float64 => float("DOUBLE"),
        DataType::Timestamp(unit, None) => json!({"name": "timestamp", "unit": unit_name(unit)}),
        DataType::Timestamp(unit, Some(zone)) => {
            json!({"name": "timestamp", "unit": unit_name(unit), "timezone": zone.as_ref()})
        }
        DataType::Date32 => json!({"name": "date", "unit": "DAY"}),
        DataType::Date64 => json!({"name": "date", "unit": "MILLISECOND"}),
        DataType::Time32(unit) => time(unit, 32),
        DataType::Time64(unit) => time(unit, 64),
        DataType::Duration(unit) => json!({"name": "duration", "unit": unit_name(unit)}),
        DataType::Interval(unit) => json!({"name": "interval", "unit": match unit {
            IntervalUnit::YearMonth => "YEAR_MONTH",
            IntervalUnit::DayTime => "DAY_TIME",
            IntervalUnit::MonthDayNano => "MONTH_DAY_NANO",
        }}),
        DataType::Binary => named("binary"),
        DataType::LargeBinary => named("largebinary"),
        DataType::BinaryView => named("binaryview"),
        DataType::FixedSizeBinary(width) => json!({"name": "fixedsizebinary", "byteWidth": width}),
        DataType::Utf8 => named("utf8"),
        DataType::LargeUtf8 => named("largeutf8"),
        DataType::Utf8View => named("utf8view"),
        DataType::List(_) => named("list"),
        DataType::LargeList(_) => named("largelist"),
        DataType::FixedSizeList(_, length) => json!({"name": "fixedsizelist", "listSize": length}),
        DataType::Struct(_) => named("struct"),
        DataType::Map(_, sorted) => json!({"name": "map", "keysSorted": sorted}),
        DataType::Decimal128(precision, scale) => decimal(*precision, *scale, 128),
        DataType::Decimal256(precision, scale) => decimal(*precision, *scale, 256),
        // No feature is stored so.
        other => named(&other.to_string().to_lowercase()),
    }
}

fn unit_name(unit: &ArrowUnit) -> &'static str {
    match unit {
        ArrowUnit::Second => "SECOND",
        ArrowUnit::Millisecond => "MILLISECOND",
        ArrowUnit::Microsecond => "MICROSECOND",
        ArrowUnit::Nanosecond => "NANOSECOND",
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn features() -> Features {
        let value = |dtype: &str| json!({"dtype": dtype, "_type": "Value"});
        Features::from_json(&json!({
            "n": value("int8"),
            "big": value("uint64"),
            "t": value("large_string"),
            "at": value("timestamp[us, tz=UTC]"),
            "cost": value("decimal128(10, 2)"),
            "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
            "tags": {"feature": value("string"), "_type": "List"},
            "pair": {"feature": value("float32"), "length": 2, "_type": "List"},
            "grid": {"shape": [2, 3], "dtype": "int32", "_type": "Array2D"},
            "photo": {"_type": "Image"},
            "sound": {"_type": "Audio"},
            "any": {"_type": "Json"},
            "who": {"name": value("string"), "raw": value("binary")},
        }))
        .unwrap()
    }

    #[test]
    fn types_have_short_names() {
        let columns = simple(&features());
        let lines: Vec<String> = columns.as_array().unwrap().iter().map(ToString::to_string).collect();
        assert_snapshot!(lines.join("\n"), @r#"
        {"name":"n","type":"int8"}
        {"name":"big","type":"uint64"}
        {"name":"t","type":"large_string"}
        {"name":"at","type":"timestamp[us, tz=UTC]"}
        {"name":"cost","type":"decimal128(10, 2)"}
        {"name":"label","type":"class","names":["cat","dog"]}
        {"name":"tags","type":"list<string>"}
        {"name":"pair","type":"list<float32, 2>"}
        {"name":"grid","type":"array<int32, 2 × 3>"}
        {"name":"photo","type":"image"}
        {"name":"sound","type":"audio"}
        {"name":"any","type":"json"}
        {"name":"who","type":"struct<name: string, raw: binary>"}
        "#);
    }

    #[test]
    fn a_json_schema_tells_what_cells_look_like() {
        let schema = json_schema(&features());
        let lines: Vec<String> = schema["properties"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, schema)| format!("{name}: {schema}"))
            .collect();
        assert_eq!(schema["required"].as_array().map(Vec::len), Some(13));
        assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)));
        assert_snapshot!(lines.join("\n"), @r#"
        n: {"type":["integer","null"],"minimum":-128,"maximum":127}
        big: {"type":["integer","null"],"minimum":0,"maximum":18446744073709551615}
        t: {"type":["string","null"]}
        at: {"type":["string","null"],"format":"date-time"}
        cost: {"type":["string","null"]}
        label: {"oneOf":[{"const":0,"title":"cat"},{"const":1,"title":"dog"},{"enum":[-1,null],"title":"no label"}]}
        tags: {"type":["array","null"],"items":{"type":["string","null"]}}
        pair: {"type":["array","null"],"items":{"type":["number","null"]},"minItems":2,"maxItems":2}
        grid: {"type":["array","null"],"items":{"type":["array","null"],"items":{"type":["integer","null"],"minimum":-2147483648,"maximum":2147483647},"minItems":3,"maxItems":3},"minItems":2,"maxItems":2}
        photo: {"type":["object","null"],"required":["src","height","width"],"properties":{"src":{"type":["string","null"],"format":"uri"},"height":{"type":["integer","null"],"minimum":0},"width":{"type":["integer","null"],"minimum":0},"error":{"type":"string"}},"additionalProperties":false}
        sound: {"type":["array","null"],"items":{"type":"object","required":["src","type"],"properties":{"src":{"type":["string","null"],"format":"uri"},"type":{"type":["string","null"]},"error":{"type":"string"}},"additionalProperties":false}}
        any: true
        who: {"type":["object","null"],"required":["name","raw"],"properties":{"name":{"type":["string","null"]},"raw":{"type":["string","null"],"contentEncoding":"base64"}},"additionalProperties":false}
        "#);
    }

    #[test]
    fn an_arrow_schema_has_types_and_the_features_beside_them() {
        let schema = arrow_json(&features());
        let lines: Vec<String> = schema["schema"]["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| format!("{} {} {}", field["name"], field["type"], field["children"].as_array().unwrap().len()))
            .collect();
        assert_eq!(schema["schema"]["metadata"][0]["key"], "huggingface");
        assert_snapshot!(lines.join("\n"), @r#"
        "n" {"name":"int","bitWidth":8,"isSigned":true} 0
        "big" {"name":"int","bitWidth":64,"isSigned":false} 0
        "t" {"name":"largeutf8"} 0
        "at" {"name":"timestamp","unit":"MICROSECOND","timezone":"UTC"} 0
        "cost" {"name":"decimal","precision":10,"scale":2,"bitWidth":128} 0
        "label" {"name":"int","bitWidth":64,"isSigned":true} 0
        "tags" {"name":"list"} 1
        "pair" {"name":"fixedsizelist","listSize":2} 1
        "grid" {"name":"list"} 1
        "photo" {"name":"struct"} 2
        "sound" {"name":"struct"} 2
        "any" {"name":"utf8"} 0
        "who" {"name":"struct"} 2
        "#);
    }
}
