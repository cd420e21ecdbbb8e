//! Clusters as an operator describes them in a TOML file, and what a task gets of one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use belvedere_domain::task::{ClusterName, ConfigError, PlainName, TaskConfig, config};
use serde::Deserialize;

use crate::cluster::Needs;

/// The file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClustersFile {
    /// Clusters by name.
    #[serde(default)]
    pub clusters: BTreeMap<ClusterName, Profile>,
}

/// One cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What kind of cluster it is.
    pub driver: Driver,
    /// The way to it.
    pub transport: TransportProfile,
    /// Folder on the cluster for the folders of attempts, which its nodes must share: a full path of plain parts.
    pub remote_root: String,
    /// Seconds between two looks at its jobs.
    #[serde(default = "thirty")]
    pub poll_seconds: u64,
    /// Seconds that one command on it may take.
    #[serde(default = "sixty")]
    pub command_seconds: u64,
    /// Seconds for which its commands wait for an answer of the controller (`MessageTimeout`).
    #[serde(default = "ten")]
    pub message_timeout_seconds: u64,
    /// Seconds before a cluster that did not answer is asked again; each time longer, up to a quarter of an hour.
    #[serde(default = "five")]
    pub retry_seconds: u64,
    /// Seconds after which a job that the cluster does not know and that left no result counts as lost.
    #[serde(default = "three_hundred")]
    pub lost_after_seconds: u64,
    /// Active tasks.
    #[serde(default = "two_hundred")]
    pub max_active: u32,
    /// Active tasks of one user.
    #[serde(default = "twenty")]
    pub max_active_per_user: u32,
    /// The program that runs scripts in Python.
    #[serde(default = "python")]
    pub python: String,
    /// Containers.
    pub container: Option<Container>,
    /// Kinds of machines.
    #[serde(default)]
    pub instance_types: BTreeMap<PlainName, InstanceType>,
    /// What a task gets that names no kind.
    pub default_instance_type: Option<PlainName>,
    /// Accounts, each with the users who may charge it; `*` stands for all. Without accounts none may be named.
    #[serde(default)]
    pub accounts: BTreeMap<PlainName, Vec<String>>,
    /// Where MLflow is, for tasks that do not say.
    pub tracking_uri: Option<String>,
    /// How files of datasets come there.
    #[serde(default)]
    pub staging: Staging,
    /// Address of this server as the cluster reaches it, for `staging = "pull"`.
    pub server_url: Option<String>,
}

/// How files of datasets come to a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Staging {
    /// The server sends them.
    #[default]
    Push,
    /// The cluster sees the server's folders under the same paths, and copies.
    Shared,
    /// The cluster fetches them from the server, by addresses that are good for a short while.
    Pull,
}

fn five() -> u64 {
    5
}

fn ten() -> u64 {
    10
}

fn thirty() -> u64 {
    30
}

fn sixty() -> u64 {
    60
}

fn three_hundred() -> u64 {
    300
}

fn twenty() -> u32 {
    20
}

fn two_hundred() -> u32 {
    200
}

fn python() -> String {
    "python3".to_owned()
}

/// Kinds of clusters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// Slurm, by its commands.
    Slurm,
}

/// The way to a cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum TransportProfile {
    /// Commands run on this machine.
    Direct,
    /// Commands run through OpenSSH.
    OpenSsh(SshProfile),
}

/// A host that is reached through OpenSSH.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshProfile {
    /// Name or address.
    pub host: String,
    /// Port.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// User there.
    pub user: String,
    /// File of the key.
    pub identity_file: PathBuf,
    /// File that holds the key of the host; no other is taken.
    pub known_hosts: PathBuf,
    /// Host to go through.
    pub proxy_jump: Option<String>,
    /// Seconds that connecting may take.
    #[serde(default = "ten")]
    pub connect_seconds: u64,
}

fn ssh_port() -> u16 {
    22
}

/// How programs run in containers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// The program.
    pub runtime: Runtime,
    /// Where it is on the nodes, where that is not on the path of every job.
    pub program: Option<String>,
    /// Folder of the images; the image `x` is `x.sif` there.
    pub image_dir: String,
    /// Run without a container where a task names no image.
    #[serde(default)]
    pub optional: bool,
}

