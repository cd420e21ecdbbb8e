//! This machine as a cluster: each attempt is a process of its own, which a server that comes back finds again.

mod files;
mod process;
mod sandbox;
pub mod wrapper;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use belvedere_domain::Timestamp;
use belvedere_domain::task::AttemptTag;
use rustix::process::Signal;

use crate::cluster::{
    Answer, Check, Cluster, ClusterError, Evidence, Listing, LookUp, OutputEntry, Phase, Seen, Submission, Tail,
    TailRequest,
};
use crate::place::{ALIVE, CLAIM, MAX_RESULT_BYTES, RESULT, ResultFile, write_whole};
use crate::stage::Delivery;
use process::Identity;
use wrapper::{PLAN, Plan, RECEIPT};

/// How long a wrapper may take to leave its receipt.
const RECEIPT_WITHIN: Duration = Duration::from_secs(20);
/// How long a wrapper may take to end when it is told to.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// How strong the sandbox must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SandboxRule {
    /// Bubblewrap where it works; limits alone where it does not.
    Auto,
    /// Bubblewrap, or no task runs.
    Require,
    /// Limits alone.
    Off,
}

/// How tasks run on this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalSettings {
    /// Folder of the attempts' folders.
    pub root: PathBuf,
    /// Program and arguments that run a wrapper, to which its folder is added.
    pub wrapper: Vec<String>,
    /// The sandbox.
    pub sandbox: SandboxRule,
    /// User and group of programs, where this process may choose, as root may.
    pub run_as: u32,
    /// Most memory of each process, in bytes.
    pub memory_bytes: u64,
    /// Processes at a time.
    pub processes: u64,
    /// Largest file, in bytes.
    pub file_bytes: u64,
    /// Longest time in seconds.
    pub time_seconds: u64,
    /// The program that runs scripts in Python.
    pub python: String,
    /// Folders that programs may read beside the system's own.
    pub binds: Vec<PathBuf>,
    /// Programs may use the network.
    pub network: bool,
}

/// This machine.
pub struct Local {
    settings: LocalSettings,
    run_as: Option<u32>,
    /// Whether a sandbox can be made: tried when that is first needed, since it takes a process.
    has_sandbox: Arc<OnceLock<bool>>,
}

impl Local {
    /// Nothing is looked at yet.
    pub fn new(settings: LocalSettings) -> Self {
        let run_as = rustix::process::geteuid().is_root().then_some(settings.run_as);
        Self { settings, run_as, has_sandbox: Arc::default() }
    }

    /// Whether programs are confined. Blocks for as long as a process takes, once.
    fn has_sandbox(&self) -> bool {
        *self.has_sandbox.get_or_init(|| self.settings.sandbox != SandboxRule::Off && sandbox::works(self.run_as))
    }

    fn folder(&self, tag: &AttemptTag) -> PathBuf {
        self.settings.root.join(tag.as_str())
    }

    fn plan(&self, submission: &Submission) -> Plan {
        let (settings, needs) = (&self.settings, &submission.needs);
        Plan {
            kind: submission.kind.to_owned(),
            file: submission.file.clone(),
            style: submission.style.to_owned(),
            python: settings.python.clone(),
            memory_bytes: needs.memory_bytes.unwrap_or(settings.memory_bytes).min(settings.memory_bytes),
            processes: settings.processes,
            file_bytes: settings.file_bytes,
            time_seconds: needs.time_seconds.unwrap_or(settings.time_seconds).min(settings.time_seconds),
            run_as: self.run_as,
            sandbox: self.has_sandbox(),
            binds: settings.binds.clone(),
            network: settings.network,
        }
    }

    /// Why no program can run here; `None` when it can.
    fn obstacle(&self) -> Option<String> {
        if self.settings.sandbox == SandboxRule::Require && !self.has_sandbox() {
            return Some("bubblewrap (`bwrap`) does not work here, and tasks.local_sandbox requires it".to_owned());
        }
        let shut = files::shut_to_others(&self.settings.root).filter(|_| self.run_as.is_some())?;
        Some(format!(
            "tasks run as the user {}, who may not enter {}; let others enter it (chmod o+x) or name another folder by \
             tasks.directory",
            self.settings.run_as,
            shut.display()
        ))
    }

