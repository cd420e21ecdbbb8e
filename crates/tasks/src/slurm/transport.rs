//! The way to a cluster: its helper runs on this machine, or through OpenSSH with one connection that stays open.
//!
//! The host must have the key that is pinned for it. A way that fails is not tried again at once.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::{Mutex, Semaphore};

use super::SlurmError;
use super::frame::{Answered, parse, quoted};
use crate::cluster::ClusterError;
use crate::profile::{SshProfile, TransportProfile, is_plain_path};

/// Largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 80 << 20;
/// Commands at the same time; below what servers allow on one connection, beyond which OpenSSH quietly opens others.
const CHANNELS: usize = 4;
/// How long what a command has said may come after its end.
const LATE: Duration = Duration::from_secs(2);
/// The text of the helper.
const HELPER: &str = include_str!("helper.sh");

/// What a command reads.
pub(super) enum Input {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// A way to a cluster.
pub(super) struct Transport {
    way: Way,
    root: String,
    /// How long one of Slurm's commands may take.
    seconds: String,
    helper: String,
    installed: Mutex<bool>,
    channels: Semaphore,
}

enum Way {
    Direct,
    Ssh { profile: SshProfile, control: tempfile_dir::PrivateDir },
}

impl Transport {
    /// `limit` is what the helper and all that it runs may take.
    pub(super) fn new(profile: &TransportProfile, root: &str, limit: Duration) -> Result<Self, SlurmError> {
        let way = match profile {
            TransportProfile::Direct => Way::Direct,
            TransportProfile::OpenSsh(ssh) => {
                for file in [&ssh.identity_file, &ssh.known_hosts] {
                    std::fs::metadata(file).map_err(|source| SlurmError::File { path: file.clone(), source })?;
                }
                let control = tempfile_dir::PrivateDir::new().map_err(SlurmError::Control)?;
                Way::Ssh { profile: ssh.clone(), control }
            }
        };
        let version = hex::encode(&Sha256::digest(HELPER)[..8]);
        let helper = format!("{root}/.bin/helper-{version}.sh");
        Ok(Self {
            way,
            root: root.to_owned(),
            // So that the helper answers before it is given up.
            seconds: (limit.as_secs() * 5 / 6).max(1).to_string(),
            helper,
            installed: Mutex::new(false),
            channels: Semaphore::new(CHANNELS),
        })
    }

    /// Runs a verb of the helper. The exit code 75 says that nobody knows.
    pub(super) async fn ask(
        &self,
        verb: &str,
        arguments: &[&str],
        input: &Input,
        limit: Duration,
    ) -> Result<Answered, ClusterError> {
        self.install(limit).await?;
        match self.try_ask(verb, arguments, input, limit).await {
            Err(Failure::NoHelper) => {
                // Somebody has removed it.
                *self.installed.lock().await = false;
                self.install(limit).await?;
                Ok(self.try_ask(verb, arguments, input, limit).await?)
            }
            other => Ok(other?),
        }
    }

    async fn try_ask(
        &self,
        verb: &str,
        arguments: &[&str],
        input: &Input,
        limit: Duration,
    ) -> Result<Answered, Failure> {
        let mark = crate::random::nonce();
        let words = ["/bin/sh", &self.helper, &mark, &self.root, &self.seconds, verb].into_iter();
        let words = words.chain(arguments.iter().copied());
        let (output, ended) = self.run(words.map(str::to_owned).collect(), input, limit).await?;
        match parse(&output, &mark) {
            Some(answered) => Ok(answered),
            // Shells say so when they do not find the script.
            None if matches!(ended.code, Some(2 | 126 | 127)) => Err(Failure::NoHelper),
            None => Err(Failure::Of(self.obituary(&ended))),
        }
    }

    /// Brings the helper, if this process has not yet.
    async fn install(&self, limit: Duration) -> Result<(), ClusterError> {
        let mut installed = self.installed.lock().await;
        if *installed {
            return Ok(());
        }
        debug_assert!(is_plain_path(&self.root));
        let (mark, helper) = (crate::random::nonce(), &self.helper);
        let script = format!(
            "umask 022; mkdir -p {root}/.bin && cat >{helper}.{mark} && mv {helper}.{mark} {helper} && \
             printf '\\036BEGIN {mark}\\036\\036END {mark} 0\\036'",
            root = self.root
        );
        let words = vec!["/bin/sh".to_owned(), "-c".to_owned(), script];
        let input = Input::Bytes(HELPER.as_bytes().to_vec());
        let (output, ended) = self.run(words, &input, limit).await?;
        if parse(&output, &mark).is_none() {
            return Err(self.obituary(&ended));
        }
        *installed = true;
        Ok(())
    }

