//! `belvedere admin refresh`: one result again.

use belvedere_domain::Priority;
use clap::Args;

use super::ServerArgs;
use super::client::{Client, Needs, step, with_query};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::Output;

/// Arguments of `belvedere admin refresh`.
#[derive(Args, Debug)]
pub struct RefreshArgs {
    /// The step, as `config-parquet-and-info`. What follows it is computed again, too.
    pub step: String,
    /// The dataset, as `local/wine`.
    #[arg(long, value_name = "NAME")]
    pub dataset: String,
    /// The config, for steps of configs and splits.
    #[arg(long, value_name = "NAME")]
    pub config_name: Option<String>,
    /// The split, for steps of splits.
    #[arg(long, value_name = "NAME")]
    pub split: Option<String>,
    /// low, normal or high.
    #[arg(long, default_value = "low")]
    pub priority: Priority,
    /// 0 to 100, instead of the difficulty of the step.
    #[arg(long)]
    pub difficulty: Option<u8>,
    /// Which server, which form.
    #[command(flatten)]
    pub server: ServerArgs,
}

pub(super) async fn run(args: RefreshArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    let path = format!("/admin/force-refresh/{}", step(&args.step)?);
    let client = Client::connect(&args.server, config, Needs::Folders).await?;
    let difficulty = args.difficulty.map(|difficulty| difficulty.to_string());
    let parameters = [
        ("dataset", Some(args.dataset.as_str())),
        ("config", args.config_name.as_deref()),
        ("split", args.split.as_deref()),
        ("priority", Some(args.priority.as_str())),
        ("difficulty", difficulty.as_deref()),
    ];
    let body = client.post(&with_query(&path, &parameters)).await?;
    if args.server.json {
        output.print_json(&body)?;
    } else {
        output.print(&format!("{} of {} is queued\n", args.step, args.dataset))?;
    }
    Ok(Exit::Done)
}
