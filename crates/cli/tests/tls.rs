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
        .args(["-subj", "/CN=viewer.example.org", "-addext", "subjectAltName=DNS:viewer.example.org"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
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
    let resolve = format!("viewer.example.org:{port}:127.0.0.1");
    let asked = Command::new("curl")
        .args(["--silent", "--show-error", "--cacert", "cert.pem", "--resolve", &resolve, "--max-time", "30"])
        .arg(format!("https://viewer.example.org:{port}/splits?dataset=local/wine"))
        .current_dir(data.path())
        .output()
        .expect("curl");
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(said.contains("\"split\":\"train\""), "{said} {}", String::from_utf8_lossy(&asked.stderr));

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
