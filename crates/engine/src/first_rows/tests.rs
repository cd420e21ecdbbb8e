use serde_json::json;

use super::*;

const HEADER: Header<'_> = Header { dataset: "d", config: "c", split: "s" };

fn strings(columns: &[&str]) -> Features {
    Features::new(columns.iter().map(|name| ((*name).to_owned(), Feature::string())))
}

fn rows(values: impl IntoIterator<Item = serde_json::Value>) -> Vec<Box<RawValue>> {
    values.into_iter().map(|value| RawValue::from_string(value.to_string()).expect("valid")).collect()
}

fn cut(
    features: &Features,
    rows: &[Box<RawValue>],
    budget: usize,
    min_cell_bytes: usize,
    min_number: usize,
) -> FirstRows {
    let frame = frame_size(HEADER, features).expect("serializable");
    let limits = Limits { max_bytes: frame + budget, min_cell_bytes, min_number };
    truncate(HEADER, features, rows, true, &[], limits).expect("the frame fits")
}

fn shown(result: &FirstRows) -> Vec<&str> {
    result.items.iter().map(|item| item.get()).collect()
}

#[test]
fn everything_fits_below_the_limit() {
    let rows = rows([json!({"a": "x"}), json!({"a": null})]);
    let result = cut(&strings(&["a"]), &rows, 1_000, 100, 10);
    assert_eq!(
        shown(&result),
        [
            r#"{"row_idx":0,"row":{"a":"x"},"truncated_cells":[]}"#,
            r#"{"row_idx":1,"row":{"a":null},"truncated_cells":[]}"#
        ]
    );
    assert!(!result.truncated);
}

#[test]
fn rows_beyond_the_minimum_are_dropped_when_they_reach_the_limit() {
    let rows = rows((0..5).map(|n| json!({"a": n.to_string()})));
    // Each item is 50 bytes: with their commas three of them and the brackets make 155.
    let size = |budget| cut(&strings(&["a"]), &rows, budget, 100, 1).items.len();
    assert_eq!(size(155), 2);
    assert_eq!(size(156), 3);
    let result = cut(&strings(&["a"]), &rows, 156, 100, 1);
    assert!(result.truncated);
}

#[test]
fn cells_are_cut_from_the_last_row_upwards() {
    let long = "y".repeat(40);
    let rows = rows((0..3).map(|_| json!({"a": long, "b": "z"})));
    let result = cut(&strings(&["a", "b"]), &rows, 280, 10, 3);
    assert_eq!(shown(&result)[2], r#"{"row_idx":2,"row":{"a":"\"yyyyyyyyy","b":"z"},"truncated_cells":["a"]}"#);
    assert!(shown(&result)[0].ends_with(r#""truncated_cells":[]}"#));
    assert!(!result.truncated, "cut cells alone do not count");
}

#[test]
fn a_cell_of_exactly_the_limit_is_kept() {
    // Ten characters are twelve bytes of JSON.
    let rows = rows([json!({"a": "0123456789"})]);
    let cell = |limit| shown(&cut(&strings(&["a"]), &rows, 1, limit, 1))[0].to_owned();
    assert!(cell(12).contains(r#""a":"0123456789""#));
    assert!(cell(11).contains(r#""a":"\"0123456789""#));
}

#[test]
fn characters_are_not_split() {
    let rows = rows([json!({"a": "éééé"})]);
    let result = cut(&strings(&["a"]), &rows, 1, 4, 1);
    assert!(shown(&result)[0].contains(r#""a":"\"é""#), "{}", shown(&result)[0]);
}

#[test]
fn media_urls_and_named_columns_are_never_cut() {
    let url = format!("https://example.org/{}", "x".repeat(50));
    let features = Features::new([
        ("url".to_owned(), Feature::string()),
        ("image".to_owned(), Feature::Image(Default::default())),
        ("prompt".to_owned(), Feature::string()),
        ("text".to_owned(), Feature::string()),
    ]);
    let text = "t".repeat(60);
    let row = json!({"url": url, "image": {"src": url, "height": 1, "width": 1}, "prompt": text, "text": text});
    let limits = Limits {
        max_bytes: frame_size(HEADER, &features).expect("serializable") + 1,
        min_cell_bytes: 10,
        min_number: 1,
    };
    let result = truncate(HEADER, &features, &rows([row]), true, &["prompt"], limits).expect("the frame fits");
    assert!(shown(&result)[0].ends_with(r#""truncated_cells":["text"]}"#));
}

#[test]
fn a_frame_over_the_limit_is_an_error() {
    let limits = Limits { max_bytes: 50, min_cell_bytes: 10, min_number: 1 };
    let error = truncate(HEADER, &strings(&["a"]), &[], true, &[], limits).expect_err("too small");
    assert_eq!(error.kind, ErrorKind::TooBig);
}

#[test]
fn rows_not_fetched_make_the_answer_truncated() {
    let limits = Limits { max_bytes: 10_000, min_cell_bytes: 10, min_number: 1 };
    let result = truncate(HEADER, &strings(&["a"]), &rows([json!({"a": "x"})]), false, &[], limits).expect("fits");
    assert!(result.truncated);
}
