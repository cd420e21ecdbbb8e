//! Slurm, by its commands: through a fixed helper that runs beside them, on this machine or over OpenSSH.

mod frame;
mod parse;
mod transport;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use belvedere_domain::Timestamp;
use belvedere_domain::task::{AttemptTag, ClusterName};

use crate::cluster::{
    Answer, Check, Cluster, ClusterError, Evidence, Listing, LookUp, Needs, OutputEntry, Submission, Tail, TailRequest,
};
use crate::profile::{Profile, Staging, TransportProfile};
use crate::stage::{Content, Delivery};
use frame::Answered;
use transport::{Input, Transport};

/// The program of the batch job.
const JOB: &str = include_str!("slurm/job.sh");
/// Attempts of one question about folders.
const CHUNK: usize = 200;
/// Largest file that is brought together with others, in bytes.
const SMALL: u64 = 256 << 10;
/// Bytes that are brought together.
const TOGETHER: u64 = 8 << 20;
/// The helper's word for: nobody knows.
const NOBODY_KNOWS: i32 = 75;

/// Why a description of a cluster cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SlurmError {
    /// A file of it cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No folder for the connection.
    #[error("no folder can be made for the socket of the connection")]
    Control(#[source] std::io::Error),
}

/// A cluster that runs Slurm.
pub struct Slurm {
    transport: Transport,
    limit: Duration,
    python: String,
    runtime: Option<String>,
    image_dir: Option<String>,
    is_remote: bool,
    staging: Staging,
}

impl Slurm {
    /// A cluster as described. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When a file that the description names cannot be read.
    pub fn new(_: &ClusterName, profile: &Profile) -> Result<Self, SlurmError> {
        let limit = Duration::from_secs(profile.command_seconds);
        Ok(Self {
            transport: Transport::new(&profile.transport, &profile.remote_root, limit)?,
            limit,
            python: profile.python.clone(),
            runtime: profile
                .container
                .as_ref()
                .map(|container| container.program.clone().unwrap_or_else(|| container.runtime.command().to_owned())),
            image_dir: profile.container.as_ref().map(|container| container.image_dir.clone()),
            is_remote: matches!(profile.transport, TransportProfile::OpenSsh(_)),
            staging: profile.staging,
        })
    }

    async fn ask(&self, verb: &str, arguments: &[&str], input: &Input) -> Result<Answered, ClusterError> {
        self.transport.ask(verb, arguments, input, self.limit).await
    }

    /// An answer that must be good.
    async fn must(&self, verb: &str, arguments: &[&str], input: &Input) -> Result<Vec<u8>, ClusterError> {
        let answered = self.ask(verb, arguments, input).await?;
        let said = || String::from_utf8_lossy(&answered.output).trim().chars().take(500).collect::<String>();
        match answered.code {
            0 => Ok(answered.output),
            NOBODY_KNOWS => Err(ClusterError::Away(said())),
            _ if matches!(verb, "list" | "lookup" | "cancel") => Err(ClusterError::Away(said())),
            _ => Err(ClusterError::Refused(format!("{verb}: {}", said()))),
        }
    }

    async fn text(&self, verb: &str, arguments: &[&str], input: &Input) -> Result<String, ClusterError> {
        Ok(String::from_utf8_lossy(&self.must(verb, arguments, input).await?).into_owned())
    }

