//! `belvedere clusters`: the clusters of the configuration, looked at from this machine.

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::Config;
use crate::exit::{Advice, Exit};
use crate::output::{Output, Style, Table};

/// Arguments of `belvedere clusters`.
#[derive(Args, Debug)]
pub struct ClustersArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ClustersCommand,
}

/// What to do about clusters.
#[derive(Subcommand, Debug)]
pub enum ClustersCommand {
    /// Look at everything that a cluster must be for tasks to run there: the way to it, its commands, its folder, its
    /// clock, its images.
    Check {
        /// The cluster; all of them when absent.
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
///
/// # Errors
///
/// With a hint, when the description of the clusters cannot be used or has none of that name.
pub async fn run(args: ClustersArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    let ClustersCommand::Check { name, json } = args.command;
    let catalog = crate::tasks::catalog(config)?;
    let members: Vec<_> =
        catalog.members().filter(|member| name.as_deref().is_none_or(|name| member.name.as_str() == name)).collect();
    if members.is_empty() {
        let known: Vec<_> = catalog.members().map(|member| member.name.as_str()).collect();
        let message = match &name {
            Some(name) => format!("there is no cluster `{name}`; known are: {}", known.join(", ")),
            None => "no cluster is configured".to_owned(),
        };
        return Err(Advice::usage(message, "describe clusters in the file that `tasks.clusters` names").into());
    }
    let (mut table, mut all, mut good) = (Table::new(&["cluster", "check", "", "found"]), Vec::new(), true);
    for member in members {
        for check in member.cluster.check().await {
            good &= check.ok;
            let (word, style) = if check.ok { ("ok", Style::Plain) } else { ("wrong", Style::Red) };
            table.styled_row([
                (member.name.to_string(), Style::Plain),
                (check.name.clone(), Style::Plain),
                (word.to_owned(), style),
                (check.found.clone(), Style::Plain),
            ]);
            all.push(json!({"cluster": member.name.as_str(), "check": check}));
        }
    }
    match json {
        true => output.print_json(&all),
        false => output.print_table(&table),
    }
    .context("standard output cannot be written")?;
    Ok(if good { Exit::Done } else { Exit::Problems })
}
