//! Wakes workers of all processes when a job may have become claimable.
//!
//! Workers of this process are woken at once. The others hear it through NOTIFY, sent apart from the writes (a
//! transaction that notifies makes every other one wait for its commit) and at most every 20 ms. A lost message does
//! no harm: workers also look by themselves now and then.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Config, NoTls};

/// Least time between two messages of one process.
const INTERVAL: Duration = Duration::from_millis(20);
/// Longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

pub(super) struct Wakeups {
    count: watch::Sender<u64>,
    news: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Wakeups {
    pub(super) fn start(config: Config) -> Self {
        let count = watch::Sender::new(0);
        let news = Arc::new(Notify::new());
        let task = tokio::spawn(keep_listening(config, count.clone(), news.clone()));
        Self { count, news, task }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    /// Wakes the workers of this process.
    pub(super) fn wake_here(&self) {
        bump(&self.count);
    }

    /// Wakes the workers of all processes.
    pub(super) fn wake_all(&self) {
        bump(&self.count);
        self.news.notify_one();
    }
}

impl Drop for Wakeups {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn bump(count: &watch::Sender<u64>) {
    count.send_modify(|count| *count = count.wrapping_add(1));
}

async fn keep_listening(config: Config, count: watch::Sender<u64>, news: Arc<Notify>) {
    let mut pause = Duration::from_millis(100);
    loop {
        match listen(&config, &count, &news).await {
            Ok(()) => pause = Duration::from_millis(100),
            Err(error) => tracing::debug!(error = %error, "cannot listen for wake-ups"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Listens and sends until the connection breaks.
async fn listen(config: &Config, count: &watch::Sender<u64>, news: &Notify) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = config.connect(NoTls).await?;
    let receive = async {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(_) = message? {
                bump(count);
            }
        }
        Ok(())
    };
    let send = async {
        client.batch_execute("LISTEN belvedere_queue").await?;
        // What happened while nobody listened.
        bump(count);
        loop {
            news.notified().await;
            client.batch_execute("NOTIFY belvedere_queue").await?;
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::select! {
        ended = receive => ended,
        failed = send => failed,
    }
}
