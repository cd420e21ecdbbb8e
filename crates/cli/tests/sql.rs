//! Queries in SQL as clients send them, to the running program. Needs the feature `sql`.

#![cfg(feature = "sql")]

mod common;

use std::io::Write;
use std::net::TcpStream;

use common::{Server, folder, program};
use serde_json::{Value as Json, json};

const PENGUINS: &[u8] = b"species,Mass\nAdelie,3700\nGentoo,5076\nAdelie,3800\nChinstrap,\n";
const ISLANDS: &[u8] = b"species,island\nAdelie,Dream\nGentoo,Biscoe\n";

/// A query that no machine ends in time.
const ENDLESS: &str = r#"SELECT count(*) AS n FROM "local/numbers" a, "local/numbers" b, "local/numbers" c, "local/numbers" d
                         WHERE a.n + b.n * c.n > d.n * d.n"#;

fn data() -> tempfile::TempDir {
    let numbers: String = std::iter::once("n\n".to_owned()).chain((0..2000).map(|n| format!("{n}\n"))).collect();
    folder(&[
        ("data/penguins/train.csv", PENGUINS),
        ("data/penguins/test.csv", b"species,Mass\nGentoo,1\n"),
        ("data/islands/islands.csv", ISLANDS),
        ("data/numbers/numbers.csv", numbers.as_bytes()),
    ])
}

fn start(directory: &tempfile::TempDir, settings: &[&str]) -> Server {
    let mut arguments = vec!["serve", "data", "--port", "0"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let mut server = Server::start(program(directory.path(), &[], &arguments), "listening on ");
    server.wait_for("ready");
    server
}

/// Status, header `X-Error-Code` or type of content, and body, as soon as the datasets are ready.
fn post(server: &Server, body: &Json) -> (u16, String, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    loop {
        let sent = agent.post(format!("http://{}/sql", server.address)).send(body.to_string().as_bytes());
        let mut answer = sent.expect("an answer");
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().expect("ASCII").to_owned());
        let kind = header("x-error-code").or_else(|| header("content-type")).unwrap_or_default();
        if kind != "ResponseNotReady" {
            let text = answer.body_mut().read_to_string().expect("a whole answer");
            return (answer.status().as_u16(), kind, text);
        }
    }
}

fn ask(server: &Server, sql: &str) -> (u16, Json) {
    let (status, _, body) = post(server, &json!({"sql": sql}));
    (status, serde_json::from_str(&body).expect("JSON"))
}

