//! `/schema`: columns in the words of other programs.

use insta::assert_snapshot;

use super::{birds, outcomes};

const SCHEMA: &str = "/schema?dataset=local/data&config=default";

#[tokio::test]
async fn each_form_describes_the_columns() {
    let app = birds().await;
    let mut lines = Vec::new();
    for query in ["", "&format=simple", "&format=JSON-Schema", "&format=arrow"] {
        let answer = app.get(&format!("{SCHEMA}{query}")).await;
        let mut body = answer.json();
        // The features beside an Arrow schema are those of every export.
        if let Some(schema) = body.get_mut("schema") {
            assert_eq!(schema["metadata"][0]["key"], "huggingface");
            schema["metadata"] = "…".into();
        }
        lines.push(format!("{query} {}\n{body}", answer.header("content-type").unwrap()));
    }
    assert_snapshot!(lines.join("\n"), @r#"
     application/json
    {"columns":[{"name":"name","type":"string"},{"name":"weight","type":"float64"}]}
    &format=simple application/json
    {"columns":[{"name":"name","type":"string"},{"name":"weight","type":"float64"}]}
    &format=JSON-Schema application/schema+json
    {"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["name","weight"],"properties":{"name":{"type":["string","null"]},"weight":{"type":["number","null"]}},"additionalProperties":false}
    &format=arrow application/json
    {"schema":{"fields":[{"name":"name","nullable":true,"type":{"name":"utf8"},"children":[]},{"name":"weight","nullable":true,"type":{"name":"floatingpoint","precision":"DOUBLE"},"children":[]}],"metadata":"…"}}
    "#);
}

#[tokio::test]
async fn the_header_asks_for_a_json_schema_too() {
    let app = birds().await;
    let answer = app.ask("GET", SCHEMA, &[("accept", "application/schema+json")]).await;
    assert_eq!(answer.header("content-type"), Some("application/schema+json"));
    assert_eq!(answer.header("vary"), Some("Accept"));
    let etag = answer.header("etag").unwrap();
    let again = [("accept", "application/schema+json"), ("if-none-match", etag)];
    assert_eq!(app.ask("GET", SCHEMA, &again).await.status, 304);
    // Another form is another answer.
    assert_eq!(app.ask("GET", SCHEMA, &[("if-none-match", etag)]).await.status, 200);
}

#[tokio::test]
async fn revisions_have_their_own() {
    let app = birds().await;
    let first = app.dataset("local/data").await.unwrap().target;
    app.write("data/birds.csv", "name\nrobin\n");
    app.settle().await;
    let columns =
        async |query: String| app.get(&format!("{SCHEMA}{query}")).await.json()["columns"].as_array().map(Vec::len);
    assert_eq!(columns(String::new()).await, Some(1));
    assert_eq!(columns(format!("&revision={first}")).await, Some(2));
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused() {
    let app = birds().await;
    app.write("bad/a.csv", "a,b\n1,2,3,4\n\"x");
    app.settle().await;
    let paths = [
        "/schema?dataset=local/data",
        "/schema?dataset=local/data&config=nope",
        "/schema?dataset=local/data&config=default&format=avro",
    ];
    assert_snapshot!(outcomes(&app, &paths).await, @"
    /schema?dataset=local/data → 422 MissingRequiredParameter: Parameter 'config' is required
    /schema?dataset=local/data&config=nope → 404 ResponseNotFound: Not found.
    /schema?dataset=local/data&config=default&format=avro → 422 InvalidParameter: Parameter 'format' must be one of simple, json-schema, arrow
    ");
    // The stored error stands in its place, as for every other answer.
    let (info, schema) = ("/info?dataset=local/bad&config=default", "/schema?dataset=local/bad&config=default");
    let (info, schema) = (app.get(info).await, app.get(schema).await);
    assert_eq!((schema.status, schema.text()), (info.status, info.text()));
    assert_ne!(schema.status, 200);
}
