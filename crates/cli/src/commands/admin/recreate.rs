//! `belvedere admin recreate`: a dataset from the beginning.

use belvedere_domain::Priority;
use clap::Args;
use serde_json::json;

use super::ServerArgs;
use super::client::{Client, Needs, with_query};
use super::pending::items;
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, plural};

/// Arguments of `belvedere admin recreate`.
#[derive(Args, Debug)]
pub struct RecreateArgs {
    /// The dataset, as `local/wine`.
    pub dataset: String,
    /// low, normal or high.
    #[arg(long, default_value = "low")]
    pub priority: Priority,
    /// Tell what would be deleted, and delete nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Which server, which form.
    #[command(flatten)]
    pub server: ServerArgs,
}

pub(super) async fn run(args: RecreateArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    let needs = if args.dry_run { Needs::Store } else { Needs::Folders };
    let client = Client::connect(&args.server, config, needs).await?;
    let dataset = args.dataset.as_str();
    if !args.dry_run {
        let parameters = [("dataset", Some(dataset)), ("priority", Some(args.priority.as_str()))];
        let body = client.post(&with_query("/admin/recreate-dataset", &parameters)).await?;
        if args.server.json {
            output.print_json(&body)?;
        } else {
            output.print(&format!("everything stored for {dataset} is deleted and will be computed again\n"))?;
        }
        return Ok(Exit::Done);
    }
    let status = client.get(&with_query("/admin/dataset-status", &[("dataset", Some(dataset))])).await?;
    let steps = || status.as_object().into_iter().flat_map(serde_json::Map::values);
    let results: usize = steps().map(|step| items(&step["cached_responses"]).count()).sum();
    let waiting = |step: &serde_json::Value| items(&step["jobs"]).filter(|job| job["status"] == "waiting").count();
    let jobs: usize = steps().map(waiting).sum();
    if args.server.json {
        output.print_json(&json!({"dataset": dataset, "dry_run": true, "results": results, "waiting_jobs": jobs}))?;
    } else {
        let (results, jobs) = (plural(results, "result"), plural(jobs, "waiting job"));
        output.print(&format!("{results} and {jobs} of {dataset} would be deleted, and all computed again\n"))?;
    }
    Ok(Exit::Done)
}
