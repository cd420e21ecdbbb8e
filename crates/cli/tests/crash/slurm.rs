//! The real cluster that `ci/slurm.sh` made, where `BELVEDERE_TEST_SLURM` names its folder, and what can happen to it.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The script that made it.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ci/slurm.sh");

/// See the module.
pub(crate) struct Cluster {
    folder: PathBuf,
    /// Nobody else harms it meanwhile.
    _turn: File,
}

impl Cluster {
    /// `None` when there is none; waits for its turn.
    pub(crate) fn take() -> Option<Self> {
        let folder = PathBuf::from(std::env::var_os("BELVEDERE_TEST_SLURM")?);
        let turn = File::create(folder.join("turn")).unwrap();
        turn.lock().unwrap();
        Some(Self { folder, _turn: turn })
    }

    fn ask(&self, verb: &str, words: &[&str]) {
        let output = Command::new(SCRIPT).arg(verb).arg(&self.folder).args(words).output().unwrap();
        assert!(output.status.success(), "{verb} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Sends a signal to one of its servers.
    pub(crate) fn signal(&self, server: &str, signal: &str) {
        self.ask("signal", &[server, signal]);
    }

    /// Starts a server that is gone.
    pub(crate) fn again(&self, server: &str) {
        self.ask("again", &[server]);
    }

    /// Cuts all connections of SSH.
    pub(crate) fn cut(&self) {
        self.ask("cut", &[]);
    }

    /// Undoes whatever was done to it.
    pub(crate) fn restore(&self) {
        self.signal("slurmctld", "CONT");
        let is_gone = Command::new(SCRIPT).arg("signal").arg(&self.folder).args(["sshd", "CONT"]).output();
        if !is_gone.unwrap().status.success() {
            self.again("sshd");
        }
    }

    /// Its description, with another folder for tasks.
    pub(crate) fn description(&self, root: &Path) -> String {
        let text = fs::read_to_string(self.folder.join("clusters.toml")).unwrap();
        let line = |line: &str| match line.starts_with("remote_root = ") {
            true => format!("remote_root = \"{}\"\n", root.display()),
            false => format!("{line}\n"),
        };
        text.lines().map(line).collect()
    }

    /// A folder that its jobs and this test may write to.
    pub(crate) fn shared(&self, name: &str) -> SharedFolder {
        let path = self.folder.join("shared").join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        SharedFolder(path)
    }

    /// Runs a command line on its login node as anybody would: over a connection of its own.
    pub(crate) fn run(&self, line: &str) -> Output {
        let text = fs::read_to_string(self.folder.join("clusters.toml")).unwrap();
        let field = |name: &str| {
            let rest = text.split_once(&format!(" {name} = ")).unwrap().1;
            rest.split([',', ' ', '}']).next().unwrap().trim_matches('"').to_owned()
        };
        let known = format!("UserKnownHostsFile={}", field("known_hosts"));
        let options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "ConnectTimeout=3", &known];
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-p", &field("port"), "-l", &field("user"), "-i", &field("identity_file")]);
        command.args(options.iter().flat_map(|option| ["-o", option])).args(["127.0.0.1", line]);
        command.output().unwrap()
    }

    /// Jobs that wait or run, as its queue names them; `None` when it does not answer.
    pub(crate) fn waiting(&self) -> Option<Vec<String>> {
        let output = self.run("squeue --me --noheader --states=PENDING,RUNNING,COMPLETING -o 'job %j %T'");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let jobs = text.lines().filter_map(|line| line.strip_prefix("job ")).map(str::to_owned).collect();
        output.status.success().then_some(jobs)
    }
}

/// Removed in the end.
pub(crate) struct SharedFolder(PathBuf);

impl SharedFolder {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SharedFolder {
    fn drop(&mut self) {
        // Only the superuser can start the cluster, and can remove what its jobs have left.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Lines of a file; none when it is missing.
pub(crate) fn lines(path: &Path) -> usize {
    match fs::metadata(path) {
        Ok(metadata) if metadata.size() > 0 => fs::read_to_string(path).unwrap().lines().count(),
        _ => 0,
    }
}
