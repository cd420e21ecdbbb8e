//! Who submits: a careful client of the program, and a naive one of Slurm.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::faults::MESSAGE_TIMEOUT;
use crate::slurm::Cluster;

/// Longest wait for a server or a cluster that comes back; the machine may stand still for a while.
const PATIENCE: Duration = Duration::from_secs(240);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(150);

/// Talks to the program on a store, whichever process serves it at the moment.
pub(super) struct Client {
    note: PathBuf,
    agent: ureq::Agent,
}

impl Client {
    /// `store` is the SQLite file of the program.
    pub(super) fn of(store: &Path) -> Self {
        let mut note = store.as_os_str().to_owned();
        note.push(".server");
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build();
        Self { note: note.into(), agent: config.into() }
    }

    /// Where the program is, and a token for it, as it tells its own command line.
    fn server(&self) -> Option<(String, String)> {
        let note: Value = serde_json::from_slice(&std::fs::read(&self.note).ok()?).ok()?;
        Some((note["url"].as_str()?.to_owned(), format!("Bearer {}", note["token"].as_str()?)))
    }

    pub(super) fn get(&self, path: &str) -> Option<Value> {
        let (url, token) = self.server()?;
        let mut response = self.agent.get(format!("{url}{path}")).header("Authorization", token).call().ok()?;
        (response.status() == 200).then(|| response.body_mut().read_to_vec().ok())??.as_slice().try_into_json()
    }

    /// Submits until it is known to be stored. As the key says that it is the same request, it is one task.
    pub(super) fn submit(&self, key: &str, script: &str) -> String {
        let config = r#"{"runner_location": "real", "args_style": "none"}"#;
        let part = |name: &str, text: &str| {
            format!("--part\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\r\n{text}\r\n")
        };
        let body = format!("{}{}--part--\r\n", part("submiter_confs.json", config), part("x.sh", script));
        let started = Instant::now();
        loop {
            if let Some(id) = self.try_submit(key, &body) {
                return id;
            }
            assert!(started.elapsed() < PATIENCE, "the task {key} was not taken");
            std::thread::sleep(PAUSE);
        }
    }

    fn try_submit(&self, key: &str, body: &str) -> Option<String> {
        let (url, token) = self.server()?;
        let request = self
            .agent
            .post(format!("{url}/v1/tasks"))
            .header("Authorization", token)
            .header("Idempotency-Key", key)
            .header("Content-Type", "multipart/form-data; boundary=part");
        let mut response = request.send(body).ok()?;
        let (status, bytes) = (response.status().as_u16(), response.body_mut().read_to_vec().ok()?);
        assert!(status == 201 || status >= 500, "{status} {}", String::from_utf8_lossy(&bytes));
        let told = bytes.as_slice().try_into_json()?;
        (status == 201).then(|| told["id"].as_str().map(str::to_owned))?
    }
}

trait TryIntoJson {
    fn try_into_json(self) -> Option<Value>;
}

impl TryIntoJson for &[u8] {
    fn try_into_json(self) -> Option<Value> {
        serde_json::from_slice(self).ok()
    }
}

/// Submits a job as scripts do: again, when it is told that it failed.
pub(super) fn submit_naively(cluster: &Cluster, name: &str, count: &Path) {
    let limit = MESSAGE_TIMEOUT.as_secs() + 2;
    let line = format!(
        "timeout {limit} sbatch --parsable --no-requeue --job-name={name} --output=/dev/null --wrap 'echo ran >>{}'",
        count.display()
    );
    let started = Instant::now();
    while !cluster.run(&line).status.success() {
        assert!(started.elapsed() < PATIENCE, "Slurm does not take the job {name}");
        std::thread::sleep(PAUSE);
    }
}
