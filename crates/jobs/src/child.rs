//! Child processes that read untrusted files: the same binary, with limits on memory, CPU time and written files.
//!
//! A child answers one call after the other over its standard input and output, each message a length (4 bytes,
//! little-endian) and JSON. In the middle of a call it may ask for parts of files that are missing on this machine, since it
//! has no way to them itself; such a question has the highest bit of its length set. It dies with its parent, and a parent
//! that loses interest kills it, with all that it may have started itself: children hold nothing that matters. [`ChildPool`]
//! keeps idle ones for the next call, for a while, and replaces those that died.

use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use belvedere_engine::source::{Reading, Supply};
use belvedere_engine::{Call, EngineError, ErrorKind, Reply, Task};
use belvedere_hub::{Hub, HubError};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, Semaphore};

use crate::call::{CallError, Caller};
use crate::meter::{Gauge, Meter};
use crate::settings::WorkerSettings;

/// Marks the length of a message that asks for parts of a file.
const ASKS: u32 = 1 << 31;
/// Largest message in bytes, either way.
const MAX_MESSAGE_BYTES: usize = 1 << 30;
/// Calls after which a child is replaced, so that leaks of decoders stay small.
const CALLS_PER_CHILD: u32 = 200;
/// Lines of a child's standard error kept to explain its death.
const KEPT_LINES: usize = 20;
/// Time without a call after which a child is ended, so that a server with nothing to do holds no memory for it.
const IDLE: Duration = Duration::from_secs(30);
/// Time between two looks at what a child uses while it works, so that something is known of one that dies.
const LOOK: Duration = Duration::from_millis(250);

/// How children are started.
#[derive(Clone, Debug)]
pub struct ChildCommand {
    /// The program; it must serve calls when given `arguments`.
    pub program: PathBuf,
    /// Arguments that make it serve calls.
    pub arguments: Vec<String>,
    /// Memory in bytes beyond the program itself (address space); `None`: no limit.
    pub memory_bytes: Option<u64>,
    /// CPU time in seconds over all its calls; `None`: no limit.
    pub cpu_seconds: Option<u64>,
    /// Largest file it may write, in bytes; `None`: no limit.
    pub file_bytes: Option<u64>,
    /// Its temporary directory.
    pub scratch: PathBuf,
}

impl ChildCommand {
    /// The program with one argument that makes it serve calls, under the limits of a worker.
    pub fn new(program: PathBuf, argument: &str, scratch: PathBuf, worker: &WorkerSettings) -> Self {
        Self {
            program,
            arguments: vec![argument.to_owned()],
            memory_bytes: worker.child_memory_bytes,
            // Over all calls of one child: generous, since each job's own duration is watched as well.
            cpu_seconds: Some((worker.max_job_duration_seconds * 8.0).max(60.0) as u64),
            file_bytes: worker.child_file_bytes,
            scratch,
        }
    }
}

/// Children that serve calls, at most `size` at a time.
pub struct ChildPool {
    command: ChildCommand,
    permits: Semaphore,
    idle: Arc<Mutex<Idle>>,
    keep: Duration,
    hub: Option<Arc<dyn Hub>>,
}

/// What a child asks for in the middle of a call.
#[derive(Serialize, Deserialize)]
struct Wanted {
    local_path: PathBuf,
    range: Range<u64>,
    /// Little else of the file will be asked for.
    spots: bool,
}

/// Children that wait for a call, the one that worked last at the end.
#[derive(Default)]
struct Idle {
    processes: Vec<(Instant, Process)>,
    /// Whether somebody looks after them.
    is_watched: bool,
}

struct Process {
    child: Child,
    /// The process group that it leads.
    group: Option<Pid>,
    input: ChildStdin,
    output: ChildStdout,
    errors: Arc<Mutex<Vec<String>>>,
    /// Collects `errors`; ends with the child.
    listener: tokio::task::JoinHandle<()>,
    calls: u32,
}

impl ChildPool {
    /// A pool; children are started when needed.
    pub fn new(command: ChildCommand, size: usize) -> Self {
        Self { command, permits: Semaphore::new(size.max(1)), idle: Arc::default(), keep: IDLE, hub: None }
    }

    /// Brings the children parts of files that this Hub has located.
    #[must_use]
    pub fn with_files_of(self, hub: Arc<dyn Hub>) -> Self {
        Self { hub: Some(hub), ..self }
    }

    /// The same pool, whose children end after `idle` without a call.
    #[must_use]
    pub fn keep(mut self, idle: Duration) -> Self {
        self.keep = idle;
        self
    }

