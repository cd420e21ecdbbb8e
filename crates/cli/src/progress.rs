//! What `serve` tells a person: what the folders were taken for, its address, how far it is, and what is wrong.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use belvedere_api::{Router, ask};
use belvedere_domain::{DatasetName, Revision};
use belvedere_hub::{Hub, HubEvent};
use belvedere_store::DatasetRow;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::console::Console;
use crate::output::{Style, bytes, plural};
use crate::problems;
use crate::runtime::Runtime;

/// Time between two looks, while there is something to do and while there is not.
const LOOKS: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// Time between two lines on how far it is, where there is no status line.
const LINE: Duration = Duration::from_secs(5);
/// Names in a list before it is cut.
const SHOWN: usize = 20;
/// Problems of one dataset before they are cut.
const SHOWN_PROBLEMS: usize = 3;

/// What stays as it is in the query of a URL that is pasted into a shell.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Tells what the folders were taken for, and where the answers are.
pub async fn announce(config: &Config, address: SocketAddr, runtime: &Runtime, console: &Console) {
    let datasets = runtime.hub.datasets().await.unwrap_or_default();
    for root in runtime.hub.report() {
        console.say(&format!("{}: {}", root.path.display(), root.reason));
        let (filled, empty): (Vec<_>, Vec<_>) = root.datasets.iter().partition(|(name, _)| datasets.contains(name));
        for (name, folder) in filled.iter().take(SHOWN) {
            let below = folder.strip_prefix(&root.path).unwrap_or(folder).display().to_string();
            // Said only where the name does not tell it.
            let note = if below.is_empty() || below == name.base() { String::new() } else { format!(" ({below})") };
            console.say(&format!("  {name}{note}"));
        }
        if filled.len() > SHOWN {
            console.say(&format!("  and {} more", filled.len() - SHOWN));
        }
        for (name, _) in empty.iter().take(SHOWN) {
            console.say(&format!("  {name} holds no file yet"));
        }
        if root.datasets.is_empty() {
            console.say("  nothing yet; a folder that is put here becomes a dataset");
        }
        tell_notes(&root.notes, console);
    }
    let base = base_url(config, address);
    console.say(&format!("listening on {}", Style::Bold.paint(&base, console.color)));
    if let Some(first) = datasets.first() {
        console.say(&format!("  try: curl '{base}/splits?dataset={}'", encoded(first.as_str())));
    }
}

/// The address as a user would write it.
pub fn base_url(config: &Config, address: SocketAddr) -> String {
    match &config.serve.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        // `localhost` may stand for one of two addresses, and the name works for both.
        None if config.api.uvicorn_hostname == "localhost" => {
            format!("{}://localhost:{}", scheme(config), address.port())
        }
        None => format!("{}://{address}", scheme(config)),
    }
}

/// What addresses of this server begin with.
pub(crate) fn scheme(config: &Config) -> &'static str {
    if config.api.tls_cert.is_some() { "https" } else { "http" }
}

fn tell_notes(notes: &[String], console: &Console) {
    for note in notes.iter().take(SHOWN) {
        console.say(&format!("  not served: {note}"));
    }
    if notes.len() > SHOWN {
        console.say(&format!("  and {} more that are not served", notes.len() - SHOWN));
    }
}

/// What has been told so far.
struct Told {
    /// The revision at which each dataset was told to be ready, and whether no job was left then.
    datasets: HashMap<DatasetName, (Revision, bool)>,
    notes: HashSet<String>,
    with_problems: HashSet<DatasetName>,
    tried: bool,
}

