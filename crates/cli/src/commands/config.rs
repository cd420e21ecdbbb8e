//! `belvedere config`: the settings that hold, and all there are.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::config::{self, Effective, Fate, Origin, RETIRED, Role, Setting, settings};
use crate::exit::{Advice, Exit};
use crate::output::{Output, Style, Table, wrap};

/// Arguments of `belvedere config`.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// Which settings.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// Which settings.
#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Show the values that hold and where each comes from. Secrets are masked.
    Show(ShowArgs),
    /// Explain settings and variables.
    Reference(ReferenceArgs),
}

const SHOW_EXAMPLES: &str = "\
Examples:
  belvedere config show --changed
      only what is not a default
  COMPAT=reference belvedere config show
      with the limits of the reference
  belvedere config show --json | jq '.[\"worker.slots\"].value'";

/// Arguments of `belvedere config show`.
#[derive(Args, Debug)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// Leave out defaults.
    #[arg(long)]
    pub changed: bool,
    /// Show the values of this command: some defaults depend on it.
    #[arg(long = "for", value_name = "COMMAND", default_value = "serve")]
    pub command: ConfiguredCommand,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// A command with settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ConfiguredCommand {
    /// `belvedere serve`.
    Serve,
    /// `belvedere check`.
    Check,
    /// `belvedere api`.
    Api,
    /// `belvedere worker`.
    Worker,
}

const REFERENCE_EXAMPLES: &str = "\
Examples:
  belvedere config reference worker
      the settings of a section
  belvedere config reference WORKER_MAX_LOAD_PCT
      one setting, by its name or that of its variable
  belvedere config reference MONGO_URL
      what became of a variable of the reference";

/// Arguments of `belvedere config reference`.
#[derive(Args, Debug)]
#[command(after_help = REFERENCE_EXAMPLES)]
pub struct ReferenceArgs {
    /// Only these: a section, a setting, a variable, or a part of one of these.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Print all of them as JSON.
    #[arg(long, conflicts_with_all = ["markdown", "name"])]
    pub json: bool,
    /// Print the reference page.
    #[arg(long, conflicts_with = "name")]
    pub markdown: bool,
}

impl ConfigArgs {
    /// The role whose defaults are shown.
    pub fn role(&self) -> Role {
        match &self.command {
            ConfigCommand::Show(args) => match args.command {
                ConfiguredCommand::Serve | ConfiguredCommand::Check => Role::Serve,
                ConfiguredCommand::Api | ConfiguredCommand::Worker => Role::Part,
            },
            ConfigCommand::Reference(_) => Role::Serve,
        }
    }
}

/// Shows the values of a configuration.
///
/// # Errors
///
/// When standard output cannot be written.
pub fn run(args: &ConfigArgs, values: &[Effective], output: Output) -> anyhow::Result<Exit> {
    match &args.command {
        ConfigCommand::Show(args) => show(args, values, output),
        ConfigCommand::Reference(args) => reference(args, output),
    }
}

fn show(args: &ShowArgs, values: &[Effective], output: Output) -> anyhow::Result<Exit> {
    let shown = values.iter().filter(|value| !args.changed || value.origin != Origin::Default);
    if args.json {
        let object: serde_json::Map<_, _> = shown
            .map(|value| {
                let entry = json!({
                    "variable": value.setting.variable(),
                    "value": value.json,
                    "origin": value.origin.to_string(),
                });
                (value.setting.path(), entry)
            })
            .collect();
        output.print_json(&object)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["SETTING", "VALUE", "ORIGIN"]);
    for value in shown {
        let style = if value.origin == Origin::Default { Style::Dim } else { Style::Plain };
        let value_text = if value.shown.is_empty() { "-".to_owned() } else { value.shown.clone() };
        table.styled_row([
            (value.setting.path(), Style::Plain),
            (value_text, style),
            (value.origin.to_string(), Style::Dim),
        ]);
    }
    output.print_table(&table)?;
    Ok(Exit::Done)
}

/// Explains settings. Needs no configuration.
///
/// # Errors
///
/// When there is no setting of that name, or standard output cannot be written.
pub fn reference(args: &ReferenceArgs, output: Output) -> anyhow::Result<Exit> {
    if args.json {
        output.print_json(&config::reference::json())?;
    } else if args.markdown {
        output.print(&config::reference::markdown())?;
    } else {
        let text = explain(args.name.as_deref().unwrap_or_default(), output.color);
        if text.is_empty() {
            let message = format!("no setting has `{}` in its name", args.name.as_deref().unwrap_or_default());
            return Err(Advice::usage(message, "`belvedere config reference` lists all of them").into());
        }
        output.print(&text)?;
    }
    Ok(Exit::Done)
}

/// Settings and retired variables with that text in one of their names; all settings for an empty text.
fn explain(name: &str, color: bool) -> String {
    let wanted = name.to_ascii_lowercase();
    let has = |text: &str| text.to_ascii_lowercase().contains(&wanted);
    let exact = |setting: &Setting| {
        let names = [setting.section.to_owned(), setting.path(), setting.variable()];
        names.iter().any(|name| name.eq_ignore_ascii_case(&wanted)) || setting.aliases.contains(&name)
    };
    let mut found: Vec<&Setting> = settings().filter(|setting| exact(setting)).collect();
    if found.is_empty() || wanted.is_empty() {
        found = settings()
            .filter(|setting| {
                has(&setting.path()) || has(&setting.variable()) || setting.aliases.iter().any(|alias| has(alias))
            })
            .collect();
    }
    let mut text: String = found.into_iter().map(|setting| entry(setting, color)).collect();
    if !wanted.is_empty() {
        for retired in RETIRED.iter().filter(|retired| has(retired.variable)) {
            let name = Style::Bold.paint(retired.variable, color);
            text.push_str(&format!(
                "{name}\n{}\n\n",
                wrap(&format!("No setting here: {}.", retired.fate.reason()), 96, "    ")
            ));
        }
    }
    text
}

fn entry(setting: &Setting, color: bool) -> String {
    let name = Style::Bold.paint(&setting.path(), color);
    let variable = Style::Dim.paint(&setting.variable(), color);
    let mut doc = config::reference::paragraph(setting.doc);
    match setting.fate {
        Fate::Read(_) => {}
        Fate::Built(feature, _) if crate::optional::is_built(feature) => {}
        Fate::Built(feature, part) => {
            doc.push_str(&format!(" No effect: {part} needs a program built with the cargo feature `{feature}`."));
        }
        Fate::Later(part) => doc.push_str(&format!(" No effect yet: this version comes without {part}.")),
    }
    let unit = if setting.unit.is_empty() { String::new() } else { format!(", in {}", setting.unit) };
    let facts = format!("({}{unit}; default {})", setting.kind, config::reference::defaults(setting));
    format!("{name}  {variable}\n{}\n{}\n\n", wrap(&doc, 96, "    "), wrap(&facts, 96, "    "))
}
