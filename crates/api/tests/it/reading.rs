//! Who may read: datasets that are not for everybody, tokens of a Hub and its consent, and what caches may keep.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use belvedere_api::{HubKeys, KeySource};
use belvedere_domain::Role;
use belvedere_hub::auth_check::AuthCheck;
use belvedere_testing::{Answer, Options, TestApp};
use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use super::accounts::{add_user, quick, session, token};
use super::{BIRDS, outcome};

const QUERY: &str = "dataset=local/secret&config=default&split=train";

/// `local/data` for everybody and `local/secret` for some, all jobs done; users `ana` and `ben`.
pub(crate) async fn guarded() -> TestApp {
    guarded_with(|_| {}).await
}

async fn guarded_with(change: impl FnOnce(&mut Options)) -> TestApp {
    let app = TestApp::with(|options| {
        quick(options);
        options.api.reading.private = vec!["local/secre*".to_owned()];
        change(options);
    })
    .await;
    filled(&app).await;
    app
}

async fn filled(app: &TestApp) {
    app.write("data/birds.csv", BIRDS);
    app.write("secret/birds.csv", BIRDS);
    app.settle().await;
    add_user(app, "ana", Role::User).await;
    add_user(app, "ben", Role::User).await;
}

/// A token of `ana` with these scopes.
async fn token_of(app: &TestApp, scopes: &[&str]) -> String {
    let session = session(app, "ana").await;
    token(app, &session, scopes).await["token"].as_str().unwrap().to_owned()
}

pub(crate) async fn ask_as(app: &TestApp, token: &str, path: &str) -> Answer {
    app.ask("GET", path, &[("authorization", &format!("Bearer {token}"))]).await
}

/// Every route that leads to something of `local/secret`, made from the table of endpoints.
async fn routes(app: &TestApp) -> Vec<String> {
    let document = app.get("/openapi.json").await.json();
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let parameters = operations["get"]["parameters"].as_array();
        let names = parameters.into_iter().flatten().filter_map(|parameter| parameter["name"].as_str());
        let names: Vec<&str> = names.collect();
        if !names.contains(&"dataset") {
            continue;
        }
        let value = |name: &&str| match *name {
            "dataset" | "with_dataset" => "local/secret",
            "config" | "with_config" => "default",
            "split" | "with_split" => "train",
            "query" => "robin",
            "row" => "0",
            "column" => "name",
            _ => "",
        };
        let pairs = names.iter().map(|name| format!("{name}={}", value(name)));
        routes.push(format!("{path}?{}", pairs.filter(|pair| !pair.ends_with('=')).collect::<Vec<_>>().join("&")));
        if names.contains(&"with_dataset") {
            // One of the two is enough to be refused.
            let rest = "config=default&split=train&with_config=default&with_split=train";
            routes.push(format!("{path}?dataset=local/data&with_dataset=local/secret&{rest}"));
        }
    }
    assert!(routes.len() >= 14, "{routes:?}");
    let revision = app.dataset("local/secret").await.unwrap().target;
    routes.push("/datasets/local/secret/resolve/main/birds.csv".to_owned());
    routes.push("/datasets/local/secret/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet".to_owned());
    for assets in ["assets", "cached-assets"] {
        routes.push(format!("/{assets}/local/secret/--/{revision}/--/default/train/0/photo/image.jpg"));
    }
    for format in ["csv", "ndjson", "parquet", "arrow"] {
        routes.push(format!("/rows?{QUERY}&length=all&format={format}"));
    }
    routes
}

