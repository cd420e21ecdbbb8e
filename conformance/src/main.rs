//! `belvedere-conformance`: compares a running server with the recorded answers of the reference.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use belvedere_conformance::report::Tally;
use belvedere_conformance::run::{self, Options, SetResult};
use belvedere_conformance::{lay, sets};
use clap::{Args, Parser, Subcommand};

/// Compares a running server with the recorded answers of the reference dataset viewer.
///
/// First lay the datasets out, then serve them, then compare:
///
///   belvedere-conformance lay /tmp/data
///   COMPAT=reference belvedere serve conformance=/tmp/data/conformance
///   belvedere-conformance run --base http://127.0.0.1:8000
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Cli {
    /// Folder of the data sets, with `NAME/repo` and `NAME/expected`.
    #[arg(long, global = true, default_value = "conformance/sets", value_name = "FOLDER")]
    sets: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Copy the repositories to OUT/conformance/NAME/….
    Lay {
        /// Where to; made if missing.
        out: PathBuf,
    },
    /// Ask every recorded request and show what differs. Exit status 1 if too few answers are the same.
    Run(RunArguments),
    /// List the data sets.
    List,
}

#[derive(Args)]
struct RunArguments {
    /// URL of the server.
    #[arg(long, default_value = "http://127.0.0.1:8000", value_name = "URL")]
    base: String,
    /// Only these data sets: names or patterns such as 'csv-*'. Without it, sets that were recorded with settings of
    /// their own are left out, since they need a server with the same settings.
    #[arg(long, num_args = 1.., value_name = "GLOB")]
    only: Vec<String>,
    /// Only these endpoints, such as `splits first-rows`.
    #[arg(long, num_args = 1.., value_name = "NAME")]
    endpoint: Vec<String>,
    /// How long to wait for answers in preparation, all together, in seconds.
    #[arg(long, default_value_t = 600.0)]
    seconds: f64,
    /// Share of answers that must be the same, 0 to 1.
    #[arg(long, default_value_t = 1.0, value_name = "SHARE")]
    require: f64,
    /// Differences shown per answer.
    #[arg(long, default_value_t = 6)]
    lines: usize,
    /// Show the table only.
    #[arg(long)]
    quiet: bool,
    /// Print one JSON document with every verdict instead of text.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli, &mut io::stdout().lock()) {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to do if even this cannot be written.
            drop(writeln!(io::stderr(), "error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn execute(cli: Cli, out: &mut impl Write) -> Result<ExitCode> {
    let all = sets::read(&cli.sets)?;
    match cli.command {
        Command::Lay { out: folder } => {
            let count = lay::lay(&all, &folder)?;
            writeln!(out, "{count} files of {} datasets in {}", all.len(), folder.join("conformance").display())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(arguments) => compare(all, arguments, out),
        Command::List => {
            for set in all {
                writeln!(out, "{}", set.name)?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn compare(all: Vec<sets::Set>, arguments: RunArguments, out: &mut impl Write) -> Result<ExitCode> {
    let (chosen, left_out) = run::chosen(all, &arguments.only)?;
    let known = run::endpoints(&chosen)?;
    if let Some(unknown) = arguments.endpoint.iter().find(|name| !known.contains(name)) {
        bail!("nothing is recorded for the endpoint `{unknown}`: choose from {}", known.join(", "));
    }
    let patience = Duration::try_from_secs_f64(arguments.seconds)?;
    let options = Options { base: arguments.base, only: arguments.only, endpoints: arguments.endpoint, patience };
    let text = !arguments.json;
    for set in left_out.iter().filter(|_| text) {
        let settings = serde_json::to_string(set.settings())?;
        writeln!(out, "left out: {} was recorded with {settings}; name it with --only", set.name)?;
    }
    let mut tally = Tally::default();
    let mut answers = Vec::new();
    run::run(&chosen, &options, |result| {
        tally.add(&result);
        if !text {
            answers.extend(result.to_json());
        } else if !arguments.quiet {
            show(&result, arguments.lines, out)?;
        }
        Ok(())
    })?;
    let summary = tally.summary();
    if text {
        write!(out, "{summary}")?;
    } else {
        let document = serde_json::json!({"summary": summary, "answers": answers});
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
    }
    Ok(if summary.share >= arguments.require { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(result: &SetResult, lines: usize, out: &mut impl Write) -> io::Result<()> {
    for case in result.cases.iter().filter(|case| !case.verdict.differences.is_empty()) {
        let found = &case.verdict.differences;
        let beyond = if case.verdict.beyond { " (beyond the reference)" } else { "" };
        let noun = if found.len() == 1 { "difference" } else { "differences" };
        writeln!(out, "{} {}: {} {noun}{beyond}", result.set, case.file, found.len())?;
        for difference in found.iter().take(lines) {
            writeln!(out, "    {difference}")?;
        }
    }
    out.flush()
}
