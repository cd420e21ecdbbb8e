//! `belvedere user …` and `belvedere token …`: with a running server and without one, and what they open.

mod common;

use std::io::Write;
use std::process::Stdio;

use common::{Server, folder, program, run};
use serde_json::Value as Json;

const BIRDS: (&str, &[u8]) = ("data/birds/a.csv", b"name,weight\nrobin,18\nwren,9\n");
const PASSWORD: (&str, &[u8]) = ("password", b"correct horse\n");

/// Standard output of a run that went well.
fn done(output: &str) -> String {
    let (told, rest) = output.split_once("\n--- stderr").expect("a run");
    let told = told.strip_prefix("exit code: 0\n--- stdout\n");
    told.unwrap_or_else(|| panic!("{output}{rest}")).to_owned()
}

fn json(output: &str) -> Json {
    serde_json::from_str(&done(output)).expect("JSON")
}

/// Status and body of an answer to a form, or to nothing.
fn ask(server: &Server, path: &str, form: Option<&[(&str, &str)]>, token: Option<&str>) -> (u16, Json) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let url = format!("http://{}{path}", server.address);
    let authorization = token.map(|token| format!("Bearer {token}")).unwrap_or_default();
    let mut answer = match form {
        Some(form) => {
            let fields = form.iter().map(|(name, value)| (*name, value.replace(' ', "+")));
            let body: Vec<String> = fields.map(|(name, value)| format!("{name}={value}")).collect();
            let request = agent.post(&url).header("authorization", &authorization);
            request.content_type("application/x-www-form-urlencoded").send(body.join("&")).expect("an answer")
        }
        None => agent.get(&url).header("authorization", &authorization).call().expect("an answer"),
    };
    let body = answer.body_mut().read_to_string().expect("a text");
    (answer.status().as_u16(), serde_json::from_str(&body).unwrap_or_default())
}

#[test]
fn an_admin_opens_a_server_to_other_machines_and_logs_in() {
    let data = folder(&[BIRDS, PASSWORD]);
    let at = |arguments: &[&str]| run(data.path(), &[], arguments);
    let reachable = ["serve", "data", "--port", "0", "--host", "0.0.0.0"];
    let refused = at(&reachable);
    assert!(refused.starts_with("exit code: 2") && refused.contains("belvedere user add NAME --admin"), "{refused}");

    // Without a server, the database is opened.
    assert_eq!(done(&at(&["user", "add", "ana", "--admin", "--password-file", "password"])), "ana added");
    let again = at(&["user", "add", "ana", "--password-file", "password"]);
    assert!(again.starts_with("exit code: 2") && again.contains("There is a user ana already."), "{again}");

    let mut server = Server::start(program(data.path(), &[], &reachable), "listening on ");
    server.address = server.address.replace("0.0.0.0", "127.0.0.1");
    server.wait_for("Ctrl-C stops");
    let form = [("username", "ana"), ("password", "correct horse")];
    let (status, body) = ask(&server, "/auth/login", Some(&form), None);
    assert_eq!(status, 200, "{body}");
    let session = body["access_token"].as_str().expect("a token");
    assert_eq!(ask(&server, "/admin/pending-jobs", None, None).0, 401);
    assert_eq!(ask(&server, "/admin/pending-jobs", None, Some(session)).0, 200);

    // With one, it is asked.
    let made = json(&at(&["token", "create", "deploy", "--user", "ana", "--scope", "admin", "--days", "1", "--json"]));
    let (token, id) = (made["token"].as_str().expect("a token"), made["id"].as_str().expect("an id"));
    assert_eq!(ask(&server, "/admin/pending-jobs", None, Some(token)).0, 200);
    let listed = done(&at(&["token", "list"]));
    assert!(listed.contains(id) && listed.contains("deploy") && !listed.contains(token), "{listed}");
    assert_eq!(done(&at(&["token", "revoke", id])), format!("{id} withdrawn"));
    assert_eq!(ask(&server, "/admin/pending-jobs", None, Some(token)).0, 401);

    assert_eq!(done(&at(&["user", "disable", "ana"])), "ana is not admitted any more");
    assert_eq!(ask(&server, "/admin/pending-jobs", None, Some(session)).0, 401);
    assert_eq!(done(&at(&["user", "enable", "ana"])), "ana is admitted");
    assert_eq!(ask(&server, "/auth/login", Some(&form), None).0, 200);
    assert_eq!(done(&at(&["user", "role", "ana", "user"])), "ana changed");
    let listed = json(&at(&["user", "list", "--json"]));
    assert_eq!((&listed["users"][0]["name"], &listed["users"][0]["role"]), (&"ana".into(), &"user".into()));
    assert!(!listed.to_string().contains("argon2"));
    assert_eq!(done(&at(&["user", "remove", "ana"])), "ana removed");
    assert_eq!(ask(&server, "/auth/login", Some(&form), None).0, 401);
}

#[test]
fn passwords_come_from_standard_input_and_imports_from_a_file() {
    // The first hash is libxcrypt's of `password of ana`.
    let import = b"# users\nana:$2b$04$abcdefghijklmnopqrstuukh7qGtXHiVDNWfuk5abVPWkxbKjQT/O\n\nben:secret\n";
    let data = folder(&[BIRDS, ("users.htpasswd", import)]);
    let mut add = program(data.path(), &[], &["user", "add", "zoe"]);
    let mut child = add.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program was built");
    child.stdin.take().expect("piped").write_all(b"correct horse\n").expect("it reads");
    assert!(child.wait_with_output().expect("it ends").status.success());

    let imported = run(data.path(), &[], &["user", "import", "users.htpasswd"]);
    assert!(imported.starts_with("exit code: 1\n--- stdout\nana added\nline 4: ben not added: "), "{imported}");
    assert!(!imported.contains("secret"), "{imported}");

    let server = Server::start(program(data.path(), &[], &["serve", "data", "--port", "0"]), "listening on ");
    for (name, password, status) in [
        ("zoe", "correct horse", 200),
        ("ana", "password of ana", 200),
        ("ana", "password of ana", 200),
        ("ben", "secret", 401),
    ] {
        let form = [("username", name), ("password", password)];
        assert_eq!(ask(&server, "/auth/login", Some(&form), None).0, status, "{name}");
    }
}
