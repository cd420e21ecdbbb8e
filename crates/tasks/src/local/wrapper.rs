//! The process that runs one attempt on this machine. It outlives the server, so that a restart costs no task.
//!
//! It claims the folder, leaves a receipt, puts limits on itself, starts the program in a sandbox, says every half minute
//! that it lives, ends it when its time is up or when it is asked to, and notes how it ended.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::process::{Identity, children};
use super::sandbox;
use crate::place::{
    ALIVE, CLAIM, DATA, ENVIRONMENT, EXIT_FENCED, FILES, OUTPUT, RESULT, ResultFile, START, write_whole,
};

/// The name of the receipt.
pub const RECEIPT: &str = "receipt";
/// The name of the plan.
pub const PLAN: &str = "wrapper.json";
/// How often the wrapper says that it lives.
const BEAT: Duration = Duration::from_secs(30);
/// How long a program may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(10);

/// What a wrapper is to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// `script` or `command`.
    pub kind: String,
    /// What is started or unpacked.
    pub file: String,
    /// How the program learns its paths.
    pub style: String,
    /// The program that runs scripts in Python.
    pub python: String,
    /// Memory of each process, in bytes.
    pub memory_bytes: u64,
    /// Processes at a time.
    pub processes: u64,
    /// Largest file, in bytes.
    pub file_bytes: u64,
    /// Longest time in seconds.
    pub time_seconds: u64,
    /// User and group that it runs as, where the wrapper may choose.
    pub run_as: Option<u32>,
    /// In a sandbox of bubblewrap.
    pub sandbox: bool,
    /// Folders that it may read beside the system's programs.
    pub binds: Vec<PathBuf>,
    /// With a network.
    pub network: bool,
}

/// Runs the attempt in a folder. Returns the exit code of the wrapper itself.
///
/// # Errors
/// When the folder cannot be used; the attempt did not run then.
pub async fn run(folder: &Path) -> io::Result<i64> {
    // Fails for the first process of a session, which is what is wanted.
    let _ = rustix::process::setsid();
    let plan: Plan = serde_json::from_slice(&fs::read(folder.join(PLAN))?)?;
    let identity = Identity::own()?;
    match fs::create_dir(folder.join(CLAIM)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(EXIT_FENCED),
        made => made?,
    }
    write_whole(&folder.join(CLAIM).join("job"), identity.pid.to_string().as_bytes())?;
    write_whole(&folder.join(RECEIPT), &serde_json::to_vec(&identity)?)?;
    let started = seconds();
    let result = match attempt(folder, &plan).await {
        Ok(result) => result,
        Err(error) => {
            let text = format!("the program could not be started: {error}\n");
            fs::write(folder.join("err"), text)?;
            ResultFile { exit: 126, ..ResultFile::default() }
        }
    };
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let result = ResultFile { started: Some(started), ended: Some(seconds()), host: Some(host), ..result };
    write_whole(&folder.join(RESULT), &serde_json::to_vec(&result)?)?;
    Ok(result.exit)
}

async fn attempt(folder: &Path, plan: &Plan) -> io::Result<ResultFile> {
    // Orphans of the program become children of ours, so that none outlives it.
    rustix::process::set_child_subreaper(Pid::from_raw(1))?;
    let mut asked = signal(SignalKind::terminate())?;
    fs::write(folder.join(ALIVE), "")?;
    if let Some(user) = plan.run_as {
        hand_over(folder, user)?;
    }
    let mut command = command(folder, plan)?;
    limit(plan)?;
    let mut child = command.spawn()?;
    let group = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let deadline = Instant::now() + Duration::from_secs(plan.time_seconds);
    let (mut timed_out, mut terminated, mut kill_at) = (false, false, None::<Instant>);
    let mut beat = tokio::time::interval(BEAT);
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = beat.tick() => fs::write(folder.join(ALIVE), "")?,
            _ = asked.recv(), if kill_at.is_none() => {
                terminated = true;
                send(group, Signal::TERM);
                kill_at = Some(Instant::now() + GRACE);
            }
            () = tokio::time::sleep_until(deadline), if kill_at.is_none() => {
                timed_out = true;
                send(group, Signal::TERM);
                kill_at = Some(Instant::now() + GRACE);
            }
            () = tokio::time::sleep_until(kill_at.unwrap_or(deadline)), if kill_at.is_some() => {
                send(group, Signal::KILL);
                kill_at = Some(Instant::now() + GRACE);
            }
        }
    };
    send(group, Signal::KILL);
    end_orphans();
    Ok(ResultFile { exit: exit_code(status), timed_out, terminated, ..ResultFile::default() })
}

