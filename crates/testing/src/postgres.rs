//! A PostgreSQL database for one test.

use std::sync::atomic::{AtomicU32, Ordering};

/// A database of its own on the server that `BELVEDERE_TEST_POSTGRES_URL` names.
pub(crate) struct Database {
    server: tokio_postgres::Client,
    name: String,
    /// Where it is.
    pub(crate) url: String,
}

impl Database {
    /// `None` when no server is named.
    pub(crate) async fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server_url = std::env::var("BELVEDERE_TEST_POSTGRES_URL").ok()?;
        let (server, connection) =
            tokio_postgres::connect(&server_url, tokio_postgres::NoTls).await.expect("the server answers");
        tokio::spawn(connection);
        let name = format!("program_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        for statement in [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")] {
            server.batch_execute(&statement).await.expect("the role may create databases");
        }
        let base = server_url.rsplit_once('/').expect("a URL has a path").0;
        let url = format!("{base}/{name}");
        Some(Self { server, name, url })
    }

    pub(crate) async fn drop(self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        self.server.batch_execute(&statement).await.expect("the database is ours");
    }
}
