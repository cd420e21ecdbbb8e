//! Errors: bodies with and without their cause, and stored errors served like any other answer.

use belvedere_testing::{Failure, TestApp, show};
use insta::assert_snapshot;

use super::birds;

#[tokio::test]
async fn a_disclosed_cause_is_part_of_the_body() {
    // The second row has more fields than the header.
    let app = TestApp::with_file("a.csv", "a,b\n1,2\n3,4,5,6\n").await;
    assert_snapshot!(show(&app.get("/parquet?dataset=local/data&config=default").await), @r#"
    500
    cache-control: max-age=10
    content-type: application/json
    x-error-code: DatasetGenerationError
    x-revision: 2d5a27c873ba826fd65df0cd65159cf9cf180c3a

    {
      "error": "the data could not be converted: a.csv, line 3: expected 2 fields, found 4; quote fields that hold the separator, or skip such lines with `on_bad_lines: skip`",
      "cause_exception": "UnreadableError",
      "cause_message": "a.csv, line 3: expected 2 fields, found 4; quote fields that hold the separator, or skip such lines with `on_bad_lines: skip`",
      "cause_traceback": []
    }
    "#);
}

#[tokio::test]
async fn a_hidden_cause_is_not() {
    let app = TestApp::new().await;
    app.write("data/birds.csv", super::BIRDS);
    app.children.fail("convert", Failure::Death, usize::MAX);
    app.settle().await;
    assert_snapshot!(show(&app.get("/parquet?dataset=local/data&config=default").await), @r#"
    501
    cache-control: max-age=10
    content-type: application/json
    x-error-code: JobManagerCrashedError
    x-revision: 2f8601eb1d1a3dbe504d9613772c2164bf19f26c

    {
      "error": "the process that read the files was killed by the test"
    }
    "#);
}

#[tokio::test]
async fn a_stored_error_is_served_with_its_revision_to_rows_too() {
    let app = TestApp::with_file("a.csv", "a,b\n1,2\n3,4,5,6\n").await;
    let answer = app.get("/rows?dataset=local/data&config=default&split=train").await;
    assert_eq!((answer.status, answer.header("x-error-code")), (500, Some("DatasetGenerationError")));
    let revision = app.dataset("local/data").await.unwrap().target;
    assert_eq!(answer.header("x-revision"), Some(revision.as_str()));
}

#[tokio::test]
async fn a_surprise_tells_nothing() {
    let app = birds().await;
    app.children.fail("rows", Failure::Death, 1);
    assert_snapshot!(show(&app.get("/rows?dataset=local/data&config=default&split=train").await), @r#"
    500
    cache-control: max-age=10
    content-type: application/json
    x-error-code: UnexpectedApiError
    x-revision: 2f8601eb1d1a3dbe504d9613772c2164bf19f26c

    {
      "error": "Unexpected error."
    }
    "#);
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_surprise_like_any_other() {
    let app = birds().await;
    app.children.fail("rows", Failure::Panic, 1);
    assert_snapshot!(show(&app.get("/rows?dataset=local/data&config=default&split=train").await), @r#"
    500
    cache-control: no-store
    content-type: application/json
    x-error-code: UnexpectedApiError

    {
      "error": "Unexpected error."
    }
    "#);
    // And the next request is answered.
    assert_eq!(app.get("/rows?dataset=local/data&config=default&split=train").await.status, 200);
}

#[tokio::test]
async fn a_page_that_takes_too_long_is_a_surprise_too() {
    let app = birds().await;
    app.children.fail("rows", Failure::TooLong, 1);
    let answer = app.get("/rows?dataset=local/data&config=default&split=train").await;
    assert_eq!((answer.status, answer.header("x-error-code")), (500, Some("UnexpectedApiError")));
}

#[tokio::test]
async fn a_page_over_the_read_limit_names_the_remedy() {
    let app = TestApp::with(|options| options.settings.parquet.max_read_bytes = 10).await;
    app.write("data/birds.csv", super::BIRDS);
    app.settle().await;
    assert_snapshot!(show(&app.get("/rows?dataset=local/data&config=default&split=train").await), @r#"
    500
    cache-control: max-age=10
    content-type: application/json
    x-error-code: TooBigContentError
    x-revision: 2f8601eb1d1a3dbe504d9613772c2164bf19f26c

    {
      "error": "Too much data would have to be read for this page. Write the Parquet files with a page index or smaller row groups.",
      "cause_exception": "TooBigError",
      "cause_message": "default/train/0000.parquet: these rows take a read of 98 bytes, more than the 10 allowed; write the file with a page index or with smaller row groups",
      "cause_traceback": []
    }
    "#);
}
