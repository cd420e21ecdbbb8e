//! Answers that are kept in memory: they are those that would be made, until something is written.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use belvedere_api::Answer;
use belvedere_domain::DatasetName;
use belvedere_testing::{TestApp, show_headers};

const SIZE: &str = "/size?dataset=local/data";

/// How often an answer was known: hits and misses.
async fn known_answers(app: &TestApp) -> [u64; 2] {
    let metrics = app.get("/metrics").await.text();
    ["hit", "miss"].map(|result| {
        let name = format!("belvedere_cache_lookups_total{{cache=\"answers\",result=\"{result}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
    })
}

#[tokio::test]
async fn an_answer_is_known_until_something_is_written() {
    let app = TestApp::with_file("a.csv", "n\n1\n").await;
    let path = "/size?dataset=local/data";
    let first = app.get(path).await;
    let second = app.get(path).await;
    assert_eq!((second.status, second.text(), show_headers(&second)), (200, first.text(), show_headers(&first)));
    assert_eq!(known_answers(&app).await, [1, 1]);
    // Nothing of it is for those who say who they are, or what they hold.
    let etag = first.header("etag").unwrap();
    assert_eq!(app.ask("GET", path, &[("if-none-match", etag)]).await.status, 304);
    assert_eq!(app.ask("GET", path, &[("authorization", "Bearer hf_x")]).await.status, 200);
    assert_eq!(known_answers(&app).await, [1, 1]);
    let elsewhere = app.ask_as("GET", "/parquet?dataset=local/data", &[("host", "one:1")]).await.text();
    assert!(elsewhere.contains("http://one:1/"), "{elsewhere}");
    let elsewhere = app.ask_as("GET", "/parquet?dataset=local/data", &[("host", "two:2")]).await.text();
    assert!(elsewhere.contains("http://two:2/"), "{elsewhere}");

    app.write("data/a.csv", "n\n1\n2\n");
    app.settle().await;
    assert_eq!(app.get(path).await.json()["size"]["dataset"]["num_rows"], 2);
}

/// Asks until some of the answers were known. What other tests write to the same server makes answers old, too.
async fn ask_until_known(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Vec<Answer> {
    let known = async {
        loop {
            let [hits, _] = known_answers(app).await;
            let mut answers = Vec::new();
            for _ in 0..10 {
                answers.push(app.ask("GET", path, headers).await);
            }
            if known_answers(app).await[0] > hits {
                return answers;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), known).await.expect("an answer is kept some time")
}

#[tokio::test]
async fn known_answers_are_those_that_the_layers_behind_have_made() {
    for app in TestApp::everywhere(|_| {}).await {
        app.write("data/a.csv", "n\n1\n");
        app.settle().await;
        let origin = ("origin", "https://example.org");
        let packed = ("accept-encoding", "gzip");
        for headers in [&[][..], &[origin], &[packed], &[origin, packed]] {
            let made = app.ask("GET", SIZE, headers).await;
            let mut numbers = BTreeSet::new();
            for known in ask_until_known(&app, SIZE, headers).await {
                assert_eq!((known.status, &known.body, show_headers(&known)), (200, &made.body, show_headers(&made)));
                assert_eq!(known.header("content-encoding").is_some(), headers.contains(&packed));
                assert_eq!(known.header("access-control-allow-origin").is_some(), headers.contains(&origin));
                assert!(numbers.insert(known.header("x-request-id").unwrap().to_owned()), "each has its own");
            }
        }
        for named in ask_until_known(&app, SIZE, &[("x-request-id", "mine-1")]).await {
            assert_eq!(named.header("x-request-id"), Some("mine-1"));
        }
        // What is refused, or answered without a body, is so whatever is known.
        assert_eq!(app.ask("GET", SIZE, &[("content-encoding", "gzip")]).await.status, 415);
        assert_eq!(app.ask("POST", SIZE, &[]).await.status, 405);
        let head = app.ask("HEAD", SIZE, &[]).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), app.get(SIZE).await.header("content-length"));
        app.close().await;
    }
}

#[tokio::test]
async fn known_answers_are_counted_like_others() {
    let app = TestApp::with_file("a.csv", "n\n1\n").await;
    let names = [
        "starlette_requests_total{method=\"GET\",path_template=\"/size\"} ",
        "starlette_responses_total{method=\"GET\",path_template=\"/size\",status_code=\"200\"} ",
        "starlette_requests_processing_time_seconds_count{method=\"GET\",path_template=\"/size\"} ",
        "method_steps_processing_time_seconds_count{method=\"size_endpoint\",step=\"all\"} ",
        "starlette_requests_in_progress{method=\"GET\",path_template=\"/size\"} ",
    ];
    for _ in 0..4 {
        assert_eq!(app.get(SIZE).await.status, 200);
    }
    assert_eq!(known_answers(&app).await, [3, 1]);
    let metrics = app.get("/metrics").await.text();
    let counted = names.map(|name| metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("missing"));
    assert_eq!(counted, ["4", "4", "4", "4", "0"]);
}

#[tokio::test]
async fn many_who_ask_at_the_same_moment_get_one_answer() {
    for app in TestApp::everywhere(|_| {}).await {
        app.write("data/a.csv", "n\n1\n");
        app.settle().await;
        let asked = futures::future::join_all((0..50).map(|_| app.get(SIZE))).await;
        assert!(asked.iter().all(|answer| answer.status == 200 && answer.body == asked[0].body));
        // What is not kept is answered to each.
        let nothing = "/size?dataset=local/none";
        let asked = futures::future::join_all((0..50).map(|_| app.get(nothing))).await;
        assert!(asked.iter().all(|answer| answer.status == 401));
        app.close().await;
    }
}

#[tokio::test]
async fn what_is_written_here_is_seen_at_once() {
    for app in TestApp::everywhere(|_| {}).await {
        for rows in 1..4_u64 {
            app.write("data/a.csv", format!("n\n{}", "1\n".repeat(rows as usize)));
            app.settle().await;
            assert_eq!(app.get(SIZE).await.json()["size"]["dataset"]["num_rows"], rows);
            for known in ask_until_known(&app, SIZE, &[]).await {
                assert_eq!(known.json()["size"]["dataset"]["num_rows"], rows);
            }
        }
        app.remove("data");
        app.settle().await;
        assert_eq!(app.get(SIZE).await.status, 401);
        app.close().await;
    }
}

#[tokio::test]
async fn what_another_process_writes_is_seen_soon() {
    let Some(app) = TestApp::on_postgres().await else { return };
    let other = app.store_of_another().await.expect("it is PostgreSQL");
    app.write("data/a.csv", "n\n1\n");
    app.settle().await;
    for _ in 0..5 {
        ask_until_known(&app, SIZE, &[]).await;
        other.datasets.delete(&DatasetName::new("local/data").unwrap()).await.unwrap();
        let written = Instant::now();
        loop {
            let asked = Instant::now();
            if app.get(SIZE).await.status != 200 {
                break;
            }
            assert!(asked - written <= Duration::from_millis(20), "an answer from before is given for longer");
        }
        app.settle().await;
    }
    drop(other);
    app.close().await;
}
