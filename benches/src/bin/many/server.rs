//! The program in a process of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// A running server; killed when dropped.
pub(crate) struct Server {
    process: Child,
    agent: ureq::Agent,
    base: String,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(crate) fn start(program: &Path, folder: &Path, state: &Path) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut command = Command::new(program);
        command.arg("serve").arg(folder).arg("--state").arg(state);
        command.args(["--host", "127.0.0.1", "--quiet", "--port", &port.to_string()]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.with_context(|| format!("{} cannot be started", program.display()))?;
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let server = Self { process, agent, base: format!("http://127.0.0.1:{port}") };
        let started = Instant::now();
        while server.status("/healthcheck").is_err() {
            if started.elapsed() > Duration::from_secs(60) {
                bail!("the server does not answer");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    pub(crate) fn status(&self, path: &str) -> anyhow::Result<u16> {
        let mut answer = self.agent.get(format!("{}{path}", self.base)).call()?;
        answer.body_mut().read_to_vec()?;
        Ok(answer.status().as_u16())
    }

    /// The sum of the metrics whose series begin with this.
    pub(crate) fn sum(&self, series: &str) -> anyhow::Result<f64> {
        let text = self.agent.get(format!("{}/metrics", self.base)).call()?.body_mut().read_to_string()?;
        let lines = text.lines().filter(|line| line.starts_with(series));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Resident memory now.
    pub(crate) fn memory_mb(&self) -> anyhow::Result<f64> {
        self.status_field("VmRSS:")
    }

    /// Resident memory at its largest.
    pub(crate) fn peak_memory_mb(&self) -> anyhow::Result<f64> {
        self.status_field("VmHWM:")
    }

    fn status_field(&self, name: &str) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let field = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
        Ok(field.context("the system does not tell")?.trim().parse::<f64>()? * 1024.0 / 1e6)
    }

    /// CPU time of the process, in seconds.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        /// Ticks per second, the same on every Linux that Rust's standard library runs on.
        const TICKS: f64 = 100.0;
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The name, in parentheses, may hold spaces.
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks: f64 =
            fields.get(11..13).context("a short line")?.iter().filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(ticks / TICKS)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