    /// Small files in one go, the others one by one.
    async fn bring_all(&self, folder: &str, tag: &AttemptTag, files: &[Delivery]) -> Result<(), ClusterError> {
        let job = Delivery::bytes("job.sh", JOB);
        let (mut small, mut large) = (Vec::new(), Vec::new());
        for delivery in files.iter().chain([&job]) {
            let fits = !delivery.is_data() && delivery.size <= SMALL && small.len() as u64 + delivery.size <= TOGETHER;
            if !fits {
                large.push(delivery);
                continue;
            }
            let bytes = match &delivery.content {
                Content::Bytes(bytes) => bytes.clone(),
                Content::File(path) => tokio::fs::read(path).await.unwrap_or_default(),
            };
            if bytes.len() as u64 != delivery.size {
                return Err(ClusterError::Refused(format!("{} is not what it was", delivery.name)));
            }
            small.extend(format!("{} {} {}\n", delivery.size, delivery.sha256, delivery.name).into_bytes());
            small.extend(bytes);
        }
        let last = if large.is_empty() { "last" } else { "more" };
        let told = self.text("bring", &[folder, tag.as_str(), last], &Input::Bytes(small)).await?;
        if large.is_empty() || told.trim() == "there" {
            return Ok(());
        }
        for delivery in large {
            self.bring(folder, delivery).await?;
        }
        self.must("commit", &[folder, tag.as_str()], &Input::Bytes(Vec::new())).await.map(drop)
    }

    /// An answer that must be good, to a question that may take long.
    async fn told(&self, verb: &str, arguments: &[&str], input: &Input, limit: Duration) -> Result<(), ClusterError> {
        let answered = self.transport.ask(verb, arguments, input, limit).await?;
        let said = String::from_utf8_lossy(&answered.output).trim().chars().take(500).collect();
        if answered.code == 0 { Ok(()) } else { Err(ClusterError::Refused(said)) }
    }

    async fn bring(&self, folder: &str, delivery: &Delivery) -> Result<(), ClusterError> {
        let content = |delivery: &Delivery| match &delivery.content {
            Content::Bytes(bytes) => Input::Bytes(bytes.clone()),
            Content::File(path) => Input::File(path.clone()),
        };
        // Time for what a slow line needs.
        let limit = self.limit + Duration::from_secs(delivery.size >> 20);
        let send = async |verb: &str, arguments: &[&str]| {
            let answered = self.transport.ask(verb, arguments, &content(delivery), limit).await?;
            let said = String::from_utf8_lossy(&answered.output).trim().chars().take(500).collect();
            if answered.code == 0 { Ok(()) } else { Err(ClusterError::Refused(said)) }
        };
        if !delivery.is_data() {
            return send("put", &[folder, &delivery.name, &delivery.size.to_string(), &delivery.sha256]).await;
        }
        let nothing = Input::Bytes(Vec::new());
        if self.text("has", &[&delivery.sha256], &nothing).await?.trim() != "yes" {
            match (self.staging, &delivery.content, &delivery.url) {
                (Staging::Shared, Content::File(path), _) => {
                    let path = Input::Bytes(path.as_os_str().as_encoded_bytes().to_vec());
                    self.told("copy", &[&delivery.sha256], &path, limit).await?;
                }
                // What stands in the address lets anybody read the file: it is no argument, which others could list.
                (Staging::Pull, _, Some(url)) => {
                    let url = Input::Bytes(url.clone().into_bytes());
                    let seconds = limit.as_secs().to_string();
                    self.told("pull", &[&delivery.sha256, &seconds], &url, limit).await?;
                }
                _ => send("keep", &[&delivery.sha256]).await?,
            }
        }
        self.must("link", &[folder, &delivery.name, &delivery.sha256], &nothing).await.map(drop)
    }
}

/// Options of `sbatch`, each one word.
fn options(needs: &Needs) -> Vec<String> {
    let mut all = vec!["--nodes=1".to_owned(), "--ntasks=1".to_owned()];
    let mut option = |name: &str, value: Option<String>| all.extend(value.map(|value| format!("--{name}={value}")));
    option("partition", needs.partition.clone());
    option("gres", needs.gres.clone());
    option("exclude", needs.exclude.clone());
    option("account", needs.account.clone());
    option("cpus-per-task", needs.cpus.map(|cpus| cpus.to_string()));
    option("mem", needs.memory_bytes.map(|bytes| format!("{}M", bytes.div_ceil(1 << 20))));
    // Minutes are the unit of limits.
    option("time", needs.time_seconds.map(|seconds| seconds.div_ceil(60).to_string()));
    all
}