    async fn process(&self) -> Result<Process, CallError> {
        while let Some((_, mut process)) = self.idle.lock().await.processes.pop() {
            if matches!(process.child.try_wait(), Ok(None)) {
                return Ok(process);
            }
        }
        start(&self.command).map_err(CallError::Start)
    }

    /// Keeps a child for the next call, for a while.
    async fn put_back(&self, process: Process) {
        let mut idle = self.idle.lock().await;
        idle.processes.push((Instant::now(), process));
        if !std::mem::replace(&mut idle.is_watched, true) {
            tokio::spawn(end_idle(Arc::downgrade(&self.idle), self.keep));
        }
    }
}

/// Ends children that had no call for the time `keep`, as long as there are any.
async fn end_idle(idle: Weak<Mutex<Idle>>, keep: Duration) {
    loop {
        tokio::time::sleep(keep).await;
        let Some(idle) = idle.upgrade() else { return };
        let mut idle = idle.lock().await;
        idle.processes.retain(|(since, _)| since.elapsed() < keep);
        if idle.processes.is_empty() {
            idle.is_watched = false;
            return;
        }
    }
}

#[async_trait]
impl Caller for ChildPool {
    async fn call(&self, call: Call, limit: Duration) -> Result<Reply, CallError> {
        self.call_metered(call, limit, Meter::default()).await
    }

    async fn call_metered(&self, call: Call, limit: Duration, meter: Meter) -> Result<Reply, CallError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        // Dropped with this future on cancellation, which kills the child.
        let mut process = self.process().await?;
        let mut gauge = process.child.id().and_then(Gauge::start);
        let exchanged =
            tokio::time::timeout(limit, watched(process.answer(&call, self.hub.as_deref()), &mut gauge, &meter)).await;
        if let Some(gauge) = &mut gauge {
            gauge.note(&meter);
        }
        match exchanged {
            Err(_) => Err(CallError::TooLong(limit)),
            Ok(Err(error)) => Err(CallError::Died(process.obituary(&error).await)),
            Ok(Ok(result)) => {
                process.calls += 1;
                if process.calls < CALLS_PER_CHILD {
                    self.put_back(process).await;
                }
                result
            }
        }
    }
}

/// Waits for an exchange with a child, and looks now and then at what it uses.
async fn watched<T>(exchange: impl Future<Output = T>, gauge: &mut Option<Gauge>, meter: &Meter) -> T {
    let mut exchange = std::pin::pin!(exchange);
    loop {
        match tokio::time::timeout(LOOK, &mut exchange).await {
            Ok(done) => return done,
            Err(_) => gauge.iter_mut().for_each(|gauge| gauge.note(meter)),
        }
    }
}

fn start(command: &ChildCommand) -> std::io::Result<Process> {
    let limit = |value: Option<u64>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
    let mut child = Command::new(&command.program)
        .args(&command.arguments)
        .args(["--memory-bytes", &limit(command.memory_bytes)])
        .args(["--cpu-seconds", &limit(command.cpu_seconds)])
        .args(["--file-bytes", &limit(command.file_bytes)])
        .args(["--parent", &std::process::id().to_string()])
        // A decoder of untrusted bytes has no use for secrets.
        .env_clear()
        .env("TMPDIR", &command.scratch)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Of its own: to be killed as a whole, and out of reach of an interrupt from the terminal, which is the parent's
        // to answer.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let missing = || std::io::Error::other("the child has no pipes");
    let input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    let errors = Arc::new(Mutex::new(Vec::new()));
    let mut lines = BufReader::new(child.stderr.take().ok_or_else(missing)?).lines();
    let kept = Arc::clone(&errors);
    let listener = tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let mut kept = kept.lock().await;
            if kept.len() == KEPT_LINES {
                kept.remove(0);
            }
            kept.push(line);
        }
    });
    Ok(Process { child, group, input, output, errors, listener, calls: 0 })
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end_group();
    }
}

impl Process {
    /// Its answer, unless it ends before.
    async fn answer(&mut self, call: &Call, hub: Option<&dyn Hub>) -> std::io::Result<Result<Reply, CallError>> {
        tokio::select! {
            biased;
            answer = exchange(&mut self.input, &mut self.output, call, hub) => answer,
            // What it may have started holds its end of the pipe open: waiting for that would be in vain.
            ended = self.child.wait() => Err(ended.err().unwrap_or_else(|| std::io::Error::other("it ended"))),
        }
    }

    /// Ends whatever it has started and is left in its group. Usually nobody is.
    fn end_group(&self) {
        let _ = self.group.map(|group| kill_process_group(group, Signal::KILL));
    }

