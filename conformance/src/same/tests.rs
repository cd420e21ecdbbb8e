use serde_json::json;

use super::*;

/// The differences as lines.
fn lines(expected: &Value, got: &Value) -> Vec<String> {
    differences(expected, got, "").iter().map(ToString::to_string).collect()
}

#[test]
fn equal_bodies_have_no_differences() {
    let body = json!({"rows": [{"row": {"a": 1, "b": null, "c": [true, "x", 1.5]}}]});
    assert_eq!(lines(&body, &body), [""; 0]);
}

#[test]
fn differences_name_their_place() {
    let expected = json!({"rows": [{"row_idx": 0, "row": {"a": 1, "b": {"c": "x"}}}]});
    let got = json!({"rows": [{"row_idx": 1, "row": {"a": "1", "b": {"d": "x"}}}]});
    assert_eq!(
        lines(&expected, &got),
        [
            ".rows[0].row_idx: expected 0, got 1",
            r#".rows[0].row.a: expected number 1, got text "1""#,
            ".rows[0].row.b.c: missing",
            ".rows[0].row.b.d: not expected",
        ]
    );
}

#[test]
fn lists_of_other_length_are_one_difference() {
    assert_eq!(lines(&json!({"a": [1, 2]}), &json!({"a": [5, 6, 7]})), [".a: expected 2 items, got 3"]);
}

#[test]
fn more_keys_are_welcome_outside_cells_and_features() {
    assert_eq!(lines(&json!({"splits": []}), &json!({"splits": [], "more": 1})), [""; 0]);
    let features = |feature: Value| json!({"features": [{"name": "a", "type": feature}]});
    assert_eq!(
        lines(&features(json!({"dtype": "int64"})), &features(json!({"dtype": "int64", "id": 1}))),
        [".features[0].type.id: not expected"]
    );
    let frequencies = |value: Value| json!({"column_statistics": {"frequencies": value}});
    assert_eq!(
        lines(&frequencies(json!({"a": 1})), &frequencies(json!({"a": 1, "b": 2}))),
        [".column_statistics.frequencies.b: not expected"]
    );
}

#[test]
fn booleans_and_nulls_are_no_numbers() {
    assert_eq!(lines(&json!([true, null, 0]), &json!([1, 0, false])).len(), 3);
}

#[test]
fn integers_are_compared_exactly() {
    assert_eq!(lines(&json!(9_007_199_254_740_993_i64), &json!(9_007_199_254_740_992_i64)).len(), 1);
    assert_eq!(lines(&json!(u64::MAX), &json!(u64::MAX)), [""; 0]);
}

#[test]
fn floats_may_differ_in_the_fifth_decimal() {
    assert_eq!(lines(&json!(0.12345), &json!(0.12346)), [""; 0]);
    assert_eq!(lines(&json!(0.12345), &json!(0.12347)).len(), 1);
    assert_eq!(lines(&json!(1_000_000.0), &json!(1_000_001)), [""; 0]);
    assert_eq!(lines(&json!(1_000_000.0), &json!(1_000_003)).len(), 1);
}

#[test]
fn values_that_depend_on_the_writer_are_not_compared() {
    let expected = json!({"parquet_files": [{"size": 10, "url": "https://a/b.parquet"}], "download_size": 5});
    let got = json!({"parquet_files": [{"size": 99, "url": "https://a/b.parquet"}]});
    assert_eq!(lines(&expected, &got), [""; 0]);
}

#[test]
fn urls_are_compared_by_decoded_path() {
    let same = |left: &str, right: &str| differences(&json!(left), &json!(right), "").is_empty();
    assert!(same("http://localhost/assets/a%20b.jpg?Expires=1#x", "https://[::1]:8000/assets/a b.jpg"));
    assert!(same("https://h/caf%C3%A9", "https://h/café"));
    assert!(same("https://h/100%", "https://other/100%"));
    assert!(!same("https://h/a", "https://h/b"));
    assert!(!same("ftp://h/a", "ftp://g/a"));
    assert!(!same("see https://h/a", "see https://g/a"));
}

#[test]
fn last_bin_with_only_the_maximum_counts_as_merged() {
    let expected = json!({"hist": [3, 4], "bin_edges": [0, 5, 10]});
    assert_eq!(lines(&expected, &json!({"hist": [3, 3, 1], "bin_edges": [0, 5, 10, 10]})), [""; 0]);
    assert_eq!(lines(&expected, &json!({"hist": [3, 3, 1], "bin_edges": [0, 5, 9, 10]})).len(), 2);
    assert_eq!(lines(&expected, &json!({"hist": [3, 2, 1], "bin_edges": [0, 5, 10, 10]})).len(), 1);
}

#[test]
fn long_values_are_cut_at_a_character() {
    let what = &lines(&json!("é".repeat(500)), &json!("x"))[0];
    assert_eq!(what.chars().filter(|letter| *letter == 'é').count(), 119);
}
