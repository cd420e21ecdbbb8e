//! `belvedere admin graph`: every step, and which steps it follows.

use std::fmt::Write as _;

use anyhow::Context;
use belvedere_domain::{Graph, Level, Step};
use belvedere_jobs::Registry;
use belvedere_jobs::registry::{Need, Optional};
use clap::Args;
use serde_json::{Value as Json, json};

use crate::exit::Exit;
use crate::output::{Output, Table};

const EXAMPLES: &str = "\
Examples:
  belvedere admin graph
  belvedere admin graph --mermaid
      a diagram for a Markdown page";

/// Arguments of `belvedere admin graph`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct GraphArgs {
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Print a Mermaid diagram instead of a table.
    #[arg(long, conflicts_with = "json")]
    pub mermaid: bool,
}

/// Answers from the registry. Needs no configuration.
///
/// # Errors
///
/// When standard output cannot be written.
pub(super) fn run(args: &GraphArgs, output: Output) -> anyhow::Result<Exit> {
    let graph = graph()?;
    if args.json {
        output.print_json(&as_json(&graph))?;
    } else if args.mermaid {
        output.print(&as_mermaid(&graph))?;
    } else {
        output.print_table(&as_table(&graph))?;
    }
    Ok(Exit::Done)
}

fn graph() -> anyhow::Result<std::sync::Arc<Graph>> {
    let by_setting = Optional::ALL.iter().filter(|group| matches!(group.need(), Need::Setting(_)));
    let optional: Vec<Optional> = crate::optional::STEPS.iter().chain(by_setting).copied().collect();
    Ok(Registry::with(&optional).context("the steps of this build do not form a graph")?.graph())
}

fn as_table(graph: &Graph) -> Table {
    let mut table = Table::new(&["STEP", "LEVEL", "VERSION", "DIFFICULTY", "NOTES", "AFTER"]);
    for step in graph.steps() {
        table.row([
            step.name.to_owned(),
            level(step).to_owned(),
            step.version.to_string(),
            difficulty(step),
            notes(step),
            step.triggered_by.join(", "),
        ]);
    }
    table
}

fn as_json(graph: &Graph) -> Json {
    let steps = graph.steps().iter().map(|step| {
        json!({
            "name": step.name,
            "level": level(step),
            "triggered_by": step.triggered_by,
            "version": step.version,
            "difficulty": step.difficulty,
            "bonus_difficulty_if_big": step.bonus_if_big,
            "answers": step.answers,
            "heavy": step.heavy,
            "background": step.background,
            "needs": setting(step),
        })
    });
    json!({"steps": steps.collect::<Vec<_>>()})
}

fn as_mermaid(graph: &Graph) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (of, shape) in [(Level::Dataset, ["[", "]"]), (Level::Config, ["(", ")"]), (Level::Split, ["([", "])"])] {
        let steps = graph.steps().iter().filter(|step| step.level == of);
        for step in steps {
            let _ = writeln!(text, "  {}{}{}{}", step.name, shape[0], step.name, shape[1]);
        }
    }
    for step in graph.steps() {
        for parent in step.triggered_by {
            let _ = writeln!(text, "  {parent} --> {}", step.name);
        }
    }
    text
}

fn level(step: &Step) -> &'static str {
    match step.level {
        Level::Dataset => "dataset",
        Level::Config => "config",
        Level::Split => "split",
    }
}

fn difficulty(step: &Step) -> String {
    match step.bonus_if_big {
        0 => step.difficulty.to_string(),
        bonus => format!("{} (+{bonus} if big)", step.difficulty),
    }
}

/// The setting without which the step is not there.
fn setting(step: &Step) -> Option<&'static str> {
    match Optional::of(step.name)?.need() {
        Need::Setting(setting) => Some(setting),
        Need::Feature(_) => None,
    }
}

fn notes(step: &Step) -> String {
    let notes = [(step.answers, "answers"), (step.heavy, "heavy"), (step.background, "background")];
    let notes = notes.iter().filter(|(holds, _)| *holds).map(|(_, note)| (*note).to_owned());
    notes.chain(setting(step).map(|setting| format!("needs {setting}"))).collect::<Vec<_>>().join(", ")
}