/// Tells how far the datasets are, each once it is ready, until `stop`.
pub async fn follow(runtime: &Runtime, router: Router, base_url: String, console: Console, stop: CancellationToken) {
    let mut events = runtime.hub.subscribe();
    let mut told = Told {
        datasets: HashMap::new(),
        notes: runtime.hub.report().into_iter().flat_map(|root| root.notes).collect(),
        with_problems: HashSet::new(),
        tried: false,
    };
    let mut hashing = Hashing::default();
    let (mut busy_since, mut last_line, mut last_told) = (Some(Instant::now()), Instant::now(), String::new());
    loop {
        let pause = LOOKS[usize::from(busy_since.is_none())];
        tokio::select! { () = tokio::time::sleep(pause) => {}, () = stop.cancelled() => break }
        // The log tells when the store is away.
        let Ok(rows) = runtime.services.store.datasets.list().await else { continue };
        hashing.follow(&mut events);
        for row in &rows {
            if told.is_news(row) {
                tell(row, runtime, &console, &mut told).await;
            }
        }
        let done = rows.iter().filter(|row| told.is_ready(row)).count();
        let jobs: u64 = rows.iter().map(|row| row.pending_jobs).sum();
        let hashing = hashing.line();
        if done < rows.len() || hashing.is_some() {
            busy_since.get_or_insert_with(Instant::now);
            let line = hashing.unwrap_or_else(|| {
                format!("{done} of {} ready, {} to do", plural(rows.len(), "dataset"), plural(jobs as usize, "job"))
            });
            console.status(&line);
            if !console.is_terminal() && last_line.elapsed() > LINE && last_told != line {
                console.say(&line);
                last_line = Instant::now();
                last_told = line;
            }
        } else if !rows.is_empty()
            && let Some(since) = busy_since.take()
        {
            console.status("");
            summarize(&rows, &told, since.elapsed(), &console);
            // Not yet where the first datasets that are ready are all broken.
            told.tried = told.tried || suggest(&rows, &router, &base_url, &console).await;
        } else {
            // What follows when every question has its answer, such as private copies of Parquet files.
            let line = format!("{} in the background", plural(jobs as usize, "job"));
            console.status(if jobs > 0 { &line } else { "" });
        }
    }
    console.status("");
}

impl Told {
    /// True when there is something to be told of a dataset: it is served, or nothing is left to be done for it.
    fn is_news(&self, row: &DatasetRow) -> bool {
        let is_complete = row.pending_jobs == 0;
        match self.datasets.get(&row.name) {
            Some((revision, was_complete)) if *revision == row.target => is_complete && !was_complete,
            // Errors are told all at once, when no more will come.
            _ => is_complete || (row.served.as_ref() == Some(&row.target) && row.errors == 0),
        }
    }

    fn is_ready(&self, row: &DatasetRow) -> bool {
        self.datasets.get(&row.name).is_some_and(|(revision, _)| *revision == row.target)
    }
}

/// Tells that a dataset is ready, or what is wrong with it.
async fn tell(row: &DatasetRow, runtime: &Runtime, console: &Console, told: &mut Told) {
    let problems = match row.errors {
        0 => Vec::new(),
        _ => match problems::of_dataset(&runtime.services, &row.name, &row.target).await {
            Ok(problems) => problems,
            // Told at the next look.
            Err(_) => return,
        },
    };
    let was_ready = told.is_ready(row);
    told.datasets.insert(row.name.clone(), (row.target.clone(), row.pending_jobs == 0));
    if was_ready && problems.is_empty() {
        return;
    }
    if problems.is_empty() {
        told.with_problems.remove(&row.name);
        console.say(&format!("{} {}", Style::Green.paint("ready  ", console.color), row.name));
    } else {
        told.with_problems.insert(row.name.clone());
    }
    for problem in problems.iter().take(SHOWN_PROBLEMS) {
        let word = Style::Red.paint("problem", console.color);
        console.say(&format!("{word} {}: {} ({})", row.name, problem.message, problem.codes().join(", ")));
    }
    if problems.len() > SHOWN_PROBLEMS {
        console.say(&format!(
            "        {}: {} more; `belvedere check` tells all",
            row.name,
            plural(problems.len() - SHOWN_PROBLEMS, "problem")
        ));
    }
    let notes: Vec<String> = runtime.hub.report().into_iter().flat_map(|root| root.notes).collect();
    let new: Vec<String> = notes.into_iter().filter(|note| told.notes.insert(note.clone())).collect();
    tell_notes(&new, console);
}

fn summarize(rows: &[DatasetRow], told: &Told, took: Duration, console: &Console) {
    let bad = rows.iter().filter(|row| told.with_problems.contains(&row.name)).count();
    let seconds = took.as_secs_f64();
    console.say(&match bad {
        0 => format!("{} ready after {seconds:.1} s", plural(rows.len(), "dataset")),
        _ => format!("{} after {seconds:.1} s, {bad} with problems", plural(rows.len(), "dataset")),
    });
}