/// A time for accounting, one hour and more before an attempt was made.
fn since(created_at: Timestamp) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let created = u64::try_from(created_at.0 / 1_000_000).unwrap_or_default();
    format!("now-{}minutes", now.saturating_sub(created) / 60 + 60)
}

fn lines(tags: &[AttemptTag]) -> Input {
    Input::Bytes(tags.iter().flat_map(|tag| [tag.as_str().as_bytes(), b"\n"].concat()).collect())
}

#[async_trait]
impl Cluster for Slurm {
    async fn stage(&self, tag: &AttemptTag, files: &[Delivery]) -> Result<(), ClusterError> {
        let folder = format!("{tag}-{}", crate::random::nonce());
        let brought = self.bring_all(&folder, tag, files).await;
        if let Err(ClusterError::Refused(_)) = &brought {
            // What is there takes the room that was missing, perhaps.
            self.ask("drop", &[&folder], &Input::Bytes(Vec::new())).await?;
        }
        brought
    }

    async fn submit(&self, submission: &Submission) -> Result<Answer, ClusterError> {
        let since = since(submission.created_at);
        let or_dash = |text: Option<&str>| text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned();
        let runtime = self.runtime.as_deref().filter(|_| submission.needs.image.is_some());
        let mut words = vec![
            submission.tag.to_string(),
            since,
            submission.kind.to_owned(),
            or_dash(Some(&submission.file)),
            submission.style.to_owned(),
            self.python.clone(),
            or_dash(runtime),
            or_dash(submission.needs.image.as_deref()),
        ];
        words.extend(options(&submission.needs));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // The helper asks up to three times, each within its limit, before it submits; all of it is waited for.
        let limit = self.limit * 4;
        match self.transport.ask("submit", &words, &Input::Bytes(Vec::new()), limit).await {
            Ok(answered) => Ok(parse::answer(&String::from_utf8_lossy(&answered.output), answered.code)),
            Err(error @ ClusterError::WrongHost(_)) => Err(error),
            // It may have been asked.
            Err(error) => Ok(Answer::Unknown(error.to_string())),
        }
    }

    async fn look_up(&self, tag: &AttemptTag, created_at: Timestamp) -> Result<LookUp, ClusterError> {
        let found = self.text("lookup", &[tag.as_str(), &since(created_at)], &Input::Bytes(Vec::new())).await?;
        let job = found.lines().last().unwrap_or_default().trim();
        match job {
            "" => Ok(LookUp::Nothing),
            job if job.bytes().all(|byte| byte.is_ascii_digit()) => Ok(LookUp::Found(job.to_owned())),
            other => Err(ClusterError::Away(format!("the queue answered `{other}`"))),
        }
    }

    async fn list(&self, _: &[AttemptTag]) -> Result<Listing, ClusterError> {
        Ok(parse::queue(&self.text("list", &[], &Input::Bytes(Vec::new())).await?))
    }

    async fn evidence(
        &self,
        tags: &[AttemptTag],
        created_since: Timestamp,
    ) -> Result<HashMap<AttemptTag, Evidence>, ClusterError> {
        let mut all = HashMap::new();
        for chunk in tags.chunks(CHUNK) {
            let text = self.text("evidence", &[&since(created_since)], &lines(chunk)).await?;
            all.extend(parse::evidence(&text));
        }
        Ok(all)
    }

    async fn cancel(&self, tag: &AttemptTag) -> Result<(), ClusterError> {
        self.must("cancel", &[tag.as_str()], &Input::Bytes(Vec::new())).await.map(drop)
    }

    async fn tails(
        &self,
        requests: &[TailRequest],
        max_bytes: u64,
    ) -> Result<HashMap<AttemptTag, [Tail; 2]>, ClusterError> {
        let mut all = HashMap::new();
        // So many that the answer stays within its bound.
        for chunk in requests.chunks(16) {
            let line = |request: &TailRequest| format!("{} {} {}\n", request.tag, request.out, request.err);
            let input = Input::Bytes(chunk.iter().map(line).collect::<String>().into_bytes());
            all.extend(parse::tails(&self.text("tails", &[&max_bytes.to_string()], &input).await?));
        }
        Ok(all)
    }

