//! Numbers of requests.

use belvedere_testing::TestApp;

#[tokio::test]
async fn a_harmless_number_comes_back() {
    let app = TestApp::new().await;
    for path in ["/healthcheck", "/splits", "/nowhere", "/admin/healthcheck", "/admin/pending-jobs"] {
        let answer = app.ask("GET", path, &[("x-request-id", "trace-7:4/a")]).await;
        assert_eq!(answer.header("x-request-id"), Some("trace-7:4/a"), "{path}");
    }
}

#[tokio::test]
async fn any_other_request_is_given_one() {
    let app = TestApp::new().await;
    let mut numbers = std::collections::BTreeSet::new();
    for given in ["a b", "<script>", "{\"a\":1}", "\"", "", &"a".repeat(129)] {
        let answer = app.ask("GET", "/healthcheck", &[("x-request-id", given)]).await;
        let number = answer.header("x-request-id").unwrap().to_owned();
        assert!(number.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'), "{number}");
        assert!(numbers.insert(number));
    }
}
