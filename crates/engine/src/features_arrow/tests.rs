use super::*;

fn every_feature() -> Features {
    Features::from_json(&json!({
        "int": {"dtype": "int32", "_type": "Value"},
        "zoned": {"dtype": "timestamp[us, tz=Europe/Paris]", "_type": "Value"},
        "decimal": {"dtype": "decimal128(10, 2)", "_type": "Value"},
        "fixed_binary": {"dtype": "fixed_size_binary[4]", "_type": "Value"},
        "label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
        "list": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
        "fixed": {"feature": {"dtype": "int8", "_type": "Value"}, "length": 4, "_type": "List"},
        "large": {"feature": {"_type": "Json"}, "_type": "LargeList"},
        "array": {"shape": [null, 3, 2], "dtype": "float32", "_type": "Array3D"},
        "translation": {"languages": ["fr", "en"], "_type": "Translation"},
        "variable": {"languages": ["en"], "num_languages": 1, "_type": "TranslationVariableLanguages"},
        "image": {"mode": "RGB", "_type": "Image"},
        "audio": {"sampling_rate": 16000, "_type": "Audio"},
        "video": {"_type": "Video"},
        "pdf": {"_type": "Pdf"},
        "json": {"_type": "Json"},
        "struct": {"x": {"dtype": "bool", "_type": "Value"}, "y": {"_type": "Image"}},
    }))
    .expect("well formed")
}

#[test]
fn every_feature_survives_a_round_trip_through_a_schema() {
    let features = every_feature();
    assert_eq!(features_of(&to_schema(&features, true)), Ok(features));
}

#[test]
fn without_metadata_extension_types_still_tell_json_and_arrays() {
    let read = features_of(&to_schema(&every_feature(), false)).expect("supported types");
    assert_eq!(read.get("json"), Some(&Feature::Json));
    assert_eq!(read.get("large"), Some(&Feature::LargeList(Box::new(Feature::Json))));
    assert_eq!(read.get("array"), every_feature().get("array"));
    assert_eq!(read.get("label"), Some(&Feature::Value(Dtype::Int64)));
    assert!(matches!(read.get("image"), Some(Feature::Struct(fields)) if fields.len() == 2));
}

#[test]
fn storage_is_that_of_the_reference_library() {
    let schema = to_schema(&every_feature(), false);
    let of = |name: &str| schema.field_with_name(name).expect("known column").data_type().to_string();
    assert_eq!(of("image"), r#"Struct("bytes": Binary, "path": Utf8)"#);
    assert_eq!(of("translation"), r#"Struct("en": Utf8, "fr": Utf8)"#);
    assert_eq!(of("variable"), r#"Struct("language": List(Utf8), "translation": List(Utf8))"#);
    assert_eq!(of("array"), "List(List(List(Float32)))");
    assert_eq!(of("label"), "Int64");
    assert_eq!(of("fixed"), "FixedSizeList(4 x Int8)");
}

#[test]
fn metadata_that_disagree_with_the_physical_type_are_ignored_by_column() {
    let told = json!({"info": {"features": {
        "a": {"names": ["x"], "_type": "ClassLabel"},
        "b": {"names": ["x"], "_type": "ClassLabel"},
        "gone": {"dtype": "string", "_type": "Value"},
    }}});
    let fields = vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Int32, true)];
    let schema = Schema::new(fields).with_metadata(HashMap::from([(METADATA_KEY.to_owned(), told.to_string())]));
    let features = features_of(&schema).expect("supported types");
    assert_eq!(features.len(), 2);
    assert_eq!(features.get("a"), Some(&Feature::ClassLabel { names: vec!["x".to_owned()] }));
    assert_eq!(features.get("b"), Some(&Feature::Value(Dtype::Int32)));
}

#[test]
fn a_dictionary_is_its_values() {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let list = DataType::List(Arc::new(Field::new("element", dictionary.clone(), false)));
    let schema = Schema::new(vec![Field::new("d", dictionary, true), Field::new("l", list, false)]);
    let features = features_of(&schema).expect("supported types");
    assert_eq!(features.get("d"), Some(&Feature::string()));
    assert_eq!(features.get("l"), Some(&Feature::list(Feature::string())));
}

#[test]
fn unsupported_types_are_an_error_that_names_the_column() {
    let entries = Field::new(
        "entries",
        DataType::Struct(Fields::from(vec![
            Field::new("keys", DataType::Utf8, false),
            Field::new("values", DataType::Int32, true),
        ])),
        false,
    );
    let map = DataType::Map(Arc::new(entries), false);
    let nested = DataType::List(Arc::new(Field::new_list_field(map, true)));
    let error = features_of(&Schema::new(vec![Field::new("m", nested, true)])).expect_err("maps have no feature");
    assert_eq!((error.kind, error.column.as_deref()), (ErrorKind::Features, Some("m")));
}

#[test]
fn malformed_metadata_are_an_error() {
    let schema = |text: &str| {
        Schema::new(vec![Field::new("a", DataType::Int64, true)])
            .with_metadata(HashMap::from([(METADATA_KEY.to_owned(), text.to_owned())]))
    };
    for text in ["{", r#"{"info": {"features": {"a": 3}}}"#] {
        assert_eq!(features_of(&schema(text)).expect_err("malformed").kind, ErrorKind::Features, "{text}");
    }
    assert!(features_of(&schema(r#"{"info": {}}"#)).is_ok());
}
