//! `/statistics?where=`: some rows in the bins of all, and what is refused.

use belvedere_testing::{Answer, TestApp};
use insta::assert_snapshot;

const PEOPLE: &str = "name,age,height\nAnn,31,1.6\nBob,25,1.8\nCy,47,1.7\nDot,31,\n";

async fn people() -> TestApp {
    TestApp::with_file("people.csv", PEOPLE).await
}

async fn ask(app: &TestApp, condition: &str) -> Answer {
    let parameters = [("dataset", "local/data"), ("config", "default"), ("split", "train"), ("where", condition)];
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    app.get(&format!("/statistics?{query}")).await
}

#[tokio::test]
async fn some_rows_are_described_in_the_bins_of_all() {
    let app = people().await;
    app.children.take_calls();
    let answer = ask(&app, "age > 30").await;
    let body = answer.json();
    assert_eq!(
        (&body["num_rows_total"], &body["num_examples"], &body["partial"]),
        (&4.into(), &3.into(), &false.into())
    );
    assert_snapshot!(body["statistics"][0]["column_statistics"].to_string(), @r#"{"nan_count":0,"nan_proportion":0.0,"min":31,"max":47,"mean":36.33333,"median":31.0,"std":9.2376,"histogram":{"hist":[0,0,2,0,0,0,0,1],"bin_edges":[25,28,31,34,37,40,43,46,47]}}"#);
    assert_snapshot!(body["statistics"][1]["column_statistics"].to_string(), @r#"{"nan_count":1,"nan_proportion":0.33333,"min":1.6,"max":1.7,"mean":1.65,"median":1.65,"std":0.07071,"histogram":{"hist":[1,0,0,0,1,0,0,0,0,0],"bin_edges":[1.6,1.62,1.64,1.66,1.68,1.7,1.72,1.74,1.76,1.78,1.8]}}"#);
    assert_snapshot!(body["statistics"][2]["column_statistics"].to_string(), @r#"{"nan_count":0,"nan_proportion":0.0,"no_label_count":0,"no_label_proportion":0.0,"n_unique":3,"frequencies":{"Ann":1,"Cy":1,"Dot":1}}"#);
    // The same question costs nothing the second time.
    assert_eq!(app.children.take_calls(), ["statistics"]);
    assert_eq!(ask(&app, "age > 30").await.body, answer.body);
    assert_eq!(app.children.take_calls(), Vec::<String>::new());
    let etag = answer.header("etag").unwrap().to_owned();
    let path = "/statistics?dataset=local/data&config=default&split=train&where=age%20%3E%2030";
    assert_eq!(app.ask("GET", path, &[("if-none-match", &etag)]).await.status, 304);
}

#[tokio::test]
async fn no_row_is_described_too() {
    let body = ask(&people().await, "age > 100").await.json();
    assert_eq!((&body["num_examples"], &body["statistics"][0]["column_statistics"]["mean"]), (&0.into(), &().into()));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let app = people().await;
    assert_snapshot!(super::outcome(&ask(&app, "age >").await), @r#"422 InvalidParameter: Parameter where, character 6: expected a column, a value or a function, found the end"#);
    assert_snapshot!(super::outcome(&ask(&app, "agee > 3").await), @r#"422 InvalidParameter: Parameter where, character 1: there is no column "agee"; did you mean "age"?"#);
    let missing = app.get("/statistics?dataset=local/data&where=a").await;
    assert_eq!((missing.status, missing.header("x-error-code")), (422, Some("MissingRequiredParameter")));
    let other = app.get("/statistics?dataset=local/data&config=default&split=test&where=a%3D1").await;
    assert_eq!(other.status, 404);
}

#[tokio::test]
async fn the_reference_passes_over_the_parameter() {
    let app = TestApp::with(|options| options.api.compat = true).await;
    app.write("data/people.csv", PEOPLE);
    app.settle().await;
    assert_eq!(ask(&app, "age > 30").await.json()["num_examples"], 4);
}
