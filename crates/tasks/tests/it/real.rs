//! A real Slurm over a real OpenSSH, where `BELVEDERE_TEST_SLURM` names the folder that `ci/slurm.sh` made for it, and what
//! can be done to it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use belvedere_domain::task::AttemptTag;
use belvedere_tasks::profile::ClustersFile;
use belvedere_tasks::{Catalog, MonitorSettings};

use crate::bed::{Bed, PATIENCE};

/// The script that made it.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ci/slurm.sh");
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A real cluster.
pub(crate) struct Real {
    pub(crate) folder: PathBuf,
    /// Nobody else harms it meanwhile.
    _turn: std::fs::File,
}

impl Real {
    pub(crate) fn new() -> Option<Self> {
        let folder = PathBuf::from(std::env::var_os("BELVEDERE_TEST_SLURM")?);
        let turn = std::fs::File::create(folder.join("turn")).unwrap();
        turn.lock().unwrap();
        Some(Self { folder, _turn: turn })
    }

    /// The clusters, after a change of their description.
    pub(crate) fn catalog(&self, change: impl FnOnce(String) -> String) -> Catalog {
        let text = std::fs::read_to_string(self.folder.join("clusters.toml")).unwrap();
        let file = ClustersFile::parse(&change(text)).unwrap();
        let add = |catalog: Catalog, (name, profile)| catalog.with_profile(name, profile).unwrap();
        file.clusters.into_iter().fold(Catalog::default(), add)
    }

    /// A monitor of it, after a change of its description.
    pub(crate) async fn bed(&self, change: impl FnOnce(String) -> String) -> Bed {
        Bed::with(tempfile::tempdir().unwrap(), self.catalog(change), MonitorSettings::default()).await
    }

    fn ask(&self, verb: &str, words: &[&str]) {
        let output = Command::new(SCRIPT).arg(verb).arg(&self.folder).args(words).output().unwrap();
        assert!(output.status.success(), "{verb} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Sends a signal to one of its servers.
    pub(crate) fn signal(&self, server: &str, signal: &str) {
        self.ask("signal", &[server, signal]);
    }

    /// Cuts all connections of SSH; what runs at their other end goes on.
    pub(crate) fn cut(&self) {
        self.ask("cut", &[]);
    }

    /// Ends a server of it. It is back when what this gives is dropped, however a test ends.
    pub(crate) fn without(&self, server: &'static str) -> Harm<'_> {
        self.signal(server, "KILL");
        Harm::new(move || {
            self.ask("again", &[server]);
            self.await_server(server);
        })
    }

    fn await_server(&self, server: &str) {
        match server {
            "sshd" => self.await_ssh(),
            _ => self.await_controller(),
        }
    }

    fn await_ssh(&self) {
        let text = std::fs::read_to_string(self.folder.join("clusters.toml")).unwrap();
        let port = text.split_once(", port = ").unwrap().1.split(',').next().unwrap().to_owned();
        until("sshd answers", || std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
    }

    fn await_controller(&self) {
        let conf = self.folder.join("slurm.conf");
        until("the controller answers", || {
            let output = Command::new("squeue").env("SLURM_CONF", &conf).output().unwrap();
            output.status.success()
        });
    }

    /// Runs it with one more line of configuration. Without it again when what this gives is dropped.
    pub(crate) fn with_line(&self, line: &str) -> Harm<'_> {
        let path = self.folder.join("slurm.conf");
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{before}{line}\n")).unwrap();
        drop(self.without("slurmctld"));
        Harm::new(move || {
            std::fs::write(&path, &before).unwrap();
            drop(self.without("slurmctld"));
        })
    }

    /// Submissions stop in their middle, right before they ask the controller, until this is dropped.
    pub(crate) fn held(&self) -> Harm<'_> {
        let hold = self.folder.join("shared/hold");
        std::fs::write(&hold, "").unwrap();
        Harm::new(move || std::fs::remove_file(&hold).unwrap())
    }

    /// A file that all nodes and this test see.
    pub(crate) fn shared(&self, name: &str) -> PathBuf {
        let path = self.folder.join("shared").join(format!("{name}-{}", std::process::id()));
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        path
    }

    /// The folder of an attempt on the cluster.
    pub(crate) fn place(&self, tag: &AttemptTag) -> PathBuf {
        self.folder.join("shared/tasks").join(tag.as_str())
    }
}

/// Something that was done to the cluster. Dropping it undoes it.
pub(crate) struct Harm<'a>(Option<Box<dyn FnOnce() + 'a>>);

impl<'a> Harm<'a> {
    pub(crate) fn new(undo: impl FnOnce() + 'a) -> Self {
        Self(Some(Box::new(undo)))
    }
}

impl Drop for Harm<'_> {
    fn drop(&mut self) {
        if let Some(undo) = self.0.take() {
            undo();
        }
    }
}

/// The controller stands still until this is dropped.
pub(crate) fn frozen(real: &Real) -> Harm<'_> {
    real.signal("slurmctld", "STOP");
    Harm::new(|| real.signal("slurmctld", "CONT"))
}

pub(crate) fn config(more: &str) -> String {
    format!(r#"{{"runner_location": "real", "args_style": "none", "experiment_name": "it's $(id)"{more}}}"#)
}

pub(crate) fn executions(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap().lines().count()
}

/// Looks again and again until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(LOOK);
    }
}

/// The same, while other things of the test go on.
pub(crate) async fn meanwhile(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// Numbers of processes whose command line begins with this program and holds all these words.
pub(crate) fn processes(program: &str, words: &[&str]) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let is_one = |entry: &std::fs::DirEntry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let first = line.split('\0').next().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
        first == program && words.iter().all(|word| line.contains(word))
    };
    entries.filter(is_one).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
