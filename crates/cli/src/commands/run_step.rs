//! `belvedere run-step`: one step of one dataset, here and now, as a worker would run it.
//!
//! The step and everything that leads to it are computed in a directory that is thrown away: nothing of an installation
//! is read but its folders and its settings, and nothing is written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, Level, Revision, SplitName, Step, StepName};
use belvedere_hub::{Hub, HubError};
use belvedere_jobs::worker::Rehearsal;
use clap::Args;
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

use super::folders::{self, FolderArgs};
use crate::config::{Config, Flag};
use crate::console::Console;
use crate::exit::{Advice, Exit};
use crate::output::{Output, bytes};
use crate::runtime::Runtime;
use crate::signals;

const EXAMPLES: &str = "\
Examples:
  belvedere run-step split-first-rows data --dataset local/wine --config-name default --split train
  belvedere run-step dataset-size data --dataset local/wine --json
  belvedere admin graph
      which steps there are

`GET /admin/jobs/{id}` of a server gives the command for a job.
Exits with 1 if the step ends in an error.";

/// How long files that are being written are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// Arguments of `belvedere run-step`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RunStepArgs {
    /// The step.
    pub step: String,
    /// Where the dataset is.
    #[command(flatten)]
    pub folders: FolderArgs,
    /// The dataset, as NAMESPACE/NAME.
    #[arg(long, value_name = "DATASET")]
    pub dataset: String,
    /// The config, for steps of configs and splits.
    #[arg(long, value_name = "CONFIG")]
    pub config_name: Option<String>,
    /// The split, for steps of splits.
    #[arg(long, value_name = "SPLIT")]
    pub split: Option<String>,
    /// The revision that the files must have; another one ends the command.
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

impl RunStepArgs {
    /// The settings that these set.
    pub fn flags(&self) -> Vec<Flag> {
        self.folders.flags()
    }
}

/// Computes and prints.
///
/// # Errors
///
/// When a folder, the dataset, the step or a name cannot be used. An error of the step is its result.
pub async fn run(args: RunStepArgs, mut config: Config, output: Output, console: Console) -> anyhow::Result<Exit> {
    folders::require(&config, "run-step STEP")?;
    // Only the folders and settings of an installation are looked at, never its database and files.
    let directory = temporary_directory()?;
    config.keep_in_state();
    directory.path().clone_into(&mut config.serve.state);
    let stop = signals::stop(console.clone())?;
    let runtime = Arc::new(
        Runtime::build(&config, |settings| {
            settings.worker.coalesce_seconds = 0.0;
            settings.worker.kept_runs = 0;
        })
        .await?,
    );
    let key = key(&args, &runtime)?;
    let watch = CancellationToken::new();
    let watching = tokio::spawn(Arc::clone(&runtime.hub).run(watch.clone()));
    let rehearsed = tokio::select! {
        rehearsed = rehearse(&runtime, &key, args.revision.as_deref()) => rehearsed,
        () = stop.cancelled() => Err(Advice::environment("the step was stopped before it was done", "").into()),
    };
    watch.cancel();
    // What the watch has to say does not matter any more.
    let _ = watching.await;
    let (revision, rehearsal) = rehearsed?;
    if args.json {
        output.print_json(&as_json(&key, &revision, &rehearsal)?)?;
    } else {
        output.print(&as_text(&key, &revision, &rehearsal)?)?;
    }
    let failed = rehearsal.view.is_some_and(|view| !view.outcome.is_ok());
    Ok(if failed { Exit::Problems } else { Exit::Done })
}

async fn rehearse(runtime: &Runtime, key: &ArtifactKey, wanted: Option<&str>) -> anyhow::Result<(Revision, Rehearsal)> {
    let revision = head(runtime, &key.dataset).await?;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != revision.as_str()) {
        let message = format!("the files of {} are at revision {revision}, not {wanted}", key.dataset);
        bail!(Advice::environment(message, "leave out `--revision` to run the step on the files as they are now"));
    }
    let rehearsal = runtime.worker().rehearse(key.clone(), &revision).await;
    Ok((revision, rehearsal.context(Advice::environment("the step could not be run", ""))?))
}

/// The revision of the files, once they are at rest.
async fn head(runtime: &Runtime, dataset: &DatasetName) -> anyhow::Result<Revision> {
    runtime.first_look().await?;
    let started = Instant::now();
    loop {
        match runtime.hub.head(dataset).await {
            // The revision of files that are still being hashed is not the one that a server tells.
            Ok(Some(head)) if head.is_provisional => {
                runtime.hub.hash_rest(dataset, std::time::SystemTime::now()).await?;
                runtime.hub.look(dataset).await?;
            }
            Ok(Some(head)) => return Ok(head.revision),
            Ok(None) => {
                let message = format!("there is no dataset {dataset} in the folders");
                bail!(Advice::usage(message, "`belvedere check FOLDER` tells which there are"));
            }
            Err(HubError::Busy(_)) if started.elapsed() < PATIENCE => tokio::time::sleep(LOOK).await,
            Err(error) => return Err(error).context(Advice::environment("the dataset cannot be read", "")),
        }
    }
}

