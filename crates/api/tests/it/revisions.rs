//! `revision=`: kept revisions stay readable, and gone ones are never replaced in silence.

use belvedere_testing::TestApp;
use insta::assert_snapshot;

use super::outcome;

/// Writes a file, runs its jobs, and returns the revision served after that.
async fn write(app: &TestApp, content: &str) -> String {
    app.write("data/a.csv", content);
    app.settle().await;
    app.dataset("local/data").await.unwrap().served.unwrap().to_string()
}

#[tokio::test]
async fn kept_revisions_answer_with_what_they_were() {
    let app = TestApp::new().await;
    let (first, second) = (write(&app, "n\n1\n").await, write(&app, "n\n2\n3\n").await);
    for (revision, rows) in [(&first, 1), (&second, 2)] {
        let size = app.get(&format!("/size?dataset=local/data&revision={revision}")).await;
        assert_eq!(size.header("x-revision"), Some(revision.as_str()));
        assert_eq!(size.json()["size"]["dataset"]["num_rows"], rows);
        let page = app.get(&format!("/rows?dataset=local/data&config=default&split=train&revision={revision}")).await;
        assert_eq!(page.header("x-revision"), Some(revision.as_str()));
        assert_eq!(page.json()["num_rows_total"], rows);
        let first_rows = format!("/first-rows?dataset=local/data&config=default&split=train&revision={revision}");
        assert_eq!(app.get(&first_rows).await.json()["rows"].as_array().unwrap().len(), rows);
    }
    assert_eq!(app.get("/size?dataset=local/data").await.header("x-revision"), Some(second.as_str()));
}

#[tokio::test]
async fn revisions_that_are_not_kept_are_gone() {
    let app = TestApp::with(|options| options.keep_revisions = 0).await;
    let first = write(&app, "n\n1\n").await;
    let second = write(&app, "n\n2\n").await;
    // The predecessor of the served revision goes with the next target.
    write(&app, "n\n3\n").await;
    for path in ["/size?dataset=local/data", "/rows?dataset=local/data&config=default&split=train"] {
        let gone = app.get(&format!("{path}&revision={first}")).await;
        assert_eq!((gone.status, gone.header("x-error-code")), (404, Some("RevisionGone")), "{path}");
        assert_eq!(gone.header("x-revision"), None);
        assert_eq!(app.get(&format!("{path}&revision={second}")).await.status, 200, "{path}");
    }
    let never = app.get("/size?dataset=local/data&revision=0000000000000000000000000000000000000000").await;
    assert_snapshot!(outcome(&never), @"404 RevisionGone: Revision 0000000000000000000000000000000000000000 is not kept.");
}

#[tokio::test]
async fn what_a_kept_revision_never_had_is_not_found() {
    let app = TestApp::new().await;
    let first = write(&app, "n\n1\n").await;
    let second = write(&app, "n\n2\n").await;
    for revision in [first, second] {
        for path in ["/size?dataset=local/data&config=nope", "/rows?dataset=local/data&config=nope&split=train"] {
            let answer = app.get(&format!("{path}&revision={revision}")).await;
            assert_eq!(
                (answer.status, answer.header("x-error-code")),
                (404, Some("ResponseNotFound")),
                "{path} {revision}"
            );
        }
    }
}

#[tokio::test]
async fn a_revision_in_work_is_not_ready() {
    let app = TestApp::new().await;
    write(&app, "n\n1\n").await;
    app.write("data/a.csv", "n\n2\n");
    app.refresh().await;
    let target = app.dataset("local/data").await.unwrap().target;
    let answer = app.get(&format!("/size?dataset=local/data&revision={target}")).await;
    assert_eq!((answer.status, answer.header("x-error-code")), (500, Some("ResponseNotReady")));
    app.run_jobs().await;
    assert_eq!(app.get(&format!("/size?dataset=local/data&revision={target}")).await.status, 200);
}
