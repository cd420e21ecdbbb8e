//! `belvedere admin pending`: jobs that wait and run.

use clap::Args;
use serde_json::Value as Json;

use super::ServerArgs;
use super::client::{Client, Needs};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, Table};

/// Arguments of `belvedere admin pending`.
#[derive(Args, Debug)]
pub struct PendingArgs {
    /// List the jobs of this step.
    #[arg(long, value_name = "STEP")]
    pub step: Option<String>,
    /// Which server, which form.
    #[command(flatten)]
    pub server: ServerArgs,
}

pub(super) async fn run(args: PendingArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    let client = Client::connect(&args.server, config, Needs::Store).await?;
    let body = client.get("/admin/pending-jobs").await?;
    let empty = serde_json::Map::new();
    let steps = body.as_object().unwrap_or(&empty);
    if let Some(step) = &args.step {
        let jobs = steps.get(super::client::step(step)?).cloned().unwrap_or_default();
        if args.server.json {
            output.print_json(&jobs)?;
        } else {
            let jobs = ["started", "waiting"].iter().flat_map(|status| items(&jobs[*status]));
            output.print_table(&table(jobs))?;
        }
    } else if args.server.json {
        output.print_json(&body)?;
    } else {
        let mut table = Table::new(&["STEP", "WAITING", "STARTED"]);
        for (step, jobs) in steps {
            let (waiting, started) = (items(&jobs["waiting"]).count(), items(&jobs["started"]).count());
            let more = if jobs["partial"] == true { " or more" } else { "" };
            if waiting + started > 0 {
                table.row([step.clone(), format!("{waiting}{more}"), started.to_string()]);
            }
        }
        output.print_table(&table)?;
    }
    Ok(Exit::Done)
}

/// Jobs, one per line.
pub(super) fn table<'a>(jobs: impl Iterator<Item = &'a Json>) -> Table {
    let mut table = Table::new(&["STATUS", "STEP", "DATASET", "CONFIG", "SPLIT", "PRIORITY", "DIFFICULTY", "SINCE"]);
    for job in jobs {
        let since = if job["started_at"].is_null() { &job["created_at"] } else { &job["started_at"] };
        table.row([
            text(&job["status"]),
            text(&job["type"]),
            text(&job["dataset"]),
            text(&job["config"]),
            text(&job["split"]),
            text(&job["priority"]),
            text(&job["difficulty"]),
            text(since),
        ]);
    }
    table
}

/// The items of a list; none of anything else.
pub(crate) fn items(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

/// A value in a cell.
pub(crate) fn text(json: &Json) -> String {
    match json {
        Json::Null => "-".to_owned(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
