//! `belvedere admin backfill`: what is missing or stale, dataset after dataset.

use belvedere_domain::Priority;
use clap::Args;
use serde_json::{Value as Json, json};

use super::ServerArgs;
use super::client::{Client, Needs, with_query};
use super::pending::items;
use crate::config::Config;
use crate::console::Console;
use crate::exit::Exit;
use crate::output::{Output, Table, plural};

/// Arguments of `belvedere admin backfill`.
#[derive(Args, Debug)]
pub struct BackfillArgs {
    /// These datasets, as `local/wine`. Without: all of them.
    pub datasets: Vec<String>,
    /// Only datasets with errors.
    #[arg(long)]
    pub errors: bool,
    /// low, normal or high.
    #[arg(long, default_value = "low")]
    pub priority: Priority,
    /// Tell what would be queued and dropped, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Which server, which form.
    #[command(flatten)]
    pub server: ServerArgs,
}

pub(super) async fn run(
    args: BackfillArgs,
    config: &Config,
    output: Output,
    console: &Console,
) -> anyhow::Result<Exit> {
    let client = Client::connect(&args.server, config, Needs::Folders).await?;
    let datasets = datasets(&client, &args).await?;
    let (mut done, mut failed): (Vec<Json>, usize) = (Vec::new(), 0);
    for (at, dataset) in datasets.iter().enumerate() {
        console.status(&format!("{} of {}: {dataset}", at + 1, plural(datasets.len(), "dataset")));
        let parameters = [("dataset", Some(dataset.as_str()))];
        let priority = ("priority", Some(args.priority.as_str()));
        let answer = match args.dry_run {
            true => client.get(&with_query("/admin/dataset-backfill-plan", &parameters)).await,
            false => client.post(&with_query("/admin/dataset-backfill", &[parameters[0], priority])).await,
        };
        match answer {
            Ok(mut body) => {
                body["dataset"] = json!(dataset);
                done.push(body);
            }
            // One that cannot be planned does not stop the others.
            Err(error) => {
                failed += 1;
                console.status("");
                console.say(&format!("{dataset}: {}", crate::exit::describe(&error)));
            }
        }
    }
    console.status("");
    match (args.server.json, args.dry_run) {
        (true, _) => output.print_json(&json!({"dry_run": args.dry_run, "failed": failed, "datasets": done}))?,
        (false, true) => output.print_table(&table(&done))?,
        (false, false) => output
            .print(&format!("{} looked at; what was missing or stale is queued\n", plural(done.len(), "dataset")))?,
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Problems })
}

/// The datasets that are named, or all that are stored.
async fn datasets(client: &Client, args: &BackfillArgs) -> anyhow::Result<Vec<String>> {
    if !args.datasets.is_empty() {
        return Ok(args.datasets.clone());
    }
    let body = client.get("/admin/datasets").await?;
    let rows = items(&body["datasets"]).filter(|row| !args.errors || row["errors"].as_u64() > Some(0));
    Ok(rows.filter_map(|row| row["dataset"].as_str()).map(str::to_owned).collect())
}

fn table(plans: &[Json]) -> Table {
    let mut table = Table::new(&["DATASET", "QUEUE", "DROP", "STEPS"]);
    for plan in plans {
        let mut steps: Vec<&str> = items(&plan["create_jobs"]).filter_map(|job| job["type"].as_str()).collect();
        steps.dedup();
        let (queue, drop) = (items(&plan["create_jobs"]).count(), items(&plan["delete_waiting_jobs"]).count());
        if plan["supported"] == false {
            table.row([super::pending::text(&plan["dataset"]), "-".into(), "all".into(), "not shown any more".into()]);
        } else if queue + drop > 0 {
            let name = super::pending::text(&plan["dataset"]);
            table.row([name, queue.to_string(), drop.to_string(), steps.join(", ")]);
        }
    }
    table
}
