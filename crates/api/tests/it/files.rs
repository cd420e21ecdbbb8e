//! `/datasets/…/resolve/…`: converted files and files of the dataset, with ranges.

use belvedere_testing::{TestApp, show, show_headers};
use insta::assert_snapshot;

use super::{BIRDS, birds, outcomes};

const CONVERTED: &str = "/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet";
const SOURCE: &str = "/datasets/local/data/resolve/main/birds.csv";

#[tokio::test]
async fn a_converted_file_is_what_the_list_says_and_parses_again() {
    let app = birds().await;
    let listed = app.get("/parquet?dataset=local/data").await.json()["parquet_files"][0].clone();
    assert_eq!(listed["url"], format!("http://viewer.test{CONVERTED}"));
    let file = app.get(CONVERTED).await;
    assert_snapshot!(show_headers(&file), @r#"
    200
    accept-ranges: bytes
    cache-control: max-age=10
    content-security-policy: default-src 'none'; sandbox
    content-type: application/vnd.apache.parquet
    etag: "…"
    x-content-type-options: nosniff
    x-repo-commit: 2f8601eb1d1a3dbe504d9613772c2164bf19f26c
    x-revision: 2f8601eb1d1a3dbe504d9613772c2164bf19f26c
    "#);
    assert_eq!(listed["size"], file.body.len());
    assert_eq!((&file.body[..4], &file.body[file.body.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
    // The branch may be written without encoding.
    assert_eq!(app.get(&CONVERTED.replace("%2F", "/")).await.body, file.body);

    app.write("copy/0000.parquet", &file.body);
    app.settle().await;
    let page = |dataset: &str| format!("/rows?dataset={dataset}&config=default&split=train");
    assert_eq!(app.get(&page("local/copy")).await.text(), app.get(&page("local/data")).await.text());
}

#[tokio::test]
async fn ranges_are_honoured() {
    let app = birds().await;
    for path in [CONVERTED, SOURCE] {
        let whole = app.get(path).await.body;
        let (size, last) = (whole.len(), whole.len() - 1);
        for (range, bytes) in [
            ("bytes=0-3".to_owned(), 0..4),
            ("bytes=4-".to_owned(), 4..size),
            ("bytes=-8".to_owned(), size - 8..size),
            (format!("bytes={last}-{last}"), last..size),
            // An end beyond the file is cut.
            (format!("bytes={last}-99999999"), last..size),
        ] {
            let part = app.ask("GET", path, &[("range", &range)]).await;
            assert_eq!(part.status, 206, "{path} {range}");
            assert_eq!(part.body, whole.slice(bytes.clone()), "{path} {range}");
            let content_range = format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1);
            assert_eq!(part.header("content-range"), Some(content_range.as_str()), "{path} {range}");
        }
        for range in [format!("bytes={size}-"), "bytes=9-3".to_owned(), "bytes=x-y".to_owned()] {
            let refused = app.ask("GET", path, &[("range", &range)]).await;
            assert_eq!((refused.status, refused.body.len()), (416, 0), "{path} {range}");
            assert_eq!(refused.header("content-range"), Some(format!("bytes */{size}").as_str()), "{path} {range}");
        }
        // Compression would shift the bytes.
        let part = app.ask("GET", path, &[("range", "bytes=0-3"), ("accept-encoding", "gzip")]).await;
        assert_eq!((part.status, part.header("content-encoding")), (206, None), "{path}");
        let head = app.ask("HEAD", path, &[("range", "bytes=0-3")]).await;
        assert_eq!(head.header("content-length"), Some("4"), "{path}");
    }
}

#[tokio::test]
async fn the_rest_of_a_file_that_changed_is_the_whole_new_one() {
    let app = birds().await;
    let etag = app.get(SOURCE).await.header("etag").unwrap().to_owned();
    let rest = [("range", "bytes=4-"), ("if-range", etag.as_str())];
    assert_eq!(app.ask("GET", SOURCE, &rest).await.status, 206);
    app.write("data/birds.csv", "name\nowl\n");
    app.settle().await;
    let whole = app.ask("GET", SOURCE, &rest).await;
    assert_eq!((whole.status, whole.text().as_str()), (200, "name\nowl\n"));
}

#[tokio::test]
async fn only_the_content_decides_what_is_known() {
    let app = birds().await;
    let etag = app.get(SOURCE).await.header("etag").unwrap().to_owned();
    let later = ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT");
    assert_eq!(app.ask("GET", SOURCE, &[later]).await.status, 200);
    assert_eq!(app.ask("GET", SOURCE, &[later, ("if-none-match", "\"other\"")]).await.status, 200);
    assert_eq!(app.ask("GET", SOURCE, &[("if-none-match", &etag), ("range", "bytes=0-3")]).await.status, 304);
}

#[tokio::test]
async fn source_files_come_from_the_served_revision_or_a_named_one() {
    let app = birds().await;
    let file = app.get(SOURCE).await;
    assert_snapshot!(show(&file), @r#"
    200
    accept-ranges: bytes
    cache-control: max-age=10
    content-security-policy: default-src 'none'; sandbox
    content-type: text/plain; charset=utf-8
    etag: "…"
    x-content-type-options: nosniff
    x-repo-commit: 2f8601eb1d1a3dbe504d9613772c2164bf19f26c
    x-revision: 2f8601eb1d1a3dbe504d9613772c2164bf19f26c

    name,weight
    robin,18.5
    wren,9
    heron,1500
    "#);
    let revision = app.dataset("local/data").await.unwrap().target;
    let named = app.get(&format!("/datasets/local/data/resolve/{revision}/birds.csv")).await;
    assert_eq!((named.status, &named.body), (200, &file.body));
    assert_eq!(app.get("/datasets/local/data/resolve/refs%2Fheads%2Fmain/birds.csv").await.body, file.body);
}

#[tokio::test]
async fn files_of_another_content_are_gone() {
    let app = birds().await;
    let revision = app.dataset("local/data").await.unwrap().target;
    app.write("data/birds.csv", "name\nowl\n");
    // Noticed before anybody looked through the folder.
    let gone = app.get(SOURCE).await;
    assert_eq!((gone.status, gone.header("x-error-code")), (404, Some("RevisionGone")));
    app.settle().await;
    assert_eq!(app.get(SOURCE).await.text(), "name\nowl\n");
    let old = app.get(&format!("/datasets/local/data/resolve/{revision}/birds.csv")).await;
    assert_eq!((old.status, old.header("x-error-code")), (404, Some("RevisionGone")));
    // What was converted from the old content is still there for the old revision's rows.
    let rows = app.get(&format!("/rows?dataset=local/data&config=default&split=train&revision={revision}")).await;
    assert_eq!(rows.json()["rows"][0]["row"]["name"], "robin");
}

#[tokio::test]
async fn nothing_outside_the_dataset_can_be_named() {
    let app = birds().await;
    app.write("other/secret.csv", "a\n1\n");
    app.write("data/.hidden.csv", "a\n1\n");
    std::os::unix::fs::symlink("/etc/passwd", app.path("data/passwd.txt")).unwrap();
    app.settle().await;
    let main = "/datasets/local/data/resolve/main";
    let paths = [
        "../other/secret.csv",
        "%2E%2E/other/secret.csv",
        "..%2Fother%2Fsecret.csv",
        "%2E%2E%2Fother%2Fsecret.csv",
        "./birds.csv",
        "x/../birds.csv",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "passwd.txt",
        "birds.csv%00",
        "birds.csv/",
        "",
        "%FF",
    ];
    for path in paths {
        let answer = app.get(&format!("{main}/{path}")).await;
        assert_eq!((answer.status, answer.header("x-error-code")), (404, Some("ResponseNotFound")), "{path}");
    }
    let converted = "/datasets/local/data/resolve/refs%2Fconvert%2Fparquet";
    for path in [
        "default/train/../../../x",
        "..%2F..%2Ftest.sqlite",
        "default/train/0001.parquet",
        "default/nope/0000.parquet",
        "default/partial-train/0000.parquet",
        "birds.csv",
    ] {
        let answer = app.get(&format!("{converted}/{path}")).await;
        assert_eq!((answer.status, answer.header("x-error-code")), (404, Some("ResponseNotFound")), "{path}");
    }
}

#[tokio::test]
async fn paths_of_other_shapes_are_not_found() {
    let app = birds().await;
    let paths = [
        "/datasets/local/data",
        "/datasets/local/data/tree/main",
        "/datasets/local/data/resolve",
        "/datasets/local/data/resolve/main",
        "/datasets/local/data/resolve/a..b/birds.csv",
        "/datasets/resolve/main/birds.csv",
    ];
    let lines = outcomes(&app, &paths).await;
    assert!(lines.lines().all(|line| line.contains("→ 404") || line.contains("→ 401")), "{lines}");
}

#[tokio::test]
async fn converted_files_wait_for_their_conversion() {
    let app = TestApp::new().await;
    app.write("data/birds.csv", BIRDS);
    app.refresh().await;
    let answer = app.get(CONVERTED).await;
    assert_eq!((answer.status, answer.header("x-error-code")), (500, Some("ResponseNotReady")));
    app.run_jobs().await;
    assert_eq!(app.get(CONVERTED).await.status, 200);
}

#[tokio::test]
async fn files_with_awkward_names_can_be_fetched() {
    let app = TestApp::new().await;
    app.write("data/été 50%#?.csv", BIRDS);
    app.settle().await;
    let answer = app.get("/datasets/local/data/resolve/main/%C3%A9t%C3%A9%2050%25%23%3F.csv").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, BIRDS));
}

#[tokio::test]
async fn pages_made_of_data_cannot_act_as_ours() {
    let app = birds().await;
    app.write("data/page.html", "<script>alert(1)</script>");
    app.settle().await;
    let answer = app.get("/datasets/local/data/resolve/main/page.html").await;
    assert_snapshot!(show_headers(&answer), @r#"
    200
    accept-ranges: bytes
    cache-control: max-age=10
    content-security-policy: default-src 'none'; sandbox
    content-type: application/octet-stream
    etag: "…"
    x-content-type-options: nosniff
    x-repo-commit: 81b20a0c28b2f62e4576926a75330dc3b1648152
    x-revision: 81b20a0c28b2f62e4576926a75330dc3b1648152
    "#);
}
