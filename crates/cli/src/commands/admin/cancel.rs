//! `belvedere admin cancel-jobs`: started jobs back to the queue.

use clap::Args;
use serde_json::{Value as Json, json};

use super::ServerArgs;
use super::client::{Client, Needs, step, with_query};
use super::pending::{items, table};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, plural};

/// Arguments of `belvedere admin cancel-jobs`.
#[derive(Args, Debug)]
pub struct CancelArgs {
    /// The steps, as `split-first-rows`.
    #[arg(value_name = "STEP", required = true)]
    pub steps: Vec<String>,
    /// How.
    #[command(flatten)]
    pub one: CancelOneArgs,
}

/// Arguments of `belvedere admin cancel-jobs-splits` and the like.
#[derive(Args, Debug)]
pub struct CancelOneArgs {
    /// Tell which jobs these are, and leave them alone.
    #[arg(long)]
    pub dry_run: bool,
    /// Which server, which form.
    #[command(flatten)]
    pub server: ServerArgs,
}

impl CancelOneArgs {
    /// For one step.
    pub(super) fn of(self, step: &str) -> CancelArgs {
        CancelArgs { steps: vec![step.to_owned()], one: self }
    }
}

pub(super) async fn run(args: CancelArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    let CancelArgs { steps, one } = args;
    let paths: Vec<String> = steps
        .iter()
        .map(|name| {
            let path = format!("/admin/cancel-jobs/{}", step(name)?);
            Ok(with_query(&path, &[("dry_run", one.dry_run.then_some("true"))]))
        })
        .collect::<anyhow::Result<_>>()?;
    let client = Client::connect(&one.server, config, Needs::Store).await?;
    let mut jobs: Vec<Json> = Vec::new();
    for path in &paths {
        jobs.extend(items(&client.post(path).await?["jobs"]).cloned());
    }
    if one.server.json {
        output.print_json(&json!({"dry_run": one.dry_run, "jobs": jobs}))?;
        return Ok(Exit::Done);
    }
    if !jobs.is_empty() {
        output.print_table(&table(jobs.iter()))?;
    }
    let count = plural(jobs.len(), "started job");
    output.print(&match one.dry_run {
        true => format!("{count} would go back to wait\n"),
        false => format!("{count} went back to wait\n"),
    })?;
    Ok(Exit::Done)
}