/// Programs that run containers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// Apptainer.
    Apptainer,
    /// Singularity.
    Singularity,
}

impl Runtime {
    /// Name of its command.
    pub fn command(self) -> &'static str {
        match self {
            Self::Apptainer => "apptainer",
            Self::Singularity => "singularity",
        }
    }
}

/// A kind of machine.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceType {
    /// Partition.
    pub partition: Option<PlainName>,
    /// Generic resources, such as `gpu:1`.
    pub gres: Option<String>,
    /// Nodes that are left out.
    pub exclude: Option<String>,
    /// Most processors of a task.
    pub cpus: Option<u32>,
    /// Most memory of a task, such as `32G`.
    pub memory: Option<String>,
    /// Longest time of a task, such as `24:00:00`.
    pub time_max: Option<String>,
}

/// Why a description of clusters is refused.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It is not the TOML that was expected.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A value is not legal.
    #[error("clusters.{cluster}.{field}: {message}")]
    Value {
        /// The cluster.
        cluster: ClusterName,
        /// The field.
        field: String,
        /// What is wrong.
        message: String,
    },
}

impl ClustersFile {
    /// Reads a text.
    ///
    /// # Errors
    /// With the line, or with the name of the value at fault.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let file: Self = toml::from_str(text)?;
        for (name, profile) in &file.clusters {
            profile.validate().map_err(|(field, message)| ProfileError::Value {
                cluster: name.clone(),
                field,
                message,
            })?;
        }
        Ok(file)
    }
}

/// True for a full path that needs no quoting: `/`, and parts of letters, digits, `.`, `_` and `-`, none of them `..`.
pub fn is_plain_path(path: &str) -> bool {
    let part = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)) && part != "..";
    path.len() > 1 && path.len() <= 200 && path.starts_with('/') && path.split('/').all(part)
}

/// A word of the cluster's own language, such as `gpu:a100:2` or `node[1-3],node7`.
fn is_word(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b".-_:,[]=/".contains(&b);
    (1..=200).contains(&text.len()) && text.bytes().all(legal) && !text.starts_with('-')
}

