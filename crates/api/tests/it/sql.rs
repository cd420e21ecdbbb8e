//! Queries in SQL: which tables they are carried out on, and what is said by a program that has no query engine.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use belvedere_api::{Answer, ApiSettings, ApiState, Router, SqlAccess, SqlBudget, ask_with};
use belvedere_domain::Features;
use belvedere_engine::call::{Piece, SqlName, SqlResult, SqlTableList};
use belvedere_engine::task::Progress;
use belvedere_engine::{Call, Reply};
use belvedere_jobs::call::{CallError, Caller};
use belvedere_testing::TestApp;
use insta::assert_snapshot;
use serde_json::{Value as Json, json, value::to_raw_value};

use super::{birds, outcome};

#[tokio::test]
async fn a_program_without_a_query_engine_says_how_to_get_one() {
    let app = birds().await;
    let answer = app.get("/sql").await;
    assert_eq!(answer.status, 501);
    assert!(outcome(&answer).contains("`cargo build --release -p belvedere --features sql`"), "{}", outcome(&answer));
}

/// In place of a query engine: its queries are lists of tables in JSON, and their result is the size of each.
struct Counting;

#[async_trait]
impl Caller for Counting {
    async fn call(&self, call: Call, _limit: Duration) -> Result<Reply, CallError> {
        Ok(match call {
            Call::SqlTables(call) => {
                let names: Vec<Vec<String>> = serde_json::from_str(&call.sql).unwrap();
                Reply::SqlTables(SqlTableList { tables: names.into_iter().map(SqlName).collect() })
            }
            Call::Sql(call) => {
                let row = |table: &belvedere_engine::call::SqlTable| {
                    let num_rows: u64 = table.files.iter().map(|file| file.num_rows).sum();
                    assert!(table.files.iter().all(|file| file.file.local_path.exists()));
                    to_raw_value(&json!({"num_rows": num_rows})).unwrap()
                };
                Reply::Sql(SqlResult {
                    features: Features::from_json(&json!({"num_rows": {"dtype": "int64", "_type": "Value"}})).unwrap(),
                    piece: Piece::Rows(call.tables.iter().map(row).collect()),
                    num_rows: call.tables.len(),
                    truncated: false,
                    plan: None,
                })
            }
            other => panic!("no call of queries: {other:?}"),
        })
    }

    async fn call_watched(&self, call: Call, limit: Duration, _progress: Progress) -> Result<Reply, CallError> {
        self.call(call, limit).await
    }
}

/// The API of an app, with queries.
fn with_queries(app: &TestApp) -> Router {
    let budget = SqlBudget { max_seconds: 100.0, max_rows: 100, max_bytes: 1 << 20, memory_bytes: 1 << 20 };
    let settings = ApiSettings { sql: SqlAccess::Open(budget), ..ApiSettings::default() };
    let state = ApiState::new(Arc::clone(&app.services), Arc::clone(&app.refresher), settings);
    belvedere_api::router(state.with_sql(Arc::new(Counting)))
}

async fn post(router: &Router, path: &str, tables: &Json, more: Json) -> Answer {
    let mut body = json!({"sql": tables.to_string()});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask_with(router, "POST", path, &[("content-type", "application/json")], body.to_string().into_bytes()).await
}

/// The numbers of rows of the tables.
fn sizes(answer: &Answer) -> Vec<u64> {
    assert_eq!(answer.status, 200, "{}", outcome(answer));
    answer.json()["rows"].as_array().unwrap().iter().map(|row| row["num_rows"].as_u64().unwrap()).collect()
}

/// Writes a file, runs its jobs, and returns the revision served after that.
async fn write(app: &TestApp, path: &str, content: &str) -> String {
    app.write(path, content);
    app.settle().await;
    app.dataset("local/data").await.unwrap().served.unwrap().to_string()
}

