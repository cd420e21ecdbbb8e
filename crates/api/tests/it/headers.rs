//! Headers: caching, entity tags, cross-origin access, compression, and what HEAD and wrong methods get.

use std::io::Read;

use belvedere_testing::{TestApp, show, show_headers};
use insta::assert_snapshot;

use super::birds;

#[tokio::test]
async fn a_success_names_its_revision_and_may_be_kept_for_two_minutes() {
    let app = birds().await;
    assert_snapshot!(show_headers(&app.get("/splits?dataset=local/data").await), @r#"
    200
    cache-control: max-age=120
    content-type: application/json
    etag: W/"…"
    x-revision: 2f8601eb1d1a3dbe504d9613772c2164bf19f26c
    "#);
    assert_snapshot!(show_headers(&app.get("/rows?dataset=local/data&config=default&split=train").await), @r#"
    200
    cache-control: max-age=120
    content-type: application/json
    etag: W/"…"
    vary: Accept
    x-revision: 2f8601eb1d1a3dbe504d9613772c2164bf19f26c
    "#);
}

#[tokio::test]
async fn an_error_may_be_kept_for_ten_seconds() {
    let app = birds().await;
    assert_snapshot!(show(&app.get("/splits").await), @r#"
    422
    cache-control: max-age=10
    content-type: application/json
    x-error-code: MissingRequiredParameter

    {
      "error": "Parameter 'dataset' is required"
    }
    "#);
    assert_snapshot!(show(&app.get("/splits?dataset=local/none").await), @r#"
    401
    cache-control: max-age=10
    content-type: application/json
    x-error-code: ExternalUnauthenticatedError

    {
      "error": "The dataset does not exist, or is not accessible without authentication (private or gated)."
    }
    "#);
    assert_snapshot!(show(&app.get("/rows?dataset=local/data&config=nope&split=train").await), @r#"
    404
    cache-control: max-age=10
    content-type: application/json
    x-error-code: ResponseNotFound

    {
      "error": "Not found."
    }
    "#);
}

#[tokio::test]
async fn ages_of_zero_forbid_keeping() {
    let app = TestApp::with(|options| (options.api.max_age_long, options.api.max_age_short) = (0, 0)).await;
    app.write("data/birds.csv", super::BIRDS);
    app.settle().await;
    let success = app.get("/splits?dataset=local/data").await;
    assert_eq!((success.status, success.header("cache-control")), (200, Some("no-store")));
    let error = app.get("/splits").await;
    assert_eq!((error.status, error.header("cache-control")), (422, Some("no-store")));
}

#[tokio::test]
async fn what_a_client_holds_is_not_sent_again() {
    let app = birds().await;
    for path in [
        "/splits?dataset=local/data",
        "/first-rows?dataset=local/data&config=default&split=train",
        "/rows?dataset=local/data&config=default&split=train",
        "/datasets/local/data/resolve/main/birds.csv",
        "/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet",
    ] {
        let first = app.get(path).await;
        let etag = first.header("etag").unwrap_or_else(|| panic!("{path} has no tag"));
        for known in
            [etag.to_owned(), format!("\"other\", {etag}"), etag.trim_start_matches("W/").to_owned(), "*".into()]
        {
            let again = app.ask("GET", path, &[("if-none-match", &known)]).await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{path} {known}");
            assert_eq!(again.header("etag"), Some(etag), "{path}");
            assert_eq!(again.header("cache-control"), first.header("cache-control"), "{path}");
            assert_eq!(again.header("x-revision"), first.header("x-revision"), "{path}");
        }
        assert_eq!(app.ask("GET", path, &[("if-none-match", "\"other\"")]).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn errors_have_no_entity_tag() {
    let app = TestApp::with_file("a.csv", "a,b\n1,2\n").await;
    app.write("data/a.csv", "");
    app.settle().await;
    let error =
        app.ask("GET", "/first-rows?dataset=local/data&config=default&split=train", &[("if-none-match", "*")]).await;
    assert!(error.status >= 400, "{}", error.status);
    assert_eq!(error.header("etag"), None);
}

#[tokio::test]
async fn tags_tell_pages_and_revisions_apart() {
    let app = birds().await;
    let tag = async |path: &str| app.get(path).await.header("etag").unwrap().to_owned();
    let page = "/rows?dataset=local/data&config=default&split=train";
    let (whole, first) = (tag(page).await, tag(&format!("{page}&length=1")).await);
    assert_ne!(whole, first);
    let splits = tag("/splits?dataset=local/data").await;
    app.write("data/birds.csv", "name\nowl\n");
    app.settle().await;
    assert_ne!(tag(page).await, whole);
    // The same splits, but another revision that the header names.
    assert_ne!(tag("/splits?dataset=local/data").await, splits);
}

#[tokio::test]
async fn any_origin_may_read() {
    let app = birds().await;
    let path = "/splits?dataset=local/data";
    assert_eq!(app.get(path).await.header("access-control-allow-origin"), None);
    assert_snapshot!(show_headers(&app.ask("GET", path, &[("origin", "https://a.test")]).await), @r#"
    200
    access-control-allow-credentials: true
    access-control-allow-origin: https://a.test
    access-control-expose-headers: X-Error-Code, X-Revision
    cache-control: max-age=120
    content-type: application/json
    etag: W/"…"
    vary: Origin
    x-revision: 2f8601eb1d1a3dbe504d9613772c2164bf19f26c
    "#);
    // Errors too, or a page could not show them.
    assert_snapshot!(show_headers(&app.ask("GET", "/nope", &[("origin", "https://a.test")]).await), @r"
    404
    access-control-allow-credentials: true
    access-control-allow-origin: https://a.test
    access-control-expose-headers: X-Error-Code, X-Revision
    content-type: text/plain; charset=utf-8
    vary: Origin
    ");
    let file = app.ask("GET", "/datasets/local/data/resolve/main/birds.csv", &[("origin", "null")]).await;
    assert_eq!(file.header("access-control-allow-origin"), Some("null"));
}

#[tokio::test]
async fn preflights_are_answered_for_every_path() {
    let app = birds().await;
    let asks = [
        ("origin", "https://a.test"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "authorization, x-other"),
    ];
    assert_snapshot!(show(&app.ask("OPTIONS", "/splits", &asks).await), @r"
    200
    access-control-allow-credentials: true
    access-control-allow-headers: authorization, x-other
    access-control-allow-methods: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT
    access-control-allow-origin: https://a.test
    access-control-expose-headers: X-Error-Code, X-Revision
    access-control-max-age: 600
    allow: GET,HEAD
    content-type: text/plain; charset=utf-8
    vary: Origin

    OK
    ");
    // Without a wanted method it is an ordinary request with a method that no route has.
    assert_eq!(app.ask("OPTIONS", "/splits", &asks[..1]).await.status, 405);
}

#[tokio::test]
async fn bodies_from_500_bytes_are_compressed_when_accepted() {
    let app = birds().await;
    let gzip = [("accept-encoding", "gzip, deflate")];
    let path = "/size?dataset=local/data";
    let plain = app.get(path).await;
    assert!(plain.body.len() >= 500, "{}", plain.body.len());
    let packed = app.ask("GET", path, &gzip).await;
    assert_snapshot!(show_headers(&packed), @r#"
    200
    cache-control: max-age=120
    content-encoding: gzip
    content-type: application/json
    etag: W/"…"
    vary: accept-encoding
    x-revision: 2f8601eb1d1a3dbe504d9613772c2164bf19f26c
    "#);
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, plain.text());

    let short = app.ask("GET", "/splits?dataset=local/data", &gzip).await;
    assert!(short.body.len() < 500);
    assert_eq!(short.header("content-encoding"), None);
    let file = "/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet";
    assert_eq!(app.ask("GET", file, &gzip).await.header("content-encoding"), None, "Parquet is compressed already");
}

#[tokio::test]
async fn a_body_of_exactly_500_bytes_is_compressed() {
    // One long name decides the length of the answer.
    let app = TestApp::with_file("a.csv", "a\n1\n").await;
    let path = "/first-rows?dataset=local/data&config=default&split=train";
    let missing = 500 - app.get(path).await.body.len();
    for (length, packed) in [(missing - 1, false), (missing, true)] {
        // A digit becomes a text of that many letters between quotes.
        app.write("data/a.csv", format!("a\n{}\n", "x".repeat(length)));
        app.settle().await;
        let plain = app.get(path).await.body.len();
        let answer = app.ask("GET", path, &[("accept-encoding", "gzip")]).await;
        assert_eq!(answer.header("content-encoding").is_some(), plain >= 500, "{plain} {packed}");
    }
}

#[tokio::test]
async fn head_gives_the_headers_of_get() {
    let app = birds().await;
    for path in [
        "/",
        "/healthcheck",
        "/openapi.json",
        "/docs",
        "/metrics",
        "/splits?dataset=local/data",
        "/first-rows?dataset=local/data&config=default&split=train",
        "/parquet?dataset=local/data",
        "/info?dataset=local/data",
        "/size?dataset=local/data",
        "/is-valid?dataset=local/data",
        "/rows?dataset=local/data&config=default&split=train",
        "/datasets/local/data/resolve/main/birds.csv",
        "/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet",
        "/splits",
        "/splits?dataset=local/none",
    ] {
        let (get, head) = (app.get(path).await, app.ask("HEAD", path, &[]).await);
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.body.len(), 0, "{path}");
        if path != "/metrics" {
            // Counting the first request makes the second text longer.
            assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()), "{path}");
        }
        for name in ["content-type", "cache-control", "etag", "x-revision", "x-error-code"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_get_plain_text() {
    let app = birds().await;
    assert_snapshot!(show(&app.get("/nope").await), @r"
    404
    content-type: text/plain; charset=utf-8

    Not Found
    ");
    assert_snapshot!(show(&app.ask("POST", "/splits?dataset=local/data", &[]).await), @r"
    405
    allow: GET,HEAD
    content-type: text/plain; charset=utf-8

    Method Not Allowed
    ");
    for method in ["PUT", "DELETE", "PATCH"] {
        assert_eq!(app.ask(method, "/", &[]).await.status, 405, "{method}");
    }
    for path in ["/splits/", "/Splits", "//", "/assets", "/datasets/local/data", "/datasets/", "/%00"] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_address_in_urls_is_the_one_that_was_asked() {
    let app = birds().await;
    let url = async |headers: &[(&str, &str)]| {
        let answer = app.ask("GET", "/parquet?dataset=local/data", headers).await;
        answer.json()["parquet_files"][0]["url"].as_str().unwrap().to_owned()
    };
    let path = "/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet";
    assert_eq!(url(&[]).await, format!("http://viewer.test{path}"));

    let behind_proxy = TestApp::with(|options| options.api.base_url = Some("https://data.test/viewer/".into())).await;
    behind_proxy.write("data/birds.csv", super::BIRDS);
    behind_proxy.settle().await;
    let answer = behind_proxy.get("/parquet?dataset=local/data").await;
    assert_eq!(answer.json()["parquet_files"][0]["url"], format!("https://data.test/viewer{path}"));
}
