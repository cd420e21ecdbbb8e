//! What is stored.

use belvedere_testing::TestApp;
use insta::assert_json_snapshot;
use serde_json::{Value as Json, json};

use super::{outcome, report, same, settled};

/// The datasets of a page, and its cursor.
fn page(body: &Json, key: &str) -> (Vec<String>, String) {
    let items = body[key].as_array().unwrap();
    let names = items.iter().map(|item| item["dataset"].as_str().unwrap().to_owned()).collect();
    (names, body["next_cursor"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_report_tells_all_but_the_content() {
    let mut told = Vec::new();
    for app in settled().await {
        let body = report(&app, "/admin/cache-reports/dataset-config-names").await;
        let mut names = page(&body, "cache_reports").0;
        names.sort();
        assert_eq!(names, ["local/birds", "local/broken"]);
        let birds = body["cache_reports"].as_array().unwrap().iter().find(|item| item["dataset"] == "local/birds");
        told.push(birds.cloned());
        assert_eq!(body["next_cursor"], "");
        app.close().await;
    }
    assert_json_snapshot!(same(told), @r#"
        {
          "kind": "dataset-config-names",
          "dataset": "local/birds",
          "dataset_git_revision": "2f8601eb1d1a3dbe504d9613772c2164bf19f26c",
          "config": null,
          "split": null,
          "http_status": 200,
          "error_code": null,
          "details": {},
          "updated_at": "[time]",
          "job_runner_version": 2,
          "progress": 1.0,
          "failed_runs": 0
        }
        "#);
}

#[tokio::test]
async fn a_report_of_an_error_has_its_cause() {
    for app in settled().await {
        let body = report(&app, "/admin/cache-reports/config-size").await;
        let broken = body["cache_reports"].as_array().unwrap().iter().find(|item| item["dataset"] == "local/broken");
        let broken = broken.unwrap();
        assert_eq!(
            (&broken["http_status"], &broken["error_code"], &broken["progress"], &broken["failed_runs"]),
            (&json!(500), &json!("DatasetGenerationError"), &json!(null), &json!(1))
        );
        assert!(broken["details"]["cause_message"].as_str().unwrap().contains("a.csv, line 3"));
        assert_eq!(broken["details"]["copied_from_artifact"]["kind"], "config-parquet-and-info");
        app.close().await;
    }
}

#[tokio::test]
async fn a_report_with_content_has_what_is_served() {
    for app in settled().await {
        let body = report(&app, "/admin/cache-reports-with-content/config-parquet").await;
        let birds =
            body["cache_reports_with_content"].as_array().unwrap().iter().find(|item| item["dataset"] == "local/birds");
        let url = birds.unwrap()["content"]["parquet_files"][0]["url"].as_str().unwrap();
        // The address is the one that the operator asked for.
        assert_eq!(
            url,
            "http://localhost:8000/datasets/local/birds/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet"
        );
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["cache_reports_with_content", "next_cursor"]);
        app.close().await;
    }
}

#[tokio::test]
async fn pages_follow_their_cursor_and_a_full_last_page_is_followed_by_an_empty_one() {
    let change = |options: &mut belvedere_testing::Options| {
        options.api.admin.cache_reports_num_results = 2;
        options.api.admin.cache_reports_with_content_num_results = 3;
    };
    for app in TestApp::everywhere(change).await {
        for name in ["a", "b", "c", "d"] {
            app.write(&format!("{name}/x.csv"), super::super::BIRDS);
        }
        app.settle().await;
        for (path, key, sizes) in [
            ("/admin/cache-reports/dataset-info", "cache_reports", &[2, 2, 0][..]),
            ("/admin/cache-reports-with-content/dataset-info", "cache_reports_with_content", &[3, 1]),
        ] {
            let (mut names, mut found, mut cursor) = (Vec::new(), Vec::new(), String::new());
            loop {
                let (page, next) = page(&report(&app, &format!("{path}?cursor={cursor}")).await, key);
                found.push(page.len());
                names.extend(page);
                cursor = next;
                if cursor.is_empty() {
                    break;
                }
            }
            names.sort();
            assert_eq!(
                (found.as_slice(), names),
                (sizes, ["a", "b", "c", "d"].map(|name| format!("local/{name}")).into())
            );
        }
        app.close().await;
    }
}

#[tokio::test]
async fn cursors_that_nobody_gave_out_are_refused() {
    let app = TestApp::new().await;
    for cursor in
        ["x", "0", "-1", "%27;DROP", "00000000000000000", "ffffffffffffffff", "000000000000000g", "+00000000000000f"]
    {
        let answer = app.operate("GET", &format!("/admin/cache-reports/dataset-info?cursor={cursor}")).await;
        assert_eq!(
            (answer.status, answer.header("x-error-code"), answer.header("cache-control")),
            (422, Some("InvalidParameter"), Some("max-age=10")),
            "{cursor}"
        );
    }
    for cursor in ["", "%20", "7fffffffffffffff"] {
        let answer = app.operate("GET", &format!("/admin/cache-reports/dataset-info?cursor={cursor}")).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"cache_reports":[],"next_cursor":""}"#));
    }
}

#[tokio::test]
async fn every_spelling_of_a_report_is_the_same_report() {
    for app in settled().await {
        for (step, others) in [
            ("dataset-split-names", ["splits", "dataset-split-names"]),
            ("split-first-rows", ["first-rows", "split-first-rows"]),
            ("dataset-parquet", ["parquet", "dataset-parquet"]),
        ] {
            for kind in ["cache-reports", "cache-reports-with-content"] {
                let expected = app.operate("GET", &format!("/admin/{kind}/{step}")).await;
                assert!(expected.text().contains(&format!("\"kind\":\"{step}\"")));
                for other in others {
                    for path in [format!("/{kind}/{other}"), format!("/{kind}{other}"), format!("/admin/{kind}{other}")]
                    {
                        assert_eq!(app.operate("GET", &path).await.body, expected.body, "{path}");
                    }
                }
            }
        }
        app.close().await;
    }
}

#[tokio::test]
async fn unknown_steps_and_wrong_methods_have_no_route() {
    let app = TestApp::new().await;
    for (method, path, status) in [
        ("GET", "/admin/cache-reports/config-nothing", 404),
        ("GET", "/admin/cache-reports", 404),
        ("GET", "/admin/", 404),
        ("POST", "/admin/cache-reports/config-size", 405),
        ("GET", "/admin/force-refresh/config-size", 405),
        ("GET", "/admin/recreate-dataset", 405),
        ("DELETE", "/admin/pending-jobs", 405),
    ] {
        assert_eq!(app.operate(method, path).await.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn an_artifact_is_reported_once_while_its_dataset_moves_on() {
    for app in settled().await {
        app.write("birds/birds.csv", "name,weight\nowl,2000\n");
        app.refresh().await;
        let before = report(&app, "/admin/dataset-status?dataset=local/birds").await;
        app.run_jobs_except(&["split-first-rows"]).await;
        let between = report(&app, "/admin/dataset-status?dataset=local/birds").await;
        let revision = |body: &Json, step: &str| {
            let responses = body[step]["cached_responses"].as_array().unwrap();
            assert_eq!(responses.len(), 1, "{step}");
            responses[0]["dataset_git_revision"].as_str().unwrap().to_owned()
        };
        let target = app.dataset("local/birds").await.unwrap().target;
        for step in ["config-size", "split-first-rows"] {
            assert_ne!(revision(&before, step), target.as_str(), "{step}");
        }
        assert_eq!(revision(&between, "config-size"), target.as_str());
        assert_ne!(revision(&between, "split-first-rows"), target.as_str());
        app.close().await;
    }
}

#[tokio::test]
async fn the_status_of_a_dataset_has_every_step_by_name() {
    let mut told = Vec::new();
    for app in settled().await {
        app.force_in("local/birds", "config-size", Some("default"), None).await;
        let body = report(&app, "/admin/dataset-status?dataset=local/birds").await;
        let steps: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert!(steps.is_sorted() && steps.len() == app.services.graph.steps().len());
        told.push(body["config-size"].clone());
        let nothing = report(&app, "/dataset-status?dataset=no/body").await;
        assert_eq!(nothing["config-size"], json!({"cached_responses": [], "jobs": []}));
        for (path, told) in [
            ("/admin/dataset-status", "422 MissingRequiredParameter: Parameter 'dataset' is required"),
            ("/admin/dataset-status?dataset=%20", "422 MissingRequiredParameter: Parameter 'dataset' is required"),
        ] {
            assert_eq!(outcome(&app.operate("GET", path).await), told);
        }
        let answer = app.operate("GET", "/admin/dataset-status?dataset=../etc").await;
        assert_eq!((answer.status, answer.header("x-error-code")), (422, Some("InvalidParameter")));
        app.close().await;
    }
    assert_json_snapshot!(same(told), @r#"
        {
          "cached_responses": [
            {
              "kind": "config-size",
              "dataset": "local/birds",
              "dataset_git_revision": "2f8601eb1d1a3dbe504d9613772c2164bf19f26c",
              "config": "default",
              "split": null,
              "http_status": 200,
              "error_code": null,
              "details": {},
              "updated_at": "[time]",
              "job_runner_version": 2,
              "progress": 1.0,
              "failed_runs": 0
            }
          ],
          "jobs": [
            {
              "type": "config-size",
              "dataset": "local/birds",
              "revision": "2f8601eb1d1a3dbe504d9613772c2164bf19f26c",
              "config": "default",
              "split": null,
              "unicity_id": "config-size,local/birds,2f8601eb1d1a3dbe504d9613772c2164bf19f26c,default",
              "namespace": "local",
              "priority": "high",
              "status": "waiting",
              "difficulty": 50,
              "created_at": "[time]",
              "started_at": null,
              "last_heartbeat": null
            }
          ]
        }
        "#);
}

#[tokio::test]
async fn builders_are_counted_by_name() {
    for app in settled().await {
        app.write("words/a.txt", "one\ntwo\n");
        app.write("more/a.csv", "a\n1\n");
        app.write("named/README.md", "---\nconfigs:\n- config_name: en\n  data_files: a.csv\n---\n");
        app.write("named/a.csv", "a\n1\n");
        app.settle().await;
        let answer = app.operate("GET", "/admin/num-dataset-infos-by-builder-name").await;
        // The broken one has no config `default` in its info, and the named one none of that name.
        let expected = r#"{"parquet":0,"csv":2,"text":1,"imagefolder":0,"audiofolder":0,"json":0,"arrow":0,"webdataset":0,"other":2}"#;
        assert_eq!((answer.text().as_str(), answer.header("cache-control")), (expected, Some("max-age=10")));
        app.close().await;
    }
}

#[tokio::test]
async fn datasets_are_listed() {
    for app in settled().await {
        let body = report(&app, "/admin/datasets").await;
        assert_eq!(
            body["datasets"][0],
            json!({
                "dataset": "local/birds",
                "target_revision": "2f8601eb1d1a3dbe504d9613772c2164bf19f26c",
                "target_since": "[time]",
                "served_revision": "2f8601eb1d1a3dbe504d9613772c2164bf19f26c",
                "pending_jobs": 0,
                "errors": 0,
            })
        );
        assert!(body["datasets"][1]["errors"].as_u64().unwrap() > 0);
        app.close().await;
    }
}

#[tokio::test]
async fn an_age_of_zero_forbids_keeping() {
    let app = TestApp::with(|options| options.api.admin.max_age = 0).await;
    for path in ["/admin/pending-jobs", "/admin/dataset-status", "/admin/cache-reports/config-size"] {
        assert_eq!(app.operate("GET", path).await.header("cache-control"), Some("no-store"), "{path}");
    }
}
