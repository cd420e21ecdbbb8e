//! `belvedere user`: who may log in.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use super::admin::ServerArgs;
use super::admin::client::{Client, Needs};
use super::admin::pending::{items, text};
use super::password::PasswordArgs;
use crate::config::Config;
use crate::exit::{Advice, Exit};
use crate::output::{Output, Table};
use crate::progress::encoded;

const EXAMPLES: &str = "\
Where a server runs on the SQLite file of the configuration, it is asked; else the database is
opened. `--url` asks another server, with the token of an admin in `--token-file`.

Examples:
  belvedere user add ana --admin
  belvedere user passwd ana --password-file password.txt
  belvedere user import users.htpasswd
      one NAME:HASH a line; bcrypt hashes are replaced by better ones at the first login";

/// Arguments of `belvedere user`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct UserArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: UserCommand,
}

/// What to do about users.
#[derive(Subcommand, Debug)]
pub enum UserCommand {
    /// Add a user, with a password.
    Add {
        /// The name.
        name: String,
        /// The user may operate the server, too.
        #[arg(long)]
        admin: bool,
        /// The password.
        #[command(flatten)]
        password: PasswordArgs,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the users.
    List {
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Set another password. The user's sessions end.
    Passwd {
        /// The name.
        name: String,
        /// The password.
        #[command(flatten)]
        password: PasswordArgs,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Make a user an admin, or a plain user again.
    Role {
        /// The name.
        name: String,
        /// `admin` or `user`.
        role: String,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Admit a user no longer: neither password nor tokens are good. Nothing is deleted.
    Disable {
        /// The name.
        name: String,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Admit a user again.
    Enable {
        /// The name.
        name: String,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Remove a user with all tokens.
    Remove {
        /// The name.
        name: String,
        /// Which server, which form.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Add users with the hashes of their passwords, from a file of lines `NAME:HASH`, as `htpasswd -B` writes it.
    Import {
        /// The file; `-` for standard input.
        file: PathBuf,
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
pub async fn run(args: UserArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    match args.command {
        UserCommand::Add { name, admin, password, server } => {
            // Who cannot reach the server types no password.
            let client = Client::connect(&server, config, Needs::Store).await?;
            let role = if admin { "admin" } else { "user" };
            let body = json!({"name": name, "password": password.read(&name)?, "role": role});
            told(&client.send("POST", "/admin/users", Some(body)).await?, "added", &server, output)
        }
        UserCommand::List { server } => list(&server, config, output).await,
        UserCommand::Passwd { name, password, server } => {
            let client = Client::connect(&server, config, Needs::Store).await?;
            let body = json!({"password": password.read(&name)?});
            change(&client, &name, body, "has another password", &server, output).await
        }
        UserCommand::Role { name, role, server } => {
            let client = Client::connect(&server, config, Needs::Store).await?;
            change(&client, &name, json!({"role": role}), "changed", &server, output).await
        }
        UserCommand::Disable { name, server } => {
            let client = Client::connect(&server, config, Needs::Store).await?;
            change(&client, &name, json!({"disabled": true}), "is not admitted any more", &server, output).await
        }
        UserCommand::Enable { name, server } => {
            let client = Client::connect(&server, config, Needs::Store).await?;
            change(&client, &name, json!({"disabled": false}), "is admitted", &server, output).await
        }
        UserCommand::Remove { name, server } => {
            let client = Client::connect(&server, config, Needs::Store).await?;
            client.send("DELETE", &path(&name), None).await?;
            told(&json!({"name": name}), "removed", &server, output)
        }
        UserCommand::Import { file, server } => import(&file, &server, config, output).await,
    }
}

fn path(name: &str) -> String {
    format!("/admin/users/{}", encoded(name))
}

async fn change(
    client: &Client,
    name: &str,
    body: Json,
    what: &str,
    server: &ServerArgs,
    output: Output,
) -> anyhow::Result<Exit> {
    told(&client.send("PATCH", &path(name), Some(body)).await?, what, server, output)
}

fn told(user: &Json, what: &str, server: &ServerArgs, output: Output) -> anyhow::Result<Exit> {
    match server.json {
        true => output.print_json(user)?,
        false => output.print(&format!("{} {what}\n", text(&user["name"])))?,
    }
    Ok(Exit::Done)
}

async fn list(server: &ServerArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    let body = Client::connect(server, config, Needs::Store).await?.get("/admin/users").await?;
    if server.json {
        output.print_json(&body)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["NAME", "ROLE", "STATE", "ADDED", "LAST LOGIN"]);
    for user in items(&body["users"]) {
        let state = if user["disabled"] == true { "disabled" } else { "admitted" };
        let time = |name: &str| time(&user[name]);
        table.row([
            text(&user["name"]),
            text(&user["role"]),
            state.to_owned(),
            time("created_at"),
            time("last_login_at"),
        ]);
    }
    output.print_table(&table)?;
    Ok(Exit::Done)
}

/// A time as people read it, to a second; nothing for none.
pub(super) fn time(microseconds: &Json) -> String {
    let time = microseconds.as_i64().map(|us| belvedere_domain::Timestamp(us - us.rem_euclid(1_000_000)));
    time.map(|time| time.to_string()).unwrap_or_default()
}

async fn import(file: &PathBuf, server: &ServerArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    let mut lines = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut lines),
        false => std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut lines)),
    };
    read.with_context(|| Advice::usage(format!("{} cannot be read", file.display()), ""))?;
    let client = Client::connect(server, config, Needs::Store).await?;
    let (mut added, mut failed) = (Vec::new(), Vec::new());
    for (at, line) in lines.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, hash) = line.split_once(':').unwrap_or((line, ""));
        let body = json!({"name": name, "password_hash": hash});
        match client.send("POST", "/admin/users", Some(body)).await {
            Ok(user) => added.push(text(&user["name"])),
            // The name alone: the hash is nobody's business.
            Err(error) => failed.push(json!({"line": at + 1, "name": name, "error": error.to_string()})),
        }
    }
    if server.json {
        output.print_json(&json!({"added": added, "failed": failed}))?;
    } else {
        let added = added.iter().map(|name| format!("{name} added\n"));
        let failed = failed.iter().map(|one| {
            format!("line {}: {} not added: {}\n", text(&one["line"]), text(&one["name"]), text(&one["error"]))
        });
        output.print(&added.chain(failed).collect::<String>())?;
    }
    Ok(if failed.is_empty() { Exit::Done } else { Exit::Problems })
}