    async fn run(&self, words: Vec<String>, input: &Input, limit: Duration) -> Result<(Vec<u8>, Ended), ClusterError> {
        let _permit = self.channels.acquire().await.expect("the semaphore is never closed");
        let mut command = match &self.way {
            Way::Direct => {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]);
                command
            }
            Way::Ssh { profile, control } => {
                let mut command = ssh(profile, control.path());
                command.arg("--").arg(&profile.host);
                command.arg(words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
                command
            }
        };
        let away = |error: std::io::Error| ClusterError::Away(format!("a command could not be run: {error}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(away)?;
        let (mut to, mut from) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let errors = child.stderr.take().expect("piped");
        let feed = async {
            // A command that does not read to the end says so by its answer.
            let _ = match input {
                Input::Bytes(bytes) => to.write_all(bytes).await,
                Input::File(path) => match tokio::fs::File::open(path).await {
                    Ok(mut file) => tokio::io::copy(&mut file, &mut to).await.map(drop),
                    Err(error) => Err(error),
                },
            };
            let _ = to.shutdown().await;
            drop(to);
        };
        let (mut output, mut said) = (Vec::new(), Vec::new());
        let mut limited = (&mut from).take(MAX_ANSWER);
        let all = async {
            let mut errors = errors.take(64 << 10);
            let reads = async {
                tokio::join!(feed, limited.read_to_end(&mut output), errors.read_to_end(&mut said)).1.map(drop)
            };
            let mut reads = std::pin::pin!(reads);
            tokio::select! {
                read = &mut reads => {
                    read?;
                    child.wait().await
                }
                // The process that keeps the connection open holds our pipes too, and may not let go of them.
                status = child.wait() => {
                    let _ = tokio::time::timeout(LATE, reads).await;
                    status
                }
            }
        };
        match tokio::time::timeout(limit, all).await {
            Err(_) => Err(ClusterError::Away(format!("no answer within {} s", limit.as_secs()))),
            Ok(status) => {
                let code = status.map_err(away)?.code();
                Ok((output, Ended { code, said: String::from_utf8_lossy(&said).into_owned() }))
            }
        }
    }

    /// Why there was no answer.
    fn obituary(&self, ended: &Ended) -> ClusterError {
        let said = ended.said.trim();
        if said.contains("HOST IDENTIFICATION HAS CHANGED") || said.contains("Host key verification failed") {
            return ClusterError::WrongHost(
                "the host does not have the key that is pinned in its known_hosts file; nothing is sent to it"
                    .to_owned(),
            );
        }
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        ClusterError::Away(format!("the cluster could not be reached: {}", last.chars().take(300).collect::<String>()))
    }
}

/// How a command ended.
struct Ended {
    code: Option<i32>,
    said: String,
}

enum Failure {
    NoHelper,
    Of(ClusterError),
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        Self::Of(error)
    }
}

impl From<Failure> for ClusterError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoHelper => Self::Away("the helper could not be started there".to_owned()),
            Failure::Of(error) => error,
        }
    }
}

fn ssh(profile: &SshProfile, control: &std::path::Path) -> Command {
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]);
    command.args(["-o", "IdentitiesOnly=yes", "-o", "GlobalKnownHostsFile=none", "-o", "UpdateHostKeys=no"]);
    command.args(["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3", "-o", "ControlMaster=auto"]);
    command.args(["-o", "ControlPersist=120", "-o", "LogLevel=ERROR", "-o", "ForwardAgent=no"]);
    command.arg("-o").arg(format!("ConnectTimeout={}", profile.connect_seconds));
    command.arg("-o").arg(format!("ControlPath={}/%C", control.display()));
    command.arg("-o").arg(format!("UserKnownHostsFile=\"{}\"", profile.known_hosts.display()));
    command.arg("-i").arg(&profile.identity_file);
    command.arg("-p").arg(profile.port.to_string()).arg("-l").arg(&profile.user);
    if let Some(jump) = &profile.proxy_jump {
        command.arg("-J").arg(jump);
    }
    command
}

/// A folder that only this user may enter, removed in the end.
mod tempfile_dir {
    use std::io;
    use std::os::unix::fs::DirBuilderExt as _;
    use std::path::{Path, PathBuf};

    pub(super) struct PrivateDir(PathBuf);

    impl PrivateDir {
        /// In the system's folder for temporary files: names of sockets must be short.
        pub(super) fn new() -> io::Result<Self> {
            let path = std::env::temp_dir().join(format!("bv-{}", crate::random::nonce()));
            std::fs::DirBuilder::new().mode(0o700).create(&path)?;
            Ok(Self(path))
        }

        pub(super) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for PrivateDir {
        fn drop(&mut self) {
            // A connection that is still open there ends by itself.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
