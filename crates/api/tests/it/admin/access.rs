//! Who may operate: tokens and organizations, against a whoami service on a socket; and this machine, when nobody is named.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use belvedere_api::{AdminAccess, Organization, TokenHash};
use belvedere_hub::Whoami;
use belvedere_testing::{Answer, TestApp};
use serde_json::{Value as Json, json};

/// Everything that needs the rights of an operator.
const PROTECTED: [(&str, &str); 19] = [
    ("GET", "/admin/pending-jobs"),
    ("GET", "/pending-jobs"),
    ("GET", "/admin/blocked-datasets"),
    ("GET", "/admin/dataset-status?dataset=local/data"),
    ("GET", "/admin/num-dataset-infos-by-builder-name"),
    ("GET", "/admin/cache-reports/dataset-info"),
    ("GET", "/admin/cache-reportsdataset-info"),
    ("GET", "/cache-reports/splits"),
    ("GET", "/admin/cache-reports-with-content/dataset-info"),
    ("GET", "/admin/datasets"),
    ("GET", "/admin/jobs/1"),
    ("GET", "/admin/dataset-backfill-plan?dataset=local/data"),
    ("POST", "/admin/dataset-backfill?dataset=local/data"),
    ("POST", "/admin/recreate-dataset?dataset=local/data"),
    ("POST", "/admin/force-refresh/dataset-info?dataset=local/data"),
    ("POST", "/force-refresh/parquet?dataset=local/data"),
    ("POST", "/cancel-jobs/dataset-info"),
    ("POST", "/admin/unblock-dataset?dataset=local/data"),
    ("POST", "/admin/clean"),
];
/// What nobody needs rights for.
const OPEN: [&str; 4] = ["/healthcheck", "/metrics", "/admin/healthcheck", "/admin/metrics"];

/// A whoami service: answers by the value of `Authorization`, and notes the heads of requests.
struct Service {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Service {
    fn start(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let is_authorization = |line: &&String| line.to_ascii_lowercase().starts_with("authorization: ");
                let value = head.iter().find(is_authorization).map_or("", |line| &line["authorization: ".len()..]);
                // The client may have given up.
                let _ = stream.write_all(answer(value).as_bytes());
                noted.lock().unwrap().push(head.join("\n"));
            }
        });
        Self { address, heads }
    }

    fn organization(&self) -> Organization {
        let whoami = Whoami::new(&self.address, "/api/whoami-v2", Duration::from_secs(30));
        Organization { name: "viewer-admins".to_owned(), whoami }
    }

    fn calls(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn ana(role_in_org: &str, token: &Json) -> String {
    let body = json!({
        "name": "ana",
        "orgs": [{"name": "viewer-admins", "roleInOrg": role_in_org}],
        "auth": {"type": "access_token", "accessToken": token},
    });
    http("200 OK", &body.to_string())
}

async fn app(tokens: Vec<TokenHash>, organization: Option<Organization>) -> TestApp {
    TestApp::with(|options| options.api.admin.access = AdminAccess::Operators { tokens, organization }).await
}

async fn with_authorization(app: &TestApp, method: &str, path: &str, value: &str) -> Answer {
    app.ask_as(method, path, &[("host", "viewer.test"), ("authorization", value)]).await
}

fn code(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.header("x-error-code"))
}

#[tokio::test]
async fn nothing_protected_answers_without_credentials() {
    let service = Service::start(|_| http("401 Unauthorized", "{}"));
    for organization in [None, Some(service.organization())] {
        let app = app(vec![TokenHash::of("ana", "right")], organization).await;
        for (method, path) in PROTECTED {
            let anonymous = app.ask_as(method, path, &[("host", "localhost")]).await;
            assert_eq!(code(&anonymous), (401, Some("ExternalUnauthenticatedError")), "{method} {path}");
            let max_age = if method == "GET" { "max-age=10" } else { "no-store" };
            assert_eq!(anonymous.header("cache-control"), Some(max_age), "{method} {path}");
            for forged in ["Bearer wrong", "Bearer right2", "Bearer ", "Basic cmlnaHQ6", "right", "", " "] {
                let answer = with_authorization(&app, method, path, forged).await;
                assert_eq!(code(&answer), (401, Some("ExternalUnauthenticatedError")), "{method} {path} {forged}");
            }
        }
        for path in OPEN {
            assert_eq!(app.ask_as("GET", path, &[("host", "viewer.test")]).await.status, 200, "{path}");
        }
    }
    // Those who send nothing cause no call.
    let silent = service.calls();
    app(Vec::new(), Some(service.organization())).await.ask_as("GET", "/admin/pending-jobs", &[]).await;
    assert_eq!(service.calls(), silent);
}

