//! Another process that writes to the database all the time, to a table that nobody reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use tokio_postgres::NoTls;

/// Rest between two transactions.
const REST: Duration = Duration::from_millis(2);

/// It writes as long as this lives.
pub(crate) struct Writing {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<f64>>,
}

impl Writing {
    pub(crate) fn start(url: &str) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (url, ended) = (url.to_owned(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || runtime.block_on(write(&url, &ended)));
        Ok(Self { stop, thread })
    }

    /// Ends it. Transactions per second.
    pub(crate) fn end(self) -> anyhow::Result<f64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the writer panicked"))?
    }
}

async fn write(url: &str, stop: &AtomicBool) -> anyhow::Result<f64> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("CREATE TABLE IF NOT EXISTS written (at timestamptz)").await?;
    let (started, mut count) = (Instant::now(), 0.0);
    while !stop.load(Ordering::Relaxed) {
        client.batch_execute("INSERT INTO written VALUES (now())").await?;
        count += 1.0;
        tokio::time::sleep(REST).await;
    }
    client.batch_execute("DROP TABLE written").await?;
    Ok(count / started.elapsed().as_secs_f64())
}
