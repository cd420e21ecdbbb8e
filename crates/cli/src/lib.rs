//! The command line of Belvedere: configuration, commands, output, logs.
//!
//! A command line becomes a [`Config`] and a call of one file in [`commands`]. The program itself
//! is a line that calls [`run`].

pub mod admin;
pub mod blobs;
pub mod commands;
pub mod config;
pub mod console;
pub mod exit;
pub mod help;
pub mod open;
pub mod optional;
pub mod output;
pub mod problems;
pub mod progress;
pub mod reading;
pub mod remote;
pub mod runtime;
mod scans;
pub mod signals;
pub mod steps;
pub mod tasks;
pub mod telemetry;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use commands::config::ConfigCommand;
use commands::{Cli, Command};
use config::types::LogFormat;
use config::{Config, ConfigError, Loaded};
use console::{Console, Form};
use exit::{Advice, Exit};
use output::Output;

/// Runs the command line of this process and tells how it ended.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            // Nothing is left to be done when standard error is gone, too.
            let _ = writeln!(std::io::stderr(), "{}", exit::describe(&error));
            exit::of(&error).into()
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    let variable = |name: &str| std::env::var(name).ok();
    let output = Output { color: cli.global.color.applies_to(std::io::stdout().is_terminal(), variable) };

    // What describes the program needs no configuration, and what examines it must bear a wrong one.
    let loaded = match &cli.command {
        Command::EngineChild(args) => return commands::engine_child::run(args),
        Command::TaskWrapper(args) => return commands::task_wrapper::run(args),
        Command::Config(args) if let ConfigCommand::Reference(args) = &args.command => {
            return commands::config::reference(args, output);
        }
        Command::Admin(args) if args.command.is_alone() => return commands::admin::run_alone(args, output),
        _ => load(&cli)?,
    };
    if let Command::Doctor(args) = &cli.command {
        return runtime(1)?.block_on(commands::doctor::run(args, loaded, output));
    }
    let Loaded { config, values, notes } = loaded.map_err(|error| Advice::usage(error.to_string(), error.hint))?;

    let is_terminal = std::io::stderr().is_terminal();
    let color = cli.global.color.applies_to(is_terminal, variable);
    let form = match config.log.format {
        _ if cli.global.quiet => Form::Quiet,
        LogFormat::Json => Form::Log,
        LogFormat::Text if is_terminal && variable("TERM").as_deref() != Some("dumb") => Form::Terminal,
        LogFormat::Text => Form::Lines,
    };
    let console = Console::new(form, color);
    // Whoever runs a single step wants to see what it does.
    let verbosity = match (&cli.command, cli.global.verbosity()) {
        (Command::RunStep(_), 0) => 1,
        (_, verbosity) => verbosity,
    };
    telemetry::start(&config.log, verbosity, console.clone()).context("logging cannot be started")?;
    for note in notes {
        tracing::warn!("{note}");
    }
    match cli.command {
        Command::Config(args) => commands::config::run(&args, &values, output),
        command => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let admin = match admin::Place::is_own(&config) {
                true => config.admin.uvicorn_num_workers.on(cores),
                false => 0,
            };
            let runtime = runtime(config.api.uvicorn_num_workers.on(cores) + admin)?;
            let result = runtime.block_on(command.run(config, &values, output, console));
            // Whoever asked to stop does not wait for a file that is still being read.
            runtime.shutdown_background();
            result
        }
    }
}

/// The configuration of this process. The outer error is about the command line, the inner one about the settings.
fn load(cli: &Cli) -> Result<Result<Loaded, ConfigError>, Advice> {
    let sources = config::gather(cli.command.role(), cli.global.config.as_deref(), std::env::vars_os(), cli.flags()?);
    Ok(sources.and_then(|sources| Config::load(&sources)))
}

fn runtime(threads: usize) -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context(Advice::environment("threads cannot be started", "`belvedere doctor` tells which limit is too low"))
}
