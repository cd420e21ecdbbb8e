//! Arguments of commands that look at folders.

use clap::Args;

use super::flag;
use crate::config::{Config, Flag, Raw};
use crate::exit::Advice;

/// Which folders.
#[derive(Args, Debug, Default)]
pub struct FolderArgs {
    /// Folders of datasets, as PATH or NAMESPACE=PATH. Every child folder becomes a dataset; a folder that holds data
    /// itself is one dataset.
    #[arg(value_name = "FOLDER")]
    pub folders: Vec<String>,
    /// Take the one folder or file for one dataset, whatever is in it.
    #[arg(long)]
    pub single: bool,
}

impl FolderArgs {
    /// The settings that these set.
    pub fn flags(&self) -> Vec<Flag> {
        let folders = (!self.folders.is_empty()).then(|| Flag {
            name: "FOLDER".to_owned(),
            path: "serve.folders".to_owned(),
            raw: Raw::List(self.folders.clone()),
        });
        let single = self.single.then(|| flag("--single", "serve.single", "true"));
        folders.into_iter().chain(single).collect()
    }
}

/// Refuses to go on without a folder or a remote Hub. `command` names what the user has called.
///
/// # Errors
///
/// With a hint, when neither the command line nor the configuration names one.
pub fn require(config: &Config, command: &str) -> Result<(), Advice> {
    let has_hub = config.common.hf_endpoint.is_some() && command != "check";
    if config.serve.folders.is_empty() && !has_hub {
        let hint = format!("name at least one: `belvedere {command} FOLDER`, or set `serve.folders`");
        return Err(Advice::usage(format!("no folder to {}", purpose(command)), hint));
    }
    Ok(())
}

fn purpose(command: &str) -> &'static str {
    match command {
        "worker" => "work on",
        "check" => "look at",
        "run-step STEP" => "read",
        "monitor" => "watch",
        _ => "serve",
    }
}