impl Profile {
    fn validate(&self) -> Result<(), (String, String)> {
        let wrong = |field: &str, message: &str| Err((field.to_owned(), message.to_owned()));
        let path = "expected a full path of letters, digits, `.`, `_` and `-`";
        if !is_plain_path(&self.remote_root) {
            return wrong("remote_root", path);
        }
        if !is_word(&self.python) {
            return wrong("python", "expected the name or path of a program");
        }
        if self.container.as_ref().is_some_and(|container| !is_plain_path(&container.image_dir)) {
            return wrong("container.image_dir", path);
        }
        if self
            .container
            .as_ref()
            .and_then(|container| container.program.as_deref())
            .is_some_and(|it| !is_plain_path(it))
        {
            return wrong("container.program", path);
        }
        if self.poll_seconds == 0 || self.command_seconds == 0 || self.message_timeout_seconds == 0 {
            return wrong("poll_seconds", "times must be at least one second");
        }
        let is_address = |url: &String| {
            // It stands between quotes where the cluster reads it.
            let is_plain = !url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '\\');
            let url = url::Url::parse(url);
            let is_web = |url: url::Url| matches!(url.scheme(), "http" | "https") && url.query().is_none();
            is_plain && url.is_ok_and(is_web)
        };
        if self.staging == Staging::Pull && !self.server_url.as_ref().is_some_and(is_address) {
            return wrong("server_url", "expected the address of this server, such as `https://viewer.example.org`");
        }
        if let TransportProfile::OpenSsh(ssh) = &self.transport {
            let jump_is_word = ssh.proxy_jump.as_deref().is_none_or(|jump| is_word(&jump.replace('@', "")));
            if !is_word(&ssh.host) || !is_word(&ssh.user) || !jump_is_word {
                return wrong("transport", "host, user and proxy_jump are names without spaces or quotes");
            }
        }
        if let Some(default) = &self.default_instance_type
            && !self.instance_types.contains_key(default)
        {
            return wrong("default_instance_type", "it is not among instance_types");
        }
        for (name, kind) in &self.instance_types {
            let field = |key: &str| format!("instance_types.{name}.{key}");
            for (key, value) in [("gres", &kind.gres), ("exclude", &kind.exclude)] {
                if value.as_deref().is_some_and(|value| !is_word(value)) {
                    return wrong(&field(key), "holds characters that the cluster has no use for");
                }
            }
            if kind.memory.as_deref().is_some_and(|text| config::memory(text).is_none()) {
                return wrong(&field("memory"), "expected a size such as `32G`");
            }
            if kind.time_max.as_deref().is_some_and(|text| config::time(text).is_none()) {
                return wrong(&field("time_max"), "expected a time such as `24:00:00`");
            }
        }
        Ok(())
    }

    /// What a task of a user gets.
    ///
    /// # Errors
    /// [`Refusal`] with the place in the configuration.
    pub fn needs(&self, name: &ClusterName, user: &str, config: &TaskConfig) -> Result<Needs, Refusal> {
        let place = |key: &str| format!("/clusters/{name}/infra_config/{key}");
        let infra = &config.infra;
        let kind = match infra.instance_type.as_ref().or(self.default_instance_type.as_ref()) {
            None => InstanceType::default(),
            Some(kind) => match self.instance_types.get(kind) {
                Some(found) => found.clone(),
                None => {
                    let message = format!("there is no instance type `{kind}`; {}", known(self.instance_types.keys()));
                    return Err(Refusal::invalid(place("instance_type"), message));
                }
            },
        };
        let account = match &infra.account {
            None => None,
            Some(account) => match self.accounts.get(account) {
                Some(users) if users.iter().any(|allowed| allowed == "*" || allowed == user) => {
                    Some(account.to_string())
                }
                // Whether an account exists is not told to who may not charge it.
                _ => {
                    return Err(Refusal::Forbidden(ConfigError::new(
                        place("account"),
                        format!("you may not charge the account `{account}`"),
                    )));
                }
            },
        };
        let image = match (&infra.image_name, &self.container) {
            (Some(image), Some(container)) => {
                let file = image.as_str().strip_suffix(".sif").unwrap_or(image.as_str());
                Some(format!("{}/{file}.sif", container.image_dir))
            }
            (None, Some(container)) if !container.optional => {
                return Err(Refusal::invalid(place("image_name"), "the name of an image is missing"));
            }
            (Some(_), None) => {
                return Err(Refusal::invalid(place("image_name"), "this cluster runs no containers"));
            }
            (None, _) => None,
        };
        let resources = &config.resources;
        let within = |key: &str, wanted: Option<u64>, most: Option<u64>| match (wanted, most) {
            (Some(wanted), Some(most)) if wanted > most => {
                Err(Refusal::invalid(format!("/resources/{key}"), format!("more than this instance type has ({most})")))
            }
            (wanted, most) => Ok(wanted.or(most)),
        };
        let cpus = within("cpus", resources.cpus.map(u64::from), kind.cpus.map(u64::from))?;
        let memory = kind.memory.as_deref().and_then(config::memory);
        let gres = match resources.gpus {
            None | Some(0) => kind.gres,
            Some(wanted) => match kind.gres.as_deref().and_then(|gres| gres.rsplit_once(':')) {
                Some((gpus, most)) if most.parse().is_ok_and(|most: u32| wanted <= most) => {
                    Some(format!("{gpus}:{wanted}"))
                }
                _ => return Err(Refusal::invalid("/resources/gpus", "this instance type has not that many GPUs")),
            },
        };
        Ok(Needs {
            partition: kind.partition.map(|partition| partition.to_string()),
            gres,
            exclude: kind.exclude,
            cpus: cpus.and_then(|cpus| u32::try_from(cpus).ok()),
            memory_bytes: within("memory", resources.memory_bytes, memory)?,
            time_seconds: within("time", resources.time_seconds, kind.time_max.as_deref().and_then(config::time))?,
            account,
            image,
            network: true,
        })
    }
}

/// A list for people of what may be said.
pub(crate) fn known<'a>(names: impl Iterator<Item = &'a PlainName>) -> String {
    let names: Vec<_> = names.map(PlainName::as_str).collect();
    if names.is_empty() { "none are configured".to_owned() } else { format!("known are: {}", names.join(", ")) }
}

