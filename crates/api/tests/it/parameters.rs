//! What is asked of parameters, before anybody looks whether the dataset exists.

use belvedere_testing::TestApp;
use insta::assert_snapshot;

use super::{birds, outcomes};

#[tokio::test]
async fn missing_and_blank_parameters_are_refused_before_the_dataset_is_looked_for() {
    let app = TestApp::new().await;
    let paths = [
        "/splits",
        "/splits?dataset=",
        "/splits?dataset=%20%09",
        "/splits?config=default",
        "/first-rows",
        "/first-rows?dataset=local/none",
        "/first-rows?dataset=local/none&config=default",
        "/first-rows?dataset=local/none&config=&split=train",
        "/first-rows?dataset=local/none&split=train",
        "/parquet",
        "/info",
        "/size",
        "/is-valid",
        "/is-valid?config=default&split=train",
        "/rows",
        "/rows?dataset=local/none",
        "/rows?dataset=local/none&config=default",
        "/rows?dataset=local/none&config=%20&split=train",
    ];
    assert_snapshot!(outcomes(&app, &paths).await, @r"
    /splits → 422 MissingRequiredParameter: Parameter 'dataset' is required
    /splits?dataset= → 422 MissingRequiredParameter: Parameter 'dataset' is required
    /splits?dataset=%20%09 → 422 MissingRequiredParameter: Parameter 'dataset' is required
    /splits?config=default → 422 MissingRequiredParameter: Parameter 'dataset' is required
    /first-rows → 422 MissingRequiredParameter: Parameters 'dataset', 'config' and 'split' are required
    /first-rows?dataset=local/none → 422 MissingRequiredParameter: Parameters 'dataset', 'config' and 'split' are required
    /first-rows?dataset=local/none&config=default → 422 MissingRequiredParameter: Parameters 'dataset', 'config' and 'split' are required
    /first-rows?dataset=local/none&config=&split=train → 422 MissingRequiredParameter: Parameters 'dataset', 'config' and 'split' are required
    /first-rows?dataset=local/none&split=train → 422 MissingRequiredParameter: Parameters 'dataset', 'config' and 'split' are required
    /parquet → 422 MissingRequiredParameter: Parameter 'dataset' is required
    /info → 422 MissingRequiredParameter: Parameter 'dataset' is required
    /size → 422 MissingRequiredParameter: Parameter 'dataset' is required
    /is-valid → 422 MissingRequiredParameter: Parameter 'dataset' is required
    /is-valid?config=default&split=train → 422 MissingRequiredParameter: Parameter 'dataset' is required
    /rows → 422 MissingRequiredParameter: Parameter 'dataset' is required
    /rows?dataset=local/none → 422 MissingRequiredParameter: Parameter 'config' is required
    /rows?dataset=local/none&config=default → 422 MissingRequiredParameter: Parameter 'split' is required
    /rows?dataset=local/none&config=%20&split=train → 422 MissingRequiredParameter: Parameter 'config' is required
    ");
}

/// e109 | `offset` and `length` are negative, decimal, words, or beyond all bounds | 422 that names the parameter and its bound
#[tokio::test]
async fn e109_numbers_and_revisions_have_bounds() {
    let app = TestApp::new().await;
    let page = "/rows?dataset=local/none&config=default&split=train";
    let queries = [
        "offset=a",
        "offset=",
        "offset=1.5",
        "offset=-1",
        "offset=-",
        "offset=9223372036854775808",
        "offset=99999999999999999999999999999999999999999999",
        "length=a",
        "length=-1",
        "length=10001",
        "limit=10001",
        "limit=b&length=a",
        "length=1e2",
        "offset=x&length=y",
        "revision=..",
        "revision=a%20b",
    ];
    let paths: Vec<String> = queries.iter().map(|query| format!("{page}&{query}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let lines = outcomes(&app, &paths).await.replace(&format!("{page}&"), "");
    assert_snapshot!(lines, @r"
    offset=a → 422 InvalidParameter: Parameter 'offset' must be integer
    offset= → 422 InvalidParameter: Parameter 'offset' must be integer
    offset=1.5 → 422 InvalidParameter: Parameter 'offset' must be integer
    offset=-1 → 422 InvalidParameter: Parameter 'offset' must be positive
    offset=- → 422 InvalidParameter: Parameter 'offset' must be integer
    offset=9223372036854775808 → 422 InvalidParameter: Parameter 'offset' must not be greater than 9223372036854775807
    offset=99999999999999999999999999999999999999999999 → 422 InvalidParameter: Parameter 'offset' must not be greater than 9223372036854775807
    length=a → 422 InvalidParameter: Parameter 'length' must be integer
    length=-1 → 422 InvalidParameter: Parameter 'length' must be positive
    length=10001 → 422 InvalidParameter: Parameter 'length' must not be greater than 10000
    limit=10001 → 422 InvalidParameter: Parameter 'limit' must not be greater than 10000
    limit=b&length=a → 422 InvalidParameter: Parameter 'length' must be integer
    length=1e2 → 422 InvalidParameter: Parameter 'length' must be integer
    offset=x&length=y → 422 InvalidParameter: Parameter 'offset' must be integer
    revision=.. → 422 InvalidParameter: Parameter 'revision': `..` is not a revision
    revision=a%20b → 422 InvalidParameter: Parameter 'revision': `a b` is not a revision
    ");
}

#[tokio::test]
async fn the_most_specific_level_with_all_its_parameters_answers() {
    let app = birds().await;
    let mut levels = Vec::new();
    for path in [
        "/is-valid?dataset=local/data",
        "/splits?dataset=local/data",
        "/splits?dataset=local/data&config=default",
        // No split level: the split is ignored.
        "/splits?dataset=local/data&config=default&split=nope",
        // A split without its config falls back to the dataset.
        "/splits?dataset=local/data&split=train",
        "/is-valid?dataset=local/data&config=default&split=train",
        "/is-valid?dataset=local/data&split=nope",
        // Blank counts as absent.
        "/splits?dataset=local/data&config=",
        "/size?dataset=local/data&config=default",
        "/info?dataset=local/data&config=default",
        "/parquet?dataset=local/data&config=default",
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let body = answer.json();
        let keys: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        levels.push(format!("{path} → {}", keys.join(" ")));
    }
    assert_snapshot!(levels.join("\n"), @r"
    /is-valid?dataset=local/data → preview viewer search filter statistics
    /splits?dataset=local/data → splits pending failed
    /splits?dataset=local/data&config=default → splits
    /splits?dataset=local/data&config=default&split=nope → splits
    /splits?dataset=local/data&split=train → splits pending failed
    /is-valid?dataset=local/data&config=default&split=train → preview viewer search filter statistics
    /is-valid?dataset=local/data&split=nope → preview viewer search filter statistics
    /splits?dataset=local/data&config= → splits pending failed
    /size?dataset=local/data&config=default → size partial
    /info?dataset=local/data&config=default → dataset_info partial
    /parquet?dataset=local/data&config=default → parquet_files features partial
    ");
}

#[tokio::test]
async fn a_repeated_parameter_takes_its_last_value_and_unknown_ones_are_ignored() {
    let app = birds().await;
    let page = "/rows?dataset=local/none&dataset=local/data&config=default&split=train&length=500&length=1&colour=red";
    let body = app.get(page).await.json();
    assert_eq!(body["rows"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn integers_may_carry_a_sign_and_blanks() {
    let app = birds().await;
    let body = app.get("/rows?dataset=local/data&config=default&split=train&offset=%2B1&length=%201%20").await.json();
    assert_eq!(body["rows"][0]["row_idx"], 1);
    assert_eq!(body["rows"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn limit_is_another_name_for_length() {
    let app = birds().await;
    let page = "/rows?dataset=local/data&config=default&split=train";
    for (query, rows) in [("limit=2", 2), ("limit=2&length=1", 1), ("colour=red", 3)] {
        let answer = app.get(&format!("{page}&{query}")).await;
        assert_eq!(answer.json()["rows"].as_array().map(Vec::len), Some(rows), "{query}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_largest_page_is_a_setting_and_that_of_the_reference_is_fixed() {
    let page = "/rows?dataset=local/none&config=default&split=train";
    let app = TestApp::with(|options| options.api.max_page_rows = 5).await;
    assert_snapshot!(outcomes(&app, &[&format!("{page}&length=6")]).await.replace(page, ""), @"&length=6 → 422 InvalidParameter: Parameter 'length' must not be greater than 5");
    let app = TestApp::with(|options| options.api.compat = true).await;
    let paths = [format!("{page}&length=101"), format!("{page}&limit=101")];
    assert_snapshot!(outcomes(&app, &[&paths[0], &paths[1]]).await.replace(page, ""), @r"
    &length=101 → 422 InvalidParameter: Parameter 'length' must not be greater than 100
    &limit=101 → 401 ExternalUnauthenticatedError: The dataset does not exist, or is not accessible without authentication (private or gated).
    ");
}