#[tokio::test]
async fn forged_and_expired_jwt_are_no_tokens_of_ours() {
    let app = app(vec![TokenHash::of("ana", "right")], None).await;
    for jwt in [
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbmEifQ.",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEiLCJleHAiOjF9.c2lnbmVk",
        "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOiIxIn0.c2lnbmVk",
    ] {
        let answer = with_authorization(&app, "GET", "/admin/pending-jobs", &format!("Bearer {jwt}")).await;
        assert_eq!(code(&answer), (401, Some("ExternalUnauthenticatedError")), "{jwt}");
    }
    let long = format!("Bearer {}", "x".repeat(1 << 20));
    assert_eq!(with_authorization(&app, "GET", "/admin/pending-jobs", &long).await.status, 401);
    let twice = [("host", "x"), ("authorization", "Bearer wrong"), ("authorization", "Bearer right")];
    assert_eq!(app.ask_as("GET", "/admin/pending-jobs", &twice).await.status, 401);
}

#[tokio::test]
async fn a_token_of_ours_opens_everything_and_asks_nobody() {
    let service = Service::start(|_| http("401 Unauthorized", "{}"));
    let tokens = vec![TokenHash::of("ana", "right"), TokenHash::of("ben", "other")];
    let app = app(tokens, Some(service.organization())).await;
    app.write("data/a.csv", "a\n1\n");
    app.settle().await;
    for (method, path) in PROTECTED.into_iter().filter(|(_, path)| !path.starts_with("/admin/jobs/")) {
        for value in ["Bearer right", "bearer  other"] {
            assert_eq!(with_authorization(&app, method, path, value).await.status, 200, "{method} {path}");
        }
    }
    assert_eq!(service.calls(), 0);
}

#[tokio::test]
async fn members_of_the_organization_may_operate() {
    let scoped = |entity: &str, permission: &str| {
        json!({"role": "fineGrained", "fineGrained": {"scoped": [
            {"entity": {"type": "org", "name": entity}, "permissions": [permission]},
        ]}})
    };
    let service = Service::start(move |authorization| match authorization.trim_start_matches("Bearer ") {
        "fine" => ana("contributor", &scoped("viewer-admins", "repo.write")),
        "fine-read" => ana("admin", &scoped("viewer-admins", "repo.content.read")),
        "fine-elsewhere" => ana("admin", &scoped("others", "repo.write")),
        "classic" => ana("read", &json!({"role": "write"})),
        "classic-read" => ana("admin", &json!({"role": "read"})),
        "contributor" => ana("contributor", &json!({"role": "write"})),
        "stranger" => http("200 OK", &json!({"name": "eve", "orgs": [], "auth": {}}).to_string()),
        "odd" => http("200 OK", "[]"),
        "forbidden" => http("403 Forbidden", ""),
        "gone" => http("404 Not Found", ""),
        "unknown" => http("401 Unauthorized", ""),
        "html" => http("200 OK", "<html>"),
        "moved" => http("302 Found\r\nLocation: http://127.0.0.1:1/", ""),
        "broken" => http("500 Internal Server Error", ""),
        _ => "nonsense\r\n\r\n".to_owned(),
    });
    let app = app(Vec::new(), Some(service.organization())).await;
    for (token, expected) in [
        ("fine", (200, None)),
        ("classic", (200, None)),
        ("fine-read", (404, Some("ExternalAuthenticatedError"))),
        ("fine-elsewhere", (404, Some("ExternalAuthenticatedError"))),
        ("classic-read", (404, Some("ExternalAuthenticatedError"))),
        ("contributor", (404, Some("ExternalAuthenticatedError"))),
        ("stranger", (404, Some("ExternalAuthenticatedError"))),
        ("odd", (404, Some("ExternalAuthenticatedError"))),
        ("forbidden", (404, Some("ExternalAuthenticatedError"))),
        ("gone", (404, Some("ExternalAuthenticatedError"))),
        ("unknown", (401, Some("ExternalUnauthenticatedError"))),
        ("html", (500, Some("UnexpectedApiError"))),
        ("moved", (500, Some("UnexpectedApiError"))),
        ("broken", (500, Some("UnexpectedApiError"))),
        ("no-http", (500, Some("UnexpectedApiError"))),
    ] {
        let answer = with_authorization(&app, "GET", "/admin/pending-jobs", &format!("Bearer {token}")).await;
        assert_eq!(code(&answer), expected, "{token}");
    }
}

