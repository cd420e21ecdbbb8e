//! Users, sessions and tokens, as programs that log in see them.

use belvedere_api::{AdminAccess, Passwords, TokenHash, ask_with};
use belvedere_domain::{Role, UserName};
use belvedere_store::{NewUser, UserChange};
use belvedere_testing::{Answer, Options, TestApp};
use serde_json::{Value as Json, json};

/// An app whose passwords are hashed cheaply and whose refusals come at once.
pub(crate) fn quick(options: &mut Options) {
    options.api.auth.passwords = Passwords::with_costs(8, 1);
    options.api.auth.refusal_step = std::time::Duration::ZERO;
    options.api.admin.own_token = Some(TokenHash::of("command line", "own"));
}

/// Adds a user whose password is `password of NAME`.
pub(crate) async fn add_user(app: &TestApp, name: &str, role: Role) {
    let password = Passwords::with_costs(8, 1).hash(&format!("password of {name}")).unwrap();
    let new = NewUser { name: UserName::new(name).unwrap(), password, role };
    app.services.store.users.add_user(new).await.unwrap().unwrap();
}

pub(crate) async fn send(app: &TestApp, method: &str, path: &str, token: &str, body: &Json) -> Answer {
    let authorization = format!("Bearer {token}");
    let headers = [("host", "viewer.test"), ("authorization", authorization.as_str())];
    ask_with(app.router(), method, path, &headers, body.to_string().into_bytes()).await
}

async fn post_form(app: &TestApp, kind: &str, body: &str) -> Answer {
    let headers = [("host", "viewer.test"), ("content-type", kind)];
    ask_with(app.router(), "POST", "/auth/login", &headers, body.as_bytes().to_vec()).await
}

pub(crate) async fn log_in(app: &TestApp, name: &str, password: &str) -> Answer {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("username", name)
        .append_pair("password", password)
        .finish();
    post_form(app, "application/x-www-form-urlencoded", &form).await
}

