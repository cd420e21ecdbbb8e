use serde_json::json;

use super::*;

#[test]
fn every_list_spelling_reads_as_the_same_list() {
    let item = json!({"dtype": "string", "_type": "Value"});
    for spelling in [
        json!([item]),
        json!({"feature": item, "_type": "List"}),
        json!({"feature": item, "length": -1, "_type": "Sequence"}),
        json!({"feature": item, "_type": "Sequence", "id": null}),
    ] {
        assert_eq!(Feature::from_json(&spelling), Ok(Feature::list(Feature::string())), "{spelling}");
    }
}

#[test]
fn a_sequence_of_structs_is_a_struct_of_lists() {
    let old = json!({"feature": {"k": {"dtype": "int8", "_type": "Value"}}, "_type": "Sequence"});
    let features = Features::new([("k".to_owned(), Feature::list(Feature::Value(Dtype::Int8)))]);
    assert_eq!(Feature::from_json(&old), Ok(Feature::Struct(features)));
}

#[test]
fn legacy_form_uses_arrays_for_variable_lists_only() {
    let features = Features::from_json(&json!({
        "a": {"feature": {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "List"}, "_type": "List"},
        "b": {"feature": {"dtype": "float32", "_type": "Value"}, "length": 3, "_type": "List"},
    }))
    .expect("well formed");
    assert_eq!(
        features.to_legacy_json(),
        json!({
            "a": [[{"dtype": "int64", "_type": "Value"}]],
            "b": {"feature": {"dtype": "float32", "_type": "Value"}, "length": 3, "_type": "List"},
        })
    );
}

#[test]
fn every_form_survives_a_round_trip() {
    let all = json!({
        "value": {"dtype": "timestamp[us, tz=Europe/Paris]", "_type": "Value"},
        "decimal": {"dtype": "decimal128(10, 2)", "_type": "Value"},
        "label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
        "list": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
        "fixed": {"feature": {"dtype": "int8", "_type": "Value"}, "length": 4, "_type": "List"},
        "large": {"feature": {"dtype": "int8", "_type": "Value"}, "_type": "LargeList"},
        "array": {"shape": [null, 3], "dtype": "float32", "_type": "Array2D"},
        "translation": {"languages": ["en", "fr"], "_type": "Translation"},
        "variable": {"languages": ["en"], "num_languages": 1, "_type": "TranslationVariableLanguages"},
        "image": {"mode": "RGB", "_type": "Image"},
        "audio": {"sampling_rate": 16000, "_type": "Audio"},
        "video": {"_type": "Video"},
        "pdf": {"_type": "Pdf"},
        "json": {"_type": "Json"},
        "struct": {"x": {"dtype": "bool", "_type": "Value"}},
        "mesh": {"_type": "Mesh"},
    });
    assert_eq!(Features::from_json(&all).expect("well formed").to_json(), all);
}

#[test]
fn defaults_of_media_are_left_out() {
    let image =
        Feature::from_json(&json!({"mode": null, "decode": true, "id": null, "_type": "Image"})).expect("well formed");
    assert_eq!(image.to_json(), json!({"_type": "Image"}));
    let raw = Feature::from_json(&json!({"decode": false, "_type": "Image"})).expect("well formed");
    assert_eq!(raw.to_json(), json!({"decode": false, "_type": "Image"}));
}

#[test]
fn errors_name_the_column() {
    let error =
        Features::from_json(&json!({"a": {"b": {"dtype": "int12", "_type": "Value"}}})).expect_err("unknown type");
    assert_eq!(error.path, "a.b");
    assert!(error.reason.contains("int12"));
    assert!(Features::from_json(&json!({"a": {"names": {"1": "x"}, "_type": "ClassLabel"}})).is_err());
}