    fn start(&self, submission: &Submission) -> Result<Answer, ClusterError> {
        let folder = self.folder(&submission.tag);
        if let Some(known) = Identity::read(&folder.join(RECEIPT)) {
            return Ok(Answer::Taken(known.pid.to_string()));
        }
        if let Some(obstacle) = self.obstacle() {
            return Ok(Answer::Rejected(obstacle));
        }
        let failed = |what: &str, error: &dyn std::fmt::Display| ClusterError::Refused(format!("{what}: {error}"));
        let plan = serde_json::to_vec(&self.plan(submission)).map_err(|error| failed("the plan", &error))?;
        write_whole(&folder.join(PLAN), &plan).map_err(|error| failed("the plan cannot be written", &error))?;
        let mut words = self.settings.wrapper.iter();
        let program = words.next().ok_or_else(|| ClusterError::Refused("no wrapper is configured".to_owned()))?;
        use std::os::unix::process::CommandExt as _;
        let log = std::fs::File::create(folder.join("wrapper.log")).map_err(|error| failed("the log", &error))?;
        let spawned = std::process::Command::new(program)
            .args(words)
            .arg(&folder)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn();
        let mut child = spawned.map_err(|error| failed("the wrapper cannot be started", &error))?;
        // Asks after it when it ends, so that it does not keep its entry.
        let pid = child.id();
        std::thread::spawn(move || child.wait());
        let until = std::time::Instant::now() + RECEIPT_WITHIN;
        loop {
            if let Some(known) = Identity::read(&folder.join(RECEIPT)) {
                return Ok(Answer::Taken(known.pid.to_string()));
            }
            if std::time::Instant::now() > until || !Path::new(&format!("/proc/{pid}")).exists() {
                // One last look: it may have ended after its receipt.
                return Ok(match Identity::read(&folder.join(RECEIPT)) {
                    Some(known) => Answer::Taken(known.pid.to_string()),
                    None => Answer::Unknown("the wrapper left no receipt".to_owned()),
                });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn seen(&self, tag: &AttemptTag) -> Option<Seen> {
        let identity = Identity::read(&self.folder(tag).join(RECEIPT))?;
        identity.is_alive().then(|| Seen {
            job: identity.pid.to_string(),
            phase: Phase::Running,
            word: "RUNNING".to_owned(),
            reason: None,
            submitted: None,
            started: None,
            host: None,
            exit: None,
        })
    }

    fn evidence_of(&self, tag: &AttemptTag) -> Option<Evidence> {
        let folder = self.folder(tag);
        if !folder.is_dir() {
            return None;
        }
        let result = files::read_bounded(&folder.join(RESULT), MAX_RESULT_BYTES);
        let parsed = result.as_deref().and_then(ResultFile::parse);
        let alive = std::fs::metadata(folder.join(ALIVE)).and_then(|metadata| metadata.modified()).ok();
        Some(Evidence {
            invalid_result: result.is_some() && parsed.is_none(),
            result: parsed,
            claimed_by: std::fs::read_to_string(folder.join(CLAIM).join("job")).ok(),
            silent_seconds: alive.and_then(|at| at.elapsed().ok()).map(|age| age.as_secs()),
            accounted: Vec::new(),
        })
    }
}

/// Runs blocking work for a cluster.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClusterError> + Send + 'static,
) -> Result<T, ClusterError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ClusterError::Away(error.to_string()))?
}

/// The cluster that the catalog holds.
#[async_trait]
impl Cluster for Local {
    async fn stage(&self, tag: &AttemptTag, deliveries: &[Delivery]) -> Result<(), ClusterError> {
        let (root, tag, deliveries) = (self.settings.root.clone(), tag.clone(), deliveries.to_vec());
        blocking(move || files::stage(&root, &tag, &deliveries)).await
    }

    async fn submit(&self, submission: &Submission) -> Result<Answer, ClusterError> {
        // Waits for a process to start, which takes milliseconds.
        let (this, submission) = (self.again(), submission.clone());
        blocking(move || this.start(&submission)).await
    }

    async fn look_up(&self, tag: &AttemptTag, _: Timestamp) -> Result<LookUp, ClusterError> {
        let known = Identity::read(&self.folder(tag).join(RECEIPT));
        Ok(known.map_or(LookUp::Nothing, |known| LookUp::Found(known.pid.to_string())))
    }

    async fn list(&self, tags: &[AttemptTag]) -> Result<Listing, ClusterError> {
        Ok(tags.iter().filter_map(|tag| Some((tag.clone(), vec![self.seen(tag)?]))).collect())
    }

    async fn evidence(&self, tags: &[AttemptTag], _: Timestamp) -> Result<HashMap<AttemptTag, Evidence>, ClusterError> {
        Ok(tags.iter().filter_map(|tag| Some((tag.clone(), self.evidence_of(tag)?))).collect())
    }