#[tokio::test]
async fn kept_revisions_are_asked_by_request_by_address_and_by_table() {
    let app = TestApp::new().await;
    let old = write(&app, "data/a.csv", "n\n1\n").await;
    let new = write(&app, "data/a.csv", "n\n2\n3\n").await;
    let router = with_queries(&app);
    let table = json!([["local/data"]]);
    let by_request = post(&router, "/sql", &table, json!({"revision": old})).await;
    assert_eq!((sizes(&by_request), by_request.header("x-revision")), (vec![1], Some(old.as_str())));
    assert_eq!(by_request.json()["tables"][0]["revision"], old);
    let by_address = post(&router, &format!("/sql?revision={old}"), &table, json!({})).await;
    assert_eq!(by_address.body, by_request.body);
    let data = json!({"revision": old, "dataset": "local/data", "config": "default", "split": "train"});
    assert_eq!(sizes(&post(&router, "/sql", &json!([["data"]]), data).await), [1]);
    let served = post(&router, "/sql", &table, json!({})).await;
    assert_eq!((sizes(&served), served.header("x-revision")), (vec![2], Some(new.as_str())));

    let both = json!([[format!("local/data@{old}"), "default", "train"], ["local/data"]]);
    let both = post(&router, "/sql", &both, json!({"revision": new})).await;
    // No one revision is that of the answer.
    assert_eq!((sizes(&both), both.header("x-revision")), (vec![1, 2], None));
    let revisions: Vec<Json> =
        both.json()["tables"].as_array().unwrap().iter().map(|table| table["revision"].clone()).collect();
    assert_eq!(revisions, [json!(old), json!(new)]);
}

#[tokio::test]
async fn splits_of_a_kept_revision_are_those_it_had() {
    let app = TestApp::new().await;
    let old = write(&app, "data/train.csv", "n\n1\n").await;
    write(&app, "data/test.csv", "n\n2\n3\n").await;
    let router = with_queries(&app);
    // Only the old revision has one split alone.
    let table = json!([["local/data"]]);
    assert_eq!(sizes(&post(&router, "/sql", &table, json!({"revision": old})).await), [1]);
    assert_snapshot!(outcome(&post(&router, "/sql", &table, json!({})).await), @r#"422 InvalidParameter: "local/data" may be one of several splits; name one: "local/data"."default"."train", "local/data"."default"."test""#);
    let later = post(&router, "/sql", &json!([["local/data", "test"]]), json!({"revision": old})).await;
    assert_snapshot!(outcome(&later), @r#"404 ResponseNotFound: There is no table "local/data"."test"; there are "local/data"."default"."train"."#);
}

#[tokio::test]
async fn revisions_that_cannot_be_read_are_told() {
    let app = birds().await;
    app.write("other/a.csv", "n\n1\n");
    app.settle().await;
    let router = with_queries(&app);
    let unknown = "0000000000000000000000000000000000000000";
    let table = json!([["local/data"]]);
    assert_snapshot!(outcome(&post(&router, "/sql", &table, json!({"revision": unknown})).await), @"404 RevisionGone: Revision 0000000000000000000000000000000000000000 is not kept.");
    let named = json!([[format!("local/data@{unknown}")]]);
    assert_snapshot!(outcome(&post(&router, "/sql", &named, json!({})).await), @"404 RevisionGone: Revision 0000000000000000000000000000000000000000 is not kept.");
    let bad = post(&router, "/sql", &table, json!({"revision": "no revision"})).await;
    let rows = app.get("/rows?dataset=local/data&config=default&split=train&revision=no%20revision").await;
    assert_eq!((bad.status, outcome(&bad)), (422, outcome(&rows)));
    let two = json!([["local/data"], ["local/other"]]);
    assert_snapshot!(outcome(&post(&router, "/sql", &two, json!({"revision": unknown})).await), @r#"422 InvalidParameter: 'revision' is one of one dataset, and the query names "local/data" and "local/other"; name each table's own: "dataset@revision"."config"."split""#);
}
