//! `belvedere admin report`: what is stored for a step.

use clap::Args;
use serde_json::{Value as Json, json};

use super::ServerArgs;
use super::client::{Client, Needs, step, with_query};
use super::pending::{items, text};
use crate::config::Config;
use crate::console::Console;
use crate::exit::Exit;
use crate::output::{Output, Table, plural};

/// Arguments of `belvedere admin report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// The step, as `split-first-rows`.
    pub step: String,
    /// Errors only.
    #[arg(long)]
    pub errors: bool,
    /// With the content that is served, which can be heavy. Implies `--json`.
    #[arg(long)]
    pub content: bool,
    /// Show at most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub limit: usize,
    /// Which server, which form.
    #[command(flatten)]
    pub server: ServerArgs,
}

pub(super) async fn run(args: ReportArgs, config: &Config, output: Output, console: &Console) -> anyhow::Result<Exit> {
    let client = Client::connect(&args.server, config, Needs::Store).await?;
    let (route, key) = match args.content {
        true => ("cache-reports-with-content", "cache_reports_with_content"),
        false => ("cache-reports", "cache_reports"),
    };
    let path = format!("/admin/{route}/{}", step(&args.step)?);
    let (mut reports, mut looked, mut cursor) = (Vec::new(), 0, String::new());
    let is_cut = loop {
        let next = Some(cursor.as_str()).filter(|cursor| !cursor.is_empty());
        let page = client.get(&with_query(&path, &[("cursor", next)])).await?;
        looked += items(&page[key]).count();
        reports.extend(items(&page[key]).filter(|report| !args.errors || report["http_status"] != 200).cloned());
        console.status(&format!("{} looked at", plural(looked, "result")));
        cursor = text(&page["next_cursor"]);
        if reports.len() > args.limit {
            break true;
        }
        if page["next_cursor"].as_str().is_none_or(str::is_empty) {
            break false;
        }
    };
    console.status("");
    reports.truncate(args.limit);
    if args.server.json || args.content {
        output.print_json(&json!({key: reports}))?;
    } else {
        output.print_table(&table(&reports))?;
    }
    if is_cut {
        console.say(&format!("there are more than {}; `--limit` shows more", args.limit));
    }
    Ok(Exit::Done)
}

fn table(reports: &[Json]) -> Table {
    let mut table = Table::new(&["DATASET", "CONFIG", "SPLIT", "STATUS", "FAILED", "UPDATED", "CAUSE"]);
    for report in reports {
        let cause = report["details"]["cause_message"].as_str().or(report["details"]["error"].as_str());
        let cause = cause.unwrap_or_default().lines().next().unwrap_or_default().to_owned();
        let status = match report["error_code"].as_str() {
            Some(code) => format!("{} {code}", report["http_status"]),
            None => text(&report["http_status"]),
        };
        table.row([
            text(&report["dataset"]),
            text(&report["config"]),
            text(&report["split"]),
            status,
            text(&report["failed_runs"]),
            text(&report["updated_at"]),
            cause,
        ]);
    }
    table
}
