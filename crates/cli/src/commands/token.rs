//! `belvedere token`: what programs of users log in with.

use clap::{Args, Subcommand};
use serde_json::json;

use super::admin::ServerArgs;
use super::admin::client::{Client, Needs};
use super::admin::pending::{items, text};
use super::user::time;
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, Table};
use crate::progress::encoded;

const EXAMPLES: &str = "\
A token is shown once and kept as a hash. It has no more rights than its user, and none but its
scopes:
  read               every dataset
  read:lab/birds-*   datasets of these names, may be repeated
  tasks              tasks of the user
  admin              operating the server, where the user may

Examples:
  belvedere token create notebook --user ana --scope read
  belvedere token create deploy --user ana --scope admin --days 90
  belvedere token revoke 5f1c0e9ab2d34c77";

/// Arguments of `belvedere token`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TokenArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// What to do about tokens.
#[derive(Subcommand, Debug)]
pub enum TokenCommand {
    /// Make a token and show it.
    Create {
        /// What it is for, in the list.
        name: String,
        /// Whose it is.
        #[arg(long, value_name = "USER")]
        user: String,
        /// What it is good for; may be given several times.
        #[arg(long, value_name = "SCOPE", required = true)]
        scope: Vec<String>,
        /// Days until it ends. Without: it does not.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3660))]
        days: Option<u32>,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the tokens, without what is secret about them.
    List {
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Withdraw a token at once.
    Revoke {
        /// Its id, as in the list.
        id: String,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Does it.
///
/// # Errors
///
/// With a hint, when no server answers and the store cannot be opened, or the server refuses.
pub async fn run(args: TokenArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    match args.command {
        TokenCommand::Create { name, user, scope, days, server } => {
            let client = Client::connect(&server, config, Needs::Store).await?;
            let lifetime = days.map(|days| days * 86_400);
            let body = json!({"owner": user, "name": name, "scopes": scope, "lifetime_seconds": lifetime});
            let made = client.send("POST", "/admin/tokens", Some(body)).await?;
            match server.json {
                true => output.print_json(&made)?,
                false => output.print(&format!("id     {}\ntoken  {}\n", text(&made["id"]), text(&made["token"])))?,
            }
        }
        TokenCommand::List { server } => {
            let body = Client::connect(&server, config, Needs::Store).await?.get("/admin/tokens").await?;
            if server.json {
                output.print_json(&body)?;
                return Ok(Exit::Done);
            }
            let mut table = Table::new(&["ID", "USER", "NAME", "SCOPES", "ADDED", "ENDS", "LAST USE", "WITHDRAWN"]);
            for token in items(&body["tokens"]) {
                let scopes: Vec<String> = items(&token["scopes"]).map(text).collect();
                let time = |name: &str| time(&token[name]);
                table.row([
                    text(&token["id"]),
                    text(&token["owner"]),
                    text(&token["name"]),
                    scopes.join(" "),
                    time("created_at"),
                    time("expires_at"),
                    time("last_used_at"),
                    time("revoked_at"),
                ]);
            }
            output.print_table(&table)?;
        }
        TokenCommand::Revoke { id, server } => {
            let client = Client::connect(&server, config, Needs::Store).await?;
            client.send("DELETE", &format!("/admin/tokens/{}", encoded(&id)), None).await?;
            match server.json {
                true => output.print_json(&json!({"id": id}))?,
                false => output.print(&format!("{id} withdrawn\n"))?,
            }
        }
    }
    Ok(Exit::Done)
}
