//! A server that answers by TLS alone, asked by clients and by its own command line; and a task run through it.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Server, folder, program, run};

const WINE: (&str, &[u8]) = ("data/wine/a.csv", b"alcohol,class\n13.2,1\n12.4,2\n11.9,2\n");
const SCRIPT: (&str, &[u8]) =
    ("count.sh", b"echo \"lr $(cat $TASK_PARAMS)\"; wc -c <\"$TASK_INPUT\" >\"$TASK_OUTPUT/size\"\n");

fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=viewer.example.org", "-addext", "subjectAltName=DNS:viewer.example.org,DNS:localhost"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Body, status and trouble of a question to a server with that certificate.
fn ask(folder: &Path, host: &str, port: &str, path: &str) -> String {
    let resolve = format!("{host}:{port}:127.0.0.1,[::1]");
    let asked = Command::new("curl")
        .args(["--silent", "--show-error", "--cacert", "cert.pem", "--resolve", &resolve, "--max-time", "30"])
        .args(["--write-out", " %{http_code}"])
        .arg(format!("https://{host}:{port}{path}"))
        .current_dir(folder)
        .output()
        .expect("curl");
    [asked.stdout, asked.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).join("\n")
}

#[test]
fn an_admin_service_with_a_port_of_its_own_answers_by_tls_there() {
    let data = folder(&[WINE]);
    certificate(data.path());
    let arguments = ["serve", "data", "--port", "0", "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let own_port = ("ADMIN_UVICORN_PORT", "0");
    let mut server = Server::start(program(data.path(), &[own_port], &arguments), "listening on ");
    server.wait_for("the admin service is at ");
    let port_after = |marker: &str| -> String {
        let rest = server.told.iter().find_map(|line| line.split_once(marker)).expect("it was told").1;
        rest.trim_end_matches("/admin").rsplit(':').next().expect("a port").trim().to_owned()
    };
    let (public, admin) = (port_after("listening on https://"), port_after("the admin service is at https://"));
    assert_ne!(public, admin);
    // Without a login it answers those who call it by a name of this machine.
    let told = ask(data.path(), "localhost", &admin, "/admin/pending-jobs");
    assert!(told.contains(" 200"), "{told}");
    assert!(ask(data.path(), "localhost", &public, "/healthcheck").contains(" 200"));
    // Neither answers what is the other's, and neither answers without TLS.
    assert!(ask(data.path(), "localhost", &public, "/admin/pending-jobs").contains(" 404"));
    assert!(ask(data.path(), "localhost", &admin, "/splits?dataset=local/wine").contains(" 404"));
    for port in [&public, &admin] {
        let mut stream = std::net::TcpStream::connect(format!("localhost:{port}")).expect("it listens");
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("a time limit");
        std::io::Write::write_all(&mut stream, b"GET /healthcheck HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        let mut answer = Vec::new();
        // Whether it says so or just ends the connection is its business.
        let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
        assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));
    }
    // The command line finds it through the note that the server keeps, and trusts what it finds there.
    let status = run(data.path(), &[own_port], &["admin", "pending"]);
    assert!(status.starts_with("exit code: 0"), "{status}");
    server.stop(rustix::process::Signal::INT);
}

#[test]
fn the_command_line_reaches_a_server_with_a_certificate() {
    let data = folder(&[WINE, SCRIPT]);
    let at = |arguments: &[&str]| run(data.path(), &[], arguments);
    let alone = at(&["serve", "data", "--port", "0", "--tls-cert", "cert.pem"]);
    assert!(alone.starts_with("exit code: 2") && alone.contains("--tls-key"), "{alone}");
    let missing = at(&["serve", "data", "--port", "0", "--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    assert!(missing.starts_with("exit code: 2") && missing.contains("holds nothing that can be used"), "{missing}");
    certificate(data.path());
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(data.path(), open).expect("permissions");
    let arguments = ["serve", "data", "--port", "0", "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let mut server = Server::start(program(data.path(), &[], &arguments), "listening on ");
    server.wait_for("Ctrl-C stops");
    let told = server.told.iter().find_map(|line| line.split_once("listening on https://localhost:"));
    let port = told.expect("an address of TLS").1.trim();
    let said = ask(data.path(), "viewer.example.org", port, "/splits?dataset=local/wine");
    assert!(said.contains("\"split\":\"train\""), "{said}");

    let rows = ["--dataset", "local/wine/default/train", "--where", "\"class\" = 2"];
    let followed = at(&[&["task", "run", "count.sh", "--follow", "--param", "n=3"][..], &rows[..]].concat());
    assert!(followed.starts_with("exit code: 0") && followed.contains("lr {\"n\":3}"), "{followed}");
    let swept = at(&["task", "run", "count.sh", "--sweep", "lr=0.1,0.2", "--json"]);
    assert!(swept.starts_with("exit code: 0") && swept.contains("\"size\": 2"), "{swept}");
    let listed = at(&["task", "list", "--dataset", "local/wine"]);
    assert_eq!(listed.matches("succeeded").count(), 1, "{listed}");
    let cleaned = at(&["task", "clean", "--older-than", "0m", "--dry-run"]);
    assert!(cleaned.starts_with("exit code: 0") && cleaned.contains("Nothing was removed"), "{cleaned}");
    server.stop(rustix::process::Signal::INT);
}