    async fn outputs(&self, tag: &AttemptTag, max: usize) -> Result<(Vec<OutputEntry>, bool), ClusterError> {
        let bytes = self.must("outputs", &[tag.as_str(), &max.to_string()], &Input::Bytes(Vec::new())).await?;
        Ok(parse::outputs(&bytes, max))
    }

    async fn fetch(&self, tag: &AttemptTag, path: &str, max_bytes: u64, to: &Path) -> Result<(), ClusterError> {
        let limit = self.limit + Duration::from_secs(max_bytes >> 20);
        let input = Input::Bytes(format!("{path}\n").into_bytes());
        let words = [tag.as_str(), &max_bytes.to_string()];
        let answered = self.transport.ask("get", &words, &input, limit).await?;
        if answered.code != 0 {
            return Err(ClusterError::Refused(format!("{path} is not what it was")));
        }
        let failed = |error: std::io::Error| ClusterError::Refused(format!("an artifact: {error}"));
        tokio::fs::write(to, &answered.output).await.map_err(failed)
    }

    async fn remove(&self, tag: &AttemptTag) -> Result<(), ClusterError> {
        self.must("remove", &[tag.as_str()], &Input::Bytes(Vec::new())).await.map(drop)
    }

    async fn folders(&self) -> Result<Vec<AttemptTag>, ClusterError> {
        let text = self.text("folders", &[], &Input::Bytes(Vec::new())).await?;
        Ok(text.lines().filter_map(AttemptTag::recognise).collect())
    }

    async fn trim(&self, unused: Duration) -> Result<(), ClusterError> {
        let minutes = unused.as_secs().div_ceil(60).to_string();
        self.must("trim", &[&minutes], &Input::Bytes(Vec::new())).await.map(drop)
    }

    async fn check(&self) -> Vec<Check> {
        let check = |name: &str, ok: bool, found: String| Check { name: name.to_owned(), ok, found };
        let mut paths: Vec<&str> = self.image_dir.iter().map(String::as_str).collect();
        paths.dedup();
        let text = match self.text("facts", &paths, &Input::Bytes(Vec::new())).await {
            Ok(text) => text,
            Err(error) => return vec![check("connection", false, error.to_string())],
        };
        let way = if self.is_remote { "OpenSSH, with the pinned key of the host" } else { "commands on this machine" };
        let mut list = vec![check("connection", true, way.to_owned())];
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        for line in text.lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            list.push(match name {
                "sbatch" => check("sbatch", value.starts_with("slurm"), value.to_owned()),
                "controller" => check("controller", value.contains(" UP"), value.to_owned()),
                "root" => check("folder", value == "ok", value.to_owned()),
                "time" => {
                    let skew = value.parse::<u64>().map_or(u64::MAX, |there| there.abs_diff(now));
                    check("clock", skew <= 30, format!("{skew} s apart"))
                }
                "requeue" => {
                    check("requeue", true, format!("JobRequeue={value}; jobs of ours are never started again"))
                }
                "messagetimeout" => check("message timeout", true, value.to_owned()),
                "accounting" => {
                    let on = !value.is_empty() && !value.contains("none");
                    check(
                        "accounting",
                        true,
                        if on { value.to_owned() } else { "off; results and the queue decide".to_owned() },
                    )
                }
                "path" => check("images", value.ends_with(" ok"), value.to_owned()),
                _ => continue,
            });
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_job_needs_is_options_of_one_word() {
        let needs = Needs {
            partition: Some("gpu".into()),
            gres: Some("gpu:1".into()),
            memory_bytes: Some((1 << 30) + 1),
            time_seconds: Some(61),
            cpus: Some(2),
            account: Some("testbed".into()),
            ..Needs::default()
        };
        let expected = "--nodes=1 --ntasks=1 --partition=gpu --gres=gpu:1 --account=testbed --cpus-per-task=2 --mem=1025M --time=2";
        assert_eq!(options(&needs).join(" "), expected);
    }
}
