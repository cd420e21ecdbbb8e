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
    assert_snapshot!(body["statistics"][0]["column_statistics"].to_string(), @"");
    assert_snapshot!(body["statistics"][1]["column_statistics"].to_string(), @"");
    assert_snapshot!(body["statistics"][2]["column_statistics"].to_string(), @"");
    // The same question costs nothing the second time.
    assert_eq!(app.children.take_calls(), ["statistics"]);
    assert_eq!(ask(&app, "age > 30").await.body, answer.body);
    assert_eq!(app.children.take_calls(), Vec::<String>::new());
    let etag = answer.header("etag").unwrap().to_owned();
    let path = "/statistics?dataset=local/data&config=default&split=train&where=age%20%3E%2030";
    assert_eq!(app.get_with(path, &[("if-none-match", &etag)]).await.status, 304);
}

#[tokio::test]
async fn no_row_is_described_too() {
    let body = ask(&people().await, "age > 100").await.json();
    assert_eq!((&body["num_examples"], &body["statistics"][0]["column_statistics"]["mean"]), (&0.into(), &().into()));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let app = people().await;
    assert_snapshot!(super::outcome(&ask(&app, "age >").await), @"");
    assert_snapshot!(super::outcome(&ask(&app, "agee > 3").await), @"");
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