/// A line that shows rows of a real split. `false`: there is none.
async fn suggest(rows: &[DatasetRow], router: &Router, base_url: &str, console: &Console) -> bool {
    let Some(row) = rows.iter().find(|row| row.errors == 0) else { return false };
    let dataset = encoded(row.name.as_str());
    let answer = ask(router, "GET", &format!("/splits?dataset={dataset}"), &[]).await.json();
    let split = &answer["splits"][0];
    let (Some(config), Some(split)) = (split["config"].as_str(), split["split"].as_str()) else { return false };
    console.say(&format!(
        "  try: curl '{base_url}/rows?dataset={dataset}&config={}&split={}&length=3'",
        encoded(config),
        encoded(split)
    ));
    console.say(&format!("  or open {base_url}/ in a browser; Ctrl-C stops"));
    true
}

/// The datasets that are being hashed, as far as they are.
#[derive(Default)]
struct Hashing(BTreeMap<DatasetName, (u64, u64)>);

impl Hashing {
    /// Takes what the Hub told since the last time.
    fn follow(&mut self, events: &mut Receiver<HubEvent>) {
        loop {
            match events.try_recv() {
                Ok(HubEvent::Hashing { dataset, done_bytes, total_bytes }) if done_bytes < total_bytes => {
                    self.0.insert(dataset, (done_bytes, total_bytes));
                }
                Ok(
                    HubEvent::Hashing { dataset, .. }
                    | HubEvent::Removed { dataset }
                    | HubEvent::Updated { dataset, is_provisional: false, .. },
                ) => {
                    self.0.remove(&dataset);
                }
                Ok(HubEvent::Updated { .. } | HubEvent::Scanning { .. }) => {}
                // What was missed may have been the end of something.
                Err(TryRecvError::Lagged(_)) => self.0.clear(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// In words; `None` when there is nothing.
    fn line(&self) -> Option<String> {
        let (dataset, (done, total)) = self.0.first_key_value()?;
        let more = match self.0.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        Some(format!("reading {dataset}: {} of {}{more}", bytes(*done), bytes(*total)))
    }
}

/// A name as part of a query.
pub fn encoded(name: &str) -> String {
    utf8_percent_encode(name, QUERY).to_string()
}

#[cfg(test)]
mod tests {
    use belvedere_domain::Timestamp;

    use super::*;

    fn name(text: &str) -> DatasetName {
        DatasetName::new(text).unwrap()
    }

    #[test]
    fn what_is_being_hashed_is_shown_until_it_is_done() {
        let (sender, mut events) = tokio::sync::broadcast::channel(8);
        let mut hashing = Hashing::default();
        let mut line = |news: &[(&str, u64)]| {
            for (dataset, done_bytes) in news {
                let event = HubEvent::Hashing { dataset: name(dataset), done_bytes: *done_bytes, total_bytes: 9_000 };
                sender.send(event).unwrap();
            }
            hashing.follow(&mut events);
            hashing.line()
        };
        assert_eq!(line(&[]), None);
        assert_eq!(line(&[("a/b", 1_000)]).as_deref(), Some("reading a/b: 1.0 kB of 9.0 kB"));
        assert_eq!(line(&[]).as_deref(), Some("reading a/b: 1.0 kB of 9.0 kB"), "no news is not the end");
        assert_eq!(line(&[("c/d", 1), ("a/b", 2_000)]).as_deref(), Some("reading a/b: 2.0 kB of 9.0 kB, and 1 more"));
        assert_eq!(line(&[("a/b", 9_000), ("c/d", 9_000)]), None);
    }

    #[test]
    fn a_dataset_is_ready_once_it_is_served_and_told_again_only_if_errors_followed() {
        let mut told =
            Told { datasets: HashMap::new(), notes: HashSet::new(), with_problems: HashSet::new(), tried: false };
        let target = Revision::new("new").unwrap();
        let mut row = DatasetRow {
            name: name("a/b"),
            target: target.clone(),
            target_since: Timestamp(0),
            served: None,
            pending_jobs: 3,
            errors: 0,
            restricted: false,
        };
        assert!(!told.is_news(&row));
        row.served = Some(target.clone());
        assert!(told.is_news(&row));
        row.errors = 1;
        assert!(!told.is_news(&row), "more of them may come");
        told.datasets.insert(row.name.clone(), (target.clone(), false));
        assert!(told.is_ready(&row) && !told.is_news(&row));
        row.pending_jobs = 0;
        assert!(told.is_news(&row));
        told.datasets.insert(row.name.clone(), (target, true));
        assert!(!told.is_news(&row));
        row.target = Revision::new("newer").unwrap();
        row.pending_jobs = 1;
        assert!(!told.is_ready(&row) && !told.is_news(&row));
    }
}
