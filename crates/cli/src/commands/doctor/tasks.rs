//! What tasks need: their table in the database, a directory, clusters that answer.

use std::time::Duration;

use belvedere_store::tasks::TaskFilter;

use super::Finding;
use super::places::{Obstacle, obstacle, usable};
use crate::config::Config;
use crate::open;

/// A cluster that does not answer for so long will not.
const PATIENCE: Duration = Duration::from_secs(30);

/// Findings about tasks. A store that is not there, or cannot be used, is told of elsewhere.
pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(relation(config).await);
    findings.push(directory(config));
    findings.extend(clusters(config).await);
    findings
}

/// The table that operators look for first.
async fn relation(config: &Config) -> Option<Finding> {
    const CHECK: &str = "relation task";
    if config.store_url().sqlite_path().is_some_and(|path| !path.exists()) {
        return None;
    }
    let store = tokio::time::timeout(PATIENCE, open::store(config)).await.ok()?.ok()?;
    Some(match store.tasks.list(TaskFilter::default(), 1).await {
        Ok(tasks) if tasks.is_empty() => Finding::ok(CHECK, "it is there, without a task so far"),
        Ok(tasks) => Finding::ok(CHECK, format!("it is there; the newest task is {}", tasks[0].id)),
        Err(error) => {
            let message = format!("{:#}", anyhow::Error::new(error));
            Finding::problem(CHECK, message, "may this user read the table? The owner of the schema has made it")
        }
    })
}

fn directory(config: &Config) -> Finding {
    const CHECK: &str = "directory of tasks";
    const HINT: &str = "name another directory by `tasks.directory`, or change the owner of this one";
    let path = config.paths().tasks;
    match obstacle(&path) {
        Some(Obstacle::NoDirectory(message) | Obstacle::NotWritable(message)) => Finding::problem(CHECK, message, HINT),
        None => usable(CHECK, &path),
    }
}

async fn clusters(config: &Config) -> Vec<Finding> {
    const CHECK: &str = "cluster";
    const HINT: &str = "`belvedere clusters check` looks at everything that a cluster must be";
    let catalog = match crate::tasks::catalog(config) {
        Ok(catalog) => catalog,
        Err(error) => return vec![Finding::problem(CHECK, format!("{error:#}"), HINT)],
    };
    let mut findings = Vec::new();
    for member in catalog.members() {
        let name = &member.name;
        findings.push(match tokio::time::timeout(PATIENCE, member.cluster.check()).await {
            Err(_) => {
                Finding::problem(CHECK, format!("{name} did not answer within {} seconds", PATIENCE.as_secs()), HINT)
            }
            Ok(checks) => match checks.iter().find(|check| !check.ok) {
                None => Finding::ok(CHECK, format!("{name} can be used")),
                // A machine without a sandbox limits programs, which its operator may find enough.
                Some(wrong) if name.as_str() == "local" => {
                    Finding::warning(CHECK, format!("{name}: {}: {}", wrong.name, wrong.found), HINT)
                }
                Some(wrong) => Finding::problem(CHECK, format!("{name}: {}: {}", wrong.name, wrong.found), HINT),
            },
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;
    use crate::config::Role;

    #[tokio::test]
    async fn the_table_of_tasks_is_looked_for_where_there_is_a_database() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::defaults(Role::Serve);
        config.serve.state = directory.path().to_owned();
        let told = async |config: &Config| -> Vec<String> {
            let findings = examine(config).await;
            findings.iter().map(|finding| format!("{}: {}", finding.check, finding.message)).collect()
        };
        assert!(told(&config).await.iter().all(|line| !line.starts_with("relation task")));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was made");
        drop(open::store(&config).await.unwrap());
        let told = told(&config).await;
        assert!(told.contains(&"relation task: it is there, without a task so far".to_owned()), "{told:?}");
        assert!(told.iter().any(|line| line.starts_with("directory of tasks: ")), "{told:?}");
    }

    #[tokio::test]
    async fn clusters_that_cannot_be_used_are_problems() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::defaults(Role::Serve);
        config.serve.state = directory.path().to_owned();
        config.tasks.local = Some(false);
        let described = directory.path().join("clusters.toml");
        config.tasks.clusters = Some(described.clone());
        let finding = clusters(&config).await.remove(0);
        assert_eq!(finding.status, Status::Problem, "{finding:?}");
        // There is nothing of Slurm below such a folder.
        let text =
            "[clusters.c]\ndriver = \"slurm\"\ntransport = { kind = \"direct\" }\nremote_root = \"/proc/none\"\n";
        std::fs::write(&described, text).unwrap();
        let finding = clusters(&config).await.remove(0);
        assert_eq!(finding.status, Status::Problem, "{finding:?}");
        assert!(finding.message.starts_with("c: "), "{finding:?}");
    }
}
