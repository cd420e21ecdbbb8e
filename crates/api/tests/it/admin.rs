//! The admin service as operators and their scripts see it.

mod access;
mod actions;
mod jobs;
mod metrics;
mod reports;

use belvedere_testing::{Answer, TestApp};
use serde_json::Value as Json;

/// Two datasets, one of them with a broken file, all jobs done; on each database.
async fn settled() -> Vec<TestApp> {
    let apps = TestApp::everywhere(|_| {}).await;
    for app in &apps {
        app.write("birds/birds.csv", super::BIRDS);
        app.write("broken/a.csv", "a,b\n1,2\n3,4,5\n");
        app.settle().await;
    }
    apps
}

/// What all databases tell alike.
fn same<T: PartialEq + std::fmt::Debug>(mut told: Vec<T>) -> T {
    let last = told.pop().expect("there is always SQLite");
    for other in told {
        assert_eq!(other, last);
    }
    last
}

/// The body of a report, with times that stand still.
async fn report(app: &TestApp, path: &str) -> Json {
    let answer = app.operate("GET", path).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("max-age=10")), "{path}");
    let mut body = answer.json();
    redact(&mut body);
    body
}

/// Replaces times by what kind of text they are.
fn redact(json: &mut Json) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(redact),
        Json::Object(fields) => {
            for (name, value) in fields {
                if (name.ends_with("_at") || name == "target_since") && value.is_string() {
                    let text = value.as_str().unwrap();
                    let legal = matches!(text.len(), 19 | 26) && !text.ends_with('Z');
                    // Six digits, three of them significant.
                    assert!(legal && (text.len() == 19 || text.ends_with("000")), "{text}");
                    *value = "[time]".into();
                } else {
                    redact(value);
                }
            }
        }
        _ => {}
    }
}

/// Status and code.
fn outcome(answer: &Answer) -> String {
    super::outcome(answer)
}