    /// Why it ended, in words.
    async fn obituary(&mut self, error: &std::io::Error) -> String {
        // The pipe broke because the process ended or because it answered nonsense; in both cases it must go.
        let Ok(Ok(status)) = tokio::time::timeout(Duration::from_secs(1), self.child.wait()).await else {
            // It still runs and talks nonsense; dropping it kills it.
            return format!("gave no proper answer: {error}");
        };
        self.end_group();
        // Its last words may still be in the pipe.
        let _ = tokio::time::timeout(Duration::from_secs(1), &mut self.listener).await;
        describe(status, last_words(&self.errors.lock().await))
    }
}

async fn exchange(
    input: &mut ChildStdin,
    output: &mut ChildStdout,
    call: &Call,
    hub: Option<&dyn Hub>,
) -> std::io::Result<Result<Reply, CallError>> {
    send(input, &serde_json::to_vec(call)?).await?;
    let mut failure = None;
    loop {
        let mut length = [0; 4];
        output.read_exact(&mut length).await?;
        let length = u32::from_le_bytes(length);
        let (asks, length) = (length & ASKS != 0, (length & !ASKS) as usize);
        if length > MAX_MESSAGE_BYTES {
            return Err(std::io::Error::other("the child answered with too long a message"));
        }
        let mut answer = vec![0; length];
        output.read_exact(&mut answer).await?;
        if !asks {
            let result: Result<Reply, EngineError> = serde_json::from_slice(&answer)?;
            // A reader that made do without some bytes would tell of the machine as if it were the file.
            return Ok(failure.map_or_else(|| result.map_err(CallError::Engine), Err));
        }
        let wanted: Wanted = serde_json::from_slice(&answer)?;
        let brought = match hub {
            Some(hub) => {
                use belvedere_hub::Reading::{Spots, Through};
                let reading = if wanted.spots { Spots } else { Through };
                hub.bring(&wanted.local_path, wanted.range, reading).await.map_err(not_brought)
            }
            None => Err(CallError::Engine(EngineError::new(ErrorKind::Io, "nobody can bring parts of files"))),
        };
        let told = match brought {
            Ok(()) => Ok(()),
            Err(error) => {
                let told = EngineError::new(ErrorKind::Away, &error);
                failure.get_or_insert(error);
                Err(told)
            }
        };
        send(input, &serde_json::to_vec(&told)?).await?;
    }
}

async fn send(input: &mut ChildStdin, message: &[u8]) -> std::io::Result<()> {
    input.write_all(&length_of(message)?).await?;
    input.write_all(message).await?;
    input.flush().await
}

/// What a call ends in when bytes do not come: a file that is gone is one that has changed.
fn not_brought(error: HubError) -> CallError {
    match &error {
        HubError::RevisionGone { .. } | HubError::DatasetNotFound(_) | HubError::FileNotFound { .. } => {
            CallError::Engine(EngineError::new(ErrorKind::Changed, &error))
        }
        _ => CallError::Hub(error),
    }
}

/// The line that tells why a process ended: that it had no memory, else the last one that is not about backtraces.
fn last_words(lines: &[String]) -> &str {
    let out_of_memory = lines.iter().find(|line| line.contains("memory allocation of"));
    let is_telling = |line: &&String| !line.trim().is_empty() && !line.starts_with("note: ");
    out_of_memory.or_else(|| lines.iter().rev().find(is_telling)).map_or("", String::as_str)
}

fn describe(status: ExitStatus, last_line: &str) -> String {
    use std::os::unix::process::ExitStatusExt;
    let because = if last_line.is_empty() { String::new() } else { format!(": {last_line}") };
    match status.signal() {
        _ if last_line.contains("memory allocation of") => "ran out of the memory it is allowed".to_owned(),
        Some(6) => format!("aborted{because}"),
        Some(9) => "was killed, probably because the machine ran out of memory".to_owned(),
        Some(11) => "crashed with a segmentation fault".to_owned(),
        Some(24) => "used up the CPU time it is allowed".to_owned(),
        Some(25) => "wrote a larger file than it is allowed".to_owned(),
        Some(signal) => format!("was ended by signal {signal}{because}"),
        None => format!("ended with status {}{because}", status.code().unwrap_or(-1)),
    }
}

fn length_of(message: &[u8]) -> std::io::Result<[u8; 4]> {
    match u32::try_from(message.len()) {
        Ok(length) if message.len() <= MAX_MESSAGE_BYTES => Ok(length.to_le_bytes()),
        _ => Err(std::io::Error::other("the message is too long")),
    }
}