fn send(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // Nobody may be left.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

/// Ends whatever the program has left behind, in whatever session it hid.
fn end_orphans() {
    loop {
        let left = children();
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        }
    }
}

fn exit_code(status: ExitStatus) -> i64 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255).into()
}

fn command(folder: &Path, plan: &Plan) -> io::Result<Command> {
    let text = |path: PathBuf| path.into_os_string();
    let start = [
        "/bin/sh".into(),
        text(folder.join(START)),
        folder.as_os_str().to_owned(),
        (&plan.kind).into(),
        (&plan.file).into(),
        (&plan.style).into(),
        (&plan.python).into(),
    ];
    let mut command = if plan.sandbox {
        let mut command = std::process::Command::new(sandbox::PROGRAM);
        command.args(sandbox::arguments(folder, plan)).arg("--").args(start);
        command
    } else {
        let mut command = std::process::Command::new(&start[0]);
        command.args(&start[1..]);
        command
    };
    let stream = |name: &str| OpenOptions::new().append(true).create(true).open(folder.join(name));
    command
        .env_clear()
        .envs(environment(folder)?)
        .current_dir(folder.join(FILES))
        .stdin(Stdio::null())
        .stdout(stream("out")?)
        .stderr(stream("err")?)
        .process_group(0);
    if let Some(user) = plan.run_as {
        command.uid(user).gid(user);
    }
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    Ok(command)
}

/// Variables of the program: its folder's, and those that were sent.
fn environment(folder: &Path) -> io::Result<Vec<(String, std::ffi::OsString)>> {
    let path = |name: &str| folder.join(name).into_os_string();
    let mut all: Vec<(String, std::ffi::OsString)> = vec![
        ("PATH".into(), std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())),
        ("LANG".into(), "C.UTF-8".into()),
        ("HOME".into(), path(OUTPUT)),
        ("TMPDIR".into(), "/tmp".into()),
        ("PYTHONUNBUFFERED".into(), "1".into()),
        ("TASK_DIR".into(), folder.into()),
        ("TASK_PARAMS".into(), path(crate::place::PARAMS)),
        ("TASK_OUTPUT".into(), path(OUTPUT)),
    ];
    for entry in fs::read_dir(folder.join(ENVIRONMENT))? {
        let entry = entry?;
        let value = fs::read_to_string(entry.path())?;
        let value = match value.strip_prefix("@/") {
            Some(inner) => folder.join(inner).into_os_string(),
            None => value.into(),
        };
        all.push((entry.file_name().to_string_lossy().into_owned(), value));
    }
    Ok(all)
}

/// Gives the folders that the program may write to its user.
fn hand_over(folder: &Path, user: u32) -> io::Result<()> {
    for name in [FILES, OUTPUT] {
        let mut waiting = vec![folder.join(name)];
        while let Some(path) = waiting.pop() {
            std::os::unix::fs::lchown(&path, Some(user), Some(user))?;
            if path.is_dir() {
                waiting.extend(fs::read_dir(&path)?.filter_map(Result::ok).map(|entry| entry.path()));
            }
        }
    }
    // Read by the program, written by nobody.
    for name in [DATA, ENVIRONMENT] {
        File::open(folder.join(name))?;
    }
    Ok(())
}

/// Limits of this process, which the program inherits.
fn limit(plan: &Plan) -> io::Result<()> {
    let cap = |resource: Resource, value: u64| -> io::Result<()> {
        let maximum = rustix::process::getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
        Ok(rustix::process::setrlimit(resource, Rlimit { current: Some(maximum), maximum: Some(maximum) })?)
    };
    cap(Resource::As, plan.memory_bytes)?;
    cap(Resource::Fsize, plan.file_bytes)?;
    cap(Resource::Nofile, 1024)?;
    cap(Resource::Core, 0)?;
    // The limit counts all processes of a user, also those that have nothing to do with the task.
    let user = plan.run_as.unwrap_or_else(|| rustix::process::getuid().as_raw());
    cap(Resource::Nproc, plan.processes.saturating_add(processes_of(user)))
}

fn processes_of(user: u32) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let threads = |entry: fs::DirEntry| {
        let metadata = entry.metadata().ok()?;
        let is_process = entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
        (is_process && metadata.uid() == user)
            .then(|| fs::read_dir(entry.path().join("task")).map_or(1, Iterator::count))
    };
    entries.filter_map(Result::ok).filter_map(threads).sum::<usize>() as u64
}

fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