    async fn cancel(&self, tag: &AttemptTag) -> Result<(), ClusterError> {
        if let Some(identity) = Identity::read(&self.folder(tag).join(RECEIPT)) {
            identity.signal(Signal::TERM);
        }
        Ok(())
    }

    async fn tails(
        &self,
        requests: &[TailRequest],
        max_bytes: u64,
    ) -> Result<HashMap<AttemptTag, [Tail; 2]>, ClusterError> {
        let read = |request: &TailRequest| {
            let folder = self.folder(&request.tag);
            let tail = |name: &str, from: u64| files::tail(&folder.join(name), from, max_bytes);
            (request.tag.clone(), [tail("out", request.out), tail("err", request.err)])
        };
        Ok(requests.iter().map(read).collect())
    }

    async fn outputs(&self, tag: &AttemptTag, max: usize) -> Result<(Vec<OutputEntry>, bool), ClusterError> {
        let folder = self.folder(tag).join(crate::place::OUTPUT);
        blocking(move || files::outputs(&folder, max)).await
    }

    async fn fetch(&self, tag: &AttemptTag, path: &str, max_bytes: u64, to: &Path) -> Result<(), ClusterError> {
        let (folder, path, to) = (self.folder(tag).join(crate::place::OUTPUT), path.to_owned(), to.to_owned());
        blocking(move || files::fetch(&folder, &path, max_bytes, &to)).await
    }

    async fn remove(&self, tag: &AttemptTag) -> Result<(), ClusterError> {
        let folder = self.folder(tag);
        blocking(move || {
            if let Some(identity) = Identity::read(&folder.join(RECEIPT)) {
                identity.signal(Signal::TERM);
                let until = std::time::Instant::now() + ENDS_WITHIN;
                while identity.is_alive() {
                    if std::time::Instant::now() > until {
                        return Err(ClusterError::Refused(format!("{} is still in use", folder.display())));
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(ClusterError::Refused(format!("{}: {error}", folder.display())))
                }
                _ => Ok(()),
            }
        })
        .await
    }

    async fn folders(&self) -> Result<Vec<AttemptTag>, ClusterError> {
        let root = self.settings.root.clone();
        blocking(move || {
            let entries = match std::fs::read_dir(&root) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries.map_err(|error| ClusterError::Refused(format!("{}: {error}", root.display())))?,
            };
            let tag = |entry: std::fs::DirEntry| AttemptTag::recognise(entry.file_name().to_str()?);
            Ok(entries.filter_map(Result::ok).filter_map(tag).collect())
        })
        .await
    }

    async fn trim(&self, unused: Duration) -> Result<(), ClusterError> {
        let root = self.settings.root.clone();
        blocking(move || {
            // Files are copied for each attempt: only what a server left when it was killed while it did so.
            for entry in std::fs::read_dir(&root).into_iter().flatten().filter_map(Result::ok) {
                let is_left = entry.file_name().to_string_lossy().starts_with(".incoming-");
                let changed = entry.metadata().and_then(|metadata| metadata.modified());
                let is_old = changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= unused));
                if is_left && is_old {
                    let _ = std::fs::remove_dir_all(entry.path());
                }
            }
            Ok(())
        })
        .await
    }

    async fn check(&self) -> Vec<Check> {
        let check = |name: &str, ok: bool, found: String| Check { name: name.to_owned(), ok, found };
        let this = self.again();
        let looked = blocking(move || Ok((this.obstacle(), this.has_sandbox()))).await;
        let (obstacle, has_sandbox) = match looked {
            Ok(looked) => looked,
            Err(error) => return vec![check("folder", false, error.to_string())],
        };
        let mut list = vec![match obstacle {
            None => check("folder", true, self.settings.root.display().to_string()),
            Some(obstacle) => check("folder", false, obstacle),
        }];
        let found = match (has_sandbox, self.settings.sandbox) {
            (true, _) => "bubblewrap",
            (false, SandboxRule::Off) => "switched off; programs are limited, not confined",
            (false, _) => "bubblewrap does not work here; programs are limited, not confined",
        };
        list.push(check("sandbox", has_sandbox || self.settings.sandbox == SandboxRule::Off, found.to_owned()));
        let user = match self.run_as {
            Some(user) => format!("programs run as the user {user}"),
            None => "programs run as the user of this server; start it as root to tell them apart".to_owned(),
        };
        list.push(check("user", true, user));
        list
    }
}

impl Local {
    fn again(&self) -> Arc<Self> {
        let has_sandbox = Arc::clone(&self.has_sandbox);
        Arc::new(Self { settings: self.settings.clone(), run_as: self.run_as, has_sandbox })
    }
}
