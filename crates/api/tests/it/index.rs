//! `/`: the list of datasets for people and for programs.

use belvedere_testing::{TestApp, show_headers};
use insta::assert_snapshot;

use super::{BIRDS, birds};

async fn states(app: &TestApp) -> String {
    let list = app.ask("GET", "/", &[("accept", "application/json")]).await.json();
    let state = |item: &serde_json::Value| {
        format!(
            "{} {}, {} jobs, {} errors",
            item["dataset"].as_str().unwrap(),
            item["state"].as_str().unwrap(),
            item["pending_jobs"],
            item["errors"]
        )
    };
    list["datasets"].as_array().unwrap().iter().map(state).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn an_empty_folder_says_what_to_do() {
    let app = TestApp::new().await;
    let page = app.get("/").await;
    assert_snapshot!(show_headers(&page), @r"
    200
    cache-control: no-store
    content-security-policy: default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'
    content-type: text/html; charset=utf-8
    vary: Accept, accept-encoding
    x-content-type-options: nosniff
    ");
    let text = page.text();
    assert!(
        text.contains("<span class=\"muted\">0 datasets</span>") && text.contains("No dataset was found yet."),
        "{text}"
    );
    assert!(!text.contains("http-equiv"), "nothing happens here: {text}");
    assert_eq!(states(&app).await, "");
}

#[tokio::test]
async fn the_page_lists_each_dataset_with_links_that_work() {
    let app = birds().await;
    let text = app.get("/").await.text();
    let row = text.split("<tbody>").nth(1).unwrap().split("</tbody>").next().unwrap();
    assert_snapshot!(row.replace("><", ">\n<"), @r#"
    <tr>
    <th scope="row">local/data</th>
    <td class="state">
    <span class="dot">
    </span>ready</td>
    <td class="links">
    <a href="/splits?dataset=local%2Fdata">splits</a>
    <a href="/parquet?dataset=local%2Fdata">parquet</a>
    <a href="/info?dataset=local%2Fdata">info</a>
    <a href="/size?dataset=local%2Fdata">size</a>
    <a href="/is-valid?dataset=local%2Fdata">is-valid</a>
    <div>default / train <a href="/first-rows?dataset=local%2Fdata&amp;config=default&amp;split=train">first rows</a>
    <a href="/rows?dataset=local%2Fdata&amp;config=default&amp;split=train">rows</a>
    </div>
    </td>
    </tr>
    "#);
    for link in text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let link = link.replace("&amp;", "&");
        assert_eq!(app.get(&link).await.status, 200, "{link}");
    }
}

#[tokio::test]
async fn programs_get_json() {
    let app = birds().await;
    let answer = app.ask("GET", "/", &[("accept", "application/json")]).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let revision = app.dataset("local/data").await.unwrap().target;
    assert_eq!(
        answer.json(),
        serde_json::json!({"datasets": [
            {"dataset": "local/data", "state": "ready", "revision": revision, "pending_jobs": 0, "errors": 0},
        ]})
    );
}

#[tokio::test]
async fn states_follow_the_work() {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    app.write("broken/a.csv", "a,b\n1,2\n1,2,3\n");
    app.refresh().await;
    assert_eq!(states(&app).await, "local/broken preparing, 1 jobs, 0 errors\nlocal/data preparing, 1 jobs, 0 errors");
    assert!(app.get("/").await.text().contains("<meta http-equiv=\"refresh\""), "the page follows the work");
    app.run_jobs().await;
    let settled = states(&app).await;
    assert!(settled.ends_with("local/data ready, 0 jobs, 0 errors"), "{settled}");
    assert!(settled.starts_with("local/broken with errors, 0 jobs"), "{settled}");
    app.write("data/birds.csv", "name\nowl\n");
    app.refresh().await;
    assert!(states(&app).await.ends_with("local/data updating, 1 jobs, 0 errors"));
}

#[tokio::test]
async fn more_configs_than_the_first_job_lists_are_no_error() {
    let app = TestApp::with(|options| options.settings.names.configs_max_for_init = 1).await;
    app.write(
        "data/README.md",
        "---\nconfigs:\n- config_name: a\n  data_files: a.csv\n- config_name: b\n  data_files: b.csv\n---\n",
    );
    app.write("data/a.csv", "x\n1\n");
    app.write("data/b.csv", "x\n1\n");
    app.settle().await;
    assert_eq!(states(&app).await, "local/data ready, 0 jobs, 0 errors");
}
