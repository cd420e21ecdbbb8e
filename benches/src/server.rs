//! The real program in a process of its own, asked over HTTP on loopback.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// A running server; killed when dropped.
pub struct Server {
    process: Child,
    agent: ureq::Agent,
    base: String,
}

impl Server {
    /// Starts the program on a folder, with its state in a directory.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: &Path, folder: &Path, state: &Path) -> anyhow::Result<Self> {
        Self::start_on(None, program, folder, state)
    }

    /// As [`Server::start`], on a database; `None`: SQLite in the directory of the state.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_on(database: Option<&str>, program: &Path, folder: &Path, state: &Path) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut command = Command::new(program);
        command.arg("serve").arg(folder).arg("--state").arg(state);
        command.args(["--host", "127.0.0.1", "--quiet", "--port", &port.to_string()]);
        command.envs(database.map(|url| ("STORE_URL", url)));
        Self::run(command, port)
    }

    /// Starts this program with arguments that make it serve on the port which is appended to them.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn this(arguments: &[&OsStr]) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).arg(port.to_string());
        Self::run(command, port)
    }

    fn run(mut command: Command, port: u16) -> anyhow::Result<Self> {
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.with_context(|| format!("{:?} cannot be started", command.get_program()))?;
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Ok(Self { process, agent, base: format!("http://127.0.0.1:{port}") })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Never for a server that was started here.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        self.base.trim_start_matches("http://").parse().context("an address")
    }

    /// The body of the answer to a path.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn body(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        Ok(self.agent.get(format!("{}{path}", self.base)).call()?.body_mut().read_to_vec()?)
    }

    /// The status of the answer to a path, whose body is read.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn status(&self, path: &str) -> anyhow::Result<u16> {
        let mut answer = self.agent.get(format!("{}{path}", self.base)).call()?;
        answer.body_mut().read_to_vec()?;
        Ok(answer.status().as_u16())
    }

    /// The sum of the metrics whose series begin with this.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn sum(&self, series: &str) -> anyhow::Result<f64> {
        let text = String::from_utf8(self.body("/metrics")?)?;
        let lines = text.lines().filter(|line| line.starts_with(series));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Resident memory now, in bytes.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn memory(&self) -> anyhow::Result<f64> {
        memory_of(self.process.id(), "VmRSS:")
    }

    /// Resident memory at its largest, in bytes.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn peak_memory(&self) -> anyhow::Result<f64> {
        memory_of(self.process.id(), "VmHWM:")
    }

    /// Resident memory at its largest of that child of the server which had the most, in bytes; 0 without children.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn peak_memory_of_children(&self) -> anyhow::Result<f64> {
        let mut peak: f64 = 0.0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let children = std::fs::read_to_string(thread?.path().join("children"))?;
            for child in children.split_ascii_whitespace() {
                // One that has ended since has no memory.
                peak = peak.max(memory_of(child.parse()?, "VmHWM:").unwrap_or_default());
            }
        }
        Ok(peak)
    }

    /// CPU time of the server without its children, in seconds.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        /// Ticks per second, the same on every Linux that Rust's standard library runs on.
        const TICKS: f64 = 100.0;
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The name, in parentheses, may hold spaces.
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let times = fields.get(11..13).context("a short line")?;
        Ok(times.iter().filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS)
    }

    /// How long an answer takes that must be 200.
    ///
    /// # Errors
    /// When it is another one.
    pub fn time(&self, path: &str) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        let status = self.status(path)?;
        ensure!(status == 200, "{path} answered {status}");
        Ok(begin.elapsed())
    }

    /// Asks every 2 ms until the answer is 200.
    ///
    /// # Errors
    /// When that takes longer than `limit`.
    pub fn wait_for(&self, path: &str, limit: Duration) -> anyhow::Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < limit {
            // Refused connections and "not ready" answers both mean: ask again.
            if matches!(self.status(path), Ok(200)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("{path} was not answered within {} s", limit.as_secs())
    }
}

/// A field of a process's status that is in kB, in bytes.
pub(crate) fn memory_of(process: u32, field: &str) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"));
    Ok(value.context("the system does not tell")?.trim().parse::<f64>()? * 1024.0)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
