//! What somebody may try who wants more than they may: forged sessions, guessed passwords, hostile headers and names.

use belvedere_api::{HubKeys, KeySource, ask_with};
use belvedere_auth::Sessions;
use belvedere_domain::{Role, UserName};
use belvedere_store::UserChange;
use belvedere_testing::{Answer, TestApp};
use serde_json::{Value as Json, json};

use super::accounts::{add_user, log_in, quick, send, session};
use super::reading::{ask_as, guarded, keys};
use super::{BIRDS, outcome};

async fn me(app: &TestApp, token: &str) -> Answer {
    send(app, "GET", "/auth/me", token, &Json::Null).await
}

/// The secret that signs sessions, as somebody would have it who broke into the database.
async fn sessions(app: &TestApp) -> Sessions {
    let secret = app.services.store.users.shared_secret("sessions", &[0; 32]).await.unwrap();
    Sessions::new(&secret, 3600)
}

/// e091 | a session is forged: `alg` is `none` or another one, `exp` is a text, missing or over, `iat` lies ahead, it is for another audience or issuer, was ended, or its user is gone, disabled or made again | 401 each; there is one algorithm, whatever a token says
#[tokio::test]
async fn e091_forged_and_ended_sessions_are_refused() {
    let app = TestApp::with(quick).await;
    add_user(&app, "ana", Role::Admin).await;
    let good = session(&app, "ana").await;
    let id = me(&app, &good).await.json()["id"].clone();
    let now = chrono::Utc::now().timestamp();
    let claims = json!({"iss": "belvedere", "aud": "belvedere", "sub": "ana", "uid": id, "ver": 1, "iat": now,
                        "exp": now + 60, "jti": "forged"});
    let sessions = sessions(&app).await;
    assert_eq!(me(&app, &sessions.sign(&claims)).await.status, 200, "signed with the secret, it is one");
    let with = |name: &str, value: Json| {
        let mut claims = claims.clone();
        match value {
            Json::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        sessions.sign(&claims)
    };
    let rs = keys::Pair::new();
    let hs = keys::unsigned(r#"{"alg":"HS256","typ":"JWT"}"#, &claims);
    let none = keys::unsigned(r#"{"alg":"none"}"#, &claims);
    let mac = |secret: &[u8], text: &str| {
        ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret), text.as_bytes()).as_ref().to_vec()
    };
    let hs512 = keys::unsigned(r#"{"alg":"HS512"}"#, &claims);
    let forged = [
        ("alg none", keys::signed(&none, b"")),
        ("alg none, signed", keys::signed(&none, &mac(&[0; 32], &none))),
        ("no signature", format!("{hs}.")),
        ("another secret", keys::signed(&hs, &mac(&[0; 32], &hs))),
        ("empty secret", keys::signed(&hs, &mac(b"", &hs))),
        ("a public key as the secret", keys::signed(&hs, &mac(rs.public(), &hs))),
        ("another algorithm", rs.sign(&claims)),
        ("another hash", keys::signed(&hs512, &mac(&[0; 32], &hs512))),
        ("exp as text", with("exp", json!((now + 60).to_string()))),
        ("no exp", with("exp", Json::Null)),
        ("exp is over", with("exp", json!(now - 60))),
        ("iat lies ahead", with("iat", json!(now + 3600))),
        ("no iat", with("iat", Json::Null)),
        ("another audience", with("aud", json!("elsewhere"))),
        ("several audiences", with("aud", json!(["belvedere", "elsewhere"]))),
        ("no jti", with("jti", Json::Null)),
        ("another user", with("uid", json!(4711))),
        ("an older version", with("ver", json!(0))),
    ];
    for (what, token) in &forged {
        let answer = me(&app, token).await;
        assert_eq!((answer.status, answer.header("x-error-code")), (401, Some("LoginRequired")), "{what}");
        let admin = send(&app, "GET", "/admin/pending-jobs", token, &Json::Null).await;
        assert_eq!(admin.status, 401, "{what}");
    }
    assert_eq!(me(&app, &with("iss", json!("elsewhere"))).await.status, 401, "another issuer");

    assert_eq!(send(&app, "POST", "/auth/logout", &good, &Json::Null).await.status, 204);
    assert_eq!(me(&app, &good).await.status, 401, "ended");
    let good = session(&app, "ana").await;
    let (users, name) = (&app.services.store.users, UserName::new("ana").unwrap());
    users.change_user(&name, UserChange { disabled: Some(true), ..UserChange::default() }).await.unwrap();
    assert_eq!(me(&app, &good).await.status, 401, "disabled");
    users.remove_user(&name).await.unwrap();
    assert_eq!(me(&app, &good).await.status, 401, "gone");
    add_user(&app, "ana", Role::Admin).await;
    assert_eq!(me(&app, &good).await.status, 401, "made again");
}

/// e091 | a signed token of the Hub is forged, over, not good yet, or for another dataset or audience | 401 with the code of its reason; only a wrong signature makes the next key be tried
#[tokio::test]
async fn e091_forged_tokens_of_the_hub_are_refused() {
    let pair = keys::Pair::new();
    let der = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00], pair.public()].concat();
    let base64 = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, der);
    let source = KeySource {
        algorithm: "EdDSA".to_owned(),
        url: None,
        additional: vec![format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----")],
        timeout: std::time::Duration::from_secs(1),
        look_every: std::time::Duration::from_secs(60),
    };
    let keys_loaded = HubKeys::load(source).await.unwrap();
    let app = TestApp::with(|options| options.api.reading.keys = keys_loaded).await;
    app.write("data/birds.csv", BIRDS);
    app.settle().await;
    let claims = json!({"sub": "datasets/local/data", "permissions": {"repo.read": true}, "exp": 4_102_444_800_i64});
    let with = |name: &str, value: Json| {
        let mut claims = claims.clone();
        claims[name] = value;
        pair.sign(&claims)
    };
    let ask = async |token: &str| app.ask("GET", "/splits?dataset=local/data", &[("x-api-key", token)]).await;
    assert_eq!(ask(&pair.sign(&claims)).await.status, 200);
    let none = keys::signed(&keys::unsigned(r#"{"alg":"none"}"#, &claims), b"");
    let hs = keys::unsigned(r#"{"alg":"HS256"}"#, &claims);
    let mac = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, pair.public()), hs.as_bytes());
    for (token, code) in [
        (none, "JWTInvalidKeyOrAlgorithm"),
        (keys::signed(&hs, mac.as_ref()), "JWTInvalidKeyOrAlgorithm"),
        (keys::Pair::new().sign(&claims), "JWTInvalidSignature"),
        ("garbage".to_owned(), "JWTInvalidSignature"),
        (with("exp", json!("4102444800")), "JWTMissingRequiredClaim"),
        (with("exp", Json::Null), "JWTMissingRequiredClaim"),
        (with("exp", json!(1)), "JWTExpiredSignature"),
        (with("iat", json!(4_102_444_700_i64)), "JWTExpiredSignature"),
        (with("aud", json!("elsewhere")), "JWTInvalidClaimSub"),
        (with("sub", json!("datasets/local/other")), "JWTInvalidClaimSub"),
        (with("permissions", json!({"repo.read": "true"})), "JWTInvalidClaimRead"),
        (with("permissions", json!("repo.read")), "JWTMissingRequiredClaim"),
    ] {
        let answer = ask(&token).await;
        assert_eq!((answer.status, answer.header("x-error-code")), (401, Some(code)), "{}", answer.text());
    }
}

/// e092 | passwords are guessed; a password has a megabyte; the user does not exist | after five failures of one address for one user 429 with `Retry-After`, without looking at the password; 413 or 422; the same answer after as many hashes, at a multiple of half a second
#[tokio::test]
async fn e092_guessing_passwords_is_slow_and_tells_nothing() {
    let app = TestApp::with(quick).await;
    for name in ["ana", "ben", "zoe"] {
        add_user(&app, name, Role::User).await;
    }
    let disabled = UserChange { disabled: Some(true), ..UserChange::default() };
    app.services.store.users.change_user(&UserName::new("zoe").unwrap(), disabled).await.unwrap();
    let whole = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        headers.remove("x-request-id");
        (answer.status, headers, answer.text())
    };
    let wrong = log_in(&app, "ana", "guess").await;
    assert_eq!(outcome(&wrong), "401 LoginRequired: The user name or the password is wrong.");
    for (name, password) in
        [("nobody", "guess"), ("zoe", "password of zoe"), ("zoe", "guess"), ("a'; --", "guess"), ("ANA", "guess")]
    {
        assert_eq!(whole(&log_in(&app, name, password).await), whole(&wrong), "{name}");
    }
    for _ in 0..4 {
        assert_eq!(log_in(&app, "ana", "guess").await.status, 401);
    }
    for password in ["guess", "password of ana"] {
        let refused = log_in(&app, "ana", password).await;
        assert_eq!((refused.status, refused.header("x-error-code")), (429, Some("TooManyAttempts")));
        assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() <= 30);
    }
    assert_eq!(log_in(&app, "ben", "password of ben").await.status, 200, "others log in");
    let long = log_in(&app, "ben", &"x".repeat(1025)).await;
    assert_eq!(long.status, 422, "{}", long.text());
    let huge = log_in(&app, "ben", &"x".repeat(1 << 20)).await;
    assert!([413, 422].contains(&huge.status), "{}", huge.status);
    // Guesses from one address for many users.
    let mut answers = Vec::new();
    for n in 0..30 {
        answers.push(log_in(&app, &format!("user{n}"), "guess").await.status);
    }
    assert!(answers.contains(&429) && answers.iter().all(|status| [401, 429].contains(status)), "{answers:?}");
}

