//! `/sample`: rows chosen by a seed.

use std::collections::BTreeSet;

use belvedere_testing::TestApp;
use insta::assert_snapshot;

use super::outcomes;

const SAMPLE: &str = "/sample?dataset=local/data&config=default&split=train";

/// 5,000 rows in two files, each with its number and whether that is even.
async fn app() -> TestApp {
    let app = TestApp::new().await;
    for (name, rows) in [("a", 0..3_000), ("b", 3_000..5_000)] {
        let rows: String = rows.map(|n| format!("{n},{}\n", n % 2 == 0)).collect();
        app.write(&format!("data/{name}.csv"), format!("n,even\n{rows}"));
    }
    app.settle().await;
    app
}

/// The numbers that a JSON answer tells beside its rows, made sure to be those inside.
async fn numbers(app: &TestApp, query: &str) -> Vec<u64> {
    let body = app.get(&format!("{SAMPLE}{query}")).await.json();
    let number = |row: &serde_json::Value| {
        assert_eq!(row["row_idx"], row["row"]["n"]);
        row["row_idx"].as_u64().unwrap()
    };
    body["rows"].as_array().unwrap().iter().map(number).collect()
}

#[tokio::test]
async fn a_seed_gives_the_same_rows_and_fewer_of_them_are_the_first_of_more() {
    let app = app().await;
    let rows = numbers(&app, "&seed=4&n=50").await;
    assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), 50);
    assert_eq!(numbers(&app, "&seed=4&n=50").await, rows);
    assert_eq!(numbers(&app, "&seed=4&n=7").await, rows[..7]);
    assert_ne!(numbers(&app, "&seed=5&n=50").await, rows);
    // From all over the split.
    assert!(rows.iter().any(|row| *row < 1_000) && rows.iter().any(|row| *row > 4_000), "{rows:?}");
    assert_eq!(numbers(&app, "").await.len(), 100);
    assert_eq!(numbers(&app, "&n=100&seed=0").await, numbers(&app, "").await);
}

#[tokio::test]
async fn as_many_as_there_are_is_a_shuffle() {
    let app = app().await;
    let rows = numbers(&app, "&n=10000").await;
    assert_eq!(rows.len(), 5_000);
    assert!(!rows.is_sorted());
    assert!(rows.into_iter().collect::<BTreeSet<_>>().into_iter().eq(0..5_000));
}

#[tokio::test]
async fn rows_are_chosen_among_those_that_match() {
    let app = app().await;
    let body = app.get(&format!("{SAMPLE}&n=30&where=%22even%22=true")).await.json();
    assert_eq!(body["num_rows_total"], 2_500);
    let rows = numbers(&app, "&n=30&where=%22even%22=true").await;
    assert_eq!(rows.iter().filter(|row| **row % 2 == 0).collect::<BTreeSet<_>>().len(), 30);
    assert_eq!(numbers(&app, "&n=30&where=%22n%22=17").await, [17]);
    assert!(numbers(&app, "&n=30&where=%22n%22%3C0").await.is_empty());
}

#[tokio::test]
async fn every_format_has_the_same_rows() {
    let app = app().await;
    let rows = numbers(&app, "&seed=9&n=40").await;
    let csv = app.get(&format!("{SAMPLE}&seed=9&n=40&format=csv&columns=n")).await;
    assert!(csv.text().lines().skip(1).map(|line| line.parse::<u64>().unwrap()).eq(rows.iter().copied()));
    let lines = app.ask("GET", &format!("{SAMPLE}&seed=9&n=40"), &[("accept", "application/x-ndjson")]).await;
    let number = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["n"].as_u64().unwrap();
    assert!(lines.text().lines().map(number).eq(rows.iter().copied()));
    let etag = csv.header("etag").unwrap();
    let path = format!("{SAMPLE}&seed=9&n=40&format=csv&columns=n");
    assert_eq!(app.ask("GET", &path, &[("if-none-match", etag)]).await.status, 304);
    assert_ne!(app.get(&format!("{SAMPLE}&seed=8&n=40&format=csv&columns=n")).await.header("etag"), Some(etag));
}

#[tokio::test]
async fn what_cannot_be_drawn_is_refused() {
    let app = app().await;
    let queries = ["&n=10001", "&n=-1", "&seed=x", "&where=%22m%22=1", "&where=(", "&format=csv&n=1000001"];
    let paths: Vec<String> = queries.iter().map(|query| format!("{SAMPLE}{query}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    assert_snapshot!(outcomes(&app, &paths).await.replace(SAMPLE, "…"), @r#"
    …&n=10001 → 422 InvalidParameter: Parameter 'n' must not be greater than 10000
    …&n=-1 → 422 InvalidParameter: Parameter 'n' must be positive
    …&seed=x → 422 InvalidParameter: Parameter 'seed' must be integer
    …&where=%22m%22=1 → 422 InvalidParameter: Parameter where, character 1: there is no column "m"; did you mean "n"?
    …&where=( → 422 InvalidParameter: Parameter where, character 2: expected a column, a value or a function, found the end
    …&format=csv&n=1000001 → 422 InvalidParameter: Parameter 'n' must not be greater than 1000000
    "#);
}
