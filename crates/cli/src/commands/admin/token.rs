//! `belvedere admin token`: a token for an operator who is no user, and the hash of it for the configuration.

use belvedere_api::TokenHash;
use clap::Args;
use serde_json::json;

use crate::admin::fresh_token;
use crate::exit::{Advice, Exit};
use crate::output::Output;

const EXAMPLES: &str = "\
The token is shown once and kept nowhere. The server is given the hash, in `admin.tokens`,
`ADMIN_TOKENS`, or the file ADMIN_TOKENS of the secrets directory.

Example:
  belvedere admin token ana
  ADMIN_TOKENS=ana:… belvedere serve data --host 0.0.0.0";

/// Arguments of `belvedere admin token`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TokenArgs {
    /// Whose token it is: this name is logged with every action.
    #[arg(default_value = "operator")]
    pub name: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(args: &TokenArgs, output: Output) -> anyhow::Result<Exit> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.@".contains(letter);
    if args.name.is_empty() || !args.name.chars().all(is_plain) {
        let message = format!("`{}` cannot be the name of a token", args.name);
        return Err(Advice::usage(message, "use letters, digits, `-`, `_`, `.` and `@`").into());
    }
    let token = fresh_token()?;
    let hash = TokenHash::of(&args.name, &token).to_string();
    if args.json {
        output.print_json(&json!({"name": args.name, "token": token, "hash": hash}))?;
    } else {
        output.print(&format!("token  {token}\nhash   {hash}\n"))?;
    }
    Ok(Exit::Done)
}
