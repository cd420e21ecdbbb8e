//! `belvedere admin clean`: what other versions and lost jobs have left behind.

use clap::Args;
use serde_json::Value as Json;

use super::ServerArgs;
use super::client::{Client, Needs, with_query};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, plural};

/// Arguments of `belvedere admin clean`.
#[derive(Args, Debug)]
pub struct CleanArgs {
    /// Tell what would be removed, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Which server, which form.
    #[command(flatten)]
    pub server: ServerArgs,
}

pub(super) async fn run(args: CleanArgs, config: &Config, output: Output) -> anyhow::Result<Exit> {
    let client = Client::connect(&args.server, config, Needs::Store).await?;
    let body = client.post(&with_query("/admin/clean", &[("dry_run", args.dry_run.then_some("true"))])).await?;
    if args.server.json {
        output.print_json(&body)?;
        return Ok(Exit::Done);
    }
    let number = |key: &str| body.get(key).and_then(Json::as_u64).unwrap_or_default() as usize;
    let jobs = plural(number("jobs_of_unknown_steps"), "waiting job");
    let results = plural(number("artifacts_of_unknown_steps"), "result");
    let verb = if args.dry_run { "would be removed" } else { "were removed" };
    let views = plural(number("views_never_stored"), "result");
    let revisions = plural(number("revisions_not_kept"), "revision");
    let media = plural(number("media_of_gone_revisions"), "media file");
    output.print(&format!(
        "{jobs} and {results} of steps that this version does not have, the files of {views} that were never stored, \
         what is kept of {revisions} too many, and {media} of revisions that are gone, {verb}\n"
    ))?;
    Ok(Exit::Done)
}