#[tokio::test]
async fn only_the_credentials_are_passed_on() {
    let service = Service::start(|_| ana("admin", &json!({"role": "write"})));
    let app = app(Vec::new(), Some(service.organization())).await;
    let headers = [("host", "viewer.test"), ("cookie", "session=1"), ("x-own", "1"), ("authorization", "Bearer abc")];
    assert_eq!(app.ask_as("GET", "/admin/pending-jobs", &headers).await.status, 200);
    let heads = service.heads.lock().unwrap();
    assert!(heads[0].starts_with("GET /api/whoami-v2 HTTP/1.1\n"), "{}", heads[0]);
    let head = heads[0].to_ascii_lowercase();
    assert!(head.contains("\nauthorization: bearer abc") && !head.contains("cookie") && !head.contains("x-own"));
}

#[tokio::test]
async fn a_service_that_does_not_answer_in_time_is_a_surprise() {
    // A backlog that nobody looks into: connecting works, answers never come.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/", silent.local_addr().unwrap());
    let whoami = Whoami::new(&endpoint, "api/whoami-v2", Duration::from_millis(50));
    let app = app(Vec::new(), Some(Organization { name: "viewer-admins".into(), whoami })).await;
    let answer = with_authorization(&app, "POST", "/admin/clean", "Bearer abc").await;
    assert_eq!((code(&answer), answer.header("cache-control")), ((500, Some("UnexpectedApiError")), Some("no-store")));
}

#[tokio::test]
async fn pages_anywhere_may_send_credentials_but_get_nothing_by_themselves() {
    let app = app(vec![TokenHash::of("ana", "right")], None).await;
    let preflight = [
        ("host", "x"),
        ("origin", "https://console.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "authorization"),
    ];
    let answer = app.ask_as("OPTIONS", "/admin/pending-jobs", &preflight).await;
    assert_eq!((answer.status, answer.header("access-control-allow-headers")), (200, Some("authorization")));
    let with_cookie = [("host", "x"), ("origin", "https://console.example"), ("cookie", "token=right")];
    assert_eq!(app.ask_as("GET", "/admin/pending-jobs", &with_cookie).await.status, 401);
}

/// Without an organization and tokens.
mod on_this_machine {
    use super::*;

    async fn get(app: &TestApp, headers: &[(&str, &str)]) -> u16 {
        app.ask_as("GET", "/admin/pending-jobs", headers).await.status
    }

    #[tokio::test]
    async fn names_of_the_machine_are_let_through() {
        let app = TestApp::new().await;
        for host in ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LocalHost:1"] {
            assert_eq!(get(&app, &[("host", host)]).await, 200, "{host}");
        }
        assert_eq!(get(&app, &[("host", "localhost:8000"), ("origin", "http://localhost:8000")]).await, 200);
        assert_eq!(get(&app, &[("host", "localhost:8000"), ("sec-fetch-site", "same-origin")]).await, 200);
        assert_eq!(get(&app, &[("host", "localhost:8000"), ("sec-fetch-site", "none")]).await, 200);
    }

    #[tokio::test]
    async fn rebound_names_pages_and_proxies_are_refused_everywhere() {
        let app = TestApp::new().await;
        let evil: [&[(&str, &str)]; 12] = [
            &[],
            &[("host", "evil.example")],
            &[("host", "evil.example:8000")],
            &[("host", "localhost.evil.example")],
            &[("host", "localhost"), ("host", "evil.example")],
            &[("host", "localhost:8000"), ("origin", "https://evil.example")],
            &[("host", "localhost:8000"), ("origin", "http://localhost:3000")],
            &[("host", "localhost:8000"), ("origin", "null")],
            &[("host", "localhost:8000"), ("sec-fetch-site", "cross-site")],
            &[("host", "localhost:8000"), ("sec-fetch-site", "same-site")],
            &[("host", "localhost:8000"), ("x-forwarded-for", "10.0.0.7")],
            &[("host", "localhost:8000"), ("forwarded", "for=10.0.0.7")],
        ];
        for headers in evil {
            for (method, path) in PROTECTED {
                let answer = app.ask_as(method, path, headers).await;
                assert_eq!(code(&answer), (401, Some("ExternalUnauthenticatedError")), "{method} {path} {headers:?}");
                let allowed = answer.headers.keys().find(|name| name.starts_with("access-control-"));
                assert_eq!(allowed, None, "{headers:?}");
            }
        }
        assert!(app.queue().await.is_empty());
    }

    #[tokio::test]
    async fn no_preflight_is_answered() {
        let app = TestApp::new().await;
        let headers =
            [("host", "localhost:8000"), ("origin", "https://evil.example"), ("access-control-request-method", "POST")];
        let answer = app.ask_as("OPTIONS", "/admin/recreate-dataset", &headers).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (405, None));
        // The public API answers it as ever.
        assert_eq!(app.ask_as("OPTIONS", "/splits", &headers).await.status, 200);
    }
}
