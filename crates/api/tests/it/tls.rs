//! TLS, as clients meet it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use belvedere_api::{Tls, serve_tls};
use belvedere_testing::TestApp;
use tokio_util::sync::CancellationToken;

/// A certificate for `localhost` that nobody has signed but itself.
fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args([Path::new("-keyout"), &key, Path::new("-out"), &cert])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (cert, key)
}

/// Asks by curl, which trusts this certificate alone: exit code, and what it printed.
fn curl(address: SocketAddr, trusted: Option<&Path>, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20"]).args(arguments);
    if let Some(trusted) = trusted {
        command.arg("--cacert").arg(trusted);
    }
    let resolve = format!("localhost:{}:{}", address.port(), address.ip());
    let output = command
        .args(["--resolve", &resolve, &format!("https://localhost:{}/healthcheck", address.port())])
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_encrypted_and_nothing_else_is_answered() {
    let app = TestApp::new().await;
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tls, stop) = (Arc::new(Tls::load(&cert, &key).unwrap()), CancellationToken::new());
    let served = tokio::spawn(serve_tls(listener, tls, app.router().clone(), stop.clone()));
    let asked = tokio::task::spawn_blocking(move || {
        // Somebody connects and says nothing; others are served all the same.
        let silent = TcpStream::connect(address).unwrap();
        assert_eq!(curl(address, Some(&cert), &["--http1.1"]), (0, "ok".to_owned()));
        let version = ["--http2", "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}"];
        assert_eq!(curl(address, Some(&cert), &version), (0, "2 200".to_owned()));
        // A certificate that the client does not trust (curl's exit code 60).
        assert_eq!(curl(address, None, &[]).0, 60);
        let mut plain = TcpStream::connect(address).unwrap();
        plain.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        plain.write_all(b"GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut said = Vec::new();
        let _ = plain.read_to_end(&mut said);
        assert!(!String::from_utf8_lossy(&said).contains("HTTP/"), "{said:?}");
        drop(silent);
    });
    asked.await.unwrap();
    stop.cancel();
    served.await.unwrap().unwrap();
}