/// What is to be computed: a step of this build, and the names that its level needs.
fn key(args: &RunStepArgs, runtime: &Runtime) -> Result<ArtifactKey, Advice> {
    let named = |error: belvedere_domain::names::NameError| Advice::usage(error.to_string(), "");
    let graph = &runtime.services.graph;
    let step: &Step =
        graph.steps().iter().find(|step| step.name == args.step).ok_or_else(|| {
            Advice::usage(format!("`{}` is not a step", args.step), "`belvedere admin graph` lists them")
        })?;
    let (needs_config, needs_split) = (step.level != Level::Dataset, step.level == Level::Split);
    for (flag, needed, given) in
        [("--config-name", needs_config, args.config_name.is_some()), ("--split", needs_split, args.split.is_some())]
    {
        if needed && !given {
            return Err(Advice::usage(format!("{} needs `{flag}`", step.name), ""));
        }
        if given && !needed {
            return Err(Advice::usage(format!("{} takes no `{flag}`", step.name), "leave it out"));
        }
    }
    Ok(ArtifactKey {
        step: StepName::known(step.name),
        dataset: DatasetName::new(&args.dataset).map_err(named)?,
        config: args.config_name.as_deref().map(ConfigName::new).transpose().map_err(named)?,
        split: args.split.as_deref().map(SplitName::new).transpose().map_err(named)?,
    })
}

fn as_json(key: &ArtifactKey, revision: &Revision, rehearsal: &Rehearsal) -> anyhow::Result<Json> {
    let view = rehearsal.view.as_ref();
    let parse = |json: &belvedere_domain::Json| json.parse::<Json>();
    let content = view.map(|view| parse(&view.content)).transpose().context("the result is no JSON")?;
    let details = view.filter(|view| !view.outcome.is_ok()).map(|view| parse(&view.details)).transpose();
    Ok(json!({
        "type": key.step,
        "dataset": key.dataset,
        "revision": revision,
        "config": key.config,
        "split": key.split,
        "http_status": view.map(|view| view.outcome.http_status()),
        "error_code": view.and_then(|view| view.outcome.code()),
        "details": details.context("the details are no JSON")?,
        "progress": view.and_then(|view| view.progress).map(|thousandths| f64::from(thousandths) / 1000.0),
        "content": content,
        "duration_seconds": rehearsal.time.as_secs_f64(),
        "input_file": rehearsal.usage.input_file,
        "input_files": rehearsal.usage.input_files,
        "peak_memory_bytes": rehearsal.usage.peak_memory_bytes,
        "bytes_read": rehearsal.usage.bytes_read,
        "prerequisites": rehearsal.prerequisites,
    }))
}

fn as_text(key: &ArtifactKey, revision: &Revision, rehearsal: &Rehearsal) -> anyhow::Result<String> {
    let mut text = format!("{key}\nrevision   {revision}\n");
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<10} {value}\n"));
    let outcome = match &rehearsal.view {
        None => "nothing: it does not belong to this revision".to_owned(),
        Some(view) => match view.outcome.code() {
            None => "ok".to_owned(),
            Some(code) => format!("{code}, status {}", view.outcome.http_status()),
        },
    };
    line("outcome", outcome);
    line(
        "time",
        format!("{:.3} s, after {} artifacts before it", rehearsal.time.as_secs_f64(), rehearsal.prerequisites),
    );
    let usage = &rehearsal.usage;
    if let Some(file) = &usage.input_file {
        let more = usage.input_files.saturating_sub(1);
        line("files", if more > 0 { format!("{file} and {more} more") } else { file.clone() });
    }
    if let Some(peak) = usage.peak_memory_bytes {
        line("memory", bytes(peak));
    }
    if let Some(read) = usage.bytes_read {
        line("read", bytes(read));
    }
    if let Some(view) = &rehearsal.view {
        let shown = if view.outcome.is_ok() { &view.content } else { &view.details };
        let value: Json = shown.parse().context("the result is no JSON")?;
        text.push('\n');
        text.push_str(&serde_json::to_string_pretty(&value)?);
        text.push('\n');
    }
    Ok(text)
}

fn temporary_directory() -> anyhow::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("belvedere-run-step-").tempdir().with_context(|| {
        let message = format!("no directory can be made in {}", std::env::temp_dir().display());
        Advice::environment(message, "name another place for temporary files in `TMPDIR`")
    })
}
