//! From configuration to the parts that run tasks: clusters, files, the monitor, what handlers of requests need.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use belvedere_api::{HubDatasets, InputLinks, TaskService};
use belvedere_store::tasks::ActiveLimits;
use belvedere_tasks::local::SandboxRule;
use belvedere_tasks::monitor::send::holder;
use belvedere_tasks::profile::ClustersFile;
use belvedere_tasks::{Catalog, Datasets, Inbox, Local, LocalSettings, Monitor, MonitorSettings, UploadLimits};

use crate::config::Config;
use crate::exit::Advice;
use crate::runtime::Runtime;

/// What requests about tasks need, and what drives tasks.
///
/// # Errors
/// With a hint, when the description of the clusters cannot be used.
pub async fn parts(runtime: &Runtime, config: &Config) -> anyhow::Result<(TaskService, Arc<Monitor>)> {
    let (settings, paths) = (&config.tasks, config.paths());
    let catalog = Arc::new(catalog(config)?);
    std::fs::create_dir_all(&paths.tasks).with_context(|| {
        let message = format!("the directory of tasks {} cannot be made", paths.tasks.display());
        Advice::environment(message, "name another one by `tasks.directory`")
    })?;
    let tasks = paths.tasks.canonicalize().context("the directory of tasks cannot be found")?;
    let inbox = Inbox::new(tasks);
    if let Err(error) = inbox.sweep(std::time::SystemTime::now(), std::time::Duration::from_secs(24 * 3600)) {
        tracing::warn!(error = &error as &dyn std::error::Error, "what requests left cannot be tidied up");
    }
    let datasets: Arc<dyn Datasets> = Arc::new(HubDatasets::new(Arc::clone(&runtime.services), &inbox));
    let links = InputLinks::shared(&runtime.services).await.context("the secret of links cannot be read")?;
    let signing = links.clone();
    let monitor = Monitor::new(
        Arc::clone(&runtime.services.store.tasks),
        Arc::clone(&catalog),
        inbox.clone(),
        Arc::clone(&datasets),
        MonitorSettings {
            log_bytes: settings.max_log_bytes,
            artifact_files: settings.max_artifact_files as usize,
            artifact_file_bytes: settings.max_artifact_bytes,
            artifact_bytes: settings.max_artifact_bytes,
            tracking_hosts: settings.tracking_hosts.clone(),
            rest: settings.rest_seconds,
            keep_tasks: Some(settings.keep_seconds).filter(|keep| !keep.is_zero()),
            keep_folders: settings.keep_folders_seconds,
            keep_selections: settings.keep_selections_seconds,
        },
        holder(),
    );
    let monitor = Arc::new(monitor.with_sign(Box::new(move |path, now| signing.sign(path, now))));
    let limits = UploadLimits {
        files: settings.max_upload_files as usize,
        file_bytes: settings.max_upload_bytes,
        total_bytes: settings.max_upload_bytes,
    };
    let service = TaskService::new(catalog, inbox, datasets, limits, Some(Arc::clone(&monitor)));
    Ok((service.with_links(links), monitor))
}

/// The clusters of the configuration.
///
/// # Errors
/// With a hint, when their description cannot be used.
pub fn catalog(config: &Config) -> anyhow::Result<Catalog> {
    let mut catalog = Catalog::default();
    let host = &config.api.uvicorn_hostname;
    let is_loopback = host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    if config.tasks.local.unwrap_or(is_loopback) {
        let settings = &config.tasks;
        let limits = ActiveLimits { per_owner: settings.max_active_per_user, per_cluster: settings.max_active };
        catalog = catalog.with_local(Arc::new(Local::new(local(config)?)), limits);
    }
    let Some(path) = &config.tasks.clusters else { return Ok(catalog) };
    let wrong = |path: &Path, error: &dyn std::fmt::Display| {
        let message = format!("the description of the clusters {}: {error}", path.display());
        Advice::usage(message, "docs/tasks.md tells what it may hold")
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(path, &error))?;
    let file = ClustersFile::parse(&text).map_err(|error| wrong(path, &error))?;
    for (name, profile) in file.clusters {
        if name.as_str() == "local" {
            return Err(wrong(path, &"`local` is this machine; give the cluster another name").into());
        }
        catalog = catalog.with_profile(name, profile).map_err(|error| {
            let message = wrong(path, &error);
            anyhow::Error::new(error).context(message)
        })?;
    }
    Ok(catalog)
}

fn local(config: &Config) -> anyhow::Result<LocalSettings> {
    let (settings, tasks) = (&config.tasks, config.paths().tasks);
    let program = std::env::current_exe().context("the path of this program is unknown")?;
    let root = std::path::absolute(tasks.join("work")).context("the directory of tasks has no full path")?;
    Ok(LocalSettings {
        root,
        wrapper: vec![program.to_string_lossy().into_owned(), "task-wrapper".to_owned()],
        sandbox: if settings.require_sandbox { SandboxRule::Require } else { SandboxRule::Auto },
        run_as: settings.run_as,
        memory_bytes: settings.memory_bytes,
        processes: settings.processes.into(),
        file_bytes: settings.file_bytes,
        time_seconds: settings.max_seconds.as_secs().max(1),
        python: settings.python.clone(),
        binds: settings.readable.iter().map(Into::into).collect(),
        network: settings.network,
    })
}
