//! What `serve` tells on standard error: its address, what the folders were taken for, and how far it is.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use belvedere_domain::DatasetName;
use belvedere_store::DatasetRow;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::runtime::Runtime;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(300);
/// Time between two lines on how far it is, while it takes long.
const LINE: Duration = Duration::from_secs(5);

/// Prints the address and what the folders were taken for.
pub fn announce(config: &Config, address: SocketAddr, runtime: &Runtime) {
    for report in runtime.hub.report() {
        say(&report.to_string());
    }
    let base = config.serve.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    say(&format!("Belvedere listens on {base}"));
}

/// Tells how far the datasets are, each once it is ready, until `stop`.
pub async fn follow(runtime: &Runtime, stop: CancellationToken) {
    let started = Instant::now();
    let mut told: HashMap<DatasetName, String> = HashMap::new();
    let mut last_line = Instant::now();
    let mut all_ready = false;
    loop {
        tokio::select! { () = tokio::time::sleep(LOOK) => {}, () = stop.cancelled() => return }
        // The log tells when the store is away.
        let Ok(rows) = runtime.services.store.datasets.list().await else { continue };
        for row in &rows {
            let Some(line) = line_of(row) else { continue };
            let key = format!("{}{line}", row.target);
            if told.get(&row.name) != Some(&key) {
                say(&line);
                told.insert(row.name.clone(), key);
            }
        }
        let busy = rows.iter().filter(|row| row.pending_jobs > 0).count();
        let jobs: u64 = rows.iter().map(|row| row.pending_jobs).sum();
        if busy > 0 {
            all_ready = false;
            if last_line.elapsed() > LINE {
                say(&format!(
                    "{} of {} ready, {} to do",
                    rows.len() - busy,
                    plural(rows.len(), "dataset"),
                    plural(jobs as usize, "job")
                ));
                last_line = Instant::now();
            }
        } else if !all_ready && !rows.is_empty() {
            all_ready = true;
            let seconds = started.elapsed().as_secs_f64();
            let text =
                if rows.len() == 1 { "the dataset is".to_owned() } else { format!("all {} datasets are", rows.len()) };
            say(&format!("{text} ready ({seconds:.1} s after the start)"));
        }
    }
}

/// The line for a dataset that is done; `None` while it is not.
fn line_of(row: &DatasetRow) -> Option<String> {
    match (row.pending_jobs, row.errors) {
        (0, 0) => Some(format!("ready: {}", row.name)),
        (0, errors) => Some(format!("ready, with {}: {}", plural(errors as usize, "error"), row.name)),
        _ => None,
    }
}

fn plural(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// A line for a person. Nothing is left to be done when standard error is gone.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