/// Why a cluster does not take a task of a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The configuration is at fault.
    Invalid(ConfigError),
    /// The user may not.
    Forbidden(ConfigError),
}

impl Refusal {
    pub(crate) fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(ConfigError::new(pointer, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [clusters.atena02]
        driver = "slurm"
        transport = { kind = "openssh", host = "login1", user = "svc_ml", identity_file = "k", known_hosts = "h" }
        remote_root = "/scratch/tasks"
        default_instance_type = "cpu"
        container = { runtime = "apptainer", image_dir = "/scratch/images" }
        [clusters.atena02.instance_types]
        cpu = { partition = "cpu", cpus = 8, memory = "32G", time_max = "24:00:00" }
        gpu = { partition = "gpu", gres = "gpu:a100:2" }
        [clusters.atena02.accounts]
        twinscie = ["ana"]
        open = ["*"]
    "#;

    fn needs(user: &str, infra: &str, more: &str) -> Result<Needs, Refusal> {
        let file = ClustersFile::parse(FILE).unwrap();
        let (name, profile) = file.clusters.iter().next().unwrap();
        let text = format!(
            r#"{{"runner_location": "atena02", "clusters": {{"atena02": {{"infra_config": {{{infra}}}}}}}{more}}}"#
        );
        profile.needs(name, user, &TaskConfig::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn a_task_gets_what_its_instance_type_has() {
        let found =
            needs("ana", r#""image_name": "sk", "account": "twinscie""#, r#", "resources": {"cpus": 2}"#).unwrap();
        assert_eq!((found.partition.as_deref(), found.cpus), (Some("cpu"), Some(2)));
        assert_eq!((found.memory_bytes, found.time_seconds), (Some(32 << 30), Some(86_400)));
        assert_eq!(found.image.as_deref(), Some("/scratch/images/sk.sif"));
        let gpu = r#""image_name": "sk.sif", "instance_type": "gpu", "account": "open""#;
        assert_eq!(needs("bob", gpu, "").unwrap().gres.as_deref(), Some("gpu:a100:2"));
        let one = needs("bob", gpu, r#", "resources": {"gpus": 1}"#).unwrap();
        assert_eq!(one.gres.as_deref(), Some("gpu:a100:1"));
    }

    #[test]
    fn what_a_cluster_does_not_have_is_refused_with_its_place() {
        let refused = |infra: &str, more: &str| match needs("ana", infra, more) {
            Err(Refusal::Invalid(error)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        let error = refused(r#""image_name": "x", "instance_type": "big""#, "");
        assert!(error.contains("known are: cpu, gpu (at `/clusters/atena02/infra_config/instance_type`)"), "{error}");
        assert!(refused("", "").contains("image is missing"));
        assert!(refused(r#""image_name": "x""#, r#", "resources": {"cpus": 9}"#).contains("/resources/cpus"));
        assert!(refused(r#""image_name": "x""#, r#", "resources": {"gpus": 1}"#).contains("/resources/gpus"));
    }

    /// e072 | somebody names an account that they may not charge | refused; whether it exists is not told
    #[test]
    fn e072_accounts_are_for_those_who_may_charge_them() {
        let refused = |account: &str| match needs("bob", &format!(r#""image_name": "x", "account": "{account}""#), "") {
            Err(Refusal::Forbidden(error)) => error.message.replace(account, "…"),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused("twinscie"), refused("nowhere"));
    }

    #[test]
    fn descriptions_are_checked() {
        for (from, to, told) in [
            ("/scratch/tasks", "/scratch/my tasks", "clusters.atena02.remote_root"),
            ("/scratch/tasks", "/scratch/../x", "remote_root"),
            ("\"login1\"", "\"-oProxyCommand=x\"", "transport"),
            ("gpu:a100:2", "gpu;reboot", "instance_types.gpu.gres"),
            ("24:00:00", "a day", "time_max"),
            ("driver = \"slurm\"", "driver = \"pbs\"", "unknown variant `pbs`"),
            ("remote_root =", "remote_rot =", "unknown field `remote_rot`"),
        ] {
            let error = ClustersFile::parse(&FILE.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
