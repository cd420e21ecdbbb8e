//! The clusters of this installation by name, and what each takes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use belvedere_domain::task::{ClusterName, TaskConfig};
use belvedere_store::tasks::ActiveLimits;

use crate::cluster::{Cluster, Needs};
use crate::local::Local;
use crate::profile::{Driver, Profile, Refusal, Staging, known};
use crate::slurm::{Slurm, SlurmError};

/// A cluster and the rules for its tasks.
#[derive(Clone)]
pub struct Member {
    /// Its name.
    pub name: ClusterName,
    /// Itself.
    pub cluster: Arc<dyn Cluster>,
    /// Between two looks at its jobs.
    pub poll: Duration,
    /// Before what failed is tried again; each time longer.
    pub retry: Duration,
    /// After a job is gone without a trace.
    pub lost_after: Duration,
    /// How far apart two look-ups must be to be believed.
    pub look_apart: Duration,
    /// Active tasks.
    pub limits: ActiveLimits,
    /// Where MLflow is, for tasks that do not say.
    pub tracking_uri: Option<String>,
    /// Address of this server, from where the cluster fetches files of datasets; `None`: they are brought.
    pub pull_from: Option<String>,
    rules: Rules,
}

#[derive(Clone)]
enum Rules {
    Local,
    Described(Box<Profile>),
}

impl Member {
    /// What a task of a user gets.
    ///
    /// # Errors
    /// [`Refusal`] with the place in the configuration.
    pub fn needs(&self, user: &str, config: &TaskConfig) -> Result<Needs, Refusal> {
        match &self.rules {
            Rules::Described(profile) => profile.needs(&self.name, user, config),
            Rules::Local => Ok(Needs {
                cpus: config.resources.cpus,
                memory_bytes: config.resources.memory_bytes,
                time_seconds: config.resources.time_seconds,
                network: false,
                ..Needs::default()
            }),
        }
    }
}

/// The clusters.
#[derive(Clone, Default)]
pub struct Catalog {
    members: BTreeMap<ClusterName, Member>,
}

impl Catalog {
    /// Adds this machine, under the name `local`.
    #[must_use]
    pub fn with_local(mut self, local: Arc<Local>, limits: ActiveLimits) -> Self {
        let name = ClusterName::new("local").expect("a plain name");
        let member = Member {
            name: name.clone(),
            cluster: local,
            poll: Duration::from_millis(500),
            retry: Duration::from_secs(5),
            lost_after: Duration::from_secs(10),
            look_apart: Duration::from_secs(2),
            limits,
            tracking_uri: None,
            pull_from: None,
            rules: Rules::Local,
        };
        self.members.insert(name, member);
        self
    }

    /// Adds a described cluster.
    ///
    /// # Errors
    /// When a file that it names cannot be used.
    pub fn with_profile(mut self, name: ClusterName, profile: Profile) -> Result<Self, SlurmError> {
        let cluster: Arc<dyn Cluster> = match profile.driver {
            Driver::Slurm => Arc::new(Slurm::new(&name, &profile)?),
        };
        let member = Member {
            name: name.clone(),
            cluster,
            poll: Duration::from_secs(profile.poll_seconds),
            retry: Duration::from_secs(profile.retry_seconds),
            lost_after: Duration::from_secs(profile.lost_after_seconds),
            look_apart: Duration::from_secs(2 * profile.message_timeout_seconds),
            limits: ActiveLimits { per_owner: profile.max_active_per_user, per_cluster: profile.max_active },
            tracking_uri: profile.tracking_uri.clone(),
            pull_from: profile.server_url.clone().filter(|_| profile.staging == Staging::Pull),
            rules: Rules::Described(Box::new(profile)),
        };
        self.members.insert(name, member);
        Ok(self)
    }

    /// A cluster by its name.
    ///
    /// # Errors
    /// [`Refusal`] that names those there are.
    pub fn member(&self, name: &ClusterName) -> Result<&Member, Refusal> {
        self.members.get(name).ok_or_else(|| {
            let message = format!("there is no cluster `{name}` here; {}", known(self.members.keys()));
            Refusal::invalid("/runner_location", message)
        })
    }

    /// All clusters by name.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }
}
