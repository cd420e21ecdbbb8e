//! `belvedere admin blocked`: datasets that rest because of their rate limit.

use clap::Args;

use super::ServerArgs;
use super::client::{Client, Needs, with_query};
use super::pending::{items, text};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::Output;

/// Arguments of `belvedere admin blocked`.
#[derive(Args, Debug)]
pub struct BlockedArgs {
    /// End the rest of this dataset.
    #[arg(long, value_name = "DATASET")]
    pub wake: Option<String>,
    /// Which server, which form.
    #[command(flatten)]
    pub server: ServerArgs,
}

pub(super) async fn run(args: BlockedArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    let client = Client::connect(&args.server, config, Needs::Store).await?;
    let body = match &args.wake {
        Some(dataset) => client.post(&with_query("/admin/unblock-dataset", &[("dataset", Some(dataset))])).await?,
        None => client.get("/admin/blocked-datasets").await?,
    };
    if args.server.json {
        output.print_json(&body)?;
    } else if let Some(dataset) = &args.wake {
        output.print(&format!("{dataset}: {}\n", text(&body["message"])))?;
    } else {
        let names: String = items(&body["blocked_datasets"]).map(|name| format!("{}\n", text(name))).collect();
        output.print(&names)?;
    }
    Ok(Exit::Done)
}