/// e092 | many try passwords at the same moment | no more than the allowance of failures gets to a password
#[tokio::test]
async fn e092_guesses_at_the_same_moment_are_counted() {
    let app = TestApp::with(quick).await;
    add_user(&app, "ana", Role::User).await;
    let guesses = (0..40).map(|_| log_in(&app, "ana", "guess"));
    let answers = futures::future::join_all(guesses).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(looked_at, 5);
    assert!(answers.iter().all(|answer| [401, 429].contains(&answer.status)));
}

/// e094 | a page of another origin asks, with a preflight, in the name of a user | nothing about users and operators is allowed to it; public data is, as the protocol has it, but a page's browser sends no credentials of ours by itself
#[tokio::test]
async fn e094_pages_of_other_origins_get_public_data_only() {
    let app = guarded().await;
    let token = session(&app, "ana").await;
    let bearer = format!("Bearer {token}");
    let evil = ("origin", "https://evil.example");
    for (method, path) in [
        ("POST", "/auth/login"),
        ("POST", "/auth/logout"),
        ("GET", "/auth/me"),
        ("POST", "/auth/tokens"),
        ("GET", "/admin/users"),
        ("GET", "/admin/pending-jobs"),
    ] {
        let wanted =
            [evil, ("access-control-request-method", method), ("access-control-request-headers", "authorization")];
        let preflight = app.ask("OPTIONS", path, &wanted).await;
        assert_eq!(preflight.header("access-control-allow-origin"), None, "{path}");
        let asked = app.ask(method, path, &[evil, ("authorization", &bearer)]).await;
        assert_eq!(asked.header("access-control-allow-origin"), None, "{path}");
    }
    // Cookies are nothing here: a browser cannot be made to act for its user.
    let path = "/rows?dataset=local/secret&config=default&split=train";
    let cookie = app.ask("GET", path, &[evil, ("cookie", &format!("token={token}; access_token={token}"))]).await;
    assert_eq!(cookie.status, 401);
    assert_eq!(app.get(&format!("{path}&token={token}&access_token={token}")).await.status, 401, "nor is the address");
    for odd in ["null", "https://evil.example", "javascript:1"] {
        let open = app.ask("GET", "/splits?dataset=local/data", &[("origin", odd)]).await;
        assert_eq!((open.status, open.header("access-control-allow-origin")), (200, Some(odd)));
    }
}

