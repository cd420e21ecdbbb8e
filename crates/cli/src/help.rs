//! The reference of the command line as a Markdown page, `docs/cli.md`.

use std::fmt::Write as _;

use clap::{Command, CommandFactory};

use crate::commands::{Cli, GLOBAL_OPTIONS};

const PROGRAM: &str = "belvedere";

const HEAD: &str = "\
# Command line

<!-- Generated from crates/cli/src/commands: `UPDATE_DOCS=1 cargo test -p belvedere`. -->

Data goes to standard output, everything else to standard error. Commands that print tables print JSON with `--json`.
The options of every command stand under `belvedere` only.
";

/// The page: the help of every command.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    let mut program = Cli::command().term_width(100);
    program.build();
    write_command(&mut page, &mut program, PROGRAM);
    page
}

/// Takes out the options that the help of the program has explained: from their heading to the next one.
fn leave_out_global(help: &mut Vec<&str>) {
    let Some(start) = help.iter().position(|line| line.strip_suffix(':') == Some(GLOBAL_OPTIONS)) else { return };
    let is_heading = |line: &&str| !line.is_empty() && !line.starts_with(' ');
    let end = help[start + 1..].iter().position(is_heading).map_or(help.len(), |length| start + 1 + length);
    help.drain(start..end);
}

fn write_command(page: &mut String, command: &mut Command, path: &str) {
    let help = command.render_long_help().to_string();
    let mut help: Vec<&str> = help.lines().map(str::trim_end).collect();
    if path != PROGRAM {
        leave_out_global(&mut help);
    }
    let _ = write!(page, "\n## `{path}`\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    let names: Vec<String> = command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set() && subcommand.get_name() != "help")
        .map(|subcommand| subcommand.get_name().to_owned())
        .collect();
    for name in names {
        let subcommand = command.find_subcommand_mut(&name).expect("the name was just listed");
        write_command(page, subcommand, &format!("{path} {name}"));
    }
}
