//! How many tasks a server accepts: the real program, asked over HTTP by several clients, its cluster out of reach, since
//! accepting must not wait for one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// Bytes of the two files of a task.
const BYTES: usize = 10_000;
const PASSWORD: &str = "correct horse battery";

/// Clients that wait for the time of their next request, so that slow answers do not slow down those that follow.
const ARRIVING: usize = 64;

/// How a server is asked.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Tasks sent by clients that send the next one as soon as the one before is answered.
    pub(crate) requests: usize,
    /// How many such clients there are.
    pub(crate) clients: usize,
    /// Seconds for which tasks then arrive at a fixed rate.
    pub(crate) seconds: usize,
}

/// Measures one database; then tasks arrive `rate` times a second.
pub(crate) fn measure(program: &Path, postgres: Option<&str>, load: Load, rate: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(program, folder.path(), postgres)?;
    let token = server.log_in()?;
    let name = if postgres.is_some() { "PostgreSQL" } else { "SQLite" };
    // Until everything that is made once is made.
    (0..load.clients * 4).try_for_each(|at| server.submit(&server.agent(), &token, &body(at)).map(drop))?;

    let Load { requests, clients, seconds } = load;
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let mut waits = in_threads(clients, || {
        let agent = server.agent();
        let mut waits = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= requests {
                return Ok(waits);
            }
            let body = body(at);
            let began = Instant::now();
            server.submit(&agent, &token, &body)?;
            waits.push(began.elapsed());
        }
    })?;
    let per_second = waits.len() as f64 / began.elapsed().as_secs_f64();
    println!(
        "{name}: {} tasks of two files and {BYTES} bytes, {clients} clients that send when they are answered: {per_second:.0} per \
         second, {}",
        waits.len(),
        quantiles(&mut waits),
    );

    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let mut waits = in_threads(ARRIVING, || {
        let agent = server.agent();
        let mut waits = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= rate * seconds {
                return Ok(waits);
            }
            let body = body(at);
            // Measured from when it should have been sent, whether a client was free then or not.
            let due = began + Duration::from_secs(1).mul_f64(at as f64 / rate as f64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            server.submit(&agent, &token, &body)?;
            waits.push(due.elapsed());
        }
    })?;
    let per_second = waits.len() as f64 / began.elapsed().as_secs_f64();
    println!(
        "{name}: {} tasks that arrive {rate} times a second: {per_second:.0} per second, {}",
        waits.len(),
        quantiles(&mut waits),
    );
    Ok(())
}

/// What all of so many threads return.
fn in_threads(count: usize, work: impl Fn() -> anyhow::Result<Vec<Duration>> + Sync) -> anyhow::Result<Vec<Duration>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(&work)).collect();
        let all = threads.into_iter().map(|thread| thread.join().expect("a client does not panic"));
        Ok(all.collect::<anyhow::Result<Vec<_>>>()?.concat())
    })
}

fn quantiles(waits: &mut [Duration]) -> String {
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    format!("p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms", at(0.5), at(0.99), at(1.0))
}

/// A form of two files, with a script that no other form has and that compresses about as programs do.
fn body(number: usize) -> String {
    let config = r#"{"runner_location": "away", "model_params": {"n_estimators": 2}, "experiment_name": "bench"}"#;
    let mut script = format!("print('trained')\n# {number} of {}\n", std::process::id());
    let mut state = number as u64 + 1;
    while script.len() + config.len() < BYTES {
        // Knuth's generator of 64 bits.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        script.push_str(&format!("weights[{}] = model.layer({}).scale\n", state >> 52, (state >> 32) & 0xfffff));
    }
    script.truncate(BYTES - config.len());
    let part = |name: &str, text: &str| {
        format!("--part\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\r\n{text}\r\n")
    };
    format!("{}{}--part--\r\n", part("submiter_confs.json", config), part("train.py", &script))
}

/// A running server; killed when dropped.
struct Server {
    process: Child,
    base: String,
}

impl Server {
    fn start(program: &Path, folder: &Path, postgres: Option<&str>) -> anyhow::Result<Self> {
        let (data, state) = (folder.join("data"), folder.join("state"));
        std::fs::create_dir_all(data.join("birds"))?;
        std::fs::write(data.join("birds/a.csv"), "name\nwren\n")?;
        let password = folder.join("password");
        std::fs::write(&password, PASSWORD)?;
        let clusters = clusters(folder)?;
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let command = |words: &[&str]| {
            let mut command = Command::new(program);
            command.args(words).arg("--state").arg(&state).env("TASKS_CLUSTERS", &clusters).env("TASKS_LOCAL", "false");
            command.envs(postgres.map(|url| ("STORE_URL", url))).stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let password = password.to_string_lossy().into_owned();
        let added = command(&["user", "add", "bench", "--password-file", &password]).status()?;
        ensure!(added.success(), "the user cannot be made");
        let data = data.to_string_lossy().into_owned();
        let port = port.to_string();
        let process = command(&["serve", &data, "--host", "127.0.0.1", "--quiet", "--port", &port]).spawn();
        let server = Self {
            process: process.with_context(|| format!("{} cannot be started", program.display()))?,
            base: format!("http://127.0.0.1:{port}"),
        };
        let started = Instant::now();
        let agent = server.agent();
        while agent.get(format!("{}/healthcheck", server.base)).call().is_err() {
            if started.elapsed() > Duration::from_secs(60) {
                bail!("the server does not answer");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    fn agent(&self) -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).build().into()
    }

    fn log_in(&self) -> anyhow::Result<String> {
        let request = self.agent().post(format!("{}/auth/login", self.base));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let mut answer = request.send(format!("username=bench&password={}", PASSWORD.replace(' ', "+")))?;
        let told: serde_json::Value = serde_json::from_slice(&answer.body_mut().read_to_vec()?)?;
        Ok(told["access_token"].as_str().with_context(|| format!("no session: {told}"))?.to_owned())
    }

    /// How long one took.
    fn submit(&self, agent: &ureq::Agent, token: &str, body: &str) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let request = agent
            .post(format!("{}/v1/tasks", self.base))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "multipart/form-data; boundary=part");
        let mut answer = request.send(body)?;
        let told = answer.body_mut().read_to_string()?;
        ensure!(answer.status() == 201, "{} {told}", answer.status());
        Ok(began.elapsed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended; waiting tells in both cases.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A cluster that nobody reaches, with room for all.
fn clusters(folder: &Path) -> anyhow::Result<PathBuf> {
    for name in ["key", "known_hosts"] {
        std::fs::write(folder.join(name), "")?;
    }
    let text = format!(
        "[clusters.away]\ndriver = \"slurm\"\nremote_root = \"/scratch/tasks\"\nmax_active = 1000000\n\
         max_active_per_user = 1000000\ntransport = {{ kind = \"openssh\", host = \"127.0.0.1\", port = 1, user = \"nobody\", \
         identity_file = \"{0}/key\", known_hosts = \"{0}/known_hosts\" }}\n",
        folder.display()
    );
    let path = folder.join("clusters.toml");
    std::fs::write(&path, text)?;
    Ok(path)
}
