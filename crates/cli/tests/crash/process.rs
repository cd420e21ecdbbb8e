//! The program as a process, and the processes that it starts.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_belvedere");
/// Longest wait for anything. A machine that runs other things at the same time may be slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Address space of readers: tells those that have put their limits on themselves from those that just start.
pub(crate) const CHILD_MEMORY_BYTES: &str = "3000000000";
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Looks again and again until there is something to see, and gives it.
///
/// # Panics
/// When the patience ends.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(LOOK);
    }
}

/// A running `belvedere`. It does not outlive the test, whatever happens.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it with exactly these variables; what it says goes to a file.
    pub(crate) fn start<S: AsRef<OsStr>>(
        wrapper: &[&str],
        arguments: &[S],
        variables: &[(String, String)],
        log: PathBuf,
    ) -> Self {
        let mut command = match wrapper {
            [] => Command::new(PROGRAM),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(PROGRAM);
                command
            }
        };
        let child = command
            .args(arguments)
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    /// Threads it has now.
    pub(crate) fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.pid().as_raw_pid())).unwrap().count()
    }

    /// Memory it has now.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid().as_raw_pid())).unwrap();
        let told = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        told.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        // Gone with the test's folder when it failed.
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has said something.
    pub(crate) fn says(&self, words: &str) {
        until(&format!("the log has the words `{words}`"), || self.log().contains(words).then_some(()));
    }

    /// Where it answers, once it does.
    pub(crate) fn address(&mut self) -> String {
        until("the server listens", || {
            let ended = self.ended();
            assert!(ended.is_none(), "the server ended with {ended:?}: {}", self.log());
            self.told_address()
        })
    }

    /// Where it answers, if it has told by now.
    pub(crate) fn told_address(&self) -> Option<String> {
        let log = self.log();
        let line = log.split_inclusive('\n').find_map(|line| line.strip_prefix("listening on "))?;
        // A line that is being written has no end yet.
        line.strip_suffix('\n').map(str::to_owned)
    }

    /// Whether it has told that it works.
    pub(crate) fn is_ready(&self) -> bool {
        self.told_address().is_some() || self.log().contains("the worker runs")
    }

    /// How it ended, if it has by now.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until it has ended by itself.
    pub(crate) fn end(&mut self) -> ExitStatus {
        until("the process ends", || self.child.try_wait().unwrap())
    }

    /// Kills it, as a machine does that runs out of memory, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.end().signal(), Some(Signal::KILL.as_raw()));
    }

    /// The processes that read files on its behalf, once they are bound to it: one that is stopped before could not
    /// notice its end.
    pub(crate) fn readers(&self) -> Vec<Pid> {
        let parent = self.pid().as_raw_pid();
        readers()
            .into_iter()
            .filter(|reader| reader.parent == parent && reader.is_limited)
            .map(|reader| reader.pid)
            .collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail = &log[log.floor_char_boundary(log.len().saturating_sub(4000))..];
            let text = format!("--- {}\n{tail}\n", self.log.display());
            // Nothing is left to be done when nobody listens.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
        }
        // It may have ended; waiting tells in both cases.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes that a process has started.
pub(crate) fn children_of(parent: Pid) -> Vec<Pid> {
    let is_child = |entry: &fs::DirEntry| -> Option<bool> {
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let told = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        Some(told.trim().parse::<i32>().ok()? == parent.as_raw_pid())
    };
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let children = processes.filter(|entry| is_child(entry) == Some(true));
    children.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// A process that reads files on behalf of a worker.
struct Reader {
    pid: Pid,
    parent: i32,
    /// It has put its limits on itself, the last thing it does before it serves.
    is_limited: bool,
    environment: Vec<u8>,
}

/// All of this machine, those of other tests included.
fn readers() -> Vec<Reader> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    // Processes come and go while we look.
    let reader = |entry: fs::DirEntry| -> Option<Reader> {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        let arguments = fs::read(entry.path().join("cmdline")).ok()?;
        if arguments.split(|byte| *byte == 0).nth(1)? != b"engine-child" {
            return None;
        }
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
        let limits = fs::read_to_string(entry.path().join("limits")).ok()?;
        let memory = limits.lines().find(|line| line.starts_with("Max address space"))?;
        let environment = fs::read(entry.path().join("environ")).ok()?;
        Some(Reader { pid, parent, is_limited: !memory.contains("unlimited"), environment })
    };
    processes.filter_map(reader).collect()
}

/// Whether any process still reads for this state directory, whoever its parent is now.
pub(crate) fn is_read_for(state: &Path) -> bool {
    let state = state.as_os_str().as_encoded_bytes();
    readers().iter().any(|reader| reader.environment.windows(state.len()).any(|window| window == state))
}
