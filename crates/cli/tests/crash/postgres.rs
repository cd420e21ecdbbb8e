//! PostgreSQL: a database for each test, and a whole server for the test that restarts it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use belvedere_store::Store;
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::{Client, NoTls};

use crate::history;
use crate::process::children_of;

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
        connect(&url).await.batch_execute(history::POSTGRESQL).await.unwrap();
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
        Self::start_with(|_| Vec::new())
    }

    /// Starts one with variables that are made from a folder which it may read.
    pub(crate) fn start_with(variables: impl FnOnce(&Path) -> Vec<(String, String)>) -> Option<Self> {
        program("initdb")?;
        let folder = tempfile::Builder::new().prefix("belvedere-crash.").tempdir().unwrap();
        // The server runs as another user when the test runs as root.
        Command::new("chmod").arg("755").arg(folder.path()).status().unwrap();
        let variables = variables(folder.path());
        let output = script("start", &folder.path().join("server"), &variables);
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

    /// Sends a signal to the server and to every process that serves a connection.
    pub(crate) fn signal(&self, signal: Signal) {
        let told = std::fs::read_to_string(self.folder.path().join("server/data/postmaster.pid")).unwrap_or_default();
        let Some(main) = told.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw) else {
            return;
        };
        // It may have ended, and so may its children.
        let _ = kill_process(main, signal);
        for child in children_of(main) {
            let _ = kill_process(child, signal);
        }
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
        let status = command.args(arguments).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.unwrap().success(), "pg_ctl {arguments:?} failed");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What stands still cannot stop.
        self.signal(Signal::CONT);
        script("stop", &self.folder.path().join("server"), &[]);
    }
}

fn script(action: &str, folder: &Path, variables: &[(String, String)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/postgres.sh");
    let mut command = Command::new("bash");
    command.arg(path).arg(action).arg(folder);
    let variables: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let output = command.env("POSTGRES_ENV", variables.join(" ")).output().unwrap();
    assert!(output.status.success(), "{action}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A program of the newest installed server.
fn program(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
    let mut found: Vec<_> =
        versions.map(|entry| entry.path().join("bin").join(name)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop()
}
