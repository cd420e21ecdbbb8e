//! Readers of a round: they ask all the time, and look that what they are told fits what they were told before.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::chance::Sequence;

/// Between two questions of a reader: it is not the load that is tested.
const PAUSE: Duration = Duration::from_millis(20);

/// What readers share with the round.
#[derive(Default)]
pub(super) struct Shared {
    /// Where servers answer.
    pub(super) bases: Mutex<Vec<String>>,
    /// The states of each dataset, by their numbers of rows, in the order in which they were written. Each is different.
    pub(super) written: Mutex<HashMap<String, Vec<u64>>>,
    /// Datasets of which a revision is served, so that there is always one.
    pub(super) served: Mutex<HashSet<String>>,
    /// What must not have been answered.
    pub(super) wrong: Mutex<Vec<String>>,
}

impl Shared {
    /// A dataset is about to have so many rows.
    pub(super) fn will_have(&self, dataset: &str, rows: u64) {
        self.written.lock().unwrap().entry(dataset.to_owned()).or_default().push(rows);
    }

    /// A dataset is about to be removed.
    pub(super) fn will_go(&self, dataset: &str) {
        self.written.lock().unwrap().remove(dataset);
    }
}

/// Threads that read.
pub(super) struct Readers {
    threads: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Readers {
    pub(super) fn start(shared: &Arc<Shared>, seed: u64) -> Self {
        let stop = CancellationToken::new();
        let start = |number| {
            let reader = Reader {
                shared: Arc::clone(shared),
                agent: ureq::Agent::config_builder()
                    .http_status_as_error(false)
                    .timeout_global(Some(Duration::from_secs(30)))
                    .build()
                    .into(),
                random: Sequence::of(seed.wrapping_mul(31).wrapping_add(number)),
                seen: HashMap::new(),
                states: HashMap::new(),
            };
            let stop = stop.clone();
            std::thread::spawn(move || reader.read(&stop))
        };
        Self { threads: (0..2).map(start).collect(), stop }
    }

    /// Ends them.
    pub(super) fn stop(self) {
        self.stop.cancel();
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

struct Reader {
    shared: Arc<Shared>,
    agent: ureq::Agent,
    random: Sequence,
    /// The last state that was seen of each dataset, as a place in the order.
    seen: HashMap<String, usize>,
    /// The number of rows of each revision.
    states: HashMap<(String, String), u64>,
}

/// An answer with what readers need of it.
struct Told {
    status: u16,
    code: Option<String>,
    revision: Option<String>,
    body: Value,
}

impl Reader {
    fn read(mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            std::thread::sleep(PAUSE);
            let datasets: Vec<String> = self.shared.written.lock().unwrap().keys().cloned().collect();
            let bases = self.shared.bases.lock().unwrap().clone();
            let (Some(dataset), Some(base)) = (self.random.choose(&datasets), self.random.choose(&bases)) else {
                continue;
            };
            if let Some(wrong) = self.look(base, dataset) {
                self.shared.wrong.lock().unwrap().push(wrong);
            }
        }
    }

    fn get(&self, url: &str) -> Option<Told> {
        let mut response = self.agent.get(url).call().ok()?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, code, revision) = (response.status().as_u16(), header("x-error-code"), header("x-revision"));
        // A server that is killed leaves half of its answer.
        let body = response.body_mut().read_to_vec().ok()?;
        Some(Told { status, code, revision, body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    /// Looks at a dataset once; what is wrong with it.
    fn look(&mut self, base: &str, dataset: &str) -> Option<String> {
        let size = self.get(&format!("{base}/size?dataset={dataset}"))?;
        if let Some(wrong) = self.status(dataset, &size, "/size") {
            return Some(wrong);
        }
        let complete = size.status == 200 && size.body["pending"] == json!([]) && size.body["failed"] == json!([]);
        let rows = size.body["size"]["dataset"]["num_rows"].as_u64().filter(|_| complete)?;
        if let Some(wrong) = self.state(dataset, size.revision.as_deref(), rows) {
            return Some(wrong);
        }
        let last = format!("{base}/rows?dataset={dataset}&config=default&split=train&offset={}&length=1", rows - 1);
        let page = self.get(&last)?;
        if let Some(wrong) = self.status(dataset, &page, "/rows") {
            return Some(wrong);
        }
        let total = page.body["num_rows_total"].as_u64().filter(|_| page.status == 200)?;
        if let Some(wrong) = self.state(dataset, page.revision.as_deref(), total) {
            return Some(wrong);
        }
        let row = &page.body["rows"][0]["row"]["id"];
        (total == rows && *row != (rows - 1) % 1000).then(|| format!("{dataset}: the last of {rows} rows is {row}"))
    }

    /// What is wrong with a status: a dataset that was served always has an answer.
    fn status(&self, dataset: &str, told: &Told, path: &str) -> Option<String> {
        let code = told.code.as_deref().unwrap_or_default();
        let fine = match (told.status, code) {
            (200, _) | (503, "ServiceUnavailable") => true,
            (500, "ResponseNotReady") | (401 | 404, _) => !self.shared.served.lock().unwrap().contains(dataset),
            _ => false,
        };
        (!fine).then(|| format!("{dataset}: {path} answered {} {code} {}", told.status, told.body))
    }

    /// What is wrong with a state: it must have been written, be that of its revision, and not be older than the last. A
    /// target that was superseded before it was served lets answers come step by step, next to those of the served one:
    /// then a reader goes from one to the other.
    fn state(&mut self, dataset: &str, revision: Option<&str>, rows: u64) -> Option<String> {
        let revision = revision.unwrap_or_default().to_owned();
        let known = *self.states.entry((dataset.to_owned(), revision.clone())).or_insert(rows);
        if known != rows {
            return Some(format!("{dataset}: revision {revision} has {rows} rows and had {known}"));
        }
        let (place, later) = {
            let written = self.shared.written.lock().unwrap();
            // Removed meanwhile.
            let states = written.get(dataset)?;
            match states.iter().position(|state| *state == rows) {
                Some(place) => (place, states.len() - 1 - place),
                None => return Some(format!("{dataset}: {rows} rows were never written, but {states:?}")),
            }
        };
        let last = self.seen.insert(dataset.to_owned(), place);
        let is_back = last.filter(|last| *last > place && later < 2);
        is_back.map(|last| format!("{dataset}: state {place} was served after state {last}"))
    }
}