/// Limits that a child puts on itself before it reads anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Address space in bytes, beyond that of the program itself.
    pub memory_bytes: Option<u64>,
    /// CPU time in seconds.
    pub cpu_seconds: Option<u64>,
    /// Size of written files in bytes.
    pub file_bytes: Option<u64>,
}

/// Carries out one call: [`belvedere_engine::execute`], or what takes further calls and leaves the rest to it.
pub type Execute = fn(Call, &Task) -> Result<Reply, EngineError>;

/// The main loop of a child: serves calls from standard input until it is closed. `parent` is the number of the process
/// that it serves and with which it dies.
///
/// # Errors
/// When the pipes break or a message is malformed; the parent is gone then.
pub fn serve(limits: Limits, parent: Option<u32>, execute: Execute) -> std::io::Result<()> {
    restrict(limits)?;
    // A parent that died before we asked to die with it sends no signal any more.
    if parent.is_some_and(|parent| parent != std::os::unix::process::parent_id()) {
        return Err(std::io::Error::other("the parent is gone"));
    }
    let parent = Arc::new(Parent::default());
    belvedere_engine::source::supply_with(Arc::clone(&parent) as _);
    loop {
        let Some(request) = parent.pipes().read()? else { return Ok(()) };
        // Not held meanwhile: readers ask the parent for what is missing.
        let result = answer(&request, execute);
        parent.pipes().write(&serde_json::to_vec(&result)?, 0)?;
    }
}

/// The parent, seen from a child.
#[derive(Default)]
struct Parent(std::sync::Mutex<Pipes>);

struct Pipes {
    input: std::io::Stdin,
    output: std::io::Stdout,
}

impl Default for Pipes {
    fn default() -> Self {
        Self { input: std::io::stdin(), output: std::io::stdout() }
    }
}

impl Parent {
    fn pipes(&self) -> std::sync::MutexGuard<'_, Pipes> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Supply for Parent {
    fn bring(&self, local_path: &Path, range: Range<u64>, reading: Reading) -> Result<(), EngineError> {
        let wanted = Wanted { local_path: local_path.to_owned(), range, spots: reading == Reading::Spots };
        let lost = |error: std::io::Error| EngineError::new(ErrorKind::Io, format!("the parent is lost: {error}"));
        let wanted = serde_json::to_vec(&wanted).map_err(|error| lost(error.into()))?;
        // One question at a time: what comes next from the parent is its answer.
        let mut pipes = self.pipes();
        pipes.write(&wanted, ASKS).map_err(lost)?;
        let answer = pipes.read().map_err(lost)?.ok_or_else(|| lost(std::io::ErrorKind::UnexpectedEof.into()))?;
        serde_json::from_slice(&answer).map_err(|error| lost(error.into()))?
    }
}

impl Pipes {
    /// The next message; `None` at the end.
    fn read(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut length = [0; 4];
        match self.input.read_exact(&mut length) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_MESSAGE_BYTES {
            return Err(std::io::Error::other("the message is too long"));
        }
        let mut message = vec![0; length];
        self.input.read_exact(&mut message)?;
        Ok(Some(message))
    }

    fn write(&mut self, message: &[u8], mark: u32) -> std::io::Result<()> {
        let length = u32::from_le_bytes(length_of(message)?) | mark;
        self.output.write_all(&length.to_le_bytes())?;
        self.output.write_all(message)?;
        self.output.flush()
    }
}

fn answer(request: &[u8], execute: Execute) -> Result<Reply, EngineError> {
    let internal = |message: String| EngineError::new(ErrorKind::Internal, message);
    let call: Call = serde_json::from_slice(request).map_err(|error| internal(format!("unknown call: {error}")))?;
    // A decoder that panics on a damaged file is a bug, but one that must not cost the process.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| execute(call, &Task::default()))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(internal(format!("the reader panicked: {}", text.unwrap_or("no message"))))
    })
}

/// Bytes of address space in use.
fn address_space() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let size =
        status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(size.ok_or_else(|| std::io::Error::other("/proc/self/status tells no VmSize"))? * 1024)
}

fn restrict(limits: Limits) -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let cap = |resource: Resource, value: Option<u64>| -> std::io::Result<()> {
        let Some(value) = value else { return Ok(()) };
        let maximum = getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
        Ok(setrlimit(resource, Rlimit { current: Some(maximum), maximum: Some(maximum) })?)
    };
    // The limit is for what the child reads: the program itself, mapped already, comes on top.
    let program = address_space()?;
    cap(Resource::As, limits.memory_bytes.map(|limit| limit.saturating_add(program)))?;
    cap(Resource::Cpu, limits.cpu_seconds)?;
    cap(Resource::Fsize, limits.file_bytes)?;
    cap(Resource::Core, Some(0))
}