/// The session of a user whose password is `password of NAME`.
pub(crate) async fn session(app: &TestApp, name: &str) -> String {
    let answer = log_in(app, name, &format!("password of {name}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// A new token made with a session; the whole answer.
pub(crate) async fn token(app: &TestApp, session: &str, scopes: &[&str]) -> Json {
    let answer = send(app, "POST", "/auth/tokens", session, &json!({"name": "test", "scopes": scopes})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

async fn me(app: &TestApp, token: &str) -> Answer {
    send(app, "GET", "/auth/me", token, &Json::Null).await
}

async fn with_ana() -> TestApp {
    let app = TestApp::with(quick).await;
    add_user(&app, "ana", Role::User).await;
    app
}

#[tokio::test]
async fn a_login_begins_a_session() {
    for app in TestApp::everywhere(quick).await {
        add_user(&app, "ana", Role::Admin).await;
        let answer = log_in(&app, "ana", "password of ana").await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
        let body = answer.json();
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("bearer"), &json!(3600)));
        let session = body["access_token"].as_str().unwrap();
        let answer = me(&app, session).await;
        let body = answer.json();
        assert_eq!(answer.status, 200);
        assert_eq!((&body["name"], &body["role"]), (&json!("ana"), &json!("admin")));
        assert_eq!(body["scopes"], json!(["read", "tasks", "admin"]));
        assert!(!answer.text().contains("argon2"), "no hash is ever told");
        app.close().await;
    }
}

#[tokio::test]
async fn forms_come_in_two_encodings() {
    let app = with_ana().await;
    let parts = "--x\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nana\r\n\
                 --x\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\npassword of ana\r\n--x--\r\n";
    let answer = post_form(&app, "multipart/form-data; boundary=x", parts).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let form = "grant_type=password&username=ana&password=password+of+ana&scope=&client_id=";
    assert_eq!(post_form(&app, "application/x-www-form-urlencoded", form).await.status, 200);
    for (kind, body) in [
        ("application/x-www-form-urlencoded", ""),
        ("application/x-www-form-urlencoded", "username=ana"),
        ("application/x-www-form-urlencoded", "username=&password=x"),
        ("application/x-www-form-urlencoded", "grant_type=client_credentials&username=ana&password=password+of+ana"),
        ("multipart/form-data", parts),
        ("multipart/form-data; boundary=y", parts),
        ("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nana"),
        ("application/json", r#"{"username":"ana","password":"password of ana"}"#),
    ] {
        let answer = post_form(&app, kind, body).await;
        assert_eq!(answer.status, 422, "{kind} {body}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_session_ends_with_the_logout_the_password_and_the_user() {
    let app = with_ana().await;
    let (one, two) = (session(&app, "ana").await, session(&app, "ana").await);
    assert_eq!(send(&app, "POST", "/auth/logout", &one, &Json::Null).await.status, 204);
    let ended = me(&app, &one).await;
    assert_eq!((ended.status, ended.header("x-error-code")), (401, Some("LoginRequired")));
    assert_eq!(ended.header("www-authenticate"), Some("Bearer"));
    assert_eq!(me(&app, &two).await.status, 200, "the other one goes on");

    let wrong = json!({"old": "password of ben", "new": "another password"});
    assert_eq!(send(&app, "POST", "/auth/password", &two, &wrong).await.status, 401);
    let short = json!({"old": "password of ana", "new": "short"});
    assert_eq!(send(&app, "POST", "/auth/password", &two, &short).await.status, 422);
    let right = json!({"old": "password of ana", "new": "another password"});
    assert_eq!(send(&app, "POST", "/auth/password", &two, &right).await.status, 204);
    assert_eq!(me(&app, &two).await.status, 401);
    assert_eq!(log_in(&app, "ana", "password of ana").await.status, 401);
    let three = log_in(&app, "ana", "another password").await.json()["access_token"].as_str().unwrap().to_owned();

    let disabled = UserChange { disabled: Some(true), ..UserChange::default() };
    app.services.store.users.change_user(&UserName::new("ana").unwrap(), disabled).await.unwrap();
    assert_eq!(me(&app, &three).await.status, 401);
    assert_eq!(log_in(&app, "ana", "another password").await.status, 401);
}

#[tokio::test]
async fn imported_hashes_are_replaced_at_the_first_login() {
    let app = TestApp::with(quick).await;
    // The bcrypt hash of `password of ana` by libxcrypt, cost 4.
    let hash = "$2b$04$abcdefghijklmnopqrstuukh7qGtXHiVDNWfuk5abVPWkxbKjQT/O";
    let body = json!({"name": "ana", "password_hash": hash});
    let answer = send(&app, "POST", "/admin/users", "own", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let name = UserName::new("ana").unwrap();
    let stored = async || app.services.store.users.user(&name).await.unwrap().unwrap().1;
    assert_eq!(log_in(&app, "ana", "password of ben").await.status, 401);
    assert_eq!(stored().await, hash);
    let one = session(&app, "ana").await;
    assert!(stored().await.starts_with("$argon2id$"));
    assert_eq!(me(&app, &one).await.status, 200);
    session(&app, "ana").await;
    let answer = send(&app, "POST", "/admin/users", "own", &json!({"name": "ben", "password_hash": "x"})).await;
    assert_eq!(answer.status, 422);
}

#[tokio::test]
async fn tokens_are_shown_once_and_are_good_for_their_scopes() {
    let app = with_ana().await;
    add_user(&app, "ben", Role::User).await;
    let session = session(&app, "ana").await;
    let made = token(&app, &session, &["read:acme/*", "tasks"]).await;
    let (secret, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(secret.starts_with("bvt_"));
    let body = me(&app, secret).await.json();
    assert_eq!((&body["name"], &body["scopes"]), (&json!("ana"), &json!(["read:acme/*", "tasks"])));
    let listed = send(&app, "GET", "/auth/tokens", &session, &Json::Null).await.text();
    assert!(listed.contains(id) && !listed.contains(secret), "{listed}");
    // A token makes no other one and changes no password.
    let wider = json!({"name": "wider", "scopes": ["read"]});
    assert_eq!(send(&app, "POST", "/auth/tokens", secret, &wider).await.status, 403);
    let change = json!({"old": "password of ana", "new": "another password"});
    assert_eq!(send(&app, "POST", "/auth/password", secret, &change).await.status, 401);
    for odd in [
        json!({"name": "x", "scopes": []}),
        json!({"name": "x", "scopes": ["write"]}),
        json!({"name": "x", "scopes": ["admin"]}),
        json!({"name": "", "scopes": ["read"]}),
        json!({"name": "a\nb", "scopes": ["read"]}),
        json!({"name": "x", "scopes": ["read"], "lifetime_seconds": 0}),
        json!({"name": "x", "scopes": ["read"], "owner": "ben"}),
        json!({"name": "x", "scopes": ["read"], "more": 1}),
        json!({"name": "x"}),
        json!(["x"]),
    ] {
        let answer = send(&app, "POST", "/auth/tokens", &session, &odd).await;
        assert_eq!(answer.status, 422, "{odd}: {}", answer.text());
    }
    assert_eq!(send(&app, "DELETE", &format!("/auth/tokens/{id}"), secret, &Json::Null).await.status, 204);
    assert_eq!(me(&app, secret).await.status, 401);
}

/// e093 | somebody asks for tokens of others, or withdraws one | users reach their own only; others look as if they did not
/// exist
#[tokio::test]
async fn e093_tokens_of_others_are_out_of_reach() {
    for app in TestApp::everywhere(quick).await {
        add_user(&app, "ana", Role::User).await;
        add_user(&app, "ben", Role::User).await;
        let (ana, ben) = (session(&app, "ana").await, session(&app, "ben").await);
        let made = token(&app, &ana, &["read"]).await;
        let path = format!("/auth/tokens/{}", made["id"].as_str().unwrap());
        let foreign = send(&app, "DELETE", &path, &ben, &Json::Null).await;
        let missing = send(&app, "DELETE", "/auth/tokens/0000000000000000", &ben, &Json::Null).await;
        assert_eq!((foreign.status, foreign.text()), (404, missing.text()));
        assert_eq!(me(&app, made["token"].as_str().unwrap()).await.status, 200);
        assert_eq!(send(&app, "GET", "/auth/tokens", &ben, &Json::Null).await.json(), json!({"tokens": []}));
        for (method, path) in [
            ("GET", "/admin/users"),
            ("POST", "/admin/users"),
            ("PATCH", "/admin/users/ana"),
            ("DELETE", "/admin/users/ana"),
            ("GET", "/admin/tokens"),
            ("POST", "/admin/tokens"),
            ("DELETE", path.strip_prefix("/auth").map(|rest| format!("/admin{rest}")).unwrap().as_str()),
        ] {
            assert_eq!(send(&app, method, path, &ben, &json!({})).await.status, 404, "{method} {path}");
        }
        app.close().await;
    }
}

#[tokio::test]
async fn admins_operate_with_their_session_or_a_token_for_it() {
    for access in [AdminAccess::Machine, AdminAccess::Operators { tokens: Vec::new(), organization: None }] {
        let app = TestApp::with(|options| {
            quick(options);
            options.api.admin.access = access.clone();
        })
        .await;
        add_user(&app, "root", Role::Admin).await;
        add_user(&app, "ana", Role::User).await;
        let pending = async |token: &str| send(&app, "GET", "/admin/pending-jobs", token, &Json::Null).await.status;
        let (root, ana) = (session(&app, "root").await, session(&app, "ana").await);
        let operator = token(&app, &root, &["admin"]).await["token"].as_str().unwrap().to_owned();
        let reader = token(&app, &root, &["read", "tasks"]).await["token"].as_str().unwrap().to_owned();
        assert_eq!([pending(&root).await, pending(&operator).await], [200, 200]);
        assert_eq!([pending(&ana).await, pending(&reader).await], [404, 404]);
        assert_eq!(pending("bvt_0000").await, 401);
        // Who is no admin any more operates no more, whatever the token says.
        let demoted = UserChange { role: Some(Role::User), ..UserChange::default() };
        app.services.store.users.change_user(&UserName::new("root").unwrap(), demoted).await.unwrap();
        assert_eq!([pending(&root).await, pending(&operator).await], [401, 404]);
    }
}

#[tokio::test]
async fn users_are_made_by_admins_and_not_by_just_anybody_on_this_machine() {
    let app = TestApp::with(quick).await;
    let local = [("host", "localhost:8000")];
    assert_eq!(app.ask_as("GET", "/admin/pending-jobs", &local).await.status, 200);
    for (method, path) in [("GET", "/admin/users"), ("POST", "/admin/users"), ("GET", "/admin/tokens")] {
        assert_eq!(app.ask_as(method, path, &local).await.status, 401, "{method} {path}");
    }
    let new = json!({"name": "root", "password": "password of root", "role": "admin"});
    let made = send(&app, "POST", "/admin/users", "own", &new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(send(&app, "POST", "/admin/users", "own", &new).await.status, 409);
    let root = session(&app, "root").await;
    for odd in [
        json!({"name": "a b", "password": "12345678"}),
        json!({"name": "ana", "password": "1234567"}),
        json!({"name": "ana", "password": "x".repeat(1025)}),
        json!({"name": "ana"}),
        json!({"name": "ana", "password": "12345678", "password_hash": "x"}),
        json!({"name": "ana", "password": "12345678", "role": "root"}),
        json!({"name": "ana", "password": "12345678", "admin": true}),
    ] {
        let answer = send(&app, "POST", "/admin/users", &root, &odd).await;
        assert_eq!(answer.status, 422, "{odd}: {}", answer.text());
    }
    assert_eq!(
        send(&app, "POST", "/admin/users", &root, &json!({"name": "ana", "password": "password of ana"})).await.status,
        201
    );
    let ana = session(&app, "ana").await;
    let changed = send(&app, "PATCH", "/admin/users/ana", &root, &json!({"disabled": true})).await;
    assert_eq!((changed.status, &changed.json()["disabled"]), (200, &json!(true)));
    assert_eq!(me(&app, &ana).await.status, 401);
    for (path, body, status) in [
        ("/admin/users/ana", json!({}), 422),
        ("/admin/users/ana", json!({"role": "boss"}), 422),
        ("/admin/users/nobody", json!({"disabled": true}), 404),
        ("/admin/users/a%20b", json!({"disabled": true}), 422),
    ] {
        assert_eq!(send(&app, "PATCH", path, &root, &body).await.status, status, "{path} {body}");
    }
    let token = json!({"owner": "root", "name": "deploy", "scopes": ["admin"], "lifetime_seconds": 60});
    let made = send(&app, "POST", "/admin/tokens", &root, &token).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(send(&app, "DELETE", &format!("/admin/tokens/{id}"), &root, &Json::Null).await.status, 204);
    assert_eq!(send(&app, "DELETE", "/admin/tokens/none", &root, &Json::Null).await.status, 404);
    assert_eq!(send(&app, "DELETE", "/admin/users/ana", &root, &Json::Null).await.status, 204);
    assert_eq!(send(&app, "DELETE", "/admin/users/ana", &root, &Json::Null).await.status, 404);
}