/// e093 | somebody asks for a dataset that is not for them, by any route that names it | 401 without credentials, 404 with those of others, word for word as for a dataset that does not exist
#[tokio::test]
async fn e093_datasets_of_others_are_out_of_reach_on_every_route() {
    let app = guarded().await;
    let reader = token_of(&app, &["read:local/secret"]).await;
    let strangers = [
        token_of(&app, &["read:local/data", "read:other/*"]).await,
        token_of(&app, &["tasks"]).await,
        "hf_x".to_owned(),
    ];
    for path in routes(&app).await {
        let anonymous = app.get(&path).await;
        assert_eq!(anonymous.status, 401, "{path}: {}", anonymous.text());
        assert_eq!(anonymous.header("x-revision"), None, "{path}");
        let missing = app.get("/splits?dataset=local/none").await;
        assert_eq!(anonymous.text(), missing.text(), "{path}");
        for stranger in &strangers {
            let foreign = ask_as(&app, stranger, &path).await;
            assert_eq!(foreign.status, 404, "{path}: {}", foreign.text());
            assert_eq!(foreign.text(), ask_as(&app, stranger, "/splits?dataset=local/none").await.text(), "{path}");
        }
        let own = ask_as(&app, &reader, &path).await;
        let refused = [401, 403].contains(&own.status) || own.text().contains("not accessible");
        assert!(!refused, "{path}: {} {}", own.status, own.text());
    }
    for path in ["/rows", "/first-rows", "/filter"] {
        assert_eq!(ask_as(&app, &reader, &format!("{path}?{QUERY}")).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_session_reads_all_and_a_token_what_it_says() {
    let app = guarded().await;
    let path = format!("/rows?{QUERY}");
    assert_eq!(ask_as(&app, &session(&app, "ben").await, &path).await.status, 200);
    for (scopes, status) in [
        (&["read"][..], 200),
        (&["read:local/*"], 200),
        (&["tasks", "read:local/secret"], 200),
        (&["read:local/data"], 404),
        (&["tasks"], 404),
    ] {
        let token = token_of(&app, scopes).await;
        assert_eq!(ask_as(&app, &token, &path).await.status, status, "{scopes:?}");
        assert_eq!(ask_as(&app, &token, "/splits?dataset=local/data").await.status, 200, "{scopes:?}");
    }
    assert_eq!(app.get("/splits?dataset=local/data").await.status, 200);
    assert_snapshot!(outcome(&ask_as(&app, "bvt_none", "/splits?dataset=local/data").await), @"401 LoginRequired: These credentials are not good, or not any more. Log in again.");
}

#[tokio::test]
async fn the_list_of_datasets_tells_nothing_to_strangers() {
    let app = guarded().await;
    let names = async |headers: &[(&str, &str)]| -> Vec<String> {
        let headers = [headers, &[("accept", "application/json")]].concat();
        let list = app.ask("GET", "/", &headers).await.json();
        list["datasets"].as_array().unwrap().iter().map(|one| one["dataset"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&[]).await, ["local/data"]);
    assert!(!app.get("/").await.text().contains("secret"));
    assert!(!app.get("/docs").await.text().contains("secret"));
    let bearer = format!("Bearer {}", token_of(&app, &["read:local/secret"]).await);
    assert_eq!(names(&[("authorization", &bearer)]).await, ["local/data", "local/secret"]);
}

#[tokio::test]
async fn cards_keep_datasets_back_too() {
    for app in TestApp::everywhere(quick).await {
        for (name, card) in [
            ("open", "private: false\ngated: null"),
            ("private", "private: true"),
            ("gated", "gated: manual"),
            ("slip", "private: yes please"),
        ] {
            app.write(&format!("{name}/README.md"), format!("---\n{card}\n---\n"));
            app.write(&format!("{name}/birds.csv"), BIRDS);
        }
        app.settle().await;
        add_user(&app, "ana", Role::User).await;
        let session = session(&app, "ana").await;
        for (name, status) in [("open", 200), ("private", 401), ("gated", 401), ("slip", 401)] {
            let path = format!("/rows?dataset=local/{name}&config=default&split=train");
            assert_eq!(app.get(&path).await.status, status, "{name}");
            assert_eq!(ask_as(&app, &session, &path).await.status, 200, "{name}");
            // What servers go by that do not have the files.
            assert_eq!(app.dataset(&format!("local/{name}")).await.unwrap().restricted, status == 401, "{name}");
        }
        app.write("private/README.md", "---\nprivate: false\n---\n");
        app.settle().await;
        assert_eq!(app.get("/rows?dataset=local/private&config=default&split=train").await.status, 200);
        assert!(!app.dataset("local/private").await.unwrap().restricted);
        app.close().await;
    }
}

#[tokio::test]
async fn answers_to_somebody_are_for_nobody_else() {
    let app = guarded().await;
    let reader = token_of(&app, &["read"]).await;
    let path = format!("/rows?{QUERY}");
    let own = ask_as(&app, &reader, &path).await;
    assert_eq!(own.header("cache-control"), Some("private, max-age=120"));
    assert_eq!(own.header("vary"), Some("Accept, Authorization, X-Api-Key"));
    let refused = app.get(&path).await;
    assert_eq!(refused.header("cache-control"), Some("max-age=10"));
    assert_eq!(refused.header("vary"), Some("Authorization, X-Api-Key"));
    let open = app.get("/splits?dataset=local/data").await;
    assert_eq!(open.header("cache-control"), Some("max-age=120"));
    assert_eq!(open.header("vary"), Some("Authorization, X-Api-Key"));
    // A tag that somebody has learned opens nothing.
    let tag = own.header("etag").unwrap();
    assert_eq!(app.ask("GET", &path, &[("if-none-match", tag)]).await.status, 401);
    assert_eq!(app.ask("HEAD", &path, &[]).await.status, 401);
    // Nothing is said about credentials where nobody needs any.
    let plain = TestApp::with_file("birds.csv", BIRDS).await;
    assert_eq!(plain.get("/splits?dataset=local/data").await.header("vary"), None);
}

#[tokio::test]
async fn links_to_media_are_signed_for_a_while() {
    let app = TestApp::with(|options| {
        quick(options);
        options.api.reading.private = vec!["local/*".to_owned()];
    })
    .await;
    app.copy_set("parquet-image-column", "data");
    app.settle().await;
    add_user(&app, "ana", Role::User).await;
    let reader = token_of(&app, &["read"]).await;
    for (path, length) in [("first-rows", ""), ("rows", "&length=1"), ("rows", "&length=2&format=ndjson")] {
        let answer =
            ask_as(&app, &reader, &format!("/{path}?dataset=local/data&config=default&split=train{length}")).await;
        let text = answer.text();
        let (_, rest) = text.split_once("\"http://viewer.test").unwrap();
        let (link, _) = rest.split_once('"').unwrap();
        let (bare, query) = link.split_once('?').unwrap_or_else(|| panic!("{link} is not signed"));
        let file = app.get(link).await;
        assert_eq!((file.status, file.header("content-type")), (200, Some("image/jpeg")), "{link}");
        assert_eq!(file.header("cache-control"), Some("private, max-age=31536000, immutable"));
        assert_eq!(app.get(bare).await.status, 401);
        // A file that is made once more is made for whoever has the link, too.
        for made in app.state_files().iter().filter(|file| file.starts_with("cached-assets/")) {
            std::fs::remove_file(app.state_path(made)).unwrap();
        }
        assert_eq!(app.get(link).await.status, 200, "{link}");
        let other = bare.replace("/0/image/", "/1/image/");
        assert_eq!(app.get(&format!("{other}?{query}")).await.status, 401, "another file");
        let later = query.replacen("expires=1", "expires=2", 1);
        assert_eq!(app.get(&format!("{bare}?{later}")).await.status, 401, "another time");
        // A page that was kept beyond the time of its links is not told to be still good.
        let tag = answer.header("etag").map(str::to_owned).unwrap_or_default();
        let path = format!("/{path}?dataset=local/data&config=default&split=train{length}");
        let headers = [("authorization", format!("Bearer {reader}")), ("if-none-match", tag)];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(app.ask("GET", &path, &headers).await.status, 200);
    }
    let parquet = ask_as(&app, &reader, "/parquet?dataset=local/data").await.json();
    let url = parquet["parquet_files"][0]["url"].as_str().unwrap();
    assert!(url.ends_with(".parquet"), "programs send their credentials: {url}");
}

/// A Hub on a socket: answers by path and `Authorization`, and notes the heads of requests.
struct Hub {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn start(answer: impl Fn(&str, &str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else { continue };
                let is_authorization = |line: &&String| line.to_ascii_lowercase().starts_with("authorization: ");
                let value = head.iter().find(is_authorization).map_or("", |line| &line["authorization: ".len()..]);
                let answer = answer(path, value);
                noted.lock().unwrap().push(head.join("\n"));
                // The client may have given up.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, heads }
    }

    fn check(&self) -> AuthCheck {
        AuthCheck::new(&self.address, "/api/datasets/%s/auth-check", Duration::from_secs(30))
    }

    fn last(&self) -> String {
        self.heads.lock().unwrap().last().cloned().unwrap_or_default()
    }

    fn calls(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

async fn behind(hub: &Hub) -> TestApp {
    let check = hub.check();
    let app = TestApp::with(|options| {
        quick(options);
        options.api.reading.hub = Some(check);
    })
    .await;
    filled(&app).await;
    app
}

#[tokio::test]
async fn the_hub_is_asked_with_the_credentials_of_the_caller_alone() {
    let hub = Hub::start(|path, authorization| match (path, authorization) {
        ("/api/datasets/local/data/auth-check", _) => http("200 OK", ""),
        ("/api/datasets/local/secret/auth-check", "Bearer hf_good") => http("200 OK", ""),
        ("/api/datasets/local/secret/auth-check", "") => http("401 Unauthorized", ""),
        _ => http("403 Forbidden", ""),
    });
    let app = behind(&hub).await;
    assert_eq!(app.get("/splits?dataset=local/data").await.status, 200);
    let path = "/splits?dataset=local/secret";
    let anonymous = app.ask("GET", path, &[("cookie", "token=hf_good"), ("x-other", "1")]).await;
    assert_snapshot!(outcome(&anonymous), @"401 ExternalUnauthenticatedError: The dataset does not exist, or is not accessible without authentication (private or gated).");
    let head = hub.last().to_ascii_lowercase();
    assert!(!head.contains("cookie") && !head.contains("x-other") && !head.contains("viewer.test"), "{head}");
    let good = ask_as(&app, "hf_good", path).await;
    assert_eq!((good.status, good.header("cache-control")), (200, Some("private, max-age=120")));
    assert!(hub.last().contains("Bearer hf_good"));
    assert_snapshot!(outcome(&ask_as(&app, "hf_bad", path).await), @"404 ExternalAuthenticatedError: The dataset does not exist, or is not accessible with the current credentials (private or gated).");
    // Parameters are looked at first, and names that cannot exist are never asked about.
    let calls = hub.calls();
    assert_eq!(app.get("/rows?dataset=local/secret").await.status, 422);
    assert_eq!(app.get("/splits?dataset=local/../secret").await.status, 401);
    assert_eq!(hub.calls(), calls);
    // Credentials of ours stay here.
    let reader = token_of(&app, &["read:local/secret"]).await;
    assert_eq!(ask_as(&app, &reader, path).await.status, 200);
    assert_eq!(hub.calls(), calls, "a token of ours is enough");
    assert_eq!(ask_as(&app, &reader, "/splits?dataset=local/data").await.status, 200);
    assert_eq!(hub.calls(), calls + 1);
    assert!(!hub.last().to_ascii_lowercase().contains("authorization"), "{}", hub.last());
}

#[tokio::test]
async fn every_answer_of_the_hub_has_its_meaning() {
    for (answer, expected) in [
        (http("307 Temporary Redirect\r\nLocation: /elsewhere", ""), "404 RenamedDatasetError"),
        (http("401 Unauthorized", ""), "401 ExternalUnauthenticatedError"),
        (http("403 Forbidden", ""), "404 ExternalAuthenticatedError"),
        (http("404 Not Found", ""), "404 ExternalAuthenticatedError"),
        (http("500 Internal Server Error", "secret"), "500 UnexpectedApiError"),
        (http("204 No Content", ""), "500 UnexpectedApiError"),
        ("not HTTP\r\n\r\n".to_owned(), "500 AuthCheckHubRequestError"),
        (String::new(), "500 AuthCheckHubRequestError"),
    ] {
        let sent = answer.clone();
        let hub = Hub::start(move |_, _| sent.clone());
        let app = behind(&hub).await;
        let answered = app.get("/splits?dataset=local/data").await;
        assert_eq!(hub.calls(), 1, "redirects are not followed");
        assert!(outcome(&answered).starts_with(expected), "{answer}: {}", outcome(&answered));
        assert_eq!(answered.header("cache-control"), Some("max-age=10"), "{answer}");
        assert!(!answered.text().contains("secret"));
    }
    let app = TestApp::with(|options| {
        quick(options);
        // Port 9 of the loopback answers nobody.
        options.api.reading.hub = Some(AuthCheck::new("http://127.0.0.1:9", "/%s", Duration::from_millis(200)));
    })
    .await;
    filled(&app).await;
    let answered = app.get("/splits?dataset=local/data").await;
    assert!(outcome(&answered).starts_with("500 AuthCheckHubRequestError"), "{}", outcome(&answered));
}

/// A key pair of Ed25519 as JWK, and what it signs.
pub(crate) mod keys {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::{Value as Json, json};

    pub(crate) struct Pair(Ed25519KeyPair);

    impl Pair {
        pub(crate) fn new() -> Self {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
            Self(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
        }

        pub(crate) fn jwk(&self) -> Json {
            json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(self.0.public_key().as_ref())})
        }

        pub(crate) fn public(&self) -> &[u8] {
            self.0.public_key().as_ref()
        }

        pub(crate) fn sign(&self, claims: &Json) -> String {
            let text = unsigned(r#"{"alg":"EdDSA"}"#, claims);
            signed(&text, self.0.sign(text.as_bytes()).as_ref())
        }
    }

    pub(crate) fn unsigned(header: &str, claims: &Json) -> String {
        format!("{}.{}", BASE64.encode(header), BASE64.encode(claims.to_string()))
    }

    pub(crate) fn signed(text: &str, signature: &[u8]) -> String {
        format!("{text}.{}", BASE64.encode(signature))
    }
}

fn claims(dataset: &str) -> Json {
    json!({"sub": format!("datasets/{dataset}"), "permissions": {"repo.content.read": true}, "exp": 4_102_444_800_i64})
}

async fn keys_at(hub: &Hub, look_every: Duration) -> HubKeys {
    let source = KeySource {
        algorithm: "EdDSA".to_owned(),
        url: Some(format!("{}/api/keys/jwt", hub.address)),
        additional: Vec::new(),
        timeout: Duration::from_secs(30),
        look_every,
    };
    HubKeys::load(source).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_signed_token_opens_its_dataset_without_a_call() {
    let (old, new) = (keys::Pair::new(), keys::Pair::new());
    let list = json!([old.jwk(), new.jwk()]).to_string();
    let hub = Hub::start(move |path, _| match path {
        "/api/keys/jwt" => http("200 OK", &list),
        _ => http("401 Unauthorized", ""),
    });
    let (keys, check) = (keys_at(&hub, Duration::from_secs(60)).await, hub.check());
    let app = guarded_with(|options| {
        options.api.reading.keys = Some(keys);
        options.api.reading.hub = Some(check);
    })
    .await;
    let path = format!("/rows?{QUERY}");
    let calls = hub.calls();
    for pair in [&old, &new] {
        let token = pair.sign(&claims("local/secret"));
        assert_eq!(ask_as(&app, &format!("jwt:{token}"), &path).await.status, 200);
        let answer = app.ask("GET", &path, &[("x-api-key", &token)]).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("private, max-age=120")));
    }
    // The header of its own goes first, and what it says is final.
    let (good, other) = (new.sign(&claims("local/secret")), new.sign(&claims("local/data")));
    let both = [("x-api-key", other.as_str()), ("authorization", &format!("Bearer jwt:{good}"))];
    assert_eq!(app.ask("GET", &path, &both).await.header("x-error-code"), Some("JWTInvalidClaimSub"));
    assert_eq!(hub.calls(), calls);
    assert_eq!(app.get(&path).await.status, 401);
}

#[tokio::test]
async fn keys_that_the_hub_has_changed_are_found() {
    let (old, new) = (keys::Pair::new(), keys::Pair::new());
    let lists = [json!([old.jwk()]).to_string(), json!([new.jwk()]).to_string()];
    let published = Arc::new(Mutex::new(lists[0].clone()));
    let current = Arc::clone(&published);
    let hub = Hub::start(move |_, _| http("200 OK", &current.lock().unwrap()));
    let (eager, patient) = (keys_at(&hub, Duration::ZERO).await, keys_at(&hub, Duration::from_secs(3600)).await);
    let path = format!("/rows?{QUERY}");
    let ask = async |app: &TestApp, pair: &keys::Pair| {
        let token = pair.sign(&claims("local/secret"));
        app.ask("GET", &path, &[("x-api-key", &token)]).await.status
    };
    let app = guarded_with(|options| options.api.reading.keys = Some(patient)).await;
    published.lock().unwrap().clone_from(&lists[1]);
    let calls = hub.calls();
    assert_eq!([ask(&app, &old).await, ask(&app, &new).await], [200, 401]);
    assert_eq!(hub.calls(), calls, "forged tokens do not become calls");
    let app = guarded_with(|options| options.api.reading.keys = Some(eager)).await;
    assert_eq!(ask(&app, &old).await, 200);
    assert_eq!(hub.calls(), calls);
    assert_eq!([ask(&app, &new).await, ask(&app, &old).await], [200, 401]);
    // While the list cannot be read, the keys stay.
    "nonsense".clone_into(&mut published.lock().unwrap());
    assert_eq!([ask(&app, &old).await, ask(&app, &new).await], [401, 200]);
}

#[tokio::test]
async fn without_usable_keys_there_is_no_start() {
    let source = |url: Option<String>, algorithm: &str, additional: &[&str]| KeySource {
        algorithm: algorithm.to_owned(),
        url,
        additional: additional.iter().map(|key| (*key).to_owned()).collect(),
        timeout: Duration::from_secs(5),
        look_every: Duration::from_secs(60),
    };
    assert!(HubKeys::load(source(None, "EdDSA", &[])).await.unwrap().is_none());
    assert!(HubKeys::load(source(Some("http://127.0.0.1:9".to_owned()), "", &[])).await.unwrap().is_none());
    for answer in [http("200 OK", "[]"), http("200 OK", "{}"), http("404 Not Found", "[]"), String::new()] {
        let hub = Hub::start(move |_, _| answer.clone());
        assert!(HubKeys::load(source(Some(hub.address.clone()), "EdDSA", &[])).await.is_err());
    }
    assert!(HubKeys::load(source(None, "none", &["x"])).await.is_err());
    assert!(HubKeys::load(source(None, "EdDSA", &["x"])).await.is_err());
}
