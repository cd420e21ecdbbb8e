//! PostgreSQL: a database for each test, and a whole server for the test that restarts it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use belvedere_store::Store;
use tokio_postgres::{Client, NoTls};

use crate::history;

/// A database of a test's own.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) store: Store,
    server: String,
    name: String,
}

impl Database {
    /// Makes it, with schema and history.
    pub(crate) async fn create(server: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("crash_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let client = connect(server).await;
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        // Servers for tests may be set up to lose what was committed last; here that is to be seen.
        client.batch_execute(&format!("ALTER DATABASE {name} SET synchronous_commit = on")).await.unwrap();
        let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
        let store = Store::connect(&url).await.unwrap();
        connect(&url).await.batch_execute(history::RECORD).await.unwrap();
        Self { url, store, server: server.to_owned(), name }
    }

    /// A connection of the test's own.
    pub(crate) async fn client(&self) -> Client {
        connect(&self.url).await
    }

    /// Removes the database of a test that went well.
    pub(crate) async fn remove(self) {
        drop(self.store);
        let client = connect(&self.server).await;
        client.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await.unwrap();
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A server of the test's own, stopped and deleted when it is dropped.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    pub(crate) url: String,
}

impl Server {
    /// Starts one. `None` where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        program("initdb")?;
        let folder = tempfile::Builder::new().prefix("belvedere-crash.").tempdir().unwrap();
        // The server runs as another user when the test runs as root.
        Command::new("chmod").arg("755").arg(folder.path()).status().unwrap();
        let output = script("start", &folder.path().join("server"));
        let url = output.trim().to_owned();
        assert!(url.starts_with("postgres://"), "{url}");
        Some(Self { folder, url })
    }

    /// `pg_ctl stop`.
    pub(crate) fn stop(&self, mode: &str) {
        self.control(&["--mode", mode, "stop"]);
    }

    /// `pg_ctl start` on the same port.
    pub(crate) fn start_again(&self) {
        // A restart takes the options of the last start.
        self.control(&["restart"]);
    }

    fn control(&self, arguments: &[&str]) {
        let data = self.folder.path().join("server/data");
        let mut command = if rustix::process::getuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program("pg_ctl").unwrap());
            command
        } else {
            Command::new(program("pg_ctl").unwrap())
        };
        let log = data.join("server.log");
        command.args(["--silent", "--wait", "--timeout=60", "--pgdata"]).arg(&data).arg("--log").arg(log);
        // The server keeps what it inherits open; nobody may wait for the end of that.
        let status = command.args(arguments).current_dir("/").stdout(std::process::Stdio::null()).status().unwrap();
        assert!(status.success(), "pg_ctl {arguments:?} failed");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script("stop", &self.folder.path().join("server"));
    }
}

fn script(action: &str, folder: &Path) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/postgres.sh");
    let output = Command::new("bash").arg(path).arg(action).arg(folder).stderr(std::process::Stdio::null()).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

/// A program of the newest installed server.
fn program(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
    let mut found: Vec<_> =
        versions.map(|entry| entry.path().join("bin").join(name)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop()
}
