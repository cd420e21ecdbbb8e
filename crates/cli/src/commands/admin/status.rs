//! `belvedere admin status`: how datasets are.

use clap::Args;

use super::ServerArgs;
use super::client::{Client, Needs, with_query};
use super::pending::{items, text};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, Table};

/// Arguments of `belvedere admin status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// One dataset, as `local/wine`. Without: all of them.
    pub dataset: Option<String>,
    /// Which server, which form.
    #[command(flatten)]
    pub server: ServerArgs,
}

pub(super) async fn run(args: StatusArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    let client = Client::connect(&args.server, config, Needs::Store).await?;
    let body = match &args.dataset {
        Some(dataset) => client.get(&with_query("/admin/dataset-status", &[("dataset", Some(dataset))])).await?,
        None => client.get("/admin/datasets").await?,
    };
    if args.server.json {
        output.print_json(&body)?;
        return Ok(Exit::Done);
    }
    let mut table = match &args.dataset {
        Some(_) => Table::new(&["STEP", "CONFIG", "SPLIT", "RESULT", "REVISION", "UPDATED"]),
        None => Table::new(&["DATASET", "SERVED", "TARGET", "PENDING", "ERRORS"]),
    };
    for row in items(&body["datasets"]) {
        let short = |name: &str| text(&row[name]).chars().take(8).collect::<String>();
        table.row([
            text(&row["dataset"]),
            short("served_revision"),
            short("target_revision"),
            text(&row["pending_jobs"]),
            text(&row["errors"]),
        ]);
    }
    let steps = body.as_object().filter(|_| args.dataset.is_some());
    for (step, status) in steps.into_iter().flatten() {
        for result in items(&status["cached_responses"]) {
            let outcome = result["error_code"].as_str().map_or_else(|| "ok".to_owned(), str::to_owned);
            let revision = text(&result["dataset_git_revision"]).chars().take(8).collect();
            let (config, split) = (text(&result["config"]), text(&result["split"]));
            table.row([step.clone(), config, split, outcome, revision, text(&result["updated_at"])]);
        }
        for job in items(&status["jobs"]) {
            let revision = text(&job["revision"]).chars().take(8).collect();
            let (config, split) = (text(&job["config"]), text(&job["split"]));
            table.row([step.clone(), config, split, text(&job["status"]), revision, text(&job["created_at"])]);
        }
    }
    output.print_table(&table)?;
    Ok(Exit::Done)
}