#[test]
fn splits_of_several_datasets_are_joined() {
    let directory = data();
    let server = start(&directory, &[]);
    let sql = r#"SELECT p.__row_idx, species, "Mass", island FROM "local/penguins"."default"."train" AS p
                 JOIN "local/islands" USING (species) ORDER BY "Mass""#;
    let (status, mut answer) = ask(&server, sql);
    for table in answer["tables"].as_array_mut().into_iter().flatten() {
        assert!(table["revision"].take().is_string());
    }
    assert_eq!(status, 200, "{answer}");
    insta::assert_json_snapshot!(answer, @r#"
    {
      "features": [
        {
          "feature_idx": 0,
          "name": "__row_idx",
          "type": {
            "dtype": "int64",
            "_type": "Value"
          }
        },
        {
          "feature_idx": 1,
          "name": "species",
          "type": {
            "dtype": "string",
            "_type": "Value"
          }
        },
        {
          "feature_idx": 2,
          "name": "Mass",
          "type": {
            "dtype": "float64",
            "_type": "Value"
          }
        },
        {
          "feature_idx": 3,
          "name": "island",
          "type": {
            "dtype": "string",
            "_type": "Value"
          }
        }
      ],
      "rows": [
        {
          "__row_idx": 0,
          "species": "Adelie",
          "Mass": 3700.0,
          "island": "Dream"
        },
        {
          "__row_idx": 2,
          "species": "Adelie",
          "Mass": 3800.0,
          "island": "Dream"
        },
        {
          "__row_idx": 1,
          "species": "Gentoo",
          "Mass": 5076.0,
          "island": "Biscoe"
        }
      ],
      "num_rows": 3,
      "truncated": false,
      "tables": [
        {
          "dataset": "local/islands",
          "config": "default",
          "split": "train",
          "revision": null,
          "partial": false
        },
        {
          "dataset": "local/penguins",
          "config": "default",
          "split": "train",
          "revision": null,
          "partial": false
        }
      ]
    }
    "#);
}

#[test]
fn formats_limits_and_the_alias_are_those_of_the_request() {
    let directory = data();
    let server = start(&directory, &["sql.max_rows=3"]);
    let place = json!({"dataset": "local/penguins", "config": "default", "split": "train"});
    let with = |more: Json| {
        let mut body = place.clone();
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        post(&server, &body)
    };
    let csv = with(json!({"sql": "SELECT species FROM data ORDER BY __row_idx", "format": "csv", "limit": 2}));
    let csv_type = "text/csv; charset=utf-8; header=present".to_owned();
    assert_eq!(csv, (200, csv_type, "species\r\nAdelie\r\nGentoo\r\n".to_owned()));
    let (_, _, body) = with(json!({"sql": "SELECT * FROM data", "plan": true}));
    let body: Json = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&body["num_rows"], &body["truncated"]), (&json!(3), &json!(true)));
    assert!(body["plan"]["physical"].as_str().is_some_and(|plan| plan.contains("DataSourceExec")), "{body}");
    let (status, _, body) = with(json!({"sql": "SELECT 1 FROM data", "limit": 4}));
    assert_eq!((status, body.as_str()), (422, r#"{"error":"'limit' must not be greater than 3"}"#));
}

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let directory = data();
    let server = start(&directory, &[]);
    for (sql, status, fragments) in [
        (
            "SELECT * FROM \"local/penguins\"",
            422,
            ["several splits", "\"local/penguins\".\"default\".\"train\""].as_slice(),
        ),
        ("SELECT * FROM \"local/penguins\".\"default\".\"valid\"", 404, &["There is no table", "\"test\""]),
        ("SELECT * FROM penguins", 404, &["\"dataset\".\"config\".\"split\""]),
        ("SELECT 1", 422, &["names no table"]),
        ("SELECT (1\nFROM \"local/islands\"", 422, &["line 2, column 1"]),
        ("SELECT mass FROM \"local/penguins\".\"train\"", 422, &["line 1, column 8", "mass"]),
        ("DROP TABLE \"local/islands\"", 422, &["only queries"]),
    ] {
        let (found, body) = ask(&server, sql);
        let text = body["error"].as_str().expect("a text");
        assert!(found == status && fragments.iter().all(|fragment| text.contains(fragment)), "{sql}: {found} {text}");
    }
    let (status, _, body) = post(&server, &json!({"query": "SELECT 1"}));
    assert!(status == 422 && body.contains("unknown field `query`"), "{body}");
}

#[test]
fn a_query_that_takes_too_long_is_ended_and_the_next_one_answered() {
    let directory = data();
    let server = start(&directory, &["sql.max_seconds=0.5", "sql.max_concurrent=1"]);
    let (status, body) = ask(&server, ENDLESS);
    let error = body["error"].as_str().expect("a text");
    assert!(status == 422 && error.starts_with("the query takes longer than the 0.5 seconds"), "{status} {error}");
    // The process that is started for it may be slow on a busy machine.
    while ask(&server, "SELECT 1 AS one FROM \"local/islands\" LIMIT 1").0 != 200 {}
}

#[test]
fn a_client_that_leaves_ends_its_query() {
    let directory = data();
    // With one place, the second query waits for the end of the first.
    let server = start(&directory, &["sql.max_seconds=3000", "sql.max_concurrent=1"]);
    assert_eq!(ask(&server, "SELECT n FROM \"local/numbers\"").0, 200);
    let mut client = TcpStream::connect(&server.address).expect("it listens");
    let body = json!({"sql": ENDLESS}).to_string();
    write!(client, "POST /sql HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("sent");
    drop(client);
    assert_eq!(ask(&server, "SELECT n FROM \"local/numbers\"").0, 200);
}

#[test]
fn where_other_machines_ask_the_operator_decides() {
    let directory = data();
    let open = ["api.uvicorn_hostname=0.0.0.0", "api.open=true", "admin.enabled=false"];
    let server = start(&directory, &open);
    let (status, body) = ask(&server, "SELECT 1");
    assert!(status == 501 && body["error"].as_str().is_some_and(|text| text.contains("`api.sql=true`")), "{body}");
    drop(server);
    let server = start(&directory, &[open[0], open[1], open[2], "api.sql=true"]);
    assert_eq!(ask(&server, "SELECT species FROM \"local/islands\"").0, 200);
}