/// e094 | `Host` names another machine, or holds markup | the admin service without a login refuses; links in answers hold a legal host, or `localhost`
#[tokio::test]
async fn e094_a_forged_host_opens_nothing_and_is_not_repeated() {
    let app = TestApp::with_file("birds.csv", BIRDS).await;
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "evil\"><script>", ""] {
        let admin = app.ask_as("GET", "/admin/pending-jobs", &[("host", host)]).await;
        assert_eq!(admin.status, 401, "{host}");
        let answer = app.ask_as("GET", "/parquet?dataset=local/data", &[("host", host)]).await;
        let url = answer.json()["parquet_files"][0]["url"].as_str().unwrap().to_owned();
        assert!(!url.contains(['<', '"', '@']), "{host}: {url}");
    }
    let admin =
        app.ask_as("GET", "/admin/pending-jobs", &[("host", "localhost"), ("x-forwarded-for", "10.0.0.1")]).await;
    assert_eq!(admin.status, 401);
}

/// e095 | names of splits and files hold line breaks, quotes and letters of other scripts | file names are encoded as RFC 6266 says, and no header is added
#[tokio::test]
async fn e095_names_cannot_add_headers() {
    let app = TestApp::new().await;
    let nasty = "züge \"a\";x=y.csv";
    app.write(&format!("data/{nasty}"), BIRDS);
    app.write(
        "more/README.md",
        "---\nconfigs:\n- config_name: \"a\\r\\nX-Evil: 1; ü\\\"\"\n  data_files: birds.csv\n---\n",
    );
    app.write("more/birds.csv", BIRDS);
    app.settle().await;
    let encoded =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    let file = app.get(&format!("/datasets/local/data/resolve/main/{}", encoded(nasty))).await;
    assert_eq!(file.status, 200, "{}", file.text());
    assert_eq!(file.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    let injected = app.get("/datasets/local/data/resolve/main/a%0D%0AX-Evil:%201.csv").await;
    assert_eq!((injected.status, injected.header("x-evil")), (404, None));
    let config = "a\r\nX-Evil: 1; ü\"";
    let splits = app.get("/splits?dataset=local/more").await.json();
    for name in [config, "default"] {
        let path = format!("/rows?dataset=local/more&config={}&split=train&format=csv", encoded(name));
        let answer = app.get(&path).await;
        assert_eq!(answer.header("x-evil"), None, "{splits}");
        if let Some(disposition) = answer.header("content-disposition") {
            let (plain, coded) = disposition.split_once("; filename*=UTF-8''").unwrap_or((disposition, ""));
            assert!(plain.starts_with("attachment; filename=\"") && plain.matches('"').count() == 2, "{disposition}");
            assert!(coded.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'%'), "{disposition}");
        }
    }
    let login = ask_with(
        app.router(),
        "POST",
        "/auth/login",
        &[("host", "viewer.test"), ("content-type", "application/x-www-form-urlencoded")],
        b"username=a%0D%0AX-Evil:+1&password=guess".to_vec(),
    )
    .await;
    assert_eq!((login.status, login.header("x-evil")), (401, None));
    // Only words of ours, and ids, get into other headers.
    let token = ask_as(&app, "bvt_a b\u{e9}", "/splits?dataset=local/data").await;
    assert!([401, 200].contains(&token.status));
}
