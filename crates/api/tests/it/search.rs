//! Full-text search.

use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, SplitName, StepName};
use belvedere_testing::TestApp;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::outcomes;

const SEARCH: &str = "/search?dataset=local/data&config=default&split=train";

const BOOKS: &str = "title,note\n\
    The gray fox,\"A fox, gray as GPT-4\"\n\
    Ein grauer Fuchs,über die Straße\n\
    Кот и лиса,сказка\n\
    公司法,深圳经济特区\n\
    Party,a big party of foxes\n";

async fn books() -> TestApp {
    TestApp::with_file("books.csv", BOOKS).await
}

async fn rows(app: &TestApp, query: &str) -> Vec<u64> {
    let answer = app.get(&format!("{SEARCH}&{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json()["rows"].as_array().unwrap().iter().map(|row| row["row_idx"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn matches_have_the_shape_of_rows_and_tell_where() {
    let app = books().await;
    assert_snapshot!(app.get(&format!("{SEARCH}&query=stra%C3%9Fe")).await.text(), @r#"{"features":[{"feature_idx":0,"name":"title","type":{"dtype":"string","_type":"Value"}},{"feature_idx":1,"name":"note","type":{"dtype":"string","_type":"Value"}}],"rows":[{"row_idx":1,"row":{"title":"Ein grauer Fuchs","note":"über die Straße"},"truncated_cells":[],"score":0.6325012268445449,"matches":[{"column":"note","spans":[[9,15]]}]}],"num_rows_total":1,"num_rows_per_page":100,"partial":false}"#);
}

#[tokio::test]
async fn words_of_every_script_are_found_in_every_mode() {
    let app = books().await;
    for (query, expected) in [
        ("query=FOX", &[0][..]),
        ("query=fuchs+fox", &[0, 1]),
        ("query=gray+fox&mode=all", &[0]),
        ("query=gray+fox&mode=phrase", &[0]),
        ("query=fox+gray&mode=phrase", &[0]),
        ("query=big+gray&mode=all", &[]),
        ("query=gpt-4", &[0]),
        ("query=%D0%9A%D0%9E%D0%A2", &[2]),
        ("query=%E5%85%AC%E5%8F%B8", &[3]),
        ("query=%E6%B3%95", &[3]),
        ("query=art&mode=substring", &[4]),
        ("query=art&mode=all", &[]),
        // No row has this word, so its characters are looked for inside of words.
        ("query=art", &[4]),
        ("query=%3F%21", &[]),
        ("query=party&offset=1", &[]),
        ("query=fox+party&length=1", &[4]),
        ("query=fox+party&limit=1&offset=1", &[0]),
        ("query=fox&length=0", &[]),
    ] {
        assert_eq!(rows(&app, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn an_index_changes_no_answer() {
    let plain = TestApp::with(|options| options.settings.search.builds_indexes = false).await;
    let indexed = TestApp::new().await;
    for app in [&plain, &indexed] {
        app.write("data/books.csv", BOOKS);
        app.settle().await;
    }
    let view = |app: &TestApp| {
        let (dataset, config) = (DatasetName::new("local/data").unwrap(), ConfigName::new("default").unwrap());
        let split = SplitName::new("train").unwrap();
        let key = ArtifactKey::split(StepName::known("split-search-index"), dataset, config, split);
        let store = app.services.store.clone();
        async move {
            let found = store.views.read(&key, None, 0.0).await.unwrap().unwrap();
            found.stored.view.content.parse::<Value>().unwrap()
        }
    };
    let (without, with) = (view(&plain).await, view(&indexed).await);
    assert_eq!(without["without_index_because"], "search indexes are turned off");
    assert!(with["size"].as_u64().unwrap() > 0, "{with}");
    assert_eq!(
        (&with["columns"], &with["num_rows"], &with["num_words"]),
        (&json!(["title", "note"]), &json!(5), &json!(34))
    );
    for query in
        ["fox", "gray+fox&mode=phrase", "art", "%E5%85%AC%E5%8F%B8+fuchs", "fox&format=csv", "fox&columns=title"]
    {
        let path = format!("{SEARCH}&query={query}");
        let (without, with) = (plain.get(&path).await, indexed.get(&path).await);
        assert_eq!((without.status, without.text()), (200, with.text()), "{query}");
    }
}

#[tokio::test]
async fn results_come_in_every_format_and_number() {
    let app = books().await;
    let csv = app.get(&format!("{SEARCH}&query=fox+fuchs+party&format=csv&columns=title")).await;
    assert_eq!(csv.text(), "title\r\nParty\r\nThe gray fox\r\nEin grauer Fuchs\r\n");
    let body = app.get(&format!("{SEARCH}&query=party&columns=title")).await.json();
    assert_eq!(body["num_rows_total"], 1);
    assert_eq!(body["rows"][0]["row"], json!({"title": "Party"}));
    assert_eq!(body["rows"][0]["matches"][1], json!({"column": "note", "spans": [[6, 11]]}));
}

#[tokio::test]
async fn what_a_client_holds_is_not_sent_again() {
    let app = books().await;
    let path = format!("{SEARCH}&query=fox");
    let etag = app.get(&path).await.header("etag").unwrap().to_owned();
    assert_eq!(app.ask("GET", &path, &[("if-none-match", &etag)]).await.status, 304);
    assert_eq!(app.ask("GET", &format!("{path}&mode=all"), &[("if-none-match", &etag)]).await.status, 200);
}

#[tokio::test]
async fn nested_texts_and_stems_of_the_language_are_reached() {
    let app = TestApp::new().await;
    app.write("data/README.md", "---\nlanguage: en\n---\n");
    let row =
        json!({"messages": [{"role": "user", "content": "Who is running?"}, {"role": "bot", "content": "Nobody"}]});
    app.write("data/a.jsonl", format!("{row}\n"));
    app.settle().await;
    let body = app.get(&format!("{SEARCH}&query=runs")).await.json();
    let expected = json!([{"column": "messages", "path": [0, "content"], "spans": [[7, 14]]}]);
    assert_eq!(body["rows"][0]["matches"], expected, "{body}");
}

#[tokio::test]
async fn bad_questions_are_refused_in_words() {
    let app = books().await;
    app.write("numbers/a.csv", "n\n1\n");
    app.settle().await;
    let numbers = "/search?dataset=local/numbers&config=default&split=train&query=1".to_owned();
    let long = format!("{SEARCH}&query={}", "x".repeat(5_000));
    let paths = [
        SEARCH.to_owned(),
        format!("{SEARCH}&query="),
        format!("{SEARCH}&query=%20%20"),
        format!("{SEARCH}&query=x&mode=regex"),
        format!("{SEARCH}&query=x&length=-1"),
        "/search?dataset=local/data&config=default&split=nowhere&query=x".to_owned(),
        "/search?dataset=local/nobody&config=default&split=train&query=x".to_owned(),
        numbers,
    ];
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    assert_snapshot!(outcomes(&app, &paths).await, @r"
    /search?dataset=local/data&config=default&split=train → 422 MissingRequiredParameter: Parameter 'query' is required
    /search?dataset=local/data&config=default&split=train&query= → 422 MissingRequiredParameter: Parameter 'query' is required
    /search?dataset=local/data&config=default&split=train&query=%20%20 → 422 MissingRequiredParameter: Parameter 'query' is required
    /search?dataset=local/data&config=default&split=train&query=x&mode=regex → 422 InvalidParameter: Parameter 'mode' must be one of any, all, phrase, substring
    /search?dataset=local/data&config=default&split=train&query=x&length=-1 → 422 InvalidParameter: Parameter 'length' must be positive
    /search?dataset=local/data&config=default&split=nowhere&query=x → 404 ResponseNotFound: Not found.
    /search?dataset=local/nobody&config=default&split=train&query=x → 401 ExternalUnauthenticatedError: The dataset does not exist, or is not accessible without authentication (private or gated).
    /search?dataset=local/numbers&config=default&split=train&query=1 → 400 SearchFeatureNotAvailableError: No column of the split holds text, so there is nothing to search.
    ");
    let refused = app.get(&long).await;
    assert_eq!((refused.status, refused.header("x-error-code")), (422, Some("InvalidParameter")));
    for odd in ["%00", "%1b%5B0m", "%ff%fe", "%22", "%E2%80%AEfox", "((((", "*", "%25", "%5C"] {
        let answer = app.get(&format!("{SEARCH}&query={odd}")).await;
        assert_eq!(answer.status, 200, "{odd}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_split_too_large_to_read_says_what_to_do() {
    let app = TestApp::with(|options| {
        options.settings.search.builds_indexes = false;
        options.settings.search.max_scan_seconds = 0.0;
    })
    .await;
    app.write("data/books.csv", BOOKS);
    app.settle().await;
    let path = format!("{SEARCH}&query=fox");
    assert_snapshot!(outcomes(&app, &[&path]).await, @"/search?dataset=local/data&config=default&split=train&query=fox → 400 SearchFeatureNotAvailableError: The split is too large to be searched without an index, and it has none. The setting search_index.max_scan_seconds allows more time, search_index.enabled and search_index.max_split_size_bytes allow an index.");
}

#[tokio::test]
async fn validity_tells_where_there_is_text() {
    let app = books().await;
    app.write("numbers/a.csv", "n\n1\n");
    app.settle().await;
    for (dataset, expected) in [("data", true), ("numbers", false)] {
        let body = app.get(&format!("/is-valid?dataset=local/{dataset}")).await.json();
        assert_eq!(body["search"], expected, "{body}");
    }
}

#[tokio::test]
async fn the_reference_is_followed_where_it_is_asked_for() {
    let app = TestApp::with(|options| {
        options.settings.compat = true;
        options.api.compat = true;
    })
    .await;
    app.write("data/books.csv", BOOKS);
    app.write("numbers/a.csv", "n\n1\n");
    app.settle().await;
    assert_eq!(rows(&app, "query=fox-4&mode=nonsense").await, [0]);
    assert_eq!(rows(&app, "query=art").await, [0; 0]);
    assert_eq!(rows(&app, "query=%E5%85%AC%E5%8F%B8").await, [0; 0]);
    let body = app.get(&format!("{SEARCH}&query=party")).await.json();
    let row = json!({"row_idx": 4, "row": {"title": "Party", "note": "a big party of foxes"}, "truncated_cells": []});
    assert_eq!(body["rows"], json!([row]));
    let numbers = "/search?dataset=local/numbers&config=default&split=train&query=1";
    assert_eq!(app.get(numbers).await.header("x-error-code"), Some("UnexpectedApiError"));
}
